//! Reads x86-64 machine code back with `iced-x86`, and says whether it is what a line says.

use std::sync::LazyLock;

use iced_x86::{
    Decoder, DecoderOptions, Formatter, Instruction, IntelFormatter, Mnemonic, OpKind, Register,
};
use rustc_hash::FxHashMap;

use super::operand::{DISPLACEMENT, Memory, Operand};
use super::{Line, Misread, Prefix};

/// Where a symbol's bytes are, in bytes of the instruction.
#[derive(Clone, Copy)]
pub(super) struct Field {
    pub(super) offset: usize,
    pub(super) width: usize,
}

/// The mnemonics that there are.
pub(super) struct Mnemonics;

static NAMES: LazyLock<FxHashMap<String, Mnemonic>> = LazyLock::new(|| {
    let real = Mnemonic::values().filter(|&mnemonic| mnemonic != Mnemonic::INVALID);
    real.map(|mnemonic| (format!("{mnemonic:?}").to_ascii_lowercase(), mnemonic)).collect()
});

/// Other names of an instruction (Intel SDM, volume 2; the names of assemblers in use).
const ALIASES: &[(&str, &str)] = &[
    ("movabs", "mov"),
    ("sal", "shl"),
    ("retn", "ret"),
    ("pushf", "pushfq"),
    ("popf", "popfq"),
    ("xlat", "xlatb"),
    ("fwait", "wait"),
    ("loopz", "loope"),
    ("loopnz", "loopne"),
];

/// Other names of conditions.
const CONDITIONS: &[(&str, &str)] = &[
    ("c", "b"),
    ("nae", "b"),
    ("nb", "ae"),
    ("nc", "ae"),
    ("z", "e"),
    ("nz", "ne"),
    ("na", "be"),
    ("nbe", "a"),
    ("pe", "p"),
    ("po", "np"),
    ("nge", "l"),
    ("nl", "ge"),
    ("ng", "le"),
    ("nle", "g"),
];

impl Mnemonics {
    pub(super) fn has(name: &str) -> bool {
        Self::find(name).is_some()
    }

    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        NAMES.keys().map(String::as_str)
    }

    fn find(name: &str) -> Option<Mnemonic> {
        let alias = ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, name)| *name);
        NAMES.get(alias.unwrap_or(name)).copied().or_else(|| {
            ["j", "set", "cmov"].iter().find_map(|stem| {
                let condition = name.strip_prefix(stem)?;
                let (_, usual) = CONDITIONS.iter().find(|(other, _)| *other == condition)?;
                NAMES.get(&format!("{stem}{usual}")).copied()
            })
        })
    }
}

/// Whether `bytes` are one instruction that does what `line` says; where the field of its symbol is, if it
/// has one.
pub(super) fn read_back(line: &Line, bytes: &[u8]) -> Result<Option<Field>, Misread> {
    let mut decoder = Decoder::with_ip(64, bytes, 0, DecoderOptions::NONE);
    let decoded = decoder.decode();
    let misread = |reason| Misread { meaning: meaning(bytes), reason };
    if decoded.is_invalid() || decoded.len() != bytes.len() {
        return Err(misread(None));
    }
    // `rep` before anything but a string instruction is ignored, or makes another instruction of it.
    let repeats = matches!(line.prefix, Some(Prefix::Rep | Prefix::Repne));
    if repeats && !decoded.is_string_instruction() {
        return Err(misread(Some("`rep` stands before string instructions, like `rep stosb`")));
    }
    let is_same = Mnemonics::find(&line.mnemonic) == Some(decoded.mnemonic())
        && prefix(&decoded) == Ok(line.prefix)
        && same_operands(line, &decoded)
        && (!extends(&decoded) || is_wider(&decoded));
    if !is_same {
        return Err(misread(wrong_number(line, &decoded)));
    }
    if !has_clear_size(line, &decoded) {
        return Err(misread(Some(
            "say the size of the memory operand: `byte ptr`, `word ptr`, `dword ptr` or `qword ptr`",
        )));
    }
    let offsets = decoder.get_constant_offsets(&decoded);
    let immediate =
        || Field { offset: offsets.immediate_offset(), width: offsets.immediate_size() };
    Ok(line.operands.iter().find_map(|operand| match operand {
        Operand::Symbol(_) | Operand::Offset(_) => Some(immediate()),
        Operand::Memory(memory) if memory.displacement.symbol.is_some() => Some(Field {
            offset: offsets.displacement_offset(),
            width: offsets.displacement_size(),
        }),
        _ => None,
    }))
}

