//! The Mach-O header and its load commands, read as they stand: this module judges nothing that xnu or dyld judge.
//! It gives typed views for [`crate::kernel`] and [`crate::dyld`], which have the rules.

use crate::bytes::{fixed_name, slice, string_at, u32_at, u64_at};

/// `MH_MAGIC_64`
pub const MAGIC: u32 = 0xfeed_facf;
/// `MH_CIGAM_64`: the other byte order.
pub const MAGIC_SWAPPED: u32 = 0xcffa_edfe;
/// Size of `mach_header_64` in bytes.
pub const HEADER_SIZE: u64 = 32;

/// File types.
pub mod file_type {
    /// `MH_EXECUTE`
    pub const EXECUTE: u32 = 2;
    /// `MH_DYLIB`
    pub const DYLIB: u32 = 6;
}

/// Flags of the header.
pub mod flag {
    /// `MH_DYLDLINK`: dyld is needed.
    pub const DYLDLINK: u32 = 0x4;
    /// `MH_TWOLEVEL`: imports name their library.
    pub const TWOLEVEL: u32 = 0x80;
    /// `MH_PIE`: may slide.
    pub const PIE: u32 = 0x0020_0000;
    /// `MH_HAS_TLV_DESCRIPTORS`: has thread-local variables.
    pub const HAS_TLV_DESCRIPTORS: u32 = 0x0080_0000;
    /// `MH_DYLIB_IN_CACHE`
    pub const DYLIB_IN_CACHE: u32 = 0x8000_0000;
}

/// Load commands.
pub mod command {
    /// `LC_REQ_DYLD`: dyld must understand the command.
    pub const REQUIRED_BY_DYLD: u32 = 0x8000_0000;
    /// `LC_SEGMENT`, for 32 bits.
    pub const SEGMENT: u32 = 0x1;
    /// `LC_SYMTAB`
    pub const SYMTAB: u32 = 0x2;
    /// `LC_UNIXTHREAD`
    pub const UNIXTHREAD: u32 = 0x5;
    /// `LC_DYSYMTAB`
    pub const DYSYMTAB: u32 = 0xb;
    /// `LC_LOAD_DYLIB`
    pub const LOAD_DYLIB: u32 = 0xc;
    /// `LC_ID_DYLIB`
    pub const ID_DYLIB: u32 = 0xd;
    /// `LC_LOAD_DYLINKER`
    pub const LOAD_DYLINKER: u32 = 0xe;
    /// `LC_SEGMENT_64`
    pub const SEGMENT_64: u32 = 0x19;
    /// `LC_UUID`
    pub const UUID: u32 = 0x1b;
    /// `LC_CODE_SIGNATURE`
    pub const CODE_SIGNATURE: u32 = 0x1d;
    /// `LC_SEGMENT_SPLIT_INFO`
    pub const SEGMENT_SPLIT_INFO: u32 = 0x1e;
    /// `LC_DYLD_INFO`
    pub const DYLD_INFO: u32 = 0x22;
    /// `LC_VERSION_MIN_MACOSX`
    pub const VERSION_MIN_MACOSX: u32 = 0x24;
    /// `LC_FUNCTION_STARTS`
    pub const FUNCTION_STARTS: u32 = 0x26;
    /// `LC_DATA_IN_CODE`
    pub const DATA_IN_CODE: u32 = 0x29;
    /// `LC_SOURCE_VERSION`
    pub const SOURCE_VERSION: u32 = 0x2a;
    /// `LC_BUILD_VERSION`
    pub const BUILD_VERSION: u32 = 0x32;
    /// `LC_LOAD_WEAK_DYLIB`
    pub const LOAD_WEAK_DYLIB: u32 = 0x18 | REQUIRED_BY_DYLD;
    /// `LC_RPATH`
    pub const RPATH: u32 = 0x1c | REQUIRED_BY_DYLD;
    /// `LC_REEXPORT_DYLIB`
    pub const REEXPORT_DYLIB: u32 = 0x1f | REQUIRED_BY_DYLD;
    /// `LC_DYLD_INFO_ONLY`
    pub const DYLD_INFO_ONLY: u32 = 0x22 | REQUIRED_BY_DYLD;
    /// `LC_LOAD_UPWARD_DYLIB`
    pub const LOAD_UPWARD_DYLIB: u32 = 0x23 | REQUIRED_BY_DYLD;
    /// `LC_MAIN`
    pub const MAIN: u32 = 0x28 | REQUIRED_BY_DYLD;
    /// `LC_DYLD_EXPORTS_TRIE`
    pub const DYLD_EXPORTS_TRIE: u32 = 0x33 | REQUIRED_BY_DYLD;
    /// `LC_DYLD_CHAINED_FIXUPS`
    pub const DYLD_CHAINED_FIXUPS: u32 = 0x34 | REQUIRED_BY_DYLD;
}

