//! The tables in `__LINKEDIT`: where they lie.

use object::LittleEndian as LE;
use object::macho;

use super::{Command, LinkeditData, MachO, Segment};
use crate::view::lint::report::Report;
use crate::view::lint::rule::Loader::{Dyld, DyldValidate, Tools};
use crate::view::lint::rule::{Check, Rule, error, warning};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "macho/linkedit-range",
        demand: "tables that dyld reads lie inside __LINKEDIT: fixups, exports, relocations",
        by: &[error(Dyld)],
        symptom: "dyld: `LINKEDIT content '…' extends beyond end of segment`, and abort (SIGABRT), or a crash in dyld",
        cure: "correct the command's offset and size, or the segment's filesize",
        source: "dyld mach_o/Image.cpp, validStructureLinkedit, validLinkedit",
        check: Check::MachO(range),
    },
    Rule {
        name: "macho/symbol-range",
        demand: "tables for tools lie inside __LINKEDIT: symbols, names, function starts, data in code, the signature",
        by: &[warning(DyldValidate), warning(Tools)],
        symptom: "it runs; `nm`, `lldb` and backtraces show no names, `strip` and `codesign` refuse the file",
        cure: "correct the command's offset and size, or the segment's filesize",
        source: "dyld mach_o/Image.cpp, validLinkedit; Apple mach-o/loader.h, struct symtab_command",
        check: Check::MachO(symbol_range),
    },
    Rule {
        name: "macho/linkedit-alignment",
        demand: "tables in __LINKEDIT are aligned: to 8 bytes, indirect symbols to 4, the signature to 16",
        by: &[warning(DyldValidate).since_sdk(10, 14)],
        symptom: "it runs; `dyld_info -validate` and `strip` refuse the file: `not pointer aligned`",
        cure: "pad each table",
        source: "dyld mach_o/Policy.cpp, enforceLinkeditContentAlignment, enforceCodeSignatureAligned",
        check: Check::MachO(alignment),
    },
    Rule {
        name: "macho/linkedit-overlap",
        demand: "no two tables in __LINKEDIT share bytes",
        by: &[warning(DyldValidate)],
        symptom: "it may run; `dyld_info -validate` and `strip` refuse the file: `LINKEDIT overlap`",
        cure: "give each table bytes of its own",
        source: "dyld mach_o/Image.cpp, validLinkedit",
        check: Check::MachO(overlap),
    },
];

/// A table that a load command names.
struct Table {
    command: Command,
    name: &'static str,
    offset: u64,
    size: u64,
    align: u64,
}

/// Commands that name one table.
const SINGLE: &[(macho::LoadCommandType, &str, u64)] = &[
    (macho::LC_DYLD_CHAINED_FIXUPS, "chained fixups", 8),
    (macho::LC_DYLD_EXPORTS_TRIE, "exports trie", 8),
    (macho::LC_FUNCTION_STARTS, "function starts", 8),
    (macho::LC_DATA_IN_CODE, "data in code", 8),
    (macho::LC_SEGMENT_SPLIT_INFO, "split info", 8),
    (macho::LC_CODE_SIGNATURE, "code signature", 16),
];

