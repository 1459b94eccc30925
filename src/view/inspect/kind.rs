//! What a file seems to be, by its first bytes.

use object::LittleEndian as LE;
use object::pe::{ImageDosHeader, ImageFileHeader, Machine};
use object::pod::from_bytes;

use super::super::reader::macho::Slices;

/// What a file seems to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// ELF of 64 bits: executable, library, object file, core.
    Elf64,
    /// Mach-O of 64 bits: executable, library, object file.
    MachO64,
    /// Several Mach-O files in one.
    Universal,
    /// PE of 64 bits: executable, library, UEFI image.
    Pe32Plus,
    /// An object file for Windows.
    Coff,
    /// Something else, with an article: `an archive`.
    Other(String),
}

/// First bytes, and what starts so.
const MAGICS: &[(&[u8], &str)] = &[
    (b"", "an empty file"),
    (b"!<arch>\n", "an archive of object files"),
    (b"!<thin>\n", "a thin archive of object files"),
    (b"#!", "a script"),
    (b"BC\xc0\xde", "LLVM bitcode"),
    (b"\0asm", "a WebAssembly module"),
    (b"\xca\xfe\xba\xbe", "a Java class"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip file"),
    (b"\xfd7zXZ\0", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    (b"BZh", "a bzip2 file"),
    (b"Microsoft C/C++ MSF 7.00", "a PDB"),
    (b"dyld_v1", "a dyld shared cache"),
    (b"--- !tapi-tbd", "a text-based library stub"),
    (b"\xfe\xed\xfa\xce", "a Mach-O file of 32 bits"),
    (b"\xce\xfa\xed\xfe", "a Mach-O file of 32 bits"),
    (b"VZ", "a terse executable (TE) of UEFI"),
];

/// What a file seems to be.
#[must_use]
pub fn file_kind(data: &[u8]) -> FileKind {
    let other = |what: &str| FileKind::Other(what.to_owned());
    if data.starts_with(b"\x7fELF") {
        return match data.get(4) {
            Some(2) => FileKind::Elf64,
            Some(1) => other("an ELF file of 32 bits"),
            None => other("an ELF file that is cut off"),
            _ => other("an ELF file of no known class"),
        };
    }
    if [b"\xcf\xfa\xed\xfe", b"\xfe\xed\xfa\xcf"].iter().any(|magic| data.starts_with(*magic)) {
        return FileKind::MachO64;
    }
    if Slices::is_universal(data) {
        return FileKind::Universal;
    }
    if data.starts_with(b"MZ") {
        return dos_kind(data);
    }
    let known = |(magic, _): &&(&[u8], &str)| {
        if magic.is_empty() { data.is_empty() } else { data.starts_with(magic) }
    };
    if let Some((_, what)) = MAGICS.iter().find(known) {
        return other(what);
    }
    if is_coff(data) {
        return FileKind::Coff;
    }
    if std::str::from_utf8(&data[..data.len().min(512)]).is_ok_and(|text| !text.contains('\0')) {
        return other("a text");
    }
    other("a file of unknown kind")
}

/// What lies behind a DOS header.
fn dos_kind(data: &[u8]) -> FileKind {
    let other = |what: &str| FileKind::Other(what.to_owned());
    let Ok((dos, _)) = from_bytes::<ImageDosHeader>(data) else {
        return other("a DOS program that is cut off");
    };
    let at = dos.e_lfanew.get(LE) as usize;
    let word = |at: usize| {
        let bytes = data.get(at..at.checked_add(2)?)?;
        Some(u16::from_le_bytes([bytes[0], bytes[1]]))
    };
    match data.get(at..).unwrap_or_default() {
        rest if rest.starts_with(b"PE\0\0") => match word(at.saturating_add(24)) {
            Some(0x20b) => FileKind::Pe32Plus,
            Some(0x10b) => other("a PE file of 32 bits (PE32)"),
            Some(_) => other("a PE file of no known kind"),
            None => other("a PE file that is cut off"),
        },
        rest if rest.starts_with(b"NE") => other("a program for Windows of 16 bits"),
        rest if rest.starts_with(b"LE") || rest.starts_with(b"LX") => other("a program for OS/2"),
        _ => other("a DOS program"),
    }
}

/// Object files have no magic number: their first word is the machine. What follows has to fit.
fn is_coff(data: &[u8]) -> bool {
    let Ok((header, _)) = from_bytes::<ImageFileHeader>(data) else { return false };
    let machine = header.machine.get(LE);
    let sections = usize::from(header.number_of_sections.get(LE));
    let is_known =
        machine != Machine(0) && format!("{machine:?}").starts_with("IMAGE_FILE_MACHINE");
    let fits = |start: u32| (start as usize) <= data.len();
    is_known
        && header.size_of_optional_header.get(LE) == 0
        && size_of::<ImageFileHeader>() + sections * 40 <= data.len()
        && fits(header.pointer_to_symbol_table.get(LE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_executable_is_called_what_it_is() {
        for (data, what) in [
            (&b""[..], "an empty file"),
            (b"!<arch>\n", "an archive of object files"),
            (b"#!/bin/sh\n", "a script"),
            (b"\xca\xfe\xba\xbe\0\0\0\x34", "a Java class"),
            (b"\x7fELF\x01", "an ELF file of 32 bits"),
            (b"\x7fELF", "an ELF file that is cut off"),
            (b"MZ", "a DOS program that is cut off"),
            (b"Dear reader", "a text"),
            (b"\x80\x81\x82", "a file of unknown kind"),
        ] {
            assert_eq!(file_kind(data), FileKind::Other(what.to_owned()));
        }
        assert_eq!(file_kind(b"\xca\xfe\xba\xbe\0\0\0\x02"), FileKind::Universal);
    }
}
