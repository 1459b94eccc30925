//! Mach-O files of 64 bits, opened as far as they are whole, and universal files of several.

mod chained_fixups;
mod code_signature;
mod dyld_info;
mod exports_trie;
mod function_starts;
mod slices;
mod unwind_info;

use object::Endianness;
use object::macho::{
    LinkeditDataCommand, LoadCommandType, MachHeader64, Section64, SegmentCommand64,
};
use object::read::macho::{LoadCommandData, MachHeader, Segment as _};

pub use chained_fixups::{ChainedFixup, ChainedFixups};
pub use code_signature::{CodeDirectoryView, PageHash, SignatureBlob, SignatureBlobs};
pub use dyld_info::{BindTable, Binds, DyldFixup, Rebases};
pub use exports_trie::{ExportsTrie, TrieExport, TrieTarget};
pub use function_starts::FunctionStarts;
pub use slices::{Slice, Slices};
pub use unwind_info::{CompactUnwind, unwind_info};

use super::{Damage, bytes_at, bytes_until};

/// A Mach-O file of 64 bits whose header could be read.
#[derive(Clone, Debug)]
pub struct MachO<'data> {
    /// The whole file, or the whole slice of a universal file: offsets count from its start.
    pub data: &'data [u8],
    /// Its byte order.
    pub endian: Endianness,
    /// Its header, at offset 0.
    pub header: &'data MachHeader64<Endianness>,
    /// The load commands, up to the first that is damaged.
    pub commands: Vec<LoadCommandData<'data, Endianness>>,
    /// The segments among them, in order: fixups name them by their place here.
    pub segments: Vec<Segment<'data>>,
    /// What could not be read.
    pub damage: Vec<Damage>,
}

/// An `LC_SEGMENT_64`, and its sections.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'data> {
    /// Where the command lies, in bytes from the header.
    pub offset: u64,
    /// The command.
    pub command: &'data SegmentCommand64<Endianness>,
    /// Its sections; none where they do not fit into the command.
    pub sections: &'data [Section64<Endianness>],
    /// Its bytes in the file, as far as they are there.
    pub bytes: &'data [u8],
}

impl<'data> Segment<'data> {
    /// Its name without the zeros behind it.
    #[must_use]
    pub fn name(&self) -> &'data [u8] {
        self.command.name()
    }
}

impl<'data> MachO<'data> {
    /// Opens a file, or a slice of a universal file.
    ///
    /// # Errors
    /// When it has no Mach-O header of 64 bits.
    pub fn open(data: &'data [u8]) -> Result<Self, Damage> {
        let parsed = MachHeader64::<Endianness>::parse(data, 0);
        let header = parsed.map_err(|error| Damage::new("Mach-O header", 0, error))?;
        let endian = header.endian().map_err(|error| Damage::new("Mach-O header", 0, error))?;
        let mut image = Self {
            data,
            endian,
            header,
            commands: Vec::new(),
            segments: Vec::new(),
            damage: Vec::new(),
        };
        image.read_commands();
        Ok(image)
    }

    fn read_commands(&mut self) {
        let (endian, data) = (self.endian, self.data);
        let mut commands = match self.header.load_commands(endian, data, 0) {
            Ok(commands) => commands,
            Err(error) => {
                let size = self.header.sizeofcmds(endian);
                let message = format!("{error}: sizeofcmds is {size:#x}");
                self.damage.push(Damage::new("load commands", 32, message));
                return;
            }
        };
        loop {
            match commands.next() {
                Ok(Some(command)) => self.read_command(command),
                Ok(None) => return,
                Err(error) => {
                    let last = self.commands.last();
                    let offset = last.map_or(32, |last| last.offset() + u64::from(last.cmdsize()));
                    let message = format!(
                        "{error}: command {} of {}",
                        self.commands.len() + 1,
                        self.header.ncmds(endian)
                    );
                    self.damage.push(Damage::new("load commands", offset, message));
                    return;
                }
            }
        }
    }

    fn read_command(&mut self, command: LoadCommandData<'data, Endianness>) {
        let endian = self.endian;
        self.commands.push(command);
        match command.segment_64() {
            Ok(None) => {}
            Ok(Some((segment, sections))) => {
                let sections = segment.sections(endian, sections).unwrap_or_else(|error| {
                    let count = segment.nsects(endian);
                    let message = format!("{error}: nsects is {count}");
                    self.damage.push(Damage::new("LC_SEGMENT_64", command.offset(), message));
                    &[]
                });
                let (start, size) = (segment.fileoff(endian), segment.filesize(endian));
                let bytes = bytes_until(self.data, start, size);
                if (bytes.len() as u64) < size {
                    let message = format!(
                        "{size:#x} bytes at {start:#x}, of which {:#x} are in the file",
                        bytes.len()
                    );
                    self.damage.push(Damage::new("LC_SEGMENT_64", command.offset(), message));
                }
                let offset = command.offset();
                self.segments.push(Segment { offset, command: segment, sections, bytes });
            }
            Err(error) => {
                self.damage.push(Damage::new("LC_SEGMENT_64", command.offset(), error));
            }
        }
    }

    /// The segment with this name.
    #[must_use]
    pub fn segment(&self, name: &[u8]) -> Option<&Segment<'data>> {
        self.segments.iter().find(|segment| segment.name() == name)
    }

    /// The address that offsets in tries, fixups and commands count from: that of the segment with the header
    /// (`__TEXT`); 0 where there is none, as in object files.
    #[must_use]
    pub fn base(&self) -> u64 {
        let endian = self.endian;
        let has_header = |segment: &&Segment<'_>| {
            segment.command.fileoff(endian) == 0 && segment.command.filesize(endian) > 0
        };
        let found = self.segments.iter().find(has_header);
        let found = found.or_else(|| self.segment(b"__TEXT"));
        found.map_or(0, |segment| segment.command.vmaddr(endian))
    }

    /// The bytes of the file that are loaded at an address, to the end of their segment.
    #[must_use]
    pub fn bytes_from(&self, address: u64) -> Option<&'data [u8]> {
        self.segments.iter().find_map(|segment| {
            let inside = address.checked_sub(segment.command.vmaddr(self.endian))?;
            let bytes = segment.bytes.get(usize::try_from(inside).ok()?..)?;
            (!bytes.is_empty()).then_some(bytes)
        })
    }

    /// The command of this type that names a part of `__LINKEDIT`, and that part.
    ///
    /// # Errors
    /// When the command is cut off or the part is not in the file.
    #[expect(clippy::type_complexity, reason = "it is read where it is taken apart")]
    pub fn linkedit(
        &self,
        command: LoadCommandType,
        structure: &'static str,
    ) -> Result<Option<(&'data LinkeditDataCommand<Endianness>, &'data [u8])>, Damage> {
        let Some(found) = self.commands.iter().find(|found| found.cmd() == command) else {
            return Ok(None);
        };
        let data: &LinkeditDataCommand<Endianness> =
            found.data().map_err(|error| Damage::new(structure, found.offset(), error))?;
        let (offset, size) = (data.dataoff.get(self.endian), data.datasize.get(self.endian));
        let bytes = bytes_at(self.data, offset.into(), size.into()).ok_or_else(|| {
            let message = format!("{size:#x} bytes, of which not all are in the file");
            Damage::new(structure, u64::from(offset), message)
        })?;
        Ok(Some((data, bytes)))
    }
}
