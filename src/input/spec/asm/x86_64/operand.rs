//! Operands in Intel syntax.

use std::sync::LazyLock;

use iced_x86::Register;
use rustc_hash::FxHashMap;

use super::super::encoder::LABEL;
use super::super::lexer::Token;
use super::super::value::{self, Value, no_comma, unexpected};
use super::super::{Context, range_of};
use crate::error::{Error, ErrorKind};
use crate::input::spec::document::Span;

/// What stands for a symbol in an address that counts from no instruction: of 32 bits, so that the field has as
/// many.
pub(super) const DISPLACEMENT: i32 = 0x1234_5678;

#[derive(Clone, Debug)]
pub(in super::super) enum Operand {
    Register(Register),
    /// An immediate.
    Number(Value),
    /// A symbol alone: where a jump goes.
    Symbol(Value),
    /// `offset name`
    Offset(Value),
    Memory(Memory),
}

#[derive(Clone, Debug)]
pub(in super::super) struct Memory {
    /// Bytes, where they are said.
    pub(in super::super) size: Option<usize>,
    pub(in super::super) segment: Option<Register>,
    pub(in super::super) base: Option<Register>,
    pub(in super::super) index: Option<Register>,
    pub(in super::super) scale: u32,
    pub(in super::super) displacement: Value,
    pub(in super::super) range: Span,
}

/// The words for the size of a memory operand, in bytes; the first one of a size is how it is spelled.
const SIZES: &[(&str, usize)] = &[
    ("byte", 1),
    ("word", 2),
    ("dword", 4),
    ("qword", 8),
    ("xmmword", 16),
    ("oword", 16),
    ("ymmword", 32),
];

static REGISTERS: LazyLock<FxHashMap<String, Register>> = LazyLock::new(|| {
    let real = Register::values().filter(|register| {
        let is_real = register.size() > 0 || register.is_segment_register();
        is_real || register.is_cr() || register.is_dr() || register.is_st() || register.is_mm()
    });
    let mut registers: FxHashMap<_, _> = real.map(|register| (name(register), register)).collect();
    // The same under the name that Intel's manuals have.
    for number in 8..16 {
        if let Some(&register) = registers.get(&format!("r{number}b")) {
            registers.insert(format!("r{number}l"), register);
        }
    }
    registers.insert("st".to_owned(), Register::ST0);
    registers
});

/// A register's usual name.
pub(super) fn name(register: Register) -> String {
    let name = format!("{register:?}").to_ascii_lowercase();
    match name.strip_suffix('l') {
        Some(number) if name.starts_with('r') => format!("{number}b"),
        _ => name,
    }
}

fn register(word: &str) -> Option<Register> {
    let lower = word.to_ascii_lowercase();
    REGISTERS.get(lower.as_str()).copied()
}

/// Whether a name is taken: no label and no symbol can have it.
pub(super) fn is_register(word: &str) -> bool {
    register(word).is_some()
}

impl Operand {
    pub(super) fn spelling(&self) -> String {
        match self {
            Self::Register(register) => name(*register),
            Self::Number(value) => value.number.to_string(),
            Self::Symbol(_) | Self::Offset(_) => LABEL.to_owned(),
            Self::Memory(memory) => memory.spelling(),
        }
    }
}

impl Memory {
    /// Whether it counts from the instruction's end.
    pub(super) fn is_relative(&self) -> bool {
        self.base == Some(Register::RIP)
    }

    pub(super) fn has_register(&self) -> bool {
        self.base.is_some() || self.index.is_some()
    }

    fn spelling(&self) -> String {
        let size = SIZES.iter().find(|(_, bytes)| Some(*bytes) == self.size);
        let size = size.map_or(String::new(), |(word, _)| format!("{word} ptr "));
        let segment = self.segment.map_or(String::new(), |segment| format!("{}:", name(segment)));
        let mut sum: Vec<_> = self.base.map(name).into_iter().collect();
        sum.extend(self.index.map(|index| format!("{} * {}", name(index), self.scale)));
        let displacement = &self.displacement;
        match (&displacement.symbol, displacement.number) {
            (Some(_), _) if self.is_relative() => sum.push(LABEL.to_owned()),
            (Some(_), _) => sum.push(DISPLACEMENT.to_string()),
            (None, 0) if !sum.is_empty() => {}
            (None, number) => sum.push(number.to_string()),
        }
        format!("{size}{segment}[{}]", sum.join(" + ").replace("+ -", "- "))
    }
}

