//! `minild test`: runs what a spec's `[[test]]` tables ask for, on every target that has a runner here.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use minild::Target;
use minild::input::spec::{End, Test};
use serde::Serialize;
use similar::TextDiff;
use tempfile::TempDir;

use super::report::Report;
use super::spec_file::SpecFile;
use super::{
    Failure, Format, LinkArguments, PrintArguments, TargetArguments, print, temporary_folder,
};
use crate::run::{Ending, NoRunner, Outcome, Runner, captured};

/// How long a run may take where its test does not say it: emulators on busy machines are slow.
const DEFAULT_LIMIT: Duration = Duration::from_mins(1);

/// Run the tests of specs on every target that has a runner here
///
/// Programs run in the folder of their spec. A target without a runner is skipped by name, or failed with
/// --no-skip. The exit status is 1 if any test failed.
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
    seconds: f64,
}

pub(super) fn test(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let started = Instant::now();
    let is_text = arguments.print.format == Format::Text;
    let mut report = Report::default();
    let mut all = Vec::new();
    for path in &arguments.specs {
        // A spec that is wrong keeps no other from being tested.
        match test_spec(arguments, path, is_text) {
            Ok(tested) => all.extend(tested),
            Err(Failure::Report(errors)) => report.merge(errors),
            Err(failure) => return Err(failure),
        }
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
fn test_spec(arguments: &Arguments, path: &Path, is_text: bool) -> Result<Vec<Tested>, Failure> {
    let file = SpecFile::read(path)?;
    let targets = file.targets(&arguments.targets)?;
    let built = Built::new(&file, &targets, arguments)?;
    let runs: Vec<_> = file
        .spec
        .tests()
        .iter()
        .flat_map(|test| targets.iter().map(move |&target| (test, target)))
        .filter(|(test, target)| test.is_for(*target))
        .collect();
    if is_text {
        let count = match runs.len() {
            0 => "no tests".to_owned(),
            1 => "1 test".to_owned(),
            count => format!("{count} tests"),
        };
        print::text(&format!("running {count} of {}\n", file.source.name))?;
    }
    let mut all = Vec::new();
    for (test, target) in runs {
        let started = Instant::now();
        let verdict = run(&built, &file.folder, test, target, arguments.no_skip)?;
        let tested = Tested {
            spec: file.source.name.clone(),
            line: file.source.text[..test.span().start].matches('\n').count() + 1,
            target: target.name(),
            verdict,
            seconds: started.elapsed().as_secs_f64(),
        };
        if is_text {
            print::text(&tested.line())?;
        }
        all.push(tested);
    }
    Ok(all)
}

/// The executables of a spec, and what starts them.
struct Built {
    executables: HashMap<Target, (PathBuf, Result<Runner, NoRunner>)>,
    _folder: TempDir,
}

impl Built {
    fn new(file: &SpecFile, targets: &[Target], arguments: &Arguments) -> Result<Self, Failure> {
        let folder = temporary_folder()?;
        let options = arguments.link.options();
        let name = file.name().unwrap_or_else(|| "program".to_owned());
        let built = file.link(targets, |target, program| {
            let file_name = format!("{name}-{target}{}", target.row().executable_suffix);
            let path = folder.path().join(file_name);
            minild::link_to(program, &options, &path)?;
            Ok((target, (path, Runner::find(target))))
        })?;
        Ok(Self { executables: built.into_iter().collect(), _folder: folder })
    }
}

fn run(
    built: &Built,
    folder: &Path,
    test: &Test,
    target: Target,
    no_skip: bool,
) -> Result<Verdict, Failure> {
    let (executable, runner) = &built.executables[&target];
    let runner = match runner {
        Ok(runner) => runner,
        Err(reason) if reason.is_mistake() => return Err(Failure::Other(reason.to_string())),
        Err(reason) if no_skip => return Ok(Verdict::Failed(vec![reason.to_string()])),
        Err(reason) => return Ok(Verdict::Skipped(reason.to_string())),
    };
    let mut command = runner.command(executable);
    command.args(test.args()).envs(test.env()).current_dir(folder);
    let limit = test.timeout().unwrap_or(DEFAULT_LIMIT);
    Ok(match captured(&mut command, test.stdin().as_bytes(), limit) {
        Err(error) => Verdict::Failed(vec![format!("cannot be run: {error}")]),
        Ok(outcome) => {
            let wrong = differences(test, &outcome);
            if wrong.is_empty() { Verdict::Ok } else { Verdict::Failed(wrong) }
        }
    })
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
        wrong.push(format!("ended with {}, expected {expected}\n", outcome.ending));
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
        format!("{}:{} {}", self.spec, self.line, self.target)
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
