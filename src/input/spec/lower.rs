//! Makes the [`Program`] of one target out of what the spec says for it.
//!
//! First every item gets its bytes; then all names and sizes are known; then numbers are filled in, and
//! sections, symbols and relocations go into the program in the order of the spec.

use std::borrow::Cow;

use rustc_hash::FxHashMap;

use super::Spec;
use super::block::{Block, Field, Fixup, Label, Number};
use super::document::Span;
use super::exports;
use super::imports;
use super::lists;
use super::names::{BUILT_IN, Names, Reference, check_interval};
use super::pieces::Body;
use super::section::{Unit, gather};
use super::settle::{collect_names, pieces};
use super::source_map::SourceMap;
use super::targets::Merged;
use crate::arch::start_up;
use crate::arch::{self, Arch, Operand};
use crate::error::{Collector, Error, ErrorKind, Errors, Place, Result};
use crate::program::{
    Contents, Definition, OutputKind, Program, RelocationKind, Section, SectionId, SectionKind,
    Start, Symbol, SymbolId, SymbolType,
};
use crate::target::Target;
use crate::units::Size;

/// Where a program starts that does not say it.
pub(super) const DEFAULT_ENTRY: &str = "start";

/// The program that `spec` describes for `target`, whose name stands at `place` of the text.
#[cfg_attr(feature = "tracing", tracing::instrument(skip_all, name = "lower_spec"))]
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
    let Parts { merged, entry, arch, units, names } = parts;
    let mut lowering = Lowering {
        program: Program::new(target),
        map: SourceMap::default(),
        names,
        arch,
        errors: &mut errors,
    };
    if let Some(name) = &spec.name {
        lowering.program.name = name.into();
    }
    merged.wishes.add(&mut lowering.program, &mut lowering.map);
    let pending: Vec<_> = units.into_iter().flat_map(|unit| lowering.add_unit(unit)).collect();
    let Lowering { program, map, errors: found, .. } = &mut lowering;
    imports::add(&merged.imports, program, map, found);
    start_up::import_thread_locals(program);
    program.init = lists::symbols("init", merged.init, program, map);
    program.fini = lists::symbols("fini", merged.fini, program, map);
    if program.wishes.start == Some(Start::Libc) || start_up::is_for_libc(program) {
        start_up::start_by_libc(program);
    }
    if let Some(exports) = merged.exports {
        exports::add(exports, program, map);
    }
    if let Some(entry) = entry {
        program.entry = Some(program.reference(entry));
    }
    for pending in &pending {
        lowering.relocate(pending);
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
    /// Where the program starts; a library need not say.
    entry: Option<&'s str>,
    arch: &'static Arch,
    units: Vec<Unit<'s>>,
    names: Names,
}

impl<'s> Parts<'s> {
    fn new(spec: &'s Spec, target: Target, errors: &mut Collector) -> Self {
        let merged = Merged::new(&spec.common, &spec.tables, target);
        let said = merged.entry.map(|entry| entry.value.as_str());
        let entry = said
            .or_else(|| (merged.wishes.kind() == OutputKind::Executable).then_some(DEFAULT_ENTRY));
        let arch = arch::of(target.architecture);
        let pieces = pieces(&merged, entry, arch, errors);
        let units = gather(&merged, pieces, errors);
        let names = collect_names(&merged, &units, errors);
        Self { merged, entry, arch, units, names }
    }

    fn check_entry(&self, target: Target, place: &Place, errors: &mut Collector) {
        if !self.units.iter().any(|unit| unit.kind == SectionKind::Code) {
            errors.push(
                Error::new(ErrorKind::Missing, format!("the program for `{target}` has no code"))
                    .at(place.clone(), "")
                    .help(format!("give [target.{target}] an `asm`, a `hex` or a `file`")),
            );
        } else if self.entry.is_some_and(|entry| !self.names.has_place(entry)) {
            errors.push(no_entry(self, target, place));
        }
    }
}

