//! Imports: libraries, names, and the table that the loader writes addresses to.

use object::LittleEndian as LE;
use object::pe;

use super::Pe;
use crate::view::lint::bytes::text;
use crate::view::lint::report::{Place, Report};
use crate::view::lint::rule::Loader::{Tools, Windows};
use crate::view::lint::rule::{Check, Rule, error, warning};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "pe/import-table",
        demand: "the import table has descriptors, and ends with one of zeros",
        by: &[error(Windows)],
        symptom: "access violation in ntdll, or `The code execution cannot proceed because … was not found` with junk for a name; \
                  libraries behind a table's early end are not loaded, and calls of them crash",
        cure: "end the table with 20 zeros inside its section, and give each descriptor before them Name and FirstThunk",
        source: "PE specification, Import Directory Table; wine dlls/ntdll/loader.c, fixup_imports",
        check: Check::Pe(table),
    },
    Rule {
        name: "pe/import-library",
        demand: "each import descriptor names a library",
        by: &[error(Windows)],
        symptom: "STATUS_DLL_NOT_FOUND (0xC0000135) with junk for a name, or an access violation in ntdll",
        cure: "let Name be the address of the name, relative to ImageBase, with its NUL",
        source: "PE specification, Import Directory Table; wine dlls/ntdll/loader.c, import_dll",
        check: Check::Pe(libraries),
    },
    Rule {
        name: "pe/import-lookup",
        demand: "each import is an ordinal of 16 bits, or the address of a hint and a name; the list ends with 0",
        by: &[error(Windows)],
        symptom: "STATUS_ENTRYPOINT_NOT_FOUND (0xC0000139), STATUS_ORDINAL_NOT_FOUND (0xC0000138), or an access violation in ntdll",
        cure: "set bit 63 and nothing else above an ordinal; end the list with 8 zeros",
        source: "PE specification, Import Lookup Table, Hint/Name Table; wine dlls/ntdll/loader.c, import_dll",
        check: Check::Pe(lookup),
    },
    Rule {
        name: "pe/import-lookup-missing",
        demand: "each import descriptor has an import lookup table (OriginalFirstThunk)",
        by: &[warning(Tools)],
        symptom: "it starts; once loaded, nothing says any more which import an address was",
        cure: "write the list twice: as lookup table and as address table",
        source: "PE specification, Import Directory Table, Import Lookup Table",
        check: Check::Pe(lookup_missing),
    },
    Rule {
        name: "pe/import-tables-differ",
        demand: "import lookup table and import address table are alike in the file, unless addresses were bound",
        by: &[warning(Windows)],
        symptom: "if FirstThunk or OriginalFirstThunk is wrong, calls of imports go to another function or nowhere: access violation (0xC0000005)",
        cure: "let both tables name the same imports, in the same order",
        source: "PE specification, Import Address Table (identical until the image is bound)",
        check: Check::Pe(tables_differ),
    },
    Rule {
        name: "pe/import-address-table",
        demand: "import addresses lie in a writable section, or in what data directory 12 names",
        by: &[error(Windows)],
        symptom: "access violation (0xC0000005) in ntdll while imports are written; wine forgives it",
        cure: "let data directory 12 cover every import address table, from the first to the last",
        source: "PE specification, Import Address Table, Optional Header Data Directories; ReactOS dll/ntdll/ldr/ldrpe.c, \
                 LdrpSnapIAT",
        check: Check::Pe(address_table),
    },
    Rule {
        name: "pe/delay-import",
        demand: "delay import descriptors hold addresses relative to ImageBase (Attributes bit 0)",
        by: &[error(Windows)],
        symptom: "access violation at the first call of a delayed import",
        cure: "set Attributes to 1, and write relative addresses",
        source: "PE specification, Delay-Load Import Tables, Attributes",
        check: Check::Pe(delay_imports),
    },
];

const DESCRIPTOR: u64 = size_of::<pe::ImageImportDescriptor>() as u64;

