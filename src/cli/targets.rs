//! `minild targets`: what minild writes for, and what of it can run here.

use std::process::ExitCode;

use minild::target::TARGETS;
use serde::Serialize;

use super::table::{Side, Table};
use super::{Failure, Format, PrintArguments, print};
use crate::run::Runner;

/// List the targets, and what can run here
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) print: PrintArguments,
}

#[derive(Serialize)]
struct JsonTarget {
    name: &'static str,
    architecture: &'static str,
    system: &'static str,
    format: &'static str,
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
    let targets: Vec<_> = TARGETS
        .iter()
        .map(|row| {
            let runner = Runner::find(row.target);
            JsonTarget {
                name: row.name,
                architecture: row.target.architecture.name(),
                system: row.target.operating_system.name(),
                format: row.target.operating_system.format(),
                executable_suffix: row.executable_suffix,
                triples: row.triples,
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
            target.architecture.to_owned(),
            target.system.to_owned(),
            target.format.to_owned(),
            format!("NAME{}", target.executable_suffix),
            runs,
        ]);
    }
    print::text(&table.render())?;
    Ok(ExitCode::SUCCESS)
}
