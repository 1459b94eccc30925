//! Program headers and section headers.

use std::borrow::Cow;

use object::elf::{
    self, ET_CORE, PF_R, PF_W, PF_X, PT_DYNAMIC, PT_GNU_EH_FRAME, PT_GNU_PROPERTY, PT_GNU_RELRO,
    PT_GNU_STACK, PT_INTERP, PT_LOAD, PT_NOTE, PT_PHDR, PT_TLS, ProgramType, SHF_ALLOC,
    SHF_EXECINSTR, SHF_TLS, SHT_NOBITS, SHT_NULL,
};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};

use super::super::super::reader::elf::{self as reader, Elf};
use super::super::super::reader::{Damage, Name};
use super::super::model::{Found, Record, Section, Segment, Value};
use super::super::words::{constant, permissions};

/// What program headers are for.
const MEANINGS: &[(ProgramType, &str)] = &[
    (PT_LOAD, "mapped from the file"),
    (PT_DYNAMIC, "what the dynamic linker reads"),
    (PT_INTERP, "the path of what loads the program"),
    (PT_NOTE, "notes for people, tools and the system"),
    (PT_PHDR, "the program headers themselves"),
    (PT_TLS, "what each thread gets a copy of"),
    (PT_GNU_EH_FRAME, "where unwinders look functions up"),
    (PT_GNU_STACK, "whether the stack may be executed"),
    (PT_GNU_RELRO, "read-only once relocated"),
    (PT_GNU_PROPERTY, "properties for the loader"),
];

pub(super) fn read<'data>(elf: &Elf<'data>, found: &mut Found<'data>) {
    read_sections(elf, found);
    let endian = elf.endian;
    for (index, header) in elf.segments.iter().enumerate() {
        let (offset, file_size) = (header.p_offset(endian), header.p_filesz(endian));
        if offset.checked_add(file_size).is_none_or(|end| end > elf.data.len() as u64) {
            let at = elf.header.e_phoff(endian).saturating_add(56 * index as u64);
            let message =
                format!("{file_size:#x} bytes at {offset:#x}, not all of which are in the file");
            found.damage.push(Damage::new("program header", at, message));
        }
        let segment = segment(elf, header);
        if header.p_type(endian) == PT_TLS {
            found.tls.push(tls(&segment));
        }
        found.segments.push(segment);
    }
}

fn segment<'data>(elf: &Elf<'data>, header: &reader::ProgramHeader) -> Segment<'data> {
    let endian = elf.endian;
    let kind = header.p_type(endian);
    let allowed = header.p_flags(endian);
    let names = elf::machine_names(elf.header.e_machine(endian));
    let name = names.pt.name(kind).map_or_else(|| Name::from(format!("{:#x}", kind.0)), Name::from);
    let meaning = MEANINGS.iter().find(|(of, _)| *of == kind).map_or("", |(_, meaning)| *meaning);
    let is_memory = kind == PT_LOAD && elf.header.e_type(endian) == ET_CORE;
    let meaning = if is_memory { "memory of the process" } else { meaning };
    let mut other = allowed;
    other.0 &= !(PF_R.0 | PF_W.0 | PF_X.0);
    Segment {
        name,
        permissions: permissions(
            allowed.contains(PF_R),
            allowed.contains(PF_W),
            allowed.contains(PF_X),
        ),
        greatest: None,
        address: header.p_vaddr(endian),
        size: header.p_memsz(endian),
        offset: header.p_offset(endian),
        file_size: header.p_filesz(endian),
        align: Some(header.p_align(endian)),
        flags: if other.0 == 0 { String::new() } else { format!("{:#x}", other.0) },
        meaning: Cow::Borrowed(meaning),
        sections: contained(elf, header),
    }
}

