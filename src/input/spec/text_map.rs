//! Where the bytes of a TOML string stand in the document.
//!
//! Hex text and references are languages inside a string: what is found wrong at a byte of the decoded
//! string must be shown at the byte that the user wrote, behind quotes, escapes and trimmed newlines.

use std::borrow::Cow;

use toml::de::DeValue;

use super::document::Span;

/// Text in a language of its own, and where its bytes stand in the document.
#[derive(Clone, Debug)]
pub(super) struct MappedText {
    pub(super) text: String,
    pub(super) map: TextMap,
}

/// The way from offsets in a decoded string to offsets in the document.
#[derive(Clone, Debug)]
pub(super) struct TextMap {
    /// Ascending pairs (offset in the string, offset in the document). From one to the next, both count
    /// alike; the first pair is the string's first byte.
    steps: Vec<(usize, usize)>,
    /// The whole value in the document, quotes included.
    value: Span,
}

impl TextMap {
    /// The map of the string that `value` of `source` spells, its newlines as [`with_plain_newlines`]
    /// leaves them.
    pub(super) fn new(source: &str, value: Span) -> Self {
        let raw = &source[value.clone()];
        let quote = if is_multi_line(raw) { 3 } else { 1 };
        let body = raw.get(quote..raw.len().saturating_sub(quote)).unwrap_or_default();
        let trimmed = match quote {
            3 if body.starts_with("\r\n") => 2,
            3 if body.starts_with('\n') => 1,
            _ => 0,
        };
        let start = value.start + quote;
        let has_escapes = raw.starts_with('"');
        // One character alone is found many bytes at a time.
        let next_special = |rest: &str| {
            if has_escapes { rest.find(['\\', '\r']) } else { rest.find('\r') }
        };
        let mut steps = vec![(0, start + trimmed)];
        let (mut at, mut decoded) = (trimmed, 0);
        while let Some(distance) = next_special(&body[at..]) {
            (at, decoded) = (at + distance, decoded + distance);
            let (written, meant) = spelling(&body[at..]);
            // A step where it starts, so that all of it is shown, and one behind it.
            steps.push((decoded, start + at));
            (at, decoded) = (at + written, decoded + meant);
            steps.push((decoded, start + at));
        }
        Self { steps, value }
    }

    /// The bytes of the document that spell `range` of the string.
    pub(super) fn span(&self, range: Span) -> Span {
        // What is written and means nothing stands before a range that starts there, behind one that ends.
        let start = self.steps.partition_point(|&(decoded, _)| decoded <= range.start) - 1;
        let end = self.steps.partition_point(|&(decoded, _)| decoded < range.end);
        let is_step = self.steps.get(end).is_some_and(|&(decoded, _)| decoded == range.end);
        let end = if is_step { end } else { end.saturating_sub(1) };
        let start = self.in_step(start, range.start);
        start..self.in_step(end, range.end).max(start)
    }

    fn in_step(&self, index: usize, offset: usize) -> usize {
        let (decoded, source) = self.steps[index];
        let next = self.steps.get(index + 1).map_or(self.value.end, |&(_, source)| source);
        (source + (offset - decoded)).min(next)
    }
}

fn is_multi_line(raw: &str) -> bool {
    raw.starts_with("\"\"\"") || raw.starts_with("'''")
}

/// The string that `raw` spells and that was decoded to `decoded`, its lines ended by `\n` alone: TOML
/// leaves that to its readers, and a spec must not mean something else once a version control system has
/// changed its line ends. Escapes stay what they are.
pub(super) fn with_plain_newlines<'d>(raw: &str, decoded: &'d str) -> Cow<'d, str> {
    if !is_multi_line(raw) || !raw.contains("\r\n") {
        return Cow::Borrowed(decoded);
    }
    match DeValue::parse(&raw.replace("\r\n", "\n")).map(toml::Spanned::into_inner) {
        Ok(DeValue::String(plain)) => Cow::Owned(plain.into_owned()),
        _ => Cow::Borrowed(decoded),
    }
}

/// How many bytes the escape or the CRLF at the start of `rest` takes, and how many it stands for.
fn spelling(rest: &str) -> (usize, usize) {
    let digits = match rest.as_bytes().get(1) {
        // A CRLF is the newline alone: the carriage return stands for nothing.
        Some(b'\n') if rest.starts_with('\r') => return (1, 0),
        // A backslash at the end of a line swallows all white space up to the next text.
        Some(b' ' | b'\t' | b'\r' | b'\n') => {
            let text = rest[1..].trim_start_matches([' ', '\t', '\r', '\n']);
            return (rest.len() - text.len(), 0);
        }
        Some(b'x') => 2,
        Some(b'u') => 4,
        Some(b'U') => 8,
        _ => return (rest.len().min(2), 1),
    };
    let code = rest.get(2..2 + digits).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    (rest.len().min(2 + digits), code.and_then(char::from_u32).map_or(0, char::len_utf8))
}

#[cfg(test)]
mod tests {
    use super::TextMap;

    /// What `TextMap` finds for the byte ranges of `wanted` in the decoded string of `text = …`.
    fn check(literal: &str, decoded_range: std::ops::Range<usize>, expected: &str) {
        let source = format!("text = {literal}\n");
        let table =
            toml::de::DeTable::parse(&source).expect("the test's TOML is right").into_inner();
        let value = &table["text"];
        let map = TextMap::new(&source, value.span());
        assert_eq!(&source[map.span(decoded_range)], expected, "{literal}");
    }

    #[test]
    fn offsets_behind_quotes_escapes_and_trimmed_lines_are_those_of_the_document() {
        check("'ab cd'", 3..5, "cd");
        check("\"ab cd\"", 3..5, "cd");
        check("'''\nab\ncd\n'''", 3..5, "cd");
        check("'''\r\nab\r\ncd\r\n'''", 3..5, "cd");
        check("\"\"\"\r\nab\\tx\r\ncd\r\n\"\"\"", 5..7, "cd");
        check("\"a\\tb cd\"", 4..6, "cd");
        check("\"a\\tb cd\"", 1..2, "\\t");
        check("\"\\u00e4b\"", 2..3, "b");
        check("\"\\u00e4b\"", 0..2, "\\u00e4");
        check("\"\\x41b\"", 1..2, "b");
        check("\"\\xe4b\"", 2..3, "b");
        check("\"a\\n\\r\\nb\"", 4..5, "b");
        check("\"äb\"", 2..3, "b");
        check("\"\"\"\nab\\\n   cd\"\"\"", 2..4, "cd");
        check("\"\\\\a\"", 1..2, "a");
    }
}
