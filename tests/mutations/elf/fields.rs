//! Every field that a loader of ELF files reads, by name: headers, dynamic table, versions, hash tables, symbols,
//! relocations. Offsets are those of the System V gABI; the file is one that works.

use crate::hunt::{Field, Named};

/// Fields of the ELF header: name, offset, size.
const HEADER: &[(&str, usize, usize)] = &[
    ("EI_CLASS", 4, 1),
    ("EI_DATA", 5, 1),
    ("EI_VERSION", 6, 1),
    ("EI_OSABI", 7, 1),
    ("EI_ABIVERSION", 8, 1),
    ("e_type", 16, 2),
    ("e_machine", 18, 2),
    ("e_version", 20, 4),
    ("e_entry", 24, 8),
    ("e_phoff", 32, 8),
    ("e_shoff", 40, 8),
    ("e_flags", 48, 4),
    ("e_ehsize", 52, 2),
    ("e_phentsize", 54, 2),
    ("e_phnum", 56, 2),
    ("e_shentsize", 58, 2),
    ("e_shnum", 60, 2),
    ("e_shstrndx", 62, 2),
];

const PROGRAM_HEADER: &[(&str, usize, usize)] = &[
    ("p_type", 0, 4),
    ("p_flags", 4, 4),
    ("p_offset", 8, 8),
    ("p_vaddr", 16, 8),
    ("p_paddr", 24, 8),
    ("p_filesz", 32, 8),
    ("p_memsz", 40, 8),
    ("p_align", 48, 8),
];

const SYMBOL: &[(&str, usize, usize)] = &[
    ("st_name", 0, 4),
    ("st_info", 4, 1),
    ("st_other", 5, 1),
    ("st_shndx", 6, 2),
    ("st_value", 8, 8),
    ("st_size", 16, 8),
];

const RELOCATION: &[(&str, usize, usize)] =
    &[("r_offset", 0, 8), ("r_type", 8, 4), ("r_sym", 12, 4), ("r_addend", 16, 8)];

const VERNEED: &[(&str, usize, usize)] = &[
    ("vn_version", 0, 2),
    ("vn_cnt", 2, 2),
    ("vn_file", 4, 4),
    ("vn_aux", 8, 4),
    ("vn_next", 12, 4),
];

const VERNAUX: &[(&str, usize, usize)] = &[
    ("vna_hash", 0, 4),
    ("vna_flags", 4, 2),
    ("vna_other", 6, 2),
    ("vna_name", 8, 4),
    ("vna_next", 12, 4),
];

const VERDEF: &[(&str, usize, usize)] = &[
    ("vd_version", 0, 2),
    ("vd_flags", 2, 2),
    ("vd_ndx", 4, 2),
    ("vd_cnt", 6, 2),
    ("vd_hash", 8, 4),
    ("vd_aux", 12, 4),
    ("vd_next", 16, 4),
];

const VERDAUX: &[(&str, usize, usize)] = &[("vda_name", 0, 4), ("vda_next", 4, 4)];

const SEGMENTS: &[(u32, &str)] = &[
    (1, "PT_LOAD"),
    (2, "PT_DYNAMIC"),
    (3, "PT_INTERP"),
    (4, "PT_NOTE"),
    (6, "PT_PHDR"),
    (7, "PT_TLS"),
    (0x6474_e550, "PT_GNU_EH_FRAME"),
    (0x6474_e551, "PT_GNU_STACK"),
    (0x6474_e552, "PT_GNU_RELRO"),
    (0x6474_e553, "PT_GNU_PROPERTY"),
];

