//! x86-64: reads a statement in Intel syntax, has it encoded, and has the encoding read back.

mod check;
mod operand;

use super::encoder::{LABEL, Proposal, Refusal, propose};
use super::fragment::{Code, Instruction, Reference};
use super::value::{Part, Symbol, Value};
use super::{Context, Dialect, Statement};
use crate::arch::Operand as RelocationOperand;
use crate::arch::x86_64::{
    ABS64, CALL32, GOT32, GOTTPOFF32, REL8, REL32, SECREL32, TLSDESC32, TLSGD32, TLVP32, TPOFF32,
};
use crate::error::{Error, ErrorKind};
use crate::program::RelocationKind;
use crate::target::Architecture;

use check::{Field, Mnemonics, read_back};
use operand::{Memory, Operand, is_register};

pub(super) static DIALECT: Dialect = Dialect {
    architecture: Architecture::X86_64,
    comment: "#",
    number_sign_is_comment: true,
    is_register,
    instruction,
    granule: 1,
    padding,
};

/// A statement as it was read.
pub(super) struct Line {
    prefix: Option<Prefix>,
    /// In lower case.
    mnemonic: String,
    operands: Vec<Operand>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prefix {
    Lock,
    /// Also `repe`, which is the same bit.
    Rep,
    Repne,
}

const PREFIXES: &[(&str, Prefix)] = &[
    ("lock", Prefix::Lock),
    ("rep", Prefix::Rep),
    ("repe", Prefix::Rep),
    ("repz", Prefix::Rep),
    ("repne", Prefix::Repne),
    ("repnz", Prefix::Repne),
];

/// What an operand without registers refers to, and what for.
struct Target<'l> {
    value: &'l Value,
    symbol: &'l Symbol,
    usage: Usage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Usage {
    /// Where a jump or call goes.
    Branch,
    /// A memory operand that counts from the instruction's end.
    Memory,
    /// An address as a number: `offset name`.
    Address,
}

fn instruction(statement: &Statement<'_>, context: &Context<'_>) -> Result<Instruction, Error> {
    let line = read_line(statement, context)?;
    let target = line.target(context)?;
    let spelling = line.spelling();
    let proposal = propose(&spelling, Architecture::X86_64)
        .map_err(|refusal| refused(&refusal, &line, statement, context))?;
    let Proposal { bytes, short } = proposal;
    let check = |bytes: Vec<u8>| code(&line, bytes, target.as_ref(), context);
    let short = short.and_then(|bytes| check(bytes).ok());
    match (check(bytes), short) {
        (Ok(code), short) => Ok(Instruction { code, short }),
        // `loop` and `jrcxz` only reach near by; what is proposed for farther targets is several
        // instructions.
        (Err(_), Some(code)) => Ok(Instruction { code, short: None }),
        (Err(Misread { meaning, reason }), None) => {
            let message = match meaning {
                Some(meaning) => format!("`{}` would become `{meaning}`", statement.text),
                None => format!("`{}` cannot be encoded", statement.text),
            };
            let error = context.error(ErrorKind::Unsupported, message, statement.range.clone());
            Err(error.help(reason.unwrap_or(BYTES)))
        }
    }
}

/// What helps where the assembler does not.
const BYTES: &str = "if it is an instruction, write its bytes: `.byte 0x…`, or use `hex`";

fn read_line(statement: &Statement<'_>, context: &Context<'_>) -> Result<Line, Error> {
    let mut mnemonic = statement.mnemonic;
    let mut rest = statement.rest;
    let mut prefix = None;
    let known = |word: &str| {
        PREFIXES.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|&(_, prefix)| prefix)
    };
    if let Some(found) = known(mnemonic.text) {
        let [next, behind @ ..] = rest else {
            let message = format!("`{}` stands before an instruction", mnemonic.text);
            return Err(context.error(ErrorKind::Syntax, message, mnemonic.range.clone()));
        };
        if !next.is_word() || known(next.text).is_some() {
            return Err(super::value::unexpected(next, context));
        }
        (prefix, mnemonic, rest) = (Some(found), next, behind);
    }
    let mnemonic_text = mnemonic.text.to_ascii_lowercase();
    if !Mnemonics::has(&mnemonic_text) {
        return Err(unknown_mnemonic(&mnemonic_text, mnemonic.range.clone(), context));
    }
    let mut operands = Vec::new();
    for tokens in super::operands(rest, context)? {
        operands.push(operand::parse(tokens, context)?);
    }
    let mut line = Line { prefix, mnemonic: mnemonic_text, operands };
    line.complete();
    Ok(line)
}

