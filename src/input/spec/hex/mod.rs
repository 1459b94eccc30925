//! Hex text: exact bytes with comments, labels and named fixups.
//!
//! [`assemble`] takes the text of a `hex` key and an architecture's tables and gives a [`Block`]. Lines
//! hold labels (`name:`, or `.name:` for one that only this text sees), digits, and fixups in angle
//! brackets. Code is written in the [`Notation`] of its architecture, data byte for byte.

mod lexer;

use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;

use lexer::{Token, TokenKind, tokens};

use super::block::{Block, Field, Fixup, Label, Number};
use super::document::{Span, all_of, counted};
use super::expression::{self, Expression, TermValue, check_name};
use super::names::defined_twice;
use super::quantity::parse_integer;
use super::text_map::{MappedText, TextMap};
use crate::arch::{self, Arch, Notation, Operand};
use crate::error::{Collector, Error, ErrorKind, Place, nearest_name};
use crate::program::RelocationKind;
use crate::target::Architecture;

/// What hex text describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Instructions, in the notation of their architecture.
    Code,
    /// Bytes. A relative field counts from its own first byte, on every architecture.
    Data,
}

/// The bytes that `hex` spells for `arch`; what is wrong with it goes to `errors`.
pub(super) fn assemble(
    hex: &MappedText,
    arch: &Arch,
    purpose: Purpose,
    errors: &mut Collector,
) -> Block {
    let notation = match purpose {
        Purpose::Code => arch.notation(),
        Purpose::Data => Notation::Bytes,
    };
    let counts_from_end = purpose == Purpose::Code && notation == Notation::Bytes;
    let mut assembler = Assembler {
        arch,
        notation,
        counts_from_end,
        map: &hex.map,
        block: Block::default(),
        local_labels: FxHashMap::default(),
        errors,
    };
    let mut base = 0;
    for line in hex.text.split_inclusive('\n') {
        assembler.line(line, base);
        base += line.len();
    }
    assembler.check_local_labels();
    assembler.block
}

struct Assembler<'a> {
    arch: &'a Arch,
    notation: Notation,
    /// Whether relative fields count from the end of the instruction that they are in.
    counts_from_end: bool,
    map: &'a TextMap,
    block: Block,
    /// Where each local label is defined.
    local_labels: FxHashMap<String, Span>,
    errors: &'a mut Collector,
}

/// What stands between the angle brackets.
struct Brackets {
    kind: FixupKind,
    expression: Expression,
    /// Bytes of the instruction behind the field.
    end: i64,
}

#[derive(Clone, Copy)]
enum FixupKind {
    Number(Number),
    Relocation(RelocationKind),
}

