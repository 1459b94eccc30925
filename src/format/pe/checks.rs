//! What a program may ask of Windows or of firmware.

use std::collections::HashMap;

use super::plan::{BASE_ALIGN, subsystem};
use crate::arch::start_up;
use crate::error::{Collector, Error, ErrorKind, Place, Result};
use crate::format::checks::{check_library_name, check_room};
use crate::program::{
    Binding, Definition, ImportName, LibraryId, MemoryWish, OutputKind, Position, Program,
    SectionKind, Start, Subsystem,
};
use crate::target::{Architecture, OperatingSystem};
use crate::units::Size;

pub(super) fn check(program: &Program<'_>) -> Result<()> {
    let mut errors = Collector::default();
    let start = start_up::start(program);
    let is_firmware = program.target.operating_system == OperatingSystem::Uefi;
    check_position(program, is_firmware, &mut errors);
    check_subsystem(program, is_firmware, &mut errors);
    for (wish, size, commit) in [
        (program.wishes.stack, "stack.size", "stack.commit"),
        (program.wishes.heap, "heap.size", "heap.commit"),
    ] {
        check_memory(program, wish, size, commit, is_firmware, &mut errors);
    }
    if is_firmware && let Some(library) = program.libraries().first() {
        let message = format!(
            "imports (here from `{}`) are not possible on {}: firmware has no libraries, its services are \
             reached through the system table",
            library.name, program.target
        );
        let place = Place::Library(LibraryId::new(0));
        errors.push(Error::new(ErrorKind::Unsupported, message).at(place, ""));
    }
    if start == Start::Libc && is_firmware {
        let message =
            format!("`start` cannot be libc on {}: there is no C library", program.target);
        let place = Place::Wish("start");
        errors.push(Error::new(ErrorKind::Unsupported, message).at(place, ""));
    }
    if start == Start::Libc && program.kind == OutputKind::SharedLibrary && !is_firmware {
        let message =
            format!("`start` means nothing on {}: nothing starts a library", program.target);
        let place = Place::Wish("start");
        errors.push(Error::new(ErrorKind::Unsupported, message).at(place, ""));
    }
    if start == Start::Main {
        let message = format!(
            "`start` cannot be main on {}: nothing there splits a command line into arguments",
            program.target
        );
        let help = if is_firmware {
            "a raw entry gets what docs/ABI.md says"
        } else {
            "start = \"libc\" has the C library do it; a raw entry gets what docs/ABI.md says"
        };
        let error = Error::new(ErrorKind::Unsupported, message).at(Place::Wish("start"), "");
        errors.push(error.help(help));
    }
    if program.wishes.oldest_system.is_some() {
        let message = format!("`oldest-system` means nothing on {}", program.target);
        let place = Place::Wish("oldest-system");
        errors.push(Error::new(ErrorKind::Unsupported, message).at(place, ""));
    }
    check_dynamic(program, is_firmware, &mut errors);
    check_names(program, &mut errors);
    errors.into_result(())
}

fn check_position(program: &Program<'_>, is_firmware: bool, errors: &mut Collector) {
    if program.wishes.position == Position::Fixed {
        let reason = if is_firmware {
            Some("firmware loads an image where it has room")
        } else if program.target.architecture == Architecture::Aarch64 {
            Some("Windows on arm64 loads no image that it cannot place")
        } else {
            None
        };
        if let Some(reason) = reason {
            let message = format!("`position` cannot be fixed on {}: {reason}", program.target);
            errors
                .push(Error::new(ErrorKind::Unsupported, message).at(Place::Wish("position"), ""));
        }
    }
    let Some(base) = program.wishes.base else { return };
    if is_firmware {
        let message = format!(
            "`base` means nothing on {}: firmware loads an image where it has room",
            program.target
        );
        errors.push(Error::new(ErrorKind::Unsupported, message).at(Place::Wish("base"), ""));
    } else if base.0 % BASE_ALIGN.get() != 0 {
        let message = format!("the base {base} is no multiple of {:#x}", BASE_ALIGN.get());
        errors.push(
            Error::new(ErrorKind::Misaligned, message)
                .at(Place::Wish("base"), "")
                .help("Windows reserves memory in pieces of 64 KiB, and never the first"),
        );
    } else if base.0 == 0 || base.0 > GREATEST_BASE {
        let message = format!(
            "the base {base} does not lie in {:#x}..={GREATEST_BASE:#x}: the first 64 KiB are nobody's, and an \
             image needs room behind its base",
            BASE_ALIGN.get()
        );
        errors.push(
            Error::new(ErrorKind::OutOfRange, message)
                .at(Place::Wish("base"), "")
                .value(base.0.into(), i128::from(BASE_ALIGN.get())..=GREATEST_BASE.into()),
        );
    }
}

