//! The identity and the checksum: what depends on all other bytes.
//!
//! The identity is a hash of the file, computed while the fields that will hold it are zeros. No clock is
//! read: the time stamps are the identity's first bytes, and the `REPRO` entry says so.

use std::io;
use std::mem::offset_of;

use object::pe;

use super::checksum::Checksum;
use super::plan::DEBUG_DIRECTORY;
use super::tables::IDENTITY_SIZE;
use crate::format::layout::Layout;
use crate::format::output::Output;
use crate::format::plan::Role;
use crate::units::FileOffset;

pub(super) fn seal(layout: &Layout, output: &mut Output) -> io::Result<()> {
    let mut hasher = blake3::Hasher::new();
    let mut sum = Checksum::default();
    output.read_back(|bytes| {
        hasher.update(bytes);
        sum.add(bytes);
    })?;
    let identity: [u8; IDENTITY_SIZE] = *hasher.finalize().as_bytes();

    let nt = size_of::<pe::ImageDosHeader>();
    let file_header = nt + offset_of!(pe::ImageNtHeaders64, file_header);
    let optional_header = nt + offset_of!(pe::ImageNtHeaders64, optional_header);
    let stamp = file_header + offset_of!(pe::ImageFileHeader, time_date_stamp);
    let checksum = optional_header + offset_of!(pe::ImageOptionalHeader64, check_sum);
    let debug = layout.section(Role::Table(DEBUG_DIRECTORY)).expect("every image has this table");
    let debug_stamp = debug.offset.0 + offset_of!(pe::ImageDebugDirectory, time_date_stamp) as u64;
    let debug_identity = debug.offset.0 + debug.file_size.0 - IDENTITY_SIZE as u64;

    // All of these lie at even offsets, so that what they add to the sum can be added afterwards.
    for (offset, bytes) in [
        (stamp as u64, &identity[..4]),
        (debug_stamp, &identity[..4]),
        (debug_identity, &identity[..]),
    ] {
        output.patch(FileOffset(offset), bytes)?;
        sum.add(bytes);
    }
    let sum = sum.finish(layout.file_size.0);
    output.patch(FileOffset(checksum as u64), &sum.to_le_bytes())
}
