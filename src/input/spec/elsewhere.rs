//! Where a key is known that stands in a table which does not know it: people remember what a key is called
//! before they remember whose it is.

use super::data::{CONTENTS, FIELD_CONTENTS, WHOLE_CONTENTS};
use super::document::Key;
use super::item::{ALIGN, CODE_CONTENTS, ROOM};
use super::layer::Layer;
use super::{DOCUMENT_KEYS, exports, imports, section, test_table, wishes};

/// What the tables are called that know `key`; `None` where none does.
pub(super) fn elsewhere(key: &str) -> Option<String> {
    fn has<T>(keys: &[Key<T>], name: &str) -> bool {
        keys.iter().any(|key| key.name == name)
    }
    let is_contents = has(CONTENTS, key) || has(WHOLE_CONTENTS, key);
    let owners = [
        (has(DOCUMENT_KEYS, key), "the spec itself"),
        (has(Layer::KEYS, key) && !has(CODE_CONTENTS, key), "the spec and of [target.X]"),
        (has(CODE_CONTENTS, key), "an item of [code]"),
        (is_contents || has(ROOM, key), "an item of [rodata], [data] or [tls]"),
        (has(ALIGN, key), "an item"),
        (has(FIELD_CONTENTS, key), "a table in `fields`"),
        (has(section::KEYS, key), "[section.NAME]"),
        (has(imports::KEYS, key), "an import"),
        (has(exports::KEYS, key), "an export"),
        (has(wishes::MEMORY_KEYS, key), "[stack] and [heap]"),
        (has(test_table::KEYS, key), "[[test]]"),
    ];
    let owners: Vec<_> =
        owners.iter().filter(|(knows, _)| *knows).map(|(_, owner)| *owner).collect();
    match owners[..] {
        [] => None,
        [only] => Some(only.to_owned()),
        [ref first @ .., last] => Some(format!("{}, and of {last}", first.join(", of "))),
    }
}
