//! The sections that the link makes itself: room for common symbols, lists of functions, stubs, slots.

use super::scan::moves;
use super::{Synthesized, Wanted};
use crate::format::layout::LoadRelocation;
use crate::format::plan::{ImportSlots, InitList, Loader, Role};
use crate::program::{Definition, Relocation, Section, SectionKind, SymbolId};
use crate::units::Align;

pub(super) fn make_room_for_commons(synthesized: &mut Synthesized<'_>) {
    for (id, symbol) in synthesized.program().symbols_with_ids() {
        let Definition::Common { size, align } = symbol.definition else { continue };
        if synthesized.resolved.winners[id.index()] != id {
            continue;
        }
        let room = Section::bss(symbol.name.to_string(), size).aligned(align.max(Align::WORD));
        let section = synthesized.add_section(Role::Kind(SectionKind::Bss), room);
        synthesized.commons.insert(id, section);
    }
}

/// The lists of functions that run before and after the program.
pub(super) fn make_lists(synthesized: &mut Synthesized<'_>, loader: Loader) {
    let program = synthesized.program();
    let arch = crate::arch::of(program.target.architecture);
    let init_role = match loader.init_list {
        InitList::Pointers => Role::Kind(SectionKind::Init),
        InitList::Offsets => Role::InitOffsets,
    };
    for (name, kind, role, functions) in [
        ("init", SectionKind::Init, init_role, &program.init),
        ("fini", SectionKind::Fini, Role::Kind(SectionKind::Fini), &program.fini),
    ] {
        if functions.is_empty() {
            continue;
        }
        let entry = if role == Role::InitOffsets { arch.image_relative() } else { arch.pointer() };
        let width = usize::try_from(entry.width()).expect("at most 8");
        let mut section = Section::new(name, kind, vec![0; width * functions.len()]);
        section.relocations = (0..)
            .step_by(width)
            .zip(functions)
            .map(|(offset, &symbol)| Relocation { offset, addend: 0, symbol, kind: entry })
            .collect();
        let relocations = section.relocations.clone();
        let id = synthesized.add_section(role, section);
        for relocation in &relocations {
            if moves(synthesized, relocation) {
                let symbol = synthesized.winner(relocation.symbol);
                let Relocation { offset, addend, .. } = *relocation;
                let word = LoadRelocation { section: id, offset, symbol, addend, import: None };
                synthesized.load_relocations.push(word);
            }
        }
    }
}

/// For every import that is called a stub that jumps to it.
pub(super) fn make_stubs(synthesized: &mut Synthesized<'_>, wanted: &Wanted) {
    if wanted.stubs.is_empty() {
        return;
    }
    let stub = crate::arch::of(synthesized.program().target.architecture).stub();
    let size = stub.code.len() as u64;
    let mut section =
        Section::new("stubs", SectionKind::Code, stub.code.repeat(wanted.stubs.len()));
    for (offset, &symbol) in (0..).step_by(stub.code.len()).zip(&wanted.stubs) {
        section.relocations.extend(stub.relocations.iter().map(|relocation| Relocation {
            offset: offset + relocation.offset,
            addend: relocation.addend,
            symbol,
            kind: relocation.kind,
        }));
    }
    let id = synthesized.add_section(Role::Stubs, section);
    let offsets = (0..).map(|index| (id, index * size));
    synthesized.stubs = wanted.stubs.iter().copied().zip(offsets).collect();
}

/// The global offset table: one pointer for every symbol that a relocation wants the slot of.
pub(super) fn make_slots(synthesized: &mut Synthesized<'_>, loader: Loader, wanted: &Wanted) {
    let (mut imports, others): (Vec<_>, Vec<_>) =
        wanted.slots.iter().copied().map(Some).partition(|symbol| {
            loader.import_slots == ImportSlots::ByLibrary
                && symbol.is_some_and(|symbol| synthesized.import(symbol).is_some())
        });
    let library = |symbol: &Option<SymbolId>| {
        let import = synthesized.import((*symbol)?)?;
        Some((synthesized.library(import), import))
    };
    imports.sort_by_key(library);
    let library = |symbol: &Option<SymbolId>| library(symbol).map(|(library, _)| library);
    let by_library: Vec<_> = imports
        .chunk_by(|first, second| library(first) == library(second))
        .flat_map(|of_one_library| of_one_library.iter().copied().chain([None]))
        .collect();
    make_slot_section(synthesized, Role::Slots, &others);
    make_slot_section(synthesized, Role::ImportSlots, &by_library);
}

/// One section of slots; where no symbol is named, the slot stays zero.
fn make_slot_section(synthesized: &mut Synthesized<'_>, role: Role, symbols: &[Option<SymbolId>]) {
    if symbols.is_empty() {
        return;
    }
    let pointer = crate::arch::of(synthesized.program().target.architecture).pointer();
    let mut section = Section::new("slots", SectionKind::RelRo, [0u8; 8].repeat(symbols.len()));
    section.relocations = (0..)
        .step_by(8)
        .zip(symbols)
        .filter_map(|(offset, symbol)| {
            Some(Relocation { offset, addend: 0, symbol: (*symbol)?, kind: pointer })
        })
        .collect();
    let relocations = section.relocations.clone();
    let id = synthesized.add_section(role, section);
    for relocation in relocations {
        synthesized.slots.insert(relocation.symbol, (id, relocation.offset));
        let import = synthesized.import(relocation.symbol);
        if import.is_some() || moves(synthesized, &relocation) {
            synthesized.load_relocations.push(LoadRelocation {
                section: id,
                offset: relocation.offset,
                symbol: relocation.symbol,
                addend: 0,
                import,
            });
        }
    }
}
