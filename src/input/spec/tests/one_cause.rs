//! One wrong value, one error: every key of every table with values that it cannot have.

use std::path::Path;

use crate::format::Options;
use crate::input::spec::data::{CONTENTS, FIELD_CONTENTS, WHOLE_CONTENTS};
use crate::input::spec::document::Key;
use crate::input::spec::item::{ALIGN, CODE_CONTENTS, ROOM};
use crate::input::spec::layer::Layer;
use crate::input::spec::{DOCUMENT_KEYS, exports, imports, read, section, test_table, wishes};
use crate::target::Target;

/// No key can have all of these, and most can have none.
const VALUES: &[&str] = &[
    "true",
    "3",
    "-7",
    "1.5",
    "'x y!'",
    "'4KB'",
    "[]",
    "[true]",
    "[{}]",
    "{}",
    "{ zz = 1 }",
    "1979-05-27",
    "\"\\u0000\"",
    "99999999999999999999",
];

const CODE: &str = "[target.x86_64-linux]\nhex = 'start: c3'\n";

fn names<T>(keys: &'static [Key<T>]) -> impl Iterator<Item = &'static str> {
    keys.iter().map(|key| key.name)
}

/// Where a key stands: what is before it, and what behind its value.
fn tables() -> Vec<(Vec<&'static str>, &'static str, &'static str)> {
    let contents = || names(CONTENTS).chain(names(ROOM));
    vec![
        (names(DOCUMENT_KEYS).chain(names(Layer::KEYS)).collect(), "", "\n"),
        (names(wishes::MEMORY_KEYS).collect(), "stack.", "\n"),
        (contents().chain(names(WHOLE_CONTENTS)).chain(names(ALIGN)).collect(), "rodata.a.", "\n"),
        (contents().chain(names(FIELD_CONTENTS)).collect(), "rodata.a.fields = [{ ", " }]\n"),
        (names(CODE_CONTENTS).chain(names(ALIGN)).collect(), "code.a.", "\n"),
        (names(section::KEYS).collect(), "rodata.a = 'a'\nsection.s.", "\n"),
        (names(imports::KEYS).collect(), "imports.'a.so' = [{ ", " }]\n"),
        (names(exports::KEYS).collect(), "exports = [{ ", " }]\n"),
        (names(test_table::KEYS).collect(), "test = [{ ", " }]\n"),
        (vec!["tls", "unwind.a", "bss.a", "data.a", "constants.a", "unknown"], "", "\n"),
    ]
}

fn errors(text: &str) -> Vec<String> {
    let spec = match read(text, Path::new(".")) {
        Ok(spec) => spec,
        Err(errors) => return errors.iter().map(ToString::to_string).collect(),
    };
    let found = match spec.program(Target::X86_64_LINUX) {
        Ok((program, _)) => crate::check(&program, &Options::default()).err(),
        Err(errors) => Some(errors),
    };
    found.iter().flatten().map(ToString::to_string).collect()
}

#[test]
fn a_wrong_value_is_one_error() {
    let (mut wrong, mut all) = (0, 0);
    for (keys, before, behind) in tables() {
        for key in keys {
            for value in VALUES {
                let text = format!("{before}{key} = {value}{behind}\n{CODE}");
                let errors = errors(&text);
                assert!(errors.len() < 2, "{text}{errors:#?}");
                all += 1;
                wrong += errors.len();
            }
        }
    }
    assert!(wrong * 4 > all * 3, "{wrong} of {all} are wrong: the values are too tame");
}
