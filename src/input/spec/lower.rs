//! Makes the [`Program`] of one target out of what the spec says for it.
//!
//! First every item gets its bytes; then all names and sizes are known; then numbers are filled in, and
//! sections, symbols and relocations go into the program in the order of the spec.

use std::borrow::Cow;
use std::path::PathBuf;

use rustc_hash::FxHashMap;

use super::Spec;
use super::block::{Block, Field, Fixup, Number};
use super::data::Contents;
use super::document::list;
use super::hex::{Purpose, assemble};
use super::item::{GROUPS, Group, View, fill_up};
use super::names::{BUILT_IN, Names, Reference, check_interval};
use super::source_map::SourceMap;
use super::targets::Merged;
use crate::arch::{self, Arch, Operand};
use crate::error::{Collector, Error, ErrorKind, Errors, Place, Result};
use crate::program::{
    Contents as SectionContents, Definition, Program, RelocationKind, Section, SectionId,
    SectionKind, Symbol, SymbolId, SymbolType,
};
use crate::target::Target;
use crate::units::{Align, Size};

/// Where a program starts that does not say it.
pub(super) const DEFAULT_ENTRY: &str = "start";

/// How many bytes minild fills in memory for one item. More is no file that anybody wants, and would not
/// be a mistake that a machine can bear.
const MOST_FILLED: u64 = 1 << 28;

/// An item with its bytes.
struct Piece<'s> {
    name: &'s str,
    group: &'static Group,
    view: View<'s>,
    body: Body<'s>,
}

enum Body<'s> {
    Block(Cow<'s, Block>),
    File { path: PathBuf, len: u64 },
    Zeros(u64),
}

impl Body<'_> {
    fn len(&self) -> u64 {
        match self {
            Self::Block(block) => block.len(),
            Self::File { len, .. } | Self::Zeros(len) => *len,
        }
    }

    fn block(&self) -> Option<&Block> {
        match self {
            Self::Block(block) => Some(block),
            _ => None,
        }
    }
}

/// The program that `spec` describes for `target`, whose name stands at `place` of the text.
pub(super) fn lower<'s>(
    spec: &'s Spec,
    target: Target,
    place: &Place,
) -> Result<(Program<'s>, SourceMap)> {
    let mut errors = Collector::default();
    let parts = Parts::new(spec, target, &mut errors);
    // A piece that is wrong may be the one that has the code or the entry.
    if errors.is_empty() {
        parts.check_entry(target, place, &mut errors);
    }
    let Parts { merged, entry, arch, pieces, names } = parts;
    let mut lowering = Lowering {
        program: Program::new(target),
        map: SourceMap::default(),
        names,
        arch,
        errors: &mut errors,
    };
    lowering.program.wishes.position =
        merged.position.map(|position| position.value).unwrap_or_default();
    let sections: Vec<_> = pieces.into_iter().map(|piece| lowering.add_piece(piece)).collect();
    lowering.program.entry = Some(lowering.program.reference(entry));
    for (section, locals, fixups) in &sections {
        for fixup in fixups {
            lowering.relocate(*section, locals, fixup);
        }
    }
    let Lowering { program, map, .. } = lowering;
    errors.into_result((program, map))
}

/// What is wrong with the parts of a spec for `target` that is wrong in other ways too: only what is
/// certain while some of its items are missing.
pub(super) fn check_parts(spec: &Spec, target: Target) -> Option<Errors> {
    let mut errors = Collector::default();
    Parts::new(spec, target, &mut errors);
    errors.into_result(()).err()
}

/// What a program is made of.
struct Parts<'s> {
    merged: Merged<'s>,
    entry: &'s str,
    arch: &'static Arch,
    pieces: Vec<Piece<'s>>,
    names: Names,
}

