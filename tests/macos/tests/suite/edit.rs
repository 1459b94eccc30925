//! Edits Mach-O files byte by byte, to break them on purpose, and makes the two files that ld64.lld does not: a static
//! program, and a fat file. Signed again after an edit, a file is refused for the edit and not for its hashes.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::toolchain::Arch;

const MAGIC: u32 = 0xfeed_facf;
const HEADER_SIZE: usize = 32;
const SEGMENT_64: u32 = 0x19;
const CODE_SIGNATURE: u32 = 0x1d;
const LOAD_DYLIB: u32 = 0xc;
const LOAD_WEAK_DYLIB: u32 = 0x8000_0018;
const MAIN: u32 = 0x8000_0028;
/// Size of an `LC_UNIXTHREAD` for x86-64.
const THREAD_SIZE: usize = 16 + 42 * 4;

/// A file's bytes.
#[derive(Clone)]
pub(crate) struct Edit {
    pub(crate) bytes: Vec<u8>,
    /// Where its signature is, if it has one; from before any edit.
    signature: Option<usize>,
}

impl Edit {
    fn new(bytes: Vec<u8>) -> Edit {
        Edit { bytes, signature: None }
    }

    pub(crate) fn open(path: &Path) -> Edit {
        let mut file = Edit::new(std::fs::read(path).expect("just built"));
        if file.u32(0) == MAGIC {
            file.signature = file.all(CODE_SIGNATURE).first().map(|at| file.u32(at + 8) as usize);
        }
        file
    }

    pub(crate) fn save(&self, path: &Path) {
        std::fs::write(path, &self.bytes).expect("a temporary file");
    }

