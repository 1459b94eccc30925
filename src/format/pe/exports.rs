//! The export directory: what others can look up in an image, by name or by number.
//!
//! Names are sorted by their bytes, since the loader searches them by halves; each leads to an index into
//! the table of addresses. An address that lies in the directory itself is a forwarder: text that names
//! another library and what it has (PE format, "The .edata Section"; wine `find_named_export`,
//! `find_forwarded_export`).

use std::collections::BTreeMap;

use object::pe;
use object::{LittleEndian as LE, U16, U32, pod};

use super::Pe;
use super::plan::EXPORTS;
use super::write::{number, rva_of};
use crate::format::Linked;
use crate::format::layout::Gathered;
use crate::format::plan::Role;
use crate::program::{Definition, Export, ImportName, OutputKind, Program, SymbolId};

/// What an image exports.
pub(crate) struct Exports {
    /// By number.
    found: BTreeMap<u16, Found>,
    /// Sorted, each with its number.
    names: Vec<(String, u16)>,
    library_name: String,
}

/// What is found under a number.
#[derive(Clone, Debug)]
enum Found {
    /// A place of the image.
    Symbol(SymbolId),
    /// What another library has, as the loader reads it: `LIBRARY.NAME`, `LIBRARY.#NUMBER`.
    Forwarder(String),
}

impl Found {
    fn of(gathered: &Gathered<'_>, export: &Export<'_>) -> Self {
        let program = gathered.program;
        let symbol = gathered.winner(export.symbol);
        let Definition::Import(import) = program.symbol(symbol).definition else {
            return Self::Symbol(symbol);
        };
        let import = &program.imports()[import.index()];
        let library = &*program.libraries()[import.library.index()].name;
        // The loader adds `.dll` to a library's name that has no dot.
        let stem =
            library.len().checked_sub(".dll".len()).and_then(|end| library.split_at_checked(end));
        let library = match stem {
            Some((stem, suffix)) if suffix.eq_ignore_ascii_case(".dll") && !stem.contains('.') => {
                stem
            }
            _ => library,
        };
        Self::Forwarder(match &import.name {
            ImportName::Name(name) => format!("{library}.{name}"),
            ImportName::Ordinal(ordinal) => format!("{library}.#{ordinal}"),
        })
    }
}

/// What the image calls itself.
fn library_name(program: &Program<'_>) -> String {
    let suffix = match program.kind {
        OutputKind::Executable => ".exe",
        OutputKind::SharedLibrary => ".dll",
    };
    match &program.library_name {
        Some(name) => name.to_string(),
        None => format!("{}{suffix}", program.name),
    }
}

impl Exports {
    pub(super) fn new(gathered: &Gathered<'_>) -> Option<Self> {
        let program = gathered.program;
        if program.exports.is_empty() {
            return None;
        }
        let mut found: BTreeMap<u16, Found> = program
            .exports
            .iter()
            .filter_map(|export| Some((export.ordinal?, Found::of(gathered, export))))
            .collect();
        let mut names = Vec::new();
        let mut next = 1;
        for export in &program.exports {
            let ordinal = export.ordinal.unwrap_or_else(|| {
                while found.contains_key(&next) {
                    next += 1;
                }
                next
            });
            found.insert(ordinal, Found::of(gathered, export));
            names.push((export.name.to_string(), ordinal));
        }
        names.sort();
        Some(Self { found, names, library_name: library_name(program) })
    }

    /// The number of the first entry of the table of addresses.
    fn base(&self) -> u16 {
        self.found.keys().next().copied().unwrap_or(1)
    }

    /// How many entries the table of addresses has, those between two numbers included.
    fn functions(&self) -> usize {
        let last = self.found.keys().next_back().copied().unwrap_or(0);
        usize::from(last - self.base()) + 1
    }

    /// Where each part starts in the table: addresses, names, indices, strings; and its end.
    fn parts(&self) -> [usize; 5] {
        let addresses = size_of::<pe::ImageExportDirectory>();
        let names = addresses + 4 * self.functions();
        let indices = names + 4 * self.names.len();
        let strings = indices + 2 * self.names.len();
        let names = self.names.iter().map(|(name, _)| name.len() + 1);
        let forwarders = self.forwarders().map(|forwarder| forwarder.len() + 1);
        let end = strings
            + self.library_name.len()
            + 1
            + names.sum::<usize>()
            + forwarders.sum::<usize>();
        [addresses, addresses + 4 * self.functions(), indices, strings, end]
    }

    /// By number.
    fn forwarders(&self) -> impl Iterator<Item = &str> {
        self.found.values().filter_map(|found| match found {
            Found::Symbol(_) => None,
            Found::Forwarder(forwarder) => Some(forwarder.as_str()),
        })
    }

    pub(super) fn size(&self) -> usize {
        self.parts()[4]
    }

    pub(super) fn bytes(&self, linked: &Linked<'_, Pe>) -> Vec<u8> {
        let layout = linked.layout;
        let start = rva_of(layout, Role::Table(EXPORTS));
        let rva = |offset: usize| start + number(offset as u64);
        let [addresses, names, indices, strings, end] = self.parts();
        let directory = pe::ImageExportDirectory {
            characteristics: U32::new(LE, 0),
            time_date_stamp: U32::new(LE, 0),
            major_version: U16::new(LE, 0),
            minor_version: U16::new(LE, 0),
            name: U32::new(LE, rva(strings)),
            base: U32::new(LE, self.base().into()),
            number_of_functions: U32::new(LE, number(self.functions() as u64)),
            number_of_names: U32::new(LE, number(self.names.len() as u64)),
            address_of_functions: U32::new(LE, rva(addresses)),
            address_of_names: U32::new(LE, rva(names)),
            address_of_name_ordinals: U32::new(LE, rva(indices)),
        };
        let mut bytes = pod::bytes_of(&directory).to_vec();
        // Forwarders are the last of the strings.
        let forwarders = self.forwarders().map(|forwarder| forwarder.len() + 1).sum::<usize>();
        let mut forwarder_at = end - forwarders;
        for ordinal in (self.base()..=u16::MAX).take(self.functions()) {
            let address = match self.found.get(&ordinal) {
                None => 0,
                Some(Found::Symbol(symbol)) => {
                    number(layout.symbol(*symbol).0 - layout.image_base.0)
                }
                Some(Found::Forwarder(forwarder)) => {
                    let address = rva(forwarder_at);
                    forwarder_at += forwarder.len() + 1;
                    address
                }
            };
            bytes.extend_from_slice(&address.to_le_bytes());
        }
        let mut string = strings + self.library_name.len() + 1;
        for (name, _) in &self.names {
            bytes.extend_from_slice(&rva(string).to_le_bytes());
            string += name.len() + 1;
        }
        for (_, ordinal) in &self.names {
            bytes.extend_from_slice(&(ordinal - self.base()).to_le_bytes());
        }
        let names = self.names.iter().map(|(name, _)| name.as_str());
        let all = std::iter::once(&*self.library_name).chain(names).chain(self.forwarders());
        for name in all {
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(0);
        }
        debug_assert_eq!(bytes.len(), end);
        bytes
    }
}