/// The import descriptors with their places in the file, and whether one of zeros ends them.
pub(super) fn descriptors(pe: &Pe<'_>) -> (Vec<(u64, pe::ImageImportDescriptor)>, bool) {
    let mut found = Vec::new();
    let table = pe.directory(pe::IMAGE_DIRECTORY_ENTRY_IMPORT);
    let Some((bytes, offset)) = table
        .and_then(|table| Some((pe.bytes_at(table.address)?, pe.file_offset(table.address, 1)?)))
    else {
        return (found, true);
    };
    for at in (0..bytes.len()).step_by(20) {
        let Some(descriptor) = bytes.read::<pe::ImageImportDescriptor>(at) else { break };
        if descriptor.name.get(LE) == 0 || descriptor.first_thunk.get(LE) == 0 {
            return (found, true);
        }
        found.push((offset + at, descriptor));
    }
    (found, false)
}

fn table(pe: &Pe<'_>, report: &mut Report<'_>) {
    let Some(directory) = pe.directory(pe::IMAGE_DIRECTORY_ENTRY_IMPORT) else { return };
    let (descriptors, is_terminated) = descriptors(pe);
    if !is_terminated {
        let message =
            format!("{} descriptors, and the section ends behind them", descriptors.len());
        report.add(directory.place(), message);
        return;
    }
    // What ends the table is all zeros where it is meant to.
    let end = directory.address + descriptors.len() as u64 * DESCRIPTOR;
    let Some(last) = pe.file_offset(end, DESCRIPTOR) else { return };
    let rest = pe.data.slice(last, DESCRIPTOR).unwrap_or_default();
    if rest.iter().any(|byte| *byte != 0) {
        let place = Place::new(last, DESCRIPTOR, "import descriptor, Name");
        let message = format!(
            "descriptor {} ends the table, with a Name or FirstThunk of 0, and is not all zeros",
            descriptors.len()
        );
        report.add(place, message);
    }
}

fn tables_differ(pe: &Pe<'_>, report: &mut Report<'_>) {
    for (at, descriptor) in terminated(pe) {
        let first = descriptor.first_thunk.get(LE);
        let original = descriptor.original_first_thunk.get(LE);
        // The time of what it was bound to.
        if original == 0 || descriptor.time_date_stamp.get(LE) != 0 {
            continue;
        }
        let (Some(lookup), Some(addresses)) =
            (pe.bytes_at(original.into()), pe.bytes_at(first.into()))
        else {
            continue;
        };
        let mut entries = (0..lookup.len().min(addresses.len()) / 8)
            .map(|index| (lookup.u64(index * 8), addresses.u64(index * 8)));
        let ends = |entry: &(Option<u64>, Option<u64>)| entry.0 == Some(0) && entry.1 == Some(0);
        let differing = entries
            .by_ref()
            .enumerate()
            .take(MOST_IMPORTS)
            .take_while(|(_, entry)| !ends(entry))
            .find(|(_, (lookup, address))| lookup != address);
        if let Some((index, (lookup, address))) = differing {
            let place = Place::new(at, DESCRIPTOR, "import descriptor, OriginalFirstThunk");
            let (lookup, address) = (lookup.unwrap_or_default(), address.unwrap_or_default());
            let message = format!(
                "import {index} is {lookup:#x} in the lookup table at {original:#x}, {address:#x} in the address table at {first:#x}"
            );
            report.add(place, message);
        }
    }
}

/// No library has more: ordinals are of 16 bits.
const MOST_IMPORTS: usize = 1 << 16;

/// The descriptors of a table that ends.
fn terminated(pe: &Pe<'_>) -> Vec<(u64, pe::ImageImportDescriptor)> {
    let (descriptors, is_terminated) = descriptors(pe);
    if is_terminated { descriptors } else { Vec::new() }
}

fn libraries(pe: &Pe<'_>, report: &mut Report<'_>) {
    for (at, descriptor) in terminated(pe) {
        let name = u64::from(descriptor.name.get(LE));
        let place = Place::new(at, DESCRIPTOR, "import descriptor, Name");
        match pe.bytes_at(name).and_then(|bytes| bytes.c_string(0)) {
            None => report.add(place, format!("no text is at {name:#x}")),
            Some(name) if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) => {
                report.add(place, format!("the library is called `{}`", text(name)));
            }
            Some(_) => {}
        }
    }
}

