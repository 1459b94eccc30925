//! x86-64 instructions, by `iced-x86`, in Intel's notation.

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Formatter, Instruction, IntelFormatter, OpKind,
};

use super::{Decoded, State};
use std::fmt::Write;

/// A formatter that writes as most tools do: lower case, `0x`.
pub(super) struct Printer(IntelFormatter);

impl Printer {
    fn new() -> Self {
        let mut formatter = IntelFormatter::new();
        let options = formatter.options_mut();
        options.set_hex_prefix("0x");
        options.set_hex_suffix("");
        options.set_uppercase_hex(false);
        options.set_space_after_operand_separator(true);
        options.set_rip_relative_addresses(true);
        options.set_branch_leading_zeros(false);
        options.set_show_branch_size(false);
        Self(formatter)
    }
}

pub(super) fn step(address: u64, bytes: &[u8], state: &mut State) -> Decoded {
    let mut decoder = Decoder::with_ip(64, bytes, address, DecoderOptions::NONE);
    let instruction = decoder.decode();
    let length = instruction.len().clamp(1, bytes.len());
    let mut text = String::new();
    if instruction.is_invalid() {
        text.push_str("(bad)");
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
