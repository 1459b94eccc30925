//! The exports trie.

use object::macho::{
    EXPORT_SYMBOL_FLAGS_KIND_ABSOLUTE, EXPORT_SYMBOL_FLAGS_KIND_THREAD_LOCAL,
    EXPORT_SYMBOL_FLAGS_WEAK_DEFINITION, ExportSymbolFlags, LC_DYLD_EXPORTS_TRIE,
};

use super::super::super::reader::macho::{ExportsTrie, MachO, TrieTarget};
use super::super::super::reader::{Damage, Name, bytes_at};
use super::super::model::{Export, Found};
use super::library;

pub(super) fn read<'data>(image: &MachO<'data>, found: &mut Found<'data>) {
    let Some(trie) = found.or_damage(trie(image)).flatten() else { return };
    for export in trie {
        let Some(export) = found.or_damage(export) else { return };
        let mut flags = words(export.flags);
        let is_absolute = kind(export.flags) == u64::from(EXPORT_SYMBOL_FLAGS_KIND_ABSOLUTE.0);
        let base = if is_absolute { 0 } else { image.base() };
        let (address, forward) = match export.target {
            TrieTarget::Address(offset) => (Some(base.wrapping_add(offset)), None),
            TrieTarget::Resolver { stub, resolver } => {
                flags.push(format!("resolver {:#x}", base.wrapping_add(resolver)));
                (Some(base.wrapping_add(stub)), None)
            }
            TrieTarget::Reexport { library: ordinal, name } => {
                let of = library(found, i64::try_from(ordinal).unwrap_or(i64::MAX));
                let name = if name.is_empty() { &export.name } else { &name };
                let of = of.unwrap_or_default();
                (None, Some(Name::from(format!("{of}:{name}"))))
            }
        };
        found.exports.push(Export {
            name: export.name,
            ordinal: None,
            address,
            forward,
            version: None,
            flags: flags.join(", ").into(),
        });
    }
}

/// The trie, wherever a command has it.
fn trie<'data>(image: &MachO<'data>) -> Result<Option<ExportsTrie<'data>>, Damage> {
    if let Some((command, bytes)) = image.linkedit(LC_DYLD_EXPORTS_TRIE, "exports trie")? {
        return Ok(Some(ExportsTrie::new(bytes, command.dataoff.get(image.endian).into())));
    }
    let Some(info) = image.dyld_info()? else { return Ok(None) };
    let (offset, size) = (info.export_off.get(image.endian), info.export_size.get(image.endian));
    let bytes = bytes_at(image.data, offset.into(), size.into()).ok_or_else(|| {
        let message = format!("{size:#x} bytes, of which not all are in the file");
        Damage::new("exports trie", u64::from(offset), message)
    })?;
    Ok(Some(ExportsTrie::new(bytes, offset.into())))
}

const fn kind(flags: ExportSymbolFlags) -> u64 {
    flags.0 & 3
}

fn words(flags: ExportSymbolFlags) -> Vec<String> {
    let mut words = Vec::new();
    if kind(flags) == u64::from(EXPORT_SYMBOL_FLAGS_KIND_THREAD_LOCAL.0) {
        words.push("thread-local".to_owned());
    }
    if kind(flags) == u64::from(EXPORT_SYMBOL_FLAGS_KIND_ABSOLUTE.0) {
        words.push("absolute".to_owned());
    }
    if flags.contains(EXPORT_SYMBOL_FLAGS_WEAK_DEFINITION) {
        words.push("weak".to_owned());
    }
    words
}
