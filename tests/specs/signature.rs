//! Signed: LLVM, which knows how to sign as a linker does, gives every page the hash that minild gave it.
//!
//! `llvm-objcopy` writes a Mach-O file anew and signs it again. Its copy has another header (the signature that it
//! makes is padded), so that page has another hash; all pages that it left as they were must have kept theirs.

use std::fs;
use std::process::Command;

use libtest_mimic::{Failed, Trial};
use minild::{Architecture, OperatingSystem};
use object::macho::MachHeader64;
use object::read::macho::{CodeSignature, LoadCommandVariant, MachHeader};
use object::{BigEndian, Endianness};

use crate::case::{Case, Variant, all};
use crate::{Checked, missing, needing};

const LE: Endianness = Endianness::Little;
const PAGE: usize = 0x1000;

pub(crate) fn trials() -> Vec<Trial> {
    // For Intel it moves segments to pages of 4 KiB, which leaves no page as it was.
    let is_wanted = |case: &Case| {
        let target = case.target;
        target.operating_system == OperatingSystem::MacOs
            && target.architecture == Architecture::Aarch64
            && matches!(case.variant, Variant::Default | Variant::OldMacOs)
    };
    let trial = |case: Case| {
        let name = case.test_name("llvm_signs_alike");
        let missing = missing("llvm-objcopy-19", "llvm-19");
        needing(missing, name, move || llvm_signs_alike(&case))
    };
    all().into_iter().filter(is_wanted).map(trial).collect()
}

fn llvm_signs_alike(case: &Case) -> Checked {
    case.link(|_, image| {
        let folder = tempfile::tempdir()?;
        let (ours, theirs) = (folder.path().join("ours"), folder.path().join("theirs"));
        fs::write(&ours, &image.bytes)?;
        let output = Command::new("llvm-objcopy-19").args([&ours, &theirs]).output()?;
        if !output.status.success() || !output.stderr.is_empty() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        let theirs = fs::read(&theirs)?;
        let (own_hashes, their_hashes) = (hashes(&image.bytes)?, hashes(&theirs)?);
        let pages = image.bytes.chunks(PAGE).zip(theirs.chunks(PAGE));
        let hashes = own_hashes.iter().zip(&their_hashes);
        let mut compared = 0;
        for (number, ((page, their_page), (hash, their_hash))) in pages.zip(hashes).enumerate() {
            // The last one that is signed is signed up to the signature only.
            if page == their_page && number + 1 < own_hashes.len() {
                if hash != their_hash {
                    return Err(format!("page {number}: {hash:02x?}, not {their_hash:02x?}").into());
                }
                compared += 1;
            }
        }
        if compared + 2 < own_hashes.len() {
            return Err(
                format!("only {compared} of {} pages were compared", own_hashes.len()).into()
            );
        }
        Ok(())
    })
}

/// The hash of each page, as the file has it.
fn hashes(file: &[u8]) -> Result<Vec<Vec<u8>>, Failed> {
    let header = MachHeader64::<Endianness>::parse(file, 0)?;
    let mut commands = header.load_commands(LE, file, 0)?;
    while let Some(command) = commands.next()? {
        let LoadCommandVariant::LinkeditData(data) = command.variant()? else { continue };
        if command.cmd() != object::macho::LC_CODE_SIGNATURE {
            continue;
        }
        let signature: CodeSignature<'_> = data.code_signature(LE, file)?;
        for blob in signature.blobs() {
            let Some(directory) = blob?.code_directory()? else { continue };
            let count = directory.header().n_code_slots.get(BigEndian);
            let hashes = (0..count).map(|index| directory.code_hash(index).map(<[u8]>::to_vec));
            return Ok(hashes.collect::<Result<_, _>>()?);
        }
    }
    Err("no code directory".into())
}
