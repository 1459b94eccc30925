//! `[section.NAME]`: items that lie together, in an order of their own, under a name.
//!
//! An item that no such table mentions is a section by itself.

use std::collections::hash_map::Entry as MapEntry;

use rustc_hash::FxHashMap;

use super::document::{Entry, Key, Located, Reader, Span, list};
use super::expression::check_name;
use super::item::GROUPS;
use super::pieces::{Body, MOST_FILLED, Piece};
use super::quantity;
use super::shape::Shape;
use super::targets::Merged;
use crate::error::{Collector, Error, ErrorKind, Place};
use crate::program::SectionKind;
use crate::units::{Address, Align, Size};

/// What one table says of a section.
#[derive(Clone, Debug)]
pub(super) struct SectionTable {
    /// Where its name stands.
    pub(super) span: Span,
    kind: Option<Located<SectionKind>>,
    align: Option<Located<Align>>,
    at: Option<Located<u64>>,
    contents: Option<Located<Vec<Located<String>>>>,
    /// Whether something is wrong with what it says, and has been told.
    is_wrong: bool,
}

impl SectionTable {
    /// This table as a more special one changes it, key by key.
    pub(super) fn overridden_by(&self, special: &Self) -> Self {
        let (special, common) = (special.clone(), self.clone());
        Self {
            span: special.span,
            kind: special.kind.or(common.kind),
            align: special.align.or(common.align),
            at: special.at.or(common.at),
            contents: special.contents.or(common.contents),
            is_wrong: special.is_wrong || common.is_wrong,
        }
    }

    /// Reads one `[section.NAME]`.
    pub(super) fn read(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Self> {
        if let Err(problem) = check_name(entry.key) {
            let place = Place::Text(entry.key_span.clone());
            reader.errors.push(Error::new(ErrorKind::InvalidValue, problem).at(place, ""));
        }
        let table = reader.table(entry)?;
        let mut section = Self {
            span: entry.key_span.clone(),
            kind: None,
            align: None,
            at: None,
            contents: None,
            is_wrong: false,
        };
        let what = format!("`section.{}`", entry.key);
        section.is_wrong = !reader.walk(table, &what, &[KEYS], &mut section);
        Some(section)
    }
}

pub(super) const KEYS: &[Key<SectionTable>] = &[
    Key {
        name: "kind",
        about: "What the section can do in memory; that of its items if it is not said.",
        shape: Shape::Words(|| GROUPS.iter().map(|group| group.name).collect()),
        read: |section, reader, entry| {
            let Some(Located { value: name, span }) = reader.located_string(entry) else { return };
            let kinds = || GROUPS.iter().map(|group| group.name);
            if let Some(group) = GROUPS.iter().find(|group| group.name == name) {
                section.kind = Some(Located { value: group.kind, span });
                return;
            }
            let message = format!("`kind` is {}, not `{name}`", list(kinds()));
            let error = Error::new(ErrorKind::InvalidValue, message).at(Place::Text(span), "");
            reader.errors.push(error.nearest(&name, kinds()));
        },
    },
    Key {
        name: "align",
        about: "What its address is a multiple of: a power of two. The greatest alignment of its items counts too.",
        shape: Shape::Align,
        read: |section, reader, entry| section.align = quantity::align(reader, entry),
    },
    Key {
        name: "at",
        about: "The address where it must lie, the system's base included.",
        shape: Shape::Integer(0, u64::MAX as i128),
        read: |section, reader, entry| {
            let address = reader.integer(entry, (0, u64::MAX.into()));
            let address = address.and_then(|address| u64::try_from(address).ok());
            section.at = address.map(|value| Located { value, span: entry.span.clone() });
        },
    },
    Key {
        name: "contents",
        about: "The names of its items, in their order in memory.",
        shape: Shape::Array(&Shape::String),
        read: |section, reader, entry| {
            let Some(elements) = reader.array(entry, "an array of items' names") else { return };
            let value = elements.iter().filter_map(|element| reader.located_string(element));
            section.contents = Some(Located { value: value.collect(), span: entry.span.clone() });
        },
    },
];

/// A section of the program to be: one item, or those that a table puts together.
pub(super) struct Unit<'s> {
    pub(super) name: &'s str,
    pub(super) span: &'s Span,
    pub(super) kind: SectionKind,
    pub(super) align: Align,
    /// Where it must lie.
    pub(super) at: Option<Address>,
    /// Where its alignment and its address are said.
    pub(super) wishes: Vec<(&'static str, Span)>,
    /// Whether the section as a whole has a symbol.
    pub(super) is_symbol: bool,
    /// Bytes, with what lies between the pieces.
    pub(super) size: u64,
    /// Its pieces with their offsets in it.
    pub(super) members: Vec<(u64, Piece<'s>)>,
}

/// The sections, each with the place of its name and its size in bytes: `None` where not all items are there.
pub(super) fn sizes<'m, 's>(
    merged: &'m Merged<'s>,
    pieces: &'m [Option<Piece<'s>>],
) -> impl Iterator<Item = (&'s str, &'s Span, Option<u64>)> + use<'m, 's> {
    let size = |table: &SectionTable| {
        let mut end = Size::ZERO;
        for item in &table.contents.as_ref()?.value {
            let piece = pieces.iter().flatten().find(|piece| piece.item == item.value)?;
            (_, end) = behind(end, piece)?;
        }
        Some(end.0)
    };
    merged.sections.iter().map(move |(&name, (span, table))| (name, *span, size(table)))
}

/// Where `piece` lies in a section whose pieces end at `end` so far, and where it ends.
fn behind(end: Size, piece: &Piece<'_>) -> Option<(Size, Size)> {
    let base = end.checked_align_up(piece.align())?;
    Some((base, base.checked_add(Size(piece.body.len()))?))
}

/// Makes sections of `pieces`: each its own, or where a table wants it. A section of several lies where the
/// first of its list would.
pub(super) fn gather<'s>(
    merged: &Merged<'s>,
    pieces: Vec<Piece<'s>>,
    errors: &mut Collector,
) -> Vec<Unit<'s>> {
    let mut gatherer = Gatherer {
        index: pieces.iter().enumerate().rev().map(|(index, piece)| (piece.item, index)).collect(),
        pieces: pieces.into_iter().map(Some).collect(),
        owners: FxHashMap::default(),
        errors,
    };
    let mut wanted: FxHashMap<usize, Unit<'s>> = FxHashMap::default();
    for (&name, (span, table)) in &merged.sections {
        if let Some((first, unit)) = gatherer.section(merged, name, span, table) {
            wanted.insert(first, unit);
        }
    }
    let single = |piece: Piece<'s>| Unit {
        name: piece.item,
        span: piece.view.span,
        kind: piece.kind(),
        align: piece.align(),
        at: None,
        wishes: piece.view.align.map(|align| ("align", align.span.clone())).into_iter().collect(),
        is_symbol: false,
        size: piece.body.len(),
        members: vec![(0, piece)],
    };
    let units = gatherer.pieces.into_iter().enumerate();
    units.filter_map(|(index, piece)| wanted.remove(&index).or_else(|| piece.map(single))).collect()
}

