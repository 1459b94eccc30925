//! Edits files byte by byte, to break them on purpose. Offsets of fields are those of the formats' specifications.

use sha2::{Digest, Sha256};

/// A file's bytes.
#[derive(Clone)]
pub(crate) struct File {
    pub(crate) bytes: Vec<u8>,
    /// Whether the signature and the sum of the file stay as they are.
    pub(crate) is_sealed: bool,
    /// Where the rooms for tables are, from before any edit.
    rooms: [Option<usize>; 2],
}

impl File {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        let find = |text: &[u8]| bytes.windows(text.len()).position(|window| window == text);
        let rooms = [find(b"SCRATCH!"), find(b"ROOM....")];
        Self { bytes, is_sealed: false, rooms }
    }

    pub(crate) fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes(self.bytes[at..at + 2].try_into().expect("two bytes"))
    }

    pub(crate) fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes[at..at + 4].try_into().expect("four bytes"))
    }

    pub(crate) fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes[at..at + 8].try_into().expect("eight bytes"))
    }

    /// A number of 64 bits that counts bytes.
    pub(crate) fn size(&self, at: usize) -> usize {
        usize::try_from(self.u64(at)).expect("files are small")
    }

    pub(crate) fn put(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    pub(crate) fn put_u16(&mut self, at: usize, value: u16) {
        self.put(at, &value.to_le_bytes());
    }

    pub(crate) fn put_u32(&mut self, at: usize, value: u32) {
        self.put(at, &value.to_le_bytes());
    }

    pub(crate) fn put_u64(&mut self, at: usize, value: u64) {
        self.put(at, &value.to_le_bytes());
    }

    pub(crate) fn add_u32(&mut self, at: usize, value: i32) {
        self.put_u32(at, self.u32(at).wrapping_add_signed(value));
    }

    pub(crate) fn add_u64(&mut self, at: usize, value: i64) {
        self.put_u64(at, self.u64(at).wrapping_add_signed(value));
    }

    pub(crate) fn set(&mut self, at: usize, bits: u32) {
        self.put_u32(at, self.u32(at) | bits);
    }

    pub(crate) fn clear(&mut self, at: usize, bits: u32) {
        self.put_u32(at, self.u32(at) & !bits);
    }

    /// Exchanges two parts of one size.
    pub(crate) fn swap(&mut self, one: usize, other: usize, size: usize) {
        for index in 0..size {
            self.bytes.swap(one + index, other + index);
        }
    }

    /// Where a text lies.
    pub(crate) fn find(&self, text: &str) -> usize {
        let mut windows = self.bytes.windows(text.len());
        windows.position(|window| window == text.as_bytes()).unwrap_or_else(|| panic!("no {text}"))
    }

    /// Where the room for tables among constants lies.
    pub(crate) fn scratch(&self) -> usize {
        self.rooms[0].expect("there is room among constants")
    }

    /// Where the room for tables among variables lies.
    pub(crate) fn room(&self) -> usize {
        self.rooms[1].expect("there is room among variables")
    }

    /// Makes the file whole again after an edit: no sum, and a new signature, unless the edit was about these.
    pub(crate) fn close(&mut self) {
        if self.is_sealed {
            return;
        }
        match self.bytes[..] {
            [b'M', b'Z', ..] => {
                if let Some(sum) = self.check_sum() {
                    self.put_u32(sum, 0);
                }
            }
            [0xcf, 0xfa, 0xed, 0xfe, ..] => self.sign(),
            _ => {}
        }
    }
}

// ELF.
pub(crate) const TYPE: usize = 0;
pub(crate) const FLAGS: usize = 4;
pub(crate) const OFFSET: usize = 8;
pub(crate) const ADDRESS: usize = 16;
pub(crate) const FILE_SIZE: usize = 32;
pub(crate) const MEMORY_SIZE: usize = 40;
pub(crate) const ALIGN: usize = 48;
/// Bytes of a program header.
pub(crate) const SEGMENT: usize = 56;

impl File {
    /// The program headers.
    pub(crate) fn segments(&self) -> Vec<usize> {
        let first = self.size(32);
        (0..usize::from(self.u16(56))).map(|index| first + index * SEGMENT).collect()
    }

    /// The first program header of a type.
    pub(crate) fn segment(&self, kind: u32) -> usize {
        let found = self.segments().into_iter().find(|at| self.u32(at + TYPE) == kind);
        found.unwrap_or_else(|| panic!("no program header of type {kind:#x}"))
    }

