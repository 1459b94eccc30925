//! PE32+ files, opened as far as they are whole.

mod certificates;
mod checksum;
mod debug_directory;
mod exception_table;
mod load_config;
mod tls_directory;

use object::LittleEndian as LE;
use object::pe::{ImageDataDirectory, ImageDosHeader, ImageNtHeaders64, ImageSectionHeader};
use object::read::coff::SectionTable;
use object::read::pe::{DataDirectories, ImageNtHeaders};

pub use certificates::{Certificate, certificates};
pub use checksum::checksum;
pub use debug_directory::{CodeView, DebugData, DebugEntry, debug_entries};
pub use exception_table::{Arm64Unwind, RuntimeFunction, Unwind, UnwindInfo, runtime_functions};
pub use load_config::{LoadConfig, LoadConfigField};
pub use tls_directory::TlsDirectory;

use super::{Damage, bytes_at, bytes_until};

/// A PE32+ file whose headers could be read.
#[derive(Clone, Debug)]
pub struct Pe<'data> {
    /// The whole file.
    pub data: &'data [u8],
    /// The header at offset 0.
    pub dos_header: &'data ImageDosHeader,
    /// The headers that it points at.
    pub headers: &'data ImageNtHeaders64,
    /// Where these lie.
    pub headers_offset: u64,
    /// The data directories, as many as there are.
    pub directories: DataDirectories<'data>,
    /// The section headers; none where they are damaged.
    pub sections: SectionTable<'data>,
    /// Where these lie.
    pub sections_offset: u64,
    /// What could not be read.
    pub damage: Vec<Damage>,
}

impl<'data> Pe<'data> {
    /// Opens a file.
    ///
    /// # Errors
    /// When it has no PE32+ headers.
    pub fn open(data: &'data [u8]) -> Result<Self, Damage> {
        let dos = ImageDosHeader::parse(data);
        let dos_header = dos.map_err(|error| Damage::new("DOS header", 0, error))?;
        let headers_offset = u64::from(dos_header.nt_headers_offset());
        let mut offset = headers_offset;
        let wrong = |error| Damage::new("PE headers", headers_offset, error);
        let (headers, directories) = ImageNtHeaders64::parse(data, &mut offset).map_err(wrong)?;
        let mut damage = Vec::new();
        let sections = headers.sections(data, offset).unwrap_or_else(|error| {
            let count = headers.file_header.number_of_sections.get(LE);
            let message = format!("{error}: NumberOfSections is {count}");
            damage.push(Damage::new("section headers", offset, message));
            SectionTable::default()
        });
        let sections_offset = offset;
        Ok(Self {
            data,
            dos_header,
            headers,
            headers_offset,
            directories,
            sections,
            sections_offset,
            damage,
        })
    }

    /// The address that the image wants to be loaded at.
    #[must_use]
    pub fn base(&self) -> u64 {
        self.headers.optional_header.image_base.get(LE)
    }

    /// The directory with this index (`IMAGE_DIRECTORY_ENTRY_…`), unless it is empty.
    #[must_use]
    pub fn directory(&self, index: usize) -> Option<&'data ImageDataDirectory> {
        self.directories.get(index)
    }

    /// The RVA of an address; `None` where it lies outside of what an image can be.
    #[must_use]
    pub fn rva_of(&self, address: u64) -> Option<u32> {
        u32::try_from(address.checked_sub(self.base())?).ok()
    }

    /// Where the file has the byte of an RVA, and how many bytes of its section (or of the headers) follow there,
    /// itself included; `None` where no byte of the file is loaded there.
    #[must_use]
    pub fn offset_of(&self, rva: u32) -> Option<(u64, u64)> {
        let found = self.sections.iter().find_map(|section| range_at(section, rva));
        found.or_else(|| {
            let headers = self.headers.optional_header.size_of_headers.get(LE);
            let left = headers.checked_sub(rva).filter(|left| *left > 0)?;
            Some((rva.into(), left.into()))
        })
    }

    /// The bytes of the file that are loaded at an RVA, to the end of their section.
    #[must_use]
    pub fn bytes_from(&self, rva: u32) -> Option<&'data [u8]> {
        let (offset, left) = self.offset_of(rva)?;
        let bytes = bytes_until(self.data, offset, left);
        (!bytes.is_empty()).then_some(bytes)
    }

    /// `length` bytes at an RVA; `None` where not all of them are loaded from the file.
    #[must_use]
    pub fn bytes(&self, rva: u32, length: u64) -> Option<&'data [u8]> {
        bytes_at(self.bytes_from(rva)?, 0, length)
    }

    /// The bytes of a directory; `None` where it is empty.
    ///
    /// # Errors
    /// When the file does not have them.
    pub fn directory_bytes(
        &self,
        index: usize,
        structure: &'static str,
    ) -> Result<Option<&'data [u8]>, Damage> {
        let Some(directory) = self.directory(index) else { return Ok(None) };
        let (rva, size) = directory.address_range();
        let bytes = self.bytes(rva, size.into()).ok_or_else(|| {
            let message = format!("{size:#x} bytes at RVA {rva:#x}, which no section has");
            Damage::new(structure, self.directory_offset(index), message)
        })?;
        Ok(Some(bytes))
    }

    /// Where the entry of a directory lies in the file.
    #[must_use]
    pub fn directory_offset(&self, index: usize) -> u64 {
        self.headers_offset + (size_of::<ImageNtHeaders64>() + index * 8) as u64
    }
}

/// Where a section has the byte of an RVA in the file.
fn range_at(section: &ImageSectionHeader, rva: u32) -> Option<(u64, u64)> {
    let inside = rva.checked_sub(section.virtual_address.get(LE))?;
    let (raw, memory) = (section.size_of_raw_data.get(LE), section.virtual_size.get(LE));
    // Old linkers leave VirtualSize 0: it is then as large as in the file.
    let size = if memory == 0 { raw } else { raw.min(memory) };
    let left = size.checked_sub(inside).filter(|left| *left > 0)?;
    let offset = u64::from(section.pointer_to_raw_data.get(LE)) + u64::from(inside);
    Some((offset, left.into()))
}
