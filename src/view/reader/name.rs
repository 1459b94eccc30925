//! Names as files have them: bytes that are mostly UTF-8 and need not be.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// A name of a file: borrowed where the file has it in one piece.
///
/// As text, bytes that are not UTF-8 are shown as `\x..`; so are characters that a terminal would obey: control
/// characters as `\u{1b}`, and those that turn the direction of what follows them or end lines.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Name<'data>(pub Cow<'data, [u8]>);

impl<'data> Name<'data> {
    /// A name that the file has in one piece.
    #[must_use]
    pub const fn new(bytes: &'data [u8]) -> Self {
        Self(Cow::Borrowed(bytes))
    }

    /// A name that was put together.
    #[must_use]
    pub const fn owned(bytes: Vec<u8>) -> Self {
        Self(Cow::Owned(bytes))
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'data> From<&'data str> for Name<'data> {
    fn from(text: &'data str) -> Self {
        Self::new(text.as_bytes())
    }
}

impl<'data> From<&'data [u8]> for Name<'data> {
    fn from(bytes: &'data [u8]) -> Self {
        Self::new(bytes)
    }
}

impl From<String> for Name<'_> {
    fn from(text: String) -> Self {
        Self::owned(text.into_bytes())
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                if is_obeyed(character) {
                    write!(f, "{}", character.escape_default())?;
                } else {
                    f.write_char(character)?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Whether a terminal does something with it other than showing it: control characters, ends of lines, and those that turn
/// the direction of what follows (Unicode, UAX #9, "Explicit Directional Embeddings").
#[must_use]
pub fn is_obeyed(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

impl fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Name<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::Name;

    #[test]
    fn a_terminal_is_told_nothing_by_a_name() {
        assert_eq!(Name::new(b"_ZN3foo").to_string(), "_ZN3foo");
        assert_eq!(Name::new("größe".as_bytes()).to_string(), "größe");
        assert_eq!(Name::new(b"a\x1b[31m\n\xff").to_string(), r"a\u{1b}[31m\n\xff");
        let turned = "safe\u{202e}cod.exe\u{2066}\u{9b}";
        assert_eq!(Name::new(turned.as_bytes()).to_string(), r"safe\u{202e}cod.exe\u{2066}\u{9b}");
    }
}