/// Section types (low byte of the section's flags).
pub mod section_type {
    /// `S_ZEROFILL`
    pub const ZEROFILL: u32 = 0x1;
    /// `S_NON_LAZY_SYMBOL_POINTERS`
    pub const NON_LAZY_SYMBOL_POINTERS: u32 = 0x6;
    /// `S_LAZY_SYMBOL_POINTERS`
    pub const LAZY_SYMBOL_POINTERS: u32 = 0x7;
    /// `S_SYMBOL_STUBS`
    pub const SYMBOL_STUBS: u32 = 0x8;
    /// `S_MOD_INIT_FUNC_POINTERS`
    pub const MOD_INIT_FUNC_POINTERS: u32 = 0x9;
    /// `S_GB_ZEROFILL`
    pub const GB_ZEROFILL: u32 = 0xc;
    /// `S_THREAD_LOCAL_REGULAR`
    pub const THREAD_LOCAL_REGULAR: u32 = 0x11;
    /// `S_THREAD_LOCAL_ZEROFILL`
    pub const THREAD_LOCAL_ZEROFILL: u32 = 0x12;
    /// `S_THREAD_LOCAL_VARIABLES`
    pub const THREAD_LOCAL_VARIABLES: u32 = 0x13;
    /// `S_INIT_FUNC_OFFSETS`
    pub const INIT_FUNC_OFFSETS: u32 = 0x16;
}

/// Segment flag `SG_READ_ONLY`: made read-only after fixing up.
pub const SG_READ_ONLY: u32 = 0x10;

/// `mach_header_64`
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the fields are mach_header_64's own")]
pub struct Header {
    pub magic: u32,
    pub cpu_type: u32,
    pub cpu_subtype: u32,
    pub file_type: u32,
    pub command_count: u32,
    pub commands_size: u32,
    pub flags: u32,
}

impl Header {
    /// Reads the header; `None` if the slice is shorter.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Header> {
        slice(bytes, 0, HEADER_SIZE)?;
        let field = |index: u64| u32_at(bytes, index * 4);
        Some(Header {
            magic: field(0)?,
            cpu_type: field(1)?,
            cpu_subtype: field(2)?,
            file_type: field(3)?,
            command_count: field(4)?,
            commands_size: field(5)?,
            flags: field(6)?,
        })
    }

    /// Whether all bits of `flag` are set.
    #[must_use]
    pub fn has(&self, flag: u32) -> bool {
        self.flags & flag == flag
    }
}

/// One load command: its kind and all its bytes (`cmd` and `cmdsize` included).
#[derive(Debug, Clone, Copy)]
pub struct LoadCommand<'data> {
    /// `cmd`
    pub command: u32,
    /// The command's `cmdsize` bytes.
    pub bytes: &'data [u8],
}

impl<'data> LoadCommand<'data> {
    /// `cmdsize` in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The 32-bit field at a byte offset of the command; 0 beyond its end, which the rules on sizes exclude first.
    #[must_use]
    pub fn field(&self, offset: u64) -> u32 {
        u32_at(self.bytes, offset).unwrap_or(0)
    }

    /// The 64-bit field at a byte offset of the command; 0 beyond its end.
    #[must_use]
    pub fn field_64(&self, offset: u64) -> u64 {
        u64_at(self.bytes, offset).unwrap_or(0)
    }

    /// The string whose offset (an `lc_str`) is the field at byte 8.
    #[must_use]
    pub fn string(&self) -> Option<&'data str> {
        string_at(self.bytes, u64::from(self.field(8)))
    }

    /// A range of the file: offset and size in the two fields at `offset` (`linkedit_data_command` has them at 8).
    #[must_use]
    pub fn file_range(&self, offset: u64) -> (u64, u64) {
        (u64::from(self.field(offset)), u64::from(self.field(offset + 4)))
    }
}

