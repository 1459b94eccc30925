//! What the program needs and did not bring: slots of the global offset table, stubs that jump to imports,
//! start-up code, room for common symbols; and which words are left for load time.
//!
//! Takes resolved names; gives sections and symbols of the link's own beside the program's. From here on
//! no section is added, none changes its kind, and every load relocation is known.

use std::borrow::Cow;

use indexmap::{IndexMap, IndexSet};
use rustc_hash::FxBuildHasher;

use crate::arch::start_up::{self, STACK_GUARD, StartUpSymbol};
use crate::arch::{Operand, Via};
use crate::error::{Collector, Error, ErrorKind, Place, Result};
use crate::format::layout::{KeptImport, LoadRelocation};
use crate::format::plan::{ImportSlots, InitList, Loader, Role};
use crate::link::resolve::Resolved;
use crate::program::{
    Contents, Definition, ImportId, LibraryId, Position, Program, Relocation, Section, SectionId,
    SectionKind, Start, Symbol, SymbolId,
};
use crate::units::Align;

/// The program, and what the link adds to it.
#[derive(Debug)]
pub(crate) struct Synthesized<'p> {
    pub(crate) resolved: &'p Resolved<'p>,
    /// The link's own sections; their ids follow the program's.
    made: Vec<(Role, Section<'static>)>,
    /// The link's own symbols; their ids follow the program's.
    symbols: Vec<Symbol<'static>>,
    /// The program's sections of constants that hold addresses after all.
    promoted: IndexSet<SectionId, FxBuildHasher>,
    /// Where common symbols lie.
    commons: IndexMap<SymbolId, SectionId, FxBuildHasher>,
    /// The slots of the global offset table, by the symbol whose address they hold.
    slots: IndexMap<SymbolId, (SectionId, u64), FxBuildHasher>,
    /// The stubs, by the import that they jump to.
    stubs: IndexMap<SymbolId, (SectionId, u64), FxBuildHasher>,
    /// The imports that something refers to.
    imports: IndexMap<SymbolId, ImportId, FxBuildHasher>,
    /// The words to be written at load time, in the order in which they were found.
    pub(crate) load_relocations: Vec<LoadRelocation>,
    /// Where the loader jumps to; a library may have none.
    pub(crate) entry: Option<SymbolId>,
}

impl<'p> Synthesized<'p> {
    fn program(&self) -> &'p Program<'p> {
        self.resolved.program
    }

    /// Every section, the program's and then the link's own.
    pub(crate) fn sections(&self) -> impl Iterator<Item = (SectionId, &Section<'_>)> {
        let made = self.made.iter().map(|(_, section)| section as &Section<'_>);
        let all = self.program().sections().iter().map(|section| section as &Section<'_>);
        all.chain(made).enumerate().map(|(index, section)| (SectionId::new(index), section))
    }

    pub(crate) fn section(&self, id: SectionId) -> &Section<'_> {
        match self.made_index(id) {
            Some(index) => &self.made[index].1,
            None => self.program().section(id),
        }
    }

    /// What a section is gathered as.
    pub(crate) fn role(&self, id: SectionId) -> Role {
        match self.made_index(id) {
            Some(index) => self.made[index].0,
            None if self.promoted.contains(&id) => Role::Kind(SectionKind::RelRo),
            None => Role::Kind(self.program().section(id).kind),
        }
    }

    /// The names of the link's own sections, in order.
    pub(crate) fn made_names(&self) -> impl Iterator<Item = &'static str> {
        self.made.iter().map(|(_, section)| match section.name {
            Cow::Borrowed(name) => name,
            Cow::Owned(_) => "common",
        })
    }

    /// What a symbol stands for, common symbols being sections by now.
    pub(crate) fn definition(&self, id: SymbolId) -> Definition {
        if let Some(own) = id.index().checked_sub(self.program().symbols().len()) {
            return self.symbols[own].definition;
        }
        match self.resolved.definition(id) {
            Definition::Common { .. } => {
                let winner = self.resolved.winners[id.index()];
                Definition::Section { section: self.commons[&winner], offset: 0 }
            }
            definition => definition,
        }
    }

    /// How many symbols there are, the program's and the link's own.
    pub(crate) fn symbol_count(&self) -> usize {
        self.program().symbols().len() + self.symbols.len()
    }

    pub(crate) fn symbol_name(&self, id: SymbolId) -> &str {
        match id.index().checked_sub(self.program().symbols().len()) {
            Some(own) => &self.symbols[own].name,
            None => &self.program().symbol(id).name,
        }
    }

    /// The section and offset of the slot that holds the address of `symbol`.
    pub(crate) fn slot(&self, symbol: SymbolId) -> Option<(SectionId, u64)> {
        self.slots.get(&self.winner(symbol)).copied()
    }

    /// The section and offset of the stub that jumps to `symbol`, if it is an import that is called.
    pub(crate) fn stub(&self, symbol: SymbolId) -> Option<(SectionId, u64)> {
        self.stubs.get(&self.winner(symbol)).copied()
    }

