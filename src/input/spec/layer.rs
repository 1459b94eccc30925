//! Layers: what the document's top and each `[target.X]` can say of a program.

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use super::document::{Entry, Key, Located, Reader, entries};
use super::exports::{self, Exports};
use super::expression::check_name;
use super::imports::{self, Imports};
use super::item::{CODE_CONTENTS, GROUPS, Item};
use super::lists::{self, Functions};
use super::section::{self, SectionTable};
use super::shape::{Names, Shape, described};
use super::wishes::{self, WishTable};
use crate::error::{Error, ErrorKind, Place};
use crate::program::{Libc, OutputKind, SectionKind, Start, Subsystem};

/// What an item of code is called that is said by a bare `hex` or `file`.
pub(super) const BARE_CODE: &str = "code";

/// The items of a layer by kind and name, in the order of the document.
pub(super) type Items = IndexMap<(SectionKind, String), Item, FxBuildHasher>;

/// Which numbers can have a name.
const CONSTANTS: (i128, i128) = (i64::MIN as i128, u64::MAX as i128);

/// Names for numbers; the span is the name's.
pub(super) type Constants = IndexMap<String, Located<i128>, FxBuildHasher>;

/// What one table says of a program.
#[derive(Clone, Debug, Default)]
pub(super) struct Layer {
    pub(super) entry: Option<Located<String>>,
    pub(super) wishes: WishTable,
    pub(super) imports: Imports,
    pub(super) exports: Option<Exports>,
    pub(super) init: Option<Functions>,
    pub(super) fini: Option<Functions>,
    pub(super) constants: Constants,
    pub(super) items: Items,
    pub(super) sections: IndexMap<String, SectionTable, FxBuildHasher>,
}

impl Layer {
    /// The keys of a layer.
    pub(super) const KEYS: &[Key<Self>] = &[
        Key {
            name: "entry",
            about: "The name of the place where the program starts: `start` if it is not said.",
            shape: Shape::String,
            read: Self::read_entry,
        },
        Key {
            name: "kind",
            about: "What is made: a program, or a library that programs load.",
            shape: Shape::Words(|| wishes::words(OutputKind::NAMES)),
            read: |layer, reader, entry| layer.wishes.read_kind(reader, entry),
        },
        Key {
            name: "library-name",
            about: "What programs that use the library write down to find it again.",
            shape: Shape::String,
            read: |layer, reader, entry| layer.wishes.read_library_name(reader, entry),
        },
        Key {
            name: "interpreter",
            about: "The path of the dynamic linker: Linux programs that import.",
            shape: Shape::String,
            read: |layer, reader, entry| layer.wishes.read_interpreter(reader, entry),
        },
        Key {
            name: "runpath",
            about: "Folders in which the dynamic linker looks first, separated by colons; `$ORIGIN` is the program's own: Linux.",
            shape: Shape::String,
            read: |layer, reader, entry| layer.wishes.read_run_path(reader, entry),
        },
        Key {
            name: "libc",
            about: "Whose dynamic linker loads the program: Linux.",
            shape: Shape::Words(|| wishes::words(Libc::NAMES)),
            read: |layer, reader, entry| layer.wishes.read_libc(reader, entry),
        },
        Key {
            name: "init",
            about: "Functions that run before the program, in this order.",
            shape: Shape::Array(&Shape::String),
            read: |layer, reader, entry| layer.init = lists::read(reader, entry),
        },
        Key {
            name: "fini",
            about: "Functions that run when the program has ended, the last one first.",
            shape: Shape::Array(&Shape::String),
            read: |layer, reader, entry| layer.fini = lists::read(reader, entry),
        },
        Key {
            name: "exports",
            about: "What others can look up in the program: names, or tables like `{ name = \"add\", symbol = \"sum\" }`.",
            shape: exports::SHAPE,
            read: |layer, reader, entry| layer.exports = exports::read(reader, entry),
        },
        Key {
            name: "position",
            about: "Whether the system decides where the program lies, or its addresses are fixed.",
            shape: Shape::Words(|| wishes::words(wishes::POSITIONS)),
            read: |layer, reader, entry| layer.wishes.read_position(reader, entry),
        },
        Key {
            name: "base",
            about: "The address of the program's first byte: Windows and macOS; Linux at a fixed position.",
            shape: Shape::Integer(0, u64::MAX as i128),
            read: |layer, reader, entry| layer.wishes.read_base(reader, entry),
        },
        Key {
            name: "subsystem",
            about: "What surrounds the program: Windows and UEFI.",
            shape: Shape::Words(|| Subsystem::ALL.iter().map(|known| known.name()).collect()),
            read: |layer, reader, entry| layer.wishes.read_subsystem(reader, entry),
        },
        Key {
            name: "macos",
            about: "The oldest macOS that the program is to run on: `13`, `10.15`.",
            shape: Shape::String,
            read: |layer, reader, entry| layer.wishes.read_macos(reader, entry),
        },
        Key {
            name: "current-version",
            about: "Which version of the library this is: macOS.",
            shape: Shape::String,
            read: |layer, reader, entry| layer.wishes.read_current_version(reader, entry),
        },
        Key {
            name: "compatibility-version",
            about: "The oldest version of the library that programs may have been linked with: macOS.",
            shape: Shape::String,
            read: |layer, reader, entry| layer.wishes.read_compatibility_version(reader, entry),
        },
        Key {
            name: "start",
            about: "How the program is entered: the system's own way, as `main` by start-up code, or by the C library.",
            shape: Shape::Words(|| wishes::words(Start::NAMES)),
            read: |layer, reader, entry| layer.wishes.read_start(reader, entry),
        },
        Key {
            name: "stack",
            about: "The main thread's stack.",
            shape: wishes::MEMORY,
            read: |layer, reader, entry| layer.wishes.read_stack(reader, entry),
        },
        Key {
            name: "heap",
            about: "The process' heap: Windows.",
            shape: wishes::MEMORY,
            read: |layer, reader, entry| layer.wishes.read_heap(reader, entry),
        },
        Key {
            name: "imports",
            about: "What the program takes from libraries, by library.",
            shape: imports::SHAPE,
            read: |layer, reader, entry| layer.imports = imports::read(reader, entry),
        },
        Key {
            name: "constants",
            about: "Names for integers of 64 bits.",
            shape: Shape::Map(Names::Symbols, &Shape::Integer(CONSTANTS.0, CONSTANTS.1)),
            read: Self::read_constants,
        },
        Key {
            name: "asm",
            about: "Instructions as assembler text: short for `code.code.asm`.",
            shape: Shape::String,
            read: Self::read_bare_code,
        },
        Key {
            name: "hex",
            about: "Instructions as exact bytes or words: short for `code.code.hex`.",
            shape: Shape::String,
            read: Self::read_bare_code,
        },
        Key {
            name: "file",
            about: "The path of a file of instructions: short for `code.code.file`.",
            shape: Shape::Path,
            read: Self::read_bare_code,
        },
        Key {
            name: "code",
            about: "Instructions, by name.",
            shape: Shape::Items("code"),
            read: Self::read_items,
        },
        Key {
            name: "rodata",
            about: "Constants, by name.",
            shape: Shape::Items("rodata"),
            read: Self::read_items,
        },
        Key {
            name: "data",
            about: "Variables with a first value, by name.",
            shape: Shape::Items("data"),
            read: Self::read_items,
        },
        Key {
            name: "bss",
            about: "Variables that start as zeros, by name.",
            shape: Shape::Items("bss"),
            read: Self::read_items,
        },
        Key {
            name: "tls",
            about: "Variables that every thread has a copy of its own of, by name.",
            shape: Shape::Items("tls"),
            read: Self::read_items,
        },
        Key {
            name: "unwind",
            about: "Rows of the table that says how to unwind each function's frame, by name.",
            shape: Shape::Items("unwind"),
            read: Self::read_items,
        },
        Key {
            name: "unwind-records",
            about: "The records that such rows point to, by name.",
            shape: Shape::Items("unwind-records"),
            read: Self::read_items,
        },
        Key {
            name: "section",
            about: "Sections that put several items together, by name.",
            shape: Shape::Map(
                Names::Symbols,
                &Shape::Table("section", || described(&[section::KEYS])),
            ),
            read: Self::read_sections,
        },
    ];

