//! Exports: by name, by number, forwarded.

use object::LittleEndian as LE;
use object::pe::{IMAGE_DIRECTORY_ENTRY_EXPORT, ImageExportDirectory};
use object::pod::from_bytes;

use super::super::super::reader::pe::Pe;
use super::super::super::reader::{Budget, Damage, Name, counted};
use super::super::model::{Export, Found, Record, Value};
use super::imports::string;

pub(super) fn read<'data>(pe: &Pe<'data>, found: &mut Found<'data>) {
    let result = table(pe, found);
    found.or_damage(result);
}

fn table<'data>(pe: &Pe<'data>, found: &mut Found<'data>) -> Result<(), Damage> {
    let index = IMAGE_DIRECTORY_ENTRY_EXPORT;
    let Some(entry) = pe.directory(index) else { return Ok(()) };
    let (start, size) = entry.address_range();
    let structure = "export directory";
    let offset = pe.offset_of(start).map(|(offset, _)| offset);
    let wrong = |message: String| Damage::new(structure, offset, message);
    let bytes = pe.bytes_from(start).unwrap_or_default();
    let (directory, _) = from_bytes::<ImageExportDirectory>(bytes)
        .map_err(|()| wrong(format!("no section has it at RVA {start:#x}")))?;
    let base = directory.base.get(LE);
    let functions =
        words(pe, directory.address_of_functions.get(LE), directory.number_of_functions.get(LE))
            .ok_or_else(|| {
                let count = directory.number_of_functions.get(LE);
                wrong(format!("{}, not in any section", counted(count, "function", "functions")))
            })?;
    let count = directory.number_of_names.get(LE);
    let names = words(pe, directory.address_of_names.get(LE), count)
        .ok_or_else(|| wrong(format!("{}, not in any section", counted(count, "name", "names"))))?;
    let numbers = pe.bytes(directory.address_of_name_ordinals.get(LE), u64::from(count) * 2);
    let numbers = if count == 0 { Some(&[][..]) } else { numbers };
    let numbers = numbers.ok_or_else(|| {
        wrong(format!(
            "{}, not in any section",
            counted(count, "ordinal of a name", "ordinals of names")
        ))
    })?;

    let mut record = Record::new(structure, offset);
    if let Some(name) = string(pe, directory.name.get(LE)) {
        record.explained("Name", Value::Text(name), "what the library calls itself");
    }
    record.hex("TimeDateStamp", directory.time_date_stamp.get(LE));
    record.count("Base", base);
    record.count("NumberOfFunctions", directory.number_of_functions.get(LE));
    record.count("NumberOfNames", count);
    found.headers.push(record);

    let mut budget = Budget::new("exports", pe.data.len(), 2);
    let mut names_of = vec![Vec::new(); functions.len() / 4];
    for (name, number) in names.chunks_exact(4).zip(numbers.chunks_exact(2)) {
        budget.take(1)?;
        let name = string(pe, word(name))
            .ok_or_else(|| wrong(format!("no name at RVA {:#x}", word(name))))?;
        let number = usize::from(u16::from_le_bytes([number[0], number[1]]));
        if let Some(names) = names_of.get_mut(number) {
            names.push(name);
        } else {
            let message = format!("{name} is function {number} of {}", names_of.len());
            found.damage.push(wrong(message));
        }
    }
    let range = start..start.saturating_add(size);
    for (index, (function, names)) in functions.chunks_exact(4).zip(names_of).enumerate() {
        let rva = word(function);
        // Numbers between others may be free.
        if rva == 0 && names.is_empty() {
            continue;
        }
        budget.take(1)?;
        let forward = if range.contains(&rva) { string(pe, rva) } else { None };
        let address = (!range.contains(&rva)).then(|| pe.base().wrapping_add(rva.into()));
        let ordinal = u32::try_from(index).ok().and_then(|index| base.checked_add(index));
        let names = if names.is_empty() { vec![Name::default()] } else { names };
        for name in names {
            found.exports.push(Export {
                name,
                ordinal,
                address,
                forward: forward.clone(),
                version: None,
                flags: "".into(),
            });
        }
    }
    Ok(())
}

/// A table of words at an RVA; none at all lie anywhere.
fn words<'data>(pe: &Pe<'data>, rva: u32, count: u32) -> Option<&'data [u8]> {
    if count == 0 { Some(&[]) } else { pe.bytes(rva, u64::from(count) * 4) }
}

fn word(bytes: &[u8]) -> u32 {
    bytes.try_into().map_or(0, u32::from_le_bytes)
}
