//! What a spec asks for beside code and data: what is made of it, and what its system is to do.

use super::document::{Entry, Key, Located, Reader, list};
use super::quantity;
use super::shape::{Described, Shape, described};
use super::source_map::SourceMap;
use crate::error::{Error, ErrorKind, Place};
use crate::program::{
    Libc, MemoryWish, OutputKind, Position, Program, Start, Subsystem, SystemVersion, Wishes,
};
use crate::target::{OperatingSystem, Target};
use crate::units::{Address, Size};

/// What one table, or all tables of a target together, ask of the system.
#[derive(Clone, Debug, Default)]
pub(super) struct WishTable {
    kind: Option<Located<OutputKind>>,
    library_name: Option<Located<String>>,
    interpreter: Option<Located<String>>,
    run_path: Option<Located<String>>,
    position: Option<Located<Position>>,
    base: Option<Located<u64>>,
    subsystem: Option<Located<Subsystem>>,
    macos: Option<Located<SystemVersion>>,
    current_version: Option<Located<SystemVersion>>,
    compatibility_version: Option<Located<SystemVersion>>,
    start: Option<Located<Start>>,
    libc: Option<Located<Libc>>,
    stack: MemoryTable,
    heap: MemoryTable,
}

#[derive(Clone, Debug, Default)]
pub(super) struct MemoryTable {
    size: Option<Located<u64>>,
    commit: Option<Located<u64>>,
}

/// The keys of a `[stack]` or `[heap]`.
pub(super) const MEMORY_KEYS: &[Key<MemoryTable>] = &[
    Key {
        name: "size",
        about: "The bytes of addresses that it may take.",
        shape: Shape::Size,
        read: |memory, reader, entry| memory.size = quantity::size(reader, entry),
    },
    Key {
        name: "commit",
        about: "The bytes of it that are there from the start: Windows.",
        shape: Shape::Size,
        read: |memory, reader, entry| memory.commit = quantity::size(reader, entry),
    },
];

/// What a `[stack]` or `[heap]` can be.
pub(super) const MEMORY: Shape = Shape::Table("memory", memory_keys);

fn memory_keys() -> Vec<Described> {
    described(&[MEMORY_KEYS])
}

pub(super) const POSITIONS: &[(&str, Position)] =
    &[("independent", Position::Independent), ("fixed", Position::Fixed)];

impl WishTable {
    pub(super) fn read_kind(&mut self, reader: &mut Reader<'_>, entry: &Entry<'_>) {
        self.kind = one_of(reader, entry, OutputKind::NAMES);
    }

    pub(super) fn read_library_name(&mut self, reader: &mut Reader<'_>, entry: &Entry<'_>) {
        self.library_name = reader.located_string(entry);
    }

    pub(super) fn read_interpreter(&mut self, reader: &mut Reader<'_>, entry: &Entry<'_>) {
        self.interpreter = reader.located_string(entry);
    }

    pub(super) fn read_run_path(&mut self, reader: &mut Reader<'_>, entry: &Entry<'_>) {
        self.run_path = reader.located_string(entry);
    }

    pub(super) fn read_position(&mut self, reader: &mut Reader<'_>, entry: &Entry<'_>) {
        self.position = one_of(reader, entry, POSITIONS);
    }

    pub(super) fn read_base(&mut self, reader: &mut Reader<'_>, entry: &Entry<'_>) {
        let address = reader.integer(entry, (0, u64::MAX.into()));
        let address = address.and_then(|address| u64::try_from(address).ok());
        self.base = address.map(|value| Located { value, span: entry.span.clone() });
    }

    pub(super) fn read_subsystem(&mut self, reader: &mut Reader<'_>, entry: &Entry<'_>) {
        let names: Vec<_> = Subsystem::ALL.iter().map(|known| (known.name(), *known)).collect();
        self.subsystem = one_of(reader, entry, &names);
    }

    pub(super) fn read_start(&mut self, reader: &mut Reader<'_>, entry: &Entry<'_>) {
        self.start = one_of(reader, entry, Start::NAMES);
    }

    pub(super) fn read_libc(&mut self, reader: &mut Reader<'_>, entry: &Entry<'_>) {
        self.libc = one_of(reader, entry, Libc::NAMES);
    }

    pub(super) fn read_macos(&mut self, reader: &mut Reader<'_>, entry: &Entry<'_>) {
        self.macos = version(reader, entry);
    }

    pub(super) fn read_current_version(&mut self, reader: &mut Reader<'_>, entry: &Entry<'_>) {
        self.current_version = version(reader, entry);
    }

    pub(super) fn read_compatibility_version(
        &mut self,
        reader: &mut Reader<'_>,
        entry: &Entry<'_>,
    ) {
        self.compatibility_version = version(reader, entry);
    }

    pub(super) fn read_stack(&mut self, reader: &mut Reader<'_>, entry: &Entry<'_>) {
        self.stack.read(reader, entry);
    }

    pub(super) fn read_heap(&mut self, reader: &mut Reader<'_>, entry: &Entry<'_>) {
        self.heap.read(reader, entry);
    }

