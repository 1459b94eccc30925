//! PE, for Windows and for UEFI: a broken file for each rule.

use crate::edit::File;
use crate::{Case, case, prepared};

const LINKED: (&str, &str) = ("linked", "x86_64-windows");
const LINKED_ARM: (&str, &str) = ("linked", "aarch64-windows");
const FIXED: (&str, &str) = ("fixed", "x86_64-windows");
const LIBRARY: (&str, &str) = ("library", "x86_64-windows");
const UEFI: (&str, &str) = ("plain", "x86_64-uefi");
const UEFI_ARM: (&str, &str) = ("plain", "aarch64-uefi");

// Fields of the file header.
const SECTIONS: usize = 2;
const CHARACTERISTICS: usize = 18;
// Fields of the optional header.
const ENTRY: usize = 16;
const IMAGE_BASE: usize = 24;
const SECTION_ALIGNMENT: usize = 32;
const FILE_ALIGNMENT: usize = 36;
const SUBSYSTEM_VERSION: usize = 48;
const WIN32_VERSION: usize = 52;
const IMAGE_SIZE: usize = 56;
const HEADERS_SIZE: usize = 60;
const CHECK_SUM: usize = 64;
const SUBSYSTEM: usize = 68;
const DLL_CHARACTERISTICS: usize = 70;
const STACK_COMMIT: usize = 80;
const DIRECTORY_COUNT: usize = 108;
// Fields of a section header.
const VIRTUAL_SIZE: usize = 8;
const ADDRESS: usize = 12;
const RAW_SIZE: usize = 16;
const RAW: usize = 20;
const FLAGS: usize = 36;
// Data directories.
const EXPORT: usize = 0;
const IMPORT: usize = 1;
const EXCEPTION: usize = 3;
const CERTIFICATE: usize = 4;
const RELOCATION: usize = 5;
const DEBUG: usize = 6;
const TLS: usize = 9;
const LOAD_CONFIG: usize = 10;
const IAT: usize = 12;
const DELAY_IMPORT: usize = 13;

