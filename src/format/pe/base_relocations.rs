//! Base relocations: where addresses lie that change when the image is not loaded at its base.
//!
//! Blocks, one for each page of 4 KiB that has any, each a header and 16-bit entries (PE format, "The
//! .reloc Section"; wine `process_relocation_block`, edk2 `PeCoffLoaderRelocateImage`). How many blocks
//! there are depends on where the addresses lie, so the table comes last.

use object::pe;
use object::{LittleEndian as LE, U16, U32, pod};

use super::tables::Tables;
use crate::format::Shape;
use crate::format::layout::{Body, Gathered};
use crate::units::{Align, Size};

/// Bytes of the image that one block covers.
const PAGE: u64 = 0x1000;

/// The table of base relocations, finished: it depends on nothing behind it.
pub struct BaseRelocations {
    bytes: Option<Vec<u8>>,
}

impl BaseRelocations {
    pub(super) fn new(gathered: &Gathered<'_>, tables: &Tables, body: &Body) -> Self {
        if !tables.has_base_relocations {
            return Self { bytes: None };
        }
        let layout = &body.layout;
        let places: Vec<u64> = gathered
            .load_relocations
            .iter()
            .filter(|relocation| relocation.import.is_none())
            .map(|relocation| {
                let section = layout.section_address(relocation.section).0;
                section + relocation.offset - layout.image_base.0
            })
            .collect();
        let mut bytes = Vec::new();
        for of_page in places.chunk_by(|first, second| first / PAGE == second / PAGE) {
            push_block(&mut bytes, of_page[0] / PAGE * PAGE, of_page);
        }
        if bytes.is_empty() {
            push_block(&mut bytes, 0, &[]);
        }
        Self { bytes: Some(bytes) }
    }

    pub(super) fn shape(&self) -> Option<Shape> {
        let bytes = self.bytes.as_ref()?;
        Some(Shape { size: Size::of(bytes), align: Align::of(4) })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.as_deref().unwrap_or_default()
    }
}

/// Appends the block of one page, filled up to a multiple of 4 bytes; an empty one gets two entries that
/// mean nothing, since edk2 refuses a block without any.
fn push_block(bytes: &mut Vec<u8>, page: u64, places: &[u64]) {
    let mut entries: Vec<u16> = places
        .iter()
        .map(|place| pe::IMAGE_REL_BASED_DIR64.0 << 12 | super::write::half(place - page))
        .collect();
    let filled = entries.len().next_multiple_of(2).max(2);
    entries.resize(filled, pe::IMAGE_REL_BASED_ABSOLUTE.0 << 12);
    let size = size_of::<pe::ImageBaseRelocation>() + entries.len() * size_of::<u16>();
    let header = pe::ImageBaseRelocation {
        virtual_address: U32::new(LE, super::write::number(page)),
        size_of_block: U32::new(LE, super::write::number(size as u64)),
    };
    bytes.extend_from_slice(pod::bytes_of(&header));
    for entry in entries {
        bytes.extend_from_slice(pod::bytes_of(&U16::<LE>::new(LE, entry)));
    }
}