/// Reads an operand of at least one token.
pub(super) fn parse(tokens: &[Token<'_>], context: &Context<'_>) -> Result<Operand, Error> {
    let (size, tokens) = split_size(tokens, context)?;
    if let [only] = tokens
        && let Some(register) = register(only.text).filter(|_| only.is_word())
    {
        return match size {
            None => Ok(Operand::Register(register)),
            Some((_, size)) => Err(context
                .error(ErrorKind::Syntax, "a register has a size of its own", size)
                .help("leave out the size")),
        };
    }
    if let [first, second, ..] = tokens
        && first.is_word()
        && is_register(first.text)
        && !second.is(':')
    {
        return Err(no_comma(second, context));
    }
    let is_memory = tokens.iter().any(|token| token.is('['));
    let has_segment =
        matches!(tokens, [first, colon, ..] if register(first.text).is_some() && colon.is(':'));
    if is_memory || has_segment {
        let memory = memory(tokens, size.map(|(size, _)| size), context)?;
        return Ok(Operand::Memory(memory));
    }
    if let Some((_, range)) = size {
        return Err(context
            .error(ErrorKind::Syntax, "a size belongs to a memory operand", range)
            .help("memory stands in brackets: `dword ptr [rdi]`"));
    }
    match tokens {
        [word, rest @ ..] if !rest.is_empty() && word.text.eq_ignore_ascii_case("offset") => {
            let value = value::parse(rest, context)?;
            if value.is_number() { Ok(Operand::Number(value)) } else { Ok(Operand::Offset(value)) }
        }
        [word, rest @ ..] if !rest.is_empty() && is_width(word.text) => Err(context
            .error(
                ErrorKind::Unsupported,
                format!("`{}` is not said here", word.text),
                word.range.clone(),
            )
            .help("leave it out: a jump is as short as its target allows")),
        _ => {
            let value = value::parse(tokens, context)?;
            if value.is_number() { Ok(Operand::Number(value)) } else { Ok(Operand::Symbol(value)) }
        }
    }
}

fn is_width(word: &str) -> bool {
    ["short", "near", "far"].iter().any(|width| word.eq_ignore_ascii_case(width))
}

/// A size in bytes, and the bytes of the text that say it.
type Size = Option<(usize, Span)>;

/// `dword ptr` before an operand.
fn split_size<'a, 't>(
    tokens: &'a [Token<'t>],
    context: &Context<'_>,
) -> Result<(Size, &'a [Token<'t>]), Error> {
    let [first, rest @ ..] = tokens else { return Ok((None, tokens)) };
    let size = SIZES.iter().find(|(word, _)| first.text.eq_ignore_ascii_case(word));
    let Some(&(_, bytes)) = size.filter(|_| first.is_word()) else { return Ok((None, tokens)) };
    let (end, rest) = match rest {
        [ptr, rest @ ..] if ptr.text.eq_ignore_ascii_case("ptr") => (ptr.range.end, rest),
        _ => (first.range.end, rest),
    };
    let range = first.range.start..end;
    match rest {
        [] => Err(context.error(ErrorKind::Syntax, "a size without an operand", range)),
        _ => Ok((Some((bytes, range)), rest)),
    }
}

