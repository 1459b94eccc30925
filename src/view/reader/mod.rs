//! Structures of files, one a module, hardened against what does not fit.
//!
//! Headers and tables are read through the `object` crate. What is here opens a file of each format as far as it is
//! whole ([`elf::Elf`], [`macho::MachO`], [`macho::Slices`], [`pe::Pe`]), reads what that crate does not, and bounds
//! what it does not bound: no recursion, no loop that the file can make endless, and memory that is a small multiple
//! of the file.

mod budget;
mod damage;
#[cfg(feature = "dwarf")]
pub mod eh_frame;
pub mod elf;
pub mod macho;
mod name;
pub mod pe;

pub use budget::Budget;
pub use damage::Damage;
pub use name::Name;

/// `length` bytes at an offset; `None` where not all of them are there.
#[must_use]
pub fn bytes_at(data: &[u8], offset: u64, length: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    data.get(start..start.checked_add(usize::try_from(length).ok()?)?)
}

/// What is there of `length` bytes at an offset: all, fewer, none.
#[must_use]
pub fn bytes_until(data: &[u8], offset: u64, length: u64) -> &[u8] {
    let whole = data.len() as u64;
    let start = offset.min(whole);
    let end = offset.saturating_add(length).min(whole);
    bytes_at(data, start, end - start).unwrap_or_default()
}
