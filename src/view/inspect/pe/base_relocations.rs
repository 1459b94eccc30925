//! Base relocations: what is changed where the image is not loaded at its base.

use object::LittleEndian as LE;
use object::pe::{
    BaseRelocationType, IMAGE_DIRECTORY_ENTRY_BASERELOC, IMAGE_REL_BASED_ABSOLUTE,
    IMAGE_REL_BASED_DIR64,
};

use super::super::super::reader::pe::Pe;
use super::super::super::reader::{Budget, Damage};
use super::super::model::{Found, Relocation};
use super::super::words::constant;

pub(super) fn read<'data>(pe: &Pe<'data>, found: &mut Found<'data>) {
    let result = blocks(pe, found);
    found.or_damage(result);
}

fn blocks<'data>(pe: &Pe<'data>, found: &mut Found<'data>) -> Result<(), Damage> {
    let index = IMAGE_DIRECTORY_ENTRY_BASERELOC;
    let structure = "base relocations";
    let Some(table) = pe.directory_bytes(index, structure)? else { return Ok(()) };
    let rva = pe.directory(index).map_or(0, |directory| directory.virtual_address.get(LE));
    let start = pe.offset_of(rva).map_or(0, |(offset, _)| offset);
    // Each takes two bytes, and stands for a field of at least as many.
    let mut budget = Budget::new(structure, pe.data.len(), 4);
    let mut at = 0_usize;
    while let Some(header) = table.get(at..at + 8) {
        let word = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let (page, size) = (word(0), word(4) as usize);
        let offset = start + at as u64;
        if size == 0 && page == 0 {
            // Linkers fill the section with zeros.
            return Ok(());
        }
        let entries = size.checked_sub(8).and_then(|_| table.get(at + 8..at.checked_add(size)?));
        let entries = entries.ok_or_else(|| {
            let message =
                format!("a block of {size:#x} bytes where {:#x} are left", table.len() - at);
            Damage::new(structure, offset, message)
        })?;
        for entry in entries.chunks_exact(2) {
            let entry = u16::from_le_bytes([entry[0], entry[1]]);
            let kind = BaseRelocationType(entry >> 12);
            // Fills the block.
            if kind == IMAGE_REL_BASED_ABSOLUTE {
                continue;
            }
            budget.take(1)?;
            let rva = page.wrapping_add(u32::from(entry & 0xfff));
            let target = (kind == IMAGE_REL_BASED_DIR64).then(|| pe.bytes(rva, 8)).flatten();
            let target = target.and_then(|bytes| bytes.try_into().ok()).map(i64::from_le_bytes);
            found.relocations.push(Relocation {
                table: "base relocations".into(),
                section: None,
                place: pe.base().wrapping_add(rva.into()),
                kind: match kind {
                    IMAGE_REL_BASED_DIR64 => "IMAGE_REL_BASED_DIR64".into(),
                    other => constant(other).into(),
                },
                symbol: None,
                library: None,
                addend: target,
            });
        }
        at += size;
    }
    if at < table.len() {
        return Err(Damage::new(structure, start + at as u64, "the last block is cut off"));
    }
    Ok(())
}
