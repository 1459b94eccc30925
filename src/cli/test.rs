//! `minild test`: runs what a spec's `[[test]]` tables ask for, on every target that has a runner here.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use minild::input::spec::{End, Test};
use minild::program::OutputKind;
use minild::{Error, ErrorKind, FileTarget, Program};
use serde::Serialize;
use similar::TextDiff;
use tempfile::TempDir;

use super::linted::LintArguments;
use super::needs::Needs;
use super::report::{Report, shown};
use super::spec_file::{SpecFile, check_slice, link_to};
use super::{
    Failure, Format, LinkArguments, PrintArguments, TargetArguments, print, temporary_folder,
};
use crate::run::{Ending, Job, Machine, NoRunner, Outcome, Runner};

/// How long a run may take where its test does not say it: emulators on busy machines are slow.
const DEFAULT_LIMIT: Duration = Duration::from_mins(1);

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The specs; `-` reads one from standard input
    #[arg(required = true, value_name = "SPEC")]
    specs: Vec<PathBuf>,
    #[command(flatten)]
    targets: TargetArguments,
    /// Fail a test whose target has no runner here
    #[arg(long)]
    no_skip: bool,
    #[command(flatten)]
    link: LinkArguments,
    #[command(flatten)]
    lint: LintArguments,
    #[command(flatten)]
    pub(super) print: PrintArguments,
}

/// How a test came out.
#[derive(Serialize)]
#[serde(rename_all = "lowercase", tag = "result", content = "reasons")]
enum Verdict {
    Ok,
    /// What was not as it should be.
    Failed(Vec<String>),
    /// Why nothing was run.
    Skipped(String),
}

#[derive(Serialize)]
struct Tested {
    spec: String,
    /// Where the test stands in the spec.
    line: usize,
    target: &'static str,
    #[serde(flatten)]
    verdict: Verdict,
    /// What the program did, if it was run.
    #[serde(flatten)]
    ran: Option<Ran>,
    seconds: f64,
}

#[derive(Serialize)]
struct Ran {
    /// The exit status by which `minild run` tells how it ended.
    exit: u8,
    /// How it ended, in words.
    ending: String,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn new(outcome: &Outcome) -> Self {
        Self {
            exit: outcome.ending.exit_status(),
            ending: outcome.ending.to_string(),
            stdout: String::from_utf8_lossy(&outcome.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&outcome.stderr).into_owned(),
        }
    }
}

pub(super) fn test(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let started = Instant::now();
    let is_text = arguments.print.format == Format::Text;
    let mut report = Report::default();
    let mut specs = Vec::new();
    for path in &arguments.specs {
        // A spec that is wrong keeps no other from being tested.
        match Built::new(path, arguments) {
            Ok(built) => specs.push(built),
            Err(Failure::Report(errors)) => report.merge(errors),
            Err(failure) => return Err(failure),
        }
    }
    let mut boots = Boots::new(&specs);
    let mut all = Vec::new();
    for spec in &specs {
        all.extend(test_spec(spec, &mut boots, arguments.no_skip, is_text)?);
    }

    let summary = Summary::new(&all, started.elapsed());
    if is_text {
        if !report.is_empty() {
            report.print(Format::Text)?;
        }
        print::text(&summary.text(&all, report.is_empty()))?;
    } else {
        #[derive(Serialize)]
        struct Document<'t, E: Serialize> {
            tests: &'t [Tested],
            #[serde(flatten)]
            summary: &'t Summary,
            #[serde(flatten)]
            errors: E,
        }
        print::json(&Document { tests: &all, summary: &summary, errors: report.json() })?;
    }
    let passed = summary.failed == 0 && report.is_empty();
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the tests of one spec; as text, each is told when it is done.
fn test_spec(
    built: &Built,
    boots: &mut Boots<'_>,
    no_skip: bool,
    is_text: bool,
) -> Result<Vec<Tested>, Failure> {
    let runs: Vec<_> = built.runs().collect();
    if is_text {
        let count = match runs.len() {
            0 => "no tests".to_owned(),
            1 => "1 test".to_owned(),
            count => format!("{count} tests"),
        };
        print::text(&format!("running {count} of {}\n", built.file.source.shown()))?;
    }
    let mut all = Vec::new();
    for run in runs {
        let started = Instant::now();
        let (verdict, outcome) = match run.outcome(boots)? {
            Ok(Ok(outcome)) => (run.judge(&outcome), Some(outcome)),
            Ok(Err(error)) => (Verdict::Failed(vec![format!("cannot be run: {error}")]), None),
            Err(reason) if no_skip => (Verdict::Failed(vec![reason.to_string()]), None),
            Err(reason) => (Verdict::Skipped(reason.to_string()), None),
        };
        let file = &built.file;
        let tested = Tested {
            spec: file.source.name.clone(),
            line: file.source.text[..run.test.span().start].matches('\n').count() + 1,
            target: run.target.name(),
            verdict,
            ran: outcome.as_ref().map(Ran::new),
            seconds: started.elapsed().as_secs_f64(),
        };
        if is_text {
            print::text(&tested.line())?;
        }
        all.push(tested);
    }
    Ok(all)
}