    /// The load segment with these flags.
    pub(crate) fn load(&self, flags: u32) -> usize {
        let mut all = self.segments().into_iter();
        all.find(|at| self.u32(at + TYPE) == 1 && self.u32(at + FLAGS) == flags)
            .expect("there is such a segment")
    }

    /// The last writable load segment: variables.
    pub(crate) fn data(&self) -> usize {
        let mut all = self.segments().into_iter();
        all.rfind(|at| self.u32(at + TYPE) == 1 && self.u32(at + FLAGS) == 6)
            .expect("there are variables")
    }

    /// The address of an offset of the file.
    pub(crate) fn elf_address(&self, offset: usize) -> u64 {
        let offset = offset as u64;
        let loads = self.segments().into_iter().filter(|at| self.u32(at + TYPE) == 1);
        let mut found = loads.filter_map(|at| {
            let inside = offset.checked_sub(self.u64(at + OFFSET))?;
            (inside < self.u64(at + FILE_SIZE)).then(|| self.u64(at + ADDRESS) + inside)
        });
        found.next().expect("it is mapped")
    }

    /// Where the file has an address.
    pub(crate) fn elf_offset(&self, address: u64) -> usize {
        let loads = self.segments().into_iter().filter(|at| self.u32(at + TYPE) == 1);
        let mut found = loads.filter_map(|at| {
            let inside = address.checked_sub(self.u64(at + ADDRESS))?;
            (inside < self.u64(at + FILE_SIZE)).then(|| self.u64(at + OFFSET) + inside)
        });
        usize::try_from(found.next().expect("it is in the file")).expect("files are small")
    }

    /// The entry of the dynamic table with a tag.
    pub(crate) fn entry(&self, tag: u64) -> usize {
        let table = self.segment(2);
        let (start, size) = (self.size(table + OFFSET), self.size(table + FILE_SIZE));
        let mut entries = (start..start + size).step_by(16);
        entries.find(|at| self.u64(*at) == tag).unwrap_or_else(|| panic!("no entry {tag:#x}"))
    }

    /// The value of an entry of the dynamic table.
    pub(crate) fn value(&self, tag: u64) -> u64 {
        self.u64(self.entry(tag) + 8)
    }

    /// Makes an entry of the dynamic table another one.
    pub(crate) fn replace(&mut self, tag: u64, other: u64, value: u64) {
        let at = self.entry(tag);
        self.put_u64(at, other);
        self.put_u64(at + 8, value);
    }

    /// Makes an entry of the dynamic table one that nobody knows.
    pub(crate) fn forget(&mut self, tag: u64) {
        let at = self.entry(tag);
        self.put_u64(at, 0x6000_0001);
    }
}

// PE.
impl File {
    /// Where the PE signature lies.
    pub(crate) fn nt(&self) -> usize {
        self.u32(0x3c) as usize
    }

    /// A field of the file header.
    pub(crate) fn file_header(&self, field: usize) -> usize {
        self.nt() + 4 + field
    }

    /// A field of the optional header.
    pub(crate) fn optional(&self, field: usize) -> usize {
        self.nt() + 24 + field
    }

    fn check_sum(&self) -> Option<usize> {
        let sum = (self.bytes.len() > 0x40).then(|| self.optional(64))?;
        (sum + 4 <= self.bytes.len()).then_some(sum)
    }

    /// The entry of a data directory.
    pub(crate) fn directory(&self, index: usize) -> usize {
        self.optional(112 + index * 8)
    }

    pub(crate) fn put_directory(&mut self, index: usize, address: u32, size: u32) {
        let at = self.directory(index);
        self.put_u32(at, address);
        self.put_u32(at + 4, size);
    }

    /// The section headers.
    pub(crate) fn headers(&self) -> Vec<usize> {
        let first = self.optional(usize::from(self.u16(self.file_header(16))));
        (0..usize::from(self.u16(self.file_header(2)))).map(|index| first + index * 40).collect()
    }

    /// The header of a section.
    pub(crate) fn header(&self, name: &str) -> usize {
        let mut all = self.headers().into_iter();
        all.find(|at| self.bytes[*at..].starts_with(name.as_bytes()))
            .unwrap_or_else(|| panic!("no section {name}"))
    }

    /// Where the file has a relative address.
    pub(crate) fn pe_offset(&self, address: u32) -> usize {
        let mut found = self.headers().into_iter().filter_map(|at| {
            let inside = address.checked_sub(self.u32(at + 12))?;
            (inside < self.u32(at + 16)).then(|| self.u32(at + 20) + inside)
        });
        found.next().expect("it is in the file") as usize
    }

