//! Reads arm64 machine code back with `yaxpeax-arm`, and says whether it is what a line says.
//!
//! `yaxpeax-arm` because it is written in Rust, small, maintained, and gives operands as data; others
//! give text (`disarm64`'s operands are bit fields of binutils' tables until they are printed) or bring a
//! C++ library (`bad64`).

use yaxpeax_arm::armv8::a64::{Instruction, Opcode, Operand as Decoded, ShiftStyle, SizeCode};

use super::alias::{Basic, MOVE_NUMBER};
use super::operand::{Offset, Operand, Register, Shift, condition_name, is_high, is_low};
use crate::arch::aarch64_decode::decode;

/// An operand as both sides can say it.
#[derive(Debug, PartialEq)]
enum Seen {
    Register(Register),
    Shifted(Register, Shift, u8),
    Number(i128),
    ShiftedNumber(i128, u8),
    /// A distance that is still to be filled in.
    Target,
    Memory(u8, SeenOffset),
    Condition(u8),
    SystemRegister(u16),
    Barrier(u8),
}

#[derive(Debug, PartialEq)]
enum SeenOffset {
    Number(i128),
    Before(i128),
    After(i128),
    Register(Register, Shift, u8),
}

/// What a word does, as a disassembler prints it.
pub(super) fn meaning(word: u32) -> Option<String> {
    decode(word).map(|instruction| instruction.to_string())
}

/// Whether `word` does what `basic` says.
pub(super) fn says(word: u32, basic: &Basic) -> bool {
    let Some(instruction) = decode(word) else { return false };
    if basic.mnemonic == MOVE_NUMBER {
        return moves(&instruction, basic);
    }
    let Some(operands) = seen(&instruction) else { return false };
    let wanted: Option<Vec<_>> = basic.operands.iter().map(wanted).collect();
    mnemonic(&instruction) == scaled(&basic.mnemonic) && wanted.as_ref() == Some(&operands)
}

/// Loads and stores with a number as offset under one name, whichever of their two encodings it has.
fn scaled(mnemonic: &str) -> String {
    match mnemonic.split_at_checked(3) {
        Some(("ldu", rest)) if rest.starts_with('r') => format!("ld{rest}"),
        Some(("stu", rest)) if rest.starts_with('r') => format!("st{rest}"),
        _ => mnemonic.to_owned(),
    }
}

fn mnemonic(instruction: &Instruction) -> String {
    match instruction.opcode {
        Opcode::Bcc(condition) => format!("b.{}", condition_name(condition)),
        Opcode::DMB(_) => "dmb".to_owned(),
        Opcode::DSB(_) => "dsb".to_owned(),
        opcode => {
            let name = format!("{opcode:?}").to_ascii_lowercase();
            // What has parameters says them in what it prints.
            scaled(&if name.contains('(') { opcode.to_string() } else { name })
        }
    }
}

/// Whether an instruction moves the number that `basic` says, in one of the three ways.
fn moves(instruction: &Instruction, basic: &Basic) -> bool {
    let [Operand::Register(to), Operand::Number(value)] = &basic.operands[..] else { return false };
    let mask: u64 = if to.is_wide { u64::MAX } else { u32::MAX.into() };
    let [target, first, second, _] = instruction.operands;
    let shifted = |number: u16, shift: u8| u64::from(number).checked_shl(shift.into());
    let moved = match (instruction.opcode, first, second) {
        (Opcode::MOVZ, Decoded::ImmShift(number, shift), _) => shifted(number, shift),
        (Opcode::MOVN, Decoded::ImmShift(number, shift), _) => {
            shifted(number, shift).map(|bits| !bits & mask)
        }
        (Opcode::ORR, Decoded::Register(_, 31), Decoded::Imm64(bits)) => Some(bits),
        (Opcode::ORR, Decoded::Register(_, 31), Decoded::Immediate(bits)) => Some(bits.into()),
        _ => None,
    };
    let is_in_range = (-(1 << (to.bits() - 1))..1 << to.bits()).contains(&value.number);
    let same_register = operand(target, to.is_wide) == Some(Seen::Register(*to));
    is_in_range
        && same_register
        && moved.is_some_and(|moved| i128::from(moved) == value.number & i128::from(mask))
}

fn wanted(operand: &Operand) -> Option<Seen> {
    Some(match operand {
        Operand::Register(register) => Seen::Register(*register),
        Operand::Shifted(register, shift, amount) => Seen::Shifted(*register, *shift, *amount),
        Operand::Number(value) => Seen::Number(value.number),
        Operand::ShiftedNumber(value, shift) => Seen::ShiftedNumber(value.number, *shift),
        Operand::Symbol(value) => match value.symbol.as_ref()?.part {
            Some(part) if is_low(part) => Seen::Number(0),
            Some(part) if is_high(part) => Seen::ShiftedNumber(0, 12),
            _ => Seen::Target,
        },
        Operand::Memory { base, offset } => {
            let offset = match offset {
                Offset::Number(number) => SeenOffset::Number(*number),
                Offset::Symbol(_) => SeenOffset::Number(0),
                Offset::Before(number) => SeenOffset::Before(*number),
                Offset::After(number) => SeenOffset::After(*number),
                Offset::Register(index, shift, amount) => {
                    SeenOffset::Register(*index, *shift, *amount)
                }
            };
            Seen::Memory(base.number, offset)
        }
        Operand::Condition(number) => Seen::Condition(*number),
        Operand::SystemRegister(number) => Seen::SystemRegister(*number),
        Operand::Barrier(number) => Seen::Barrier(*number),
        Operand::Shift(..) => return None,
    })
}

