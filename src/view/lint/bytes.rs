//! Bytes of a file that nobody vouches for: every read says whether it lies inside.

use object::LittleEndian as LE;
use object::endian::{U16, U32, U64};
use object::pod::{self, Pod};

/// A file, or a part of one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'d>(pub(super) &'d [u8]);

impl<'d> Bytes<'d> {
    /// How many there are.
    pub(super) fn len(self) -> u64 {
        self.0.len() as u64
    }

    /// `size` bytes from `offset` on, if all of them are there.
    pub(super) fn slice(self, offset: u64, size: u64) -> Option<&'d [u8]> {
        let start = usize::try_from(offset).ok()?;
        let end = usize::try_from(offset.checked_add(size)?).ok()?;
        self.0.get(start..end)
    }

    /// What is there from `offset` on.
    pub(super) fn from(self, offset: u64) -> Self {
        let start = usize::try_from(offset).ok();
        Self(start.and_then(|start| self.0.get(start..)).unwrap_or_default())
    }

    /// A structure of at most 512 bytes, wherever it lies.
    pub(super) fn read<T: Pod>(self, offset: u64) -> Option<T> {
        let source = self.slice(offset, size_of::<T>() as u64)?;
        // Structures are read in place only where they are aligned, which a file does not promise.
        let mut aligned = [0_u64; 64];
        let bytes = pod::bytes_of_slice_mut(&mut aligned);
        bytes.get_mut(..source.len())?.copy_from_slice(source);
        pod::from_bytes::<T>(bytes).ok().map(|(value, _)| *value)
    }

    /// A little-endian number of 16 bits.
    pub(super) fn u16(self, offset: u64) -> Option<u16> {
        self.read::<U16<LE>>(offset).map(|number| number.get(LE))
    }

    /// A little-endian number of 32 bits.
    pub(super) fn u32(self, offset: u64) -> Option<u32> {
        self.read::<U32<LE>>(offset).map(|number| number.get(LE))
    }

    /// A little-endian number of 64 bits.
    pub(super) fn u64(self, offset: u64) -> Option<u64> {
        self.read::<U64<LE>>(offset).map(|number| number.get(LE))
    }

    /// The text at `offset` without its NUL; `None` where no NUL ends it.
    pub(super) fn c_string(self, offset: u64) -> Option<&'d [u8]> {
        let rest = self.from(offset).0;
        rest.iter().position(|byte| *byte == 0).map(|end| &rest[..end])
    }
}

/// A field of a structure: where it lies in it, how large it is, and its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) offset: u64,
    pub(super) size: u64,
    pub(super) name: &'static str,
}

/// How large the field is that a function gets from its structure.
pub(super) const fn size_of_field<S, F>(_: fn(&S) -> &F) -> u64 {
    size_of::<F>() as u64
}

/// The [`Field`] of a structure of the `object` crate.
macro_rules! field {
    ($structure:ty, $name:ident) => {
        $crate::view::lint::bytes::Field {
            offset: std::mem::offset_of!($structure, $name) as u64,
            size: $crate::view::lint::bytes::size_of_field(|structure: &$structure| {
                &structure.$name
            }),
            name: stringify!($name),
        }
    };
}
pub(super) use field;

/// `value` rounded down to a multiple of a power of two.
pub(super) const fn down(value: u64, align: u64) -> u64 {
    value & !(align - 1)
}

/// `value` rounded up to a multiple of a power of two; the last one where there is none above.
pub(super) const fn up(value: u64, align: u64) -> u64 {
    match value.checked_add(align - 1) {
        Some(sum) => down(sum, align),
        None => down(u64::MAX, align),
    }
}

/// A text of a file, for a message.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).escape_debug().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_outside() {
        let bytes = Bytes(&[1, 0, 2, 0]);
        assert_eq!(bytes.u16(2), Some(2));
        assert_eq!(bytes.u16(1), Some(0x200), "wherever it lies");
        assert_eq!(bytes.u16(3), None);
        assert_eq!(bytes.u32(u64::MAX), None);
        assert_eq!(bytes.slice(1, u64::MAX), None);
        assert_eq!(bytes.c_string(2), Some(&[2][..]));
        assert_eq!(Bytes(b"no end").c_string(0), None);
        assert_eq!(bytes.from(9).len(), 0);
    }

    #[test]
    fn rounding_stays_within_64_bits() {
        assert_eq!((down(0x1fff, 0x1000), up(0x1001, 0x1000)), (0x1000, 0x2000));
        assert_eq!(up(u64::MAX, 0x1000), 0xffff_ffff_ffff_f000);
    }
}
