//! Sections: where they lie in memory and in the file. Windows asks for more here than wine does.

use object::LittleEndian as LE;
use object::pe;

use super::{OptionalHeader, PAGE, Pe, Section};
use crate::target::Architecture;
use crate::view::lint::bytes::{field, up};
use crate::view::lint::report::Report;
use crate::view::lint::rule::Loader::{Tools, Uefi, UefiNx, Windows};
use crate::view::lint::rule::{Check, Rule, error, warning};

type Header = pe::ImageSectionHeader;

/// Windows reads file bytes from multiples of this, whatever `FileAlignment` says.
const SECTOR: u64 = 512;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "pe/section-order",
        demand: "sections stand in the order of their addresses",
        by: &[error(Windows)],
        symptom: "`is not a valid Win32 application` (193), STATUS_INVALID_IMAGE_FORMAT; wine and UEFI start it",
        cure: "sort the section headers by VirtualAddress",
        source: "PE specification, Section Table; ReactOS mm/section.c, PeFmtCreateSection",
        check: Check::Pe(order),
    },
    Rule {
        name: "pe/first-section",
        demand: "the first section begins at SizeOfHeaders, rounded up to SectionAlignment",
        by: &[error(Windows)],
        symptom: "`is not a valid Win32 application` (193), STATUS_INVALID_IMAGE_FORMAT; wine and UEFI start it",
        cure: "move the first section right behind the headers",
        source: "ReactOS mm/section.c, PeFmtCreateSection",
        check: Check::Pe(first),
    },
    Rule {
        name: "pe/section-gap",
        demand: "each section begins where the one before it ends, rounded up to SectionAlignment",
        by: &[error(Windows)],
        symptom: "`is not a valid Win32 application` (193), STATUS_INVALID_IMAGE_FORMAT; wine and UEFI start it",
        cure: "close the gap, or let the section before it reach so far (VirtualSize)",
        source: "PE specification, Section Table (adjacent); ReactOS mm/section.c, PeFmtCreateSection",
        check: Check::Pe(gap),
    },
    Rule {
        name: "pe/section-overlap",
        demand: "no section begins before the headers or the section before it end",
        by: &[error(Windows), error(Uefi)],
        symptom: "`is not a valid Win32 application` (193); UEFI and wine load the later section over the earlier one",
        cure: "give each section addresses of its own",
        source: "ReactOS mm/section.c, PeFmtCreateSection; wine dlls/ntdll/unix/virtual.c, map_image_into_view",
        check: Check::Pe(overlap),
    },
    Rule {
        name: "pe/section-address",
        demand: "VirtualAddress is a multiple of SectionAlignment",
        by: &[error(Windows), warning(UefiNx)],
        symptom: "STATUS_INVALID_IMAGE_FORMAT (0xC000007B); firmware cannot protect the section",
        cure: "round it up",
        source: "PE specification, Section Table, VirtualAddress; ReactOS mm/section.c, PeFmtCreateSection",
        check: Check::Pe(address),
    },
    Rule {
        name: "pe/empty-section",
        demand: "no section has both VirtualSize and SizeOfRawData 0",
        by: &[error(Windows)],
        symptom: "`is not a valid Win32 application` (193), STATUS_INVALID_IMAGE_FORMAT; wine and UEFI start it",
        cure: "leave the section out",
        source: "ReactOS mm/section.c, PeFmtCreateSection",
        check: Check::Pe(empty),
    },
    Rule {
        name: "pe/raw-alignment",
        demand: "PointerToRawData is a multiple of 512",
        by: &[error(Windows)],
        symptom: "it is rounded down: the section begins with bytes of what lies before it",
        cure: "put the section's bytes at a multiple of FileAlignment, 512 or more",
        source: "wine dlls/ntdll/unix/virtual.c, get_section_sizes; PE specification, PointerToRawData",
        check: Check::Pe(raw_alignment),
    },
    Rule {
        name: "pe/raw-size-alignment",
        demand: "SizeOfRawData is a multiple of FileAlignment",
        by: &[warning(Windows)],
        symptom: "it starts; tools that follow the specification refuse it or rewrite it wrongly",
        cure: "pad the section's bytes with zeros",
        source: "PE specification, Section Table, SizeOfRawData",
        check: Check::Pe(raw_size_alignment),
    },
    Rule {
        name: "pe/raw-half-set",
        demand: "PointerToRawData and SizeOfRawData are both 0 or both not",
        by: &[warning(Windows), warning(Uefi)],
        symptom: "the section is all zeros in memory: code that is jumped to crashes, constants and variables are lost",
        cure: "write where the section's bytes lie and how many they are, or 0 twice for zeros",
        source: "PE specification, Section Table, PointerToRawData; wine dlls/ntdll/unix/virtual.c, map_image_into_view",
        check: Check::Pe(raw_half_set),
    },
    Rule {
        name: "pe/no-rights",
        demand: "sections that are in memory can be read, written or executed",
        by: &[error(Windows)],
        symptom: "access violation (0xC0000005) when anything in it is touched, in ntdll where it has imports or other tables",
        cure: "set IMAGE_SCN_MEM_READ (0x40000000)",
        source: "PE specification, Section Flags; wine dlls/ntdll/unix/virtual.c, get_prot_flags (PAGE_NOACCESS)",
        check: Check::Pe(no_rights),
    },
    Rule {
        name: "pe/raw-past-end",
        demand: "the file has the bytes that PointerToRawData and SizeOfRawData say",
        by: &[error(Windows), error(Uefi)],
        symptom: "`is not a valid Win32 application` (193); `Unsupported` in a UEFI shell",
        cure: "write or copy the file again: it ends too early",
        source: "ReactOS mm/section.c, PeFmtCreateSection; EDK II BasePeCoff.c, PeCoffLoaderGetPeHeader",
        check: Check::Pe(raw_past_end),
    },
    Rule {
        name: "pe/raw-overlap",
        demand: "no two sections have the same bytes of the file",
        by: &[warning(Tools)],
        symptom: "it starts; a tool that edits one section changes the other, signing tools refuse it",
        cure: "give each section bytes of its own",
        source: "PE specification, Section Table, PointerToRawData",
        check: Check::Pe(raw_overlap),
    },
    Rule {
        name: "pe/low-alignment",
        demand: "SectionAlignment is at least a page",
        by: &[error(Windows).on(Architecture::Aarch64), warning(Windows).on(Architecture::X86_64)],
        symptom: "arm64: STATUS_INVALID_IMAGE_FORMAT; x86-64: the file is mapped as it is, all of it writable and executable, and never \
                  moved",
        cure: "take 4096",
        source: "wine dlls/kernel32/tests/loader.c, test_Loader; wine server/mapping.c, get_image_params",
        check: Check::Pe(low_alignment),
    },
    Rule {
        name: "pe/low-alignment-address",
        demand: "where SectionAlignment is below a page, sections have the same addresses as offsets in the file",
        by: &[error(Windows)],
        symptom: "STATUS_INVALID_IMAGE_FORMAT, or code of one section is run as another",
        cure: "set PointerToRawData to VirtualAddress, or take a SectionAlignment of 4096",
        source: "wine dlls/ntdll/unix/virtual.c, map_image_into_view; wine dlls/kernel32/tests/loader.c, test_Loader",
        check: Check::Pe(low_alignment_address),
    },
    Rule {
        name: "pe/writable-executable",
        demand: "no section is both writable and executable",
        by: &[warning(Windows), warning(UefiNx)],
        symptom: "whoever can write to it has code run; refused with arbitrary code guard, and by firmware that protects memory",
        cure: "put code and variables into sections of their own",
        source: "Microsoft, UEFI CA memory mitigation requirements; ProcessDynamicCodePolicy",
        check: Check::Pe(writable_executable),
    },
];

