//! Notes of a core: what the kernel keeps of a process that a signal ended (Linux's `fs/binfmt_elf.c`).

use object::Endianness;

use super::super::super::reader::{Name, bytes_at};
use super::super::model::{Record, Value};

/// Owner, type, its name in `elf.h`, what it holds.
const KINDS: [(&[u8], u32, &str, &str); 11] = [
    (b"CORE", 1, "NT_PRSTATUS", "a thread: its registers, the signal"),
    (b"CORE", 2, "NT_PRFPREG", "its floating-point registers"),
    (b"CORE", 3, "NT_PRPSINFO", "the process"),
    (b"CORE", 6, "NT_AUXV", "what the kernel told it when it started: the auxiliary vector"),
    (b"CORE", 0x4649_4c45, "NT_FILE", "which files were mapped where"),
    (b"CORE", 0x5349_4749, "NT_SIGINFO", "the signal that ended it"),
    (b"LINUX", 0x200, "NT_386_TLS", "thread-local segments"),
    (b"LINUX", 0x202, "NT_X86_XSTATE", "all registers of x86-64"),
    (b"LINUX", 0x401, "NT_ARM_TLS", "where its thread-locals lie"),
    (b"LINUX", 0x405, "NT_ARM_SVE", "its registers of SVE"),
    (b"LINUX", 0x406, "NT_ARM_PAC_MASK", "which bits of a pointer sign it"),
];

/// Says what a note of a core is and holds; whether it is a known one.
pub(super) fn describe<'data>(
    owner: &[u8],
    kind: u32,
    desc: &'data [u8],
    endian: Endianness,
    record: &mut Record<'data>,
) -> bool {
    let row = KINDS.iter().find(|(of, number, ..)| *of == owner && *number == kind);
    let Some((.., name, meaning)) = row else { return false };
    record.explained("type", Value::Text((*name).into()), *meaning);
    let word = |at: u64| number(bytes_at(desc, at, 4)?, endian);
    let text = |at: u64, length: u64| {
        let field = bytes_at(desc, at, length)?;
        let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
        Some(Value::Text(Name::new(&field[..end])))
    };
    match *name {
        "NT_SIGINFO" => {
            if let Some(signal) = word(0) {
                record.count("signal", signal);
            }
        }
        // `struct elf_prpsinfo` of 64 bits.
        "NT_PRPSINFO" => {
            if let (Some(process), Some(name), Some(line)) = (word(24), text(40, 16), text(56, 80))
            {
                record.count("process", process);
                record.field("name", name);
                record.field("command line", line);
            }
        }
        "NT_FILE" => files(desc, endian, record),
        _ => record.field("description", Value::Bytes(desc.into())),
    }
    true
}

/// A number of up to 8 bytes.
fn number(bytes: &[u8], endian: Endianness) -> Option<u64> {
    let mut wide = [0; 8];
    wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
    if endian == Endianness::Big {
        wide[..bytes.len()].reverse();
    }
    Some(u64::from_le_bytes(wide))
}

/// A count, the page size, for each mapping its start, its end and its place in pages; then the paths.
fn files<'data>(desc: &'data [u8], endian: Endianness, record: &mut Record<'data>) {
    let number = |at: u64| number(bytes_at(desc, at, 8)?, endian);
    let (Some(count), Some(page)) = (number(0), number(8)) else { return };
    let paths = count.checked_mul(24).and_then(|size| size.checked_add(16));
    let Some(paths) = paths.and_then(|start| desc.get(usize::try_from(start).ok()?..)) else {
        return;
    };
    for (index, path) in (0..count).zip(paths.split(|byte| *byte == 0)) {
        let at = 16 + index * 24;
        let (Some(start), Some(end), Some(place)) = (number(at), number(at + 8), number(at + 16))
        else {
            return;
        };
        let meaning = format!("from {:#x} on", place.wrapping_mul(page));
        record.explained(format!("{start:#x}-{end:#x}"), Value::Text(Name::new(path)), meaning);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_with_their_addresses() {
        let mut desc: Vec<u8> = [1_u64, 4096, 0x1000, 0x3000, 2].map(u64::to_le_bytes).concat();
        desc.extend(b"/bin/true\0");
        let mut record = Record::new("note", None);
        assert!(describe(b"CORE", 0x4649_4c45, &desc, Endianness::Little, &mut record));
        let file = &record.fields[1];
        assert_eq!((&*file.name, &*file.meaning), ("0x1000-0x3000", "from 0x2000 on"));
        assert_eq!(file.value, Value::Text(Name::new(b"/bin/true")));
        for length in 0..desc.len() {
            describe(b"CORE", 0x4649_4c45, &desc[..length], Endianness::Little, &mut record);
        }
        let mut many = desc.clone();
        many[..8].fill(0xff);
        let mut record = Record::new("note", None);
        describe(b"CORE", 0x4649_4c45, &many, Endianness::Little, &mut record);
        assert_eq!(record.fields.len(), 1, "the type alone");
    }
}
