//! One file for several architectures: a table of where each one's own file starts (Apple's
//! `mach-o/fat.h`; xnu `fatfile_getarch`). Slices start on pages, since xnu maps them where they lie
//! (`load_segment` checks that slice offset + segment offset is a whole page).

use object::macho;
use object::{BigEndian, U32, pod};

use super::commands::number;
use super::plan::PAGE;
use super::tables::cpu;
use crate::error::{Error, ErrorKind, Result};
use crate::format::layout::Layout;
use crate::program::Program;
use crate::target::OperatingSystem;
use crate::units::{FileOffset, Size};

/// Offsets in the table have 32 bits.
const FILE_LIMIT: u64 = 1 << 32;

/// One architecture's file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slice {
    pub(super) cpu: (macho::CpuType, macho::CpuSubtype),
    pub(super) size: u64,
}

/// A table of slices, and where it puts them.
pub(crate) struct Arrangement {
    pub(crate) table: Vec<u8>,
    /// Where each slice starts.
    pub(crate) offsets: Vec<FileOffset>,
    /// Bytes of the whole file.
    pub(crate) file_size: Size,
}

/// Arranges programs of these layouts.
///
/// # Errors
/// A file of 4 GiB or more.
pub(crate) fn arrange_layouts(layouts: &[Layout]) -> Result<Arrangement> {
    let slices: Vec<_> = layouts
        .iter()
        .map(|layout| Slice { cpu: cpu(layout.target.architecture), size: layout.file_size.0 })
        .collect();
    arrange(&slices)
}

/// Arranges slices.
///
/// # Errors
/// A file of 4 GiB or more.
pub(super) fn arrange(slices: &[Slice]) -> Result<Arrangement> {
    let mut end = size_of::<macho::FatHeader>() as u64
        + slices.len() as u64 * size_of::<macho::FatArch32>() as u64;
    let mut offsets = Vec::new();
    for slice in slices {
        let offset = end.next_multiple_of(PAGE.get());
        offsets.push(FileOffset(offset));
        end = offset + slice.size;
    }
    if end >= FILE_LIMIT {
        let message =
            format!("the file has {end:#x} bytes, and its 32-bit offsets reach {FILE_LIMIT:#x}");
        let error = Error::new(ErrorKind::TooLarge, message);
        return Err(error.value(end.into(), 0..=i128::from(FILE_LIMIT) - 1).into());
    }
    let be32 = |number: u32| U32::new(BigEndian, number);
    let header = macho::FatHeader {
        magic: be32(macho::FAT_MAGIC),
        nfat_arch: be32(number(slices.len() as u64)),
    };
    let mut bytes = pod::bytes_of(&header).to_vec();
    for (slice, offset) in slices.iter().zip(&offsets) {
        let (cputype, cpusubtype) = slice.cpu;
        let row = macho::FatArch32 {
            cputype: U32::new(BigEndian, cputype),
            cpusubtype: U32::new(BigEndian, cpusubtype),
            offset: be32(number(offset.0)),
            size: be32(number(slice.size)),
            align: be32(PAGE.log2()),
        };
        bytes.extend_from_slice(pod::bytes_of(&row));
    }
    Ok(Arrangement { table: bytes, offsets, file_size: Size(end) })
}

/// Whether these programs can be one file.
///
/// # Errors
/// None at all; one that is not for macOS; two of one architecture; programs and libraries.
pub(crate) fn check(programs: &[Program<'_>]) -> Result<()> {
    let message = if programs.is_empty() {
        "a universal file has at least one program".to_owned()
    } else if let Some(other) =
        programs.iter().find(|program| program.target.operating_system != OperatingSystem::MacOs)
    {
        format!("a universal file is for macOS, and one of its programs is for {}", other.target)
    } else if let Some((index, program)) = programs.iter().enumerate().find(|(index, program)| {
        programs[..*index].iter().any(|before| before.target == program.target)
    }) {
        format!("program {index} of the universal file is for {}, as one before it", program.target)
    } else if programs.iter().any(|program| program.kind != programs[0].kind) {
        "a universal file is either a program or a library on all architectures".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::InvalidValue, message).into())
}
