//! The code signature, as xnu's `ubc_subr.c` reads it: superblob, `CodeDirectories` and the hash of every page.
//! An unsigned file is refused on arm64. A signature that is there must be right on both architectures: on Intel xnu would only mark the process as invalid.

use sha2::{Digest, Sha256, Sha384};

use crate::arch::Arch;
use crate::bytes::{be_u32_at, be_u64_at, slice, string_at};
use crate::engine::Protection;
use crate::macho::{LoadCommand, Segment, command};
use crate::rule::{Refusal, Rule};

/// `CSMAGIC_EMBEDDED_SIGNATURE`
const EMBEDDED_SIGNATURE: u32 = 0xfade_0cc0;
/// `CSMAGIC_CODEDIRECTORY`
const CODE_DIRECTORY: u32 = 0xfade_0c02;
/// Slots of the index that hold `CodeDirectories`: the first, and `CSSLOT_ALTERNATE_CODEDIRECTORIES` with five places.
const CODE_DIRECTORY_SLOTS: [u32; 6] = [0, 0x1000, 0x1001, 0x1002, 0x1003, 0x1004];
/// Size of a `CodeDirectory` up to its first optional field, in bytes.
const CODE_DIRECTORY_SIZE: u64 = 44;
/// From these versions on the `CodeDirectory` has these fields (`CS_SUPPORTSTEAMID`, `CS_SUPPORTSCODELIMIT64`).
const SUPPORTS_TEAM: u32 = 0x20200;
const SUPPORTS_CODE_LIMIT_64: u32 = 0x20300;
/// Versions older than this or of another major line are unknown.
const EARLIEST_VERSION: u32 = 0x20001;

/// Hashes a page.
type Hash = fn(&[u8]) -> Vec<u8>;

/// A hash of the table in `kern_cs.c`. SHA-1 pages are not recomputed here: no macOS that this models relies on them alone.
struct HashType {
    number: u8,
    size: u64,
    hash: Option<Hash>,
}

const HASH_TYPES: [HashType; 4] = [
    HashType { number: 1, size: 20, hash: None },
    HashType { number: 2, size: 32, hash: Some(|bytes| Sha256::digest(bytes).to_vec()) },
    HashType { number: 3, size: 20, hash: Some(|bytes| Sha256::digest(bytes)[..20].to_vec()) },
    HashType { number: 4, size: 48, hash: Some(|bytes| Sha384::digest(bytes).to_vec()) },
];

/// Checks the signature that the commands name, if any.
///
/// # Errors
/// The rule broken.
pub fn accept(
    arch: Arch,
    file: &[u8],
    commands: &[LoadCommand<'_>],
    segments: &[Segment],
) -> Result<(), Refusal> {
    let Some(load) = commands.iter().find(|load| load.command == command::CODE_SIGNATURE) else {
        return Rule::SignatureMissing
            .require(arch.info().lenient, || "there is no LC_CODE_SIGNATURE".into());
    };
    let (offset, size) = load.file_range(8);
    let signature = slice(file, offset, size).ok_or_else(|| {
        Rule::SignatureCommand.refuse(format!("it says {size:#x} bytes at {offset:#x}"))
    })?;
    let directories = code_directories(arch, signature)?;
    for directory in &directories {
        directory.accept_pages(arch, file, segments)?;
    }
    Ok(())
}

/// The fields of a `CodeDirectory` that the kernel goes by.
struct CodeDirectory<'data> {
    hash_type: &'static HashType,
    page_size: u64,
    code_limit: u64,
    hashes: &'data [u8],
}

fn code_directories(arch: Arch, signature: &[u8]) -> Result<Vec<CodeDirectory<'_>>, Refusal> {
    let bad = |found: &str| Rule::SuperBlob.refuse(found);
    let magic = be_u32_at(signature, 0).ok_or_else(|| bad("it is empty"))?;
    Rule::SuperBlob.require(magic == EMBEDDED_SIGNATURE, || format!("the magic is {magic:#x}"))?;
    let length = u64::from(be_u32_at(signature, 4).ok_or_else(|| bad("it has no length"))?);
    let blob = slice(signature, 0, length).ok_or_else(|| {
        Rule::SuperBlob
            .refuse(format!("its length {length:#x} is above datasize {:#x}", signature.len()))
    })?;
    let count = u64::from(be_u32_at(blob, 8).ok_or_else(|| bad("it has no count"))?);

    let mut directories: Vec<CodeDirectory<'_>> = Vec::new();
    for index in 0..count {
        let (kind, offset) =
            be_u32_at(blob, 12 + index * 8).zip(be_u32_at(blob, 16 + index * 8)).ok_or_else(
                || Rule::SuperBlob.refuse(format!("{count} index entries do not fit")),
            )?;
        let part = be_u32_at(blob, u64::from(offset) + 4)
            .and_then(|size| slice(blob, u64::from(offset), u64::from(size)))
            .ok_or_else(|| {
                Rule::SuperBlob.refuse(format!("entry {index} at {offset:#x} does not fit"))
            })?;
        if CODE_DIRECTORY_SLOTS.contains(&kind) {
            let directory = CodeDirectory::parse(arch, part)?;
            let twice = directories
                .iter()
                .any(|other| other.hash_type.number == directory.hash_type.number);
            Rule::SignatureHashType.require(!twice, || {
                format!("type {} is there twice", directory.hash_type.number)
            })?;
            directories.push(directory);
        }
    }
    Rule::CodeDirectory.require(!directories.is_empty(), || "there is none".into())?;
    Ok(directories)
}

