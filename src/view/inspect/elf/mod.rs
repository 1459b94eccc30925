//! ELF64 as an image: which part is read where.

mod core;
mod headers;
mod notes;
mod relocations;
mod sections;
mod symbols;
mod unwind;

use std::borrow::Cow;

use object::elf::{
    DF_1_PIE, DT_FLAGS_1, DT_SONAME, EM_AARCH64, EM_X86_64, ET_CORE, ET_DYN, ET_EXEC, ET_REL,
    PT_INTERP,
};
use object::read::elf::{FileHeader, ProgramHeader};

use super::super::reader::elf::{Dynamic, Elf};
use super::super::reader::{Damage, Name, bytes_until};
use super::model::Found;
use super::words::constant;

/// Reads an ELF64 file.
///
/// # Errors
/// When it has no ELF64 header.
pub(super) fn read(data: &[u8]) -> Result<Found<'_>, Damage> {
    let elf = Elf::open(data)?;
    let endian = elf.endian;
    let mut found = Found { format: "ELF64", damage: elf.damage.clone(), ..Found::default() };
    let dynamic = found.or_damage(Dynamic::of(&elf)).flatten().unwrap_or_default();
    found.interpreter = interpreter(&elf);
    found.kind = kind(&elf, &dynamic, found.interpreter.is_some());
    found.architecture = match elf.header.e_machine(endian) {
        EM_X86_64 => "x86_64".into(),
        EM_AARCH64 => "aarch64".into(),
        other => constant(other).into(),
    };
    let is_object = elf.header.e_type(endian) == ET_REL;
    found.entry = Some(elf.header.e_entry(endian)).filter(|entry| *entry != 0);
    let lowest = elf.loads().map(|segment| segment.p_vaddr(endian)).min();
    found.base = lowest.filter(|_| !is_object);

    headers::read(&elf, &dynamic, &mut found);
    sections::read(&elf, &mut found);
    symbols::read(&elf, &dynamic, &mut found);
    relocations::read(&elf, &dynamic, &mut found);
    notes::read(&elf, &mut found);
    unwind::read(&elf, &mut found);
    Ok(found)
}

/// The path of what loads the program.
fn interpreter<'data>(elf: &Elf<'data>) -> Option<Name<'data>> {
    let endian = elf.endian;
    let segment = elf.segments.iter().find(|segment| segment.p_type(endian) == PT_INTERP)?;
    let bytes = bytes_until(elf.data, segment.p_offset(endian), segment.p_filesz(endian));
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    Some(Name::new(&bytes[..end]))
}

/// Position-independent programs and libraries have one type; flags and the loader's name tell them apart.
fn kind(elf: &Elf<'_>, dynamic: &Dynamic<'_>, is_loaded: bool) -> Cow<'static, str> {
    let flags = dynamic.value(elf, DT_FLAGS_1).unwrap_or_default();
    let has_name = dynamic.value(elf, DT_SONAME).is_some();
    let is_pie = flags & DF_1_PIE.0 != 0 || (is_loaded && !has_name);
    match elf.header.e_type(elf.endian) {
        ET_REL => "object file".into(),
        ET_EXEC => "executable at a fixed address".into(),
        ET_DYN if is_pie => "position-independent executable".into(),
        // Static PIE without a dynamic table, as minild writes it.
        ET_DYN if dynamic.entries.is_empty() => "position-independent executable".into(),
        ET_DYN => "shared library".into(),
        ET_CORE => "core of a process".into(),
        other => constant(other).into(),
    }
}
