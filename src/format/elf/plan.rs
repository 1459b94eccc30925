//! Which segments an ELF file has, in which order, and where they may lie.
//!
//! Segments ascend in memory and in the file (gABI, "Program Header": `PT_LOAD` entries ascend by
//! `p_vaddr`). Headers come first, so that the kernel's `AT_PHDR` points at them in memory
//! (`create_elf_tables` takes the `PT_LOAD` that holds `e_phoff`). Constants and instructions are apart,
//! so that constants cannot be executed. What turns read-only after relocation is a segment of its own,
//! so that whole pages of it can be protected.

use std::collections::HashMap;

use super::dynamic::is_dynamic;
use crate::arch::start_up;
use crate::error::{Collector, Error, ErrorKind, Place, Result};
use crate::format::checks::{check_library_name, check_room};
use crate::format::plan::{
    Forwards, ImportSlots, InitList, Loader, Permissions, Placement, Role, Rules, SectionRow,
    SegmentRole, SegmentRow, TableId, ThreadLocals,
};
use crate::program::{
    Definition, Import, ImportName, LibraryId, OutputKind, Position, Program, SectionKind, Start,
};
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

const fn page_size(architecture: Architecture) -> Align {
    match architecture {
        Architecture::X86_64 => Align::of(0x1000),
        // Kernels have pages of 4, 16 or 64 KiB; what is laid out for the largest runs on all of them.
        Architecture::Aarch64 => Align::of(0x1_0000),
    }
}

