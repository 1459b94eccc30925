//! What specs become, and what is said of wrong ones. `UPDATE_EXPECT=1 cargo test` rewrites the
//! expectations.

// `expect!` is rewritten with hashes whether it needs them or not.
#![allow(clippy::needless_raw_string_hashes)]
// An expectation is said where it is checked, and nowhere else.
#![allow(clippy::needless_pass_by_value)]

#[cfg(feature = "asm")]
mod assembler_text;
mod never_panics;
mod one_cause;
mod programs;
mod reference;
#[cfg(feature = "schema")]
mod schema;
#[cfg(feature = "asm")]
mod wrong_asm;
mod wrong_data;
mod wrong_hex;
mod wrong_imports;
mod wrong_links;
mod wrong_names;
mod wrong_specs;
mod wrong_toml;

use std::fmt::Write;
use std::path::Path;

use expect_test::Expect;

use super::{Spec, read};
use crate::Options;
use crate::error::{Error, Errors, Place};
use crate::program::{Binding, Contents, Definition, Program};

/// Checks what is said of `text`, without its indentation, line by line: `line:column: message`, other
/// places, help. Of a spec that can be read, the programs of all targets are made.
#[track_caller]
fn check_errors(text: &str, expected: Expect) {
    expected.assert_eq(&all_errors(&without_indentation(text), Path::new(".")));
}

/// Checks where in `text` the errors lie that the link finds in its programs, and of what kind they are:
/// `line:column: kind: what stands there`. Their words are the link's own.
#[track_caller]
fn check_link_errors(text: &str, expected: Expect) {
    let text = without_indentation(text);
    let mut out = String::new();
    for error in link_errors(&text).iter().flatten() {
        let place = error.notes.first().map(|note| &note.place);
        let Some(Place::Text(range)) = place else { panic!("not in the text: {error:?}") };
        let (line, column) = position(&text, range.start);
        writeln!(out, "{line}:{column}: {}: {}", error.kind.name(), &text[range.clone()]).unwrap();
    }
    expected.assert_eq(&out);
}

/// Checks what the link says of the programs of `text`, in the form of [`check_errors`].
#[track_caller]
fn check_link_words(text: &str, expected: Expect) {
    let text = without_indentation(text);
    let errors = link_errors(&text);
    expected
        .assert_eq(&errors.iter().flatten().map(|error| render(&text, error)).collect::<String>());
}

#[track_caller]
fn link_errors(text: &str) -> Option<Errors> {
    let spec = spec(text);
    Errors::merged(spec.targets().into_iter().filter_map(|target| {
        let (program, map) = spec.program(target).unwrap_or_else(|errors| panic!("{errors}"));
        let errors = crate::check(&program, &Options::default()).err()?;
        Some(map.locate_all(errors))
    }))
}

/// What `text` says when the first line, which is empty, and the indentation of the second are left out.
fn without_indentation(text: &str) -> String {
    let Some(text) = text.strip_prefix('\n') else { return text.to_owned() };
    let indentation = text.len() - text.trim_start_matches(' ').len();
    let lines = text.split_inclusive('\n');
    lines.map(|line| line.get(indentation..).unwrap_or_default()).collect()
}

fn all_errors(text: &str, folder: &Path) -> String {
    let errors = match read(text, folder) {
        Err(errors) => Some(errors),
        Ok(spec) => Errors::merged(
            spec.targets().into_iter().filter_map(|target| spec.program(target).err()),
        ),
    };
    errors.iter().flatten().map(|error| render(text, error)).collect()
}

fn render(text: &str, error: &Error) -> String {
    let mut out = String::new();
    for (index, note) in error.notes.iter().enumerate() {
        let place = match &note.place {
            Place::Text(range) => {
                let (start, end) = (position(text, range.start), position(text, range.end));
                format!("{}:{}-{}:{}", start.0, start.1, end.0, end.1)
            }
            other => format!("{other:?}"),
        };
        match index {
            0 => writeln!(out, "{place}: {}: {}", error.kind.name(), error.message).unwrap(),
            _ => writeln!(out, "  {place}: {}", note.label).unwrap(),
        }
    }
    if error.notes.is_empty() {
        writeln!(out, "nowhere: {}", error.message).unwrap();
    }
    if let Some(help) = &error.help {
        writeln!(out, "  help: {help}").unwrap();
    }
    out
}

/// The line and column of a byte, in characters, from 1.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[track_caller]
fn spec(text: &str) -> Spec {
    read(text, Path::new(".")).unwrap_or_else(|errors| panic!("{errors}"))
}

/// Checks the program that `text` describes for the target of this name.
#[track_caller]
fn check_program(text: &str, target: &str, expected: Expect) {
    let spec = spec(text);
    let (program, _) = spec
        .program(target.parse().expect("a target's name"))
        .unwrap_or_else(|errors| panic!("{errors}"));
    expected.assert_eq(&dump(&program));
}

fn dump(program: &Program<'_>) -> String {
    let mut out = String::new();
    let name_of = |id| &program.symbol(id).name;
    for (id, section) in program.sections_with_ids() {
        let (kind, align) = (section.kind, section.align);
        writeln!(out, "{kind:?} {} align {align}", section.name).unwrap();
        match &section.contents {
            Contents::Bytes(bytes) => {
                for line in bytes.chunks(16) {
                    let digits: Vec<_> = line.iter().map(|byte| format!("{byte:02x}")).collect();
                    writeln!(out, "    {}", digits.join(" ")).unwrap();
                }
            }
            Contents::File { path, offset, len } => {
                let name = path.file_name().unwrap_or_default().display();
                writeln!(out, "    file {name} from {offset}, {len} bytes").unwrap();
            }
            Contents::Zeros(size) => writeln!(out, "    zeros {size}").unwrap(),
        }
        for relocation in &section.relocations {
            let (offset, kind) = (relocation.offset, relocation.kind.name());
            let (symbol, addend) = (name_of(relocation.symbol), relocation.addend);
            writeln!(out, "  {offset:#x}: {kind} {symbol} {addend:+}").unwrap();
        }
        for symbol in program.symbols() {
            match symbol.definition {
                Definition::Section { section, offset } if section == id => {
                    let (size, sort) = (symbol.size, symbol.symbol_type);
                    let local = if symbol.binding == Binding::Local { "local " } else { "" };
                    writeln!(
                        out,
                        "  {local}{} at {offset:#x}, {size} bytes, {sort:?}",
                        symbol.name
                    )
                    .unwrap();
                }
                _ => {}
            }
        }
    }
    for symbol in program.symbols() {
        if !matches!(symbol.definition, Definition::Section { .. }) {
            writeln!(out, "{} is {:?}", symbol.name, symbol.definition).unwrap();
        }
    }
    writeln!(
        out,
        "entry {}, {:?}",
        program.entry.map_or("", |id| name_of(id)),
        program.wishes.position
    )
    .unwrap();
    out
}