/// A section that lies where Windows does not expect it.
enum Fault {
    Gap,
    Overlap,
}

/// What is wrong with where sections lie, in the order of their addresses: where the one before ends.
fn faults<'p>(pe: &'p Pe<'_>) -> Vec<(&'p Section, u64, Fault)> {
    let align = pe.section_alignment();
    let table = size_of::<Header>() as u64 * pe.sections().len() as u64;
    // Headers that are said to be shorter than they are have a rule of their own.
    let headers = u64::from(pe.optional.size_of_headers.get(LE)).max(pe.section_table() + table);
    let mut expected = up(headers, align);
    let mut faults = Vec::new();
    // Without pages the file is mapped as it is.
    let sections = pe.by_address().filter(|section| pe.has_pages() && section.size() > 0);
    for section in sections {
        if section.address.is_multiple_of(align) {
            if section.address < expected {
                faults.push((section, expected, Fault::Overlap));
            } else if section.address > expected {
                faults.push((section, expected, Fault::Gap));
            }
        }
        expected = expected.max(up(section.end(), align));
    }
    faults
}

fn order(pe: &Pe<'_>, report: &mut Report<'_>) {
    for pair in pe.sections().windows(2).filter(|pair| pair[0].address > pair[1].address) {
        let message = format!(
            "`{}` at {:#x} stands behind `{}` at {:#x}",
            pair[1].name, pair[1].address, pair[0].name, pair[0].address
        );
        report.add(pair[1].place(field!(Header, virtual_address)), message);
    }
}

