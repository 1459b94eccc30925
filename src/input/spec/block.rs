//! Bytes with holes: what hex text and data items become before their names are known.

use super::document::Span;
use super::expression::Expression;
use crate::program::RelocationKind;
use crate::units::Align;

/// Bytes, the names in them, and the fields that depend on names elsewhere.
#[derive(Clone, Debug, Default)]
pub(super) struct Block {
    pub(super) bytes: Vec<u8>,
    /// In ascending order of offset.
    pub(super) labels: Vec<Label>,
    /// In ascending order of offset.
    pub(super) fixups: Vec<Fixup>,
    /// What it asks for its address.
    pub(super) align: Option<Align>,
}

/// A name for a byte of a block.
#[derive(Clone, Debug)]
pub(super) struct Label {
    /// With the leading dot, if it is local.
    pub(super) name: String,
    /// Bytes from the block's start.
    pub(super) offset: u64,
    pub(super) span: Span,
}

impl Label {
    /// Whether only its own block sees it.
    pub(super) fn is_local(&self) -> bool {
        self.name.starts_with('.')
    }
}

/// Bytes of a block that depend on names.
#[derive(Clone, Debug)]
pub(super) struct Fixup {
    /// Bytes from the block's start to the field's.
    pub(super) offset: u64,
    pub(super) field: Field,
    pub(super) expression: Expression,
    pub(super) span: Span,
}

/// What is written into the bytes of a fixup.
#[derive(Clone, Copy, Debug)]
pub(super) enum Field {
    /// A number that is known before anything has an address.
    Number(Number),
    /// The 8-byte address of a symbol, whatever the architecture calls that.
    Pointer,
    /// What a relocation writes. `bias` is added to the addend: how far the place that a relative field
    /// counts from lies before the field's first byte, so 0 or negative.
    Relocation {
        /// How the bytes depend on the symbol.
        kind: RelocationKind,
        /// Bytes.
        bias: i64,
    },
}

/// A kind of number as it stands in memory, the lowest byte first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) name: &'static str,
    /// Bytes.
    pub(super) width: u8,
    pub(super) is_signed: bool,
}

impl Number {
    /// Every kind.
    pub(super) const ALL: &'static [Self] =
        &[Self::U8, Self::U16, Self::U32, Self::U64, Self::I8, Self::I16, Self::I32, Self::I64];

    pub(super) const U8: Self = Self::new("u8", 1, false);
    pub(super) const U16: Self = Self::new("u16", 2, false);
    pub(super) const U32: Self = Self::new("u32", 4, false);
    pub(super) const U64: Self = Self::new("u64", 8, false);
    pub(super) const I8: Self = Self::new("i8", 1, true);
    pub(super) const I16: Self = Self::new("i16", 2, true);
    pub(super) const I32: Self = Self::new("i32", 4, true);
    pub(super) const I64: Self = Self::new("i64", 8, true);

    const fn new(name: &'static str, width: u8, is_signed: bool) -> Self {
        Self { name, width, is_signed }
    }

    /// The kind of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|number| number.name == name)
    }

    /// Which values it can hold.
    pub(super) const fn interval(self) -> (i128, i128) {
        let bits = self.width as u32 * 8;
        if self.is_signed {
            (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
        } else {
            (0, (1 << bits) - 1)
        }
    }

    /// Writes `value`, which is in the interval, into `bytes` from `offset` on.
    pub(super) fn write(self, bytes: &mut [u8], offset: usize, value: i128) {
        let width = usize::from(self.width);
        bytes[offset..offset + width].copy_from_slice(&value.to_le_bytes()[..width]);
    }
}

impl Block {
    /// How many bytes it has so far.
    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Each label with the bytes that belong to it: up to the next label that others see, or the end.
    /// Local labels have none.
    pub(super) fn sized_labels(&self) -> Vec<(&Label, u64)> {
        let mut end = self.len();
        let mut sized: Vec<_> = Vec::with_capacity(self.labels.len());
        for label in self.labels.iter().rev() {
            if label.is_local() {
                sized.push((label, 0));
            } else {
                sized.push((label, end - label.offset));
                end = label.offset;
            }
        }
        sized.reverse();
        sized
    }

    /// Puts `other` behind what is there.
    pub(super) fn append(&mut self, other: Self) {
        let base = self.len();
        self.bytes.extend_from_slice(&other.bytes);
        self.labels.extend(
            other.labels.into_iter().map(|label| Label { offset: base + label.offset, ..label }),
        );
        self.fixups.extend(
            other.fixups.into_iter().map(|fixup| Fixup { offset: base + fixup.offset, ..fixup }),
        );
    }

    /// Adds `width` bytes that `expression` will fill.
    pub(super) fn push_field(
        &mut self,
        field: Field,
        width: u64,
        expression: Expression,
        span: Span,
    ) {
        let offset = self.len();
        self.fixups.push(Fixup { offset, field, expression, span });
        self.bytes.extend((0..width).map(|_| 0));
    }
}
