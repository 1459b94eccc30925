//! What a file says that cannot be.

use std::borrow::Cow;
use std::fmt;

/// A structure that cannot be as the file says: cut off, out of bounds, contradictory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Damage {
    /// The structure, in the words of its specification: `exports trie`.
    pub structure: Cow<'static, str>,
    /// Where it lies, in bytes from the start of the file or of its slice; `None` where it has no place.
    pub offset: Option<u64>,
    /// What is wrong with it, in a sentence without a full stop.
    pub message: String,
}

impl Damage {
    /// Damage at an offset of the file.
    pub fn new(
        structure: impl Into<Cow<'static, str>>,
        offset: impl Into<Option<u64>>,
        message: impl fmt::Display,
    ) -> Self {
        let (structure, offset) = (structure.into(), offset.into());
        Self { structure, offset, message: message.to_string() }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offset {
            Some(offset) => write!(f, "{} at {offset:#x}: {}", self.structure, self.message),
            None => write!(f, "{}: {}", self.structure, self.message),
        }
    }
}

impl std::error::Error for Damage {}