impl<'s> Parts<'s> {
    fn new(spec: &'s Spec, target: Target, errors: &mut Collector) -> Self {
        let merged = Merged::new(&spec.common, &spec.tables, target);
        let entry = merged.entry.map_or(DEFAULT_ENTRY, |entry| &entry.value);
        let arch = arch::of(target.architecture);
        let mut pieces = Vec::new();
        for (&(kind, name), view) in &merged.items {
            let group =
                GROUPS.iter().find(|group| group.kind == kind).expect("items are of a group");
            // A bare file of code has no labels and no name: its first byte is where the program starts.
            let is_nameless = view.is_bare && view.contents.is_some_and(|said| said.key == "file");
            let name = if is_nameless { entry } else { name };
            let body = Bodies { arch, errors: &mut *errors }.item(name, group, view);
            pieces.extend(body.map(|body| Piece { name, group, view: *view, body }));
        }
        let names = collect_names(&merged, &pieces, errors);
        Self { merged, entry, arch, pieces, names }
    }

    fn check_entry(&self, target: Target, place: &Place, errors: &mut Collector) {
        if !self.pieces.iter().any(|piece| piece.group.kind == SectionKind::Code) {
            errors.push(
                Error::new(ErrorKind::Missing, format!("the program for `{target}` has no code"))
                    .at(place.clone(), "")
                    .help(format!("give [target.{target}] a `hex` or a `file`")),
            );
        } else if !self.names.has_place(self.entry) {
            errors.push(no_entry(&self.merged, &self.names, target, place));
        }
    }
}

/// What a file of code or an item of data is called, and the labels that others see.
fn collect_names(merged: &Merged<'_>, pieces: &[Piece<'_>], errors: &mut Collector) -> Names {
    let mut names = Names::default();
    for (name, number) in &merged.constants {
        names.add_constant(name, number, errors);
    }
    for piece in pieces {
        if piece.is_symbol() {
            names.add_place(piece.name, piece.body.len(), piece.view.span, errors);
        }
        let Some(block) = piece.body.block() else { continue };
        for (label, size) in block.sized_labels().filter(|(label, _)| !label.is_local()) {
            names.add_place(&label.name, size, &label.span, errors);
        }
    }
    names
}

fn no_entry(merged: &Merged<'_>, names: &Names, target: Target, place: &Place) -> Error {
    if let Some(entry) = merged.entry {
        let message = format!("the entry `{}` is not defined for `{target}`", entry.value);
        return Error::new(ErrorKind::UndefinedSymbol, message)
            .at(Place::Text(entry.span.clone()), "")
            .nearest(&entry.value, names.places());
    }
    let message =
        format!("the program for `{target}` has no entry: nothing is called `{DEFAULT_ENTRY}`");
    Error::new(ErrorKind::Missing, message).at(place.clone(), "").help(format!(
        "give its first instruction the label `{DEFAULT_ENTRY}:`, or say entry = \"NAME\""
    ))
}

impl Piece<'_> {
    /// Whether its name is a symbol. Code is named by its labels; a file has none.
    fn is_symbol(&self) -> bool {
        self.group.kind != SectionKind::Code || matches!(self.body, Body::File { .. })
    }
}

/// Gives items their bytes.
struct Bodies<'e> {
    arch: &'static Arch,
    errors: &'e mut Collector,
}

