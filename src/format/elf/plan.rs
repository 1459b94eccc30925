//! Which segments an ELF file has, in which order, and where they may lie.
//!
//! Segments ascend in memory and in the file (gABI, "Program Header": `PT_LOAD` entries ascend by
//! `p_vaddr`). Headers come first, so that the kernel's `AT_PHDR` points at them in memory
//! (`create_elf_tables` takes the `PT_LOAD` that holds `e_phoff`). Constants and instructions are apart,
//! so that constants cannot be executed. What turns read-only after relocation is a segment of its own,
//! so that whole pages of it can be protected.

use crate::error::{Collector, Error, ErrorKind, Place, Result};
use crate::format::plan::{
    ImportSlots, Loader, Permissions, Placement, Role, Rules, SectionRow, SegmentRole, SegmentRow,
    TableId,
};
use crate::program::{LibraryId, Position, Program, SectionKind, Start};
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
const REL_RO: SectionRow = kind(".data.rel.ro", SectionKind::RelRo);

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
        sections: &[REL_RO, SLOTS],
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
            REL_RO,
            SLOTS,
        ],
    ),
    CODE,
    DATA,
    NOT_MAPPED,
];

pub(super) fn segments(position: Position) -> &'static [SegmentRow] {
    match position {
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
        Position::Fixed => FIXED_BASE,
    };
    let (page_size, memory_limit) = match program.target.architecture {
        // 47 bits of user addresses (Linux Documentation/arch/x86/x86_64/mm.rst).
        Architecture::X86_64 => (Align::of(0x1000), 1 << 47),
        // Kernels have pages of 4, 16 or 64 KiB; what is laid out for the largest runs on all of them.
        // 48 bits of user addresses (Linux Documentation/arch/arm64/memory.rst).
        Architecture::Aarch64 => (Align::of(0x1_0000), 1 << 48),
    };
    Rules {
        image_base,
        page_size,
        placement: Placement::Congruent,
        memory_limit: Size(memory_limit - image_base.0),
        // The kernel gives the load bias the greatest `p_align` (`maximum_alignment`).
        greatest_align: Align::of(1 << 62),
    }
}

/// The kernel applies no relocations, and a program without a dynamic linker has nobody else.
pub(super) const LOADER: Loader = Loader {
    relocates: false,
    calls_main: false,
    import_pointers: true,
    import_slots: ImportSlots::AmongOthers,
};

/// Nothing but the position can be asked of the kernel in a file.
pub(super) fn check(program: &Program<'_>) -> Result<()> {
    let mut errors = Collector::default();
    let wishes = &program.wishes;
    for (key, wished) in [
        ("base", wishes.base.is_some()),
        ("subsystem", wishes.subsystem.is_some()),
        ("oldest-system", wishes.oldest_system.is_some()),
        ("stack.commit", wishes.stack.commit.is_some()),
        ("heap.size", wishes.heap.size.is_some()),
        ("heap.commit", wishes.heap.commit.is_some()),
    ] {
        if wished {
            let message =
                format!("`{key}` means nothing on {}: no file can say it", program.target);
            errors.push(Error::new(ErrorKind::Unsupported, message).at(Place::Wish(key), ""));
        }
    }
    if wishes.stack.size.is_some() && wishes.start != Start::Main {
        let message = format!(
            "`stack.size` means nothing to a raw program on {}: the kernel decides how large its stack is",
            program.target
        );
        errors.push(
            Error::new(ErrorKind::Unsupported, message)
                .at(Place::Wish("stack.size"), "")
                .help("start = \"main\" moves to a stack of that size before it calls the entry"),
        );
    }
    if let Some(library) = program.libraries().first() {
        let message = format!(
            "imports (here from `{}`) are not supported on {}: programs there are static",
            library.name, program.target
        );
        let place = Place::Library(LibraryId::new(0));
        errors.push(Error::new(ErrorKind::Unsupported, message).at(place, ""));
    }
    errors.into_result(())
}
