//! Which sections an image has, in which order, and where they may lie.
//!
//! What the linker calls a segment is a section here: NT maps each with one protection, and wants them
//! ascending and adjacent, each on the first multiple of `SectionAlignment` behind the one before it,
//! none of them empty (`PeFmtCreateSection`). The first of them lies behind the headers.

use std::mem::offset_of;

use object::pe;

use crate::arch::start_up;
use crate::format::plan::{
    Forwards, ImportSlots, InitList, Loader, Permissions, Placement, Role, Rules, SectionRow,
    SegmentRole, SegmentRow, TableId, ThreadLocals, TlsDirectory,
};
use crate::program::{OutputKind, Position, Program, SectionKind, Start, Subsystem};
use crate::target::{Architecture, OperatingSystem};
use crate::units::{Address, Align, Size};

/// DOS header, NT headers and section table.
pub(super) const HEADERS: TableId = TableId(0);
/// One descriptor a library.
pub(super) const IMPORT_DIRECTORY: TableId = TableId(1);
/// What is wanted of each library: like the slots, but left as it is by the loader.
pub(super) const IMPORT_LOOKUP: TableId = TableId(2);
/// Names of imports with their hints, then names of libraries.
pub(super) const IMPORT_NAMES: TableId = TableId(3);
/// What others can look up.
pub(super) const EXPORTS: TableId = TableId(6);
/// What identifies the build.
pub(super) const DEBUG_DIRECTORY: TableId = TableId(4);
/// Where addresses lie that change with the image's place.
pub(super) const BASE_RELOCATIONS: TableId = TableId(5);
/// The COFF symbol table and its strings.
pub(super) const SYMBOLS: TableId = TableId(7);

const fn table(name: &'static str, table: TableId) -> SectionRow {
    SectionRow { name, role: Role::Table(table) }
}

const fn kind(name: &'static str, kind: SectionKind) -> SectionRow {
    SectionRow { name, role: Role::Kind(kind) }
}

const fn section(
    name: &'static str,
    permissions: Permissions,
    sections: &'static [SectionRow],
) -> SegmentRow {
    SegmentRow { name, permissions, role: SegmentRole::Plain, filled: true, sections }
}

/// The name of the segment that is no section.
pub(super) const HEADERS_SEGMENT: &str = "headers";

/// The parts of `.rdata` that the loader knows bear the names that other linkers give them.
pub(super) static SEGMENTS: &[SegmentRow] = &[
    section(HEADERS_SEGMENT, Permissions::READ, &[table("headers", HEADERS)]),
    section(
        ".text",
        Permissions::READ_EXECUTE,
        &[kind(".text", SectionKind::Code), SectionRow { name: ".text$stubs", role: Role::Stubs }],
    ),
    section(
        ".rdata",
        Permissions::READ,
        &[
            // The loader makes these writable while it fills them, wherever they lie.
            SectionRow { name: ".idata$5", role: Role::ImportSlots },
            kind(".rdata", SectionKind::ReadOnly),
            kind(".rdata$relro", SectionKind::RelRo),
            SectionRow { name: ".rdata$slots", role: Role::Slots },
            kind(".rdata$init", SectionKind::Init),
            kind(".rdata$fini", SectionKind::Fini),
            SectionRow { name: ".rdata$tls", role: Role::TlsDirectory },
            kind(".xdata", SectionKind::UnwindRecords),
            table(".idata$2", IMPORT_DIRECTORY),
            table(".idata$4", IMPORT_LOOKUP),
            table(".idata$6", IMPORT_NAMES),
            table(".edata", EXPORTS),
            table(".debug", DEBUG_DIRECTORY),
        ],
    ),
    section(".pdata", Permissions::READ, &[kind(".pdata", SectionKind::Unwind)]),
    section(
        ".data",
        Permissions::READ_WRITE,
        &[
            kind(".data", SectionKind::Data),
            SectionRow { name: ".data$tls", role: Role::TlsIndex },
            kind(".bss", SectionKind::Bss),
        ],
    ),
    // Zeros are a part of the template: NT copies what lies between its ends, and knows no others.
    section(
        ".tls",
        Permissions::READ_WRITE,
        &[kind(".tls", SectionKind::TlsData), kind(".tls$bss", SectionKind::TlsBss)],
    ),
    SegmentRow {
        name: ".reloc",
        permissions: Permissions::READ,
        role: SegmentRole::Late,
        filled: true,
        sections: &[table(".reloc", BASE_RELOCATIONS)],
    },
    SegmentRow {
        name: "not mapped",
        permissions: Permissions::NONE,
        role: SegmentRole::LateNotMapped,
        filled: false,
        sections: &[table("symbols", SYMBOLS)],
    },
];

