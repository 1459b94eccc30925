//! Chained fixups: what dyld writes, told by chains that run through the places themselves.

use object::LittleEndian as LE;
use object::macho;

use super::{Command, MachO, Segment, WRITE};
use crate::view::lint::bytes::{Bytes, field, up};
use crate::view::lint::report::{Place, Report};
use crate::view::lint::rule::Loader::Dyld;
use crate::view::lint::rule::{Check, Rule, Version, error};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "macho/fixup-encodings",
        demand: "chained fixups are not beside LC_DYLD_INFO or relocations",
        by: &[error(Dyld)],
        symptom: "dyld: `malformed mach-o contains LC_DYLD_INFO and LC_DYLD_CHAINED_FIXUPS`, and abort (SIGABRT)",
        cure: "keep one encoding",
        source: "dyld mach_o/Policy.cpp, enforceOneFixupEncoding; mach_o/Image.cpp, validLinkedit",
        check: Check::MachO(encodings),
    },
    Rule {
        name: "macho/chained-too-new",
        demand: "a file with chained fixups says macOS 11 or later as the oldest system that it is for",
        by: &[error(Dyld)],
        symptom: "dyld of macOS 10.15 and before: `unknown required load command 0x80000034`, and abort (SIGABRT)",
        cure: "write LC_DYLD_INFO_ONLY for such systems, or a later minos",
        source: "dyld mach_o/Policy.cpp, useChainedFixups; dyld-750 src/ImageLoaderMachO.cpp, sniffLoadCommands",
        check: Check::MachO(too_new),
    },
    Rule {
        name: "macho/chained-header",
        demand: "chained fixups have version 0, plain names, and starts, imports and names in this order inside the table",
        by: &[error(Dyld)],
        symptom: "dyld: `chained fixups, unknown header version` or `… offset`, and abort (SIGABRT)",
        cure: "write dyld_chained_fixups_header anew",
        source: "dyld mach_o/ChainedFixups.cpp, validLinkedit",
        check: Check::MachO(header),
    },
    Rule {
        name: "macho/chained-segments",
        demand: "seg_count is the number of segments, __PAGEZERO included",
        by: &[error(Dyld)],
        symptom: "dyld: `chained fixups, seg_count does not match number of segments`, and abort (SIGABRT)",
        cure: "write an offset, 0 for none, for each segment",
        source: "dyld mach_o/ChainedFixups.cpp, validLinkedit",
        check: Check::MachO(segments),
    },
    Rule {
        name: "macho/chained-starts",
        demand: "the starts of a segment lie inside the table, with its place, the page size and one pointer format",
        by: &[error(Dyld)],
        symptom: "dyld: `chained fixups, page_size not 4KB or 16KB` and its like, and abort (SIGABRT)",
        cure: "write dyld_chained_starts_in_segment anew",
        source: "dyld mach_o/ChainedFixups.cpp, validLinkedit",
        check: Check::MachO(starts),
    },
    Rule {
        name: "macho/chained-page-start",
        demand: "the first fixup of a page lies in the page, at a multiple of 4",
        by: &[error(Dyld)],
        symptom: "dyld: `chained fixups, in segment … page_start … exceeds page size`, and abort (SIGABRT), or a wrong word is changed",
        cure: "write the offset in the page, 0xFFFF for none",
        source: "dyld mach_o/ChainedFixups.cpp, validLinkedit, forEachFixupChainStartLocation",
        check: Check::MachO(page_start),
    },
    Rule {
        name: "macho/chained-imports",
        demand: "imports have a known format, and their names end inside the table",
        by: &[error(Dyld)],
        symptom: "dyld: `chained fixups, unknown imports_format` or a name that is junk, and abort (SIGABRT)",
        cure: "take imports_format 1; correct name offsets",
        source: "dyld mach_o/ChainedFixups.cpp, validLinkedit, forEachBindTarget",
        check: Check::MachO(imports),
    },
    Rule {
        name: "macho/library-ordinal",
        demand: "an import's library is one of those that are linked, or 0, -1, -2, -3",
        by: &[error(Dyld)],
        symptom: "dyld: `unknown library ordinal`, and abort (SIGABRT)",
        cure: "count libraries from 1 in the order of their load commands",
        source: "dyld mach_o/ChainedFixups.cpp, valid; dyld/Loader.cpp, resolveSymbol",
        check: Check::MachO(ordinals),
    },
    Rule {
        name: "macho/chain-link",
        demand: "a chain of fixups stays in its page, and in its segment's bytes",
        by: &[error(Dyld)],
        symptom: "words of other pages are changed, or SIGSEGV in dyld",
        cure: "end each page's chain with next 0",
        source: "dyld mach_o/ChainedFixups.cpp, forEachFixupLocationInChain",
        check: Check::MachO(links),
    },
    Rule {
        name: "macho/chain-target",
        demand: "a fixup names an import that exists, or an address in the image",
        by: &[error(Dyld)],
        symptom: "dyld: `out of range bind ordinal`, or a pointer to nowhere",
        cure: "write the import's index, or the target's distance from the header (format 6), its address (format 2)",
        source: "dyld common/MachOLoaded.cpp, fixupAllChainedFixups",
        check: Check::MachO(targets),
    },
    Rule {
        name: "macho/fixup-protection",
        demand: "fixups lie in writable segments",
        by: &[error(Dyld)],
        symptom: "SIGBUS in dyld before the program starts",
        cure: "move what holds addresses to __DATA_CONST or __DATA",
        source: "dyld mach_o/Policy.cpp, enforceFixupsInWritableSegments; dyld/Loader.cpp, applyFixupsGeneric",
        check: Check::MachO(protections),
    },
];

