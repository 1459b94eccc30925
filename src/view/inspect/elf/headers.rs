//! The ELF header and the dynamic table, field by field.

use std::borrow::Cow;

use object::elf::{
    self, DT_AUDIT, DT_AUXILIARY, DT_CONFIG, DT_DEPAUDIT, DT_FILTER, DT_FLAGS, DT_FLAGS_1,
    DT_NEEDED, DT_PLTREL, DT_RPATH, DT_RUNPATH, DT_SONAME, DynamicFlags, DynamicFlags1, DynamicTag,
};
use object::read::elf::{Dyn, FileHeader};

use super::super::super::reader::elf::{Dynamic, Elf};
use super::super::super::reader::{Damage, Name};
use super::super::model::{Found, Library, Record, Value};
use super::super::words::{constant, flags};

pub(super) fn read<'data>(elf: &Elf<'data>, dynamic: &Dynamic<'data>, found: &mut Found<'data>) {
    found.headers.push(file_header(elf));
    if !dynamic.entries.is_empty() {
        let table = dynamic_table(elf, dynamic, found);
        found.headers.push(table);
    }
}

fn file_header<'data>(elf: &Elf<'data>) -> Record<'data> {
    let (header, endian) = (elf.header, elf.endian);
    let ident = header.e_ident();
    let mut record = Record::new("ELF header", 0);
    record.explained("class", Value::Count(ident.class.0.into()), constant(ident.class));
    record.explained("data", Value::Count(ident.data.0.into()), constant(ident.data));
    record.explained("osabi", Value::Count(ident.os_abi.0.into()), constant(ident.os_abi));
    record.count("abiversion", ident.abi_version);
    let kind = header.e_type(endian);
    record.explained("e_type", Value::Count(kind.0.into()), constant(kind));
    let machine = header.e_machine(endian);
    record.explained("e_machine", Value::Count(machine.0.into()), constant(machine));
    record.count("e_version", header.e_version(endian));
    record.explained(
        "e_entry",
        Value::Hex(header.e_entry(endian)),
        "the first instruction's address",
    );
    record.explained("e_phoff", Value::Hex(header.e_phoff(endian)), "where program headers lie");
    record.explained("e_shoff", Value::Hex(header.e_shoff(endian)), "where section headers lie");
    record.hex("e_flags", header.e_flags(endian).0);
    record.count("e_ehsize", header.e_ehsize(endian));
    record.count("e_phentsize", header.e_phentsize(endian));
    record.count("e_phnum", header.e_phnum(endian));
    record.count("e_shentsize", header.e_shentsize(endian));
    record.count("e_shnum", header.e_shnum(endian));
    let names = header.e_shstrndx(endian).0;
    record.explained("e_shstrndx", Value::Count(names.into()), "the section with their names");
    record
}

/// Tags whose value is an offset of a string.
const STRINGS: &[DynamicTag] = &[
    DT_NEEDED,
    DT_SONAME,
    DT_RPATH,
    DT_RUNPATH,
    DT_AUXILIARY,
    DT_FILTER,
    DT_CONFIG,
    DT_DEPAUDIT,
    DT_AUDIT,
];

fn dynamic_table<'data>(
    elf: &Elf<'data>,
    dynamic: &Dynamic<'data>,
    found: &mut Found<'data>,
) -> Record<'data> {
    let endian = elf.endian;
    let names = elf::machine_names(elf.header.e_machine(endian)).dt;
    let mut record = Record::new("dynamic table", dynamic.offset);
    for entry in dynamic.entries {
        let (tag, value) = (entry.tag(endian), entry.val(endian));
        let name = names.name(tag);
        let name = name.map_or_else(|| format!("{:#x}", tag.0).into(), Cow::Borrowed);
        if STRINGS.contains(&tag) {
            let string = u32::try_from(value).ok().and_then(|at| dynamic.strings.get(at).ok());
            if let Some(string) = string {
                record.field(name, Value::Text(string.into()));
                if tag == DT_NEEDED {
                    let version = Name::default();
                    found.libraries.push(Library { name: string.into(), kind: "needed", version });
                }
            } else {
                let message = format!("no string at {value:#x} for {name}");
                found.damage.push(Damage::new("dynamic table", dynamic.offset, message));
                record.field(name, Value::Hex(value));
            }
            continue;
        }
        let meaning = match tag {
            DT_FLAGS => flags(DynamicFlags(value), "DF_"),
            DT_FLAGS_1 => flags(DynamicFlags1(value), "DF_1_"),
            DT_PLTREL => names.name(DynamicTag(value.cast_signed())).unwrap_or_default().to_owned(),
            _ => String::new(),
        };
        record.explained(name, Value::Hex(value), meaning);
    }
    record
}
