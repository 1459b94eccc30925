//! The export directory: what others can look up in an image, by name or by number.
//!
//! Names are sorted by their bytes, since the loader searches them by halves; each leads to an index into
//! the table of addresses (PE format, "The .edata Section"; wine `find_named_export`).

use std::collections::BTreeMap;

use object::pe;
use object::{LittleEndian as LE, U16, U32, pod};

use super::Pe;
use super::plan::EXPORTS;
use super::write::{number, rva_of};
use crate::format::Linked;
use crate::format::layout::Gathered;
use crate::format::plan::Role;
use crate::program::{OutputKind, Program, SymbolId};

/// What an image exports.
pub(crate) struct Exports {
    /// By number.
    symbols: BTreeMap<u16, SymbolId>,
    /// Sorted, each with its number.
    names: Vec<(String, u16)>,
    library_name: String,
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
        let mut symbols: BTreeMap<u16, SymbolId> = program
            .exports
            .iter()
            .filter_map(|export| Some((export.ordinal?, gathered.winner(export.symbol))))
            .collect();
        let mut names = Vec::new();
        let mut next = 1;
        for export in &program.exports {
            let ordinal = export.ordinal.unwrap_or_else(|| {
                while symbols.contains_key(&next) {
                    next += 1;
                }
                next
            });
            symbols.insert(ordinal, gathered.winner(export.symbol));
            names.push((export.name.to_string(), ordinal));
        }
        names.sort();
        Some(Self { symbols, names, library_name: library_name(program) })
    }

    /// The number of the first entry of the table of addresses.
    fn base(&self) -> u16 {
        self.symbols.keys().next().copied().unwrap_or(1)
    }

    /// How many entries the table of addresses has, those between two numbers included.
    fn functions(&self) -> usize {
        let last = self.symbols.keys().next_back().copied().unwrap_or(0);
        usize::from(last - self.base()) + 1
    }

    /// Where each part starts in the table: addresses, names, indices, strings; and its end.
    fn parts(&self) -> [usize; 5] {
        let addresses = size_of::<pe::ImageExportDirectory>();
        let names = addresses + 4 * self.functions();
        let indices = names + 4 * self.names.len();
        let strings = indices + 2 * self.names.len();
        let names = self.names.iter().map(|(name, _)| name.len() + 1);
        let end = strings + self.library_name.len() + 1 + names.sum::<usize>();
        [addresses, addresses + 4 * self.functions(), indices, strings, end]
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
        for ordinal in (self.base()..=u16::MAX).take(self.functions()) {
            let address = self
                .symbols
                .get(&ordinal)
                .map_or(0, |symbol| number(layout.symbol(*symbol).0 - layout.image_base.0));
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
        let all =
            std::iter::once(&self.library_name).chain(self.names.iter().map(|(name, _)| name));
        for name in all {
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(0);
        }
        debug_assert_eq!(bytes.len(), end);
        bytes
    }
}