fn memory(
    tokens: &[Token<'_>],
    size: Option<usize>,
    context: &Context<'_>,
) -> Result<Memory, Error> {
    let range = range_of(tokens);
    let mut segment = None;
    let mut tokens = tokens;
    take_segment(&mut tokens, &mut segment, context)?;
    let (inside, is_bracketed) = match tokens {
        [open, inside @ .., close] if open.is('[') && close.is(']') => (inside, true),
        [open, ..] if open.is('[') => {
            let message = "this bracket is not closed, or something stands behind it";
            return Err(context.error(ErrorKind::Syntax, message, range));
        }
        _ => (tokens, false),
    };
    let mut inside = inside;
    if is_bracketed {
        take_segment(&mut inside, &mut segment, context)?;
    }
    if let Some(bracket) = inside.iter().find(|token| token.is('[') || token.is(']')) {
        return Err(context
            .error(
                ErrorKind::Syntax,
                "a memory operand is one pair of brackets",
                bracket.range.clone(),
            )
            .help("write the sum inside: [table + rcx*8], [rbx + rcx]"));
    }
    if inside.is_empty() {
        return Err(context.error(ErrorKind::Syntax, "this memory operand is empty", range));
    }
    if let [rel, ..] = inside
        && rel.text.eq_ignore_ascii_case("rel")
        && inside.len() > 1
    {
        return Err(context
            .error(ErrorKind::Syntax, "`rel` is said with a register here", rel.range.clone())
            .help("write [rip + name]"));
    }
    let mut address = Address { base: None, index: None, scale: 1, rest: Vec::new() };
    for term in terms(inside) {
        address.add(term, context)?;
    }
    let displacement = if address.rest.is_empty() {
        Value::of_number(0, range.clone())
    } else {
        value::parse(&address.rest, context)?
    };
    let number = displacement.number;
    if i32::try_from(number).is_err() {
        let (low, high) = (i32::MIN.into(), i32::MAX.into());
        let message = format!("{number} does not fit an address: it is from {low} to {high}");
        let error = context.error(ErrorKind::OutOfRange, message, displacement.range);
        return Err(error.value(number, low..=high));
    }
    let Address { base, index, scale, .. } = address;
    let memory = Memory { size, segment, base, index, scale, displacement, range };
    if memory.is_relative() && memory.index.is_some() {
        let message = "an address that counts from `rip` has no other register";
        return Err(context.error(ErrorKind::Syntax, message, memory.range));
    }
    Ok(memory)
}

fn take_segment(
    tokens: &mut &[Token<'_>],
    segment: &mut Option<Register>,
    context: &Context<'_>,
) -> Result<(), Error> {
    let [first, colon, rest @ ..] = *tokens else { return Ok(()) };
    if !colon.is(':') || first.is(':') {
        return Ok(());
    }
    match register(first.text).filter(|register| register.is_segment_register()) {
        Some(register) if segment.is_none() && !rest.is_empty() => {
            *segment = Some(register);
            *tokens = rest;
            Ok(())
        }
        _ => {
            let message = format!("`{}:` is no segment here", first.text.escape_debug());
            Err(context.error(ErrorKind::Syntax, message, first.range.clone()))
        }
    }
}

/// The terms of a sum, each with the sign before it.
fn terms<'a, 't>(tokens: &'a [Token<'t>]) -> Vec<&'a [Token<'t>]> {
    let mut starts: Vec<_> =
        (0..tokens.len()).filter(|&index| tokens[index].is('+') || tokens[index].is('-')).collect();
    // `- -3` and `* -3`: the second sign belongs to the same term.
    starts.retain(|&start| {
        start == 0 || !['+', '-', '*'].iter().any(|&mark| tokens[start - 1].is(mark))
    });
    if starts.first() != Some(&0) {
        starts.insert(0, 0);
    }
    let ends = starts.iter().copied().skip(1).chain([tokens.len()]);
    starts.iter().copied().zip(ends).map(|(start, end)| &tokens[start..end]).collect()
}

struct Address<'t> {
    base: Option<Register>,
    index: Option<Register>,
    scale: u32,
    /// The terms that are no registers.
    rest: Vec<Token<'t>>,
}

impl<'t> Address<'t> {
    fn add(&mut self, term: &[Token<'t>], context: &Context<'_>) -> Result<(), Error> {
        let is_register = |token: &Token<'_>| token.is_word() && register(token.text).is_some();
        let Some(at) = term.iter().position(is_register) else {
            self.rest.extend(term.iter().cloned());
            return Ok(());
        };
        let register = register(term[at].text).expect("it was found");
        let range = term[at].range.clone();
        if let Some(minus) = term.iter().find(|token| token.is('-')) {
            let message = "a register is never subtracted in an address";
            return Err(context.error(ErrorKind::Syntax, message, minus.range.clone()));
        }
        let (scale, is_scaled) = match term
            .iter()
            .filter(|token| !token.is('+'))
            .collect::<Vec<_>>()[..]
        {
            [_] => (1, false),
            [first, times, second] if times.is('*') => {
                let factor = if is_register(first) { second } else { first };
                let factor = value::parse(std::slice::from_ref(factor), context)?;
                match factor.number {
                    scale @ (1 | 2 | 4 | 8) if factor.is_number() => {
                        (u32::try_from(scale).expect("the number is small"), true)
                    }
                    _ => {
                        let message = "a register is multiplied by 1, 2, 4 or 8";
                        return Err(context.error(ErrorKind::OutOfRange, message, factor.range));
                    }
                }
            }
            _ => {
                let other = term.iter().find(|token| token.range != range && !token.is('+'));
                return Err(unexpected(other.unwrap_or(&term[at]), context));
            }
        };
        if !is_scaled && self.base.is_none() {
            self.base = Some(register);
        } else if !is_scaled && self.index.is_none() && register.full_register() == Register::RSP {
            // It cannot be an index, but where nothing is multiplied the two are of one rank.
            (self.base, self.index) = (Some(register), self.base);
        } else if self.index.is_none() {
            (self.index, self.scale) = (Some(register), scale);
        } else {
            let message = "an address has two registers at most, one of them multiplied";
            return Err(context.error(ErrorKind::Syntax, message, range));
        }
        Ok(())
    }
}
