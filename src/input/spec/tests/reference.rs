//! The examples of docs/SPEC.md are right, and it speaks of everything that there is.

use std::fs;
use std::path::Path;

use crate::input::spec::document::Key;
use crate::input::spec::{
    DOCUMENT_KEYS, data, exports, imports, item, layer, names, read, section, test_table, wishes,
};
use crate::program::RelocationKind;
use crate::{Architecture, Errors, Options, arch};

const REFERENCE: &str = include_str!("../../../../docs/SPEC.md");

/// The text of every block of code that is marked `info`, with its line.
pub(super) fn blocks(info: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut lines = REFERENCE.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line.strip_prefix("```") == Some(info) {
            let text = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```");
            blocks.push((number + 1, text.flat_map(|line| [line, "\n"]).collect()));
        }
    }
    blocks
}

/// Links `text`, which stands at `line`, for all its targets.
#[track_caller]
fn check(line: usize, text: &str, folder: &Path) {
    let wrong = |errors: Errors| -> ! { panic!("docs/SPEC.md:{line}: {errors}") };
    let spec = read(text, folder).unwrap_or_else(|errors| wrong(errors));
    for target in spec.targets() {
        let (program, _) = spec.program(target).unwrap_or_else(|errors| wrong(errors));
        crate::check(&program, &Options::default()).unwrap_or_else(|errors| wrong(errors));
    }
}

#[test]
fn every_complete_example_links_for_all_its_targets() {
    let blocks = blocks("toml");
    assert!(blocks.len() > 5);
    for (line, text) in blocks {
        check(line, &text, Path::new("/nonexistent"));
    }
}

#[test]
fn every_fragment_links_with_code_that_does_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in ["logo.bin", "blob.bin"] {
        fs::write(folder.path().join(name), name).expect("the file is written");
    }
    let blocks = blocks("toml,fragment");
    assert!(blocks.len() > 3);
    for (line, text) in blocks {
        check(line, &format!("{text}[target.x86_64-linux]\nhex = 'start: f4'\n"), folder.path());
    }
}

#[test]
fn every_key_fixup_and_built_in_name_is_in_the_reference() {
    fn names_of<T>(keys: &[Key<T>]) -> impl Iterator<Item = &'static str> {
        keys.iter().map(|key| key.name)
    }
    let groups = item::GROUPS.iter().flat_map(item::Group::contents_keys);
    let kinds = Architecture::ALL.iter().flat_map(|&architecture| arch::of(architecture).kinds());
    let kinds = kinds.map(RelocationKind::name).filter(|name| !name.starts_with("sub"));
    let mut all: Vec<_> = names_of(DOCUMENT_KEYS)
        .chain(names_of(layer::Layer::KEYS))
        .chain(names_of(data::FIELD_CONTENTS))
        .chain(names_of(item::ROOM))
        .chain(names_of(section::KEYS))
        .chain(names_of(imports::KEYS))
        .chain(names_of(exports::KEYS))
        .chain(names_of(wishes::MEMORY_KEYS))
        .chain(names_of(test_table::KEYS))
        .chain(names::BUILT_IN.iter().map(|(name, _)| *name))
        .chain(groups)
        .chain(kinds)
        .collect();
    all.retain(|name| {
        !REFERENCE.contains(&format!("`{name}`"))
            && !REFERENCE.contains(&format!("[{name}.X]"))
            && !REFERENCE.contains(&format!("[{name}.NAME]"))
            && !REFERENCE.contains(&format!("`[{name}]`"))
            && !REFERENCE.contains(&format!("[[{name}]]"))
    });
    assert_eq!(all, [""; 0], "docs/SPEC.md does not speak of these");
}
