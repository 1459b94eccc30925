//! What dyld writes, as chains: each page says where its first pointer is, each pointer says how far away
//! the next one is (`mach-o/fixup-chains.h`; dyld `ChainedFixups::validLinkedit`).

use std::mem::offset_of;

use indexmap::IndexMap;
use object::macho;
use object::{LittleEndian as LE, U16, U32, U64, pod};
use rustc_hash::FxBuildHasher;

use super::commands::number;
use super::opcodes::Word;
use super::plan::PAGE;

/// What a word is to hold.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target<'n> {
    /// An address of the image, in bytes from the Mach header.
    Image(u64),
    /// An import's address.
    Import(ChainedImport<'n>, i64),
}

/// How an import is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ChainedImport<'n> {
    pub(super) name: &'n str,
    pub(super) ordinal: u8,
    pub(super) weak: bool,
}

/// A segment that may have chains.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChainedSegment {
    /// Bytes from the Mach header.
    pub(super) offset: u64,
    /// Bytes of memory.
    pub(super) size: u64,
}

/// Bits of a chained pointer that hold an address of the image.
pub(super) const TARGET_BITS: u32 = 36;
/// What a chained pointer counts the distance to the next one in.
pub(super) const STRIDE: u64 = 4;
/// Bytes of a pointer.
const POINTER: u64 = 8;

/// Where in a chained pointer (`DYLD_CHAINED_PTR_64_OFFSET`) its parts start.
const NEXT_SHIFT: u32 = 51;
const BIND: u64 = 1 << 63;
const BIND_ADDEND_SHIFT: u32 = 24;
const HIGH_8_SHIFT: u32 = 36;

/// Whether a word can stand in a chain: at a stride, and in one page.
pub(super) fn is_chainable(word: Word) -> bool {
    word.offset.is_multiple_of(STRIDE) && word.offset % PAGE.get() <= PAGE.get() - POINTER
}

