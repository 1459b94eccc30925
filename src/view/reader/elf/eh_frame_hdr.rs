//! `.eh_frame_hdr`: where unwinders look for the description of a function's frame.
//!
//! Linux Standard Base, Core, "The `.eh_frame_hdr` section": a version, three pointer encodings, a pointer to
//! `.eh_frame`, a count, and a table of pairs (start of the function, its FDE) for a binary search.

use super::super::{Damage, counted};

/// `DW_EH_PE_omit`: there is no value.
const OMIT: u8 = 0xff;

/// The header, and its search table as it lies in the file.
#[derive(Clone, Copy, Debug)]
pub struct EhFrameHdr<'data> {
    /// The address that the section is loaded at.
    pub address: u64,
    /// Its version: 1.
    pub version: u8,
    /// How the pointer to `.eh_frame`, the count and the table are encoded (`DW_EH_PE_…`).
    pub encodings: [u8; 3],
    /// The address of `.eh_frame`; `None` where there is none, or where it is encoded in a way that needs a process.
    pub eh_frame: Option<u64>,
    /// How many pairs the table has.
    pub count: u64,
    table: &'data [u8],
}

/// A pair of the search table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchTableEntry {
    /// The address of the function.
    pub function: u64,
    /// The address of its FDE in `.eh_frame`.
    pub fde: u64,
}

impl<'data> EhFrameHdr<'data> {
    /// Reads the section that is loaded at an address. Little-endian.
    ///
    /// # Errors
    /// When it is cut off, of another version, or encoded as no linker does.
    pub fn parse(data: &'data [u8], address: u64, offset: u64) -> Result<Self, Damage> {
        let damage = |message: String| Damage::new(".eh_frame_hdr", offset, message);
        let Some((&[version, pointer, count, table], _)) = data.split_first_chunk::<4>() else {
            return Err(damage(format!(
                "its header does not fit into {}",
                counted(data.len(), "byte", "bytes")
            )));
        };
        let encodings = [pointer, count, table];
        if version != 1 {
            return Err(damage(format!("version is {version}, not 1")));
        }
        let mut at = 4;
        let mut value = |encoding: u8| -> Result<Option<u64>, Damage> {
            if encoding == OMIT {
                return Ok(None);
            }
            let rest = data.get(at..).unwrap_or_default();
            let (raw, width) = decode(encoding, rest).ok_or_else(|| {
                damage(format!("pointer encoding {encoding:#04x} is unknown or cut off"))
            })?;
            let base = match encoding & 0x70 {
                0x00 => 0,
                0x10 => address.wrapping_add(at as u64),
                0x30 => address,
                _ => return Err(damage(format!("pointer encoding {encoding:#04x} is unknown"))),
            };
            at += width;
            Ok(Some(base.wrapping_add(raw)))
        };
        let eh_frame = value(pointer)?;
        let count = value(count)?.unwrap_or_default();
        let pairs = data.get(at..).unwrap_or_default();
        let has_table = count > 0 && table != OMIT;
        if has_table && table != 0x3b {
            return Err(damage(format!("the table's encoding is {table:#04x}, not 0x3b")));
        }
        if has_table && count > pairs.len() as u64 / 8 {
            let room = pairs.len() / 8;
            return Err(damage(format!(
                "{} where there is room for {room}",
                counted(count, "pair", "pairs")
            )));
        }
        let count = if has_table { count } else { 0 };
        Ok(Self { address, version, encodings, eh_frame, count, table: pairs })
    }

    /// The pairs, in the order of the table, which should be that of the functions' addresses.
    pub fn entries(&self) -> impl Iterator<Item = SearchTableEntry> + use<'data> {
        let count = usize::try_from(self.count).unwrap_or(usize::MAX);
        let address = self.address;
        let relative =
            move |bytes: [u8; 4]| address.wrapping_add_signed(i64::from(i32::from_le_bytes(bytes)));
        self.table.chunks_exact(8).take(count).map(move |pair| {
            let word = |at: usize| relative([pair[at], pair[at + 1], pair[at + 2], pair[at + 3]]);
            SearchTableEntry { function: word(0), fde: word(4) }
        })
    }
}

/// A value of one of the fixed widths, sign-extended where the encoding says so, and its width.
fn decode(encoding: u8, data: &[u8]) -> Option<(u64, usize)> {
    macro_rules! fixed {
        ($type:ty) => {{
            let (bytes, _) = data.split_first_chunk()?;
            (i64::from(<$type>::from_le_bytes(*bytes)).cast_unsigned(), size_of::<$type>())
        }};
    }
    Some(match encoding & 0x0f {
        0x00 | 0x04 | 0x0c => (u64::from_le_bytes(*data.first_chunk()?), 8),
        0x02 => fixed!(u16),
        0x03 => fixed!(u32),
        0x0a => fixed!(i16),
        0x0b => fixed!(i32),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One function, as linkers write it.
    const ONE: [u8; 20] =
        [1, 0x1b, 0x03, 0x3b, 0xfc, 0x0f, 0, 0, 1, 0, 0, 0, 0, 0xf0, 0xff, 0xff, 0, 0x10, 0, 0];

    #[test]
    fn addresses_count_from_the_section_or_the_field() {
        let header = EhFrameHdr::parse(&ONE, 0x2000, 0).unwrap();
        assert_eq!(header.eh_frame, Some(0x3000));
        let entries: Vec<_> = header.entries().collect();
        assert_eq!(entries, [SearchTableEntry { function: 0x1000, fde: 0x3000 }]);
    }

    #[test]
    fn a_count_without_room_is_damage() {
        for length in 0..ONE.len() {
            assert!(EhFrameHdr::parse(&ONE[..length], 0, 0).is_err(), "{length}");
        }
        let mut many = ONE;
        many[8..12].fill(0xff);
        let message = EhFrameHdr::parse(&many, 0, 0).unwrap_err().message;
        assert_eq!(message, "4294967295 pairs where there is room for 1");
    }
}
