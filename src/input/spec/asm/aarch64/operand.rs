//! Operands in Arm syntax.

use super::super::encoder::LABEL;
use super::super::lexer::Token;
use super::super::value::{self, Part, Value};
use super::super::{Context, operands, range_of};
use crate::error::{Error, ErrorKind};
use crate::input::spec::document::Span;

/// A general-purpose register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Register {
    /// Whether it has 64 bits.
    pub(super) is_wide: bool,
    /// 31 is the stack pointer or the zero register.
    pub(super) number: u8,
    pub(super) is_stack_pointer: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shift {
    Lsl,
    Lsr,
    Asr,
    Ror,
    Uxtb,
    Uxth,
    Uxtw,
    Uxtx,
    Sxtb,
    Sxth,
    Sxtw,
    Sxtx,
}

#[derive(Clone, Debug)]
pub(super) enum Operand {
    Register(Register),
    /// A register that is shifted or extended.
    Shifted(Register, Shift, u8),
    Number(Value),
    /// A number that is shifted to the left.
    ShiftedNumber(Value, u8),
    /// Where a branch goes, or another part of a symbol's address.
    Symbol(Value),
    Memory {
        base: Register,
        offset: Offset,
    },
    Condition(u8),
    /// What `mrs` and `msr` name, as it is encoded.
    SystemRegister(u16),
    /// What `dmb` and its like wait for.
    Barrier(u8),
    /// A shift that belongs to the operand before it.
    Shift(Shift, u8, Span),
}

#[derive(Clone, Debug)]
pub(super) enum Offset {
    /// Added for the access only.
    Number(i128),
    /// Added to the register before the access: `[x0, #8]!`
    Before(i128),
    /// Added to the register after the access: `[x0], #8`
    After(i128),
    Register(Register, Shift, u8),
    Symbol(Value),
}

const SHIFTS: &[(&str, Shift)] = &[
    ("lsl", Shift::Lsl),
    ("lsr", Shift::Lsr),
    ("asr", Shift::Asr),
    ("ror", Shift::Ror),
    ("uxtb", Shift::Uxtb),
    ("uxth", Shift::Uxth),
    ("uxtw", Shift::Uxtw),
    ("uxtx", Shift::Uxtx),
    ("sxtb", Shift::Sxtb),
    ("sxth", Shift::Sxth),
    ("sxtw", Shift::Sxtw),
    ("sxtx", Shift::Sxtx),
];

/// Conditions and their numbers (Arm ARM, C1.2.4).
const CONDITIONS: &[(&str, u8)] = &[
    ("eq", 0),
    ("ne", 1),
    ("cs", 2),
    ("hs", 2),
    ("cc", 3),
    ("lo", 3),
    ("mi", 4),
    ("pl", 5),
    ("vs", 6),
    ("vc", 7),
    ("hi", 8),
    ("ls", 9),
    ("ge", 10),
    ("lt", 11),
    ("gt", 12),
    ("le", 13),
    ("al", 14),
    ("nv", 15),
];

/// What barriers wait for (Arm ARM, `DMB`).
const BARRIERS: &[(&str, u8)] = &[
    ("oshld", 1),
    ("oshst", 2),
    ("osh", 3),
    ("nshld", 5),
    ("nshst", 6),
    ("nsh", 7),
    ("ishld", 9),
    ("ishst", 10),
    ("ish", 11),
    ("ld", 13),
    ("st", 14),
    ("sy", 15),
];

/// The system registers that programs may read or write (Arm ARM, C5.2 and D19), as op0 op1 `CRn` `CRm` op2.
/// Those that can only be read are in the other table.
const SYSTEM_REGISTERS: &[(&str, [u16; 5])] = &[
    ("nzcv", [3, 3, 4, 2, 0]),
    ("fpcr", [3, 3, 4, 4, 0]),
    ("fpsr", [3, 3, 4, 4, 1]),
    ("tpidr_el0", [3, 3, 13, 0, 2]),
    ("sp_el0", [3, 0, 4, 1, 0]),
    ("tpidrro_el0", [3, 3, 13, 0, 3]),
    ("cntfrq_el0", [3, 3, 14, 0, 0]),
];

