//! Symbols, function starts and exports: what others find by name.

use object::LittleEndian as LE;
use object::macho;

use super::{Command, MachO};
use crate::view::lint::bytes::Bytes;
use crate::view::lint::report::{Place, Report};
use crate::view::lint::rule::Loader::{Dyld, DyldValidate, Tools};
use crate::view::lint::rule::{Check, Kind, Rule, error, warning};
use crate::view::reader::macho::{ExportsTrie, TrieTarget};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "macho/symbol-order",
        demand: "local, defined and undefined symbols stand in this order, and add up",
        by: &[warning(DyldValidate), warning(Tools)],
        symptom: "it runs; `dyld_info -validate`, `strip` and `nm` refuse or misread it",
        cure: "sort the symbols so, and correct the six fields of LC_DYSYMTAB",
        source: "dyld mach_o/Image.cpp, validStructureLinkedit",
        check: Check::MachO(order),
    },
    Rule {
        name: "macho/symbol-name",
        demand: "symbols have their names in the string table",
        by: &[warning(DyldValidate), warning(Tools)],
        symptom: "it runs; debuggers and `nm` show junk for names, `dyld_info -validate` refuses it",
        cure: "correct n_strx, or strsize",
        source: "dyld mach_o/Image.cpp, validStructureLinkedit",
        check: Check::MachO(names),
    },
    Rule {
        name: "macho/indirect-symbols",
        demand: "sections of stubs and pointers have their part of the indirect symbols",
        by: &[warning(DyldValidate), warning(Tools)],
        symptom: "it runs; disassemblers show no names for calls, `dyld_info -validate` refuses it",
        cure: "let reserved1 be the index of the section's first indirect symbol, reserved2 a stub's size",
        source: "dyld mach_o/Image.cpp, validStructureLinkedit; Apple mach-o/loader.h, LC_DYSYMTAB",
        check: Check::MachO(indirect),
    },
    Rule {
        name: "macho/function-starts",
        demand: "function starts are addresses in __TEXT, ended by 0",
        by: &[warning(DyldValidate), warning(Tools)],
        symptom: "it runs; debuggers and profilers take code for the wrong function",
        cure: "write the distances of functions, the first from __TEXT's begin, and a 0",
        source: "dyld mach_o/FunctionStarts.cpp, valid",
        check: Check::MachO(function_starts),
    },
    Rule {
        name: "macho/exports-trie",
        demand: "the exports trie is whole, and its addresses lie in the image",
        by: &[error(Dyld)],
        symptom: "dyld: `malformed trie`, or `symbol not found in …` for names that are there",
        cure: "write the trie anew: node sizes, flags, edges and child offsets have to agree",
        source: "dyld mach_o/ExportsTrie.cpp, valid",
        check: Check::MachO(trie),
    },
];

type Symbol = macho::Nlist64<LE>;

/// The symbol table: its command, where it lies, its bytes, and the strings.
fn symbols<'d>(macho: &MachO<'d>) -> Option<(Command, u64, Bytes<'d>, Bytes<'d>)> {
    let command = macho.first(macho::LC_SYMTAB)?;
    let table: macho::SymtabCommand<LE> = macho.read(command)?;
    let (offset, count) = (u64::from(table.symoff.get(LE)), u64::from(table.nsyms.get(LE)));
    let symbols = macho.data.slice(offset, count * size_of::<Symbol>() as u64)?;
    let strings = macho.data.slice(table.stroff.get(LE).into(), table.strsize.get(LE).into())?;
    Some((*command, offset, Bytes(symbols), Bytes(strings)))
}

fn dynamic_symbols(macho: &MachO<'_>) -> Option<(Command, macho::DysymtabCommand<LE>)> {
    let command = macho.first(macho::LC_DYSYMTAB)?;
    Some((*command, macho.read(command)?))
}

/// In which of the three parts of the table a symbol belongs.
fn part(symbol: &Symbol) -> u8 {
    let kind = symbol.n_type.0;
    if kind & macho::N_STAB != 0 || kind & macho::N_EXT.0 == 0 {
        0
    } else if kind & macho::N_TYPE == macho::N_UNDF.0 && symbol.n_value.get(LE) == 0 {
        2
    } else {
        1
    }
}

fn order(macho: &MachO<'_>, report: &mut Report<'_>) {
    let (Some((_, offset, bytes, _)), Some((command, table))) =
        (symbols(macho), dynamic_symbols(macho))
    else {
        return;
    };
    let count = bytes.len() / 16;
    let parts = [
        (table.ilocalsym.get(LE), table.nlocalsym.get(LE)),
        (table.iextdefsym.get(LE), table.nextdefsym.get(LE)),
        (table.iundefsym.get(LE), table.nundefsym.get(LE)),
    ];
    let mut next = 0;
    for (first, size) in parts {
        if size > 0 && u64::from(first) != next {
            let message = format!("a part of the symbols begins at {first}, not at {next}");
            report.add(command.whole(), message);
            return;
        }
        next += u64::from(size);
    }
    if next != count {
        report.add(command.whole(), format!("the parts have {next} symbols, the table {count}"));
        return;
    }
    let ends = [u64::from(parts[0].1), u64::from(parts[0].1) + u64::from(parts[1].1), count];
    for index in 0..count {
        let Some(symbol) = bytes.read::<Symbol>(index * 16) else { return };
        let is_in = ends.iter().position(|end| index < *end).unwrap_or_default();
        if is_in != usize::from(part(&symbol)) {
            let place = Place::new(offset + index * 16, 16, format!("symbol {index}"));
            let names = ["local", "defined", "undefined"];
            let is = names[usize::from(part(&symbol))];
            report.add(place, format!("symbol {index} is {is}, among {} ones", names[is_in]));
        }
    }
}

