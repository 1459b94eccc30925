//! The code signature: what xnu checks when the file is loaded, and page by page when it runs.

use object::BigEndian as BE;
use object::{U32, U64, macho};
use sha2::{Digest, Sha256};

use super::{EXECUTE, HEADER_SIZE, LinkeditData, MachO};
use crate::target::Architecture::{Aarch64, X86_64};
use crate::view::lint::bytes::{Bytes, field, text, up};
use crate::view::lint::report::{Place, Report};
use crate::view::lint::rule::Loader::{Tools, Xnu};
use crate::view::lint::rule::{Check, Rule, error, warning};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "macho/signature-missing",
        demand: "code for arm64 is signed, if only ad hoc",
        by: &[error(Xnu).on(Aarch64)],
        symptom: "`Killed: 9`; crash log: `CODESIGNING, Invalid Page`",
        cure: "sign it (`codesign -s -`), or let the linker write an ad hoc signature",
        source: "macOS 11.0 release notes; xnu bsd/kern/ubc_subr.c; AppleMobileFileIntegrity",
        check: Check::MachO(missing),
    },
    Rule {
        name: "macho/signature-place",
        demand: "the signature is the last thing in the file",
        by: &[warning(Tools)],
        symptom: "it runs; `codesign` cannot sign it again: `main executable failed strict validation`",
        cure: "write the signature last, at the end of __LINKEDIT",
        source: "Apple Security framework, OSX/libsecurity_codesigning/lib/machorep.cpp, strictValidate",
        check: Check::MachO(place),
    },
    Rule {
        name: "macho/signature-blob",
        demand: "the signature is a super blob (0xfade0cc0) with its blobs inside it, one of them a CodeDirectory",
        by: &[error(Xnu).on(Aarch64), warning(Xnu).on(X86_64)],
        symptom: "`Killed: 9`; x86-64 starts it as a program without a signature",
        cure: "sign it again",
        source: "xnu bsd/kern/ubc_subr.c, cs_validate_csblob; bsd/kern/mach_loader.c, parse_machfile (cs_process_global_enforcement)",
        check: Check::MachO(blob),
    },
    Rule {
        name: "macho/signature-directory",
        demand: "the CodeDirectory has a known version, and its parts lie inside it",
        by: &[error(Xnu).on(Aarch64), warning(Xnu).on(X86_64)],
        symptom: "`Killed: 9`; x86-64 starts it as a program without a signature",
        cure: "sign it again",
        source: "xnu bsd/kern/ubc_subr.c, cs_validate_codedirectory; bsd/kern/mach_loader.c, parse_machfile (cs_process_global_enforcement)",
        check: Check::MachO(directory),
    },
    Rule {
        name: "macho/signature-hash-type",
        demand: "the CodeDirectory's hashes are of a known type and of its size",
        by: &[error(Xnu).on(Aarch64), warning(Xnu).on(X86_64)],
        symptom: "`Killed: 9`; x86-64 starts it as a program without a signature",
        cure: "take SHA-256: hashType 2, hashSize 32",
        source: "xnu bsd/kern/ubc_subr.c, cs_validate_codedirectory, cs_find_md; bsd/kern/mach_loader.c, parse_machfile (cs_process_global_enforcement)",
        check: Check::MachO(hash_type),
    },
    Rule {
        name: "macho/signature-page-size",
        demand: "the CodeDirectory counts in pages of 4 KiB, on arm64 also of 16 KiB",
        by: &[error(Xnu).on(Aarch64), warning(Xnu).on(X86_64)],
        symptom: "`Killed: 9`; x86-64 starts it as a program without a signature",
        cure: "set pageSize to 12",
        source: "xnu bsd/kern/ubc_subr.c, cs_validate_codedirectory; bsd/kern/mach_loader.c, parse_machfile (cs_process_global_enforcement)",
        check: Check::MachO(page_size),
    },
    Rule {
        name: "macho/signature-identifier",
        demand: "the identifier ends with a NUL inside the CodeDirectory",
        by: &[error(Xnu).on(Aarch64), warning(Xnu).on(X86_64)],
        symptom: "`Killed: 9`; x86-64 starts it as a program without a signature",
        cure: "correct identOffset",
        source: "xnu bsd/kern/ubc_subr.c, cs_validate_codedirectory; bsd/kern/mach_loader.c, parse_machfile (cs_process_global_enforcement)",
        check: Check::MachO(identifier),
    },
    Rule {
        name: "macho/signature-coverage",
        demand: "the CodeDirectory has a hash for each page of executable code",
        by: &[error(Xnu).on(Aarch64), warning(Xnu).on(X86_64)],
        symptom: "`Killed: 9` when the first page without a hash is reached; x86-64 starts it as a program without a signature",
        cure: "let codeLimit be the signature's own offset, and write a hash for each page before it",
        source: "xnu bsd/kern/ubc_subr.c, cs_validate_hash; osfmk/vm/vm_fault.c, vm_fault_cs_check_violation; bsd/kern/mach_loader.c, parse_machfile (cs_process_global_enforcement)",
        check: Check::MachO(coverage),
    },
    Rule {
        name: "macho/signature-hash",
        demand: "each page has the hash that the CodeDirectory says",
        by: &[error(Xnu).on(Aarch64), warning(Xnu).on(X86_64)],
        symptom: "`Killed: 9`, when the page is first used; crash log: `CODESIGNING, Invalid Page`; x86-64 starts it as a program without a signature",
        cure: "sign it again after the last change of its bytes",
        source: "xnu bsd/kern/ubc_subr.c, cs_validate_hash; bsd/kern/mach_loader.c, parse_machfile; bsd/kern/mach_loader.c, parse_machfile (cs_process_global_enforcement)",
        check: Check::MachO(hashes),
    },
];

