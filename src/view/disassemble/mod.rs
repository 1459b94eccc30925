//! Machine code as text, with the names of what it calls and reads.
//!
//! Takes an image whose sections, symbols, imports, exports and relocations were read, and gives lines: a section, a
//! name, an instruction. `iced-x86` and `fARM64` read the instructions; which name an address has is found here.

mod aarch64;
mod names;
mod x86_64;

use crate::error::{Error, ErrorKind};

use super::inspect::{Image, Part, Parts};
use super::reader::{Name, bytes_until};
use names::Names;

/// The code of an image, ready to be read.
#[derive(Debug)]
pub struct Disassembly<'i> {
    /// All code.
    code: Vec<Range<'i>>,
    /// What of it is shown.
    ranges: Vec<Range<'i>>,
    names: Names<'i>,
    reader: &'static Reader,
}

/// A run of code.
#[derive(Clone, Debug)]
pub(super) struct Range<'i> {
    /// The section it is of; `None` where only segments are known.
    name: Name<'i>,
    /// The section's number, which names of object files belong to.
    section: u32,
    address: u64,
    bytes: &'i [u8],
}

/// A line of a disassembly.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum Line<'i> {
    /// A section starts.
    Section {
        /// Its name.
        name: Name<'i>,
        /// Its address.
        address: u64,
    },
    /// Something with a name starts.
    Label {
        /// Its address.
        address: u64,
        /// Its name.
        name: Name<'i>,
    },
    /// An instruction.
    Instruction {
        /// Its address.
        address: u64,
        /// Its bytes in hex, in the order of the file; on arm64 the word, as its manual prints it.
        bytes: String,
        /// What it does.
        text: String,
        /// What it refers to, by name; empty where it refers to nothing that has one.
        target: String,
    },
}

/// An instruction that was read.
pub(super) struct Decoded {
    length: usize,
    bytes: String,
    text: String,
    /// The address that it names.
    target: Option<u64>,
}

/// What reads an architecture's code.
#[derive(Debug)]
struct Reader {
    architecture: &'static str,
    /// Reads the instruction at an address, from bytes of which there is at least one.
    step: fn(u64, &[u8], &mut State) -> Decoded,
    /// The slot that the stub at an address jumps through, if it is one.
    slot_of_stub: fn(u64, &[u8]) -> Option<u64>,
}

static READERS: [Reader; 2] = [
    Reader { architecture: "x86_64", step: x86_64::step, slot_of_stub: x86_64::slot_of_stub },
    Reader { architecture: "aarch64", step: aarch64::step, slot_of_stub: aarch64::slot_of_stub },
];

/// What instructions before tell about one.
#[derive(Default)]
pub(super) struct State {
    x86_64: Option<x86_64::Printer>,
    aarch64: aarch64::Pages,
}

impl<'i> Disassembly<'i> {
    /// What has to be read of an image for it.
    pub const PARTS: Parts = Parts::OVERVIEW
        .with(Part::Symbols)
        .with(Part::Imports)
        .with(Part::Exports)
        .with(Part::Relocations);

    /// Prepares the code of an image of `data`, the whole file; or only what has one name, mangled or not.
    ///
    /// # Errors
    /// For another architecture, and for a name that nothing has.
    pub fn new(image: &'i Image<'_>, data: &'i [u8], only: Option<&str>) -> Result<Self, Error> {
        let reader = READERS.iter().find(|reader| reader.architecture == image.architecture);
        let reader = reader.ok_or_else(|| {
            let other = &image.architecture;
            let message = format!("no disassembler reads {other}; x86_64 and aarch64 are read");
            Error::new(ErrorKind::Unsupported, message)
        })?;
        let names = Names::new(image);
        let code = ranges(image, data);
        let ranges = match only {
            Some(only) => names.only(only, &code)?,
            None => code.clone(),
        };
        Ok(Self { code, ranges, names, reader })
    }

    /// Its lines, in the order of the sections.
    pub fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.ranges.iter().flat_map(move |range| {
            let start = Line::Section { name: range.name.clone(), address: range.address };
            std::iter::once(start).chain(self.range(range))
        })
    }

    fn range<'d>(&'d self, range: &'d Range<'i>) -> impl Iterator<Item = Line<'d>> {
        let mut at = 0;
        let mut state = State::default();
        let mut waiting = Vec::new();
        std::iter::from_fn(move || {
            if let Some(line) = waiting.pop() {
                return Some(line);
            }
            let rest = range.bytes.get(at..).filter(|rest| !rest.is_empty())?;
            let address = range.address.wrapping_add(at as u64);
            let decoded = (self.reader.step)(address, rest, &mut state);
            at += decoded.length.max(1);
            let length = decoded.length as u64;
            let target = self.names.refers_to(range, address, length, decoded.target, self);
            let (bytes, text) = (decoded.bytes, decoded.text);
            waiting.push(Line::Instruction { address, bytes, text, target });
            // Names come before it, in their order.
            let labels = self.names.at(range.section, address);
            waiting.extend(labels.rev().map(|name| Line::Label { address, name: name.clone() }));
            waiting.pop()
        })
    }

    /// The bytes of code at an address.
    fn code_at(&self, address: u64) -> Option<&'i [u8]> {
        self.code.iter().find_map(|range| {
            let inside = usize::try_from(address.checked_sub(range.address)?).ok()?;
            range.bytes.get(inside..).filter(|bytes| !bytes.is_empty())
        })
    }
}

/// The code of an image: its sections with code; where there are no sections, its segments.
fn ranges<'i>(image: &'i Image<'_>, data: &'i [u8]) -> Vec<Range<'i>> {
    let is_object = image.base.is_none();
    let mut ranges = Vec::new();
    // Sections that overlap are read as long as there are bytes in the file.
    let mut left = data.len();
    let mut add = |name: &Name<'i>, section: u32, address: u64, offset: u64, size: u64| {
        let bytes = bytes_until(data, image.offset.saturating_add(offset), size);
        if bytes.is_empty() || bytes.len() > left {
            return;
        }
        left -= bytes.len();
        let section = if is_object { section } else { 0 };
        ranges.push(Range { name: name.clone(), section, address, bytes });
    };
    let sections = image.sections.iter().flatten();
    for section in sections.filter(|section| section.code) {
        let Some(offset) = section.offset else { continue };
        let name = Name::owned(section.name.bytes().to_vec());
        // What is behind the section's size in memory is padding.
        let size =
            if section.size == 0 { section.file_size } else { section.file_size.min(section.size) };
        add(&name, section.index, section.address, offset, size);
    }
    if image.sections.iter().flatten().next().is_none() {
        for segment in image.segments.iter().flatten().filter(|segment| segment.permissions.execute)
        {
            let name = Name::owned(segment.name.bytes().to_vec());
            if name.bytes() == b"PT_LOAD" {
                add(&name, 0, segment.address, segment.offset, segment.file_size);
            }
        }
    }
    ranges
}
