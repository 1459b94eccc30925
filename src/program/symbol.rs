//! A symbol: a name for a place.

use std::borrow::Cow;

use super::{ImportId, SectionId, SectionKind};
use crate::units::{Align, Size};

/// Names a symbol of a program: its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SymbolId(u32);

impl SymbolId {
    /// # Panics
    /// At 2^32 symbols.
    pub(crate) fn new(index: usize) -> Self {
        Self(u32::try_from(index).expect("fewer than 2^32 symbols"))
    }

    /// The symbol's index, in the order in which symbols were added.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Who sees a symbol, and who wins where two have one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binding {
    /// Only its own input sees it; its name meets no other.
    Local,
    /// All inputs see it; two strong definitions are an error.
    Global,
    /// As global, but a strong definition wins, and a reference that nothing defines is address 0.
    Weak,
}

/// What a symbol names, for debuggers and for systems that tell functions from data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SymbolType {
    /// Not said: code sections give functions, others objects.
    #[default]
    Unspecified,
    /// Instructions.
    Function,
    /// Data.
    Object,
    /// A variable that every thread has a copy of its own of.
    ThreadLocal,
}

/// A place that only the layout knows, for code that looks at its own image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Landmark {
    /// The first byte of the image, where its headers lie.
    ImageBase,
    /// The first byte of what sections of a kind were gathered into.
    Start(SectionKind),
    /// The byte behind it.
    End(SectionKind),
    /// The first byte of the table of relocations that are left for load time.
    LoadRelocationsStart,
    /// The byte behind it.
    LoadRelocationsEnd,
    /// The first byte of what turns read-only after relocation.
    RelRoStart,
    /// The byte behind it, on a page boundary.
    RelRoEnd,
    /// The first byte of the template that each thread's variables are copied from.
    TlsStart,
    /// The byte behind what of it has bytes: from there on it is zeros.
    TlsDataEnd,
    /// The byte behind it.
    TlsEnd,
    /// Where the loader writes the number of the program's thread-locals, 32 bits, on systems that number them.
    TlsIndex,
}

impl Landmark {
    /// Whether it is a place of the thread-local template: it has an address, and in each thread's copy a place.
    #[must_use]
    pub const fn is_of_template(self) -> bool {
        matches!(self, Self::TlsStart | Self::TlsDataEnd | Self::TlsEnd)
    }
}

/// What a symbol stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Definition {
    /// Nothing yet: another symbol of this name must say it.
    Undefined,
    /// A byte of a section.
    Section {
        /// The section.
        section: SectionId,
        /// Bytes from its start.
        offset: u64,
    },
    /// Zeros that all inputs share under this name, the largest wish deciding (C's tentative definitions).
    Common {
        /// How many bytes.
        size: Size,
        /// What its address is a multiple of.
        align: Align,
    },
    /// A number, the same wherever the program is loaded.
    Absolute(u64),
    /// A place that the layout decides.
    Landmark(Landmark),
    /// Something that a library has; its address is known when the program is loaded.
    Import(ImportId),
}

/// A name for a place.
#[derive(Clone, Debug)]
pub struct Symbol<'data> {
    /// Its name.
    pub name: Cow<'data, str>,
    /// What it stands for.
    pub definition: Definition,
    /// Who sees it.
    pub binding: Binding,
    /// What it names.
    pub symbol_type: SymbolType,
    /// Bytes that belong to it; 0 where nobody said.
    pub size: u64,
}

impl<'data> Symbol<'data> {
    /// A global symbol of unspecified type, without a size.
    #[must_use]
    pub fn new(name: impl Into<Cow<'data, str>>, definition: Definition) -> Self {
        Self {
            name: name.into(),
            definition,
            binding: Binding::Global,
            symbol_type: SymbolType::Unspecified,
            size: 0,
        }
    }

    /// The same symbol, seen by its own input only.
    #[must_use]
    pub fn local(mut self) -> Self {
        self.binding = Binding::Local;
        self
    }
}
