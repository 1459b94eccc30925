//! The IR: a program as sections, symbols and relocations.
//!
//! It is small and knows nothing of file formats, TOML or files: a section owns bytes, a symbol names
//! a place, a relocation says which bytes depend on a symbol's address. Whoever has a code generator
//! fills a [`Program`]; so do minild's own inputs. The passes in `link` only read it.
//!
//! ```
//! use minild::program::{Program, Section, SectionKind};
//! use minild::{Target, arch::x86_64};
//!
//! let mut program = Program::new(Target::X86_64_LINUX);
//! let message = program.add_section(Section::new("message", SectionKind::ReadOnly, b"Hello\n"));
//! program.define("message", message, 0, 6);
//! let code = program.add_section(Section::new("start", SectionKind::Code, b"\x48\x8d\x35\0\0\0\0\xc3"));
//! let start = program.define("start", code, 0, 8);
//! let target = program.reference("message");
//! program.relocate(code, 3, x86_64::REL32, target, -4);
//! program.entry = Some(start);
//! ```

mod import;
mod relocation;
mod section;
mod symbol;
mod wishes;

pub use import::{Export, Import, ImportId, ImportName, Library, LibraryId};
pub use relocation::{Relocation, RelocationKind};
pub use section::{Contents, Section, SectionId, SectionKind};
pub use symbol::{Binding, Definition, Landmark, Symbol, SymbolId, SymbolType};
pub use wishes::{Libc, MemoryWish, Position, Start, Subsystem, SystemVersion, Wishes};

use std::borrow::Cow;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use crate::target::{FileTarget, Target};

/// What is made of a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OutputKind {
    /// A file that a system runs.
    #[default]
    Executable,
    /// A file that programs load to use what it exports.
    SharedLibrary,
}

impl OutputKind {
    /// Every kind, by its name in specs.
    pub const NAMES: &'static [(&'static str, Self)] =
        &[("executable", Self::Executable), ("shared-library", Self::SharedLibrary)];

    /// What the name of such a file ends with on `target`, the dot included.
    #[must_use]
    pub fn suffix(self, target: impl Into<FileTarget>) -> &'static str {
        let row = target.into().slices()[0].row();
        match self {
            Self::Executable => row.executable_suffix,
            Self::SharedLibrary => row.library_suffix.unwrap_or(row.executable_suffix),
        }
    }
}

/// A whole program, as the linker takes it.
///
/// Order counts: inside a [`SectionKind`], sections lie in memory and in the file in the order in which
/// they were added. Equal programs give equal bytes.
#[derive(Clone, Debug)]
pub struct Program<'data> {
    /// Its name, for formats in which a program has one; a name of the file is a good choice.
    pub name: Cow<'data, str>,
    /// What it is linked for.
    pub target: Target,
    /// What is made of it.
    pub kind: OutputKind,
    /// What it asks of its system.
    pub wishes: Wishes,
    /// The file of the dynamic linker, for systems whose files name it; `None` for the usual one.
    pub interpreter: Option<Cow<'data, str>>,
    /// Where the dynamic linker looks for libraries first, folders separated by colons, for systems whose
    /// files say it.
    pub run_path: Option<Cow<'data, str>>,
    /// What programs call the library that this is; `None` for [`name`](Self::name) with what the
    /// system's libraries end with.
    pub library_name: Option<Cow<'data, str>>,
    /// What others can look up.
    pub exports: Vec<Export<'data>>,
    /// Functions that run before the program does, in this order.
    pub init: Vec<SymbolId>,
    /// Functions that run when the program has ended, the last one first.
    pub fini: Vec<SymbolId>,
    /// Where it starts. An executable without is an error; a library may have one that its system calls.
    pub entry: Option<SymbolId>,
    sections: Vec<Section<'data>>,
    symbols: Vec<Symbol<'data>>,
    libraries: Vec<Library<'data>>,
    imports: Vec<Import<'data>>,
    globals: IndexMap<Cow<'data, str>, SymbolId, FxBuildHasher>,
}

impl<'data> Program<'data> {
    /// An empty program for `target`, without wishes.
    #[must_use]
    pub fn new(target: Target) -> Self {
        Self {
            name: "program".into(),
            target,
            kind: OutputKind::default(),
            wishes: Wishes::default(),
            interpreter: None,
            run_path: None,
            library_name: None,
            exports: Vec::new(),
            init: Vec::new(),
            fini: Vec::new(),
            entry: None,
            sections: Vec::new(),
            symbols: Vec::new(),
            libraries: Vec::new(),
            imports: Vec::new(),
            globals: IndexMap::default(),
        }
    }

    /// What its file is called where systems look for it: the last part of the library's name, or else the
    /// program's name with what such files end with.
    #[must_use]
    pub fn file_name(&self) -> String {
        let own = || format!("{}{}", self.name, self.kind.suffix(self.target));
        match (self.kind, &self.library_name) {
            (OutputKind::SharedLibrary, Some(name)) => {
                name.rsplit('/').next().unwrap_or(name).to_owned()
            }
            _ => own(),
        }
    }

    /// Adds a section behind those of its kind.
    ///
    /// # Panics
    /// At 2^32 sections.
    pub fn add_section(&mut self, section: Section<'data>) -> SectionId {
        let id = SectionId::new(self.sections.len());
        self.sections.push(section);
        id
    }

    /// Adds a symbol as it is, whatever its name: input that carries several symbols of one name (object
    /// files) leaves it to the link to let them meet.
    ///
    /// # Panics
    /// At 2^32 symbols.
    pub fn add_symbol(&mut self, symbol: Symbol<'data>) -> SymbolId {
        let id = SymbolId::new(self.symbols.len());
        if symbol.binding != Binding::Local {
            self.globals.entry(symbol.name.clone()).or_insert(id);
        }
        self.symbols.push(symbol);
        id
    }

