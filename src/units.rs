//! The numbers a linker must not mix: addresses, file offsets, sizes and alignments.
//!
//! Each is a newtype over `u64`, so that an [`Address`] given where a [`FileOffset`] is meant does
//! not compile. Arithmetic that can leave the 64 bits is checked: it gives `None`, never wraps.

use std::fmt;

macro_rules! position {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl $name {
            /// The position `size` bytes further on; `None` past 2^64 - 1.
            #[must_use]
            pub const fn checked_add(self, size: Size) -> Option<Self> {
                match self.0.checked_add(size.0) {
                    Some(sum) => Some(Self(sum)),
                    None => None,
                }
            }

            /// The first multiple of `align` that is not below this position; `None` past 2^64 - 1.
            #[must_use]
            pub const fn checked_align_up(self, align: Align) -> Option<Self> {
                match self.0.checked_next_multiple_of(align.get()) {
                    Some(up) => Some(Self(up)),
                    None => None,
                }
            }

            /// The last multiple of `align` that is not above this position.
            #[must_use]
            pub const fn align_down(self, align: Align) -> Self {
                Self(self.0 & !(align.get() - 1))
            }

            /// Bytes from `start` to this position; `None` where `start` lies behind it.
            #[must_use]
            pub const fn checked_since(self, start: Self) -> Option<Size> {
                match self.0.checked_sub(start.0) {
                    Some(size) => Some(Size(size)),
                    None => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }

        impl fmt::LowerHex for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::LowerHex::fmt(&self.0, f)
            }
        }
    };
}

position! {
    /// A virtual address of the linked image, in bytes, before the loader slides it.
    Address
}

position! {
    /// A position in the written file, in bytes from its start.
    FileOffset
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(pub u64);

impl Size {
    /// No bytes.
    pub const ZERO: Self = Self(0);

    /// The sum; `None` past 2^64 - 1.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The first multiple of `align` that is not below this size; `None` past 2^64 - 1.
    #[must_use]
    pub const fn checked_align_up(self, align: Align) -> Option<Self> {
        match self.0.checked_next_multiple_of(align.get()) {
            Some(up) => Some(Self(up)),
            None => None,
        }
    }

    /// The size of something that lies in this process' memory.
    #[must_use]
    pub const fn of(bytes: &[u8]) -> Self {
        Self(bytes.len() as u64)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::LowerHex for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.0, f)
    }
}

/// An alignment in bytes: a power of two, 1 to 2^63.
///
/// ```
/// use minild::Align;
/// assert_eq!(Align::new(4096).unwrap().get(), 4096);
/// assert!(Align::new(24).is_none());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Align(u8);

impl Align {
    /// Alignment 1: anywhere.
    pub const ONE: Self = Self(0);
    /// The alignment that every section has unless it says otherwise: one 64-bit word.
    pub const WORD: Self = Self(3);

    /// `bytes` as an alignment; `None` unless it is a power of two.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // an exponent of 64 bits is at most 63
    pub const fn new(bytes: u64) -> Option<Self> {
        if bytes.is_power_of_two() { Some(Self(bytes.trailing_zeros() as u8)) } else { None }
    }

    /// `bytes` as an alignment, for tables of constants: anything but a power of two does not compile
    /// in a `const`.
    ///
    /// # Panics
    /// When `bytes` is not a power of two.
    #[must_use]
    pub const fn of(bytes: u64) -> Self {
        match Self::new(bytes) {
            Some(align) => align,
            None => panic!("an alignment is a power of two"),
        }
    }

    /// The alignment in bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        1 << self.0
    }

    /// Its exponent: `log2` of the bytes.
    #[must_use]
    pub const fn log2(self) -> u32 {
        self.0 as u32
    }
}

impl fmt::Debug for Align {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Align({:#x})", self.get())
    }
}

impl fmt::Display for Align {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alignment_is_a_power_of_two() {
        for exponent in 0..64 {
            assert_eq!(Align::new(1 << exponent).map(Align::log2), Some(exponent));
        }
        for wrong in [0, 3, 6, 24, u64::MAX] {
            assert_eq!(Align::new(wrong), None);
        }
    }

    #[test]
    fn positions_never_wrap() {
        assert_eq!(Address(u64::MAX).checked_add(Size(1)), None);
        assert_eq!(Address(u64::MAX).checked_align_up(Align::WORD), None);
        assert_eq!(FileOffset(9).checked_align_up(Align::WORD), Some(FileOffset(16)));
        assert_eq!(FileOffset(9).align_down(Align::WORD), FileOffset(8));
        assert_eq!(Address(8).checked_since(Address(9)), None);
    }
}
