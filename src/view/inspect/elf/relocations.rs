//! Relocations: of sections in object files, of the loader in programs.

use std::borrow::Cow;

use object::elf::{
    self, DT_JMPREL, DT_PLTREL, DT_PLTRELSZ, DT_REL, DT_RELA, DT_RELASZ, DT_RELR, DT_RELRSZ,
    DT_RELSZ, ET_REL, FileHeader64, R_AARCH64_RELATIVE, R_X86_64_RELATIVE, Rel64, Rela64,
    RelocationType, Relr64, SHT_CREL, SHT_REL, SHT_RELA, SHT_RELR, STT_SECTION, SectionType, Sym64,
};
use object::pod::slice_from_bytes;
use object::read::elf::{Crel, FileHeader, RelrIterator, SectionHeader, Sym};
use object::{Endianness, StringTable};

use super::super::super::reader::elf::{self as reader, Dynamic, Elf};
use super::super::super::reader::{Budget, Damage, Name, bytes_at};
use super::super::model::{Found, Relocation};

/// What the relocations of one table refer to.
struct Context<'data, 'elf> {
    elf: &'elf Elf<'data>,
    table: Name<'data>,
    symbols: &'data [Sym64<Endianness>],
    strings: StringTable<'data>,
    has_addends: bool,
    section: Option<u32>,
}

pub(super) fn read<'data>(elf: &Elf<'data>, dynamic: &Dynamic<'data>, found: &mut Found<'data>) {
    let mut budget = Budget::new("relocations", elf.data.len(), 4);
    let from_sections = tables_of_sections(elf, &mut budget, found);
    let is_object = elf.header.e_type(elf.endian) == ET_REL;
    if !from_sections && !is_object {
        tables_of_loader(elf, dynamic, &mut budget, found);
    }
}

/// The tables that section headers name; whether there are any.
fn tables_of_sections<'data>(
    elf: &Elf<'data>,
    budget: &mut Budget,
    found: &mut Found<'data>,
) -> bool {
    let endian = elf.endian;
    let kinds = [SHT_REL, SHT_RELA, SHT_RELR, SHT_CREL];
    let is_table = |section: &reader::SectionHeader| kinds.contains(&section.sh_type(endian));
    let is_object = elf.header.e_type(endian) == ET_REL;
    let mut any = false;
    for section in elf.sections.iter().filter(|section| is_table(section)) {
        any = true;
        let link = section.link(endian);
        let linked = elf.sections.symbol_table_by_index(endian, elf.data, link);
        let (symbols, strings) = match linked {
            Ok(linked) => (linked.symbols(), linked.strings()),
            Err(_) => (&[][..], StringTable::default()),
        };
        let name = elf.sections.section_name(endian, section).unwrap_or_default();
        let kind = section.sh_type(endian);
        let context = Context {
            elf,
            table: Name::new(name),
            symbols,
            strings,
            has_addends: kind != SHT_REL,
            section: is_object.then(|| section.sh_info(endian)),
        };
        let Some(bytes) = found.or_damage(elf.section_bytes(section)) else { continue };
        if let Err(damage) = context.table(kind, bytes, budget, found) {
            let offset = Some(section.sh_offset(endian));
            found.damage.push(Damage { offset, ..damage });
        }
    }
    any
}

/// The tables that the dynamic table names.
fn tables_of_loader<'data>(
    elf: &Elf<'data>,
    dynamic: &Dynamic<'data>,
    budget: &mut Budget,
    found: &mut Found<'data>,
) {
    let procedures = if dynamic.value(elf, DT_PLTREL) == Some(DT_REL.0.cast_unsigned()) {
        SHT_REL
    } else {
        SHT_RELA
    };
    for (name, kind, start, size) in [
        ("DT_RELR", SHT_RELR, DT_RELR, DT_RELRSZ),
        ("DT_REL", SHT_REL, DT_REL, DT_RELSZ),
        ("DT_RELA", SHT_RELA, DT_RELA, DT_RELASZ),
        ("DT_JMPREL", procedures, DT_JMPREL, DT_PLTRELSZ),
    ] {
        let (Some(address), Some(size)) = (dynamic.value(elf, start), dynamic.value(elf, size))
        else {
            continue;
        };
        let bytes = elf.bytes_from(address).and_then(|bytes| bytes_at(bytes, 0, size));
        let context = Context {
            elf,
            table: name.into(),
            symbols: dynamic.symbols(elf),
            strings: dynamic.strings,
            has_addends: kind != SHT_REL,
            section: None,
        };
        let bytes = bytes.ok_or_else(|| {
            let message = format!("no segment has its {size:#x} bytes at {address:#x}");
            Damage::new(name, dynamic.offset, message)
        });
        let result = bytes.and_then(|bytes| context.table(kind, bytes, budget, found));
        found.or_damage(result);
    }
}

