//! The headers: what a loader needs before it looks at a section.

use object::LittleEndian as LE;
use object::pe;

use super::{FileHeader, OptionalHeader, PAGE, Pe, Stage};
use crate::view::lint::bytes::{field, up};
use crate::view::lint::report::{Place, Report};
use crate::view::lint::rule::Loader::{Uefi, Windows};
use crate::view::lint::rule::{Check, Rule, error, warning};

/// What is looked at in every file; the other rules only where these hold.
pub(super) const EARLY: &[Rule] = &[
    Rule {
        name: "pe/truncated",
        demand: "the file holds its DOS header, PE signature, file header and optional header",
        by: &[error(Windows), error(Uefi)],
        symptom: "`is not a valid Win32 application` (193), `This app can't run on your PC`; `Unsupported` in a UEFI shell",
        cure: "write or copy the file again: it ends too early; or correct e_lfanew",
        source: "PE specification, MS-DOS Stub, Signature; EDK II BasePeCoff.c, PeCoffLoaderGetPeHeader",
        check: Check::Pe(truncated),
    },
    Rule {
        name: "pe/signature",
        demand: "e_lfanew points at `PE\\0\\0`",
        by: &[error(Windows), error(Uefi)],
        symptom: "`is not a valid Win32 application` (193), STATUS_INVALID_IMAGE_PROTECT, or it is taken for a DOS program",
        cure: "set e_lfanew to where the PE signature lies",
        source: "PE specification, Signature; EDK II BasePeCoff.c, PeCoffLoaderGetPeHeader",
        check: Check::Pe(signature),
    },
    Rule {
        name: "pe/magic",
        demand: "the optional header of a file for x86-64 or arm64 begins with 0x20b (PE32+)",
        by: &[error(Windows), error(Uefi)],
        symptom: "STATUS_INVALID_IMAGE_FORMAT (0xC000007B); `Unsupported` in a UEFI shell",
        cure: "write a PE32+ optional header",
        source: "PE specification, Optional Header, Magic; EDK II BasePeCoff.c, PeCoffLoaderGetPeHeader",
        check: Check::Pe(magic),
    },
];