struct Gatherer<'s, 'e> {
    /// The pieces that no section has taken yet.
    pieces: Vec<Option<Piece<'s>>>,
    /// Where the piece of an item is.
    index: FxHashMap<&'s str, usize>,
    /// Where a section mentions a piece.
    owners: FxHashMap<usize, Span>,
    errors: &'e mut Collector,
}

impl<'s> Gatherer<'s, '_> {
    /// The section that `table` wants, and which piece is its first.
    fn section(
        &mut self,
        merged: &Merged<'s>,
        name: &'s str,
        span: &'s Span,
        table: &SectionTable,
    ) -> Option<(usize, Unit<'s>)> {
        let items = self.items(merged, name, span, table);
        let &(first, first_name) = items.first()?;
        let kind = match &table.kind {
            Some(kind) => kind.value,
            // It may have said which.
            None if table.is_wrong => return None,
            None => self.common_kind(&items)?,
        };
        let mut section_align = table.align.as_ref().map_or(Align::WORD, |align| align.value);
        // Who asks for the greatest alignment.
        let mut align_span = table.align.as_ref().map(|align| align.span.clone());
        let mut end = Some(Size::ZERO);
        let mut members = Vec::new();
        for &(index, item) in &items {
            let piece = self.pieces[index].take().expect("no other section has this item");
            let align = piece.align();
            if align > section_align {
                section_align = align;
                align_span = piece.view.align.map(|align| align.span.clone());
            }
            let place = end.and_then(|end| behind(end, &piece));
            let base = place.map(|(base, _)| base);
            end = place.map(|(_, end)| end);
            if let Some(problem) = misfit(&piece, kind, items.len()) {
                let place = Place::Text(item.span.clone());
                self.errors.push(Error::new(ErrorKind::Conflict, problem).at(place, ""));
            }
            members.push((base.unwrap_or_default().0, piece));
        }
        let is_zeros = members.iter().all(|(_, piece)| matches!(piece.body, Body::Zeros(_)));
        let kind = match kind {
            SectionKind::TlsData if is_zeros => SectionKind::TlsBss,
            kind => kind,
        };
        let most = if is_zeros || items.len() == 1 { u64::MAX } else { MOST_FILLED };
        let Some(Size(size)) = end.filter(|end| end.0 <= most) else {
            let message = format!("`{name}` is too large: at most {most} bytes");
            let place = Place::Text(first_name.span.clone());
            self.errors.push(Error::new(ErrorKind::TooLarge, message).at(place, ""));
            return None;
        };
        let at = table.at.as_ref().map(|at| Address(at.value));
        let at_span = table.at.as_ref().map(|at| ("at", at.span.clone()));
        let align_span = align_span.map(|span| ("align", span));
        let wishes = at_span.into_iter().chain(align_span).collect();
        let align = section_align;
        let unit = Unit { name, span, kind, align, at, wishes, is_symbol: true, size, members };
        Some((first, unit))
    }

    /// The pieces that `table` lists, each the first time.
    fn items<'t>(
        &mut self,
        merged: &Merged<'s>,
        name: &str,
        span: &Span,
        table: &'t SectionTable,
    ) -> Vec<(usize, &'t Located<String>)> {
        let listed = table.contents.as_ref();
        if listed.is_none_or(|listed| listed.value.is_empty()) && !table.is_wrong {
            let place = Place::Text(listed.map_or(span, |listed| &listed.span).clone());
            let error = Error::new(ErrorKind::Missing, format!("`section.{name}` holds nothing"));
            self.errors.push(error.at(place, "").help("list its items: contents = [\"NAME\"]"));
        }
        let mut items = Vec::new();
        for item in listed.iter().flat_map(|listed| &listed.value) {
            let Some(&index) = self.index.get(item.value.as_str()) else {
                let names = || merged.items.keys().map(|&(_, name)| name);
                // What is wrong with an item that is there and has no bytes was told.
                if !names().any(|known| known == item.value) {
                    let message = format!("no item is called `{}`", item.value);
                    let error = Error::new(ErrorKind::UndefinedSymbol, message);
                    let error = error.at(Place::Text(item.span.clone()), "");
                    self.errors.push(error.nearest(&item.value, names()));
                }
                continue;
            };
            match self.owners.entry(index) {
                MapEntry::Vacant(entry) => {
                    entry.insert(item.span.clone());
                    items.push((index, item));
                }
                MapEntry::Occupied(first) => {
                    let message = format!("`{}` cannot lie at two places", item.value);
                    let error = Error::new(ErrorKind::Conflict, message)
                        .at(Place::Text(item.span.clone()), "")
                        .at(Place::Text(first.get().clone()), "first listed here");
                    self.errors.push(error);
                }
            }
        }
        items
    }

    /// The kind of all `items`, if they have one.
    fn common_kind(&mut self, items: &[(usize, &Located<String>)]) -> Option<SectionKind> {
        let group = |index: usize| self.pieces[index].as_ref().map(|piece| piece.group);
        let (first, first_name) = items.first()?;
        let first_group = group(*first)?;
        let other = items.iter().find_map(|&(index, name)| {
            let group = group(index)?;
            (group.kind != first_group.kind).then_some((group, name))
        });
        let Some((other, name)) = other else { return Some(first_group.kind) };
        let message = format!(
            "`{}` is {} and `{}` is {}",
            name.value, other.name, first_name.value, first_group.name
        );
        let error = Error::new(ErrorKind::Conflict, message)
            .at(Place::Text(name.span.clone()), "")
            .at(Place::Text(first_name.span.clone()), "the first item")
            .help(format!("say what the section is: kind = \"{}\"", first_group.name));
        self.errors.push(error);
        None
    }
}

/// Why `piece` cannot be in a section of `kind` with `count` items.
fn misfit(piece: &Piece<'_>, kind: SectionKind, count: usize) -> Option<String> {
    let item = piece.item;
    let is_thread_local = piece.group.kind.is_thread_local();
    if is_thread_local != kind.is_thread_local() {
        return Some(if is_thread_local {
            format!("`{item}` is thread-local, and its section is not")
        } else {
            format!("`{item}` is not thread-local, and its section is")
        });
    }
    match piece.body {
        Body::Block(_) | Body::File { .. } if kind.is_zeros() => {
            Some(format!("`{item}` has bytes, and bss holds zeros only"))
        }
        Body::File { .. } if count > 1 => {
            Some(format!("`{item}` is a file, and a file does not share its section"))
        }
        _ => None,
    }
}
