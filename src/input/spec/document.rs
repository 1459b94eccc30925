//! Walks a TOML document by tables of keys, every value with its place in the text.
//!
//! A [`Key`] is a name and what reading its value does; a table of the spec language is a list of keys.
//! Whatever stands in the document is looked up in such a list, so a key that nothing reads cannot go
//! unnoticed. Mistakes are gathered by the [`Reader`], and reading goes on.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeArray, DeInteger, DeTable, DeValue};

use super::elsewhere::elsewhere;
use super::expression::check_name;
use super::shape::Shape;
use super::text_map::{TextMap, with_plain_newlines};
use crate::error::{Collector, Error, ErrorKind, Place, nearest_name};

/// Bytes of the spec's text.
pub(super) type Span = Range<usize>;

/// A value and where it was said.
#[derive(Clone, Debug)]
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) span: Span,
}

/// What reading a spec needs at every place.
pub(super) struct Reader<'t> {
    /// The spec as it was given.
    pub(super) text: &'t str,
    /// Where the paths of `file` start.
    pub(super) folder: &'t Path,
    pub(super) errors: Collector,
    /// Whether something was not understood that may have defined names or said targets: that one of them is
    /// missing elsewhere is then no mistake of its own.
    pub(super) misses_names: bool,
}

/// A key of a table of the language: its name, and what reading its value adds to a `T`.
pub(super) struct Key<T: 'static> {
    pub(super) name: &'static str,
    /// What it says, in a sentence for who hovers over it.
    #[cfg_attr(not(feature = "schema"), allow(dead_code))]
    pub(super) about: &'static str,
    /// What its value can be: no less than what `read` takes.
    #[cfg_attr(not(feature = "schema"), allow(dead_code))]
    pub(super) shape: Shape,
    pub(super) read: fn(&mut T, &mut Reader<'_>, &Entry<'_>),
}

/// A value of the document, and what it is called.
#[derive(Clone)]
pub(super) struct Entry<'d> {
    /// Its key; for an element of an array, the array's.
    pub(super) key: &'d str,
    pub(super) key_span: Span,
    pub(super) value: &'d DeValue<'d>,
    pub(super) span: Span,
    /// Whether it is an element of the array that the key holds.
    is_element: bool,
}

impl<'d> Entry<'d> {
    /// The error that this is not what the key wants.
    pub(super) fn must_be(&self, wanted: impl fmt::Display) -> Error {
        let Self { key, value, .. } = self;
        let each = if self.is_element { "each of " } else { "" };
        let found = with_article(value.type_str());
        let message = format!("{each}`{key}` must be {wanted}, not {found}");
        Error::new(ErrorKind::InvalidValue, message).at(Place::Text(self.span.clone()), "")
    }

    /// The same where the key wants one thing, or an array of `many`.
    pub(super) fn must_be_one_or_many(&self, one: &str, many: &str) -> Error {
        if self.is_element {
            return self.must_be(one);
        }
        self.must_be(format_args!("{one}, or an array of {many}"))
    }

    /// The values of an array, or the one value that stands for an array of one.
    pub(super) fn one_or_many(&self) -> Vec<Entry<'d>> {
        match self.value {
            DeValue::Array(array) => self.elements(array),
            _ => vec![self.clone()],
        }
    }

    fn elements(&self, array: &'d DeArray<'d>) -> Vec<Entry<'d>> {
        let element = |value: &'d Spanned<DeValue<'d>>| Entry {
            value: value.get_ref(),
            span: value.span(),
            is_element: true,
            ..self.clone()
        };
        array.iter().map(element).collect()
    }
}

/// What a table holds, in the order of the text. (A table that is mentioned first and opened later
/// stands elsewhere in what the parser gives.)
pub(super) fn entries<'d>(table: &'d DeTable<'d>) -> Vec<Entry<'d>> {
    let mut entries: Vec<_> = table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref(),
            key_span: key.span(),
            value: value.get_ref(),
            span: value.span(),
            is_element: false,
        })
        .collect();
    entries.sort_by_key(|entry| entry.key_span.start);
    entries
}

/// The words of `names`, each in backquotes, as a sentence lists them.
pub(super) fn list<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// The same where all of them are meant.
pub(super) fn all_of<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    list(names).replace(" or ", " and ")
}

/// `3 digits`, `1 digit`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

