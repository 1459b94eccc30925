//! `minild man`: the manual pages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap_mangen::Man;

use super::read_file::shown;
use super::{Failure, print};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The folder to write `minild.1`, `minild-build.1` and so on to, made if it is not there
    folder: Option<PathBuf>,
}

pub(super) fn man(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let mut command = super::command().disable_help_subcommand(true);
    command.build();
    let Some(folder) = &arguments.folder else {
        print::bytes(&page(command)?)?;
        return Ok(ExitCode::SUCCESS);
    };
    let cannot = |what: &str, path: &Path, error| {
        Failure::at_path(path, format!("cannot {what} {}: {error}", shown(path)))
    };
    fs::create_dir_all(folder).map_err(|error| cannot("make the folder", folder, error))?;
    let subcommands: Vec<_> = command.get_subcommands().cloned().collect();
    for command in std::iter::once(command).chain(subcommands) {
        // A subcommand's display name is `minild-build`.
        let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
        let path = folder.join(format!("{name}.1"));
        fs::write(&path, page(command)?).map_err(|error| cannot("write", &path, error))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn page(command: clap::Command) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    Ok(page)
}
