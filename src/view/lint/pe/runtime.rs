//! Tables that are used while the program runs: thread-locals, load config, unwinding, debugging.

use object::LittleEndian as LE;
use object::pe;

use super::Pe;
use super::relocations::{are_relocated, is_movable};
use crate::target::Architecture;
use crate::view::lint::bytes::{Bytes, field};
use crate::view::lint::report::{Place, Report};
use crate::view::lint::rule::Loader::{Tools, Windows};
use crate::view::lint::rule::{Check, Rule, error, warning};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "pe/tls-addresses",
        demand: "the TLS directory holds addresses in the image, not relative ones",
        by: &[error(Windows)],
        symptom: "access violation (0xC0000005) before the entry is reached",
        cure: "add ImageBase to each, and a base relocation for each",
        source: "PE specification, The TLS Directory; wine dlls/ntdll/loader.c, alloc_tls_slot",
        check: Check::Pe(tls_addresses),
    },
    Rule {
        name: "pe/tls-index",
        demand: "the TLS directory's AddressOfIndex is that of 4 bytes in a writable section",
        by: &[error(Windows)],
        symptom: "access violation (0xC0000005) in ntdll before the entry is reached: the index is written there",
        cure: "let it be the address of _tls_index, a variable",
        source: "PE specification, The TLS Directory, Address of Index; wine dlls/ntdll/loader.c, alloc_tls_slot",
        check: Check::Pe(tls_index),
    },
    Rule {
        name: "pe/tls-template",
        demand: "the TLS directory's template begins before it ends, in one section, and with its zeros has less than 2 GiB",
        by: &[error(Windows)],
        symptom: "access violation (0xC0000005) or no memory when a thread begins; thread-locals with wrong first values",
        cure: "let StartAddressOfRawData and EndAddressOfRawData enclose the .tls section's bytes, or both be 0",
        source: "PE specification, The TLS Directory; wine dlls/ntdll/loader.c, alloc_tls_slot",
        check: Check::Pe(tls_template),
    },
    Rule {
        name: "pe/tls-relocations",
        demand: "the addresses of the TLS directory have base relocations where the image may be moved",
        by: &[error(Windows)],
        symptom: "access violation (0xC0000005) before the entry is reached, on most starts",
        cure: "add a base relocation of type 10 for each of its four addresses that is not 0",
        source: "PE specification, The TLS Directory; wine dlls/ntdll/loader.c, alloc_tls_slot",
        check: Check::Pe(tls_relocations),
    },
    Rule {
        name: "pe/load-config-size",
        demand: "the load config's Size lies inside its section",
        by: &[warning(Windows)],
        symptom: "security cookie and control flow guard are not set up, or junk is taken for them",
        cure: "set Size to the bytes of the structure that are there",
        source: "PE specification, The Load Configuration Structure; wine dlls/ntdll/loader.c, update_load_config",
        check: Check::Pe(load_config_size),
    },
    Rule {
        name: "pe/security-cookie",
        demand: "the load config's SecurityCookie is an address in the image",
        by: &[error(Windows)],
        symptom: "the cookie is not random: stack overflows are not found; or another word is overwritten at start",
        cure: "write the address of __security_cookie, ImageBase included, with a base relocation",
        source: "wine dlls/ntdll/loader.c, set_security_cookie; PE specification, Load Configuration Layout",
        check: Check::Pe(security_cookie),
    },
    Rule {
        name: "pe/guard-flags",
        demand: "an image with GUARD_CF has a load config that says CF_INSTRUMENTED",
        by: &[warning(Windows)],
        symptom: "control flow guard is off, though the image says that it has it",
        cure: "clear IMAGE_DLLCHARACTERISTICS_GUARD_CF (0x4000), or write the load config's GuardFlags and function table",
        source: "PE specification, Load Configuration Layout, GuardFlags",
        check: Check::Pe(guard_flags),
    },
    Rule {
        name: "pe/unwind-size",
        demand: "the exception table holds whole entries: 12 bytes on x86-64, 8 on arm64",
        by: &[warning(Windows)],
        symptom: "the last function's exceptions are not caught, and stack walks end there",
        cure: "let the directory's size be that of its entries",
        source: "PE specification, The .pdata Section",
        check: Check::Pe(unwind_size),
    },
    Rule {
        name: "pe/unwind-order",
        demand: "the exception table stands in the order of its addresses",
        by: &[error(Windows)],
        symptom: "exceptions end the program instead of being caught: the table is searched by halves",
        cure: "sort the entries by their first address",
        source: "Microsoft, x64 exception handling, struct RUNTIME_FUNCTION; wine dlls/ntdll/unwind.c, lookup_function_info",
        check: Check::Pe(unwind_order),
    },
    Rule {
        name: "pe/unwind-entry",
        demand: "each entry of the exception table covers code, and has its unwind data in the image",
        by: &[error(Windows)],
        symptom: "exceptions end the program instead of being caught, or ntdll crashes while unwinding",
        cure: "write begin, end and the address of the unwind data, aligned to 4, relative to ImageBase",
        source: "Microsoft, x64 exception handling, struct UNWIND_INFO; Microsoft, ARM64 exception handling, .pdata records",
        check: Check::Pe(unwind_entries),
    },
    Rule {
        name: "pe/debug-directory",
        demand: "debug entries are whole, 28 bytes each, and their data lies in the file where both of their fields say",
        by: &[warning(Tools)],
        symptom: "debuggers do not find the symbols",
        cure: "set AddressOfRawData and PointerToRawData to the same bytes",
        source: "PE specification, The .debug Section, Debug Directory",
        check: Check::Pe(debug),
    },
];

