//! Arm64 instructions, by `fARM64`.
//!
//! It reads what processors have up to Armv9.6, and prints what other tools do. What it is known to print wrongly is not
//! taken from it: system registers get their names here, and SME and a few forms of SVE stay `.inst`.

use fARM64::format::{FmtFormatter, Formatter as _};
use fARM64::{Decoder, DecoderOptions, Operand};

use super::{Decoded, State};

/// What `adrp` left in each register: a page, as long as the next instruction follows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pages([Option<u64>; 32]);

/// System registers that the decoder has no name for, as Arm ARM D24 names them: `s3_3_c0_c0_1 ctr_el0`.
const SYSTEM_REGISTERS: &str = include_str!("system_registers.txt");

pub(super) fn step(address: u64, bytes: &[u8], state: &mut State) -> Decoded {
    let Some(bytes) = bytes.first_chunk::<4>() else {
        let text = "(cut off)".to_owned();
        return Decoded { length: bytes.len(), bytes: String::new(), text, target: None };
    };
    let word = u32::from_le_bytes(*bytes);
    let instruction = Decoder::new(bytes, address, DecoderOptions::NONE).decode();
    let near = (0..instruction.op_count()).find_map(|index| match instruction.op(index) {
        Operand::Label(target) => Some(target),
        _ => None,
    });
    let mut text = String::new();
    if instruction.is_invalid() || is_misread(word) {
        text = format!(".inst 0x{word:08x}");
    } else {
        let mut formatter = FmtFormatter::new();
        formatter.options_mut().first_operand_char_index = 0;
        formatter.format(&instruction, &mut text);
    }
    if is_system_register_move(word) {
        name_system_register(&mut text);
    }
    let target = state.aarch64.follow(word, near);
    Decoded { length: 4, bytes: format!("{word:08x}"), text, target }
}

/// What fARM64 0.1.0 prints with another meaning, by mask and value (Arm ARM, C8).
const MISREAD: [(u32, u32); 4] = [
    // ADR (vector, unpacked): no extension of the offset.
    (0xffa0_f000, 0x0420_a000),
    // EXT (constructive): one register too many.
    (0xffe0_e000, 0x0560_0000),
    // LD1RO*: the offset is not multiplied by 32.
    (0xfe70_e000, 0xa420_2000),
    // FDOT (2-way, by indexed FP8): another element.
    (0xffe0_f400, 0x6420_4400),
];

fn is_misread(word: u32) -> bool {
    MISREAD.iter().any(|(mask, value)| word & mask == *value)
}

const fn is_adrp(word: u32) -> bool {
    word & 0x9f00_0000 == 0x9000_0000
}

/// `mrs`, `msr` of a register; `mrrs`, `msrr`.
const fn is_system_register_move(word: u32) -> bool {
    word & 0xffd0_0000 == 0xd510_0000 || word & 0xffd0_0000 == 0xd550_0000
}

/// Puts a register's name where its number stands, if it has one.
fn name_system_register(text: &mut String) {
    let Some(start) = text.find("s2_").or_else(|| text.find("s3_")) else { return };
    let end = text[start..].find([',', ' ']).map_or(text.len(), |length| start + length);
    let number = &text[start..end];
    let named = |line: &&str| line.split_once(' ').is_some_and(|(of, _)| of == number);
    if let Some((_, name)) =
        SYSTEM_REGISTERS.lines().find(named).and_then(|line| line.split_once(' '))
    {
        text.replace_range(start..end, name);
    }
}

/// `add Xd, Xn, #number` and `ldr`, `str` of `[Xn, #number]`, in the encodings that go with `adrp`: Xn, and the number.
fn base_and_number(word: u32) -> Option<(usize, u64)> {
    let base = (word >> 5 & 31) as usize;
    let number = u64::from(word >> 10 & 0xfff);
    // Arm ARM, C4.1: add (immediate) of 64 bits without a shift; loads and stores with an unsigned offset.
    if word & 0xffc0_0000 == 0x9100_0000 {
        return Some((base, number));
    }
    // Bit 26 and opc's high bit make a 128-bit access of size 0.
    let is_access = word & 0x3b00_0000 == 0x3900_0000;
    let wide = word & 0xc480_0000 == 0x0480_0000;
    let scale = if wide { 4 } else { word >> 30 };
    is_access.then_some((base, number << scale))
}

impl Pages {
    /// The address that an instruction names, alone or with an `adrp` before it.
    fn follow(&mut self, word: u32, near: Option<u64>) -> Option<u64> {
        let page = base_and_number(word)
            .and_then(|(base, number)| Some(self.0[base]?.wrapping_add(number)));
        let written = (word & 31) as usize;
        if is_adrp(word) {
            self.0[written] = near;
            // The page itself is seldom what is meant.
            return None;
        }
        // Behind a branch or a call, registers hold anything.
        if word & 0x1c00_0000 == 0x1400_0000 {
            self.0 = [None; 32];
        } else if page.is_none() || word & 0xffc0_0000 == 0x9100_0000 {
            self.0[written] = None;
        }
        page.or(near)
    }
}

/// The slot that a stub jumps through: `adrp` and `ldr`, maybe behind `bti`.
pub(super) fn slot_of_stub(address: u64, bytes: &[u8]) -> Option<u64> {
    let mut pages = Pages::default();
    let mut at = address;
    for word in bytes.chunks_exact(4).take(3) {
        let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        let near = is_adrp(word).then(|| {
            let low = u64::from(word >> 29 & 3);
            let high = u64::from(word >> 5 & 0x7_ffff);
            // 21 bits with a sign, in pages.
            let pages = ((high << 2 | low) << 43).cast_signed() >> 43;
            (at & !0xfff).wrapping_add_signed(pages << 12)
        });
        if let Some(slot) = pages.follow(word, near) {
            return Some(slot);
        }
        at = at.wrapping_add(4);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_and_what_is_added_to_it_are_one_address() {
        let mut state = State::default();
        let code: Vec<u8> = [0xb000_0008_u32, 0x9100_4108, 0xf940_0108]
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        let lines: Vec<_> = (0x1000..)
            .step_by(4)
            .zip(code.chunks(4))
            .map(|(address, word)| {
                let decoded = step(address, word, &mut state);
                (decoded.text, decoded.target)
            })
            .collect();
        assert_eq!(lines[0], ("adrp x8, 0x2000".to_owned(), None));
        assert_eq!(lines[1].1, Some(0x2010));
        assert_eq!(
            lines[2].1, None,
            "the register holds the sum now, which is not followed further"
        );
    }

    #[test]
    fn every_word_is_text_and_none_panics() {
        let mut state = State::default();
        let mut word = 1_u32;
        for _ in 0..2_000_000 {
            word = word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let decoded = step(0x1_0000, &word.rotate_left(13).to_le_bytes(), &mut state);
            assert!(!decoded.text.is_empty());
        }
    }
}
