//! `imports`: what a program takes from libraries, by library.

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;
use toml::de::DeValue;

use super::document::{Entry, Key, Located, Reader, Span, entries};
use super::expression::check_name;
use super::shape::{Names, Shape, described};
use super::source_map::SourceMap;
use crate::error::{Collector, Error, ErrorKind, Place};
use crate::program::{Binding, Import, ImportName, Program};
use crate::target::{OperatingSystem, Target};

/// The imports of one table, or of all tables of a target together.
pub(super) type Imports = IndexMap<String, Library, FxBuildHasher>;

/// What is taken from a library.
#[derive(Clone, Debug)]
pub(super) struct Library {
    /// Where its name stands.
    span: Span,
    imports: Vec<Wanted>,
}

/// Something that is wanted of a library.
#[derive(Clone, Debug)]
struct Wanted {
    /// Where it stands.
    span: Span,
    /// What the program calls it.
    local: String,
    name: ImportName<'static>,
    weak: bool,
}

/// What a table in the place of a name says.
#[derive(Default)]
pub(super) struct ImportTable {
    name: Option<Located<String>>,
    ordinal: Option<u16>,
    local: Option<Located<String>>,
    weak: bool,
}

pub(super) const KEYS: &[Key<ImportTable>] = &[
    Key {
        name: "name",
        about: "The name by which the library knows it, letter by letter; on Linux with `@VERSION` behind it if one is wanted.",
        shape: Shape::String,
        read: |import, reader, entry| import.name = reader.located_string(entry),
    },
    Key {
        name: "ordinal",
        about: "Its number in the library, in the place of a name: Windows.",
        shape: Shape::Integer(1, u16::MAX as i128),
        read: |import, reader, entry| {
            let ordinal = reader.integer(entry, (1, u16::MAX.into()));
            import.ordinal = ordinal.and_then(|ordinal| u16::try_from(ordinal).ok());
        },
    },
    Key {
        name: "as",
        about: "What the program calls it: `name` if it is not said.",
        shape: Shape::String,
        read: |import, reader, entry| import.local = reader.located_string(entry),
    },
    Key {
        name: "weak",
        about: "Whether a program runs without it, its address being 0: macOS.",
        shape: Shape::Boolean,
        read: |import, reader, entry| match entry.value {
            DeValue::Boolean(weak) => import.weak = *weak,
            _ => reader.errors.push(entry.must_be("true or false")),
        },
    },
];

/// What `imports` can be.
pub(super) const SHAPE: Shape = Shape::Map(
    Names::Any,
    &Shape::Array(&Shape::Either(&Shape::String, &Shape::Table("import", || described(&[KEYS])))),
);

