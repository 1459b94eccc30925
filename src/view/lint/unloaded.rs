//! Files that no loader loads, called what they are: object files, core dumps, debug information. None has rules.

use object::LittleEndian as LE;
use object::{elf, macho};

use super::bytes::{Bytes, field};
use crate::view::inspect::{FileKind, file_kind};

/// What a file is, with an article, and why no loader loads it; `None` where one may.
pub(super) fn what_it_is(bytes: Bytes<'_>) -> Option<String> {
    let what = match file_kind(bytes.0) {
        FileKind::Elf64 => of_elf(bytes)?,
        FileKind::MachO64 => of_macho(bytes)?,
        FileKind::Coff => "an object file for Windows (COFF)",
        FileKind::Universal | FileKind::Pe32Plus => return None,
        // What has the first bytes of an executable has a rule that says what is wrong behind them.
        FileKind::Other(_)
            if [&b"\x7fELF"[..], b"MZ"].iter().any(|magic| bytes.0.starts_with(magic)) =>
        {
            return None;
        }
        FileKind::Other(what) => return Some(what),
    };
    Some(format!("{what}, which no loader loads"))
}

fn of_elf(bytes: Bytes<'_>) -> Option<&'static str> {
    let header: elf::FileHeader64<LE> = bytes.read(0)?;
    match header.e_type.get(LE) {
        elf::ET_REL => Some("an object file, not linked yet"),
        elf::ET_CORE => Some("a core dump, the memory of a program that crashed"),
        _ if has_only_names_of_code(bytes, &header) => {
            Some("the debug information of a program that lies elsewhere")
        }
        _ => None,
    }
}

/// Whether the section of code has no bytes, as `objcopy --only-keep-debug` leaves it.
fn has_only_names_of_code(bytes: Bytes<'_>, header: &elf::FileHeader64<LE>) -> bool {
    let size = size_of::<elf::SectionHeader64<LE>>() as u64;
    (0..u64::from(header.e_shnum.get(LE)))
        .map_while(|index| {
            let at = header.e_shoff.get(LE).checked_add(index * size)?;
            bytes.read::<elf::SectionHeader64<LE>>(at)
        })
        .filter(|section| section.sh_flags.get(LE).0 & elf::SHF_EXECINSTR.0 != 0)
        .any(|section| section.sh_type.get(LE) == elf::SHT_NOBITS && section.sh_size.get(LE) > 0)
}

fn of_macho(bytes: Bytes<'_>) -> Option<&'static str> {
    let kind = bytes.u32(field!(macho::MachHeader64<LE>, filetype).offset)?;
    match macho::FileType(kind) {
        macho::MH_OBJECT => Some("an object file, not linked yet"),
        macho::MH_CORE => Some("a core dump, the memory of a program that crashed"),
        macho::MH_DSYM => Some("the debug information of a program that lies elsewhere"),
        _ => None,
    }
}