/// The TLS directory: where it lies in the file, and at which address.
fn tls(pe: &Pe<'_>) -> Option<(u64, u64, pe::ImageTlsDirectory64)> {
    let directory = pe.directory(pe::IMAGE_DIRECTORY_ENTRY_TLS)?;
    let at = pe.file_offset(directory.address, size_of::<pe::ImageTlsDirectory64>() as u64)?;
    Some((at, directory.address, pe.data.read(at)?))
}

/// The four addresses of the TLS directory, by offset and name.
fn tls_fields(tls: &pe::ImageTlsDirectory64) -> [(u64, u64, &'static str); 4] {
    [
        (0, tls.start_address_of_raw_data.get(LE), "StartAddressOfRawData"),
        (8, tls.end_address_of_raw_data.get(LE), "EndAddressOfRawData"),
        (16, tls.address_of_index.get(LE), "AddressOfIndex"),
        (24, tls.address_of_call_backs.get(LE), "AddressOfCallBacks"),
    ]
}

fn tls_addresses(pe: &Pe<'_>, report: &mut Report<'_>) {
    let Some((at, _, tls)) = tls(pe) else { return };
    for (offset, address, name) in tls_fields(&tls) {
        // The end is the byte behind.
        let is_inside = pe.relative(address).is_some()
            || offset == 8 && pe.relative(address.wrapping_sub(1)).is_some();
        // Without a template there is nothing to point at; the index is always written.
        let may_be_missing = name != "AddressOfIndex";
        if !(is_inside || address == 0 && may_be_missing) {
            let place = Place::new(at + offset, 8, format!("TLS directory, {name}"));
            report.add(place, format!("{name} is {address:#x}, which is outside the image"));
        }
    }
}

fn tls_index(pe: &Pe<'_>, report: &mut Report<'_>) {
    let Some((at, _, tls)) = tls(pe) else { return };
    let address = tls.address_of_index.get(LE);
    // An address outside the image is a rule of its own.
    let Some(relative) = pe.relative(address) else { return };
    let section = pe.section_at(relative).filter(|section| relative + 4 <= section.end());
    if section.is_none_or(|section| !section.has(pe::IMAGE_SCN_MEM_WRITE)) {
        let place = Place::new(at + 16, 8, "TLS directory, AddressOfIndex");
        report.add(place, format!("no writable section has 4 bytes at {address:#x}"));
    }
}

fn tls_template(pe: &Pe<'_>, report: &mut Report<'_>) {
    let Some((at, _, tls)) = tls(pe) else { return };
    let (start, end) = (tls.start_address_of_raw_data.get(LE), tls.end_address_of_raw_data.get(LE));
    let place = Place::new(at, 16, "TLS directory, StartAddressOfRawData, EndAddressOfRawData");
    let zeros = u64::from(tls.size_of_zero_fill.get(LE));
    if start > end || start == 0 && end != 0 {
        report.add(place, format!("the template is {start:#x}..{end:#x}"));
    } else if start < end && pe.relative(start).is_some() {
        let (first, size) = (start - pe.optional.image_base.get(LE), end - start);
        if pe.section_at(first).is_none_or(|section| first + size > section.end()) {
            report.add(place, format!("no section holds the template, {start:#x}..{end:#x}"));
        } else if size + zeros >= MOST_TEMPLATE {
            let place = Place::new(at + 32, 4, "TLS directory, SizeOfZeroFill");
            report.add(place, format!("SizeOfZeroFill is {zeros:#x}"));
        }
    } else if zeros >= MOST_TEMPLATE {
        let place = Place::new(at + 32, 4, "TLS directory, SizeOfZeroFill");
        report.add(place, format!("SizeOfZeroFill is {zeros:#x}"));
    }
}

/// Code names thread-locals by their distance, of 32 bits with a sign.
const MOST_TEMPLATE: u64 = 1 << 31;

fn tls_relocations(pe: &Pe<'_>, report: &mut Report<'_>) {
    let Some((at, address, tls)) = tls(pe) else { return };
    // No relocations at all are a rule of their own.
    if !is_movable(pe) || pe.directory(pe::IMAGE_DIRECTORY_ENTRY_BASERELOC).is_none() {
        return;
    }
    let fields = tls_fields(&tls);
    let relocated = are_relocated(pe, fields.map(|(offset, ..)| address + offset));
    for ((offset, value, name), is_relocated) in fields.into_iter().zip(relocated) {
        // A relative address is a rule of its own.
        if value != 0 && pe.relative(value).is_some() && !is_relocated {
            let place = Place::new(at + offset, 8, format!("TLS directory, {name}"));
            report.add(place, format!("{name} has no base relocation"));
        }
    }
}

type Config = pe::ImageLoadConfigDirectory64;

/// The load config: where it lies in the file, its Size, and the bytes that are there.
fn load_config<'d>(pe: &Pe<'d>) -> Option<(u64, u64, Bytes<'d>)> {
    let directory = pe.directory(pe::IMAGE_DIRECTORY_ENTRY_LOAD_CONFIG)?;
    let at = pe.file_offset(directory.address, 4)?;
    Some((at, pe.data.u32(at)?.into(), pe.bytes_at(directory.address)?))
}

