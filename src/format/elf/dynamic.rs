//! What the dynamic linker reads: which libraries, which symbols of theirs and ours, in which versions
//! (gABI chapter 5; glibc `elf/dl-load.c`, `elf/get-dynamic-info.h`; musl `ldso/dynlink.c`).
//!
//! A program that imports or exports has these tables; everything in them but addresses is known before
//! the layout.

use std::collections::HashMap;

use indexmap::IndexMap;
use object::Endianness;
use object::elf;
use object::write::elf::{Encoder, GnuHashTable, Verdef, Vernaux, Verneed};
use rustc_hash::FxBuildHasher;

use super::plan::{
    DYNAMIC, DYNSTR, DYNSYM, GNU_HASH, HASH, INTERP, RELA_DYN, VERDEF, VERNEED, VERSYM,
};
use super::tables::count;
use crate::arch::start_up;
use crate::format::Shape;
use crate::format::layout::{Gathered, KeptImport, LoadValue};
use crate::format::plan::{Role, TableId};
use crate::program::{
    Binding, Export, ImportName, Libc, LibraryId, OutputKind, Position, Program, SectionKind,
    Start, SymbolId,
};
use crate::target::Architecture;
use crate::units::{Address, Align, Size};

/// The index of symbols without a version that others see, and the first of those with one.
const GLOBAL: u16 = elf::VER_NDX_GLOBAL.0;
const FIRST_VERSION: u16 = GLOBAL + 1;

/// The tables of a program that is loaded by a dynamic linker.
pub(super) struct Dynamic {
    encoder: Encoder<Endianness>,
    /// The path of the dynamic linker, and the NUL behind it; libraries name none.
    pub(super) interpreter: Option<Vec<u8>>,
    pub(super) strings: Names,
    /// The symbols behind the null one: imports, then exports in the order of the hash table.
    pub(super) symbols: Vec<DynamicSymbol>,
    /// Where each import stands in the table.
    import_indices: HashMap<SymbolId, u32>,
    imports: usize,
    hashes: Vec<u32>,
    buckets: u32,
    has_sysv_hash: bool,
    needed: Vec<u32>,
    library_name: Option<u32>,
    run_path: Option<u32>,
    needed_versions: Vec<NeededVersions>,
    /// The versions that the library defines, its own name first.
    defined_versions: Vec<(u32, u32)>,
    relocations: Relocations,
    flags: elf::DynamicFlags1,
    has_static_tls: bool,
    /// Whether the dynamic linker, or the C library in its place, runs initialisers and finalisers.
    runs: [bool; 2],
}

/// How many words the dynamic linker writes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Relocations {
    /// All of them.
    pub(super) all: u64,
    /// Those that only follow the image's place.
    pub(super) relative: u64,
}

/// A symbol that the dynamic linker looks up, or that others look up here.
#[derive(Clone, Copy, Debug)]
pub(super) struct DynamicSymbol {
    pub(super) name: u32,
    pub(super) symbol: SymbolId,
    pub(super) is_export: bool,
    pub(super) is_thread_local: bool,
    version: u16,
}

/// Versions that are wanted of one library.
struct NeededVersions {
    file: u32,
    versions: Vec<NeededVersion>,
}

/// A version that is wanted.
struct NeededVersion {
    /// Where its name stands among the strings.
    name: u32,
    hash: u32,
    /// The index that symbols say it by.
    index: u16,
    /// Whether the program runs without it: all that is wanted in it is weak.
    is_weak: bool,
}

/// Names as the file holds them, each once.
#[derive(Default)]
pub(super) struct Names {
    pub(super) bytes: Vec<u8>,
    offsets: HashMap<String, u32>,
}

impl Names {
    fn new() -> Self {
        Self { bytes: vec![0], offsets: HashMap::new() }
    }

    fn add(&mut self, name: &str) -> u32 {
        if let Some(offset) = self.offsets.get(name) {
            return *offset;
        }
        let offset = count(self.bytes.len());
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.offsets.insert(name.to_owned(), offset);
        offset
    }
}

/// Whether a dynamic linker loads the program.
pub(super) fn is_dynamic(program: &Program<'_>) -> bool {
    program.is_dynamic()
}

