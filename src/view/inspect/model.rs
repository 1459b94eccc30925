//! What a file consists of: the same shapes for every format, with room for each one's own words.
//!
//! Addresses are virtual, as the file was linked; offsets are bytes from the start of the image (of its slice, in a
//! universal file); sizes are bytes. With the feature `serde` all of it serializes; docs/INSPECT.md is the schema.

use std::borrow::Cow;

use super::super::reader::{Damage, Name};
use crate::format::plan::Permissions;

/// A file that was read.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Inspection<'data> {
    /// Bytes of the file.
    pub size: u64,
    /// The header of a universal file; empty for other files.
    pub headers: Vec<Record<'data>>,
    /// One image, or one for each architecture.
    pub images: Vec<Image<'data>>,
    /// What is wrong with what lies around the images.
    pub damage: Vec<Damage>,
}

/// A part of an image that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are called as their fields in `Image`")]
pub enum Part {
    Headers,
    Segments,
    Sections,
    Symbols,
    Imports,
    Exports,
    Relocations,
    Signature,
    Notes,
    Tls,
    Unwind,
}

impl Part {
    /// All parts, in the order in which they are shown.
    pub const ALL: [Self; 11] = [
        Self::Headers,
        Self::Segments,
        Self::Sections,
        Self::Symbols,
        Self::Imports,
        Self::Exports,
        Self::Relocations,
        Self::Signature,
        Self::Notes,
        Self::Tls,
        Self::Unwind,
    ];
}

/// A set of parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Parts(u16);

impl Parts {
    /// Every part.
    pub const ALL: Self = Self((1 << Part::ALL.len()) - 1);
    /// What shows at a glance what a file is; of the rest, [`Image::counts`] tells how much there is.
    pub const OVERVIEW: Self =
        Self(0).with(Part::Segments).with(Part::Sections).with(Part::Signature);

    /// With this part too.
    #[must_use]
    pub const fn with(self, part: Part) -> Self {
        Self(self.0 | 1 << part as u16)
    }

    /// Whether it has the part.
    #[must_use]
    pub const fn has(self, part: Part) -> bool {
        self.0 & 1 << part as u16 != 0
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// One executable, library or object file. A part that was not asked for is `None`.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Image<'data> {
    /// Where it starts in the file: 0, but for slices of universal files.
    pub offset: u64,
    /// Bytes of the file that it takes.
    pub size: u64,
    /// `ELF64`, `Mach-O`, `PE32+`, `COFF`.
    pub format: &'static str,
    /// What it is: `executable`, `shared library`, …
    pub kind: Cow<'static, str>,
    /// The architecture: `x86_64`, `aarch64`, or what the format calls it.
    pub architecture: Cow<'static, str>,
    /// The system it is for, where the file says that.
    pub system: Option<Cow<'static, str>>,
    /// Versions that it names: of the system, of the SDK, of tools.
    pub versions: Vec<Field<'data>>,
    /// Where it starts to run; `None` where it does not.
    pub entry: Option<u64>,
    /// The address it wants its first byte at; `None` for object files.
    pub base: Option<u64>,
    /// What loads it, by path.
    pub interpreter: Option<Name<'data>>,
    /// What tells this build from others.
    pub identity: Vec<Identity<'data>>,
    /// How much there is of each.
    pub counts: Counts,
    /// The file's own headers and tables of the loader, field by field.
    pub headers: Option<Vec<Record<'data>>>,
    /// What is mapped.
    pub segments: Option<Vec<Segment<'data>>>,
    /// What the file is divided into.
    pub sections: Option<Vec<Section<'data>>>,
    /// The symbol tables.
    pub symbols: Option<Vec<Symbol<'data>>>,
    /// Libraries that it loads.
    pub libraries: Option<Vec<Library<'data>>>,
    /// What it takes from them.
    pub imports: Option<Vec<Import<'data>>>,
    /// What it offers.
    pub exports: Option<Vec<Export<'data>>>,
    /// What a linker or a loader writes into it.
    pub relocations: Option<Vec<Relocation<'data>>>,
    /// Signatures, and whether they fit.
    pub signature: Option<Vec<Record<'data>>>,
    /// Notes, build identity, debug directory.
    pub notes: Option<Vec<Record<'data>>>,
    /// Thread-local storage.
    pub tls: Option<Vec<Record<'data>>>,
    /// What each function's frame is unwound by.
    pub unwind: Option<Vec<Unwinding>>,
    /// What could not be read, or cannot be.
    pub damage: Vec<Damage>,
}

/// How much there is of each part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[allow(missing_docs, reason = "they are called as their fields in `Image`")]
pub struct Counts {
    pub segments: usize,
    pub sections: usize,
    pub symbols: usize,
    pub libraries: usize,
    pub imports: usize,
    pub exports: usize,
    pub relocations: usize,
    pub notes: usize,
    pub unwind: usize,
}

/// What tells a build from others.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Identity<'data> {
    /// `build-id`, `uuid`, `pdb`, `repro`, `signature`.
    pub kind: &'static str,
    /// The identity as other tools print it.
    pub value: Name<'data>,
}

