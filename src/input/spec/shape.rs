//! What a value of the document can be, as far as that can be said without reading it: every [`Key`] has
//! such a shape, and the JSON schema of specs is made of them.

// Only the schema reads them.
#![cfg_attr(not(feature = "schema"), allow(dead_code))]

use super::block::Number;
use super::document::Key;

/// What a value can be.
pub(super) enum Shape {
    /// Any string.
    String,
    /// One of these strings.
    Words(fn() -> Vec<&'static str>),
    /// A string with the name of a place, and what is added to it or subtracted.
    Sum,
    /// `true` or `false`.
    Boolean,
    /// An integer from the first to the second.
    Integer(i128, i128),
    /// A number of this kind, or a string with a sum of such.
    Number(Number),
    /// A number with or without a fraction.
    Float,
    /// A number of bytes, or a string with one of the units of sizes.
    Size,
    /// The same, and a power of two.
    Align,
    /// A number of seconds, or a string with one of the units of times.
    Duration,
    /// The path of a file.
    Path,
    /// An array of such.
    Array(&'static Shape),
    /// An array of such, or one alone.
    OneOrMany(&'static Shape),
    /// Either of these.
    Either(&'static Shape, &'static Shape),
    /// A table with these keys, and what the schema calls it.
    Table(&'static str, fn() -> Vec<Described>),
    /// A table in which the spec's author gives the names.
    Map(Names, &'static Shape),
    /// The items of a group, by name.
    Items(&'static str),
}

/// Which names a table's keys can be.
#[derive(Clone, Copy)]
pub(super) enum Names {
    /// Names of items, constants and labels.
    Symbols,
    /// Targets, architectures and operating systems.
    Targets,
    /// Whatever TOML takes as a key.
    Any,
}

/// A key of a table, without what reading it does.
pub(super) struct Described {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) shape: &'static Shape,
}

/// The keys of a table, which the parser reads, as the schema shows them.
pub(super) fn described<T>(keys: &[&'static [Key<T>]]) -> Vec<Described> {
    let keys = keys.iter().copied().flatten();
    keys.map(|Key { name, about, shape, .. }| Described { name, about, shape }).collect()
}
