//! What the headers say of the image as a whole: where it may lie, for whom it is, where it begins.

use object::LittleEndian as LE;
use object::pe;

use super::{FileHeader, OptionalHeader, Pe};
use crate::target::Architecture::{Aarch64, X86_64};
use crate::view::lint::bytes::field;
use crate::view::lint::report::Report;
use crate::view::lint::rule::Loader::{Uefi, UefiNx, Windows};
use crate::view::lint::rule::{Check, Kind, Rule, error, warning};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "pe/dynamic-base",
        demand: "an image for arm64 has DYNAMIC_BASE",
        by: &[error(Windows).on(Aarch64)],
        symptom: "STATUS_INVALID_IMAGE_FORMAT (0xC000007B)",
        cure: "set IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE (0x40), and write base relocations",
        source: "wine dlls/kernel32/tests/loader.c, test_Loader; wine server/mapping.c, get_image_params",
        check: Check::Pe(dynamic_base),
    },
    Rule {
        name: "pe/nx-compat",
        demand: "the image has NX_COMPAT",
        by: &[error(Windows).on(Aarch64), warning(Windows).on(X86_64), warning(UefiNx)],
        symptom: "arm64: STATUS_INVALID_IMAGE_FORMAT (0xC000007B); x86-64: protection is off where a policy asks the program; \
                  firmware: not signed by Microsoft, and loaded without protection or not at all",
        cure: "set IMAGE_DLLCHARACTERISTICS_NX_COMPAT (0x100)",
        source: "wine dlls/kernel32/tests/loader.c, test_Loader; wine dlls/ntdll/loader.c, alloc_module; Microsoft, UEFI CA memory \
                 mitigation requirements",
        check: Check::Pe(nx_compat),
    },
    Rule {
        name: "pe/relocations-stripped",
        demand: "RELOCS_STRIPPED is not set on arm64, nor beside DYNAMIC_BASE",
        by: &[error(Windows).on(Aarch64), warning(Windows).on(X86_64)],
        symptom: "arm64: STATUS_INVALID_IMAGE_FORMAT; x86-64: the image is never moved, whatever DYNAMIC_BASE says",
        cure: "clear IMAGE_FILE_RELOCS_STRIPPED and write base relocations, or clear DYNAMIC_BASE",
        source: "PE specification, Characteristics; wine dlls/ntdll/unix/virtual.c, map_image_into_view",
        check: Check::Pe(relocations_stripped),
    },
    Rule {
        name: "pe/high-entropy",
        demand: "HIGH_ENTROPY_VA is there only with DYNAMIC_BASE",
        by: &[warning(Windows)],
        symptom: "the image is not moved at all",
        cure: "set DYNAMIC_BASE (0x40) too",
        source: "PE specification, DLL Characteristics",
        check: Check::Pe(high_entropy),
    },
    Rule {
        name: "pe/executable-image",
        demand: "EXECUTABLE_IMAGE is set",
        by: &[error(Windows)],
        symptom: "`is not a valid Win32 application` (193): it is taken for a file that could not be linked",
        cure: "set IMAGE_FILE_EXECUTABLE_IMAGE (0x2)",
        source: "PE specification, Characteristics",
        check: Check::Pe(executable_image),
    },
    Rule {
        name: "pe/large-address-aware",
        demand: "a 64-bit program has LARGE_ADDRESS_AWARE",
        by: &[warning(Windows).programs()],
        symptom: "the program gets 2 GiB of address space, and allocations fail beyond",
        cure: "set IMAGE_FILE_LARGE_ADDRESS_AWARE (0x20)",
        source: "PE specification, Characteristics; wine dlls/ntdll/unix/virtual.c, virtual_set_large_address_space",
        check: Check::Pe(large_address_aware),
    },
    Rule {
        name: "pe/subsystem",
        demand: "Subsystem is one that Windows knows",
        by: &[error(Windows)],
        symptom: "`The %1 application cannot be run in Win32 mode` (129), `is not a valid Win32 application` (193)",
        cure: "take 3 for a console, 2 for windows, 10 for a UEFI application",
        source: "PE specification, Windows Subsystem",
        check: Check::Pe(subsystem),
    },
    Rule {
        name: "pe/subsystem-version",
        demand: "the subsystem's version is 3.10 to 10.0",
        by: &[warning(Windows)],
        symptom: "`This app can't run on your PC`, `The image file is valid, but is for a newer version of Windows`",
        cure: "take 6.0, or 6.2 on arm64",
        source: "PE specification, MajorSubsystemVersion; ReactOS dll/win32/kernel32/client/proc.c, BasepIsImageVersionOk",
        check: Check::Pe(subsystem_version),
    },
    Rule {
        name: "pe/win32-version",
        demand: "Win32VersionValue is 0",
        by: &[warning(Windows)],
        symptom: "GetVersion gives the program this value in place of the system's version",
        cure: "set it to 0",
        source: "PE specification, Win32VersionValue (reserved); ReactOS ntoskrnl/mm/ARM3/procsup.c, MmCreatePeb",
        check: Check::Pe(win32_version),
    },
    Rule {
        name: "pe/checksum",
        demand: "CheckSum is 0 or the sum of the file",
        by: &[warning(Windows)],
        symptom: "programs start; drivers and libraries that are loaded at boot do not (STATUS_IMAGE_CHECKSUM_MISMATCH)",
        cure: "compute it last, or write 0",
        source: "PE specification, CheckSum; Windows imagehlp, CheckSumMappedFile",
        check: Check::Pe(checksum),
    },
    Rule {
        name: "pe/reserve-too-large",
        demand: "SizeOfStackReserve and SizeOfHeapReserve are below 64 TiB",
        by: &[error(Windows).programs()],
        symptom: "STATUS_NO_MEMORY (0xC0000017): `not enough memory resources`; the program never gets a thread",
        cure: "take 0x100000 for both, as linkers do",
        source: "PE specification, SizeOfStackReserve; wine dlls/ntdll/unix/virtual.c, virtual_alloc_thread_stack",
        check: Check::Pe(reserves),
    },
    Rule {
        name: "pe/stack-sizes",
        demand: "SizeOfStackCommit and SizeOfHeapCommit are not above what is reserved",
        by: &[warning(Windows).programs()],
        symptom: "the stack is another one than the headers say",
        cure: "reserve at least what is committed",
        source: "PE specification, SizeOfStackReserve; wine dlls/ntdll/unix/virtual.c, virtual_alloc_thread_stack",
        check: Check::Pe(stack_sizes),
    },
    Rule {
        name: "pe/entry-missing",
        demand: "a program has an entry",
        by: &[error(Windows).programs(), error(Uefi)],
        symptom: "the image's header is run as code: access violation (0xC0000005)",
        cure: "set AddressOfEntryPoint to the start of the code",
        source: "PE specification, AddressOfEntryPoint; EDK II Core/Dxe/Image/Image.c, CoreLoadPeImage",
        check: Check::Pe(entry_missing),
    },
    Rule {
        name: "pe/entry-outside",
        demand: "the entry lies in a section",
        by: &[error(Windows), error(Uefi)],
        symptom: "access violation (0xC0000005) before the first instruction; `Unsupported` or a fault in firmware",
        cure: "set AddressOfEntryPoint to the start of the code, relative to ImageBase",
        source: "PE specification, AddressOfEntryPoint",
        check: Check::Pe(entry_outside),
    },
    Rule {
        name: "pe/entry-not-executable",
        demand: "the entry's section is executable",
        by: &[error(Windows), error(UefiNx)],
        symptom: "access violation (0xC0000005) at the first instruction",
        cure: "set IMAGE_SCN_MEM_EXECUTE for the section of the code",
        source: "PE specification, Section Flags; wine dlls/ntdll/unix/virtual.c, map_image_into_view",
        check: Check::Pe(entry_not_executable),
    },
];

