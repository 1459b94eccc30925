//! Names meet: every symbol gets the one definition that stands for its name.
//!
//! Takes the program as its inputs filled it, with several symbols of one name where several inputs used
//! it; gives a definition for each symbol, and the entry.

use indexmap::IndexMap;
use indexmap::map::Entry;
use rustc_hash::FxBuildHasher;

use crate::error::{Collector, Error, ErrorKind, Place, Result};
use crate::format::plan::{Forwards, Loader};
use crate::program::{Binding, Definition, OutputKind, Program, SectionKind, Symbol, SymbolId};

/// The program with one definition for every symbol.
#[derive(Debug)]
pub struct Resolved<'p> {
    pub(crate) program: &'p Program<'p>,
    /// For each symbol the one that defines its name.
    pub(crate) winners: Vec<SymbolId>,
    /// Where the program starts; a library may have none.
    pub(crate) entry: Option<SymbolId>,
}

impl Resolved<'_> {
    /// Where the program starts; a library may have no such place.
    #[must_use]
    pub fn entry(&self) -> Option<SymbolId> {
        self.entry
    }

    /// The symbol that defines the name of `id`.
    ///
    /// # Panics
    /// When `id` is not of the program that was resolved.
    #[must_use]
    pub fn winner(&self, id: SymbolId) -> SymbolId {
        self.winners[id.index()]
    }

    /// What a symbol stands for. A weak reference that nothing defines is the number 0.
    ///
    /// # Panics
    /// When `id` is not of the program that was resolved.
    #[must_use]
    pub fn definition(&self, id: SymbolId) -> Definition {
        match self.program.symbol(self.winners[id.index()]).definition {
            Definition::Undefined => Definition::Absolute(0),
            definition => definition,
        }
    }
}

/// Gives every symbol its definition.
///
/// A name that nothing defines is an error where something refers to it strongly: a relocation, the entry, an export, a
/// list of functions. Object files also list names that their code turned out not to need.
///
/// # Errors
/// Two strong definitions of a name; a strong reference that nothing defines; a definition
/// outside its section; no entry, or one that does not lie in code; an export of an import where the loader
/// cannot pass it on.
///
/// # Panics
/// At ids of another program: [`check_ids`](super::check_ids) finds them.
#[cfg_attr(feature = "tracing", tracing::instrument(skip_all))]
pub fn resolve<'p>(program: &'p Program<'p>, loader: Loader) -> Result<Resolved<'p>> {
    let mut errors = Collector::default();
    check_definitions(program, &mut errors);

    let mut names = IndexMap::<&str, SymbolId, FxBuildHasher>::default();
    for (id, symbol) in program.symbols_with_ids() {
        if symbol.binding == Binding::Local {
            continue;
        }
        match names.entry(&symbol.name) {
            Entry::Vacant(vacant) => {
                vacant.insert(id);
            }
            Entry::Occupied(mut occupied) => {
                let first = *occupied.get();
                match stronger(program.symbol(first), symbol) {
                    Stronger::First => {}
                    Stronger::Second => *occupied.get_mut() = id,
                    Stronger::Neither => errors.push(duplicate(program, first, id)),
                }
            }
        }
    }

    let winner = |(id, symbol): (SymbolId, &Symbol<'_>)| match symbol.binding {
        Binding::Local => id,
        _ => names.get(&*symbol.name).copied().unwrap_or(id),
    };
    let winners: Vec<_> = program.symbols_with_ids().map(winner).collect();
    check_references(program, &winners, &names, &mut errors);

    let entry = program.entry.map(|entry| winners[entry.index()]);
    check_entry(program, entry, &mut errors);
    check_exports(program, loader, &winners, &mut errors);
    check_lists(program, &winners, &mut errors);
    errors.into_result(Resolved { program, winners, entry })
}

fn check_entry(program: &Program<'_>, entry: Option<SymbolId>, errors: &mut Collector) {
    let Some(entry) = entry else {
        if program.kind == OutputKind::SharedLibrary {
            return;
        }
        errors.push(
            Error::new(
                ErrorKind::Missing,
                "the program has no entry: nothing says where it starts",
            )
            .help("name the symbol that the system jumps to"),
        );
        return;
    };
    let symbol = program.symbol(entry);
    let is_code = match symbol.definition {
        Definition::Undefined => return, // told with the other undefined names
        Definition::Section { section, .. } => program.section(section).kind == SectionKind::Code,
        _ => false,
    };
    if !is_code {
        errors.push(
            Error::new(
                ErrorKind::InvalidValue,
                format!(
                    "the entry `{}` does not lie in code: the system could not run it",
                    symbol.name
                ),
            )
            .at(Place::Symbol(entry), "defined here"),
        );
    }
}

/// What runs before and after the program must be its own.
fn check_lists(program: &Program<'_>, winners: &[SymbolId], errors: &mut Collector) {
    for (key, list) in [("init", &program.init), ("fini", &program.fini)] {
        for id in list {
            let symbol = program.symbol(winners[id.index()]);
            let is_code = match symbol.definition {
                Definition::Undefined => continue, // told with the other undefined names
                Definition::Section { section, .. } => {
                    program.section(section).kind == SectionKind::Code
                }
                _ => false,
            };
            if !is_code {
                let message =
                    format!("`{}` in `{key}` does not lie in the program's code", symbol.name);
                let error = Error::new(ErrorKind::InvalidValue, message);
                errors.push(error.at(Place::Symbol(*id), "defined here"));
            }
        }
    }
}

