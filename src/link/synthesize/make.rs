//! The sections that the link makes itself: room for common symbols, lists of functions, stubs, slots.

use super::scan::moves;
use super::{Synthesized, Wanted};
use crate::arch::Via;
use crate::format::layout::{LoadRelocation, LoadValue};
use crate::format::plan::{ImportSlots, InitList, Loader, Role, ThreadLocals};
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
                let value = LoadValue::Address;
                let word =
                    LoadRelocation { section: id, offset, symbol, addend, import: None, value };
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

/// The global offset table: a slot, or two, for every symbol that a relocation wants it of.
pub(super) fn make_slots(synthesized: &mut Synthesized<'_>, loader: Loader, wanted: &Wanted) {
    let (mut imports, others): (Vec<_>, Vec<_>) =
        wanted.slots.iter().copied().map(Some).partition(|slot| {
            loader.import_slots == ImportSlots::ByLibrary
                && slot.is_some_and(|(symbol, _)| synthesized.import(symbol).is_some())
        });
    let library = |slot: &Option<(SymbolId, Via)>| {
        let import = synthesized.import((*slot)?.0)?;
        Some((synthesized.library(import), import))
    };
    imports.sort_by_key(library);
    let library = |slot: &Option<(SymbolId, Via)>| library(slot).map(|(library, _)| library);
    let by_library: Vec<_> = imports
        .chunk_by(|first, second| library(first) == library(second))
        .flat_map(|of_one_library| of_one_library.iter().copied().chain([None]))
        .collect();
    make_slot_section(synthesized, loader, Role::Slots, &others);
    make_slot_section(synthesized, loader, Role::ImportSlots, &by_library);
}

/// Bytes of a slot.
const WORD: u64 = 8;

/// One section of slots; where no symbol is named, the slot stays zero.
fn make_slot_section(
    synthesized: &mut Synthesized<'_>,
    loader: Loader,
    role: Role,
    slots: &[Option<(SymbolId, Via)>],
) {
    if slots.is_empty() {
        return;
    }
    let id = synthesized.next_section();
    let mut relocations = Vec::new();
    let mut offset = 0;
    for slot in slots {
        let Some((symbol, via)) = *slot else {
            offset += WORD;
            continue;
        };
        synthesized.slots.insert((symbol, via), (id, offset));
        for word in words(synthesized, loader, symbol, via) {
            if let Some(relocation) = word.relocation {
                relocations.push(Relocation { offset, ..relocation });
            }
            if let Some(value) = word.load {
                let import = synthesized.import(word.symbol);
                let symbol = word.symbol;
                let load = LoadRelocation { section: id, offset, symbol, addend: 0, import, value };
                synthesized.load_relocations.push(load);
            }
            offset += WORD;
        }
    }
    let bytes = vec![0; usize::try_from(offset).expect("slots are in memory")];
    let mut section = Section::new("slots", SectionKind::RelRo, bytes);
    section.relocations = relocations;
    synthesized.add_section(role, section);
}

/// A word of a slot.
struct Word {
    symbol: SymbolId,
    /// What is known of it when the program is linked.
    relocation: Option<Relocation>,
    /// What the loader writes.
    load: Option<LoadValue>,
}

/// What a slot, or two, for `symbol` holds.
fn words(synthesized: &Synthesized<'_>, loader: Loader, symbol: SymbolId, via: Via) -> Vec<Word> {
    let arch = crate::arch::of(synthesized.program().target.architecture);
    let is_imported = synthesized.import(symbol).is_some();
    let is_known = matches!(loader.thread_locals, ThreadLocals::ThreadPointer { is_known: true });
    let constant = |symbol, kind| {
        let relocation = Some(Relocation { offset: 0, addend: 0, symbol, kind });
        Word { symbol, relocation, load: None }
    };
    let loaded = |value| Word { symbol, relocation: None, load: Some(value) };
    let address = |symbol| {
        let word = constant(symbol, arch.pointer());
        let moves = word.relocation.is_some_and(|relocation| moves(synthesized, &relocation));
        Word { load: (is_imported || moves).then_some(LoadValue::Address), ..word }
    };
    match via {
        Via::Direct | Via::ThroughStub | Via::Slot => vec![address(symbol)],
        Via::VariableSlot => match synthesized.variable(symbol) {
            Some(variable) => vec![address(variable)],
            None => Vec::new(), // why it is not described was told
        },
        Via::ThreadOffsetSlot if is_known && !is_imported => {
            vec![constant(symbol, arch.thread_offset())]
        }
        Via::ThreadOffsetSlot => vec![loaded(LoadValue::ThreadOffset)],
        Via::DescriptorSlots => {
            // The second word is the loader's as well.
            let second = Word { symbol, relocation: None, load: None };
            vec![loaded(LoadValue::Descriptor), second]
        }
        Via::ModuleSlots => {
            let offset = if is_imported {
                loaded(LoadValue::ModuleOffset)
            } else {
                constant(symbol, arch.template_offset())
            };
            vec![loaded(LoadValue::Module), offset]
        }
    }
}
