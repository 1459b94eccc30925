//! ELF64 files, opened as far as they are whole.

mod dynamic;
mod eh_frame_hdr;

use object::elf::{FileHeader64, PT_LOAD, ProgramHeader64, SectionHeader64};
use object::read::elf::{FileHeader, ProgramHeader as _, SectionHeader as _, SectionTable};
use object::{Endianness, StringTable};

pub use dynamic::Dynamic;
pub use eh_frame_hdr::{EhFrameHdr, SearchTableEntry};

use super::{Damage, bytes_at};

/// A program header, of either byte order.
pub type ProgramHeader = ProgramHeader64<Endianness>;

/// A section header, of either byte order.
pub type SectionHeader = SectionHeader64<Endianness>;

/// An ELF64 file whose header could be read.
#[derive(Clone, Debug)]
pub struct Elf<'data> {
    /// The whole file.
    pub data: &'data [u8],
    /// Its byte order.
    pub endian: Endianness,
    /// Its header, at offset 0.
    pub header: &'data FileHeader64<Endianness>,
    /// The program headers; none where they are damaged.
    pub segments: &'data [ProgramHeader],
    /// The section headers with their names; none where they are damaged.
    pub sections: SectionTable<'data, FileHeader64<Endianness>>,
    /// What could not be read.
    pub damage: Vec<Damage>,
}

impl<'data> Elf<'data> {
    /// Opens a file.
    ///
    /// # Errors
    /// When it has no ELF64 header.
    pub fn open(data: &'data [u8]) -> Result<Self, Damage> {
        let parsed = FileHeader64::<Endianness>::parse(data);
        let header = parsed.map_err(|error| Damage::new("ELF header", 0, error))?;
        let endian = header.endian().map_err(|error| Damage::new("ELF header", 0, error))?;
        let mut damage = Vec::new();
        let segments = header.program_headers(endian, data).unwrap_or_else(|error| {
            let (offset, count) = (header.e_phoff(endian), header.e_phnum(endian));
            let message = format!("{error}: e_phnum is {count}");
            damage.push(Damage::new("program headers", offset, message));
            &[]
        });
        let headers = header.section_headers(endian, data).unwrap_or_else(|error| {
            let (offset, count) = (header.e_shoff(endian), header.e_shnum(endian));
            let message = format!("{error}: e_shnum is {count}");
            damage.push(Damage::new("section headers", offset, message));
            &[]
        });
        let strings = if headers.is_empty() {
            StringTable::default()
        } else {
            header.section_strings(endian, data, headers).unwrap_or_else(|error| {
                damage.push(Damage::new("section names", header.e_shoff(endian), error));
                StringTable::default()
            })
        };
        let sections = SectionTable::new(headers, strings);
        Ok(Self { data, endian, header, segments, sections, damage })
    }

    /// The program headers that are loaded.
    pub fn loads(&self) -> impl Iterator<Item = &'data ProgramHeader> + use<'data> {
        let endian = self.endian;
        self.segments.iter().filter(move |segment| segment.p_type(endian) == PT_LOAD)
    }

    /// Where the file has the byte of an address, and how many bytes of the segment follow there, itself
    /// included; `None` where no byte of the file is loaded there.
    #[must_use]
    pub fn offset_of(&self, address: u64) -> Option<(u64, u64)> {
        self.loads().find_map(|segment| {
            let inside = address.checked_sub(segment.p_vaddr(self.endian))?;
            let left =
                segment.p_filesz(self.endian).checked_sub(inside).filter(|left| *left > 0)?;
            Some((segment.p_offset(self.endian).checked_add(inside)?, left))
        })
    }

    /// The bytes of the file that are loaded at an address, to the end of their segment.
    #[must_use]
    pub fn bytes_from(&self, address: u64) -> Option<&'data [u8]> {
        let (offset, left) = self.offset_of(address)?;
        let there = (self.data.len() as u64).checked_sub(offset)?;
        bytes_at(self.data, offset, left.min(there))
    }

    /// The bytes of a section; damage where they are not all there.
    ///
    /// # Errors
    /// When the section says that it has bytes behind the end of the file.
    pub fn section_bytes(&self, section: &SectionHeader) -> Result<&'data [u8], Damage> {
        section.data(self.endian, self.data).map_err(|_| {
            let (offset, size) = (section.sh_offset(self.endian), section.sh_size(self.endian));
            let message = format!("{size:#x} bytes, of which not all are in the file");
            Damage::new("section", offset, message)
        })
    }
}
