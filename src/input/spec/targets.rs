//! Targets: which ones a spec is for, and which of its tables speak of one.

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use super::document::{Entry, Located, Reader, Span, all_of};
use super::exports::Exports;
use super::imports::{self, Imports};
use super::item::View;
use super::layer::Layer;
use super::lists::Functions;
use super::section::SectionTable;
use super::wishes::WishTable;
use crate::error::{Error, ErrorKind, Place};
use crate::program::SectionKind;
use crate::target::{Architecture, FileTarget, OperatingSystem, TARGETS, Target, UNIVERSAL};

/// What the X of `[target.X]` stands for; the greater one is the more special and wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Selector {
    /// All targets of an architecture.
    Architecture(Architecture),
    /// All targets of an operating system.
    OperatingSystem(OperatingSystem),
    /// One target.
    Target(Target),
}

impl Selector {
    pub(super) fn selects(self, target: Target) -> bool {
        match self {
            Self::Architecture(architecture) => architecture == target.architecture,
            Self::OperatingSystem(system) => system == target.operating_system,
            Self::Target(only) => only == target,
        }
    }

    fn named(name: &str) -> Option<Self> {
        let architecture = Architecture::ALL.iter().find(|known| known.name() == name);
        let system = OperatingSystem::ALL.iter().find(|known| known.name() == name);
        architecture
            .map(|&architecture| Self::Architecture(architecture))
            .or_else(|| system.map(|&system| Self::OperatingSystem(system)))
            .or_else(|| target_named(name).map(Self::Target))
    }

    /// Reads a selector that stands at `span`.
    pub(super) fn read(reader: &mut Reader<'_>, name: &str, span: &Span) -> Option<Self> {
        let selector = Self::named(name);
        if selector.is_none() {
            if let Some(universal) = UNIVERSAL.iter().find(|row| row.name == name) {
                let message = format!("`{name}` has no program of its own");
                let names = universal.slices.iter().map(|target| target.name());
                let error = Error::new(ErrorKind::InvalidValue, message);
                return reader.refuse(error.at(Place::Text(span.clone()), "").help(format!(
                    "such a file holds those of {}; `targets` says that it is to be made",
                    all_of(names)
                )));
            }
            let architectures = Architecture::ALL.iter().map(|known| known.name());
            let systems = OperatingSystem::ALL.iter().map(|known| known.name());
            let names = target_names().chain(architectures).chain(systems).collect();
            reader.errors.push(unknown(name, "target, architecture or system", names, span));
        }
        selector
    }
}

/// The target of a full name. `host` is none: a spec means the same on every machine.
fn target_named(name: &str) -> Option<Target> {
    (name != "host").then(|| name.parse().ok())?
}

/// Every name of a target, those of other tools included.
fn all_target_names() -> Vec<&'static str> {
    let triples = TARGETS.iter().flat_map(|row| row.triples.iter().copied());
    target_names().chain(triples).collect()
}

/// Every name that `targets` can hold.
pub(super) fn file_target_names() -> Vec<&'static str> {
    let universal = UNIVERSAL.iter().map(|row| row.name);
    all_target_names().into_iter().chain(universal).collect()
}

/// Every name of a selector.
pub(super) fn selector_names() -> Vec<&'static str> {
    let architectures = Architecture::ALL.iter().map(|known| known.name());
    let systems = OperatingSystem::ALL.iter().map(|known| known.name());
    architectures.chain(systems).chain(all_target_names()).collect()
}

fn target_names() -> impl Iterator<Item = &'static str> {
    TARGETS.iter().map(|row| row.name)
}

fn unknown(name: &str, what: &str, names: Vec<&str>, span: &Span) -> Error {
    let error = Error::new(ErrorKind::InvalidValue, format!("no {what} is called `{name}`"))
        .at(Place::Text(span.clone()), "")
        .nearest(name, names.iter().copied());
    match (&error.help, name) {
        (Some(_), _) => error,
        (None, "host") => error.help(
            "a spec says the same on every machine: name the target; `--target host` chooses this machine's",
        ),
        (None, _) => error.help(format!("there are {}", all_of(names))),
    }
}

