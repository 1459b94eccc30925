//! Which name an address has: a symbol's, an export's, that of what a slot is filled with.

use rustc_hash::FxHashMap;

use super::super::inspect::{Image, Import, Relocation};
use super::super::reader::Name;
use super::{Disassembly, Range};
use crate::error::{Error, ErrorKind};

/// Farther behind a name, it is not meant any more.
const NEAR: u64 = 1 << 20;

/// The names of an image.
#[derive(Debug)]
pub(super) struct Names<'i> {
    /// By section (0 but in object files) and address.
    labels: Vec<(u32, u64, &'i Name<'i>, u64)>,
    /// Of what the loader writes, by where.
    slots: FxHashMap<u64, Slot<'i>>,
    /// Relocations of object files, by section and place.
    relocations: Vec<(u32, u64, &'i Relocation<'i>)>,
    /// Where sections start and end; a name says nothing about what lies in another.
    sections: Vec<(u64, u64)>,
    is_object: bool,
}

/// What a loader writes the address of. Names are borrowed: one long name may be that of every slot.
#[derive(Clone, Copy, Debug)]
enum Slot<'i> {
    Symbol(&'i Name<'i>),
    Import(&'i Import<'i>),
}

impl Slot<'_> {
    fn shown(self) -> String {
        match self {
            Self::Symbol(name) => shown(name),
            Self::Import(Import { library, name, ordinal, .. }) => {
                let library = library.as_ref().map(ToString::to_string).unwrap_or_default();
                match ordinal {
                    Some(ordinal) => format!("{library}!#{ordinal}"),
                    None => format!("{library}!{}", shown(name)),
                }
            }
        }
    }
}

/// More relocations of one instruction are not shown: compilers write two at most, and a file may claim millions.
const MOST_OF_AN_INSTRUCTION: usize = 4;

/// `R_X86_64_PLT32 puts-0x4`.
fn wanted(relocation: &Relocation<'_>) -> String {
    let symbol = relocation.symbol.as_ref().map(shown).unwrap_or_default();
    let addend = match relocation.addend.unwrap_or_default() {
        0 => String::new(),
        addend if addend < 0 => format!("-{:#x}", addend.unsigned_abs()),
        addend => format!("+{addend:#x}"),
    };
    format!("{} {symbol}{addend}", relocation.kind)
}

impl<'i> Names<'i> {
    pub(super) fn new(image: &'i Image<'_>) -> Self {
        let is_object = image.base.is_none();
        let mut labels = Vec::new();
        // A name lives as long as the image, whatever it borrows from.
        let shorter = |name: &'i Name<'_>| -> &'i Name<'i> { name };
        let shorter_relocation = |of: &'i Relocation<'_>| -> &'i Relocation<'i> { of };
        let shorter_import = |of: &'i Import<'_>| -> &'i Import<'i> { of };
        for symbol in image.symbols.iter().flatten() {
            let is_place = symbol.place == "section"
                && !symbol.name.is_empty()
                && !["section", "file", "thread-local"].contains(&&*symbol.kind);
            // `$x` and `$d` of arm64's ABI mark code and data.
            if !is_place || symbol.name.bytes().starts_with(b"$") {
                continue;
            }
            let (section, value) = match (is_object, symbol.table) {
                (true, _) => (symbol.section.unwrap_or_default(), symbol.value),
                // COFF counts from the section.
                (false, "COFF") => {
                    (0, symbol.value.wrapping_add(address_of(image, symbol.section)))
                }
                _ => (0, symbol.value),
            };
            labels.push((section, value, shorter(&symbol.name), symbol.size));
        }
        for export in image.exports.iter().flatten() {
            if let Some(address) = export.address.filter(|_| !export.name.is_empty()) {
                labels.push((0, address, shorter(&export.name), 0));
            }
        }
        // The same name may be in two tables.
        labels.sort_by_key(|&(section, address, name, size)| {
            (section, address, name, u64::MAX - size)
        });
        labels.dedup_by_key(|&mut (section, address, name, _)| (section, address, name));

        let mut slots = FxHashMap::default();
        let mut relocations = Vec::new();
        for relocation in image.relocations.iter().flatten() {
            let Some(symbol) = &relocation.symbol else { continue };
            if is_object {
                relocations.push((
                    relocation.section.unwrap_or_default(),
                    relocation.place,
                    shorter_relocation(relocation),
                ));
            } else {
                slots.insert(relocation.place, Slot::Symbol(shorter(symbol)));
            }
        }
        relocations.sort_by_key(|&(section, place, _)| (section, place));
        for import in image.imports.iter().flatten() {
            let Some(slot) = import.slot else { continue };
            slots.insert(slot, Slot::Import(shorter_import(import)));
        }
        let sections = image.sections.iter().flatten().filter(|section| section.address > 0);
        let sections =
            sections.map(|section| (section.address, section.address.saturating_add(section.size)));
        let mut sections: Vec<_> = if is_object { Vec::new() } else { sections.collect() };
        sections.sort_unstable();
        Self { labels, slots, relocations, sections, is_object }
    }

