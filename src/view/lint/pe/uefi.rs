//! UEFI: what firmware asks of an image beside what Windows does.

use object::LittleEndian as LE;
use object::pe;

use super::{FileHeader, OptionalHeader, PAGE, Pe};
use crate::target::Architecture;
use crate::view::lint::bytes::field;
use crate::view::lint::report::Report;
use crate::view::lint::rule::Loader::{Uefi, UefiNx};
use crate::view::lint::rule::{Check, Rule, error, warning};

type Section = pe::ImageSectionHeader;

/// Runtime drivers are protected in pages of this size on arm64.
const RUNTIME_PAGE: u64 = 0x1_0000;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "uefi/raw-in-headers",
        demand: "sections with bytes begin behind SizeOfHeaders, in memory and in the file",
        by: &[error(Uefi)],
        symptom: "`Unsupported` in a UEFI shell",
        cure: "put the sections' bytes behind the headers",
        source: "EDK II BasePeCoff.c, PeCoffLoaderGetPeHeader",
        check: Check::Pe(raw_in_headers),
    },
    Rule {
        name: "uefi/relocations-stripped",
        demand: "RELOCS_STRIPPED is not set",
        by: &[error(Uefi)],
        symptom: "`Not Found` in a UEFI shell, where the memory at ImageBase is taken: nearly always",
        cure: "clear IMAGE_FILE_RELOCS_STRIPPED and write a .reloc section, if only an empty one",
        source: "EDK II Core/Dxe/Image/Image.c, CoreLoadPeImage",
        check: Check::Pe(relocations_stripped),
    },
    Rule {
        name: "uefi/code-flag",
        demand: "executable sections have CNT_CODE",
        by: &[error(UefiNx)],
        symptom: "runs with most firmware; a page fault at the entry with firmware that protects memory, which goes by CNT_CODE",
        cure: "set IMAGE_SCN_CNT_CODE (0x20) beside IMAGE_SCN_MEM_EXECUTE",
        source: "EDK II ImagePropertiesRecordLib.c, CreateImagePropertiesRecord; Misc/MemoryProtection.c, ProtectUefiImage",
        check: Check::Pe(code_flag),
    },
    Rule {
        name: "uefi/section-alignment",
        demand: "SectionAlignment is a multiple of 4096",
        by: &[warning(UefiNx)],
        symptom: "the image is loaded without protection; firmware that demands it refuses the image",
        cure: "take 4096",
        source: "EDK II Misc/MemoryProtection.c, ProtectUefiImage; Microsoft, UEFI CA memory mitigation requirements",
        check: Check::Pe(section_alignment),
    },
    Rule {
        name: "uefi/runtime-alignment",
        demand: "a runtime driver for arm64 has a SectionAlignment of a multiple of 64 KiB",
        by: &[error(Uefi).on(Architecture::Aarch64)],
        symptom: "`Unsupported`: an operating system with pages of 64 KiB could not protect it",
        cure: "take 65536",
        source: "UEFI specification, AArch64 Platforms, Memory types; EDK II ImagePropertiesRecordLib.c, CreateImagePropertiesRecord",
        check: Check::Pe(runtime_alignment),
    },
    Rule {
        name: "uefi/imports",
        demand: "there are no imports",
        by: &[error(Uefi)],
        symptom: "a fault at the first call: firmware resolves none",
        cure: "call what the system table offers",
        source: "UEFI specification, UEFI Images; EDK II BasePeCoff.c, PeCoffLoaderLoadImage",
        check: Check::Pe(imports),
    },
    Rule {
        name: "uefi/thread-locals",
        demand: "there is no TLS directory",
        by: &[warning(Uefi)],
        symptom: "a fault at the first use of a thread-local: firmware sets none up",
        cure: "use ordinary variables: there is one thread",
        source: "EDK II BasePeCoff.c, PeCoffLoaderLoadImage",
        check: Check::Pe(thread_locals),
    },
];

fn raw_in_headers(pe: &Pe<'_>, report: &mut Report<'_>) {
    let headers = u64::from(pe.optional.size_of_headers.get(LE));
    for section in pe.sections().iter().filter(|section| section.file_size > 0) {
        if section.offset < headers {
            let message = format!(
                "the bytes of `{}` are at {:#x}, the headers end at {headers:#x}",
                section.name, section.offset
            );
            report.add(section.place(field!(Section, pointer_to_raw_data)), message);
        }
    }
}

fn relocations_stripped(pe: &Pe<'_>, report: &mut Report<'_>) {
    if pe.has(pe::IMAGE_FILE_RELOCS_STRIPPED) {
        let flags = pe.file.characteristics.get(LE).0;
        let place = pe.file(field!(FileHeader, characteristics));
        report.add(place, format!("Characteristics is {flags:#x}"));
    }
}

fn code_flag(pe: &Pe<'_>, report: &mut Report<'_>) {
    for section in pe.sections() {
        if section.has(pe::IMAGE_SCN_MEM_EXECUTE) && !section.has(pe::IMAGE_SCN_CNT_CODE) {
            let message = format!("`{}` is executable and has no CNT_CODE", section.name);
            report.add(section.place(field!(Section, characteristics)), message);
        }
    }
}

fn section_alignment(pe: &Pe<'_>, report: &mut Report<'_>) {
    let align = u64::from(pe.optional.section_alignment.get(LE));
    if !align.is_multiple_of(PAGE) {
        let place = pe.optional(field!(OptionalHeader, section_alignment));
        report.add(place, format!("SectionAlignment is {align:#x}"));
    }
}

fn runtime_alignment(pe: &Pe<'_>, report: &mut Report<'_>) {
    let align = u64::from(pe.optional.section_alignment.get(LE));
    let subsystem = pe.optional.subsystem.get(LE);
    if subsystem == pe::IMAGE_SUBSYSTEM_EFI_RUNTIME_DRIVER && !align.is_multiple_of(RUNTIME_PAGE) {
        let place = pe.optional(field!(OptionalHeader, section_alignment));
        report.add(place, format!("SectionAlignment is {align:#x}"));
    }
}

fn imports(pe: &Pe<'_>, report: &mut Report<'_>) {
    if let Some(table) = pe.directory(pe::IMAGE_DIRECTORY_ENTRY_IMPORT) {
        report.add(table.place(), "there is an import table");
    }
}

fn thread_locals(pe: &Pe<'_>, report: &mut Report<'_>) {
    if let Some(table) = pe.directory(pe::IMAGE_DIRECTORY_ENTRY_TLS) {
        report.add(table.place(), "there is a TLS directory");
    }
}