fn dynamic_base(pe: &Pe<'_>, report: &mut Report<'_>) {
    if !pe.has_dll_flag(pe::IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE) {
        dll_characteristics(pe, report);
    }
}

fn nx_compat(pe: &Pe<'_>, report: &mut Report<'_>) {
    if !pe.has_dll_flag(pe::IMAGE_DLLCHARACTERISTICS_NX_COMPAT) {
        dll_characteristics(pe, report);
    }
}

fn dll_characteristics(pe: &Pe<'_>, report: &mut Report<'_>) {
    let flags = pe.optional.dll_characteristics.get(LE).0;
    let place = pe.optional(field!(OptionalHeader, dll_characteristics));
    report.add(place, format!("DllCharacteristics is {flags:#x}"));
}

fn characteristics(pe: &Pe<'_>, report: &mut Report<'_>) {
    let flags = pe.file.characteristics.get(LE).0;
    let place = pe.file(field!(FileHeader, characteristics));
    report.add(place, format!("Characteristics is {flags:#x}"));
}

fn relocations_stripped(pe: &Pe<'_>, report: &mut Report<'_>) {
    let is_movable = pe.has_dll_flag(pe::IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE);
    if pe.has(pe::IMAGE_FILE_RELOCS_STRIPPED) && (is_movable || pe.architecture == Aarch64) {
        characteristics(pe, report);
    }
}