/// What the number may be, where it is the only difference.
fn wrong_number(line: &Line, decoded: &Instruction) -> Option<&'static str> {
    let wanted = &line.operands[..];
    if wanted.len() != decoded.op_count() as usize {
        return None;
    }
    let mut help = None;
    for (index, operand) in wanted.iter().enumerate() {
        if !matches!(operand, Operand::Number(_)) {
            if !same_operand(operand, decoded, index) {
                return None;
            }
            continue;
        }
        help = Some(match decoded.try_op_kind(u32::try_from(index).ok()?).ok()? {
            OpKind::Immediate8 => "here a number has 8 bits: -128 to 255",
            OpKind::Immediate16 => "here a number has 16 bits: -32768 to 65535",
            OpKind::Immediate32 => "here a number has 32 bits: -2147483648 to 4294967295",
            OpKind::Immediate32to64 | OpKind::Immediate8to64 => {
                "the number does not fit the instruction, whose immediates have at most 32 bits and a sign: move it into a register first"
            }
            _ => return None,
        });
    }
    help
}

/// What `bytes` do, as a disassembler prints it.
fn meaning(bytes: &[u8]) -> Option<String> {
    let mut formatter = IntelFormatter::new();
    formatter.options_mut().set_space_after_operand_separator(true);
    formatter.options_mut().set_hex_prefix("0x");
    formatter.options_mut().set_hex_suffix("");
    formatter.options_mut().set_uppercase_hex(false);
    formatter.options_mut().set_branch_leading_zeros(false);
    formatter.options_mut().set_rip_relative_addresses(true);
    let mut instructions = Vec::new();
    for instruction in &mut Decoder::with_ip(64, bytes, 0, DecoderOptions::NONE) {
        if instruction.is_invalid() {
            return None;
        }
        let mut text = String::new();
        formatter.format(&instruction, &mut text);
        instructions.push(text);
    }
    (!instructions.is_empty()).then(|| instructions.join("; "))
}

/// The one prefix of an instruction; more than one is none that a line can say.
fn prefix(decoded: &Instruction) -> Result<Option<Prefix>, ()> {
    match (decoded.has_lock_prefix(), decoded.has_rep_prefix(), decoded.has_repne_prefix()) {
        (false, false, false) => Ok(None),
        (true, false, false) => Ok(Some(Prefix::Lock)),
        (false, true, false) => Ok(Some(Prefix::Rep)),
        (false, false, true) => Ok(Some(Prefix::Repne)),
        _ => Err(()),
    }
}

fn extends(decoded: &Instruction) -> bool {
    matches!(decoded.mnemonic(), Mnemonic::Movzx | Mnemonic::Movsx | Mnemonic::Movsxd)
}

/// Whether the register that is written has more bits than what is read. The processor also knows forms
/// where it has not, which nobody means.
fn is_wider(decoded: &Instruction) -> bool {
    let read = match decoded.op1_kind() {
        OpKind::Register => decoded.op1_register().size(),
        _ => decoded.memory_size().size(),
    };
    decoded.op0_register().size() > read
}

fn same_operands(line: &Line, decoded: &Instruction) -> bool {
    let wanted = &line.operands[..];
    let count = decoded.op_count() as usize;
    if wanted.is_empty() {
        // String instructions and `xlatb` have their operands in their name.
        return count == 0
            || decoded.is_string_instruction()
            || decoded.mnemonic() == Mnemonic::Xlatb;
    }
    if wanted.len() != count {
        return false;
    }
    let same = |wanted: &Operand, index: usize| same_operand(wanted, decoded, index);
    match wanted {
        // One encoding is meant by both orders.
        [first, second] if matches!(decoded.mnemonic(), Mnemonic::Test | Mnemonic::Xchg) => {
            same(first, 0) && same(second, 1) || same(first, 1) && same(second, 0)
        }
        // A 32-bit move clears the upper half, so it is a shorter form of a 64-bit one.
        [Operand::Register(to), Operand::Number(value)]
            if decoded.mnemonic() == Mnemonic::Mov
                && decoded.op_kind(1) == OpKind::Immediate32
                && decoded.op0_kind() == OpKind::Register
                && to.is_gpr64() =>
        {
            decoded.op0_register().full_register() == *to
                && i128::from(decoded.immediate32()) == value.number
        }
        _ => wanted.iter().enumerate().all(|(index, wanted)| same(wanted, index)),
    }
}

