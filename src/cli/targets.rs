//! `minild targets`: what minild writes for, and what of it can run here.

use std::process::ExitCode;

use minild::program::OutputKind;
use minild::target::{FileTarget, TARGETS, UNIVERSAL};
use serde::Serialize;

use super::table::{Side, Table};
use super::{Failure, Format, PrintArguments, print};
use crate::run::Runner;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) print: PrintArguments,
}

#[derive(Serialize)]
struct JsonTarget {
    name: &'static str,
    architecture: String,
    system: &'static str,
    format: String,
    executable_suffix: &'static str,
    /// Other names that are understood.
    triples: &'static [&'static str],
    /// What runs its files here: `native`, or a program.
    runner: Option<String>,
    /// Why nothing does.
    missing: Option<String>,
}

pub(super) fn targets(arguments: &Arguments) -> Result<ExitCode, Failure> {
    #[derive(Serialize)]
    struct Document {
        targets: Vec<JsonTarget>,
    }
    let single = TARGETS.iter().map(|row| FileTarget::Single(row.target));
    let targets: Vec<_> = single
        .chain(UNIVERSAL.iter().map(FileTarget::Universal))
        .map(|target| {
            let runner = Runner::find(target);
            let architectures = target.slices().iter().map(|slice| slice.architecture.name());
            let format = target.operating_system().format();
            let (format, triples) = match target {
                FileTarget::Single(target) => (format.to_owned(), target.row().triples),
                FileTarget::Universal(_) => (format!("{format}, universal"), &[][..]),
            };
            JsonTarget {
                name: target.name(),
                architecture: architectures.collect::<Vec<_>>().join(", "),
                system: target.operating_system().name(),
                format,
                executable_suffix: OutputKind::Executable.suffix(target),
                triples,
                runner: runner.as_ref().ok().map(ToString::to_string),
                missing: runner.err().map(|reason| reason.to_string()),
            }
        })
        .collect();
    if arguments.print.format == Format::Json {
        print::json(&Document { targets })?;
        return Ok(ExitCode::SUCCESS);
    }
    let columns = ["target", "architecture", "system", "format", "file", "runs here"];
    let mut table = Table::new(columns.map(|column| (column, Side::Left)));
    for target in targets {
        let runs = match (target.runner, target.missing) {
            (Some(runner), _) => runner,
            (None, missing) => format!("no: {}", missing.unwrap_or_default()),
        };
        table.row([
            target.name.to_owned(),
            target.architecture,
            target.system.to_owned(),
            target.format,
            format!("NAME{}", target.executable_suffix),
            runs,
        ]);
    }
    print::text(&table.render())?;
    Ok(ExitCode::SUCCESS)
}
