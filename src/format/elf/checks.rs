//! What a program may ask of Linux.

use std::collections::HashMap;

use super::dynamic::is_dynamic;
use super::plan::{memory_limit, page_size};
use crate::arch::start_up;
use crate::error::{Collector, Error, ErrorKind, Place, Result};
use crate::format::checks::{check_library_name, check_room};
use crate::program::{
    Definition, Import, ImportName, LibraryId, OutputKind, Position, Program, SectionKind, Start,
};
use crate::units::Size;

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
    check_exports(program, errors);
    check_versions(program, errors);
}

/// An export is a name, and perhaps its version.
fn check_exports(program: &Program<'_>, errors: &mut Collector) {
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
}

fn check_versions(program: &Program<'_>, errors: &mut Collector) {
    check_mixtures(program, errors);
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

/// Who asks for a version of a name is given the one without a version, where that is found first (glibc
/// `elf/dl-lookup.c`, `check_match`: no version's hash is 0).
fn check_mixtures(program: &Program<'_>, errors: &mut Collector) {
    let exports = || program.exports.iter().enumerate();
    let plain: HashMap<_, _> = exports()
        .filter(|(_, export)| export.version.is_none())
        .map(|(index, export)| (&*export.name, index))
        .collect();
    for (index, export) in exports() {
        let Some(version) = &export.version else { continue };
        let Some(&without) = plain.get(&*export.name) else { continue };
        let message = format!(
            "`{}` is exported in version `{version}` and without one: who asks for the version may be given the other",
            export.name
        );
        errors.push(
            Error::new(ErrorKind::Conflict, message)
                .at(Place::Export(index), "")
                .at(Place::Export(without), "without a version")
                .help("give each a version; the last is the one of programs that ask for none"),
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
