//! The table of broken files: which rule, which file, and the one edit that breaks it.

use small_macos::rule::Rule;

use crate::edit::Edit;
use crate::toolchain::LIBGREET;

// Load commands.
const SEGMENT: u32 = 0x1;
const SYMTAB: u32 = 0x2;
const DYSYMTAB: u32 = 0xb;
const UNIXTHREAD: u32 = 0x5;
const LOAD_DYLIB: u32 = 0xc;
const ID_DYLIB: u32 = 0xd;
const LOAD_DYLINKER: u32 = 0xe;
/// `LC_SUB_FRAMEWORK`, which nobody looks at: what a command becomes that is to vanish.
const IGNORED: u32 = 0x12;
const UUID: u32 = 0x1b;
const CODE_SIGNATURE: u32 = 0x1d;
const FUNCTION_STARTS: u32 = 0x26;
const BUILD_VERSION: u32 = 0x32;
const LOAD_WEAK_DYLIB: u32 = 0x8000_0018;
const DYLD_INFO_ONLY: u32 = 0x8000_0022;
const MAIN: u32 = 0x8000_0028;
const EXPORTS_TRIE: u32 = 0x8000_0033;
const CHAINED_FIXUPS: u32 = 0x8000_0034;

// Fields of the header and of a segment command.
const FILE_TYPE: usize = 12;
const COMMANDS_SIZE: usize = 20;
const FLAGS: usize = 24;
const NAME: usize = 8;
const VM_ADDRESS: usize = 24;
const VM_SIZE: usize = 32;
const FILE_OFFSET: usize = 40;
const FILE_SIZE: usize = 48;
const MAXIMUM: usize = 56;
const INITIAL: usize = 60;
const SECTION_COUNT: usize = 64;
const SEGMENT_FLAGS: usize = 68;
// Fields of a section.
const SECTION_ADDRESS: usize = 32;
const SECTION_SIZE: usize = 40;
// Fields of a CodeDirectory.
const VERSION: usize = 8;
const IDENTIFIER: usize = 20;
const CODE_SLOTS: usize = 28;
const CODE_LIMIT: usize = 32;
const HASH_TYPE: usize = 37;
const PAGE_SHIFT: usize = 39;
// Section types.
const INIT_POINTERS: u32 = 9;
const INIT_OFFSETS: u32 = 0x16;
const THREAD_VARIABLES: u32 = 0x13;

const LIBSYSTEM: &str = "/usr/lib/libSystem.B.dylib";

/// The files that are broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Base {
    /// `rich.c` and its library for arm64, with chained fixups and offsets of initialisers.
    Arm64,
    /// The same for x86-64, unsigned.
    Intel,
    /// The same for x86-64, signed, with opcodes and pointers to initialisers.
    SignedIntel,
    /// The same for arm64, with opcodes and pointers to initialisers.
    Opcodes,
    /// The static program.
    Static,
    /// A fat file.
    Fat,
}

/// Which file of a base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Program,
    Library,
}

/// A broken file.
pub(crate) struct Case {
    pub(crate) rule: Rule,
    pub(crate) base: Base,
    pub(crate) part: Part,
    /// Breaks it.
    pub(crate) edit: fn(&mut Edit),
    /// Options of the small macOS.
    pub(crate) options: &'static [&'static str],
    /// Whether it is signed again after the edit.
    pub(crate) sign: bool,
    /// Options with which the same broken file must run: an older SDK, or no validation.
    pub(crate) tolerated: Option<&'static [&'static str]>,
}

/// A program that one edit breaks.
const fn case(rule: Rule, base: Base, edit: fn(&mut Edit)) -> Case {
    Case { rule, base, part: Part::Program, edit, options: &[], sign: true, tolerated: None }
}

impl Case {
    const fn in_library(self) -> Case {
        Case { part: Part::Library, ..self }
    }

    const fn unsigned(self) -> Case {
        Case { sign: false, ..self }
    }

    const fn with(self, options: &'static [&'static str]) -> Case {
        Case { options, ..self }
    }

    const fn tolerated(self, options: &'static [&'static str]) -> Case {
        Case { tolerated: Some(options), ..self }
    }
}

const SDK_26: &[&str] = &["--sdk-os", "26"];
const SDK_15: &[&str] = &["--sdk-os", "15"];
const SDK_10_14: &[&str] = &["--sdk-os", "10.14"];
const VALIDATE: &[&str] = &["--validate"];
const LAUNCH: &[&str] = &[];

