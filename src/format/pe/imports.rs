//! The import tables: which libraries, and what is wanted of each.
//!
//! The loader reads one descriptor a library (`LdrpSnapModule`; wine `import_dll`). Its lookup table says
//! what is wanted, by name or by number, and its slots, which start out the same, get the addresses.

use std::collections::HashMap;

use object::pe;
use object::{LittleEndian as LE, U32, U64, pod};

use super::Pe;
use super::plan::{IMPORT_LOOKUP, IMPORT_NAMES};
use crate::format::Linked;
use crate::format::layout::{Gathered, KeptImport};
use crate::format::plan::{Role, TableId};
use crate::program::{ImportId, ImportName, LibraryId, Program};

/// Bytes of an entry of a lookup table.
const THUNK: usize = size_of::<pe::ImageThunkData64>();

/// The imports that are kept, by library.
pub(crate) struct Imports {
    by_library: Vec<Vec<KeptImport>>,
    names: Vec<u8>,
    /// Where an import's hint and name lie in `names`; none for an import by number.
    name_offsets: HashMap<ImportId, usize>,
    /// Where each library's name lies in `names`.
    library_offsets: Vec<usize>,
}

impl Imports {
    pub(super) fn new(gathered: &Gathered<'_>) -> Self {
        let program = gathered.program;
        let library = |kept: &KeptImport| library_of(program, kept);
        let by_library: Vec<_> = gathered
            .imports
            .chunk_by(|first, second| library(first) == library(second))
            .map(<[KeptImport]>::to_vec)
            .collect();
        let mut names = Vec::new();
        let mut name_offsets = HashMap::new();
        for kept in by_library.iter().flatten() {
            if let ImportName::Name(name) = &program.imports()[kept.import.index()].name {
                name_offsets.insert(kept.import, names.len());
                names.extend_from_slice(&[0, 0]); // no hint: the loader searches by name
                push_name(&mut names, name);
            }
        }
        let library_offsets = by_library
            .iter()
            .map(|imports| {
                let offset = names.len();
                push_name(&mut names, &program.libraries()[library(&imports[0]).index()].name);
                offset
            })
            .collect();
        Self { by_library, names, name_offsets, library_offsets }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_library.is_empty()
    }

    pub(super) fn libraries(&self) -> usize {
        self.by_library.len()
    }

    pub(super) fn names(&self) -> &[u8] {
        &self.names
    }

    /// Bytes of all lookup tables, each ended by a zero.
    pub(super) fn lookup_size(&self) -> usize {
        self.by_library.iter().map(|imports| (imports.len() + 1) * THUNK).sum()
    }
}

fn library_of(program: &Program<'_>, kept: &KeptImport) -> LibraryId {
    program.imports()[kept.import.index()].library
}

/// Appends a name, its NUL, and what keeps the next one at an even offset.
fn push_name(names: &mut Vec<u8>, name: &str) {
    names.extend_from_slice(name.as_bytes());
    names.push(0);
    if !names.len().is_multiple_of(2) {
        names.push(0);
    }
}

/// What a lookup table and, until it is loaded, a slot say of an import: its number, or where its name
/// lies.
pub(super) fn lookup(linked: &Linked<'_, Pe>, import: ImportId) -> u64 {
    match &linked.gathered.program.imports()[import.index()].name {
        ImportName::Ordinal(ordinal) => pe::IMAGE_ORDINAL_FLAG64 | u64::from(*ordinal),
        ImportName::Name(_) => {
            let offset = linked.tables.imports.name_offsets[&import];
            u64::from(rva(linked, IMPORT_NAMES) + super::write::number(offset as u64))
        }
    }
}

fn rva(linked: &Linked<'_, Pe>, table: TableId) -> u32 {
    super::write::rva_of(linked.layout, Role::Table(table))
}

/// One descriptor a library, then one of zeros.
pub(super) fn directory(linked: &Linked<'_, Pe>) -> Vec<u8> {
    let slots = super::write::rva_of(linked.layout, Role::ImportSlots);
    let imports = &linked.tables.imports;
    let mut start = 0;
    let mut bytes = Vec::new();
    for (of_library, &name) in imports.by_library.iter().zip(&imports.library_offsets) {
        let descriptor = pe::ImageImportDescriptor {
            original_first_thunk: U32::new(LE, rva(linked, IMPORT_LOOKUP) + start),
            time_date_stamp: U32::new(LE, 0), // not bound to any version of the library
            forwarder_chain: U32::new(LE, 0),
            name: U32::new(LE, rva(linked, IMPORT_NAMES) + super::write::number(name as u64)),
            first_thunk: U32::new(LE, slots + start),
        };
        bytes.extend_from_slice(pod::bytes_of(&descriptor));
        start += super::write::number(((of_library.len() + 1) * THUNK) as u64);
    }
    bytes.resize(bytes.len() + size_of::<pe::ImageImportDescriptor>(), 0);
    bytes
}

/// The lookup tables of all libraries, each ended by a zero.
pub(super) fn lookup_tables(linked: &Linked<'_, Pe>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for of_library in &linked.tables.imports.by_library {
        for kept in of_library {
            let entry = U64::new(LE, lookup(linked, kept.import));
            bytes.extend_from_slice(pod::bytes_of(&pe::ImageThunkData64(entry)));
        }
        bytes.resize(bytes.len() + THUNK, 0);
    }
    bytes
}