fn tables(macho: &MachO<'_>) -> Vec<Table> {
    let mut tables = Vec::new();
    for command in &macho.commands {
        let mut add = |name, offset: u32, size: u64, align| {
            if size > 0 {
                let offset = offset.into();
                tables.push(Table { command: *command, name, offset, size, align });
            }
        };
        if let Some((_, name, align)) = SINGLE.iter().find(|(kind, ..)| *kind == command.kind)
            && let Some(data) = macho.read::<LinkeditData>(command)
        {
            add(name, data.dataoff.get(LE), data.datasize.get(LE).into(), *align);
        }
        match command.kind {
            macho::LC_SYMTAB => {
                let Some(table) = macho.read::<macho::SymtabCommand<LE>>(command) else { continue };
                let symbols = u64::from(table.nsyms.get(LE)) * 16;
                add("symbols", table.symoff.get(LE), symbols, 8);
                add("strings", table.stroff.get(LE), table.strsize.get(LE).into(), 1);
            }
            macho::LC_DYSYMTAB => {
                let Some(table) = macho.read::<macho::DysymtabCommand<LE>>(command) else {
                    continue;
                };
                let indirect = u64::from(table.nindirectsyms.get(LE)) * 4;
                add("indirect symbols", table.indirectsymoff.get(LE), indirect, 4);
                let local = u64::from(table.nlocrel.get(LE)) * 8;
                add("local relocations", table.locreloff.get(LE), local, 8);
                let external = u64::from(table.nextrel.get(LE)) * 8;
                add("external relocations", table.extreloff.get(LE), external, 8);
            }
            macho::LC_DYLD_INFO | macho::LC_DYLD_INFO_ONLY => {
                let Some(info) = macho.read::<macho::DyldInfoCommand<LE>>(command) else {
                    continue;
                };
                for (name, offset, size) in [
                    ("rebase opcodes", info.rebase_off, info.rebase_size),
                    ("bind opcodes", info.bind_off, info.bind_size),
                    ("weak bind opcodes", info.weak_bind_off, info.weak_bind_size),
                    ("lazy bind opcodes", info.lazy_bind_off, info.lazy_bind_size),
                    ("exports trie", info.export_off, info.export_size),
                ] {
                    add(name, offset.get(LE), size.get(LE).into(), 8);
                }
            }
            _ => {}
        }
    }
    tables
}

/// Tables that nobody reads to start the file.
const OF_TOOLS: [&str; 7] = [
    "symbols",
    "strings",
    "indirect symbols",
    "function starts",
    "data in code",
    "split info",
    "code signature",
];

fn range(macho: &MachO<'_>, report: &mut Report<'_>) {
    if !macho.segments.iter().any(Segment::is_linkedit) {
        for table in tables(macho).iter().take(1) {
            let message = format!("there are {}, and no __LINKEDIT", table.name);
            report.add(table.command.whole(), message);
        }
        return;
    }
    outside(macho, report, |table| !OF_TOOLS.contains(&table.name));
}

fn symbol_range(macho: &MachO<'_>, report: &mut Report<'_>) {
    outside(macho, report, |table| OF_TOOLS.contains(&table.name));
}

/// Reports such tables that lie outside `__LINKEDIT`.
fn outside(macho: &MachO<'_>, report: &mut Report<'_>, is_wanted: fn(&Table) -> bool) {
    let Some(linkedit) = macho.segments.iter().find(|segment| segment.is_linkedit()) else {
        return;
    };
    for table in tables(macho).iter().filter(|table| is_wanted(table)) {
        if table.offset < linkedit.offset || table.offset + table.size > linkedit.file_end() {
            let message = format!(
                "the {} are {:#x}..{:#x}, __LINKEDIT {:#x}..{:#x}",
                table.name,
                table.offset,
                table.offset + table.size,
                linkedit.offset,
                linkedit.file_end()
            );
            report.add(table.command.whole(), message);
        }
    }
}

fn alignment(macho: &MachO<'_>, report: &mut Report<'_>) {
    for table in tables(macho).iter().filter(|one| !one.offset.is_multiple_of(one.align)) {
        let message = format!("the {} are at file offset {:#x}", table.name, table.offset);
        report.add(table.command.whole(), message);
    }
}

fn overlap(macho: &MachO<'_>, report: &mut Report<'_>) {
    let mut tables = tables(macho);
    tables.sort_by_key(|table| table.offset);
    for pair in tables.windows(2) {
        let end = pair[0].offset + pair[0].size;
        if end > pair[1].offset {
            let message = format!(
                "the {} end at {end:#x}, the {} begin at {:#x}",
                pair[0].name, pair[1].name, pair[1].offset
            );
            report.add(pair[1].command.whole(), message);
        }
    }
}