use Base::{Arm64, Fat, Intel, Opcodes, SignedIntel, Static};

const KERNEL: &[Case] = &[
    case(Rule::NotAnImage, Arm64, |file| file.put_u32(0, 0x464c_457f)),
    case(Rule::NotAnImage, Arm64, |file| file.bytes.truncate(20)).unsigned(),
    case(Rule::ByteOrder, Arm64, |file| file.put_u32(0, 0xcffa_edfe)),
    case(Rule::FatSlice, Fat, |file| file.put_be_u32(20, 0x4000_0000)).unsigned(),
    case(Rule::FatSlice, Fat, |file| file.put_be_u32(4, 0x100_0000)).unsigned(),
    case(Rule::FatAlignment, Fat, |file| {
        // The first slice moves up by 8 bytes, which its neighbour's padding has room for.
        let (start, size) = (file.be_u32(16) as usize, file.be_u32(20) as usize);
        file.bytes.copy_within(start..start + size, start + 8);
        file.put_be_u32(16, u32::try_from(start).expect("small") + 8);
    })
    .unsigned(),
    case(Rule::CpuType, Arm64, |file| file.put_u32(4, 0x0100_0012)),
    case(Rule::CpuType, Arm64, |file| file.put_u32(8, 2)),
    case(Rule::FileType, Arm64, |file| file.put_u32(FILE_TYPE, 6)),
    case(Rule::CommandsSize, Arm64, |file| file.put_u32(COMMANDS_SIZE, 0x1000_0000)),
    case(Rule::CommandSize, Arm64, |file| file.put_u32(32 + 4, 4)),
    case(Rule::CommandSize, Intel, |file| file.put_u32(COMMANDS_SIZE, 100)),
    case(Rule::Segment32, Arm64, |file| become_command(file, UUID, SEGMENT)),
    case(Rule::SegmentCommandSize, Arm64, |file| put_segment(file, "__TEXT", SECTION_COUNT, 1000)),
    case(Rule::SegmentFileOffset, Arm64, |file| {
        add_to_segment(file, "__DATA", FILE_OFFSET, 0x1000);
    }),
    case(Rule::SegmentFileOffset, Intel, |file| add_to_segment(file, "__DATA", FILE_OFFSET, 8)),
    case(Rule::SegmentFileRange, Arm64, |file| {
        add_to_segment(file, "__LINKEDIT", FILE_SIZE, 0x10_0000);
    }),
    case(Rule::SegmentFileRange, Intel, |file| {
        put_segment_64(file, "__LINKEDIT", FILE_SIZE, u64::MAX);
    }),
    case(Rule::SegmentOverlap, Arm64, |file| move_onto(file, "__DATA", "__TEXT")),
    case(Rule::SegmentOverlap, Intel, |file| put_segment_64(file, "__DATA", VM_ADDRESS, 0x4000)),
    case(Rule::SegmentOverlap, Static, |file| put_segment_64(file, "__TEXT", VM_SIZE, 1 << 47)),
    case(Rule::PageZero, Arm64, |file| put_segment_64(file, "__PAGEZERO", VM_SIZE, 0xffff_c000)),
    case(Rule::PageZero, Intel, |file| put_segment(file, "__PAGEZERO", MAXIMUM, 1)),
    case(Rule::HeaderSegment, Arm64, |file| put_segment(file, "__TEXT", INITIAL, 1)),
    case(Rule::HeaderSegment, Intel, |file| put_segment_64(file, "__DATA", FILE_OFFSET, 0)),
    case(Rule::WritableExecutable, Arm64, |file| protect(file, "__TEXT", 7)),
    case(Rule::MaximumProtection, Intel, |file| put_segment(file, "__DATA", MAXIMUM, 1)),
    case(Rule::OneReadOnlySegment, Arm64, |file| put_segment(file, "__DATA", SEGMENT_FLAGS, 0x10)),
    case(Rule::PositionIndependent, Arm64, |file| clear_flag(file, 0x0020_0000)),
    case(Rule::NoStatic, Arm64, |file| clear_flag(file, 4)),
    case(Rule::OneEntry, Arm64, |file| become_command(file, UUID, MAIN)),
    case(Rule::NoEntry, Arm64, |file| become_command(file, MAIN, UUID)),
    case(Rule::MainSize, Arm64, |file| become_command(file, BUILD_VERSION, MAIN)),
    case(Rule::MainSize, Intel, |file| {
        let main = file.command(MAIN);
        file.put_u64(main + 16, 1 << 46);
    }),
    case(Rule::ThreadState, Static, |file| {
        let thread = file.command(UNIXTHREAD);
        file.put_u32(thread + 8, 6);
    }),
    case(Rule::EntryPoint, Static, |file| {
        let thread = file.command(UNIXTHREAD);
        file.put_u64(thread + 16 + 16 * 8, 0x2_0000_0000);
    }),
    case(Rule::DylinkerMissing, Arm64, |file| become_command(file, LOAD_DYLINKER, IGNORED)),
    case(Rule::DylinkerPath, Arm64, |file| replace(file, "/usr/lib/dyld", "/usr/lib/dyle")),
    case(Rule::DylinkerPath, Arm64, |file| {
        let dylinker = file.command(LOAD_DYLINKER);
        file.put_u32(dylinker + 8, 1000);
    }),
    case(Rule::OneDylinker, Arm64, |file| become_command(file, LOAD_DYLIB, LOAD_DYLINKER)),
    case(Rule::UuidSize, Arm64, |file| become_command(file, BUILD_VERSION, UUID)),
    case(Rule::OneVersion, Arm64, |file| become_command(file, UUID, BUILD_VERSION)),
    case(Rule::SignatureCommand, Arm64, |file| {
        let signature = file.command(CODE_SIGNATURE);
        file.put_u32(signature + 12, 0x1000_0000);
    })
    .unsigned(),
];