impl<'data> Context<'data, '_> {
    fn table(
        &self,
        kind: SectionType,
        bytes: &'data [u8],
        budget: &mut Budget,
        found: &mut Found<'data>,
    ) -> Result<(), Damage> {
        let endian = self.elf.endian;
        let wrong = |message: &str| Damage::new("relocations", None, message);
        match kind {
            SHT_RELA => {
                let (all, _) = slice_from_bytes::<Rela64<Endianness>>(bytes, bytes.len() / 24)
                    .map_err(|()| wrong("the table is cut off"))?;
                for entry in all {
                    self.add(Crel::from_rela(entry, endian, false), budget, found)?;
                }
            }
            SHT_REL => {
                let (all, _) = slice_from_bytes::<Rel64<Endianness>>(bytes, bytes.len() / 16)
                    .map_err(|()| wrong("the table is cut off"))?;
                for entry in all {
                    self.add(Crel::from_rel(entry, endian), budget, found)?;
                }
            }
            SHT_RELR => {
                let (all, _) = slice_from_bytes::<Relr64<Endianness>>(bytes, bytes.len() / 8)
                    .map_err(|()| wrong("the table is cut off"))?;
                for place in RelrIterator::<FileHeader64<Endianness>>::new(endian, all) {
                    budget.take(1)?;
                    found.relocations.push(self.relative(place));
                }
            }
            _ => {
                let entries = object::read::elf::CrelIterator::new(bytes)
                    .map_err(|error| Damage::new("relocations", None, error))?;
                for entry in entries {
                    let entry = entry.map_err(|error| Damage::new("relocations", None, error))?;
                    self.add(entry, budget, found)?;
                }
            }
        }
        Ok(())
    }

    fn add(
        &self,
        entry: Crel,
        budget: &mut Budget,
        found: &mut Found<'data>,
    ) -> Result<(), Damage> {
        budget.take(1)?;
        let names = elf::machine_names(self.elf.header.e_machine(self.elf.endian));
        found.relocations.push(Relocation {
            table: self.table.clone(),
            section: self.section,
            place: entry.r_offset,
            kind: named(names, entry.r_type),
            symbol: entry.symbol().map(|symbol| self.symbol(symbol.0)),
            library: None,
            addend: self.has_addends.then_some(entry.r_addend),
        });
        Ok(())
    }

    /// A packed relocation: the addend lies in the place itself.
    fn relative(&self, place: u64) -> Relocation<'data> {
        let names = elf::machine_names(self.elf.header.e_machine(self.elf.endian));
        let kind = match self.elf.header.e_machine(self.elf.endian) {
            elf::EM_X86_64 => named(names, R_X86_64_RELATIVE),
            elf::EM_AARCH64 => named(names, R_AARCH64_RELATIVE),
            _ => "relative".into(),
        };
        let bytes = self.elf.bytes_from(place).and_then(|bytes| bytes.first_chunk::<8>());
        let addend = bytes.map(|bytes| i64::from_le_bytes(*bytes));
        Relocation {
            table: self.table.clone(),
            section: self.section,
            place,
            kind,
            symbol: None,
            library: None,
            addend,
        }
    }

    /// A symbol's name; a section's, where it stands for that.
    fn symbol(&self, index: usize) -> Name<'data> {
        let endian = self.elf.endian;
        let Some(symbol) = self.symbols.get(index) else {
            return Name::from(format!("symbol {index}, which there is not"));
        };
        let name = symbol.name(endian, self.strings).unwrap_or_default();
        if name.is_empty()
            && symbol.st_type() == STT_SECTION
            && let Some(section) = symbol.st_shndx(endian).index()
            && let Ok(section) = self.elf.sections.section(object::SectionIndex(section.into()))
        {
            return Name::new(self.elf.sections.section_name(endian, section).unwrap_or_default());
        }
        Name::new(name)
    }
}

fn named(names: &elf::Names, kind: RelocationType) -> Cow<'static, str> {
    names.r.name(kind).map_or_else(|| format!("{:#x}", kind.0).into(), Cow::Borrowed)
}
