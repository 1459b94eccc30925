//! The certificate table: Authenticode signatures, as they lie behind the image.
//!
//! PE format specification, "The Attribute Certificate Table (Image Only)". The only directory that names a file
//! offset.

use object::LittleEndian as LE;
use object::pe::IMAGE_DIRECTORY_ENTRY_SECURITY;

use super::super::{Damage, bytes_at};
use super::Pe;

/// A certificate of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certificate<'data> {
    /// Where it lies in the file.
    pub offset: u64,
    /// `WIN_CERT_REVISION_…`: 0x100 or 0x200.
    pub revision: u16,
    /// `WIN_CERT_TYPE_…`: 2 is PKCS#7 signed data.
    pub kind: u16,
    /// Its bytes, as they are encoded.
    pub bytes: &'data [u8],
}

impl Certificate<'_> {
    /// What its kind is called.
    #[must_use]
    pub const fn kind_name(&self) -> &'static str {
        match self.kind {
            1 => "X.509",
            2 => "PKCS#7 signed data",
            3 => "reserved",
            4 => "terminal server protocol stack",
            _ => "unknown",
        }
    }
}

/// Every certificate of the table, up to the first that is damaged.
#[must_use]
pub fn certificates<'data>(pe: &Pe<'data>) -> (Vec<Certificate<'data>>, Option<Damage>) {
    let mut found = Vec::new();
    let Some(directory) = pe.directory(IMAGE_DIRECTORY_ENTRY_SECURITY) else {
        return (found, None);
    };
    let (start, size) = (directory.virtual_address.get(LE), directory.size.get(LE));
    let structure = "certificate table";
    let Some(table) = bytes_at(pe.data, start.into(), size.into()) else {
        let message = format!("{size:#x} bytes, of which not all are in the file");
        return (found, Some(Damage::new(structure, u64::from(start), message)));
    };
    let mut at = 0_usize;
    while at < table.len() {
        let offset = u64::from(start) + at as u64;
        let rest = &table[at..];
        let Some((header, _)) = rest.split_first_chunk::<8>() else {
            return (found, Some(Damage::new(structure, offset, "the entry is cut off")));
        };
        let length = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let Some(bytes) = rest.get(8..length) else {
            let message = format!("an entry of {length:#x} bytes where {:#x} are left", rest.len());
            return (found, Some(Damage::new(structure, offset, message)));
        };
        found.push(Certificate {
            offset,
            revision: u16::from_le_bytes([header[4], header[5]]),
            kind: u16::from_le_bytes([header[6], header[7]]),
            bytes,
        });
        at += length.next_multiple_of(8);
    }
    (found, None)
}
