//! `minild build`: writes an executable for every target of a spec.
//!
//! All or nothing: every target is linked into a file beside its place first, and looked at there; where any has an
//! error, no output is touched. Then each is renamed into place.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use minild::program::Contents;
use minild::{Error, ErrorKind, FileTarget, Place, Program};
use serde::Serialize;

use super::linted::LintArguments;
use super::read_file::shown;
use super::report::{self, Report};
use super::spec_file::{SpecFile, check_slice, link_beside};
use super::table::{Side, Table};
use super::timings::{Timing, Timings};
use super::{Failure, Format, LinkArguments, PrintArguments, TargetArguments, print};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The spec; `-` reads it from standard input
    spec: PathBuf,
    #[command(flatten)]
    targets: TargetArguments,
    /// The file to write, for a single target; `-` writes it to standard output
    #[arg(short, long, value_name = "FILE", conflicts_with = "out_dir")]
    output: Option<PathBuf>,
    /// The folder to write to, made if it is not there [default: the current one]
    #[arg(long, value_name = "FOLDER")]
    out_dir: Option<PathBuf>,
    #[command(flatten)]
    link: LinkArguments,
    #[command(flatten)]
    lint: LintArguments,
    /// Say how long each pass took, on standard error
    #[arg(long)]
    timings: bool,
    #[command(flatten)]
    pub(super) print: PrintArguments,
}

#[derive(Serialize)]
struct Written {
    target: &'static str,
    path: String,
    /// In bytes.
    size: u64,
}

pub(super) fn build(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let mut timings = arguments.timings.then(Timings::start);
    let file = SpecFile::read(&arguments.spec)?;
    note(&mut timings, None);
    let targets = file.files(&arguments.targets)?;
    if arguments.output.is_some() && targets.len() != 1 {
        let names: Vec<_> = targets.iter().map(|target| target.name()).collect();
        return Err(Failure::Usage(format!(
            "-o names one file, and {} would give {}; choose one with --target, or use --out-dir",
            file.source.shown(),
            names.join(", ")
        )));
    }
    if arguments.output.as_deref() == Some(Path::new("-")) {
        return to_stdout(arguments, &file, &targets, timings);
    }

    let paths = paths(arguments, &file, &targets)?;
    let options = arguments.link.options();
    let path_of = |target| {
        let (_, path) = targets.iter().zip(&paths).find(|(known, _)| **known == target)?;
        Some(path)
    };
    let path_of = |target| path_of(target).expect("a path was made for each target");
    let check = |target: FileTarget, program: &Program<'_>| {
        check_inputs(&file, program, path_of(target))?;
        check_slice(target, program, &options)
    };
    let pending = file.link_files(&targets, check, |target, programs| {
        let path = path_of(target);
        let pending = link_beside(target, programs, &options, path);
        note(&mut timings, Some(target));
        let pending = pending?;
        arguments.lint.check_file(&shown(path), pending.temporary_path())?;
        Ok(pending)
    })?;

    let mut written = Vec::new();
    for ((pending, target), path) in pending.into_iter().zip(&targets).zip(&paths) {
        let size = pending.file_size().0;
        let path = path.display().to_string();
        pending.put_in_place().map_err(|errors| {
            let mut report = Report::default();
            errors.into_iter().for_each(|error| report.merge(Report::of_file(&path, error)));
            Failure::Report(report)
        })?;
        written.push(Written { target: target.name(), path, size });
    }
    print(arguments.print.format, &written, timings.as_ref())?;
    Ok(ExitCode::SUCCESS)
}

/// Takes the times of what ran for `target`, if anybody asked for them.
fn note(timings: &mut Option<Timings>, target: Option<FileTarget>) {
    if let Some(timings) = timings {
        timings.end(target.map(FileTarget::name));
    }
}

