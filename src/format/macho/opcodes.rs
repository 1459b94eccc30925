//! What dyld writes, as opcodes: for systems older than chained fixups (dyld `forEachRebase_Opcodes`,
//! `forEachBind_Opcodes`).

use object::macho;

/// A word that dyld writes: where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// The segment's number among the load commands, page zero being 0.
    pub(super) segment: u8,
    /// Bytes from the segment's start.
    pub(super) offset: u64,
}

/// A word that gets an import's address.
#[derive(Clone, Debug)]
pub(super) struct Bind<'n> {
    pub(super) word: Word,
    pub(super) ordinal: u8,
    pub(super) name: &'n str,
    pub(super) weak: bool,
    pub(super) addend: i64,
}

/// Bytes of a pointer: what a rebase or bind moves on by.
const POINTER: u64 = 8;

/// Opcodes that slide every word, ascending in memory.
pub(super) fn rebases(words: &[Word]) -> Vec<u8> {
    let mut bytes = Vec::new();
    if words.is_empty() {
        return bytes;
    }
    bytes.push(macho::REBASE_OPCODE_SET_TYPE_IMM.0 | macho::REBASE_TYPE_POINTER.0);
    let is_next = |first: &Word, second: &Word| {
        first.segment == second.segment && first.offset + POINTER == second.offset
    };
    for run in words.chunk_by(is_next) {
        bytes.push(macho::REBASE_OPCODE_SET_SEGMENT_AND_OFFSET_ULEB.0 | run[0].segment);
        push_uleb(&mut bytes, run[0].offset);
        bytes.push(macho::REBASE_OPCODE_DO_REBASE_ULEB_TIMES.0);
        push_uleb(&mut bytes, run.len() as u64);
    }
    bytes.push(macho::REBASE_OPCODE_DONE.0);
    bytes
}

/// Opcodes that bind every word.
pub(super) fn binds(binds: &[Bind<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for bind in binds {
        bytes.push(macho::BIND_OPCODE_SET_DYLIB_ORDINAL_ULEB.0);
        push_uleb(&mut bytes, bind.ordinal.into());
        let flags = if bind.weak { macho::BIND_SYMBOL_FLAGS_WEAK_IMPORT.0 } else { 0 };
        bytes.push(macho::BIND_OPCODE_SET_SYMBOL_TRAILING_FLAGS_IMM.0 | flags);
        bytes.extend_from_slice(bind.name.as_bytes());
        bytes.push(0);
        bytes.push(macho::BIND_OPCODE_SET_TYPE_IMM.0 | macho::BIND_TYPE_POINTER.0);
        bytes.push(macho::BIND_OPCODE_SET_ADDEND_SLEB.0);
        push_sleb(&mut bytes, bind.addend);
        bytes.push(macho::BIND_OPCODE_SET_SEGMENT_AND_OFFSET_ULEB.0 | bind.word.segment);
        push_uleb(&mut bytes, bind.word.offset);
        bytes.push(macho::BIND_OPCODE_DO_BIND.0);
    }
    if !bytes.is_empty() {
        bytes.push(macho::BIND_OPCODE_DONE.0);
    }
    bytes
}

/// Appends a number in ULEB128 (DWARF 5, 7.6).
#[allow(clippy::cast_possible_truncation)] // seven bits of it are wanted
pub(super) fn push_uleb(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Appends a number in SLEB128 (DWARF 5, 7.6).
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // seven bits of it are wanted
fn push_sleb(bytes: &mut Vec<u8>, mut number: i64) {
    // Until what is left is the sign of the last seven bits.
    while !(-0x40..0x40).contains(&number) {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8 & 0x7f);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of DWARF 5, figures 22 and 23.
    #[test]
    fn numbers_are_encoded_as_dwarf_shows() {
        for (number, expected) in
            [(2, &[2][..]), (127, &[127]), (128, &[0x80, 1]), (12857, &[57 + 0x80, 100])]
        {
            let mut bytes = Vec::new();
            push_uleb(&mut bytes, number);
            assert_eq!(bytes, expected);
        }
        for (number, expected) in [
            (2, &[2][..]),
            (-2, &[0x7e]),
            (127, &[127 + 0x80, 0]),
            (-127, &[1 + 0x80, 0x7f]),
            (128, &[0x80, 1]),
            (-128, &[0x80, 0x7f]),
        ] {
            let mut bytes = Vec::new();
            push_sleb(&mut bytes, number);
            assert_eq!(bytes, expected);
        }
    }

    #[test]
    fn neighbours_are_slid_by_one_opcode() {
        let words = [(2, 0), (2, 8), (2, 24), (3, 32)];
        let words = words.map(|(segment, offset)| Word { segment, offset });
        assert_eq!(
            rebases(&words),
            [0x11, 0x22, 0, 0x60, 2, 0x22, 24, 0x60, 1, 0x23, 32, 0x60, 1, 0]
        );
    }
}