type SuperBlob = macho::CsSuperBlob;
type Index = macho::CsBlobIndex;
type Directory = macho::CsCodeDirectoryV0;

fn missing(macho: &MachO<'_>, report: &mut Report<'_>) {
    if macho.first(macho::LC_CODE_SIGNATURE).is_none() {
        report.add(Place::new(HEADER_SIZE, 0, "load commands"), "there is no LC_CODE_SIGNATURE");
    }
}

fn place(macho: &MachO<'_>, report: &mut Report<'_>) {
    let Some((command, offset, bytes)) = macho.linkedit(macho::LC_CODE_SIGNATURE) else { return };
    let end = offset + bytes.len();
    if end != macho.data.len() {
        let message =
            format!("the signature ends at {end:#x}, the file at {:#x}", macho.data.len());
        report.add(command.place(field!(LinkeditData, dataoff)), message);
    }
}

/// Slots that hold a `CodeDirectory`: the first, and others of other hashes.
fn is_directory_slot(slot: u32) -> bool {
    slot == 0 || (0x1000..0x1005).contains(&slot)
}

/// The code directories: where each lies in the file, and its bytes; or what is wrong with what leads there.
fn directories<'d>(macho: &MachO<'d>) -> Result<Vec<(u64, Bytes<'d>)>, (u64, String)> {
    let Some((_, start, bytes)) = macho.linkedit(macho::LC_CODE_SIGNATURE) else {
        return Ok(Vec::new());
    };
    let short = || (start, format!("it has {} bytes", bytes.len()));
    let header = bytes.read::<SuperBlob>(0).ok_or_else(short)?;
    if header.magic.get(BE) != macho::CSMAGIC_EMBEDDED_SIGNATURE {
        return Err((start, format!("its magic is {:#x}", header.magic.get(BE))));
    }
    let length = u64::from(header.length.get(BE));
    let blobs = Bytes(bytes.slice(0, length).ok_or_else(|| {
        (start, format!("it says that it has {length} bytes, {} are there", bytes.len()))
    })?);
    let mut found = Vec::new();
    // A file of many millions of blobs is not signed better.
    for index in 0..u64::from(header.count.get(BE)).min(64) {
        let at = size_of::<SuperBlob>() as u64 + index * size_of::<Index>() as u64;
        let entry = blobs.read::<Index>(at);
        let entry = entry.ok_or_else(|| (start, format!("it has no place for blob {index}")))?;
        let offset = u64::from(entry.offset.get(BE));
        let blob = blobs.read::<macho::CsGenericBlob>(offset);
        let size = blob.map(|blob| u64::from(blob.length.get(BE)));
        let Some(blob) = size.and_then(|size| blobs.slice(offset, size)) else {
            return Err((start + at, format!("blob {index} at {offset:#x} ends outside it")));
        };
        if is_directory_slot(entry.slot.get(BE).0) {
            found.push((start + offset, Bytes(blob)));
        }
    }
    if found.is_empty() {
        return Err((start, "none of its blobs is a CodeDirectory".to_owned()));
    }
    Ok(found)
}

