//! Every field that a loader of PE files reads, by name: headers, sections, imports, exports, thread-locals, base
//! relocations. Offsets are those of the PE specification; the file is one that works.

use crate::hunt::{Field, Named};

const FILE_HEADER: &[(&str, usize, usize)] = &[
    ("Signature", 0, 4),
    ("Machine", 4, 2),
    ("NumberOfSections", 6, 2),
    ("TimeDateStamp", 8, 4),
    ("PointerToSymbolTable", 12, 4),
    ("NumberOfSymbols", 16, 4),
    ("SizeOfOptionalHeader", 20, 2),
    ("Characteristics", 22, 2),
];

const OPTIONAL_HEADER: &[(&str, usize, usize)] = &[
    ("Magic", 0, 2),
    ("SizeOfCode", 4, 4),
    ("SizeOfInitializedData", 8, 4),
    ("SizeOfUninitializedData", 12, 4),
    ("AddressOfEntryPoint", 16, 4),
    ("BaseOfCode", 20, 4),
    ("ImageBase", 24, 8),
    ("SectionAlignment", 32, 4),
    ("FileAlignment", 36, 4),
    ("MajorOperatingSystemVersion", 40, 2),
    ("MajorSubsystemVersion", 48, 2),
    ("MinorSubsystemVersion", 50, 2),
    ("Win32VersionValue", 52, 4),
    ("SizeOfImage", 56, 4),
    ("SizeOfHeaders", 60, 4),
    ("CheckSum", 64, 4),
    ("Subsystem", 68, 2),
    ("DllCharacteristics", 70, 2),
    ("SizeOfStackReserve", 72, 8),
    ("SizeOfStackCommit", 80, 8),
    ("SizeOfHeapReserve", 88, 8),
    ("SizeOfHeapCommit", 96, 8),
    ("LoaderFlags", 104, 4),
    ("NumberOfRvaAndSizes", 108, 4),
];

const DIRECTORY: &[(&str, usize, usize)] = &[("VirtualAddress", 0, 4), ("Size", 4, 4)];
const DIRECTORIES: [&str; 16] = [
    "export table",
    "import table",
    "resource table",
    "exception table",
    "certificate table",
    "base relocation table",
    "debug directory",
    "architecture",
    "global pointer",
    "TLS table",
    "load config table",
    "bound import table",
    "import address table",
    "delay import descriptors",
    "CLR runtime header",
    "reserved",
];

const SECTION: &[(&str, usize, usize)] = &[
    ("VirtualSize", 8, 4),
    ("VirtualAddress", 12, 4),
    ("SizeOfRawData", 16, 4),
    ("PointerToRawData", 20, 4),
    ("Characteristics", 36, 4),
];

const IMPORT: &[(&str, usize, usize)] = &[
    ("OriginalFirstThunk", 0, 4),
    ("TimeDateStamp", 4, 4),
    ("ForwarderChain", 8, 4),
    ("Name", 12, 4),
    ("FirstThunk", 16, 4),
];

const EXPORT: &[(&str, usize, usize)] = &[
    ("Name", 12, 4),
    ("Base", 16, 4),
    ("NumberOfFunctions", 20, 4),
    ("NumberOfNames", 24, 4),
    ("AddressOfFunctions", 28, 4),
    ("AddressOfNames", 32, 4),
    ("AddressOfNameOrdinals", 36, 4),
];

const TLS: &[(&str, usize, usize)] = &[
    ("StartAddressOfRawData", 0, 8),
    ("EndAddressOfRawData", 8, 8),
    ("AddressOfIndex", 16, 8),
    ("AddressOfCallBacks", 24, 8),
    ("SizeOfZeroFill", 32, 4),
    ("Characteristics", 36, 4),
];

/// A file that works.
struct Pe<'b> {
    named: Named<'b>,
    /// Where the PE signature lies.
    start: usize,
}