impl Assembler<'_> {
    fn error(&self, kind: ErrorKind, message: impl Into<String>, range: Span) -> Error {
        Error::new(kind, message).at(Place::Text(self.map.span(range)), "")
    }

    fn line(&mut self, line: &str, base: usize) {
        // The offset of the instruction word that a fixup of this line would change.
        let mut word = None;
        for token in tokens(line, base) {
            let result = match token.kind {
                TokenKind::Label => self.label(&token),
                TokenKind::Open => Err(self
                    .error(ErrorKind::Syntax, "this fixup has no end", token.range.clone())
                    .help("a fixup ends with `>` on its own line")),
                TokenKind::Fixup => self.fixup(&token, &mut word),
                TokenKind::Word => match self.notation {
                    Notation::Bytes => self.bytes(&token),
                    Notation::Words => {
                        word = Some(self.block.len());
                        self.word(&token)
                    }
                },
            };
            if let Err(error) = result {
                self.errors.push(error);
                // A word that is no digits is prose or assembler text, and so is what follows it.
                if token.kind == TokenKind::Word && wrong_digit(token.text).is_some() {
                    return;
                }
            }
        }
    }

    fn label(&mut self, token: &Token<'_>) -> Result<(), Error> {
        let name = token.text;
        check_name(name.strip_prefix('.').unwrap_or(name))
            .map_err(|problem| self.error(ErrorKind::Syntax, problem, token.range.clone()))?;
        let label = Label {
            name: name.to_owned(),
            offset: self.block.len(),
            span: self.map.span(token.range.start..token.range.end - 1),
        };
        if label.is_local() {
            match self.local_labels.entry(label.name.clone()) {
                Entry::Vacant(entry) => drop(entry.insert(label.span.clone())),
                Entry::Occupied(first) => {
                    return Err(defined_twice(name, label.span, first.get().clone()));
                }
            }
        }
        self.block.labels.push(label);
        Ok(())
    }

    /// Pairs of digits, each a byte.
    fn bytes(&mut self, token: &Token<'_>) -> Result<(), Error> {
        self.check_digits(token, "bytes")?;
        let digits = token.text.as_bytes();
        if digits.len() % 2 == 1 {
            let count = counted(digits.len(), "digit");
            let message = format!("`{}` has {count}: a byte has two", token.text);
            return Err(self.error(ErrorKind::Syntax, message, token.range.clone()));
        }
        let byte = |pair: &[u8]| pair.iter().fold(0, |byte, &digit| byte << 4 | digit_value(digit));
        self.block.bytes.extend(digits.chunks_exact(2).map(byte));
        Ok(())
    }

    /// Eight digits: an instruction word.
    fn word(&mut self, token: &Token<'_>) -> Result<(), Error> {
        // Whatever is wrong with it, it counts as a word: a fixup behind it is not to be told as well.
        let offset = self.block.bytes.len();
        self.block.bytes.resize(offset + 4, 0);
        self.check_digits(token, "instruction words")?;
        let length = token.text.len();
        if length != 8 {
            let count = counted(length, "digit");
            let message = format!("`{}` has {count}: an instruction word has eight", token.text);
            let error = self.error(ErrorKind::Syntax, message, token.range.clone());
            return Err(match length {
                2 => error.help(
                    "write the word as disassemblers print it: `d65f03c0`, which in memory is c0 03 5f d6",
                ),
                _ => error,
            });
        }
        let word =
            token.text.bytes().fold(0u32, |word, digit| word << 4 | u32::from(digit_value(digit)));
        self.block.bytes[offset..].copy_from_slice(&word.to_le_bytes());
        Ok(())
    }

    fn check_digits(&self, token: &Token<'_>, what: &str) -> Result<(), Error> {
        let text = token.text;
        if wrong_digit(text).is_none() {
            return Ok(());
        }
        let message = format!("`{}` is not made of hex digits", text.escape_debug());
        let error = self.error(ErrorKind::Syntax, message, token.range.clone());
        Err(if text.starts_with("0x") || text.starts_with("0X") {
            error.help("digits stand alone, without `0x`")
        } else if text.starts_with([';', '/']) {
            error.help("a comment starts with `#`")
        } else if text.starts_with(|c: char| c == '.' || c == '_' || c.is_alphabetic()) {
            error.help(format!(
                "{what} are hex digits, a label ends with `:`, a fixup stands in `<…>`"
            ))
        } else {
            error
        })
    }

    fn fixup(&mut self, token: &Token<'_>, word: &mut Option<u64>) -> Result<(), Error> {
        let Brackets { kind, expression, end } = self.brackets(token)?;
        let span = self.map.span(token.range.clone());
        match kind {
            FixupKind::Number(number) => {
                *word = None;
                self.block.push_field(Field::Number(number), number.width.into(), expression, span);
            }
            FixupKind::Relocation(kind) if kind.is_in_instruction() => {
                let Some(offset) = *word else {
                    let message =
                        format!("`{}` changes an instruction, and none is before it", kind.name());
                    return Err(self
                        .error(ErrorKind::Syntax, message, token.range.clone())
                        .help("write the instruction word before the fixup, on the same line"));
                };
                if let Some(first) = self.block.fixups.last().filter(|last| last.offset == offset) {
                    return Err(Error::new(
                        ErrorKind::Conflict,
                        "this instruction word has two fixups",
                    )
                    .at(Place::Text(span), "")
                    .at(Place::Text(first.span.clone()), "the first one"));
                }
                let field = Field::Relocation { kind, bias: 0 };
                self.block.fixups.push(Fixup { offset, field, expression, span });
            }
            FixupKind::Relocation(kind) => {
                *word = None;
                let width = kind.width();
                let is_relative = self.counts_from_end && kind.operand() == Operand::Relative;
                #[allow(clippy::cast_possible_wrap)] // a field is at most 8 bytes wide
                let bias = if is_relative { -(width as i64 + end) } else { 0 };
                self.block.push_field(Field::Relocation { kind, bias }, width, expression, span);
            }
        }
        Ok(())
    }

    /// Reads `kind expression` or `kind expression, end=N`.
    fn brackets(&self, token: &Token<'_>) -> Result<Brackets, Error> {
        let inside = token.range.start + 1;
        let body = token.text;
        let kind_start = body.len() - body.trim_start().len();
        let kind_name = body.split_whitespace().next().unwrap_or_default();
        let kind_end = kind_start + kind_name.len();
        let kind_range = inside + kind_start..inside + kind_end;
        let malformed = |message: &str| {
            self.error(ErrorKind::Syntax, message, token.range.clone())
                .help("write it like `<rel32 name>` or `<abs64 name+8>`")
        };
        if kind_name.is_empty() {
            return Err(malformed("this fixup is empty"));
        }
        let kind = self.kind(kind_name, kind_range)?;
        let (sum, option) = match body[kind_end..].split_once(',') {
            Some((sum, option)) => (sum, Some(option)),
            None => (&body[kind_end..], None),
        };
        if sum.trim().is_empty() {
            return Err(malformed(&format!("`{kind_name}` of what? The fixup names nothing")));
        }
        let sum_start = inside + kind_end;
        let locate = |range: Span| self.map.span(sum_start + range.start..sum_start + range.end);
        let expression = expression::parse(sum, locate)?;
        let end = match option {
            Some(option) => {
                let start = sum_start + sum.len() + 1;
                self.end(kind, kind_name, option, start..start + option.len())?
            }
            None => 0,
        };
        Ok(Brackets { kind, expression, end })
    }

    fn kind(&self, name: &str, range: Span) -> Result<FixupKind, Error> {
        if let Some(number) = Number::named(name) {
            return Ok(FixupKind::Number(number));
        }
        let error = |message: String| self.error(ErrorKind::Syntax, message, range.clone());
        match self.arch.kind(name) {
            Some(kind) if self.takes(kind) => return Ok(FixupKind::Relocation(kind)),
            Some(kind) if kind.operand() == Operand::Subtract => {
                let help = "name both where the address is added: `<abs64 end - start>`";
                return Err(error(format!("`{name}` alone does not make a difference")).help(help));
            }
            Some(_) => {
                return Err(error(format!("`{name}` changes an instruction, and data has none")));
            }
            None => {}
        }
        let legal: Vec<_> =
            self.arch.kinds().filter(|&kind| self.takes(kind)).map(RelocationKind::name).collect();
        let names = || legal.iter().copied().chain(Number::ALL.iter().map(|number| number.name));
        let known = all_of(names());
        let owner = Architecture::ALL.iter().find(|&&other| arch::of(other).kind(name).is_some());
        let message = match owner {
            Some(owner) => format!("`{name}` is a fixup of {owner}"),
            None => format!("no fixup is called `{name}`"),
        };
        Err(error(message).help(match nearest_name(name, names()) {
            Some(near) => format!("did you mean `{near}`? There are {known}"),
            None => format!("there are {known}"),
        }))
    }

    /// Whether a fixup of this text can be of `kind`. A field that subtracts belongs to one that adds, and
    /// is made by a difference of names.
    fn takes(&self, kind: RelocationKind) -> bool {
        kind.operand() != Operand::Subtract
            && (self.notation == Notation::Words || !kind.is_in_instruction())
    }

    /// Reads the N of `end=N`.
    fn end(&self, kind: FixupKind, name: &str, option: &str, range: Span) -> Result<i64, Error> {
        let takes_end = self.counts_from_end
            && matches!(kind, FixupKind::Relocation(kind) if kind.operand() == Operand::Relative);
        let value = option.split_once('=').filter(|(key, _)| key.trim() == "end");
        let Some((_, value)) = value else {
            let message = format!("`{}` is no option of a fixup", option.trim().escape_debug());
            return Err(self.error(ErrorKind::Syntax, message, range).help("there is `end=N`"));
        };
        if !takes_end {
            let message = format!("`{name}` does not count from the end of an instruction here");
            return Err(self.error(ErrorKind::Syntax, message, range).help("leave out `end`"));
        }
        // An instruction is at most 15 bytes (Intel SDM, volume 2, section 2.3.11), an immediate behind a
        // displacement at most 4 of them.
        let end = parse_integer(value.trim()).and_then(|end| i64::try_from(end).ok());
        end.filter(|end| (0..=8).contains(end)).ok_or_else(|| {
            let message =
                format!("`end` is the bytes behind the field, 0 to 8, not `{}`", value.trim());
            self.error(ErrorKind::Syntax, message, range)
        })
    }

    /// Local labels are known now, and nobody else could define them.
    fn check_local_labels(&mut self) {
        for term in self.block.fixups.iter().flat_map(|fixup| &fixup.expression.terms) {
            let TermValue::Name(name) = &term.value else { continue };
            if name.starts_with('.') && !self.local_labels.contains_key(name) {
                let message = format!("no local label is called `{name}` in this block");
                let error = Error::new(ErrorKind::UndefinedSymbol, message)
                    .at(Place::Text(term.span.clone()), "")
                    .nearest(name, self.local_labels.keys().map(String::as_str));
                self.errors.push(error);
            }
        }
    }
}

/// Where `word` has a character that is no hex digit.
fn wrong_digit(word: &str) -> Option<usize> {
    word.find(|c: char| !c.is_ascii_hexdigit())
}

/// The value of a hex digit.
fn digit_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}
