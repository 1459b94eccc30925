//! ELF: a broken file for each rule.

use crate::edit::{ADDRESS, ALIGN, FILE_SIZE, FLAGS, MEMORY_SIZE, OFFSET, SEGMENT, TYPE};
use crate::{Case, case, prepared};

const PLAIN: (&str, &str) = ("plain", "x86_64-linux");
const PLAIN_ARM: (&str, &str) = ("plain", "aarch64-linux");
const FIXED: (&str, &str) = ("fixed", "x86_64-linux");
const LINKED: (&str, &str) = ("linked", "x86_64-linux");
const LINKED_ARM: (&str, &str) = ("linked", "aarch64-linux");
const MUSL: (&str, &str) = ("musl", "x86_64-linux");
const LIBRARY: (&str, &str) = ("library", "x86_64-linux");

// Program headers.
const LOAD: u32 = 1;
const DYNAMIC: u32 = 2;
const INTERP: u32 = 3;
const NOTE: u32 = 4;
const PHDR: u32 = 6;
const TLS: u32 = 7;
const UNWIND: u32 = 0x6474_e550;
const STACK: u32 = 0x6474_e551;
const RELRO: u32 = 0x6474_e552;
const PROPERTY: u32 = 0x6474_e553;

// Entries of the dynamic table.
const NEEDED: u64 = 1;
const PLTRELSZ: u64 = 2;
const HASH: u64 = 4;
const PLTGOT: u64 = 3;
const SYMTAB: u64 = 6;
const RELA: u64 = 7;
const RELASZ: u64 = 8;
const RELAENT: u64 = 9;
const SYMENT: u64 = 11;
const INIT: u64 = 12;
const SONAME: u64 = 14;
const PLTREL: u64 = 20;
const DEBUG: u64 = 21;
const JMPREL: u64 = 23;
const INIT_ARRAY: u64 = 25;
const INIT_ARRAYSZ: u64 = 27;
const DT_FLAGS: u64 = 30;
const RELRSZ: u64 = 35;
const RELR: u64 = 36;
const RELRENT: u64 = 37;
const GNU_HASH: u64 = 0x6fff_fef5;
const VERSYM: u64 = 0x6fff_fff0;
const RELACOUNT: u64 = 0x6fff_fff9;
const VERNEEDNUM: u64 = 0x6fff_ffff;
const FLAGS_1: u64 = 0x6fff_fffb;
const VERNEED: u64 = 0x6fff_fffe;

