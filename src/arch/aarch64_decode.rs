//! Arm64 instructions, read by `yaxpeax-arm`: to read assembled lines back.

use yaxpeax_arch::{Decoder, U8Reader};
use yaxpeax_arm::armv8::a64::{InstDecoder, Instruction, Opcode, Operand};

/// The instruction that a word is; `None` where it is none.
pub(crate) fn decode(word: u32) -> Option<Instruction> {
    let bytes = word.to_le_bytes();
    let mut instruction = InstDecoder::default().decode(&mut U8Reader::new(&bytes)).ok()?;
    // yaxpeax-arm 0.5.0 reads four of the five bits of this register (Arm ARM, `MSR (register)`, Rt).
    if let (Opcode::MSR, Operand::Register(_, number)) =
        (instruction.opcode, &mut instruction.operands[1])
    {
        *number = u16::from(bytes[0] & 0x1f);
    }
    Some(instruction)
}
