//! The sizes of an image's own tables, known before any address is.

use object::pe;

use super::exports::Exports;
use super::imports::Imports;
use super::plan::{
    DEBUG_DIRECTORY, EXPORTS, FILE_ALIGN, HEADERS, IMPORT_DIRECTORY, IMPORT_LOOKUP, IMPORT_NAMES,
    is_movable,
};
use crate::format::layout::{Gathered, GatheredSegment};
use crate::format::plan::{Role, TableId};
use crate::format::{Options, Shape};
use crate::target::OperatingSystem;
use crate::units::{Align, Size};

/// Bytes of stack or heap that are reserved where nobody asks for another number, as other linkers do.
pub(super) const DEFAULT_RESERVE: Size = Size(0x10_0000);
/// Bytes of them that are there from the start.
pub(super) const DEFAULT_COMMIT: Size = Size(0x1000);

/// Bytes of the identity that a reproducible build carries.
pub(super) const IDENTITY_SIZE: usize = 32;

/// The tables of an image, sized.
pub struct Tables {
    pub(super) imports: Imports,
    pub(super) exports: Option<Exports>,
    /// Whether there is a table of base relocations.
    pub(super) has_base_relocations: bool,
    /// Whether a symbol table is asked for.
    pub(super) has_symbols: bool,
    section_count: usize,
}

pub(super) fn size(gathered: &Gathered<'_>, options: &Options) -> Tables {
    let program = gathered.program;
    let is_firmware = program.target.operating_system == OperatingSystem::Uefi;
    let moves = gathered.load_relocations.iter().any(|relocation| relocation.import.is_none());
    // Firmware that finds no table may take an image for one that cannot be moved; an empty one says
    // that there is nothing to do.
    let has_base_relocations = is_movable(program) && (moves || is_firmware);
    let sections = gathered.segments.iter().filter(|segment| is_section(segment));
    Tables {
        imports: Imports::new(gathered),
        exports: Exports::new(gathered),
        has_base_relocations,
        has_symbols: options.symbols && !options.strip,
        section_count: sections.count() + usize::from(has_base_relocations),
    }
}

/// Whether a segment is a section of the image: not the headers, and something of the program's in it.
fn is_section(segment: &GatheredSegment) -> bool {
    segment.sections.iter().any(|section| match section.role {
        Role::Table(table) => table == DEBUG_DIRECTORY,
        _ => !section.is_empty(),
    })
}

impl Tables {
    pub(super) fn shape(&self, table: TableId) -> Option<Shape> {
        let (present, size, align) = match table {
            HEADERS => (true, self.headers_size(), FILE_ALIGN),
            IMPORT_DIRECTORY => {
                let descriptor = size_of::<pe::ImageImportDescriptor>();
                (
                    !self.imports.is_empty(),
                    descriptor * (self.imports.libraries() + 1),
                    Align::of(4),
                )
            }
            IMPORT_LOOKUP => (!self.imports.is_empty(), self.imports.lookup_size(), Align::of(8)),
            IMPORT_NAMES => (!self.imports.is_empty(), self.imports.names().len(), Align::of(2)),
            EXPORTS => {
                let size = self.exports.as_ref().map_or(0, Exports::size);
                (self.exports.is_some(), size, Align::of(4))
            }
            DEBUG_DIRECTORY => {
                let entry = size_of::<pe::ImageDebugDirectory>();
                (true, entry + size_of::<u32>() + IDENTITY_SIZE, Align::of(4))
            }
            _ => unreachable!("the plan names no other table of known size"),
        };
        present.then_some(Shape { size: Size(size as u64), align })
    }

    fn headers_size(&self) -> usize {
        size_of::<pe::ImageDosHeader>()
            + size_of::<pe::ImageNtHeaders64>()
            + pe::IMAGE_NUMBEROF_DIRECTORY_ENTRIES * size_of::<pe::ImageDataDirectory>()
            + self.section_count * size_of::<pe::ImageSectionHeader>()
    }

    pub(super) fn section_count(&self) -> usize {
        self.section_count
    }
}