fn check_subsystem(program: &Program<'_>, is_firmware: bool, errors: &mut Collector) {
    let of_firmware = |subsystem| !matches!(subsystem, Subsystem::Console | Subsystem::Graphical);
    let subsystem = subsystem(program);
    if of_firmware(subsystem) != is_firmware {
        let possible: Vec<_> = Subsystem::ALL
            .iter()
            .filter(|subsystem| of_firmware(**subsystem) == is_firmware)
            .map(|subsystem| format!("`{}`", subsystem.name()))
            .collect();
        let (last, first) = possible.split_last().expect("every system has a subsystem");
        let message = format!("{} has no subsystem `{}`", program.target, subsystem.name());
        errors.push(
            Error::new(ErrorKind::Unsupported, message)
                .at(Place::Wish("subsystem"), "")
                .help(format!("it has {} and {last}", first.join(", "))),
        );
    }
}

/// User space ends 64 KiB below 2^47, and an image may take 2 GiB of it.
const GREATEST_BASE: u64 = USER_SPACE - (1 << 31);
const USER_SPACE: u64 = (1 << 47) - 0x1_0000;

fn check_memory(
    program: &Program<'_>,
    wish: MemoryWish,
    size: &'static str,
    commit: &'static str,
    is_firmware: bool,
    errors: &mut Collector,
) {
    if is_firmware {
        for (key, wished) in [(size, wish.size), (commit, wish.commit)] {
            if wished.is_some() {
                let message =
                    format!("`{key}` means nothing on {}: firmware decides it", program.target);
                errors.push(Error::new(ErrorKind::Unsupported, message).at(Place::Wish(key), ""));
            }
        }
        return;
    }
    if program.kind == OutputKind::SharedLibrary {
        for (key, wished) in [(size, wish.size), (commit, wish.commit)] {
            if wished.is_some() {
                let message = format!(
                    "`{key}` means nothing here on {}: a library has that of the program which loads it",
                    program.target
                );
                errors.push(Error::new(ErrorKind::Unsupported, message).at(Place::Wish(key), ""));
            }
        }
        return;
    }
    if let Some(wished) = wish.size {
        check_room(size, wished, Size(USER_SPACE), errors);
    }
    let reserved = wish.size.unwrap_or(super::tables::DEFAULT_RESERVE);
    if let Some(committed) = wish.commit
        && committed > reserved
    {
        let message = format!(
            "`{commit}` is {committed} bytes, more than the {reserved} that `{size}` reserves"
        );
        errors.push(
            Error::new(ErrorKind::Conflict, message)
                .at(Place::Wish(commit), "")
                .value(committed.0.into(), 0..=reserved.0.into()),
        );
    }
}

/// Names stand in the file as bytes with a NUL behind them.
fn check_names(program: &Program<'_>, errors: &mut Collector) {
    let is_wrong = |name: &str| name.is_empty() || name.contains('\0');
    for (index, library) in program.libraries().iter().enumerate() {
        if is_wrong(&library.name) {
            let message =
                format!("{:?} is no name of a library: it is empty or holds a NUL", library.name);
            let place = Place::Library(LibraryId::new(index));
            errors.push(Error::new(ErrorKind::InvalidValue, message).at(place, ""));
        }
    }
    for import in program.imports() {
        if let ImportName::Name(name) = &import.name
            && is_wrong(name)
        {
            let message = format!("{name:?} is no name of an import: it is empty or holds a NUL");
            let place = Place::Library(import.library);
            errors.push(Error::new(ErrorKind::InvalidValue, message).at(place, ""));
        }
    }
}

