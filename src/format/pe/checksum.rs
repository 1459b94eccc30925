//! The checksum of an image, which Windows verifies of drivers and of libraries that it cannot do without.

use std::mem::offset_of;

use object::pe::{self, ImageDosHeader, ImageNtHeaders64, ImageOptionalHeader64};
use object::read::pe::{ImageNtHeaders, ImageOptionalHeader};
use object::{LittleEndian as LE, pod};

use crate::error::{Error, ErrorKind, Result};

/// What `IMAGHELP`'s `CheckSumMappedFile` computes: the 16-bit words of the file added up with their
/// carries, the checksum's own taken as zeros, and the file's length.
#[derive(Default)]
pub(super) struct Checksum {
    sum: u64,
}

impl Checksum {
    /// Adds bytes from an even offset of the file; only the last ones may be odd in number.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let words = bytes
            .chunks(2)
            .map(|word| u64::from(word[0]) | u64::from(word.get(1).copied().unwrap_or(0)) << 8);
        self.sum += words.sum::<u64>();
    }

    #[allow(clippy::cast_possible_truncation)] // 16 bits are left of the sum, and files have 32
    pub(super) fn finish(self, len: u64) -> u32 {
        let mut sum = self.sum;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        (sum + len) as u32
    }
}

/// The checksum that an image ought to have, whoever wrote it.
///
/// # Errors
/// It is no PE32+ image, or its headers are damaged.
pub fn checksum(image: &[u8]) -> Result<u32> {
    let field = field(image)?;
    let mut sum = Checksum::default();
    sum.add(&image[..field]);
    sum.add(&image[field + size_of::<u32>()..]);
    Ok(sum.finish(image.len() as u64))
}

/// Gives an image its checksum, after bytes of it were changed.
///
/// A signature by somebody (Authenticode) does not cover the checksum, but does cover the bytes that were changed:
/// only its owner can make it again. Time stamp and `REPRO` entry stay: they say which build this was.
///
/// # Errors
/// As for [`checksum`]; the image is as it was.
///
/// ```
/// # use minild::program::{Program, Section, SectionKind};
/// use minild::format::pe;
/// # let mut program = Program::new(minild::Target::X86_64_UEFI);
/// # let code = program.add_section(Section::new("start", SectionKind::Code, b"\x31\xc0\xc3"));
/// # program.entry = Some(program.define("start", code, 0, 3));
/// # let mut image = minild::link(&program, &minild::Options::default())?.bytes;
/// let before = pe::checksum(&image)?;
/// let at = image.windows(3).position(|bytes| bytes == b"\x31\xc0\xc3").unwrap();
/// image[at] = 0x90;
/// pe::set_checksum(&mut image)?;
/// assert_ne!(pe::checksum(&image)?, before);
/// # assert!(minild::view::lint::lint(&image)?.findings.is_empty());
/// # Ok::<(), minild::Errors>(())
/// ```
pub fn set_checksum(image: &mut [u8]) -> Result<()> {
    let sum = checksum(image)?;
    let field = field(image)?;
    image[field..field + size_of::<u32>()].copy_from_slice(&sum.to_le_bytes());
    Ok(())
}

/// Where the checksum lies, at an even offset.
fn field(image: &[u8]) -> Result<usize, Error> {
    let damaged = |what: &str| {
        Error::new(
            ErrorKind::InvalidValue,
            format!("it is no PE32+ image, or a damaged one: {what}"),
        )
    };
    let dos = ImageDosHeader::parse(image).map_err(|error| damaged(&error.to_string()))?;
    let nt = dos.nt_headers_offset() as usize;
    let headers = image.get(nt..).and_then(|bytes| pod::from_bytes::<ImageNtHeaders64>(bytes).ok());
    let (headers, _) = headers.ok_or_else(|| damaged("its headers lie behind its end"))?;
    if headers.signature() != pe::IMAGE_NT_SIGNATURE
        || headers.optional_header().magic() != pe::IMAGE_NT_OPTIONAL_HDR64_MAGIC
    {
        return Err(damaged("its headers do not say so"));
    }
    if headers.file_header.size_of_optional_header.get(LE) < {
        let end = offset_of!(ImageOptionalHeader64, check_sum) + size_of::<u32>();
        u16::try_from(end).expect("68")
    } {
        return Err(damaged("its optional header ends before the checksum"));
    }
    if !nt.is_multiple_of(2) {
        return Err(damaged("its headers lie at an odd offset"));
    }
    Ok(nt
        + offset_of!(ImageNtHeaders64, optional_header)
        + offset_of!(ImageOptionalHeader64, check_sum))
}
