//! The code signature, and whether the pages are what was signed.

use object::BigEndian;

use super::super::super::reader::macho::{MachO, PageHash, SignatureBlobs};
use super::super::model::{Found, Identity, Record, Value};
use super::super::words::{constant, flags, hex};
use sha2::{Digest, Sha256};

pub(super) fn read<'data>(image: &MachO<'data>, found: &mut Found<'data>) {
    let Some(signature) = found.or_damage(SignatureBlobs::of(image)).flatten() else { return };
    found.damage.extend(signature.damage.clone());
    let mut record = Record::new("code signature", signature.offset);
    record.explained(
        "length",
        Value::Hex(signature.signature.header().length.get(BigEndian).into()),
        format!("in a place of {:#x} bytes", signature.size),
    );
    for blob in &signature.blobs {
        let magic = blob.blob.magic();
        let meaning = format!(
            "{} at {:#x}, {:#x} bytes",
            magic_name(magic),
            blob.blob.offset(),
            blob.blob.data().len()
        );
        record.explained("blob", Value::Text(constant(blob.blob.slot()).into()), meaning);
    }
    found.signature.push(record);
    for (blob, directory, view) in signature.directories(image) {
        let header = directory.header();
        let mut record =
            Record::new("code directory", signature.offset.saturating_add(blob.offset().into()));
        record.hex("version", directory.version().0);
        let set = header.flags.get(BigEndian);
        record.explained("flags", Value::Hex(set.0.into()), flags(set, "CS_"));
        if let Some(identifier) = found.or_damage(view.identifier) {
            record.text("identifier", identifier);
        }
        if let Some(team) = view.team {
            record.text("team", team);
        }
        record.explained(
            "hash",
            Value::Text(constant(header.hash_type).into()),
            format!("{} bytes each", header.hash_size),
        );
        record.hex("code limit", directory.code_limit());
        record.count("special slots", header.n_special_slots.get(BigEndian));
        let slots = header.n_code_slots.get(BigEndian);
        let meaning = match &view.pages {
            Ok(pages) if pages.is_empty() && slots > 0 => {
                "not checked here: another kind of hash".to_owned()
            }
            Ok(pages) => {
                let wrong: Vec<_> = pages
                    .iter()
                    .enumerate()
                    .filter(|(_, page)| **page == PageHash::Wrong)
                    .map(|(index, _)| index)
                    .collect();
                match wrong[..] {
                    [] => "every page is what was signed".to_owned(),
                    [first, ..] => match wrong.len() {
                        1 => format!("page {first} is not what was signed"),
                        count => {
                            format!("{count} pages are not what was signed, page {first} first")
                        }
                    },
                }
            }
            Err(damage) => damage.message.clone(),
        };
        record.explained("code slots", Value::Count(slots.into()), meaning);
        found.or_damage(view.pages);
        if let Some(segment) = directory.exec_seg() {
            record.hex("executable segment base", segment.exec_seg_base.get(BigEndian));
            record.hex("executable segment limit", segment.exec_seg_limit.get(BigEndian));
            let set = segment.exec_seg_flags.get(BigEndian);
            record.explained(
                "executable segment flags",
                Value::Hex(set.0),
                flags(set, "CS_EXECSEG_"),
            );
        }
        // The system knows a program by the first 20 bytes of its code directory's hash.
        let hash = hex(&Sha256::digest(blob.data())[..20]);
        record.explained(
            "cdhash",
            Value::Text(hash.clone().into()),
            "by which the system knows the program",
        );
        found.identity.push(Identity { kind: "cdhash", value: hash.into() });
        found.signature.push(record);
    }
}

/// xnu's `osfmk/kern/cs_blobs.h`.
const fn magic_name(magic: u32) -> &'static str {
    match magic {
        0xfade_0c00 => "requirement",
        0xfade_0c01 => "requirements",
        0xfade_0c02 => "code directory",
        0xfade_0cc0 => "signature",
        0xfade_7171 => "entitlements",
        0xfade_7172 => "entitlements as DER",
        0xfade_0b01 => "CMS signature",
        0xfade_8181 => "launch constraints",
        _ => "unknown blob",
    }
}