type Header = macho::DyldChainedFixupsHeader<LE>;
type Starts = macho::DyldChainedStartsInSegment<LE>;

/// No fixup in this page.
const NONE: u16 = 0xffff;

/// Chained fixups whose header can be believed.
struct Fixups<'d> {
    offset: u64,
    bytes: Bytes<'d>,
    header: Header,
}

fn read<'d>(macho: &MachO<'d>) -> Option<(Command, u64, Bytes<'d>)> {
    macho.linkedit(macho::LC_DYLD_CHAINED_FIXUPS)
}

/// What is wrong with the header, if anything.
fn header_fault(header: &Header, size: u64) -> Option<String> {
    let [starts, imports, symbols] =
        [header.starts_offset, header.imports_offset, header.symbols_offset]
            .map(|offset| u64::from(offset.get(LE)));
    if header.fixups_version.get(LE) != 0 {
        Some(format!("fixups_version is {}", header.fixups_version.get(LE)))
    } else if header.symbols_format.get(LE) != 0 {
        Some(format!("symbols_format is {}", header.symbols_format.get(LE)))
    } else if starts < size_of::<Header>() as u64
        || starts > imports
        || imports > symbols
        || symbols > size
    {
        Some(format!(
            "starts are at {starts:#x}, imports at {imports:#x}, names at {symbols:#x} of {size:#x} bytes"
        ))
    } else {
        None
    }
}

impl<'d> Fixups<'d> {
    fn of(macho: &MachO<'d>) -> Option<Self> {
        let (_, offset, bytes) = read(macho)?;
        let header = bytes.read::<Header>(0)?;
        header_fault(&header, bytes.len()).is_none().then_some(Self { offset, bytes, header })
    }

    /// Where each segment's starts lie in the table, 0 for none.
    fn segment_offsets(&self) -> Option<Vec<u32>> {
        let at = u64::from(self.header.starts_offset.get(LE));
        let count = self.bytes.u32(at)?;
        let offsets = Bytes(self.bytes.slice(at + 4, u64::from(count) * 4)?);
        Some((0..u64::from(count)).filter_map(|index| offsets.u32(index * 4)).collect())
    }

