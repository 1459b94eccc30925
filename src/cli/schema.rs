//! `minild schema`: what a spec can hold, for editors.

use std::process::ExitCode;

use minild::input::spec;

use super::{Failure, print};

/// Write the JSON schema of specs to standard output
///
/// An editor that knows TOML completes keys and says what they mean when the first line of a spec names
/// the schema: #:schema ./spec.schema.json
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

pub(super) fn schema(_: &Arguments) -> Result<ExitCode, Failure> {
    print::pretty(&spec::schema())?;
    Ok(ExitCode::SUCCESS)
}