pub(crate) const CASES: &[Case] = &[
    case("elf/truncated", PLAIN, |f| f.bytes.truncate(40)),
    case("elf/type", PLAIN, |f| f.put_u16(16, 9)),
    case("elf/identity", LINKED, |f| f.put(7, &[99])),
    case("elf/identity", LIBRARY, |f| f.put(9, &[1])),
    case("elf/ehsize", PLAIN, |f| f.put_u16(52, 52)),
    case("elf/phentsize", PLAIN, |f| f.put_u16(54, 57)),
    case("elf/phnum", PLAIN, |f| f.put_u16(56, 0)),
    case("elf/phnum", PLAIN, |f| f.put_u16(56, 0xffff)),
    case("elf/phdrs-truncated", PLAIN, |f| f.put_u64(32, u64::MAX - 8)),
    case("elf/phdrs-unmapped", PLAIN, |f| {
        let (start, count) = (f.size(32), usize::from(f.u16(56)));
        let table = f.bytes[start..start + count * SEGMENT].to_vec();
        f.put_u64(32, f.bytes.len() as u64);
        f.bytes.extend(table);
    }),
    case("elf/entry", PLAIN, |f| f.put_u64(24, f.u64(f.load(4) + ADDRESS))),
    case("elf/entry", FIXED, |f| f.put_u64(24, 0)),
    case("elf/section-headers", PLAIN, |f| f.put_u64(40, 1 << 40)),
    case("elf/section-headers", PLAIN, |f| f.put_u16(62, 99)),
    case("elf/no-load", PLAIN, |f| {
        for at in f.segments() {
            if f.u32(at + TYPE) == LOAD {
                f.put_u32(at + TYPE, 0);
            }
        }
    }),
    prepared("elf/segment-congruence", PLAIN, without_sections, |f| {
        f.add_u64(f.data() + OFFSET, 1);
    }),
    prepared("elf/large-pages", PLAIN_ARM, without_sections, |f| {
        let data = f.data();
        f.bytes.resize(f.bytes.len() + 0x2000, 0);
        f.add_u64(data + OFFSET, 0x1000);
        f.put_u64(data + ALIGN, 0x1000);
    }),
    prepared("elf/segment-sizes", PLAIN, without_sections, |f| {
        let data = f.data();
        f.put_u64(data + MEMORY_SIZE, f.u64(data + FILE_SIZE) - 1);
    }),
    case("elf/segment-range", PLAIN, |f| f.put_u64(f.data() + MEMORY_SIZE, 1 << 48)),
    case("elf/segment-range", PLAIN_ARM, |f| f.put_u64(f.data() + MEMORY_SIZE, u64::MAX)),
    case("elf/segment-truncated", PLAIN, |f| {
        let data = f.data();
        f.put_u64(data + FILE_SIZE, 1 << 30);
        f.put_u64(data + MEMORY_SIZE, 1 << 30);
    }),
    case("elf/segment-order", PLAIN, |f| f.swap(f.load(5), f.data(), SEGMENT)),
    prepared("elf/segment-overlap", PLAIN, without_sections, |f| {
        let (relro, data) = (f.load(6), f.data());
        f.put_u64(data + ADDRESS, f.u64(relro + ADDRESS));
        f.put_u64(data + OFFSET, f.u64(relro + OFFSET));
    }),
    case("elf/bss-not-writable", PLAIN, |f| f.put_u32(f.data() + FLAGS, 4)),
    case("elf/writable-executable", PLAIN, |f| f.set(f.data() + FLAGS, 1)),
    case("elf/align", PLAIN, |f| f.put_u64(f.data() + ALIGN, 3)),
    case("elf/align", LIBRARY, |f| f.put_u64(f.data() + ALIGN, 16)),
    prepared("elf/low-address", FIXED, without_sections, |f| {
        f.put_u64(f.load(4) + ADDRESS, 0x1000);
    }),
    case("elf/stack-missing", LINKED, |f| f.put_u32(f.segment(STACK), 0)),
    case("elf/stack-missing", PLAIN_ARM, |f| f.put_u32(f.segment(STACK), 0)),
    case("elf/executable-stack", PLAIN, |f| f.set(f.segment(STACK) + FLAGS, 1)),
    case("elf/relro-outside", LINKED, |f| {
        f.put_u64(f.segment(RELRO) + ADDRESS, f.u64(f.load(4) + ADDRESS));
    }),
    case("elf/relro-end", LINKED, |f| f.add_u64(f.segment(RELRO) + MEMORY_SIZE, -8)),
    case("elf/relro-large-pages", LINKED_ARM, |f| {
        f.add_u64(f.segment(RELRO) + MEMORY_SIZE, -0x1000);
    }),
    case("elf/relro-freezes-data", LINKED, |f| {
        let relro = f.segment(RELRO);
        f.add_u64(relro + ADDRESS, 8);
        f.add_u64(relro + MEMORY_SIZE, -8);
    }),
    prepared("elf/tls-sizes", PLAIN, thread_locals, |f| {
        f.put_u64(f.segment(TLS) + MEMORY_SIZE, 4);
    }),
    prepared("elf/tls-sizes", PLAIN, thread_locals, |f| f.put_u64(f.segment(TLS) + ALIGN, 12)),
    prepared("elf/tls-sizes", PLAIN, thread_locals, |f| f.put_u64(f.segment(TLS) + ALIGN, 0)),
    prepared("elf/tls-sizes", PLAIN, thread_locals, |f| {
        f.put_u64(f.segment(TLS) + MEMORY_SIZE, 1 << 62);
    }),
    prepared("elf/tls-outside", PLAIN, thread_locals, |f| {
        f.add_u64(f.segment(TLS) + ADDRESS, 1 << 30);
    }),
    case("elf/header-twice", PLAIN, |f| {
        let note = f.segment(NOTE);
        f.put_u32(note + TYPE, STACK);
        f.put_u32(note + FLAGS, 6);
    }),
    case("elf/note-truncated", PLAIN, |f| f.put_u32(f.size(f.segment(NOTE) + OFFSET), 0x1000)),
    prepared("elf/gnu-property", PLAIN_ARM, property, |f| f.put_u32(f.scratch() + 20, 100)),
    case("elf/interpreter-string", LINKED, |f| {
        let interpreter = f.segment(INTERP);
        f.put(f.size(interpreter + OFFSET) + f.size(interpreter + FILE_SIZE) - 1, b"x");
    }),
    case("elf/interpreter-string", LINKED, |f| {
        f.put_u64(f.segment(INTERP) + OFFSET, 0x100_0000);
    }),
    case("elf/interpreter-relative", LINKED, |f| f.put(f.size(f.segment(INTERP) + OFFSET), b"x")),
    case("elf/interpreter-machine", LINKED, |f| {
        let path = b"/lib/ld-linux-x32.so.2\0";
        let interpreter = f.segment(INTERP);
        f.put(f.size(interpreter + OFFSET), path);
        f.put_u64(interpreter + FILE_SIZE, path.len() as u64);
    }),
    case("elf/phdr-missing", LINKED, |f| f.put_u32(f.segment(PHDR), 0)),
    case("elf/phdr-missing", MUSL, |f| f.put_u32(f.segment(PHDR), 0)),
    case("elf/phdr-not-first", LINKED, |f| f.swap(f.segment(PHDR), f.segment(INTERP), SEGMENT)),
    case("elf/phdr-address", LINKED, |f| f.add_u64(f.segment(PHDR) + ADDRESS, 8)),
    case("elf/dynamic-missing", LINKED, |f| f.put_u32(f.segment(DYNAMIC), 0)),
    case("elf/dynamic-outside", LINKED, |f| f.add_u64(f.segment(DYNAMIC) + ADDRESS, 1 << 30)),
    prepared("elf/dynamic-unterminated", LINKED, without_sections, |f| {
        // The segment that begins with the table ends before its DT_NULL.
        let table = f.segment(DYNAMIC);
        f.add_u64(table + FILE_SIZE, -16);
        f.put_u64(f.load(6) + FILE_SIZE, f.u64(table + FILE_SIZE));
    }),
    case("elf/symbol-tables-missing", LINKED, |f| f.forget(SYMTAB)),
    case("elf/rela-incomplete", LINKED, |f| f.forget(RELAENT)),
    case("elf/relr-incomplete", MUSL, |f| f.replace(DEBUG, RELR, f.value(RELA))),
    case("elf/entry-sizes", LINKED, |f| f.put_u64(f.entry(RELAENT) + 8, 16)),
    case("elf/symbol-size", LINKED, |f| f.put_u64(f.entry(SYMENT) + 8, 16)),
    case("elf/dynamic-cut", LINKED, |f| f.replace(DT_FLAGS, 0, 0)),
    case("elf/jump-relocations", LINKED, |f| f.replace(DEBUG, JMPREL, f.value(RELA))),
    prepared("elf/lazy-without-got", LINKED, lazy_jump_slots, |f| f.forget(PLTGOT)),
    prepared("elf/lazy-without-got", LINKED, lazy_jump_slots, |f| {
        f.put_u64(f.entry(PLTGOT) + 8, f.elf_address(f.scratch()));
    }),
    case("elf/hash-missing", MUSL, |f| {
        f.forget(HASH);
        f.forget(GNU_HASH);
    }),
    case("elf/hash-missing", LIBRARY, |f| f.forget(GNU_HASH)),
    case("elf/gnu-hash", LINKED, |f| f.put_u32(f.elf_offset(f.value(GNU_HASH)) + 8, 3)),
    prepared("elf/hash-buckets", LINKED, sysv_hash, |f| f.put_u32(f.scratch(), 0)),
    case("elf/dynamic-string", LINKED, |f| f.replace(DEBUG, SONAME, 0xffff)),
    case("elf/dynamic-string", LINKED, |f| f.replace(DEBUG, NEEDED, 0)),
    case("elf/dynamic-address", LINKED, |f| f.put_u64(f.entry(VERNEED) + 8, 1 << 30)),
    prepared("elf/function-array", LINKED, without_sections, |f| {
        f.replace(DEBUG, INIT_ARRAY, f.elf_address(f.room()));
    }),
    case("elf/text-relocations", LINKED, |f| f.put_u64(f.entry(DT_FLAGS) + 8, 12)),
    case("elf/relocation-target", LINKED, |f| {
        f.put_u64(f.elf_offset(f.value(RELA)), f.u64(f.load(5) + ADDRESS));
    }),
    case("elf/relocation-type", LINKED, |f| f.put(relocation(f, 2) + 8, &[99])),
    prepared("elf/relr-version", LINKED, without_sections, relative_relocations),
    case("elf/versions-incomplete", LINKED, |f| f.forget(VERNEED)),
    case("elf/version-record", LINKED, |f| f.put_u16(f.elf_offset(f.value(VERNEED)), 2)),
    case("elf/version-record", LINKED, |f| f.put_u32(f.elf_offset(f.value(VERNEED)) + 24, 0xffff)),
    case("elf/version-library", LINKED, |f| {
        f.put_u32(f.elf_offset(f.value(VERNEED)) + 4, f.u32(symbol(f, 1)));
    }),
    case("elf/version-hash", LINKED, |f| f.add_u32(f.elf_offset(f.value(VERNEED)) + 16, 1)),
    case("elf/version-index", LINKED, |f| f.put_u16(f.elf_offset(f.value(VERSYM)) + 2, 9)),
    case("elf/version-count", LINKED, |f| f.put_u64(f.entry(VERNEEDNUM) + 8, 2)),
    case("elf/version-count", LINKED, |f| f.put_u16(f.elf_offset(f.value(VERNEED)) + 2, 3)),
    case("elf/hash-lookup", LIBRARY, |f| {
        let table = f.elf_offset(f.value(GNU_HASH));
        let chains = table + 16 + f.u32(table + 8) as usize * 8 + f.u32(table) as usize * 4;
        f.put_u32(chains, f.u32(chains) ^ 2);
    }),
    prepared("elf/hash-lookup", LIBRARY, library_hash, |f| {
        // A chain that leads back to its start.
        f.forget(GNU_HASH);
        f.put_u32(f.scratch() + 24, 1);
    }),
    prepared("elf/hash-disagrees", LIBRARY, library_hash, |f| f.put_u32(f.scratch() + 8, 0)),
    prepared("elf/function-array-entry", LINKED, function_array, |f| {
        // The second pointer is that of a variable.
        f.put_u64(f.entry(INIT_ARRAYSZ) + 8, 16);
    }),
    case("elf/function-address", LINKED, |f| f.replace(DEBUG, INIT, f.elf_address(f.room()))),
    case("elf/relocation-size", LINKED, |f| f.add_u64(f.entry(RELASZ) + 8, -4)),
    case("elf/dynamic-twice", LINKED, |f| f.replace(DEBUG, RELACOUNT, 0)),
    case("elf/relative-count", LINKED, |f| f.add_u64(f.entry(RELACOUNT) + 8, 1)),
    case("elf/relative-address", LINKED, |f| f.put_u64(relocation(f, 0) + 16, 1 << 30)),
    prepared("elf/relro-lazy", LINKED, jump_slots, |f| f.put_u64(f.entry(FLAGS_1) + 8, PIE)),
    prepared("elf/jump-relocation-type", LINKED, lazy_jump_slots, |f| {
        f.put(relocation(f, 2) + 8, &[6]);
    }),
    case("elf/relocation-overlap", LINKED, |f| f.add_u64(relocation(f, 3), -4)),
    case("elf/tls-missing", LINKED, |f| f.put_u64(relocation(f, 2) + 8, 18)),
    case("elf/symbol-reference", LINKED, |f| f.put_u32(relocation(f, 2) + 12, 200)),
    case("elf/symbol-reference", LINKED, |f| f.put_u32(symbol(f, 1), 0)),
    case("elf/symbol-not-looked-up", LINKED, |f| f.put(symbol(f, 1) + 5, &[2])),
    case("elf/symbol-reference", LINKED, |f| f.put_u32(relocation(f, 2) + 12, 0)),
    case("elf/symbol-not-offered", LIBRARY, |f| f.put(symbol(f, 1) + 5, &[2])),
    case("elf/symbol-not-offered", LIBRARY, |f| f.put_u64(symbol(f, 1) + 8, 0)),
    case("elf/symbol-not-offered", LIBRARY, |f| f.put_u32(symbol(f, 1), u32::MAX)),
    case("elf/symbol-not-offered", LIBRARY, |f| f.put(symbol(f, 1) + 4, &[0x19])),
    case("elf/symbol-value", LIBRARY, |f| f.put_u64(symbol(f, 1) + 8, 1 << 40)),
    case("elf/symbol-value", LIBRARY, |f| f.put_u64(symbol(f, 1) + 8, 0x200)),
    case("elf/interpreter-missing", LINKED, |f| f.put_u32(f.segment(INTERP), 0)),
    case("elf/interpreter-address", LINKED, |f| f.add_u64(f.segment(INTERP) + ADDRESS, 8)),
    case("elf/section-unmapped", PLAIN, |f| {
        let data = section(f, f.u64(f.data() + ADDRESS));
        f.add_u64(data + 24, 8);
    }),
    case("elf/section-table", LINKED, |f| f.replace(DEBUG, PLTGOT, f.elf_address(f.room()))),
    prepared("elf/section-thread-locals", PLAIN, thread_local_section, |f| {
        f.add_u64(f.segment(TLS) + MEMORY_SIZE, 64);
    }),
    prepared("elf/section-thread-locals", PLAIN, thread_local_section, |f| {
        f.put_u32(f.segment(TLS) + TYPE, 0);
    }),
    prepared("elf/header-offset", PLAIN, thread_locals, |f| f.add_u64(f.segment(TLS) + OFFSET, 8)),
    prepared(
        "elf/unwind-address",
        PLAIN,
        |f| f.put_u32(f.segment(NOTE), UNWIND),
        |f| {
            f.add_u64(f.segment(UNWIND) + ADDRESS, 1 << 30);
        },
    ),
    prepared("elf/note-address", LINKED, property, |f| {
        f.add_u64(f.segment(PROPERTY) + ADDRESS, 1 << 30);
    }),
    case("elf/no-rights", PLAIN, |f| f.put_u32(f.load(4) + FLAGS, 0)),
    case("elf/tables-unreadable", LINKED, |f| f.put_u32(f.load(4) + FLAGS, 1)),
    case("elf/unversioned-symbol", LINKED, |f| {
        f.forget(VERSYM);
        f.forget(VERNEED);
    }),
];