/// The payload of the load command, and what each word holds in the file. `words` ascend in memory, and
/// each is chainable.
pub(super) fn chains(
    segments: &[ChainedSegment],
    words: &[(Word, Target<'_>)],
) -> (Vec<u8>, Vec<u64>) {
    let mut imports = Imports::default();
    let mut values: Vec<u64> = words
        .iter()
        .map(|(_, target)| match target {
            Target::Image(offset) => {
                let (low, high) = (offset & ((1 << TARGET_BITS) - 1), offset >> 56);
                low | high << HIGH_8_SHIFT
            }
            Target::Import(import, addend) => imports.bind(*import, *addend),
        })
        .collect();
    for index in 1..words.len() {
        let (before, here) = (words[index - 1].0, words[index].0);
        if page_of(before) == page_of(here) {
            values[index - 1] |= ((here.offset - before.offset) / STRIDE) << NEXT_SHIFT;
        }
    }
    (payload(segments, words, &imports), values)
}

fn page_of(word: Word) -> (u8, u64) {
    (word.segment, word.offset / PAGE.get())
}

fn payload(
    segments: &[ChainedSegment],
    words: &[(Word, Target<'_>)],
    imports: &Imports<'_>,
) -> Vec<u8> {
    let header_size = size_of::<macho::DyldChainedFixupsHeader<LE>>().next_multiple_of(8);
    let starts = starts(segments, words);
    let (table, names) = imports.encode();
    let imports_offset = header_size + starts.len();
    let symbols_offset = imports_offset + table.len();
    let header = macho::DyldChainedFixupsHeader {
        fixups_version: U32::new(LE, 0),
        starts_offset: U32::new(LE, number(header_size as u64)),
        imports_offset: U32::new(LE, number(imports_offset as u64)),
        symbols_offset: U32::new(LE, number(symbols_offset as u64)),
        imports_count: U32::new(LE, number(imports.entries.len() as u64)),
        imports_format: U32::new(LE, imports.format()),
        symbols_format: U32::new(LE, 0), // not compressed
    };
    let mut bytes = pod::bytes_of(&header).to_vec();
    bytes.resize(header_size, 0);
    bytes.extend_from_slice(&starts);
    bytes.extend_from_slice(&table);
    bytes.extend_from_slice(&names);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

/// For each segment where its chains start, page by page; 0 for one without.
fn starts(segments: &[ChainedSegment], words: &[(Word, Target<'_>)]) -> Vec<u8> {
    let head = size_of::<macho::DyldChainedStartsInImage<LE>>() + 4 * segments.len();
    let mut bytes = number(segments.len() as u64).to_le_bytes().to_vec();
    bytes.resize(head, 0);
    for of_segment in words.chunk_by(|first, second| first.0.segment == second.0.segment) {
        let segment = usize::from(of_segment[0].0.segment);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        let entry = size_of::<macho::DyldChainedStartsInImage<LE>>() + 4 * segment;
        let offset = number(bytes.len() as u64);
        bytes[entry..entry + 4].copy_from_slice(&offset.to_le_bytes());
        push_starts_of_segment(&mut bytes, segments[segment], of_segment);
    }
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

fn push_starts_of_segment(
    bytes: &mut Vec<u8>,
    segment: ChainedSegment,
    words: &[(Word, Target<'_>)],
) {
    // Pages behind the last chain need no entry, but a segment's count covers all of it by custom.
    let page_count = segment.size.div_ceil(PAGE.get());
    let last_page = words.last().map_or(0, |(word, _)| word.offset / PAGE.get());
    let listed = page_count.min(u64::from(u16::MAX)).max(last_page + 1);
    let mut starts = vec![macho::DYLD_CHAINED_PTR_START_NONE; usize_of(listed)];
    for (word, _) in words.iter().rev() {
        starts[usize_of(word.offset / PAGE.get())] = half(word.offset % PAGE.get());
    }
    // The structure ends with its page starts, before the padding that its words give it.
    let fixed = offset_of!(macho::DyldChainedStartsInSegment<LE>, page_count) + size_of::<u16>();
    let size = fixed + starts.len() * size_of::<u16>();
    let header = macho::DyldChainedStartsInSegment {
        size: U32::new(LE, number(size as u64)),
        page_size: U16::new(LE, half(PAGE.get())),
        pointer_format: U16::new(LE, macho::DYLD_CHAINED_PTR_64_OFFSET),
        segment_offset: U64::new(LE, segment.offset),
        max_valid_pointer: U32::new(LE, 0),
        page_count: U16::new(LE, half(starts.len() as u64)),
    };
    bytes.extend_from_slice(&pod::bytes_of(&header)[..fixed]);
    bytes.extend(starts.into_iter().flat_map(u16::to_le_bytes));
}

/// # Panics
/// Never: chained words lie in the bytes of a file below 4 GiB, which has fewer than 2^18 pages; see
/// `LinkEdit::new` for the limit of 2^16 pages.
fn half(number: u64) -> u16 {
    u16::try_from(number).expect("checked before chains are made")
}

fn usize_of(number: u64) -> usize {
    usize::try_from(number).expect("checked before chains are made")
}

/// The imports that chains name, each once for every addend that a pointer cannot hold itself.
#[derive(Default)]
struct Imports<'n> {
    entries: IndexMap<(ChainedImport<'n>, i64), (), FxBuildHasher>,
}

impl<'n> Imports<'n> {
    /// The pointer that binds to an import, before it is chained.
    fn bind(&mut self, import: ChainedImport<'n>, addend: i64) -> u64 {
        let (inline, in_table) = match u8::try_from(addend) {
            Ok(inline) => (u64::from(inline), 0),
            Err(_) => (0, addend),
        };
        let (index, _) = self.entries.insert_full((import, in_table), ());
        BIND | inline << BIND_ADDEND_SHIFT | index as u64
    }

    /// The smallest form that holds all entries.
    fn format(&self) -> macho::DyldChainedImportFormat {
        let names: usize = self.entries.keys().map(|(import, _)| import.name.len() + 1).sum();
        let addends = || self.entries.keys().map(|(_, addend)| *addend);
        // 23 bits hold the offset of a name in all but the largest form.
        if names >= 1 << 23 || addends().any(|addend| i32::try_from(addend).is_err()) {
            macho::DYLD_CHAINED_IMPORT_ADDEND64
        } else if addends().any(|addend| addend != 0) {
            macho::DYLD_CHAINED_IMPORT_ADDEND
        } else {
            macho::DYLD_CHAINED_IMPORT
        }
    }

    /// The table and the names that it points to.
    fn encode(&self) -> (Vec<u8>, Vec<u8>) {
        let format = self.format();
        let mut table = Vec::new();
        let mut names = vec![0]; // offset 0 is no name
        for (import, addend) in self.entries.keys() {
            let offset = number(names.len() as u64);
            names.extend_from_slice(import.name.as_bytes());
            names.push(0);
            let (ordinal, weak) = (u32::from(import.ordinal), u32::from(import.weak));
            if format == macho::DYLD_CHAINED_IMPORT_ADDEND64 {
                let entry = u64::from(ordinal) | u64::from(weak) << 16 | u64::from(offset) << 32;
                table.extend_from_slice(&entry.to_le_bytes());
                table.extend_from_slice(&addend.to_le_bytes());
                continue;
            }
            table.extend_from_slice(&(ordinal | weak << 8 | offset << 9).to_le_bytes());
            if format == macho::DYLD_CHAINED_IMPORT_ADDEND {
                let addend = i32::try_from(*addend).expect("the form was chosen for it");
                table.extend_from_slice(&addend.to_le_bytes());
            }
        }
        (table, names)
    }
}
