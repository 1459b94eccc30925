//! Imports, and imports that are bound when they are first called.

use object::LittleEndian as LE;
use object::pe::{
    IMAGE_DIRECTORY_ENTRY_DELAY_IMPORT, IMAGE_DIRECTORY_ENTRY_IMPORT, ImageDelayloadDescriptor,
    ImageImportDescriptor, ImageThunkData64,
};
use object::pod::{Pod, from_bytes};
use object::read::pe::ImageThunkData;

use super::super::super::reader::pe::Pe;
use super::super::super::reader::{Budget, Damage, Name};
use super::super::model::{Found, Import, Library};

/// A library's descriptor, of either table.
struct Descriptor {
    name: u32,
    /// The names or numbers.
    lookup: u32,
    /// Where their addresses are written to.
    addresses: u32,
    kind: &'static str,
}

pub(super) fn read<'data>(pe: &Pe<'data>, found: &mut Found<'data>) {
    let mut budget = Budget::new("imports", pe.data.len(), 4);
    let of_import = |descriptor: &ImageImportDescriptor| {
        let (lookup, addresses) =
            (descriptor.original_first_thunk.get(LE), descriptor.first_thunk.get(LE));
        // The loader stops at the first that has no name or nowhere to write to.
        let is_last = descriptor.name.get(LE) == 0 || addresses == 0;
        (!is_last).then(|| Descriptor {
            name: descriptor.name.get(LE),
            lookup: if lookup == 0 { addresses } else { lookup },
            addresses,
            kind: "needed",
        })
    };
    let of_delay = |descriptor: &ImageDelayloadDescriptor| {
        (!descriptor.is_null()).then(|| Descriptor {
            name: descriptor.dll_name_rva.get(LE),
            lookup: descriptor.import_name_table_rva.get(LE),
            addresses: descriptor.import_address_table_rva.get(LE),
            kind: "delayed",
        })
    };
    let result =
        table(pe, IMAGE_DIRECTORY_ENTRY_IMPORT, "import directory", of_import, &mut budget, found);
    found.or_damage(result);
    let result = table(
        pe,
        IMAGE_DIRECTORY_ENTRY_DELAY_IMPORT,
        "delay import directory",
        of_delay,
        &mut budget,
        found,
    );
    found.or_damage(result);
}

/// Reads descriptors to the one that ends them.
fn table<'data, D: Pod + 'data>(
    pe: &Pe<'data>,
    index: usize,
    structure: &'static str,
    read: impl Fn(&D) -> Option<Descriptor>,
    budget: &mut Budget,
    found: &mut Found<'data>,
) -> Result<(), Damage> {
    let Some(directory) = pe.directory(index) else { return Ok(()) };
    let start = directory.virtual_address.get(LE);
    let mut bytes = pe.bytes_from(start).ok_or_else(|| {
        let message = format!("no section has it at RVA {start:#x}");
        Damage::new(structure, pe.directory_offset(index), message)
    })?;
    let offset = pe.offset_of(start).map_or(0, |(offset, _)| offset);
    loop {
        let (descriptor, rest) = from_bytes::<D>(bytes)
            .map_err(|()| Damage::new(structure, offset, "no empty descriptor ends it"))?;
        let Some(descriptor) = read(descriptor) else { return Ok(()) };
        budget.take(1)?;
        let result = library(pe, &descriptor, structure, budget, found);
        // One that is damaged says nothing about the next.
        found.or_damage(result);
        bytes = rest;
    }
}

fn library<'data>(
    pe: &Pe<'data>,
    descriptor: &Descriptor,
    structure: &'static str,
    budget: &mut Budget,
    found: &mut Found<'data>,
) -> Result<(), Damage> {
    let wrong = |rva: u32, what: &str| {
        let offset = pe.offset_of(rva).map(|(offset, _)| offset);
        Damage::new(structure, offset, format!("no section has all of {what} at RVA {rva:#x}"))
    };
    let name = string(pe, descriptor.name).ok_or_else(|| wrong(descriptor.name, "a name"))?;
    found.libraries.push(Library {
        name: name.clone(),
        kind: descriptor.kind,
        version: Name::default(),
    });
    let mut bytes = pe.bytes_from(descriptor.lookup).unwrap_or_default();
    for index in 0.. {
        let (thunk, rest) = from_bytes::<ImageThunkData64>(bytes)
            .map_err(|()| wrong(descriptor.lookup, &format!("the table of {name}")))?;
        bytes = rest;
        if thunk.raw() == 0 {
            return Ok(());
        }
        budget.take(1)?;
        let slot = u64::from(descriptor.addresses).wrapping_add(index * 8);
        let (symbol, ordinal) = if thunk.is_ordinal() {
            (Name::default(), Some(thunk.ordinal()))
        } else {
            // Behind a hint of two bytes.
            let at = thunk.address().wrapping_add(2);
            let symbol = string(pe, at).ok_or_else(|| wrong(at, &format!("a name for {name}")))?;
            (symbol, None)
        };
        found.imports.push(Import {
            library: Some(name.clone()),
            name: symbol,
            ordinal,
            version: None,
            weak: false,
            slot: Some(pe.base().wrapping_add(slot)),
        });
    }
    Ok(())
}

/// The string at an RVA, without its zero.
pub(super) fn string<'data>(pe: &Pe<'data>, rva: u32) -> Option<Name<'data>> {
    let bytes = pe.bytes_from(rva)?;
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some(Name::new(&bytes[..end]))
}
