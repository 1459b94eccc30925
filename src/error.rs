//! Errors as data: what is wrong, where, which value, what would be legal, and what to do.
//!
//! Nothing here prints. A pass gathers all it finds into [`Errors`] and goes on; the command renders
//! them in the user's text, a library's caller does with them what it likes. A place of the program leads back to the
//! caller's own: it knows which of its functions became which section.
//!
//! ```
//! use minild::error::{ErrorKind, Place};
//! use minild::program::{Program, Section, SectionKind};
//! use minild::{Options, Target, arch::x86_64};
//!
//! let mut program = Program::new(Target::X86_64_LINUX);
//! let code = program.add_section(Section::new("start", SectionKind::Code, &[0xeb, 0x00]));
//! let start = program.define("start", code, 0, 2);
//! program.relocate(code, 1, x86_64::REL8, start, 1000); // a short jump, and far too far
//! program.entry = Some(start);
//!
//! let errors = minild::link(&program, &Options::default()).unwrap_err();
//! let error = errors.iter().next().unwrap();
//! assert_eq!(error.kind, ErrorKind::OutOfRange);
//! assert_eq!(error.notes[0].place, Place::Section { section: code, offset: 1 });
//! assert_eq!((error.value, error.interval.clone()), (Some(999), Some(-128..=127)));
//! ```

use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;

use rustc_hash::FxHashSet;

use crate::program::{LibraryId, SectionId, SymbolId};

/// The result of a pass: what it makes, or everything that is wrong.
pub type Result<T, E = Errors> = std::result::Result<T, E>;

/// What sort of mistake an [`Error`] reports. The names are stable: they stand in JSON output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The text is not what its language asks for: TOML, hex.
    Syntax,
    /// A key that the spec language does not have.
    UnknownKey,
    /// A value of the wrong type, or none of those that are allowed.
    InvalidValue,
    /// Something that must be said is not.
    Missing,
    /// A name that stands for nothing.
    UndefinedSymbol,
    /// A name that stands for two things.
    DuplicateSymbol,
    /// A value that its field cannot hold.
    OutOfRange,
    /// An address or offset that is not a multiple of what its field counts in.
    Misaligned,
    /// A relocation that the program's target cannot carry out.
    UnsupportedRelocation,
    /// A wish that nothing can honour on this target.
    Unsupported,
    /// Two wishes that exclude each other.
    Conflict,
    /// More than the target's address space or its format can hold.
    TooLarge,
    /// A file that cannot be read or written.
    File,
}

impl ErrorKind {
    /// Its stable name, in kebab case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::UnknownKey => "unknown-key",
            Self::InvalidValue => "invalid-value",
            Self::Missing => "missing",
            Self::UndefinedSymbol => "undefined-symbol",
            Self::DuplicateSymbol => "duplicate-symbol",
            Self::OutOfRange => "out-of-range",
            Self::Misaligned => "misaligned",
            Self::UnsupportedRelocation => "unsupported-relocation",
            Self::Unsupported => "unsupported",
            Self::Conflict => "conflict",
            Self::TooLarge => "too-large",
            Self::File => "file",
        }
    }
}

/// Where an error lies.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// Bytes of the text that was read, counted from its start.
    Text(Range<usize>),
    /// A byte of a section of the program.
    Section {
        /// The section.
        section: SectionId,
        /// Bytes from its start.
        offset: u64,
    },
    /// A symbol of the program.
    Symbol(SymbolId),
    /// A file.
    File(PathBuf),
    /// What the program asks of a section, by its key in specs: `at`, `align`.
    SectionWish {
        /// The section.
        section: SectionId,
        /// The key.
        key: &'static str,
    },
    /// A wish of the program, by its key in specs: `position`, `stack.size`.
    Wish(&'static str),
    /// A library of the program.
    Library(LibraryId),
    /// An export of the program: its index.
    Export(usize),
}

/// A place, and what is to be said there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note {
    /// Where.
    pub place: Place,
    /// What, in a few words; may be empty where the place says it all.
    pub label: String,
}

/// One mistake: one cause, told once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Error {
    /// What sort of mistake.
    pub kind: ErrorKind,
    /// One sentence that names the thing, the value and what would be legal.
    pub message: String,
    /// Where it lies, the first place first; the others belong to the same cause ("first defined here").
    pub notes: Vec<Note>,
    /// What to write instead.
    pub help: Option<String>,
    /// The value that is wrong, where it is a number.
    pub value: Option<i128>,
    /// What would be legal, where it is an interval.
    pub interval: Option<RangeInclusive<i128>>,
}

