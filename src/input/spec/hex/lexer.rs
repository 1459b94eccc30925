//! Cuts hex text into labels, digits and fixups.

use std::ops::Range;

/// A piece of hex text, with its place in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token<'t> {
    pub(super) kind: TokenKind,
    /// What stands there: a label without its colon, the inside of a fixup, anything else as it is.
    pub(super) text: &'t str,
    /// Bytes of the hex text, colon and brackets included.
    pub(super) range: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// `name:`
    Label,
    /// `<…>`
    Fixup,
    /// A `<` that its line does not close.
    Open,
    /// Anything else without white space: digits, if it is right.
    Word,
}

/// The tokens of one line, which starts `base` bytes into the text. A comment reaches from `#` to the end
/// of the line.
pub(super) fn tokens(line: &str, base: usize) -> impl Iterator<Item = Token<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        at += line[at..].len() - line[at..].trim_start().len();
        let rest = &line[at..];
        let start = at;
        let (kind, text, length) = match rest.chars().next()? {
            '#' => return None,
            '<' => fixup(rest),
            _ => word(rest),
        };
        at += length;
        Some(Token { kind, text, range: base + start..base + start + length })
    })
}

fn fixup(rest: &str) -> (TokenKind, &str, usize) {
    let end = rest.find(['>', '#']).unwrap_or(rest.len());
    if rest[end..].starts_with('>') {
        return (TokenKind::Fixup, &rest[1..end], end + 1);
    }
    let open = rest[..end].trim_end();
    (TokenKind::Open, open, open.len())
}

fn word(rest: &str) -> (TokenKind, &str, usize) {
    let is_end = |c: char| c.is_whitespace() || matches!(c, '<' | '#' | ':');
    // A lone colon is a word of its own, so that every word takes at least a byte.
    let end = rest.find(is_end).unwrap_or(rest.len());
    if rest[end..].starts_with(':') {
        (TokenKind::Label, &rest[..end], end + 1)
    } else {
        (TokenKind::Word, &rest[..end], end)
    }
}
