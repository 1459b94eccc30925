//! Compact unwind information (`__TEXT,__unwind_info`): how to unwind the frame of each function, in a word.
//!
//! `mach-o/compact_unwind_encoding.h`: a header, an index of pages, and pages of entries: regular ones with an
//! encoding each, compressed ones that share them.

use super::super::{Budget, Damage, bytes_at};

/// A page of entries with an encoding each.
const REGULAR: u32 = 2;
/// A page of entries that share encodings.
const COMPRESSED: u32 = 3;

/// A function, and its encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompactUnwind {
    /// Where the function starts, in bytes from the header of the image.
    pub function: u32,
    /// Where the one behind it starts, if that is known.
    pub end: Option<u32>,
    /// The encoding, which the architecture reads; 0 for none.
    pub encoding: u32,
}

/// Every function of the section, in its order; and what could not be read.
#[must_use]
pub fn unwind_info(section: &[u8], offset: u64) -> (Vec<CompactUnwind>, Option<Damage>) {
    let mut found = Vec::new();
    let damage = read(section, &mut found).err();
    // Where one ends, the next starts.
    for index in 1..found.len() {
        found[index - 1].end = Some(found[index].function);
    }
    let damage = damage.map(|damage| Damage { offset: Some(offset), ..damage });
    (found, damage)
}

fn read(section: &[u8], found: &mut Vec<CompactUnwind>) -> Result<(), Damage> {
    let wrong = |message: String| Damage::new("compact unwind information", None, message);
    let word =
        |at: u64| word(section, at).ok_or_else(|| wrong(format!("it is cut off at {at:#x}")));
    let version = word(0)?;
    if version != 1 {
        return Err(wrong(format!("version is {version}, not 1")));
    }
    let (shared, shared_count) = (u64::from(word(4)?), word(8)?);
    let (index, index_count) = (u64::from(word(20)?), u64::from(word(24)?));
    let mut budget = Budget::new("compact unwind information", section.len(), 4);
    budget.take(index_count)?;
    // The last entry of the index only says where the last function ends.
    for entry in 0..index_count.saturating_sub(1) {
        let (first, page) = (word(index + entry * 12)?, u64::from(word(index + entry * 12 + 4)?));
        if page == 0 {
            continue;
        }
        let half =
            |at: u64| half(section, at).ok_or_else(|| wrong(format!("it is cut off at {at:#x}")));
        let (kind, entries, count) =
            (word(page)?, page + u64::from(half(page + 4)?), u64::from(half(page + 6)?));
        budget.take(count)?;
        for number in 0..count {
            let (function, encoding) = match kind {
                REGULAR => (word(entries + number * 8)?, word(entries + number * 8 + 4)?),
                COMPRESSED => {
                    let packed = word(entries + number * 4)?;
                    let which = packed >> 24;
                    let encoding = if which < shared_count {
                        word(shared + u64::from(which) * 4)?
                    } else {
                        let own = page + u64::from(half(page + 8)?);
                        word(own + u64::from(which - shared_count) * 4)?
                    };
                    (first.wrapping_add(packed & 0x00ff_ffff), encoding)
                }
                _ => return Err(wrong(format!("a page of unknown kind {kind}"))),
            };
            found.push(CompactUnwind { function, end: None, encoding });
        }
    }
    if let (Some(last), Some(end)) = (found.last_mut(), index_count.checked_sub(1)) {
        last.end = Some(word(index + end * 12)?);
    }
    Ok(())
}

fn word(section: &[u8], at: u64) -> Option<u32> {
    bytes_at(section, at, 4)?.try_into().ok().map(u32::from_le_bytes)
}

fn half(section: &[u8], at: u64) -> Option<u16> {
    bytes_at(section, at, 2)?.try_into().ok().map(u16::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn both_kinds_of_pages_are_read() {
        let section = words(&[
            1,
            28,
            1,
            32,
            0,
            32,
            3,           // header
            0x0100_0000, // the shared encoding
            0x1000,
            68,
            0,
            0x2000,
            84,
            0,
            0x2010,
            0,
            0, // index
            3,
            0x0001_000c,
            0x0000_0010,
            0x0000_0004, // compressed: function 0x1004, encoding 0
            2,
            0x0001_0008,
            0x2000,
            0x0200_0000, // regular
        ]);
        let (found, damage) = unwind_info(&section, 0);
        assert_eq!(damage, None);
        let expected = [(0x1004, Some(0x2000), 0x0100_0000), (0x2000, Some(0x2010), 0x0200_0000)];
        let expected =
            expected.map(|(function, end, encoding)| CompactUnwind { function, end, encoding });
        assert_eq!(found, expected);
        for length in 0..section.len() {
            assert!(unwind_info(&section[..length], 0).1.is_some(), "{length}");
        }
    }
}
