//! The symbol table.

use object::macho::{
    MachHeader64, N_ABS, N_ALT_ENTRY, N_EXT, N_INDR, N_PBUD, N_PEXT, N_SECT, N_UNDF, N_WEAK_DEF,
    N_WEAK_REF, Nlist64, SymbolType,
};
use object::read::macho::{Nlist, SymbolTable};
use object::{Endianness, StringTable};

use super::super::super::reader::macho::MachO;
use super::super::super::reader::{Damage, Name};
use super::super::model::{Found, Symbol};
use super::super::words::{constant, without_name_in_table};

pub(super) type Table<'data> = SymbolTable<'data, MachHeader64<Endianness>>;

/// The symbol table; empty where there is none, or where it is damaged.
pub(super) fn table<'data>(image: &MachO<'data>) -> Result<Table<'data>, Damage> {
    for command in &image.commands {
        let wrong = |error| Damage::new("LC_SYMTAB", command.offset(), error);
        if let Some(symtab) = command.symtab().map_err(wrong)? {
            return symtab.symbols(image.endian, image.data).map_err(wrong);
        }
    }
    Ok(Table::default())
}

pub(super) fn read<'data>(image: &MachO<'data>, found: &mut Found<'data>) {
    let Some(table) = found.or_damage(table(image)) else { return };
    let mut without_name = 0_usize;
    for (index, nlist) in table.iter().enumerate() {
        let name = nlist.name(image.endian, table.strings()).unwrap_or_else(|_| {
            without_name += 1;
            &[]
        });
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        found.symbols.push(symbol(image, nlist, index, name, table.strings()));
    }
    if without_name > 0 {
        let message = without_name_in_table(without_name);
        found.damage.push(Damage::new("LC_SYMTAB", None, message));
    }
}

fn symbol<'data>(
    image: &MachO<'data>,
    nlist: &Nlist64<Endianness>,
    index: u32,
    name: &'data [u8],
    _strings: StringTable<'data>,
) -> Symbol<'data> {
    let endian = image.endian;
    let (flags, desc) = (nlist.n_type, nlist.n_desc.get(endian));
    let value = nlist.n_value.get(endian);
    let section = Some(u32::from(nlist.n_sect)).filter(|section| *section > 0);
    let symbol = Symbol {
        table: "LC_SYMTAB",
        index,
        name: Name::new(name),
        version: None,
        value,
        size: 0,
        kind: "none".into(),
        binding: "local".into(),
        visibility: "".into(),
        place: "".into(),
        section,
    };
    if let Some(stab) = nlist.stab() {
        return Symbol { kind: constant(stab).into(), place: "debug".into(), ..symbol };
    }
    let is_external = flags.0 & N_EXT.0 != 0;
    let kind = SymbolType(flags.0 & 0x0e);
    let place = match kind {
        N_UNDF if value != 0 && is_external => "common".into(),
        N_UNDF => "undefined".into(),
        N_ABS => "absolute".into(),
        N_SECT => "section".into(),
        N_INDR => "indirect".into(),
        N_PBUD => "prebound".into(),
        other => constant(other).into(),
    };
    let is_weak = match kind {
        N_UNDF => desc.0 & N_WEAK_REF.0 != 0,
        _ => is_external && desc.0 & N_WEAK_DEF.0 != 0,
    };
    let binding = match (is_external, is_weak) {
        (_, true) => "weak",
        (true, _) => "global",
        _ => "local",
    };
    let visibility = if flags.0 & N_PEXT.0 != 0 { "private" } else { "" };
    let is_alternative = kind == N_SECT && desc.0 & N_ALT_ENTRY.0 != 0;
    Symbol {
        kind: if is_alternative { "alternative entry".into() } else { "none".into() },
        binding: binding.into(),
        visibility: visibility.into(),
        place,
        size: 0,
        ..symbol
    }
}
