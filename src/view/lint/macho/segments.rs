//! Segments: how xnu maps them, and what dyld asks of them at every SDK.

use object::LittleEndian as LE;
use object::macho;

use super::{EXECUTE, HEADER_SIZE, MachO, READ, Segment, SegmentCommand, WRITE, protection};
use crate::target::Architecture::{Aarch64, X86_64};
use crate::view::lint::bytes::{down, field, up};
use crate::view::lint::report::{Place, Report};
use crate::view::lint::rule::Loader::{Dyld, Tools, Xnu};
use crate::view::lint::rule::{Check, Kind, Rule, error, warning};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "macho/page-zero",
        demand: "a segment without rights keeps the first 4 GiB empty on arm64, the first page on x86-64",
        by: &[error(Xnu).programs()],
        symptom: "`Malformed Mach-o file` (EBADMACHO, 88), or `Killed: 9`",
        cure: "add __PAGEZERO: vmaddr 0, vmsize 0x100000000, filesize 0, no protections",
        source: "xnu bsd/kern/mach_loader.c, load_segment, load_machfile",
        check: Check::MachO(page_zero),
    },
    Rule {
        name: "macho/header-segment",
        demand: "exactly one segment maps the header, and may be read and executed",
        by: &[error(Xnu).programs()],
        symptom: "`Malformed Mach-o file` (EBADMACHO, 88), or `Killed: 9`",
        cure: "let __TEXT begin at file offset 0, r-x",
        source: "xnu bsd/kern/mach_loader.c, load_segment, parse_machfile",
        check: Check::MachO(header_segment),
    },
    Rule {
        name: "macho/text-segment",
        demand: "__TEXT begins at file offset 0 and holds the header and all load commands",
        by: &[error(Dyld)],
        symptom: "dyld: `missing __TEXT segment` or `load commands do not fit in __TEXT`, and abort (SIGABRT)",
        cure: "let __TEXT begin at file offset 0; make its first section begin behind the load commands",
        source: "dyld mach_o/UnsafeHeader.cpp, validSemanticsSegments",
        check: Check::MachO(text_segment),
    },
    Rule {
        name: "macho/segment-file-offset",
        demand: "fileoff is a multiple of the page size: 16 KiB on arm64, 4 KiB on x86-64",
        by: &[error(Xnu)],
        symptom: "`Malformed Mach-o file` (EBADMACHO, 88), or `Killed: 9`",
        cure: "pad the file to the next page before the segment",
        source: "xnu bsd/kern/mach_loader.c, load_segment",
        check: Check::MachO(file_offset),
    },
    Rule {
        name: "macho/segment-file-range",
        demand: "fileoff and filesize lie inside the file",
        by: &[error(Xnu), error(Dyld)],
        symptom: "`Malformed Mach-o file` (EBADMACHO, 88); dyld: `segment load command content extends beyond end of file`",
        cure: "write or copy the file again: it ends too early",
        source: "xnu bsd/kern/mach_loader.c, load_segment; dyld mach_o/UnsafeHeader.cpp, validSegment",
        check: Check::MachO(file_range),
    },
    Rule {
        name: "macho/segment-address",
        demand: "vmaddr is a multiple of the page size: 16 KiB on arm64, 4 KiB on x86-64",
        by: &[error(Xnu)],
        symptom: "it is rounded down in silence: every address in the segment is off",
        cure: "round vmaddr up to a page",
        source: "xnu bsd/kern/mach_loader.c, load_segment (vm_map_trunc_page), map_segment",
        check: Check::MachO(address),
    },
    Rule {
        name: "macho/segment-wrap",
        demand: "segments end in the address space of programs: below 128 TiB",
        by: &[error(Xnu), error(Dyld)],
        symptom: "`Malformed Mach-o file` (EBADMACHO, 88); dyld: `segment vm range wraps`",
        cure: "take a lower vmaddr or a smaller vmsize",
        source: "dyld mach_o/UnsafeHeader.cpp, validSegment; xnu bsd/kern/mach_loader.c, load_segment",
        check: Check::MachO(wrap),
    },
    Rule {
        name: "macho/segment-overlap",
        demand: "no two segments share a page of memory or a byte of the file",
        by: &[error(Xnu), error(Dyld)],
        symptom: "`Cannot allocate memory` (ENOMEM), or `Killed: 9`; dyld: `vm range of segment '…' overlaps segment '…'`",
        cure: "give each segment pages of its own",
        source: "xnu bsd/kern/mach_loader.c, map_segment; dyld mach_o/UnsafeHeader.cpp, validSemanticsSegments",
        check: Check::MachO(overlap),
    },
    Rule {
        name: "macho/segment-size",
        demand: "filesize is not above vmsize",
        by: &[error(Dyld)],
        symptom: "dyld: `segment '…' filesize exceeds vmsize`, and abort (SIGABRT)",
        cure: "set vmsize to what the segment takes in memory, rounded up to a page",
        source: "dyld mach_o/UnsafeHeader.cpp, validSegment",
        check: Check::MachO(size),
    },
    Rule {
        name: "macho/segment-protection",
        demand: "initprot has no bits but read, write and execute",
        by: &[error(Dyld)],
        symptom: "dyld: `segment permissions has invalid bits set`, and abort (SIGABRT)",
        cure: "clear the other bits",
        source: "dyld mach_o/UnsafeHeader.cpp, validSegment",
        check: Check::MachO(initial_protection),
    },
    Rule {
        name: "macho/maximum-protection",
        demand: "initprot asks for nothing that maxprot forbids",
        by: &[error(Xnu)],
        symptom: "`Cannot allocate memory` (ENOMEM), or `Killed: 9`",
        cure: "set maxprot to initprot or more",
        source: "xnu bsd/kern/mach_loader.c, map_segment; osfmk/vm/vm_map.c, vm_map_enter",
        check: Check::MachO(maximum_protection),
    },
    Rule {
        name: "macho/writable-executable",
        demand: "no segment is both writable and executable",
        by: &[error(Xnu).on(Aarch64), warning(Xnu).on(X86_64)],
        symptom: "arm64: `Cannot allocate memory` (ENOMEM), or `Killed: 9`; x86-64: the same once the hardened runtime is on",
        cure: "put code and variables into segments of their own; use MAP_JIT for code that is made at run time",
        source: "xnu osfmk/vm/vm_map.c, vm_map_enter",
        check: Check::MachO(writable_executable),
    },
    Rule {
        name: "macho/read-only-segments",
        demand: "at most one segment has SG_READ_ONLY",
        by: &[error(Xnu).programs()],
        symptom: "`Malformed Mach-o file` (EBADMACHO, 88), or `Killed: 9`",
        cure: "keep it for __DATA_CONST",
        source: "xnu bsd/kern/mach_loader.c, load_segment",
        check: Check::MachO(read_only),
    },
    Rule {
        name: "macho/zero-fill-junk",
        demand: "where zeros follow a segment's bytes, the rest of the last page is zeros in the file",
        by: &[error(Xnu)],
        symptom: "variables that should begin with 0 hold junk of the file: wrong results, no error",
        cure: "pad the file with zeros to the next page behind the segment",
        source: "xnu bsd/kern/mach_loader.c, map_segment (the tail is not cleared)",
        check: Check::MachO(zero_fill),
    },
    Rule {
        name: "macho/section-start",
        demand: "sections do not begin before their segment",
        by: &[error(Dyld)],
        symptom: "dyld: `section '…' start address … is before containing segment's address`, and abort (SIGABRT)",
        cure: "correct the section's addr",
        source: "dyld mach_o/UnsafeHeader.cpp, validSegment",
        check: Check::MachO(section_start),
    },
    Rule {
        name: "macho/section-end",
        demand: "sections end inside their segment",
        by: &[error(Dyld).since_sdk(11, 0)],
        symptom: "dyld: `section '…' end address … is beyond containing segment's end address`, and abort (SIGABRT)",
        cure: "correct the section's size, or the segment's vmsize",
        source: "dyld mach_o/UnsafeHeader.cpp, validSegment; mach_o/Policy.cpp, enforceSectionsInSegment",
        check: Check::MachO(section_end),
    },
    Rule {
        name: "macho/section-offset",
        demand: "a section lies at the same distance from its segment's begin in memory and in the file",
        by: &[warning(Tools)],
        symptom: "it runs; `otool`, `lldb` and `strip` show and change other bytes than those that are loaded",
        cure: "set offset to the segment's fileoff and the section's distance from vmaddr",
        source: "Apple mach-o/loader.h, struct section_64; cctools libstuff/checkout.c",
        check: Check::MachO(section_offset),
    },
];