fn unknown_mnemonic(mnemonic: &str, range: super::Span, context: &Context<'_>) -> Error {
    let message = format!("x86-64 has no instruction `{mnemonic}`");
    let error = context.error(ErrorKind::Syntax, message, range);
    match mnemonic {
        "short" | "near" | "far" => error,
        "db" | "dw" | "dd" | "dq" => error.help("data is `.byte`, `.short`, `.long` or `.quad`"),
        "resb" | "resw" | "resd" | "resq" => error.help("room is `.skip`, or an item in [bss]"),
        "section" | "global" | "extern" | "bits" | "default" => {
            error.help("one `asm` is one section of code: leave it out")
        }
        "equ" => error.help("constants stand in [constants]"),
        _ => error.nearest(mnemonic, Mnemonics::names()),
    }
}

impl Line {
    /// Writes out what the spelling leaves to the reader.
    fn complete(&mut self) {
        match (&*self.mnemonic, &self.operands[..]) {
            ("imul", [first @ Operand::Register(_), second @ Operand::Number(_)]) => {
                self.operands = vec![first.clone(), first.clone(), second.clone()];
            }
            ("shl" | "sal" | "shr" | "sar" | "rol" | "ror" | "rcl" | "rcr", [only]) => {
                let one = Operand::Number(Value::of_number(1, 0..0));
                self.operands = vec![only.clone(), one];
            }
            // The order does not matter, and only the other one is known.
            ("test", [Operand::Register(_), Operand::Memory(_)]) => self.operands.swap(0, 1),
            ("movsxd", [_, Operand::Memory(memory)]) if memory.size.is_none() => {
                let memory = Memory { size: Some(4), ..memory.clone() };
                self.operands[1] = Operand::Memory(memory);
            }
            ("int", [Operand::Number(Value { number: 3, .. })]) => {
                "int3".clone_into(&mut self.mnemonic);
                self.operands.clear();
            }
            _ => {}
        }
    }