/// More sections than these Windows does not take.
const MOST_SECTIONS: u16 = 96;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "pe/header-in-dos-header",
        demand: "e_lfanew is 64 or above: the PE header does not lie inside the DOS header",
        by: &[error(Windows)],
        symptom: "`is not a valid Win32 application` (193) from Windows 10 1809 on",
        cure: "put the PE header behind the 64 bytes of the DOS header",
        source: "wine dlls/kernel32/tests/loader.c, test_Loader (what Windows answers)",
        check: Check::Pe(inside_dos_header),
    },
    Rule {
        name: "pe/optional-header-size",
        demand: "SizeOfOptionalHeader is 112 and 8 for each of NumberOfRvaAndSizes, which is at most 16",
        by: &[error(Uefi), warning(Windows)],
        symptom: "`Unsupported` in a UEFI shell; Windows takes the directories that fit, and tools misread the section table",
        cure: "set it to 240 with 16 data directories",
        source: "EDK II BasePeCoff.c, PeCoffLoaderGetPeHeader; PE specification, Optional Header Data Directories",
        check: Check::Pe(optional_header_size),
    },
    Rule {
        name: "pe/section-count",
        demand: "there are 1 to 96 sections",
        by: &[error(Windows)],
        symptom: "`is not a valid Win32 application` (193), STATUS_INVALID_IMAGE_FORMAT",
        cure: "merge sections of one protection",
        source: "PE specification, COFF File Header, NumberOfSections; ReactOS mm/section.c, PeFmtCreateSection",
        check: Check::Pe(section_count),
    },
    Rule {
        name: "pe/section-table-truncated",
        demand: "the section table lies inside the file",
        by: &[error(Windows), error(Uefi)],
        symptom: "`is not a valid Win32 application` (193); `Unsupported` in a UEFI shell",
        cure: "correct NumberOfSections or SizeOfOptionalHeader; if they are right, the file was cut",
        source: "PE specification, Section Table; EDK II BasePeCoff.c, PeCoffLoaderGetPeHeader",
        check: Check::Pe(table_inside),
    },
    Rule {
        name: "pe/headers-size",
        demand: "SizeOfHeaders covers the section table, and the file has as many bytes",
        by: &[error(Windows), error(Uefi)],
        symptom: "STATUS_INVALID_IMAGE_FORMAT (0xC000007B): section headers are not mapped; `Unsupported` in a UEFI shell",
        cure: "round the end of the section table up to FileAlignment",
        source: "ReactOS mm/section.c, PeFmtCreateSection; EDK II BasePeCoff.c, PeCoffLoaderGetPeHeader",
        check: Check::Pe(headers_size),
    },
    Rule {
        name: "pe/headers-alignment",
        demand: "SizeOfHeaders is a multiple of FileAlignment",
        by: &[warning(Windows)],
        symptom: "it starts; tools that follow the specification refuse it or rewrite it wrongly",
        cure: "round it up",
        source: "PE specification, Optional Header Windows-Specific Fields, SizeOfHeaders",
        check: Check::Pe(headers_alignment),
    },
    Rule {
        name: "pe/section-alignment",
        demand: "SectionAlignment is a power of two and not below FileAlignment",
        by: &[error(Windows)],
        symptom: "STATUS_INVALID_IMAGE_FORMAT (0xC000007B), `is not a valid Win32 application` (193)",
        cure: "take 4096",
        source: "PE specification, SectionAlignment; ReactOS mm/section.c, PeFmtCreateSection",
        check: Check::Pe(section_alignment),
    },
    Rule {
        name: "pe/file-alignment",
        demand: "FileAlignment is a power of two of 512 to 65536, or SectionAlignment where that is below a page",
        by: &[error(Windows)],
        symptom: "STATUS_INVALID_IMAGE_FORMAT (0xC000007B), `is not a valid Win32 application` (193)",
        cure: "take 512",
        source: "PE specification, FileAlignment; ReactOS mm/section.c, PeFmtCreateSection",
        check: Check::Pe(file_alignment),
    },
    Rule {
        name: "pe/image-size-short",
        demand: "SizeOfImage reaches the end of the last section",
        by: &[error(Windows), error(Uefi)],
        symptom: "`is not a valid Win32 application` (193); `Load Error` in a UEFI shell",
        cure: "set it to the last section's end, rounded up to SectionAlignment",
        source: "wine dlls/kernel32/tests/loader.c, test_Loader; EDK II BasePeCoff.c, PeCoffLoaderLoadImage",
        check: Check::Pe(image_size_short),
    },
    Rule {
        name: "pe/image-size-long",
        demand: "SizeOfImage does not go beyond the last section",
        by: &[warning(Windows)],
        symptom: "addresses behind the last section are reserved and belong to nothing; strict readers refuse the file",
        cure: "set it to the last section's end, rounded up to SectionAlignment",
        source: "PE specification, SizeOfImage; ReactOS mm/section.c, PeFmtCreateSection",
        check: Check::Pe(image_size_long),
    },
    Rule {
        name: "pe/image-size-alignment",
        demand: "SizeOfImage is a multiple of SectionAlignment",
        by: &[warning(Windows), warning(Uefi)],
        symptom: "it starts, rounded up; tools that follow the specification refuse it",
        cure: "round it up",
        source: "PE specification, SizeOfImage; wine dlls/kernel32/tests/loader.c, test_Loader",
        check: Check::Pe(image_size_alignment),
    },
    Rule {
        name: "pe/image-base",
        demand: "ImageBase is a multiple of 64 KiB, not 0, and the image ends in the 128 TiB of programs",
        by: &[error(Windows)],
        symptom: "STATUS_INVALID_IMAGE_FORMAT (0xC000007B), or `STATUS_CONFLICTING_ADDRESSES`",
        cure: "take 0x140000000 for programs, 0x180000000 for libraries",
        source: "PE specification, ImageBase; ReactOS mm/section.c, PeFmtCreateSection",
        check: Check::Pe(image_base),
    },
    Rule {
        name: "pe/directory-outside",
        demand: "what a data directory names lies in the headers or in a section",
        by: &[error(Windows), error(Uefi)],
        symptom: "STATUS_INVALID_IMAGE_FORMAT (0xC000007B), or an access violation in ntdll before the program starts",
        cure: "correct the directory's address and size, or set both to 0",
        source: "PE specification, Optional Header Data Directories; wine dlls/ntdll/loader.c, RtlImageDirectoryEntryToData",
        check: Check::Pe(directories),
    },
    Rule {
        name: "pe/certificate-table",
        demand: "the certificate table (a file offset, not an address) is a multiple of 8 and lies inside the file",
        by: &[warning(Windows), error(Uefi)],
        symptom: "`The digital signature of the object did not verify`; Secure Boot: `Security Violation`",
        cure: "sign the file again, or set the directory to 0",
        source: "PE specification, The Attribute Certificate Table; EDK II BasePeCoff.c, PeCoffLoaderGetPeHeader",
        check: Check::Pe(certificates),
    },
];

