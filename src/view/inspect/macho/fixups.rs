//! What dyld writes, and what it binds that to: chained fixups and opcodes.

use object::macho::{BIND_SYMBOL_FLAGS_WEAK_IMPORT, MH_OBJECT};
use object::read::macho::{Fixup, FixupAuth};
use rustc_hash::FxHashSet;

use super::super::super::reader::macho::{BindTable, ChainedFixups, MachO};
use super::super::super::reader::{Name, counted};
use super::super::model::{Found, Import, Record, Relocation, Value};
use super::super::words::constant;
use super::library;

pub(super) fn read<'data>(image: &MachO<'data>, found: &mut Found<'data>) {
    let mut has_fixups = false;
    if let Some(fixups) = found.or_damage(ChainedFixups::of(image)).flatten() {
        has_fixups = true;
        chained(image, &fixups, found);
    }
    if let Some(info) = found.or_damage(image.dyld_info()).flatten() {
        has_fixups = true;
        rebases(image, info, found);
        let mut known = FxHashSet::default();
        for table in BindTable::ALL {
            binds(image, info, table, &mut known, found);
        }
    }
    // Static programs and old ones have only the symbol table.
    if !has_fixups && image.header.filetype.get(image.endian) != MH_OBJECT {
        undefined(image, found);
    }
}

type DyldInfo = object::macho::DyldInfoCommand<object::Endianness>;

fn chained<'data>(image: &MachO<'data>, fixups: &ChainedFixups<'data>, found: &mut Found<'data>) {
    let endian = image.endian;
    found.damage.extend(fixups.damage.clone());
    let header = fixups.tables.header();
    let mut record = Record::new("chained fixups", fixups.offset);
    record.count("fixups_version", header.fixups_version.get(endian));
    record.hex("starts_offset", header.starts_offset.get(endian));
    record.hex("imports_offset", header.imports_offset.get(endian));
    record.hex("symbols_offset", header.symbols_offset.get(endian));
    record.count("imports_count", header.imports_count.get(endian));
    let format = header.imports_format.get(endian);
    record.explained("imports_format", Value::Count(format.0.into()), constant(format));
    record.count("symbols_format", header.symbols_format.get(endian));
    for starts in fixups.segments(image) {
        let Some(starts) = found.or_damage(starts) else { break };
        let (header, index) = (starts.header(), starts.index());
        let segment = image.segments.get(index as usize);
        let name = segment.map_or_else(Name::default, |segment| Name::new(segment.name()));
        let format = header.pointer_format.get(endian);
        let meaning = format!(
            "{}, {} of {:#x} bytes from {:#x}",
            constant(format),
            counted(header.page_count.get(endian), "page", "pages"),
            header.page_size.get(endian),
            header.segment_offset.get(endian)
        );
        record.explained(format!("segment {index}"), Value::Text(name), meaning);
    }
    found.headers.push(record);

    for import in &fixups.imports {
        let import = Import {
            library: library(found, import.dylib.0.into()),
            name: Name::new(import.name),
            ordinal: None,
            version: None,
            weak: import.weak_import,
            slot: None,
        };
        found.imports.push(import);
    }
    let mut dangling = 0_usize;
    for fixup in fixups.fixups(image) {
        let Some(fixup) = found.or_damage(fixup) else { break };
        let mut relocation = Relocation {
            table: "chained fixups".into(),
            section: None,
            place: fixup.address,
            kind: "rebase".into(),
            symbol: None,
            library: None,
            addend: None,
        };
        match fixup.fixup {
            Fixup::Rebase(rebase) => {
                let target = image.base().wrapping_add(rebase.target_offset);
                relocation.addend = Some(target.cast_signed());
                relocation.kind = kind("rebase", rebase.auth).into();
            }
            Fixup::Bind(bind) => {
                relocation.kind = kind("bind", bind.auth).into();
                match fixups.imports.get(bind.ordinal as usize) {
                    Some(import) => {
                        relocation.symbol = Some(Name::new(import.name));
                        relocation.library = library(found, import.dylib.0.into());
                        let addend = import.addend.wrapping_add(bind.addend.into());
                        relocation.addend = Some(addend);
                    }
                    None => dangling += 1,
                }
            }
            Fixup::KernelCacheRebase(rebase) => {
                relocation.kind = kind("kernel cache rebase", rebase.auth).into();
                relocation.addend = Some(rebase.target_offset.cast_signed());
            }
            Fixup::SegmentedRebase(rebase) => {
                relocation.kind = kind("segmented rebase", rebase.auth).into();
                relocation.addend = Some(rebase.target_segment_offset.cast_signed());
            }
        }
        found.relocations.push(relocation);
    }
    if dangling > 0 {
        let message = format!("{dangling} binds name an import that there is not");
        found.damage.push(super::super::Damage::new("fixup chains", None, message));
    }
}

