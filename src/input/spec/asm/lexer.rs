//! Cuts assembler text into lines and tokens.
//!
//! Comments are blanked out first, byte for byte, so that every offset stays that of the text.

use std::ops::Range;

use super::Dialect;
use crate::input::spec::expression::is_name_character;

/// A piece of a line, with its place in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token<'t> {
    pub(super) kind: TokenKind,
    /// As it stands there; of a quoted piece the inside.
    pub(super) text: &'t str,
    /// Bytes of the text, quotes included.
    pub(super) range: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A mnemonic, register, label, symbol or constant.
    Word,
    /// Anything that starts with a digit.
    Number,
    /// `"…"`
    Text,
    /// `'…'`
    Character,
    /// A quote that its line does not close.
    Open,
    /// One character of anything else.
    Mark(char),
}

impl Token<'_> {
    pub(super) fn is(&self, mark: char) -> bool {
        self.kind == TokenKind::Mark(mark)
    }

    pub(super) fn is_word(&self) -> bool {
        self.kind == TokenKind::Word
    }
}

/// The text with blanks for comments: `//` to the end of the line, `/* … */`, and `#` where the dialect
/// has it. Also gives the places of block comments without an end.
pub(super) fn without_comments(text: &str, dialect: &Dialect) -> (String, Option<Range<usize>>) {
    let mut plain = String::with_capacity(text.len());
    let mut open = None;
    let mut quote = None;
    while let Some(next) = text[plain.len()..].chars().next() {
        let rest = &text[plain.len()..];
        let at_line_start = || {
            let line_start = plain.rfind('\n').map_or(0, |newline| newline + 1);
            plain[line_start..].trim_start().is_empty()
        };
        let is_line_comment = rest.starts_with("//")
            || next == '#' && (dialect.number_sign_is_comment || at_line_start());
        match quote {
            Some(mark) => {
                if next == mark || next == '\n' {
                    quote = None;
                }
                plain.push(next);
                if next == '\\' && quote.is_some() {
                    let escaped = rest[1..].chars().next().filter(|&c| c != '\n');
                    plain.extend(escaped);
                }
            }
            None if is_line_comment => {
                let end = rest.find('\n').unwrap_or(rest.len());
                blank(&mut plain, &rest[..end]);
            }
            None if rest.starts_with("/*") => {
                let length = if let Some(end) = rest[2..].find("*/") {
                    end + 4
                } else {
                    open = Some(plain.len()..plain.len() + 2);
                    rest.len()
                };
                blank(&mut plain, &rest[..length]);
            }
            None => {
                quote = Some(next).filter(|mark| matches!(mark, '"' | '\''));
                plain.push(next);
            }
        }
    }
    (plain, open)
}

/// Adds a blank for every byte of `comment`, and its newlines.
fn blank(plain: &mut String, comment: &str) {
    plain.extend(comment.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
}

/// The tokens of one line, which starts `base` bytes into the text.
pub(super) fn tokens(line: &str, base: usize) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        at += line[at..].len() - line[at..].trim_start().len();
        let rest = &line[at..];
        let Some(first) = rest.chars().next() else { return tokens };
        let (kind, text, length) = match first {
            '"' | '\'' => quoted(rest, first),
            _ if is_name_character(first) => {
                let length = rest.find(|c| !is_name_character(c)).unwrap_or(rest.len());
                let is_number = first.is_ascii_digit();
                let kind = if is_number { TokenKind::Number } else { TokenKind::Word };
                (kind, &rest[..length], length)
            }
            _ => (TokenKind::Mark(first), &rest[..first.len_utf8()], first.len_utf8()),
        };
        tokens.push(Token { kind, text, range: base + at..base + at + length });
        at += length;
    }
}

fn quoted(rest: &str, quote: char) -> (TokenKind, &str, usize) {
    let mut is_escaped = false;
    for (index, character) in rest.char_indices().skip(1) {
        if character == quote && !is_escaped {
            let kind = if quote == '"' { TokenKind::Text } else { TokenKind::Character };
            return (kind, &rest[1..index], index + 1);
        }
        is_escaped = character == '\\' && !is_escaped;
    }
    (TokenKind::Open, rest.trim_end(), rest.trim_end().len())
}
