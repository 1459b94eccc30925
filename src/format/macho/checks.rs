//! What a program may ask of macOS.

use std::collections::HashSet;

use super::plan::{
    LOWEST_BASE, PAGE, SDK, compatibility_version, current_version, is_dynamic, oldest_system,
    run_path, version,
};
use crate::arch::start_up;
use crate::error::{Collector, Error, ErrorKind, Place, Result};
use crate::format::checks::{check_library_name, check_room};
use crate::program::{
    Definition, ImportName, LibraryId, OutputKind, Position, Program, SectionKind, Start,
};
use crate::target::Architecture;
use crate::units::Size;

/// Ordinals of libraries above this stand for something else in an import of a chain (`ChainedFixups`:
/// the 8 bits are signed from 0xf1 on); libSystem, which is always there, takes one.
const MOST_LIBRARIES: usize = 0xf0 - 1;

pub(super) fn check(program: &Program<'_>) -> Result<()> {
    let mut errors = Collector::default();
    let target = program.target;
    let wishes = &program.wishes;
    for (key, wished, why) in [
        ("subsystem", wishes.subsystem.is_some(), "there is one kind of program"),
        ("stack.commit", wishes.stack.commit.is_some(), "memory is there once it is used"),
        ("heap.size", wishes.heap.size.is_some(), "heaps grow as long as there is memory"),
        ("heap.commit", wishes.heap.commit.is_some(), "memory is there once it is used"),
        (
            "start",
            start_up::start(program) != Start::Raw && !is_dynamic(program),
            "at a fixed position nobody calls the entry",
        ),
        (
            "stack.size",
            wishes.stack.size.is_some() && !is_dynamic(program),
            "only dyld's programs can ask for a stack",
        ),
    ] {
        if wished {
            let message = format!("`{key}` means nothing on {target}: {why}");
            errors.push(Error::new(ErrorKind::Unsupported, message).at(Place::Wish(key), ""));
        }
    }
    if let Some(size) = wishes.stack.size.filter(|_| is_dynamic(program)) {
        check_room("stack.size", size, greatest_stack(target.architecture), &mut errors);
    }
    if wishes.position == Position::Fixed {
        check_fixed(program, &mut errors);
    }
    if program.name.contains('\0') {
        let message =
            format!("the name {:?} holds a NUL: it stands in the signature", program.name);
        errors.push(Error::new(ErrorKind::InvalidValue, message).at(Place::Wish("name"), ""));
    }
    check_base(program, &mut errors);
    check_version(program, &mut errors);
    check_dynamic(program, &mut errors);
    check_libraries(program, &mut errors);
    errors.into_result(())
}

/// The greatest stack that Apple's linkers write down (ld64 `Options::checkIllegalOptionCombinations`,
/// `-stack_size`): what lies between the image and the end of the stack.
const fn greatest_stack(architecture: Architecture) -> Size {
    match architecture {
        Architecture::X86_64 => Size(1 << 40),
        Architecture::Aarch64 => Size(512 << 20),
    }
}

fn check_fixed(program: &Program<'_>, errors: &mut Collector) {
    let target = program.target;
    if target.architecture == Architecture::Aarch64 {
        let message = format!(
            "`position` cannot be fixed on {target}: macOS kills an arm64 program that is static or that it \
             cannot slide (`load_machfile` wants MH_PIE and dyld)"
        );
        errors.push(Error::new(ErrorKind::Unsupported, message).at(Place::Wish("position"), ""));
    }
    if let Some(library) = program.libraries().first() {
        let message = format!(
            "a program at a fixed position imports nothing (here from `{}`): dyld does not load it",
            library.name
        );
        let place = Place::Library(LibraryId::new(0));
        errors.push(
            Error::new(ErrorKind::Conflict, message)
                .at(place, "")
                .at(Place::Wish("position"), "fixed here"),
        );
    }
}