impl Bodies<'_> {
    fn item<'s>(&mut self, name: &str, group: &Group, view: &View<'s>) -> Option<Body<'s>> {
        if view.contents.is_none() && view.size.is_none() {
            let message = format!("`{}.{name}` does not say what it holds", group.name);
            let keys = list(group.contents_keys());
            self.errors.push(
                Error::new(ErrorKind::Missing, message)
                    .at(Place::Text(view.span.clone()), "")
                    .help(format!("it can have {keys}")),
            );
            return None;
        }
        let purpose = match group.kind {
            SectionKind::Code => Purpose::Code,
            _ => Purpose::Data,
        };
        self.body(view, purpose)
    }

    fn body<'s>(&mut self, view: &View<'s>, purpose: Purpose) -> Option<Body<'s>> {
        let contents = match view.contents {
            None => None,
            // What is wrong with it was told when it was read.
            Some(said) => Some((said, said.value.as_ref()?)),
        };
        let fill = view.fill.map_or(0, |fill| fill.value);
        let Some(size) = view.size else {
            if let Some(fill) = view.fill {
                self.errors.push(
                    Error::new(ErrorKind::Missing, "`fill` without `size` fills nothing")
                        .at(Place::Text(fill.span.clone()), ""),
                );
            }
            return Some(self.contents(contents?.1, purpose));
        };
        let mut block = match contents {
            None if fill == 0 => return Some(Body::Zeros(size.value)),
            None => Block::default(),
            Some((said, contents)) => match self.contents(contents, purpose) {
                Body::Block(block) => block.into_owned(),
                Body::File { .. } | Body::Zeros(_) => {
                    let error =
                        Error::new(ErrorKind::Conflict, "the size of a `file` is the file's")
                            .at(Place::Text(size.span.clone()), "")
                            .at(Place::Text(said.key_span.clone()), "the file");
                    self.errors.push(error);
                    return None;
                }
            },
        };
        if block.len() > size.value {
            let message = format!("{} bytes do not fit a size of {}", block.len(), size.value);
            let mut error =
                Error::new(ErrorKind::OutOfRange, message).at(Place::Text(size.span.clone()), "");
            if let Some((said, _)) = contents {
                error = error.at(Place::Text(said.span.clone()), "these bytes");
            }
            self.errors.push(error.value(size.value.into(), block.len().into()..=u64::MAX.into()));
        } else if size.value > MOST_FILLED {
            let message =
                format!("{} bytes are too many to be filled: at most {MOST_FILLED}", size.value);
            let error = Error::new(ErrorKind::TooLarge, message)
                .at(Place::Text(size.span.clone()), "")
                .value(size.value.into(), 0..=MOST_FILLED.into());
            self.errors.push(error.help("zeros cost nothing in `bss`"));
        } else {
            fill_up(&mut block, size.value, fill);
        }
        Some(Body::Block(Cow::Owned(block)))
    }

    fn contents<'s>(&mut self, contents: &'s Contents, purpose: Purpose) -> Body<'s> {
        match contents {
            Contents::Block(block) => Body::Block(Cow::Borrowed(block)),
            Contents::Hex(hex) => {
                Body::Block(Cow::Owned(assemble(hex, self.arch, purpose, self.errors)))
            }
            Contents::File { path, len } => Body::File { path: path.clone(), len: *len },
            Contents::Fields(fields) => {
                let mut all = Block::default();
                for field in fields {
                    self.append_field(&mut all, &field.view(), purpose);
                }
                Body::Block(Cow::Owned(all))
            }
        }
    }

    fn append_field(&mut self, all: &mut Block, field: &View<'_>, purpose: Purpose) {
        if field.contents.is_none() && field.size.is_none() {
            let error = Error::new(ErrorKind::Missing, "this field holds nothing")
                .at(Place::Text(field.span.clone()), "");
            return self.errors.push(error.help("write it like { u32 = 1 }"));
        }
        match self.body(field, purpose) {
            Some(Body::Block(block)) => all.append(block.into_owned()),
            Some(Body::Zeros(size)) if size <= MOST_FILLED => {
                let end = all.len() + size;
                fill_up(all, end, 0);
            }
            Some(Body::Zeros(size)) => {
                let message =
                    format!("{size} bytes are too many to be filled: at most {MOST_FILLED}");
                let error = Error::new(ErrorKind::TooLarge, message)
                    .at(Place::Text(field.span.clone()), "")
                    .value(size.into(), 0..=MOST_FILLED.into());
                self.errors.push(error);
            }
            Some(Body::File { .. }) => unreachable!("`file` is no key of a field"),
            None => {}
        }
    }
}

/// The local labels of a piece.
type Locals = FxHashMap<String, SymbolId>;

/// How a number gets into the bytes.
#[derive(Clone, Copy)]
enum Writer {
    Number(Number),
    Field(RelocationKind),
}

