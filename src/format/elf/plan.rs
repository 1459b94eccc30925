//! Which segments an ELF file has, in which order, and where they may lie.
//!
//! Segments ascend in memory and in the file (gABI, "Program Header": `PT_LOAD` entries ascend by
//! `p_vaddr`). Headers come first, so that the kernel's `AT_PHDR` points at them in memory
//! (`create_elf_tables` takes the `PT_LOAD` that holds `e_phoff`). Constants and instructions are apart,
//! so that constants cannot be executed. What turns read-only after relocation is a segment of its own,
//! so that whole pages of it can be protected.

use super::dynamic::is_dynamic;
use crate::arch::start_up;
use crate::format::plan::{
    Forwards, ImportSlots, InitList, Loader, Permissions, Placement, Role, Rules, SectionRow,
    SegmentRole, SegmentRow, TableId, ThreadLocals,
};
use crate::program::{OutputKind, Position, Program, SectionKind, Start};
use crate::target::Architecture;
use crate::units::{Address, Align, Size};

/// The file header and the program headers behind it.
pub(super) const HEADERS: TableId = TableId(0);
/// The note that identifies the build.
pub(super) const BUILD_ID: TableId = TableId(1);
/// Relocations that are left for load time.
pub(super) const RELA_DYN: TableId = TableId(2);
/// The symbol table.
pub(super) const SYMTAB: TableId = TableId(3);
/// Names of symbols.
pub(super) const STRTAB: TableId = TableId(4);
/// Names of sections.
pub(super) const SHSTRTAB: TableId = TableId(5);
/// The section headers.
pub(super) const SECTION_HEADERS: TableId = TableId(6);
/// The path of the dynamic linker.
pub(super) const INTERP: TableId = TableId(7);
/// What the dynamic linker reads, and where its other tables are.
pub(super) const DYNAMIC: TableId = TableId(8);
/// Symbols that it looks up, and that others look up here.
pub(super) const DYNSYM: TableId = TableId(9);
/// Their names.
pub(super) const DYNSTR: TableId = TableId(10);
/// How others find a symbol by its name.
pub(super) const GNU_HASH: TableId = TableId(11);
/// The same, in the way of System V.
pub(super) const HASH: TableId = TableId(12);
/// Each symbol's version.
pub(super) const VERSYM: TableId = TableId(13);
/// The versions that are wanted of libraries.
pub(super) const VERNEED: TableId = TableId(14);
/// The versions that the library has.
pub(super) const VERDEF: TableId = TableId(15);

const fn table(name: &'static str, table: TableId) -> SectionRow {
    SectionRow { name, role: Role::Table(table) }
}

const fn kind(name: &'static str, kind: SectionKind) -> SectionRow {
    SectionRow { name, role: Role::Kind(kind) }
}

const fn mapped(
    name: &'static str,
    permissions: Permissions,
    sections: &'static [SectionRow],
) -> SegmentRow {
    SegmentRow { name, permissions, role: SegmentRole::Plain, filled: false, sections }
}

const SLOTS: SectionRow = SectionRow { name: ".got", role: Role::Slots };
const UNWIND: SectionRow = kind(".eh_frame_hdr", SectionKind::Unwind);
const UNWIND_RECORDS: SectionRow = kind(".eh_frame", SectionKind::UnwindRecords);
const INIT: SectionRow = kind(".init_array", SectionKind::Init);
const FINI: SectionRow = kind(".fini_array", SectionKind::Fini);
const REL_RO: SectionRow = kind(".data.rel.ro", SectionKind::RelRo);
/// What threads copy is constant once it is relocated. Its zeros take addresses here, so that nothing else lies
/// at them.
const TLS_DATA: SectionRow = kind(".tdata", SectionKind::TlsData);
const TLS_BSS: SectionRow = kind(".tbss", SectionKind::TlsBss);

const CODE: SegmentRow = mapped(
    "code",
    Permissions::READ_EXECUTE,
    &[kind(".text", SectionKind::Code), SectionRow { name: ".plt", role: Role::Stubs }],
);

const DATA: SegmentRow = mapped(
    "data",
    Permissions::READ_WRITE,
    &[kind(".data", SectionKind::Data), kind(".bss", SectionKind::Bss)],
);

/// What only debuggers and people read.
const NOT_MAPPED: SegmentRow = SegmentRow {
    name: "not mapped",
    permissions: Permissions::NONE,
    role: SegmentRole::NotMapped,
    filled: false,
    sections: &[
        table(".symtab", SYMTAB),
        table(".strtab", STRTAB),
        table(".shstrtab", SHSTRTAB),
        table("section headers", SECTION_HEADERS),
    ],
};

static INDEPENDENT: &[SegmentRow] = &[
    mapped(
        "constants",
        Permissions::READ,
        &[
            table("headers", HEADERS),
            table(".note.gnu.build-id", BUILD_ID),
            table(".rela.dyn", RELA_DYN),
            kind(".rodata", SectionKind::ReadOnly),
            UNWIND,
            UNWIND_RECORDS,
        ],
    ),
    CODE,
    SegmentRow {
        name: "relro",
        permissions: Permissions::READ_WRITE,
        role: SegmentRole::RelRo,
        filled: false,
        sections: &[INIT, FINI, REL_RO, SLOTS, TLS_DATA, TLS_BSS],
    },
    DATA,
    NOT_MAPPED,
];