fn no_entry(parts: &Parts<'_>, target: Target, place: &Place) -> Error {
    let Parts { merged, names, units, .. } = parts;
    if let Some(entry) = merged.entry {
        let message = format!("the entry `{}` is not defined for `{target}`", entry.value);
        return Error::new(ErrorKind::UndefinedSymbol, message)
            .at(Place::Text(entry.span.clone()), "")
            .nearest(&entry.value, names.places());
    }
    let message =
        format!("the program for `{target}` has no entry: nothing is called `{DEFAULT_ENTRY}`");
    let code = units.iter().filter(|unit| unit.kind == SectionKind::Code);
    let pieces = code.flat_map(|unit| &unit.members).map(|(_, piece)| piece);
    let mut known = pieces.flat_map(|piece| {
        let labels = piece.body.block().map(|block| block.labels.as_slice()).unwrap_or_default();
        let labels = labels.iter().filter(|label| !label.is_local());
        let file = piece.is_symbol().then_some(piece.name);
        file.into_iter().chain(labels.map(|label| label.name.as_str()))
    });
    let name = known.next().unwrap_or("NAME");
    Error::new(ErrorKind::Missing, message).at(place.clone(), "").help(format!(
        "give its first instruction the label `{DEFAULT_ENTRY}:`, or say entry = \"{name}\""
    ))
}

/// The fields of a piece that wait until all symbols are defined.
struct Pending {
    section: SectionId,
    /// Where the piece starts in the section.
    base: u64,
    /// The piece's local labels.
    locals: FxHashMap<String, SymbolId>,
    fixups: Vec<Fixup>,
}

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

