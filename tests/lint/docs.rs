//! docs/LINT.md has the rules as they are.

use std::fmt::Write;

use expect_test::expect_file;
use minild::view::lint;

use crate::known::KNOWN;

#[test]
fn the_page_of_rules_is_current() {
    let mut page = String::new();
    let mut format = "";
    for rule in lint::rules() {
        let (prefix, _) = rule.name.split_once('/').expect("a rule's name has its format");
        if prefix != format {
            format = prefix;
            let title = match prefix {
                "elf" => "ELF",
                "pe" => "PE",
                "uefi" => "UEFI",
                "macho" => "Mach-O",
                other => panic!("{other} has no title"),
            };
            // Writing to a string cannot fail.
            let _ = write!(
                page,
                "\n## {title}\n\n| rule | demands | by | symptom | source |\n|---|---|---|---|---|\n"
            );
        }
        let by: Vec<_> = rule.by.iter().map(ToString::to_string).collect();
        let cell = |text: &str| text.replace('|', "\\|");
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} | {} |",
            rule.name,
            cell(rule.demand),
            cell(&by.join("; ")),
            cell(rule.symptom),
            cell(rule.source)
        );
    }
    let mut known = "| files | findings | why they run all the same |\n|---|---|---|\n".to_owned();
    for row in KNOWN {
        let rules: Vec<_> = row.rules.iter().map(|rule| format!("`{rule}`")).collect();
        let _ = writeln!(known, "| {} | {} | {} |", row.what, rules.join(", "), row.why);
    }
    let introduction = include_str!("introduction.md");
    expect_file!["../../docs/LINT.md"].assert_eq(&format!("{introduction}{known}{page}"));
}
