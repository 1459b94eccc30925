//! The JSON schema of specs, for editors: made of the keys that the parser reads.
//!
//! It says what can be said of a value alone: names of keys, types, words, intervals. What depends on
//! another value, on a target or on the program's names is the parser's to find out.

use serde_json::{Map, Value, json};

use super::document::list;
use super::item::GROUPS;
use super::layer::Layer;
use super::quantity::{DAY, SIZE_UNITS, TIME_UNITS};
use super::shape::{Described, Names, Shape, described};
use super::targets;
use super::{DOCUMENT_KEYS, VERSION};

/// What `expression::check_name` takes, but for rules that only Unicode's tables know: no ASCII punctuation
/// other than `_ . $ @ ?`, and first neither a digit nor a dot.
const SYMBOL: &str = r"^[^\u0000-#%->\[-\^`{-\u007f][^\u0000-#%-\-/:->\[-\^`{-\u007f]*$";

/// The JSON schema (draft 7) of version 1 of the spec language.
///
/// Every spec that [`read`](super::read) takes is valid; a valid one can still be wrong.
#[must_use]
pub fn schema() -> Value {
    let mut schema = Schema::default();
    let mut document = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": format!("minild spec, version {VERSION}"),
        "description": "A program, for minild to make executables of: docs/SPEC.md describes the language.",
    });
    let mut table = schema.table(described(&[DOCUMENT_KEYS]));
    // The keys of a target's table stand at the top as well.
    for Described { name, .. } in described(&[Layer::KEYS]) {
        table["properties"][name] =
            json!({ "$ref": format!("#/definitions/layer/properties/{name}") });
    }
    merge(&mut document, table);
    merge(&mut document, json!({ "definitions": schema.definitions }));
    document
}

/// Adds the keys of one object to another.
fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}

#[derive(Default)]
struct Schema {
    /// Tables by name, so that each is said once.
    definitions: Map<String, Value>,
}

impl Schema {
    fn shape(&mut self, shape: &Shape) -> Value {
        match shape {
            Shape::String => json!({ "type": "string" }),
            Shape::Path | Shape::Sum => json!({ "type": "string", "minLength": 1 }),
            Shape::Words(words) => json!({ "enum": words() }),
            Shape::Boolean => json!({ "type": "boolean" }),
            Shape::Float => json!({ "type": "number" }),
            Shape::Integer(low, high) => integer(*low, *high),
            Shape::Number(number) => {
                let (low, high) = number.interval();
                json!({ "anyOf": [integer(low, high), self.shape(&Shape::Sum)] })
            }
            Shape::Size => {
                let number = integer(0, u64::MAX.into());
                json!({ "anyOf": [number, counted(SIZE_UNITS)] })
            }
            Shape::Align => {
                let powers: Vec<_> = (0..u64::BITS).map(|bit| 1_u64 << bit).collect();
                let align = json!({ "anyOf": [{ "enum": powers }, counted(SIZE_UNITS)] });
                self.definitions.entry("align").or_insert(align);
                json!({ "$ref": "#/definitions/align" })
            }
            Shape::Duration => json!({ "anyOf": [integer(1, DAY), counted(TIME_UNITS)] }),
            Shape::Array(element) => json!({ "type": "array", "items": self.shape(element) }),
            Shape::OneOrMany(element) => {
                json!({ "anyOf": [self.shape(element), self.shape(&Shape::Array(element))] })
            }
            Shape::Either(one, other) => {
                json!({ "anyOf": [self.shape(one), self.shape(other)] })
            }
            Shape::Table(name, keys) => self.defined(name, keys()),
            Shape::Map(names, value) => {
                let value = self.shape(value);
                map(*names, &value)
            }
            Shape::Items(name) => {
                let group = GROUPS.iter().find(|group| group.name == *name);
                let (keys, has_shorthand) = group.expect("items are of a group").described();
                let table = self.defined(&format!("{name}-item"), keys);
                let item = if has_shorthand {
                    json!({ "anyOf": [table, self.shape(&Shape::String)] })
                } else {
                    table
                };
                map(Names::Symbols, &item)
            }
        }
    }

    /// A reference to the table called `name`.
    fn defined(&mut self, name: &str, keys: Vec<Described>) -> Value {
        if !self.definitions.contains_key(name) {
            // Its place is taken first, so that definitions stand in the order in which they are met.
            self.definitions.insert(name.to_owned(), Value::Null);
            let table = self.table(keys);
            self.definitions.insert(name.to_owned(), table);
        }
        json!({ "$ref": format!("#/definitions/{name}") })
    }

    fn table(&mut self, keys: Vec<Described>) -> Value {
        let mut properties = Map::new();
        for Described { name, about, shape } in keys {
            let mut said = json!({ "description": about });
            let value = self.shape(shape);
            // Draft 7 passes over whatever stands beside a `$ref`.
            let is_reference = value.get("$ref").is_some();
            merge(&mut said, if is_reference { json!({ "allOf": [value] }) } else { value });
            properties.insert(name.to_owned(), said);
        }
        json!({ "type": "object", "properties": properties, "additionalProperties": false })
    }
}

/// A table of such values, whose keys are names.
fn map(names: Names, value: &Value) -> Value {
    let mut map = json!({ "type": "object", "additionalProperties": value });
    match names {
        Names::Any => {}
        Names::Symbols => merge(&mut map, json!({ "propertyNames": { "pattern": SYMBOL } })),
        Names::Targets => {
            let names = targets::selector_names();
            // An editor completes what is a property.
            let properties: Map<_, _> =
                names.iter().map(|name| ((*name).to_owned(), value.clone())).collect();
            map = json!({
                "type": "object",
                "properties": properties,
                "additionalProperties": false,
            });
        }
    }
    map
}

fn integer(low: i128, high: i128) -> Value {
    // Every interval of the language lies in 64 bits, with a sign or without.
    let number = |bound: i128| match u64::try_from(bound) {
        Ok(bound) => json!(bound),
        Err(_) => json!(i64::try_from(bound).unwrap_or(i64::MIN)),
    };
    json!({ "type": "integer", "minimum": number(low), "maximum": number(high) })
}

/// A string with an integer and one of `units`, if any.
fn counted(units: &[(&str, u128)]) -> Value {
    let names: Vec<_> = units.iter().map(|(name, _)| *name).collect();
    let pattern = format!(r"^\s*(0x[0-9A-Fa-f_]+|[0-9][0-9_]*)\s*({})?\s*$", names.join("|"));
    let description = format!("A number, and {} behind it.", list(names));
    json!({ "type": "string", "pattern": pattern, "description": description })
}
