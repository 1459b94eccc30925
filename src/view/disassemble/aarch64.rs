//! Arm64 instructions, by `yaxpeax-arm`.

use yaxpeax_arm::armv8::a64::Operand;

use super::{Decoded, State};
use crate::arch::aarch64_decode::decode;

/// What `adrp` left in each register: a page, as long as the next instruction follows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pages([Option<u64>; 32]);

pub(super) fn step(address: u64, bytes: &[u8], state: &mut State) -> Decoded {
    let Some(word) = bytes.first_chunk::<4>() else {
        let text = "(cut off)".to_owned();
        return Decoded { length: bytes.len(), bytes: String::new(), text, target: None };
    };
    let word = u32::from_le_bytes(*word);
    let instruction = decode(word);
    let near = instruction.as_ref().and_then(|instruction| {
        instruction.operands.iter().find_map(|operand| match operand {
            // `adrp` counts pages from its own.
            Operand::PCOffset(offset) if is_adrp(word) => {
                Some((address & !0xfff).wrapping_add_signed(*offset))
            }
            Operand::PCOffset(offset) => Some(address.wrapping_add_signed(*offset)),
            _ => None,
        })
    });
    let text = instruction.map_or_else(|| format!(".inst 0x{word:08x}"), |found| found.to_string());
    // It prints distances; people look for addresses.
    let text = match (text.find('$'), near) {
        (Some(start), Some(target)) => {
            let end = text[start..].find(',').map_or(text.len(), |length| start + length);
            format!("{}{target:#x}{}", &text[..start], &text[end..])
        }
        _ => text,
    };
    let target = state.aarch64.follow(word, near);
    Decoded { length: 4, bytes: format!("{word:08x}"), text, target }
}

const fn is_adrp(word: u32) -> bool {
    word & 0x9f00_0000 == 0x9000_0000
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
        let lines: Vec<_> = (0..3)
            .map(|index| {
                let decoded = step(0x1000 + index * 4, &code[index as usize * 4..], &mut state);
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
