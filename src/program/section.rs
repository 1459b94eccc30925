//! A section: a run of bytes or zeros with one purpose.

use std::borrow::Cow;
use std::path::PathBuf;

use super::Relocation;
use crate::units::{Address, Align, Size};

/// Names a section of a program: its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SectionId(u32);

impl SectionId {
    /// # Panics
    /// At 2^32 sections: four thousand million of them do not fit this process' memory either.
    pub(crate) fn new(index: usize) -> Self {
        Self(u32::try_from(index).expect("fewer than 2^32 sections"))
    }

    /// The section's index, in the order in which sections were added.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a section is for. It decides permissions, place in memory and each format's own names, so that
/// nobody types flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SectionKind {
    /// Instructions: readable, executable.
    Code,
    /// Constants: readable.
    ReadOnly,
    /// Constants that hold addresses: written by relocation when the program is loaded, then readable
    /// only.
    RelRo,
    /// Variables with a first value: readable, writable.
    Data,
    /// Variables that start as zeros and take no room in the file: readable, writable.
    Bss,
    /// First values of variables that every thread has a copy of its own of: together with
    /// [`TlsBss`](Self::TlsBss) the template that a thread's copy is made from.
    TlsData,
    /// Variables that every thread has a copy of its own of, and that start as zeros: the end of that template.
    TlsBss,
    /// Pointers to functions that run before the program does, the first one first.
    Init,
    /// Pointers to functions that run when it has ended, the last one first.
    Fini,
    /// The table that says how to unwind each function's frame, for systems that want one: sorted by the
    /// function's address.
    Unwind,
    /// The records that such a table points to.
    UnwindRecords,
}

impl SectionKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::Code,
        Self::ReadOnly,
        Self::RelRo,
        Self::Data,
        Self::Bss,
        Self::TlsData,
        Self::TlsBss,
        Self::Init,
        Self::Fini,
        Self::Unwind,
        Self::UnwindRecords,
    ];

    /// Whether sections of this kind hold zeros only and take no bytes of the file.
    #[must_use]
    pub const fn is_zeros(self) -> bool {
        matches!(self, Self::Bss | Self::TlsBss)
    }

    /// Whether every thread has a copy of its own of what is in sections of this kind.
    #[must_use]
    pub const fn is_thread_local(self) -> bool {
        matches!(self, Self::TlsData | Self::TlsBss)
    }
}

/// What a section holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contents<'data> {
    /// These bytes.
    Bytes(Cow<'data, [u8]>),
    /// Bytes of a file, copied when the output is written and never held in memory.
    File {
        /// The file.
        path: PathBuf,
        /// Where in it, in bytes.
        offset: u64,
        /// How many bytes.
        len: u64,
    },
    /// This many zero bytes.
    Zeros(Size),
}

impl Contents<'_> {
    /// How many bytes of memory.
    #[must_use]
    pub fn size(&self) -> Size {
        match self {
            Self::Bytes(bytes) => Size::of(bytes),
            Self::File { len, .. } => Size(*len),
            Self::Zeros(size) => *size,
        }
    }
}

impl<'data> From<&'data [u8]> for Contents<'data> {
    fn from(bytes: &'data [u8]) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }
}

impl<'data, const N: usize> From<&'data [u8; N]> for Contents<'data> {
    fn from(bytes: &'data [u8; N]) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }
}

impl From<Vec<u8>> for Contents<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(Cow::Owned(bytes))
    }
}

/// A run of bytes or zeros with one purpose, and the relocations in it.
#[derive(Clone, Debug)]
pub struct Section<'data> {
    /// Its name, for people and error messages: two sections may share one.
    pub name: Cow<'data, str>,
    /// What it is for.
    pub kind: SectionKind,
    /// What its address is a multiple of.
    pub align: Align,
    /// Where it must lie, for whoever wants to say it: behind what comes before it, whatever room that
    /// leaves.
    pub at: Option<Address>,
    /// What it holds.
    pub contents: Contents<'data>,
    /// Which of its bytes depend on symbols. A difference of two symbols is two neighbours at one
    /// offset: the one that adds, then the one that subtracts.
    pub relocations: Vec<Relocation>,
}

impl<'data> Section<'data> {
    /// A section aligned to a word, without relocations.
    #[must_use]
    pub fn new(
        name: impl Into<Cow<'data, str>>,
        kind: SectionKind,
        contents: impl Into<Contents<'data>>,
    ) -> Self {
        Self {
            name: name.into(),
            kind,
            align: Align::WORD,
            at: None,
            contents: contents.into(),
            relocations: Vec::new(),
        }
    }

    /// `size` zero bytes that take no room in the file.
    #[must_use]
    pub fn bss(name: impl Into<Cow<'data, str>>, size: Size) -> Self {
        Self::new(name, SectionKind::Bss, Contents::Zeros(size))
    }

    /// The same section with another alignment.
    #[must_use]
    pub fn aligned(mut self, align: Align) -> Self {
        self.align = align;
        self
    }
}
