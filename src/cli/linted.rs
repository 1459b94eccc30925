//! Files that were just written, held against the rules of those who load them, where the environment asks for it.
//!
//! minild's own tests ask in every command that they run, so that no test can forget to; who generates specs can
//! have it as well. docs/LINT.md says so.

use std::path::{Path, PathBuf};
use std::{env, fs};

use minild::view::lint;
use minild::{Error, ErrorKind};

use super::Failure;
use super::report::{Finding, Report, Source};

/// Set to anything, it asks.
const VARIABLE: &str = "MINILD_LINT";

fn is_asked_for() -> bool {
    env::var_os(VARIABLE).is_some_and(|value| !value.is_empty())
}

/// Looks at files, if it is asked for.
///
/// # Errors
/// Every finding in any of them, whatever its severity.
pub(super) fn check(files: &[PathBuf]) -> Result<(), Failure> {
    if !is_asked_for() {
        return Ok(());
    }
    let mut report = Report::default();
    for path in files {
        let name = path.display().to_string();
        let bytes = fs::read(path)
            .map_err(|error| Failure::Other(format!("cannot read {name}: {error}")))?;
        report.merge(look(name, &bytes));
    }
    fail_with(report)
}

/// Looks at all files in a folder and below it, if it is asked for.
///
/// # Errors
/// As [`check`]; a folder that cannot be listed.
pub(super) fn check_folder(folder: &Path) -> Result<(), Failure> {
    if !is_asked_for() {
        return Ok(());
    }
    let mut folders = vec![folder.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    check(&files)
}

/// Looks at a file that is nowhere but in memory, if it is asked for.
///
/// # Errors
/// As [`check`].
pub(super) fn check_bytes(name: &str, bytes: &[u8]) -> Result<(), Failure> {
    if is_asked_for() { fail_with(look(name.to_owned(), bytes)) } else { Ok(()) }
}

fn look(name: String, bytes: &[u8]) -> Report {
    let errors: Vec<Error> = match lint::lint(bytes) {
        Err(error) => vec![error],
        Ok(lint) => lint.findings.iter().map(|finding| error(&name, finding)).collect(),
    };
    let findings = errors.into_iter().map(Finding::from).collect();
    Report::new(Source { name, text: String::new() }, findings)
}

fn error(name: &str, finding: &lint::Finding) -> Error {
    let lint::Finding { rule, place, message, .. } = finding;
    let at = format!("{} at {:#x}", place.structure, place.offset);
    Error::new(ErrorKind::File, format!("{name} breaks `{}`: {message} ({at})", rule.name))
        .help(format!("{}; `{VARIABLE}` in the environment asks for this", rule.demand))
}

fn fail_with(report: Report) -> Result<(), Failure> {
    if report.is_empty() { Ok(()) } else { Err(Failure::Report(report)) }
}
