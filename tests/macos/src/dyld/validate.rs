//! The rules that `dyld_info -validate` has beyond those of a launch: `Image::validate` of dyld's `mach_o/Image.cpp`.

use super::image::Image;
use super::policy::Version;
use super::{Fixup, FixupKind};
use crate::bytes::{Cursor, string_at, u32_at};
use crate::engine::Protection;
use crate::macho::{LoadCommand, command, section_type};
use crate::rule::{Refusal, Rule};

const V10_14: Version = Version::new(10, 14);
const V10_15: Version = Version::new(10, 15);
/// Size of `nlist_64`, in bytes.
const NLIST_SIZE: u64 = 16;
/// `N_STAB`, `N_EXT`, `N_TYPE`
const STAB: u8 = 0xe0;
const EXTERNAL: u8 = 1;
const TYPE: u8 = 0xe;

/// A table in `__LINKEDIT`.
struct Blob {
    name: &'static str,
    offset: u64,
    size: u64,
    alignment: u64,
}

/// Checks an image's tables.
///
/// # Errors
/// The first rule broken.
pub(super) fn check(image: &Image, sdk: Version) -> Result<(), Refusal> {
    let blobs = blobs(image);
    check_layout(image, &blobs, sdk)?;
    check_symbols(image)?;
    check_function_starts(image)
}

fn blobs(image: &Image) -> Vec<Blob> {
    let mut blobs = Vec::new();
    let mut add = |name, load: &LoadCommand<'_>, field, scale, alignment| {
        let (offset, size) = load.file_range(field);
        if size > 0 {
            blobs.push(Blob { name, offset, size: size * scale, alignment });
        }
    };
    for load in &image.commands() {
        match load.command {
            command::SYMTAB => {
                add("symbols", load, 8, NLIST_SIZE, 8);
                add("strings", load, 16, 1, 1);
            }
            command::DYSYMTAB => add("indirect symbols", load, 56, 4, 4),
            command::DYLD_INFO | command::DYLD_INFO_ONLY => {
                for (name, field) in [
                    ("rebases", 8),
                    ("binds", 16),
                    ("weak binds", 24),
                    ("lazy binds", 32),
                    ("exports", 40),
                ] {
                    add(name, load, field, 1, 8);
                }
            }
            command::DYLD_CHAINED_FIXUPS => add("chained fixups", load, 8, 1, 8),
            command::DYLD_EXPORTS_TRIE => add("exports trie", load, 8, 1, 8),
            command::FUNCTION_STARTS => add("function starts", load, 8, 1, 8),
            command::DATA_IN_CODE => add("data in code", load, 8, 1, 8),
            command::CODE_SIGNATURE => add("signature", load, 8, 1, 8),
            _ => {}
        }
    }
    blobs
}

fn check_layout(image: &Image, blobs: &[Blob], sdk: Version) -> Result<(), Refusal> {
    let segment = image.segment("__LINKEDIT");
    for (index, blob) in blobs.iter().enumerate() {
        let place = || format!("{} has {:#x} bytes at {:#x}", blob.name, blob.size, blob.offset);
        let (rule, from) = if blob.name == "signature" {
            (Rule::SignatureAlignment, V10_15)
        } else {
            (Rule::LinkeditAlignment, V10_14)
        };
        rule.require(sdk < from || blob.offset.is_multiple_of(blob.alignment), place)?;
        let inside = segment.is_some_and(|segment| {
            blob.offset >= segment.file_offset
                && blob.offset + blob.size <= segment.file_offset + segment.file_size
        });
        Rule::LinkeditLayout.require(inside, place)?;
        let alone = blobs[..index].iter().all(|other| {
            other.offset + other.size <= blob.offset || blob.offset + blob.size <= other.offset
        });
        Rule::LinkeditLayout.require(alone, place)?;
    }
    Ok(())
}

