//! What a program takes from libraries when it is loaded.

use std::borrow::Cow;

use super::SymbolId;

/// Names a library of a program: its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LibraryId(u32);

impl LibraryId {
    /// # Panics
    /// At 2^32 libraries.
    pub(crate) fn new(index: usize) -> Self {
        Self(u32::try_from(index).expect("fewer than 2^32 libraries"))
    }

    /// The library's index, in the order in which libraries were first named.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Names an import of a program: its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImportId(u32);

impl ImportId {
    /// # Panics
    /// At 2^32 imports.
    pub(crate) fn new(index: usize) -> Self {
        Self(u32::try_from(index).expect("fewer than 2^32 imports"))
    }

    /// The import's index, in the order in which imports were added.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A library that the loader finds by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Library<'data> {
    /// Its name as the loader wants it: `kernel32.dll`, `libc.so.6`, `/usr/lib/libSystem.B.dylib`.
    pub name: Cow<'data, str>,
}

/// How a library knows what is taken from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportName<'data> {
    /// By this name.
    Name(Cow<'data, str>),
    /// By this number.
    Ordinal(u16),
}

/// Something that a library has and the program uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import<'data> {
    /// The library.
    pub library: LibraryId,
    /// How the library knows it.
    pub name: ImportName<'data>,
    /// Which version of it, where libraries have several: `GLIBC_2.34`.
    pub version: Option<Cow<'data, str>>,
}

impl<'data> Import<'data> {
    /// What `library` has under this name, in whatever version the loader takes.
    #[must_use]
    pub fn by_name(library: LibraryId, name: impl Into<Cow<'data, str>>) -> Self {
        Self { library, name: ImportName::Name(name.into()), version: None }
    }
}

/// Something of the program that others can look up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export<'data> {
    /// The name that others look up.
    pub name: Cow<'data, str>,
    /// What they find: a place of the program.
    pub symbol: SymbolId,
    /// Its number, for formats in which exports have one; `None` for the next that is free.
    pub ordinal: Option<u16>,
    /// Which version of it this is, where libraries have several.
    pub version: Option<Cow<'data, str>>,
}

impl<'data> Export<'data> {
    /// `symbol`, for others to look up by this name, under the next number that is free, in no version.
    #[must_use]
    pub fn by_name(name: impl Into<Cow<'data, str>>, symbol: SymbolId) -> Self {
        Self { name: name.into(), symbol, ordinal: None, version: None }
    }
}