const SIGNATURE: &[Case] = &[
    case(Rule::SignatureMissing, Arm64, |file| become_command(file, CODE_SIGNATURE, IGNORED))
        .unsigned(),
    case(Rule::SuperBlob, Arm64, |file| {
        let signature = file.signature();
        file.put_be_u32(signature, 0xfade_0cc1);
    })
    .unsigned(),
    case(Rule::SuperBlob, SignedIntel, |file| {
        let signature = file.signature();
        file.put_be_u32(signature + 4, 0x10_0000);
    })
    .unsigned(),
    case(Rule::CodeDirectory, Arm64, |file| put_directory(file, VERSION, 0x10000)).unsigned(),
    case(Rule::SignatureHashType, Arm64, |file| put_directory_byte(file, HASH_TYPE, 9)).unsigned(),
    case(Rule::SignatureHashType, Arm64, |file| put_directory_byte(file, HASH_TYPE - 1, 20))
        .unsigned(),
    case(Rule::SignaturePageSize, Arm64, |file| put_directory_byte(file, PAGE_SHIFT, 16))
        .unsigned(),
    case(Rule::SignaturePageSize, SignedIntel, |file| put_directory_byte(file, PAGE_SHIFT, 14))
        .unsigned(),
    case(Rule::SignatureIdentifier, Arm64, |file| put_directory(file, IDENTIFIER, 0x10_0000))
        .unsigned(),
    case(Rule::SignatureSlots, Arm64, |file| {
        let slots = file.be_u32(file.code_directory() + CODE_SLOTS);
        put_directory(file, CODE_SLOTS, slots - 1);
    })
    .unsigned(),
    case(Rule::SignatureCoverage, Arm64, |file| put_directory(file, CODE_LIMIT, 0x3fff)).unsigned(),
    case(Rule::SignaturePageHash, Arm64, |file| replace(file, "argument", "argUment")).unsigned(),
    case(Rule::SignaturePageHash, Arm64, |file| set_flag(file, 0x10)).unsigned(),
    case(Rule::SignaturePageHash, SignedIntel, |file| replace(file, "argument", "argUment"))
        .unsigned(),
    case(Rule::SignaturePageHash, Arm64, |file| replace(file, "morning", "evening"))
        .in_library()
        .unsigned(),
];

