//! Dynamic symbols: what relocations ask for, and what others are offered.

use object::LittleEndian as LE;
use object::elf;

use super::Elf;
use super::hashes::GnuTable;
use super::relocations::{kind, relative, relocations, slots};
use crate::view::lint::bytes::{text, up};
use crate::view::lint::report::{Place, Report};
use crate::view::lint::rule::Loader::{Glibc, Musl};
use crate::view::lint::rule::{Check, Rule, error, warning};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "elf/symbol-reference",
        demand: "relocations name symbols of the table, and these have names in the string table",
        by: &[error(Glibc), error(Musl)],
        symptom: "SIGSEGV inside ld.so, or `undefined symbol` with a name that is junk or empty",
        cure: "correct the index in r_info, or st_name; DT_SYMTAB and DT_STRTAB may be the wrong tables",
        source: "glibc elf/dl-lookup.c, _dl_lookup_symbol_x; musl ldso/dynlink.c, do_relocs",
        check: Check::Elf(references),
    },
    Rule {
        name: "elf/symbol-not-looked-up",
        demand: "a symbol that another file defines is not local, and has default visibility",
        by: &[error(Glibc)],
        symptom: "it is taken for the file's own, at the address where the file begins: SIGSEGV when it is used",
        cure: "set its binding to global or weak, and its visibility to default",
        source: "glibc elf/dl-reloc.c, RESOLVE_MAP (dl_symbol_visibility_binds_local_p); elf/dl-lookup.c, _dl_lookup_symbol_x (protected)",
        check: Check::Elf(not_looked_up),
    },
    Rule {
        name: "elf/symbol-not-offered",
        demand: "symbols of the hash table have a name and a value, are visible, global, weak or unique, and of a type that is looked for",
        by: &[error(Glibc).libraries(), error(Musl).libraries()],
        symptom: "`undefined symbol`, though the library has it; SIGSEGV inside ld.so where the name is none",
        cure: "correct st_name, st_info, st_other or st_value; leave local and hidden symbols out of the table",
        source: "glibc elf/dl-lookup.c, check_match, do_lookup_x; musl ldso/dynlink.c, OK_TYPES, OK_BINDS",
        check: Check::Elf(not_offered),
    },
    Rule {
        name: "elf/symbol-value",
        demand: "a symbol that the file defines lies in its memory, a function in its code, a thread-local in its PT_TLS",
        by: &[warning(Glibc), warning(Musl)],
        symptom: "whoever takes it has an address of something else: SIGSEGV when it is used",
        cure: "set st_value to the address before the file is moved; of a thread-local, to its place in PT_TLS",
        source: "System V gABI chapter 4, Symbol Values; glibc sysdeps/generic/ldsodefs.h, SYMBOL_ADDRESS",
        check: Check::Elf(values),
    },
];

impl Elf<'_> {
    /// The number of dynamic symbols by the section header of their table, where there is one.
    pub(super) fn section_symbols(&self) -> Option<u64> {
        let table = self.linking()?.value(elf::DT_SYMTAB)?;
        let section = self.sections().find(|(_, section)| {
            section.sh_type.get(LE) == elf::SHT_DYNSYM && section.sh_addr.get(LE) == table
        });
        let (_, section) = section?;
        Some(section.sh_size.get(LE) / size_of::<elf::Sym64<LE>>() as u64)
    }

    /// The number of dynamic symbols, where anything says it.
    pub(super) fn symbols(&self) -> Option<u64> {
        let by_hash = || {
            let table = self.linking()?.value(elf::DT_HASH)?;
            let (at, _) = self.bytes_at(table)?;
            self.data.u32(at + 4).map(u64::from)
        };
        let by_gnu_hash = || GnuTable::read(self)?.symbols(self);
        self.section_symbols().or_else(by_hash).or_else(by_gnu_hash)
    }

    /// The symbols that a hash table offers to others.
    fn offered(&self) -> impl Iterator<Item = (u64, u64, elf::Sym64<LE>)> {
        let count = if self.has_linker() { self.symbols().unwrap_or_default() } else { 0 };
        let symbols = (1..count).map_while(|index| {
            let (at, symbol) = self.symbol(index)?;
            Some((index, at, symbol))
        });
        symbols.filter(|(_, _, symbol)| symbol.st_shndx.get(LE) != elf::SHN_UNDEF)
    }
}

fn place(at: u64) -> Place {
    Place::new(at, size_of::<elf::Sym64<LE>>() as u64, "dynamic symbol")
}

fn references(elf: &Elf<'_>, report: &mut Report<'_>) {
    // Tables outside are rules of their own.
    let (Some(dynamic), Some(strings)) = (elf.linking(), elf.strings) else { return };
    if !elf.has_linker()
        || dynamic.value(elf::DT_SYMTAB).is_none_or(|at| elf.bytes_at(at).is_none())
    {
        return;
    }
    // The hash table of a program need not have what it asks for.
    let count = elf.section_symbols();
    for (at, relocation) in relocations(elf) {
        let index = u64::from(relocation.r_sym(LE, false));
        let kind = kind(&relocation);
        if index == 0 && slots(elf.architecture).contains(&kind) {
            let place = Place::new(at, size_of::<elf::Rela64<LE>>() as u64, "relocation");
            report.add(place, "it looks for symbol 0, which has no name");
        }
        // Nobody looks at the symbol of a RELATIVE one.
        if index == 0 || relative(elf.architecture).contains(&kind) {
            continue;
        }
        let symbol = elf.symbol(index).filter(|_| count.is_none_or(|count| index < count));
        let Some((symbol_at, symbol)) = symbol else {
            let place = Place::new(at, size_of::<elf::Rela64<LE>>() as u64, "relocation");
            report.add(place, format!("it names symbol {index}, which is not in the table"));
            continue;
        };
        let name = u64::from(symbol.st_name.get(LE));
        let is_looked_for = symbol.st_shndx.get(LE) == elf::SHN_UNDEF;
        if !strings.holds(name) {
            let message = format!(
                "symbol {index} has its name at {name:#x} of a string table of {:#x} bytes",
                strings.bytes.len()
            );
            report.add(place(symbol_at), message);
        } else if is_looked_for && strings.bytes.slice(name, 1) == Some(&[0]) {
            report.add(place(symbol_at), format!("symbol {index} is looked for and has no name"));
        }
    }
}