    /// The one symbol of the statement.
    fn target(&self, context: &Context<'_>) -> Result<Option<Target<'_>>, Error> {
        let mut target: Option<Target<'_>> = None;
        if let (true, [Operand::Number(value)]) = (self.is_branch(), &self.operands[..]) {
            let message = format!("`{}` goes to a name, not to a number", self.mnemonic);
            return Err(context.error(ErrorKind::InvalidValue, message, value.range.clone()));
        }
        for operand in &self.operands {
            let (value, usage) = match operand {
                Operand::Register(_) | Operand::Number(_) => continue,
                Operand::Symbol(value) => (value, Usage::Branch),
                Operand::Offset(value) => (value, Usage::Address),
                Operand::Memory(memory) => (&memory.displacement, Usage::Memory),
            };
            let Some(symbol) = value.symbol.as_ref().or(value.minus.as_ref()) else { continue };
            if let Some(first) = &target {
                let message = format!(
                    "`{}` and `{}` do not fit one instruction",
                    first.symbol.name, symbol.name
                );
                return Err(context.error(ErrorKind::Unsupported, message, symbol.range.clone()));
            }
            self.check_usage(operand, value, symbol, usage, context)?;
            target = Some(Target { value, symbol, usage });
        }
        Ok(target)
    }

    fn check_usage(
        &self,
        operand: &Operand,
        value: &Value,
        symbol: &Symbol,
        usage: Usage,
        context: &Context<'_>,
    ) -> Result<(), Error> {
        let name = &symbol.name;
        let refuse = |message: String| {
            Err(context.error(ErrorKind::Unsupported, message, value.range.clone()))
        };
        if value.minus.is_some() {
            let message = format!("the address of `{name}` cannot be subtracted in an instruction");
            return refuse(message).map_err(|error: Error| {
                error.help("`.long name - other` in data holds a distance")
            });
        }
        let memory = match operand {
            Operand::Memory(memory) => Some(memory),
            _ => None,
        };
        if usage == Usage::Branch && !self.is_branch() {
            let help = format!(
                "its address is lea rax, [rip + {name}], what lies there is mov rax, [rip + {name}]"
            );
            return Err(context.no_number(symbol, help));
        }
        let is_offset = matches!(symbol.part, Some(Part::ThreadOffset | Part::TemplateOffset));
        if memory.is_some_and(|memory| !memory.is_relative()) && !is_offset {
            let error = refuse(format!(
                "the address of `{name}` does not fit 32 bits in a program that can be loaded anywhere"
            ));
            let base = memory.is_some_and(Memory::has_register);
            return error.map_err(|error: Error| {
                if base {
                    error.help(format!("first `lea` it into a register: lea rax, [rip + {name}]"))
                } else {
                    error.help(format!("count from the instruction: [rip + {name}]"))
                }
            });
        }
        let is_quad_move = matches!(&*self.mnemonic, "mov" | "movabs")
            && matches!(&self.operands[0], Operand::Register(register) if register.is_gpr64());
        if usage == Usage::Address && !is_quad_move {
            return refuse("an address has 64 bits, which only `mov` to a 64-bit register can hold".to_owned())
                .map_err(|error: Error| error.help(format!("lea rax, [rip + {name}] is shorter and needs no relocation when the program is loaded")));
        }
        let is_legal = match symbol.part {
            None => true,
            Some(
                Part::Slot | Part::ThreadSlot | Part::Descriptor | Part::Module | Part::Variable,
            ) => usage == Usage::Memory,
            Some(Part::ThreadOffset | Part::TemplateOffset) => {
                memory.is_some_and(|memory| !memory.is_relative())
            }
            Some(Part::Stub) => usage == Usage::Branch,
            Some(_) => false,
        };
        if !is_legal {
            return refuse(format!("x86-64 has no use for this part of `{name}` here"))
                .map_err(|error: Error| error.help("`@GOTPCREL` stands in [rip + name@GOTPCREL], `@PLT` behind `call` and `jmp`, `@tpoff` in fs:[name@tpoff]"));
        }
        if symbol.part.is_some_and(|part| !part.takes_addend()) && value.number != 0 {
            return refuse(format!("nothing can be added to the slot or the stub of `{name}`"));
        }
        Ok(())
    }

    fn is_branch(&self) -> bool {
        self.mnemonic.starts_with('j')
            || self.mnemonic.starts_with("loop")
            || self.mnemonic == "call"
    }

    /// The statement in the spelling that the assembler reads best, a placeholder for its symbol.
    fn spelling(&self) -> String {
        let prefix = match self.prefix {
            None => "",
            Some(Prefix::Lock) => "lock ",
            Some(Prefix::Rep) => "rep ",
            Some(Prefix::Repne) => "repne ",
        };
        let operands: Vec<_> = self.operands.iter().map(Operand::spelling).collect();
        format!("{prefix}{} {}", self.mnemonic, operands.join(", "))
    }
}

fn refused(
    refusal: &Refusal,
    line: &Line,
    statement: &Statement<'_>,
    context: &Context<'_>,
) -> Error {
    let range = statement.range.clone();
    let text = statement.text;
    match refusal {
        Refusal::UnknownMnemonic => {
            let message = format!("`{}` is beyond this assembler", line.mnemonic);
            context.error(ErrorKind::Unsupported, message, range).help(BYTES)
        }
        Refusal::Other(words) => {
            let words = words.replace(LABEL, "the symbol");
            let message = format!("`{text}` cannot be encoded: {}", words.escape_debug());
            context.error(ErrorKind::Unsupported, message, range).help(BYTES)
        }
        Refusal::Panic => {
            let message = format!("the assembler broke down on `{text}`");
            context.error(ErrorKind::Unsupported, message, range).help(BYTES)
        }
    }
}

/// Why bytes are not what a line says.
struct Misread {
    /// What they are, if anything.
    meaning: Option<String>,
    /// What to do about it, if that is known.
    reason: Option<&'static str>,
}

/// `bytes` as code, if they say what `line` says.
fn code(
    line: &Line,
    mut bytes: Vec<u8>,
    target: Option<&Target<'_>>,
    context: &Context<'_>,
) -> Result<Code, Misread> {
    let field = read_back(line, &bytes)?;
    let reference = match (target, field) {
        (None, None) => None,
        (Some(target), Some(field)) => match kind(target, field) {
            Some(kind) => {
                bytes[field.offset..][..field.width].fill(0);
                Some(reference(target, kind, field, bytes.len(), context))
            }
            None => return Err(Misread { meaning: None, reason: None }),
        },
        _ => return Err(Misread { meaning: None, reason: None }),
    };
    Ok(Code { bytes, reference })
}

fn reference(
    target: &Target<'_>,
    kind: RelocationKind,
    field: Field,
    length: usize,
    context: &Context<'_>,
) -> Reference {
    // The processor counts from the end of the instruction, a relocation from its field.
    let is_address =
        target.usage == Usage::Address || kind.operand() != RelocationOperand::Relative;
    let from_end = i64::try_from(length - field.offset).expect("an instruction has few bytes");
    Reference {
        offset: field.offset as u64,
        kind,
        bias: if is_address { 0 } else { -from_end },
        expression: target.value.expression(context),
        span: context.span(target.value.range.clone()),
    }
}

/// The relocation that fills `field` as the target is used.
fn kind(target: &Target<'_>, field: Field) -> Option<RelocationKind> {
    match (target.usage, target.symbol.part, field.width) {
        (Usage::Branch, _, 1) => Some(REL8),
        // Behind the start of a function there is no stub that could stand for it.
        (Usage::Branch, _, 4) if target.value.number != 0 => Some(REL32),
        (Usage::Branch, _, 4) => Some(CALL32),
        (Usage::Memory, Some(Part::Slot), 4) => Some(GOT32),
        (Usage::Memory, Some(Part::ThreadOffset), 4) => Some(TPOFF32),
        (Usage::Memory, Some(Part::ThreadSlot), 4) => Some(GOTTPOFF32),
        (Usage::Memory, Some(Part::Descriptor), 4) => Some(TLSDESC32),
        (Usage::Memory, Some(Part::Module), 4) => Some(TLSGD32),
        (Usage::Memory, Some(Part::Variable), 4) => Some(TLVP32),
        (Usage::Memory, Some(Part::TemplateOffset), 4) => Some(SECREL32),
        (Usage::Memory, None, 4) => Some(REL32),
        (Usage::Address, None, 8) => Some(ABS64),
        _ => None,
    }
}

/// What does nothing, in as few instructions as possible: the forms that Intel recommends (SDM, volume 2,
/// `NOP`, table 4-12).
fn padding(length: usize) -> Vec<u8> {
    const NOPS: [&[u8]; 9] = [
        &[0x90],
        &[0x66, 0x90],
        &[0x0f, 0x1f, 0x00],
        &[0x0f, 0x1f, 0x40, 0x00],
        &[0x0f, 0x1f, 0x44, 0x00, 0x00],
        &[0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00],
        &[0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00],
        &[0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
        &[0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
    ];
    let longest = NOPS[NOPS.len() - 1];
    let mut bytes = longest.repeat(length / longest.len());
    if let Some(last) = (length % longest.len()).checked_sub(1) {
        bytes.extend(NOPS[last]);
    }
    bytes
}
