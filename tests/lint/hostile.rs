//! Files that mean harm: truncated, with bits turned over, with counts that cannot be. Findings, an error, never a panic.

use minild::view::lint::{self, Lint};

use crate::bases;
use crate::edit::File;
use crate::memory;

const FILES: &[(&str, &str)] = &[
    ("linked", "x86_64-linux"),
    ("linked", "x86_64-windows"),
    ("library", "aarch64-windows"),
    ("plain", "x86_64-uefi"),
    ("linked", "aarch64-macos"),
    ("opcodes", "x86_64-macos"),
    ("fixed", "x86_64-macos"),
    ("universal", ""),
];

/// Pseudo-random numbers that are the same on every machine (Marsaglia, Xorshift RNGs).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).expect("below a usize")
    }
}

/// Looks at a file, whatever it is: no panic, and no more memory than a small multiple of the file.
fn look(bytes: &[u8], what: &dyn std::fmt::Debug) -> Option<Lint> {
    let (lint, most) = memory::most(|| lint::lint(bytes));
    let limit = bytes.len() * 16 + (1 << 20);
    assert!(most <= limit, "{what:?}: {most} bytes of memory for a file of {}", bytes.len());
    lint.ok()
}

/// How much more is tried with `MINILD_TESTS=all`.
pub(crate) fn rounds(few: usize, many: usize) -> usize {
    let is_whole = std::env::var("MINILD_TESTS").is_ok_and(|tests| tests == "all");
    if is_whole { many } else { few }
}

#[test]
fn a_file_that_ends_anywhere_is_no_panic() {
    std::thread::scope(|scope| {
        for base in FILES {
            scope.spawn(move || ends_anywhere(*base));
        }
    });
}

fn ends_anywhere(base: (&'static str, &'static str)) {
    let whole = bases::file(base).bytes;
    for end in (0..whole.len()).step_by(16) {
        let cut = look(&whole[..end], &base);
        let is_well = cut.is_some_and(|lint| lint.findings.is_empty());
        // Section headers are the last of an ELF file, and a tool's affair; all else is missed.
        assert!(!is_well, "{base:?} is well with {end:#x} of {:#x} bytes", whole.len());
    }
}

#[test]
fn bits_that_are_turned_over_are_no_panic() {
    let mut numbers = Numbers(0x5eed);
    for base in FILES {
        let whole = bases::file(*base).bytes;
        for round in 0..rounds(150, 5000) {
            let mut bytes = whole.clone();
            for _ in 0..=numbers.below(4) {
                // Half of them in the headers, where counts and offsets are.
                let limit = if numbers.below(2) == 0 { 0x600 } else { whole.len() };
                let at = numbers.below(limit.min(whole.len()));
                bytes[at] ^= 1 << numbers.below(8);
            }
            look(&bytes, &(base, round));
        }
    }
}

#[test]
fn words_of_ones_are_no_panic() {
    for base in FILES {
        let whole = bases::file(*base);
        let end = 0x600.min(whole.bytes.len() - 8);
        // Every fourth byte, or with a stride that meets all kinds of fields.
        for at in (0..end).step_by(rounds(20, 4)) {
            for value in [u64::MAX, 10_000_000] {
                let mut file = File::new(whole.bytes.clone());
                file.put_u64(at, value);
                look(&file.bytes, &(base, at, value));
            }
        }
    }
}

