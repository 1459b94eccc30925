//! Items get their bytes, and names their sizes.
//!
//! Assembler text comes last: how wide an instruction is can depend on the numbers in it, and those on how
//! large other items are. Where it asks for the size of assembler text, its own or another's, all such text
//! is assembled again with the sizes that came out, until they are the same.

use super::block::Block;
use super::item::{GROUPS, View};
use super::lower::DEFAULT_ENTRY;
use super::names::Names;
use super::pieces::{Bodies, Piece};
use super::section::{Unit, sizes};
use super::targets::Merged;
use crate::arch::Arch;
use crate::error::{Collector, Error, ErrorKind, Place};

/// How often text is assembled before it counts as one whose sizes never settle: each round makes up for
/// one instruction that grew, and few depend on sizes at all.
const MOST_ROUNDS: usize = 32;

/// The key of assembler text.
const ASM: &str = "asm";

/// Every item with its bytes, in the order of the spec.
pub(super) fn pieces<'s>(
    merged: &Merged<'s>,
    entry: Option<&'s str>,
    arch: &'static Arch,
    errors: &mut Collector,
) -> Vec<Piece<'s>> {
    let maker = Maker { merged, entry, arch };
    let mut pieces: Vec<_> = merged.items.iter().map(|_| None).collect();
    maker.make(&mut pieces, false, &Names::default(), errors);
    // What is not known yet is 0 in the first round.
    let mut names = maker.names(&pieces).with_unknown_sizes();
    for _ in 0..MOST_ROUNDS {
        let mut found = Collector::default();
        maker.make(&mut pieces, true, &names, &mut found);
        let next = maker.names(&pieces);
        if !names.differs_in_what_was_asked(&next) {
            if let Err(found) = found.into_result(()) {
                errors.extend(found);
            }
            return pieces.into_iter().flatten().collect();
        }
        names = next;
    }
    let is_asm = |view: &View<'_>| view.contents.is_some_and(|said| said.key == ASM);
    let text = merged.items.values().find(|view| is_asm(view));
    let span = text.map_or(0..0, |view| view.span.clone());
    let message =
        "how large this text is depends on sizes that depend on it, and they do not settle";
    let error = Error::new(ErrorKind::InvalidValue, message).at(Place::Text(span), "");
    errors.push(error.help("instructions whose width does not depend on the size let it settle"));
    pieces.into_iter().flatten().collect()
}

struct Maker<'m, 's> {
    merged: &'m Merged<'s>,
    entry: Option<&'s str>,
    arch: &'static Arch,
}

impl<'s> Maker<'_, 's> {
    /// Gives their bytes to the items of assembler text, or to all others.
    fn make(
        &self,
        pieces: &mut [Option<Piece<'s>>],
        asm: bool,
        names: &Names,
        errors: &mut Collector,
    ) {
        for (place, (&(kind, item), view)) in pieces.iter_mut().zip(&self.merged.items) {
            let key = view.contents.map_or("", |said| &said.key);
            if (key == ASM) != asm {
                continue;
            }
            let group =
                GROUPS.iter().find(|group| group.kind == kind).expect("items are of a group");
            // A bare file of code has no labels and no name: its first byte is where the program
            // starts.
            let is_nameless = view.is_bare && key == "file";
            let name = if is_nameless { self.entry.unwrap_or(DEFAULT_ENTRY) } else { item };
            let body = Bodies { arch: self.arch, names, errors }.item(item, group, view);
            *place = body.map(|body| Piece { item, name, group, view: *view, body });
        }
    }

    /// What names stand for, as far as `pieces` are there.
    fn names(&self, pieces: &[Option<Piece<'_>>]) -> Names {
        let mut names = Names::default();
        // What is wrong with names is told once, when all are there.
        let mut told_later = Collector::default();
        add_constants(&mut names, self.merged, &mut told_later);
        for (piece, (&(_, name), view)) in pieces.iter().zip(&self.merged.items) {
            match piece {
                Some(piece) => add_names(&mut names, piece, &mut told_later),
                // An item that is wrong is told once: whoever asks for its size gets one.
                None if view.contents.is_none_or(|said| said.key != ASM) => {
                    names.add_place(name, 0, view.span, &mut told_later);
                }
                None => {}
            }
        }
        for (name, span, size) in sizes(self.merged, pieces) {
            names.add_place(name, size.unwrap_or(0), span, &mut told_later);
        }
        names
    }
}

/// What sections, files of code and items of data are called, and the labels that others see.
pub(super) fn collect_names(
    merged: &Merged<'_>,
    units: &[Unit<'_>],
    errors: &mut Collector,
) -> Names {
    let mut names = Names::default();
    add_constants(&mut names, merged, errors);
    for unit in units.iter().filter(|unit| unit.is_symbol) {
        names.add_place(unit.name, unit.size, unit.span, errors);
    }
    for (_, piece) in units.iter().flat_map(|unit| &unit.members) {
        add_names(&mut names, piece, errors);
    }
    names
}

fn add_constants(names: &mut Names, merged: &Merged<'_>, errors: &mut Collector) {
    for (name, number) in &merged.constants {
        names.add_constant(name, number, errors);
    }
}

/// Adds what a piece is called, and its labels that others see.
fn add_names(names: &mut Names, piece: &Piece<'_>, errors: &mut Collector) {
    if piece.is_symbol() {
        names.add_place(piece.name, piece.body.len(), piece.view.span, errors);
    }
    let labels = piece.body.block().map(Block::sized_labels).unwrap_or_default();
    for (label, size) in labels.into_iter().filter(|(label, _)| !label.is_local()) {
        names.add_place(&label.name, size, &label.span, errors);
    }
}
