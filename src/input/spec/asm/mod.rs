//! Assembler text: statements in Intel or Arm syntax, labels, and a few directives for data.
//!
//! [`assemble`] takes the text of an `asm` key, an architecture's tables and the names that stand for
//! numbers, and gives a [`Block`], as hex text does. It works statement by statement. Ours are the parser
//! (every operand with its place), symbols and relocations, labels and the widths of jumps; what an
//! instruction's bits are is asked of the crate `asm-rs`, with each symbol replaced by a placeholder.
//!
//! # Why its bytes can be trusted
//!
//! `asm-rs` is young: it accepts much that is no instruction, and encodes some of it as another one. So
//! nothing that it says is believed. Every encoding is read back by a disassembler of other authors
//! (`iced-x86` for x86-64, `yaxpeax-arm` for arm64), and what that reads is compared with what our own
//! parser read of the line: mnemonic (up to documented aliases), number and order of operands, each
//! register with its width, the size and shape of memory operands, each immediate as the value that the
//! processor will use, prefixes, and that no byte is left over. Fields for symbols are where the
//! disassembler finds them, not where the assembler claims. A statement that reads back as anything else
//! is an error that shows what its bytes would have done. The comparison knows no list of good
//! instructions: wrong code would take the same mistake by two independent authors. On top of that, tests
//! compare thousands of lines with `llvm-mc`.

mod aarch64;
mod directive;
mod encoder;
mod fragment;
mod lexer;
mod value;
mod x86_64;

#[cfg(test)]
mod tests;

use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;

use fragment::{Fragments, Instruction};
use lexer::{Token, TokenKind, tokens, without_comments};
use value::Symbol;

use super::block::{Block, Label};
use super::document::Span;
use super::expression::{TermValue, check_name};
use super::names::{Names, defined_twice};
use super::text_map::{MappedText, TextMap};
use crate::arch::Arch;
use crate::error::{Collector, Error, ErrorKind, Errors, Note, Place};
use crate::target::Architecture;

/// The longest statement, in bytes. A longer one is no statement, and parsers that recurse (the
/// assembler's does) are not to be asked about it.
const LONGEST_LINE: usize = 1024;

/// What is an architecture's own in assembler text.
struct Dialect {
    architecture: Architecture,
    /// What a comment starts with, as help suggests it.
    comment: &'static str,
    /// Whether `#` starts a comment wherever it stands; if not, only where it starts a line.
    number_sign_is_comment: bool,
    is_register: fn(&str) -> bool,
    instruction: fn(&Statement<'_>, &Context<'_>) -> Result<Instruction, Error>,
    /// Bytes that an instruction's address is a multiple of.
    granule: u64,
    /// Fills this many bytes between instructions.
    padding: fn(usize) -> Vec<u8>,
}

fn dialect(architecture: Architecture) -> &'static Dialect {
    match architecture {
        Architecture::X86_64 => &x86_64::DIALECT,
        Architecture::Aarch64 => &aarch64::DIALECT,
    }
}

/// One statement: a mnemonic or directive, and what stands behind it.
struct Statement<'t> {
    mnemonic: &'t Token<'t>,
    /// The tokens behind the mnemonic.
    rest: &'t [Token<'t>],
    /// From the mnemonic to the last token, in bytes of the text.
    range: Span,
    /// The same as text.
    text: &'t str,
}

/// What operands are read with.
struct Context<'a> {
    dialect: &'a Dialect,
    map: &'a TextMap,
    names: &'a Names,
    /// The labels of the text, known before its statements are read.
    labels: &'a FxHashMap<String, Span>,
}

impl Context<'_> {
    fn span(&self, range: Span) -> Span {
        self.map.span(range)
    }

    fn error(&self, kind: ErrorKind, message: impl Into<String>, range: Span) -> Error {
        Error::new(kind, message).at(Place::Text(self.map.span(range)), "")
    }

    /// The number that a word stands for: a constant, or an item's size.
    fn number(&self, word: &Token<'_>) -> Result<Option<i128>, Error> {
        let span = self.span(word.range.clone());
        self.names.word_number(&TermValue::Name(word.text.to_owned()), &span)
    }
}

impl Context<'_> {
    /// The error of a symbol where a number stands; `help` says how to get at its address.
    fn no_number(&self, symbol: &Symbol, help: String) -> Error {
        let name = &symbol.name;
        let message = format!("`{name}` is no constant, and cannot stand here as a number");
        let is_place = self.names.has_place(name) || self.labels.contains_key(name);
        let kind = if is_place { ErrorKind::InvalidValue } else { ErrorKind::UndefinedSymbol };
        let error =
            self.error(kind, message, symbol.range.clone()).nearest(name, self.names.constants());
        if error.help.is_some() { error } else { error.help(help) }
    }
}

/// The bytes that `asm` spells for `arch`, where `names` has constants and the sizes of items; what is
/// wrong with it goes to `errors`. Any other name becomes a reference to a symbol.
pub(super) fn assemble(
    asm: &MappedText,
    arch: &Arch,
    names: &Names,
    errors: &mut Collector,
) -> Block {
    let mut found = Collector::default();
    let block = assemble_lines(asm, arch, names, &mut found);
    let mut found: Vec<_> = found.into_result(()).err().into_iter().flatten().collect();
    // Labels are read before statements, and distances are known last.
    found.sort_by_key(|error| match error.notes.first() {
        Some(Note { place: Place::Text(range), .. }) => range.start,
        _ => 0,
    });
    for error in found {
        errors.push(error);
    }
    block
}

