//! Universal files: one Mach-O file for each architecture, behind one header.

use object::macho::{CpuSubtype, CpuType, FAT_MAGIC, FAT_MAGIC_64};
use object::read::macho::{FatArch, MachOFatFile32, MachOFatFile64};

use super::super::{Damage, bytes_at};

/// A universal file whose header could be read.
#[derive(Clone, Debug)]
pub struct Slices<'data> {
    /// Its magic number: `FAT_MAGIC`, or `FAT_MAGIC_64` where offsets have 64 bits.
    pub magic: u32,
    /// The slices, in the order of the header.
    pub slices: Vec<Slice<'data>>,
    /// What could not be read.
    pub damage: Vec<Damage>,
}

/// A file in a universal file.
#[derive(Clone, Copy, Debug)]
pub struct Slice<'data> {
    /// Where its entry of the header lies.
    pub entry: u64,
    /// The architecture.
    pub cpu: CpuType,
    /// Which processors of it.
    pub subtype: CpuSubtype,
    /// Where it starts.
    pub offset: u64,
    /// How many bytes it has.
    pub size: u64,
    /// The exponent of its alignment.
    pub align: u32,
    /// Its bytes; `None` where they are not all there.
    pub bytes: Option<&'data [u8]>,
}

impl<'data> Slices<'data> {
    /// Whether a file starts as universal files do. Java classes start with the same four bytes; behind these they
    /// have a version, which is larger than any number of architectures.
    #[must_use]
    pub fn is_universal(data: &[u8]) -> bool {
        let word = |at: usize| data.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        let number = |at: usize| word(at).map_or(0, u32::from_be_bytes);
        let magic = number(0);
        (magic == FAT_MAGIC && number(4) < 43) || magic == FAT_MAGIC_64
    }

    /// Opens a universal file.
    ///
    /// # Errors
    /// When its header is cut off.
    pub fn open(data: &'data [u8]) -> Result<Self, Damage> {
        let damage = |error| Damage::new("universal header", 0, error);
        if data.starts_with(&FAT_MAGIC_64.to_be_bytes()) {
            let file = MachOFatFile64::parse(data).map_err(damage)?;
            Ok(Self::read(data, FAT_MAGIC_64, file.arches()))
        } else {
            let file = MachOFatFile32::parse(data).map_err(damage)?;
            Ok(Self::read(data, FAT_MAGIC, file.arches()))
        }
    }

    fn read<A: FatArch>(data: &'data [u8], magic: u32, entries: &[A]) -> Self {
        let mut damage = Vec::new();
        let mut end = 0;
        let mut slices: Vec<Slice<'data>> = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let (offset, size) = entry.file_range();
            let bytes = bytes_at(data, offset, size);
            let at = 8 + (index * size_of::<A>()) as u64;
            if bytes.is_none() {
                let message = format!("{size:#x} bytes at {offset:#x}, not all of which are in it");
                damage.push(Damage::new("universal header", at, message));
            }
            let overlaps = |other: &Slice<'_>| {
                offset < other.offset.saturating_add(other.size)
                    && other.offset < offset.saturating_add(size)
            };
            // Most files have their slices in order; only others have to be compared with all.
            if offset < end && slices.iter().take(64).any(overlaps) {
                let message = format!("slice {index} lies in another");
                damage.push(Damage::new("universal header", at, message));
            }
            end = end.max(offset.saturating_add(size));
            slices.push(Slice {
                entry: at,
                cpu: entry.cputype(),
                subtype: entry.cpusubtype(),
                offset,
                size,
                align: entry.align(),
                bytes,
            });
        }
        Self { magic, slices, damage }
    }
}