/// The commands of `commands_size` bytes behind the header. Stops at the first whose size is below 8 or beyond the end and returns its offset in the file.
///
/// # Errors
/// The file offset of the command that does not fit.
pub fn load_commands<'data>(
    bytes: &'data [u8],
    header: &Header,
) -> Result<Vec<LoadCommand<'data>>, u64> {
    let end = HEADER_SIZE + u64::from(header.commands_size);
    let mut offset = HEADER_SIZE;
    let mut commands = Vec::new();
    for _ in 0..header.command_count {
        let command = (|| {
            let size = u64::from(u32_at(bytes, offset + 4)?);
            let fits = size >= 8 && offset + size <= end;
            Some(LoadCommand {
                command: u32_at(bytes, offset)?,
                bytes: slice(bytes, offset, size).filter(|_| fits)?,
            })
        })()
        .ok_or(offset)?;
        offset += command.size();
        commands.push(command);
    }
    Ok(commands)
}

/// A section of a segment.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields are section_64's own")]
pub struct Section {
    pub name: String,
    pub segment: String,
    pub address: u64,
    pub size: u64,
    pub offset: u32,
    pub align: u32,
    pub flags: u32,
    pub reserved1: u32,
}

impl Section {
    /// The section's type: `S_…`.
    #[must_use]
    pub fn section_type(&self) -> u32 {
        self.flags & 0xff
    }

    /// First address behind the section, which wraps where the file does.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.address.wrapping_add(self.size)
    }

    /// Whether the section has no bytes in the file.
    #[must_use]
    pub fn is_zero_fill(&self) -> bool {
        matches!(
            self.section_type(),
            section_type::ZEROFILL
                | section_type::GB_ZEROFILL
                | section_type::THREAD_LOCAL_ZEROFILL
        )
    }
}

/// `segment_command_64` with its sections.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields are segment_command_64's own")]
pub struct Segment {
    pub name: String,
    pub vm_address: u64,
    pub vm_size: u64,
    pub file_offset: u64,
    pub file_size: u64,
    pub maximum_protection: u32,
    pub initial_protection: u32,
    pub flags: u32,
    pub sections: Vec<Section>,
}

/// Size of `segment_command_64` without sections, in bytes.
pub const SEGMENT_SIZE: u64 = 72;
/// Size of `section_64`, in bytes.
pub const SECTION_SIZE: u64 = 80;

impl Segment {
    /// Reads an `LC_SEGMENT_64`; `None` if its sections do not fit in it.
    #[must_use]
    pub fn parse(command: &LoadCommand<'_>) -> Option<Segment> {
        let count = u64::from(u32_at(command.bytes, 64)?);
        let sections = (0..count)
            .map(|index| {
                let section =
                    slice(command.bytes, SEGMENT_SIZE + index * SECTION_SIZE, SECTION_SIZE)?;
                Some(Section {
                    name: fixed_name(&section[..16]),
                    segment: fixed_name(&section[16..32]),
                    address: u64_at(section, 32)?,
                    size: u64_at(section, 40)?,
                    offset: u32_at(section, 48)?,
                    align: u32_at(section, 52)?,
                    flags: u32_at(section, 64)?,
                    reserved1: u32_at(section, 68)?,
                })
            })
            .collect::<Option<Vec<_>>>()?;
        Some(Segment {
            name: fixed_name(slice(command.bytes, 8, 16)?),
            vm_address: u64_at(command.bytes, 24)?,
            vm_size: u64_at(command.bytes, 32)?,
            file_offset: u64_at(command.bytes, 40)?,
            file_size: u64_at(command.bytes, 48)?,
            maximum_protection: u32_at(command.bytes, 56)?,
            initial_protection: u32_at(command.bytes, 60)?,
            flags: u32_at(command.bytes, 68)?,
            sections,
        })
    }

    /// First address behind the segment, which wraps where the file does.
    #[must_use]
    pub fn vm_end(&self) -> u64 {
        self.vm_address.wrapping_add(self.vm_size)
    }

    /// Whether it only reserves addresses: page zero.
    #[must_use]
    pub fn is_page_zero(&self) -> bool {
        self.vm_address == 0
            && self.file_size == 0
            && self.initial_protection == 0
            && self.maximum_protection == 0
    }
}