/// A field that says how much of something there is: its name, its place, its size.
type Length = (&'static str, fn(&File) -> usize, usize);

/// What is built, and its lengths.
type Lengths = ((&'static str, &'static str), &'static [Length]);

const LENGTHS: &[Lengths] = &[
    (
        ("linked", "x86_64-linux"),
        &[
            ("e_phoff", |_| 32, 8),
            ("e_shoff", |_| 40, 8),
            ("e_phnum", |_| 56, 2),
            ("e_shnum", |_| 60, 2),
            ("p_filesz", |f| f.load(4) + 32, 8),
            ("p_memsz", |f| f.load(4) + 40, 8),
            ("PT_DYNAMIC p_filesz", |f| f.segment(2) + 32, 8),
            ("PT_NOTE p_filesz", |f| f.segment(4) + 32, 8),
            ("n_namesz", |f| f.size(f.segment(4) + 8), 4),
            ("n_descsz", |f| f.size(f.segment(4) + 8) + 4, 4),
            ("DT_STRSZ", |f| f.entry(10) + 8, 8),
            ("DT_RELASZ", |f| f.entry(8) + 8, 8),
            ("DT_RELACOUNT", |f| f.entry(0x6fff_fff9) + 8, 8),
            ("DT_VERNEEDNUM", |f| f.entry(0x6fff_ffff) + 8, 8),
            ("vn_cnt", |f| f.elf_offset(f.value(0x6fff_fffe)) + 2, 2),
            ("vn_next", |f| f.elf_offset(f.value(0x6fff_fffe)) + 12, 4),
            ("nbuckets", |f| f.elf_offset(f.value(0x6fff_fef5)), 4),
            ("bloom_size", |f| f.elf_offset(f.value(0x6fff_fef5)) + 8, 4),
            ("sh_size of section 0", |f| f.size(40) + 32, 8),
            ("sh_size of section 4", |f| f.size(40) + 4 * 64 + 32, 8),
        ],
    ),
    (
        ("library", "aarch64-windows"),
        &[
            ("NumberOfSections", |f| f.file_header(2), 2),
            ("SizeOfOptionalHeader", |f| f.file_header(16), 2),
            ("SizeOfImage", |f| f.optional(56), 4),
            ("SizeOfHeaders", |f| f.optional(60), 4),
            ("NumberOfRvaAndSizes", |f| f.optional(108), 4),
            ("VirtualSize", |f| f.header(".text") + 8, 4),
            ("SizeOfRawData", |f| f.header(".text") + 16, 4),
            ("export table size", |f| f.directory(0) + 4, 4),
            ("NumberOfFunctions", |f| f.table(0) + 20, 4),
            ("NumberOfNames", |f| f.table(0) + 24, 4),
            ("base relocation table size", |f| f.directory(5) + 4, 4),
            ("SizeOfBlock", |f| f.table(5) + 4, 4),
            ("debug directory size", |f| f.directory(6) + 4, 4),
        ],
    ),
    (
        ("linked", "x86_64-windows"),
        &[
            ("import table size", |f| f.directory(1) + 4, 4),
            ("import address table size", |f| f.directory(12) + 4, 4),
        ],
    ),
    (
        ("linked", "aarch64-macos"),
        &[
            ("ncmds", |_| 16, 4),
            ("sizeofcmds", |_| 20, 4),
            ("cmdsize", |f| f.commands()[1] + 4, 4),
            ("vmsize", |f| f.named("__TEXT") + 32, 8),
            ("filesize", |f| f.named("__TEXT") + 48, 8),
            ("nsects", |f| f.named("__TEXT") + 64, 4),
            ("nsyms", |f| f.command(2) + 12, 4),
            ("strsize", |f| f.command(2) + 20, 4),
            ("chained fixups datasize", |f| f.command(0x8000_0034) + 12, 4),
            ("imports_count", |f| f.u32(f.command(0x8000_0034) + 8) as usize + 16, 4),
            ("signature datasize", |f| f.command(0x1d) + 12, 4),
            ("SuperBlob length", |f| f.u32(f.command(0x1d) + 8) as usize + 4, 4),
            ("SuperBlob count", |f| f.u32(f.command(0x1d) + 8) as usize + 8, 4),
        ],
    ),
    (("universal", ""), &[("nfat_arch", |_| 4, 4), ("slice size", |_| 8 + 12, 4)]),
];

#[test]
fn lengths_that_cannot_be_are_found() {
    for (base, lengths) in LENGTHS {
        let whole = bases::file(*base);
        for (name, place, size) in *lengths {
            // In big-endian fields of Mach-O, 128 is the largest of the second kind.
            for value in [u64::MAX, 10_000_000, 10_000_000_u64.swap_bytes() >> 32] {
                let mut file = whole.clone();
                let at = place(&whole);
                file.put(at, &value.to_le_bytes()[..*size]);
                let lint = look(&file.bytes, &(base, name, value));
                let is_well = lint.is_some_and(|lint| lint.findings.is_empty());
                // Where nobody believes the field, nothing is wrong with it.
                let is_believed = !name.ends_with("section 0") && value == u64::MAX;
                assert!(!(is_well && is_believed), "{base:?}: {name} of {value:#x} is well");
            }
        }
    }
}

#[test]
fn sections_by_the_million_take_no_memory() {
    // The number of sections that e_shnum has no room for stands in section 0.
    let mut file = bases::file(("linked", "x86_64-linux"));
    let first = file.size(40);
    file.put_u16(60, 0);
    file.put_u64(first + 32, 10_000_000);
    look(&file.bytes, &"ten million sections");
}

#[test]
fn tables_that_lead_back_to_themselves_end() {
    // An exports trie whose second node has itself as its child.
    let mut file = bases::file(("library", "aarch64-macos"));
    let trie = file.u32(file.command(0x8000_0033) + 8) as usize;
    file.put(trie, &[0, 1, b'a', 0, 5, 0, 1, b'b', 0, 5]);
    file.close();
    let lint = look(&file.bytes, &"trie").expect("it is a library");
    assert!(!lint.findings.is_empty(), "a trie that does not end");
    // Records of versions cannot go back; those that share their bytes are a million.
    let mut file = bases::file(("linked", "x86_64-linux"));
    let versions = file.elf_offset(file.value(0x6fff_fffe));
    file.put_u32(versions + 8, 1);
    file.put_u32(versions + 12, 1);
    look(&file.bytes, &"versions");
    // A block of base relocations of no bytes.
    let mut file = bases::file(("library", "aarch64-windows"));
    let blocks = file.table(5);
    file.put_u32(blocks + 4, 0);
    let lint = look(&file.bytes, &"blocks").expect("it is a library");
    assert!(!lint.findings.is_empty(), "a block that does not end");
}

#[test]
fn what_is_no_executable_is_said_so() {
    let object = |magic: &[u8], kind_at: usize, kind: u8| {
        let mut bytes = magic.to_vec();
        bytes.resize(128, 0);
        bytes[kind_at] = kind;
        bytes
    };
    let elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\0\0\x3e";
    let coff = object(b"\x64\x86\x01\0", 100, 0);
    for (bytes, says) in [
        (&b""[..], "an empty file"),
        (b"#!/bin/sh\n", "a script"),
        (b"!<arch>\n", "an archive of object files"),
        (b"\0asm\x01\0\0\0", "WebAssembly"),
        (b"BC\xc0\xde\x35\x14", "LLVM bitcode"),
        (b"\xca\xfe\xba\xbe\0\0\0\x41\0\x10", "a Java class"),
        (b"text", "a text"),
        (b"\xce\xfa\xed\xfe\x07\0\0\0", "32 bits"),
        (b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x03\0", "a 32-bit ELF file"),
        (&object(elf, 16, 1), "an object file, not linked yet, which no loader loads"),
        (&object(elf, 16, 4), "a core dump"),
        (&object(b"\xcf\xfa\xed\xfe\x0c\0\0\x01", 12, 1), "an object file, not linked yet"),
        (&object(b"\xcf\xfa\xed\xfe\x0c\0\0\x01", 12, 10), "the debug information"),
        (&coff, "an object file for Windows (COFF), which no loader loads"),
    ] {
        let error = lint::lint(bytes).expect_err("it has no rules");
        assert!(error.message.contains(says), "{error}");
    }
}
