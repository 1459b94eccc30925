//! `malloc`: blocks of guest memory, kept track of on the host, so that a guest's stray write cannot break it and a
//! wrong `free` is noticed. Fresh blocks are filled with a pattern: nobody may rely on zeros.

use std::collections::{BTreeMap, HashMap};

use crate::engine::Protection;
use crate::space::Space;

/// Alignment of every block, in bytes.
const ALIGNMENT: u64 = 16;
/// Least memory that is mapped at once.
const CHUNK: u64 = 1 << 20;
/// No process gets more: `malloc` returns null.
const MOST: u64 = 4 << 30;
/// What fresh blocks are filled with, up to [`FILLED`] bytes.
const PATTERN: u8 = 0xaa;
const FILLED: u64 = 1 << 16;

/// The heap of a process.
#[derive(Debug)]
pub struct Heap {
    next: u64,
    end: u64,
    start: u64,
    sizes: HashMap<u64, u64>,
    free: BTreeMap<u64, Vec<u64>>,
}

impl Heap {
    /// An empty heap at `start`.
    #[must_use]
    pub fn new(start: u64) -> Heap {
        Heap { next: start, end: start, start, sizes: HashMap::new(), free: BTreeMap::new() }
    }

    /// A block of at least `size` bytes at a multiple of `alignment` (a power of two), or `None`.
    ///
    /// # Panics
    /// Never: what it fills is mapped.
    pub fn allocate(&mut self, space: &mut Space, size: u64, alignment: u64) -> Option<u64> {
        let alignment = alignment.max(ALIGNMENT);
        let size = size.max(1).checked_next_multiple_of(ALIGNMENT).filter(|&size| size <= MOST)?;
        let reused =
            if alignment == ALIGNMENT { self.free.get_mut(&size).and_then(Vec::pop) } else { None };
        let address = match reused {
            Some(address) => address,
            None => self.extend(space, size, alignment)?,
        };
        self.sizes.insert(address, size);
        let filled = usize::try_from(size.min(FILLED)).expect("bounded");
        space.fill(address, &vec![PATTERN; filled]).expect("the heap is mapped");
        Some(address)
    }

    fn extend(&mut self, space: &mut Space, size: u64, alignment: u64) -> Option<u64> {
        let address = self.next.next_multiple_of(alignment);
        let end = address.checked_add(size).filter(|&end| end - self.start <= MOST)?;
        if end > self.end {
            let more = (end - self.end).next_multiple_of(CHUNK);
            space
                .map(self.end, more, Protection::READ_WRITE, Protection::READ_WRITE, "heap")
                .ok()?;
            self.end += more;
        }
        self.next = end;
        Some(address)
    }

    /// The size of a block, if `address` is one.
    #[must_use]
    pub fn size(&self, address: u64) -> Option<u64> {
        self.sizes.get(&address).copied()
    }

    /// Gives a block back; false if it is none.
    pub fn release(&mut self, address: u64) -> bool {
        let Some(size) = self.sizes.remove(&address) else { return false };
        self.free.entry(size).or_default().push(address);
        true
    }
}