pub(crate) const CASES: &[Case] = &[
    case("pe/truncated", LINKED, |f| f.bytes.truncate(0x50)),
    case("pe/signature", LINKED, |f| f.put(f.nt(), b"XX")),
    case("pe/magic", LINKED, |f| f.put_u16(f.optional(0), 0x10b)),
    case("pe/header-in-dos-header", LINKED, |f| {
        // e_lfanew then lies where SizeOfCode does, which no loader looks at.
        let (start, end) = (f.nt(), f.optional(240) + f.headers().len() * 40);
        f.bytes.copy_within(start..end, 0x20);
        f.put_u32(0x3c, 0x20);
    }),
    case("pe/optional-header-size", UEFI, |f| f.put_u32(f.optional(DIRECTORY_COUNT), 15)),
    case("pe/optional-header-size", LINKED, |f| f.put_u32(f.optional(DIRECTORY_COUNT), 17)),
    case("pe/section-count", LINKED, |f| f.put_u16(f.file_header(SECTIONS), 97)),
    case("pe/section-count", LINKED, |f| f.put_u16(f.file_header(SECTIONS), 0)),
    case("pe/section-table-truncated", LINKED, |f| f.bytes.truncate(f.optional(260))),
    case("pe/headers-size", LINKED, |f| f.put_u32(f.optional(HEADERS_SIZE), 0)),
    case("pe/headers-size", UEFI, |f| f.put_u32(f.optional(HEADERS_SIZE), 0)),
    case("pe/headers-alignment", LINKED, |f| f.add_u32(f.optional(HEADERS_SIZE), 4)),
    case("pe/section-alignment", LINKED, |f| f.put_u32(f.optional(SECTION_ALIGNMENT), 0x1800)),
    case("pe/file-alignment", LINKED, |f| f.put_u32(f.optional(FILE_ALIGNMENT), 0x100)),
    case("pe/image-size-short", LINKED, |f| f.add_u32(f.optional(IMAGE_SIZE), -0x1000)),
    case("pe/image-size-short", UEFI, |f| f.add_u32(f.optional(IMAGE_SIZE), -0x1000)),
    case("pe/image-size-long", LINKED, |f| f.add_u32(f.optional(IMAGE_SIZE), 0x1000)),
    case("pe/image-size-alignment", LINKED, |f| f.add_u32(f.optional(IMAGE_SIZE), -0x10)),
    case("pe/image-base", LINKED, |f| f.add_u64(f.optional(IMAGE_BASE), 0x1000)),
    case("pe/image-base", LINKED, |f| f.put_u64(f.optional(IMAGE_BASE), 0)),
    case("pe/image-base", LINKED, |f| f.put_u64(f.optional(IMAGE_BASE), 1 << 63)),
    case("pe/reserve-too-large", LINKED, |f| f.put_u64(f.optional(STACK_COMMIT - 8), 1 << 63)),
    case("pe/import-tables-differ", LINKED, |f| {
        f.add_u32(f.table(IMPORT) + 16, 8);
    }),
    case("pe/import-table", LINKED, |f| f.put_u32(f.table(IMPORT) + 12, 0)),
    case("pe/raw-half-set", LINKED, |f| f.put_u32(f.header(".data") + RAW_SIZE, 0)),
    case("pe/no-rights", LINKED, |f| f.clear(f.header(".data") + FLAGS, 0xe000_0000)),
    case("pe/directory-outside", LINKED, |f| f.put_directory(2, 0x70_0000, 16)),
    case("pe/certificate-table", LINKED, |f| f.put_directory(CERTIFICATE, 0x123, 8)),
    case("pe/certificate-table", LINKED, |f| f.put_directory(CERTIFICATE, 0x7fff_0000, 8)),
    case("pe/section-order", LINKED, |f| f.swap(f.headers()[0], f.headers()[1], 40)),
    prepared("pe/first-section", FIXED, no_debug, |f| {
        for header in f.headers() {
            f.add_u32(header + ADDRESS, 0x1000);
        }
        f.add_u32(f.optional(ENTRY), 0x1000);
        f.add_u32(f.optional(IMAGE_SIZE), 0x1000);
    }),
    case("pe/section-gap", FIXED, |f| {
        f.add_u32(last(f) + ADDRESS, 0x1000);
        f.add_u32(f.optional(IMAGE_SIZE), 0x1000);
    }),
    prepared("pe/section-overlap", FIXED, no_debug, |f| {
        f.add_u32(last(f) + ADDRESS, -0x1000);
        f.add_u32(f.optional(IMAGE_SIZE), -0x1000);
    }),
    case("pe/section-address", FIXED, |f| f.add_u32(last(f) + ADDRESS, 0x200)),
    case("pe/empty-section", FIXED, |f| {
        let last = last(f);
        f.put_u32(last + VIRTUAL_SIZE, 0);
        f.put_u32(last + RAW_SIZE, 0);
        f.put_u32(f.optional(IMAGE_SIZE), f.u32(last + ADDRESS));
    }),
    case("pe/raw-alignment", FIXED, |f| {
        f.add_u32(last(f) + RAW_SIZE, -0x200);
        f.add_u32(last(f) + RAW, 8);
    }),
    case("pe/raw-size-alignment", FIXED, |f| f.add_u32(last(f) + RAW_SIZE, -4)),
    case("pe/raw-past-end", FIXED, |f| f.add_u32(last(f) + RAW_SIZE, 0x20_0000)),
    case("pe/raw-past-end", UEFI, |f| f.add_u32(last(f) + RAW_SIZE, 0x20_0000)),
    case("pe/raw-overlap", FIXED, |f| f.put_u32(last(f) + RAW, f.u32(f.header(".rdata") + RAW))),
    prepared("pe/low-alignment", FIXED, no_debug, |f| {
        let entry = f.pe_offset(f.u32(f.optional(ENTRY)));
        let mut end = 0;
        for header in f.headers() {
            f.put_u32(header + ADDRESS, f.u32(header + RAW));
            f.put_u32(header + VIRTUAL_SIZE, f.u32(header + RAW_SIZE));
            end = f.u32(header + RAW) + f.u32(header + RAW_SIZE);
        }
        f.put_u32(f.optional(ENTRY), u32::try_from(entry).expect("small"));
        f.put_u32(f.optional(IMAGE_SIZE), end);
        f.put_u32(f.optional(SECTION_ALIGNMENT), 0x200);
    }),
    case("pe/low-alignment-address", FIXED, |f| f.put_u32(f.optional(SECTION_ALIGNMENT), 0x200)),
    case("pe/writable-executable", LINKED, |f| f.set(f.header(".data") + FLAGS, 0x2000_0000)),
    case("pe/writable-executable", UEFI, |f| f.set(f.header(".text") + FLAGS, 0x8000_0000)),
    case("pe/dynamic-base", LINKED_ARM, |f| f.clear(f.optional(DLL_CHARACTERISTICS), 0x40)),
    case("pe/nx-compat", LINKED, |f| f.clear(f.optional(DLL_CHARACTERISTICS), 0x100)),
    case("pe/nx-compat", LINKED_ARM, |f| f.clear(f.optional(DLL_CHARACTERISTICS), 0x100)),
    case("pe/relocations-stripped", LINKED, |f| f.set(f.file_header(CHARACTERISTICS), 1)),
    case("pe/relocations-stripped", LINKED_ARM, |f| f.set(f.file_header(CHARACTERISTICS), 1)),
    case("pe/high-entropy", FIXED, |f| f.set(f.optional(DLL_CHARACTERISTICS), 0x20)),
    case("pe/executable-image", LINKED, |f| f.clear(f.file_header(CHARACTERISTICS), 2)),
    case("pe/large-address-aware", LINKED, |f| f.clear(f.file_header(CHARACTERISTICS), 0x20)),
    case("pe/subsystem", LINKED, |f| f.put_u16(f.optional(SUBSYSTEM), 99)),
    case("pe/subsystem-version", LINKED, |f| f.put_u16(f.optional(SUBSYSTEM_VERSION), 2)),
    case("pe/subsystem-version", LINKED, |f| f.put_u16(f.optional(SUBSYSTEM_VERSION), 11)),
    case("pe/win32-version", LINKED, |f| f.put_u32(f.optional(WIN32_VERSION), 1)),
    case("pe/checksum", LINKED, |f| {
        f.is_sealed = true;
        f.put_u32(f.optional(CHECK_SUM), 12345);
    }),
    case("pe/stack-sizes", LINKED, |f| f.put_u64(f.optional(STACK_COMMIT), 1 << 40)),
    case("pe/entry-missing", LINKED, |f| f.put_u32(f.optional(ENTRY), 0)),
    case("pe/entry-outside", LINKED, |f| f.put_u32(f.optional(ENTRY), 0x7fff_0000)),
    case("pe/entry-outside", UEFI, |f| f.put_u32(f.optional(ENTRY), 0x7fff_0000)),
    case("pe/entry-not-executable", LINKED, |f| {
        f.put_u32(f.optional(ENTRY), f.u32(f.header(".rdata") + ADDRESS));
    }),
    case("pe/relocation-block", LINKED, |f| f.put_u32(f.table(RELOCATION) + 4, 6)),
    case("pe/relocation-block", UEFI, |f| f.put_u32(f.table(RELOCATION) + 4, 6)),
    case("pe/relocation-padding", LINKED, more_relocations),
    case("pe/relocation-padding", UEFI, more_relocations),
    case("pe/relocation-type", LINKED, |f| {
        let entry = f.table(RELOCATION) + 8;
        f.put_u16(entry, f.u16(entry) & 0xfff | 0x3000);
    }),
    case("pe/relocation-target", LINKED, |f| f.put_u32(f.table(RELOCATION), 0x70_0000)),
    case("pe/relocations-missing", LINKED, |f| f.put_directory(RELOCATION, 0, 0)),
    case("pe/import-table", LINKED, |f| f.add_u32(f.optional(112 + IMPORT * 8), 8)),
    case("pe/import-table", LINKED, |f| {
        let header = f.header(".rdata");
        let end = f.u32(header + ADDRESS) + f.u32(header + VIRTUAL_SIZE);
        f.put_directory(IMPORT, end - 12, 8);
    }),
    case("pe/import-library", LINKED, |f| {
        f.put(f.scratch(), &[1, 2, 0]);
        f.put_u32(f.table(IMPORT) + 12, f.pe_address(f.scratch()));
    }),
    case("pe/import-lookup", LINKED, |f| {
        let list = f.pe_offset(f.u32(f.table(IMPORT)));
        f.put_u64(list, 1 << 62);
        f.put_u64(f.pe_offset(f.u32(f.table(IMPORT) + 16)), 1 << 62);
    }),
    case("pe/import-lookup-missing", LINKED, |f| f.put_u32(f.table(IMPORT), 0)),
    case("pe/import-address-table", LINKED, |f| f.put_directory(IAT, 0, 0)),
    case("pe/import-address-table", LINKED_ARM, |f| {
        f.put_directory(IAT, f.pe_address(f.scratch()), 16);
    }),
    prepared("pe/delay-import", LINKED, delay_import, |f| f.put_u32(f.scratch(), 0)),
    case("pe/export-table", LIBRARY, |f| f.put_u32(f.table(EXPORT) + 20, 1 << 28)),
    case("pe/export-name", LIBRARY, |f| {
        f.put_u32(f.pe_offset(f.u32(f.table(EXPORT) + 32)), 0x70_0000);
    }),
    case("pe/export-order", LIBRARY, |f| {
        let names = f.pe_offset(f.u32(f.table(EXPORT) + 32));
        f.swap(names, names + 4, 4);
    }),
    case("pe/export-ordinal", LIBRARY, |f| {
        f.put_u16(f.pe_offset(f.u32(f.table(EXPORT) + 36)), 99);
    }),
    case("pe/export-address", LIBRARY, |f| {
        f.put_u32(f.pe_offset(f.u32(f.table(EXPORT) + 28)), 0x70_0000);
    }),
    prepared("pe/tls-addresses", LINKED, thread_locals, |f| {
        f.put_u64(f.room() + 16, u64::from(f.pe_address(f.room() + 128)));
    }),
    prepared("pe/tls-index", LINKED, thread_locals, |f| {
        let constant = u64::from(f.pe_address(f.scratch()));
        f.put_u64(f.room() + 16, f.u64(f.optional(IMAGE_BASE)) + constant);
    }),
    prepared("pe/tls-template", LINKED, thread_locals, |f| f.add_u64(f.room() + 8, -16)),
    prepared("pe/tls-template", LINKED, thread_locals, |f| f.put_u32(f.room() + 32, 1 << 31)),
    prepared("pe/tls-relocations", LINKED, thread_locals, |f| {
        let at = f.table(RELOCATION) + f.u32(f.directory(RELOCATION) + 4) as usize - 8;
        f.put_u16(at, 0);
    }),
    prepared("pe/load-config-size", LINKED, load_config, |f| f.put_u32(f.scratch(), 0x7fff_ffff)),
    prepared("pe/security-cookie", LINKED, load_config, |f| f.put_u64(f.scratch() + 0x58, 0x123)),
    case("pe/guard-flags", LINKED, |f| f.set(f.optional(DLL_CHARACTERISTICS), 0x4000)),
    prepared("pe/unwind-size", LINKED, unwind, |f| f.put_u32(f.directory(EXCEPTION) + 4, 25)),
    prepared("pe/unwind-order", LINKED, unwind, |f| f.swap(f.scratch(), f.scratch() + 12, 12)),
    prepared("pe/unwind-entry", LINKED, unwind, |f| f.put_u32(f.scratch() + 4, 0)),
    prepared("pe/unwind-entry", LINKED, unwind, |f| f.add_u32(f.scratch() + 8, 0x40)),
    case("pe/debug-directory", LINKED, |f| f.put_u32(f.table(DEBUG) + 16, 1 << 30)),
    case("pe/debug-directory", LINKED, |f| f.add_u32(f.directory(DEBUG) + 4, -4)),
    case("uefi/raw-in-headers", UEFI, |f| {
        f.put_u32(f.optional(HEADERS_SIZE), f.u32(f.header(".text") + RAW) + 0x200);
    }),
    case("uefi/relocations-stripped", UEFI, |f| f.set(f.file_header(CHARACTERISTICS), 1)),
    case("uefi/code-flag", UEFI, |f| f.clear(f.header(".text") + FLAGS, 0x20)),
    case("uefi/section-alignment", UEFI, |f| f.put_u32(f.optional(SECTION_ALIGNMENT), 0x800)),
    case("uefi/runtime-alignment", UEFI_ARM, |f| f.put_u16(f.optional(SUBSYSTEM), 12)),
    case("uefi/imports", UEFI, |f| f.put_directory(IMPORT, f.pe_address(f.scratch()), 20)),
    case("uefi/thread-locals", UEFI, |f| f.put_directory(TLS, f.pe_address(f.scratch()), 40)),
];

