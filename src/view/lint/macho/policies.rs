//! What dyld demands from some SDK on (`mach_o/Policy.cpp`): a file is judged by the SDK that it says.

use std::collections::HashSet;

use object::LittleEndian as LE;
use object::macho;

use super::{EXECUTE, HEADER_SIZE, Header, MachO, READ, SegmentCommand, WRITE, protection};
use crate::target::Architecture;
use crate::view::lint::bytes::{field, text};
use crate::view::lint::report::{Place, Report};
use crate::view::lint::rule::Loader::Dyld;
use crate::view::lint::rule::{Check, Kind, Rule, error};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "macho/linkedit-protection",
        demand: "__LINKEDIT is r--",
        by: &[error(Dyld).libraries().since_sdk(10, 11), error(Dyld).programs().since_sdk(26, 0)],
        symptom: "dyld: `__LINKEDIT segment permissions is not 'r--'`, and abort (SIGABRT)",
        cure: "set initprot of __LINKEDIT to 1",
        source: "dyld mach_o/Policy.cpp, enforceReadOnlyLinkedit",
        check: Check::MachO(linkedit_protection),
    },
    Rule {
        name: "macho/segment-order",
        demand: "segments are in one order in load commands, file and memory",
        by: &[error(Dyld).libraries().since_sdk(10, 15), error(Dyld).programs().since_sdk(26, 0)],
        symptom: "dyld: `segment … vm address out of order`, and abort (SIGABRT)",
        cure: "sort the load commands and the file by address",
        source: "dyld mach_o/Policy.cpp, enforceSegmentOrderMatchesLoadCmds",
        check: Check::MachO(segment_order),
    },
    Rule {
        name: "macho/text-protection",
        demand: "__TEXT is r-x",
        by: &[error(Dyld).since_sdk(10, 15)],
        symptom: "dyld: `__TEXT segment permissions is not 'r-x'`, and abort (SIGABRT)",
        cure: "set initprot of __TEXT to 5, and move what is written elsewhere",
        source: "dyld mach_o/Policy.cpp, enforceTextSegmentPermissions",
        check: Check::MachO(text_protection),
    },
    Rule {
        name: "macho/data-protection",
        demand: "__DATA and __DATA_CONST are rw-",
        by: &[error(Dyld).since_sdk(26, 0)],
        symptom: "dyld: `__DATA segment permissions is not 'rw-'`, and abort (SIGABRT)",
        cure: "set their initprot to 3",
        source: "dyld mach_o/Policy.cpp, enforceDataSegmentPermissions",
        check: Check::MachO(data_protection),
    },
    Rule {
        name: "macho/data-const-flag",
        demand: "__DATA_CONST has SG_READ_ONLY",
        by: &[error(Dyld).since_sdk(26, 0)],
        symptom: "dyld: `__DATA_CONST segment missing SG_READ_ONLY flag`, and abort (SIGABRT); before, it stays writable",
        cure: "set SG_READ_ONLY (0x10) in the segment's flags",
        source: "dyld mach_o/Policy.cpp, enforceDataConstSegmentPermissions",
        check: Check::MachO(data_const_flag),
    },
    Rule {
        name: "macho/cache-flag",
        demand: "a program does not have MH_DYLIB_IN_CACHE",
        by: &[error(Dyld).programs().since_sdk(12, 0)],
        symptom: "dyld: `MH_EXECUTE has MH_DYLIB_IN_CACHE bit set`, and abort (SIGABRT)",
        cure: "clear 0x80000000 in the header's flags",
        source: "dyld mach_o/Policy.cpp, enforceMainFlagsCorrect",
        check: Check::MachO(cache_flag),
    },
    Rule {
        name: "macho/uuid-missing",
        demand: "there is an LC_UUID",
        by: &[error(Dyld).libraries().since_sdk(12, 0), error(Dyld).programs().since_sdk(26, 0)],
        symptom: "dyld: `missing LC_UUID load command`, and abort (SIGABRT); crash logs do not find their symbols",
        cure: "write LC_UUID, computed from the contents",
        source: "dyld mach_o/Policy.cpp, enforceHasUUID",
        check: Check::MachO(uuid_missing),
    },
    Rule {
        name: "macho/library-missing",
        demand: "at least one library is linked",
        by: &[error(Dyld).since_sdk(15, 4)],
        symptom: "dyld: `missing LC_LOAD_DYLIB (must link with at least libSystem.dylib)`, and abort (SIGABRT)",
        cure: "link /usr/lib/libSystem.B.dylib, even if nothing of it is used",
        source: "dyld mach_o/Policy.cpp, enforceHasLinkedDylibs; dyld/dyldMain.cpp, prepare",
        check: Check::MachO(library_missing),
    },
    Rule {
        name: "macho/library-twice",
        demand: "no library is linked twice",
        by: &[error(Dyld).since_sdk(26, 0)],
        symptom: "dyld: `duplicate linked dylib`, and abort (SIGABRT)",
        cure: "drop one of the load commands, and count the ordinals of fixups anew",
        source: "dyld mach_o/Policy.cpp, enforceNoDuplicateDylibs",
        check: Check::MachO(library_twice),
    },
    Rule {
        name: "macho/rpath-twice",
        demand: "no LC_RPATH is there twice",
        by: &[error(Dyld).since_sdk(26, 0)],
        symptom: "dyld: `duplicate LC_RPATH`, and abort (SIGABRT)",
        cure: "drop one of the load commands",
        source: "dyld mach_o/Policy.cpp, enforceNoDuplicateRPaths",
        check: Check::MachO(rpath_twice),
    },
    Rule {
        name: "macho/segment-name-twice",
        demand: "no two segments have one name",
        by: &[error(Dyld).since_sdk(26, 0)],
        symptom: "dyld: `duplicate segment name`, and abort (SIGABRT)",
        cure: "rename one",
        source: "dyld mach_o/Policy.cpp, enforceUniqueSegmentNames",
        check: Check::MachO(segment_name_twice),
    },
];