/// Imports by ordinal have this bit.
const BY_ORDINAL: u64 = 1 << 63;

fn lookup(pe: &Pe<'_>, report: &mut Report<'_>) {
    // Descriptors that share their lists could make more imports than the file has room for.
    let mut left = pe.data.len() / 8;
    for (at, descriptor) in terminated(pe) {
        let original = descriptor.original_first_thunk.get(LE);
        let list = if original == 0 { descriptor.first_thunk.get(LE) } else { original };
        let (Some(bytes), Some(offset)) =
            (pe.bytes_at(list.into()), pe.file_offset(list.into(), 1))
        else {
            let place = Place::new(at, DESCRIPTOR, "import descriptor, OriginalFirstThunk");
            report.add(place, format!("no list of imports is at {list:#x}"));
            continue;
        };
        let mut is_terminated = false;
        for index in (0..bytes.len()).step_by(8) {
            let Some(import) = bytes.u64(index).filter(|_| left > 0) else { break };
            left -= 1;
            if import == 0 {
                is_terminated = true;
                break;
            }
            let is_right = if import & BY_ORDINAL == 0 {
                // A hint of two bytes, then the name.
                let name = pe.bytes_at(import.saturating_add(2));
                import >> 31 == 0
                    && name.and_then(|name| name.c_string(0)).is_some_and(|name| !name.is_empty())
            } else {
                import & !BY_ORDINAL <= 0xffff
            };
            if !is_right {
                let place = Place::new(offset + index, 8, "import lookup table");
                report.add(place, format!("{import:#x} is no ordinal and no address of a name"));
            }
        }
        if !is_terminated && left > 0 {
            let place = Place::new(offset, bytes.len(), "import lookup table");
            report.add(place, "its section ends before the list of imports does");
        }
    }
}

fn lookup_missing(pe: &Pe<'_>, report: &mut Report<'_>) {
    for (at, descriptor) in terminated(pe) {
        if descriptor.original_first_thunk.get(LE) == 0 {
            let place = Place::new(at, DESCRIPTOR, "import descriptor, OriginalFirstThunk");
            report.add(place, "OriginalFirstThunk is 0");
        }
    }
}

fn address_table(pe: &Pe<'_>, report: &mut Report<'_>) {
    let covered = pe.directory(pe::IMAGE_DIRECTORY_ENTRY_IAT);
    for (at, descriptor) in terminated(pe) {
        let first = u64::from(descriptor.first_thunk.get(LE));
        let is_covered = covered.is_some_and(|directory| {
            (directory.address..directory.address + directory.size).contains(&first)
        });
        let section = pe.section_at(first);
        let is_writable = section.is_some_and(|section| section.has(pe::IMAGE_SCN_MEM_WRITE));
        if !is_covered && !is_writable {
            let place = Place::new(at, DESCRIPTOR, "import descriptor, FirstThunk");
            let covers = covered.map_or_else(
                || "there is no data directory 12".to_owned(),
                |directory| {
                    let end = directory.address + directory.size;
                    format!("data directory 12 is {:#x}..{end:#x}", directory.address)
                },
            );
            report.add(place, format!("the addresses at {first:#x} are read-only, and {covers}"));
        }
    }
}

fn delay_imports(pe: &Pe<'_>, report: &mut Report<'_>) {
    let Some(table) = pe.directory(pe::IMAGE_DIRECTORY_ENTRY_DELAY_IMPORT) else { return };
    let (Some(bytes), Some(offset)) =
        (pe.bytes_at(table.address), pe.file_offset(table.address, 1))
    else {
        return;
    };
    let size = size_of::<pe::ImageDelayloadDescriptor>();
    for at in (0..bytes.len().min(table.size)).step_by(size) {
        let Some(descriptor) = bytes.read::<pe::ImageDelayloadDescriptor>(at) else { return };
        let attributes = descriptor.attributes.get(LE);
        if descriptor.dll_name_rva.get(LE) == 0 {
            return;
        }
        if attributes & 1 == 0 {
            let place = Place::new(offset + at, 4, "delay import descriptor, Attributes");
            report.add(place, format!("Attributes is {attributes:#x}"));
        }
    }
}