    /// The starts of each segment that has some: where they lie in the table, and the segment.
    fn starts<'m>(&self, macho: &'m MachO<'_>) -> Vec<(u64, Starts, &'m Segment)> {
        let at = u64::from(self.header.starts_offset.get(LE));
        let offsets = self.segment_offsets().unwrap_or_default();
        let pairs = offsets.into_iter().zip(&macho.segments).filter(|(offset, _)| *offset != 0);
        pairs
            .filter_map(|(offset, segment)| {
                let at = at + u64::from(offset);
                Some((at, self.bytes.read::<Starts>(at)?, segment))
            })
            .collect()
    }

    /// The starts that can be believed.
    fn right_starts<'m>(&self, macho: &'m MachO<'_>) -> Vec<(u64, Starts, &'m Segment)> {
        let mut starts = self.starts(macho);
        let base = macho.header_segment().map_or(0, |segment| segment.address);
        let format = starts.first().map(|(_, starts, _)| starts.pointer_format.get(LE));
        starts.retain(|(at, starts, segment)| {
            starts_fault(self.bytes, *at, starts, segment, base, format).is_none()
        });
        starts
    }

    /// How many imports there are, and how many bytes each takes.
    fn imports(&self) -> Option<(u64, u64)> {
        let width = match self.header.imports_format.get(LE) {
            macho::DYLD_CHAINED_IMPORT => 4,
            macho::DYLD_CHAINED_IMPORT_ADDEND => 8,
            macho::DYLD_CHAINED_IMPORT_ADDEND64 => 16,
            _ => return None,
        };
        let count = u64::from(self.header.imports_count.get(LE));
        let end = u64::from(self.header.imports_offset.get(LE)) + count * width;
        (end <= u64::from(self.header.symbols_offset.get(LE))).then_some((count, width))
    }

    /// Each import: where it lies in the file, its library's ordinal, and its name's offset.
    fn each_import(&self) -> impl Iterator<Item = (u64, i64, u64)> {
        let (count, width) = self.imports().unwrap_or_default();
        let first = u64::from(self.header.imports_offset.get(LE));
        (0..count).filter_map(move |index| {
            let at = first + index * width;
            let (ordinal, name) = if width == 16 {
                let word = self.bytes.u64(at)?;
                let ordinal = i64::from((word & 0xffff) as u16);
                (if ordinal > 0xfff0 { ordinal - 0x1_0000 } else { ordinal }, word >> 32)
            } else {
                let word = u64::from(self.bytes.u32(at)?);
                let ordinal = i64::from((word & 0xff) as u8);
                (if ordinal > 0xf0 { ordinal - 0x100 } else { ordinal }, word >> 9)
            };
            Some((self.offset + at, ordinal, name))
        })
    }
}

fn encodings(macho: &MachO<'_>, report: &mut Report<'_>) {
    if read(macho).is_none() {
        return;
    }
    let kinds = [macho::LC_DYLD_INFO, macho::LC_DYLD_INFO_ONLY];
    for command in macho.commands.iter().filter(|command| kinds.contains(&command.kind)) {
        let message = format!("there are chained fixups and {}", command.name());
        report.add(command.whole(), message);
    }
    let table = macho.first(macho::LC_DYSYMTAB);
    let table = table
        .and_then(|command| Some((command, macho.read::<macho::DysymtabCommand<LE>>(command)?)));
    if let Some((command, table)) = table
        && (table.nlocrel.get(LE) > 0 || table.nextrel.get(LE) > 0)
    {
        report.add(command.whole(), "there are chained fixups and relocations");
    }
}

fn too_new(macho: &MachO<'_>, report: &mut Report<'_>) {
    type Build = macho::BuildVersionCommand<LE>;
    let Some((command, _, _)) = read(macho).and(macho.version()) else { return };
    let Some(build) = macho.read::<Build>(command) else { return };
    let oldest = Version(build.minos.get(LE).0);
    if build.platform.get(LE) == macho::PLATFORM_MACOS && oldest < Version::new(11, 0) {
        let message = format!("there are chained fixups, and minos is {oldest}");
        report.add(command.place(field!(Build, minos)), message);
    }
}