/// How many addresses a program has.
const fn memory_limit(architecture: Architecture) -> u64 {
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

/// Nothing but the position can be asked of the kernel in a file.
pub(super) fn check(program: &Program<'_>) -> Result<()> {
    let mut errors = Collector::default();
    let wishes = &program.wishes;
    let start = start_up::start(program);
    for (key, wished) in [
        ("subsystem", wishes.subsystem.is_some()),
        ("oldest-system", wishes.oldest_system.is_some()),
        ("current-version", wishes.current_version.is_some()),
        ("compatibility-version", wishes.compatibility_version.is_some()),
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
    check_base(program, &mut errors);
    if let Some(size) = wishes.stack.size {
        check_stack(program, start, size, &mut errors);
    }
    check_library_name(program, &['/'], &mut errors);
    check_dynamic(program, &mut errors);
    if program.kind == OutputKind::Executable && start == Start::Raw {
        check_lists(program, &mut errors);
    }
    errors.into_result(())
}

/// The least base: the kernel gives nobody what lies below (`vm.mmap_min_addr`, 65,536 where it is not set).
const LEAST_BASE: u64 = 0x1_0000;

/// An address is for a program that lies where it was linked; the kernel keeps the upper half for stacks, libraries
/// and what is mapped later (`mmap_base`).
fn check_base(program: &Program<'_>, errors: &mut Collector) {
    let Some(base) = program.wishes.base else { return };
    let target = program.target;
    let greatest = memory_limit(target.architecture) / 2;
    let page = page_size(target.architecture).get();
    let error = if program.wishes.position == Position::Independent {
        let message = format!(
            "`base` means nothing on {target} unless the position is fixed: the kernel chooses it"
        );
        Error::new(ErrorKind::Unsupported, message).help("position = \"fixed\"")
    } else if !(LEAST_BASE..=greatest).contains(&base.0) {
        let message = format!(
            "the base {base} does not lie in {LEAST_BASE:#x}..={greatest:#x}: the kernel gives nobody what lies \
             below, and needs room above"
        );
        let interval = LEAST_BASE.into()..=greatest.into();
        Error::new(ErrorKind::OutOfRange, message).value(base.0.into(), interval)
    } else if !base.0.is_multiple_of(page) {
        let message = format!("the base {base} is no multiple of a page, {page:#x}");
        Error::new(ErrorKind::Misaligned, message)
    } else {
        return;
    };
    errors.push(error.at(Place::Wish("base"), ""));
}

/// Only start-up code moves to a stack of its own.
fn check_stack(program: &Program<'_>, start: Start, size: Size, errors: &mut Collector) {
    let target = program.target;
    let unsupported = |message: String| {
        Error::new(ErrorKind::Unsupported, message).at(Place::Wish("stack.size"), "")
    };
    if program.kind == OutputKind::SharedLibrary {
        errors.push(unsupported(format!(
            "`stack.size` means nothing on {target}: a library has no stack"
        )));
        return;
    }
    let who = match start {
        Start::Main => {
            let most = Size(memory_limit(target.architecture) - start_up::STACK_GUARD);
            return check_room("stack.size", size, most, errors);
        }
        Start::Raw => "a raw program",
        Start::Libc => "a program that the C library starts",
    };
    let message = format!(
        "`stack.size` means nothing to {who} on {target}: the kernel decides how large its stack is"
    );
    errors.push(
        unsupported(message)
            .at(Place::Wish("start"), "its start is asked for here")
            .help("start = \"main\" moves to a stack of that size before it calls the entry"),
    );
}

/// The kernel jumps to a raw program's entry, and runs nothing before or after it.
fn check_lists(program: &Program<'_>, errors: &mut Collector) {
    for (key, kind, list) in
        [("init", SectionKind::Init, &program.init), ("fini", SectionKind::Fini, &program.fini)]
    {
        let section = program.sections_with_ids().find(|(_, section)| section.kind == kind);
        let section = section.map(|(section, _)| Place::Section { section, offset: 0 });
        let place = list.first().map(|_| Place::Wish(key)).or(section);
        let Some(place) = place else { continue };
        let message =
            format!("nothing runs `{key}` of a raw program: the system jumps to its entry");
        errors.push(
            Error::new(ErrorKind::Unsupported, message)
                .at(place, "")
                .at(Place::Wish("start"), "raw is asked for here")
                .help("start = \"main\" has start-up code that does"),
        );
    }
}

/// What only a dynamic linker can honour, and what it cannot.
fn check_dynamic(program: &Program<'_>, errors: &mut Collector) {
    let is_library = program.kind == OutputKind::SharedLibrary;
    let is_dynamic = is_dynamic(program);
    for (key, wished, is_honoured) in [
        ("interpreter", program.interpreter.as_deref(), is_dynamic && !is_library),
        ("runpath", program.run_path.as_deref(), is_dynamic),
        ("libc", program.wishes.libc.map(|_| "said"), is_dynamic),
    ] {
        let Some(wished) = wished else { continue };
        if !is_honoured {
            let message = format!("`{key}` means nothing to a file that names no dynamic linker");
            errors.push(
                Error::new(ErrorKind::Unsupported, message).at(Place::Wish(key), "").help(
                    "a program names one when it imports or exports something, a library none",
                ),
            );
        } else if wished.is_empty() || wished.contains('\0') {
            let message = format!("`{key}` is empty or holds a NUL");
            errors.push(Error::new(ErrorKind::InvalidValue, message).at(Place::Wish(key), ""));
        }
    }
    if is_library {
        for (key, wished, why) in [
            ("position", program.wishes.position == Position::Fixed, "it lies where there is room"),
            (
                "start",
                program.wishes.start.is_some_and(|start| start != Start::Raw),
                "programs call what it exports",
            ),
        ] {
            if wished {
                let message = format!("a shared library has no `{key}` of its own: {why}");
                errors.push(Error::new(ErrorKind::Unsupported, message).at(Place::Wish(key), ""));
            }
        }
    }
    for (index, library) in program.libraries().iter().enumerate() {
        if library.name.is_empty() || library.name.contains('\0') {
            let message =
                format!("{:?} is no name of a library: it is empty or holds a NUL", library.name);
            let place = Place::Library(LibraryId::new(index));
            errors.push(Error::new(ErrorKind::InvalidValue, message).at(place, ""));
        }
    }
    for (id, symbol) in program.symbols_with_ids() {
        let Definition::Import(import) = symbol.definition else { continue };
        let import = &program.imports()[import.index()];
        let message = match &import.name {
            ImportName::Ordinal(ordinal) => {
                format!("{} knows no imports by number (here {ordinal})", program.target)
            }
            ImportName::Name(name) => {
                let version = import.version.as_deref().unwrap_or("none");
                if [name, version].iter().all(|text| !text.is_empty() && !text.contains('\0')) {
                    continue;
                }
                format!("{name:?} in version {version:?}: a name is not empty and holds no NUL")
            }
        };
        errors.push(Error::new(ErrorKind::InvalidValue, message).at(Place::Symbol(id), ""));
    }
    check_lookups(program, errors);
    let is_wrong = |text: &str| text.is_empty() || text.contains(['\0', '@']);
    for (index, export) in program.exports.iter().enumerate() {
        let message = if let Some(ordinal) = export.ordinal {
            format!("{} knows no exports by number (here {ordinal})", program.target)
        } else if is_wrong(&export.name) {
            format!(
                "{:?} is no name of an export: it is empty, or holds a NUL or an @",
                export.name
            )
        } else if let Some(version) = export.version.as_ref().filter(|version| is_wrong(version)) {
            format!(
                "{version:?} is no version of the export `{}`: it is empty, or holds a NUL or an @",
                export.name
            )
        } else {
            continue;
        };
        let error = Error::new(ErrorKind::InvalidValue, message).at(Place::Export(index), "");
        errors.push(match export.name.split_once('@') {
            // As assemblers write it.
            Some((name, version)) if export.version.is_none() => {
                let version = version.trim_start_matches('@');
                error.help(format!(
                    "its version stands beside the name: {{ name = \"{name}\", version = \"{version}\" }}"
                ))
            }
            _ => error,
        });
    }
    // 15 bits number versions (gABI extension, "Symbol Versioning": bit 15 hides one).
    let imported = program.imports().iter().filter(|import| import.version.is_some()).count();
    let exported = program.exports.iter().filter(|export| export.version.is_some()).count();
    let most = 0x7fff - 3;
    if imported + exported > most {
        let message = format!(
            "{} versioned names are too many: there are numbers for {most}",
            imported + exported
        );
        errors.push(
            Error::new(ErrorKind::TooLarge, message)
                .value((imported + exported) as i128, 0..=most as i128),
        );
    }
}

/// The dynamic linker looks a name up in all libraries, in their order: that it is wanted of one of them is
/// written nowhere, unless in a version of it (glibc `do_lookup_x`).
fn check_lookups(program: &Program<'_>, errors: &mut Collector) {
    let mut first_of = HashMap::new();
    for (id, symbol) in program.symbols_with_ids() {
        let Definition::Import(import) = symbol.definition else { continue };
        let Import { library, name, version } = &program.imports()[import.index()];
        let ImportName::Name(name) = name else { continue };
        let &mut (first, first_library) = first_of.entry((name, version)).or_insert((id, *library));
        if first_library == *library {
            continue;
        }
        let [known, other] =
            [first_library, *library].map(|id| &program.libraries()[id.index()].name);
        let message = format!(
            "`{name}` cannot be imported from both `{known}` and `{other}` on {}: the dynamic linker takes \
             it from the first library that has it",
            program.target
        );
        errors.push(
            Error::new(ErrorKind::Conflict, message)
                .at(Place::Symbol(id), "")
                .at(Place::Symbol(first), "first imported here")
                .help("where the libraries have versions of it, `name@VERSION` tells them apart"),
        );
    }
}