const READ_ONLY_REGISTERS: &[(&str, [u16; 5])] = &[
    ("ctr_el0", [3, 3, 0, 0, 1]),
    ("dczid_el0", [3, 3, 0, 0, 7]),
    ("cntpct_el0", [3, 3, 14, 0, 1]),
    ("cntvct_el0", [3, 3, 14, 0, 2]),
    ("currentel", [3, 0, 4, 2, 2]),
];

fn find<T: Copy>(table: &[(&str, T)], word: &str) -> Option<T> {
    table.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|&(_, value)| value)
}

/// The number of a condition.
pub(super) fn condition(word: &str) -> Option<u8> {
    find(CONDITIONS, word)
}

/// The name of a condition.
pub(super) fn condition_name(number: u8) -> &'static str {
    CONDITIONS.iter().find(|&&(_, known)| known == number).map_or("", |(name, _)| name)
}

impl Register {
    pub(super) const fn zero(is_wide: bool) -> Self {
        Self { is_wide, number: 31, is_stack_pointer: false }
    }

    pub(super) const fn is_zero(self) -> bool {
        self.number == 31 && !self.is_stack_pointer
    }

    /// How many bits it has.
    pub(super) const fn bits(self) -> u32 {
        if self.is_wide { 64 } else { 32 }
    }

    pub(super) fn name(self) -> String {
        match (self.number, self.is_wide) {
            (31, true) if self.is_stack_pointer => "sp".to_owned(),
            (31, false) if self.is_stack_pointer => "wsp".to_owned(),
            (31, true) => "xzr".to_owned(),
            (31, false) => "wzr".to_owned(),
            (number, true) => format!("x{number}"),
            (number, false) => format!("w{number}"),
        }
    }
}

fn register(word: &str) -> Option<Register> {
    let lower = word.to_ascii_lowercase();
    let of =
        |is_wide, number, is_stack_pointer| Some(Register { is_wide, number, is_stack_pointer });
    match &*lower {
        "sp" => return of(true, 31, true),
        "wsp" => return of(false, 31, true),
        "xzr" => return of(true, 31, false),
        "wzr" => return of(false, 31, false),
        "lr" => return of(true, 30, false),
        "fp" => return of(true, 29, false),
        _ => {}
    }
    let number = numbered(&lower, &["x", "w"]).filter(|&number| number < 31)?;
    of(lower.starts_with('x'), number, false)
}

/// The number behind one of `stems`, without zeros before it.
fn numbered(word: &str, stems: &[&str]) -> Option<u8> {
    let number = stems.iter().find_map(|stem| word.strip_prefix(stem))?;
    let is_plain = number == "0" || !number.starts_with('0') && !number.starts_with('+');
    number.parse().ok().filter(|&number: &u8| is_plain && number < 32)
}

/// A floating-point or vector register, or an element of one.
fn is_vector_register(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let stem = lower.split('.').next().unwrap_or_default();
    numbered(stem, &["v", "q", "d", "s", "h", "b", "z"]).is_some()
}

/// Whether a name is taken: no label and no symbol can have it.
pub(super) fn is_register(word: &str) -> bool {
    register(word).is_some() || is_vector_register(word) || find(SHIFTS, word).is_some()
}

