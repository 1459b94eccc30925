//! The image's check sum, as Windows computes it for drivers and boot images.
//!
//! `CheckSumMappedFile`: the sum of all 16-bit words with the carry added back in, the field itself as zero, plus the
//! file's length.

use super::Pe;

/// Where the field lies, behind the start of the PE headers: signature, file header, 64 bytes of optional header.
const FIELD: u64 = 4 + 20 + 64;

/// What the field `CheckSum` would have to be.
#[must_use]
pub fn checksum(pe: &Pe<'_>) -> u32 {
    let field = pe.headers_offset + FIELD;
    let is_field = |offset: usize| (field..field + 4).contains(&(offset as u64));
    let mut sum = 0_u64;
    for (index, pair) in pe.data.chunks(2).enumerate() {
        let byte = |at: usize| {
            let there = pair.get(at).filter(|_| !is_field(index * 2 + at));
            there.map_or(0, |byte| u64::from(*byte))
        };
        sum += byte(0) | byte(1) << 8;
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let length = pe.data.len() as u64;
    u32::try_from((sum + length) & 0xffff_ffff).unwrap_or(u32::MAX)
}