const STRUCTURE: &[Case] = &[
    case(Rule::DyldCommandSize, Arm64, |file| {
        let version = file.command(BUILD_VERSION);
        file.put_u32(version + 20, 5);
    }),
    case(Rule::DyldCommandSize, Intel, |file| become_command(file, UUID, FUNCTION_STARTS)),
    case(Rule::DyldString, Arm64, |file| {
        let library = file.command(LOAD_DYLIB);
        file.put_u32(library + 8, 500);
    }),
    case(Rule::UnknownCommand, Arm64, |file| become_command(file, FUNCTION_STARTS, 0x8000_0099)),
    case(Rule::OneUuid, Arm64, |file| become_command(file, SYMTAB, UUID)),
    case(Rule::IdDylib, Arm64, |file| become_command(file, LOAD_DYLIB, ID_DYLIB)),
    case(Rule::IdDylib, Arm64, |file| become_command(file, ID_DYLIB, IGNORED)).in_library(),
    case(Rule::Platform, Arm64, |file| {
        let version = file.command(BUILD_VERSION);
        file.put_u32(version + 8, 2);
    }),
    case(Rule::DyldSegmentFileRange, Arm64, |file| {
        add_to_segment(file, "__LINKEDIT", FILE_SIZE, 0x10_0000);
    })
    .in_library(),
    case(Rule::SegmentSize, Arm64, |file| put_segment_64(file, "__LINKEDIT", VM_SIZE, 8)),
    case(Rule::SegmentProtection, Arm64, |file| protect(file, "__DATA", 0x13)),
    case(Rule::SegmentWrap, Arm64, |file| {
        put_segment_64(file, "__LINKEDIT", VM_ADDRESS, 0xffff_ffff_ffff_fff0);
    })
    .in_library(),
    case(Rule::SectionStart, Arm64, |file| {
        put_section(file, "__DATA", THREAD_VARIABLES, SECTION_ADDRESS, 0);
    }),
    case(Rule::DyldSegmentOverlap, Arm64, |file| {
        let offset = file.u64(file.segment("__DATA_CONST") + FILE_OFFSET);
        put_segment_64(file, "__DATA", FILE_OFFSET, offset);
    }),
    case(Rule::TextSegment, Arm64, |file| rename_segment(file, "__TEXT", "__TEXX")),
    case(Rule::MainOffset, Arm64, |file| {
        let main = file.command(MAIN);
        file.put_u64(main + 8, 0x1000_0000);
    }),
];

const POLICIES: &[Case] = &[
    case(Rule::LinkeditPermissions, Arm64, |file| protect(file, "__LINKEDIT", 3))
        .with(SDK_26)
        .tolerated(SDK_15),
    case(Rule::LinkeditPermissions, Arm64, |file| protect(file, "__LINKEDIT", 3))
        .in_library()
        .with(SDK_15),
    case(Rule::SegmentOrder, Arm64, |file| swap_segments(file, "__DATA_CONST", "__DATA"))
        .with(SDK_26),
    case(Rule::TextPermissions, SignedIntel, |file| protect(file, "__TEXT", 7))
        .tolerated(SDK_10_14),
    case(Rule::SectionsInSegment, Arm64, |file| {
        put_section(file, "__DATA", 1, SECTION_SIZE, 0x100_0000);
    })
    .tolerated(SDK_10_14),
    case(Rule::DylibInCacheFlag, Arm64, |file| set_flag(file, 0x8000_0000)).tolerated(SDK_10_14),
    case(Rule::HasUuid, Arm64, |file| become_command(file, UUID, IGNORED))
        .with(SDK_26)
        .tolerated(SDK_15),
    case(Rule::HasUuid, Arm64, |file| become_command(file, UUID, IGNORED))
        .in_library()
        .with(SDK_15),
    case(Rule::HasLinkedDylibs, Arm64, |file| {
        become_command(file, LOAD_DYLIB, IGNORED);
        become_command(file, LOAD_DYLIB, IGNORED);
    })
    .with(SDK_26),
    case(Rule::DuplicateDylibs, Arm64, |file| {
        replace(file, LIBGREET, &format!("{LIBSYSTEM}\0\0\0\0\0"));
    })
    .with(SDK_26),
    case(Rule::DuplicateRpaths, Arm64, |file| {
        replace(file, "@executable_path/b", "@executable_path/a");
    })
    .with(SDK_26)
    .tolerated(SDK_15),
    case(Rule::UniqueSegmentNames, Arm64, |file| rename_segment(file, "__DATA_CONST", "__DATA"))
        .with(SDK_26)
        .tolerated(SDK_15),
    case(Rule::DataPermissions, Arm64, |file| protect(file, "__DATA", 1)).with(SDK_26),
    case(Rule::DataConstFlag, Arm64, |file| put_segment(file, "__DATA_CONST", SEGMENT_FLAGS, 0))
        .with(SDK_26)
        .tolerated(SDK_15),
];