    pub(crate) fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes[at..at + 4].try_into().expect("four bytes"))
    }

    pub(crate) fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes[at..at + 8].try_into().expect("eight bytes"))
    }

    pub(crate) fn put_u16(&mut self, at: usize, value: u16) {
        self.bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn put_u32(&mut self, at: usize, value: u32) {
        self.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn put_u64(&mut self, at: usize, value: u64) {
        self.bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }

    /// Signatures are big-endian.
    pub(crate) fn be_u32(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.bytes[at..at + 4].try_into().expect("four bytes"))
    }

    pub(crate) fn put_be_u32(&mut self, at: usize, value: u32) {
        self.bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
    }

    /// Offsets of the load commands.
    fn commands(&self) -> Vec<usize> {
        let mut at = HEADER_SIZE;
        (0..self.u32(16))
            .map(|_| {
                let command = at;
                at += self.u32(at + 4) as usize;
                command
            })
            .collect()
    }

    /// Offset of the first command of a kind.
    pub(crate) fn command(&self, kind: u32) -> usize {
        self.all(kind).first().copied().unwrap_or_else(|| panic!("there is no command {kind:#x}"))
    }

    /// Offsets of the commands of a kind.
    pub(crate) fn all(&self, kind: u32) -> Vec<usize> {
        self.commands().into_iter().filter(|&at| self.u32(at) == kind).collect()
    }

    fn has_name(&self, at: usize, name: &str) -> bool {
        self.bytes[at..at + 16]
            .strip_prefix(name.as_bytes())
            .is_some_and(|rest| rest.first().is_none_or(|byte| *byte == 0))
    }

    /// Offset of a segment's command.
    pub(crate) fn segment(&self, name: &str) -> usize {
        self.all(SEGMENT_64)
            .into_iter()
            .find(|at| self.has_name(at + 8, name))
            .unwrap_or_else(|| panic!("there is no {name}"))
    }

    /// Offsets of a segment's sections, of the type given by the low byte of their flags.
    pub(crate) fn sections(&self, segment: &str, kind: u32) -> Vec<usize> {
        let at = self.segment(segment);
        let all = (0..self.u32(at + 64) as usize).map(|index| at + 72 + index * 80);
        all.filter(|section| self.u32(section + 64) & 0xff == kind).collect()
    }

    /// File offset of the table that a command names in the field at byte `field` of it.
    pub(crate) fn table(&self, command: u32, field: usize) -> usize {
        self.u32(self.command(command) + field) as usize
    }

    /// Offset of a text.
    pub(crate) fn find(&self, text: &str) -> usize {
        self.bytes
            .windows(text.len())
            .position(|window| window == text.as_bytes())
            .unwrap_or_else(|| panic!("{text} is not there"))
    }

    /// Offset of the signature, which must be there.
    pub(crate) fn signature(&self) -> usize {
        self.signature.expect("the file is signed")
    }

    /// Offset of the `CodeDirectory`, which is the first blob of a signature by ld64.lld.
    pub(crate) fn code_directory(&self) -> usize {
        self.signature() + self.be_u32(self.signature() + 16) as usize
    }

    /// Moves the signature up by `distance` bytes, and with it the file's end.
    pub(crate) fn move_signature(&mut self, distance: usize) {
        let start = self.signature();
        let end = self.bytes.len();
        self.bytes.resize(end + distance, 0);
        self.bytes.copy_within(start..end, start + distance);
        self.signature = Some(start + distance);
        let command = self.command(CODE_SIGNATURE);
        self.put_u32(command + 8, u32::try_from(start + distance).expect("small"));
    }

    /// Hashes every page again, if the file is signed. The directory itself stays as it is.
    pub(crate) fn sign(&mut self) {
        if self.signature.is_none() {
            return;
        }
        let directory = self.code_directory();
        let hashes = directory + self.be_u32(directory + 16) as usize;
        let limit = self.be_u32(directory + 32) as usize;
        let page = 1 << self.bytes[directory + 39];
        for (index, start) in (0..limit).step_by(page).enumerate() {
            let hash = Sha256::digest(&self.bytes[start..limit.min(start + page)]);
            self.bytes[hashes + index * 32..][..32].copy_from_slice(&hash);
        }
    }

    /// Makes `filesize` of a segment end with its last byte of data, and fills the rest of the page with junk.
    pub(crate) fn spill_junk_into_zero_fill(&mut self, segment: &str) {
        let at = self.segment(segment);
        let (address, offset, size) = (self.u64(at + 24), self.u64(at + 40), self.u64(at + 48));
        let zero_fill = self.sections(segment, 1).into_iter().chain(self.sections(segment, 0x12));
        let end = zero_fill.map(|section| self.u64(section + 32)).min().expect("it has zero fill")
            - address;
        assert!(end < size, "the data ends before its page does");
        self.put_u64(at + 48, end);
        let range = usize::try_from(offset + end).expect("small")
            ..usize::try_from(offset + size).expect("small");
        self.bytes[range].fill(0xee);
    }

    /// Where the tables of `__LINKEDIT` are, without the signature.
    pub(crate) fn tables(&self) -> std::ops::Range<usize> {
        let start = usize::try_from(self.u64(self.segment("__LINKEDIT") + 40)).expect("small");
        start..self.signature.unwrap_or(self.bytes.len())
    }

    /// Links strongly what was linked weakly.
    pub(crate) fn require_weak_libraries(&mut self) {
        for at in self.all(LOAD_WEAK_DYLIB) {
            self.put_u32(at, LOAD_DYLIB);
        }
    }

    /// Sets the stack size that `LC_MAIN` asks for.
    pub(crate) fn put_stack_size(&mut self, size: u64) {
        let main = self.command(MAIN);
        self.put_u64(main + 16, size);
    }

    /// Puts an `LC_UNIXTHREAD` behind the last command, which enters where `LC_MAIN` said; that one becomes `LC_SUB_FRAMEWORK`, which nobody looks at.
    pub(crate) fn main_becomes_thread_state(&mut self) {
        let (main, text) = (self.command(MAIN), self.segment("__TEXT"));
        let entry = self.u64(text + 24) + self.u64(main + 8);
        self.put_u32(main, 0x12);
        let size = u32::try_from(THREAD_SIZE).expect("small");
        let (count, commands_size) = (self.u32(16), self.u32(20));
        self.put_u32(16, count + 1);
        self.put_u32(20, commands_size + size);
        self.put_thread_state(HEADER_SIZE + commands_size as usize, entry);
    }

    /// Writes an `LC_UNIXTHREAD` for x86-64: all registers 0 but `rip`, which is the 17th.
    fn put_thread_state(&mut self, at: usize, entry: u64) {
        self.bytes[at..at + THREAD_SIZE].fill(0);
        for (index, field) in
            [5, u32::try_from(THREAD_SIZE).expect("small"), 4, 42].into_iter().enumerate()
        {
            self.put_u32(at + index * 4, field);
        }
        self.put_u64(at + 16 + 16 * 8, entry);
    }

    /// A static Intel program: page zero, `__TEXT` with the header in its first page and `code` in its second, `LC_UNIXTHREAD`.
    pub(crate) fn static_program(code: &[u8], position_independent: bool) -> Vec<u8> {
        const PAGE: usize = 0x1000;
        const BASE: u64 = 0x1_0000_0000;
        const SEGMENT_SIZE: usize = 72;
        let size = (PAGE + code.len()).next_multiple_of(PAGE);
        let mut file = Edit::new(vec![0; size]);
        let flags = 1 | if position_independent { 0x0020_0000 } else { 0 };
        let commands_size = u32::try_from(2 * SEGMENT_SIZE + THREAD_SIZE).expect("small");
        for (index, field) in
            [MAGIC, 0x0100_0007, 3, 2, 3, commands_size, flags].into_iter().enumerate()
        {
            file.put_u32(index * 4, field);
        }
        let mut at = HEADER_SIZE;
        for (name, address, memory, in_file, protection) in
            [("__PAGEZERO", 0, BASE, 0, 0), ("__TEXT", BASE, size as u64, size as u64, 5)]
        {
            file.put_u32(at, SEGMENT_64);
            file.put_u32(at + 4, 72);
            file.bytes[at + 8..at + 8 + name.len()].copy_from_slice(name.as_bytes());
            for (index, field) in [address, memory, 0, in_file].into_iter().enumerate() {
                file.put_u64(at + 24 + index * 8, field);
            }
            file.put_u32(at + 56, protection);
            file.put_u32(at + 60, protection);
            at += SEGMENT_SIZE;
        }
        file.put_thread_state(at, BASE + PAGE as u64);
        file.bytes[PAGE..PAGE + code.len()].copy_from_slice(code);
        file.bytes
    }

    /// A fat file of one slice for each architecture, the first at `start`, the others at the next multiples of 16 KiB.
    pub(crate) fn fat(slices: &[Vec<u8>; 2], start: usize) -> Vec<u8> {
        const CPU_TYPES: [u32; 2] = [0x0100_0007, 0x0100_000c];
        assert_eq!(Arch::ALL, [Arch::X86_64, Arch::Arm64], "the order of the processor types");
        let mut fat = Edit::new(vec![0; start]);
        fat.put_be_u32(0, 0xcafe_babe);
        fat.put_be_u32(4, 2);
        for (index, slice) in slices.iter().enumerate() {
            let offset = fat.bytes.len();
            let fields = [
                CPU_TYPES[index],
                [3, 0][index],
                u32::try_from(offset).expect("small"),
                u32::try_from(slice.len()).expect("small"),
                14,
            ];
            for (field, value) in fields.into_iter().enumerate() {
                fat.put_be_u32(8 + index * 20 + field * 4, value);
            }
            fat.bytes.extend_from_slice(slice);
            fat.bytes.resize(fat.bytes.len().next_multiple_of(0x4000), 0);
        }
        fat.bytes
    }
}
