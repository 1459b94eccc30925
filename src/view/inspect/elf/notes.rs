//! Notes: build identity, what the system and the loader have to know, what tools left.

use std::borrow::Cow;

use object::elf::{
    self, ET_CORE, NT_GNU_ABI_TAG, NT_GNU_BUILD_ID, NT_GNU_PROPERTY_TYPE_0, PT_NOTE, SHT_NOTE,
};
use object::read::elf::{FileHeader, Note, NoteIterator, ProgramHeader, SectionHeader};
use object::{Endianness, elf::FileHeader64};

use super::super::super::reader::elf::Elf;
use super::super::super::reader::{Budget, Damage, Name, bytes_at};
use super::super::model::{Field, Found, Identity, Record, Value};
use super::super::words::{constant, hex};

type Header = FileHeader64<Endianness>;

pub(super) fn read<'data>(elf: &Elf<'data>, found: &mut Found<'data>) {
    let endian = elf.endian;
    let of_sections = elf.sections.iter().filter(|section| section.sh_type(endian) == SHT_NOTE);
    let mut places: Vec<_> = of_sections
        .map(|section| {
            (section.sh_offset(endian), section.sh_size(endian), section.sh_addralign(endian))
        })
        .collect();
    // Who took the section headers off left the segments.
    if places.is_empty() {
        let of_segments = elf.segments.iter().filter(|segment| segment.p_type(endian) == PT_NOTE);
        places.extend(of_segments.map(|segment| {
            (segment.p_offset(endian), segment.p_filesz(endian), segment.p_align(endian))
        }));
    }
    // A note has twelve bytes at least.
    let mut budget = Budget::new("notes", elf.data.len(), 12);
    for (offset, size, align) in places {
        let result = read_place(elf, offset, size, align, &mut budget, found);
        if let Err(damage) = result {
            found.damage.push(Damage { offset: Some(offset), ..damage });
        }
    }
}

fn read_place<'data>(
    elf: &Elf<'data>,
    offset: u64,
    size: u64,
    align: u64,
    budget: &mut Budget,
    found: &mut Found<'data>,
) -> Result<(), Damage> {
    let wrong = |error: object::read::Error| Damage::new("notes", None, error);
    let bytes = bytes_at(elf.data, offset, size).ok_or_else(|| {
        Damage::new("notes", None, format!("{size:#x} bytes, of which not all are in the file"))
    })?;
    let notes = NoteIterator::<Header>::new(elf.endian, align, bytes).map_err(wrong)?;
    for note in notes {
        let note = note.map_err(wrong)?;
        budget.take(1)?;
        let desc = note.desc();
        // Both are parts of the same file.
        let inside = (desc.as_ptr() as usize).saturating_sub(bytes.as_ptr() as usize) as u64;
        let record = read_note(elf, &note, offset.saturating_add(inside), found);
        found.notes.push(record);
    }
    Ok(())
}

fn read_note<'data>(
    elf: &Elf<'data>,
    note: &Note<'data, Header>,
    offset: u64,
    found: &mut Found<'data>,
) -> Record<'data> {
    let (endian, desc, kind) = (elf.endian, note.desc(), note.n_type(elf.endian));
    let owner = note.name();
    let mut record = Record::new("note", offset);
    record.text("owner", owner);
    let words: Vec<u32> = desc.chunks_exact(4).take(16).map(|word| read_word(elf, word)).collect();
    if elf.header.e_type(endian) == ET_CORE
        && super::core::describe(owner, kind.0, desc, endian, &mut record)
    {
        return record;
    }
    if owner != b"GNU" {
        record.hex("type", kind.0);
        // Packagers write JSON, Go its build ID.
        let is_text = std::str::from_utf8(desc).is_ok_and(|text| !text.contains('\0'));
        let trimmed = desc.strip_suffix(b"\0").unwrap_or(desc);
        let is_string = is_text
            || std::str::from_utf8(trimmed)
                .is_ok_and(|text| !text.is_empty() && !text.contains(['\0', '\u{1}']));
        let value = if is_string && !desc.is_empty() {
            Value::Text(Name::new(trimmed))
        } else {
            Value::Bytes(desc.into())
        };
        record.field("description", value);
        return record;
    }
    match kind {
        NT_GNU_BUILD_ID => {
            record.text("type", "NT_GNU_BUILD_ID");
            record.explained(
                "build-id",
                Value::Bytes(desc.into()),
                "what tells this build from others",
            );
            found.identity.push(Identity { kind: "build-id", value: hex(desc).into() });
        }
        NT_GNU_ABI_TAG => {
            record.text("type", "NT_GNU_ABI_TAG");
            if let [system, major, minor, patch, ..] = words[..] {
                let system = match system {
                    0 => "Linux",
                    1 => "GNU/Hurd",
                    2 => "Solaris",
                    3 => "FreeBSD",
                    _ => "another system",
                };
                let least = format!("{system} {major}.{minor}.{patch}");
                record.explained(
                    "system",
                    Value::Text(least.clone().into()),
                    "the oldest that it runs on",
                );
                found.versions.push(Field {
                    name: "system".into(),
                    value: Value::Text(least.into()),
                    meaning: "the oldest that it runs on".into(),
                });
            } else {
                record.field("description", Value::Bytes(desc.into()));
            }
        }
        NT_GNU_PROPERTY_TYPE_0 => {
            record.text("type", "NT_GNU_PROPERTY_TYPE_0");
            properties(endian, note, &mut record);
        }
        _ => {
            record.explained("type", Value::Hex(kind.0.into()), gnu_type(kind));
            record.field("description", Value::Bytes(desc.into()));
        }
    }
    record
}