const VALIDATION: &[Case] = &[
    case(Rule::LinkeditAlignment, Arm64, |file| {
        let symbols = file.command(SYMTAB);
        let (offset, count) = (file.u32(symbols + 8), file.u32(symbols + 12));
        file.put_u32(symbols + 8, offset + 4);
        file.put_u32(symbols + 12, count - 1);
    })
    .with(VALIDATE)
    .tolerated(LAUNCH),
    case(Rule::LinkeditLayout, Arm64, |file| {
        let (starts, trie) = (file.command(FUNCTION_STARTS), file.table(EXPORTS_TRIE, 8));
        file.put_u32(starts + 8, u32::try_from(trie).expect("small"));
    })
    .with(VALIDATE)
    .tolerated(LAUNCH),
    case(Rule::SignatureAlignment, Arm64, |file| {
        file.move_signature(4);
        add_to_segment(file, "__LINKEDIT", FILE_SIZE, 4);
        add_to_segment(file, "__LINKEDIT", VM_SIZE, 4);
    })
    .with(VALIDATE)
    .tolerated(LAUNCH),
    case(Rule::FixupsInWritableSegments, Intel, |file| protect(file, "__DATA", 7))
        .with(VALIDATE)
        .tolerated(LAUNCH),
    case(Rule::SymbolTable, Arm64, |file| {
        let table = file.command(DYSYMTAB);
        file.put_u32(table + 8, 1);
    })
    .with(VALIDATE)
    .tolerated(LAUNCH),
    case(Rule::SymbolStrings, Arm64, |file| {
        let symbols = file.table(SYMTAB, 8);
        file.put_u32(symbols, 0x10_0000);
    })
    .with(VALIDATE)
    .tolerated(LAUNCH),
    case(Rule::IndirectSymbols, Arm64, |file| {
        let table = file.command(DYSYMTAB);
        file.put_u32(table + 60, 0);
    })
    .with(VALIDATE)
    .tolerated(LAUNCH),
    case(Rule::FunctionStarts, Arm64, |file| {
        let starts = file.table(FUNCTION_STARTS, 8);
        file.bytes[starts..starts + 4].fill(0xff);
    })
    .with(VALIDATE)
    .tolerated(LAUNCH),
];