/// Reads `targets = […]`.
pub(super) fn read_targets(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Vec<Located<FileTarget>> {
    let elements = reader.array(entry, "an array of targets").unwrap_or_default();
    let mut targets: Vec<Located<FileTarget>> = Vec::new();
    for element in elements {
        let Some(name) = reader.string(&element) else { continue };
        let universal = UNIVERSAL.iter().find(|row| row.name == name);
        let value = universal.map(FileTarget::Universal);
        let Some(value) = value.or_else(|| target_named(&name).map(FileTarget::Single)) else {
            let names = target_names().chain(UNIVERSAL.iter().map(|row| row.name)).collect();
            let error = unknown(&name, "target", names, &element.span);
            reader.errors.push(error);
            reader.misses_names = true;
            continue;
        };
        if let Some(first) = targets.iter().find(|known| known.value == value) {
            let message = format!("`{value}` is listed twice");
            let error = Error::new(ErrorKind::Conflict, message)
                .at(Place::Text(element.span.clone()), "")
                .at(Place::Text(first.span.clone()), "first listed here");
            reader.errors.push(error);
            continue;
        }
        targets.push(Located { value, span: element.span });
    }
    targets
}

/// A `[target.X]`.
#[derive(Clone, Debug)]
pub(super) struct TargetTable {
    pub(super) selector: Selector,
    /// Where X stands.
    pub(super) span: Span,
    pub(super) layer: Layer,
}

/// Reads one `[target.X]`, given those before it.
pub(super) fn read_table(
    reader: &mut Reader<'_>,
    entry: &Entry<'_>,
    before: &[TargetTable],
) -> Option<TargetTable> {
    let selector = Selector::read(reader, entry.key, &entry.key_span);
    reader.misses_names |= selector.is_none();
    let table = reader.table(entry)?;
    let mut layer = Layer::default();
    reader.walk(table, &format!("`target.{}`", entry.key), &[Layer::KEYS], &mut layer);
    let selector = selector?;
    if let Some(first) = before.iter().find(|table| table.selector == selector) {
        let error = Error::new(ErrorKind::Conflict, format!("`{}` has two tables", entry.key))
            .at(Place::Text(entry.key_span.clone()), "")
            .at(Place::Text(first.span.clone()), "the first one");
        return reader.refuse(error);
    }
    Some(TargetTable { selector, span: entry.key_span.clone(), layer })
}

/// What all layers that speak of one target say together.
#[derive(Default)]
pub(super) struct Merged<'s> {
    pub(super) entry: Option<&'s Located<String>>,
    /// What is asked of the system.
    pub(super) wishes: WishTable,
    /// What is taken from libraries.
    pub(super) imports: Imports,
    /// What others can look up.
    pub(super) exports: Option<&'s Exports>,
    /// What runs before and after the program.
    pub(super) init: Option<&'s Functions>,
    pub(super) fini: Option<&'s Functions>,
    /// Numbers by name.
    pub(super) constants: IndexMap<&'s str, &'s Located<i128>, FxBuildHasher>,
    /// Items by kind and name; one that several layers mention has the place of the first.
    pub(super) items: IndexMap<(SectionKind, &'s str), View<'s>, FxBuildHasher>,
    /// Sections by name, each with the place of its name.
    pub(super) sections: IndexMap<&'s str, (&'s Span, SectionTable), FxBuildHasher>,
}

impl<'s> Merged<'s> {
    /// The layers of `target`: what is common, then the tables that select it, the most special last.
    pub(super) fn new(common: &'s Layer, tables: &'s [TargetTable], target: Target) -> Self {
        let mut special: Vec<_> =
            tables.iter().filter(|table| table.selector.selects(target)).collect();
        special.sort_by_key(|table| table.selector);
        let mut merged = Self::default();
        for layer in std::iter::once(common).chain(special.into_iter().map(|table| &table.layer)) {
            merged.add(layer, target);
        }
        merged
    }

    fn add(&mut self, layer: &'s Layer, target: Target) {
        self.entry = layer.entry.as_ref().or(self.entry);
        self.wishes.override_by(&layer.wishes);
        imports::override_by(&mut self.imports, &layer.imports, target);
        self.exports = layer.exports.as_ref().or(self.exports);
        self.init = layer.init.as_ref().or(self.init);
        self.fini = layer.fini.as_ref().or(self.fini);
        self.constants.extend(layer.constants.iter().map(|(name, number)| (name.as_str(), number)));
        for (name, special) in &layer.sections {
            let table = match self.sections.get(name.as_str()) {
                Some((_, common)) => common.overridden_by(special),
                None => special.clone(),
            };
            self.sections.insert(name, (&special.span, table));
        }
        for ((kind, name), item) in &layer.items {
            self.items
                .entry((*kind, name))
                .and_modify(|merged| merged.override_by(item.view()))
                .or_insert_with(|| item.view());
        }
    }
}

/// The targets that have a table of their own, in the order of the tables.
pub(super) fn full_targets(tables: &[TargetTable]) -> Vec<Located<FileTarget>> {
    let full = tables.iter().filter_map(|table| match table.selector {
        Selector::Target(target) => {
            Some(Located { value: target.into(), span: table.span.clone() })
        }
        _ => None,
    });
    full.collect()
}

/// The targets whose programs are in these files, each once.
pub(super) fn of_files(files: &[Located<FileTarget>]) -> Vec<Located<Target>> {
    let mut targets: Vec<Located<Target>> = Vec::new();
    for file in files {
        for &value in file.value.slices() {
            if targets.iter().all(|known| known.value != value) {
                targets.push(Located { value, span: file.span.clone() });
            }
        }
    }
    targets
}
