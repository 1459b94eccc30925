//! The identity and the signature: what depends on all other bytes.
//!
//! The UUID is a hash of the signature's hashes, taken while its own bytes are zeros; then the pages that it
//! lies in are hashed again.

use std::io;

use sha2::{Digest, Sha256};

use super::MachO;
use super::commands::uuid_offset;
use super::plan::{SIGNATURE, TEXT};
use super::signature::{Hash, PAGE, Signed, encode, hash_page, hash_pages};
use crate::format::Linked;
use crate::format::output::Output;
use crate::format::plan::Role;
use crate::program::OutputKind;
use crate::units::FileOffset;

pub(super) fn seal(
    linked: &Linked<'_, MachO>,
    threads: usize,
    output: &mut Output,
) -> io::Result<()> {
    let signature = linked.layout.section(Role::Table(SIGNATURE));
    let signature = signature.expect("every file is signed");
    let code_limit = signature.offset.0;
    let uuid = uuid_offset(linked);
    let uuid_pages = uuid.0 / PAGE as u64..(uuid.0 + 15) / PAGE as u64 + 1;

    let mut hashes: Vec<Hash> = Vec::new();
    let mut pages_of_uuid = Vec::new();
    let mut position = 0;
    output.read_back(|bytes| {
        let until = usize::try_from(code_limit.saturating_sub(position)).unwrap_or(usize::MAX);
        let bytes = &bytes[..bytes.len().min(until)];
        for (index, page) in (position / PAGE as u64..).zip(bytes.chunks(PAGE)) {
            if index >= uuid_pages.end {
                break;
            }
            if uuid_pages.contains(&index) {
                pages_of_uuid.extend_from_slice(page);
            }
        }
        hashes.extend(hash_pages(bytes, threads));
        position += bytes.len() as u64;
    })?;
    if hashes.is_empty() {
        return Ok(()); // the output keeps nothing
    }

    let identity = identity(&hashes);
    let in_pages = usize::try_from(uuid.0 % PAGE as u64).expect("an offset in a page");
    pages_of_uuid[in_pages..in_pages + identity.len()].copy_from_slice(&identity);
    let first = usize::try_from(uuid_pages.start).expect("the headers fit in memory");
    for (hash, page) in hashes[first..].iter_mut().zip(pages_of_uuid.chunks(PAGE)) {
        *hash = hash_page(page);
    }
    output.patch(uuid, &identity)?;

    let text = linked.layout.segments.iter().find(|segment| segment.name == TEXT);
    let text = text.expect("every file has the segment that holds its headers");
    let signed = Signed {
        identifier: &linked.gathered.program.name,
        code_limit,
        code_offset: text.offset.0,
        code_size: text.file_size.0,
        is_main: linked.gathered.program.kind == OutputKind::Executable,
    };
    output.patch(FileOffset(code_limit), &encode(&signed, &hashes))
}

/// A UUID from the hashes, marked as one that was made from a name (RFC 9562, version 8: by own means).
fn identity(hashes: &[Hash]) -> [u8; 16] {
    let digest = Sha256::digest(hashes.as_flattened());
    let mut uuid: [u8; 16] = digest[..16].try_into().expect("16 of 32 bytes");
    uuid[6] = uuid[6] & 0x0f | 0x80;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    uuid
}
