//! `init` and `fini`: functions that run before and after the program.

use super::document::{Entry, Located, Reader};
use super::source_map::SourceMap;
use crate::program::{Program, SymbolId};

/// Names of functions, in the order in which they run.
pub(super) type Functions = Vec<Located<String>>;

/// Reads an array of names.
pub(super) fn read(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Functions> {
    let elements = reader.array(entry, "an array of functions' names")?;
    Some(elements.iter().filter_map(|element| reader.symbol_name(element)).collect())
}

/// The symbols of the `functions` that `key` lists; `map` learns where each stands, and the first for all.
pub(super) fn symbols(
    key: &'static str,
    functions: Option<&Functions>,
    program: &mut Program<'_>,
    map: &mut SourceMap,
) -> Vec<SymbolId> {
    if let Some(first) = functions.and_then(|functions| functions.first()) {
        map.add_wish(key, &first.span);
    }
    let functions = functions.into_iter().flatten();
    functions
        .map(|function| {
            let symbol = program.reference(function.value.clone());
            map.add_symbol(symbol, &function.span);
            symbol
        })
        .collect()
}
