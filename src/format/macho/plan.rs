//! Which segments a Mach-O file has, in which order, and where they may lie.
//!
//! Load commands, file and memory have one order (dyld `enforceSegmentOrderMatchesLoadCmds`). The first
//! segment holds the headers and is readable and executable, constants included (xnu `parse_machfile`;
//! dyld `enforceTextSegmentPermissions`). What turns read-only once dyld has fixed it up is `__DATA_CONST`
//! (`Loader::makeSegmentsReadOnly`). `__LINKEDIT` comes last and is read-only.

use crate::arch::start_up;
use crate::format::plan::{
    Forwards, ImportSlots, InitList, Loader, Permissions, Placement, Role, Rules, SectionRow,
    SegmentRole, SegmentRow, TableId, ThreadLocals,
};
use crate::program::{OutputKind, Position, Program, SectionKind, SystemVersion};
use crate::target::Architecture;
use crate::units::{Address, Align, Size};

/// The Mach header and the load commands.
pub(super) const HEADERS: TableId = TableId(0);
/// What dyld writes when it loads the program: chains, or opcodes that rebase.
pub(super) const FIXUPS: TableId = TableId(1);
/// Opcodes that bind imports, for systems without chains.
pub(super) const BINDS: TableId = TableId(2);
/// What others can look up in the program.
pub(super) const EXPORTS: TableId = TableId(3);
/// Where functions start.
pub(super) const FUNCTION_STARTS: TableId = TableId(4);
/// The symbol table.
pub(super) const SYMBOLS: TableId = TableId(5);
/// Which symbol each stub and slot is for.
pub(super) const INDIRECT_SYMBOLS: TableId = TableId(6);
/// Names of symbols.
pub(super) const STRINGS: TableId = TableId(7);
/// The code signature.
pub(super) const SIGNATURE: TableId = TableId(8);

pub(super) const TEXT: &str = "__TEXT";
pub(super) const DATA_CONST: &str = "__DATA_CONST";
pub(super) const LINKEDIT: &str = "__LINKEDIT";

const fn table(name: &'static str, table: TableId) -> SectionRow {
    SectionRow { name, role: Role::Table(table) }
}

const fn kind(name: &'static str, kind: SectionKind) -> SectionRow {
    SectionRow { name, role: Role::Kind(kind) }
}

const fn segment(
    name: &'static str,
    permissions: Permissions,
    sections: &'static [SectionRow],
) -> SegmentRow {
    SegmentRow {
        name,
        permissions,
        role: SegmentRole::Plain,
        // Bytes behind a segment's last in its last page are not cleared (xnu `map_segment`).
        filled: true,
        sections,
    }
}

const HEADERS_ROW: SectionRow = table("headers", HEADERS);
const CODE: SectionRow = kind("__text", SectionKind::Code);
const STUBS: SectionRow = SectionRow { name: "__stubs", role: Role::Stubs };
const CONST: SectionRow = kind("__const", SectionKind::ReadOnly);
const UNWIND_RECORDS: SectionRow = kind("__eh_frame", SectionKind::UnwindRecords);
const UNWIND: SectionRow = kind("__unwind_info", SectionKind::Unwind);
const INIT_OFFSETS: SectionRow = SectionRow { name: "__init_offsets", role: Role::InitOffsets };
const INIT: SectionRow = kind("__mod_init_func", SectionKind::Init);
const FINI: SectionRow = kind("__mod_term_func", SectionKind::Fini);
const SLOTS: SectionRow = SectionRow { name: "__got", role: Role::Slots };

const DATA: SegmentRow = segment(
    "__DATA",
    Permissions::READ_WRITE,
    &[
        kind("__data", SectionKind::Data),
        SectionRow { name: "__thread_vars", role: Role::Variables },
        // dyld copies from the first byte of the one to the last of the other (`findInitialContent`).
        kind("__thread_data", SectionKind::TlsData),
        kind("__thread_bss", SectionKind::TlsBss),
        kind("__bss", SectionKind::Bss),
    ],
);

/// In the order that dyld's `Image::validate` calls canonical.
const LINKEDIT_ROW: SegmentRow = SegmentRow {
    role: SegmentRole::Late,
    // The signature is the last thing in the file.
    filled: false,
    ..segment(
        LINKEDIT,
        Permissions::READ,
        &[
            table("fixups", FIXUPS),
            table("binds", BINDS),
            table("exports trie", EXPORTS),
            table("function starts", FUNCTION_STARTS),
            table("symbol table", SYMBOLS),
            table("indirect symbols", INDIRECT_SYMBOLS),
            table("strings", STRINGS),
            table("code signature", SIGNATURE),
        ],
    )
};