/// What is exported must be there, once, and under one name each.
fn check_exports(
    program: &Program<'_>,
    loader: Loader,
    winners: &[SymbolId],
    errors: &mut Collector,
) {
    let mut names = IndexMap::<_, usize, FxBuildHasher>::default();
    for (index, export) in program.exports.iter().enumerate() {
        let symbol = program.symbol(winners[export.symbol.index()]);
        let place = Place::Export(index);
        let is_import = matches!(symbol.definition, Definition::Import(_));
        if is_import && loader.forwards == Forwards::Never {
            let message = format!(
                "`{}` cannot be exported: it is imported, and a program for {} cannot pass it on",
                export.name, program.target
            );
            errors.push(
                Error::new(ErrorKind::Conflict, message)
                    .at(place.clone(), "")
                    .help("export a function of the program that jumps to it"),
            );
        }
        let key = (&export.name, &export.version);
        if let Some(first) = names.insert(key, index) {
            let message = format!("`{}` is exported twice", export.name);
            errors.push(
                Error::new(ErrorKind::DuplicateSymbol, message)
                    .at(place, "")
                    .at(Place::Export(first), "first exported here"),
            );
        }
    }
}

fn check_definitions(program: &Program<'_>, errors: &mut Collector) {
    for (id, symbol) in program.symbols_with_ids() {
        if let Definition::Section { section, offset } = symbol.definition {
            let size = program.section(section).contents.size().0;
            if offset > size {
                errors.push(
                    Error::new(
                        ErrorKind::OutOfRange,
                        format!(
                            "symbol `{}` lies at {offset:#x} of section `{}`, which has {size:#x} bytes",
                            symbol.name,
                            program.section(section).name,
                        ),
                    )
                    .at(Place::Symbol(id), "defined here")
                    .value(offset.into(), 0..=size.into()),
                );
            }
        }
    }
}

enum Stronger {
    First,
    Second,
    Neither,
}

/// Which of two symbols of one name defines it (System V ABI, "Symbol Table": strong, then common, then
/// weak, then nothing; the first of equals, and the largest of commons).
fn stronger(first: &Symbol<'_>, second: &Symbol<'_>) -> Stronger {
    fn rank(symbol: &Symbol<'_>) -> u8 {
        match (symbol.definition, symbol.binding) {
            (Definition::Undefined, Binding::Weak) => 0,
            (Definition::Undefined, _) => 1,
            (_, Binding::Weak) => 2,
            (Definition::Common { .. }, _) => 3,
            _ => 4,
        }
    }
    match (rank(first), rank(second)) {
        (4, 4) => Stronger::Neither,
        (3, 3) => match (first.definition, second.definition) {
            (Definition::Common { size: a, .. }, Definition::Common { size: b, .. }) if b > a => {
                Stronger::Second
            }
            _ => Stronger::First,
        },
        (a, b) if b > a => Stronger::Second,
        _ => Stronger::First,
    }
}

fn duplicate(program: &Program<'_>, first: SymbolId, second: SymbolId) -> Error {
    let name = &program.symbol(second).name;
    Error::new(ErrorKind::DuplicateSymbol, format!("`{name}` is defined twice"))
        .at(Place::Symbol(second), "defined again here")
        .at(Place::Symbol(first), "first defined here")
}

/// How many undefined names are compared with all others for one that may have been meant: who has more has not
/// slipped, and every comparison takes as long as there are names.
const COMPARED: usize = 64;

/// What refers to a name must find something.
fn check_references(
    program: &Program<'_>,
    winners: &[SymbolId],
    names: &IndexMap<&str, SymbolId, FxBuildHasher>,
    errors: &mut Collector,
) {
    let is_missing = |id: SymbolId| {
        program.symbol(id).binding != Binding::Weak
            && program.symbol(winners[id.index()]).definition == Definition::Undefined
    };
    // Nearly always nothing is, and no relocation has to be looked at.
    if !program.symbols_with_ids().any(|(id, _)| is_missing(id)) {
        return;
    }
    let relocations = program.sections_with_ids().flat_map(|(section, contents)| {
        contents.relocations.iter().map(move |relocation| {
            (relocation.symbol, Place::Section { section, offset: relocation.offset }, "used here")
        })
    });
    let exports = program.exports.iter().map(|export| export.symbol);
    let lists = program.init.iter().chain(&program.fini).copied();
    let wishes = program.entry.into_iter().chain(exports).chain(lists);
    let wishes = wishes.map(|symbol| (symbol, Place::Symbol(symbol), ""));
    let mut missing = IndexMap::<SymbolId, _, FxBuildHasher>::default();
    for (symbol, place, label) in relocations.chain(wishes) {
        if is_missing(symbol) {
            missing.entry(winners[symbol.index()]).or_insert((symbol, place, label));
        }
    }
    missing.sort_unstable_keys();
    for (count, (id, place, label)) in missing.into_values().enumerate() {
        let name = &*program.symbol(id).name;
        let error = Error::new(ErrorKind::UndefinedSymbol, format!("nothing defines `{name}`"));
        let error = error.at(place, label);
        let is_defined = |id: &SymbolId| program.symbol(*id).definition != Definition::Undefined;
        let defined = names.iter().filter(|(_, id)| is_defined(id)).map(|(name, _)| *name);
        errors.push(if count < COMPARED { error.nearest(name, defined) } else { error });
    }
}
