//! Every field that the kernel of macOS and dyld read, by name: header, load commands, sections, fixups of both
//! encodings, the exports trie, symbols, the code signature. Offsets are those of Apple's headers (mach-o/loader.h,
//! mach-o/fixup-chains.h, and xnu's `cs_blobs.h`); the file is one that works.

use crate::hunt::{Field, Named};

type Fields = &'static [(&'static str, usize, usize)];

const HEADER: Fields = &[
    ("magic", 0, 4),
    ("cputype", 4, 4),
    ("cpusubtype", 8, 4),
    ("filetype", 12, 4),
    ("ncmds", 16, 4),
    ("sizeofcmds", 20, 4),
    ("flags", 24, 4),
];

const SEGMENT: u32 = 0x19;
const SYMTAB: u32 = 0x2;
const DYSYMTAB: u32 = 0xb;
const CODE_SIGNATURE: u32 = 0x1d;
const DYLD_INFO: u32 = 0x8000_0022;
const TRIE: u32 = 0x8000_0033;
const CHAINED: u32 = 0x8000_0034;

const DATA: Fields = &[("dataoff", 8, 4), ("datasize", 12, 4)];
const DYLIB: Fields =
    &[("name", 8, 4), ("timestamp", 12, 4), ("current_version", 16, 4), ("text", 24, 1)];

/// Load commands, and their fields behind `cmd` and `cmdsize`.
const COMMANDS: &[(u32, &str, Fields)] = &[
    (
        SEGMENT,
        "LC_SEGMENT_64",
        &[
            ("vmaddr", 24, 8),
            ("vmsize", 32, 8),
            ("fileoff", 40, 8),
            ("filesize", 48, 8),
            ("maxprot", 56, 4),
            ("initprot", 60, 4),
            ("nsects", 64, 4),
            ("flags", 68, 4),
        ],
    ),
    (
        SYMTAB,
        "LC_SYMTAB",
        &[("symoff", 8, 4), ("nsyms", 12, 4), ("stroff", 16, 4), ("strsize", 20, 4)],
    ),
    (
        DYSYMTAB,
        "LC_DYSYMTAB",
        &[
            ("ilocalsym", 8, 4),
            ("nlocalsym", 12, 4),
            ("iextdefsym", 16, 4),
            ("nextdefsym", 20, 4),
            ("iundefsym", 24, 4),
            ("nundefsym", 28, 4),
            ("indirectsymoff", 56, 4),
            ("nindirectsyms", 60, 4),
            ("extreloff", 64, 4),
            ("nextrel", 68, 4),
            ("locreloff", 72, 4),
            ("nlocrel", 76, 4),
        ],
    ),
    (0x5, "LC_UNIXTHREAD", &[("flavor", 8, 4), ("count", 12, 4)]),
    (0xc, "LC_LOAD_DYLIB", DYLIB),
    (0xd, "LC_ID_DYLIB", DYLIB),
    (0xe, "LC_LOAD_DYLINKER", &[("name", 8, 4), ("text", 12, 1)]),
    (0x1b, "LC_UUID", &[]),
    (CODE_SIGNATURE, "LC_CODE_SIGNATURE", DATA),
    (0x26, "LC_FUNCTION_STARTS", DATA),
    (0x29, "LC_DATA_IN_CODE", DATA),
    (0x2a, "LC_SOURCE_VERSION", &[("version", 8, 8)]),
    (
        0x32,
        "LC_BUILD_VERSION",
        &[("platform", 8, 4), ("minos", 12, 4), ("sdk", 16, 4), ("ntools", 20, 4)],
    ),
    (
        DYLD_INFO,
        "LC_DYLD_INFO_ONLY",
        &[
            ("rebase_off", 8, 4),
            ("rebase_size", 12, 4),
            ("bind_off", 16, 4),
            ("bind_size", 20, 4),
            ("weak_bind_off", 24, 4),
            ("weak_bind_size", 28, 4),
            ("lazy_bind_off", 32, 4),
            ("lazy_bind_size", 36, 4),
            ("export_off", 40, 4),
            ("export_size", 44, 4),
        ],
    ),
    (0x8000_001c, "LC_RPATH", &[("path", 8, 4)]),
    (0x8000_0028, "LC_MAIN", &[("entryoff", 8, 8), ("stacksize", 16, 8)]),
    (TRIE, "LC_DYLD_EXPORTS_TRIE", DATA),
    (CHAINED, "LC_DYLD_CHAINED_FIXUPS", DATA),
];