/// Reads an operand of at least one token.
pub(super) fn parse(
    tokens: &[Token<'_>],
    mnemonic: &str,
    context: &Context<'_>,
) -> Result<Operand, Error> {
    let [first, rest @ ..] = tokens else { unreachable!("operands have a token at least") };
    let range = range_of(tokens);
    if first.is('[') {
        return memory(tokens, context);
    }
    if first.is('=') {
        return Err(context
            .error(ErrorKind::Unsupported, "there is no pool of literals", range)
            .help("build the number with `movz` and `movk`, or load it from an item or a label: ldr x0, name"));
    }
    if first.is('{') || first.is_word() && is_vector_register(first.text) {
        return Err(context
            .error(
                ErrorKind::Unsupported,
                "floating-point and vector registers are beyond this assembler",
                range,
            )
            .help(super::BYTES));
    }
    if first.is_word()
        && let Some(shift) = find(SHIFTS, first.text)
    {
        let amount = match rest {
            [] => 0,
            _ => shift_amount(rest, context)?,
        };
        return Ok(Operand::Shift(shift, amount, range));
    }
    if let [first, second, ..] = tokens
        && first.is_word()
        && register(first.text).is_some()
    {
        return Err(value::no_comma(second, context));
    }
    if let [only] = tokens
        && matches!(mnemonic, "mrs" | "msr")
        && only.is_word()
        && word(only.text, mnemonic).is_none()
    {
        let known = SYSTEM_REGISTERS.iter().chain(READ_ONLY_REGISTERS).map(|(name, _)| *name);
        let message = format!("no system register is called `{}` here", only.text);
        let error = context.error(ErrorKind::Unsupported, message, range);
        let error = error.nearest(only.text, known);
        return Err(match error.help {
            Some(_) => error,
            None => error.help(super::BYTES),
        });
    }
    if let [only] = tokens
        && only.is_word()
        && let Some(operand) = word(only.text, mnemonic)
    {
        return Ok(operand);
    }
    let value = number(tokens, context)?;
    Ok(if value.is_number() { Operand::Number(value) } else { Operand::Symbol(value) })
}

/// A single word that is no symbol where it stands.
fn word(text: &str, mnemonic: &str) -> Option<Operand> {
    let takes_condition = mnemonic.starts_with('c');
    let is_barrier = matches!(mnemonic, "dmb" | "dsb" | "isb");
    if let Some(register) = register(text) {
        return Some(Operand::Register(register));
    }
    if takes_condition && let Some(number) = condition(text) {
        return Some(Operand::Condition(number));
    }
    if is_barrier && let Some(number) = find(BARRIERS, text) {
        return Some(Operand::Barrier(number));
    }
    let register = match mnemonic {
        "mrs" => find(SYSTEM_REGISTERS, text).or_else(|| find(READ_ONLY_REGISTERS, text)),
        "msr" => find(SYSTEM_REGISTERS, text),
        _ => None,
    };
    register.map(|register| Operand::SystemRegister(system_register_number(register)))
}

/// What an instruction takes a word for, and which words there are, where it takes one.
pub(super) fn words_of(mnemonic: &str) -> Option<(&'static str, Vec<&'static str>)> {
    match mnemonic {
        "dmb" | "dsb" | "isb" => {
            Some(("barrier", BARRIERS.iter().map(|(name, _)| *name).collect()))
        }
        "ccmn" | "ccmp" | "cinc" | "cinv" | "cneg" | "csel" | "cset" | "csetm" | "csinc"
        | "csinv" | "csneg" => {
            Some(("condition", CONDITIONS.iter().map(|(name, _)| *name).collect()))
        }
        _ => None,
    }
}

/// Whether a word looks like a register of a number that there is none of.
pub(super) fn is_numbered_like_a_register(word: &str) -> bool {
    let number = word.strip_prefix(['x', 'w', 'X', 'W']);
    let is_number = |number: &str| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    number.is_some_and(|number| is_number(number) && number.len() < 3) && register(word).is_none()
}

/// A system register as instructions name it: the high bit of op0 is always set, so it is left out.
fn system_register_number([op0, op1, crn, crm, op2]: [u16; 5]) -> u16 {
    (op0 & 1) << 14 | op1 << 11 | crn << 7 | crm << 3 | op2
}

/// `#8`, `8`, `name`, `:lo12:name`
fn number(tokens: &[Token<'_>], context: &Context<'_>) -> Result<Value, Error> {
    match tokens {
        [mark, next, rest @ ..] if mark.is('#') && next.range.start == mark.range.end => {
            let value = value::parse(&tokens[1..], context)?;
            let is_part = value.symbol.as_ref().is_some_and(|symbol| symbol.part.is_some());
            if !value.is_number() && !is_part && rest.is_empty() {
                let name = value.symbol.or(value.minus).map_or(String::new(), |symbol| symbol.name);
                let message = format!("`{name}` is no constant, and `#` stands before a number");
                return Err(context
                    .error(ErrorKind::InvalidValue, message, next.range.clone())
                    .nearest(&name, context.names.constants()));
            }
            Ok(value)
        }
        _ => value::parse(tokens, context),
    }
}

fn shift_amount(tokens: &[Token<'_>], context: &Context<'_>) -> Result<u8, Error> {
    let value = number(tokens, context)?;
    match u8::try_from(value.number) {
        Ok(amount) if value.is_number() && amount < 64 => Ok(amount),
        _ => Err(context.error(ErrorKind::OutOfRange, "a shift is by 0 to 63", range_of(tokens))),
    }
}

fn memory(tokens: &[Token<'_>], context: &Context<'_>) -> Result<Operand, Error> {
    let range = range_of(tokens);
    let (inside, is_before) = match tokens {
        [_, inside @ .., close] if close.is(']') => (inside, false),
        [_, inside @ .., close, mark] if close.is(']') && mark.is('!') => (inside, true),
        _ => {
            let message = "this bracket is not closed, or something stands behind it";
            return Err(context.error(ErrorKind::Syntax, message, range));
        }
    };
    let wrong = |message: &str, range: Span| {
        context
            .error(ErrorKind::Syntax, message, range)
            .help("write [x0], [x0, #8], [x0, #8]!, [x0, x1, lsl #3] or [x0, w1, sxtw #3]")
    };
    let parts = operands(inside, context)?;
    let register_of = |tokens: &[Token<'_>]| match tokens {
        [only] if only.is_word() => register(only.text),
        _ => None,
    };
    let Some((base_tokens, parts)) = parts.split_first() else {
        return Err(wrong("this memory operand is empty", range));
    };
    let base = register_of(base_tokens).filter(|base| base.is_wide && !base.is_zero());
    let Some(base) = base else {
        return Err(wrong(
            "an address starts with a 64-bit register or `sp`",
            range_of(base_tokens),
        ));
    };
    let offset = match parts {
        [] => Offset::Number(0),
        [only] => {
            if let Some(register) = register_of(only) {
                Offset::Register(register, Shift::Lsl, 0)
            } else {
                let value = number(only, context)?;
                if value.is_number() { Offset::Number(value.number) } else { Offset::Symbol(value) }
            }
        }
        [index, shift] => {
            let index_register = register_of(index)
                .ok_or_else(|| wrong("here stands a register or a number", range_of(index)))?;
            match parse(shift, "", context)? {
                Operand::Shift(shift, amount, _) => Offset::Register(index_register, shift, amount),
                _ => return Err(wrong("this is no shift", range_of(shift))),
            }
        }
        [.., last] => return Err(wrong("this operand is one too many", range_of(last))),
    };
    let offset = match offset {
        Offset::Number(number) if is_before && !parts.is_empty() => Offset::Before(number),
        _ if is_before => return Err(wrong("`!` wants a number", range)),
        offset => offset,
    };
    Ok(Operand::Memory { base, offset })
}

impl Operand {
    /// Takes over the number behind `[x0]`; whether it was one.
    pub(super) fn take_post_index(&mut self, next: &Self) -> bool {
        match (self, next) {
            (Self::Memory { offset: offset @ Offset::Number(0), .. }, Self::Number(value)) => {
                *offset = Offset::After(value.number);
                true
            }
            _ => false,
        }
    }

    /// Takes over the shift behind a register or a number; whether it was one.
    pub(super) fn take_shift(&mut self, next: &Self) -> bool {
        let Self::Shift(shift, amount, _) = *next else { return false };
        match self {
            Self::Register(register) => *self = Self::Shifted(*register, shift, amount),
            // `:tprel_hi12:name` stands for the number with its shift; it may be said as well.
            Self::Symbol(Value { symbol: Some(symbol), .. })
                if shift == Shift::Lsl && amount == 12 && symbol.part.is_some_and(is_high) => {}
            Self::Number(value) if shift == Shift::Lsl => {
                *self = Self::ShiftedNumber(value.clone(), amount);
            }
            _ => return false,
        }
        true
    }

    fn spelling(&self) -> String {
        match self {
            Self::Register(register) => register.name(),
            Self::Shifted(register, shift, amount) => {
                format!("{}, {} {amount}", register.name(), shift.name())
            }
            Self::Number(value) => value.number.to_string(),
            Self::ShiftedNumber(value, amount) => format!("{}, lsl {amount}", value.number),
            Self::Symbol(value) => match value.symbol.as_ref().and_then(|symbol| symbol.part) {
                Some(part) if is_low(part) => "0".to_owned(),
                Some(part) if is_high(part) => "0, lsl 12".to_owned(),
                _ => LABEL.to_owned(),
            },
            Self::Memory { base, offset } => offset.spelling(*base),
            Self::Condition(number) => condition_name(*number).to_owned(),
            Self::SystemRegister(number) => SYSTEM_REGISTERS
                .iter()
                .chain(READ_ONLY_REGISTERS)
                .find(|&&(_, register)| system_register_number(register) == *number)
                .map_or(String::new(), |(name, _)| (*name).to_owned()),
            Self::Barrier(number) => BARRIERS
                .iter()
                .find(|(_, known)| known == number)
                .map_or("", |(name, _)| name)
                .to_owned(),
            Self::Shift(..) => String::new(),
        }
    }
}

/// Whether it is the low bits of a number, as `add` holds them.
pub(super) fn is_low(part: Part) -> bool {
    matches!(
        part,
        Part::PageOffset
            | Part::ThreadOffsetLow
            | Part::DescriptorPageOffset
            | Part::TemplateOffsetLow
    )
}

/// Whether it is bits of a number that `add` holds shifted by 12.
pub(super) fn is_high(part: Part) -> bool {
    matches!(part, Part::ThreadOffsetHigh | Part::TemplateOffsetHigh)
}

impl Shift {
    pub(super) fn name(self) -> &'static str {
        SHIFTS.iter().find(|&&(_, known)| known == self).map_or("", |(name, _)| name)
    }
}

impl Offset {
    fn spelling(&self, base: Register) -> String {
        let base = base.name();
        match self {
            Self::Number(0) | Self::Symbol(_) => format!("[{base}]"),
            Self::Number(number) => format!("[{base}, {number}]"),
            Self::Before(number) => format!("[{base}, {number}]!"),
            Self::After(number) => format!("[{base}], {number}"),
            Self::Register(index, Shift::Lsl, 0) => format!("[{base}, {}]", index.name()),
            Self::Register(index, shift, amount) => {
                format!("[{base}, {}, {} {amount}]", index.name(), shift.name())
            }
        }
    }
}

/// A statement in the spelling that the assembler reads best, a placeholder for its symbol. Numbers have
/// no `#`, which it takes for a comment.
pub(super) fn spelling(mnemonic: &str, operands: &[Operand]) -> String {
    let operands: Vec<_> = operands.iter().map(Operand::spelling).collect();
    format!("{mnemonic} {}", operands.join(", "))
}