/// The operands of an instruction; `None` where there is one that no line can say.
fn seen(instruction: &Instruction) -> Option<Vec<Seen>> {
    match instruction.opcode {
        Opcode::DMB(option) | Opcode::DSB(option) => return Some(vec![Seen::Barrier(option)]),
        Opcode::ISB => {
            let Decoded::Imm16(option) = instruction.operands[0] else { return None };
            return Some(vec![Seen::Barrier(u8::try_from(option).ok()?)]);
        }
        Opcode::HINT => {
            let [Decoded::ControlReg(high), Decoded::Immediate(low), ..] = instruction.operands
            else {
                return None;
            };
            return Some(vec![Seen::Number(i128::from(high << 3) | i128::from(low))]);
        }
        _ => {}
    }
    let is_wide = matches!(
        instruction.operands[0],
        Decoded::Register(SizeCode::X, _) | Decoded::RegisterOrSP(SizeCode::X, _)
    );
    let operands =
        instruction.operands.iter().filter(|operand| !matches!(operand, Decoded::Nothing));
    let seen: Option<Vec<_>> = operands.map(|&decoded| operand(decoded, is_wide)).collect();
    let sums =
        matches!(instruction.opcode, Opcode::ADD | Opcode::ADDS | Opcode::SUB | Opcode::SUBS);
    let unshifted = |seen| match seen {
        // A zero with a shift is a symbol's place.
        Seen::ShiftedNumber(number, shift) if sums && (number, shift) != (0, 12) => {
            Seen::Number(number << shift)
        }
        seen => seen,
    };
    Some(seen?.into_iter().map(unshifted).collect())
}

fn register(size: SizeCode, number: u16, can_be_stack_pointer: bool) -> Option<Register> {
    let number = u8::try_from(number).ok()?;
    let is_stack_pointer = can_be_stack_pointer && number == 31;
    Some(Register { is_wide: size == SizeCode::X, number, is_stack_pointer })
}

/// One operand of an instruction whose result has 64 bits, or 32.
fn operand(decoded: Decoded, is_wide: bool) -> Option<Seen> {
    Some(match decoded {
        Decoded::Register(size, number) => Seen::Register(register(size, number, false)?),
        Decoded::RegisterOrSP(size, number) => Seen::Register(register(size, number, true)?),
        Decoded::RegShift(style, amount, size, number) => {
            let register = register(size, number, false)?;
            match shift(style) {
                // So an extension by `uxtw` is given.
                Shift::Lsl if is_wide && !register.is_wide => {
                    Seen::Shifted(register, Shift::Uxtw, amount)
                }
                Shift::Lsl if amount == 0 => Seen::Register(register),
                shift => Seen::Shifted(register, shift, amount),
            }
        }
        Decoded::Immediate(number) => Seen::Number(number.into()),
        Decoded::Imm64(number) => Seen::Number(number.into()),
        Decoded::Imm16(number) => Seen::Number(number.into()),
        Decoded::ImmShift(number, shift) => Seen::ShiftedNumber(number.into(), shift),
        Decoded::PCOffset(0) => Seen::Target,
        Decoded::ConditionCode(number) => Seen::Condition(number),
        Decoded::SystemReg(number) => Seen::SystemRegister(number),
        Decoded::RegPreIndex(base, offset, writes_back) => {
            let offset = i128::from(offset);
            let offset =
                if writes_back { SeenOffset::Before(offset) } else { SeenOffset::Number(offset) };
            Seen::Memory(u8::try_from(base).ok()?, offset)
        }
        Decoded::RegPostIndex(base, offset) => {
            Seen::Memory(u8::try_from(base).ok()?, SeenOffset::After(offset.into()))
        }
        Decoded::RegRegOffset(base, index, size, style, amount) => {
            let index = register(size, index, false)?;
            let offset = SeenOffset::Register(index, shift(style), amount);
            Seen::Memory(u8::try_from(base).ok()?, offset)
        }
        _ => return None,
    })
}

fn shift(style: ShiftStyle) -> Shift {
    match style {
        ShiftStyle::LSL => Shift::Lsl,
        ShiftStyle::LSR => Shift::Lsr,
        ShiftStyle::ASR => Shift::Asr,
        ShiftStyle::ROR => Shift::Ror,
        ShiftStyle::UXTB => Shift::Uxtb,
        ShiftStyle::UXTH => Shift::Uxth,
        ShiftStyle::UXTW => Shift::Uxtw,
        ShiftStyle::UXTX => Shift::Uxtx,
        ShiftStyle::SXTB => Shift::Sxtb,
        ShiftStyle::SXTH => Shift::Sxth,
        ShiftStyle::SXTW => Shift::Sxtw,
        ShiftStyle::SXTX => Shift::Sxtx,
    }
}