/// What the library is called by those that use it.
fn library_name(program: &Program<'_>) -> String {
    match &program.library_name {
        Some(name) => name.to_string(),
        None => format!("{}.so", program.name),
    }
}

/// Where each C library's dynamic linker lies.
fn usual_interpreter(program: &Program<'_>) -> &'static str {
    match (program.wishes.libc.unwrap_or_default(), program.target.architecture) {
        (Libc::Glibc, Architecture::X86_64) => "/lib64/ld-linux-x86-64.so.2",
        (Libc::Glibc, Architecture::Aarch64) => "/lib/ld-linux-aarch64.so.1",
        (Libc::Musl, Architecture::X86_64) => "/lib/ld-musl-x86_64.so.1",
        (Libc::Musl, Architecture::Aarch64) => "/lib/ld-musl-aarch64.so.1",
    }
}

impl Dynamic {
    pub(super) fn new(gathered: &Gathered<'_>, encoder: Encoder<Endianness>) -> Option<Self> {
        let program = gathered.program;
        if !is_dynamic(program) {
            return None;
        }
        let is_library = program.kind == OutputKind::SharedLibrary;
        let mut strings = Names::new();
        let needed = kept_libraries(gathered)
            .into_iter()
            .map(|library| strings.add(&program.libraries()[library.index()].name))
            .collect();
        let library_name = library_name(program);
        let own_name = is_library.then(|| strings.add(&library_name));
        let run_path = program.run_path.as_ref().map(|path| strings.add(path));

        // Versions have one numbering: those that the library defines, then those that are wanted.
        let mut indices = IndexMap::<&str, u16, FxBuildHasher>::default();
        for version in program.exports.iter().filter_map(|export| export.version.as_deref()) {
            let next = FIRST_VERSION + index_of(indices.len());
            indices.entry(version).or_insert(next);
        }
        let defined_versions: Vec<_> = if indices.is_empty() {
            Vec::new()
        } else {
            let names = std::iter::once(library_name.as_str()).chain(indices.keys().copied());
            names.map(|name| (strings.add(name), elf::hash(name.as_bytes()))).collect()
        };
        let first_needed = FIRST_VERSION + index_of(indices.len());
        let (needed_versions, by_import) = needed_versions(gathered, first_needed, &mut strings);

        let mut symbols: Vec<_> = gathered
            .imports
            .iter()
            .zip(by_import)
            .map(|(kept, version)| DynamicSymbol {
                name: strings.add(name_of(program, kept)),
                symbol: kept.symbol,
                is_export: false,
                is_thread_local: kept.is_thread_local,
                version: version.unwrap_or(GLOBAL),
            })
            .collect();
        let imports = symbols.len();
        let import_indices =
            symbols.iter().zip(1..).map(|(symbol, index)| (symbol.symbol, index)).collect();

        // A bucket for every two names: chains stay short, and the table small.
        let buckets = count(program.exports.len().div_ceil(2).max(1));
        let exports = exports_by_bucket(program, buckets, &indices);
        let hashes = exports.iter().map(|(hash, ..)| *hash).collect();
        symbols.extend(exports.iter().map(|&(_, export, version)| DynamicSymbol {
            name: strings.add(&export.name),
            symbol: gathered.winner(export.symbol),
            is_export: true,
            is_thread_local: false,
            version,
        }));

        let interpreter = (!is_library).then(|| {
            let path = program.interpreter.as_deref();
            let mut path = path.unwrap_or(usual_interpreter(program)).as_bytes().to_vec();
            path.push(0);
            path
        });
        let mut flags = elf::DF_1_NOW;
        if !is_library && program.wishes.position == Position::Independent {
            flags |= elf::DF_1_PIE;
        }
        let relative =
            gathered.load_relocations.iter().filter(|relocation| relocation.is_relative());
        Some(Self {
            encoder,
            interpreter,
            strings,
            symbols,
            import_indices,
            imports,
            hashes,
            buckets,
            // musl's `sysv_lookup` is what it falls back to; glibc wants the other alone.
            has_sysv_hash: program.wishes.libc == Some(Libc::Musl),
            needed,
            library_name: own_name,
            run_path,
            needed_versions,
            defined_versions,
            relocations: Relocations {
                all: gathered.load_relocations.len() as u64,
                relative: relative.count() as u64,
            },
            flags,
            has_static_tls: is_library
                && gathered
                    .load_relocations
                    .iter()
                    .any(|relocation| relocation.value == LoadValue::ThreadOffset),
            // Those of a program that starts without the C library are run by start-up code.
            runs: [SectionKind::Init, SectionKind::Fini].map(|kind| {
                (is_library || start_up::start(program) == Start::Libc)
                    && gathered.has(Role::Kind(kind))
            }),
        })
    }

    pub(super) fn shape(&self, table: TableId) -> Option<Shape> {
        let encoder = self.encoder;
        let word = Align::of(encoder.address_size());
        let symbols = count(self.symbols.len() + 1);
        let (present, size, align) = match table {
            INTERP => {
                let size = self.interpreter.as_ref().map_or(0, Vec::len);
                (size > 0, size as u64, Align::ONE)
            }
            DYNSYM => (true, encoder.sym_size() * u64::from(symbols), word),
            DYNSTR => (true, self.strings.bytes.len() as u64, Align::ONE),
            GNU_HASH => {
                let table = self.gnu_hash_table();
                let size = encoder.gnu_hash_size(
                    table.bloom_count,
                    table.bucket_count,
                    table.symbol_count,
                );
                (true, size, word)
            }
            HASH => (self.has_sysv_hash, encoder.hash_size(self.buckets, symbols), Align::of(4)),
            VERSYM => (self.has_versions(), encoder.gnu_versym_size(symbols), Align::of(2)),
            VERNEED => {
                (!self.needed_versions.is_empty(), self.verneed().len() as u64, Align::of(4))
            }
            VERDEF => (!self.defined_versions.is_empty(), self.verdef().len() as u64, Align::of(4)),
            DYNAMIC => {
                let entries = self.entries(|_| None).len() as u64;
                (true, encoder.dyn_size() * entries, word)
            }
            _ => return None,
        };
        present.then_some(Shape { size: Size(size), align })
    }

    fn has_versions(&self) -> bool {
        !self.needed_versions.is_empty() || !self.defined_versions.is_empty()
    }

    /// How many versions' tables have: libraries that some are wanted of, and versions that are defined.
    pub(super) fn version_counts(&self) -> (u16, u16) {
        (index_of(self.needed_versions.len()), index_of(self.defined_versions.len()))
    }

    /// The index of an import in the table.
    ///
    /// # Panics
    /// Never for an import that is kept.
    pub(super) fn import_index(&self, symbol: SymbolId) -> u32 {
        self.import_indices[&symbol]
    }

    fn gnu_hash_table(&self) -> GnuHashTable {
        let exports = self.hashes.len();
        GnuHashTable {
            bucket_count: self.buckets,
            // glibc masks with this - 1, so it is a power of two; about eight names a word.
            bloom_count: count(exports.div_ceil(8).next_power_of_two()),
            bloom_shift: 6,
            symbol_base: count(self.imports + 1),
            symbol_count: count(exports),
        }
    }

    pub(super) fn gnu_hash(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let hash = |index: u32| self.hashes[index as usize];
        self.encoder.gnu_hash_table(&mut bytes, &self.gnu_hash_table(), hash);
        bytes
    }

    pub(super) fn sysv_hash(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let name = |symbol: &DynamicSymbol| {
            let name = &self.strings.bytes[symbol.name as usize..];
            elf::hash(name.split(|byte| *byte == 0).next().unwrap_or_default())
        };
        let symbols = count(self.symbols.len() + 1);
        self.encoder.hash_table(&mut bytes, self.buckets, symbols, |index| {
            let symbol = self.symbols.get((index as usize).checked_sub(1)?)?;
            Some(name(symbol))
        });
        bytes
    }

    pub(super) fn versym(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.encoder.gnu_versym(&mut bytes, elf::VersymIndex(elf::VER_NDX_LOCAL.0));
        for symbol in &self.symbols {
            self.encoder.gnu_versym(&mut bytes, elf::VersymIndex(symbol.version));
        }
        bytes
    }

    pub(super) fn verneed(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (index, of_file) in self.needed_versions.iter().enumerate() {
            let verneed = Verneed {
                version: elf::VER_NEED_CURRENT,
                aux_count: index_of(of_file.versions.len()),
                file: of_file.file,
            };
            let has_next = index + 1 < self.needed_versions.len();
            self.encoder.gnu_verneed(&mut bytes, has_next, &verneed);
            for (position, version) in of_file.versions.iter().enumerate() {
                let &NeededVersion { name, hash, index, is_weak } = version;
                // Without the flag ld.so ends a program whose library lacks the version (`match_symbol`).
                let flags = if is_weak { elf::VER_FLG_WEAK } else { elf::VersionFlags(0) };
                let vernaux = Vernaux { flags, index: elf::VersionIndex(index), name, hash };
                let has_next = position + 1 < of_file.versions.len();
                self.encoder.gnu_vernaux(&mut bytes, has_next, &vernaux);
            }
        }
        bytes
    }

    pub(super) fn verdef(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (position, &(name, hash)) in self.defined_versions.iter().enumerate() {
            let is_base = position == 0;
            let verdef = Verdef {
                version: elf::VER_DEF_CURRENT,
                flags: if is_base { elf::VER_FLG_BASE } else { elf::VersionFlags(0) },
                index: elf::VersionIndex(GLOBAL + index_of(position)),
                aux_count: 1,
                name,
                hash,
            };
            let has_next = position + 1 < self.defined_versions.len();
            self.encoder.gnu_verdef(&mut bytes, has_next, &verdef);
        }
        bytes
    }

    /// The dynamic section's entries, the null included. `place` gives address and size of an output
    /// section.
    pub(super) fn entries(
        &self,
        place: impl Fn(Role) -> Option<(Address, Size)>,
    ) -> Vec<(elf::DynamicTag, u64)> {
        let address = |table| place(Role::Table(table)).map_or(0, |(address, _)| address.0);
        let size = |table| place(Role::Table(table)).map_or(0, |(_, size)| size.0);
        let mut entries: Vec<(elf::DynamicTag, u64)> =
            self.needed.iter().map(|name| (elf::DT_NEEDED, u64::from(*name))).collect();
        entries.extend(self.library_name.map(|name| (elf::DT_SONAME, u64::from(name))));
        entries.extend(self.run_path.map(|path| (elf::DT_RUNPATH, u64::from(path))));
        entries.push((elf::DT_GNU_HASH, address(GNU_HASH)));
        if self.has_sysv_hash {
            entries.push((elf::DT_HASH, address(HASH)));
        }
        entries.extend([
            (elf::DT_STRTAB, address(DYNSTR)),
            (elf::DT_SYMTAB, address(DYNSYM)),
            (elf::DT_STRSZ, size(DYNSTR)),
            (elf::DT_SYMENT, self.encoder.sym_size()),
        ]);
        if self.relocations.all > 0 {
            // glibc asserts that all three are there (`elf_get_dynamic_info`).
            entries.extend([
                (elf::DT_RELA, address(RELA_DYN)),
                (elf::DT_RELASZ, size(RELA_DYN)),
                (elf::DT_RELAENT, self.encoder.rel_size(true)),
            ]);
        }
        if self.relocations.relative > 0 {
            entries.push((elf::DT_RELACOUNT, self.relocations.relative));
        }
        let lists = [
            (SectionKind::Init, elf::DT_INIT_ARRAY, elf::DT_INIT_ARRAYSZ),
            (SectionKind::Fini, elf::DT_FINI_ARRAY, elf::DT_FINI_ARRAYSZ),
        ];
        for ((kind, start, len), _) in lists.into_iter().zip(self.runs).filter(|(_, runs)| *runs) {
            let (address, size) = place(Role::Kind(kind)).unwrap_or_default();
            entries.extend([(start, address.0), (len, size.0)]);
        }
        if self.has_versions() {
            entries.push((elf::DT_VERSYM, address(VERSYM)));
        }
        let (needed, defined) = self.version_counts();
        if needed > 0 {
            entries.push((elf::DT_VERNEED, address(VERNEED)));
            entries.push((elf::DT_VERNEEDNUM, needed.into()));
        }
        if defined > 0 {
            entries.push((elf::DT_VERDEF, address(VERDEF)));
            entries.push((elf::DT_VERDEFNUM, defined.into()));
        }
        // There is no lazy binding: every slot is filled before the table turns read-only.
        // A library whose variables have a fixed distance from the thread pointer wants room there.
        let static_tls = if self.has_static_tls { elf::DF_STATIC_TLS.0 } else { 0 };
        entries.push((elf::DT_FLAGS, elf::DF_BIND_NOW.0 | static_tls));
        entries.push((elf::DT_FLAGS_1, self.flags.0));
        if self.interpreter.is_some() {
            entries.push((elf::DT_DEBUG, 0)); // debuggers find the libraries through it
        }
        entries.push((elf::DT_NULL, 0));
        entries
    }
}

/// The exports in the order of a hash table of so many buckets, each with its hash and its version; `indices` are
/// those of the versions.
fn exports_by_bucket<'p>(
    program: &'p Program<'_>,
    buckets: u32,
    indices: &IndexMap<&str, u16, FxBuildHasher>,
) -> Vec<(u32, &'p Export<'p>, u16)> {
    let newest: HashMap<_, _> =
        program.exports.iter().map(|export| (&export.name, &export.version)).collect();
    let version = |export: &Export<'_>| match export.version.as_deref() {
        None => GLOBAL,
        // The last of a name's versions is what programs get that ask for none.
        Some(version) if newest[&export.name] == &export.version => indices[version],
        Some(version) => indices[version] | elf::VERSYM_HIDDEN.0,
    };
    let all = program.exports.iter();
    let mut exports: Vec<_> = all
        .map(|export| (elf::gnu_hash(export.name.as_bytes()), export, version(export)))
        .collect();
    exports.sort_by_key(|(hash, ..)| hash % buckets);
    exports
}