/// The header of the last section.
fn last(f: &File) -> usize {
    *f.headers().last().expect("there are sections")
}

fn no_debug(f: &mut File) {
    f.put_directory(DEBUG, 0, 0);
}

/// Makes the table of base relocations 8 bytes longer; zeros lie there.
fn more_relocations(f: &mut File) {
    let directory = f.directory(RELOCATION);
    f.add_u32(directory + 4, 8);
    f.add_u32(f.header(".reloc") + VIRTUAL_SIZE, 8);
}

fn delay_import(f: &mut File) {
    let scratch = f.scratch();
    f.put(scratch, &[0; 64]);
    f.put_u32(scratch, 1);
    f.put_u32(scratch + 4, f.pe_address(scratch + 80));
    f.put_directory(DELAY_IMPORT, f.pe_address(scratch), 64);
}

/// A TLS directory with its base relocations, in a block of their own.
fn thread_locals(f: &mut File) {
    let room = f.room();
    let (base, address) = (f.u64(f.optional(IMAGE_BASE)), f.pe_address(room));
    let place = |offset: u32| base + u64::from(address + offset);
    for (index, value) in [place(64), place(72), place(128), 0, 0].into_iter().enumerate() {
        f.put_u64(room + index * 8, value);
    }
    f.put_directory(TLS, address, 40);
    let block = f.table(RELOCATION) + f.u32(f.directory(RELOCATION) + 4) as usize;
    f.put_u32(block, address & !0xfff);
    f.put_u32(block + 4, 16);
    for (index, offset) in [0, 8, 16].into_iter().enumerate() {
        let offset = u16::try_from(address & 0xfff).expect("12 bits") + offset;
        f.put_u16(block + 8 + index * 2, 0xa000 | offset);
    }
    f.add_u32(f.directory(RELOCATION) + 4, 16);
    f.add_u32(f.header(".reloc") + VIRTUAL_SIZE, 16);
}

fn load_config(f: &mut File) {
    let scratch = f.scratch();
    f.put(scratch, &[0; 320]);
    f.put_u32(scratch, 320);
    f.put_directory(LOAD_CONFIG, f.pe_address(scratch), 320);
}

/// Two functions, with unwind data that says nothing.
fn unwind(f: &mut File) {
    let (scratch, code) = (f.scratch(), f.u32(f.header(".text") + ADDRESS));
    f.put(scratch, &[0; 256]);
    f.put(scratch + 0x40, &[1]);
    let data = f.pe_address(scratch + 0x40);
    for (index, word) in [code, code + 4, data, code + 4, code + 8, data].into_iter().enumerate() {
        f.put_u32(scratch + index * 4, word);
    }
    f.put_directory(EXCEPTION, f.pe_address(scratch), 24);
}
