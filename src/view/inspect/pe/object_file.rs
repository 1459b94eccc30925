//! COFF object files, with 16 or with 32 bits for the number of sections.

use object::LittleEndian as LE;
use object::pe::{self, AnonObjectHeaderBigobj, ImageFileHeader, Machine};
use object::read::coff::{CoffHeader, SectionTable, Symbol as _, SymbolTable};

use super::super::super::reader::{Budget, Damage, Name, counted};
use super::super::model::{Found, Record, Relocation, Section, Value};
use super::super::words::constant;
use super::{architecture, headers, sections, symbols};

/// Reads an object file for Windows or UEFI.
///
/// # Errors
/// When it has no COFF header.
pub(in super::super) fn read_object(data: &[u8]) -> Result<Found<'_>, Damage> {
    let mut offset = 0;
    if let Ok(header) = AnonObjectHeaderBigobj::parse(data, &mut offset) {
        let mut record = Record::new("bigobj header", 0);
        let machine = header.machine.get(LE);
        record.explained("Machine", Value::Hex(machine.0.into()), constant(machine));
        record.count("NumberOfSections", header.number_of_sections.get(LE));
        record.count("NumberOfSymbols", header.number_of_symbols.get(LE));
        return Ok(read(data, header, offset, record));
    }
    let mut offset = 0;
    let header = ImageFileHeader::parse(data, &mut offset)
        .map_err(|error| Damage::new("COFF header", 0, error))?;
    let record = headers::file_header(header, 0);
    Ok(read(data, header, offset, record))
}

fn read<'data, Coff: CoffHeader>(
    data: &'data [u8],
    header: &Coff,
    offset: u64,
    record: Record<'data>,
) -> Found<'data> {
    let mut found = Found {
        format: "COFF",
        kind: "object file".into(),
        architecture: architecture(header.machine()),
        system: Some("windows".into()),
        ..Found::default()
    };
    found.headers.push(record);
    let table = header.symbols(data).map_err(|error| {
        Damage::new("COFF symbol table", u64::from(header.pointer_to_symbol_table()), error)
    });
    let table = found.or_damage(table).unwrap_or_default();
    let all = header.sections(data, offset).map_err(|error| {
        let count = header.number_of_sections();
        let message = format!("{error}: {}", counted(count, "section", "sections"));
        Damage::new("section headers", offset, message)
    });
    let all = found.or_damage(all).unwrap_or_default();
    for (index, header) in all.enumerate() {
        let at = offset.saturating_add((index.0 as u64 - 1) * 40);
        let section = sections::section(header, index.0, table.strings(), data, at, &mut found);
        let align = header.coff_alignment();
        found.sections.push(Section { align, ..section });
    }
    symbols::read_table(&table, &mut found);
    let result = relocations(data, header.machine(), &all, &table, &mut found);
    found.or_damage(result);
    found
}

fn relocations<'data, Coff: CoffHeader>(
    data: &'data [u8],
    machine: Machine,
    sections: &SectionTable<'data>,
    table: &SymbolTable<'data, &'data [u8], Coff>,
    found: &mut Found<'data>,
) -> Result<(), Damage> {
    let mut budget = Budget::new("relocations", data.len(), 10);
    for (number, section) in sections.enumerate() {
        let offset = u64::from(section.pointer_to_relocations.get(LE));
        let entries = section
            .coff_relocations(data)
            .map_err(|error| Damage::new("relocations", offset, error))?;
        budget.take(entries.len() as u64)?;
        let name = section.name(table.strings()).unwrap_or(section.raw_name());
        for entry in entries {
            let index = entry.symbol();
            let symbol = table.symbol(index).ok();
            let symbol = symbol.and_then(|symbol| symbol.name(table.strings()).ok());
            let kind = entry.typ.get(LE);
            let names = pe::machine_names(machine).rel;
            let kind = names
                .name(kind)
                .map_or_else(|| format!("{:#x}", kind.0), |(_, name)| name.to_owned());
            found.relocations.push(Relocation {
                table: Name::new(name),
                section: u32::try_from(number.0).ok(),
                place: entry.virtual_address.get(LE).into(),
                kind: kind.into(),
                symbol: Some(symbol.map_or_else(
                    || format!("symbol {}, which there is not", index.0).into(),
                    Name::new,
                )),
                library: None,
                addend: None,
            });
        }
    }
    Ok(())
}
