//! What the house rules say, checked on the source: who knows whom, who knows no format's name, how long a
//! file gets, and that each says what it is for.

use std::fs;
use std::path::{Path, PathBuf};

/// Parts of the library and what each may use: the arrows of docs/DESIGN.md, all in one direction.
const ARROWS: &[(&str, &[&str])] = &[
    ("units", &[]),
    ("target", &[]),
    ("program", &["units", "target"]),
    ("error", &["program"]),
    ("arch", &["program", "units", "target", "error"]),
    ("format", &["arch", "program", "units", "target", "error"]),
    ("interop", &["arch", "program", "target"]),
    ("link", &["format", "arch", "program", "units", "target", "error"]),
    ("input", &["link", "format", "arch", "program", "units", "target", "error"]),
    ("view", &["format", "arch", "program", "units", "target", "error"]),
    // These two are the command's: the library knows neither.
    ("run", &[]),
    ("cli", &["run"]),
];

/// Folders that work for every format, so know none by name.
const FORMAT_FREE: &[&str] = &["src/program", "src/link", "src/arch"];
const FORMATS: &[&str] = &["elf", "macho", "mach", "pe", "coff"];

/// A longer file holds two ideas.
const LINES: usize = 600;

struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Lines of code with their numbers, without comments: those cite specifications by their titles.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate();
        lines.map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default()))
    }
}

