//! The process's address space: which regions exist, with which protection, and what for.
//! It stands between the system and the [`Engine`], checks every access that the system makes for the guest as the
//! processor would, and can say which segment an address lies in.

use std::collections::BTreeMap;

use crate::arch::Arch;
use crate::engine::{Access, Engine, Protection};

/// A run of pages with one protection and one purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// First address.
    pub start: u64,
    /// First address behind it.
    pub end: u64,
    /// What the process may do now.
    pub protection: Protection,
    /// What `mprotect` may grant.
    pub maximum: Protection,
    /// What it is: a segment's name, `stack`, `heap`, …
    pub label: String,
}

/// An access that the address space forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// What was tried.
    pub access: Access,
    /// Where.
    pub address: u64,
}

/// Why a mapping was not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MapError {
    /// It would overlap this region.
    Overlap(Region),
    /// It asks for more than the maximum protection, or there is a hole.
    Protection,
    /// It is empty, misaligned or out of the address space.
    Range,
    /// The engine could not, for a reason of the host's.
    Host(String),
}

impl std::fmt::Display for MapError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            MapError::Overlap(region) => write!(
                formatter,
                "{} is already at {:#x}-{:#x}",
                region.label, region.start, region.end
            ),
            MapError::Protection => write!(formatter, "the protection is more than the maximum"),
            MapError::Range => write!(formatter, "the range is empty or outside the address space"),
            MapError::Host(reason) => write!(formatter, "the engine cannot map it: {reason}"),
        }
    }
}

/// First address that no program may have: 47 bits, as on both architectures.
pub const TOP: u64 = 0x7fff_ffff_f000;

/// Regions and the engine that holds their bytes.
pub struct Space {
    /// The processor.
    pub engine: Box<dyn Engine>,
    /// First address that may be mapped: the end of page zero.
    pub floor: u64,
    regions: BTreeMap<u64, Region>,
}

impl Space {
    /// An empty address space.
    #[must_use]
    pub fn new(engine: Box<dyn Engine>) -> Space {
        Space { engine, floor: 0, regions: BTreeMap::new() }
    }

    /// The architecture of the engine.
    #[must_use]
    pub fn arch(&self) -> Arch {
        self.engine.arch()
    }

    /// The regions in order of address.
    pub fn regions(&self) -> impl Iterator<Item = &Region> {
        self.regions.values()
    }

    /// The region that holds `address`.
    #[must_use]
    pub fn region_at(&self, address: u64) -> Option<&Region> {
        self.regions
            .range(..=address)
            .next_back()
            .map(|(_, region)| region)
            .filter(|region| address < region.end)
    }

    /// Page zero, as a region: it is never mapped.
    #[must_use]
    pub fn page_zero(&self) -> Region {
        Region {
            start: 0,
            end: self.floor,
            protection: Protection::NONE,
            maximum: Protection::NONE,
            label: "page zero".to_owned(),
        }
    }

    fn overlapping(&self, start: u64, end: u64) -> Option<&Region> {
        self.regions
            .range(..end)
            .next_back()
            .map(|(_, region)| region)
            .filter(|region| region.end > start)
    }

    /// Maps zeroed pages, where nothing may be yet.
    ///
    /// # Errors
    /// When the range is occupied or cannot be.
    pub fn map(
        &mut self,
        start: u64,
        size: u64,
        protection: Protection,
        maximum: Protection,
        label: &str,
    ) -> Result<(), MapError> {
        let end =
            start.checked_add(size).filter(|&end| size > 0 && end <= TOP).ok_or(MapError::Range)?;
        if start < self.floor {
            return Err(MapError::Overlap(self.page_zero()));
        }
        if let Some(region) = self.overlapping(start, end) {
            return Err(MapError::Overlap(region.clone()));
        }
        self.engine.map(start, size, protection).map_err(MapError::Host)?;
        self.regions
            .insert(start, Region { start, end, protection, maximum, label: label.to_owned() });
        Ok(())
    }

    /// The lowest free range of `size` bytes at or above `from`.
    #[must_use]
    pub fn free_range(&self, from: u64, size: u64) -> u64 {
        let mut start = from;
        while let Some(region) = self.overlapping(start, start.saturating_add(size)) {
            start = self.arch().page_up(region.end);
        }
        start
    }

    /// Splits the region that holds `address`, so that one begins there.
    fn split(&mut self, address: u64) {
        let Some(region) = self.region_at(address).filter(|region| region.start < address).cloned()
        else {
            return;
        };
        if let Some(first) = self.regions.get_mut(&region.start) {
            first.end = address;
        }
        self.regions.insert(address, Region { start: address, ..region });
    }

    fn starts_within(&self, start: u64, end: u64) -> Vec<u64> {
        self.regions.range(start..end).map(|(&start, _)| start).collect()
    }

