//! The identity and the signature: what depends on all other bytes.
//!
//! The signature is ad hoc: it names nobody, and holds a hash of every 4 KiB of the file before it (xnu
//! `cs_validate_codedirectory`). It says that a linker made it, so that `codesign` and `strip` may replace
//! it. The UUID is a hash of those hashes, taken while its own bytes are zeros; then the pages that it
//! lies in are hashed again.

use std::io;
use std::thread;

use object::macho;
use object::write::macho::{CodeDirectory, CodeSignatureEncoder};
use sha2::{Digest, Sha256};

use super::MachO;
use super::commands::uuid_offset;
use super::plan::{SIGNATURE, TEXT};
use crate::format::Linked;
use crate::format::output::Output;
use crate::format::plan::Role;
use crate::program::OutputKind;
use crate::units::{Align, FileOffset};

/// What the signature's file offset is a multiple of, as Apple's linker has it.
pub(super) const SIGNATURE_ALIGN: Align = Align::of(16);

/// Bytes that one hash covers: what xnu takes on every host.
const PAGE: usize = 0x1000;
const PAGE_SHIFT: u8 = 12;

/// A hash of a page.
type Hash = [u8; 32];

/// Bytes from which on more threads than one are worth their start, measured (docs/MEASUREMENTS.md).
const WORTH_THREADS: usize = 1 << 20;

/// Bytes of the signature of a file whose first `code_limit` bytes it covers.
pub(super) fn signature_size(identifier: &str, code_limit: u64) -> u64 {
    let hashes = code_limit.div_ceil(PAGE as u64) * size_of::<Hash>() as u64;
    u64::from(hashes_offset(identifier)) + u64::from(blobs_size()) + hashes
}

/// Bytes before the code directory: the super blob and its one index entry.
fn blobs_size() -> u32 {
    let encoder = CodeSignatureEncoder;
    encoder.super_blob_size() + encoder.blob_index_size()
}

/// Where in the code directory the hashes start: behind its header and the identifier with its NUL.
fn hashes_offset(identifier: &str) -> u32 {
    let identifier = u32::try_from(identifier.len() + 1).expect("a name is far shorter than 4 GiB");
    CodeSignatureEncoder.code_directory_size(macho::CS_SUPPORTSEXECSEG) + identifier
}

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
        *hash = Sha256::digest(page).into();
    }
    output.patch(uuid, &identity)?;
    output.patch(FileOffset(code_limit), &encode(linked, code_limit, &hashes))
}

/// Hashes every page; where there is much, on several threads.
fn hash_pages(bytes: &[u8], threads: usize) -> Vec<Hash> {
    let hash_all = |bytes: &[u8]| -> Vec<Hash> {
        bytes.chunks(PAGE).map(|page| Sha256::digest(page).into()).collect()
    };
    if threads < 2 || bytes.len() < WORTH_THREADS {
        return hash_all(bytes);
    }
    let share = bytes.len().div_ceil(threads).next_multiple_of(PAGE);
    thread::scope(|scope| {
        let workers: Vec<_> =
            bytes.chunks(share).map(|part| scope.spawn(move || hash_all(part))).collect();
        let parts = workers.into_iter().map(|worker| worker.join().expect("hashing cannot panic"));
        parts.flatten().collect()
    })
}

/// A UUID from the hashes, marked as one that was made from a name (RFC 9562, version 8: by own means).
fn identity(hashes: &[Hash]) -> [u8; 16] {
    let digest = Sha256::digest(hashes.as_flattened());
    let mut uuid: [u8; 16] = digest[..16].try_into().expect("16 of 32 bytes");
    uuid[6] = uuid[6] & 0x0f | 0x80;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    uuid
}

fn encode(linked: &Linked<'_, MachO>, code_limit: u64, hashes: &[Hash]) -> Vec<u8> {
    let identifier = &linked.gathered.program.name;
    let encoder = CodeSignatureEncoder;
    let number = super::commands::number;
    let hash_offset = hashes_offset(identifier);
    let length = hash_offset + number(size_of_val(hashes) as u64);
    let text = linked.layout.segments.iter().find(|segment| segment.name == TEXT);
    let text = text.expect("every file has the segment that holds its headers");
    let mut bytes = Vec::new();
    encoder.signature_super_blob(&mut bytes, blobs_size() + length, 1);
    encoder.blob_index(&mut bytes, macho::CSSLOT_CODEDIRECTORY, blobs_size());
    let directory = CodeDirectory {
        length,
        version: macho::CS_SUPPORTSEXECSEG,
        flags: macho::CS_ADHOC | macho::CS_LINKER_SIGNED,
        hash_offset,
        ident_offset: encoder.code_directory_size(macho::CS_SUPPORTSEXECSEG),
        n_special_slots: 0,
        n_code_slots: super::tables::count(hashes.len()),
        code_limit,
        hash_size: u8::try_from(size_of::<Hash>()).expect("32"),
        hash_type: macho::CS_HASHTYPE_SHA256,
        platform: 0,
        page_size: PAGE_SHIFT,
        scatter_offset: 0,
        team_offset: 0,
        exec_seg_base: text.offset.0,
        exec_seg_limit: text.file_size.0,
        exec_seg_flags: match linked.gathered.program.kind {
            OutputKind::Executable => macho::CS_EXECSEG_MAIN_BINARY,
            OutputKind::SharedLibrary => macho::CsExecSegFlags(0),
        },
    };
    encoder.code_directory(&mut bytes, &directory);
    bytes.extend_from_slice(identifier.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(hashes.as_flattened());
    bytes
}