const TAGS: &[(u64, &str)] = &[
    (0, "DT_NULL"),
    (1, "DT_NEEDED"),
    (2, "DT_PLTRELSZ"),
    (3, "DT_PLTGOT"),
    (4, "DT_HASH"),
    (5, "DT_STRTAB"),
    (6, "DT_SYMTAB"),
    (7, "DT_RELA"),
    (8, "DT_RELASZ"),
    (9, "DT_RELAENT"),
    (10, "DT_STRSZ"),
    (11, "DT_SYMENT"),
    (12, "DT_INIT"),
    (13, "DT_FINI"),
    (14, "DT_SONAME"),
    (20, "DT_PLTREL"),
    (21, "DT_DEBUG"),
    (23, "DT_JMPREL"),
    (25, "DT_INIT_ARRAY"),
    (26, "DT_FINI_ARRAY"),
    (27, "DT_INIT_ARRAYSZ"),
    (28, "DT_FINI_ARRAYSZ"),
    (29, "DT_RUNPATH"),
    (30, "DT_FLAGS"),
    (35, "DT_RELRSZ"),
    (36, "DT_RELR"),
    (37, "DT_RELRENT"),
    (0x6fff_fef5, "DT_GNU_HASH"),
    (0x6fff_fff0, "DT_VERSYM"),
    (0x6fff_fff9, "DT_RELACOUNT"),
    (0x6fff_fffb, "DT_FLAGS_1"),
    (0x6fff_fffc, "DT_VERDEF"),
    (0x6fff_fffd, "DT_VERDEFNUM"),
    (0x6fff_fffe, "DT_VERNEED"),
    (0x6fff_ffff, "DT_VERNEEDNUM"),
];

/// A file that works.
struct Elf<'b> {
    named: Named<'b>,
}

/// The name of a number, or the number.
fn name<T: Copy + PartialEq + std::fmt::LowerHex>(names: &[(T, &str)], value: T) -> String {
    let known = names.iter().find(|(known, _)| *known == value);
    known.map_or_else(|| format!("{value:#x}"), |(_, name)| (*name).to_owned())
}