    /// The relative address of an offset of the file.
    pub(crate) fn pe_address(&self, offset: usize) -> u32 {
        let offset = u32::try_from(offset).expect("files are small");
        let mut found = self.headers().into_iter().filter_map(|at| {
            let inside = offset.checked_sub(self.u32(at + 20))?;
            (inside < self.u32(at + 16)).then(|| self.u32(at + 12) + inside)
        });
        found.next().expect("it is mapped")
    }

    /// Where the table of a data directory lies in the file.
    pub(crate) fn table(&self, index: usize) -> usize {
        self.pe_offset(self.u32(self.directory(index)))
    }
}

// Mach-O.
impl File {
    /// The load commands.
    pub(crate) fn commands(&self) -> Vec<usize> {
        let mut at = 32;
        let mut all = Vec::new();
        for _ in 0..self.u32(16) {
            let size = if at + 8 <= self.bytes.len() { self.u32(at + 4) as usize } else { 0 };
            if size == 0 {
                break;
            }
            all.push(at);
            at += size;
        }
        all
    }

    /// The first load command of a kind.
    pub(crate) fn command(&self, kind: u32) -> usize {
        self.find_command(kind).unwrap_or_else(|| panic!("no load command {kind:#x}"))
    }

    fn find_command(&self, kind: u32) -> Option<usize> {
        self.commands().into_iter().find(|at| self.u32(*at) == kind)
    }

    /// The load command of a segment.
    pub(crate) fn named(&self, name: &str) -> usize {
        let padded = format!("{name}\0");
        let mut all = self.commands().into_iter().filter(|at| self.u32(*at) == 0x19);
        all.find(|at| self.bytes[at + 8..].starts_with(padded.as_bytes()))
            .unwrap_or_else(|| panic!("no segment {name}"))
    }

    /// The header of a segment's section.
    pub(crate) fn section(&self, segment: &str, index: usize) -> usize {
        self.named(segment) + 72 + index * 80
    }

    /// The file offset that the field of a load command names.
    pub(crate) fn linkedit(&self, kind: u32, field: usize) -> usize {
        self.u32(self.command(kind) + field) as usize
    }

    pub(crate) fn be_u32(&self, at: usize) -> u32 {
        self.u32(at).swap_bytes()
    }

    pub(crate) fn put_be_u32(&mut self, at: usize, value: u32) {
        self.put_u32(at, value.swap_bytes());
    }

    /// Where the code directory lies.
    pub(crate) fn code_directory(&self) -> usize {
        let signature = self.linkedit(0x1d, 8);
        signature + self.be_u32(signature + 16) as usize
    }

    /// Hashes every page again. The code directory itself stays as it is.
    fn sign(&mut self) {
        let Some(command) = self.find_command(0x1d) else { return };
        let start = self.u32(command + 8) as usize;
        if start + 20 > self.bytes.len() || self.be_u32(start) != 0xfade_0cc0 {
            return;
        }
        let directory = self.code_directory();
        let hashes = directory + self.be_u32(directory + 16) as usize;
        let limit = self.be_u32(directory + 32) as usize;
        for (index, page) in (0..limit).step_by(4096).enumerate() {
            let hash = Sha256::digest(&self.bytes[page..limit.min(page + 4096)]);
            self.put(hashes + index * 32, &hash);
        }
    }

    /// Adds a load command behind the last one, over the first bytes of code: an entry there moves behind it.
    pub(crate) fn add_command(&mut self, bytes: &[u8]) -> usize {
        let at = 32 + self.u32(20) as usize;
        self.put(at, bytes);
        self.add_u32(16, 1);
        self.add_u32(20, i32::try_from(bytes.len()).expect("small"));
        let end = (at + bytes.len()) as u64;
        let commands = self.commands();
        let entries: Vec<_> =
            commands.into_iter().filter(|at| self.u32(*at) == 0x8000_0028).collect();
        for entry in entries {
            self.put_u64(entry + 8, self.u64(entry + 8).max(end));
        }
        at
    }

    /// Adds a copy of a load command.
    pub(crate) fn repeat(&mut self, kind: u32) -> usize {
        let at = self.command(kind);
        let copy = self.bytes[at..at + self.u32(at + 4) as usize].to_vec();
        self.add_command(&copy)
    }

    /// Makes a load command one that nobody looks at (without `LC_REQ_DYLD`).
    pub(crate) fn ignore(&mut self, kind: u32) {
        let at = self.command(kind);
        self.put_u32(at, 0x7fff);
    }
}