fn blob(macho: &MachO<'_>, report: &mut Report<'_>) {
    if let Err((at, message)) = directories(macho) {
        report.add(Place::new(at, 12, "code signature"), message);
    }
}

/// What is wrong with a code directory, if anything.
fn directory_fault(bytes: Bytes<'_>) -> Result<Directory, String> {
    let directory = bytes.read::<Directory>(0).ok_or("it ends outside itself")?;
    let magic = directory.magic.get(BE);
    let version = directory.version.get(BE).0;
    let [hashes, specials, slots] =
        [directory.hash_offset, directory.n_special_slots, directory.n_code_slots]
            .map(|number| u64::from(number.get(BE)));
    let width = u64::from(directory.hash_size);
    if magic != macho::CSMAGIC_CODEDIRECTORY {
        Err(format!("its magic is {magic:#x}"))
    } else if !(0x20001..=0x2f000).contains(&version) {
        Err(format!("its version is {version:#x}"))
    } else if specials * width > hashes || hashes + slots * width > bytes.len() {
        Err(format!(
            "{specials} and {slots} hashes of {width} bytes at {hashes:#x}, it has {:#x} bytes",
            bytes.len()
        ))
    } else if let Some(team) = team(&directory, bytes)
        && bytes.c_string(team).is_none()
    {
        Err(format!("its team is at {team:#x}, it has {:#x} bytes", bytes.len()))
    } else {
        Ok(directory)
    }
}

/// Where the team's name lies, in versions that have one (xnu `cs_blobs.h`, `CS_SUPPORTSTEAMID`).
fn team(directory: &Directory, bytes: Bytes<'_>) -> Option<u64> {
    let has_team = directory.version.get(BE).0 >= 0x20200;
    let team = bytes.read::<U32<object::BigEndian>>(48).filter(|_| has_team)?.get(BE);
    (team != 0).then_some(team.into())
}

/// How many bytes are covered: newer versions have a field of 64 bits, which counts where it is not 0
/// (xnu `cs_blobs.h`, `CS_SUPPORTSCODELIMIT64`).
fn code_limit(directory: &Directory, bytes: Bytes<'_>) -> u64 {
    let has_limit = directory.version.get(BE).0 >= 0x20300;
    let limit =
        bytes.read::<U64<object::BigEndian>>(56).filter(|_| has_limit).map(|limit| limit.get(BE));
    limit.filter(|limit| *limit != 0).unwrap_or(directory.code_limit.get(BE).into())
}

fn directory(macho: &MachO<'_>, report: &mut Report<'_>) {
    for (at, bytes) in directories(macho).unwrap_or_default() {
        if let Err(message) = directory_fault(bytes) {
            report.add(Place::new(at, bytes.len().min(44), "CodeDirectory"), message);
        }
    }
}

/// Code directories that can be believed.
fn right<'d>(macho: &MachO<'d>) -> Vec<(u64, Bytes<'d>, Directory)> {
    let all = directories(macho).unwrap_or_default();
    let right =
        all.into_iter().filter_map(|(at, bytes)| Some((at, bytes, directory_fault(bytes).ok()?)));
    right.collect()
}

