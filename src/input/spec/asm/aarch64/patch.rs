//! Bits that the assembler is known to get wrong: it is asked for a form that it gets right, and the
//! difference is written into its word. Like everything else the result is read back.

use super::alias::{ATOMICS, Basic, MOVE_NUMBER};
use super::operand::{Offset, Operand, Register, Shift, spelling};
use crate::input::spec::asm::value::Value;

/// Bits to be changed in a word.
#[derive(Clone, Copy)]
pub(super) struct Patch {
    clear: u32,
    set: u32,
}

/// No change.
pub(super) const NONE: Patch = Patch { clear: 0, set: 0 };

impl Patch {
    pub(super) const fn apply(self, word: u32) -> u32 {
        word & !self.clear | self.set
    }
}

/// Spellings to be tried, each with the patch for what the assembler makes of it.
pub(super) fn attempts(basic: &Basic) -> Vec<(String, Patch)> {
    let attempts = [
        logical_immediate,
        register_offset,
        narrow_atomic,
        compare_and_swap,
        high_immediate,
        with_carry,
        signed_literal,
    ];
    attempts.iter().filter_map(|attempt| attempt(basic)).collect()
}

/// Numbers in logical instructions: the assembler rotates them the wrong way, so it is asked for 1.
fn logical_immediate(basic: &Basic) -> Option<(String, Patch)> {
    let (mnemonic, to, from, value) = match (&*basic.mnemonic, &basic.operands[..]) {
        (
            mnemonic @ ("and" | "ands" | "orr" | "eor"),
            [Operand::Register(to), from, Operand::Number(value)],
        ) => (mnemonic, to, from.clone(), value.number),
        (MOVE_NUMBER, [Operand::Register(to), Operand::Number(value)]) => {
            ("orr", to, Operand::Register(Register::zero(to.is_wide)), value.number)
        }
        _ => return None,
    };
    let is_in_range = (-(1 << (to.bits() - 1))..1 << to.bits()).contains(&value);
    let bits = u64::try_from(value & ((1 << to.bits()) - 1)).ok().filter(|_| is_in_range)?;
    let one = Operand::Number(Value::of_number(1, 0..0));
    let set = bitmask(bits, to.bits())? << 10;
    Some((
        spelling(mnemonic, &[Operand::Register(*to), from, one]),
        Patch { clear: 0x1fff << 10, set },
    ))
}

/// N, immr and imms of a "bitmask immediate" (Arm ARM, `DecodeBitMasks`): a run of ones, rotated, within
/// an element of 2 to 64 bits that repeats.
fn bitmask(value: u64, bits: u32) -> Option<u32> {
    let value = if bits == 32 { value | value << 32 } else { value };
    if value == 0 || value == u64::MAX {
        return None;
    }
    let size = [2, 4, 8, 16, 32, 64].into_iter().find(|&size| value.rotate_right(size) == value)?;
    let mask = u64::MAX >> (64 - size);
    let element = value & mask;
    let ones = element.count_ones();
    let run = u64::MAX >> (64 - ones);
    let rotated = |by: u32| match by {
        0 => run,
        _ => (run >> by | run << (size - by)) & mask,
    };
    let rotation = (0..size).find(|&by| rotated(by) == element)?;
    // The size stands in the high bits of imms: ones down to a zero, which for 64 bits is N.
    let n = u32::from(size == 64);
    let imms = !(2 * size - 1) & 0x3f | (ones - 1);
    Some(n << 12 | rotation << 6 | imms)
}

/// Shifts and extensions of an index register: the assembler drops them, so it is asked for none.
fn register_offset(basic: &Basic) -> Option<(String, Patch)> {
    let (last, rest) = basic.operands.split_last()?;
    let Operand::Memory { base, offset: Offset::Register(index, shift, amount) } = last else {
        return None;
    };
    // "option" and S (Arm ARM, C4.1.94, "Load/store register (register offset)").
    let option = match shift {
        Shift::Uxtw => 0b010,
        Shift::Lsl | Shift::Uxtx => 0b011,
        Shift::Sxtw => 0b110,
        Shift::Sxtx => 0b111,
        _ => return None,
    };
    let plain = Register { is_wide: true, ..*index };
    let offset = Offset::Register(plain, Shift::Lsl, 0);
    let operands: Vec<_> =
        rest.iter().cloned().chain([Operand::Memory { base: *base, offset }]).collect();
    let set = option << 13 | u32::from(*amount != 0) << 12;
    Some((spelling(&basic.mnemonic, &operands), Patch { clear: 0b1111 << 12, set }))
}

/// Atomic operations on `w` registers: the assembler takes the size of `x` registers.
fn narrow_atomic(basic: &Basic) -> Option<(String, Patch)> {
    let is_atomic = basic.mnemonic.starts_with("swp")
        || basic
            .mnemonic
            .strip_prefix("ld")
            .is_some_and(|rest| ATOMICS.iter().any(|atomic| rest.starts_with(atomic)));
    let is_narrow =
        matches!(basic.operands.first(), Some(Operand::Register(first)) if !first.is_wide);
    (is_atomic && is_narrow).then(|| (basic.spelling(), Patch { clear: 1 << 30, set: 0 }))
}