fn kind(what: &str, auth: Option<FixupAuth>) -> String {
    match auth {
        None => what.to_owned(),
        Some(auth) => {
            let address = if auth.addr_div { ", by address" } else { "" };
            format!("authenticated {what} ({:?} {:#x}{address})", auth.key, auth.diversity)
        }
    }
}

fn rebases<'data>(image: &MachO<'data>, info: &DyldInfo, found: &mut Found<'data>) {
    let mut outside = 0_usize;
    for rebase in image.rebases(info) {
        let Some(rebase) = found.or_damage(rebase) else { break };
        let Some(address) = rebase.address else {
            outside += 1;
            continue;
        };
        let bytes = image.bytes_from(address).and_then(|bytes| bytes.first_chunk::<8>());
        found.relocations.push(Relocation {
            table: "rebase".into(),
            section: None,
            place: address,
            kind: constant(rebase.fixup.kind).into(),
            symbol: None,
            library: None,
            addend: bytes.map(|bytes| i64::from_le_bytes(*bytes)),
        });
    }
    tell_outside("rebase opcodes", outside, found);
}

fn binds<'data>(
    image: &MachO<'data>,
    info: &DyldInfo,
    table: BindTable,
    known: &mut FxHashSet<(i32, &'data [u8])>,
    found: &mut Found<'data>,
) {
    let mut outside = 0_usize;
    for bind in image.binds(info, table) {
        let Some(bind) = found.or_damage(bind) else { break };
        let (address, bind) = (bind.address, bind.fixup);
        let library = library(found, bind.dylib.0.into());
        if table != BindTable::Weak && known.insert((bind.dylib.0, bind.symbol)) {
            found.imports.push(Import {
                library: library.clone(),
                name: Name::new(bind.symbol),
                ordinal: None,
                version: None,
                weak: bind.flags.contains(BIND_SYMBOL_FLAGS_WEAK_IMPORT),
                slot: None,
            });
        }
        let Some(address) = address else {
            outside += 1;
            continue;
        };
        found.relocations.push(Relocation {
            table: table.name().into(),
            section: None,
            place: address,
            kind: constant(bind.kind).into(),
            symbol: Some(Name::new(bind.symbol)),
            library,
            addend: Some(bind.addend),
        });
    }
    tell_outside(table.name(), outside, found);
}

fn tell_outside(structure: &'static str, count: usize, found: &mut Found<'_>) {
    if count > 0 {
        let message = format!("{count} places lie in no segment");
        found.damage.push(super::super::Damage::new(structure, None, message));
    }
}

/// Imports by the symbol table.
fn undefined<'data>(image: &MachO<'data>, found: &mut Found<'data>) {
    let Ok(table) = super::symbols::table(image) else { return };
    let mut imports = Vec::new();
    for (symbol, nlist) in found.symbols.iter().zip(table.iter()) {
        if symbol.place != "undefined" || symbol.binding == "local" {
            continue;
        }
        let ordinal = object::read::macho::Nlist::library_ordinal(nlist, image.endian);
        let ordinal = match ordinal.0 {
            0xfe => -2,
            0xff => -1,
            other => i64::from(other),
        };
        imports.push(Import {
            library: library(found, ordinal),
            name: symbol.name.clone(),
            ordinal: None,
            version: None,
            weak: symbol.binding == "weak",
            slot: None,
        });
    }
    found.imports = imports;
}
