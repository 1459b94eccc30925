//! `exports`: what others can look up in the program.

use toml::de::DeValue;

use super::document::{Entry, Key, Located, Reader, Span};
use super::expression::check_name;
use super::shape::{Shape, described};
use super::source_map::SourceMap;
use crate::error::{Error, ErrorKind, Place};
use crate::program::{Export, Program};
use crate::target::OperatingSystem;

/// The exports of one table.
#[derive(Clone, Debug)]
pub(super) struct Exports {
    exports: Vec<Wanted>,
}

/// Something that others can look up.
#[derive(Clone, Debug)]
struct Wanted {
    span: Span,
    name: String,
    /// What it stands for, if not what has its name.
    symbol: Option<String>,
    ordinal: Option<u16>,
    version: Option<String>,
}

/// What a table in the place of a name says.
#[derive(Default)]
pub(super) struct ExportTable {
    name: Option<Located<String>>,
    symbol: Option<Located<String>>,
    ordinal: Option<u16>,
    version: Option<Located<String>>,
}

pub(super) const KEYS: &[Key<ExportTable>] = &[
    Key {
        name: "name",
        about: "The name that others look up.",
        shape: Shape::String,
        read: |export, reader, entry| export.name = reader.located_string(entry),
    },
    Key {
        name: "symbol",
        about: "What it stands for in the program: `name` if it is not said.",
        shape: Shape::String,
        read: |export, reader, entry| export.symbol = reader.symbol_name(entry),
    },
    Key {
        name: "ordinal",
        about: "Its number: Windows.",
        shape: Shape::Integer(1, u16::MAX as i128),
        read: |export, reader, entry| {
            let ordinal = reader.integer(entry, (1, u16::MAX.into()));
            export.ordinal = ordinal.and_then(|ordinal| u16::try_from(ordinal).ok());
        },
    },
    Key {
        name: "version",
        about: "Which version of the name this is: Linux.",
        shape: Shape::String,
        read: |export, reader, entry| export.version = reader.located_string(entry),
    },
];

/// What `exports` can be.
pub(super) const SHAPE: Shape =
    Shape::Array(&Shape::Either(&Shape::String, &Shape::Table("export", || described(&[KEYS]))));

/// Reads `exports`, an array of names and tables.
pub(super) fn read(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Exports> {
    let elements = reader.array(entry, "an array of names")?;
    let exports = elements.iter().filter_map(|element| read_export(reader, element)).collect();
    Some(Exports { exports })
}

fn read_export(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Wanted> {
    let mut export = ExportTable::default();
    match entry.value {
        DeValue::String(_) => export.name = reader.located_string(entry),
        DeValue::Table(table) => {
            if !reader.walk(table, "an export", &[KEYS], &mut export) {
                return None;
            }
        }
        _ => {
            let wanted = "a name, or a table like { name = \"…\", symbol = \"…\" }";
            return reader.refuse(entry.must_be(wanted));
        }
    }
    let ExportTable { name, symbol, ordinal, version } = export;
    let Some(name) = name else {
        let error = Error::new(ErrorKind::InvalidValue, "an export needs a `name`");
        return reader.refuse(error.at(Place::Text(entry.span.clone()), ""));
    };
    let symbol = symbol.map(|symbol| symbol.value);
    let problem = match symbol {
        None => check_name(&name.value).err(),
        Some(_) if name.value.is_empty() || name.value.contains('\0') => {
            Some(format!("{:?} is no name of an export: it is empty or holds a NUL", name.value))
        }
        Some(_) => None,
    };
    if let Some(problem) = problem {
        let error = Error::new(ErrorKind::InvalidValue, problem).at(Place::Text(name.span), "");
        return reader.refuse(match (&symbol, name.value.is_empty()) {
            (None, false) => error.help(
                "`symbol` says what such a name stands for: { name = \"…\", symbol = \"…\" }",
            ),
            _ => error,
        });
    }
    let version = version.map(|version| version.value);
    Some(Wanted { span: entry.span.clone(), name: name.value, symbol, ordinal, version })
}

/// Adds all exports to `program`; `map` learns where each stands.
pub(super) fn add(exports: &Exports, program: &mut Program<'_>, map: &mut SourceMap) {
    for wanted in &exports.exports {
        let mut symbol = wanted.symbol.as_ref().unwrap_or(&wanted.name).as_str();
        // A version where none belongs is told by the check, and is not what to look for.
        if let (None, OperatingSystem::Linux) = (&wanted.symbol, program.target.operating_system) {
            symbol = symbol.split('@').next().unwrap_or(symbol);
        }
        let symbol = program.reference(symbol.to_owned());
        map.add_symbol(symbol, &wanted.span);
        map.add_export(&wanted.span);
        program.exports.push(Export {
            name: wanted.name.clone().into(),
            symbol,
            ordinal: wanted.ordinal,
            version: wanted.version.clone().map(Into::into),
        });
    }
}