/// A spec, its executables, and what runs them.
struct Built {
    file: SpecFile,
    executables: Vec<Executable>,
    _folder: TempDir,
}

struct Executable {
    target: FileTarget,
    path: PathBuf,
    runner: Result<Runner, NoRunner>,
}

impl Built {
    fn new(path: &Path, arguments: &Arguments) -> Result<Self, Failure> {
        let file = SpecFile::read(path)?;
        let targets = file.files(&arguments.targets)?;
        let needs = Needs::of(&file, &file.targets(&arguments.targets)?)?;
        let folder = temporary_folder()?;
        let options = arguments.link.options();
        let name = file.name().unwrap_or_else(|| "program".to_owned());
        let check = |target, program: &Program<'_>| check_slice(target, program, &options);
        let executables = file.link_files(&targets, check, |target, programs| {
            // A folder for each: libraries for several targets can have one name.
            let folder = folder.path().join(target.name());
            std::fs::create_dir_all(&folder).map_err(|error| {
                let message = format!("cannot make the folder {}: {error}", folder.display());
                Error::new(ErrorKind::File, message)
            })?;
            let path = folder.join(format!("{name}{}", OutputKind::Executable.suffix(target)));
            link_to(target, programs, &options, arguments.lint, &path)?;
            Ok(Executable { target, path, runner: Runner::find(target) })
        })?;
        for &target in &targets {
            let folder = folder.path().join(target.name());
            needs.build(target, &folder, &options, arguments.lint)?;
        }
        Ok(Self { file, executables, _folder: folder })
    }

    /// Each test on each target that it is for.
    fn runs(&self) -> impl Iterator<Item = Run<'_>> {
        self.file.spec.tests().iter().flat_map(move |test| {
            let executables = self.executables.iter();
            let is_for = |target: FileTarget| target.slices().iter().any(|one| test.is_for(*one));
            let wanted = executables.filter(move |executable| is_for(executable.target));
            wanted.map(move |executable| Run::new(self, test, executable))
        })
    }
}

/// One test on one target.
struct Run<'b> {
    test: &'b Test,
    target: FileTarget,
    runner: &'b Result<Runner, NoRunner>,
    job: Job<'b>,
    limit: Duration,
}

impl<'b> Run<'b> {
    fn new(built: &'b Built, test: &'b Test, executable: &'b Executable) -> Self {
        let limit = test.timeout().unwrap_or(DEFAULT_LIMIT);
        let job = Job {
            file: &executable.path,
            arguments: test.args().iter().map(OsString::from).collect(),
            environment: test.env().collect(),
            folder: Some(&built.file.folder),
            limit: Some(limit),
        };
        Self { test, target: executable.target, runner: &executable.runner, job, limit }
    }

    /// What it did, or why it could not be run; or why there is no runner.
    fn outcome(
        &self,
        boots: &mut Boots<'_>,
    ) -> Result<Result<io::Result<Outcome>, &'b NoRunner>, Failure> {
        Ok(match self.runner {
            Ok(Runner::Firmware(machine)) => Ok(boots.outcome(self, machine)),
            Ok(runner) => Ok(runner.captured(&self.job, self.test.stdin().as_bytes(), self.limit)),
            Err(reason) if reason.is_mistake() => return Err(Failure::Other(reason.to_string())),
            Err(reason) => Err(reason),
        })
    }

    fn judge(&self, outcome: &Outcome) -> Verdict {
        let wrong = differences(self.test, outcome);
        if wrong.is_empty() { Verdict::Ok } else { Verdict::Failed(wrong) }
    }
}

/// What the machines showed that have nothing but firmware. A boot takes seconds, so all tests of one target
/// share one.
struct Boots<'b> {
    specs: &'b [Built],
    /// By target: what is left of its runs' outcomes, in their order.
    outcomes: HashMap<FileTarget, io::Result<VecDeque<Outcome>>>,
}

impl<'b> Boots<'b> {
    fn new(specs: &'b [Built]) -> Self {
        Self { specs, outcomes: HashMap::new() }
    }

    /// The outcome of the next run on this target.
    fn outcome(&mut self, run: &Run<'_>, machine: &Machine) -> io::Result<Outcome> {
        let outcomes = self.outcomes.entry(run.target).or_insert_with(|| {
            let runs: Vec<_> = self.specs.iter().flat_map(Built::runs).collect();
            let runs = runs.iter().filter(|other| other.target == run.target);
            let jobs: Vec<_> = runs.map(|run| (&run.job, run.limit)).collect();
            machine.captured(&jobs).map(VecDeque::from)
        });
        match outcomes {
            Ok(outcomes) => outcomes.pop_front().ok_or_else(|| io::Error::other("it was not run")),
            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
        }
    }
}