fn is_first(pe: &Pe<'_>, section: &Section) -> bool {
    pe.by_address().next().is_some_and(|first| first.index == section.index)
}

fn first(pe: &Pe<'_>, report: &mut Report<'_>) {
    for (section, expected, fault) in faults(pe) {
        if matches!(fault, Fault::Gap) && is_first(pe, section) {
            let message = format!(
                "`{}` begins at {:#x}, the headers end at {expected:#x}",
                section.name, section.address
            );
            report.add(section.place(field!(Header, virtual_address)), message);
        }
    }
}

fn gap(pe: &Pe<'_>, report: &mut Report<'_>) {
    for (section, expected, fault) in faults(pe) {
        if matches!(fault, Fault::Gap) && !is_first(pe, section) {
            let message = format!(
                "`{}` begins at {:#x}, the section before it ends at {expected:#x}",
                section.name, section.address
            );
            report.add(section.place(field!(Header, virtual_address)), message);
        }
    }
}

fn overlap(pe: &Pe<'_>, report: &mut Report<'_>) {
    for (section, expected, fault) in faults(pe) {
        if matches!(fault, Fault::Overlap) {
            let message = format!(
                "`{}` begins at {:#x}, what is before it ends at {expected:#x}",
                section.name, section.address
            );
            report.add(section.place(field!(Header, virtual_address)), message);
        }
    }
}

fn address(pe: &Pe<'_>, report: &mut Report<'_>) {
    let align = pe.section_alignment();
    for section in pe.sections().iter().filter(|one| !one.address.is_multiple_of(align)) {
        let message = format!(
            "`{}` begins at {:#x}, SectionAlignment is {align:#x}",
            section.name, section.address
        );
        report.add(section.place(field!(Header, virtual_address)), message);
    }
}

fn empty(pe: &Pe<'_>, report: &mut Report<'_>) {
    for section in pe.sections().iter().filter(|section| section.size() == 0) {
        let message = format!("`{}` has no bytes and no addresses", section.name);
        report.add(section.place(field!(Header, virtual_size)), message);
    }
}

/// Sections that have bytes in the file.
fn with_bytes<'p>(pe: &'p Pe<'_>) -> impl Iterator<Item = &'p Section> {
    pe.sections().iter().filter(|section| section.file_size > 0)
}

fn raw_alignment(pe: &Pe<'_>, report: &mut Report<'_>) {
    for section in with_bytes(pe).filter(|section| !section.offset.is_multiple_of(SECTOR)) {
        // Without pages the file is mapped as it is.
        if pe.has_pages() {
            let message = format!("the bytes of `{}` are at {:#x}", section.name, section.offset);
            report.add(section.place(field!(Header, pointer_to_raw_data)), message);
        }
    }
}

