//! Every relocation is looked at once: what it needs, and whether it can be carried out at all.
//!
//! Takes the program's relocations; gives which slots and stubs are wanted, which imports are kept, and
//! which words are left for load time.

use super::{Synthesized, Wanted, thread_locals};
use crate::arch::{Operand, Via};
use crate::error::{Collector, Error, ErrorKind, Place, Result};
use crate::format::layout::{LoadRelocation, LoadValue};
use crate::format::plan::Loader;
use crate::program::{
    Contents, Definition, ImportId, Position, Program, Relocation, Section, SectionId, SectionKind,
};

/// Looks at every relocation once: what it needs, and whether it can be carried out at all.
pub(super) fn scan_relocations(
    synthesized: &mut Synthesized<'_>,
    loader: Loader,
    errors: &mut Collector,
) -> Wanted {
    let program = synthesized.program();
    let mut wanted = Wanted::default();
    for (id, section) in program.sections_with_ids() {
        check_overlap(id, &section.relocations, errors);
        let mut relocations = section.relocations.iter().peekable();
        while let Some(relocation) = relocations.next() {
            let subtrahend = relocations.next_if(|next| is_subtrahend(relocation, next));
            let scanned = check_field(program, id, section, relocation).and_then(|()| {
                scan_relocation(synthesized, loader, id, relocation, subtrahend, &mut wanted)
            });
            if let Err(error) = scanned {
                errors.push(error);
            }
        }
    }
    wanted
}

/// Two fields with bytes in common: whichever is written last breaks the other, and loaders chain or add to both.
fn check_overlap(id: SectionId, relocations: &[Relocation], errors: &mut Collector) {
    // A difference of two symbols is one field, and parts of instructions are bits, not bytes.
    let is_field = |relocation: &&Relocation| {
        relocation.kind.operand() != Operand::Subtract && !relocation.kind.is_in_instruction()
    };
    let end = |relocation: &Relocation| relocation.offset.saturating_add(relocation.kind.width());
    let fields = || relocations.iter().filter(is_field);
    // Nearly always they ascend, and nothing has to be sorted.
    if fields().zip(fields().skip(1)).all(|(one, next)| end(one) <= next.offset) {
        return;
    }
    let mut sorted: Vec<_> = fields().collect();
    sorted.sort_by_key(|relocation| relocation.offset);
    for pair in sorted.windows(2).filter(|pair| pair[1].offset < end(pair[0])) {
        let (first, second) = (pair[0].kind.name(), pair[1].kind.name());
        let message = format!("a `{second}` overlaps the `{first}` at {:#x}", pair[0].offset);
        let place = Place::Section { section: id, offset: pair[1].offset };
        errors.push(Error::new(ErrorKind::Conflict, message).at(place, ""));
    }
}

fn scan_relocation(
    synthesized: &mut Synthesized<'_>,
    loader: Loader,
    id: SectionId,
    relocation: &Relocation,
    subtrahend: Option<&Relocation>,
    wanted: &mut Wanted,
) -> Result<(), Error> {
    let program = synthesized.program();
    let section = program.section(id);
    let kind = relocation.kind;
    let place = Place::Section { section: id, offset: relocation.offset };
    let winner = synthesized.winner(relocation.symbol);
    let import = synthesized.import(winner);

    if kind.operand() == Operand::Subtract {
        let message = format!(
            "`{}` has no address before it at the same offset to be subtracted from",
            kind.name()
        );
        return Err(Error::new(ErrorKind::UnsupportedRelocation, message).at(place, ""));
    }
    thread_locals::check(synthesized, loader, &place, relocation, winner, import)?;
    if let Some(import) = import {
        synthesized.imports.insert(winner, import);
        if kind.is_thread_local() {
            synthesized.thread_local_imports.insert(winner);
        }
    }
    match (kind.via(), import) {
        (Via::Direct, _) | (Via::ThroughStub, None) => {}
        (Via::ThroughStub, Some(_)) => {
            wanted.slots.insert((winner, Via::Slot));
            wanted.stubs.insert(winner);
            return Ok(());
        }
        (via, _) => {
            let slot = synthesized.slot_kind(winner, via);
            if slot == Via::VariableSlot {
                wanted.variables.insert(winner);
            }
            wanted.slots.insert((winner, slot));
            return Ok(());
        }
    }

    let subtracted = subtrahend.and_then(|subtrahend| synthesized.import(subtrahend.symbol));
    let is_pointer_to_import =
        import.is_some() && kind.is_pointer() && subtrahend.is_none() && loader.import_pointers;
    if (import.is_some() || subtracted.is_some()) && !is_pointer_to_import {
        let name = &program.symbol(relocation.symbol).name;
        let message = format!(
            "`{}` cannot reach `{name}`: it is imported, and its address is only known when the program \
             is loaded",
            kind.name()
        );
        let help = "call it (`call32`, `call26`), or read its address from its slot (`got32`, `gotpage21`)";
        return Err(Error::new(ErrorKind::UnsupportedRelocation, message).at(place, "").help(help));
    }
    if subtrahend.is_none() && (is_pointer_to_import || moves(synthesized, relocation)) {
        let load_relocation = load_relocation(program, id, section, relocation, import)?;
        if section.kind == SectionKind::ReadOnly {
            synthesized.promoted.insert(id);
        }
        synthesized.load_relocations.push(LoadRelocation { symbol: winner, ..load_relocation });
    }
    Ok(())
}

