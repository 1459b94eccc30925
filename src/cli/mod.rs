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
mod linted;
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

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::{PossibleValue, Resettable, TypedValueParser};
use clap::error::ErrorKind as UsageError;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use minild::error::nearest_name;
use minild::target::{TARGETS, UNIVERSAL};
use minild::{Error, ErrorKind, FileTarget, Options};

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
    /// Write a commented spec to begin with
    ///
    /// Writes NAME.toml into the current folder. A file that is there already stays as it is.
    New(Deferred<new::Arguments>),
    /// Write an executable for every target of a spec
    ///
    /// A spec for one target gives `NAME`, with the suffix that its system wants; several give
    /// `NAME-TARGET` each. Where any target has an error, no file is written.
    Build(Deferred<build::Arguments>),
    /// Build a spec into a temporary folder and run what it made
    ///
    /// The shared libraries that the spec `needs` are built beside it.
    /// The program gets this command's input, output and environment, and minild ends with its exit status:
    /// 128 and the signal's number where a signal ended it, 124 where --timeout did. Without --target it is built for this machine if
    /// the spec is for it, else for the first target that has a runner here.
    Run(Deferred<run::Arguments>),
    /// Run the tests of specs on every target that has a runner here
    ///
    /// Programs run in the folder of their spec. A target without a runner is skipped by name, or failed with
    /// --no-skip. The exit status is 1 if any test failed.
    Test(Deferred<test::Arguments>),
    /// Say everything that is wrong with a spec, and write nothing
    Check(Deferred<check::Arguments>),
    /// Show where everything goes, and why
    Layout(Deferred<layout::Arguments>),
    /// Show what an executable, a library or an object file consists of
    ///
    /// Of ELF64, Mach-O and PE32+, whoever wrote it. Without a part, an overview.
    Inspect(Deferred<inspect::Arguments>),
    /// Say which loaders' rules an executable breaks, whoever wrote it
    Lint(Deferred<lint::Arguments>),
    /// List the targets, and what can run here
    Targets(Deferred<targets::Arguments>),
    /// Write the JSON schema of specs to standard output
    ///
    /// An editor that knows TOML completes keys and says what they mean when the first line of a spec names
    /// the schema: #:schema ./spec.schema.json
    Schema(Deferred<schema::Arguments>),
    /// Write the completion script of a shell to standard output
    ///
    /// For example: minild completions bash > ~/.local/share/bash-completion/completions/minild
    Completions(Deferred<completions::Arguments>),
    /// Write the manual pages
    ///
    /// Without a folder, that of minild itself goes to standard output: minild man | man -l -
    Man(Deferred<man::Arguments>),
}

/// The arguments of a subcommand, described to `clap` only once it is the one that was asked for: nobody waits for the
/// descriptions of all others.
#[derive(Debug)]
struct Deferred<A>(A);

impl<A: clap::Args> clap::Args for Deferred<A> {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.defer(|command| with_own_description(command, A::augment_args))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        command.defer(|command| with_own_description(command, A::augment_args_for_update))
    }
}

impl<A: FromArgMatches> FromArgMatches for Deferred<A> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        A::from_arg_matches(matches).map(Self)
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, clap::Error> {
        A::from_arg_matches_mut(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

/// Adds arguments to a command that keeps its description: what arguments have in common with those of other commands is
/// described too, and would take its place.
fn with_own_description(
    command: clap::Command,
    add: fn(clap::Command) -> clap::Command,
) -> clap::Command {
    let (about, long_about) = (command.get_about().cloned(), command.get_long_about().cloned());
    add(command).about(Resettable::from(about)).long_about(Resettable::from(long_about))
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
    #[arg(long = "target", value_name = "TARGET", value_parser = TargetParser, hide_possible_values = true)]
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
        let message = format!("cannot make a temporary folder to build in: {error}");
        Failure::at_path(&std::env::temp_dir(), message)
    })
}

