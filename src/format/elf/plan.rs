//! Which segments an ELF file has, in which order, and where they may lie.
//!
//! Segments ascend in memory and in the file (gABI, "Program Header": `PT_LOAD` entries ascend by
//! `p_vaddr`). Headers come first, so that the kernel's `AT_PHDR` points at them in memory
//! (`create_elf_tables` takes the `PT_LOAD` that holds `e_phoff`). Constants and instructions are apart,
//! so that constants cannot be executed. What turns read-only after relocation is a segment of its own,
//! so that whole pages of it can be protected.

use crate::format::plan::{Permissions, Placement, Role, Rules, SectionRow, SegmentRow, TableId};
use crate::program::{Position, SectionKind};
use crate::target::{Architecture, Target};
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
    SegmentRow { name, permissions, mapped: true, relro: false, sections }
}

const SLOTS: SectionRow = SectionRow { name: ".got", role: Role::Slots };
const REL_RO: SectionRow = kind(".data.rel.ro", SectionKind::RelRo);

const CODE: SegmentRow =
    mapped("code", Permissions::READ_EXECUTE, &[kind(".text", SectionKind::Code)]);

const DATA: SegmentRow = mapped(
    "data",
    Permissions::READ_WRITE,
    &[kind(".data", SectionKind::Data), kind(".bss", SectionKind::Bss)],
);

/// What only debuggers and people read.
const NOT_MAPPED: SegmentRow = SegmentRow {
    name: "not mapped",
    permissions: Permissions::NONE,
    mapped: false,
    relro: false,
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
        ],
    ),
    CODE,
    SegmentRow {
        name: "relro",
        permissions: Permissions::READ_WRITE,
        mapped: true,
        relro: true,
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

pub(super) fn rules(target: Target, position: Position) -> Rules {
    let image_base = match position {
        Position::Independent => Address(0),
        Position::Fixed => FIXED_BASE,
    };
    let (page_size, memory_limit) = match target.architecture {
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
    }
}