fn high_entropy(pe: &Pe<'_>, report: &mut Report<'_>) {
    if pe.has_dll_flag(pe::IMAGE_DLLCHARACTERISTICS_HIGH_ENTROPY_VA)
        && !pe.has_dll_flag(pe::IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE)
        // On arm64 that is an error of its own.
        && pe.architecture != Aarch64
    {
        dll_characteristics(pe, report);
    }
}

fn executable_image(pe: &Pe<'_>, report: &mut Report<'_>) {
    if !pe.has(pe::IMAGE_FILE_EXECUTABLE_IMAGE) {
        characteristics(pe, report);
    }
}

fn large_address_aware(pe: &Pe<'_>, report: &mut Report<'_>) {
    if !pe.has(pe::IMAGE_FILE_LARGE_ADDRESS_AWARE) {
        characteristics(pe, report);
    }
}

fn subsystem(pe: &Pe<'_>, report: &mut Report<'_>) {
    let known = [
        pe::IMAGE_SUBSYSTEM_NATIVE,
        pe::IMAGE_SUBSYSTEM_WINDOWS_GUI,
        pe::IMAGE_SUBSYSTEM_WINDOWS_CUI,
        pe::IMAGE_SUBSYSTEM_NATIVE_WINDOWS,
        pe::IMAGE_SUBSYSTEM_XBOX,
        pe::IMAGE_SUBSYSTEM_WINDOWS_BOOT_APPLICATION,
    ];
    let subsystem = pe.optional.subsystem.get(LE);
    if !known.contains(&subsystem) {
        let place = pe.optional(field!(OptionalHeader, subsystem));
        report.add(place, format!("Subsystem is {}", subsystem.0));
    }
}

fn subsystem_version(pe: &Pe<'_>, report: &mut Report<'_>) {
    let version =
        (pe.optional.major_subsystem_version.get(LE), pe.optional.minor_subsystem_version.get(LE));
    if !((3, 10)..=(10, 0)).contains(&version) {
        let place = pe.optional(field!(OptionalHeader, major_subsystem_version));
        report.add(place, format!("the subsystem's version is {}.{}", version.0, version.1));
    }
}

fn win32_version(pe: &Pe<'_>, report: &mut Report<'_>) {
    let version = pe.optional.win32_version_value.get(LE);
    if version != 0 {
        let place = pe.optional(field!(OptionalHeader, win32_version_value));
        report.add(place, format!("Win32VersionValue is {version:#x}"));
    }
}