fn load_config_size(pe: &Pe<'_>, report: &mut Report<'_>) {
    let Some((at, size, there)) = load_config(pe) else { return };
    if size < 4 || size > there.len() {
        let message = format!("Size is {size}, {} bytes are there", there.len());
        report.add(Place::new(at, 4, "load config, Size"), message);
    }
}

fn security_cookie(pe: &Pe<'_>, report: &mut Report<'_>) {
    let Some((at, size, there)) = load_config(pe) else { return };
    let field = field!(Config, security_cookie);
    let cookie = there.u64(field.offset).filter(|_| size >= field.offset + field.size);
    if let Some(cookie) = cookie.filter(|cookie| *cookie != 0 && pe.relative(*cookie).is_none()) {
        let place = Place::new(at + field.offset, field.size, "load config, SecurityCookie");
        report.add(place, format!("SecurityCookie is {cookie:#x}, which is outside the image"));
    }
}

fn guard_flags(pe: &Pe<'_>, report: &mut Report<'_>) {
    if !pe.has_dll_flag(pe::IMAGE_DLLCHARACTERISTICS_GUARD_CF) {
        return;
    }
    let field = field!(Config, guard_flags);
    let flags = load_config(pe).and_then(|(_, size, there)| {
        there.u32(field.offset).filter(|_| size >= field.offset + field.size)
    });
    if flags.is_none_or(|flags| flags & pe::IMAGE_GUARD_CF_INSTRUMENTED.0 == 0) {
        let place = pe.optional(field!(super::OptionalHeader, dll_characteristics));
        let found = flags.map_or("none".to_owned(), |flags| format!("{flags:#x}"));
        report.add(
            place,
            format!("the image has GUARD_CF, its load config's GuardFlags are {found}"),
        );
    }
}

/// The exception table: where it lies in the file, its bytes, and how large an entry is.
fn exceptions<'d>(pe: &Pe<'d>) -> Option<(u64, Bytes<'d>, u64)> {
    let directory = pe.directory(pe::IMAGE_DIRECTORY_ENTRY_EXCEPTION)?;
    let at = pe.file_offset(directory.address, directory.size)?;
    let width = match pe.architecture {
        Architecture::X86_64 => 12,
        Architecture::Aarch64 => 8,
    };
    Some((at, Bytes(pe.data.slice(at, directory.size)?), width))
}

