//! `minild check`: all errors of all targets of a spec, and no file.

use std::path::PathBuf;
use std::process::ExitCode;

use super::report::Report;
use super::spec_file::SpecFile;
use super::{Failure, Format, LinkArguments, PrintArguments, TargetArguments, print};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The spec; `-` reads it from standard input
    spec: PathBuf,
    #[command(flatten)]
    targets: TargetArguments,
    #[command(flatten)]
    pub(super) print: PrintArguments,
}

pub(super) fn check(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let file = SpecFile::read(&arguments.spec)?;
    let targets = file.targets(&arguments.targets)?;
    let options = LinkArguments { strip: false, symbols: false }.options();
    file.link(&targets, |_, program| minild::check(program, &options))?;
    match arguments.print.format {
        Format::Json => print::json(&Report::default().json())?,
        Format::Text => {
            let names: Vec<_> = targets.iter().map(|target| target.name()).collect();
            print::text(&format!("{}: no errors for {}\n", file.source.shown(), names.join(", ")))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
