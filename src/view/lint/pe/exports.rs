//! Exports: what other modules look up here.

use object::LittleEndian as LE;
use object::pe;

use super::{Directory, Pe};
use crate::view::lint::bytes::{Bytes, field, text};
use crate::view::lint::report::{Place, Report};
use crate::view::lint::rule::Loader::Windows;
use crate::view::lint::rule::{Check, Rule, error};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "pe/export-table",
        demand: "the export directory and its three tables lie in a section",
        by: &[error(Windows)],
        symptom: "STATUS_INVALID_IMAGE_FORMAT, or an access violation in ntdll at the first lookup",
        cure: "correct the directory's addresses and counts",
        source: "PE specification, Export Directory Table; wine dlls/ntdll/loader.c, find_named_export",
        check: Check::Pe(tables),
    },
    Rule {
        name: "pe/export-name",
        demand: "each exported name is a text of the image",
        by: &[error(Windows)],
        symptom: "access violation in ntdll, or STATUS_ENTRYPOINT_NOT_FOUND (0xC0000139) for names that are there",
        cure: "let the name pointer table hold addresses of names with their NULs",
        source: "PE specification, Export Name Pointer Table; wine dlls/ntdll/loader.c, find_named_export",
        check: Check::Pe(names),
    },
    Rule {
        name: "pe/export-order",
        demand: "exported names stand in the order of their bytes",
        by: &[error(Windows)],
        symptom: "STATUS_ENTRYPOINT_NOT_FOUND (0xC0000139), GetProcAddress gives 0: for some names only",
        cure: "sort the names as unsigned bytes, and the ordinals with them",
        source: "PE specification, Export Name Pointer Table; wine dlls/ntdll/loader.c, find_named_export",
        check: Check::Pe(order),
    },
    Rule {
        name: "pe/export-ordinal",
        demand: "the ordinal table holds indices of the address table",
        by: &[error(Windows)],
        symptom: "the name is not found, or stands for another function",
        cure: "write the index, without adding the ordinal base",
        source: "PE specification, Export Ordinal Table; wine dlls/ntdll/loader.c, find_ordinal_export",
        check: Check::Pe(ordinals),
    },
    Rule {
        name: "pe/export-address",
        demand: "each exported address lies in the image, and each inside the export directory is a forwarder `LIBRARY.NAME`",
        by: &[error(Windows)],
        symptom: "calls of the export crash, or STATUS_DLL_NOT_FOUND (0xC0000135) for a library that nobody named",
        cure: "let the directory's size cover its names and forwarders and no code",
        source: "PE specification, Export Address Table; wine dlls/ntdll/loader.c, find_ordinal_export, find_forwarded_export",
        check: Check::Pe(addresses),
    },
];

/// The export directory with its tables, whole.
struct Exports<'p> {
    directory: Directory,
    functions: (u64, Bytes<'p>),
    names: (u64, Bytes<'p>),
    ordinals: (u64, Bytes<'p>),
}

type Header = pe::ImageExportDirectory;

fn header(pe: &Pe<'_>) -> Option<(Directory, u64, Header)> {
    let directory = pe.directory(pe::IMAGE_DIRECTORY_ENTRY_EXPORT)?;
    let at = pe.file_offset(directory.address, size_of::<Header>() as u64)?;
    Some((directory, at, pe.data.read(at)?))
}

/// A table of the export directory: where it lies in the file, and its bytes.
fn table<'p>(pe: &Pe<'p>, address: u32, count: u32, width: u64) -> Option<(u64, Bytes<'p>)> {
    let size = u64::from(count) * width;
    if size == 0 {
        return Some((0, Bytes(&[])));
    }
    let at = pe.file_offset(address.into(), size)?;
    Some((at, Bytes(pe.data.slice(at, size)?)))
}

fn exports<'p>(pe: &Pe<'p>) -> Option<Exports<'p>> {
    let (directory, _, header) = header(pe)?;
    let count = header.number_of_names.get(LE);
    let functions = header.number_of_functions.get(LE);
    Some(Exports {
        directory,
        functions: table(pe, header.address_of_functions.get(LE), functions, 4)?,
        names: table(pe, header.address_of_names.get(LE), count, 4)?,
        ordinals: table(pe, header.address_of_name_ordinals.get(LE), count, 2)?,
    })
}

