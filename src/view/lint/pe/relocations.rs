//! Base relocations: what is written when the image is moved.

use object::LittleEndian as LE;
use object::pe;

use super::{PAGE, Pe};
use crate::view::lint::bytes::Bytes;
use crate::view::lint::report::{Place, Report};
use crate::view::lint::rule::Loader::{Uefi, Windows};
use crate::view::lint::rule::{Check, Rule, error, warning};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "pe/relocation-block",
        demand: "blocks of base relocations have 8 bytes or more, a multiple of 4, and end inside the table",
        by: &[error(Windows), error(Uefi)],
        symptom: "STATUS_INVALID_IMAGE_FORMAT or an access violation where the image was moved; `Load Error` in a UEFI shell",
        cure: "correct the block's size; pad blocks with a relocation of type 0",
        source: "PE specification, The .reloc Section; EDK II BasePeCoff.c, PeCoffLoaderRelocateImage",
        check: Check::Pe(blocks),
    },
    Rule {
        name: "pe/relocation-padding",
        demand: "the table of base relocations ends with its last block",
        by: &[error(Uefi), warning(Windows)],
        symptom: "`Load Error` in a UEFI shell where the image was moved: zeros are read as a block of no size; Windows and wine end there",
        cure: "let the directory's size be that of its blocks",
        source: "EDK II BasePeCoff.c, PeCoffLoaderRelocateImage; wine dlls/ntdll/loader.c, perform_relocations",
        check: Check::Pe(padding),
    },
    Rule {
        name: "pe/relocation-type",
        demand: "base relocations are of type 10 (64-bit addresses) or 0 (padding)",
        by: &[error(Windows), error(Uefi)],
        symptom: "STATUS_INVALID_IMAGE_FORMAT where the image was moved, or half an address is corrected",
        cure: "hold addresses in 64 bits; compute others relative to the code",
        source: "wine dlls/ntdll/loader.c, process_relocation_block; EDK II BasePeCoff.c, PeCoffLoaderRelocateImage",
        check: Check::Pe(types),
    },
    Rule {
        name: "pe/relocation-target",
        demand: "base relocations write inside sections",
        by: &[error(Windows), error(Uefi)],
        symptom: "access violation (0xC0000005) in the loader where the image was moved; `Load Error` in a UEFI shell",
        cure: "correct the block's page or the relocation's offset",
        source: "wine dlls/ntdll/loader.c, process_relocation_block; EDK II BasePeCoff.c, PeCoffLoaderImageAddress",
        check: Check::Pe(targets),
    },
    Rule {
        name: "pe/relocations-missing",
        demand: "an image that may be moved and holds addresses has base relocations",
        by: &[error(Windows), error(Uefi)],
        symptom: "access violation (0xC0000005) on most starts: addresses are those of another place",
        cure: "write a .reloc section, or set RELOCS_STRIPPED and clear DYNAMIC_BASE (not on arm64)",
        source: "wine dlls/ntdll/loader.c, perform_relocations; PE specification, The .reloc Section",
        check: Check::Pe(missing),
    },
];

/// A block of base relocations: where it lies in the file, its page, and how large it says it is.
struct Block {
    offset: u64,
    page: u64,
    size: u64,
    /// The bytes from it to the table's end.
    left: u64,
}

const BLOCK_HEADER: u64 = size_of::<pe::ImageBaseRelocation>() as u64;

impl Block {
    fn is_whole(&self) -> bool {
        // The last block may end early: nothing is read behind it.
        let is_aligned = self.size.is_multiple_of(if self.size == self.left { 2 } else { 4 });
        self.size >= BLOCK_HEADER && self.size <= self.left && is_aligned
    }
}

/// The blocks of the table, up to the first that is not whole.
fn read_blocks<'p>(pe: &'p Pe<'_>) -> impl Iterator<Item = Block> + 'p {
    let table = pe.directory(pe::IMAGE_DIRECTORY_ENTRY_BASERELOC);
    let range = table.and_then(|table| {
        let bytes = pe.bytes_at(table.address)?;
        Some((pe.file_offset(table.address, 1)?, bytes.len().min(table.size)))
    });
    let (mut offset, mut left) = range.unwrap_or_default();
    std::iter::from_fn(move || {
        let header = pe.data.read::<pe::ImageBaseRelocation>(offset);
        let header = header.filter(|_| left >= BLOCK_HEADER)?;
        let (page, size) = (header.virtual_address.get(LE), header.size_of_block.get(LE));
        let block = Block { offset, page: page.into(), size: size.into(), left };
        let step = if block.is_whole() { block.size } else { left };
        offset += step;
        left -= step;
        Some(block)
    })
}

