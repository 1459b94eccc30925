//! The exception table (`.pdata`): how to unwind the frame of each function.
//!
//! PE format specification, ".pdata Section"; "x64 exception handling" and "ARM64 exception handling" of Microsoft's
//! C++ documentation. An entry is three words on x86-64 and two on arm64, whose second may hold all there is to say.

use object::LittleEndian as LE;
use object::pe::{
    IMAGE_DIRECTORY_ENTRY_EXCEPTION, IMAGE_FILE_MACHINE_AMD64, IMAGE_FILE_MACHINE_ARM64,
};

use super::super::{Damage, bytes_at};
use super::Pe;

/// An entry of the exception table.
#[derive(Clone, Debug)]
pub struct RuntimeFunction<'data> {
    /// Where the entry lies in the file.
    pub offset: u64,
    /// The RVA of the function's first byte.
    pub begin: u32,
    /// The RVA behind its last; `None` where that cannot be read.
    pub end: Option<u32>,
    /// How its frame is unwound.
    pub unwind: Unwind<'data>,
}

/// How a frame is unwound.
#[derive(Clone, Debug)]
pub enum Unwind<'data> {
    /// x86-64: `UNWIND_INFO`.
    X86_64 {
        /// Its RVA.
        rva: u32,
        /// What it says.
        info: Result<UnwindInfo<'data>, Damage>,
    },
    /// x86-64: as another entry, which lies at this RVA.
    SameAs(u32),
    /// arm64.
    Arm64(Arm64Unwind),
}

/// x86-64's `UNWIND_INFO`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnwindInfo<'data> {
    /// Its version: 1, or 2 where epilogues are described.
    pub version: u8,
    /// `UNW_FLAG_EHANDLER` 1, `UNW_FLAG_UHANDLER` 2, `UNW_FLAG_CHAININFO` 4.
    pub flags: u8,
    /// How many bytes of code the prologue has.
    pub prologue: u8,
    /// The register that points into the frame; 0 for none.
    pub frame_register: u8,
    /// How far it lies above the stack pointer, in units of 16 bytes.
    pub frame_offset: u8,
    /// The unwind codes, two bytes each.
    pub codes: &'data [u8],
    /// The RVA of the handler, where the flags say that there is one.
    pub handler: Option<u32>,
}

/// arm64's second word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arm64Unwind {
    /// The description lies at this RVA (`.xdata`).
    Full {
        /// Where.
        rva: u32,
        /// Bytes of code; `None` where the file does not have the description.
        length: Option<u32>,
    },
    /// The word says it all.
    Packed {
        /// A part of a function without prologue.
        fragment: bool,
        /// Bytes of code.
        length: u32,
        /// Saved floating-point registers from d8 on: their number less one, or 0 for none.
        reg_f: u8,
        /// Saved registers from x19 on.
        reg_i: u8,
        /// Whether x0 to x7 are stored first.
        homes_parameters: bool,
        /// 0 unchained, 1 unchained with lr saved, 2 chained with a signed lr, 3 chained.
        cr: u8,
        /// Bytes of the frame.
        frame_size: u32,
    },
}

/// Every entry of the exception table, as long as it is of one of the two architectures.
///
/// # Errors
/// When the file does not have the table, or the table is of another architecture.
pub fn runtime_functions<'data, 'pe>(
    pe: &'pe Pe<'data>,
) -> Result<Box<dyn Iterator<Item = RuntimeFunction<'data>> + 'pe>, Damage> {
    let structure = "exception table";
    let index = IMAGE_DIRECTORY_ENTRY_EXCEPTION;
    let Some(bytes) = pe.directory_bytes(index, structure)? else {
        return Ok(Box::new(std::iter::empty()));
    };
    let rva = pe.directory(index).map_or(0, |directory| directory.virtual_address.get(LE));
    let start = pe.offset_of(rva).map_or(0, |(offset, _)| offset);
    let offset = move |index: usize, size: usize| start + (index * size) as u64;
    match pe.headers.file_header.machine.get(LE) {
        IMAGE_FILE_MACHINE_AMD64 => Ok(Box::new(
            words::<3>(bytes).map(move |(index, words)| x86_64(pe, offset(index, 12), words)),
        )),
        IMAGE_FILE_MACHINE_ARM64 => Ok(Box::new(
            words::<2>(bytes).map(move |(index, words)| arm64(pe, offset(index, 8), words)),
        )),
        machine => {
            let message = format!("not read for {machine:?}");
            Err(Damage::new(structure, pe.directory_offset(index), message))
        }
    }
}