const SECTION: Fields = &[
    ("addr", 32, 8),
    ("size", 40, 8),
    ("offset", 48, 4),
    ("align", 52, 4),
    ("reloff", 56, 4),
    ("nreloc", 60, 4),
    ("flags", 64, 4),
    ("reserved1", 68, 4),
    ("reserved2", 72, 4),
];

const CHAINED_HEADER: Fields = &[
    ("fixups_version", 0, 4),
    ("starts_offset", 4, 4),
    ("imports_offset", 8, 4),
    ("symbols_offset", 12, 4),
    ("imports_count", 16, 4),
    ("imports_format", 20, 4),
    ("symbols_format", 24, 4),
];

const STARTS: Fields = &[
    ("size", 0, 4),
    ("page_size", 4, 2),
    ("pointer_format", 6, 2),
    ("segment_offset", 8, 8),
    ("max_valid_pointer", 16, 4),
    ("page_count", 20, 2),
];

const SYMBOL: Fields =
    &[("n_strx", 0, 4), ("n_type", 4, 1), ("n_sect", 5, 1), ("n_desc", 6, 2), ("n_value", 8, 8)];

const SUPER_BLOB: Fields =
    &[("magic", 0, 4), ("length", 4, 4), ("count", 8, 4), ("type", 12, 4), ("offset", 16, 4)];

const CODE_DIRECTORY: Fields = &[
    ("magic", 0, 4),
    ("length", 4, 4),
    ("version", 8, 4),
    ("flags", 12, 4),
    ("hashOffset", 16, 4),
    ("identOffset", 20, 4),
    ("nSpecialSlots", 24, 4),
    ("nCodeSlots", 28, 4),
    ("codeLimit", 32, 4),
    ("hashSize", 36, 1),
    ("hashType", 37, 1),
    ("platform", 38, 1),
    ("pageSize", 39, 1),
    ("scatterOffset", 44, 4),
    ("teamOffset", 48, 4),
    ("execSegBase", 64, 8),
    ("execSegLimit", 72, 8),
];

/// A file that works.
struct MachO<'b> {
    named: Named<'b>,
    /// Where its load commands are.
    commands: Vec<usize>,
}

