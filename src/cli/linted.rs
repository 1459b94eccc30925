//! `--lint`: files held against the rules of those who load them, after they are linked and before they have their names.
//!
//! minild's own tests ask for it in the environment of every command that they run, so that no test can forget to; who
//! generates specs can have it as well. docs/LINT.md says so.

use std::fs;
use std::path::Path;

use clap::builder::FalseyValueParser;
use minild::view::lint::{self, Finding};
use minild::{Error, ErrorKind, Errors};

use super::read_file::cannot_read;

/// What every command that writes executables takes.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct LintArguments {
    /// Fail where an executable breaks a rule of its loaders, before it has its name
    #[arg(long, env = "MINILD_LINT", hide_env_values = true, value_parser = FalseyValueParser::new())]
    lint: bool,
}

impl LintArguments {
    /// Looks at the file at `path`, which the user calls `name`, if it is asked for.
    ///
    /// # Errors
    /// Every finding, whatever its severity; a file that cannot be read.
    pub(super) fn check_file(self, name: &str, path: &Path) -> minild::Result<()> {
        if !self.lint {
            return Ok(());
        }
        self.check(name, &fs::read(path).map_err(|error| cannot_read(path, error))?)
    }

    /// Looks at a file that is nowhere but in memory, if it is asked for.
    ///
    /// # Errors
    /// Every finding, whatever its severity.
    pub(super) fn check(self, name: &str, file: &[u8]) -> minild::Result<()> {
        if !self.lint {
            return Ok(());
        }
        let findings = lint::lint(file)?.findings;
        let errors = findings.iter().map(|finding| Errors::from(error(name, finding)));
        Errors::merged(errors).map_or(Ok(()), Err)
    }
}

fn error(name: &str, Finding { rule, place, message, .. }: &Finding) -> Error {
    let at = format!("{} at {:#x}", place.structure, place.offset);
    Error::new(ErrorKind::File, format!("{name} breaks `{}`: {message} ({at})", rule.name))
        .help(format!("{}; `minild lint --explain {}` says more", rule.demand, rule.name))
}
