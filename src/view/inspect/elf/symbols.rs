//! Symbol tables with their versions; what is imported and exported by them.

use std::borrow::Cow;

use object::elf::{
    self, FileHeader64, SHN_ABS, SHN_COMMON, SHN_UNDEF, SHN_XINDEX, SHT_DYNSYM, SHT_SYMTAB,
    STB_GLOBAL, STB_GNU_UNIQUE, STB_LOCAL, STB_WEAK, STT_COMMON, STT_FILE, STT_FUNC, STT_GNU_IFUNC,
    STT_NOTYPE, STT_OBJECT, STT_SECTION, STT_TLS, STV_DEFAULT, STV_HIDDEN, STV_INTERNAL,
    STV_PROTECTED, Sym64,
};
use object::read::elf::{FileHeader, Sym, VersionTable};
use object::{Endianness, StringTable, SymbolIndex};

use super::super::super::reader::elf::{Dynamic, Elf};
use super::super::super::reader::{Budget, Damage, Name};
use super::super::model::{Export, Found, Import, Symbol};
use super::super::words::{constant, without_name_in_table};

type Versions<'data> = VersionTable<'data, FileHeader64<Endianness>>;

/// A table, wherever it was found.
struct Table<'data> {
    name: &'static str,
    symbols: &'data [Sym64<Endianness>],
    strings: StringTable<'data>,
    /// Indices of sections that do not fit into a symbol.
    extended: Vec<Option<u32>>,
}

pub(super) fn read<'data>(elf: &Elf<'data>, dynamic: &Dynamic<'data>, found: &mut Found<'data>) {
    let endian = elf.endian;
    let mut budget = Budget::new("symbol tables", elf.data.len(), 16);
    let versions = elf.sections.versions(endian, elf.data);
    let versions = match versions {
        Ok(versions) => versions.unwrap_or_default(),
        Err(error) => {
            found.damage.push(Damage::new("symbol versions", None, error));
            Versions::default()
        }
    };
    let mut tables = Vec::new();
    for (name, kind) in [(".dynsym", SHT_DYNSYM), (".symtab", SHT_SYMTAB)] {
        match elf.sections.symbols(endian, elf.data, kind) {
            Ok(table) if !table.is_empty() => {
                let all = table.symbols();
                let extended = |index| table.shndx(endian, SymbolIndex(index));
                let extended = if all.iter().any(|symbol| symbol.st_shndx(endian) == SHN_XINDEX) {
                    (0..all.len()).map(extended).collect()
                } else {
                    Vec::new()
                };
                tables.push(Table { name, symbols: all, strings: table.strings(), extended });
            }
            Ok(_) => {}
            Err(error) => found.damage.push(Damage::new(name, None, error)),
        }
    }
    // Without section headers the loader still finds its symbols.
    if tables.iter().all(|table| table.name != ".dynsym") {
        let (symbols, strings) = (dynamic.symbols(elf), dynamic.strings);
        if !symbols.is_empty() {
            tables.insert(0, Table { name: ".dynsym", symbols, strings, extended: Vec::new() });
        }
    }
    for table in &tables {
        if found.or_damage(budget.take(table.symbols.len() as u64)).is_none() {
            break;
        }
        read_table(elf, table, &versions, found);
    }
}

fn read_table<'data>(
    elf: &Elf<'data>,
    table: &Table<'data>,
    versions: &Versions<'data>,
    found: &mut Found<'data>,
) {
    let endian = elf.endian;
    let is_dynamic = table.name == ".dynsym";
    let mut without_name = 0_usize;
    // The first symbol is none.
    for (index, symbol) in table.symbols.iter().enumerate().skip(1) {
        let name = symbol.name(endian, table.strings).unwrap_or_else(|_| {
            without_name += 1;
            &[]
        });
        let version = is_dynamic.then(|| version(versions, endian, index)).flatten();
        let extended = table.extended.get(index).copied().flatten();
        let symbol = self::symbol(elf, symbol, extended, table.name, index, name);
        if is_dynamic {
            let is_global = symbol.binding != "local";
            if is_global && symbol.place == "undefined" {
                found.imports.push(Import {
                    library: version.as_ref().and_then(|version| version.file.clone()),
                    name: symbol.name.clone(),
                    ordinal: None,
                    version: version.as_ref().map(|version| version.name.clone()),
                    weak: symbol.binding == "weak",
                    slot: None,
                });
            } else if is_global && symbol.visibility != "hidden" && symbol.visibility != "internal"
            {
                found.exports.push(export(&symbol, version.as_ref()));
            }
        }
        let version = version.map(|version| version.name);
        found.symbols.push(Symbol { version, ..symbol });
    }
    if without_name > 0 {
        let message = without_name_in_table(without_name);
        found.damage.push(Damage::new(table.name, None, message));
    }
}