impl<'data> CodeDirectory<'data> {
    fn parse(arch: Arch, bytes: &'data [u8]) -> Result<CodeDirectory<'data>, Refusal> {
        let length = bytes.len() as u64;
        Rule::CodeDirectory
            .require(length >= CODE_DIRECTORY_SIZE, || format!("its length is {length}"))?;
        let field = |offset| be_u32_at(bytes, offset).unwrap_or(0);
        Rule::CodeDirectory
            .require(field(0) == CODE_DIRECTORY, || format!("its magic is {:#x}", field(0)))?;
        let version = field(8);
        Rule::CodeDirectory.require((EARLIEST_VERSION..0x30000).contains(&version), || {
            format!("its version is {version:#x}")
        })?;
        let (hash_size, hash_type, page_shift) = (bytes[36], bytes[37], bytes[39]);
        let hash_type = HASH_TYPES
            .iter()
            .find(|known| known.number == hash_type && known.size == u64::from(hash_size))
            .ok_or_else(|| {
                Rule::SignatureHashType.refuse(format!("type {hash_type}, size {hash_size}"))
            })?;
        let host = arch.page_size().trailing_zeros();
        Rule::SignaturePageSize
            .require(u32::from(page_shift) == 12 || u32::from(page_shift) == host, || {
                format!("the shift is {page_shift}")
            })?;

        let (hash_offset, special, code) =
            (u64::from(field(16)), u64::from(field(24)), u64::from(field(28)));
        let begins_behind = hash_offset
            .checked_sub(special * hash_type.size)
            .is_some_and(|start| start >= CODE_DIRECTORY_SIZE);
        Rule::CodeDirectory.require(begins_behind, || {
            format!("{special} special hashes do not fit before {hash_offset:#x}")
        })?;
        let hashes = slice(bytes, hash_offset, code * hash_type.size).ok_or_else(|| {
            Rule::CodeDirectory
                .refuse(format!("{code} hashes do not fit behind {hash_offset:#x} of {length:#x}"))
        })?;

        Rule::SignatureIdentifier
            .require(string_at(bytes, u64::from(field(20))).is_some(), || {
                format!("it is at {:#x}", field(20))
            })?;
        let team = if version >= SUPPORTS_TEAM { field(48) } else { 0 };
        Rule::SignatureIdentifier
            .require(team == 0 || string_at(bytes, u64::from(team)).is_some(), || {
                format!("the team is at {team:#x}")
            })?;

        let limit_64 =
            if version >= SUPPORTS_CODE_LIMIT_64 { be_u64_at(bytes, 56).unwrap_or(0) } else { 0 };
        let code_limit = if limit_64 == 0 { u64::from(field(32)) } else { limit_64 };
        Ok(CodeDirectory { hash_type, page_size: 1 << page_shift, code_limit, hashes })
    }

    fn accept_pages(&self, arch: Arch, file: &[u8], segments: &[Segment]) -> Result<(), Refusal> {
        let slots = self.hashes.len() as u64 / self.hash_type.size;
        let pages = self.code_limit.div_ceil(self.page_size);
        Rule::SignatureSlots
            .require(pages <= slots, || format!("{slots} hashes for {pages} pages"))?;
        let code = slice(file, 0, self.code_limit).ok_or_else(|| {
            Rule::SignatureSlots
                .refuse(format!("codeLimit {:#x} is behind the file's end", self.code_limit))
        })?;

        for segment in segments
            .iter()
            .filter(|segment| Protection(segment.initial_protection).contains(Protection::EXECUTE))
        {
            let end = arch.page_up(segment.file_offset + segment.file_size);
            let covered = self.code_limit / self.page_size * self.page_size;
            Rule::SignatureCoverage.require(end <= covered, || {
                format!("{} ends at {end:#x}, codeLimit is {:#x}", segment.name, self.code_limit)
            })?;
        }
        let Some(hash) = self.hash_type.hash else { return Ok(()) };
        let pages = code.chunks(usize::try_from(self.page_size).expect("a page size"));
        for (index, (page, expected)) in pages
            .zip(self.hashes.chunks(usize::try_from(self.hash_type.size).expect("a hash size")))
            .enumerate()
        {
            Rule::SignaturePageHash.require(hash(page) == expected, || {
                format!(
                    "page {index}, at file offset {:#x}, has another",
                    index as u64 * self.page_size
                )
            })?;
        }
        Ok(())
    }
}
