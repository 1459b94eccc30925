//! Start-up code is put before the program for whatever its system does not do.

use super::{Synthesized, Wanted};
use crate::arch::start_up::{self, STACK_GUARD, StartUpSymbol};
use crate::error::{Collector, Error, ErrorKind, Place};
use crate::format::plan::{Loader, Role};
use crate::program::{Definition, Program, Relocation, Section, SectionKind, Start};

/// The C library's start-up code takes its functions' addresses from slots.
pub(super) fn want_libc(
    synthesized: &mut Synthesized<'_>,
    loader: Loader,
    wanted: &mut Wanted,
    errors: &mut Collector,
) {
    let program = synthesized.program();
    if start_up::start(program) != Start::Libc || loader.calls_main {
        return;
    }
    let Some(start) = start_up::libc_start(program.target) else { return };
    for import in start.imports {
        if let Some((symbol, id)) = synthesized.import_called(import.name) {
            synthesized.imports.insert(symbol, id);
            wanted.slots.insert(symbol);
            continue;
        }
        let message = format!(
            "a program that starts by the C library imports `{}`, and this one does not",
            import.name
        );
        errors.push(
            Error::new(ErrorKind::Missing, message)
                .at(Place::Wish("start"), "")
                .help("`arch::start_up::start_by_libc` adds what is needed"),
        );
    }
}

/// Puts start-up code before the program's entry for whatever the system does not do.
pub(super) fn add_start_up(
    synthesized: &mut Synthesized<'_>,
    loader: Loader,
    errors: &mut Collector,
) {
    let program = synthesized.program();
    let relocates = !loader.relocates && !synthesized.load_relocations.is_empty();
    let start = if loader.calls_main { Start::Raw } else { start_up::start(program) };
    let Some(entry) = synthesized.resolved.entry.filter(|_| relocates || start != Start::Raw)
    else {
        return;
    };
    let libc = start_up::libc_start(program.target).filter(|_| start == Start::Libc);
    let pieces = match (libc, start_up::of(program.target)) {
        (Some(libc), _) => vec![libc.start_up],
        (None, Some(pieces)) => {
            let calls = start == Start::Main;
            let wanted = [
                (relocates, &pieces.relocate),
                (!calls, &pieces.enter),
                (calls, &pieces.arguments),
                (calls && program.wishes.stack.size.is_some(), &pieces.stack),
                (calls && !program.init.is_empty(), &pieces.init),
                (calls, &pieces.call),
                (calls && !program.fini.is_empty(), &pieces.fini),
                (calls, &pieces.exit),
            ];
            wanted.into_iter().filter(|(wanted, _)| *wanted).map(|(_, piece)| piece).collect()
        }
        (None, None) => {
            let message = format!("minild has no start-up code for {}", program.target);
            errors.push(Error::new(ErrorKind::Unsupported, message));
            return;
        }
    };
    let stack_size = stack_size(program, errors);

    let mut code = Vec::new();
    let mut relocations = Vec::new();
    for piece in pieces {
        let start = code.len() as u64;
        code.extend_from_slice(piece.code);
        for relocation in piece.relocations {
            let symbol = match relocation.symbol {
                StartUpSymbol::Entry => entry,
                StartUpSymbol::Landmark(landmark) => {
                    synthesized.add_symbol("landmark", Definition::Landmark(landmark))
                }
                StartUpSymbol::StackSize => {
                    synthesized.add_symbol("stack_size", Definition::Absolute(stack_size))
                }
                // Where it is missing, that has been told.
                StartUpSymbol::Import(name) => match synthesized.import_called(name) {
                    Some((symbol, _)) => symbol,
                    None => continue,
                },
            };
            relocations.push(Relocation {
                offset: start + relocation.offset,
                addend: relocation.addend,
                symbol,
                kind: relocation.kind,
            });
        }
    }
    let mut section = Section::new("start_up", SectionKind::Code, code);
    section.relocations = relocations;
    let id = synthesized.add_section(Role::Kind(SectionKind::Code), section);
    let start_up = Definition::Section { section: id, offset: 0 };
    synthesized.entry = Some(synthesized.add_symbol("start_up", start_up));
}

/// Bytes of the stack that the program asks for, in whole guards, so that it is whole pages as well, and the
/// guard below it; 0 where it asks for none.
fn stack_size(program: &Program<'_>, errors: &mut Collector) -> u64 {
    let Some(size) = program.wishes.stack.size else { return 0 };
    let rounded = size.0.checked_next_multiple_of(STACK_GUARD);
    rounded.and_then(|size| size.checked_add(STACK_GUARD)).unwrap_or_else(|| {
        let message = "a stack of so many bytes does not fit 64 bits";
        errors.push(Error::new(ErrorKind::TooLarge, message).at(Place::Wish("stack.size"), ""));
        0
    })
}