/// Reads `imports`, a table of libraries.
pub(super) fn read(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Imports {
    let DeValue::Table(table) = entry.value else {
        let error = entry.must_be("a table of libraries");
        let help =
            "name the library that it comes from: imports.\"kernel32.dll\" = [\"ExitProcess\"]";
        reader.errors.push(error.help(help));
        return Imports::default();
    };
    let mut libraries = Imports::default();
    for library in entries(table) {
        let Some(elements) = reader.array(&library, "an array of names") else { continue };
        if elements.is_empty() {
            let message = format!(
                "nothing is imported from `{}`, and a program does not load what it takes nothing from",
                library.key.escape_debug()
            );
            let place = Place::Text(library.span.clone());
            reader.errors.push(Error::new(ErrorKind::Missing, message).at(place, ""));
        }
        let imports = elements.iter().filter_map(|element| read_import(reader, element)).collect();
        libraries
            .insert(library.key.to_owned(), Library { span: library.key_span.clone(), imports });
    }
    libraries
}

fn read_import(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Wanted> {
    let mut import = ImportTable::default();
    match entry.value {
        DeValue::String(_) => import.name = reader.located_string(entry),
        DeValue::Table(table) => {
            if !reader.walk(table, "an import", &[KEYS], &mut import) {
                return None;
            }
        }
        _ => {
            return reader
                .refuse(entry.must_be("a name, or a table like { name = \"…\", as = \"…\" }"));
        }
    }
    let ImportTable { name, ordinal, local, weak } = import;
    let refuse = |message: &str, help: &str| {
        let error = Error::new(ErrorKind::InvalidValue, message);
        error.at(Place::Text(entry.span.clone()), "").help(help)
    };
    let (name, local) = match (name, ordinal, local) {
        (Some(_), Some(_), _) => {
            let message = "an import has a `name` or an `ordinal`, not both";
            return reader.refuse(refuse(message, "say how the library knows it"));
        }
        (None, None, _) => {
            let message = "an import needs a `name` or an `ordinal`";
            return reader.refuse(refuse(message, "say how the library knows it"));
        }
        (None, Some(_), None) => {
            let message = "an import by `ordinal` needs a name for the program: `as`";
            return reader.refuse(refuse(message, "{ ordinal = 1, as = \"name\" }"));
        }
        (None, Some(ordinal), Some(local)) => (ImportName::Ordinal(ordinal), local),
        (Some(name), None, local) => {
            let local = local.unwrap_or_else(|| name.clone());
            (ImportName::Name(name.value.into()), local)
        }
    };
    if let Err(problem) = check_name(&local.value) {
        let place = Place::Text(local.span);
        let error = Error::new(ErrorKind::InvalidValue, problem).at(place, "");
        return reader.refuse(error.help("`as` gives it another name in the program"));
    }
    Some(Wanted { span: entry.span.clone(), local: local.value, name, weak })
}

impl Wanted {
    /// The name and what stands behind its first `@`: which of several versions of it is wanted, on systems
    /// whose libraries have several.
    fn versioned_name(&self, target: Target) -> Option<(&str, &str)> {
        match &self.name {
            ImportName::Name(name) if target.operating_system == OperatingSystem::Linux => {
                name.split_once('@')
            }
            _ => None,
        }
    }

    /// What the program calls it: unless it says otherwise, the name without a version.
    fn local(&self, target: Target) -> &str {
        match (self.versioned_name(target), &self.name) {
            (Some((plain, _)), ImportName::Name(full)) if *full == self.local => plain,
            _ => &self.local,
        }
    }
}

/// Takes over what a more special table says for `target`: libraries meet, and in a library what has one
/// local name.
pub(super) fn override_by(common: &mut Imports, special: &Imports, target: Target) {
    for (name, library) in special {
        let Some(merged) = common.get_mut(name) else {
            common.insert(name.clone(), library.clone());
            continue;
        };
        for wanted in &library.imports {
            merged.imports.retain(|known| known.local(target) != wanted.local(target));
            merged.imports.push(wanted.clone());
        }
    }
}

/// Adds all imports to `program`; `map` learns where each stands.
pub(super) fn add(
    imports: &Imports,
    program: &mut Program<'_>,
    map: &mut SourceMap,
    errors: &mut Collector,
) {
    let target = program.target;
    for (name, library) in imports {
        let id = program.library(name.clone());
        map.add_library(&library.span);
        for wanted in &library.imports {
            let mut import = Import { library: id, name: wanted.name.clone(), version: None };
            if let Some((plain, version)) = wanted.versioned_name(target) {
                if plain.is_empty() || version.is_empty() || version.contains('@') {
                    errors.push(malformed_version(wanted, plain, version));
                    continue;
                }
                import.name = ImportName::Name(plain.to_owned().into());
                import.version = Some(version.to_owned().into());
            }
            let symbol = program.import(wanted.local(target).to_owned(), import);
            if wanted.weak {
                program.symbol_mut(symbol).binding = Binding::Weak;
            }
            map.add_symbol(symbol, &wanted.span);
        }
    }
}

fn malformed_version(wanted: &Wanted, plain: &str, version: &str) -> Error {
    let message = match (plain, version) {
        ("", _) => "no name stands before the `@` of this import".to_owned(),
        (_, "") => format!("no version stands behind the `@` of `{plain}`"),
        // Assemblers write `@@` where a library defines its default version; who imports has one `@`.
        _ => format!("the version of `{plain}` cannot be `{version}`: it has an `@` too many"),
    };
    Error::new(ErrorKind::InvalidValue, message)
        .at(Place::Text(wanted.span.clone()), "")
        .help("name@VERSION, as in \"exit@GLIBC_2.2.5\"")
}