fn gnu_type(kind: elf::NoteType) -> &'static str {
    match kind.0 {
        2 => "NT_GNU_HWCAP",
        4 => "NT_GNU_GOLD_VERSION",
        0x100 => "annobin: opened",
        0x101 => "annobin: function",
        _ => "",
    }
}

fn read_word(elf: &Elf<'_>, word: &[u8]) -> u32 {
    let bytes = word.try_into().unwrap_or_default();
    match elf.endian {
        Endianness::Little => u32::from_le_bytes(bytes),
        Endianness::Big => u32::from_be_bytes(bytes),
    }
}

/// Bits of properties (the psABIs' "Program Property"; binutils' `include/elf/common.h`).
const X86_FEATURES: &[(u32, &str)] = &[(1, "IBT"), (2, "SHSTK"), (4, "LAM_U48"), (8, "LAM_U57")];
const X86_LEVELS: &[(u32, &str)] =
    &[(1, "x86-64-baseline"), (2, "x86-64-v2"), (4, "x86-64-v3"), (8, "x86-64-v4")];
const AARCH64_FEATURES: &[(u32, &str)] = &[(1, "BTI"), (2, "PAC"), (4, "GCS")];

/// A property: its type, its name, the names of its bits.
type PropertyRow = (u32, &'static str, &'static [(u32, &'static str)]);

const PROPERTIES: &[PropertyRow] = &[
    (1, "GNU_PROPERTY_STACK_SIZE", &[]),
    (2, "GNU_PROPERTY_NO_COPY_ON_PROTECTED", &[]),
    (0xb000_8000, "GNU_PROPERTY_1_NEEDED", &[(1, "INDIRECT_EXTERN_ACCESS")]),
    (0xc000_0000, "GNU_PROPERTY_AARCH64_FEATURE_1_AND", AARCH64_FEATURES),
    (0xc000_0002, "GNU_PROPERTY_X86_FEATURE_1_AND", X86_FEATURES),
    (0xc000_8000, "GNU_PROPERTY_X86_COMPAT_ISA_1_NEEDED", &[]),
    (0xc000_8002, "GNU_PROPERTY_X86_ISA_1_NEEDED", X86_LEVELS),
    (0xc001_0001, "GNU_PROPERTY_X86_FEATURE_2_USED", &[]),
    (0xc001_0002, "GNU_PROPERTY_X86_ISA_1_USED", X86_LEVELS),
];

fn properties<'data>(endian: Endianness, note: &Note<'data, Header>, record: &mut Record<'data>) {
    let Some(mut properties) = note.gnu_properties(endian) else { return };
    while let Ok(Some(property)) = properties.next() {
        let kind = property.pr_type();
        let row = PROPERTIES.iter().find(|(number, ..)| *number == kind.0);
        let (name, bits_of) = row.map_or_else(
            || (Cow::Owned(constant(kind)), &[][..]),
            |(_, name, bits)| (Cow::Borrowed(*name), *bits),
        );
        match property.data_u32(endian) {
            Ok(bits) => {
                let set = bits_of.iter().filter(|(bit, _)| bits & bit != 0);
                let set: Vec<_> = set.map(|(_, name)| *name).collect();
                record.explained(name, Value::Hex(bits.into()), set.join(" "));
            }
            Err(_) => record.field(name, Value::Bytes(property.pr_data().into())),
        }
    }
}