/// What a dynamic linker loads: it wants its tables in memory, the one that it starts from where it may
/// write (`DT_DEBUG`).
static DYNAMIC_SEGMENTS: &[SegmentRow] = &[
    mapped(
        "constants",
        Permissions::READ,
        &[
            table("headers", HEADERS),
            table(".interp", INTERP),
            table(".note.gnu.build-id", BUILD_ID),
            table(".gnu.hash", GNU_HASH),
            table(".hash", HASH),
            table(".dynsym", DYNSYM),
            table(".dynstr", DYNSTR),
            table(".gnu.version", VERSYM),
            table(".gnu.version_d", VERDEF),
            table(".gnu.version_r", VERNEED),
            table(".rela.dyn", RELA_DYN),
            kind(".rodata", SectionKind::ReadOnly),
            UNWIND,
            UNWIND_RECORDS,
        ],
    ),
    CODE,
    SegmentRow {
        name: "relro",
        permissions: Permissions::READ_WRITE,
        role: SegmentRole::RelRo,
        filled: false,
        sections: &[INIT, FINI, table(".dynamic", DYNAMIC), REL_RO, SLOTS, TLS_DATA, TLS_BSS],
    },
    DATA,
    NOT_MAPPED,
];

/// At a fixed position every address is known now, so pointers are constants like others.
static FIXED: &[SegmentRow] = &[
    mapped(
        "constants",
        Permissions::READ,
        &[
            table("headers", HEADERS),
            table(".note.gnu.build-id", BUILD_ID),
            kind(".rodata", SectionKind::ReadOnly),
            UNWIND,
            UNWIND_RECORDS,
            INIT,
            FINI,
            REL_RO,
            SLOTS,
        ],
    ),
    CODE,
    // Zeros are only ever in writable memory, and those of the template follow its data.
    mapped(
        "data",
        Permissions::READ_WRITE,
        &[kind(".data", SectionKind::Data), TLS_DATA, TLS_BSS, kind(".bss", SectionKind::Bss)],
    ),
    NOT_MAPPED,
];

pub(super) fn segments(program: &Program<'_>) -> &'static [SegmentRow] {
    match program.wishes.position {
        _ if is_dynamic(program) => DYNAMIC_SEGMENTS,
        Position::Independent => INDEPENDENT,
        Position::Fixed => FIXED,
    }
}

/// Where GNU ld and lld put x86-64 and arm64 programs that are linked at a fixed position: far above
/// `vm.mmap_min_addr`, and a multiple of every page size.
const FIXED_BASE: Address = Address(0x40_0000);

pub(super) fn rules(program: &Program<'_>) -> Rules {
    let image_base = match program.wishes.position {
        Position::Independent => Address(0),
        Position::Fixed => program.wishes.base.unwrap_or(FIXED_BASE),
    };
    Rules {
        image_base,
        page_size: page_size(program.target.architecture),
        placement: Placement::Congruent,
        memory_limit: Size(memory_limit(program.target.architecture) - image_base.0),
        // The kernel gives the load bias the greatest `p_align` (`maximum_alignment`).
        greatest_align: Align::of(1 << 62),
        greatest_tls_align: Align::of(1 << 62),
    }
}

pub(super) const fn page_size(architecture: Architecture) -> Align {
    match architecture {
        Architecture::X86_64 => Align::of(0x1000),
        // Kernels have pages of 4, 16 or 64 KiB; what is laid out for the largest runs on all of them.
        Architecture::Aarch64 => Align::of(0x1_0000),
    }
}

/// How many addresses a program has.
pub(super) const fn memory_limit(architecture: Architecture) -> u64 {
    match architecture {
        // 47 bits of them (Linux Documentation/arch/x86/x86_64/mm.rst).
        Architecture::X86_64 => 1 << 47,
        // 48 bits (Linux Documentation/arch/arm64/memory.rst).
        Architecture::Aarch64 => 1 << 48,
    }
}

/// The kernel applies no relocations; a program without a dynamic linker has nobody else.
pub(super) fn loader(program: &Program<'_>) -> Loader {
    Loader {
        relocates: is_dynamic(program),
        calls_main: false,
        import_pointers: true,
        import_slots: ImportSlots::AmongOthers,
        init_list: InitList::Pointers,
        forwards: Forwards::Never,
        // `ld.so` does for libraries; `__libc_start_main` and `exit` do for a program.
        runs_lists: program.kind == OutputKind::SharedLibrary
            || start_up::start(program) == Start::Libc,
        // A program's variables are the first that lie at the thread pointer (ELF Handling For Thread-Local
        // Storage, 3.4); a library's lie where there was room.
        thread_locals: ThreadLocals::ThreadPointer {
            is_known: program.kind == OutputKind::Executable,
        },
    }
}