/// The greatest base. All below it becomes page zero, so it ends before what the system puts there: on arm64 the
/// main thread's stack, 64 MiB below `USRSTACK64` (xnu `bsd/arm/vmparam.h`, 0x16fe00000).
const fn greatest_base(architecture: Architecture) -> u64 {
    match architecture {
        Architecture::X86_64 => 1 << 45,
        Architecture::Aarch64 => 0x1_4000_0000,
    }
}

fn check_base(program: &Program<'_>, errors: &mut Collector) {
    let Some(base) = program.wishes.base else { return };
    let interval = i128::from(LOWEST_BASE.0)..=greatest_base(program.target.architecture).into();
    if !interval.contains(&base.0.into()) {
        let message = format!(
            "the base {base} does not lie in {:#x}..={:#x}: the first 4 GiB are page zero, and the system's own \
             places come behind",
            interval.start(),
            interval.end()
        );
        errors.push(
            Error::new(ErrorKind::OutOfRange, message)
                .at(Place::Wish("base"), "")
                .value(base.0.into(), interval),
        );
    } else if !base.0.is_multiple_of(PAGE.get()) {
        let message = format!("the base {base} is no multiple of a page, {:#x}", PAGE.get());
        errors.push(Error::new(ErrorKind::Misaligned, message).at(Place::Wish("base"), ""));
    }
}

fn check_version(program: &Program<'_>, errors: &mut Collector) {
    // arm64 Macs came with 11; before 10.9 dyld knows no LC_MAIN on all machines, nor signatures.
    let first = match program.target.architecture {
        Architecture::X86_64 => version(10, 9),
        Architecture::Aarch64 => version(11, 0),
    };
    let wished = oldest_system(program);
    if !(first..=SDK).contains(&wished) {
        let message =
            format!("macOS {wished} is not supported on {}: {first} to {SDK} are", program.target);
        let place = Place::Wish("oldest-system");
        errors.push(Error::new(ErrorKind::Unsupported, message).at(place, ""));
    }
}

fn check_libraries(program: &Program<'_>, errors: &mut Collector) {
    let is_wrong = |name: &str| name.is_empty() || name.contains('\0');
    for (index, library) in program.libraries().iter().enumerate() {
        let place = Place::Library(LibraryId::new(index));
        if is_wrong(&library.name) {
            let message =
                format!("{:?} is no path of a library: it is empty or holds a NUL", library.name);
            errors.push(Error::new(ErrorKind::InvalidValue, message).at(place, ""));
        }
    }
    let count = program.libraries().len();
    if count > MOST_LIBRARIES {
        let message =
            format!("{count} libraries are too many: an import has numbers for {MOST_LIBRARIES}");
        let place = Place::Library(LibraryId::new(MOST_LIBRARIES));
        errors.push(
            Error::new(ErrorKind::TooLarge, message)
                .at(place, "the first too many")
                .value(count as i128, 0..=MOST_LIBRARIES as i128),
        );
    }
    for (id, symbol) in program.symbols_with_ids() {
        let Definition::Import(import) = symbol.definition else { continue };
        let message = match &program.imports()[import.index()].name {
            ImportName::Name(name) if !is_wrong(name) => continue,
            ImportName::Name(name) => {
                format!("{name:?} is no name of an import: it is empty or holds a NUL")
            }
            ImportName::Ordinal(ordinal) => {
                format!("macOS knows no imports by number (here {ordinal})")
            }
        };
        errors.push(Error::new(ErrorKind::InvalidValue, message).at(Place::Symbol(id), ""));
    }
}