/// A relocation: where it lies in the file, its type, and the address that it writes to.
fn entries<'p>(pe: &'p Pe<'_>) -> impl Iterator<Item = (u64, u16, u64)> + 'p {
    read_blocks(pe).filter(Block::is_whole).flat_map(|block| {
        let entries = pe.data.slice(block.offset, block.size).unwrap_or_default();
        (BLOCK_HEADER..block.size).step_by(2).filter_map(move |at| {
            let entry = Bytes(entries).u16(at)?;
            Some((block.offset + at, entry >> 12, block.page + u64::from(entry & 0xfff)))
        })
    })
}

/// Which of these addresses are corrected when the image is moved.
pub(super) fn are_relocated<const N: usize>(pe: &Pe<'_>, addresses: [u64; N]) -> [bool; N] {
    let mut found = [false; N];
    for (_, kind, address) in entries(pe) {
        for (found, wanted) in found.iter_mut().zip(addresses) {
            *found |= kind == pe::IMAGE_REL_BASED_DIR64.0 && address == wanted;
        }
    }
    found
}

/// Whether the loader may move the image.
pub(super) fn is_movable(pe: &Pe<'_>) -> bool {
    !pe.has(pe::IMAGE_FILE_RELOCS_STRIPPED)
        && (pe.is_uefi || pe.has_dll_flag(pe::IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE))
}

/// Whether it is only zeros behind the last block.
fn is_padding(pe: &Pe<'_>, block: &Block) -> bool {
    let rest = pe.data.slice(block.offset, block.left).unwrap_or_default();
    rest.iter().all(|byte| *byte == 0)
}

fn padding(pe: &Pe<'_>, report: &mut Report<'_>) {
    for block in read_blocks(pe).filter(|block| is_padding(pe, block)) {
        let message = format!("{} zeros follow the last block", block.left);
        report.add(Place::new(block.offset, block.left, "base relocation block"), message);
    }
}

fn blocks(pe: &Pe<'_>, report: &mut Report<'_>) {
    for block in read_blocks(pe).filter(|block| !block.is_whole() && !is_padding(pe, block)) {
        let message = format!(
            "the block for {:#x} has {:#x} bytes, {:#x} are left",
            block.page, block.size, block.left
        );
        report.add(Place::new(block.offset, BLOCK_HEADER, "base relocation block"), message);
    }
}

fn types(pe: &Pe<'_>, report: &mut Report<'_>) {
    let known = [pe::IMAGE_REL_BASED_ABSOLUTE.0, pe::IMAGE_REL_BASED_DIR64.0];
    for (at, kind, address) in entries(pe).filter(|(_, kind, _)| !known.contains(kind)) {
        let place = Place::new(at, 2, "base relocation");
        report.add(place, format!("the relocation of {address:#x} has type {kind}"));
    }
}

fn targets(pe: &Pe<'_>, report: &mut Report<'_>) {
    for (at, kind, address) in entries(pe) {
        if kind == pe::IMAGE_REL_BASED_DIR64.0 && !pe.is_mapped(address, 8) {
            let place = Place::new(at, 2, "base relocation");
            report.add(place, format!("it writes to {address:#x}, which no section holds"));
        }
    }
}

fn missing(pe: &Pe<'_>, report: &mut Report<'_>) {
    if !is_movable(pe) || pe.directory(pe::IMAGE_DIRECTORY_ENTRY_BASERELOC).is_some() {
        return;
    }
    // What surely holds addresses: these tables are made of them. Code may be without any.
    if let Some(table) = pe.directory(pe::IMAGE_DIRECTORY_ENTRY_TLS) {
        report.add(table.place(), "there are no base relocations, and a TLS directory");
        return;
    }
    // A pointer that lies at a multiple of 8 and points into the image's own pages is taken for one; half of
    // all such words would have to be something else for that to be wrong.
    let base = pe.optional.image_base.get(LE);
    if base < PAGE << 16 {
        return;
    }
    // What a debugger alone reads is no part of the running image.
    let is_data = |section: &&super::Section| {
        !section.has(pe::IMAGE_SCN_MEM_EXECUTE) && !section.has(pe::IMAGE_SCN_MEM_DISCARDABLE)
    };
    for section in pe.by_address().filter(is_data) {
        let size = section.size().min(section.file_size);
        let Some(bytes) = pe.data.slice(section.offset, size) else { continue };
        let bytes = Bytes(bytes);
        let pointer = (0..bytes.len() / 8).map(|index| index * 8).find_map(|at| {
            let word = bytes.u64(at)?;
            pe.relative(word).filter(|relative| pe.section_at(*relative).is_some())?;
            Some((at, word))
        });
        if let Some((at, word)) = pointer {
            let message = format!(
                "there are no base relocations, and `{}` holds the address {word:#x}",
                section.name
            );
            report.add(Place::new(section.offset + at, 8, "section contents"), message);
            return;
        }
    }
}
