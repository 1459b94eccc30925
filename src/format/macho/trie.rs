//! The exports trie: what others can look up in an image, by name (dyld `ExportsTrie`).
//!
//! A node is the size of what is exported there, that itself, and its edges, each a piece of name and the
//! offset of the node behind it. Offsets are ULEB128, so how large a node is depends on where others lie:
//! they are placed again until nothing moves.

use object::macho;

use super::opcodes::push_uleb;

/// A name that the trie leads to.
#[derive(Clone, Debug)]
pub(super) struct Export {
    pub(super) name: String,
    pub(super) found: Found,
}

/// What is found under a name.
#[derive(Clone, Debug)]
pub(super) enum Found {
    /// A place: bytes from the Mach header.
    Offset(u64),
    /// What describes a thread-local variable: bytes from the Mach header.
    ThreadLocal(u64),
    /// What another library has: its ordinal, and the name there.
    Reexport { ordinal: u8, name: String },
}

/// The flag of what another library has (`mach-o/loader.h`).
const EXPORT_SYMBOL_FLAGS_REEXPORT: u64 = 8;

struct Node {
    /// The payload of what is exported here; empty for none.
    payload: Vec<u8>,
    /// The piece of name on each edge, and the index of the node behind it.
    edges: Vec<(String, usize)>,
    offset: usize,
}

/// The bytes of a trie of `exports`, each name once.
pub(super) fn encode(exports: &[Export]) -> Vec<u8> {
    let mut sorted: Vec<_> = exports.iter().collect();
    sorted.sort_by(|first, second| first.name.as_bytes().cmp(second.name.as_bytes()));
    let mut nodes = Vec::new();
    build(&mut nodes, &sorted, 0);
    loop {
        let mut offset = 0;
        let mut moved = false;
        for index in 0..nodes.len() {
            moved |= nodes[index].offset != offset;
            nodes[index].offset = offset;
            offset += bytes_of(&nodes, index).len();
        }
        if !moved {
            break;
        }
    }
    (0..nodes.len()).flat_map(|index| bytes_of(&nodes, index)).collect()
}

/// Adds the node for names that agree in their first `depth` bytes, and all behind it; gives its index.
fn build(nodes: &mut Vec<Node>, exports: &[&Export], depth: usize) -> usize {
    let index = nodes.len();
    nodes.push(Node { payload: Vec::new(), edges: Vec::new(), offset: 0 });
    let (here, deeper): (Vec<&Export>, Vec<&Export>) =
        exports.iter().partition(|export| export.name.len() == depth);
    if let Some(export) = here.first() {
        let mut payload = Vec::new();
        match &export.found {
            Found::Offset(offset) => {
                push_uleb(&mut payload, macho::EXPORT_SYMBOL_FLAGS_KIND_REGULAR.0.into());
                push_uleb(&mut payload, *offset);
            }
            Found::ThreadLocal(offset) => {
                push_uleb(&mut payload, macho::EXPORT_SYMBOL_FLAGS_KIND_THREAD_LOCAL.0.into());
                push_uleb(&mut payload, *offset);
            }
            Found::Reexport { ordinal, name } => {
                push_uleb(&mut payload, EXPORT_SYMBOL_FLAGS_REEXPORT);
                push_uleb(&mut payload, (*ordinal).into());
                // Nothing stands for the same name.
                let name = if *name == export.name { "" } else { name };
                payload.extend_from_slice(name.as_bytes());
                payload.push(0);
            }
        }
        nodes[index].payload = payload;
    }
    let next_byte = |export: &&Export| export.name.as_bytes()[depth];
    for group in deeper.chunk_by(|first, second| next_byte(first) == next_byte(second)) {
        let end = depth + common_prefix(group, depth);
        let edge = group[0].name[depth..end].to_owned();
        let child = build(nodes, group, end);
        nodes[index].edges.push((edge, child));
    }
    index
}

/// How many bytes from `depth` on all names share, in whole characters.
fn common_prefix(group: &[&Export], depth: usize) -> usize {
    let (first, last) = (&group[0].name[depth..], &group[group.len() - 1].name[depth..]);
    // Sorted names: what the first and the last share, all share.
    let shared = first.chars().zip(last.chars()).take_while(|(a, b)| a == b);
    shared.map(|(character, _)| character.len_utf8()).sum()
}

fn bytes_of(nodes: &[Node], index: usize) -> Vec<u8> {
    let node = &nodes[index];
    let mut bytes = Vec::new();
    push_uleb(&mut bytes, node.payload.len() as u64);
    bytes.extend_from_slice(&node.payload);
    // A byte counts the edges: names are text, and no more than 255 bytes can follow one another.
    bytes.push(u8::try_from(node.edges.len()).unwrap_or(u8::MAX));
    for (edge, child) in &node.edges {
        bytes.extend_from_slice(edge.as_bytes());
        bytes.push(0);
        push_uleb(&mut bytes, nodes[*child].offset as u64);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn export(name: &str, offset: u64) -> Export {
        Export { name: name.to_owned(), found: Found::Offset(offset) }
    }

    #[test]
    fn a_reader_finds_every_name_again() {
        let exports: Vec<_> = ["_main", "_malloc", "_ma", "__mh_execute_header", "_z", "_zz"]
            .into_iter()
            .zip([0x1000, 0x2000, 0x3f80, 0, 1, 0x12_3456])
            .map(|(name, offset)| export(name, offset))
            .collect();
        let trie = encode(&exports);
        for wanted in &exports {
            let Found::Offset(offset) = wanted.found else { panic!("{wanted:?}") };
            assert_eq!(find(&trie, &wanted.name), Some(offset), "{}", wanted.name);
        }
        assert_eq!(find(&trie, "_m"), None);
        assert_eq!(find(&trie, "_mai"), None);
        assert_eq!(find(&trie, "_mainn"), None);
    }

    /// Walks the trie as dyld's `trieWalk` does.
    fn find(trie: &[u8], name: &str) -> Option<u64> {
        let (mut at, mut rest) = (0, name);
        loop {
            let mut position = at;
            let size = usize::try_from(uleb(trie, &mut position)).unwrap();
            if rest.is_empty() {
                let mut payload = position;
                return (size > 0).then(|| {
                    assert_eq!(uleb(trie, &mut payload), 0);
                    uleb(trie, &mut payload)
                });
            }
            position += size;
            let edges = trie[position];
            position += 1;
            let mut next = None;
            for _ in 0..edges {
                let end = position + trie[position..].iter().position(|byte| *byte == 0).unwrap();
                let edge = std::str::from_utf8(&trie[position..end]).unwrap();
                position = end + 1;
                let offset = uleb(trie, &mut position);
                if let Some(behind) = rest.strip_prefix(edge) {
                    next = Some((usize::try_from(offset).unwrap(), behind));
                }
            }
            (at, rest) = next?;
        }
    }

    fn uleb(bytes: &[u8], position: &mut usize) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = bytes[*position];
            *position += 1;
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return value;
            }
        }
    }
}