/// What a run did otherwise than its test says.
fn differences(test: &Test, outcome: &Outcome) -> Vec<String> {
    let mut wrong = Vec::new();
    let (is_right, expected) = match test.end() {
        End::Exit(status) => {
            (outcome.ending == Ending::Exit(status), format!("exit status {status}"))
        }
        End::Signal(name) => (outcome.ending.is_signal(name), name.to_owned()),
    };
    if !is_right {
        wrong.push(format!("{}, expected {expected}\n", outcome.ending));
    }
    let mut shows_stderr = false;
    for (stream, expected, written) in
        [("stdout", test.stdout(), &outcome.stdout), ("stderr", test.stderr(), &outcome.stderr)]
    {
        if let Some(expected) = expected
            && expected.as_bytes() != written
        {
            wrong.push(diff(stream, expected.as_bytes(), written));
            shows_stderr |= stream == "stderr";
        }
    }
    for part in test.contains() {
        let found = String::from_utf8_lossy(&outcome.stdout).contains(part);
        if !found {
            wrong.push(format!(
                "stdout does not contain {part:?}; it is:\n{}",
                indented(&outcome.stdout)
            ));
        }
    }
    if !wrong.is_empty() && !shows_stderr && !outcome.stderr.is_empty() {
        wrong.push(format!("stderr was:\n{}", indented(&outcome.stderr)));
    }
    wrong
}

fn diff(stream: &str, expected: &[u8], written: &[u8]) -> String {
    let (expected, written) = (visible(expected), visible(written));
    let diff = TextDiff::from_lines(&expected, &written);
    let (old, new) = (format!("{stream} expected"), format!("{stream} written"));
    diff.unified_diff().header(&old, &new).to_string()
}

/// Text as it is, and bytes that are none, or that a terminal would obey, by their numbers.
fn visible(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\n' | '\t' => text.push(character),
                control if control.is_control() => text.extend(control.escape_default()),
                other => text.push(other),
            }
        }
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

fn indented(bytes: &[u8]) -> String {
    visible(bytes).lines().fold(String::new(), |text, line| text + "    " + line + "\n")
}

impl Tested {
    fn name(&self) -> String {
        format!("{}:{} {}", shown(&self.spec), self.line, self.target)
    }

    fn line(&self) -> String {
        let verdict = match &self.verdict {
            Verdict::Ok => format!("{GREEN}ok{RESET}"),
            Verdict::Failed(_) => format!("{RED}FAILED{RESET}"),
            Verdict::Skipped(reason) => format!("{YELLOW}skipped{RESET} ({reason})"),
        };
        format!("test {} ... {verdict}\n", self.name())
    }
}

// Standard output takes them out where colours are not wanted.
const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const RESET: &str = "\x1b[0m";

#[derive(Serialize)]
struct Summary {
    passed: usize,
    failed: usize,
    skipped: usize,
    seconds: f64,
}

impl Summary {
    fn new(all: &[Tested], time: Duration) -> Self {
        let count = |is: fn(&Verdict) -> bool| all.iter().filter(|test| is(&test.verdict)).count();
        Self {
            passed: count(|verdict| matches!(verdict, Verdict::Ok)),
            failed: count(|verdict| matches!(verdict, Verdict::Failed(_))),
            skipped: count(|verdict| matches!(verdict, Verdict::Skipped(_))),
            seconds: time.as_secs_f64(),
        }
    }

    fn text(&self, all: &[Tested], specs_are_right: bool) -> String {
        let mut text = String::new();
        for tested in all {
            if let Verdict::Failed(reasons) = &tested.verdict {
                let reasons: String = reasons.concat();
                let end = if reasons.ends_with('\n') { "" } else { "\n" };
                // Writing to a string cannot fail.
                let _ = write!(text, "\n---- {} ----\n{reasons}{end}", tested.name());
            }
        }
        let word = match self {
            _ if !specs_are_right || self.failed > 0 => format!("{RED}FAILED{RESET}"),
            Self { passed: 0, skipped: 0, .. } => "no tests".to_owned(),
            Self { passed: 0, .. } => format!("{YELLOW}nothing was run{RESET}"),
            _ => format!("{GREEN}ok{RESET}"),
        };
        let Self { passed, failed, skipped, seconds } = self;
        let _ = write!(
            text,
            "\ntest result: {word}. {passed} passed; {failed} failed; {skipped} skipped; finished in \
             {seconds:.2}s\n"
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_by_its_number() {
        assert_eq!(visible(b"a\tb\n\x1b[2J\xff\0"), "a\tb\n\\u{1b}[2J\\xff\\u{0}");
    }

    #[test]
    fn a_diff_names_both_sides_and_a_missing_newline() {
        let diff = diff("stdout", b"one\ntwo\n", b"one\ntoo");
        assert!(diff.contains("stdout expected") && diff.contains("-two") && diff.contains("+too"));
        assert!(diff.contains("No newline"), "{diff}");
    }
}