const LINKING: &[Case] = &[
    case(Rule::OneFixupEncoding, Opcodes, |file| {
        become_command(file, FUNCTION_STARTS, CHAINED_FIXUPS);
    }),
    case(Rule::LinkeditRange, Arm64, |file| {
        let trie = file.command(EXPORTS_TRIE);
        file.put_u32(trie + 8, 0x1000_0000);
    }),
    case(Rule::LibraryMissing, Arm64, |file| {
        replace(file, LIBGREET, "@executable_path/libGreet.dylib");
    }),
    case(Rule::LibraryMissing, Arm64, |file| file.put_u32(FILE_TYPE, 2)).in_library(),
    case(Rule::LinksWithLibSystem, Arm64, |file| {
        for library in file.all(LOAD_DYLIB) {
            file.put_u32(library, LOAD_WEAK_DYLIB);
        }
        replace(file, LIBSYSTEM, "/usr/lib/libSystem.C.dylib");
        replace(file, LIBGREET, "@executable_path/libGreet.dylib");
    }),
    case(Rule::SymbolMissing, Arm64, |file| replace_import(file, "_printf", "_prantf")),
    case(Rule::SymbolMissing, Opcodes, |file| replace_import(file, "_printf", "_prantf")),
    case(Rule::LibraryOrdinal, Arm64, |file| {
        let import = chained(file, 8);
        file.bytes[import] = 9;
    }),
    case(Rule::LibraryOrdinal, Opcodes, |file| {
        // The first BIND_OPCODE_SET_DYLIB_ORDINAL_IMM: names before it are letters, so it is the first byte 0x11 or 0x12.
        let binds = file.table(DYLD_INFO_ONLY, 16);
        let ordinal = file.bytes[binds..]
            .iter()
            .position(|byte| matches!(byte, 0x11 | 0x12))
            .expect("two libraries are linked");
        file.bytes[binds + ordinal] = 0x19;
    }),
    case(Rule::ChainedHeader, Arm64, |file| {
        let blob = file.table(CHAINED_FIXUPS, 8);
        file.put_u32(blob, 1);
    }),
    case(Rule::ChainedHeader, Arm64, |file| {
        let blob = file.table(CHAINED_FIXUPS, 8);
        file.put_u32(blob + 24, 1);
    }),
    case(Rule::ChainedHeader, Arm64, |file| {
        let blob = file.table(CHAINED_FIXUPS, 8);
        file.put_u32(blob + 8, 4);
    }),
    case(Rule::ChainedSegments, Arm64, |file| {
        let starts = chained(file, 4);
        file.put_u32(starts, 4);
    }),
    case(Rule::ChainedStarts, Arm64, |file| {
        let starts = chained_segment(file);
        file.put_u16(starts + 4, 0x2000);
    }),
    case(Rule::ChainedStarts, Arm64, |file| {
        let starts = chained_segment(file);
        file.put_u16(starts + 6, 1);
    }),
    case(Rule::ChainedStarts, Arm64, |file| {
        let starts = chained_segment(file);
        file.put_u64(starts + 8, 0);
    }),
    case(Rule::ChainedPageStart, Arm64, |file| {
        let starts = chained_segment(file);
        file.put_u16(starts + 22, 0x4000);
    }),
    case(Rule::ChainedImports, Arm64, |file| {
        let blob = file.table(CHAINED_FIXUPS, 8);
        file.put_u32(blob + 20, 7);
    }),
    case(Rule::ChainedImports, Arm64, |file| {
        let import = chained(file, 8);
        file.put_u32(import, 0xffff_fe01);
    }),
    case(Rule::ChainLink, Arm64, |file| {
        let link = first_link(file);
        let bits = file.u64(link);
        file.put_u64(link, bits | 0xfff << 51);
    }),
    case(Rule::ChainTarget, Arm64, |file| {
        // A bind to an import that does not exist.
        let link = first_link(file);
        let bits = file.u64(link);
        file.put_u64(link, 1 << 63 | bits & 0xfff << 51 | 0xff_ffff);
    }),
    case(Rule::ChainTarget, Arm64, |file| {
        // A rebase to what is outside the image.
        let link = first_link(file);
        let bits = file.u64(link);
        file.put_u64(link, bits & 0xfff << 51 | 0xf_0000_0000);
    }),
    case(Rule::FixupOpcode, Opcodes, |file| {
        let rebases = file.table(DYLD_INFO_ONLY, 8);
        file.bytes[rebases] = 0xf0;
    }),
    case(Rule::FixupOpcode, Opcodes, |file| {
        let binds = file.table(DYLD_INFO_ONLY, 16);
        file.bytes[binds] = 0xf0;
    }),
    case(Rule::FixupLocation, Opcodes, |file| {
        // REBASE_OPCODE_SET_TYPE_IMM, then REBASE_OPCODE_SET_SEGMENT_AND_OFFSET_ULEB with a segment that is not there.
        let rebases = file.table(DYLD_INFO_ONLY, 8);
        assert_eq!(file.bytes[rebases + 1] & 0xf0, 0x20);
        file.bytes[rebases + 1] = 0x2f;
    }),
    case(Rule::FixupLocation, Arm64, |file| protect(file, "__DATA", 1)),
    case(Rule::ExportsTrie, Arm64, |file| {
        let trie = file.table(EXPORTS_TRIE, 8);
        file.bytes[trie + 1] = 0xff;
    }),
    case(Rule::ExportsTrie, Arm64, |file| {
        // The root's first child becomes the root: the edge's name ends in a NUL, and its target follows.
        let trie = file.table(EXPORTS_TRIE, 8);
        let end = file.bytes[trie + 2..].iter().position(|byte| *byte == 0).expect("the name ends");
        file.bytes[trie + 2 + end + 1] = 0;
    })
    .in_library(),
    case(Rule::Initializers, Opcodes, |file| {
        put_section(file, "__DATA_CONST", INIT_POINTERS, SECTION_SIZE, 7);
    }),
    case(Rule::Initializers, Arm64, |file| {
        put_section(file, "__TEXT", INIT_OFFSETS, SECTION_SIZE, 3);
    }),
    case(Rule::Initializers, Arm64, |file| {
        let section = file.sections("__TEXT", INIT_OFFSETS)[0];
        let offset = file.u32(section + 48) as usize;
        file.put_u32(offset, 0x10_0000);
    }),
    case(Rule::ThreadLocals, Arm64, |file| {
        let section = file.sections("__DATA", THREAD_VARIABLES)[0];
        let offset = file.u32(section + 48) as usize;
        file.put_u64(offset + 16, 0x1000);
    }),
    case(Rule::ThreadLocals, Intel, |file| {
        put_section(file, "__DATA", THREAD_VARIABLES, SECTION_SIZE, 25);
    }),
    case(Rule::ThreadLocalFlag, Arm64, |file| clear_flag(file, 0x0080_0000)),
];