type File = crate::edit::File;

/// Makes the note a thread-local template of 8 bytes and 8 zeros.
fn thread_locals(f: &mut File) {
    let (note, room) = (f.segment(NOTE), f.room());
    f.put_u32(note + TYPE, TLS);
    f.put_u64(note + OFFSET, room as u64);
    f.put_u64(note + ADDRESS, f.elf_address(room));
    f.put_u64(note + FILE_SIZE, 8);
    f.put_u64(note + MEMORY_SIZE, 16);
    f.put_u64(note + ALIGN, 8);
}

/// Makes the note one that says that all code begins with landing pads.
fn property(f: &mut File) {
    let (note, scratch) = (f.segment(NOTE), f.scratch());
    f.put_u32(note + TYPE, PROPERTY);
    f.put_u64(note + OFFSET, scratch as u64);
    f.put_u64(note + ADDRESS, f.elf_address(scratch));
    f.put_u64(note + FILE_SIZE, 32);
    f.put_u64(note + MEMORY_SIZE, 32);
    f.put_u64(note + ALIGN, 8);
    for (index, word) in [4, 16, 5, 0x55_4e47, 0xc000_0000, 4, 1, 0].into_iter().enumerate() {
        f.put_u32(scratch + index * 4, word);
    }
}

/// Adds a hash table of one bucket, in the place of `DT_DEBUG`.
fn sysv_hash(f: &mut File) {
    let scratch = f.scratch();
    f.replace(DEBUG, HASH, f.elf_address(scratch));
    for index in 0..4 {
        f.put_u32(scratch + index * 4, u32::from(index < 2));
    }
}