pub(super) fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {noun}")
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str, folder: &'t Path) -> Self {
        Self { text, folder, errors: Collector::default(), misses_names: false }
    }

    /// Reads `table`, which the language calls `what`, by `keys` into `into`. Gives whether nothing is wrong
    /// with it.
    pub(super) fn walk<T>(
        &mut self,
        table: &DeTable<'_>,
        what: &str,
        keys: &[&[Key<T>]],
        into: &mut T,
    ) -> bool {
        let before = self.errors.len();
        for entry in entries(table) {
            let keys = || keys.iter().copied().flatten();
            if !self.read_key(&entry, keys(), into) {
                self.unknown_key(&entry, what, keys().map(|key| key.name).collect());
            }
        }
        self.errors.len() == before
    }

    /// Reads `entry` into `into`, if it is one of `keys`.
    pub(super) fn read_key<'k, T: 'static>(
        &mut self,
        entry: &Entry<'_>,
        keys: impl IntoIterator<Item = &'k Key<T>>,
        into: &mut T,
    ) -> bool {
        let key = keys.into_iter().find(|key| key.name == entry.key);
        if let Some(key) = key {
            (key.read)(into, self, entry);
        }
        key.is_some()
    }

    /// Refuses `entry`, which is none of the `names` that `what` knows.
    pub(super) fn unknown_key(&mut self, entry: &Entry<'_>, what: &str, names: Vec<&str>) {
        let message = format!("{what} has no key `{}`", entry.key);
        let near = nearest_name(entry.key, names.iter().copied());
        let help = match (elsewhere(entry.key), near) {
            (None, None) => format!("its keys are {}", all_of(names)),
            (None, Some(near)) => format!("did you mean `{near}`?"),
            (Some(owners), Some(near)) if near.starts_with(entry.key) => {
                format!("`{}` is a key of {owners}; or did you mean `{near}`?", entry.key)
            }
            (Some(owners), _) => format!("`{}` is a key of {owners}", entry.key),
        };
        self.misses_names = true;
        self.errors.push(
            Error::new(ErrorKind::UnknownKey, message)
                .at(Place::Text(entry.key_span.clone()), "")
                .help(help),
        );
    }

    /// The entry as a table.
    pub(super) fn table<'d>(&mut self, entry: &Entry<'d>) -> Option<&'d DeTable<'d>> {
        if let DeValue::Table(table) = entry.value {
            return Some(table);
        }
        self.misses_names = true;
        self.refuse(entry.must_be("a table"))
    }

    /// The entry as an array.
    pub(super) fn array<'d>(&mut self, entry: &Entry<'d>, wanted: &str) -> Option<Vec<Entry<'d>>> {
        match entry.value {
            DeValue::Array(array) => Some(entry.elements(array)),
            _ => self.refuse(entry.must_be(wanted)),
        }
    }

    /// The entry as a string.
    pub(super) fn string<'d>(&mut self, entry: &Entry<'d>) -> Option<Cow<'d, str>> {
        match entry.value {
            DeValue::String(text) => {
                Some(with_plain_newlines(&self.text[entry.span.clone()], text))
            }
            _ => self.refuse(entry.must_be("a string")),
        }
    }

    /// The entry as a string that keeps its place.
    pub(super) fn located_string(&mut self, entry: &Entry<'_>) -> Option<Located<String>> {
        let value = self.string(entry)?.into_owned();
        Some(Located { value, span: entry.span.clone() })
    }

    /// The entry as the name of something in the program.
    pub(super) fn symbol_name(&mut self, entry: &Entry<'_>) -> Option<Located<String>> {
        let name = self.located_string(entry)?;
        if let Err(problem) = check_name(&name.value) {
            let error = Error::new(ErrorKind::InvalidValue, problem);
            return self.refuse(error.at(Place::Text(name.span), ""));
        }
        Some(name)
    }

    /// The entry as an integer of `interval`.
    pub(super) fn integer(&mut self, entry: &Entry<'_>, interval: (i128, i128)) -> Option<i128> {
        match entry.value {
            DeValue::Integer(integer) => {
                let value = integer_value(integer);
                match value {
                    Some(value) if (interval.0..=interval.1).contains(&value) => Some(value),
                    _ => {
                        self.refuse(out_of_range(entry.key, integer, value, interval, &entry.span))
                    }
                }
            }
            _ => self.refuse(entry.must_be("an integer")),
        }
    }

    /// Where the bytes of a string of the document stand in the text.
    pub(super) fn text_map(&self, entry: &Entry<'_>) -> TextMap {
        TextMap::new(self.text, entry.span.clone())
    }

    /// Takes note of an error; nothing comes of the value that it is about.
    pub(super) fn refuse<T>(&mut self, error: Error) -> Option<T> {
        self.errors.push(error);
        None
    }
}

/// The number an integer of the document stands for; `None` past 128 bits.
pub(super) fn integer_value(integer: &DeInteger<'_>) -> Option<i128> {
    i128::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn out_of_range(
    key: &str,
    written: &DeInteger<'_>,
    value: Option<i128>,
    interval: (i128, i128),
    span: &Span,
) -> Error {
    let (low, high) = interval;
    let message = format!("`{key}` cannot be {written}: it is from {low} to {high}");
    let error = Error::new(ErrorKind::OutOfRange, message).at(Place::Text(span.clone()), "");
    match value {
        Some(value) => error.value(value, low..=high),
        None => error,
    }
}