fn check_symbols(image: &Image) -> Result<(), Refusal> {
    let Some(table) = image.command(command::SYMTAB) else { return Ok(()) };
    let (offset, count) = table.file_range(8);
    let strings = image.linkedit(&table, 16)?;
    let symbols = crate::bytes::slice(&image.bytes, offset, count * NLIST_SIZE)
        .ok_or_else(|| Rule::LinkeditRange.refuse("the symbols"))?;
    let kind =
        |index: u64| symbols[usize::try_from(index * NLIST_SIZE + 4).expect("inside the slice")];
    for index in 0..count {
        let name = u64::from(u32_at(symbols, index * NLIST_SIZE).unwrap_or(0));
        Rule::SymbolStrings.require(string_at(strings, name).is_some(), || {
            format!("symbol {index} has its name at {name:#x} of {:#x}", strings.len())
        })?;
    }
    let Some(dysymtab) = image.command(command::DYSYMTAB) else { return Ok(()) };
    let (locals, local_count) = dysymtab.file_range(8);
    let (externals, external_count) = dysymtab.file_range(16);
    let (undefined, undefined_count) = dysymtab.file_range(24);
    let adds_up = locals == 0
        && externals == local_count
        && undefined == externals + external_count
        && undefined + undefined_count == count;
    Rule::SymbolTable.require(adds_up, || {
        format!("{local_count} at {locals}, {external_count} at {externals} and {undefined_count} at {undefined} of {count}")
    })?;
    for index in 0..count {
        let kind = kind(index);
        let (stab, external, defined) = (kind & STAB != 0, kind & EXTERNAL != 0, kind & TYPE != 0);
        let right = if index < externals {
            stab || !external
        } else {
            external && !stab && defined == (index < undefined)
        };
        Rule::SymbolTable.require(right, || format!("symbol {index} has n_type {kind:#x}"))?;
    }
    let (_, indirect_count) = dysymtab.file_range(56);
    check_indirect_symbols(image, indirect_count)
}

fn check_indirect_symbols(image: &Image, indirect_count: u64) -> Result<(), Refusal> {
    let mut needed = 0;
    for section in image.segments.iter().flat_map(|segment| &segment.sections) {
        let entry = match section.section_type() {
            section_type::NON_LAZY_SYMBOL_POINTERS | section_type::LAZY_SYMBOL_POINTERS => 8,
            // The size of a stub is in reserved2, which only matters where there are stubs: at least one entry.
            section_type::SYMBOL_STUBS => section.size.max(1),
            _ => continue,
        };
        needed = needed.max(u64::from(section.reserved1) + section.size / entry);
    }
    Rule::IndirectSymbols.require(needed <= indirect_count, || {
        format!("{needed} are needed, {indirect_count} are there")
    })?;
    Rule::IndirectSymbols.require(needed > 0 || indirect_count == 0, || {
        format!("{indirect_count} are there for no section")
    })
}

fn check_function_starts(image: &Image) -> Result<(), Refusal> {
    let Some(load) = image.command(command::FUNCTION_STARTS) else { return Ok(()) };
    let bytes = image.linkedit(&load, 8)?;
    let text =
        image.segment("__TEXT").ok_or_else(|| Rule::FunctionStarts.refuse("there is no __TEXT"))?;
    let mut cursor = Cursor::new(bytes, 0);
    let mut address = text.vm_address;
    while !cursor.is_at_end() {
        let delta = cursor
            .uleb128()
            .ok_or_else(|| Rule::FunctionStarts.refuse("the last delta is incomplete"))?;
        if delta == 0 {
            let zeros = bytes[cursor.offset..].iter().all(|byte| *byte == 0);
            return Rule::FunctionStarts.require(zeros, || "something follows the 0".into());
        }
        address = address.wrapping_add(delta);
        Rule::FunctionStarts
            .require((text.vm_address..text.vm_end()).contains(&address), || {
                format!("{address:#x} is outside __TEXT")
            })?;
    }
    Rule::FunctionStarts.require(bytes.is_empty(), || "there is no 0".into())
}

/// Checks where the fixups are.
///
/// # Errors
/// One in a segment that is not for data.
pub(super) fn check_fixups(image: &Image, fixups: &[Fixup], sdk: Version) -> Result<(), Refusal> {
    if sdk < V10_15 {
        return Ok(());
    }
    for fixup in fixups {
        let segment = image
            .segments
            .iter()
            .find(|segment| (segment.vm_address..segment.vm_end()).contains(&fixup.address));
        let protection =
            segment.map_or(Protection::NONE, |segment| Protection(segment.initial_protection));
        let for_data =
            protection.contains(Protection::WRITE) && !protection.contains(Protection::EXECUTE);
        let what =
            if matches!(fixup.kind, FixupKind::Rebase { .. }) { "a rebase" } else { "a bind" };
        Rule::FixupsInWritableSegments.require(for_data, || {
            format!("{what} at {:#x}, which is {protection}", fixup.address)
        })?;
    }
    Ok(())
}
