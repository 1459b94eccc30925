//! Symbol resolution: which address an import has, by the ordinal of its library, as `Loader::resolveSymbol`.

use super::image::{Image, Library};
use super::trie::Export;
use crate::rule::{Refusal, Rule};
use crate::system;

/// Special ordinals (`BIND_SPECIAL_DYLIB_…`).
const SELF: i64 = 0;
const MAIN_EXECUTABLE: i64 = -1;
const FLAT_LOOKUP: i64 = -2;
const WEAK_LOOKUP: i64 = -3;

/// Re-exports may form a chain, never a long one.
const MOST_REEXPORTS: u32 = 32;

/// An imported symbol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Which library has it: 1 is the first, 0 the image itself; negative ones are special.
    pub ordinal: i64,
    /// The symbol.
    pub name: String,
    /// Whether it may be missing.
    pub weak: bool,
    /// Added to its address.
    pub addend: i64,
}

/// The address of an import of image `importer`, without the addend; `None` for a weak import that is missing.
///
/// # Errors
/// An unknown ordinal, or a missing symbol.
pub fn resolve(images: &[Image], importer: usize, import: &Import) -> Result<Option<u64>, Refusal> {
    let name = import.name.as_str();
    let (found, place) = match import.ordinal {
        SELF => (find_in_image(images, importer, name, 0), images[importer].leaf_name().to_owned()),
        MAIN_EXECUTABLE => (find_in_image(images, 0, name, 0), images[0].leaf_name().to_owned()),
        FLAT_LOOKUP | WEAK_LOOKUP => (find_anywhere(images, name), "any image".to_owned()),
        ordinal => {
            let link = usize::try_from(ordinal)
                .ok()
                .and_then(|ordinal| images[importer].links.get(ordinal.checked_sub(1)?))
                .ok_or_else(|| {
                    Rule::LibraryOrdinal.refuse(format!(
                        "{name} has {ordinal}; {} libraries are linked",
                        images[importer].links.len()
                    ))
                })?;
            (find_in_library(images, link.library, name, 0), link.name.clone())
        }
    };
    if found.is_none() && !import.weak {
        return Err(Rule::SymbolMissing.refuse(format!("{name} is not in {place}")));
    }
    Ok(found)
}

/// The definition that all images share of a symbol with weak definitions: the first in the order of loading.
#[must_use]
pub fn find_anywhere(images: &[Image], name: &str) -> Option<u64> {
    (0..images.len())
        .find_map(|index| find_in_image(images, index, name, 0))
        .or_else(|| system::symbol(name))
}

fn find_in_library(images: &[Image], library: Library, name: &str, depth: u32) -> Option<u64> {
    match library {
        Library::System => system::symbol(name),
        Library::Image(index) => find_in_image(images, index, name, depth),
        Library::Missing => None,
    }
}

fn find_in_image(images: &[Image], index: usize, name: &str, depth: u32) -> Option<u64> {
    if depth > MOST_REEXPORTS {
        return None;
    }
    let image = &images[index];
    match image.exports.get(name) {
        Some(Export::Offset(offset)) => Some(image.address().wrapping_add(*offset)),
        Some(Export::Absolute(address)) => Some(*address),
        Some(Export::Reexport { ordinal, name: other }) => {
            let link = image.links.get(usize::try_from(ordinal.checked_sub(1)?).ok()?)?;
            find_in_library(images, link.library, other.as_deref().unwrap_or(name), depth + 1)
        }
        None => image
            .links
            .iter()
            .filter(|link| link.reexport)
            .find_map(|link| find_in_library(images, link.library, name, depth + 1)),
    }
}
