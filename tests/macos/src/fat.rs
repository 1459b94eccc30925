//! Fat (universal) files: finds the slice that the kernel would run, and checks all slices as it does before.

use crate::arch::Arch;
use crate::bytes::{be_u32_at, be_u64_at, slice};
use crate::rule::{Refusal, Rule};

/// `FAT_MAGIC`
const FAT_MAGIC: u32 = 0xcafe_babe;
/// `FAT_MAGIC_64`
const FAT_MAGIC_64: u32 = 0xcafe_babf;

/// A Mach-O file in a file: all of a thin one, a slice of a fat one.
#[derive(Debug, Clone, Copy)]
pub struct Slice<'data> {
    /// Where it begins in the file, in bytes.
    pub offset: u64,
    /// Its bytes.
    pub bytes: &'data [u8],
}

/// The slice of `file` for `arch`, or for any architecture that the small macOS has (the first of the file).
///
/// # Errors
/// A slice outside the file, or none that fits.
pub fn choose(file: &[u8], arch: Option<Arch>) -> Result<Slice<'_>, Refusal> {
    let wide = match be_u32_at(file, 0) {
        Some(FAT_MAGIC) => false,
        Some(FAT_MAGIC_64) => true,
        _ => return Ok(Slice { offset: 0, bytes: file }),
    };
    let count = u64::from(be_u32_at(file, 4).unwrap_or(0));
    let mut chosen = None;
    for index in 0..count {
        let outside = || Rule::FatSlice.refuse(format!("slice {index} does not fit"));
        let (at, read_64) = if wide { (8 + index * 32, true) } else { (8 + index * 20, false) };
        let field = |number: u64| {
            if read_64 {
                be_u64_at(file, at + 8 + number * 8)
            } else {
                be_u32_at(file, at + 8 + number * 4).map(u64::from)
            }
        };
        let cpu_type = be_u32_at(file, at).ok_or_else(outside)?;
        let (offset, size) = (field(0).ok_or_else(outside)?, field(1).ok_or_else(outside)?);
        let bytes = slice(file, offset, size).ok_or_else(|| {
            Rule::FatSlice.refuse(format!(
                "slice {index} is {size:#x} bytes at {offset:#x} of {:#x}",
                file.len()
            ))
        })?;
        let found = Arch::from_cpu_type(cpu_type);
        if chosen.is_none() && found.is_some() && (arch.is_none() || arch == found) {
            chosen = Some(Slice { offset, bytes });
        }
    }
    chosen.ok_or_else(|| Rule::CpuType.refuse("no slice of the fat file fits"))
}
