//! The build identity: a hash of the whole file, computed while its own bytes are zeros.

use std::io;

use super::plan::BUILD_ID;
use super::tables::BUILD_ID_SIZE;
use crate::format::layout::Layout;
use crate::format::output::Output;
use crate::format::plan::Role;
use crate::units::FileOffset;

pub(super) fn seal(layout: &Layout, output: &mut Output) -> io::Result<()> {
    let mut hasher = blake3::Hasher::new();
    output.read_back(|bytes| {
        hasher.update(bytes);
    })?;
    let note = layout.section(Role::Table(BUILD_ID)).expect("every file has this note");
    let identity = FileOffset(note.offset.0 + note.file_size.0 - BUILD_ID_SIZE as u64);
    output.patch(identity, &hasher.finalize().as_bytes()[..BUILD_ID_SIZE])
}