fn same_operand(wanted: &Operand, decoded: &Instruction, index: usize) -> bool {
    let index = u32::try_from(index).unwrap_or(u32::MAX);
    let Ok(kind) = decoded.try_op_kind(index) else { return false };
    match wanted {
        Operand::Register(register) => {
            kind == OpKind::Register && decoded.op_register(index) == *register
        }
        Operand::Number(value) => immediate_bits(kind).is_some_and(|bits| {
            let is_in_range = (-(1 << (bits - 1))..1 << bits).contains(&value.number);
            let difference = value.number - i128::from(decoded.immediate(index));
            is_in_range && difference % (1 << bits) == 0
        }),
        Operand::Symbol(_) => kind == OpKind::NearBranch64 && is_placeholder(decoded),
        Operand::Offset(_) => kind == OpKind::Immediate64 && decoded.immediate64() == 0,
        Operand::Memory(memory) => kind == OpKind::Memory && same_memory(memory, decoded),
    }
}

/// Whether a jump goes to the instruction behind it: the field is still empty.
fn is_placeholder(decoded: &Instruction) -> bool {
    decoded.near_branch64() == decoded.next_ip()
}

/// The width that an immediate has once the processor has extended it.
fn immediate_bits(kind: OpKind) -> Option<u32> {
    Some(match kind {
        OpKind::Immediate8 | OpKind::Immediate8_2nd => 8,
        OpKind::Immediate16 | OpKind::Immediate8to16 => 16,
        OpKind::Immediate32 | OpKind::Immediate8to32 => 32,
        OpKind::Immediate64 | OpKind::Immediate8to64 | OpKind::Immediate32to64 => 64,
        _ => return None,
    })
}

fn same_memory(wanted: &Memory, decoded: &Instruction) -> bool {
    let register = |register: Option<Register>| register.unwrap_or(Register::None);
    let (base, index) = (register(wanted.base), register(wanted.index));
    let found = (decoded.memory_base(), decoded.memory_index(), decoded.memory_index_scale());
    let scale = if index == Register::None { 1 } else { wanted.scale };
    let same_registers = found == (base, index, scale)
        // With nothing multiplied, the two are of one rank.
        || scale == 1 && index != Register::None && found == (index, base, 1);
    let distance = if wanted.is_relative() {
        decoded.memory_displacement64().wrapping_sub(decoded.next_ip())
    } else {
        decoded.memory_displacement64()
    };
    let number = match wanted.displacement.symbol {
        Some(_) if wanted.is_relative() => 0,
        Some(_) => DISPLACEMENT.into(),
        None => wanted.displacement.number,
    };
    // Addresses wrap: at 32 bits where their registers have as many.
    let bits = if base.is_gpr32() || index.is_gpr32() { 32 } else { 64 };
    let same_displacement = (i128::from(distance) - number) % (1 << bits) == 0;
    let size = decoded.memory_size().size();
    same_registers
        && same_displacement
        && decoded.segment_prefix() == register(wanted.segment)
        && !decoded.is_broadcast()
        && wanted.size.is_none_or(|wanted| wanted == size || has_no_size(decoded))
}

/// Whether the instruction only computes with the address, or its operand has no size to be said.
fn has_no_size(decoded: &Instruction) -> bool {
    decoded.mnemonic() == Mnemonic::Lea
}

/// Whether a reader of the line knows how many bytes of memory are meant: it says so, or no other size
/// would fit what else it says.
fn has_clear_size(line: &Line, decoded: &Instruction) -> bool {
    let is_unsaid =
        |operand: &Operand| matches!(operand, Operand::Memory(memory) if memory.size.is_none());
    if !line.operands.iter().any(is_unsaid) || has_no_size(decoded) {
        return true;
    }
    let size = decoded.memory_size().size();
    let mnemonic = name_of(decoded.mnemonic());
    let registers = || {
        line.operands.iter().filter_map(|operand| match operand {
            Operand::Register(register) => Some(*register),
            _ => None,
        })
    };
    let is_open = ["movzx", "movsx", "crc32", "in", "out"].contains(&&*mnemonic)
        || mnemonic.starts_with("cvtsi2")
        || mnemonic.starts_with("vcvt");
    if is_open {
        return false;
    }
    // The count of a shift says nothing of what is shifted.
    let shifts = ["shl", "shr", "sar", "rol", "ror", "rcl", "rcr"].contains(&&*mnemonic);
    let vector = registers().any(|register| register.is_vector_register() || register.is_mm());
    let sized = registers().any(|register| register.is_gpr() && register.size() == size && !shifts);
    let fixed = ["call", "jmp"].contains(&&*mnemonic)
        || mnemonic.starts_with("cvt")
        || [
            "set",
            "cmpxchg8b",
            "cmpxchg16b",
            "prefetch",
            "clflush",
            "fx",
            "ldmxcsr",
            "stmxcsr",
            "invlpg",
            "xsave",
            "xrstor",
        ]
        .iter()
        .any(|stem| mnemonic.starts_with(stem));
    vector || sized || fixed
}

fn name_of(mnemonic: Mnemonic) -> String {
    format!("{mnemonic:?}").to_ascii_lowercase()
}