fn header(macho: &MachO<'_>, report: &mut Report<'_>) {
    let Some((command, offset, bytes)) = read(macho) else { return };
    match bytes.read::<Header>(0) {
        None => report.add(command.whole(), format!("the table has {} bytes", bytes.len())),
        Some(header) => {
            if let Some(fault) = header_fault(&header, bytes.len()) {
                let size = size_of::<Header>() as u64;
                report.add(Place::new(offset, size, "chained fixups, header"), fault);
            }
        }
    }
}

fn segments(macho: &MachO<'_>, report: &mut Report<'_>) {
    let Some(fixups) = Fixups::of(macho) else { return };
    let at = u64::from(fixups.header.starts_offset.get(LE));
    let count = fixups.bytes.u32(at).unwrap_or_default();
    let is_whole = fixups.segment_offsets().is_some();
    if count as usize != macho.segments.len() || !is_whole {
        let place = Place::new(fixups.offset + at, 4, "chained fixups, seg_count");
        let message = format!("seg_count is {count}, there are {} segments", macho.segments.len());
        report.add(place, message);
    }
}

/// What is wrong with the starts of a segment, if anything.
fn starts_fault(
    bytes: Bytes<'_>,
    at: u64,
    starts: &Starts,
    segment: &Segment,
    base: u64,
    format: Option<macho::DyldChainedPtrFormat>,
) -> Option<String> {
    let size = u64::from(starts.size.get(LE));
    let pages = u64::from(starts.page_count.get(LE));
    let first_page = size_of::<Starts>() as u64;
    let (page_size, place) = (starts.page_size.get(LE), starts.segment_offset.get(LE));
    if at + size > bytes.len() || first_page + pages * 2 > size {
        Some(format!("they have {size} bytes for {pages} pages"))
    } else if ![0x1000, 0x4000].contains(&page_size) {
        Some(format!("page_size is {page_size:#x}"))
    } else if base.checked_add(place) != Some(segment.address) {
        Some(format!(
            "segment_offset is {place:#x}, {} lies at {:#x} behind the header",
            segment.name,
            segment.address.wrapping_sub(base)
        ))
    } else if format != Some(starts.pointer_format.get(LE)) {
        Some(format!(
            "pointer_format is {}, another segment's differs",
            starts.pointer_format.get(LE).0
        ))
    } else if !(1..=14).contains(&starts.pointer_format.get(LE).0) {
        Some(format!("pointer_format is {}", starts.pointer_format.get(LE).0))
    } else if starts.max_valid_pointer.get(LE) != 0 {
        // Only pointers of 32 bits leave room for numbers that are none.
        Some(format!("max_valid_pointer is {:#x}", starts.max_valid_pointer.get(LE)))
    } else if pages * u64::from(page_size) > up(segment.size, 0x4000) {
        Some(format!("{} has {:#x} bytes, not {pages} pages", segment.name, segment.size))
    } else {
        None
    }
}

fn starts(macho: &MachO<'_>, report: &mut Report<'_>) {
    let Some(fixups) = Fixups::of(macho) else { return };
    let base = macho.header_segment().map_or(0, |segment| segment.address);
    let first = u64::from(fixups.header.starts_offset.get(LE));
    for (index, offset) in (0_u64..).zip(fixups.segment_offsets().unwrap_or_default()) {
        let at = first + u64::from(offset);
        if offset != 0 && fixups.bytes.read::<Starts>(at).is_none() {
            let place = Place::new(
                fixups.offset + first + 4 + index * 4,
                4,
                "chained fixups, seg_info_offset",
            );
            let size = fixups.bytes.len();
            report
                .add(place, format!("segment {index}'s starts are at {at:#x} of {size:#x} bytes"));
        }
    }
    let all = fixups.starts(macho);
    let format = all.first().map(|(_, starts, _)| starts.pointer_format.get(LE));
    for (at, starts, segment) in &all {
        if let Some(fault) = starts_fault(fixups.bytes, *at, starts, segment, base, format) {
            let structure = format!("chained fixups, starts of {}", segment.name);
            let size = size_of::<Starts>() as u64;
            report.add(Place::new(fixups.offset + at, size, structure), fault);
        }
    }
}

