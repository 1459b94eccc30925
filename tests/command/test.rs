//! `minild test`: what passes, what fails and how that is shown, and what is skipped by name.

use std::time::{Duration, Instant};

use crate::{EXITS, Folder, UNDEFINED, sample};

/// The smallest spec, with these tests behind it.
fn with_tests(tests: &str) -> String {
    format!("{EXITS}\n{tests}")
}

/// A program that was told to show something, and does not.
const WRONG: &str = r#"
[[test]]
targets = ["x86_64-linux"]
stdout = "one\ntwo\n"
exit = 41
"#;

#[test]
fn samples_pass() {
    let folder = Folder::new();
    let ran = folder.run(&["test", &sample("hello.toml"), &sample("bss.toml")]);
    ran.status(0).stdout_has("x86_64-linux ... ok").stdout_has("test result: ok. ");
}

#[test]
fn a_failure_shows_what_was_expected_and_what_came() {
    let folder = Folder::new();
    folder.write("exits.toml", &with_tests(WRONG));
    let ran = folder
        .minild(&["test", "exits.toml"])
        .env("MINILD_RUNNER_X86_64_LINUX", r"sh -c 'printf one\\nthree\\n; echo why >&2; exit 42'")
        .output()
        .expect("minild starts");
    let stdout = String::from_utf8_lossy(&ran.stdout);
    assert_eq!(ran.status.code(), Some(1));
    for part in [
        "test exits.toml:9 x86_64-linux ... FAILED",
        "---- exits.toml:9 x86_64-linux ----",
        "ended with exit status 42, expected exit status 41",
        "--- stdout expected",
        "+++ stdout written",
        " one\n-two\n+three\n",
        "stderr was:\n    why\n",
        "test result: FAILED. 0 passed; 1 failed; 0 skipped;",
    ] {
        assert!(stdout.contains(part), "no {part:?} in: {stdout}");
    }
}

#[test]
fn what_takes_too_long_is_killed() {
    let folder = Folder::new();
    let test = "[[test]]\ntargets = [\"x86_64-linux\"]\nexit = 42\ntimeout = \"200 ms\"\n";
    folder.write("exits.toml", &with_tests(test));
    let started = Instant::now();
    let ran = folder
        .minild(&["test", "exits.toml"])
        .env("MINILD_RUNNER_X86_64_LINUX", "sh -c 'exec sleep 60'")
        .output()
        .expect("minild starts");
    assert_eq!(ran.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ran.stdout).contains("killed after 200ms"));
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[test]
#[cfg(not(target_arch = "aarch64"))]
fn a_missing_runner_is_a_skip_with_a_name_or_a_failure() {
    let folder = Folder::new();
    let test = "[[test]]\ntargets = [\"aarch64-linux\"]\nexit = 42\n";
    folder.write("exits.toml", &with_tests(test));
    let run = |arguments: &[&str]| {
        let mut minild = folder.minild(arguments);
        let output = minild.env("PATH", "").output().expect("minild starts");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (status, stdout) = run(&["test", "exits.toml"]);
    assert_eq!(status, Some(0));
    let skipped = "aarch64-linux ... skipped (needs qemu-aarch64: apt install qemu-user)";
    assert!(stdout.contains(skipped), "{stdout}");
    assert!(stdout.contains("test result: nothing was run. 0 passed; 0 failed; 1 skipped"));

    let (status, stdout) = run(&["test", "exits.toml", "--no-skip"]);
    assert_eq!(status, Some(1));
    assert!(stdout.contains("aarch64-linux ... FAILED"), "{stdout}");
}

#[test]
fn no_tests_at_all_is_said() {
    let folder = Folder::new();
    folder.write("exits.toml", EXITS);
    let ran = folder.run(&["test", "exits.toml"]);
    ran.status(0).stdout_has("running no tests of exits.toml").stdout_has("test result: no tests.");
}

#[test]
fn a_wrong_spec_keeps_no_other_from_being_tested() {
    let folder = Folder::new();
    folder.write("undefined.toml", UNDEFINED);
    let ran = folder.run(&["test", "undefined.toml", &sample("hello.toml")]);
    ran.status(1).stdout_has("x86_64-linux ... ok").stdout_has("test result: FAILED. ");
    ran.stderr_has("nothing defines `nowhere`");
}
