//! Names as files have them: bytes that are mostly UTF-8 and need not be.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// A name of a file: borrowed where the file has it in one piece.
///
/// As text, bytes that are not UTF-8 are shown as `\x..`, and so are control characters, which a terminal would obey.
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
                if character.is_control() {
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
    }
}