fn raw_size_alignment(pe: &Pe<'_>, report: &mut Report<'_>) {
    let align = u64::from(pe.optional.file_alignment.get(LE)).max(1);
    for section in with_bytes(pe).filter(|section| !section.file_size.is_multiple_of(align)) {
        let message = format!(
            "`{}` has {:#x} bytes, FileAlignment is {align:#x}",
            section.name, section.file_size
        );
        report.add(section.place(field!(Header, size_of_raw_data)), message);
    }
}

fn raw_half_set(pe: &Pe<'_>, report: &mut Report<'_>) {
    // A section of neither bytes nor addresses is a rule of its own.
    for section in pe.sections().iter().filter(|section| section.size() > 0) {
        if (section.offset == 0) != (section.file_size == 0) {
            let message = format!(
                "`{}` has {:#x} bytes at file offset {:#x}",
                section.name, section.file_size, section.offset
            );
            report.add(section.place(field!(Header, pointer_to_raw_data)), message);
        }
    }
}

fn no_rights(pe: &Pe<'_>, report: &mut Report<'_>) {
    let rights = [pe::IMAGE_SCN_MEM_READ, pe::IMAGE_SCN_MEM_WRITE, pe::IMAGE_SCN_MEM_EXECUTE];
    for section in pe.sections().iter().filter(|_| pe.has_pages()) {
        let is_dropped = section.has(pe::IMAGE_SCN_MEM_DISCARDABLE);
        if !is_dropped && !rights.into_iter().any(|right| section.has(right)) {
            let message = format!("`{}` has Characteristics {:#x}", section.name, section.flags);
            report.add(section.place(field!(Header, characteristics)), message);
        }
    }
}

fn raw_past_end(pe: &Pe<'_>, report: &mut Report<'_>) {
    for section in with_bytes(pe) {
        if section.offset + section.file_size > pe.data.len() {
            let message = format!(
                "`{}` has {:#x} bytes at {:#x}, but the file ends at {:#x}",
                section.name,
                section.file_size,
                section.offset,
                pe.data.len()
            );
            report.add(section.place(field!(Header, pointer_to_raw_data)), message);
        }
    }
}

fn raw_overlap(pe: &Pe<'_>, report: &mut Report<'_>) {
    let mut sections: Vec<_> = with_bytes(pe).collect();
    sections.sort_by_key(|section| section.offset);
    for pair in sections.windows(2) {
        if pair[0].offset + pair[0].file_size > pair[1].offset {
            let message = format!(
                "`{}` and `{}` both have the bytes at {:#x}",
                pair[0].name, pair[1].name, pair[1].offset
            );
            report.add(pair[1].place(field!(Header, pointer_to_raw_data)), message);
        }
    }
}

fn low_alignment(pe: &Pe<'_>, report: &mut Report<'_>) {
    // Where addresses and offsets differ, that is the graver rule.
    if !pe.has_pages() && with_bytes(pe).all(|section| section.address == section.offset) {
        let message =
            format!("SectionAlignment is {:#x}, a page {PAGE:#x}", pe.section_alignment());
        report.add(pe.optional(field!(OptionalHeader, section_alignment)), message);
    }
}

fn low_alignment_address(pe: &Pe<'_>, report: &mut Report<'_>) {
    for section in with_bytes(pe).filter(|section| section.address != section.offset) {
        if !pe.has_pages() {
            let message = format!(
                "`{}` is at {:#x} in memory and at {:#x} in the file",
                section.name, section.address, section.offset
            );
            report.add(section.place(field!(Header, pointer_to_raw_data)), message);
        }
    }
}

fn writable_executable(pe: &Pe<'_>, report: &mut Report<'_>) {
    for section in pe.sections() {
        if section.has(pe::IMAGE_SCN_MEM_WRITE) && section.has(pe::IMAGE_SCN_MEM_EXECUTE) {
            let message = format!("`{}` is writable and executable", section.name);
            report.add(section.place(field!(Header, characteristics)), message);
        }
    }
}