/// The pieces of a section of `size` bytes, each at its offset.
fn join(mut parts: Vec<(u64, Contents<'_>)>, size: u64, padding: u8) -> Contents<'_> {
    if parts.len() == 1
        && let Some((_, only)) = parts.pop()
    {
        return only;
    }
    if parts.iter().all(|(_, part)| matches!(part, Contents::Zeros(_))) {
        return Contents::Zeros(Size(size));
    }
    let mut joined = vec![padding; usize_of(size)];
    for (base, part) in parts {
        let bytes = &mut joined[usize_of(base)..][..usize_of(part.size().0)];
        match part {
            Contents::Bytes(part) => bytes.copy_from_slice(&part),
            Contents::Zeros(_) => bytes.fill(0),
            // Told where the section was put together: a file does not share it.
            Contents::File { .. } => {}
        }
    }
    joined.into()
}

struct Lowering<'s, 'e> {
    program: Program<'s>,
    map: SourceMap,
    names: Names,
    arch: &'static Arch,
    errors: &'e mut Collector,
}

impl<'s> Lowering<'s, '_> {
    /// Adds a section with its symbols; gives what its relocations need once all symbols are defined.
    fn add_unit(&mut self, unit: Unit<'s>) -> Vec<Pending> {
        let Unit { name, span, kind, align, at, wishes, is_symbol, size, members } = unit;
        let mut parts = Vec::new();
        let mut rest = Vec::new();
        for (base, piece) in members {
            let symbol = piece.is_symbol().then_some((piece.name, piece.body.len()));
            let labels = piece.body.block().map(Block::sized_labels).unwrap_or_default();
            let labels: Vec<_> =
                labels.into_iter().map(|(label, size)| (label.clone(), size)).collect();
            let (contents, fixups) = self.contents(piece.body);
            parts.push((base, contents));
            rest.push((base, symbol, piece.view.span, piece.group.symbol_type, labels, fixups));
        }
        let padding = if kind == SectionKind::Code { self.arch.code_padding() } else { 0 };
        let contents = join(parts, size, padding);
        let made = Section { at, ..Section::new(name, kind, contents).aligned(align) };
        let section = self.program.add_section(made);
        self.map.add_section(span.clone(), wishes);
        if is_symbol {
            self.define(section, name.to_owned(), (0, size), SymbolType::Unspecified, span);
        }
        let mut pending = Vec::new();
        for (base, symbol, span, symbol_type, labels, fixups) in rest {
            if let Some((name, len)) = symbol {
                self.define(section, name.to_owned(), (base, len), symbol_type, span);
            }
            let mut locals = FxHashMap::default();
            for (Label { name, offset, span }, size) in labels {
                let offset = base + offset;
                if name.starts_with('.') {
                    let place = Definition::Section { section, offset };
                    let symbol = self.program.add_symbol(Symbol::new(name.clone(), place).local());
                    self.map.add_symbol(symbol, &span);
                    locals.insert(name, symbol);
                } else {
                    self.define(section, name, (offset, size), symbol_type, &span);
                }
            }
            self.map.add_mark(section, base, span);
            for fixup in &fixups {
                self.map.add_mark(section, base + fixup.offset, &fixup.span);
            }
            pending.push(Pending { section, base, locals, fixups });
        }
        pending
    }

    fn define(
        &mut self,
        section: SectionId,
        name: String,
        (offset, size): (u64, u64),
        symbol_type: SymbolType,
        span: &Span,
    ) {
        let symbol = self.program.define(name, section, offset, size);
        self.program.symbol_mut(symbol).symbol_type = symbol_type;
        self.map.add_symbol(symbol, span);
    }

    /// What a piece holds with its numbers filled in, and the fields that are left.
    fn contents(&mut self, body: Body<'s>) -> (Contents<'s>, Vec<Fixup>) {
        match body {
            Body::File { path, len } => (Contents::File { path, offset: 0, len }, Vec::new()),
            Body::Zeros(size) => (Contents::Zeros(Size(size)), Vec::new()),
            Body::Block(block) => {
                let (bytes, fixups) = self.fill_in_numbers(block);
                (Contents::Bytes(bytes), fixups)
            }
        }
    }

    /// Writes every number of `block` into its place; the fixups that are left depend on addresses.
    fn fill_in_numbers(&mut self, mut block: Cow<'s, Block>) -> (Cow<'s, [u8]>, Vec<Fixup>) {
        let (mut numbers, mut fixups) = (Vec::new(), Vec::new());
        for fixup in &block.fixups {
            match self.number(fixup, &block.bytes) {
                Ok(Some(number)) => numbers.push((usize_of(fixup.offset), number)),
                Ok(None) => fixups.push(fixup.clone()),
                Err(errors) => self.errors.extend(errors),
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
    fn number(&self, fixup: &Fixup, bytes: &[u8]) -> Result<Option<(i128, Writer)>> {
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
                            .at(Place::Text(fixup.span.clone()), "")
                            .into())
                    }
                }
            }
            Field::Relocation { .. } | Field::Pointer => Ok(None),
        }
    }

    /// Adds the relocations of a piece.
    fn relocate(&mut self, pending: &Pending) {
        for fixup in &pending.fixups {
            if let Err(error) = self.add_relocation(pending, fixup) {
                self.errors.push(error);
            }
        }
    }

    fn add_relocation(&mut self, pending: &Pending, fixup: &Fixup) -> Result<(), Error> {
        let (kind, bias) = match fixup.field {
            Field::Number(_) => unreachable!("numbers are filled in"),
            Field::Relocation { kind, bias } => (kind, bias),
            Field::Pointer => (self.arch.pointer(), 0),
        };
        let Reference { symbol, minus, addend } = self.names.reference(&fixup.expression, bias)?;
        let (symbol, minus) = (
            self.symbol(symbol, pending, fixup),
            minus.map(|minus| self.symbol(minus, pending, fixup)),
        );
        let offset = pending.base + fixup.offset;
        self.program.relocate(pending.section, offset, kind, symbol, addend);
        let Some(minus) = minus else { return Ok(()) };
        let Some(subtract) = self.subtrahend(kind) else {
            let message = format!("`{}` cannot hold the difference of two names", kind.name());
            return Err(Error::new(ErrorKind::Unsupported, message)
                .at(Place::Text(fixup.span.clone()), "")
                .help("`abs64` and `abs32` can"));
        };
        self.program.relocate(pending.section, offset, subtract, minus, 0);
        Ok(())
    }

    /// The kind that makes a field of `kind` the difference of two addresses.
    fn subtrahend(&self, kind: RelocationKind) -> Option<RelocationKind> {
        let is_plain = kind.operand() == Operand::Address && !kind.is_in_instruction();
        let mut kinds = self.arch.kinds().filter(|_| is_plain);
        kinds.find(|other| other.operand() == Operand::Subtract && other.width() == kind.width())
    }

    /// The symbol that `fixup` means by `name`.
    fn symbol(&mut self, name: &str, pending: &Pending, fixup: &Fixup) -> SymbolId {
        if let Some(&symbol) = pending.locals.get(name) {
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
