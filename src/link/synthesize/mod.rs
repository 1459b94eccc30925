//! What the program needs and did not bring: slots of the global offset table, stubs that jump to imports,
//! start-up code, room for common symbols; and which words are left for load time.
//!
//! Takes resolved names; gives sections and symbols of the link's own beside the program's. From here on
//! no section is added, none changes its kind, and every load relocation is known.

mod make;
mod scan;
mod start_up;
mod thread_locals;

use std::borrow::Cow;

use indexmap::{IndexMap, IndexSet};
use rustc_hash::FxBuildHasher;

use crate::arch::Via;
use crate::error::{Collector, Result};
use crate::format::layout::{KeptImport, LoadRelocation};
use crate::format::plan::{Forwards, Loader, Role};
use crate::link::resolve::Resolved;
use crate::program::{
    Definition, ImportId, LibraryId, Program, Section, SectionId, SectionKind, Symbol, SymbolId,
};

use thread_locals::{check_sections, make_directory, make_variables, want_exported};

use make::{make_lists, make_room_for_commons, make_slots, make_stubs};
pub(crate) use scan::is_subtrahend;
use scan::scan_relocations;
use start_up::{add_start_up, want_libc};

/// The program, and what the link adds to it.
#[derive(Debug)]
pub struct Synthesized<'p> {
    pub(crate) resolved: &'p Resolved<'p>,
    /// The link's own sections; their ids follow the program's.
    made: Vec<(Role, Section<'static>)>,
    /// The link's own symbols; their ids follow the program's.
    symbols: Vec<Symbol<'static>>,
    /// The program's sections of constants that hold addresses after all.
    promoted: IndexSet<SectionId, FxBuildHasher>,
    /// Where common symbols lie.
    commons: IndexMap<SymbolId, SectionId, FxBuildHasher>,
    /// The slots of the global offset table, by the symbol that they are for and what they hold of it.
    slots: IndexMap<(SymbolId, Via), (SectionId, u64), FxBuildHasher>,
    /// What describes thread-local variables, by the variable.
    variables: IndexMap<SymbolId, SymbolId, FxBuildHasher>,
    /// The imports that are thread-local variables.
    thread_local_imports: IndexSet<SymbolId, FxBuildHasher>,
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
    pub fn sections(&self) -> impl Iterator<Item = (SectionId, &Section<'_>)> {
        let made = self.made.iter().map(|(_, section)| section as &Section<'_>);
        let all = self.program().sections().iter().map(|section| section as &Section<'_>);
        all.chain(made).enumerate().map(|(index, section)| (SectionId::new(index), section))
    }

    /// A section by its id.
    ///
    /// # Panics
    /// When there is none of this id.
    #[must_use]
    pub fn section(&self, id: SectionId) -> &Section<'_> {
        match self.made_index(id) {
            Some(index) => &self.made[index].1,
            None => self.program().section(id),
        }
    }

    /// What a section is gathered as.
    ///
    /// # Panics
    /// When there is none of this id.
    #[must_use]
    pub fn role(&self, id: SectionId) -> Role {
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

    /// The section and offset of the slot, or of the first of the slots, through which a relocation to `symbol`
    /// goes.
    #[must_use]
    pub fn slot(&self, symbol: SymbolId, via: Via) -> Option<(SectionId, u64)> {
        let symbol = self.winner(symbol);
        self.slots.get(&(symbol, self.slot_kind(symbol, via))).copied()
    }

    /// What a slot holds. An imported variable's address is that of what describes it.
    fn slot_kind(&self, symbol: SymbolId, via: Via) -> Via {
        if via == Via::VariableSlot && self.import(symbol).is_some() { Via::Slot } else { via }
    }

    /// What describes a thread-local variable.
    #[must_use]
    pub fn variable(&self, symbol: SymbolId) -> Option<SymbolId> {
        self.variables.get(&symbol).copied()
    }

    /// Each thread-local variable that is described, with the symbol of what does.
    pub fn variables(&self) -> impl Iterator<Item = (SymbolId, SymbolId)> {
        self.variables.iter().map(|(&symbol, &variable)| (symbol, variable))
    }

    /// The section and offset of the stub that jumps to `symbol`, if it is an import that is called.
    #[must_use]
    pub fn stub(&self, symbol: SymbolId) -> Option<(SectionId, u64)> {
        self.stubs.get(&self.winner(symbol)).copied()
    }

    /// The imports that something refers to: by library, then in the program's order.
    #[must_use]
    pub fn kept_imports(&self) -> Vec<KeptImport> {
        let mut kept: Vec<_> = self
            .imports
            .iter()
            .map(|(&symbol, &import)| KeptImport {
                import,
                symbol,
                slot: self.slot(symbol, Via::Slot),
                stub: self.stub(symbol),
                is_thread_local: self.thread_local_imports.contains(&symbol),
            })
            .collect();
        kept.sort_by_key(|kept| (self.library(kept.import), kept.import));
        kept
    }

    /// The words that are left for load time, in the order in which they were found.
    #[must_use]
    pub fn load_relocations(&self) -> &[LoadRelocation] {
        &self.load_relocations
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

    /// The id of the section that is made next.
    fn next_section(&self) -> SectionId {
        SectionId::new(self.program().sections().len() + self.made.len())
    }

    fn add_section(&mut self, role: Role, section: Section<'static>) -> SectionId {
        let id = self.next_section();
        self.made.push((role, section));
        id
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
/// time, a subtraction without its addition, an import where its address cannot come, a thread-local variable
/// as if it had one address, or in another system's way. Values are not
/// known yet, so ranges are checked later.
#[cfg_attr(feature = "tracing", tracing::instrument(skip_all))]
pub fn synthesize<'p>(resolved: &'p Resolved<'p>, loader: Loader) -> Result<Synthesized<'p>> {
    let mut errors = Collector::default();
    let mut synthesized = Synthesized {
        resolved,
        made: Vec::new(),
        symbols: Vec::new(),
        promoted: IndexSet::default(),
        commons: IndexMap::default(),
        slots: IndexMap::default(),
        variables: IndexMap::default(),
        thread_local_imports: IndexSet::default(),
        stubs: IndexMap::default(),
        imports: IndexMap::default(),
        load_relocations: Vec::new(),
        entry: resolved.entry,
    };

    make_room_for_commons(&mut synthesized);
    check_sections(&synthesized, loader, &mut errors);
    make_lists(&mut synthesized, loader);
    let mut wanted = scan_relocations(&mut synthesized, loader, &mut errors);
    keep_forwarded(&mut synthesized, loader);
    want_libc(&mut synthesized, loader, &mut wanted, &mut errors);
    want_exported(&synthesized, loader, &mut wanted, &mut errors);
    make_variables(&mut synthesized, loader, &wanted, &mut errors);
    make_directory(&mut synthesized, loader);
    make_stubs(&mut synthesized, &wanted);
    make_slots(&mut synthesized, loader, &wanted);
    add_start_up(&mut synthesized, loader, &mut errors);
    errors.into_result(synthesized)
}

/// What others look up here and find in another library is an import that is used.
fn keep_forwarded(synthesized: &mut Synthesized<'_>, loader: Loader) {
    if loader.forwards != Forwards::AsImport {
        return;
    }
    for export in &synthesized.program().exports {
        let symbol = synthesized.winner(export.symbol);
        if let Some(import) = synthesized.import(symbol) {
            synthesized.imports.insert(symbol, import);
        }
    }
}

/// What relocations ask for beside the symbol itself.
#[derive(Default)]
struct Wanted {
    slots: IndexSet<(SymbolId, Via), FxBuildHasher>,
    stubs: IndexSet<SymbolId, FxBuildHasher>,
    /// Thread-local variables that have to be described.
    variables: IndexSet<SymbolId, FxBuildHasher>,
}