fn page_zero(macho: &MachO<'_>, report: &mut Report<'_>) {
    let least = match macho.architecture {
        X86_64 => macho.page(),
        Aarch64 => 1 << 32,
    };
    let empty = macho.segments.iter().filter(|segment| segment.is_page_zero());
    let end = empty.clone().map(|segment| up(segment.size, macho.page())).max().unwrap_or_default();
    if end < least {
        let mut empty = empty;
        let place = empty.next_back().map_or_else(
            || Place::new(HEADER_SIZE, 0, "load commands"),
            |segment| segment.place(field!(SegmentCommand, vmsize)),
        );
        report.add(place, format!("{end:#x} bytes are kept empty, not {least:#x}"));
    }
}

fn header_segment(macho: &MachO<'_>, report: &mut Report<'_>) {
    let mut headers =
        macho.segments.iter().filter(|segment| segment.offset == 0 && segment.file_size > 0);
    match (headers.next(), headers.next()) {
        (None, _) => {
            let place = Place::new(HEADER_SIZE, 0, "load commands");
            report.add(place, "no segment maps file offset 0");
        }
        (Some(_), Some(second)) => {
            let message = format!("{} maps the header too", second.name);
            report.add(second.place(field!(SegmentCommand, fileoff)), message);
        }
        (Some(header), None) => {
            if header.initial & (READ | EXECUTE) != READ | EXECUTE {
                let message = format!(
                    "{} maps the header and is {}",
                    header.name,
                    protection(header.initial)
                );
                report.add(header.place(field!(SegmentCommand, initprot)), message);
            }
        }
    }
}

