//! The JSON schema says what the parser does.

use std::fs;
use std::path::Path;

use expect_test::expect_file;
use jsonschema::Validator;
use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

use super::reference::blocks;
use crate::error::ErrorKind;
use crate::input::spec::document::{entries, integer_value};
use crate::input::spec::{read, schema};

/// The value as JSON has it.
fn json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Integer(integer) => {
            let value = integer_value(integer).unwrap_or(i128::MAX);
            let small = i64::try_from(value).map(Value::from);
            small.or_else(|_| u64::try_from(value).map(Value::from)).unwrap_or(1e300.into())
        }
        // What JSON has no number for is a number too.
        DeValue::Float(float) => {
            let number = float.as_str().parse().ok().and_then(serde_json::Number::from_f64);
            number.map_or(0.5.into(), Value::Number)
        }
        DeValue::Boolean(value) => (*value).into(),
        DeValue::Datetime(time) => time.to_string().into(),
        DeValue::Array(array) => array.iter().map(|value| json(value.get_ref())).collect(),
        DeValue::Table(table) => table_json(table),
    }
}

fn table_json(table: &DeTable<'_>) -> Value {
    let entries = entries(table);
    Value::Object(
        entries
            .iter()
            .map(|entry| (entry.key.to_owned(), json(entry.value)))
            .collect::<Map<_, _>>(),
    )
}

/// What the schema says of `text`, which is TOML.
#[track_caller]
fn complaints(validator: &Validator, text: &str) -> Vec<String> {
    let document = DeTable::parse(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let document = table_json(document.get_ref());
    let all = validator.iter_errors(&document);
    all.map(|error| format!("{}: {error}", error.instance_path())).collect()
}

fn validator() -> Validator {
    jsonschema::draft7::new(&schema()).expect("it is a schema")
}

#[test]
fn the_schema_that_is_checked_in_is_the_parsers() {
    let text = serde_json::to_string_pretty(&schema()).expect("it is JSON");
    expect_file!["../../../../docs/spec.schema.json"].assert_eq(&format!("{text}\n"));
    jsonschema::draft7::meta::validate(&schema()).expect("it is a schema of draft 7");
}

#[test]
fn every_spec_of_the_package_is_valid() {
    let validator = validator();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for folder in ["samples", "tests/programs", "src/cli/templates"] {
        for entry in fs::read_dir(root.join(folder)).expect("a folder of the package") {
            let path = entry.expect("it can be listed").path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                let text = fs::read_to_string(&path).expect("specs are UTF-8");
                assert_eq!(complaints(&validator, &text), [""; 0], "{}", path.display());
                count += 1;
            }
        }
    }
    assert!(count > 10, "{count} specs were looked at");
}

#[test]
fn every_example_of_the_reference_is_valid() {
    let validator = validator();
    for (line, text) in ["toml", "toml,fragment"].into_iter().flat_map(blocks) {
        assert_eq!(complaints(&validator, &text), [""; 0], "docs/SPEC.md:{line}");
    }
}

/// The tables of the language, `KEY` in the place of a key and its value.
const TABLES: &[(&str, &str)] = &[
    ("", "KEY"),
    ("layer", "[target.x86_64-linux]\nKEY"),
    ("code-item", "[target.linux.code.x]\nKEY"),
    ("rodata-item", "[rodata.x]\nKEY"),
    ("data-item", "[data.x]\nKEY"),
    ("bss-item", "[bss.x]\nKEY"),
    ("tls-item", "[tls.x]\nKEY"),
    ("unwind-item", "[unwind.x]\nKEY"),
    ("unwind-records-item", "[unwind-records.x]\nKEY"),
    ("field", "[[rodata.x.fields]]\nKEY"),
    ("section", "[section.x]\nKEY"),
    ("memory", "[stack]\nKEY"),
    ("import", "[[imports.x]]\nKEY"),
    ("export", "[[exports]]\nKEY"),
    ("test", "[[test]]\nKEY"),
];

