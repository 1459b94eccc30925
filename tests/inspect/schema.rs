//! docs/INSPECT.md says what is printed: every key with its type, and no key that is not there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::files::{File, WRITTEN, built, root};

/// Keys whose values look the same wherever they are.
const SAME: [(&str, &str); 8] = [
    ("headers[]", "record"),
    ("images[].headers[]", "record"),
    ("images[].signature[]", "record"),
    ("images[].notes[]", "record"),
    ("images[].tls[]", "record"),
    ("record.fields[]", "field"),
    ("images[].versions[]", "field"),
    ("images[].damage[]", "damaged"),
];

/// What the page says: types by key.
fn documented() -> BTreeMap<String, String> {
    let text = fs::read_to_string(root().join("docs/INSPECT.md")).expect("it is there");
    // Behind the keys stands how machine code is written.
    let (text, _) = text.split_once("\n## How machine code").expect("it ends with that");
    let mut keys = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let key = cells[1].trim_matches('`').to_owned();
        assert!(keys.insert(key, cells[2].to_owned()).is_none(), "twice: {line}");
    }
    assert!(keys.len() > 60);
    keys
}

/// Every key of a value with the types that it has.
fn walk(value: &Value, key: &str, found: &mut BTreeMap<String, BTreeSet<&'static str>>) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    };
    if !key.is_empty() && !key.ends_with("[]") && !["record", "field", "damaged"].contains(&key) {
        found.entry(key.to_owned()).or_default().insert(kind);
    }
    match value {
        Value::Array(values) => {
            let inner = format!("{key}[]");
            let same = SAME.iter().find(|(of, _)| *of == inner);
            let inner = same.map_or(inner, |(_, name)| (*name).to_owned());
            for value in values {
                walk(value, &inner, found);
            }
        }
        Value::Object(values) => {
            for (name, value) in values {
                let inner = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                walk(value, &inner, found);
            }
        }
        _ => {}
    }
}

fn printed(path: &Path, found: &mut BTreeMap<String, BTreeSet<&'static str>>) {
    for arguments in [&["--all", "--disassemble"][..], &[]] {
        let minild = Command::new(env!("CARGO_BIN_EXE_minild"))
            .args(["inspect", "--format", "json"])
            .args(arguments)
            .arg(path)
            .output()
            .expect("minild starts");
        let text = String::from_utf8(minild.stdout).expect("JSON is UTF-8");
        let value: Value = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(value["version"], 1);
        walk(&value, "", found);
    }
}

#[test]
fn the_page_says_what_is_printed() {
    let keys = documented();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut found = BTreeMap::new();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("the folder can be written to");
        path
    };
    for File { name, bytes } in &*WRITTEN {
        printed(&write(name, bytes), &mut found);
    }
    let File { name, bytes } = &WRITTEN[0];
    printed(&write(name, &bytes[..bytes.len() / 2]), &mut found);
    let built = built();
    for path in built.iter().flat_map(|built| &built.paths) {
        printed(path, &mut found);
    }
    for (key, kinds) in &found {
        let said = keys.get(key).unwrap_or_else(|| panic!("docs/INSPECT.md has no {key}"));
        for kind in kinds {
            let is_said = said.split(" or ").any(|said| said.starts_with(kind));
            assert!(is_said, "{key} is {kind}, docs/INSPECT.md says {said}");
        }
    }
    // What only other tools' files show is not there without them.
    if built.is_some() {
        let missing: Vec<_> = keys.keys().filter(|key| !found.contains_key(*key)).collect();
        assert!(missing.is_empty(), "nothing prints {missing:?}");
    }
}