    /// Unmaps whatever is in the range.
    ///
    /// # Errors
    /// When the engine cannot.
    ///
    /// # Panics
    /// Never: the regions that it visits are those that it has just listed.
    pub fn unmap(&mut self, start: u64, size: u64) -> Result<(), MapError> {
        let end = start.checked_add(size).ok_or(MapError::Range)?;
        self.split(start);
        self.split(end);
        for start in self.starts_within(start, end) {
            let region = self.regions.remove(&start).expect("just listed");
            self.engine.unmap(region.start, region.end - region.start).map_err(MapError::Host)?;
        }
        Ok(())
    }

    /// Changes the protection of a range that is mapped without holes.
    ///
    /// # Errors
    /// When there is a hole, or a maximum protection forbids it.
    ///
    /// # Panics
    /// Never, as [`Space::unmap`].
    pub fn protect(
        &mut self,
        start: u64,
        size: u64,
        protection: Protection,
    ) -> Result<(), MapError> {
        let end = start.checked_add(size).ok_or(MapError::Range)?;
        let mut reached = start;
        while reached < end {
            let region = self.region_at(reached).ok_or(MapError::Range)?;
            if !region.maximum.contains(protection) {
                return Err(MapError::Protection);
            }
            reached = region.end;
        }
        self.split(start);
        self.split(end);
        for start in self.starts_within(start, end) {
            let region = self.regions.get_mut(&start).expect("just listed");
            region.protection = protection;
            self.engine
                .protect(region.start, region.end - region.start, protection)
                .map_err(MapError::Host)?;
        }
        Ok(())
    }

    /// Checks that every byte of a range permits `access`.
    ///
    /// # Errors
    /// The first address that does not.
    pub fn check(&self, address: u64, size: u64, access: Access) -> Result<(), Fault> {
        let mut reached = address;
        let end = address.checked_add(size).ok_or(Fault { access, address })?;
        while reached < end {
            match self.region_at(reached) {
                Some(region) if region.protection.contains(access.needs()) => reached = region.end,
                _ => return Err(Fault { access, address: reached }),
            }
        }
        Ok(())
    }

    /// Reads as the guest would.
    ///
    /// # Errors
    /// The address that is not readable.
    pub fn read(&self, address: u64, size: u64) -> Result<Vec<u8>, Fault> {
        self.check(address, size, Access::Read)?;
        let mut bytes =
            vec![0; usize::try_from(size).map_err(|_| Fault { access: Access::Read, address })?];
        self.engine.read(address, &mut bytes);
        Ok(bytes)
    }

    /// Writes as the guest would.
    ///
    /// # Errors
    /// The address that is not writable.
    pub fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Fault> {
        self.check(address, bytes.len() as u64, Access::Write)?;
        self.engine.write(address, bytes);
        Ok(())
    }

    /// Writes as the kernel fills pages, whatever their protection; `None` when something is not mapped.
    pub fn fill(&mut self, address: u64, bytes: &[u8]) -> Option<()> {
        let mut reached = address;
        let end = address.checked_add(bytes.len() as u64)?;
        while reached < end {
            reached = self.region_at(reached)?.end;
        }
        self.engine.write(address, bytes);
        Some(())
    }

    /// Reads a little-endian integer of `N` bytes.
    fn read_array<const N: usize>(&self, address: u64) -> Result<[u8; N], Fault> {
        self.check(address, N as u64, Access::Read)?;
        let mut bytes = [0; N];
        self.engine.read(address, &mut bytes);
        Ok(bytes)
    }

    /// Reads a byte.
    ///
    /// # Errors
    /// The address, when it is not readable.
    pub fn read_u8(&self, address: u64) -> Result<u8, Fault> {
        Ok(self.read_array::<1>(address)?[0])
    }

    /// Reads 32 bits.
    ///
    /// # Errors
    /// The address that is not readable.
    pub fn read_u32(&self, address: u64) -> Result<u32, Fault> {
        Ok(u32::from_le_bytes(self.read_array(address)?))
    }

    /// Reads 64 bits.
    ///
    /// # Errors
    /// The address that is not readable.
    pub fn read_u64(&self, address: u64) -> Result<u64, Fault> {
        Ok(u64::from_le_bytes(self.read_array(address)?))
    }

    /// Writes 32 bits.
    ///
    /// # Errors
    /// The address that is not writable.
    pub fn write_u32(&mut self, address: u64, value: u32) -> Result<(), Fault> {
        self.write(address, &value.to_le_bytes())
    }

    /// Writes 64 bits.
    ///
    /// # Errors
    /// The address that is not writable.
    pub fn write_u64(&mut self, address: u64, value: u64) -> Result<(), Fault> {
        self.write(address, &value.to_le_bytes())
    }

    /// Reads a string up to its NUL, without it.
    ///
    /// # Errors
    /// The address that is not readable.
    pub fn read_string(&self, address: u64) -> Result<Vec<u8>, Fault> {
        let mut string = Vec::new();
        loop {
            // A page at a time: the rest of this page is readable if its first byte is.
            let at = address + string.len() as u64;
            let chunk = self.read(at, 0x1000 - at % 0x1000)?;
            if let Some(end) = chunk.iter().position(|&byte| byte == 0) {
                string.extend_from_slice(&chunk[..end]);
                return Ok(string);
            }
            string.extend_from_slice(&chunk);
        }
    }
}