    /// The names of an address.
    pub(super) fn at(
        &self,
        section: u32,
        address: u64,
    ) -> impl DoubleEndedIterator<Item = &'i Name<'i>> + use<'i, '_> {
        let start = self.labels.partition_point(|label| (label.0, label.1) < (section, address));
        let end = self.labels.partition_point(|label| (label.0, label.1) <= (section, address));
        self.labels[start..end].iter().map(|label| label.2)
    }

    /// What an instruction refers to.
    pub(super) fn refers_to(
        &self,
        range: &Range<'i>,
        address: u64,
        length: u64,
        target: Option<u64>,
        code: &Disassembly<'i>,
    ) -> String {
        if self.is_object {
            // What will be written into it says more than what is there now.
            let start = (range.section, address);
            let first = self.relocations.partition_point(|of| (of.0, of.1) < start);
            let found = self.relocations[first..]
                .iter()
                .take_while(|of| of.0 == range.section && of.1 < address.saturating_add(length));
            let found: Vec<_> = found
                .take(MOST_OF_AN_INSTRUCTION)
                .map(|(.., relocation)| wanted(relocation))
                .collect();
            if !found.is_empty() {
                return found.join(", ");
            }
        }
        let Some(target) = target else { return String::new() };
        if let Some(name) = self.at(range.section, target).next() {
            return shown(name);
        }
        if let Some(slot) = self.slots.get(&target) {
            return slot.shown();
        }
        if let Some(slot) = self.stub(target, code) {
            return format!("{} (stub)", slot.shown());
        }
        self.near(range.section, target).unwrap_or_default()
    }

    /// The import that a stub jumps to.
    fn stub(&self, address: u64, code: &Disassembly<'i>) -> Option<Slot<'i>> {
        if self.slots.is_empty() {
            return None;
        }
        let bytes = code.code_at(address)?;
        let slot = (code.reader.slot_of_stub)(address, bytes)?;
        self.slots.get(&slot).copied()
    }

    /// The name before an address, and how far behind it that is.
    fn near(&self, section: u32, address: u64) -> Option<String> {
        let behind = self.labels.partition_point(|label| (label.0, label.1) <= (section, address));
        let &(of, start, name, size) = self.labels.get(behind.checked_sub(1)?)?;
        let distance = address.checked_sub(start)?;
        let before = self.sections.partition_point(|(start, _)| *start <= address);
        let is_elsewhere = before.checked_sub(1).is_some_and(|index| {
            let (first, end) = self.sections[index];
            start < first || address >= end
        });
        let is_inside =
            of == section && (size == 0 || distance < size) && distance < NEAR && !is_elsewhere;
        is_inside.then(|| format!("{}+{distance:#x}", shown(name)))
    }

    /// The code of what has this name.
    pub(super) fn only(&self, only: &str, ranges: &[Range<'i>]) -> Result<Vec<Range<'i>>, Error> {
        let mut found = Vec::new();
        for (index, &(section, address, name, size)) in self.labels.iter().enumerate() {
            if name.bytes() != only.as_bytes() && shown(name) != only {
                continue;
            }
            let later =
                self.labels[index..].iter().find(|label| (label.0, label.1) > (section, address));
            let next = later.filter(|label| label.0 == section).map_or(u64::MAX, |label| label.1);
            let length = if size > 0 { size } else { next - address };
            found.extend(ranges.iter().filter_map(|range| {
                if range.section != section {
                    return None;
                }
                let inside = usize::try_from(address.checked_sub(range.address)?).ok()?;
                let rest = range.bytes.get(inside..).filter(|rest| !rest.is_empty())?;
                let length = usize::try_from(length).unwrap_or(usize::MAX).min(rest.len());
                Some(Range { address, bytes: &rest[..length], ..range.clone() })
            }));
        }
        if found.is_empty() {
            let message = format!("no code is called `{only}`");
            let names: Vec<_> = self.labels.iter().map(|label| label.2.to_string()).collect();
            let error = Error::new(ErrorKind::UndefinedSymbol, message);
            return Err(error.nearest(only, names.iter().map(String::as_str)));
        }
        // Two tables may name the same code.
        found.dedup_by_key(|range| (range.section, range.address));
        Ok(found)
    }
}

fn address_of(image: &Image<'_>, section: Option<u32>) -> u64 {
    let Some(number) = section else { return 0 };
    let sections = image.sections.as_deref().unwrap_or_default();
    let index = (number as usize).wrapping_sub(1);
    sections.get(index).map_or(0, |section| section.address)
}

/// A name as it stood in the source, where that is known.
fn shown(name: &Name<'_>) -> String {
    #[cfg(feature = "demangle")]
    if let Some(source) = super::super::demangle::demangle(name.bytes()) {
        return Name::from(source).to_string();
    }
    name.to_string()
}
