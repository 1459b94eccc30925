//! Unwind tables: `.eh_frame_hdr`'s search table.

use object::elf::PT_GNU_EH_FRAME;
use object::read::elf::ProgramHeader;

use super::super::super::reader::bytes_until;
use super::super::super::reader::elf::{EhFrameHdr, Elf};
use super::super::model::{Found, Record, Unwinding, Value};

pub(super) fn read<'data>(elf: &Elf<'data>, found: &mut Found<'data>) {
    let endian = elf.endian;
    let is_it = |segment: &&super::super::super::reader::elf::ProgramHeader| {
        segment.p_type(endian) == PT_GNU_EH_FRAME
    };
    let Some(segment) = elf.segments.iter().find(is_it) else { return };
    let offset = segment.p_offset(endian);
    let bytes = bytes_until(elf.data, offset, segment.p_filesz(endian));
    let header = EhFrameHdr::parse(bytes, segment.p_vaddr(endian), offset);
    let Some(header) = found.or_damage(header) else { return };
    let mut record = Record::new(".eh_frame_hdr", offset);
    record.count("version", header.version);
    if let Some(address) = header.eh_frame {
        record.explained("eh_frame_ptr", Value::Hex(address), "where `.eh_frame` lies");
    }
    record.explained("fde_count", Value::Count(header.count), "functions that can be looked up");
    found.headers.push(record);
    found.unwind.extend(header.entries().map(|entry| Unwinding {
        start: entry.function,
        end: None,
        description: Some(entry.fde),
        summary: String::new(),
    }));
}