/// Reads the name of a target.
fn target(name: &str) -> Result<FileTarget, String> {
    let names = TARGETS.iter().map(|row| row.name).chain(UNIVERSAL.iter().map(|row| row.name));
    name.parse().map_err(|error| match nearest_name(name, names) {
        Some(near) => format!("{error}; did you mean `{near}`?"),
        None => match members(name)[..] {
            [] => format!("{error}; `minild targets` lists all"),
            [ref first @ .., last] => {
                let several = first.join("`, `");
                format!("`{name}` is no target, but what several have: `{several}` and `{last}`")
            }
        },
    })
}

/// Reads a target, and tells shells which there are.
#[derive(Clone)]
struct TargetParser;

impl TypedValueParser for TargetParser {
    type Value = FileTarget;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<FileTarget, clap::Error> {
        target.parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let names = TARGETS.iter().map(|row| row.name).chain(UNIVERSAL.iter().map(|row| row.name));
        Some(Box::new(names.chain(["host"]).map(PossibleValue::new)))
    }
}

/// The targets of an architecture or an operating system.
fn members(name: &str) -> Vec<&'static str> {
    let is_member = |target: &&minild::target::TargetRow| {
        target.target.architecture.name() == name || target.target.operating_system.name() == name
    };
    TARGETS.iter().filter(is_member).map(|row| row.name).collect()
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

impl Failure {
    /// What is wrong with a file or a folder, which the message names.
    fn at_path(path: &Path, message: String) -> Self {
        let error = Error::new(ErrorKind::File, message);
        Self::Report(Report::of_file(&path.display().to_string(), error))
    }
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
    let matches = command().get_matches();
    let name = matches.subcommand_name().unwrap_or_default();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    arguments.color.write_global();
    let (format, result) = match &arguments.command {
        Command::New(Deferred(arguments)) => (arguments.print.format, new::new(arguments)),
        Command::Build(Deferred(arguments)) => (arguments.print.format, build::build(arguments)),
        Command::Run(Deferred(arguments)) => (Format::Text, run::run(arguments)),
        Command::Test(Deferred(arguments)) => (arguments.print.format, test::test(arguments)),
        Command::Check(Deferred(arguments)) => (arguments.print.format, check::check(arguments)),
        Command::Layout(Deferred(arguments)) => (arguments.print.format, layout::layout(arguments)),
        Command::Inspect(Deferred(arguments)) => (arguments.print.format, inspect::run(arguments)),
        Command::Lint(Deferred(arguments)) => (arguments.error_format(), lint::lint(arguments)),
        Command::Targets(Deferred(arguments)) => {
            (arguments.print.format, targets::targets(arguments))
        }
        Command::Schema(Deferred(arguments)) => (Format::Text, schema::schema(arguments)),
        Command::Completions(Deferred(arguments)) => {
            (Format::Text, completions::completions(arguments))
        }
        Command::Man(Deferred(arguments)) => (Format::Text, man::man(arguments)),
    };
    result.unwrap_or_else(|failure| end(format, name, failure))
}

/// Tells why the command called `name` did not do what was asked, and with which status this process ends.
fn end(format: Format, name: &str, failure: Failure) -> ExitCode {
    match failure {
        Failure::Usage(message) => {
            let mut command = command();
            command.build();
            let usage = UsageError::ArgumentConflict;
            match command.find_subcommand_mut(name) {
                Some(known) => known.error(usage, message).exit(),
                None => command.error(usage, message).exit(),
            }
        }
        Failure::Report(report) => match report.print(format) {
            Ok(()) => ExitCode::FAILURE,
            Err(error) => end(Format::Text, name, Failure::Output(error)),
        },
        Failure::Other(message) => match Report::of_message(message).print(format) {
            Ok(()) => ExitCode::FAILURE,
            Err(error) => end(Format::Text, name, Failure::Output(error)),
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
        assert!(target("uefi").unwrap_err().ends_with("`x86_64-uefi` and `aarch64-uefi`"));
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