fn not_looked_up(elf: &Elf<'_>, report: &mut Report<'_>) {
    let count = elf.section_symbols();
    let mut told = Vec::new();
    for (_, relocation) in relocations(elf).filter(|_| elf.has_linker()) {
        let index = u64::from(relocation.r_sym(LE, false));
        // An index outside of the table is a rule of its own.
        let is_inside = index != 0 && count.is_none_or(|count| index < count);
        let Some((at, symbol)) = elf.symbol(index).filter(|_| is_inside) else { continue };
        let what = if symbol.st_bind() == elf::STB_LOCAL {
            "local"
        } else if symbol.st_visibility() != elf::STV_DEFAULT {
            "not of default visibility"
        } else {
            continue;
        };
        let is_known = told.len() >= 100 || told.contains(&index);
        if symbol.st_shndx.get(LE) == elf::SHN_UNDEF && !is_known {
            told.push(index);
            let name = elf.dynamic_string(symbol.st_name.get(LE).into()).unwrap_or_default();
            let message =
                format!("symbol {index} (`{}`) is not defined, and is {what}", text(name));
            report.add(place(at), message);
        }
    }
}

fn not_offered(elf: &Elf<'_>, report: &mut Report<'_>) {
    let first = GnuTable::read(elf).map_or(1, |table| table.first_symbol());
    for (index, at, symbol) in elf.offered().filter(|(index, ..)| *index >= first) {
        let (binding, kind) = (symbol.st_bind(), symbol.st_type());
        let is_bound = [elf::STB_GLOBAL, elf::STB_WEAK, elf::STB_GNU_UNIQUE].contains(&binding);
        // DT_HASH may have local symbols in front; they are found by nobody, and nobody looks for them.
        let is_meant = first > 1 || binding != elf::STB_LOCAL;
        let is_typed = [
            elf::STT_NOTYPE,
            elf::STT_OBJECT,
            elf::STT_FUNC,
            elf::STT_COMMON,
            elf::STT_TLS,
            elf::STT_GNU_IFUNC,
        ]
        .contains(&kind);
        if !is_meant {
            continue;
        }
        let name_at = u64::from(symbol.st_name.get(LE));
        let is_hidden = [elf::STV_HIDDEN, elf::STV_INTERNAL].contains(&symbol.st_visibility());
        // What has a value of 0 counts as undefined, but for thread-locals, which count from their template.
        let is_zero = symbol.st_value.get(LE) == 0
            && kind != elf::STT_TLS
            && symbol.st_shndx.get(LE) != elf::SHN_ABS;
        let what = if elf.strings.is_some_and(|strings| !strings.holds(name_at)) {
            format!("has its name at {name_at:#x}, outside of the string table")
        } else if !(is_bound && is_typed) {
            format!("has binding {} and type {}", binding.0, kind.0)
        } else if is_hidden {
            "is hidden".to_owned()
        } else if is_zero {
            "has the value 0".to_owned()
        } else {
            continue;
        };
        let name = elf.dynamic_string(name_at).unwrap_or_default();
        report.add(place(at), format!("symbol {index} (`{}`) {what}", text(name)));
    }
}

fn values(elf: &Elf<'_>, report: &mut Report<'_>) {
    let locals = elf.first(elf::PT_TLS);
    for (index, at, symbol) in elf.offered() {
        let value = symbol.st_value.get(LE);
        let is_thread_local = symbol.st_type() == elf::STT_TLS;
        let is_absolute = symbol.st_shndx.get(LE).0 >= elf::SHN_LORESERVE;
        let is_inside = if is_thread_local {
            locals.is_some_and(|locals| value <= locals.size)
        } else {
            // The end of a segment, and of its last page, are addresses too.
            elf.loads().any(|load| value >= load.address && value <= up(load.end(), super::PAGE))
        };
        // Of what lies nowhere that is said already.
        let is_code = || {
            let is_function = [elf::STT_FUNC, elf::STT_GNU_IFUNC].contains(&symbol.st_type());
            let mut code = elf.loads().filter(|load| load.has(elf::PF_X));
            !is_function
                || code.any(|load| {
                    value >= load.address & !(super::PAGE - 1)
                        && value <= up(load.end(), super::PAGE)
                })
        };
        // What has the value 0 is a rule of its own.
        let is_one = value != 0 || is_thread_local;
        if is_one && !is_absolute && !(is_inside && is_code()) {
            let name = elf.dynamic_string(symbol.st_name.get(LE).into()).unwrap_or_default();
            let of = match (is_thread_local, is_inside) {
                (true, _) => "PT_TLS",
                (false, false) => "every load segment",
                (false, true) => "all code, and a function",
            };
            let message =
                format!("symbol {index} (`{}`) is {value:#x}, outside of {of}", text(name));
            report.add(place(at), message);
        }
    }
}