fn text_segment(macho: &MachO<'_>, report: &mut Report<'_>) {
    if !macho.is_dynamic() || macho.header_segment().is_none() {
        return;
    }
    let end = HEADER_SIZE + u64::from(macho.header.sizeofcmds.get(LE));
    match macho.segment("__TEXT") {
        None => {
            report.add(Place::new(HEADER_SIZE, 0, "load commands"), "there is no __TEXT");
        }
        Some(text) if text.offset != 0 => {
            let message = format!("__TEXT begins at file offset {:#x}", text.offset);
            report.add(text.place(field!(SegmentCommand, fileoff)), message);
        }
        Some(text) if text.file_size < end => {
            let message = format!(
                "__TEXT has {:#x} bytes, the load commands end at {end:#x}",
                text.file_size
            );
            report.add(text.place(field!(SegmentCommand, filesize)), message);
        }
        Some(_) => {}
    }
}

fn file_offset(macho: &MachO<'_>, report: &mut Report<'_>) {
    for segment in macho.segments.iter().filter(|one| !one.offset.is_multiple_of(macho.page())) {
        let message = format!("{} begins at file offset {:#x}", segment.name, segment.offset);
        report.add(segment.place(field!(SegmentCommand, fileoff)), message);
    }
}

fn file_range(macho: &MachO<'_>, report: &mut Report<'_>) {
    for segment in &macho.segments {
        let end = segment.offset.checked_add(segment.file_size);
        if end.is_none_or(|end| end > macho.data.len()) {
            let message = format!(
                "{} has {:#x} bytes at {:#x}, but the file ends at {:#x}",
                segment.name,
                segment.file_size,
                segment.offset,
                macho.data.len()
            );
            report.add(segment.place(field!(SegmentCommand, filesize)), message);
        }
    }
}