impl Error {
    /// An error without a place yet.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            notes: Vec::new(),
            help: None,
            value: None,
            interval: None,
        }
    }

    /// Adds a place: the first one added is the error's own.
    #[must_use]
    pub fn at(mut self, place: Place, label: impl Into<String>) -> Self {
        self.notes.push(Note { place, label: label.into() });
        self
    }

    /// Says what to write instead.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says which number is wrong and which would be legal.
    #[must_use]
    pub fn value(mut self, value: i128, interval: RangeInclusive<i128>) -> Self {
        self.value = Some(value);
        self.interval = Some(interval);
        self
    }

    /// What two errors share that report the same mistake in a text.
    fn cause(&self) -> Option<(ErrorKind, Range<usize>)> {
        match self.notes.first() {
            Some(Note { place: Place::Text(range), .. }) => Some((self.kind, range.clone())),
            _ => None,
        }
    }

    /// Whether both report the same mistake at the same place of the text: in the same words, though numbers and
    /// the names of targets may be others.
    #[must_use]
    pub fn has_cause_of(&self, other: &Self) -> bool {
        /// Every number and every target's name has a digit in it.
        fn words(error: &Error) -> impl Iterator<Item = &str> {
            let is_number = |word: &str| word.contains(|c: char| c.is_ascii_digit());
            let words = error.message.split_whitespace();
            words.map(move |word| if is_number(word) { "0" } else { word })
        }
        let has_place = self.cause().is_some_and(|cause| other.cause() == Some(cause));
        has_place && words(self).eq(words(other))
    }

    /// Offers the nearest of `names` as help, where one is near enough to be meant.
    #[must_use]
    pub fn nearest<'n>(self, wrong: &str, names: impl IntoIterator<Item = &'n str>) -> Self {
        match nearest_name(wrong, names) {
            Some(name) => self.help(format!("did you mean `{name}`?")),
            None => self,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(help) = &self.help {
            write!(f, " ({help})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// Everything that is wrong with one input: at least one error, in the order in which they were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors(Vec<Error>);

impl Errors {
    /// Each error, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Error> {
        self.0.iter()
    }

    /// The same errors, each as `change` makes it.
    #[must_use]
    pub fn map(self, change: impl FnMut(Error) -> Error) -> Self {
        Self(self.0.into_iter().map(change).collect())
    }

    /// The errors of several runs over one text (one for each target, say) as one list, `None` where there
    /// are none. A cause that several runs found is told once: errors of the same kind at the same place
    /// of the text, whatever numbers they name.
    #[must_use]
    pub fn merged(runs: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut merged = Vec::new();
        let mut told = FxHashSet::default();
        for run in runs {
            let first_new = merged.len();
            let is_new = |error: &Error| error.cause().is_none_or(|cause| !told.contains(&cause));
            merged.extend(run.into_iter().filter(is_new));
            told.extend(merged[first_new..].iter().filter_map(Error::cause));
        }
        (!merged.is_empty()).then_some(Self(merged))
    }
}

impl From<Error> for Errors {
    fn from(error: Error) -> Self {
        Self(vec![error])
    }
}

impl IntoIterator for Errors {
    type Item = Error;
    type IntoIter = std::vec::IntoIter<Error>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'e> IntoIterator for &'e Errors {
    type Item = &'e Error;
    type IntoIter = std::slice::Iter<'e, Error>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

/// Where a pass gathers what it finds, so that one run tells all.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    errors: Vec<Error>,
}

impl Collector {
    pub(crate) fn push(&mut self, error: Error) {
        self.errors.push(error);
    }

    /// `value`, if nothing was found wrong.
    pub(crate) fn into_result<T>(self, value: T) -> Result<T> {
        if self.errors.is_empty() { Ok(value) } else { Err(Errors(self.errors)) }
    }
}

/// What only inputs in a language of their own ask.
#[cfg(feature = "spec")]
impl Collector {
    pub(crate) fn extend(&mut self, errors: Errors) {
        self.errors.extend(errors.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.errors.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }
}

/// The second result, if both are well; otherwise everything that is wrong with either.
pub(crate) fn both<T>(first: Result<()>, second: Result<T>) -> Result<T> {
    match (first, second) {
        (Ok(()), second) => second,
        (Err(errors), Ok(_)) => Err(errors),
        (Err(mut errors), Err(more)) => {
            errors.0.extend(more.0);
            Err(errors)
        }
    }
}

/// The name of `names` that `wrong` was probably meant to be: few letters away for its length.
#[must_use]
pub fn nearest_name<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let length = wrong.chars().count();
    // One letter in three may be another, and one has to be the same.
    let limit = (length / 3).max(1).min(length.saturating_sub(1));
    let distance = |name: &str| {
        let is_same = name.eq_ignore_ascii_case(wrong);
        if is_same { 0 } else { strsim::damerau_levenshtein(wrong, name) }
    };
    names
        .into_iter()
        // A longer or shorter name is at least as many letters away.
        .filter(|name| name.chars().count().abs_diff(length) <= limit)
        .map(|name| (distance(name), name))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::nearest_name;

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_a_different_word_is_not() {
        let names = ["message", "start", "counter"];
        assert_eq!(nearest_name("mesage", names), Some("message"));
        assert_eq!(nearest_name("strat", names), Some("start"));
        assert_eq!(nearest_name("START", names), Some("start"));
        assert_eq!(nearest_name("size", ["file", "fill"]), None);
        assert_eq!(nearest_name("x", ["y", "xy"]), None);
        assert_eq!(nearest_name("puts", names), None);
    }
}