fn unwind_size(pe: &Pe<'_>, report: &mut Report<'_>) {
    let Some((at, bytes, width)) = exceptions(pe) else { return };
    if !bytes.len().is_multiple_of(width) {
        let place = Place::new(at, bytes.len(), "exception table");
        report.add(place, format!("it has {} bytes, an entry {width}", bytes.len()));
    }
}

/// The entries: each with its place in the file, its first address and the words behind.
fn entries<'p>(pe: &'p Pe<'_>) -> impl Iterator<Item = (u64, u64, [u64; 2])> + 'p {
    let (at, bytes, width) = exceptions(pe).unwrap_or((0, Bytes(&[]), 12));
    (0..bytes.len() / width).map(move |index| {
        let entry = index * width;
        let word = |offset| u64::from(bytes.u32(entry + offset).unwrap_or_default());
        let last = if width == 12 { word(8) } else { 0 };
        (at + entry, word(0), [word(4), last])
    })
}

fn unwind_order(pe: &Pe<'_>, report: &mut Report<'_>) {
    let mut last = 0;
    for (at, begin, _) in entries(pe) {
        if begin < last {
            let place = Place::new(at, 4, "exception table, begin");
            report.add(place, format!("{begin:#x} stands behind {last:#x}"));
        }
        last = begin;
    }
}

fn unwind_entries(pe: &Pe<'_>, report: &mut Report<'_>) {
    for (at, begin, words) in entries(pe) {
        let place = Place::new(at, 8, "exception table");
        if !pe.is_mapped(begin, 1) {
            report.add(place, format!("no section has the function at {begin:#x}"));
            continue;
        }
        let data = match (pe.architecture, words) {
            (Architecture::X86_64, [end, _])
                if end < begin || !pe.is_mapped(begin, end - begin) =>
            {
                report.add(place, format!("the function at {begin:#x} ends at {end:#x}"));
                continue;
            }
            // The lowest bit says that it is another entry of the table.
            (Architecture::X86_64, [_, data]) if data & 1 == 0 => data,
            // The two lowest bits are 0 where it is an address.
            (Architecture::Aarch64, [data, _]) if data.is_multiple_of(4) => data,
            _ => continue,
        };
        let first = pe.file_offset(data, 4).and_then(|at| pe.data.u32(at));
        let is_right = first.is_some_and(|first| match pe.architecture {
            Architecture::X86_64 => data.is_multiple_of(4) && matches!(first & 7, 1..=3),
            // Its version is 0.
            Architecture::Aarch64 => (first >> 18).is_multiple_of(4),
        });
        if !is_right {
            let message = format!("no unwind data for the function at {begin:#x} is at {data:#x}");
            report.add(place, message);
        }
    }
}

fn debug(pe: &Pe<'_>, report: &mut Report<'_>) {
    let Some(directory) = pe.directory(pe::IMAGE_DIRECTORY_ENTRY_DEBUG) else { return };
    let width = size_of::<pe::ImageDebugDirectory>() as u64;
    if !directory.size.is_multiple_of(width) {
        report.add(directory.place(), format!("it has {} bytes, an entry {width}", directory.size));
        return;
    }
    let Some(start) = pe.file_offset(directory.address, directory.size) else { return };
    for at in (0..directory.size).step_by(28) {
        let Some(entry) = pe.data.read::<pe::ImageDebugDirectory>(start + at) else { return };
        let address = u64::from(entry.address_of_raw_data.get(LE));
        let offset = u64::from(entry.pointer_to_raw_data.get(LE));
        let size = u64::from(entry.size_of_data.get(LE));
        let place = Place::new(start + at, width, "debug directory entry");
        if size > 0 && pe.data.slice(offset, size).is_none() {
            report
                .add(place, format!("{size:#x} bytes at offset {offset:#x}, which are not there"));
        } else if size > 0 && address != 0 && pe.file_offset(address, size) != Some(offset) {
            let message =
                format!("its data is at {address:#x} and at offset {offset:#x}, which differ");
            report.add(place, message);
        }
    }
}
