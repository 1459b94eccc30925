//! Start-up code is put before the program for whatever its system does not do.

use super::thread_locals::template_align;
use super::{Synthesized, Wanted};
use crate::arch::Via;
use crate::arch::start_up::{self, STACK_GUARD, StartUp, StartUpSymbol};
use crate::error::{Collector, Error, ErrorKind, Place};
use crate::format::plan::{Loader, Role};
use crate::program::{Definition, Program, Relocation, Section, SectionKind, Start, SymbolId};
use crate::units::Align;

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
    for import in start.imports_of(program) {
        if let Some((symbol, id)) = synthesized.import_called(import.name) {
            synthesized.imports.insert(symbol, id);
            wanted.slots.insert((symbol, Via::Slot));
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
    if synthesized.resolved.entry.is_none() || (!relocates && start == Start::Raw) {
        return;
    }
    let libc = start_up::libc_start(program.target).filter(|_| start == Start::Libc);
    // A dynamic linker gives the first thread its variables, the kernel does not.
    let has_own_template = program.has_thread_locals() && !loader.relocates;
    let pieces = match (libc, start_up::of(program.target)) {
        (Some(libc), _) => vec![libc.start_up_of(program)],
        (None, Some(pieces)) => {
            let calls = start == Start::Main;
            let wanted = [
                (relocates, &pieces.relocate),
                (!calls, &pieces.enter),
                (calls, &pieces.arguments),
                (calls && program.wishes.stack.size.is_some(), &pieces.stack),
                (calls && has_own_template, &pieces.tls),
                (calls && program.has(SectionKind::Init), &pieces.init),
                (calls, &pieces.call),
                (calls && program.has(SectionKind::Fini), &pieces.fini),
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
    // Compilers count on 16 bytes where a system says nothing.
    let tls_align = template_align(program).max(Align::of(16)).get();
    let numbers = |symbol| match symbol {
        StartUpSymbol::StackSize => Some(("stack_size", stack_size)),
        StartUpSymbol::TlsAlign => Some(("tls_align", tls_align)),
        _ => None,
    };
    synthesized.entry = Some(add_code(synthesized, "start_up", &pieces, &numbers));
}

/// Adds `pieces` one behind the other as a section of code; gives the symbol of its start. `numbers` knows what
/// the program decides.
pub(super) fn add_code(
    synthesized: &mut Synthesized<'_>,
    name: &'static str,
    pieces: &[&StartUp],
    numbers: &dyn Fn(StartUpSymbol) -> Option<(&'static str, u64)>,
) -> SymbolId {
    let mut code = Vec::new();
    let mut relocations = Vec::new();
    for piece in pieces {
        let start = code.len() as u64;
        code.extend_from_slice(piece.code);
        for relocation in piece.relocations {
            let symbol = match relocation.symbol {
                StartUpSymbol::Entry => synthesized.resolved.entry,
                StartUpSymbol::Landmark(landmark) => {
                    Some(synthesized.add_symbol("landmark", Definition::Landmark(landmark)))
                }
                StartUpSymbol::Import(name) => {
                    synthesized.import_called(name).map(|(symbol, _)| symbol)
                }
                number => numbers(number).map(|(name, number)| {
                    synthesized.add_symbol(name, Definition::Absolute(number))
                }),
            };
            // An import that is missing was told; the rest was asked for by the caller.
            let Some(symbol) = symbol else { continue };
            relocations.push(Relocation {
                offset: start + relocation.offset,
                addend: relocation.addend,
                symbol,
                kind: relocation.kind,
            });
        }
    }
    let mut section = Section::new(name, SectionKind::Code, code);
    section.relocations = relocations;
    let id = synthesized.add_section(Role::Kind(SectionKind::Code), section);
    synthesized.add_symbol(name, Definition::Section { section: id, offset: 0 })
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
