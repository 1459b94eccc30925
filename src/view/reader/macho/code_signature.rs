//! The code signature: which blobs it has, and whether the pages are what it was made for.
//!
//! xnu's `osfmk/kern/cs_blobs.h`, and `cs_validate_csblob` and `cs_validate_hash` in `bsd/kern/ubc_subr.c`.

use object::BigEndian;
use object::macho::{CS_HASHTYPE_SHA256, CS_HASHTYPE_SHA256_TRUNCATED, LC_CODE_SIGNATURE};
use object::read::macho::{CodeDirectory, CodeSignature, CodeSignatureBlob};
use sha2::{Digest, Sha256};

use super::super::{Budget, Damage, Name, bytes_at, counted};
use super::MachO;

/// The signature of an image: one blob that holds others.
#[derive(Clone, Debug)]
pub struct SignatureBlobs<'data> {
    /// Where it lies in the file.
    pub offset: u64,
    /// How many bytes the load command gives it.
    pub size: u64,
    /// The outer blob, as `object` reads it.
    pub signature: CodeSignature<'data>,
    /// The blobs in it, up to the first that is damaged.
    pub blobs: Vec<SignatureBlob<'data>>,
    /// What could not be read of them.
    pub damage: Option<Damage>,
}

/// A blob, and a code directory if it is one.
#[derive(Clone, Copy, Debug)]
pub struct SignatureBlob<'data> {
    /// The blob.
    pub blob: CodeSignatureBlob<'data>,
    /// What is signed, where it says that.
    pub directory: Option<CodeDirectory<'data>>,
}

/// What a code directory says, as far as it is whole.
#[derive(Clone, Debug)]
pub struct CodeDirectoryView<'data> {
    /// The identifier.
    pub identifier: Result<Name<'data>, Damage>,
    /// The team; `None` where there is none.
    pub team: Option<Name<'data>>,
    /// What became of each page, in order; empty where its kind of hash is not known here.
    pub pages: Result<Vec<PageHash>, Damage>,
}

/// Whether a page is what was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageHash {
    /// Its bytes have the hash.
    Right,
    /// They have another: the kernel kills a process that touches the page.
    Wrong,
}

impl<'data> SignatureBlobs<'data> {
    /// Reads the signature; `None` where the image has none.
    ///
    /// # Errors
    /// When it is not in the file, or starts with another blob.
    pub fn of(image: &MachO<'data>) -> Result<Option<Self>, Damage> {
        let structure = "code signature";
        let Some((command, bytes)) = image.linkedit(LC_CODE_SIGNATURE, structure)? else {
            return Ok(None);
        };
        let offset = u64::from(command.dataoff.get(image.endian));
        let wrong = |error| Damage::new(structure, offset, error);
        let signature = CodeSignature::parse(bytes).map_err(wrong)?;
        let (mut blobs, mut damage) = (Vec::new(), None);
        for blob in signature.blobs() {
            let read =
                blob.and_then(|blob| Ok(SignatureBlob { blob, directory: blob.code_directory()? }));
            match read {
                Ok(blob) => blobs.push(blob),
                Err(error) => {
                    damage = Some(wrong(error));
                    break;
                }
            }
        }
        let size = bytes.len() as u64;
        Ok(Some(Self { offset, size, signature, blobs, damage }))
    }

    /// What the code directories say, in order, each with whether the pages are what was signed.
    pub fn directories(
        &self,
        image: &MachO<'data>,
    ) -> impl Iterator<Item = (CodeSignatureBlob<'data>, CodeDirectory<'data>, CodeDirectoryView<'data>)>
    {
        // Directories of several kinds of hashes are usual, hundreds of them over the same pages are not.
        let mut budget = Budget::new("code directories", image.data.len().saturating_mul(8), 1);
        self.blobs.iter().filter_map(move |blob| {
            let directory = blob.directory?;
            let offset = self.offset.saturating_add(blob.blob.offset().into());
            let view = CodeDirectoryView::new(directory, image, offset, &mut budget);
            Some((blob.blob, directory, view))
        })
    }
}

impl<'data> CodeDirectoryView<'data> {
    fn new(
        directory: CodeDirectory<'data>,
        image: &MachO<'data>,
        offset: u64,
        budget: &mut Budget,
    ) -> Self {
        let wrong = |error| Damage::new("code directory", offset, error);
        Self {
            identifier: directory.ident().map(Name::new).map_err(wrong),
            team: directory.team_id().ok().flatten().map(Name::new),
            pages: pages(directory, image, offset, budget),
        }
    }
}

/// Hashes each page that the directory covers.
fn pages(
    directory: CodeDirectory<'_>,
    image: &MachO<'_>,
    offset: u64,
    budget: &mut Budget,
) -> Result<Vec<PageHash>, Damage> {
    let wrong = |message: String| Damage::new("code directory", offset, message);
    let header = directory.header();
    let (slots, limit) = (header.n_code_slots.get(BigEndian), directory.code_limit());
    if ![CS_HASHTYPE_SHA256, CS_HASHTYPE_SHA256_TRUNCATED].contains(&header.hash_type) {
        return Ok(Vec::new());
    }
    let code = bytes_at(image.data, 0, limit)
        .ok_or_else(|| wrong(format!("it covers {limit:#x} bytes, more than the file has")))?;
    budget.take(limit)?;
    let page = match header.page_size {
        // One hash for all of it.
        0 => code.len().max(1),
        shift @ 1..32 => 1 << shift,
        shift => return Err(wrong(format!("a page of 2^{shift} bytes"))),
    };
    let needed = code.len().div_ceil(page);
    if needed != slots as usize {
        return Err(wrong(format!(
            "{} for {}",
            counted(slots, "hash", "hashes"),
            counted(needed, "page", "pages")
        )));
    }
    let mut found = Vec::with_capacity(needed);
    for (index, page) in (0..slots).zip(code.chunks(page)) {
        let expected = directory.code_hash(index).map_err(|error| wrong(error.to_string()))?;
        let hash = Sha256::digest(page);
        let right = !expected.is_empty() && hash.starts_with(expected);
        found.push(if right { PageHash::Right } else { PageHash::Wrong });
    }
    Ok(found)
}
