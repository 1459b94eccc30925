//! The exports trie: a prefix tree of the names that a file exports.
//!
//! dyld's `mach_o/ExportsTrie.cpp` reads it node by node; this walks all of it. A node that is reached twice would
//! make names without end, and a chain of nodes that all end a name makes names of quadratic length: both are damage.

use object::macho::{
    EXPORT_SYMBOL_FLAGS_REEXPORT, EXPORT_SYMBOL_FLAGS_STUB_AND_RESOLVER, ExportSymbolFlags,
};
use object::read::Bytes;

use super::super::{Damage, Name};

/// How many bytes of names a byte of the trie may stand for. Names in real tries share much: five times is common.
const NAME_BYTES: usize = 32;

/// A walk over an exports trie, in its order. Ends at the first damage.
#[derive(Clone, Debug)]
pub struct ExportsTrie<'data> {
    data: &'data [u8],
    /// Where the trie lies in the file, for damage.
    start: u64,
    /// Nodes on the way from the root to the present one.
    path: Vec<Step<'data>>,
    /// What the path spells.
    name: Vec<u8>,
    /// By offset, whether a node was there.
    visited: Vec<bool>,
    /// Bytes of names that may still come.
    left: usize,
    /// The next node, if it is known.
    next: Option<u64>,
}

#[derive(Clone, Debug)]
struct Step<'data> {
    edges: Bytes<'data>,
    left: u8,
    name_length: usize,
}

/// A name of the trie, and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrieExport {
    /// The name.
    pub name: Name<'static>,
    /// Its flags (`EXPORT_SYMBOL_FLAGS_…`).
    pub flags: ExportSymbolFlags,
    /// What it stands for.
    pub target: TrieTarget,
    /// Where its node lies, in bytes from the start of the trie.
    pub node: u64,
}

/// What a name of the trie stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrieTarget {
    /// An offset from the header, or an absolute address where the flags say so.
    Address(u64),
    /// A name of another library.
    Reexport {
        /// The library, counted from 1 as the load commands name them.
        library: u64,
        /// Its name there; empty where it is the same.
        name: Name<'static>,
    },
    /// A stub, and a function that is asked which address to use. Both are offsets from the header.
    Resolver {
        /// The stub.
        stub: u64,
        /// The function.
        resolver: u64,
    },
}

impl<'data> ExportsTrie<'data> {
    /// A walk over a trie that lies at an offset of the file.
    #[must_use]
    pub fn new(data: &'data [u8], start: u64) -> Self {
        Self {
            data,
            start,
            path: Vec::new(),
            name: Vec::new(),
            visited: vec![false; data.len()],
            left: data.len().saturating_mul(NAME_BYTES),
            // Without exports, there may be no root.
            next: (!data.is_empty()).then_some(0),
        }
    }

    fn damage(&self, node: u64, message: impl std::fmt::Display) -> Damage {
        Damage::new("exports trie", self.start.saturating_add(node), message)
    }

    /// Reads a node, and takes it as the end of the path.
    fn enter(&mut self, node: u64) -> Result<Option<TrieExport>, Damage> {
        let index = usize::try_from(node).ok().filter(|index| *index < self.data.len());
        let size = self.data.len();
        let index = index.ok_or_else(|| {
            self.damage(node, format!("a node behind the trie's {size:#x} bytes"))
        })?;
        if std::mem::replace(&mut self.visited[index], true) {
            return Err(self.damage(node, "two edges lead to this node"));
        }
        let cut = "the node is cut off";
        let mut data = Bytes(&self.data[index..]);
        let size = data.read_uleb128().map_err(|()| self.damage(node, cut))?;
        let size = usize::try_from(size).map_err(|_| self.damage(node, cut))?;
        let terminal = data.read_bytes(size).map_err(|()| self.damage(node, cut))?;
        let export = if size == 0 { None } else { Some(self.export(terminal, node)?) };
        let left = *data.read::<u8>().map_err(|()| self.damage(node, cut))?;
        self.path.push(Step { edges: data, left, name_length: self.name.len() });
        Ok(export)
    }

