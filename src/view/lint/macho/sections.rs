//! Sections that dyld goes by their type: initialisers and thread-locals.

use object::LittleEndian as LE;
use object::macho;

use super::fixups::Pointers;
use super::{EXECUTE, Header, MachO, Section, WRITE};
use crate::view::lint::bytes::field;
use crate::view::lint::report::{Place, Report};
use crate::view::lint::rule::Loader::Dyld;
use crate::view::lint::rule::{Check, Rule, error, warning};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "macho/initializer-section",
        demand: "sections of initialisers hold whole entries: pointers of 8 bytes, or offsets of 4 in a segment that is not written",
        by: &[error(Dyld)],
        symptom: "dyld: `initializer section … has bad size`, and some or all initialisers do not run",
        cure: "let the section's size be that of its entries; move __init_offsets to __TEXT",
        source: "dyld mach_o/Image.cpp, validInitializers; common/MachOAnalyzer.cpp, forEachInitializer",
        check: Check::MachO(initializer_section),
    },
    Rule {
        name: "macho/initializer-target",
        demand: "initialisers are functions in executable segments",
        by: &[error(Dyld)],
        symptom: "dyld: `initializer … is not an offset to an executable segment`, and abort (SIGABRT)",
        cure: "write the function's distance from the header, or where pointers are, its address with a fixup",
        source: "dyld mach_o/Image.cpp, validInitializers; common/MachOAnalyzer.cpp, forEachInitializer",
        check: Check::MachO(initializer_target),
    },
    Rule {
        name: "macho/thread-local-flag",
        demand: "a file with thread-local descriptors has MH_HAS_TLV_DESCRIPTORS",
        by: &[error(Dyld)],
        symptom: "abort at the first use of a thread-local (_tlv_bootstrap_error)",
        cure: "set 0x800000 in the header's flags",
        source: "dyld libdyld/ThreadLocalVariables.cpp; dyld/JustInTimeLoader.cpp (hasTLVs)",
        check: Check::MachO(thread_local_flag),
    },
    Rule {
        name: "macho/thread-local-template",
        demand: "where thread-locals have first values, or the header has MH_HAS_TLV_DESCRIPTORS, there are descriptors",
        by: &[warning(Dyld)],
        symptom: "abort at the first use of a thread-local (_tlv_bootstrap_error): dyld finds no descriptor to set up",
        cure: "give __thread_vars the type S_THREAD_LOCAL_VARIABLES (0x13)",
        source: "dyld libdyld/ThreadLocalVariables.cpp, findInitialContent, initializeThunksFromDisk",
        check: Check::MachO(thread_local_template),
    },
    Rule {
        name: "macho/thread-local-descriptors",
        demand: "thread-local descriptors have 24 bytes and lie in a writable segment",
        by: &[error(Dyld)],
        symptom: "dyld: `size … of thread-locals section … is not a multiple of`, and abort (SIGABRT), or SIGBUS before the program starts",
        cure: "put __thread_vars into __DATA, 24 bytes a variable",
        source: "dyld libdyld/ThreadLocalVariables.cpp, initializeThunksFromDisk",
        check: Check::MachO(thread_local_descriptors),
    },
    Rule {
        name: "macho/thread-local-offset",
        demand: "the offset in a thread-local descriptor lies in the template",
        by: &[error(Dyld)],
        symptom: "dyld: `malformed thread-local, offset=… is larger than total size=…`, and abort (SIGABRT)",
        cure: "count from the first of the template's sections (__thread_data, __thread_bss)",
        source: "dyld libdyld/ThreadLocalVariables.cpp, initializeThunksFromDisk",
        check: Check::MachO(thread_local_offset),
    },
];

type SectionHeader = macho::Section64<LE>;

fn initializer_section(macho: &MachO<'_>, report: &mut Report<'_>) {
    for (segment, section) in macho.sections() {
        let width = match section.kind {
            macho::S_MOD_INIT_FUNC_POINTERS => 8,
            macho::S_INIT_FUNC_OFFSETS => 4,
            _ => continue,
        };
        if !section.size.is_multiple_of(width) {
            let message = format!("{} has {} bytes, an entry {width}", section.name, section.size);
            report.add(section.place(field!(SectionHeader, size)), message);
        } else if width == 4 && segment.initial & WRITE != 0 {
            let message = format!("{} is writable", section.name);
            report.add(section.place(field!(SectionHeader, segname)), message);
        }
    }
}

