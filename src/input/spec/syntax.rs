//! From bytes to a TOML document: what is wrong below the level of the spec language.

use std::str::Utf8Error;

use toml::de::{DeTable, DeValue};

use super::document::{Span, entries};
use crate::error::{Collector, Error, ErrorKind, Place, Result};

/// What the parser says of a key that stands in a table already.
const DUPLICATE_KEY: &str = "duplicate key";

/// Parses the text. Keys said twice go to `errors`: the first one counts, and reading can go on.
///
/// # Errors
/// Everything else that is no TOML, once for each cause: what the parser finds behind a mistake depends
/// on how it recovered from it, up to the next header of a table.
pub(super) fn parse<'t>(text: &'t str, errors: &mut Collector) -> Result<DeTable<'t>> {
    let (table, found) = DeTable::parse_recoverable(text);
    let mut broken = Collector::default();
    let mut start = 0;
    let mut first = first_broken(&found);
    while let Some(error) = first {
        let span = error
            .span()
            .map_or(text.len()..text.len(), |span| start + span.start..start + span.end);
        let place = Place::Text(span.clone());
        broken.push(Error::new(ErrorKind::Syntax, error.message()).at(place, ""));
        first = next_header(text, span.end).and_then(|header| {
            start = header;
            first_broken(&DeTable::parse_recoverable(&text[start..]).1)
        });
    }
    let table = broken.into_result(table.into_inner())?;
    // The keys of a table said twice are not to be told as well.
    let mut told_to = 0;
    for span in found
        .iter()
        .filter_map(toml::de::Error::span)
        .filter(|span| text.get(span.clone()).is_some())
    {
        if span.start >= told_to {
            let (error, is_table) = said_twice(text, span.clone());
            errors.push(error);
            if is_table {
                told_to = next_header(text, span.end).unwrap_or(text.len());
            }
        }
    }
    Ok(table)
}

fn first_broken(found: &[toml::de::Error]) -> Option<toml::de::Error> {
    found.iter().find(|error| error.message() != DUPLICATE_KEY).cloned()
}

/// The first line behind byte `from` that is a table's header.
fn next_header(text: &str, from: usize) -> Option<usize> {
    let mut start = from + text.get(from..)?.find('\n')? + 1;
    for line in text[start..].split_inclusive('\n') {
        if line.starts_with('[') && DeTable::parse(line).is_ok() {
            return Some(start);
        }
        start += line.len();
    }
    None
}

/// The error of bytes that are no UTF-8.
pub(super) fn no_utf8(bytes: &[u8], error: &Utf8Error) -> Error {
    let at = error.valid_up_to();
    let end = at + error.error_len().unwrap_or(bytes.len() - at);
    let message = format!("the spec is not UTF-8: byte {at} is {:#04x}", bytes[at]);
    let error = Error::new(ErrorKind::Syntax, message).at(Place::Text(at..end), "");
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => error.help("it looks like UTF-16: save it as UTF-8"),
        _ => error,
    }
}

/// The error of the key at `second`, and whether it is a table's, in a header.
fn said_twice(text: &str, second: Span) -> (Error, bool) {
    let line_start = text[..second.start].rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[line_start..].lines().next().unwrap_or_default();
    let is_table = line.trim_start().starts_with('[');
    let message = format!("`{}` is said twice", &text[second.clone()]);
    let mut error = Error::new(ErrorKind::Syntax, message).at(Place::Text(second.clone()), "");
    let first = if is_table {
        first_header(&text[..line_start], line, second.start - line_start)
    } else {
        first_key(&text[..second.start], &text[second])
    };
    if let Some(first) = first {
        error = error.at(Place::Text(first), "first said here");
    }
    (error, is_table)
}

/// Where the table stands in `before` that the key at byte `wanted` of `header` opens again. (The parser
/// knows it and does not tell.)
fn first_header(before: &str, header: &str, wanted: usize) -> Option<Span> {
    let (before, _) = DeTable::parse_recoverable(before);
    let (header, _) = DeTable::parse_recoverable(header);
    same_path(before.get_ref(), header.get_ref(), wanted)
}

/// Where the key called `name` stands last in `before`.
fn first_key(before: &str, name: &str) -> Option<Span> {
    let (table, _) = DeTable::parse_recoverable(before);
    let mut keys = Vec::new();
    collect_keys(table.get_ref(), &mut keys);
    keys.into_iter()
        .filter(|span| before.get(span.clone()) == Some(name))
        .max_by_key(|span| span.start)
}

/// The key of `table` at the path that leads to the key at byte `wanted` of `header`.
fn same_path(table: &DeTable<'_>, header: &DeTable<'_>, wanted: usize) -> Option<Span> {
    let next = entries(header).into_iter().next()?;
    let (key, value) = table.get_key_value(next.key)?;
    match (value.get_ref(), next.value) {
        _ if next.key_span.contains(&wanted) => Some(key.span()),
        (DeValue::Table(table), DeValue::Table(header)) => same_path(table, header, wanted),
        _ => None,
    }
}

fn collect_keys(table: &DeTable<'_>, keys: &mut Vec<Span>) {
    for entry in entries(table) {
        keys.push(entry.key_span.clone());
        if let DeValue::Table(table) = entry.value {
            collect_keys(table, keys);
        }
    }
}