/// A structure of the file, field by field.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Record<'data> {
    /// Its name: `LC_UUID`, `optional header`.
    pub name: Cow<'static, str>,
    /// Where it lies; `None` where it has no one place.
    pub offset: Option<u64>,
    /// Its fields.
    pub fields: Vec<Field<'data>>,
}

/// A field of a structure.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Field<'data> {
    /// Its name, as the format's own headers have it.
    pub name: Cow<'static, str>,
    /// Its value.
    pub value: Value<'data>,
    /// What that means; empty where it says it all.
    pub meaning: Cow<'data, str>,
}

/// The value of a field. Serializes as a number, or as a string: text as it is, bytes in hex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'data> {
    /// A number that people read in hex: an address, an offset, flags.
    Hex(u64),
    /// A number that people count with.
    Count(u64),
    /// A number that may be below zero.
    Signed(i64),
    /// Words.
    Text(Name<'data>),
    /// Bytes.
    Bytes(Cow<'data, [u8]>),
}

/// What is mapped with one protection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Segment<'data> {
    /// `PT_LOAD`, `__TEXT`.
    pub name: Name<'data>,
    /// What its pages may be used for.
    #[cfg_attr(feature = "serde", serde(serialize_with = "as_text"))]
    pub permissions: Permissions,
    /// What a process may make of them later; `None` where the format does not say.
    #[cfg_attr(feature = "serde", serde(serialize_with = "as_optional_text"))]
    pub greatest: Option<Permissions>,
    /// Where it lies in memory.
    pub address: u64,
    /// Bytes of memory.
    pub size: u64,
    /// Where it lies in the file.
    pub offset: u64,
    /// Bytes of the file.
    pub file_size: u64,
    /// Its alignment in memory; `None` where the format does not say.
    pub align: Option<u64>,
    /// Flags by name, beside the protection.
    pub flags: String,
    /// What it is for.
    pub meaning: Cow<'static, str>,
    /// Its sections, by index.
    pub sections: Vec<u32>,
}

/// A run of bytes or zeros with one purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Section<'data> {
    /// Its number: from 0 in ELF, where that is the null section, from 1 elsewhere.
    pub index: u32,
    /// Its segment's name, where sections name it.
    pub segment: Option<Name<'data>>,
    /// Its name.
    pub name: Name<'data>,
    /// Its type, as the format's own headers have it.
    pub kind: String,
    /// Where it lies in memory; 0 where it does not.
    pub address: u64,
    /// Its size: in memory, if it is there.
    pub size: u64,
    /// Where its bytes lie in the file; `None` where it has none.
    pub offset: Option<u64>,
    /// Bytes of the file.
    pub file_size: u64,
    /// Its alignment; 0 where the format does not say.
    pub align: u64,
    /// Flags by name.
    pub flags: String,
    /// Whether it holds machine code.
    pub code: bool,
}

/// An entry of a symbol table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Symbol<'data> {
    /// Which table: `.symtab`, `.dynsym`, `LC_SYMTAB`, `COFF`.
    pub table: &'static str,
    /// Its number in it.
    pub index: u32,
    /// Its name, and what that was in the source.
    #[cfg_attr(feature = "serde", serde(flatten, serialize_with = "with_demangled"))]
    pub name: Name<'data>,
    /// Its version (ELF).
    pub version: Option<Name<'data>>,
    /// Its address, its offset in a section of an object file, or whatever its kind makes of it.
    pub value: u64,
    /// Its size; 0 where the format does not say.
    pub size: u64,
    /// What it names: `function`, `object`, `section`, …
    pub kind: Cow<'static, str>,
    /// `local`, `global`, `weak`, …
    pub binding: Cow<'static, str>,
    /// `default`, `hidden`, …; empty where the format does not say.
    pub visibility: Cow<'static, str>,
    /// `section`, `undefined`, `absolute`, `common`, …
    pub place: Cow<'static, str>,
    /// The section, where it is in one.
    pub section: Option<u32>,
}