fn truncated(pe: &Pe<'_>, report: &mut Report<'_>) {
    if pe.stage == Stage::Truncated {
        let message = format!(
            "the PE header is to be at {:#x}, but the file ends at {:#x}",
            pe.start,
            pe.data.len()
        );
        report.add(Place::new(0, pe.data.len().min(64), "DOS header, e_lfanew"), message);
    }
}

fn signature(pe: &Pe<'_>, report: &mut Report<'_>) {
    if pe.stage == Stage::NoSignature {
        let found = pe.data.slice(pe.start, 4).unwrap_or_default();
        let place = Place::new(pe.start, 4, "PE signature");
        report.add(place, format!("`{}` is at {:#x}", found.escape_ascii(), pe.start));
    }
}

fn magic(pe: &Pe<'_>, report: &mut Report<'_>) {
    if pe.stage == Stage::NoMagic {
        let place = pe.optional(field!(OptionalHeader, magic));
        let found = pe.data.u16(place.offset).unwrap_or_default();
        report.add(place, format!("Magic is {found:#x}"));
    }
}

fn inside_dos_header(pe: &Pe<'_>, report: &mut Report<'_>) {
    let size = size_of::<pe::ImageDosHeader>() as u64;
    if pe.start < size {
        let field = field!(pe::ImageDosHeader, e_lfanew);
        let place = Place::new(field.offset, field.size, "DOS header, e_lfanew");
        report.add(place, format!("e_lfanew is {}", pe.start));
    }
}

fn optional_header_size(pe: &Pe<'_>, report: &mut Report<'_>) {
    let size = u64::from(pe.file.size_of_optional_header.get(LE));
    let count = u64::from(pe.optional.number_of_rva_and_sizes.get(LE));
    let wanted =
        size_of::<OptionalHeader>() as u64 + count * size_of::<pe::ImageDataDirectory>() as u64;
    if count > 16 {
        let place = pe.optional(field!(OptionalHeader, number_of_rva_and_sizes));
        report.add(place, format!("NumberOfRvaAndSizes is {count}"));
    } else if size != wanted {
        let message = format!("SizeOfOptionalHeader is {size}, with {count} directories {wanted}");
        report.add(pe.file(field!(FileHeader, size_of_optional_header)), message);
    }
}

/// Whether a loader reads so many sections.
pub(super) fn is_section_count(pe: &Pe<'_>) -> bool {
    pe.is_uefi || (1..=MOST_SECTIONS).contains(&pe.file.number_of_sections.get(LE))
}

fn section_count(pe: &Pe<'_>, report: &mut Report<'_>) {
    let count = pe.file.number_of_sections.get(LE);
    if !is_section_count(pe) {
        let place = pe.file(field!(FileHeader, number_of_sections));
        report.add(place, format!("there are {count} sections"));
    }
}

fn table_inside(pe: &Pe<'_>, report: &mut Report<'_>) {
    if pe.sections.is_none() && is_section_count(pe) {
        let message = format!(
            "{} section headers at {:#x}, but the file ends at {:#x}",
            pe.file.number_of_sections.get(LE),
            pe.section_table(),
            pe.data.len()
        );
        report.add(Place::new(pe.section_table(), 0, "section table"), message);
    }
}

fn headers_size(pe: &Pe<'_>, report: &mut Report<'_>) {
    if pe.sections.is_none() {
        return;
    }
    let size = u64::from(pe.optional.size_of_headers.get(LE));
    let table = size_of::<pe::ImageSectionHeader>() as u64 * pe.sections().len() as u64;
    let end = pe.section_table() + table;
    let place = pe.optional(field!(OptionalHeader, size_of_headers));
    if size < end {
        report
            .add(place, format!("SizeOfHeaders is {size:#x}, the section table ends at {end:#x}"));
    } else if size > pe.data.len() {
        let message = format!("SizeOfHeaders is {size:#x}, the file ends at {:#x}", pe.data.len());
        report.add(place, message);
    }
}

fn headers_alignment(pe: &Pe<'_>, report: &mut Report<'_>) {
    let size = pe.optional.size_of_headers.get(LE);
    let align = pe.optional.file_alignment.get(LE);
    if align > 0 && !size.is_multiple_of(align) {
        let place = pe.optional(field!(OptionalHeader, size_of_headers));
        report.add(place, format!("SizeOfHeaders is {size:#x}, FileAlignment {align:#x}"));
    }
}

