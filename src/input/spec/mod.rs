//! Specs: programs described in TOML.
//!
//! [`read`] takes the text and gives a [`Spec`], or everything that is wrong with it; [`Spec::program`]
//! makes the [`Program`] of one target, with a [`SourceMap`] that leads from what the link finds wrong
//! back to the text. docs/SPEC.md describes the language.
//!
//! ```
//! use minild::input::spec;
//! use std::path::Path;
//!
//! let spec = spec::read(
//!     r#"
//!     [rodata]
//!     message = "Hello\n"
//!
//!     [target.x86_64-linux]
//!     hex = """
//!     start:
//!         48 8d 35 <rel32 message>   # lea rsi, [rip + message]
//!         ba <u32 message.size>      # mov edx, 6
//!         f4                         # hlt
//!     """
//!     "#,
//!     Path::new("."),
//! )?;
//! let (program, _) = spec.program(spec.targets()[0])?;
//! assert_eq!(program.sections().len(), 2);
//! # Ok::<(), minild::Errors>(())
//! ```

// An error is rare, told once and never in a hot loop: boxing each would only hide it.
#![allow(clippy::result_large_err)]

#[cfg(feature = "asm")]
mod asm;
mod block;
mod data;
mod document;
mod elsewhere;
mod exports;
mod expression;
mod hex;
mod imports;
mod item;
mod layer;
mod lists;
mod lower;
mod names;
mod pieces;
mod quantity;
#[cfg(feature = "schema")]
mod schema;
mod section;
mod settle;
mod shape;
mod source_map;
mod syntax;
mod targets;
mod test_table;
#[cfg(test)]
mod tests;
mod text_map;
mod wishes;

use std::path::{Path, PathBuf};

use toml::de::DeTable;

use document::{Entry, Key, Located, Reader, Span, entries};
use layer::Layer;
use shape::{Names, Shape, described};
use targets::{Merged, TargetTable};

use crate::error::{Error, ErrorKind, Errors, Note, Place, Result};
use crate::program::{OutputKind, Program};
use crate::target::{FileTarget, Target};

#[cfg(feature = "schema")]
pub use schema::schema;
pub use source_map::SourceMap;
pub use test_table::{End, Test};

/// A spec that was read: a program for each of its targets, and what running it must show.
#[derive(Clone, Debug)]
pub struct Spec {
    name: Option<String>,
    files: Vec<Located<FileTarget>>,
    /// The targets of all files, each once.
    targets: Vec<Located<Target>>,
    common: Layer,
    tables: Vec<TargetTable>,
    needs: Vec<Need>,
    tests: Vec<Test>,
}

/// A spec that makes a shared library which a program needs to run.
#[derive(Clone, Debug)]
pub struct Need {
    /// Where the spec lies.
    pub path: PathBuf,
    span: Span,
}

impl Need {
    /// Where the program's spec names it, in bytes of its text.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span.clone()
    }
}

/// Reads a spec from bytes that should be UTF-8. `folder` is where the paths of `file` start.
///
/// # Errors
/// As [`read`]; a byte that is no UTF-8 has its place as [`Place::Text`], counted in bytes.
pub fn read_bytes(bytes: &[u8], folder: &Path) -> Result<Spec> {
    match std::str::from_utf8(bytes) {
        Ok(text) => read(text, folder),
        Err(error) => Err(syntax::no_utf8(bytes, &error).into()),
    }
}