    /// Takes over what a more special table says, key by key.
    pub(super) fn override_by(&mut self, special: &Self) {
        replace(&mut self.kind, special.kind.as_ref());
        replace(&mut self.library_name, special.library_name.as_ref());
        replace(&mut self.interpreter, special.interpreter.as_ref());
        replace(&mut self.run_path, special.run_path.as_ref());
        replace(&mut self.position, special.position.as_ref());
        replace(&mut self.base, special.base.as_ref());
        replace(&mut self.subsystem, special.subsystem.as_ref());
        replace(&mut self.macos, special.macos.as_ref());
        replace(&mut self.current_version, special.current_version.as_ref());
        replace(&mut self.compatibility_version, special.compatibility_version.as_ref());
        replace(&mut self.start, special.start.as_ref());
        replace(&mut self.libc, special.libc.as_ref());
        for (memory, special) in
            [(&mut self.stack, &special.stack), (&mut self.heap, &special.heap)]
        {
            replace(&mut memory.size, special.size.as_ref());
            replace(&mut memory.commit, special.commit.as_ref());
        }
    }

    /// What is to be made.
    pub(super) fn kind(&self) -> OutputKind {
        self.kind.as_ref().map(|kind| kind.value).unwrap_or_default()
    }

    /// Tells `program` what it is asked to be; `map` learns where each wish stands.
    pub(super) fn add(&self, program: &mut Program<'_>, map: &mut SourceMap) {
        let mut path = |key, said: &Option<Located<String>>| {
            let said = said.as_ref()?;
            map.add_wish(key, &said.span);
            Some(said.value.clone().into())
        };
        program.library_name = path("library-name", &self.library_name);
        program.interpreter = path("interpreter", &self.interpreter);
        program.run_path = path("runpath", &self.run_path);
        program.kind = said(map, "kind", self.kind.as_ref()).unwrap_or_default();
        program.wishes = self.wishes(program.target, map);
    }

    fn wishes(&self, target: Target, map: &mut SourceMap) -> Wishes {
        // A version of one system says nothing to the others.
        let is_macos = target.operating_system == OperatingSystem::MacOs;
        let macos = self.macos.as_ref().filter(|_| is_macos);
        Wishes {
            position: said(map, "position", self.position.as_ref()).unwrap_or_default(),
            base: said(map, "base", self.base.as_ref()).map(Address),
            subsystem: said(map, "subsystem", self.subsystem.as_ref()),
            oldest_system: said(map, "oldest-system", macos),
            current_version: said(map, "current-version", self.current_version.as_ref()),
            compatibility_version: said(
                map,
                "compatibility-version",
                self.compatibility_version.as_ref(),
            ),
            start: said(map, "start", self.start.as_ref()),
            libc: said(map, "libc", self.libc.as_ref()),
            stack: self.stack.wish(map, "stack.size", "stack.commit"),
            heap: self.heap.wish(map, "heap.size", "heap.commit"),
        }
    }
}

impl MemoryTable {
    fn read(&mut self, reader: &mut Reader<'_>, entry: &Entry<'_>) {
        if let Some(table) = reader.table(entry) {
            reader.walk(table, &format!("`{}`", entry.key), &[MEMORY_KEYS], self);
        }
    }

    fn wish(&self, map: &mut SourceMap, size: &'static str, commit: &'static str) -> MemoryWish {
        MemoryWish {
            size: said(map, size, self.size.as_ref()).map(Size),
            commit: said(map, commit, self.commit.as_ref()).map(Size),
        }
    }
}

/// The words that stand for values.
pub(super) fn words<T>(names: &[(&'static str, T)]) -> Vec<&'static str> {
    names.iter().map(|(name, _)| *name).collect()
}

fn replace<T: Clone>(common: &mut Option<T>, special: Option<&T>) {
    if let Some(special) = special {
        *common = Some(special.clone());
    }
}

fn said<T: Copy>(map: &mut SourceMap, key: &'static str, said: Option<&Located<T>>) -> Option<T> {
    let said = said?;
    map.add_wish(key, &said.span);
    Some(said.value)
}

/// The entry as a version.
fn version(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Located<SystemVersion>> {
    let Located { value: text, span } = reader.located_string(entry)?;
    match text.parse() {
        Ok(value) => Some(Located { value, span }),
        Err(invalid) => {
            let message = format!("`{}` cannot be \"{text}\": {invalid}", entry.key);
            let error = Error::new(ErrorKind::InvalidValue, message);
            reader.refuse(error.at(Place::Text(span), ""))
        }
    }
}

/// The entry as one of these words.
fn one_of<T: Copy>(
    reader: &mut Reader<'_>,
    entry: &Entry<'_>,
    words: &[(&str, T)],
) -> Option<Located<T>> {
    let Located { value: word, span } = reader.located_string(entry)?;
    if let Some(&(_, value)) = words.iter().find(|(known, _)| *known == word) {
        return Some(Located { value, span });
    }
    let names = || words.iter().map(|(known, _)| *known);
    let message = format!("`{}` is {}, not `{word}`", entry.key, list(names()));
    let error = Error::new(ErrorKind::InvalidValue, message).at(Place::Text(span), "");
    reader.refuse(error.nearest(&word, names()))
}