/// Every Rust file below a folder of the package.
fn sources(folder: &str) -> Vec<Source> {
    fn walk(folder: &Path, root: &Path, found: &mut Vec<Source>) {
        for entry in fs::read_dir(folder).expect("a folder of the package") {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() {
                if path.file_name().is_none_or(|name| name != "target") {
                    walk(&path, root, found);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("source is UTF-8");
                let path = path.strip_prefix(root).expect("below the root").to_owned();
                found.push(Source { path, text });
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    walk(&root.join(folder), root, &mut found);
    found.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(!found.is_empty(), "{folder} holds Rust");
    found
}

/// The words of an identifier or a line: `PeSection` and `pe_section` are pe and section.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut last_was_lower = false;
    for character in line.chars() {
        if !character.is_alphanumeric() || (character.is_uppercase() && last_was_lower) {
            words.push(String::new());
        }
        if character.is_alphanumeric() {
            words.last_mut().expect("never empty").extend(character.to_lowercase());
        }
        last_was_lower = character.is_lowercase();
    }
    words
}

#[test]
fn the_shared_passes_know_no_format_by_name() {
    assert_eq!(words("PeSection elf_x self"), ["pe", "section", "elf", "x", "self"]);
    let mut found = Vec::new();
    for source in FORMAT_FREE.iter().flat_map(|folder| sources(folder)) {
        for (number, line) in source.code() {
            if words(line).iter().any(|word| FORMATS.contains(&word.as_str())) {
                found.push(format!("{}:{number}: {line}", source.name()));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_arrows_point_one_way() {
    let mut found = Vec::new();
    let mut parts = Vec::new();
    for source in sources("src") {
        let part = source.path.iter().nth(1).expect("below src").display().to_string();
        let part = part.trim_end_matches(".rs").to_owned();
        if ["lib", "main"].contains(&part.as_str()) {
            continue;
        }
        let row = ARROWS.iter().find(|(name, _)| *name == part);
        let (_, may_use) = row.unwrap_or_else(|| panic!("{part} has no row in ARROWS"));
        for (number, line) in source.code() {
            for used in line.split("crate::").skip(1) {
                let end = used.find(|c: char| !c.is_alphanumeric() && c != '_');
                let used = &used[..end.unwrap_or(used.len())];
                let is_part = ARROWS.iter().any(|(name, _)| *name == used);
                if is_part && used != part && !may_use.contains(&used) {
                    found.push(format!("{}:{number}: {part} uses {used}", source.name()));
                }
            }
        }
        parts.push(part);
    }
    assert!(parts.iter().any(|part| part == "link"), "nothing was looked at");
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// What a library does not do to the process that it is in.
const NOT_IN_A_LIBRARY: &[&str] = &[
    "print!(",
    "println!(",
    "eprint!(",
    "eprintln!(",
    "dbg!(",
    "process::",
    "static mut",
    "thread_local!",
    "thread::spawn",
    "set_hook",
    "env::var",
];

#[test]
fn the_library_leaves_its_process_alone() {
    let mut found = Vec::new();
    let command = ["cli", "run", "main.rs"];
    let is_command = |source: &Source| {
        source.path.iter().nth(1).is_some_and(|part| command.iter().any(|name| part == *name))
    };
    let is_test = |source: &Source| source.path.iter().any(|folder| folder == "tests");
    let library =
        sources("src").into_iter().filter(|source| !is_command(source) && !is_test(source));
    for source in library {
        let tests = source.text.lines().position(|line| line == "#[cfg(test)]");
        for (number, line) in source.code().take(tests.unwrap_or(usize::MAX)) {
            if NOT_IN_A_LIBRARY.iter().any(|word| line.contains(word)) {
                found.push(format!("{}:{number}: {line}", source.name()));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Ways to a file: functions of the crate that write one, and the command that does.
const WRITE_FILES: &[&str] = &[
    "minild::link(",
    "minild::link_into(",
    "minild::link_to(",
    "minild::link_beside(",
    "minild::link_universal(",
    "minild::link_universal_to(",
    "minild::link_universal_beside(",
    "link::write(",
    "CARGO_BIN_EXE_minild",
];

/// The one way that lints, and tests that are about lint and its readers themselves: they look at each file that they
/// write, or only read.
const LINT_THEMSELVES: &[&str] =
    &["tests/support/linted.rs", "tests/support/runners.rs", "tests/lint", "tests/inspect"];

/// Says why a file is not linted: on the line, or on one of those before it.
const NOT_LINTED: &str = "// Not linted: ";
const LINES_BEFORE: usize = 2;

/// Wrong would be: a test of files that nobody held against their loaders' rules.
#[test]
fn every_file_that_a_test_writes_is_linted() {
    let mut found = Vec::new();
    let mut reasons = 0;
    for source in ["tests", "benches"].into_iter().flat_map(sources) {
        // The rules of this page name the ways.
        let is_rule = source.path == Path::new(file!());
        // Another package, which knows nothing of minild.
        let is_other = source.path.starts_with("tests/macos");
        if is_rule || is_other || LINT_THEMSELVES.iter().any(|path| source.path.starts_with(path)) {
            continue;
        }
        let lines: Vec<_> = source.text.lines().collect();
        for (number, line) in source.code() {
            if line.trim_start().starts_with("use minild::link") {
                let name = source.name();
                found.push(format!("{name}:{number}: calls are to be told by `minild::`: {line}"));
            }
            if !WRITE_FILES.iter().any(|way| line.contains(way)) {
                continue;
            }
            let before = &lines[(number - 1).saturating_sub(LINES_BEFORE)..number];
            if before.iter().any(|line| line.contains(NOT_LINTED)) {
                reasons += 1;
            } else {
                found.push(format!("{}:{number}: {line}", source.name()));
            }
        }
    }
    assert!(reasons > 0, "nothing was looked at");
    assert!(
        found.is_empty(),
        "these write files that nobody lints; link through tests/support/linted.rs, run the command by `minild` of \
         tests/support/runners.rs, or say `{NOT_LINTED}` and why:\n{}",
        found.join("\n")
    );
}

/// The code blocks of documentation: of comments, or of a page.
fn examples(text: &str) -> Vec<String> {
    let line = |line: &str| {
        let line = line.trim_start();
        let comment = ["//!", "///"].iter().find_map(|mark| line.strip_prefix(mark));
        comment.unwrap_or(line).to_owned()
    };
    let text = text.lines().map(line).collect::<Vec<_>>().join("\n");
    text.split("```").skip(1).step_by(2).map(str::to_owned).collect()
}

/// The same of the examples that people copy: what they link, they lint, if in lines that are not shown.
#[test]
fn every_file_that_an_example_writes_is_linted() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(readme).expect("it is part of the package");
    let sources = sources("src").into_iter().map(|source| (source.name(), source.text));
    let mut count = 0;
    for (name, text) in sources.chain([("README.md".to_owned(), readme)]) {
        for example in examples(&text) {
            let links = WRITE_FILES.iter().any(|way| example.contains(way));
            if !links || example.contains("unwrap_err()") {
                continue;
            }
            count += 1;
            assert!(example.contains("view::lint::lint("), "{name} does not lint:\n{example}");
        }
    }
    assert!(count >= 5, "{count} examples link");
}

#[test]
fn every_file_says_what_it_is_for() {
    let folders = ["src", "tests", "examples", "benches"];
    let all = folders.into_iter().flat_map(sources);
    let silent: Vec<_> =
        all.filter(|source| !source.text.starts_with("//! ")).map(|source| source.name()).collect();
    assert!(silent.is_empty(), "no module documentation: {silent:?}");
}

#[test]
fn no_file_holds_two_ideas() {
    let long: Vec<_> = sources("src")
        .into_iter()
        // Tables of cases are as long as there are cases.
        .filter(|source| !source.path.iter().any(|folder| folder == "tests"))
        .filter(|source| source.text.lines().count() > LINES)
        .map(|source| source.name())
        .collect();
    assert!(long.is_empty(), "more than {LINES} lines: {long:?}");
}
