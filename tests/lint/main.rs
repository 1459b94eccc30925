//! Lint's rules, each held against two files: one that is well, and the same with one edit that breaks this rule
//! and no other. A rule without such a pair fails.

mod bases;
mod docs;
mod edit;
mod elf;
#[path = "../inspect/files.rs"]
#[expect(dead_code, reason = "views of files need more of them")]
mod files;
#[path = "../support/fixtures_by_lld.rs"]
mod fixtures_by_lld;
mod hostile;
mod known;
mod macho;
#[path = "../inspect/memory.rs"]
mod memory;
mod pe;

use std::collections::BTreeSet;

use minild::view::lint::{self, Rule, Severity};

use edit::File;

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

/// A file that is well, and an edit that breaks a rule.
struct Case {
    rule: &'static str,
    /// What is built (`bases::SPECS`), and for which target.
    base: (&'static str, &'static str),
    /// Makes the file one that has what the rule is about.
    prepare: fn(&mut File),
    breaks: fn(&mut File),
}

/// A case whose file needs nothing more than what is built.
const fn case(
    rule: &'static str,
    base: (&'static str, &'static str),
    breaks: fn(&mut File),
) -> Case {
    Case { rule, base, prepare: |_| (), breaks }
}

/// A case whose file is changed before it is broken.
const fn prepared(
    rule: &'static str,
    base: (&'static str, &'static str),
    prepare: fn(&mut File),
    breaks: fn(&mut File),
) -> Case {
    Case { rule, base, prepare, breaks }
}

fn cases() -> impl Iterator<Item = &'static Case> {
    elf::CASES.iter().chain(pe::CASES).chain(macho::CASES)
}

/// The rules that a file breaks, and what is said of it.
fn broken(file: &File) -> (BTreeSet<&'static str>, String) {
    match lint::lint(&file.bytes) {
        Err(error) => (["none"].into(), error.to_string()),
        Ok(lint) => {
            let said: Vec<_> = lint
                .findings
                .iter()
                .map(|finding| {
                    format!(
                        "{} {}: {} ({} at {:#x})",
                        finding.severity,
                        finding.rule.name,
                        finding.message,
                        finding.place.structure,
                        finding.place.offset
                    )
                })
                .collect();
            (lint.findings.iter().map(|finding| finding.rule.name).collect(), said.join("; "))
        }
    }
}

#[test]
fn each_rule_reports_the_file_that_breaks_it_and_no_other() {
    let mut wrong = Vec::new();
    for case in cases() {
        // All that is wrong in one run, an edit that finds nothing to change included.
        match std::panic::catch_unwind(|| held_against(case)) {
            Ok(Ok(())) => {}
            Ok(Err(says)) => wrong.push(format!("{} {:?}: {says}", case.rule, case.base)),
            Err(_) => wrong.push(format!("{} {:?}: a panic, above", case.rule, case.base)),
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases().count(), wrong.join("\n"));
}

fn held_against(case: &Case) -> Result<(), String> {
    let mut file = bases::file(case.base);
    (case.prepare)(&mut file);
    file.close();
    let (rules, said) = broken(&file);
    if !rules.is_empty() {
        return Err(format!("the file that is well: {said}"));
    }
    let well = file.bytes.clone();
    (case.breaks)(&mut file);
    file.close();
    if well == file.bytes {
        return Err("the edit changes nothing".to_owned());
    }
    let (rules, said) = broken(&file);
    if rules == [case.rule].into() { Ok(()) } else { Err(format!("{rules:?}: {said}")) }
}

#[test]
fn each_rule_has_such_a_file() {
    let names: BTreeSet<_> = cases().map(|case| case.rule).collect();
    let without: Vec<_> =
        lint::rules().map(|rule| rule.name).filter(|name| !names.contains(name)).collect();
    assert!(without.is_empty(), "{} rules: {without:?}", without.len());
    let rules: BTreeSet<_> = lint::rules().map(|rule| rule.name).collect();
    let unknown: Vec<_> = names.difference(&rules).collect();
    assert!(unknown.is_empty(), "no such rules: {unknown:?}");
}

#[test]
fn rules_are_told_apart_and_say_all_that_they_have_to() {
    let mut names = BTreeSet::new();
    let mut count = 0;
    for rule in lint::rules() {
        let Rule { name, demand, by, symptom, cure, source, .. } = rule;
        count += 1;
        assert!(names.insert(*name), "{name} is there twice");
        assert!(
            !by.is_empty() && by.iter().all(|demand| demand.severity > Severity::Note),
            "{name}"
        );
        for text in [demand, symptom, cure, source] {
            assert!(
                !text.is_empty() && !text.ends_with('.') && !text.contains("  "),
                "{name}: {text}"
            );
        }
        assert_eq!(lint::rule(name).map(|rule| rule.name), Some(*name));
    }
    assert!(count >= 70, "{count} rules");
}
