//! The bytes of a Mach-O file's own tables: the headers here, the others where they are made.

use object::macho;
use object::write::macho::MachHeader;

use super::MachO;
use super::commands::{encode, number};
use super::plan::{HEADERS, is_dynamic};
use super::tables::{count, cpu, encoder};
use crate::format::Linked;
use crate::format::plan::{Role, TableId};
use crate::program::OutputKind;

/// The bytes of one table.
pub(super) fn table(linked: &Linked<'_, MachO>, table: TableId) -> Vec<u8> {
    match table {
        HEADERS => headers(linked),
        _ => linked.late.bytes(table),
    }
}

fn headers(linked: &Linked<'_, MachO>) -> Vec<u8> {
    let (cputype, cpusubtype) = cpu(linked.layout.target.architecture);
    let mut commands = Vec::new();
    for command in &linked.tables.commands {
        encode(*command, linked, &mut commands);
    }
    // macOS kills an arm64 program without the first three of the others.
    let mut flags = macho::MH_NOUNDEFS;
    let program = linked.gathered.program;
    if is_dynamic(program) {
        flags |= macho::MH_DYLDLINK | macho::MH_TWOLEVEL;
    }
    // dyld prepares the descriptions of variables in images that say they have some.
    if linked.gathered.has(Role::Variables) {
        flags |= macho::MH_HAS_TLV_DESCRIPTORS;
    }
    let filetype = match program.kind {
        OutputKind::Executable if is_dynamic(program) => {
            flags |= macho::MH_PIE;
            macho::MH_EXECUTE
        }
        OutputKind::Executable => macho::MH_EXECUTE,
        OutputKind::SharedLibrary => {
            flags |= macho::MH_NO_REEXPORTED_DYLIBS;
            macho::MH_DYLIB
        }
    };
    let header = MachHeader {
        cputype,
        cpusubtype,
        filetype,
        ncmds: count(linked.tables.commands.len()),
        sizeofcmds: number(commands.len() as u64),
        flags,
    };
    let mut bytes = Vec::new();
    encoder().mach_header(&mut bytes, &header);
    bytes.extend_from_slice(&commands);
    bytes
}
