//! A relocation: bytes of a section that depend on where a symbol lies.

use super::SymbolId;
use crate::target::Architecture;

/// How a relocation's bytes depend on its symbol.
///
/// The kinds belong to their architecture's module in [`arch`](crate::arch), which alone knows what each
/// is called, how wide it is, what it can hold and what it writes. To the IR it is a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RelocationKind {
    architecture: Architecture,
    index: u8,
}

impl RelocationKind {
    /// The `index`-th kind of `architecture`.
    pub(crate) const fn new(architecture: Architecture, index: u8) -> Self {
        Self { architecture, index }
    }

    /// The architecture that owns it.
    #[must_use]
    pub const fn architecture(self) -> Architecture {
        self.architecture
    }

    /// Its row in that architecture's table.
    pub(crate) const fn index(self) -> usize {
        self.index as usize
    }
}

/// Bytes of a section that depend on where a symbol lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// Where the field starts, in bytes from the section's start.
    pub offset: u64,
    /// What is added to the symbol's address. Where a kind counts from the field's own address, that is
    /// the address of the field's first byte.
    pub addend: i64,
    /// What it depends on.
    pub symbol: SymbolId,
    /// How.
    pub kind: RelocationKind,
}