    /// The imports that are kept: by library, then in the program's order.
    pub(crate) fn kept_imports(&self) -> Vec<KeptImport> {
        let mut kept: Vec<_> = self
            .imports
            .iter()
            .map(|(&symbol, &import)| KeptImport {
                import,
                symbol,
                slot: self.slot(symbol),
                stub: self.stub(symbol),
            })
            .collect();
        kept.sort_by_key(|kept| (self.library(kept.import), kept.import));
        kept
    }

    fn library(&self, import: ImportId) -> LibraryId {
        self.program().imports()[import.index()].library
    }

    /// The import that a symbol is, if it is one.
    fn import(&self, symbol: SymbolId) -> Option<ImportId> {
        match self.definition(symbol) {
            Definition::Import(import) => Some(import),
            _ => None,
        }
    }

    /// The import that the program calls by this name.
    fn import_called(&self, name: &str) -> Option<(SymbolId, ImportId)> {
        let symbol = self.program().global(name)?;
        let winner = self.winner(symbol);
        Some((winner, self.import(winner)?))
    }

    fn winner(&self, id: SymbolId) -> SymbolId {
        self.resolved.winners.get(id.index()).copied().unwrap_or(id)
    }

    fn made_index(&self, id: SectionId) -> Option<usize> {
        id.index().checked_sub(self.program().sections().len())
    }

    fn add_section(&mut self, role: Role, section: Section<'static>) -> SectionId {
        self.made.push((role, section));
        SectionId::new(self.program().sections().len() + self.made.len() - 1)
    }

    fn add_symbol(&mut self, name: &'static str, definition: Definition) -> SymbolId {
        self.symbols.push(Symbol::new(name, definition).local());
        SymbolId::new(self.symbol_count() - 1)
    }
}

/// Adds what the program needs and did not bring.
///
/// # Errors
/// Every relocation is looked at: a kind of another architecture, one outside its section or in a section
/// without bytes, an address that would have to be written into code or into fewer than 8 bytes at load
/// time, a subtraction without its addition, an import where its address cannot come. Values are not
/// known yet, so ranges are checked later.
pub(crate) fn synthesize<'p>(
    resolved: &'p Resolved<'p>,
    loader: Loader,
) -> Result<Synthesized<'p>> {
    let mut errors = Collector::default();
    let mut synthesized = Synthesized {
        resolved,
        made: Vec::new(),
        symbols: Vec::new(),
        promoted: IndexSet::default(),
        commons: IndexMap::default(),
        slots: IndexMap::default(),
        stubs: IndexMap::default(),
        imports: IndexMap::default(),
        load_relocations: Vec::new(),
        entry: resolved.entry,
    };

    make_room_for_commons(&mut synthesized);
    make_lists(&mut synthesized, loader);
    let mut wanted = scan_relocations(&mut synthesized, loader, &mut errors);
    want_libc(&mut synthesized, loader, &mut wanted, &mut errors);
    make_stubs(&mut synthesized, &wanted);
    make_slots(&mut synthesized, loader, &wanted);
    add_start_up(&mut synthesized, loader, &mut errors);
    errors.into_result(synthesized)
}

/// What relocations ask for beside the symbol itself.
#[derive(Default)]
struct Wanted {
    slots: IndexSet<SymbolId, FxBuildHasher>,
    stubs: IndexSet<SymbolId, FxBuildHasher>,
}

fn make_room_for_commons(synthesized: &mut Synthesized<'_>) {
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
fn make_lists(synthesized: &mut Synthesized<'_>, loader: Loader) {
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

/// Looks at every relocation once: what it needs, and whether it can be carried out at all.
fn scan_relocations(
    synthesized: &mut Synthesized<'_>,
    loader: Loader,
    errors: &mut Collector,
) -> Wanted {
    let program = synthesized.program();
    let mut wanted = Wanted::default();
    for (id, section) in program.sections_with_ids() {
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
    if let Some(import) = import {
        synthesized.imports.insert(winner, import);
    }
    match (kind.via(), import) {
        (Via::Slot, _) => {
            wanted.slots.insert(winner);
            return Ok(());
        }
        (Via::ThroughStub, Some(_)) => {
            wanted.slots.insert(winner);
            wanted.stubs.insert(winner);
            return Ok(());
        }
        _ => {}
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
fn moves(synthesized: &Synthesized<'_>, relocation: &Relocation) -> bool {
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
    })
}

/// The C library's start-up code takes its functions' addresses from slots.
fn want_libc(
    synthesized: &mut Synthesized<'_>,
    loader: Loader,
    wanted: &mut Wanted,
    errors: &mut Collector,
) {
    let program = synthesized.program();
    if program.wishes.start != Start::Libc || loader.calls_main {
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

/// For every import that is called a stub that jumps to it.
fn make_stubs(synthesized: &mut Synthesized<'_>, wanted: &Wanted) {
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
fn make_slots(synthesized: &mut Synthesized<'_>, loader: Loader, wanted: &Wanted) {
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

/// Puts start-up code before the program's entry for whatever the system does not do.
fn add_start_up(synthesized: &mut Synthesized<'_>, loader: Loader, errors: &mut Collector) {
    let program = synthesized.program();
    let relocates = !loader.relocates && !synthesized.load_relocations.is_empty();
    let start = if loader.calls_main { Start::Raw } else { program.wishes.start };
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
