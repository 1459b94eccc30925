//! `minild completions`: what a shell needs to complete minild's command lines.

use std::process::ExitCode;

use clap_complete::Shell;

use super::{Failure, print};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn completions(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let mut command = super::command();
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "minild", &mut script);
    print::bytes(&script)?;
    Ok(ExitCode::SUCCESS)
}
