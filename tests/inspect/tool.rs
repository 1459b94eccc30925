//! What other tools print, as data.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// What a tool says about a file; its complaints are its own.
pub(crate) fn ask(tool: &str, arguments: &[&str], path: &Path) -> String {
    let output = Command::new(tool).args(arguments).arg(path).output();
    let output =
        output.unwrap_or_else(|error| panic!("{tool}: {error} (tests/run.sh installs it)"));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A block of `llvm-readobj`: its values by key, and its lines without one.
#[derive(Debug, Default)]
pub(crate) struct Block {
    /// What stands before the brace.
    pub(crate) title: String,
    values: BTreeMap<String, Vec<String>>,
    pub(crate) lines: Vec<String>,
}

impl Block {
    /// The value of a key, without what follows in parentheses.
    pub(crate) fn text(&self, key: &str) -> &str {
        let value = self.values.get(key).and_then(|values| values.first());
        let value = value.unwrap_or_else(|| panic!("no {key} in {self:?}"));
        match value.rfind(" (") {
            Some(end) if value.ends_with(')') => &value[..end],
            // Nothing, and its number.
            None if value.starts_with('(') && value.ends_with(')') => "",
            _ => value,
        }
    }

    /// What stands in parentheses behind a value.
    pub(crate) fn inner(&self, key: &str) -> &str {
        let value = &self.values[key][0];
        let start = value.rfind('(').unwrap_or_else(|| panic!("{value}"));
        value[start + 1..].trim_end_matches(')')
    }

    /// Every value of a key.
    pub(crate) fn texts(&self, key: &str) -> impl Iterator<Item = &str> {
        self.values.get(key).into_iter().flatten().map(String::as_str)
    }

    /// A number, in hex or not.
    pub(crate) fn number(&self, key: &str) -> u64 {
        number(self.text(key))
    }
}

/// A number, in hex or not.
pub(crate) fn number(text: &str) -> u64 {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Every block with this title, however deep.
pub(crate) fn blocks(text: &str, title: &str) -> Vec<Block> {
    let mut open: Vec<Block> = Vec::new();
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        if line == "}" || line == "]" {
            let block = open.pop().unwrap_or_default();
            if block.title.starts_with(title) {
                found.push(block);
            }
        } else if let Some(start) =
            line.find(" {").filter(|at| line.len() == at + 2).or_else(|| {
                // A list may say its number: `Flags [ (0x2)`.
                line.find(" [").filter(|at| {
                    line[at + 2..].trim_start().starts_with('(') || line.len() == at + 2
                })
            })
        {
            open.push(Block { title: line[..start].to_owned(), ..Block::default() });
        } else if let Some(block) = open.last_mut() {
            match line.split_once(':') {
                Some((key, value)) if !key.contains(' ') => {
                    block.values.entry(key.to_owned()).or_default().push(value.trim().to_owned());
                }
                _ => block.lines.push(line.to_owned()),
            }
        }
    }
    found
}

#[test]
fn blocks_are_taken_apart() {
    let text = "Sections [\n Section {\n Name: .text (1)\n Size: 0x10\n Flags [ (0x2)\n A (0x2)\n ]\n }\n]\n";
    let all = blocks(text, "Section");
    assert_eq!(all.len(), 2, "the list is called so too");
    assert_eq!(
        (all[0].text("Name"), all[0].number("Size"), all[0].inner("Name")),
        (".text", 16, "1")
    );
}