/// An offset or a width in a block, which lies in memory.
fn usize_of(count: u64) -> usize {
    usize::try_from(count).expect("what is in memory has offsets of its machine")
}

struct Lowering<'s, 'e> {
    program: Program<'s>,
    map: SourceMap,
    names: Names,
    arch: &'static Arch,
    errors: &'e mut Collector,
}

impl<'s> Lowering<'s, '_> {
    /// Adds a piece as a section with its symbols; gives what its relocations need once all symbols are
    /// defined.
    fn add_piece(&mut self, piece: Piece<'s>) -> (SectionId, Locals, Vec<Fixup>) {
        let (len, is_symbol) = (piece.body.len(), piece.is_symbol());
        let Piece { name, group, view, body } = piece;
        let (contents, labels, fixups) = match body {
            Body::File { path, len } => {
                (SectionContents::File { path, offset: 0, len }, Vec::new(), Vec::new())
            }
            Body::Zeros(size) => (SectionContents::Zeros(Size(size)), Vec::new(), Vec::new()),
            Body::Block(block) => {
                let labels =
                    block.sized_labels().map(|(label, size)| (label.clone(), size)).collect();
                let (bytes, fixups) = self.fill_in_numbers(block);
                (SectionContents::Bytes(bytes), labels, fixups)
            }
        };
        let marks = fixups.iter().map(|fixup| (fixup.offset, fixup.span.clone())).collect();
        self.map.add_section(view.span.clone(), marks);
        let align = view.align.map_or(Align::WORD, |align| align.value);
        let section =
            self.program.add_section(Section::new(name, group.kind, contents).aligned(align));

        if is_symbol {
            let symbol = self.program.define(name, section, 0, len);
            self.name_symbol(symbol, group.symbol_type, view.span);
        }
        let mut locals = Locals::default();
        for (label, size) in labels {
            if label.is_local() {
                let definition = Definition::Section { section, offset: label.offset };
                let symbol =
                    self.program.add_symbol(Symbol::new(label.name.clone(), definition).local());
                self.map.add_symbol(symbol, &label.span);
                locals.insert(label.name, symbol);
            } else {
                let symbol = self.program.define(label.name, section, label.offset, size);
                self.name_symbol(symbol, group.symbol_type, &label.span);
            }
        }
        (section, locals, fixups)
    }

    fn name_symbol(
        &mut self,
        symbol: SymbolId,
        symbol_type: SymbolType,
        span: &super::document::Span,
    ) {
        self.program.symbol_mut(symbol).symbol_type = symbol_type;
        self.map.add_symbol(symbol, span);
    }

    /// Writes every number of `block` into its place; the fixups that are left depend on addresses.
    fn fill_in_numbers(&mut self, mut block: Cow<'s, Block>) -> (Cow<'s, [u8]>, Vec<Fixup>) {
        let (mut numbers, mut fixups) = (Vec::new(), Vec::new());
        for fixup in &block.fixups {
            match self.number(fixup, &block.bytes) {
                Ok(Some(number)) => numbers.push((usize_of(fixup.offset), number)),
                Ok(None) => fixups.push(fixup.clone()),
                Err(error) => self.errors.push(error),
            }
        }
        if !numbers.is_empty() {
            let bytes = &mut block.to_mut().bytes;
            for (offset, (value, writer)) in numbers {
                match writer {
                    Writer::Number(number) => number.write(bytes, offset, value),
                    Writer::Field(kind) => {
                        kind.insert(&mut bytes[offset..offset + usize_of(kind.width())], value);
                    }
                }
            }
        }
        let bytes = match block {
            Cow::Borrowed(block) => Cow::Borrowed(block.bytes.as_slice()),
            Cow::Owned(block) => Cow::Owned(block.bytes),
        };
        (bytes, fixups)
    }

    /// The number that `fixup` puts into `bytes`, and how; `None` where it depends on an address.
    fn number(&self, fixup: &Fixup, bytes: &[u8]) -> Result<Option<(i128, Writer)>, Error> {
        let span = &fixup.expression.span;
        match fixup.field {
            Field::Number(number) => {
                let value = self.names.number(&fixup.expression, number)?;
                Ok(Some((value, Writer::Number(number))))
            }
            // A field that takes addresses as they are takes numbers too, and these are known now.
            Field::Relocation { kind, .. } if kind.operand() == Operand::Address => {
                let Some(value) = self.names.plain_number(&fixup.expression)? else {
                    return Ok(None);
                };
                check_interval(value, kind.name(), kind.interval().into_inner(), span)?;
                let start = usize_of(fixup.offset);
                match kind.granule(&bytes[start..start + usize_of(kind.width())]) {
                    Ok(_) => Ok(Some((value, Writer::Field(kind)))),
                    Err(wrong) => {
                        let message = format!("`{}` belongs on {}", kind.name(), wrong.expected);
                        Err(Error::new(ErrorKind::UnsupportedRelocation, message)
                            .at(Place::Text(fixup.span.clone()), ""))
                    }
                }
            }
            Field::Relocation { .. } | Field::Pointer => Ok(None),
        }
    }

    fn relocate(&mut self, section: SectionId, locals: &Locals, fixup: &Fixup) {
        let (kind, bias) = match fixup.field {
            Field::Number(_) => unreachable!("numbers are filled in"),
            Field::Relocation { kind, bias } => (kind, bias),
            Field::Pointer => (self.arch.pointer(), 0),
        };
        match self.names.reference(&fixup.expression) {
            Ok(reference) => {
                if let Err(error) =
                    self.add_relocation(section, locals, fixup, (kind, bias), &reference)
                {
                    self.errors.push(error);
                }
            }
            Err(error) => self.errors.push(error),
        }
    }

    fn add_relocation(
        &mut self,
        section: SectionId,
        locals: &Locals,
        fixup: &Fixup,
        (kind, bias): (RelocationKind, i64),
        reference: &Reference<'_>,
    ) -> Result<(), Error> {
        let symbol = self.symbol(reference.symbol, locals, fixup);
        let Some(addend) = reference.addend.checked_add(bias) else {
            let message = format!("{} is too much to add to an address", reference.addend);
            let place = Place::Text(fixup.span.clone());
            return Err(Error::new(ErrorKind::OutOfRange, message).at(place, ""));
        };
        self.program.relocate(section, fixup.offset, kind, symbol, addend);
        let Some(minus) = reference.minus else { return Ok(()) };
        let subtrahend = self
            .arch
            .kinds()
            .find(|minus| minus.operand() == Operand::Subtract && minus.width() == kind.width());
        let can_subtract = kind.operand() == Operand::Address && !kind.is_in_instruction();
        let Some(subtract) = subtrahend.filter(|_| can_subtract) else {
            let message = format!("`{}` cannot hold the difference of two names", kind.name());
            return Err(Error::new(ErrorKind::Unsupported, message)
                .at(Place::Text(fixup.span.clone()), "")
                .help("`abs64` and `abs32` can"));
        };
        let symbol = self.symbol(minus, locals, fixup);
        self.program.relocate(section, fixup.offset, subtract, symbol, 0);
        Ok(())
    }

    /// The symbol that `fixup` means by `name`.
    fn symbol(&mut self, name: &str, locals: &Locals, fixup: &Fixup) -> SymbolId {
        if let Some(&symbol) = locals.get(name) {
            return symbol;
        }
        let symbol = self.program.reference(name.to_owned());
        self.map.add_symbol(symbol, &fixup.expression.span);
        let built_in = BUILT_IN.iter().find(|(known, _)| *known == name);
        if let (Some(&(_, landmark)), Definition::Undefined) =
            (built_in, self.program.symbol(symbol).definition)
        {
            self.program.symbol_mut(symbol).definition = Definition::Landmark(landmark);
        }
        symbol
    }
}