fn initializer_target(macho: &MachO<'_>, report: &mut Report<'_>) {
    let base = macho.header_segment().map_or(0, |segment| segment.address);
    let is_code = |address: u64| {
        macho.segment_at(address).is_some_and(|segment| segment.initial & EXECUTE != 0)
    };
    let mut pointers = None;
    for (_, section) in macho.sections() {
        let width = match section.kind {
            macho::S_MOD_INIT_FUNC_POINTERS => 8,
            macho::S_INIT_FUNC_OFFSETS => 4,
            _ => continue,
        };
        let Some(start) = macho.file_offset(section.address, section.size) else { continue };
        for at in (0..section.size / width).map(|index| start + index * width) {
            let place = Place::new(at, width, format!("section {}", section.name));
            if width == 4 {
                let Some(offset) = macho.data.u32(at) else { break };
                if !is_code(base.saturating_add(offset.into())) {
                    report.add(place, format!("no executable segment has {offset:#x}"));
                }
            } else if let Some(target) =
                pointers.get_or_insert_with(|| Pointers::of(macho)).address(macho, at)
                && !is_code(target)
            {
                report.add(place, format!("no executable segment has the address {target:#x}"));
            }
        }
    }
}

fn descriptors<'m>(
    macho: &'m MachO<'_>,
) -> impl Iterator<Item = (&'m super::Segment, &'m Section)> {
    macho.sections().filter(|(_, section)| section.kind == macho::S_THREAD_LOCAL_VARIABLES)
}

fn thread_local_flag(macho: &MachO<'_>, report: &mut Report<'_>) {
    if let Some((_, section)) = descriptors(macho).next()
        && !macho.has(macho::MH_HAS_TLV_DESCRIPTORS)
    {
        let message =
            format!("there is {}, and flags are {:#x}", section.name, macho.header.flags.get(LE).0);
        report.add(MachO::field(field!(Header, flags)), message);
    }
}

fn thread_local_template(macho: &MachO<'_>, report: &mut Report<'_>) {
    if descriptors(macho).next().is_some() {
        return;
    }
    let kinds = [macho::S_THREAD_LOCAL_REGULAR, macho::S_THREAD_LOCAL_ZEROFILL];
    if let Some((_, section)) = macho.sections().find(|(_, section)| kinds.contains(&section.kind))
    {
        let place = section.place(field!(SectionHeader, flags));
        report.add(place, format!("there is {}, and no section of descriptors", section.name));
    } else if macho.has(macho::MH_HAS_TLV_DESCRIPTORS) {
        let message = "MH_HAS_TLV_DESCRIPTORS is set, and no section has descriptors";
        report.add(MachO::field(field!(Header, flags)), message);
    }
}

/// A function, a key and an offset: `struct tlv_descriptor`.
const DESCRIPTOR: u64 = 3 * 8;

fn thread_local_descriptors(macho: &MachO<'_>, report: &mut Report<'_>) {
    for (segment, section) in descriptors(macho) {
        if !section.size.is_multiple_of(DESCRIPTOR) {
            let message =
                format!("{} has {} bytes, a descriptor {DESCRIPTOR}", section.name, section.size);
            report.add(section.place(field!(SectionHeader, size)), message);
        } else if segment.initial & WRITE == 0 {
            let message = format!("{} is not writable", section.name);
            report.add(section.place(field!(SectionHeader, segname)), message);
        }
    }
}

/// How large the template is: its sections lie one behind the other.
fn template_size(macho: &MachO<'_>) -> u64 {
    let kinds = [macho::S_THREAD_LOCAL_REGULAR, macho::S_THREAD_LOCAL_ZEROFILL];
    let template = macho.sections().filter(|(_, section)| kinds.contains(&section.kind));
    let (mut start, mut end) = (u64::MAX, 0);
    for (_, section) in template {
        start = start.min(section.address);
        end = end.max(section.address.saturating_add(section.size));
    }
    end.saturating_sub(start)
}

fn thread_local_offset(macho: &MachO<'_>, report: &mut Report<'_>) {
    let size = template_size(macho);
    for (_, section) in descriptors(macho) {
        let Some(start) = macho.file_offset(section.address, section.size) else { continue };
        for at in (0..section.size / DESCRIPTOR).map(|index| start + index * DESCRIPTOR) {
            let Some(offset) = macho.data.u64(at + 16).filter(|offset| *offset > size) else {
                continue;
            };
            let place = Place::new(at + 16, 8, format!("section {}, offset", section.name));
            report
                .add(place, format!("the offset is {offset:#x}, the template has {size:#x} bytes"));
        }
    }
}
