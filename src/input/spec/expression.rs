//! Names, and sums of names and numbers: `message`, `table+8`, `message.size - 1`, `width*height`.
//!
//! The same small language stands in `pointers`, in number fields and in the fixups of hex text. What a
//! name stands for is found out when a program is made: only then is it known which item a target has.

use super::document::Span;
use super::quantity::parse_integer;
use crate::error::{Error, ErrorKind, Place};

/// What follows an item's name where its size is meant.
pub(super) const SIZE_SUFFIX: &str = ".size";

/// A sum.
#[derive(Clone, Debug)]
pub(super) struct Expression {
    /// At least one.
    pub(super) terms: Vec<Term>,
    pub(super) span: Span,
}

/// What is added or subtracted.
#[derive(Clone, Debug)]
pub(super) struct Term {
    pub(super) is_negative: bool,
    pub(super) value: TermValue,
    /// What it is multiplied by: numbers.
    pub(super) times: Vec<Factor>,
    pub(super) span: Span,
}

/// What something is multiplied by.
#[derive(Clone, Debug)]
pub(super) struct Factor {
    pub(super) value: TermValue,
    pub(super) span: Span,
}

#[derive(Clone, Debug)]
pub(super) enum TermValue {
    Name(String),
    Number(i128),
}

/// Whether a name may hold this character. What is left out has a meaning of its own in hex text and in
/// expressions.
pub(super) fn is_name_character(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '.' | '$' | '@' | '?')
}

/// What is wrong with `name` as the name of an item or a label, if anything.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let wrong = name.chars().find(|&character| !is_name_character(character));
    Err(match wrong {
        _ if name.is_empty() => "a name has at least one letter".to_owned(),
        Some(character) => {
            format!(
                "`{}` has {character:?}: names have letters, digits and _ . $ @ ?",
                name.escape_debug()
            )
        }
        None if name.starts_with(|first: char| first.is_numeric()) => {
            format!("`{name}` starts with a digit, as numbers do")
        }
        None if name.starts_with('.') => {
            format!("`{name}` starts with a dot, as the local labels of hex text do")
        }
        None if name.ends_with(SIZE_SUFFIX) => {
            format!("`{name}` ends with `{SIZE_SUFFIX}`, which stands for an item's size")
        }
        None => return Ok(()),
    })
}

/// Reads `text`; `locate` says where its bytes stand in the document.
///
/// # Errors
/// The first thing that is no sum of names and numbers.
pub(super) fn parse(text: &str, locate: impl Fn(Span) -> Span) -> Result<Expression, Error> {
    let mut terms = Vec::new();
    let mut at = skip_space(text, 0);
    let start = at;
    loop {
        let sign = text[at..].chars().next().filter(|sign| matches!(sign, '+' | '-'));
        let wants_sign = !terms.is_empty();
        if sign.is_some() {
            at = skip_space(text, at + 1);
        }
        let no_sum = || malformed(text.trim(), locate(start..text.len()));
        if wants_sign && sign.is_none() {
            return Err(no_sum());
        }
        let word = |at: usize| {
            let length = text[at..].find(|c| !is_name_character(c)).unwrap_or(text.len() - at);
            let span = locate(at..at + length);
            let word = (length > 0).then(|| &text[at..at + length]).ok_or_else(no_sum)?;
            Ok((Factor { value: term_value(word, &span)?, span }, at + length))
        };
        let (Factor { value, span }, mut end) = word(at)?;
        let mut times = Vec::new();
        while text[skip_space(text, end)..].starts_with('*') {
            let (factor, behind) = word(skip_space(text, skip_space(text, end) + 1))?;
            times.push(factor);
            end = behind;
        }
        terms.push(Term { is_negative: sign == Some('-'), value, times, span });
        at = end;
        let next = skip_space(text, at);
        if next == text.len() {
            return Ok(Expression { terms, span: locate(start..at) });
        }
        at = next;
    }
}

fn skip_space(text: &str, at: usize) -> usize {
    text.len() - text[at..].trim_start().len()
}

fn term_value(word: &str, span: &Span) -> Result<TermValue, Error> {
    if !word.starts_with(|first: char| first.is_ascii_digit()) {
        return Ok(TermValue::Name(word.to_owned()));
    }
    match parse_integer(word).map(u64::try_from) {
        Some(Ok(number)) => Ok(TermValue::Number(number.into())),
        wrong => {
            let message = match wrong {
                Some(_) => format!("`{word}` is too large: numbers have 64 bits"),
                None => format!("`{word}` is no number"),
            };
            Err(Error::new(ErrorKind::Syntax, message)
                .at(Place::Text(span.clone()), "")
                .help("numbers are decimal, or have `0x`, `0o` or `0b` before them"))
        }
    }
}

fn malformed(text: &str, span: Span) -> Error {
    let message = match text {
        "" => "here a name is missing".to_owned(),
        _ => format!("`{}` is no sum of names and numbers", text.escape_debug()),
    };
    Error::new(ErrorKind::Syntax, message)
        .at(Place::Text(span), "")
        .help("write it like `name`, `name+8` or `name-8`")
}