/// Whether `next` makes a difference of the address in `relocation`.
pub(crate) fn is_subtrahend(relocation: &Relocation, next: &Relocation) -> bool {
    relocation.kind.operand() == Operand::Address
        && next.kind.operand() == Operand::Subtract
        && next.offset == relocation.offset
        && next.kind.width() == relocation.kind.width()
}

/// Whether the bytes of this relocation change with the place that the image is loaded at.
pub(super) fn moves(synthesized: &Synthesized<'_>, relocation: &Relocation) -> bool {
    synthesized.program().wishes.position == Position::Independent
        && relocation.kind.operand() == Operand::Address
        && !matches!(synthesized.definition(relocation.symbol), Definition::Absolute(_))
}

fn check_field(
    program: &Program<'_>,
    id: SectionId,
    section: &Section<'_>,
    relocation: &Relocation,
) -> Result<(), Error> {
    let kind = relocation.kind;
    let place = || Place::Section { section: id, offset: relocation.offset };
    if kind.architecture() != program.target.architecture {
        return Err(Error::new(
            ErrorKind::UnsupportedRelocation,
            format!(
                "`{}` is a relocation of {}, and the program is for {}",
                kind.name(),
                kind.architecture(),
                program.target
            ),
        )
        .at(place(), ""));
    }
    let Contents::Bytes(bytes) = &section.contents else {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "section `{}` has a relocation, but its bytes are zeros or lie in another file",
                section.name
            ),
        )
        .at(place(), "")
        .help("put what is relocated into a section of its own"));
    };
    let last = (bytes.len() as u64).checked_sub(kind.width());
    match last {
        Some(last) if relocation.offset <= last => Ok(()),
        _ => Err(Error::new(
            ErrorKind::OutOfRange,
            format!(
                "`{}` at {:#x} does not lie inside section `{}`, which has {:#x} bytes",
                kind.name(),
                relocation.offset,
                section.name,
                bytes.len()
            ),
        )
        .at(place(), "")
        .value(relocation.offset.into(), 0..=last.map_or(-1, i128::from))),
    }
}

/// The word that has to be written when the program is loaded.
fn load_relocation(
    program: &Program<'_>,
    id: SectionId,
    section: &Section<'_>,
    relocation: &Relocation,
    import: Option<ImportId>,
) -> Result<LoadRelocation, Error> {
    let name = &program.symbol(relocation.symbol).name;
    let kind = relocation.kind.name();
    let place = Place::Section { section: id, offset: relocation.offset };
    if !relocation.kind.is_pointer() {
        return Err(Error::new(
            ErrorKind::UnsupportedRelocation,
            format!(
                "`{kind}` cannot hold the address of `{name}`: the program may be loaded anywhere in \
                 64 bits"
            ),
        )
        .at(place, "")
        .help("count from the field (`rel32`, `page21`), or link at a fixed position"));
    }
    if section.kind == SectionKind::Code {
        return Err(Error::new(
            ErrorKind::UnsupportedRelocation,
            format!(
                "the address of `{name}` would have to be written into code when the program is loaded, \
                 and code is never writable"
            ),
        )
        .at(place, "")
        .help("compute it from the instruction's own address, or load it from a pointer in data"));
    }
    Ok(LoadRelocation {
        section: id,
        offset: relocation.offset,
        symbol: relocation.symbol,
        addend: relocation.addend,
        import,
        value: LoadValue::Address,
    })
}