/// Reads a spec. `folder` is where the paths of `file` start.
///
/// # Errors
/// All that is wrong with the spec, with its place as [`Place::Text`]: TOML syntax, and if that is right,
/// unknown keys, wrong values and files that cannot be read. Where there is such a thing, wrong hex text
/// and names defined twice are told as well; of a spec that reads, [`Spec::program`] tells them.
#[cfg_attr(feature = "tracing", tracing::instrument(skip_all, name = "read_spec"))]
pub fn read(text: &str, folder: &Path) -> Result<Spec> {
    let mut reader = Reader::new(text, folder);
    let table = syntax::parse(text, &mut reader.errors)?;
    let spec = Document::read(&mut reader, &table).finish(&mut reader, table.is_empty());
    if !reader.errors.is_empty() {
        let targets = spec.targets.iter().map(|target| target.value);
        let found = targets.filter_map(|target| lower::check_parts(&spec, target));
        let is_certain = |error: &Error| {
            error.kind != ErrorKind::UndefinedSymbol
                || !reader.misses_names
                || is_local(error, text)
        };
        for error in Errors::merged(found).into_iter().flatten().filter(is_certain) {
            reader.errors.push(error);
        }
    }
    reader.errors.into_result(spec)
}

/// Whether an error is about a local label, which no other text could define.
fn is_local(error: &Error, text: &str) -> bool {
    match error.notes.first() {
        Some(Note { place: Place::Text(span), .. }) => text[span.clone()].starts_with('.'),
        _ => false,
    }
}

impl Spec {
    /// The program's name, if the spec says one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The files that are to be made, in the spec's own order. At least one.
    #[must_use]
    pub fn files(&self) -> Vec<FileTarget> {
        self.files.iter().map(|file| file.value).collect()
    }

    /// The targets that have a program in these files, in the spec's own order, each once.
    #[must_use]
    pub fn targets(&self) -> Vec<Target> {
        self.targets.iter().map(|target| target.value).collect()
    }

    /// Where the spec names `target`, in bytes of its text.
    #[must_use]
    pub fn target_span(&self, target: Target) -> Option<Span> {
        self.targets.iter().find(|known| known.value == target).map(|known| known.span.clone())
    }

    /// The specs of the shared libraries that must lie beside the program when it runs.
    #[must_use]
    pub fn needs(&self) -> &[Need] {
        &self.needs
    }

    /// What running the program must show.
    #[must_use]
    pub fn tests(&self) -> &[Test] {
        &self.tests
    }

    /// What is made for `target`.
    #[must_use]
    pub fn kind(&self, target: Target) -> OutputKind {
        Merged::new(&self.common, &self.tables, target).wishes.kind()
    }

    /// The program for `target`.
    ///
    /// # Errors
    /// All that is wrong with the spec for this target, with its place as [`Place::Text`]: hex text, names
    /// defined twice, numbers that do not fit, items without contents, no code, no entry. A name that
    /// nothing defines is found by the link.
    pub fn program(&self, target: Target) -> Result<(Program<'_>, SourceMap)> {
        lower::lower(self, target, &Place::Text(self.target_span(target).unwrap_or_default()))
    }
}

/// What stands at the top of a spec.
#[derive(Default)]
struct Document {
    name: Option<String>,
    /// What `targets` says, and where.
    targets: Option<(Vec<Located<FileTarget>>, Span)>,
    common: Layer,
    tables: Vec<TargetTable>,
    needs: Vec<Need>,
    tests: Vec<Test>,
}

const DOCUMENT_KEYS: &[Key<Document>] = &[
    Key {
        name: "version",
        about: "The version of this language: 1.",
        shape: Shape::Integer(VERSION, VERSION),
        read: |_, reader, entry| check_version(reader, entry),
    },
    Key {
        name: "name",
        about: "What the written file is called: the spec's file name if it is not said.",
        shape: Shape::String,
        read: read_name,
    },
    Key {
        name: "targets",
        about: "What the spec is for, in the order in which it is built: every target with a table of its own if it is not said.",
        shape: Shape::Array(&Shape::Words(targets::file_target_names)),
        read: |document, reader, entry| {
            let targets = targets::read_targets(reader, entry);
            document.targets = Some((targets, entry.span.clone()));
        },
    },
    Key {
        name: "target",
        about: "What is different on a target, an architecture or an operating system.",
        shape: Shape::Map(Names::Targets, &Shape::Table("layer", || described(&[Layer::KEYS]))),
        read: |document, reader, entry| {
            let Some(table) = reader.table(entry) else { return };
            for entry in entries(table) {
                let table = targets::read_table(reader, &entry, &document.tables);
                document.tables.extend(table);
            }
        },
    },
    Key {
        name: "needs",
        about: "Specs of shared libraries that the program needs beside it when it runs.",
        shape: Shape::Array(&Shape::Path),
        read: |document, reader, entry| {
            let elements = reader.array(entry, "an array of paths of specs").unwrap_or_default();
            for element in elements {
                let need = data::file_path(reader, &element);
                let span = element.span.clone();
                document.needs.extend(need.map(|(path, _)| Need { path, span }));
            }
        },
    },
    Key {
        name: "test",
        about: "What running the program must show.",
        shape: test_table::SHAPE,
        read: |document, reader, entry| document.tests = test_table::read_tests(reader, entry),
    },
];

