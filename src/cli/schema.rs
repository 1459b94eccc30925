//! `minild schema`: what a spec can hold, for editors.

use std::process::ExitCode;

use minild::input::spec;

use super::{Failure, print};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

pub(super) fn schema(_: &Arguments) -> Result<ExitCode, Failure> {
    print::pretty(&spec::schema())?;
    Ok(ExitCode::SUCCESS)
}