fn to_stdout(
    arguments: &Arguments,
    file: &SpecFile,
    targets: &[FileTarget],
    mut timings: Option<Timings>,
) -> Result<ExitCode, Failure> {
    if arguments.print.format == Format::Json {
        let message = "-o - writes the executable where --format json would print".to_owned();
        return Err(Failure::Usage(message));
    }
    let options = arguments.link.options();
    let check = |target, program: &Program<'_>| check_slice(target, program, &options);
    let files = file.link_files(targets, check, |target, programs| {
        let bytes = match target {
            FileTarget::Single(_) => minild::link(&programs[0], &options).map(|image| image.bytes),
            FileTarget::Universal(_) => minild::link_universal(programs, &options),
        };
        note(&mut timings, Some(target));
        let bytes = bytes?;
        arguments.lint.check("<stdout>", &bytes)?;
        Ok(bytes)
    })?;
    for bytes in files {
        print::bytes(&bytes)?;
    }
    print_timings(timings.as_ref());
    Ok(ExitCode::SUCCESS)
}

/// Where the file of each target goes.
fn paths(
    arguments: &Arguments,
    file: &SpecFile,
    targets: &[FileTarget],
) -> Result<Vec<PathBuf>, Failure> {
    if let Some(output) = &arguments.output {
        let ends_as_folder = output.to_string_lossy().ends_with(std::path::is_separator);
        if output.is_dir() || ends_as_folder {
            let name = shown(output);
            let message =
                format!("-o names a file, and {name} is a folder: use --out-dir for that");
            return Err(Failure::Usage(message));
        }
        return Ok(vec![output.clone()]);
    }
    let folder = arguments.out_dir.clone().unwrap_or_default();
    if arguments.out_dir.is_some() {
        fs::create_dir_all(&folder).map_err(|error| {
            let message = format!("cannot make the folder {}: {error}", shown(&folder));
            Failure::at_path(&folder, message)
        })?;
    }
    let Some(name) = file.name() else {
        let message = "the spec has no `name` for the file: say it there, or with -o";
        return Err(Failure::Usage(message.to_owned()));
    };
    let several = targets.len() > 1;
    let file_name = |target: &FileTarget| {
        let suffix = file.spec.kind(target.slices()[0]).suffix(*target);
        if several { format!("{name}-{target}{suffix}") } else { format!("{name}{suffix}") }
    };
    Ok(targets.iter().map(|target| folder.join(file_name(target))).collect())
}

/// The output must not take the place of what it is made from.
fn check_inputs(file: &SpecFile, program: &Program<'_>, output: &Path) -> minild::Result<()> {
    let Ok(output_file) = output.canonicalize() else { return Ok(()) };
    let is_output = |input: &Path| input.canonicalize().is_ok_and(|input| input == output_file);
    let conflict = |what: &str| {
        let message = format!("cannot write {}: it is {what}", output.display());
        Error::new(ErrorKind::Conflict, message).help("name another output with `-o`")
    };
    if file.path.as_deref().is_some_and(is_output) {
        return Err(conflict("the spec itself").into());
    }
    for (section, contents) in program.sections_with_ids() {
        if let Contents::File { path, .. } = &contents.contents
            && is_output(path)
        {
            let place = Place::Section { section, offset: 0 };
            return Err(conflict("one of its inputs").at(place, "used here").into());
        }
    }
    Ok(())
}

/// Standard output may be the executable, or be read by a program: times are told beside it.
fn print_timings(timings: Option<&Timings>) {
    if let Some(timings) = timings {
        print::aside(&timings.text());
    }
}

fn print(format: Format, written: &[Written], timings: Option<&Timings>) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Document<'w> {
        outputs: &'w [Written],
        #[serde(skip_serializing_if = "Option::is_none")]
        timings: Option<&'w [Timing]>,
    }
    if format == Format::Json {
        let timings = timings.map(Timings::taken);
        return Ok(print::json(&Document { outputs: written, timings })?);
    }
    print_timings(timings);
    let mut table =
        Table::new([("target", Side::Left), ("file", Side::Left), ("bytes", Side::Right)]);
    for Written { target, path, size } in written {
        table.row([(*target).to_owned(), report::shown(path).to_string(), print::grouped(*size)]);
    }
    Ok(print::text(&table.render())?)
}
