//! Executed: the system's own loader runs what minild wrote, and it does what its `[[test]]` tables say.
//!
//! The tables are judged here, not by `minild test`, which has tests of its own.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use libtest_mimic::Trial;
use minild::input::spec::{End, Test};

use crate::case::{Case, Variant, read};
use crate::{Checked, minild, needing, no_runner};

pub(crate) fn trial(case: Case) -> Trial {
    let name = case.test_name("runs");
    needing(no_runner(case.target), name, move || runs_as_its_tests_say(&case))
}

fn runs_as_its_tests_say(case: &Case) -> Checked {
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
        command.arg("run").arg(&path).args(["--target", case.target.name()]);
        if case.variant == Variant::Stripped {
            command.arg("--strip");
        }
        command.arg("--").args(test.args()).envs(test.env());
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