/// What only a dynamic linker of another system reads, and what a library or an export cannot be.
fn check_dynamic(program: &Program<'_>, errors: &mut Collector) {
    let target = program.target;
    let wishes = &program.wishes;
    let is_library = program.kind == OutputKind::SharedLibrary;
    for (key, wished, why) in [
        ("interpreter", program.interpreter.is_some(), "dyld is the only dynamic linker"),
        ("runpath", program.run_path.is_some() && !is_dynamic(program), "dyld does not load it"),
        ("libc", wishes.libc.is_some(), "libSystem is the only one"),
        ("current-version", wishes.current_version.is_some() && !is_library, "it is no library"),
        (
            "compatibility-version",
            wishes.compatibility_version.is_some() && !is_library,
            "it is no library",
        ),
        ("stack.size", wishes.stack.size.is_some() && is_library, "a library has no stack"),
        ("start", start_up::start(program) != Start::Raw && is_library, "nothing starts a library"),
        // On arm64 that is told of every program.
        (
            "position",
            !is_dynamic(program) && is_library && target.architecture == Architecture::X86_64,
            "dyld places libraries",
        ),
    ] {
        if wished {
            let message = format!("`{key}` means nothing here on {target}: {why}");
            errors.push(Error::new(ErrorKind::Unsupported, message).at(Place::Wish(key), ""));
        }
    }
    check_run_path(program, errors);
    let (current, compatible) = (current_version(program), compatibility_version(program));
    if is_library && compatible > current {
        let message = format!(
            "`compatibility-version` is {compatible}, newer than the library itself, which is {current}"
        );
        let place = Place::Wish("compatibility-version");
        let mut error = Error::new(ErrorKind::Conflict, message).at(place, "");
        if wishes.current_version.is_some() {
            error = error.at(Place::Wish("current-version"), "this is it");
        }
        errors.push(error);
    }
    // It is a path: `LC_ID_DYLIB` is what programs load.
    check_library_name(program, &[], errors);
    if let (true, Some(entry)) = (is_library, program.entry) {
        let message = format!("a shared library has no entry on {target}: nothing calls it");
        errors.push(Error::new(ErrorKind::Unsupported, message).at(Place::Symbol(entry), ""));
    }
    if !program.fini.is_empty() {
        let message = format!(
            "`fini` is not supported on {target}: dyld runs no finalisers of today's programs"
        );
        errors.push(
            Error::new(ErrorKind::Unsupported, message)
                .at(Place::Wish("fini"), "")
                .help("an initialiser can register one with `_atexit`"),
        );
    }
    if !is_dynamic(program) && !program.init.is_empty() {
        let message = "nothing runs `init` of a program at a fixed position: dyld does not load it";
        errors.push(Error::new(ErrorKind::Unsupported, message).at(Place::Wish("init"), ""));
    }
    for (id, section) in program.sections_with_ids() {
        if section.kind == SectionKind::Fini {
            let message = format!("section `{}` is of a kind that {target} has not", section.name);
            let place = Place::Section { section: id, offset: 0 };
            errors.push(Error::new(ErrorKind::Unsupported, message).at(place, ""));
        }
    }
    for (index, export) in program.exports.iter().enumerate() {
        let message = if !is_dynamic(program) {
            format!("a program at a fixed position exports nothing (here `{}`)", export.name)
        } else if export.version.is_some() {
            format!("macOS knows no versions of an export (here of `{}`)", export.name)
        } else if let Some(ordinal) = export.ordinal {
            format!("macOS knows no exports by number (here {ordinal})")
        } else if export.name.is_empty() || export.name.contains('\0') {
            format!("{:?} is no name of an export: it is empty or holds a NUL", export.name)
        } else {
            continue;
        };
        let place = Place::Export(index);
        errors.push(Error::new(ErrorKind::InvalidValue, message).at(place, ""));
    }
}

/// Each folder is a load command of its own, and dyld refuses two of the same
/// (`Policy::enforceNoDuplicateRPaths`).
fn check_run_path(program: &Program<'_>, errors: &mut Collector) {
    let mut known = HashSet::new();
    for folder in run_path(program) {
        let message = if folder.is_empty() || folder.contains('\0') {
            format!("`runpath` has a folder {folder:?}, which is empty or holds a NUL")
        } else if !known.insert(folder) {
            format!("`runpath` has the folder `{folder}` twice")
        } else {
            continue;
        };
        errors.push(Error::new(ErrorKind::InvalidValue, message).at(Place::Wish("runpath"), ""));
    }
}