/// Each page of each segment with fixups: where its start stands in the file, its number, and the start.
fn pages<'m>(
    fixups: &Fixups<'_>,
    macho: &'m MachO<'_>,
) -> Vec<(u64, u64, u16, Starts, &'m Segment)> {
    let mut pages = Vec::new();
    // Segments that share their starts could make more pages than the file has room for.
    let most = fixups.bytes.0.len();
    for (at, starts, segment) in fixups.right_starts(macho) {
        let field = field!(Starts, page_count);
        let first = at + field.offset + field.size;
        for page in 0..u64::from(starts.page_count.get(LE)) {
            let at = first + page * 2;
            let Some(start) = fixups.bytes.u16(at).filter(|_| pages.len() < most) else { break };
            if start != NONE {
                pages.push((fixups.offset + at, page, start, starts, segment));
            }
        }
    }
    pages
}

fn page_start(macho: &MachO<'_>, report: &mut Report<'_>) {
    let Some(fixups) = Fixups::of(macho) else { return };
    for (at, page, start, starts, segment) in pages(&fixups, macho) {
        if start >= starts.page_size.get(LE) || !start.is_multiple_of(4) {
            let structure = format!("chained fixups, page {page} of {}", segment.name);
            let message = format!("the first fixup of the page is at {start:#x}");
            report.add(Place::new(at, 2, structure), message);
        }
    }
}

fn imports(macho: &MachO<'_>, report: &mut Report<'_>) {
    let Some(fixups) = Fixups::of(macho) else { return };
    if fixups.imports().is_none() {
        let field = field!(Header, imports_count);
        let place = Place::new(fixups.offset + field.offset, 8, "chained fixups, imports_format");
        let message = format!(
            "{} imports of format {}",
            fixups.header.imports_count.get(LE),
            fixups.header.imports_format.get(LE).0
        );
        report.add(place, message);
        return;
    }
    let names = fixups.bytes.from(fixups.header.symbols_offset.get(LE).into());
    let last = names.0.iter().rposition(|byte| *byte == 0).map_or(0, |last| last as u64 + 1);
    for (at, _, name) in fixups.each_import() {
        // Every name before the last NUL ends.
        if name >= last {
            let message =
                format!("the name is at {name:#x}, the names have {:#x} bytes", names.len());
            report.add(Place::new(at, 4, "chained import"), message);
        }
    }
}

fn ordinals(macho: &MachO<'_>, report: &mut Report<'_>) {
    let Some(fixups) = Fixups::of(macho) else { return };
    let count = i64::try_from(macho.libraries().count()).unwrap_or(i64::MAX);
    for (at, ordinal, _) in fixups.each_import() {
        if !(-3..=count).contains(&ordinal) {
            let message = format!("the library is {ordinal}, of {count}");
            report.add(Place::new(at, 4, "chained import, lib_ordinal"), message);
        }
    }
}

/// A fixup of a chain: where it lies in the file, and what is there.
type Visit<'v> = dyn FnMut(u64, u64) + 'v;

/// Walks the chains of 64-bit pointers; gives the place of each link that leaves its page or its segment.
fn walk(macho: &MachO<'_>, fixups: &Fixups<'_>, visit: &mut Visit<'_>) -> Vec<(u64, String)> {
    let mut broken = Vec::new();
    let mut left = macho.data.len() / 4;
    for (_, page, start, starts, segment) in pages(fixups, macho) {
        let page_size = u64::from(starts.page_size.get(LE));
        let formats = [macho::DYLD_CHAINED_PTR_64, macho::DYLD_CHAINED_PTR_64_OFFSET];
        let start = u64::from(start);
        let is_walked = formats.contains(&starts.pointer_format.get(LE))
            && start < page_size
            && start.is_multiple_of(4);
        if !is_walked {
            continue;
        }
        let mut inside = start;
        loop {
            let offset = page * page_size + inside;
            let at = segment.offset.saturating_add(offset);
            if inside + 8 > page_size || offset + 8 > segment.file_size {
                broken.push((at, format!("a chain of {} leaves page {page}", segment.name)));
                break;
            }
            let Some(word) = macho.data.u64(at).filter(|_| left > 0) else { break };
            left -= 1;
            visit(at, word);
            match word >> 51 & 0xfff {
                0 => break,
                next => inside += next * 4,
            }
        }
    }
    broken
}

