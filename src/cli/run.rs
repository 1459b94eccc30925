//! `minild run`: builds a spec into a temporary folder and runs what it made.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use minild::program::OutputKind;
use minild::{FileTarget, Program, Target};

use super::linted::LintArguments;
use super::needs::Needs;
use super::read_file::shown;
use super::report;
use super::spec_file::{SpecFile, check_slice, link_to};
use super::{Failure, LinkArguments, TargetArguments, temporary_folder};
use crate::run::{Ending, Job, NoRunner, Runner};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The spec; `-` reads it from standard input
    spec: PathBuf,
    /// The target of the spec to run; `host` is this machine
    #[arg(long, value_name = "TARGET", value_parser = super::target)]
    target: Option<FileTarget>,
    #[command(flatten)]
    link: LinkArguments,
    #[command(flatten)]
    lint: LintArguments,
    /// Kill the program after this time
    #[arg(long, value_name = "SECONDS", value_parser = super::seconds)]
    timeout: Option<Duration>,
    /// What the program is given
    #[arg(last = true, value_name = "ARGUMENT")]
    passed_on: Vec<OsString>,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let file = SpecFile::read(&arguments.spec)?;
    let asked = TargetArguments { targets: arguments.target.into_iter().collect() };
    let (target, runner) = choose(&file.files(&asked)?)?;
    let kind = file.spec.kind(target.slices()[0]);
    if kind == OutputKind::SharedLibrary {
        let message = "it is a shared library: only programs that use it can be run";
        let message = format!("cannot run {}: {message}", shown(&arguments.spec));
        return Err(Failure::at_path(&arguments.spec, message));
    }

    let needs = Needs::of(&file, target.slices())?;
    let folder = temporary_folder()?;
    let name = file.name().unwrap_or_else(|| "program".to_owned());
    let executable = folder.path().join(format!("{name}{}", kind.suffix(target)));
    let options = arguments.link.options();
    let check = |target, program: &Program<'_>| check_slice(target, program, &options);
    file.link_files(&[target], check, |target, programs| {
        link_to(target, programs, &options, arguments.lint, &executable)
    })?;
    needs.build(target, folder.path(), &options, arguments.lint)?;

    let job = Job {
        file: &executable,
        arguments: arguments.passed_on.clone(),
        environment: Vec::new(),
        folder: None,
        limit: arguments.timeout,
    };
    let ending = runner.attached(&job).map_err(|error| {
        Failure::Other(format!("cannot run {} for {target}: {error}", report::shown(&name)))
    })?;
    if !matches!(ending, Ending::Exit(_)) {
        // A shell says so too; if nobody listens, the status has to do.
        let _ = writeln!(std::io::stderr(), "minild: {} {ending}", report::shown(&name));
    }
    Ok(ExitCode::from(ending.exit_status()))
}

/// This machine's own target if it is among `targets`, else the first that has a runner here.
fn choose(targets: &[FileTarget]) -> Result<(FileTarget, Runner), Failure> {
    let is_hosts =
        |target: &&FileTarget| Target::host().is_some_and(|host| **target == host.into());
    let host = targets.iter().find(is_hosts);
    let in_order = host.into_iter().chain(targets).copied();
    let mut reasons: Vec<(FileTarget, NoRunner)> = Vec::new();
    for target in in_order {
        match Runner::find(target) {
            Ok(runner) => return Ok((target, runner)),
            Err(reason) if reason.is_mistake() => return Err(Failure::Other(reason.to_string())),
            Err(reason) => reasons.push((target, reason)),
        }
    }
    let reasons: Vec<_> =
        reasons.iter().map(|(target, reason)| format!("{target} {reason}")).collect();
    Err(Failure::Other(format!("nothing here can run it: {}", reasons.join("; "))))
}