    fn export(&mut self, mut data: Bytes<'data>, node: u64) -> Result<TrieExport, Damage> {
        let cut = |()| {
            Damage::new("exports trie", self.start.saturating_add(node), "the export is cut off")
        };
        let flags = ExportSymbolFlags(data.read_uleb128().map_err(cut)?);
        let first = data.read_uleb128().map_err(cut)?;
        let target = if flags.contains(EXPORT_SYMBOL_FLAGS_REEXPORT) {
            let name = data.read_string().map_err(cut)?;
            TrieTarget::Reexport { library: first, name: Name::owned(name.to_vec()) }
        } else if flags.contains(EXPORT_SYMBOL_FLAGS_STUB_AND_RESOLVER) {
            TrieTarget::Resolver { stub: first, resolver: data.read_uleb128().map_err(cut)? }
        } else {
            TrieTarget::Address(first)
        };
        match self.left.checked_sub(self.name.len()) {
            Some(left) => self.left = left,
            None => return Err(self.damage(node, "its names are far longer than the trie")),
        }
        Ok(TrieExport { name: Name::owned(self.name.clone()), flags, target, node })
    }

    /// The next node that there is: along the next edge of the deepest node that has one left.
    fn advance(&mut self) -> Result<Option<u64>, Damage> {
        while let Some(step) = self.path.last_mut() {
            self.name.truncate(step.name_length);
            if step.left == 0 {
                self.path.pop();
                continue;
            }
            step.left -= 1;
            let at = self.data.len() - step.edges.len();
            let edge = step.edges.read_string().and_then(|label| {
                let node = step.edges.read_uleb128()?;
                Ok((label, node))
            });
            let (label, node) = edge.map_err(|()| self.damage(at as u64, "the edge is cut off"))?;
            self.name.extend_from_slice(label);
            return Ok(Some(node));
        }
        Ok(None)
    }

    fn step(&mut self) -> Result<Option<TrieExport>, Damage> {
        loop {
            let node = match self.next.take() {
                Some(node) => node,
                None => match self.advance()? {
                    Some(node) => node,
                    None => return Ok(None),
                },
            };
            if let Some(export) = self.enter(node)? {
                return Ok(Some(export));
            }
        }
    }
}

impl Iterator for ExportsTrie<'_> {
    type Item = Result<TrieExport, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        let result = self.step();
        if result.is_err() {
            self.path.clear();
        }
        result.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: &[u8]) -> Vec<Result<TrieExport, Damage>> {
        ExportsTrie::new(data, 0x100).collect()
    }

    #[test]
    fn names_are_spelled_along_the_edges() {
        let trie = [
            0, 1, b'_', 0, 5, // root: _ → 5
            0, 2, b'a', 0, 13, b'b', 0, 17, // a → 13, b → 17
            2, 0, 0x10, 0, // _a at 0x10
            4, 8, 1, b'c', 0, 0, // _b is c of library 1
        ];
        let found: Vec<_> = read(&trie).into_iter().map(Result::unwrap).collect();
        assert_eq!(found[0].name, "_a".into());
        assert_eq!(found[0].target, TrieTarget::Address(0x10));
        assert_eq!(found[1].name, "_b".into());
        assert_eq!(found[1].target, TrieTarget::Reexport { library: 1, name: "c".into() });
        assert_eq!(found.len(), 2);
        assert!(read(&[]).is_empty());
        assert!(read(&[0, 0]).is_empty());
    }

    #[test]
    fn a_node_that_is_reached_twice_ends_the_walk() {
        for trie in [&[0, 1, b'a', 0, 0][..], &[0, 2, b'a', 0, 8, b'b', 0, 8, 0, 0]] {
            let last = read(trie).pop().unwrap();
            assert_eq!(last.unwrap_err().message, "two edges lead to this node");
        }
    }

    #[test]
    fn names_of_quadratic_length_end_the_walk() {
        let mut trie: Vec<u8> = Vec::new();
        for node in 0..100_000_u32 {
            let next = (node + 1) * 9;
            let uleb = [next & 0x7f | 0x80, next >> 7 & 0x7f | 0x80, next >> 14 & 0x7f];
            trie.extend([2, 0, 0, 1, b'a', 0]);
            trie.extend(uleb.map(|byte| u8::try_from(byte).unwrap()));
        }
        let found = read(&trie);
        let names: usize = found.iter().flatten().map(|export| export.name.bytes().len()).sum();
        assert!(names <= trie.len() * NAME_BYTES, "{names}");
        assert!(found.last().unwrap().is_err());
    }

    #[test]
    fn whatever_is_cut_off_is_damage() {
        let trie = [0, 1, b'_', 0, 5, 2, 0, 0x10, 0];
        for length in 1..trie.len() {
            let last = read(&trie[..length]).pop().unwrap();
            assert!(last.is_err(), "{length}");
        }
    }
}
