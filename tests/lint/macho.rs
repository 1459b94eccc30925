//! Mach-O: a broken file for each rule.

use crate::edit::File;
use crate::{Case, case, prepared};

const ARM: (&str, &str) = ("linked", "aarch64-macos");
const INTEL: (&str, &str) = ("linked", "x86_64-macos");
const BARE: (&str, &str) = ("bare", "aarch64-macos");
const STATIC: (&str, &str) = ("fixed", "x86_64-macos");
const OPCODES: (&str, &str) = ("opcodes", "x86_64-macos");
const LIBRARY: (&str, &str) = ("library", "aarch64-macos");
const UNIVERSAL: (&str, &str) = ("universal", "");

// Fields of the header.
const SUBTYPE: usize = 8;
const FILE_TYPE: usize = 12;
const COMMANDS_SIZE: usize = 20;
const FLAGS: usize = 24;
// Load commands.
const SYMTAB: u32 = 0x2;
const UNIXTHREAD: u32 = 0x5;
const DYSYMTAB: u32 = 0xb;
const LOAD_DYLIB: u32 = 0xc;
const ID_DYLIB: u32 = 0xd;
const LOAD_DYLINKER: u32 = 0xe;
const UUID: u32 = 0x1b;
const SIGNATURE: u32 = 0x1d;
const FUNCTION_STARTS: u32 = 0x26;
const DATA_IN_CODE: u32 = 0x29;
const BUILD_VERSION: u32 = 0x32;
const DYLD_INFO: u32 = 0x8000_0022;
const MAIN: u32 = 0x8000_0028;
const TRIE: u32 = 0x8000_0033;
const CHAINED: u32 = 0x8000_0034;
// Fields of a segment's load command.
const NAME: usize = 8;
const ADDRESS: usize = 24;
const SIZE: usize = 32;
const OFFSET: usize = 40;
const FILE_SIZE: usize = 48;
const MAXIMUM: usize = 56;
const INITIAL: usize = 60;
const SEGMENT_FLAGS: usize = 68;
// Fields of a section.
const SECTION_ADDRESS: usize = 32;
const SECTION_SIZE: usize = 40;
const SECTION_OFFSET: usize = 48;
const SECTION_FLAGS: usize = 64;

