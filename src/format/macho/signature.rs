//! An ad hoc signature: a hash of every page of the file before it, and what the kernel asks beside them.
//!
//! It names nobody; xnu compares each page with its hash when it maps it (`cs_validate_codedirectory`,
//! `vm_page_validate_cs`). It says that a linker made it, so that `codesign` and `strip` may replace it.

use std::num::NonZero;
use std::thread;

use object::macho;
use object::write::macho::{CodeDirectory, CodeSignatureEncoder};
use sha2::{Digest, Sha256};

use super::commands::number;
use crate::format::Options;
use crate::units::Align;

/// What the signature's file offset is a multiple of, as Apple's linker has it.
pub(super) const SIGNATURE_ALIGN: Align = Align::of(16);

/// Bytes that one hash covers: what xnu takes on every host.
pub(super) const PAGE: usize = 0x1000;
const PAGE_SHIFT: u8 = 12;

/// A hash of a page.
pub(super) type Hash = [u8; 32];

/// Bytes from which on more threads than one are worth their start, measured (docs/MEASUREMENTS.md).
const WORTH_THREADS: usize = 1 << 20;

/// What a signature says beside its hashes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed<'s> {
    /// What the system's tools call the program.
    pub(super) identifier: &'s str,
    /// How many bytes of the file it covers: all before it.
    pub(super) code_limit: u64,
    /// Where the segment with the code starts in the file.
    pub(super) code_offset: u64,
    /// How many bytes of the file that segment has.
    pub(super) code_size: u64,
    /// Whether the file is a program, not a library.
    pub(super) is_main: bool,
}

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

/// Hashes a page.
pub(super) fn hash_page(page: &[u8]) -> Hash {
    Sha256::digest(page).into()
}

/// Hashes every page; where there is much, on several threads.
pub(super) fn hash_pages(bytes: &[u8], threads: usize) -> Vec<Hash> {
    let hash_all = |bytes: &[u8]| -> Vec<Hash> { bytes.chunks(PAGE).map(hash_page).collect() };
    if threads < 2 || bytes.len() < WORTH_THREADS {
        return hash_all(bytes);
    }
    let threads = match threads {
        Options::ALL_THREADS => thread::available_parallelism().map_or(1, NonZero::get),
        threads => threads.min(bytes.len() / PAGE),
    };
    let share = bytes.len().div_ceil(threads).next_multiple_of(PAGE);
    thread::scope(|scope| {
        let workers: Vec<_> =
            bytes.chunks(share).map(|part| scope.spawn(move || hash_all(part))).collect();
        let parts = workers.into_iter().map(|worker| worker.join().expect("hashing cannot panic"));
        parts.flatten().collect()
    })
}

/// The signature's bytes.
pub(super) fn encode(signed: &Signed<'_>, hashes: &[Hash]) -> Vec<u8> {
    let encoder = CodeSignatureEncoder;
    let hash_offset = hashes_offset(signed.identifier);
    let length = hash_offset + number(size_of_val(hashes) as u64);
    let mut bytes = Vec::with_capacity((blobs_size() + length) as usize);
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
        code_limit: signed.code_limit,
        hash_size: u8::try_from(size_of::<Hash>()).expect("32"),
        hash_type: macho::CS_HASHTYPE_SHA256,
        platform: 0,
        page_size: PAGE_SHIFT,
        scatter_offset: 0,
        team_offset: 0,
        exec_seg_base: signed.code_offset,
        exec_seg_limit: signed.code_size,
        exec_seg_flags: if signed.is_main {
            macho::CS_EXECSEG_MAIN_BINARY
        } else {
            macho::CsExecSegFlags(0)
        },
    };
    encoder.code_directory(&mut bytes, &directory);
    bytes.extend_from_slice(signed.identifier.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(hashes.as_flattened());
    bytes
}