/// `LdrpSnapModule` and edk2's loader: base relocations are theirs, imports go into the address table. Windows
/// calls functions of the directory of thread-locals before the entry (`LdrpCallTlsInitializers`), which run the
/// program's lists; where the C library starts it, that does. Firmware has nothing of the kind.
pub(super) fn loader(program: &Program<'_>) -> Loader {
    let is_windows = program.target.operating_system == OperatingSystem::Windows;
    Loader {
        relocates: true,
        calls_main: false,
        import_pointers: false,
        import_slots: ImportSlots::ByLibrary,
        init_list: InitList::Pointers,
        runs_lists: is_windows && start_up::start(program) != Start::Libc,
        forwards: Forwards::ByName,
        thread_locals: if is_windows {
            ThreadLocals::Index(&TLS_DIRECTORY)
        } else {
            ThreadLocals::None
        },
    }
}

type TlsDirectory64 = pe::ImageTlsDirectory64;

static TLS_DIRECTORY: TlsDirectory = TlsDirectory {
    size: size_of::<TlsDirectory64>() as u64,
    template_start: offset_of!(TlsDirectory64, start_address_of_raw_data) as u64,
    template_end: offset_of!(TlsDirectory64, end_address_of_raw_data) as u64,
    index: offset_of!(TlsDirectory64, address_of_index) as u64,
    callbacks: offset_of!(TlsDirectory64, address_of_call_backs) as u64,
    align: offset_of!(TlsDirectory64, characteristics) as u64,
    // As a section of an object file says it: 1 for an alignment of 1, 2 for 2, 3 for 4.
    encode_align: |align| (align.log2() + 1) << pe::IMAGE_SCN_ALIGN_MASK.trailing_zeros(),
};

/// What a thread's copy keeps of an alignment: it comes from the process' heap. The directory says more, but
/// Windows listens from 8.1 on, and wine does not.
const TLS_ALIGN: Align = Align::of(16);

/// Bytes in the file come in multiples of this: the smallest that NT takes with pages of 4 KiB.
pub(super) const FILE_ALIGN: Align = Align::of(0x200);

/// What an image's base is a multiple of: NT reserves memory in such pieces.
pub(super) const BASE_ALIGN: Align = Align::of(0x1_0000);

/// Addresses in an image are 32 bits from its base, and NT takes 31 of them.
const IMAGE_LIMIT: Size = Size(1 << 31);

/// Where other linkers put 64-bit executables: above 4 GiB, so that addresses cut to 32 bits are found.
const WINDOWS_BASE: Address = Address(0x1_4000_0000);

/// Where they put libraries, so that an executable and its first library find both their bases free.
const WINDOWS_LIBRARY_BASE: Address = Address(0x1_8000_0000);

/// The subsystem that the program asks for, or its system's usual.
pub(super) fn subsystem(program: &Program<'_>) -> Subsystem {
    program.wishes.subsystem.unwrap_or(match program.target.operating_system {
        OperatingSystem::Uefi => Subsystem::EfiApplication,
        _ => Subsystem::Console,
    })
}

/// Whether the loader may place the image.
pub(super) fn is_movable(program: &Program<'_>) -> bool {
    program.wishes.position == Position::Independent
}

pub(super) fn rules(program: &Program<'_>) -> Rules {
    let is_firmware = program.target.operating_system == OperatingSystem::Uefi;
    let usual_base = match program.kind {
        _ if is_firmware => Address(0),
        OutputKind::Executable => WINDOWS_BASE,
        OutputKind::SharedLibrary => WINDOWS_LIBRARY_BASE,
    };
    // Operating systems with pages of 64 KiB map runtime drivers by section (UEFI specification 2.3.6;
    // edk2 `ImagePropertiesRecordLib`).
    let is_runtime_driver_on_arm = subsystem(program) == Subsystem::EfiRuntimeDriver
        && program.target.architecture == Architecture::Aarch64;
    let page_size = Align::of(if is_runtime_driver_on_arm { 0x1_0000 } else { 0x1000 });
    Rules {
        image_base: program.wishes.base.unwrap_or(usual_base),
        page_size,
        placement: Placement::Padded(FILE_ALIGN),
        memory_limit: IMAGE_LIMIT,
        // Firmware gives whole `SectionAlignment`s (`CoreLoadPeImage`), NT whole 64 KiB.
        greatest_tls_align: TLS_ALIGN,
        greatest_align: if is_firmware { page_size } else { BASE_ALIGN },
    }
}