pub(crate) const CASES: &[Case] = &[
    case("macho/fat-truncated", UNIVERSAL, |f| f.bytes.truncate(20)),
    case("macho/fat-slice", UNIVERSAL, |f| f.put_be_u32(40, 0x7fff_0000)),
    case("macho/fat-alignment", UNIVERSAL, |f| f.put_be_u32(16, f.be_u32(16) + 8)),
    case("macho/fat-overlap", UNIVERSAL, |f| f.put_be_u32(36, f.be_u32(36) - 0x4000)),
    case("macho/fat-architecture", UNIVERSAL, |f| f.put_be_u32(8, 0x0100_0012)),
    case("macho/fat-twice", UNIVERSAL, |f| {
        let entry = f.bytes[28..48].to_vec();
        f.put(48, &entry);
        f.put_be_u32(4, 3);
        let end = f.bytes.len().next_multiple_of(0x4000);
        f.bytes.resize(end + 16, 0);
        f.put_be_u32(56, u32::try_from(end).expect("small"));
        f.put_be_u32(60, 16);
    }),
    case("macho/truncated", ARM, |f| f.bytes.truncate(20)),
    case("macho/truncated", ARM, |f| f.put_u32(COMMANDS_SIZE, 0x7fff_0000)),
    case("macho/command-size", ARM, |f| f.put_u32(f.commands()[1] + 4, 4)),
    case("macho/file-type", ARM, |f| f.put_u32(FILE_TYPE, 9)),
    case("macho/cpu-subtype", ARM, |f| f.put_u32(SUBTYPE, 5)),
    case("macho/cpu-subtype", INTEL, |f| f.put_u32(SUBTYPE, 4)),
    case("macho/command-exact-size", ARM, |f| {
        f.add_command(&words(&[0x2a, 24, 0, 0, 0, 0]));
    }),
    case("macho/segment-32", ARM, |f| {
        f.add_command(&words(&[1, 56, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
    }),
    case("macho/string", ARM, |f| {
        let at = f.command(LOAD_DYLIB);
        let size = f.u32(at + 4) as usize;
        f.bytes[at + 24..at + size].fill(b'x');
    }),
    case("macho/required-command", ARM, |f| {
        f.add_command(&words(&[0x8000_0099, 16, 0, 0]));
    }),
    case("macho/uuid-twice", ARM, |f| {
        f.repeat(UUID);
    }),
    case("macho/version-twice", ARM, |f| {
        f.add_command(&words(&[0x24, 16, 0xd_0000, 0xd_0000]));
    }),
    case("macho/platform", ARM, |f| f.put_u32(f.command(BUILD_VERSION) + 8, 99)),
    case("macho/version-missing", ARM, |f| f.ignore(BUILD_VERSION)),
    case("macho/sdk-zero", ARM, |f| f.put_u32(f.command(BUILD_VERSION) + 16, 0)),
    case("macho/library-name", ARM, |f| {
        let at = f.repeat(LOAD_DYLIB);
        f.put_u32(at, ID_DYLIB);
    }),
    case("macho/library-name", LIBRARY, |f| f.ignore(ID_DYLIB)),
    case("macho/page-zero", ARM, |f| f.put_u64(f.named("__PAGEZERO") + SIZE, 0x1000)),
    case("macho/page-zero", STATIC, |f| f.put_u64(f.named("__PAGEZERO") + SIZE, 0)),
    case("macho/header-segment", STATIC, |f| {
        let at = add_segment(f);
        f.put_u64(at + FILE_SIZE, 0x1000);
    }),
    case("macho/text-segment", ARM, |f| f.put(f.named("__TEXT") + NAME, b"__TEXU")),
    case("macho/segment-file-offset", STATIC, |f| {
        let at = add_segment(f);
        f.put_u64(at + OFFSET, 0x1008);
    }),
    case("macho/segment-file-range", ARM, |f| {
        let linkedit = f.named("__LINKEDIT");
        f.add_u64(linkedit + FILE_SIZE, 0x10_0000);
        f.add_u64(linkedit + SIZE, 0x10_0000);
    }),
    case("macho/segment-address", ARM, |f| f.add_u64(f.named("__LINKEDIT") + ADDRESS, 0x1000)),
    case("macho/segment-wrap", ARM, |f| f.put_u64(f.named("__LINKEDIT") + SIZE, u64::MAX)),
    case("macho/segment-overlap", ARM, |f| {
        f.put_u64(f.named("__LINKEDIT") + ADDRESS, f.u64(f.named("__DATA") + ADDRESS));
    }),
    case("macho/segment-size", ARM, |f| f.put_u64(f.named("__LINKEDIT") + SIZE, 0x10)),
    prepared("macho/segment-protection", ARM, sdk_13, |f| {
        f.put_u32(f.named("__DATA") + INITIAL, 11);
    }),
    case("macho/maximum-protection", ARM, |f| f.put_u32(f.named("__DATA") + MAXIMUM, 1)),
    case("macho/writable-executable", ARM, writable_executable),
    case("macho/writable-executable", INTEL, writable_executable),
    case("macho/read-only-segments", ARM, |f| f.set(f.named("__LINKEDIT") + SEGMENT_FLAGS, 0x10)),
    case("macho/zero-fill-junk", ARM, |f| {
        let data = f.named("__DATA");
        f.put_u64(data + FILE_SIZE, 0x1100);
        f.put(f.size(data + OFFSET) + 0x1200, &[0xee]);
    }),
    case("macho/section-start", ARM, |f| {
        f.put_u64(f.section("__DATA", 0) + SECTION_ADDRESS, f.u64(f.named("__DATA") + ADDRESS) - 8);
    }),
    case("macho/section-end", ARM, |f| f.put_u64(f.section("__DATA", 0) + SECTION_SIZE, 1 << 30)),
    case("macho/section-offset", ARM, |f| f.add_u32(f.section("__DATA", 0) + SECTION_OFFSET, 8)),
    case("macho/position-independent", ARM, |f| f.clear(FLAGS, 0x20_0000)),
    case("macho/static", ARM, |f| f.clear(FLAGS, 4)),
    case("macho/entry-missing", ARM, |f| f.ignore(MAIN)),
    case("macho/entry-twice", ARM, |f| {
        f.repeat(MAIN);
    }),
    case("macho/main-offset", ARM, |f| f.put_u64(f.command(MAIN) + 8, 0xff_ffff)),
    case("macho/main-offset", ARM, |f| f.put_u64(f.command(MAIN) + 8, 4)),
    case("macho/stack-size", ARM, |f| f.put_u64(f.command(MAIN) + 16, 3)),
    case("macho/stack-size", ARM, |f| f.put_u64(f.command(MAIN) + 16, 1 << 60)),
    case("macho/thread-state", STATIC, |f| f.put_u32(f.command(UNIXTHREAD) + 8, 7)),
    case("macho/thread-entry", STATIC, |f| f.put_u64(f.command(UNIXTHREAD) + 16 + 16 * 8, 0)),
    case("macho/thread-with-dyld", ARM, |f| {
        let entry = f.u64(f.named("__TEXT") + ADDRESS) + f.u64(f.command(MAIN) + 8);
        f.ignore(MAIN);
        let mut state = words(&[UNIXTHREAD, 288, 6, 68]);
        state.resize(288, 0);
        state[16 + 32 * 8..][..8].copy_from_slice(&entry.to_le_bytes());
        f.add_command(&state);
    }),
    case("macho/dylinker-missing", ARM, |f| f.ignore(LOAD_DYLINKER)),
    case("macho/dylinker-path", ARM, |f| f.put(f.find("/usr/lib/dyld"), b"/usr/lib/dylx")),
    case("macho/dylinker-twice", ARM, |f| {
        f.repeat(LOAD_DYLINKER);
    }),
    prepared("macho/linkedit-protection", ARM, sdk_26, |f| {
        f.put_u32(f.named("__LINKEDIT") + MAXIMUM, 3);
        f.put_u32(f.named("__LINKEDIT") + INITIAL, 3);
    }),
    prepared("macho/segment-order", BARE, sdk_26, |f| {
        let (zero, text) = (f.named("__PAGEZERO"), f.named("__TEXT"));
        let end = text + f.u32(text + 4) as usize;
        f.bytes[zero..end].rotate_left(text - zero);
    }),
    case("macho/text-protection", LIBRARY, |f| f.put_u32(f.named("__TEXT") + INITIAL, 1)),
    prepared("macho/data-protection", ARM, sdk_26, |f| f.put_u32(f.named("__DATA") + INITIAL, 1)),
    prepared("macho/data-const-flag", ARM, sdk_26, |f| {
        f.clear(f.named("__DATA_CONST") + SEGMENT_FLAGS, 0x10);
    }),
    case("macho/cache-flag", ARM, |f| f.set(FLAGS, 0x8000_0000)),
    prepared("macho/uuid-missing", ARM, sdk_26, |f| f.ignore(UUID)),
    prepared("macho/library-missing", BARE, sdk_26, |f| f.ignore(LOAD_DYLIB)),
    prepared("macho/library-twice", ARM, sdk_26, |f| {
        f.repeat(LOAD_DYLIB);
    }),
    prepared(
        "macho/rpath-twice",
        ARM,
        |f| {
            sdk_26(f);
            f.add_command(&words(&[0x8000_001c, 24, 12, 0x78_4040, 0, 0]));
        },
        |f| {
            f.repeat(0x8000_001c);
        },
    ),
    prepared("macho/segment-name-twice", ARM, sdk_26, |f| {
        f.put(f.named("__DATA") + NAME, b"__DATA_CONST");
    }),
    case("macho/linkedit-range", OPCODES, |f| f.put_u32(f.command(DYSYMTAB) + 68, 1)),
    case("macho/symbol-range", ARM, |f| {
        f.add_command(&words(&[DATA_IN_CODE, 16, 0, 8]));
    }),
    case("macho/linkedit-alignment", ARM, |f| {
        let at = f.command(FUNCTION_STARTS);
        f.add_u32(at + 8, 4);
        f.add_u32(at + 12, -4);
    }),
    case("macho/linkedit-overlap", ARM, |f| f.add_u32(f.command(FUNCTION_STARTS) + 12, 16)),
    case("macho/symbol-order", ARM, |f| f.add_u32(f.command(DYSYMTAB) + 12, 1)),
    case("macho/symbol-name", ARM, |f| f.put_u32(f.linkedit(SYMTAB, 8), 0xff_ffff)),
    case("macho/indirect-symbols", ARM, |f| f.put_u32(f.command(DYSYMTAB) + 60, 0)),
    case("macho/function-starts", ARM, |f| {
        f.put(f.linkedit(FUNCTION_STARTS, 8), &[0xff, 0xff, 0xff, 0xff, 0x7f]);
    }),
    case("macho/exports-trie", LIBRARY, |f| f.put(f.linkedit(TRIE, 8), &[0xff, 0x7f])),
    case("macho/fixup-encodings", ARM, |f| {
        let mut command = words(&[DYLD_INFO, 48]);
        command.resize(48, 0);
        f.add_command(&command);
    }),
    case("macho/chained-too-new", INTEL, |f| f.put_u32(f.command(BUILD_VERSION) + 12, 0xa_0f00)),
    case("macho/chained-header", ARM, |f| f.put_u32(f.linkedit(CHAINED, 8), 1)),
    case("macho/chained-segments", ARM, |f| f.add_u32(chained(f, 4), -1)),
    case("macho/chained-starts", ARM, |f| f.put_u16(starts(f) + 4, 0x2000)),
    case("macho/chained-starts", ARM, |f| f.put_u32(starts(f) + 16, 1 << 31)),
    case("macho/chained-starts", ARM, |f| f.put_u32(chained(f, 4) + 4, 1 << 30)),
    case("macho/chained-page-start", ARM, |f| f.put_u16(starts(f) + 22, 0x5000)),
    case("macho/chained-imports", ARM, |f| f.set(chained(f, 8), 0xffff_fe00)),
    case("macho/library-ordinal", ARM, |f| f.put(chained(f, 8), &[77])),
    case("macho/chain-link", ARM, |f| {
        let link = link(f);
        f.put_u64(link, f.u64(link) | 0xfff << 51);
    }),
    case("macho/chain-target", ARM, |f| {
        let link = link(f);
        f.put_u64(link, f.u64(link) & 0xfff << 51 | 1 << 63 | 0xff_ffff);
    }),
    prepared("macho/fixup-protection", ARM, sdk_13, |f| {
        f.put_u32(f.named("__DATA_CONST") + INITIAL, 1);
    }),
    case("macho/fixup-opcode", OPCODES, |f| f.put(f.linkedit(DYLD_INFO, 8), &[0xf0])),
    case("macho/fixup-type", OPCODES, |f| f.put(f.linkedit(DYLD_INFO, 8), &[0x12])),
    case("macho/fixup-opcodes-cut", OPCODES, |f| f.put(f.linkedit(DYLD_INFO, 8), &[0])),
    case("macho/fixup-location", OPCODES, |f| {
        let start = f.linkedit(DYLD_INFO, 8);
        let at = (start..start + 4).find(|at| f.bytes[*at] >> 4 == 2).expect("SET_SEGMENT");
        f.put(at, &[0x21]);
    }),
    prepared("macho/initializer-section", ARM, initializer, |f| {
        f.add_u64(f.section("__DATA", 0) + SECTION_SIZE, -3);
    }),
    prepared("macho/initializer-target", ARM, initializer, |f| {
        f.put_u64(f.size(f.named("__DATA") + OFFSET), 8);
    }),
    prepared(
        "macho/initializer-target",
        ARM,
        |f| {
            // Offset 0 is the header, which may be executed.
            f.put(f.scratch(), &[0; 8]);
            let count = f.u32(f.named("__TEXT") + 64) as usize;
            let mut sections = (0..count).map(|index| f.section("__TEXT", index));
            let constants = sections.find(|at| f.bytes[*at..].starts_with(b"__const\0"));
            f.put_u32(constants.expect("there are constants") + SECTION_FLAGS, 0x16);
        },
        |f| f.put_u32(f.scratch(), 0x7fff_ffff),
    ),
    prepared("macho/thread-local-flag", ARM, thread_locals, |f| f.clear(FLAGS, 0x80_0000)),
    prepared("macho/thread-local-template", ARM, thread_locals, |f| {
        f.put_u32(f.section("__DATA", 0) + SECTION_FLAGS, 0);
    }),
    prepared(
        "macho/thread-local-template",
        ARM,
        |f| {
            thread_locals(f);
            f.put_u32(f.section("__DATA", 1) + SECTION_FLAGS, 0x12);
        },
        |f| {
            f.clear(FLAGS, 0x80_0000);
            f.put_u32(f.section("__DATA", 0) + SECTION_FLAGS, 0);
        },
    ),
    prepared("macho/thread-local-descriptors", ARM, thread_locals, |f| {
        f.put_u64(f.section("__DATA", 0) + SECTION_SIZE, 25);
    }),
    prepared("macho/thread-local-offset", ARM, thread_locals, |f| {
        f.put_u64(f.size(f.named("__DATA") + OFFSET) + 16, 8);
    }),
    case("macho/signature-missing", ARM, |f| f.ignore(SIGNATURE)),
    case("macho/signature-place", ARM, |f| f.bytes.extend([0; 16])),
    case("macho/signature-blob", ARM, |f| f.put_be_u32(f.linkedit(SIGNATURE, 8), 0xdead_beef)),
    case("macho/signature-directory", ARM, |f| f.put_be_u32(f.code_directory() + 8, 1)),
    case("macho/signature-directory", ARM, |f| f.put_be_u32(f.code_directory() + 48, 0x7fff_ffff)),
    case("macho/signature-hash-type", ARM, |f| f.put(f.code_directory() + 37, &[9])),
    case("macho/signature-page-size", ARM, |f| f.put(f.code_directory() + 39, &[13])),
    case("macho/signature-identifier", ARM, |f| f.put_be_u32(f.code_directory() + 20, 0xff_ffff)),
    case("macho/signature-coverage", ARM, |f| {
        let directory = f.code_directory();
        f.put_be_u32(directory + 28, 1);
        f.put_be_u32(directory + 32, 0x1000);
    }),
    case("macho/signature-coverage", ARM, |f| f.put_be_u32(f.code_directory() + 56, 0x100)),
    case("macho/signature-hash", ARM, |f| {
        f.is_sealed = true;
        f.put(f.scratch() + 100, &[1]);
    }),
];

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn put_sdk(f: &mut File, sdk: u32) {
    f.put_u32(f.command(BUILD_VERSION) + 16, sdk);
}

fn sdk_13(f: &mut File) {
    put_sdk(f, 0xd_0000);
}

fn sdk_26(f: &mut File) {
    put_sdk(f, 0x1a_0000);
}

/// Adds a segment of one page without bytes, above all others.
fn add_segment(f: &mut File) -> usize {
    let mut segment = vec![0; 72];
    segment[..8].copy_from_slice(&words(&[0x19, 72]));
    segment[8..12].copy_from_slice(b"__XX");
    segment[ADDRESS..][..8].copy_from_slice(&(1_u64 << 40).to_le_bytes());
    segment[SIZE..][..8].copy_from_slice(&0x4000_u64.to_le_bytes());
    segment[MAXIMUM] = 1;
    segment[INITIAL] = 1;
    f.add_command(&segment)
}

fn writable_executable(f: &mut File) {
    f.put_u32(f.named("__DATA") + MAXIMUM, 7);
    f.put_u32(f.named("__DATA") + INITIAL, 7);
}

/// Where what the field of the chained fixups' header names lies.
fn chained(f: &File, field: usize) -> usize {
    let start = f.linkedit(CHAINED, 8);
    start + f.u32(start + field) as usize
}

/// The starts of the first segment that has fixups.
fn starts(f: &File) -> usize {
    let start = chained(f, 4);
    let mut offsets = (0..f.u32(start) as usize).map(|index| f.u32(start + 4 + index * 4));
    start + offsets.find(|offset| *offset != 0).expect("there are fixups") as usize
}

/// The first fixup: `__DATA_CONST` is the first segment that has some.
fn link(f: &File) -> usize {
    f.size(f.named("__DATA_CONST") + OFFSET) + usize::from(f.u16(starts(f) + 22))
}

/// Makes the first section of `__DATA` one pointer to an initialiser: the header, which may be executed.
fn initializer(f: &mut File) {
    let section = f.section("__DATA", 0);
    f.put_u32(section + SECTION_FLAGS, 9);
    f.put_u64(section + SECTION_SIZE, 8);
    f.put_u64(f.size(f.named("__DATA") + OFFSET), f.u64(f.named("__TEXT") + ADDRESS));
}

/// Makes the first section of `__DATA` one descriptor.
fn thread_locals(f: &mut File) {
    let section = f.section("__DATA", 0);
    f.set(FLAGS, 0x80_0000);
    f.put_u32(section + SECTION_FLAGS, 0x13);
    f.put_u64(section + SECTION_SIZE, 24);
    f.put(f.size(f.named("__DATA") + OFFSET), &[0; 24]);
}
