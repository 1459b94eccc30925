//! x86-64 instructions, by `iced-x86`, in Intel's notation.

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Formatter, FormatterOperandOptions,
    FormatterOptionsProvider, Instruction, MasmFormatter, MemorySizeOptions,
    NumberFormattingOptions, OpKind,
};

use super::{Decoded, State};
use std::fmt::Write;

/// A formatter that writes as most tools do: lower case, `0x`, the size of what is read or written in memory.
pub(super) struct Printer(MasmFormatter);

impl Printer {
    fn new() -> Self {
        let mut formatter = MasmFormatter::with_options(None, Some(Box::new(Signs)));
        let options = formatter.options_mut();
        options.set_hex_prefix("0x");
        options.set_hex_suffix("");
        options.set_uppercase_hex(false);
        options.set_add_leading_zero_to_hex_numbers(false);
        options.set_space_after_operand_separator(true);
        options.set_memory_size_options(MemorySizeOptions::Always);
        options.set_rip_relative_addresses(true);
        options.set_branch_leading_zeros(false);
        options.set_show_branch_size(false);
        Self(formatter)
    }
}

/// A number that the instruction has in fewer bits than it counts with has a sign: `and rsp, -0x10`.
struct Signs;

impl FormatterOptionsProvider for Signs {
    fn operand_options(
        &mut self,
        instruction: &Instruction,
        _: u32,
        operand: Option<u32>,
        _: &mut FormatterOperandOptions,
        numbers: &mut NumberFormattingOptions<'_>,
    ) {
        let kind = operand.and_then(|operand| instruction.try_op_kind(operand).ok());
        numbers.signed_number |= kind.is_some_and(|kind| {
            [
                OpKind::Immediate8to16,
                OpKind::Immediate8to32,
                OpKind::Immediate8to64,
                OpKind::Immediate32to64,
            ]
            .contains(&kind)
        });
    }
}

pub(super) fn step(address: u64, bytes: &[u8], state: &mut State) -> Decoded {
    let mut decoder = Decoder::with_ip(64, bytes, address, DecoderOptions::NONE);
    let instruction = decoder.decode();
    let length = instruction.len().clamp(1, bytes.len());
    let mut text = String::new();
    if instruction.is_invalid() {
        text.push_str("(bad)");
    } else if instruction.code() == Code::Int3 {
        // Not `int 0x3`, which has two bytes.
        text.push_str("int3");
    } else {
        state.x86_64.get_or_insert_with(Printer::new).0.format(&instruction, &mut text);
    }
    let mut hex = String::new();
    for byte in &bytes[..length] {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    Decoded { length, bytes: hex, text, target: target(&instruction) }
}

fn target(instruction: &Instruction) -> Option<u64> {
    if instruction.is_ip_rel_memory_operand() {
        return Some(instruction.ip_rel_memory_address());
    }
    let is_near = instruction.op_count() > 0 && instruction.op0_kind() == OpKind::NearBranch64;
    is_near.then(|| instruction.near_branch_target())
}

/// The slot that a stub jumps through: `jmp [rip + slot]`, maybe behind `endbr64`.
pub(super) fn slot_of_stub(address: u64, bytes: &[u8]) -> Option<u64> {
    let mut decoder = Decoder::with_ip(64, bytes, address, DecoderOptions::NONE);
    decoder.iter().take(2).find_map(|instruction| {
        let is_jump = instruction.flow_control() == FlowControl::IndirectBranch;
        (is_jump && instruction.is_ip_rel_memory_operand())
            .then(|| instruction.ip_rel_memory_address())
    })
}

impl std::fmt::Debug for Printer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Printer")
    }
}