fn assemble_lines(asm: &MappedText, arch: &Arch, names: &Names, errors: &mut Collector) -> Block {
    let dialect = dialect(arch.architecture());
    let (plain, open_comment) = without_comments(&asm.text, dialect);
    let mut lines = Vec::new();
    let mut base = 0;
    for line in plain.split_inclusive('\n') {
        lines.push((line.trim_end(), base));
        base += line.len();
    }
    let mut assembler = Assembler { labels: FxHashMap::default(), fragments: Fragments::default() };
    let mut context = Context { dialect, map: &asm.map, names, labels: &FxHashMap::default() };
    if let Some(range) = open_comment {
        errors.push(context.error(ErrorKind::Syntax, "this comment has no end", range));
    }
    let lines: Vec<_> = lines
        .into_iter()
        .filter(|(line, base)| {
            let is_legal = line.len() <= LONGEST_LINE;
            if !is_legal {
                let message = format!("this line has {} bytes: at most {LONGEST_LINE}", line.len());
                let range = *base..base + line.len();
                errors.push(context.error(ErrorKind::TooLarge, message, range));
            }
            is_legal
        })
        .map(|(line, base)| (tokens(line, base), line, base))
        .collect();

    let mut split = Vec::new();
    for (tokens, line, base) in &lines {
        let (labels, rest) = split_labels(tokens);
        let mut defined = Vec::new();
        for token in labels {
            match assembler.define(token, &context) {
                Ok(label) => defined.push(label),
                Err(error) => errors.push(error),
            }
        }
        split.push((defined, rest, *line, *base));
    }
    let labels = std::mem::take(&mut assembler.labels);
    context.labels = &labels;
    for (defined, rest, line, base) in split {
        assembler.fragments.add_labels(defined);
        let [mnemonic, operands @ ..] = rest else { continue };
        let end = rest.last().map_or(mnemonic.range.end, |last| last.range.end);
        let range = mnemonic.range.start..end;
        let text = &line[range.start - base..range.end - base];
        let statement = Statement { mnemonic, rest: operands, range, text };
        if let Err(found) = assembler.statement(&statement, &context) {
            errors.extend(found);
        }
    }
    assembler.fragments.place(&context, errors)
}

/// The labels at the start of a line, and what stands behind them.
fn split_labels<'a, 't>(mut tokens: &'a [Token<'t>]) -> (Vec<&'a Token<'t>>, &'a [Token<'t>]) {
    let mut labels = Vec::new();
    while let [label, colon, rest @ ..] = tokens
        && matches!(label.kind, TokenKind::Word | TokenKind::Number)
        && colon.is(':')
        && label.range.end == colon.range.start
    {
        labels.push(label);
        tokens = rest;
    }
    (labels, tokens)
}

struct Assembler {
    /// Where each label is defined.
    labels: FxHashMap<String, Span>,
    fragments: Fragments,
}

impl Assembler {
    fn define(&mut self, token: &Token<'_>, context: &Context<'_>) -> Result<Label, Error> {
        let name = token.text;
        let wrong =
            |message: String| context.error(ErrorKind::Syntax, message, token.range.clone());
        if token.kind == TokenKind::Number {
            return Err(wrong(format!("`{name}:` is a number, and labels are names"))
                .help("write `.again:` for a label that only this text sees"));
        }
        check_name(name.strip_prefix('.').unwrap_or(name)).map_err(wrong)?;
        if (context.dialect.is_register)(name) {
            return Err(wrong(format!("`{name}` is a register, and cannot be a label")));
        }
        let span = context.span(token.range.clone());
        match self.labels.entry(name.to_owned()) {
            Entry::Vacant(entry) => {
                entry.insert(span.clone());
            }
            Entry::Occupied(first) => return Err(defined_twice(name, span, first.get().clone())),
        }
        Ok(Label { name: name.to_owned(), offset: 0, span })
    }

    fn statement(
        &mut self,
        statement: &Statement<'_>,
        context: &Context<'_>,
    ) -> Result<(), Errors> {
        let mnemonic = statement.mnemonic;
        if !mnemonic.is_word() {
            return Err(value::unexpected(mnemonic, context).into());
        }
        if mnemonic.text.starts_with('.') {
            return directive::read(statement, context, &mut self.fragments);
        }
        let instruction = (context.dialect.instruction)(statement, context)?;
        self.fragments.add_instruction(instruction, context.span(statement.range.clone()));
        Ok(())
    }
}

/// Cuts tokens at the commas that stand in no bracket; nothing gives no operand.
fn operands<'a, 't>(
    tokens: &'a [Token<'t>],
    context: &Context<'_>,
) -> Result<Vec<&'a [Token<'t>]>, Error> {
    if tokens.is_empty() {
        return Ok(Vec::new());
    }
    let mut operands = Vec::new();
    let (mut start, mut depth) = (0, 0usize);
    for (index, token) in tokens.iter().enumerate() {
        match token.kind {
            TokenKind::Mark('[' | '{') => depth += 1,
            TokenKind::Mark(']' | '}') => depth = depth.saturating_sub(1),
            TokenKind::Mark(',') if depth == 0 => {
                operands.push(&tokens[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    operands.push(&tokens[start..]);
    if let Some(empty) = operands.iter().position(|operand| operand.is_empty()) {
        let comma = tokens.iter().filter(|token| token.is(',')).nth(empty.saturating_sub(1));
        let range = comma.map_or(tokens[0].range.clone(), |comma| comma.range.clone());
        return Err(context.error(ErrorKind::Syntax, "an operand is missing here", range));
    }
    Ok(operands)
}

/// From the first of some tokens to the last; there is one at least.
fn range_of(tokens: &[Token<'_>]) -> Span {
    let start = tokens.first().map_or(0, |first| first.range.start);
    start..tokens.last().map_or(start, |last| last.range.end)
}