    /// Defines the global `name` as the `size` bytes at `offset` of `section`.
    ///
    /// A second definition of a name is kept, and is an error of the link that shows both.
    pub fn define(
        &mut self,
        name: impl Into<Cow<'data, str>>,
        section: SectionId,
        offset: u64,
        size: u64,
    ) -> SymbolId {
        let id = self.define_global(name.into(), Definition::Section { section, offset });
        self.symbols[id.index()].size = size;
        id
    }

    /// The library of this name.
    pub fn library(&mut self, name: impl Into<Cow<'data, str>>) -> LibraryId {
        let name = name.into();
        let known = self.libraries.iter().position(|library| library.name == name);
        LibraryId::new(known.unwrap_or_else(|| {
            self.libraries.push(Library { name });
            self.libraries.len() - 1
        }))
    }

    /// Takes `import` from its library; the program calls it by the global `name`.
    ///
    /// An import that no relocation refers to is left out of the file, and so is a library from which
    /// nothing is taken.
    pub fn import(&mut self, name: impl Into<Cow<'data, str>>, import: Import<'data>) -> SymbolId {
        let id = ImportId::new(self.imports.len());
        self.imports.push(import);
        self.define_global(name.into(), Definition::Import(id))
    }

    /// Turns the global `name` from a reference into a definition, or adds another definition of it.
    fn define_global(&mut self, name: Cow<'data, str>, definition: Definition) -> SymbolId {
        if let Some(&id) = self.globals.get(&name)
            && let symbol = &mut self.symbols[id.index()]
            && symbol.definition == Definition::Undefined
        {
            symbol.definition = definition;
            return id;
        }
        self.add_symbol(Symbol::new(name, definition))
    }

    /// The symbol that stands for the global `name`, defined or not yet.
    pub fn reference(&mut self, name: impl Into<Cow<'data, str>>) -> SymbolId {
        let name = name.into();
        match self.globals.get(&name) {
            Some(&id) => id,
            None => self.add_symbol(Symbol::new(name, Definition::Undefined)),
        }
    }

    /// Says that the field of kind `kind` at `offset` of `section` depends on `symbol` + `addend`.
    ///
    /// # Panics
    /// When `section` is none of this program's.
    pub fn relocate(
        &mut self,
        section: SectionId,
        offset: u64,
        kind: RelocationKind,
        symbol: SymbolId,
        addend: i64,
    ) {
        self.sections[section.index()].relocations.push(Relocation {
            offset,
            addend,
            symbol,
            kind,
        });
    }

    /// The sections, in the order in which they were added.
    #[must_use]
    pub fn sections(&self) -> &[Section<'data>] {
        &self.sections
    }

    /// The symbols, in the order in which they were added.
    #[must_use]
    pub fn symbols(&self) -> &[Symbol<'data>] {
        &self.symbols
    }

    /// The global symbol of this name, if there is one.
    #[must_use]
    pub fn global(&self, name: &str) -> Option<SymbolId> {
        self.globals.get(name).copied()
    }

    /// The libraries, in the order in which they were first named.
    #[must_use]
    pub fn libraries(&self) -> &[Library<'data>] {
        &self.libraries
    }

    /// What is taken from libraries, in the order in which it was added.
    #[must_use]
    pub fn imports(&self) -> &[Import<'data>] {
        &self.imports
    }

    /// Each section with its id.
    pub fn sections_with_ids(&self) -> impl Iterator<Item = (SectionId, &Section<'data>)> {
        self.sections.iter().enumerate().map(|(index, section)| (SectionId::new(index), section))
    }

    /// Each symbol with its id.
    pub fn symbols_with_ids(&self) -> impl Iterator<Item = (SymbolId, &Symbol<'data>)> {
        self.symbols.iter().enumerate().map(|(index, symbol)| (SymbolId::new(index), symbol))
    }

    /// Whether it meets others when it is loaded: it is a library, imports or exports.
    #[must_use]
    pub fn is_dynamic(&self) -> bool {
        self.kind == OutputKind::SharedLibrary
            || !self.libraries.is_empty()
            || !self.exports.is_empty()
    }

    /// Whether something of it goes into sections of this kind, lists of functions included.
    #[must_use]
    pub fn has(&self, kind: SectionKind) -> bool {
        let is_listed = match kind {
            SectionKind::Init => !self.init.is_empty(),
            SectionKind::Fini => !self.fini.is_empty(),
            _ => false,
        };
        is_listed || self.sections.iter().any(|section| section.kind == kind)
    }

    /// Whether it has variables that every thread has a copy of its own of.
    #[must_use]
    pub fn has_thread_locals(&self) -> bool {
        self.sections.iter().any(|section| section.kind.is_thread_local())
    }

    /// A section by its id.
    ///
    /// # Panics
    /// When `id` is none of this program's.
    #[must_use]
    pub fn section(&self, id: SectionId) -> &Section<'data> {
        &self.sections[id.index()]
    }

    /// A symbol by its id.
    ///
    /// # Panics
    /// When `id` is none of this program's.
    #[must_use]
    pub fn symbol(&self, id: SymbolId) -> &Symbol<'data> {
        &self.symbols[id.index()]
    }

    /// A symbol by its id, to change its binding, type or size.
    ///
    /// # Panics
    /// When `id` is none of this program's.
    pub fn symbol_mut(&mut self, id: SymbolId) -> &mut Symbol<'data> {
        &mut self.symbols[id.index()]
    }
}