/// Adds a table of relative relocations.
fn relative_relocations(f: &mut File) {
    f.replace(DEBUG, RELR, f.elf_address(f.room()));
    f.replace(DT_FLAGS, RELRSZ, 8);
    f.replace(FLAGS_1, RELRENT, 8);
}

/// The flags of a program that can be moved, without more.
const PIE: u64 = 0x800_0000;

/// Where a dynamic symbol lies.
fn symbol(f: &File, index: usize) -> usize {
    f.elf_offset(f.value(SYMTAB)) + index * 24
}

/// Where a relocation lies: two pointers, two imports.
fn relocation(f: &File, index: usize) -> usize {
    f.elf_offset(f.value(RELA)) + index * 24
}

/// Where the header of the section at an address lies.
fn section(f: &File, address: u64) -> usize {
    let first = f.size(40);
    let mut all = (0..usize::from(f.u16(60))).map(|index| first + index * 64);
    all.find(|at| f.u64(at + 16) == address).expect("there is such a section")
}

/// Takes the section headers away, which say where tables were.
fn without_sections(f: &mut File) {
    f.put_u64(40, 0);
    f.put_u16(60, 0);
    f.put_u16(62, 0);
}

/// Adds a hash table of one bucket for the three functions of the library.
fn library_hash(f: &mut File) {
    let scratch = f.scratch();
    f.replace(DT_FLAGS, HASH, f.elf_address(scratch));
    for (index, word) in [1, 4, 1, 0, 2, 3, 0].into_iter().enumerate() {
        f.put_u32(scratch + index * 4, word);
    }
}