fn section_alignment(pe: &Pe<'_>, report: &mut Report<'_>) {
    let align = pe.optional.section_alignment.get(LE);
    let file = pe.optional.file_alignment.get(LE);
    let place = pe.optional(field!(OptionalHeader, section_alignment));
    if !align.is_power_of_two() {
        report.add(place, format!("SectionAlignment is {align:#x}"));
    } else if align < file {
        report.add(place, format!("SectionAlignment is {align:#x}, FileAlignment {file:#x}"));
    }
}

fn file_alignment(pe: &Pe<'_>, report: &mut Report<'_>) {
    let align = pe.optional.file_alignment.get(LE);
    let sections = pe.optional.section_alignment.get(LE);
    let is_right = if pe.has_pages() {
        align.is_power_of_two() && (512..=65536).contains(&align)
    } else {
        align == sections
    };
    if !is_right {
        let message = format!("FileAlignment is {align:#x}, SectionAlignment {sections:#x}");
        report.add(pe.optional(field!(OptionalHeader, file_alignment)), message);
    }
}

/// `SizeOfImage`, as loaders round it, and where the sections end.
fn image_sizes(pe: &Pe<'_>) -> Option<(u64, u64)> {
    let size = u64::from(pe.optional.size_of_image.get(LE));
    let align = pe.section_alignment();
    pe.sections.as_ref()?;
    Some((up(size, align.max(PAGE)), up(super::image_end(pe), align.max(PAGE))))
}

fn image_size_short(pe: &Pe<'_>, report: &mut Report<'_>) {
    if let Some((size, end)) = image_sizes(pe).filter(|(size, end)| size < end) {
        let place = pe.optional(field!(OptionalHeader, size_of_image));
        report.add(place, format!("SizeOfImage is {size:#x}, the sections end at {end:#x}"));
    }
}

fn image_size_long(pe: &Pe<'_>, report: &mut Report<'_>) {
    if let Some((size, end)) = image_sizes(pe).filter(|(size, end)| size > end) {
        let place = pe.optional(field!(OptionalHeader, size_of_image));
        report.add(place, format!("SizeOfImage is {size:#x}, the sections end at {end:#x}"));
    }
}

fn image_size_alignment(pe: &Pe<'_>, report: &mut Report<'_>) {
    let size = u64::from(pe.optional.size_of_image.get(LE));
    if !size.is_multiple_of(pe.section_alignment()) {
        let message =
            format!("SizeOfImage is {size:#x}, SectionAlignment {:#x}", pe.section_alignment());
        report.add(pe.optional(field!(OptionalHeader, size_of_image)), message);
    }
}

/// The first address that is not a program's.
const USER_SPACE: u64 = 1 << 47;

fn image_base(pe: &Pe<'_>, report: &mut Report<'_>) {
    let base = pe.optional.image_base.get(LE);
    let end = base.saturating_add(pe.optional.size_of_image.get(LE).into());
    if base == 0 || !base.is_multiple_of(0x1_0000) || end > USER_SPACE {
        let place = pe.optional(field!(OptionalHeader, image_base));
        report.add(place, format!("ImageBase is {base:#x}"));
    }
}

fn directories(pe: &Pe<'_>, report: &mut Report<'_>) {
    if pe.sections.is_none() {
        return;
    }
    for index in 0..16 {
        // The one holds a file offset, the other no bytes.
        if [pe::IMAGE_DIRECTORY_ENTRY_SECURITY, pe::IMAGE_DIRECTORY_ENTRY_GLOBALPTR]
            .contains(&index)
        {
            continue;
        }
        let Some(mut directory) = pe.directory(index) else { continue };
        if directory.size == 0 {
            // Loaders do not ask how large these are.
            directory.size = match index {
                pe::IMAGE_DIRECTORY_ENTRY_TLS => size_of::<pe::ImageTlsDirectory64>() as u64,
                pe::IMAGE_DIRECTORY_ENTRY_IMPORT => size_of::<pe::ImageImportDescriptor>() as u64,
                _ => continue,
            };
        }
        if !pe.is_mapped(directory.address, directory.size) {
            let message = format!(
                "{:#x} bytes at {:#x}, which no section holds",
                directory.size, directory.address
            );
            report.add(directory.place(), message);
        }
    }
}

fn certificates(pe: &Pe<'_>, report: &mut Report<'_>) {
    let Some(table) = pe.directory(pe::IMAGE_DIRECTORY_ENTRY_SECURITY) else { return };
    if !table.address.is_multiple_of(8) {
        report.add(table.place(), format!("its file offset is {:#x}", table.address));
    } else if table.address + table.size > pe.data.len() {
        let message = format!(
            "{:#x} bytes at {:#x}, but the file ends at {:#x}",
            table.size,
            table.address,
            pe.data.len()
        );
        report.add(table.place(), message);
    }
}
