//! Executed: the system's own loader runs what minild wrote, and it does what its `[[test]]` tables say.
//!
//! The tables are judged here, not by `minild test`, which has tests of its own.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use libtest_mimic::Trial;
use minild::OperatingSystem;
use minild::input::spec::{End, Test};
use minild::program::OutputKind;

use crate::case::{Case, Variant, read};
use crate::{Checked, minild, needing, no_runner};

/// The case is a test for every way in which its file can be run here.
pub(crate) fn trials(case: &Case) -> Vec<Trial> {
    // A library runs in the program that needs it.
    if read(&case.path).kind(case.target) == OutputKind::SharedLibrary {
        return Vec::new();
    }
    let ways = ways(case);
    let trial = |way: Way| {
        let mut name = case.test_name("runs");
        if !way.name.is_empty() {
            name = format!("{name}::{}", way.name);
        }
        let case = case.clone();
        needing(way.missing, name, move || {
            runs_as_its_tests_say(&case, case.target.name(), way.runner.as_deref())
        })
    };
    ways.into_iter().map(trial).collect()
}

/// How a file is run.
struct Way {
    /// Its name, where there are several.
    name: &'static str,
    /// What the environment is to name as the runner, if not minild's own choice.
    runner: Option<String>,
    /// Why this cannot be done here, if so.
    missing: Option<String>,
}

/// In which ways the small macOS runs programs: as they were linked, moved as far as xnu may move them and
/// farther, and by this machine's own processor. `--validate` holds the rules of `dyld_info -validate` as well.
const WAYS_OF_MACOS: &[(&str, &str)] = &[
    ("in_place", "--validate --slide 0"),
    ("slid", "--validate --slide 0x1234568000"),
    ("native_in_place", "--engine native --slide 0"),
    ("native_slid", "--engine native --slide 0xffff000"),
];

fn ways(case: &Case) -> Vec<Way> {
    let missing = no_runner(case.target);
    let wished = std::env::var(runner_variable(case.target.name())).unwrap_or_default();
    let has_other = missing.is_none() && !wished.ends_with("small-macos");
    if case.target.operating_system != OperatingSystem::MacOs || has_other {
        return vec![Way { name: "", runner: None, missing }];
    }
    let is_possible = |options: &str| {
        let is_native = options.contains("native");
        let is_of_this_machine = std::env::consts::ARCH == case.target.architecture.name();
        // A program at a fixed position cannot be moved.
        let is_moved = !options.ends_with(" 0");
        (!is_native || is_of_this_machine) && (!is_moved || case.variant != Variant::Fixed)
    };
    let ways = WAYS_OF_MACOS.iter().filter(|(_, options)| is_possible(options));
    ways.map(|(name, options)| {
        let (runner, missing) = small_macos(options);
        Way { name, runner: Some(runner), missing }
    })
    .collect()
}

/// The small macOS with these options as a runner, and why it cannot be, if so.
pub(crate) fn small_macos(options: &str) -> (String, Option<String>) {
    let small_macos = Path::new(minild().get_program()).with_file_name("small-macos");
    let missing = (!small_macos.is_file())
        .then(|| "needs small-macos: cargo build --package small-macos".to_owned());
    (format!("'{}' {options}", small_macos.display()), missing)
}

/// The variable by which `minild` is told what runs files of `target`.
fn runner_variable(target: &str) -> String {
    format!("MINILD_RUNNER_{}", target.to_uppercase().replace('-', "_"))
}

/// Builds the case for `target`, a file that has a program for the case's, and runs it by all its tests.
pub(crate) fn runs_as_its_tests_say(case: &Case, target: &str, runner: Option<&str>) -> Checked {
    let spec = read(&case.path);
    let tests: Vec<_> = spec.tests().iter().filter(|test| test.is_for(case.target)).collect();
    if tests.is_empty() {
        return Err("nothing says what it must show".into());
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("spec.toml");
    fs::write(&path, case.text())?;
    for need in spec.needs() {
        let name = need.path.file_name().ok_or("a spec is a file")?;
        fs::copy(&need.path, folder.path().join(name))?;
    }
    for test in tests {
        let mut command = minild();
        command.arg("run").arg(&path).args(["--target", target]);
        match case.variant {
            Variant::Stripped => drop(command.arg("--strip")),
            Variant::Symbols => drop(command.arg("--symbols")),
            _ => {}
        }
        command.arg("--").args(test.args()).envs(test.env());
        if let Some(runner) = runner {
            command.env(runner_variable(target), runner);
        }
        check(test, command)?;
    }
    Ok(())
}

fn check(test: &Test, mut command: Command) -> Checked {
    let (status, says) = match test.end() {
        // Neither silence nor a crash can pass for this.
        End::Exit(status @ 1..=127) => (status.cast_signed(), None),
        End::Signal(name @ "SIGSEGV") => (128 + 11, Some(name)),
        other => return Err(format!("{other:?} is no end that proves anything").into()),
    };
    if test.stdout().unwrap_or_default().is_empty() && test.contains().is_empty() {
        return Err("a program that ran well also prints".into());
    }

    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    child.stdin.take().expect("piped").write_all(test.stdin().as_bytes())?;
    let output = child.wait_with_output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    let written = String::from_utf8_lossy(&output.stdout);
    if output.status.code() != Some(status) {
        return Err(format!("{}, not {status}\n{written}{stderr}", output.status).into());
    }
    if let Some(stdout) = test.stdout().filter(|stdout| written != *stdout) {
        return Err(format!("wrote {written:?}, not {stdout:?}").into());
    }
    if let Some(part) = test.contains().iter().find(|part| !written.contains(*part)) {
        return Err(format!("wrote {written:?}, without {part:?}").into());
    }
    match says {
        Some(name) if !stderr.contains(name) => Err(format!("no {name} in: {stderr}").into()),
        _ => Ok(()),
    }
}