fn tables(pe: &Pe<'_>, report: &mut Report<'_>) {
    let Some(directory) = pe.directory(pe::IMAGE_DIRECTORY_ENTRY_EXPORT) else { return };
    let Some((_, at, header)) = header(pe) else {
        if pe.is_mapped(directory.address, 1) {
            report.add(directory.place(), "its section ends before the directory does");
        }
        return;
    };
    let names = header.number_of_names.get(LE);
    let tables = [
        (
            header.address_of_functions.get(LE),
            header.number_of_functions.get(LE),
            4,
            field!(Header, address_of_functions),
        ),
        (header.address_of_names.get(LE), names, 4, field!(Header, address_of_names)),
        (
            header.address_of_name_ordinals.get(LE),
            names,
            2,
            field!(Header, address_of_name_ordinals),
        ),
    ];
    for (address, count, width, field) in tables {
        if table(pe, address, count, width).is_none() {
            let name = super::specification_name(field.name);
            let structure = format!("export directory, {name}");
            let place = Place::new(at + field.offset, field.size, structure);
            report.add(place, format!("{count} entries at {address:#x}, which no section holds"));
        }
    }
}

/// Each name of the name pointer table with its place in the file.
fn read_names<'p>(
    pe: &Pe<'p>,
    exports: &Exports<'p>,
) -> impl Iterator<Item = (u64, Option<&'p [u8]>)> {
    let (offset, table) = exports.names;
    (0..table.len()).step_by(4).map(move |at| {
        let name = table.u32(at).and_then(|address| pe.bytes_at(address.into()));
        (offset + at, name.and_then(|bytes| bytes.c_string(0)))
    })
}

fn names(pe: &Pe<'_>, report: &mut Report<'_>) {
    let Some(exports) = exports(pe) else { return };
    for (at, name) in read_names(pe, &exports) {
        if name.is_none_or(<[u8]>::is_empty) {
            report.add(Place::new(at, 4, "export name pointer table"), "there is no name");
        }
    }
}

fn order(pe: &Pe<'_>, report: &mut Report<'_>) {
    let Some(exports) = exports(pe) else { return };
    let mut last: Option<&[u8]> = None;
    for (at, name) in read_names(pe, &exports) {
        let Some(name) = name else { continue };
        if let Some(last) = last.filter(|last| *last >= name) {
            let message = format!("`{}` stands behind `{}`", text(name), text(last));
            report.add(Place::new(at, 4, "export name pointer table"), message);
        }
        last = Some(name);
    }
}

fn ordinals(pe: &Pe<'_>, report: &mut Report<'_>) {
    let Some(exports) = exports(pe) else { return };
    let (offset, table) = exports.ordinals;
    let count = exports.functions.1.len() / 4;
    for at in (0..table.len()).step_by(2) {
        let index = table.u16(at).unwrap_or_default();
        if u64::from(index) >= count {
            let place = Place::new(offset + at, 2, "export ordinal table");
            report.add(place, format!("the index is {index}, of {count} addresses"));
        }
    }
}

fn addresses(pe: &Pe<'_>, report: &mut Report<'_>) {
    let Some(exports) = exports(pe) else { return };
    let directory = exports.directory;
    let inside = directory.address..directory.address + directory.size;
    let (offset, table) = exports.functions;
    for at in (0..table.len()).step_by(4) {
        let address = u64::from(table.u32(at).unwrap_or_default());
        let place = Place::new(offset + at, 4, "export address table");
        if inside.contains(&address) {
            let forwarder = pe.bytes_at(address).and_then(|bytes| bytes.c_string(0));
            let is_right = forwarder.is_some_and(|forwarder| {
                forwarder.contains(&b'.') && forwarder.iter().all(u8::is_ascii_graphic)
            });
            if !is_right {
                report.add(place, format!("no forwarder is at {address:#x}"));
            }
        } else if address != 0 && !pe.is_mapped(address, 1) {
            report.add(place, format!("no section has {address:#x}"));
        }
    }
}
