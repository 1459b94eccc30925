//! Standard output: text that people read, or one JSON document.

use std::io::{self, BufWriter, Write};

use serde::Serialize;

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
    serde_json::to_writer_pretty(&mut stdout, value)?;
    stdout.write_all(b"\n")?;
    stdout.flush()
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
    use super::grouped;

    #[test]
    fn thousands_are_set_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (64 << 20, "67,108,864")] {
            assert_eq!(grouped(number), text);
        }
    }
}
