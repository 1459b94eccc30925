//! Whether what a program names is its own: ids are indices, and those of another program may be none here.

use crate::error::{Collector, Error, ErrorKind, Place, Result};
use crate::program::{Definition, Program, SymbolId};

/// Looks at every id in the program: of sections, symbols, imports and libraries.
///
/// An id of another program that is one of this program too cannot be told from it.
///
/// # Errors
/// Ids of another program that name nothing in this one.
#[cfg_attr(feature = "tracing", tracing::instrument(skip_all))]
pub fn check_ids(program: &Program<'_>) -> Result<()> {
    let mut errors = Collector::default();
    let mut check = |what: &str, index: usize, count: usize, place: Option<Place>| {
        if index < count {
            return;
        }
        let message = format!("{what} {index} is of another program: this one has {count}");
        let error = Error::new(ErrorKind::InvalidValue, message)
            .value(index as i128, 0..=count as i128 - 1);
        errors.push(match place {
            Some(place) => error.at(place, ""),
            None => error,
        });
    };
    let symbols = program.symbols().len();
    for (section, contents) in program.sections_with_ids() {
        for relocation in &contents.relocations {
            let index = relocation.symbol.index();
            // This is the one long loop: a place is made only where it is told.
            if index >= symbols {
                let place = Place::Section { section, offset: relocation.offset };
                check("symbol", index, symbols, Some(place));
            }
        }
    }
    for (id, symbol) in program.symbols_with_ids() {
        let (what, index, count) = match symbol.definition {
            Definition::Section { section, .. } => {
                ("section", section.index(), program.sections().len())
            }
            Definition::Import(import) => ("import", import.index(), program.imports().len()),
            _ => continue,
        };
        check(what, index, count, Some(Place::Symbol(id)));
    }
    for import in program.imports() {
        check("library", import.library.index(), program.libraries().len(), None);
    }
    let symbol = |id: &SymbolId, place| ("symbol", id.index(), symbols, place);
    let exports = program.exports.iter().enumerate();
    let exports = exports.map(|(index, export)| symbol(&export.symbol, Some(Place::Export(index))));
    let entry = program.entry.iter().map(|id| symbol(id, None));
    let lists = program.init.iter().chain(&program.fini).map(|id| symbol(id, None));
    for (what, index, count, place) in entry.chain(exports).chain(lists) {
        check(what, index, count, place);
    }
    errors.into_result(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::x86_64;
    use crate::program::{Export, Import, Section, SectionKind, Symbol};
    use crate::target::Target;

    #[test]
    fn ids_of_another_program_are_errors_wherever_they_stand() {
        let mut other = Program::new(Target::X86_64_LINUX);
        for name in ["a", "b", "c"] {
            let section = other.add_section(Section::new(name, SectionKind::Code, &[0x90]));
            other.define(name, section, 0, 1);
            let library = other.library(name);
            other.import(format!("{name}_import"), Import::by_name(library, name));
        }
        let foreign = other.global("c_import").expect("defined above");

        let mut program = Program::new(Target::X86_64_LINUX);
        let code =
            program.add_section(Section::new("code", SectionKind::Code, &[0xe8, 0, 0, 0, 0]));
        program.define("start", code, 0, 5);
        program.relocate(code, 1, x86_64::CALL32, foreign, -4);
        let section = other.symbol(other.global("c").expect("defined above")).definition;
        program.add_symbol(Symbol::new("in_another_section", section));
        program.add_symbol(Symbol::new("another_import", other.symbol(foreign).definition));
        let library = other.library("c");
        program.import("from_another_library", Import::by_name(library, "f"));
        program.entry = Some(foreign);
        program.init.push(foreign);
        program.fini.push(foreign);
        program.exports.push(Export::by_name("e", foreign));

        let errors = crate::link(&program, &crate::Options::default()).expect_err("foreign ids");
        let messages: Vec<_> = errors.iter().map(ToString::to_string).collect();
        let symbol = "symbol 5 is of another program: this one has 4";
        let expected = [
            symbol,
            "section 2 is of another program: this one has 1",
            "import 2 is of another program: this one has 1",
            "library 2 is of another program: this one has 0",
            symbol,
            symbol,
            symbol,
            symbol,
        ];
        assert_eq!(messages, expected);
    }
}