/// The libraries that something is kept of, in the program's order.
fn kept_libraries(gathered: &Gathered<'_>) -> Vec<LibraryId> {
    let mut libraries: Vec<_> =
        gathered.imports.iter().map(|kept| library_of(gathered.program, kept)).collect();
    libraries.dedup(); // kept imports are sorted by library
    libraries
}

fn library_of(program: &Program<'_>, kept: &KeptImport) -> LibraryId {
    program.imports()[kept.import.index()].library
}

/// The name by which a library knows an import.
///
/// # Panics
/// Never: ELF has no imports by number, and `plan::check` has refused them.
fn name_of<'p>(program: &'p Program<'_>, kept: &KeptImport) -> &'p str {
    match &program.imports()[kept.import.index()].name {
        ImportName::Name(name) => name,
        ImportName::Ordinal(_) => unreachable!("checked before the link"),
    }
}

/// The versions that are wanted, by library; and for each kept import the index of its own.
fn needed_versions(
    gathered: &Gathered<'_>,
    first: u16,
    strings: &mut Names,
) -> (Vec<NeededVersions>, Vec<Option<u16>>) {
    let program = gathered.program;
    let mut next = first;
    let mut needed = Vec::new();
    let mut by_import = Vec::new();
    let library = |kept: &KeptImport| library_of(program, kept);
    for of_library in gathered.imports.chunk_by(|a, b| library(a) == library(b)) {
        let mut versions = IndexMap::<&str, (u16, bool), FxBuildHasher>::default();
        for kept in of_library {
            let version = program.imports()[kept.import.index()].version.as_deref();
            let is_weak = program.symbol(kept.symbol).binding == Binding::Weak;
            by_import.push(version.map(|version| {
                let (index, all_weak) = versions.entry(version).or_insert_with(|| {
                    next += 1;
                    (next - 1, true)
                });
                *all_weak &= is_weak;
                *index
            }));
        }
        if versions.is_empty() {
            continue;
        }
        let file = strings.add(&program.libraries()[library(&of_library[0]).index()].name);
        let versions = versions
            .into_iter()
            .map(|(name, (index, is_weak))| NeededVersion {
                name: strings.add(name),
                hash: elf::hash(name.as_bytes()),
                index,
                is_weak,
            })
            .collect();
        needed.push(NeededVersions { file, versions });
    }
    (needed, by_import)
}

/// A count of versions, which have 15 bits.
///
/// # Panics
/// Never: `plan::check` refuses programs with more.
fn index_of(count: usize) -> u16 {
    u16::try_from(count).expect("checked before the link")
}
