//! Layers: what the document's top and each `[target.X]` can say of a program.

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use super::document::{Entry, Key, Located, Reader, entries};
use super::exports::{self, Exports};
use super::expression::check_name;
use super::imports::{self, Imports};
use super::item::{CODE_CONTENTS, GROUPS, Item};
use super::lists::{self, Functions};
use super::section::SectionTable;
use super::wishes::WishTable;
use crate::error::{Error, ErrorKind, Place};
use crate::program::SectionKind;

/// What an item of code is called that is said by a bare `hex` or `file`.
pub(super) const BARE_CODE: &str = "code";

/// The items of a layer by kind and name, in the order of the document.
pub(super) type Items = IndexMap<(SectionKind, String), Item, FxBuildHasher>;

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
        Key { name: "entry", read: Self::read_entry },
        Key { name: "kind", read: |layer, reader, entry| layer.wishes.read_kind(reader, entry) },
        Key {
            name: "library-name",
            read: |layer, reader, entry| layer.wishes.read_library_name(reader, entry),
        },
        Key {
            name: "interpreter",
            read: |layer, reader, entry| layer.wishes.read_interpreter(reader, entry),
        },
        Key {
            name: "runpath",
            read: |layer, reader, entry| layer.wishes.read_run_path(reader, entry),
        },
        Key { name: "libc", read: |layer, reader, entry| layer.wishes.read_libc(reader, entry) },
        Key { name: "init", read: |layer, reader, entry| layer.init = lists::read(reader, entry) },
        Key { name: "fini", read: |layer, reader, entry| layer.fini = lists::read(reader, entry) },
        Key {
            name: "exports",
            read: |layer, reader, entry| layer.exports = exports::read(reader, entry),
        },
        Key {
            name: "position",
            read: |layer, reader, entry| layer.wishes.read_position(reader, entry),
        },
        Key { name: "base", read: |layer, reader, entry| layer.wishes.read_base(reader, entry) },
        Key {
            name: "subsystem",
            read: |layer, reader, entry| layer.wishes.read_subsystem(reader, entry),
        },
        Key { name: "macos", read: |layer, reader, entry| layer.wishes.read_macos(reader, entry) },
        Key { name: "start", read: |layer, reader, entry| layer.wishes.read_start(reader, entry) },
        Key { name: "stack", read: |layer, reader, entry| layer.wishes.read_stack(reader, entry) },
        Key { name: "heap", read: |layer, reader, entry| layer.wishes.read_heap(reader, entry) },
        Key {
            name: "imports",
            read: |layer, reader, entry| layer.imports = imports::read(reader, entry),
        },
        Key { name: "constants", read: Self::read_constants },
        Key { name: "asm", read: Self::read_bare_code },
        Key { name: "hex", read: Self::read_bare_code },
        Key { name: "file", read: Self::read_bare_code },
        Key { name: "code", read: Self::read_items },
        Key { name: "rodata", read: Self::read_items },
        Key { name: "data", read: Self::read_items },
        Key { name: "bss", read: Self::read_items },
        Key { name: "tls", read: Self::read_items },
        Key { name: "unwind", read: Self::read_items },
        Key { name: "unwind-records", read: Self::read_items },
        Key { name: "section", read: Self::read_sections },
    ];

    fn read_entry(&mut self, reader: &mut Reader<'_>, entry: &Entry<'_>) {
        self.entry = reader.located_string(entry);
    }

    fn read_constants(&mut self, reader: &mut Reader<'_>, entry: &Entry<'_>) {
        const INTERVAL: (i128, i128) = (i64::MIN as i128, u64::MAX as i128);
        let Some(table) = reader.table(entry) else { return };
        for constant in entries(table) {
            if let Err(problem) = check_name(constant.key) {
                let place = Place::Text(constant.key_span.clone());
                reader.errors.push(Error::new(ErrorKind::InvalidValue, problem).at(place, ""));
            }
            if let Some(value) = reader.integer(&constant, INTERVAL) {
                let span = constant.key_span.clone();
                self.constants.insert(constant.key.to_owned(), Located { value, span });
            }
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