impl MachO<'_> {
    /// The first load command of a kind.
    fn command(&self, kind: u32) -> Option<usize> {
        self.commands.iter().copied().find(|at| self.named.number(*at, 4) == u64::from(kind))
    }

    /// Where the data of a command lie, and their size, by the offset of its two fields.
    fn data(&self, kind: u32, field: usize) -> Option<(usize, usize)> {
        let at = self.command(kind)? + field;
        Some((self.named.size(at, 4), self.named.size(at + 4, 4)))
    }

    fn add_commands(&mut self) {
        for (index, at) in self.commands.clone().into_iter().enumerate() {
            let kind = self.named.number(at, 4);
            let known = COMMANDS.iter().find(|(known, ..)| u64::from(*known) == kind);
            let (_, name, fields) = known.unwrap_or_else(|| panic!("load command {kind:#x}"));
            let name = format!("{name}[{index}]");
            self.named.add(&name, at, &[("cmd", 0, 4), ("cmdsize", 4, 4)]);
            self.named.add(&name, at, fields);
            if kind == u64::from(SEGMENT) {
                for inner in 0..self.named.size(at + 64, 4) {
                    let section = format!("section[{index}.{inner}]");
                    self.named.add(&section, at + 72 + inner * 80, SECTION);
                }
            }
        }
    }

    fn add_chained(&mut self) {
        let Some((start, _)) = self.data(CHAINED, 8) else { return };
        self.named.add("chained fixups", start, CHAINED_HEADER);
        let starts = start + self.named.size(start + 4, 4);
        self.named.add("chained starts", starts, &[("seg_count", 0, 4)]);
        for index in 0..self.named.size(starts, 4) {
            let entry = starts + 4 + index * 4;
            let name = format!("chained starts[{index}]");
            self.named.add(&name, entry, &[("seg_info_offset", 0, 4)]);
            match self.named.size(entry, 4) {
                0 => {}
                offset => self.add_starts(&format!("chained segment[{index}]"), starts + offset),
            }
        }
        let imports = start + self.named.size(start + 8, 4);
        for index in 0..self.named.size(start + 16, 4) {
            let name = format!("chained import[{index}]");
            self.named.add("", imports + index * 4, &[(&name, 0, 4)]);
        }
    }

    /// The starts of a segment's chains, and their links.
    fn add_starts(&mut self, name: &str, at: usize) {
        self.named.add(name, at, STARTS);
        let (page, segment) = (self.named.size(at + 4, 2), self.named.size(at + 8, 8));
        for index in 0..self.named.size(at + 20, 2) {
            let entry = at + 22 + index * 2;
            self.named.add(name, entry, &[("page_start", 0, 2)]);
            let start = self.named.size(entry, 2);
            if start == 0xffff {
                continue;
            }
            let mut link = self.file_offset(segment) + index * page + start;
            loop {
                self.named.add("", link, &[("chain link", 0, 8)]);
                match self.named.size(link, 8) >> 51 & 0xfff {
                    0 => break,
                    next => link += next * 4,
                }
            }
        }
    }

    /// Where the file has what lies so far behind the header in memory.
    fn file_offset(&self, distance: usize) -> usize {
        let segments =
            self.commands.iter().filter(|at| self.named.number(**at, 4) == u64::from(SEGMENT));
        let field = |at: usize, field: usize| self.named.size(at + field, 8);
        let text = segments.clone().find(|at| field(**at, 40) == 0 && field(**at, 48) > 0);
        let base = field(*text.expect("a segment has the header"), 24);
        let mut found = segments.filter(|at| field(**at, 24) == base + distance);
        field(*found.next().expect("chains lie in segments"), 40)
    }

    /// Streams of bytes: opcodes and tries.
    fn add_streams(&mut self) {
        for (kind, field, name) in [
            (DYLD_INFO, 8, "rebase opcodes"),
            (DYLD_INFO, 16, "bind opcodes"),
            (DYLD_INFO, 32, "lazy bind opcodes"),
            (DYLD_INFO, 40, "exports trie"),
            (TRIE, 8, "exports trie"),
        ] {
            let Some((start, size)) = self.data(kind, field) else { continue };
            // Names, with the NUL behind them: which symbol is meant, the file alone does not say.
            let is_name = |at: usize| {
                let byte = |at: usize| self.named.bytes[at];
                let is_letter = |at| byte(at).is_ascii_alphanumeric() || byte(at) == b'_';
                (is_letter(at) && (is_letter(at + 1) || is_letter(at - 1)))
                    || byte(at) == 0 && is_letter(at - 1) && is_letter(at - 2)
            };
            let read: Vec<_> = (0..size).filter(|index| !is_name(start + index)).collect();
            for index in read {
                self.named.add("", start + index, &[(&format!("{name}[{index}]"), 0, 1)]);
            }
        }
    }

    fn add_symbols(&mut self) {
        if let Some((start, count)) = self.data(SYMTAB, 8) {
            for index in 0..count {
                self.named.add(&format!("symbol[{index}]"), start + index * 16, SYMBOL);
            }
        }
        if let Some((start, count)) = self.data(DYSYMTAB, 56) {
            for index in 0..count {
                let name = format!("indirect symbol[{index}]");
                self.named.add("", start + index * 4, &[(&name, 0, 4)]);
            }
        }
    }
}

/// The offset of the code directory, whose offset among the blobs is written from its highest byte on.
pub(crate) fn code_directory(bytes: &[u8]) -> Option<usize> {
    let file = open(bytes);
    let (start, _) = file.data(CODE_SIGNATURE, 8)?;
    let offset: [u8; 4] = bytes[start + 16..start + 20].try_into().expect("four bytes");
    Some(start + u32::from_be_bytes(offset) as usize)
}

fn open(bytes: &[u8]) -> MachO<'_> {
    let named = Named::new(bytes);
    let mut at = 32;
    let mut commands = Vec::new();
    for _ in 0..named.size(16, 4) {
        commands.push(at);
        at += named.size(at + 4, 4);
    }
    MachO { named, commands }
}

/// The fields of a file that works.
pub(crate) fn fields(bytes: &[u8]) -> Vec<Field> {
    let mut file = open(bytes);
    file.named.add("", 0, HEADER);
    file.add_commands();
    file.add_chained();
    file.add_streams();
    file.add_symbols();
    if let Some((start, _)) = file.data(CODE_SIGNATURE, 8) {
        file.named.add("signature", start, SUPER_BLOB);
    }
    if let Some(at) = code_directory(bytes) {
        file.named.add("code directory", at, CODE_DIRECTORY);
    }
    file.named.fields
}