/// The sum of a file: 16-bit words added with their carries, the field itself left out, and the length.
fn sum(pe: &Pe<'_>, field: u64) -> u32 {
    let words = pe.data.0.chunks(2).zip((0_u64..).step_by(2));
    let sum = words.fold(0_u32, |sum, (word, offset)| {
        let word = u32::from(word[0]) | u32::from(word.get(1).copied().unwrap_or_default()) << 8;
        let word = if (field..field + 4).contains(&offset) { 0 } else { word };
        let sum = sum + word;
        (sum & 0xffff) + (sum >> 16)
    });
    // A file has fewer bytes than its format can count.
    sum.wrapping_add(u32::try_from(pe.data.len()).unwrap_or_default())
}

fn checksum(pe: &Pe<'_>, report: &mut Report<'_>) {
    let place = pe.optional(field!(OptionalHeader, check_sum));
    let said = pe.optional.check_sum.get(LE);
    // A field at an odd offset is in two words; no loader adds such files up.
    if said == 0 || !place.offset.is_multiple_of(2) {
        return;
    }
    let sum = sum(pe, place.offset);
    if said != sum {
        report.add(place, format!("CheckSum is {said:#x}, the file's sum {sum:#x}"));
    }
}

/// Half of what a program has addresses for.
const MOST_RESERVED: u64 = 64 << 40;

fn reserves(pe: &Pe<'_>, report: &mut Report<'_>) {
    let header = &pe.optional;
    for (reserve, field) in [
        (header.size_of_stack_reserve.get(LE), field!(OptionalHeader, size_of_stack_reserve)),
        (header.size_of_heap_reserve.get(LE), field!(OptionalHeader, size_of_heap_reserve)),
    ] {
        if reserve >= MOST_RESERVED {
            report.add(pe.optional(field), format!("{reserve:#x} bytes are reserved"));
        }
    }
}

fn stack_sizes(pe: &Pe<'_>, report: &mut Report<'_>) {
    let header = &pe.optional;
    let sizes = [
        (
            header.size_of_stack_commit.get(LE),
            header.size_of_stack_reserve.get(LE),
            field!(OptionalHeader, size_of_stack_commit),
        ),
        (
            header.size_of_heap_commit.get(LE),
            header.size_of_heap_reserve.get(LE),
            field!(OptionalHeader, size_of_heap_commit),
        ),
    ];
    for (commit, reserve, field) in sizes {
        // 0 takes the system's own.
        if reserve > 0 && commit > reserve {
            let message = format!("{commit:#x} bytes are committed of {reserve:#x}");
            report.add(pe.optional(field), message);
        }
    }
}

fn entry_missing(pe: &Pe<'_>, report: &mut Report<'_>) {
    if pe.kind == Kind::Program && pe.optional.address_of_entry_point.get(LE) == 0 {
        let place = pe.optional(field!(OptionalHeader, address_of_entry_point));
        report.add(place, "AddressOfEntryPoint is 0");
    }
}

fn entry_outside(pe: &Pe<'_>, report: &mut Report<'_>) {
    let entry = u64::from(pe.optional.address_of_entry_point.get(LE));
    if entry != 0 && pe.sections.is_some() && pe.has_pages() && pe.section_at(entry).is_none() {
        let place = pe.optional(field!(OptionalHeader, address_of_entry_point));
        report.add(place, format!("no section has the entry {entry:#x}"));
    }
}

fn entry_not_executable(pe: &Pe<'_>, report: &mut Report<'_>) {
    let entry = u64::from(pe.optional.address_of_entry_point.get(LE));
    if let Some(section) = pe.section_at(entry)
        && entry != 0
        && pe.has_pages()
        && !section.has(pe::IMAGE_SCN_MEM_EXECUTE)
    {
        let place = pe.optional(field!(OptionalHeader, address_of_entry_point));
        let message =
            format!("the entry {entry:#x} is in `{}`, which is not executable", section.name);
        report.add(place, message);
    }
}