/// The version of the language that this reader knows.
const VERSION: i128 = 1;

fn check_version(reader: &mut Reader<'_>, entry: &Entry<'_>) {
    let interval = (i64::MIN.into(), i64::MAX.into());
    if let Some(version) = reader.integer(entry, interval).filter(|&version| version != VERSION) {
        let message = format!("this minild reads version {VERSION} of the language, not {version}");
        let error = Error::new(ErrorKind::Unsupported, message);
        let error = error.at(Place::Text(entry.span.clone()), "").value(version, VERSION..=VERSION);
        reader.errors.push(error);
    }
}

fn read_name(document: &mut Document, reader: &mut Reader<'_>, entry: &Entry<'_>) {
    let Some(name) = reader.string(entry) else { return };
    let is_file_name = !name.is_empty()
        && !name.starts_with(['.', '-'])
        && !name.contains(|c: char| c.is_control() || "/\\:*?\"<>|".contains(c));
    if !is_file_name {
        let message = format!("`name` is what the written file is called, and {name:?} cannot be");
        let place = Place::Text(entry.span.clone());
        reader.errors.push(Error::new(ErrorKind::InvalidValue, message).at(place, ""));
    }
    document.name = Some(name.into_owned());
}

impl Document {
    /// Reads the document: its own keys, and those of the layer that all targets share.
    fn read(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Self {
        let mut document = Self::default();
        for entry in entries(table) {
            let is_known = reader.read_key(&entry, DOCUMENT_KEYS, &mut document)
                || reader.read_key(&entry, Layer::KEYS, &mut document.common);
            if !is_known {
                let names = DOCUMENT_KEYS.iter().map(|key| key.name);
                let names = names.chain(Layer::KEYS.iter().map(|key| key.name));
                reader.unknown_key(&entry, "a spec", names.collect());
            }
        }
        document
    }

    fn finish(self, reader: &mut Reader<'_>, is_empty: bool) -> Spec {
        let Self { name, targets, common, tables, needs, tests } = self;
        let said_at = targets.as_ref().map(|(_, span)| span.clone());
        let files = match targets {
            Some((files, _)) => files,
            None => targets::full_targets(&tables),
        };
        let targets = targets::of_files(&files);
        // Of a wrong target the reader knows already: then there is none because of that.
        if targets.is_empty() && reader.errors.is_empty() {
            let message = if is_empty { "the spec is empty" } else { "the spec is for no target" };
            let error = Error::new(ErrorKind::Missing, message)
                .at(Place::Text(said_at.unwrap_or_default()), "")
                .help("say targets = [\"x86_64-linux\"], or give a target its code: [target.x86_64-linux]");
            reader.errors.push(error);
        } else {
            let built: Vec<_> = targets.iter().map(|target| target.value).collect();
            let kind = |target: &Target| Merged::new(&common, &tables, *target).wishes.kind();
            let library =
                built.iter().copied().filter(|target| kind(target) == OutputKind::SharedLibrary);
            let libraries: Vec<_> = library.collect();
            for test in &tests {
                test.check(&built, &libraries, reader);
            }
        }
        Spec { name, files, targets, common, tables, needs, tests }
    }
}