/// Reports the segments of these names that have another protection.
fn want(macho: &MachO<'_>, report: &mut Report<'_>, names: &[&str], wanted: u32) {
    for segment in &macho.segments {
        // One that may be written and executed is a rule of its own.
        let is_both = segment.initial & (WRITE | EXECUTE) == WRITE | EXECUTE;
        if names.contains(&segment.name.as_str()) && segment.initial != wanted && !is_both {
            let message = format!("{} is {}", segment.name, protection(segment.initial));
            report.add(segment.place(field!(SegmentCommand, initprot)), message);
        }
    }
}

fn linkedit_protection(macho: &MachO<'_>, report: &mut Report<'_>) {
    want(macho, report, &["__LINKEDIT"], READ);
}

fn text_protection(macho: &MachO<'_>, report: &mut Report<'_>) {
    want(macho, report, &["__TEXT"], READ | EXECUTE);
}

fn data_protection(macho: &MachO<'_>, report: &mut Report<'_>) {
    want(macho, report, &["__DATA", "__DATA_CONST"], READ | WRITE);
}

fn segment_order(macho: &MachO<'_>, report: &mut Report<'_>) {
    let in_file: Vec<_> = macho.segments.iter().filter(|segment| segment.file_size > 0).collect();
    for pair in in_file.windows(2).filter(|pair| pair[0].offset > pair[1].offset) {
        let message = format!(
            "{} at file offset {:#x} stands behind {} at {:#x}",
            pair[1].name, pair[1].offset, pair[0].name, pair[0].offset
        );
        report.add(pair[1].place(field!(SegmentCommand, fileoff)), message);
    }
    // Programs for x86-64 that are not moved may have any order; the last segment is not compared.
    let is_fixed = macho.architecture == Architecture::X86_64
        && macho.kind == Kind::Program
        && !macho.has(macho::MH_PIE);
    let compared = macho.segments.len().saturating_sub(1);
    let pairs = macho.segments[..compared].windows(2);
    for pair in pairs.filter(|pair| pair[0].address > pair[1].address && !is_fixed) {
        let message = format!(
            "{} at {:#x} stands behind {} at {:#x}",
            pair[1].name, pair[1].address, pair[0].name, pair[0].address
        );
        report.add(pair[1].place(field!(SegmentCommand, vmaddr)), message);
    }
}

fn data_const_flag(macho: &MachO<'_>, report: &mut Report<'_>) {
    if let Some(segment) = macho.segment("__DATA_CONST")
        && macho.is_dynamic()
        && segment.flags & macho::SG_READ_ONLY.0 == 0
    {
        let message = format!("the flags of __DATA_CONST are {:#x}", segment.flags);
        report.add(segment.place(field!(SegmentCommand, flags)), message);
    }
}

fn cache_flag(macho: &MachO<'_>, report: &mut Report<'_>) {
    if macho.has(macho::MH_DYLIB_IN_CACHE) {
        let message = format!("flags are {:#x}", macho.header.flags.get(LE).0);
        report.add(MachO::field(field!(Header, flags)), message);
    }
}

fn uuid_missing(macho: &MachO<'_>, report: &mut Report<'_>) {
    if macho.first(macho::LC_UUID).is_none() {
        report.add(Place::new(HEADER_SIZE, 0, "load commands"), "there is no LC_UUID");
    }
}

fn library_missing(macho: &MachO<'_>, report: &mut Report<'_>) {
    let is_linked = macho.libraries().next().is_some();
    if !is_linked && macho.header.filetype.get(LE) == macho::MH_EXECUTE {
        report.add(Place::new(HEADER_SIZE, 0, "load commands"), "no library is linked");
    }
}

/// Reports the second of two commands with one text.
fn twice<'m>(
    macho: &'m MachO<'_>,
    report: &mut Report<'_>,
    commands: impl Iterator<Item = &'m super::Command>,
) {
    let mut seen = HashSet::new();
    for command in commands {
        if let Some(name) = macho.string(command).filter(|name| !seen.insert(*name)) {
            report.add(command.whole(), format!("`{}` is there twice", text(name)));
        }
    }
}

fn library_twice(macho: &MachO<'_>, report: &mut Report<'_>) {
    twice(macho, report, macho.libraries());
}

fn rpath_twice(macho: &MachO<'_>, report: &mut Report<'_>) {
    twice(macho, report, macho.all(macho::LC_RPATH));
}

fn segment_name_twice(macho: &MachO<'_>, report: &mut Report<'_>) {
    let mut seen = HashSet::new();
    for segment in &macho.segments {
        if !seen.insert(segment.name.as_str()) {
            let message = format!("{} is there twice", segment.name);
            report.add(segment.place(field!(SegmentCommand, segname)), message);
        }
    }
}
