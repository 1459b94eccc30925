//! Mach-O as an image: which part is read where.

mod commands;
mod exports;
mod fixups;
mod relocations;
mod sections;
mod signature;
mod symbols;
mod unwind;

use std::borrow::Cow;

use object::macho::{
    CPU_TYPE_ARM64, CPU_TYPE_X86_64, CpuType, MH_BUNDLE, MH_CORE, MH_DSYM, MH_DYLDLINK, MH_DYLIB,
    MH_DYLIB_STUB, MH_DYLINKER, MH_EXECUTE, MH_KEXT_BUNDLE, MH_MAGIC_64, MH_OBJECT, MH_PIE,
};

use super::super::reader::macho::{MachO, Slices};
use super::super::reader::{Damage, Name};
use super::model::{Found, Record, Value};
use super::words::{constant, flags};

/// Reads a Mach-O file of 64 bits, or a slice of a universal file.
///
/// # Errors
/// When it has no Mach-O header of 64 bits.
pub(super) fn read(data: &[u8]) -> Result<Found<'_>, Damage> {
    let image = MachO::open(data)?;
    let endian = image.endian;
    let kind = image.header.filetype.get(endian);
    let is_object = kind == MH_OBJECT;
    let mut found = Found {
        format: "Mach-O",
        damage: image.damage.clone(),
        kind: self::kind(&image),
        architecture: architecture(image.header.cputype.get(endian)),
        base: (!is_object && !image.segments.is_empty()).then(|| image.base()),
        ..Found::default()
    };
    found.headers.push(header(&image));
    commands::read(&image, &mut found);
    sections::read(&image, &mut found);
    symbols::read(&image, &mut found);
    fixups::read(&image, &mut found);
    exports::read(&image, &mut found);
    relocations::read(&image, &mut found);
    signature::read(&image, &mut found);
    unwind::read(&image, &mut found);
    Ok(found)
}

fn architecture(cpu: CpuType) -> Cow<'static, str> {
    match cpu {
        CPU_TYPE_X86_64 => "x86_64".into(),
        CPU_TYPE_ARM64 => "aarch64".into(),
        other => constant(other).into(),
    }
}

fn kind(image: &MachO<'_>) -> Cow<'static, str> {
    let flags = image.header.flags.get(image.endian);
    match image.header.filetype.get(image.endian) {
        MH_OBJECT => "object file".into(),
        MH_EXECUTE if !flags.contains(MH_DYLDLINK) => "static executable".into(),
        MH_EXECUTE if flags.contains(MH_PIE) => "position-independent executable".into(),
        MH_EXECUTE => "executable at a fixed address".into(),
        MH_DYLIB => "shared library".into(),
        MH_DYLIB_STUB => "stub of a shared library".into(),
        MH_BUNDLE => "bundle".into(),
        MH_DYLINKER => "dynamic linker".into(),
        MH_CORE => "core of a process".into(),
        MH_DSYM => "debug symbols".into(),
        MH_KEXT_BUNDLE => "kernel extension".into(),
        other => constant(other).into(),
    }
}

fn header<'data>(image: &MachO<'data>) -> Record<'data> {
    let (header, endian) = (image.header, image.endian);
    let mut record = Record::new("Mach-O header", 0);
    record.hex("magic", MH_MAGIC_64);
    let cpu = header.cputype.get(endian);
    record.explained("cputype", Value::Hex(cpu.0.into()), constant(cpu));
    record.hex("cpusubtype", header.cpusubtype.get(endian).0);
    let kind = header.filetype.get(endian);
    record.explained("filetype", Value::Count(kind.0.into()), constant(kind));
    record.count("ncmds", header.ncmds.get(endian));
    record.count("sizeofcmds", header.sizeofcmds.get(endian));
    let set = header.flags.get(endian);
    record.explained("flags", Value::Hex(set.0.into()), flags(set, "MH_"));
    record
}

/// The header of a universal file.
pub(super) fn universal_header<'data>(file: &Slices<'data>) -> Record<'data> {
    let mut record = Record::new("universal header", 0);
    record.hex("magic", file.magic);
    record.count("nfat_arch", file.slices.len() as u64);
    for slice in &file.slices {
        let meaning = format!("{:#x} bytes, aligned to 2^{}", slice.size, slice.align);
        let place = Value::Hex(slice.offset);
        record.explained(architecture(slice.cpu), place, meaning);
    }
    record
}

/// What binds call the libraries that have no number.
fn library<'data>(found: &Found<'data>, ordinal: i64) -> Option<Name<'data>> {
    match ordinal {
        0 => Some("this image".into()),
        -1 => Some("main executable".into()),
        // Searched for in all, or where all images agree on one: no library.
        ..0 => None,
        _ => {
            let index = usize::try_from(ordinal - 1).ok()?;
            let named = found.libraries.get(index).map(|library| library.name.clone());
            Some(named.unwrap_or_else(|| format!("library {ordinal}, which there is not").into()))
        }
    }
}