/// Values of every type, and of every type inside those.
const VALUES: &[&str] = &[
    "''",
    "'x'",
    "'1'",
    "'64 KiB'",
    "'500 ms'",
    "'SIGSEGV'",
    "'x86_64-linux'",
    "'linux'",
    "'main'",
    "'fixed'",
    "'code'",
    "'console'",
    "0",
    "1",
    "-1",
    "255",
    "256",
    "65536",
    "0x80000000",
    "0x100000000",
    "0x8000000000000000",
    "1.5",
    "1e300",
    "inf",
    "true",
    "[]",
    "['x']",
    "['linux']",
    "['aarch64-apple-darwin']",
    "[1]",
    "[-1]",
    "[1.5]",
    "[true]",
    "[[]]",
    "[{}]",
    "[{ name = 'x' }]",
    "[{ exit = 1 }]",
    "[{ u8 = 1 }]",
    "{}",
    "{ x = 'x' }",
    "{ x = 1 }",
    "{ x = true }",
    "{ x = [] }",
    "{ x = ['x'] }",
    "{ x = [1] }",
    "{ x = {} }",
    "{ linux = {} }",
    "{ vax = {} }",
    "{ size = 1 }",
    "{ size = '1 KiB' }",
    "{ size = [] }",
    "{ x = { text = 'x' } }",
    "{ x = { hex = '00' } }",
    "{ x = { size = 8 } }",
    "{ x = { contents = [] } }",
    "{ '1' = 1 }",
    "{ 'é' = 1 }",
    "{ 'a-b' = 1 }",
];

/// Mistakes that lie in one value: then the schema finds them as well.
const OF_ONE_VALUE: &[&str] = &[" must be ", " has no key ", "no signal is", "no target"];

/// JSON's numbers have no type: which of them a floating-point type has, a schema cannot say.
fn is_of_floats(message: &str) -> bool {
    ["`f32`", "`f64`"].iter().any(|name| message.starts_with(name))
}

#[test]
fn the_schema_takes_what_the_parser_takes_and_no_value_of_another_type() {
    let schema_of_all = schema();
    let validator = validator();
    let (mut taken, mut refused, mut differences) = (0, 0, Vec::new());
    for (name, table) in TABLES {
        let definition = match *name {
            "" => &schema_of_all,
            name => &schema_of_all["definitions"][name],
        };
        let keys = definition["properties"].as_object().expect("a table has keys");
        for key in keys.keys() {
            for value in VALUES {
                let text = table.replace("KEY", &format!("{key} = {value}"));
                let complaints = complaints(&validator, &text);
                let errors = read(&text, Path::new("/nonexistent")).err();
                let errors: Vec<_> = errors.iter().flatten().collect();
                // A spec needs targets, an item contents; files are somewhere else.
                let is_whole = errors
                    .iter()
                    .all(|error| matches!(error.kind, ErrorKind::Missing | ErrorKind::File));
                let is_wrong = errors.iter().any(|error| {
                    error.kind == ErrorKind::OutOfRange && !is_of_floats(&error.message)
                        || OF_ONE_VALUE.iter().any(|part| error.message.contains(part))
                });
                let said: Vec<_> = errors.iter().map(|error| error.message.as_str()).collect();
                if is_whole {
                    taken += 1;
                    let takes = || format!("takes {text:?}: {complaints:?}");
                    differences.extend((!complaints.is_empty()).then(takes));
                } else if is_wrong {
                    refused += 1;
                    let refuses = || format!("refuses {text:?}: {said:?}");
                    differences.extend(complaints.is_empty().then(refuses));
                }
            }
        }
    }
    assert!(differences.is_empty(), "the parser\n{}", differences.join("\n"));
    assert!(taken > 500 && refused > 2000, "{taken} taken, {refused} refused");
}

#[test]
fn every_definition_is_probed() {
    let schema = schema();
    let definitions = schema["definitions"].as_object().expect("tables have definitions");
    // A value, and no table.
    for name in definitions.keys().filter(|name| *name != "align") {
        assert!(TABLES.iter().any(|(known, _)| known == name), "{name} is not in TABLES");
    }
}
