//! The COFF symbol table.

use object::LittleEndian as LE;
use object::pe::{
    IMAGE_SYM_ABSOLUTE, IMAGE_SYM_CLASS_EXTERNAL, IMAGE_SYM_CLASS_FILE, IMAGE_SYM_CLASS_LABEL,
    IMAGE_SYM_CLASS_SECTION, IMAGE_SYM_CLASS_STATIC, IMAGE_SYM_CLASS_WEAK_EXTERNAL,
    IMAGE_SYM_DEBUG, IMAGE_SYM_DTYPE_FUNCTION, IMAGE_SYM_UNDEFINED,
};
use object::read::coff::{CoffHeader, Symbol as _, SymbolTable};

use super::super::super::reader::pe::Pe;
use super::super::super::reader::{Damage, Name, counted};
use super::super::model::{Found, Symbol};
use super::super::words::{constant, without_name_in_table};

pub(super) fn read<'data>(pe: &Pe<'data>, found: &mut Found<'data>) {
    let header = &pe.headers.file_header;
    let offset = header.pointer_to_symbol_table.get(LE);
    if offset == 0 {
        return;
    }
    match SymbolTable::parse(header, pe.data) {
        Ok(table) => read_table(&table, found),
        Err(error) => {
            let count = header.number_of_symbols.get(LE);
            let message = format!("{error}: {}", counted(count, "symbol", "symbols"));
            found.damage.push(Damage::new("COFF symbol table", u64::from(offset), message));
        }
    }
}

pub(super) fn read_table<'data, Coff: CoffHeader>(
    table: &SymbolTable<'data, &'data [u8], Coff>,
    found: &mut Found<'data>,
) {
    let mut without_name = 0_usize;
    for (index, symbol) in table.iter() {
        let name = if symbol.storage_class() == IMAGE_SYM_CLASS_FILE {
            table.aux_file_name(index, symbol.number_of_aux_symbols())
        } else {
            symbol.name(table.strings())
        };
        let name = name.unwrap_or_else(|_| {
            without_name += 1;
            &[]
        });
        let class = symbol.storage_class();
        let section = symbol.section_number();
        let place = match section {
            IMAGE_SYM_UNDEFINED if symbol.value() != 0 && class == IMAGE_SYM_CLASS_EXTERNAL => {
                "common".into()
            }
            IMAGE_SYM_UNDEFINED => "undefined".into(),
            IMAGE_SYM_ABSOLUTE => "absolute".into(),
            IMAGE_SYM_DEBUG => "debug".into(),
            _ => "section".into(),
        };
        let binding = match class {
            IMAGE_SYM_CLASS_EXTERNAL => "global".into(),
            IMAGE_SYM_CLASS_WEAK_EXTERNAL => "weak".into(),
            IMAGE_SYM_CLASS_STATIC
            | IMAGE_SYM_CLASS_LABEL
            | IMAGE_SYM_CLASS_FILE
            | IMAGE_SYM_CLASS_SECTION => "local".into(),
            other => constant(other).into(),
        };
        let is_function = symbol.derived_type() == IMAGE_SYM_DTYPE_FUNCTION;
        let kind = match class {
            IMAGE_SYM_CLASS_FILE => "file",
            IMAGE_SYM_CLASS_LABEL => "label",
            IMAGE_SYM_CLASS_STATIC if symbol.has_aux_section() => "section",
            _ if is_function => "function",
            _ => "none",
        };
        let has_size = is_function && symbol.has_aux_function();
        let size = if has_size { table.aux_function(index).ok() } else { None };
        found.symbols.push(Symbol {
            table: "COFF",
            index: u32::try_from(index.0).unwrap_or(u32::MAX),
            name: Name::new(name),
            version: None,
            value: symbol.value().into(),
            size: size.map_or(0, |size| size.total_size.get(LE).into()),
            kind: kind.into(),
            binding,
            visibility: "".into(),
            place,
            section: section.index(),
        });
    }
    if without_name > 0 {
        let message = without_name_in_table(without_name);
        found.damage.push(Damage::new("COFF symbol table", None, message));
    }
}