fn hash_type(macho: &MachO<'_>, report: &mut Report<'_>) {
    /// Types that xnu knows, and their sizes: SHA-1, SHA-256, the same cut off, SHA-384.
    const TYPES: [(u8, u8); 4] = [(1, 20), (2, 32), (3, 20), (4, 48)];
    for (at, _, directory) in right(macho) {
        let found = (directory.hash_type.0, directory.hash_size);
        if !TYPES.contains(&found) {
            let field = field!(Directory, hash_size);
            let place = Place::new(at + field.offset, 2, "CodeDirectory, hashSize and hashType");
            report.add(place, format!("hashes of type {} have {} bytes", found.0, found.1));
        }
    }
}

fn is_page_size(macho: &MachO<'_>, size: u8) -> bool {
    size == 12 || macho.architecture == Aarch64 && size == 14
}

fn page_size(macho: &MachO<'_>, report: &mut Report<'_>) {
    for (at, _, directory) in right(macho) {
        if !is_page_size(macho, directory.page_size) {
            let field = field!(Directory, page_size);
            let place = Place::new(at + field.offset, 1, "CodeDirectory, pageSize");
            report.add(place, format!("pageSize is {}", directory.page_size));
        }
    }
}

fn identifier(macho: &MachO<'_>, report: &mut Report<'_>) {
    for (at, bytes, directory) in right(macho) {
        let offset = u64::from(directory.ident_offset.get(BE));
        let is_right = match bytes.c_string(offset) {
            Some(name) => !name.is_empty() && offset >= size_of::<Directory>() as u64,
            None => false,
        };
        if !is_right {
            let field = field!(Directory, ident_offset);
            let place = Place::new(at + field.offset, field.size, "CodeDirectory, identOffset");
            let found = bytes.from(offset).0;
            let found = text(&found[..found.len().min(16)]);
            report.add(place, format!("identOffset is {offset:#x}, where `{found}` is"));
        }
    }
}

fn coverage(macho: &MachO<'_>, report: &mut Report<'_>) {
    for (at, bytes, directory) in right(macho) {
        if !is_page_size(macho, directory.page_size) {
            continue;
        }
        let page = 1 << directory.page_size;
        let limit = code_limit(&directory, bytes);
        let slots = u64::from(directory.n_code_slots.get(BE));
        let field = field!(Directory, code_limit);
        let place = || Place::new(at + field.offset, field.size, "CodeDirectory, codeLimit");
        if slots != limit.div_ceil(page) {
            report.add(place(), format!("{slots} hashes for {limit:#x} bytes"));
            continue;
        }
        // The last page is executable only if it is whole.
        let covered = limit / page * page;
        for segment in macho.segments.iter().filter(|one| one.initial & EXECUTE != 0) {
            if up(segment.file_end(), page) > covered && segment.file_size > 0 {
                let message = format!(
                    "codeLimit is {limit:#x}, {} ends at {:#x}",
                    segment.name,
                    segment.file_end()
                );
                report.add(place(), message);
            }
        }
    }
}

fn hashes(macho: &MachO<'_>, report: &mut Report<'_>) {
    for (at, bytes, directory) in right(macho) {
        let width = usize::from(directory.hash_size);
        // Others are checked by whoever knows them; every file of today has this one.
        let is_sha256 = [2, 3].contains(&directory.hash_type.0) && width <= 32;
        if !is_sha256 || !is_page_size(macho, directory.page_size) {
            continue;
        }
        let page = 1_u64 << directory.page_size;
        let limit = code_limit(&directory, bytes);
        if u64::from(directory.n_code_slots.get(BE)) != limit.div_ceil(page) {
            continue; // told: it is not known which hash is of which page
        }
        let limit = limit.min(macho.data.len());
        let first = u64::from(directory.hash_offset.get(BE));
        for index in 0..u64::from(directory.n_code_slots.get(BE)) {
            let start = index * page;
            let Some(size) = limit.checked_sub(start).map(|left| left.min(page)) else { break };
            let offset = first + index * width as u64;
            let (Some(contents), Some(said)) =
                (macho.data.slice(start, size), bytes.slice(offset, width as u64))
            else {
                break;
            };
            if Sha256::digest(contents)[..width] != *said {
                let place = Place::new(start, size, format!("page {index}"));
                let message = format!("page {index} has not the hash at {:#x}", at + offset);
                report.add(place, message);
            }
        }
    }
}