fn address(macho: &MachO<'_>, report: &mut Report<'_>) {
    for segment in macho.segments.iter().filter(|one| !one.address.is_multiple_of(macho.page())) {
        let message = format!("{} is at {:#x}", segment.name, segment.address);
        report.add(segment.place(field!(SegmentCommand, vmaddr)), message);
    }
}

/// The first address that is not a program's.
const USER_SPACE: u64 = 1 << 47;

fn wrap(macho: &MachO<'_>, report: &mut Report<'_>) {
    for segment in &macho.segments {
        let end = segment.address.checked_add(segment.size);
        if end.is_none_or(|end| end > USER_SPACE) {
            let message =
                format!("{} has {:#x} bytes at {:#x}", segment.name, segment.size, segment.address);
            report.add(segment.place(field!(SegmentCommand, vmsize)), message);
        }
    }
}

fn overlap(macho: &MachO<'_>, report: &mut Report<'_>) {
    let page = macho.page();
    let mut in_memory: Vec<_> = macho.segments.iter().filter(|segment| segment.size > 0).collect();
    in_memory.sort_by_key(|segment| segment.address);
    for pair in in_memory.windows(2) {
        if down(pair[1].address, page) < up(pair[0].end(), page) {
            let message = format!(
                "{} ends at {:#x}, {} begins at {:#x}",
                pair[0].name,
                pair[0].end(),
                pair[1].name,
                pair[1].address
            );
            report.add(pair[1].place(field!(SegmentCommand, vmaddr)), message);
        }
    }
    let mut in_file: Vec<_> =
        macho.segments.iter().filter(|segment| segment.file_size > 0).collect();
    in_file.sort_by_key(|segment| segment.offset);
    for pair in in_file.windows(2) {
        // Two that map the header are a rule of their own.
        if pair[1].offset < pair[0].file_end() && pair[1].offset > 0 {
            let message = format!(
                "{} ends at file offset {:#x}, {} begins at {:#x}",
                pair[0].name,
                pair[0].file_end(),
                pair[1].name,
                pair[1].offset
            );
            report.add(pair[1].place(field!(SegmentCommand, fileoff)), message);
        }
    }
}

fn size(macho: &MachO<'_>, report: &mut Report<'_>) {
    for segment in macho.segments.iter().filter(|segment| segment.file_size > segment.size) {
        // Such a segment only carries bytes for tools.
        if segment.size > 0 || segment.initial != 0 {
            let message = format!(
                "{} has {:#x} bytes in the file and {:#x} in memory",
                segment.name, segment.file_size, segment.size
            );
            report.add(segment.place(field!(SegmentCommand, filesize)), message);
        }
    }
}

fn initial_protection(macho: &MachO<'_>, report: &mut Report<'_>) {
    for segment in &macho.segments {
        if segment.initial & !(READ | WRITE | EXECUTE) != 0 {
            let message = format!("initprot of {} is {:#x}", segment.name, segment.initial);
            report.add(segment.place(field!(SegmentCommand, initprot)), message);
        }
    }
}

fn maximum_protection(macho: &MachO<'_>, report: &mut Report<'_>) {
    let all = READ | WRITE | EXECUTE;
    for segment in &macho.segments {
        if segment.initial & all & !segment.maximum != 0 {
            let message = format!(
                "{} is {}, and at most {}",
                segment.name,
                protection(segment.initial),
                protection(segment.maximum)
            );
            report.add(segment.place(field!(SegmentCommand, maxprot)), message);
        }
    }
}

fn writable_executable(macho: &MachO<'_>, report: &mut Report<'_>) {
    for segment in &macho.segments {
        if segment.initial & (WRITE | EXECUTE) == WRITE | EXECUTE {
            let message = format!("{} is {}", segment.name, protection(segment.initial));
            report.add(segment.place(field!(SegmentCommand, initprot)), message);
        }
    }
}