static INDEPENDENT: &[SegmentRow] = &[
    segment(
        TEXT,
        Permissions::READ_EXECUTE,
        &[HEADERS_ROW, CODE, STUBS, INIT_OFFSETS, CONST, UNWIND_RECORDS, UNWIND],
    ),
    SegmentRow {
        role: SegmentRole::RelRo,
        ..segment(
            DATA_CONST,
            Permissions::READ_WRITE,
            &[SLOTS, INIT, FINI, kind("__const", SectionKind::RelRo)],
        )
    },
    DATA,
    LINKEDIT_ROW,
];

/// At a fixed position every address is known now, so pointers are constants like others.
static FIXED: &[SegmentRow] = &[
    segment(
        TEXT,
        Permissions::READ_EXECUTE,
        &[
            HEADERS_ROW,
            CODE,
            STUBS,
            CONST,
            UNWIND_RECORDS,
            UNWIND,
            INIT,
            FINI,
            kind("__const_pointers", SectionKind::RelRo),
            SLOTS,
        ],
    ),
    DATA,
    LINKEDIT_ROW,
];

pub(super) fn segments(position: Position) -> &'static [SegmentRow] {
    match position {
        Position::Independent => INDEPENDENT,
        Position::Fixed => FIXED,
    }
}

/// dyld does it all: rebases, binds slots and pointers alike, runs initialisers. It takes their offsets
/// since it takes chains.
pub(super) fn loader(program: &Program<'_>) -> Loader {
    Loader {
        relocates: true,
        calls_main: true,
        import_pointers: true,
        import_slots: ImportSlots::AmongOthers,
        runs_lists: true,
        thread_locals: match start_up::thread_local_import(program.target) {
            Some(import) if is_dynamic(program) => {
                ThreadLocals::Variables { bootstrap: import.name }
            }
            _ => ThreadLocals::None,
        },
        init_list: if has_chained_fixups(program) { InitList::Offsets } else { InitList::Pointers },
        forwards: Forwards::AsImport,
    }
}

/// Pages of 16 KiB on both architectures: arm64 has them, and Rosetta runs x86-64 on such a kernel.
pub(super) const PAGE: Align = Align::of(0x4000);

/// Behind the page zero of 4 GiB that arm64 demands and x86-64 programs have by custom.
pub(super) const LOWEST_BASE: Address = Address(0x1_0000_0000);

/// The SDK that files claim to be made with: dyld enforces what holds for it, and everything that it
/// enforces up to macOS 26 is kept here. An SDK of 0 would stand for every rule that is still to come.
pub(super) const SDK: SystemVersion = version(26, 0);

pub(super) const fn version(major: u16, minor: u8) -> SystemVersion {
    SystemVersion { major, minor, patch: 0 }
}

/// The oldest macOS that the program is to run on: 13 unless it asks for another.
pub(super) fn oldest_system(program: &Program<'_>) -> SystemVersion {
    program.wishes.oldest_system.unwrap_or(version(13, 0))
}

/// Which version of the library this is.
pub(super) fn current_version(program: &Program<'_>) -> SystemVersion {
    program.wishes.current_version.unwrap_or(version(1, 0))
}

/// The oldest version that programs may have been linked with and still run with this one.
pub(super) fn compatibility_version(program: &Program<'_>) -> SystemVersion {
    program.wishes.compatibility_version.unwrap_or(version(1, 0))
}

/// The folders in which dyld looks for what is called `@rpath/…`, in order.
pub(super) fn run_path<'p>(program: &'p Program<'_>) -> impl Iterator<Item = &'p str> {
    program.run_path.iter().flat_map(|folders| folders.split(':'))
}

/// Whether dyld is told by chains through the pointers themselves what to fix up, or by opcodes
/// (`Policy::useChainedFixups`).
pub(super) fn has_chained_fixups(program: &Program<'_>) -> bool {
    let first = match program.target.architecture {
        Architecture::X86_64 => version(13, 0),
        Architecture::Aarch64 => version(12, 0),
    };
    is_dynamic(program) && oldest_system(program) >= first
}

/// Whether dyld loads the program; if not, the kernel does alone.
pub(super) fn is_dynamic(program: &Program<'_>) -> bool {
    program.wishes.position == Position::Independent
}

pub(super) fn rules(program: &Program<'_>) -> Rules {
    let usual_base = match program.kind {
        OutputKind::Executable => LOWEST_BASE,
        OutputKind::SharedLibrary => Address(0),
    };
    let image_base = program.wishes.base.unwrap_or(usual_base);
    // A chained pointer has 36 bits for its target; otherwise a process has 47 for all.
    let memory_limit = if has_chained_fixups(program) { 1 << 36 } else { (1 << 47) - image_base.0 };
    Rules {
        image_base,
        page_size: PAGE,
        placement: Placement::Padded(PAGE),
        memory_limit: Size(memory_limit),
        greatest_align: PAGE,
        // Each thread's copy comes from `malloc` (`instantiateVariable`).
        greatest_tls_align: Align::of(16),
    }
}
