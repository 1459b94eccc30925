//! `minild new`: a spec to begin with.
//!
//! The templates are specs that lie in `templates/` and run as they are; the tests run them on every target
//! that they name.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use minild::input::spec;
use serde::Serialize;

use super::{Failure, Format, PrintArguments, print};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// What the program is called: letters, digits, `-`, `_` and dots
    #[arg(value_parser = name)]
    name: String,
    /// What it is to be
    #[arg(long, value_enum, default_value_t = Template::Hello)]
    template: Template,
    #[command(flatten)]
    pub(super) print: PrintArguments,
}

/// What a new program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Template {
    /// Writes a line, on every target, in the way of its system
    Hello,
    /// Writes a line by the C library, on Linux, macOS and Windows
    Libc,
}

/// What stands in a template for the program's name.
const PLACEHOLDER: &str = "NAME";

impl Template {
    const fn text(self) -> &'static str {
        match self {
            Self::Hello => include_str!("templates/hello.toml"),
            Self::Libc => include_str!("templates/libc.toml"),
        }
    }
}

pub(super) fn new(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let text = arguments.template.text().replace(PLACEHOLDER, &arguments.name);
    let path = PathBuf::from(format!("{}.toml", arguments.name));
    write(&path, &text).map_err(|error| {
        let name = path.display();
        let message = match error.kind() {
            io::ErrorKind::AlreadyExists => format!("{name} is there already; it stays as it is"),
            _ => format!("cannot write {name}: {error}"),
        };
        Failure::at_path(&path, message)
    })?;
    let spec = spec::read(&text, Path::new(".")).expect("templates are right");
    let targets: Vec<_> = spec.targets().iter().map(|target| target.name()).collect();
    print(arguments.print.format, &path, &targets)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the file whole, and never over another.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".minild-");
    // The system takes away from these what the user's umask says.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(".")?;
    file.write_all(text.as_bytes())?;
    file.persist_noclobber(path).map(drop).map_err(|error| error.error)
}

fn print(format: Format, path: &Path, targets: &[&str]) -> io::Result<()> {
    #[derive(Serialize)]
    struct Document<'a> {
        path: String,
        targets: &'a [&'a str],
    }
    let path = path.display().to_string();
    match format {
        Format::Json => print::json(&Document { path, targets }),
        Format::Text => print::text(&format!(
            "wrote {path}, for {}\n\nnext: minild run {path}\n",
            targets.join(", ")
        )),
    }
}

/// Names that Windows keeps for devices, whatever their ending.
const DEVICES: &[&str] = &["aux", "con", "nul", "prn"];

/// A name that a file can have on every system and that nothing has to be escaped in.
fn name(name: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() {
        return Err("it is empty".to_owned());
    }
    if let Some(wrong) = name.chars().find(|&c| !allowed(c)) {
        return Err(format!("{wrong:?} is no letter (a to z), digit, `-`, `_` or dot"));
    }
    if let Some(stem) = name.strip_suffix(".toml") {
        return Err(format!("the file's ending comes by itself: `minild new {stem}`"));
    }
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || name.ends_with('.') {
        return Err("it begins with a letter or digit, and does not end with a dot".to_owned());
    }
    let stem = name.split('.').next().unwrap_or(name).to_ascii_lowercase();
    let port = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
    let is_port = port.is_some_and(|number| matches!(number.as_bytes(), [b'0'..=b'9']));
    if is_port || DEVICES.contains(&&*stem) {
        return Err(format!("`{stem}` is a device on Windows"));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_a_right_spec_that_says_what_it_must_show() {
        for template in Template::value_variants() {
            let text = template.text().replace(PLACEHOLDER, "my-program");
            let spec = spec::read(&text, Path::new(".")).expect("templates are right");
            assert_eq!(spec.name(), Some("my-program"));
            for target in spec.targets() {
                assert!(spec.tests().iter().any(|test| test.is_for(target)), "{target}");
            }
            let lines = template.text().lines().filter(|line| line.contains(PLACEHOLDER));
            let others = lines.filter(|line| !line.starts_with(['#', 'n'])).count();
            assert_eq!(others, 0, "the name takes its place in comments and in `name` alone");
        }
    }

    #[test]
    fn names_are_those_that_files_can_have_everywhere() {
        for right in ["hello", "x", "hello-2", "a_b.c", "0", "common", "com", "com12"] {
            assert_eq!(name(right), Ok(right.to_owned()));
        }
        for (wrong, says) in [
            ("", "empty"),
            ("a/b", "'/'"),
            ("..", "begins"),
            (".x", "begins"),
            ("-x", "begins"),
            ("x.", "end"),
            ("grüße", "'ü'"),
            ("a b", "' '"),
            ("a\"b", "'\"'"),
            ("x.toml", "minild new x`"),
            ("con", "device"),
            ("NUL.txt", "device"),
            ("Com1", "device"),
        ] {
            let error = name(wrong).expect_err(wrong);
            assert!(error.contains(says), "{wrong}: {error}");
        }
    }
}