/// A table of `N` words an entry.
fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = (usize, [u32; N])> {
    let entry = |entry: &[u8]| {
        std::array::from_fn(|word| {
            let bytes = &entry[word * 4..word * 4 + 4];
            u32::from_le_bytes(bytes.try_into().expect("an entry is as many words"))
        })
    };
    bytes.chunks_exact(N * 4).map(entry).enumerate()
}

fn x86_64<'data>(
    pe: &Pe<'data>,
    offset: u64,
    [begin, end, rva]: [u32; 3],
) -> RuntimeFunction<'data> {
    let unwind = if rva & 1 == 1 {
        Unwind::SameAs(rva & !1)
    } else {
        Unwind::X86_64 { rva, info: UnwindInfo::read(pe, rva, offset) }
    };
    RuntimeFunction { offset, begin, end: Some(end), unwind }
}

fn arm64<'data>(pe: &Pe<'data>, offset: u64, [begin, word]: [u32; 2]) -> RuntimeFunction<'data> {
    let field = |from: u32, bits: u32| word >> from & ((1 << bits) - 1);
    let byte = |from: u32, bits: u32| u8::try_from(field(from, bits)).unwrap_or(u8::MAX);
    let (unwind, length) = if field(0, 2) == 0 {
        let first = pe.bytes(word, 4).and_then(|bytes| bytes.try_into().ok());
        // Function length, in instructions, is the low 18 bits of `.xdata`.
        let length = first.map(|bytes| (u32::from_le_bytes(bytes) & 0x3_ffff) * 4);
        (Arm64Unwind::Full { rva: word, length }, length)
    } else {
        let length = field(2, 11) * 4;
        let packed = Arm64Unwind::Packed {
            fragment: field(0, 2) == 2,
            length,
            reg_f: byte(13, 3),
            reg_i: byte(16, 4),
            homes_parameters: field(20, 1) == 1,
            cr: byte(21, 2),
            frame_size: field(23, 9) * 16,
        };
        (packed, Some(length))
    };
    let end = length.and_then(|length| begin.checked_add(length));
    RuntimeFunction { offset, begin, end, unwind: Unwind::Arm64(unwind) }
}

impl<'data> UnwindInfo<'data> {
    /// Reads the structure at an RVA, which the entry at `offset` names.
    fn read(pe: &Pe<'data>, rva: u32, offset: u64) -> Result<Self, Damage> {
        let whole = pe.bytes_from(rva).unwrap_or_default();
        Self::parse(whole).ok_or_else(|| {
            let message = format!("no section has all of its UNWIND_INFO at RVA {rva:#x}");
            Damage::new("exception table", offset, message)
        })
    }

    fn parse(whole: &'data [u8]) -> Option<Self> {
        let (&[first, prologue, count, frame], rest) = whole.split_first_chunk::<4>()?;
        let (codes, flags) = (rest.get(..usize::from(count) * 2)?, first >> 3);
        let tail = usize::from(count).next_multiple_of(2) as u64 * 2;
        let has_handler = flags & 3 != 0 && flags & 4 == 0;
        let handler = if has_handler { Some(bytes_at(rest, tail, 4)?) } else { None };
        let word = |bytes: &[u8]| bytes.try_into().map_or(0, u32::from_le_bytes);
        Some(Self {
            version: first & 7,
            flags,
            prologue,
            frame_register: frame & 15,
            frame_offset: frame >> 4,
            codes,
            handler: handler.map(word),
        })
    }
}

impl Unwind<'_> {
    /// The RVA of a description that lies elsewhere.
    #[must_use]
    pub const fn rva(&self) -> Option<u32> {
        match self {
            Self::X86_64 { rva, .. }
            | Self::SameAs(rva)
            | Self::Arm64(Arm64Unwind::Full { rva, .. }) => Some(*rva),
            Self::Arm64(Arm64Unwind::Packed { .. }) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unwind_info_ends_with_a_handler_if_it_says_so() {
        let bytes = [0x09, 4, 1, 0x05, 4, 0x42, 0, 0, 0x78, 0x56, 0x34, 0x12];
        let info = UnwindInfo::parse(&bytes).unwrap();
        assert_eq!((info.version, info.flags, info.prologue), (1, 1, 4));
        assert_eq!((info.frame_register, info.frame_offset), (5, 0));
        assert_eq!(info.codes, [4, 0x42]);
        assert_eq!(info.handler, Some(0x1234_5678));
        for length in 0..bytes.len() {
            assert_eq!(UnwindInfo::parse(&bytes[..length]), None, "{length}");
        }
    }
}