fn names(macho: &MachO<'_>, report: &mut Report<'_>) {
    let Some((_, offset, bytes, strings)) = symbols(macho) else { return };
    // A table that ends with a NUL ends every name in it.
    let is_terminated = strings.0.last() == Some(&0);
    for index in 0..bytes.len() / 16 {
        let Some(symbol) = bytes.read::<Symbol>(index * 16) else { return };
        let name = u64::from(symbol.n_strx.get(LE));
        let is_there = name < strings.len() && (is_terminated || strings.c_string(name).is_some());
        if !is_there && name != 0 {
            let place = Place::new(offset + index * 16, 4, format!("symbol {index}, n_strx"));
            let message =
                format!("n_strx is {name:#x}, the string table has {:#x} bytes", strings.len());
            report.add(place, message);
        }
    }
}

fn indirect(macho: &MachO<'_>, report: &mut Report<'_>) {
    let count = dynamic_symbols(macho).map_or(0, |(_, table)| table.nindirectsyms.get(LE));
    for (_, section) in macho.sections() {
        let each = match section.kind {
            macho::S_SYMBOL_STUBS => section.reserved2,
            macho::S_NON_LAZY_SYMBOL_POINTERS
            | macho::S_LAZY_SYMBOL_POINTERS
            | macho::S_THREAD_LOCAL_VARIABLE_POINTERS => 8,
            _ => continue,
        };
        let place = section.place(super::field!(macho::Section64<LE>, reserved1));
        if each == 0 {
            report.add(place, format!("{} does not say how large a stub is", section.name));
            continue;
        }
        let end = u64::from(section.reserved1) + section.size / u64::from(each);
        if end > u64::from(count) {
            let message =
                format!("{} ends at indirect symbol {end}, there are {count}", section.name);
            report.add(place, message);
        }
    }
}

/// A number of 7 bits a byte, and where it ends.
fn uleb128(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f).checked_shl(u32::try_from(index).ok()? * 7)?;
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}

fn function_starts(macho: &MachO<'_>, report: &mut Report<'_>) {
    let (Some((command, offset, bytes)), Some(text)) =
        (macho.linkedit(macho::LC_FUNCTION_STARTS), macho.header_segment())
    else {
        return;
    };
    let mut rest = bytes.0;
    let mut address = text.address;
    while !rest.is_empty() {
        let at = offset + (bytes.0.len() - rest.len()) as u64;
        let place = Place::new(at, 1, "function starts");
        let Some((distance, size)) = uleb128(rest) else {
            report.add(place, "a distance ends outside the table");
            return;
        };
        if distance == 0 {
            return;
        }
        address = address.saturating_add(distance);
        if !text.holds(address, 1) {
            report
                .add(place, format!("a function at {address:#x}, which is outside {}", text.name));
            return;
        }
        rest = &rest[size..];
    }
    if !bytes.0.is_empty() {
        report.add(command.whole(), "no 0 ends the function starts");
    }
}

fn trie(macho: &MachO<'_>, report: &mut Report<'_>) {
    let alone = macho.linkedit(macho::LC_DYLD_EXPORTS_TRIE);
    let trie = alone.map(|(_, offset, bytes)| (offset, bytes)).or_else(|| {
        let command = macho.first(macho::LC_DYLD_INFO_ONLY).or(macho.first(macho::LC_DYLD_INFO))?;
        let info: macho::DyldInfoCommand<LE> = macho.read(command)?;
        let offset = u64::from(info.export_off.get(LE));
        let bytes = macho.data.slice(offset, info.export_size.get(LE).into())?;
        Some((offset, Bytes(bytes)))
    });
    let Some((offset, bytes)) = trie else { return };
    // The highest address of what is not a table.
    let mapped = macho.segments.iter().filter(|segment| !segment.is_linkedit());
    let base = macho.header_segment().map_or(0, |segment| segment.address);
    let end = mapped.map(super::Segment::end).max().unwrap_or_default().saturating_sub(base);
    for export in ExportsTrie::new(bytes.0, offset) {
        match export {
            Err(damage) => {
                let place = Place::new(damage.offset.unwrap_or(offset), 1, "exports trie");
                report.add(place, damage.message);
            }
            Ok(export) => {
                let is_absolute = export.flags.kind() == macho::EXPORT_SYMBOL_FLAGS_KIND_ABSOLUTE;
                let is_program = macho.kind == Kind::Program;
                let outside = match export.target {
                    TrieTarget::Address(address) if !is_absolute && address > end => address,
                    TrieTarget::Resolver { stub, .. } if stub > end => stub,
                    TrieTarget::Reexport { library, .. }
                        if library > macho.libraries().count() as u64 && !is_program =>
                    {
                        library
                    }
                    _ => continue,
                };
                let place = Place::new(offset + export.node, 1, "exports trie");
                let message =
                    format!("`{}` stands for {outside:#x}, which is not there", export.name);
                report.add(place, message);
            }
        }
    }
}