    fn read_entry(&mut self, reader: &mut Reader<'_>, entry: &Entry<'_>) {
        self.entry = reader.symbol_name(entry);
    }

    fn read_constants(&mut self, reader: &mut Reader<'_>, entry: &Entry<'_>) {
        let Some(table) = reader.table(entry) else { return };
        for constant in entries(table) {
            if let Err(problem) = check_name(constant.key) {
                let place = Place::Text(constant.key_span.clone());
                reader.errors.push(Error::new(ErrorKind::InvalidValue, problem).at(place, ""));
            }
            // Of a number that is wrong, 1 is what its users mind least: they are not to be told as well.
            let value = reader.integer(&constant, CONSTANTS).unwrap_or(1);
            let span = constant.key_span.clone();
            self.constants.insert(constant.key.to_owned(), Located { value, span });
        }
    }

    fn read_sections(&mut self, reader: &mut Reader<'_>, entry: &Entry<'_>) {
        let Some(table) = reader.table(entry) else { return };
        for named in entries(table) {
            let section = SectionTable::read(reader, &named);
            self.sections.extend(section.map(|section| (named.key.to_owned(), section)));
        }
    }

    /// An `asm`, `hex` or `file` that stands directly in the layer: its one item of code.
    fn read_bare_code(&mut self, reader: &mut Reader<'_>, entry: &Entry<'_>) {
        let key = (SectionKind::Code, BARE_CODE.to_owned());
        let item = self.items.entry(key).or_insert_with(|| Item::new(entry.key_span.clone()));
        item.is_bare = true;
        for row in CODE_CONTENTS.iter().filter(|row| row.name == entry.key) {
            (row.read)(item, reader, entry);
        }
    }

    fn read_items(&mut self, reader: &mut Reader<'_>, entry: &Entry<'_>) {
        let group = GROUPS.iter().find(|group| group.name == entry.key);
        let (Some(group), Some(table)) = (group, reader.table(entry)) else { return };
        for named in entries(table) {
            // `code.code` may be there already: its `hex` can stand in the layer, its `align` cannot.
            let key = (group.kind, named.key.to_owned());
            let new = || Item::new(named.key_span.clone());
            group.read_item(self.items.entry(key).or_insert_with(new), reader, &named);
        }
    }
}