/// A library that is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Library<'data> {
    /// Its name, or its path.
    pub name: Name<'data>,
    /// How it is loaded: `needed`, `weak`, `re-exported`, `delayed`, …
    pub kind: &'static str,
    /// Versions that are asked of it.
    pub version: Name<'data>,
}

/// What is taken from a library.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Import<'data> {
    /// The library, where the file names one.
    pub library: Option<Name<'data>>,
    /// Its name; empty for one that is taken by number.
    #[cfg_attr(feature = "serde", serde(flatten, serialize_with = "with_demangled"))]
    pub name: Name<'data>,
    /// Its number in the library (PE).
    pub ordinal: Option<u16>,
    /// Its version (ELF).
    pub version: Option<Name<'data>>,
    /// Whether the program runs without it.
    pub weak: bool,
    /// Where its address is written to, where that is one place.
    pub slot: Option<u64>,
}

/// What is offered to others.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Export<'data> {
    /// Its name; empty for one that has only a number.
    #[cfg_attr(feature = "serde", serde(flatten, serialize_with = "with_demangled"))]
    pub name: Name<'data>,
    /// Its number (PE).
    pub ordinal: Option<u32>,
    /// Its address; `None` where it is another library's.
    pub address: Option<u64>,
    /// Whose it is instead: `OTHER.name`.
    pub forward: Option<Name<'data>>,
    /// Its version (ELF).
    pub version: Option<Name<'data>>,
    /// More about it, by name: `weak`, `thread-local`, …
    pub flags: Cow<'static, str>,
}

/// What a linker or a loader writes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Relocation<'data> {
    /// The table it is of: a section, `chained fixups`, …
    pub table: Name<'data>,
    /// The section that it is for, in object files.
    pub section: Option<u32>,
    /// Where: an address, or an offset in that section.
    pub place: u64,
    /// Which kind, as the format's own headers have it.
    pub kind: Cow<'static, str>,
    /// The symbol that it needs; `None` where it needs none.
    pub symbol: Option<Name<'data>>,
    /// The library that the symbol is of, where the relocation says that.
    pub library: Option<Name<'data>>,
    /// What is added, or the address that is written.
    pub addend: Option<i64>,
}

/// How a function's frame is unwound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Unwinding {
    /// The function's first address.
    pub start: u64,
    /// The address behind its last; `None` where the table does not say.
    pub end: Option<u64>,
    /// Where the description lies; `None` where the table has it.
    pub description: Option<u64>,
    /// Where that lies which it shares with others: the common information entry (`.eh_frame`).
    pub common: Option<u64>,
    /// What handles exceptions in it: the function's address, or where the loader writes that.
    pub personality: Option<u64>,
    /// What tells that function about this one.
    pub lsda: Option<u64>,
    /// What it says, in short.
    pub summary: String,
}

/// What was found in an image: all parts. What is asked for is taken out of it.
#[derive(Debug, Default)]
pub(super) struct Found<'data> {
    pub(super) format: &'static str,
    pub(super) kind: Cow<'static, str>,
    pub(super) architecture: Cow<'static, str>,
    pub(super) system: Option<Cow<'static, str>>,
    pub(super) versions: Vec<Field<'data>>,
    pub(super) entry: Option<u64>,
    pub(super) base: Option<u64>,
    pub(super) interpreter: Option<Name<'data>>,
    pub(super) identity: Vec<Identity<'data>>,
    pub(super) headers: Vec<Record<'data>>,
    pub(super) segments: Vec<Segment<'data>>,
    pub(super) sections: Vec<Section<'data>>,
    pub(super) symbols: Vec<Symbol<'data>>,
    pub(super) libraries: Vec<Library<'data>>,
    pub(super) imports: Vec<Import<'data>>,
    pub(super) exports: Vec<Export<'data>>,
    pub(super) relocations: Vec<Relocation<'data>>,
    pub(super) signature: Vec<Record<'data>>,
    pub(super) notes: Vec<Record<'data>>,
    pub(super) tls: Vec<Record<'data>>,
    pub(super) unwind: Vec<Unwinding>,
    pub(super) damage: Vec<Damage>,
}

impl<'data> Found<'data> {
    /// The value; where there is damage instead, that is kept.
    pub(super) fn or_damage<T>(&mut self, result: Result<T, Damage>) -> Option<T> {
        result.map_err(|damage| self.damage.push(damage)).ok()
    }