fn links(macho: &MachO<'_>, report: &mut Report<'_>) {
    let Some(fixups) = Fixups::of(macho) else { return };
    for (at, message) in walk(macho, &fixups, &mut |_, _| ()) {
        report.add(Place::new(at, 8, "chained fixup, next"), message);
    }
}

fn targets(macho: &MachO<'_>, report: &mut Report<'_>) {
    let Some(fixups) = Fixups::of(macho) else { return };
    let Some((count, _)) = fixups.imports() else { return };
    let base = macho.header_segment().map_or(0, |segment| segment.address);
    let is_offset = fixups.starts(macho).first().is_some_and(|(_, starts, _)| {
        starts.pointer_format.get(LE) == macho::DYLD_CHAINED_PTR_64_OFFSET
    });
    let end = macho.segments.iter().map(Segment::end).max().unwrap_or_default();
    walk(macho, &fixups, &mut |at, word| {
        if word >> 63 == 1 {
            let import = word & 0xff_ffff;
            if import >= count {
                let message = format!("it names import {import} of {count}");
                report.add(Place::new(at, 8, "chained bind, ordinal"), message);
            }
            return;
        }
        let target = word & 0xf_ffff_ffff;
        let address = if is_offset { base.saturating_add(target) } else { target };
        // The byte behind the last one may be named.
        if address < base || address > end {
            let message = format!("it names {address:#x}, which is outside the image");
            report.add(Place::new(at, 8, "chained rebase, target"), message);
        }
    });
}

/// How pointers of the file are read, before the image is moved.
pub(super) enum Pointers {
    /// They hold addresses, corrected by opcodes or not at all.
    Plain,
    /// Links of chains, where these lie in the file, in order; whatever else is there holds an address.
    Chained { links: Vec<u64>, format: Option<macho::DyldChainedPtrFormat>, base: u64 },
}

impl Pointers {
    pub(super) fn of(macho: &MachO<'_>) -> Self {
        let Some(fixups) = Fixups::of(macho) else { return Self::Plain };
        let mut links = Vec::new();
        walk(macho, &fixups, &mut |at, _| links.push(at));
        links.sort_unstable();
        let starts = fixups.right_starts(macho);
        let format = starts.first().map(|(_, starts, _)| starts.pointer_format.get(LE));
        let base = macho.header_segment().map_or(0, |segment| segment.address);
        Self::Chained { links, format, base }
    }

    /// The address that the pointer at an offset of the file holds; `None` where another image says it.
    pub(super) fn address(&self, macho: &MachO<'_>, at: u64) -> Option<u64> {
        let word = macho.data.u64(at)?;
        let target = word & 0xf_ffff_ffff;
        match self {
            // Opcodes that bind leave it 0.
            Self::Plain => (word != 0).then_some(word),
            Self::Chained { links, .. } if links.binary_search(&at).is_err() => Some(word),
            Self::Chained { .. } if word >> 63 == 1 => None,
            Self::Chained { format: Some(macho::DYLD_CHAINED_PTR_64), .. } => Some(target),
            Self::Chained { format: Some(macho::DYLD_CHAINED_PTR_64_OFFSET), base, .. } => {
                Some(base.saturating_add(target))
            }
            Self::Chained { .. } => None,
        }
    }
}

fn protections(macho: &MachO<'_>, report: &mut Report<'_>) {
    let Some(fixups) = Fixups::of(macho) else { return };
    for (at, _, segment) in fixups.right_starts(macho) {
        if segment.initial & WRITE == 0 {
            let structure = format!("chained fixups, starts of {}", segment.name);
            let message = format!("{} has fixups and is not writable", segment.name);
            report.add(Place::new(fixups.offset + at, 4, structure), message);
        }
    }
}
