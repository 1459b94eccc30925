//! The command: its arguments, one file a subcommand, and what its ends mean.
//!
//! Exit status 0: done; 1: the input is wrong, or what was asked for failed; 2: the command line is wrong.
//! `minild run` ends as the program does.

mod build;
mod check;
mod completions;
mod inspect;
mod layout;
mod lint;
mod man;
mod needs;
mod new;
mod print;
mod read_file;
mod report;
mod run;
mod schema;
mod spec_file;
mod table;
mod targets;
mod test;
mod timings;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind as UsageError;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use minild::error::nearest_name;
use minild::target::{TARGETS, UNIVERSAL};
use minild::{FileTarget, Options};

use tempfile::TempDir;

use report::Report;

/// Turns machine code and data into executables, on any host, without an SDK or another linker.
#[derive(Debug, Parser)]
#[command(name = "minild", version, subcommand_required = true, arg_required_else_help = true)]
struct Arguments {
    #[command(flatten)]
    color: colorchoice_clap::Color,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    New(new::Arguments),
    Build(build::Arguments),
    Run(run::Arguments),
    Test(test::Arguments),
    Check(check::Arguments),
    Layout(layout::Arguments),
    Inspect(inspect::Arguments),
    Lint(lint::Arguments),
    Targets(targets::Arguments),
    Schema(schema::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
}

/// What every command that links takes.
#[derive(Debug, clap::Args)]
struct LinkArguments {
    /// Leave the symbol table out
    #[arg(long)]
    strip: bool,
    /// Write a symbol table for Windows and UEFI too, whose files usually have none
    #[arg(long, conflicts_with = "strip")]
    symbols: bool,
}

impl LinkArguments {
    fn options(&self) -> Options {
        let mut options = Options::default();
        options.strip = self.strip;
        options.symbols = self.symbols;
        options.threads = Options::ALL_THREADS;
        options
    }
}

/// What every command that looks at some of a spec's targets takes.
#[derive(Debug, clap::Args)]
struct TargetArguments {
    /// Only this target of the spec; may be given several times. `host` is this machine
    #[arg(long = "target", value_name = "TARGET", value_parser = target)]
    targets: Vec<FileTarget>,
}

/// What every command that prints takes.
#[derive(Clone, Copy, Debug, clap::Args)]
struct PrintArguments {
    /// How to print, errors included
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// How results and errors are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON document on standard output
    Json,
}

/// A folder that goes when it is dropped.
fn temporary_folder() -> Result<TempDir, Failure> {
    let folder = tempfile::Builder::new().prefix("minild-").tempdir();
    folder.map_err(|error| {
        Failure::Other(format!("cannot make a temporary folder to build in: {error}"))
    })
}

/// Reads the name of a target.
fn target(name: &str) -> Result<FileTarget, String> {
    let names = TARGETS.iter().map(|row| row.name).chain(UNIVERSAL.iter().map(|row| row.name));
    name.parse().map_err(|error| match nearest_name(name, names) {
        Some(near) => format!("{error}; did you mean `{near}`?"),
        None => format!("{error}; `minild targets` lists all"),
    })
}

/// Reads a time in seconds: `60`, `0.5`.
fn seconds(text: &str) -> Result<Duration, String> {
    let time = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.filter(|time| !time.is_zero()).ok_or_else(|| "not a number of seconds above 0".to_owned())
}

/// Why a command did not do what was asked.
#[derive(Debug)]
enum Failure {
    /// The input is wrong, in these ways.
    Report(Report),
    /// The command line is wrong.
    Usage(String),
    /// Something went wrong that has no place in an input.
    Other(String),
    /// Standard output does not take what is printed.
    Output(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// The command line, as it describes itself.
fn command() -> clap::Command {
    Arguments::command()
}

/// Runs the command line that this process was started with.
pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::parse();
    arguments.color.write_global();
    let (format, result) = match &arguments.command {
        Command::New(arguments) => (arguments.print.format, new::new(arguments)),
        Command::Build(arguments) => (arguments.print.format, build::build(arguments)),
        Command::Run(arguments) => (Format::Text, run::run(arguments)),
        Command::Test(arguments) => (arguments.print.format, test::test(arguments)),
        Command::Check(arguments) => (arguments.print.format, check::check(arguments)),
        Command::Layout(arguments) => (arguments.print.format, layout::layout(arguments)),
        Command::Inspect(arguments) => (arguments.print.format, inspect::run(arguments)),
        Command::Lint(arguments) => (arguments.error_format(), lint::lint(arguments)),
        Command::Targets(arguments) => (arguments.print.format, targets::targets(arguments)),
        Command::Schema(arguments) => (Format::Text, schema::schema(arguments)),
        Command::Completions(arguments) => (Format::Text, completions::completions(arguments)),
        Command::Man(arguments) => (Format::Text, man::man(arguments)),
    };
    result.unwrap_or_else(|failure| end(format, failure))
}

/// Tells what is wrong with the command line, with the usage of the subcommand that it names.
fn usage(message: String) -> ! {
    let mut command = Arguments::command();
    command.build();
    // What may stand in front of a subcommand (`--color never`) has no subcommand's name.
    let mut words = std::env::args().skip(1);
    let name = words.find(|word| command.find_subcommand(word).is_some());
    let command = match name {
        Some(name) => command.find_subcommand_mut(name).expect("it was found"),
        None => &mut command,
    };
    command.error(UsageError::ArgumentConflict, message).exit()
}

/// Tells why, and with which status this process ends.
fn end(format: Format, failure: Failure) -> ExitCode {
    match failure {
        Failure::Usage(message) => usage(message),
        Failure::Report(report) => match report.print(format) {
            Ok(()) => ExitCode::FAILURE,
            Err(error) => end(Format::Text, Failure::Output(error)),
        },
        Failure::Other(message) => match Report::of_message(message).print(format) {
            Ok(()) => ExitCode::FAILURE,
            Err(error) => end(Format::Text, Failure::Output(error)),
        },
        // Whoever reads has seen enough (`minild layout … | head`).
        Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Failure::Output(error) => {
            let message = format!("cannot write to standard output: {error}");
            // If standard error is gone too, the status has to say it alone.
            let _ = Report::of_message(message).print(Format::Text);
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_target_may_be_named_by_its_triple_and_a_slip_is_recognised() {
        assert_eq!(target("x86_64-unknown-linux-gnu"), Ok(minild::Target::X86_64_LINUX.into()));
        assert!(target("x86-64-linux").unwrap_err().contains("`x86_64-linux`"));
        assert!(target("pdp11-unix").unwrap_err().contains("minild targets"));
    }

    #[test]
    fn a_time_is_a_number_of_seconds() {
        assert_eq!(seconds("60"), Ok(Duration::from_mins(1)));
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["", "0", "-1", "1 s", "NaN", "inf", "1e400"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
