//! The symbol table, in the order that the dynamic symbol table tells: local ones, then those that the
//! image defines, then those that it wants.

use std::collections::HashMap;

use object::macho;
use object::write::macho::Nlist;

use super::plan::TEXT;
use super::tables::{Tables, count, encoder};
use crate::format::layout::{Body, Gathered, KeptImport, NamedSymbol};
use crate::program::{Binding, ImportId, ImportName, OutputKind, SymbolType};

/// The name of the Mach header, which every executable has.
pub(super) const HEADER_SYMBOL: &str = "__mh_execute_header";

/// The symbol table's bytes and those of its names.
pub(crate) struct Symbols {
    pub(super) bytes: Vec<u8>,
    pub(super) strings: Vec<u8>,
    pub(super) locals: u32,
    pub(super) defined: u32,
    pub(super) undefined: u32,
    /// Where each import stands in the table.
    pub(super) imports: HashMap<ImportId, u32>,
}

impl Symbols {
    pub(super) fn new(gathered: &Gathered<'_>, tables: &Tables, body: &Body) -> Self {
        let mut symbols = Self {
            bytes: Vec::new(),
            strings: b" \0".to_vec(), // by custom: offset 0 is no name, and a space says so
            locals: 0,
            defined: 0,
            undefined: 0,
            imports: HashMap::new(),
        };
        let named = |local: bool| {
            let all = if tables.strip { &[] } else { &gathered.symbols[..] };
            all.iter().filter(move |symbol| (symbol.binding == Binding::Local) == local)
        };
        for symbol in named(true) {
            symbols.push(symbol.name, &defined(gathered, tables, body, symbol));
            symbols.locals += 1;
        }
        if gathered.program.kind == OutputKind::Executable {
            symbols.push(HEADER_SYMBOL, &header(body));
            symbols.defined += 1;
        }
        for symbol in named(false) {
            symbols.push(symbol.name, &defined(gathered, tables, body, symbol));
            symbols.defined += 1;
        }
        for kept in &gathered.imports {
            symbols.imports.insert(kept.import, symbols.count());
            symbols.push(import_name(gathered, kept), &undefined(gathered, tables, kept));
            symbols.undefined += 1;
        }
        symbols.strings.resize(symbols.strings.len().next_multiple_of(8), 0);
        symbols
    }

    /// How many symbols there are.
    pub(super) fn count(&self) -> u32 {
        self.locals + self.defined + self.undefined
    }

    fn push(&mut self, name: &str, nlist: &Nlist) {
        let n_strx = count(self.strings.len());
        self.strings.extend_from_slice(name.as_bytes());
        self.strings.push(0);
        encoder().nlist(&mut self.bytes, &Nlist { n_strx, ..nlist.clone() });
    }
}

/// The name by which a library knows an import.
///
/// # Panics
/// Never: macOS has no imports by number, and `checks` has refused them.
pub(super) fn import_name<'g>(gathered: &Gathered<'g>, kept: &KeptImport) -> &'g str {
    match &gathered.program.imports()[kept.import.index()].name {
        ImportName::Name(name) => name,
        ImportName::Ordinal(_) => unreachable!("checked before the link"),
    }
}

fn defined(
    gathered: &Gathered<'_>,
    tables: &Tables,
    body: &Body,
    symbol: &NamedSymbol<'_>,
) -> Nlist {
    let section =
        symbol.section.and_then(|section| tables.section_numbers[gathered.output_of(section)]);
    let place = if section.is_some() { macho::N_SECT } else { macho::N_ABS };
    let mut n_type = macho::SymbolFlags::from(place);
    if symbol.binding != Binding::Local {
        n_type |= macho::N_EXT;
    }
    let n_desc = if symbol.binding == Binding::Weak { macho::N_WEAK_DEF.0 } else { 0 };
    Nlist {
        n_strx: 0,
        n_type,
        n_sect: section.unwrap_or(macho::NO_SECT),
        n_desc: macho::SymbolDesc(n_desc),
        n_value: body.layout.symbol(symbol.id).0,
    }
}

fn header(body: &Body) -> Nlist {
    Nlist {
        n_strx: 0,
        n_type: macho::SymbolFlags::from(macho::N_SECT) | macho::N_EXT,
        n_sect: 1, // as Apple's linker says, though the header lies before the first section
        n_desc: macho::SymbolDesc(macho::REFERENCED_DYNAMICALLY.0),
        n_value: body.layout.image_base.0,
    }
}

fn undefined(gathered: &Gathered<'_>, tables: &Tables, kept: &KeptImport) -> Nlist {
    let program = gathered.program;
    let weak = program.symbol(kept.symbol).binding == Binding::Weak;
    let ordinal = macho::SymbolLibrary(tables.ordinal(program, kept));
    let n_desc = macho::SymbolDesc(if weak { macho::N_WEAK_REF.0 } else { 0 });
    Nlist {
        n_strx: 0,
        n_type: macho::SymbolFlags::from(macho::N_UNDF) | macho::N_EXT,
        n_sect: macho::NO_SECT,
        n_desc: n_desc.with_library(ordinal),
        n_value: 0,
    }
}

/// Where functions start, in bytes from the Mach header, ascending, each once.
pub(super) fn function_starts(gathered: &Gathered<'_>, body: &Body) -> Vec<u64> {
    let base = body.layout.image_base.0;
    let text = body.layout.segments.iter().find(|segment| segment.name == TEXT);
    let end = text.map_or(base, |text| text.address.0 + text.size.0);
    let mut starts: Vec<u64> = gathered
        .symbols
        .iter()
        .filter(|symbol| symbol.symbol_type == SymbolType::Function)
        .filter(|symbol| symbol.binding != Binding::Local)
        .map(|symbol| body.layout.symbol(symbol.id).0)
        .filter(|address| (base..end).contains(address))
        .map(|address| address - base)
        .collect();
    starts.sort_unstable();
    starts.dedup();
    starts
}
