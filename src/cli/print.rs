//! Standard output: text that people read, or one JSON document.

use std::io::{self, BufWriter, Write};

use minild::view::reader::is_obeyed;

use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter};

/// Prints text; colours are taken out where they are not wanted.
pub(super) fn text(text: &str) -> io::Result<()> {
    let mut stdout = anstream::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Prints bytes as they are.
pub(super) fn bytes(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// Prints text line by line, however much it is.
pub(super) fn lines(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut stdout = BufWriter::new(anstream::stdout().lock());
    write(&mut stdout)?;
    stdout.flush()
}

/// Prints text on standard error. Where nobody listens there is nobody to tell about it.
pub(super) fn aside(text: &str) {
    let _ = anstream::stderr().lock().write_all(text.as_bytes());
}

/// The version of minild's JSON documents: what docs/JSON.md says of a key stays true while it stays the same.
const JSON_VERSION: u32 = 1;

/// Prints a JSON document of minild's own.
pub(super) fn json(document: &impl Serialize) -> io::Result<()> {
    #[derive(Serialize)]
    struct Versioned<'d, D> {
        version: u32,
        #[serde(flatten)]
        document: &'d D,
    }
    pretty(&Versioned { version: JSON_VERSION, document })
}

/// Prints JSON that has a form of its own.
pub(super) fn pretty(value: &impl Serialize) -> io::Result<()> {
    let mut stdout = BufWriter::new(io::stdout().lock());
    let mut serializer = serde_json::Serializer::with_formatter(&mut stdout, Escaping::default());
    value.serialize(&mut serializer)?;
    stdout.write_all(b"\n")?;
    stdout.flush()
}

/// Pretty JSON in which everything that a terminal would obey is escaped, not control characters alone.
#[derive(Default)]
struct Escaping(PrettyFormatter<'static>);

impl Formatter for Escaping {
    fn begin_array<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.0.begin_array(to)
    }

    fn end_array<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.0.end_array(to)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(to, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.0.end_array_value(to)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.0.begin_object(to)
    }

    fn end_object<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.0.end_object(to)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(to, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.0.begin_object_value(to)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.0.end_object_value(to)
    }

    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        to: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((start, character)) = rest.char_indices().find(|(_, c)| is_obeyed(*c)) {
            to.write_all(&rest.as_bytes()[..start])?;
            // All of them have four digits.
            write!(to, "\\u{:04x}", u32::from(character))?;
            rest = &rest[start + character.len_utf8()..];
        }
        to.write_all(rest.as_bytes())
    }
}

/// A number of bytes, for people: `9,192`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Escaping, Serialize, grouped};

    #[test]
    fn json_has_nothing_that_a_terminal_obeys() {
        let name = "a\u{1b}\u{9b}\u{7f}\u{202e}ö";
        let mut json = Vec::new();
        let mut serializer = serde_json::Serializer::with_formatter(&mut json, Escaping::default());
        name.serialize(&mut serializer).unwrap();
        assert_eq!(String::from_utf8_lossy(&json), r#""a\u001b\u009b\u007f\u202eö""#);
        assert_eq!(serde_json::from_slice::<String>(&json).unwrap(), name);
    }

    #[test]
    fn thousands_are_set_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (64 << 20, "67,108,864")] {
            assert_eq!(grouped(number), text);
        }
    }
}
