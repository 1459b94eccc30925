//! Relocations of sections, in object files, and of static programs.

use object::Endianness;
use object::macho::{self, Section64};
use object::read::macho::{Nlist, Section};

use super::super::super::reader::macho::MachO;
use super::super::super::reader::{Budget, Damage, Name, counted};
use super::super::model::{Found, Relocation};
use super::super::{padded, words::constant};
use super::symbols::{self, Table};

pub(super) fn read<'data>(image: &MachO<'data>, found: &mut Found<'data>) {
    let table = symbols::table(image).unwrap_or_default();
    let mut budget = Budget::new("relocations", image.data.len(), 8);
    let sections = image.segments.iter().flat_map(|segment| segment.sections);
    for (number, section) in (1..).zip(sections) {
        let result = of_section(image, &table, section, number, &mut budget, found);
        found.or_damage(result);
    }
}

fn of_section<'data>(
    image: &MachO<'data>,
    table: &Table<'data>,
    section: &'data Section64<Endianness>,
    number: u32,
    budget: &mut Budget,
    found: &mut Found<'data>,
) -> Result<(), Damage> {
    let endian = image.endian;
    let cpu = image.header.cputype.get(endian);
    let offset = u64::from(section.reloff.get(endian));
    let entries = section
        .relocations(endian, image.data)
        .map_err(|error| Damage::new("relocations", offset, error))?;
    budget.take(entries.len() as u64)?;
    for entry in entries {
        let info = entry.info(endian);
        let name = macho::machine_names(cpu).reloc.name(info.r_type);
        let symbol = if info.r_extern {
            let index = object::SymbolIndex(info.r_symbolnum as usize);
            let found = table.symbol(index).ok();
            let name = found.and_then(|symbol| symbol.name(endian, table.strings()).ok());
            name.map_or_else(
                || format!("symbol {}, which there is not", info.r_symbolnum).into(),
                Name::new,
            )
        } else {
            section_name(image, info.r_symbolnum)
        };
        let kind = name.map_or_else(|| constant(info.r_type), str::to_owned);
        found.relocations.push(Relocation {
            table: padded(&section.sectname),
            section: Some(number),
            place: info.r_address.into(),
            kind: format!(
                "{kind}{}, {}",
                if info.r_pcrel { ", pc-relative" } else { "" },
                counted(1_u64 << info.r_length, "byte", "bytes")
            )
            .into(),
            symbol: Some(symbol),
            library: None,
            addend: None,
        });
    }
    Ok(())
}

/// The section with this number, counted over all segments from 1.
fn section_name<'data>(image: &MachO<'data>, number: u32) -> Name<'data> {
    let mut all = image.segments.iter().flat_map(|segment| segment.sections);
    let found = (number as usize).checked_sub(1).and_then(|index| all.nth(index));
    found.map_or_else(|| format!("section {number}").into(), |section| padded(&section.sectname))
}