/// Makes the pointers of the constants functions that are called, the first of them.
fn function_array(f: &mut File) {
    f.replace(DEBUG, INIT_ARRAY, f.u64(relocation(f, 0)));
    f.replace(DT_FLAGS, INIT_ARRAYSZ, 8);
}

/// Makes the imports calls, bound at start.
fn jump_slots(f: &mut File) {
    without_sections(f);
    f.replace(DEBUG, JMPREL, f.value(RELA) + 48);
    f.put_u64(f.entry(RELASZ) + 8, 48);
    f.replace(RELACOUNT, PLTRELSZ, 48);
    f.replace(SYMENT, PLTREL, 7);
    f.replace(DT_FLAGS, PLTGOT, f.elf_address(f.room()));
    for index in [2, 3] {
        f.put(relocation(f, index) + 8, &[7]);
    }
}

/// The same, bound when they are first called.
fn lazy_jump_slots(f: &mut File) {
    jump_slots(f);
    f.put_u32(f.segment(RELRO) + TYPE, 0);
    f.put_u64(f.entry(FLAGS_1) + 8, PIE);
}

/// Makes all variables thread-locals, by headers of both kinds.
fn thread_local_section(f: &mut File) {
    thread_locals(f);
    let (tls, data) = (f.segment(TLS), section(f, f.u64(f.data() + ADDRESS)));
    f.put_u64(data + 8, f.u64(data + 8) | 0x400);
    for (field, of_section) in [(ADDRESS, 16), (OFFSET, 24), (FILE_SIZE, 32), (MEMORY_SIZE, 32)] {
        f.put_u64(tls + field, f.u64(data + of_section));
    }
}

/// Wrong would be: a library that is taken for a program, and a program's rules held against it.
#[test]
fn a_library_with_a_debuggers_entry_is_a_library() {
    let mut file = crate::bases::file(LIBRARY);
    file.replace(GNU_HASH, DEBUG, 0);
    let lint = minild::view::lint::lint(&file.bytes).expect("it is an executable");
    assert_eq!(lint.file, "ELF64 shared library, x86_64");
    // Nothing but what the replaced entry was for.
    let rules: Vec<_> = lint.findings.iter().map(|finding| finding.rule.name).collect();
    assert_eq!(rules, ["elf/hash-missing"]);
}