fn export<'data>(symbol: &Symbol<'data>, version: Option<&Version<'data>>) -> Export<'data> {
    let mut flags = Vec::new();
    if symbol.binding != "global" {
        flags.push(&*symbol.binding);
    }
    if symbol.kind != "function" {
        flags.push(&*symbol.kind);
    }
    if version.is_some_and(|version| version.is_hidden) {
        flags.push("not the default version");
    }
    Export {
        name: symbol.name.clone(),
        ordinal: None,
        address: Some(symbol.value),
        forward: None,
        version: version.map(|version| version.name.clone()),
        flags: flags.join(", ").into(),
    }
}

struct Version<'data> {
    name: Name<'data>,
    file: Option<Name<'data>>,
    is_hidden: bool,
}

fn version<'data>(
    versions: &Versions<'data>,
    endian: Endianness,
    index: usize,
) -> Option<Version<'data>> {
    if versions.is_empty() {
        return None;
    }
    let index = versions.version_index(endian, SymbolIndex(index));
    let version = versions.version(index.index()).ok().flatten()?;
    Some(Version {
        name: Name::new(version.name()),
        file: version.file().map(Name::new),
        is_hidden: index.is_hidden(),
    })
}

fn symbol<'data>(
    elf: &Elf<'data>,
    symbol: &Sym64<Endianness>,
    extended: Option<u32>,
    table: &'static str,
    index: usize,
    name: &'data [u8],
) -> Symbol<'data> {
    let endian = elf.endian;
    let names = elf::machine_names(elf.header.e_machine(endian));
    let (place, section) = match symbol.st_shndx(endian) {
        SHN_UNDEF => ("undefined".into(), None),
        SHN_ABS => ("absolute".into(), None),
        SHN_COMMON => ("common".into(), None),
        SHN_XINDEX => ("section".into(), extended),
        other => match other.index() {
            Some(index) => ("section".into(), Some(u32::from(index))),
            None => (named(names.shn.name(other), other.0), None),
        },
    };
    let kind = match symbol.st_type() {
        STT_NOTYPE => "none".into(),
        STT_OBJECT => "object".into(),
        STT_FUNC => "function".into(),
        STT_SECTION => "section".into(),
        STT_FILE => "file".into(),
        STT_COMMON => "common".into(),
        STT_TLS => "thread-local".into(),
        STT_GNU_IFUNC => "indirect function".into(),
        other => named(names.stt.name(other), other.0.into()),
    };
    let binding = match symbol.st_bind() {
        STB_LOCAL => "local".into(),
        STB_GLOBAL => "global".into(),
        STB_WEAK => "weak".into(),
        STB_GNU_UNIQUE => "unique".into(),
        other => named(names.stb.name(other), other.0.into()),
    };
    let visibility = match symbol.st_visibility() {
        STV_DEFAULT => "default".into(),
        STV_HIDDEN => "hidden".into(),
        STV_PROTECTED => "protected".into(),
        STV_INTERNAL => "internal".into(),
        other => constant(other).into(),
    };
    Symbol {
        table,
        index: u32::try_from(index).unwrap_or(u32::MAX),
        name: Name::new(name),
        version: None,
        value: symbol.st_value(endian),
        size: symbol.st_size(endian),
        kind,
        binding,
        visibility,
        place,
        section,
    }
}

fn named(name: Option<&'static str>, number: u16) -> Cow<'static, str> {
    name.map_or_else(|| format!("{number:#x}").into(), Cow::Borrowed)
}