/// `cas` and its sisters, which the assembler takes for something else: it is asked for the exclusive
/// store with the same operands, in the same class of encodings (Arm ARM, C4.1.94, "Compare and swap").
fn compare_and_swap(basic: &Basic) -> Option<(String, Patch)> {
    let [Operand::Register(compared), rest @ ..] = &basic.operands[..] else { return None };
    let order = basic.mnemonic.strip_prefix("cas")?;
    let (order, size) = match order.strip_suffix(['b', 'h']) {
        Some(rest) => (rest, &order[rest.len()..]),
        None => (order, ""),
    };
    // Bit 22 is "acquire", bit 15 "release".
    let order = match order {
        "" => 0,
        "a" => 1 << 22,
        "l" => 1 << 15,
        "al" => 1 << 22 | 1 << 15,
        _ => return None,
    };
    let narrow = Operand::Register(Register { is_wide: false, ..*compared });
    let operands: Vec<_> = [narrow].into_iter().chain(rest.iter().cloned()).collect();
    let set = 1 << 23 | 1 << 21 | order;
    Some((spelling(&format!("stxr{size}"), &operands), Patch { clear: 1 << 15, set }))
}

/// Numbers above 4095 in sums: the assembler wants the shift said.
fn high_immediate(basic: &Basic) -> Option<(String, Patch)> {
    let is_sum = matches!(&*basic.mnemonic, "add" | "adds" | "sub" | "subs");
    let [to, from, Operand::Number(value)] = &basic.operands[..] else { return None };
    let is_high = is_sum && value.number > 0 && value.number.trailing_zeros() >= 12;
    let high = Value::of_number(value.number >> 12, 0..0);
    let operands = [to.clone(), from.clone(), Operand::ShiftedNumber(high, 12)];
    is_high.then(|| (spelling(&basic.mnemonic, &operands), NONE))
}

/// Sums with carry, which the assembler does not know: it is asked for a division, whose registers stand
/// at the same bits (Arm ARM, C4.1.95, "Add/subtract (with carry)").
fn with_carry(basic: &Basic) -> Option<(String, Patch)> {
    let set = match &*basic.mnemonic {
        "adc" => 0,
        "adcs" => 1 << 29,
        "sbc" => 1 << 30,
        "sbcs" => 1 << 30 | 1 << 29,
        _ => return None,
    };
    Some((spelling("udiv", &basic.operands), Patch { clear: 0b110 << 21 | 0x3f << 10, set }))
}

/// `ldrsw` from a label, which the assembler takes for `ldr` (Arm ARM, C4.1.94, "Load register (literal)").
fn signed_literal(basic: &Basic) -> Option<(String, Patch)> {
    let is_literal = matches!(basic.operands.last(), Some(Operand::Symbol(_)));
    let patch = Patch { clear: 0b11 << 30, set: 0b10 << 30 };
    (basic.mnemonic == "ldrsw" && is_literal).then(|| (spelling("ldr", &basic.operands), patch))
}

#[cfg(test)]
mod tests {
    use super::bitmask;

    /// `DecodeBitMasks` of the manual, written from its pseudocode: what N, immr and imms stand for.
    fn decoded(fields: u32) -> u64 {
        let (n, immr, imms) = (fields >> 12, fields >> 6 & 0x3f, fields & 0x3f);
        let length = (n << 6 | !imms & 0x3f).ilog2();
        let size = 1u32 << length;
        let (ones, rotation) = ((imms & (size - 1)) + 1, immr & (size - 1));
        let mask = u64::MAX >> (64 - size);
        let run = u64::MAX >> (64 - ones);
        let element = match rotation {
            0 => run,
            _ => (run >> rotation | run << (size - rotation)) & mask,
        };
        (0..64 / size).fold(0, |value, copy| value | element << (copy * size))
    }

    /// Of all 5334 there are, each has the fields that stand for it, and nothing else has any.
    #[test]
    fn every_bitmask_immediate_is_found() {
        let mut all = std::collections::BTreeSet::new();
        for size in [2u32, 4, 8, 16, 32, 64] {
            for ones in 1..size {
                let run = u64::MAX >> (64 - ones);
                let element = |by: u32| match by {
                    0 => run,
                    _ => (run << by | run >> (size - by)) & u64::MAX >> (64 - size),
                };
                for by in 0..size {
                    all.insert((0..64 / size).fold(0, |v, copy| v | element(by) << (copy * size)));
                }
            }
        }
        assert_eq!(all.len(), 5334);
        for &value in &all {
            assert_eq!(bitmask(value, 64).map(decoded), Some(value), "{value:#x}");
            for other in [value ^ 1, value ^ 1 << 63, value.wrapping_mul(5)] {
                assert_eq!(bitmask(other, 64).is_some(), all.contains(&other), "{other:#x}");
            }
        }
    }
}
