//! What tests link with: every file that the crate writes for them is held against the rules of those who load it,
//! and a finding ends the test. (What the command builds goes through `minild` in `runners.rs`.)
//!
//! tests/tidy.rs knows every other way to a file. A test that wants one, because what it writes is broken on purpose or
//! looked at elsewhere, says `Not linted:` and why beside the call.

use std::fs;
use std::path::Path;

use minild::view::lint;
use minild::{Image, Layout, Options, Program, Result};

/// [`minild::link()`], linted.
#[track_caller]
pub(crate) fn link(program: &Program<'_>, options: &Options) -> Result<Image> {
    let image = minild::link(program, options)?;
    is_linted(&format!("{} for {}", program.name, program.target), &image.bytes);
    Ok(image)
}

/// [`minild::link_to`], linted.
#[track_caller]
pub(crate) fn link_to(program: &Program<'_>, options: &Options, path: &Path) -> Result<Layout> {
    let layout = minild::link_to(program, options, path)?;
    file_is_linted(path);
    Ok(layout)
}

/// [`minild::link_universal`], linted.
#[track_caller]
pub(crate) fn link_universal(programs: &[Program<'_>], options: &Options) -> Result<Vec<u8>> {
    let file = minild::link_universal(programs, options)?;
    is_linted("a universal file", &file);
    Ok(file)
}

/// Panics with everything that lint finds in a file, which a test changed or had changed.
#[track_caller]
pub(crate) fn file_is_linted(path: &Path) {
    let name = path.display().to_string();
    match fs::read(path) {
        Ok(bytes) => is_linted(&name, &bytes),
        Err(error) => panic!("{name}: {error}"),
    }
}

/// Panics with everything that lint finds in the bytes of the file that is called `name` here.
#[track_caller]
pub(crate) fn is_linted(name: &str, file: &[u8]) {
    let lint = lint::lint(file).unwrap_or_else(|error| panic!("{name}: {error}"));
    let findings: Vec<_> = lint.findings.iter().map(told).collect();
    assert!(findings.is_empty(), "{name} ({}):\n{}", lint.file, findings.join("\n"));
}

/// A finding in a line: severity, rule, value, place.
fn told(finding: &lint::Finding) -> String {
    let lint::Finding { rule, severity, message, place, .. } = finding;
    format!("{severity}[{}]: {message} ({} at {:#x})", rule.name, place.structure, place.offset)
}