    pub(super) fn into_image(self, data: &[u8], offset: u64, parts: Parts) -> Image<'data> {
        let counts = Counts {
            segments: self.segments.len(),
            sections: self.sections.len(),
            symbols: self.symbols.len(),
            libraries: self.libraries.len(),
            imports: self.imports.len(),
            exports: self.exports.len(),
            relocations: self.relocations.len(),
            notes: self.notes.len(),
            unwind: self.unwind.len(),
        };
        Image {
            offset,
            size: data.len() as u64,
            format: self.format,
            kind: self.kind,
            architecture: self.architecture,
            system: self.system,
            versions: self.versions,
            entry: self.entry,
            base: self.base,
            interpreter: self.interpreter,
            identity: self.identity,
            counts,
            headers: parts.has(Part::Headers).then_some(self.headers),
            segments: parts.has(Part::Segments).then_some(self.segments),
            sections: parts.has(Part::Sections).then_some(self.sections),
            symbols: parts.has(Part::Symbols).then_some(self.symbols),
            // Few, and what every overview wants to name.
            libraries: (parts.has(Part::Imports) || parts == Parts::OVERVIEW)
                .then_some(self.libraries),
            imports: parts.has(Part::Imports).then_some(self.imports),
            exports: parts.has(Part::Exports).then_some(self.exports),
            relocations: parts.has(Part::Relocations).then_some(self.relocations),
            signature: parts.has(Part::Signature).then_some(self.signature),
            notes: parts.has(Part::Notes).then_some(self.notes),
            tls: parts.has(Part::Tls).then_some(self.tls),
            unwind: parts.has(Part::Unwind).then_some(self.unwind),
            damage: self.damage,
        }
    }
}

impl<'data> Record<'data> {
    /// A structure at an offset, without fields yet.
    pub(super) fn new(name: impl Into<Cow<'static, str>>, offset: impl Into<Option<u64>>) -> Self {
        Self { name: name.into(), offset: offset.into(), fields: Vec::new() }
    }

    /// Adds a field that says it all.
    pub(super) fn field(&mut self, name: impl Into<Cow<'static, str>>, value: Value<'data>) {
        self.explained(name, value, "");
    }

    /// Adds a field with what it means.
    pub(super) fn explained(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        value: Value<'data>,
        meaning: impl Into<Cow<'data, str>>,
    ) {
        self.fields.push(Field { name: name.into(), value, meaning: meaning.into() });
    }

    /// Adds a number in hex.
    pub(super) fn hex(&mut self, name: &'static str, value: impl Into<u64>) {
        self.field(name, Value::Hex(value.into()));
    }

    /// Adds a number.
    pub(super) fn count(&mut self, name: &'static str, value: impl Into<u64>) {
        self.field(name, Value::Count(value.into()));
    }

    /// Adds words.
    pub(super) fn text(&mut self, name: &'static str, value: impl Into<Name<'data>>) {
        self.field(name, Value::Text(value.into()));
    }
}

#[cfg(feature = "serde")]
mod serialize {
    use super::{Name, Permissions, Value};
    use serde::ser::{Serialize, SerializeMap, Serializer};

    impl Serialize for Value<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self {
                Self::Hex(number) | Self::Count(number) => serializer.serialize_u64(*number),
                Self::Signed(number) => serializer.serialize_i64(*number),
                Self::Text(text) => text.serialize(serializer),
                Self::Bytes(bytes) => serializer.collect_str(&Hex(bytes)),
            }
        }
    }

    struct Hex<'b>(&'b [u8]);

    impl std::fmt::Display for Hex<'_> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with that")]
    pub(super) fn as_text<S: Serializer>(value: &Permissions, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    #[expect(
        clippy::ref_option,
        clippy::trivially_copy_pass_by_ref,
        reason = "serde calls it with that"
    )]
    pub(super) fn as_optional_text<S: Serializer>(
        value: &Option<Permissions>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => to.collect_str(value),
            None => to.serialize_none(),
        }
    }

    /// `name`, and `demangled` where that is something else.
    pub(super) fn with_demangled<S: Serializer>(name: &Name<'_>, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("name", name)?;
        #[cfg(feature = "demangle")]
        map.serialize_entry("demangled", &crate::view::demangle::demangle(name.bytes()))?;
        map.end()
    }
}

#[cfg(feature = "serde")]
use serialize::{as_optional_text, as_text, with_demangled};