fn read_only(macho: &MachO<'_>, report: &mut Report<'_>) {
    let flag = macho::SG_READ_ONLY.0;
    if let Some(second) = macho.segments.iter().filter(|one| one.flags & flag != 0).nth(1) {
        let message = format!("{} is another segment with SG_READ_ONLY", second.name);
        report.add(second.place(field!(SegmentCommand, flags)), message);
    }
}

/// The bytes of a segment's last page that lie behind its own.
fn tail(macho: &MachO<'_>, segment: &Segment) -> Option<(u64, u64)> {
    let end = up(segment.file_size, macho.page()).min(segment.size);
    let size = end.checked_sub(segment.file_size).filter(|size| *size > 0)?;
    let there = macho.data.len().saturating_sub(segment.file_end());
    Some((segment.file_end(), size.min(there)))
}

fn zero_fill(macho: &MachO<'_>, report: &mut Report<'_>) {
    for segment in macho.segments.iter().filter(|segment| segment.file_size > 0) {
        // Only sections of zeros are read there; behind the last section nobody looks.
        let is_used =
            segment.sections.iter().any(|section| section.is_zero_fill() && section.size > 0);
        let inside = segment.sections.iter().filter(|section| section.is_zero_fill());
        for section in inside {
            let Some(at) = macho.file_offset(section.address, section.size) else { continue };
            let bytes = macho.data.slice(at, section.size).unwrap_or_default();
            if bytes.iter().any(|byte| *byte != 0) {
                let message = format!("the file has other bytes for {} than zeros", section.name);
                report.add(Place::new(at, section.size, "section contents"), message);
            }
        }
        let Some((offset, size)) = tail(macho, segment).filter(|_| is_used) else { continue };
        let bytes = macho.data.slice(offset, size).unwrap_or_default();
        if let Some(index) = bytes.iter().position(|byte| *byte != 0) {
            let at = offset + index as u64;
            let message = format!(
                "the byte at {at:#x}, behind the bytes of {}, is {:#x}",
                segment.name, bytes[index]
            );
            report.add(Place::new(at, 1, format!("last page of {}", segment.name)), message);
        }
    }
}

type SectionHeader = macho::Section64<LE>;

fn section_start(macho: &MachO<'_>, report: &mut Report<'_>) {
    for (segment, section) in macho.sections() {
        if section.address < segment.address {
            let message = format!(
                "{} begins at {:#x}, its segment at {:#x}",
                section.name, section.address, segment.address
            );
            report.add(section.place(field!(SectionHeader, addr)), message);
        }
    }
}

fn section_end(macho: &MachO<'_>, report: &mut Report<'_>) {
    for (segment, section) in macho.sections() {
        let end = section.address.checked_add(section.size);
        if section.address >= segment.address && end.is_none_or(|end| end > segment.end()) {
            let message = format!(
                "{} has {:#x} bytes at {:#x}, its segment ends at {:#x}",
                section.name,
                section.size,
                section.address,
                segment.end()
            );
            report.add(section.place(field!(SectionHeader, size)), message);
        }
    }
}

fn section_offset(macho: &MachO<'_>, report: &mut Report<'_>) {
    for (segment, section) in macho.sections() {
        if section.is_zero_fill() || section.size == 0 {
            continue;
        }
        let Some(inside) = section.address.checked_sub(segment.address) else { continue };
        let wanted = segment.offset.saturating_add(inside);
        // One that ends outside its segment is a rule of its own.
        let is_inside = segment.holds(section.address, section.size);
        if is_inside && inside.saturating_add(section.size) > segment.file_size {
            let message = format!(
                "{} has {:#x} bytes, and of {} the file has only {:#x}",
                section.name, section.size, segment.name, segment.file_size
            );
            report.add(section.place(field!(SectionHeader, size)), message);
            continue;
        }
        if section.offset != wanted && macho.kind == Kind::Program {
            let message = format!(
                "{} is at file offset {:#x}, not {wanted:#x}",
                section.name, section.offset
            );
            report.add(section.place(field!(SectionHeader, offset)), message);
        }
    }
}