/// The sections that lie in a segment: in memory where they are loaded, as `readelf` shows it.
fn contained(elf: &Elf<'_>, header: &reader::ProgramHeader) -> Vec<u32> {
    let endian = elf.endian;
    let (start, size) = (header.p_vaddr(endian), header.p_memsz(endian));
    let is_tls_segment = header.p_type(endian) == PT_TLS;
    // Every pair of a header and a section is looked at; nobody has so many of both.
    if elf.segments.len().saturating_mul(elf.sections.len()) > 1 << 22 {
        return Vec::new();
    }
    let lies_inside = |section: &reader::SectionHeader| {
        let flags = section.sh_flags(endian);
        if !flags.contains(SHF_ALLOC) || section.sh_type(endian) == SHT_NULL {
            return false;
        }
        // Thread-local zeros take no memory but in the template.
        let is_template = flags.contains(SHF_TLS) && section.sh_type(endian) == SHT_NOBITS;
        if is_template && !is_tls_segment {
            return false;
        }
        let Some(inside) = section.sh_addr(endian).checked_sub(start) else { return false };
        match section.sh_size(endian) {
            0 => inside < size,
            length => inside.checked_add(length).is_some_and(|end| end <= size),
        }
    };
    let all = elf.sections.enumerate();
    let found = all.filter(|(_, section)| lies_inside(section));
    found.map(|(index, _)| u32::try_from(index.0).unwrap_or(u32::MAX)).collect()
}

fn tls<'data>(segment: &Segment<'data>) -> Record<'data> {
    let mut record = Record::new("PT_TLS", segment.offset);
    record.explained("p_vaddr", Value::Hex(segment.address), "where the template lies");
    record.explained("p_filesz", Value::Hex(segment.file_size), "bytes that are copied");
    let zeros = segment.size.saturating_sub(segment.file_size);
    record.explained("p_memsz", Value::Hex(segment.size), format!("{zeros:#x} zeros behind them"));
    record.field("p_align", Value::Hex(segment.align.unwrap_or_default()));
    record
}

fn read_sections<'data>(elf: &Elf<'data>, found: &mut Found<'data>) {
    let endian = elf.endian;
    let names = elf::machine_names(elf.header.e_machine(endian));
    for (index, header) in elf.sections.enumerate() {
        let kind = header.sh_type(endian);
        let has_bytes = kind != SHT_NOBITS && kind != SHT_NULL;
        let (offset, size) = (header.sh_offset(endian), header.sh_size(endian));
        let at = elf.header.e_shoff(endian).saturating_add(64 * index.0 as u64);
        if has_bytes && offset.checked_add(size).is_none_or(|end| end > elf.data.len() as u64) {
            let message =
                format!("{size:#x} bytes at {offset:#x}, not all of which are in the file");
            found.damage.push(Damage::new("section header", at, message));
        }
        let name = elf.sections.section_name(endian, header);
        if name.is_err() && header.sh_name(endian) != 0 && !elf.damage.iter().any(is_of_names) {
            let message = format!("no name at {:#x}", header.sh_name(endian));
            found.damage.push(Damage::new("section header", at, message));
        }
        let named = names.sht.name(kind).map(str::to_owned);
        found.sections.push(Section {
            index: u32::try_from(index.0).unwrap_or(u32::MAX),
            segment: None,
            name: Name::new(name.unwrap_or_default()),
            kind: named.unwrap_or_else(|| constant(kind.0)),
            address: header.sh_addr(endian),
            size,
            offset: has_bytes.then_some(offset),
            file_size: if has_bytes { size } else { 0 },
            align: header.sh_addralign(endian),
            flags: section_flags(names, header.sh_flags(endian)),
            code: has_bytes && header.sh_flags(endian).contains(SHF_EXECINSTR),
        });
    }
}

/// Whether no section has a name: that is told once.
fn is_of_names(damage: &Damage) -> bool {
    damage.structure == "section names"
}

fn section_flags(names: &elf::Names, flags: elf::SectionFlags) -> String {
    let mut text = Vec::new();
    let left = names.shf.names(flags, |_, name| {
        text.push(name.strip_prefix("SHF_").unwrap_or(name).to_owned());
    });
    if left != 0 {
        text.push(format!("{left:#x}"));
    }
    text.join(" ")
}