impl Pe<'_> {
    fn optional(&self) -> usize {
        self.start + 24
    }

    fn sections(&self) -> Vec<usize> {
        let table = self.optional() + self.named.size(self.start + 20, 2);
        (0..self.named.size(self.start + 6, 2)).map(|index| table + index * 40).collect()
    }

    /// Where the file has an address, relative to the image base.
    fn offset(&self, address: usize) -> usize {
        let found = self.sections().into_iter().find_map(|at| {
            let inside = address.checked_sub(self.named.size(at + 12, 4))?;
            (inside < self.named.size(at + 16, 4)).then(|| self.named.size(at + 20, 4) + inside)
        });
        found.expect("tables are in the file")
    }

    /// Where the table of a data directory lies, and its size, if it is used.
    fn directory(&self, index: usize) -> Option<(usize, usize)> {
        let entry = self.optional() + 112 + index * 8;
        match self.named.size(entry, 4) {
            0 => None,
            address => Some((self.offset(address), self.named.size(entry + 4, 4))),
        }
    }

    fn add_directories(&mut self) {
        for (index, name) in DIRECTORIES.iter().enumerate() {
            let entry = self.optional() + 112 + index * 8;
            self.named.add(name, entry, DIRECTORY);
        }
    }

    fn add_imports(&mut self) {
        let Some((table, _)) = self.directory(1) else { return };
        for index in 0.. {
            let at = table + index * 20;
            self.named.add(&format!("import descriptor[{index}]"), at, IMPORT);
            if self.named.number(at + 12, 4) == 0 {
                break;
            }
            for (offset, name) in [(0, "import lookup"), (16, "import address")] {
                let first = match self.named.size(at + offset, 4) {
                    0 => continue,
                    address => self.offset(address),
                };
                for inner in 0.. {
                    let thunk = first + inner * 8;
                    let is_end = self.named.number(thunk, 8) == 0;
                    // What follows an address table is nobody's, and overwritten.
                    if !is_end || offset == 0 {
                        let name = format!("{name}[{index}.{inner}]");
                        self.named.add("", thunk, &[(&name, 0, 8)]);
                    }
                    if is_end {
                        break;
                    }
                }
            }
        }
    }

    fn add_exports(&mut self) {
        let Some((table, _)) = self.directory(0) else { return };
        self.named.add("export directory", table, EXPORT);
        for (count, address, size, name) in [
            (20, 28, 4, "export address"),
            (24, 32, 4, "export name pointer"),
            (24, 36, 2, "export ordinal"),
        ] {
            let first = self.offset(self.named.size(table + address, 4));
            for index in 0..self.named.size(table + count, 4) {
                let at = first + index * size;
                self.named.add("", at, &[(&format!("{name}[{index}]"), 0, size)]);
            }
        }
    }

    fn add_relocations(&mut self) {
        let Some((table, size)) = self.directory(5) else { return };
        let mut at = table;
        for index in 0.. {
            if at >= table + size {
                break;
            }
            let block = format!("base relocation block[{index}]");
            self.named.add(&block, at, &[("VirtualAddress", 0, 4), ("SizeOfBlock", 4, 4)]);
            let end = at + self.named.size(at + 4, 4);
            for entry in (at + 8..end).step_by(2) {
                self.named.add("", entry, &[("base relocation", 0, 2)]);
            }
            at = end;
        }
    }
}

/// The fields of a file that works.
pub(crate) fn fields(bytes: &[u8]) -> Vec<Field> {
    let named = Named::new(bytes);
    let start = named.size(0x3c, 4);
    let mut file = Pe { named, start };
    file.named.add("", 0, &[("e_magic", 0, 2), ("e_lfanew", 0x3c, 4)]);
    file.named.add("", start, FILE_HEADER);
    file.named.add("", file.optional(), OPTIONAL_HEADER);
    file.add_directories();
    for (index, at) in file.sections().into_iter().enumerate() {
        file.named.add(&format!("section[{index}]"), at, SECTION);
    }
    file.add_imports();
    file.add_exports();
    if let Some((at, _)) = file.directory(9) {
        file.named.add("TLS directory", at, TLS);
    }
    file.add_relocations();
    file.named.fields
}
