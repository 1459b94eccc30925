//! The exports trie: reads all symbols that an image exports, and checks its nodes as `ExportsTrie::valid` does.

use std::collections::{HashMap, HashSet};

use crate::bytes::Cursor;
use crate::rule::{Refusal, Rule};

/// An exported symbol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Export {
    /// At an offset from the header.
    Offset(u64),
    /// At an absolute address.
    Absolute(u64),
    /// Another library's, by ordinal and (if different) name.
    Reexport {
        /// Library ordinal.
        ordinal: u64,
        /// Its name there, if another.
        name: Option<String>,
    },
}

/// `EXPORT_SYMBOL_FLAGS_…`
const KIND_MASK: u64 = 3;
const KIND_ABSOLUTE: u64 = 2;
const REEXPORT: u64 = 8;
const STUB_AND_RESOLVER: u64 = 0x10;
const KNOWN_FLAGS: u64 = 0x3f;

/// Reads a trie. `image_size` is the least offset from the header that is outside the image.
///
/// # Errors
/// A node that is incomplete, or wrong.
pub fn parse(bytes: &[u8], image_size: u64) -> Result<HashMap<String, Export>, Refusal> {
    let mut exports = HashMap::new();
    if bytes.is_empty() {
        return Ok(exports);
    }
    let mut visited = HashSet::new();
    let mut nodes = vec![(0usize, String::new())];
    while let Some((offset, prefix)) = nodes.pop() {
        let bad = |what: &str| Rule::ExportsTrie.refuse(format!("node {offset:#x}: {what}"));
        if !visited.insert(offset) {
            return Err(bad("it is reached twice"));
        }
        let mut cursor = Cursor::new(bytes, offset);
        let size = cursor
            .uleb128()
            .and_then(|size| usize::try_from(size).ok())
            .ok_or_else(|| bad("it has no size"))?;
        let children = cursor
            .offset
            .checked_add(size)
            .filter(|&end| end < bytes.len())
            .ok_or_else(|| bad("its information does not fit"))?;
        if size > 0 {
            let export = parse_export(&mut cursor, image_size).map_err(|what| bad(&what))?;
            if cursor.offset > children {
                return Err(bad("its information is longer than it says"));
            }
            exports.insert(prefix.clone(), export);
        }
        let mut cursor = Cursor::new(bytes, children);
        let count = cursor.byte().ok_or_else(|| bad("it has no children count"))?;
        for _ in 0..count {
            let edge = cursor.string().ok_or_else(|| bad("an edge has no end"))?;
            let child = cursor
                .uleb128()
                .and_then(|child| usize::try_from(child).ok())
                .ok_or_else(|| bad("an edge leads nowhere"))?;
            if child == 0 || child >= bytes.len() {
                return Err(bad(&format!("the edge {edge:?} leads to {child:#x}")));
            }
            nodes.push((child, format!("{prefix}{edge}")));
        }
    }
    Ok(exports)
}

fn parse_export(cursor: &mut Cursor<'_>, image_size: u64) -> Result<Export, String> {
    let incomplete = || "its information is incomplete".to_owned();
    let flags = cursor.uleb128().ok_or_else(incomplete)?;
    if flags & !KNOWN_FLAGS != 0 {
        return Err(format!("the flags {flags:#x} are unknown"));
    }
    if flags & STUB_AND_RESOLVER != 0 {
        return Err("a resolver, which the small macOS does not run".to_owned());
    }
    if flags & REEXPORT != 0 {
        let ordinal = cursor.uleb128().ok_or_else(incomplete)?;
        let name = cursor.string().ok_or_else(incomplete)?;
        return Ok(Export::Reexport {
            ordinal,
            name: Some(name.to_owned()).filter(|name| !name.is_empty()),
        });
    }
    let value = cursor.uleb128().ok_or_else(incomplete)?;
    if flags & KIND_MASK == KIND_ABSOLUTE {
        return Ok(Export::Absolute(value));
    }
    if value > image_size {
        return Err(format!("the offset {value:#x} is outside the image"));
    }
    Ok(Export::Offset(value))
}