/// What only a dynamic linker of another system reads, and what a table of exports cannot say.
fn check_dynamic(program: &Program<'_>, is_firmware: bool, errors: &mut Collector) {
    let target = program.target;
    let is_library = program.kind == OutputKind::SharedLibrary;
    if !is_firmware {
        check_library_name(program, &['/', '\\', ':'], errors);
    }
    let no_versions = "its libraries have no versions that programs ask for";
    for (key, wished, why) in [
        ("interpreter", program.interpreter.is_some(), "the system loads programs by itself"),
        ("runpath", program.run_path.is_some(), "libraries are looked for beside the program"),
        ("current-version", program.wishes.current_version.is_some(), no_versions),
        ("compatibility-version", program.wishes.compatibility_version.is_some(), no_versions),
        ("libc", program.wishes.libc.is_some(), "only Linux has several"),
        ("kind", is_library && is_firmware, ""),
        ("library-name", program.library_name.is_some() && is_firmware && !is_library, ""),
    ] {
        if wished {
            let why = if is_firmware { "firmware has no libraries" } else { why };
            let message = format!("`{key}` means nothing on {target}: {why}");
            errors.push(Error::new(ErrorKind::Unsupported, message).at(Place::Wish(key), ""));
        }
    }
    let lists = [("init", &program.init), ("fini", &program.fini)];
    for (key, _) in lists.into_iter().filter(|(_, list)| is_firmware && !list.is_empty()) {
        let message = format!("`{key}` is not supported on {target}: nothing there runs it");
        let place = Place::Wish(key);
        errors.push(Error::new(ErrorKind::Unsupported, message).at(place, ""));
    }
    let is_raw = !is_library && start_up::start(program) == Start::Raw;
    if is_raw && !is_firmware && !program.fini.is_empty() {
        let message =
            format!("nothing runs `fini` of a raw program on {target}: it ends where it wants to");
        errors.push(
            Error::new(ErrorKind::Unsupported, message)
                .at(Place::Wish("fini"), "")
                .help("start = \"libc\" has the C library run it when it exits"),
        );
    }
    for (id, section) in program.sections_with_ids() {
        let is_list = matches!(section.kind, SectionKind::Init | SectionKind::Fini);
        if is_firmware && is_list || is_raw && section.kind == SectionKind::Fini {
            let message = format!("section `{}` is of a kind that {target} has not", section.name);
            let place = Place::Section { section: id, offset: 0 };
            errors.push(Error::new(ErrorKind::Unsupported, message).at(place, ""));
        }
    }
    for (id, symbol) in program.symbols_with_ids() {
        if symbol.binding == Binding::Weak && matches!(symbol.definition, Definition::Import(_)) {
            let message = format!(
                "`{}` cannot be weak on {target}: a program whose import is missing does not start there",
                symbol.name
            );
            errors.push(
                Error::new(ErrorKind::Unsupported, message)
                    .at(Place::Symbol(id), "")
                    .help("LoadLibraryA and GetProcAddress look for it while the program runs"),
            );
        }
    }
    let mut ordinals = HashMap::new();
    for (index, export) in program.exports.iter().enumerate() {
        let place = Place::Export(index);
        let message = if is_firmware && is_library {
            break; // told with what it is
        } else if is_firmware {
            let message =
                format!("{target} has no exports (here `{}`): nothing looks them up", export.name);
            errors.push(Error::new(ErrorKind::Unsupported, message).at(place, ""));
            break;
        } else if export.version.is_some() {
            format!("{target} knows no versions of an export (here of `{}`)", export.name)
        } else if export.name.is_empty() || export.name.contains('\0') {
            format!("{:?} is no name of an export: it is empty or holds a NUL", export.name)
        } else if export.ordinal == Some(0) {
            format!("`{}` cannot have the ordinal 0: they count from 1", export.name)
        } else if let Some(first) =
            export.ordinal.and_then(|ordinal| ordinals.insert(ordinal, &export.name))
        {
            format!("`{first}` and `{}` have the same ordinal", export.name)
        } else {
            continue;
        };
        errors.push(Error::new(ErrorKind::InvalidValue, message).at(place, ""));
    }
    // Ordinals have 16 bits.
    if program.exports.len() > usize::from(u16::MAX) {
        let count = program.exports.len();
        let message = format!("{count} exports are too many: there are numbers for {}", u16::MAX);
        errors.push(
            Error::new(ErrorKind::TooLarge, message).value(count as i128, 0..=u16::MAX.into()),
        );
    }
}