impl Elf<'_> {
    /// The program headers.
    fn segments(&self) -> impl Iterator<Item = usize> {
        let (start, count) = (self.named.size(32, 8), self.named.size(56, 2));
        (0..count).map(move |index| start + index * 56)
    }

    /// Where the file has an address.
    fn offset(&self, address: u64) -> usize {
        let found = self.segments().filter(|at| self.named.number(*at, 4) == 1).find_map(|at| {
            let inside = address.checked_sub(self.named.number(at + 16, 8))?;
            (inside < self.named.number(at + 32, 8)).then(|| self.named.number(at + 8, 8) + inside)
        });
        usize::try_from(found.expect("tables are in the file")).expect("files are small")
    }

    /// The entries of the dynamic table, its end included.
    fn dynamic(&self) -> Vec<usize> {
        let Some(table) = self.segments().find(|at| self.named.number(*at, 4) == 2) else {
            return Vec::new();
        };
        let start = self.named.size(table + 8, 8);
        let mut entries = Vec::new();
        for at in (start..).step_by(16) {
            entries.push(at);
            if self.named.number(at, 8) == 0 {
                return entries;
            }
        }
        unreachable!("the table ends")
    }

    fn value(&self, tag: u64) -> Option<u64> {
        let entry = self.dynamic().into_iter().find(|at| self.named.number(*at, 8) == tag)?;
        Some(self.named.number(entry + 8, 8))
    }

    /// Where a table of the dynamic table lies.
    fn table(&self, tag: u64) -> Option<usize> {
        self.value(tag).map(|address| self.offset(address))
    }

    fn add_segments(&mut self) {
        for (index, at) in self.segments().enumerate().collect::<Vec<_>>() {
            let kind = name(SEGMENTS, u32::try_from(self.named.number(at, 4)).expect("four bytes"));
            self.named.add(&format!("{kind}[{index}]"), at, PROGRAM_HEADER);
        }
    }

    fn add_dynamic(&mut self) {
        for (index, at) in self.dynamic().into_iter().enumerate() {
            let tag = name(TAGS, self.named.number(at, 8));
            self.named.add(&format!("{tag}[{index}]"), at, &[("d_tag", 0, 8), ("d_val", 8, 8)]);
        }
    }

    fn add_versions(&mut self) {
        if let Some(mut at) = self.table(0x6fff_fffe) {
            for index in 0.. {
                self.named.add(&format!("verneed[{index}]"), at, VERNEED);
                let mut aux = at + self.named.size(at + 8, 4);
                for inner in 0.. {
                    self.named.add(&format!("vernaux[{index}.{inner}]"), aux, VERNAUX);
                    match self.named.size(aux + 12, 4) {
                        0 => break,
                        next => aux += next,
                    }
                }
                match self.named.size(at + 12, 4) {
                    0 => break,
                    next => at += next,
                }
            }
        }
        if let Some(mut at) = self.table(0x6fff_fffc) {
            for index in 0.. {
                self.named.add(&format!("verdef[{index}]"), at, VERDEF);
                self.named.add(
                    &format!("verdaux[{index}]"),
                    at + self.named.size(at + 12, 4),
                    VERDAUX,
                );
                match self.named.size(at + 16, 4) {
                    0 => break,
                    next => at += next,
                }
            }
        }
    }

    /// How many dynamic symbols there are, by the hash tables and by the relocations.
    fn symbols(&self) -> usize {
        let by_relocations =
            self.relocations().into_iter().map(|at| self.named.size(at + 12, 4) + 1).max();
        let by_hash = self.table(4).map(|at| self.named.size(at + 4, 4));
        by_relocations.max(by_hash).unwrap_or_default()
    }

    fn relocations(&self) -> Vec<usize> {
        let tables = [(7, 8), (23, 2)].into_iter().filter_map(|(table, size)| {
            let start = self.table(table)?;
            let size = usize::try_from(self.value(size)?).expect("files are small");
            Some((start..start + size).step_by(24))
        });
        tables.flatten().collect()
    }

    fn add_symbols(&mut self) {
        let (table, versions) = (self.table(6), self.table(0x6fff_fff0));
        for index in 0..self.symbols() {
            if let Some(table) = table {
                self.named.add(&format!("symbol[{index}]"), table + index * 24, SYMBOL);
            }
            if let Some(versions) = versions {
                self.named.add("", versions + index * 2, &[("versym", 0, 2)]);
            }
        }
    }

    fn add_hashes(&mut self) {
        if let Some(at) = self.table(4) {
            self.named.add("DT_HASH", at, &[("nbucket", 0, 4), ("nchain", 4, 4)]);
            let (buckets, chains) = (self.named.size(at, 4), self.named.size(at + 4, 4));
            for index in 0..buckets {
                self.named.add("", at + 8 + index * 4, &[("hash bucket", 0, 4)]);
            }
            for index in 0..chains {
                self.named.add("", at + 8 + (buckets + index) * 4, &[("hash chain", 0, 4)]);
            }
        }
        if let Some(at) = self.table(0x6fff_fef5) {
            let fields = [
                ("nbuckets", 0, 4),
                ("symoffset", 4, 4),
                ("bloom_size", 8, 4),
                ("bloom_shift", 12, 4),
            ];
            self.named.add("DT_GNU_HASH", at, &fields);
            let (buckets, first, words) =
                (self.named.size(at, 4), self.named.size(at + 4, 4), self.named.size(at + 8, 4));
            for index in 0..words {
                self.named.add("", at + 16 + index * 8, &[("bloom word", 0, 8)]);
            }
            for index in 0..buckets {
                self.named.add("", at + 16 + words * 8 + index * 4, &[("GNU hash bucket", 0, 4)]);
            }
            let chains = at + 16 + words * 8 + buckets * 4;
            for index in 0..self.symbols().saturating_sub(first) {
                self.named.add("", chains + index * 4, &[("GNU hash chain", 0, 4)]);
            }
        }
    }
}

/// The fields of a file that works.
pub(crate) fn fields(bytes: &[u8]) -> Vec<Field> {
    let mut file = Elf { named: Named::new(bytes) };
    file.named.add("", 0, HEADER);
    file.add_segments();
    file.add_dynamic();
    file.add_versions();
    file.add_hashes();
    file.add_symbols();
    for (index, at) in file.relocations().into_iter().enumerate() {
        file.named.add(&format!("relocation[{index}]"), at, RELOCATION);
    }
    file.named.fields
}
