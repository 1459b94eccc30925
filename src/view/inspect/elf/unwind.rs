//! Unwind tables: the frame descriptions of `.eh_frame`, and `.eh_frame_hdr`'s search table.

use object::elf::PT_GNU_EH_FRAME;
use object::read::elf::ProgramHeader;

use super::super::super::reader::bytes_until;
use super::super::super::reader::elf::{EhFrameHdr, Elf};
use super::super::model::{Found, Record, Unwinding, Value};

pub(super) fn read<'data>(elf: &Elf<'data>, found: &mut Found<'data>) {
    let header = search_table(elf, found);
    #[cfg(feature = "dwarf")]
    if frames::read(elf, header.and_then(|header| header.eh_frame), found) {
        return;
    }
    // What unwinders look up names the functions, if not what is done with them.
    let entries = header.iter().flat_map(EhFrameHdr::entries);
    found.unwind.extend(entries.map(|entry| Unwinding {
        start: entry.function,
        description: Some(entry.fde),
        ..Unwinding::default()
    }));
}

/// The search table's header, as a record too.
fn search_table<'data>(elf: &Elf<'data>, found: &mut Found<'data>) -> Option<EhFrameHdr<'data>> {
    let endian = elf.endian;
    let is_it = |segment: &&super::super::super::reader::elf::ProgramHeader| {
        segment.p_type(endian) == PT_GNU_EH_FRAME
    };
    let segment = elf.segments.iter().find(is_it)?;
    let offset = segment.p_offset(endian);
    let bytes = bytes_until(elf.data, offset, segment.p_filesz(endian));
    let header = EhFrameHdr::parse(bytes, segment.p_vaddr(endian), offset);
    let header = found.or_damage(header)?;
    let mut record = Record::new(".eh_frame_hdr", offset);
    record.count("version", header.version);
    if let Some(address) = header.eh_frame {
        record.explained("eh_frame_ptr", Value::Hex(address), "where `.eh_frame` lies");
    }
    record.explained("fde_count", Value::Count(header.count), "functions that can be looked up");
    found.headers.push(record);
    Some(header)
}

#[cfg(feature = "dwarf")]
mod frames {
    use std::borrow::Cow;

    use object::elf::{
        EM_AARCH64, EM_X86_64, ET_REL, R_AARCH64_ABS64, R_AARCH64_PREL32, R_AARCH64_PREL64,
        R_X86_64_32, R_X86_64_64, R_X86_64_PC32, R_X86_64_PC64, Rela64, SHT_NOBITS, SHT_RELA,
    };
    use object::pod::slice_from_bytes;
    use object::read::elf::{FileHeader, Rela as _, SectionHeader as _, Sym};
    use object::{Endianness, SectionIndex};

    use super::super::super::super::reader::elf::{Elf, SectionHeader};
    use super::super::super::frames::{self, Section};
    use super::super::super::model::Found;

    /// Reads what is called `.eh_frame`, or what the search table says is; whether there is any.
    pub(super) fn read(elf: &Elf<'_>, pointer: Option<u64>, found: &mut Found<'_>) -> bool {
        let is_little = elf.endian == Endianness::Little;
        let named = elf.sections.enumerate().filter(|(_, section)| {
            let name = elf.sections.section_name(elf.endian, section);
            name == Ok(b".eh_frame") && section.sh_type(elf.endian) != SHT_NOBITS
        });
        let mut any = false;
        for (index, section) in named {
            let (address, offset) = (section.sh_addr(elf.endian), section.sh_offset(elf.endian));
            let Ok(bytes) = elf.section_bytes(section) else { continue };
            let bytes = match elf.header.e_type(elf.endian) {
                ET_REL => relocated(elf, index, bytes),
                _ => Cow::Borrowed(bytes),
            };
            frames::read(&Section { bytes: &bytes, address, offset, is_little }, found);
            any = true;
        }
        // Without section headers its end is that of its segment, or an empty entry.
        if let (false, Some(address)) = (any, pointer)
            && let (Some((offset, _)), Some(bytes)) =
                (elf.offset_of(address), elf.bytes_from(address))
        {
            let count = frames::read(&Section { bytes, address, offset, is_little }, found);
            return count > 0;
        }
        any
    }

    /// The section of an object file as a linker would write it if every section lay at address 0.
    fn relocated<'data>(
        elf: &Elf<'data>,
        index: SectionIndex,
        bytes: &'data [u8],
    ) -> Cow<'data, [u8]> {
        let mut relocated = Cow::Borrowed(bytes);
        let is_for_it = |section: &&SectionHeader| {
            section.sh_type(elf.endian) == SHT_RELA
                && section.sh_info(elf.endian) as usize == index.0
        };
        for table in elf.sections.iter().filter(is_for_it) {
            let Ok(entries) = elf.section_bytes(table) else { continue };
            let entries = slice_from_bytes::<Rela64<Endianness>>(entries, entries.len() / 24);
            let link = table.link(elf.endian);
            let symbols = elf.sections.symbol_table_by_index(elf.endian, elf.data, link);
            let (Ok((entries, _)), Ok(symbols)) = (entries, symbols) else { continue };
            for entry in entries {
                let symbol = entry.symbol(elf.endian, false);
                let value = symbol.and_then(|symbol| symbols.symbol(symbol).ok());
                let value = value.map_or(0, |symbol| symbol.st_value(elf.endian));
                let place = entry.r_offset.get(elf.endian);
                let sum = value.wrapping_add_signed(entry.r_addend.get(elf.endian));
                let machine = elf.header.e_machine(elf.endian);
                let (sum, width) = match (machine, entry.r_type(elf.endian, false)) {
                    (EM_X86_64, R_X86_64_PC32) | (EM_AARCH64, R_AARCH64_PREL32) => {
                        (sum.wrapping_sub(place), 4)
                    }
                    (EM_X86_64, R_X86_64_PC64) | (EM_AARCH64, R_AARCH64_PREL64) => {
                        (sum.wrapping_sub(place), 8)
                    }
                    (EM_X86_64, R_X86_64_32) => (sum, 4),
                    (EM_X86_64, R_X86_64_64) | (EM_AARCH64, R_AARCH64_ABS64) => (sum, 8),
                    _ => continue,
                };
                let Ok(start) = usize::try_from(place) else { continue };
                let end = start.saturating_add(width);
                if let Some(field) = relocated.to_mut().get_mut(start..end) {
                    field.copy_from_slice(&sum.to_le_bytes()[..width]);
                }
            }
        }
        relocated
    }
}