fn become_command(file: &mut Edit, from: u32, to: u32) {
    let at = file.command(from);
    file.put_u32(at, to);
}

fn put_segment(file: &mut Edit, name: &str, field: usize, value: u32) {
    let at = file.segment(name);
    file.put_u32(at + field, value);
}

fn put_segment_64(file: &mut Edit, name: &str, field: usize, value: u64) {
    let at = file.segment(name);
    file.put_u64(at + field, value);
}

fn add_to_segment(file: &mut Edit, name: &str, field: usize, value: u64) {
    let at = file.segment(name) + field;
    file.put_u64(at, file.u64(at) + value);
}

fn move_onto(file: &mut Edit, name: &str, other: &str) {
    let address = file.u64(file.segment(other) + VM_ADDRESS);
    put_segment_64(file, name, VM_ADDRESS, address);
}

fn protect(file: &mut Edit, name: &str, protection: u32) {
    put_segment(file, name, MAXIMUM, protection);
    put_segment(file, name, INITIAL, protection);
}

fn rename_segment(file: &mut Edit, from: &str, to: &str) {
    let at = file.segment(from) + NAME;
    file.bytes[at..at + 16].fill(0);
    file.bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
}

/// Exchanges the commands of two segments that are neighbours.
fn swap_segments(file: &mut Edit, first: &str, second: &str) {
    let (first, second) = (file.segment(first), file.segment(second));
    let size = file.u32(second + 4) as usize;
    assert_eq!(first + file.u32(first + 4) as usize, second);
    file.bytes[first..second + size].rotate_left(second - first);
}

fn put_section(file: &mut Edit, segment: &str, kind: u32, field: usize, value: u64) {
    let section = file.sections(segment, kind)[0];
    file.put_u64(section + field, value);
}

fn set_flag(file: &mut Edit, flag: u32) {
    file.put_u32(FLAGS, file.u32(FLAGS) | flag);
}

fn clear_flag(file: &mut Edit, flag: u32) {
    file.put_u32(FLAGS, file.u32(FLAGS) & !flag);
}

fn put_directory(file: &mut Edit, field: usize, value: u32) {
    let directory = file.code_directory();
    file.put_be_u32(directory + field, value);
}

fn put_directory_byte(file: &mut Edit, field: usize, value: u8) {
    let directory = file.code_directory();
    file.bytes[directory + field] = value;
}

fn replace(file: &mut Edit, from: &str, to: &str) {
    assert_eq!(from.len(), to.len());
    let at = file.find(from);
    file.bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
}

/// Replaces a name with its NUL in `__LINKEDIT`, in every table that has it.
fn replace_import(file: &mut Edit, from: &str, to: &str) {
    let (from, to) = (format!("{from}\0"), format!("{to}\0"));
    while file.bytes.windows(from.len()).any(|window| window == from.as_bytes()) {
        replace(file, &from, &to);
    }
}

/// The file offset of what the header of the chained fixups names in the field at byte `field`.
fn chained(file: &Edit, field: usize) -> usize {
    let blob = file.table(CHAINED_FIXUPS, 8);
    blob + file.u32(blob + field) as usize
}

/// The starts of the first segment that has fixups.
fn chained_segment(file: &Edit) -> usize {
    let starts = chained(file, 4);
    let offset = (0..file.u32(starts) as usize)
        .map(|index| file.u32(starts + 4 + index * 4) as usize)
        .find(|offset| *offset != 0);
    starts + offset.expect("there are fixups")
}

/// The first link of `__DATA_CONST`.
fn first_link(file: &Edit) -> usize {
    let start = file.u32(chained_segment(file) + 22) & 0xffff;
    usize::try_from(file.u64(file.segment("__DATA_CONST") + FILE_OFFSET)).expect("small")
        + start as usize
}

/// All of them.
pub(crate) fn cases() -> impl Iterator<Item = &'static Case> {
    [KERNEL, SIGNATURE, STRUCTURE, POLICIES, VALIDATION, LINKING].into_iter().flatten()
}
