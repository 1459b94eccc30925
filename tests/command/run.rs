//! `minild run`: the program gets what `minild` got, and `minild` ends as the program does.

use std::io::Write;
use std::process::Stdio;

use crate::{EXITS, Folder, sample};

/// Runs a program for this machine, whatever it is.
const HOST: [&str; 2] = ["--target", "host"];

#[test]
fn the_exit_status_is_the_programs() {
    let folder = Folder::new();
    folder.write("exits.toml", EXITS);
    let ran = folder.run(&["run", "exits.toml"]);
    ran.status(42);
    assert_eq!(ran.stdout() + &ran.stderr(), "");
    assert_eq!(folder.names(), ["exits.toml"], "it is built elsewhere");
}

#[test]
fn arguments_environment_and_input_pass_through() {
    let folder = Folder::new();
    folder.write("exits.toml", EXITS);
    // A runner that shows what it was given; quotes are those of a shell.
    let script = r#"sh -c 'shift; cat; echo "[$*] $PLANET"; exit 7' sh"#;
    let mut minild = folder
        .minild(&["run", "exits.toml", "--target", "aarch64-linux", "--", "a b", "--target", "c"])
        .env("MINILD_RUNNER_AARCH64_LINUX", script)
        .env("PLANET", "mars")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("minild starts");
    minild.stdin.take().expect("piped").write_all(b"from here\n").expect("it reads");
    let output = minild.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "from here\n[a b --target c] mars\n");
    assert_eq!(output.status.code(), Some(7));
}

#[test]
#[cfg(unix)]
fn a_signal_is_told_as_shells_tell_it() {
    let folder = Folder::new();
    folder.write("exits.toml", EXITS);
    let ran = folder
        .minild(&["run", "exits.toml", "--target", "aarch64-linux"])
        .env("MINILD_RUNNER_AARCH64_LINUX", "sh -c 'kill -SEGV $$'")
        .output()
        .expect("minild starts");
    assert_eq!(ran.status.code(), Some(128 + 11));
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(stderr, "minild: exits was ended by signal 11 (SIGSEGV)\n");
}

#[test]
fn a_runner_that_is_missing_or_wrong_is_named() {
    let folder = Folder::new();
    let aarch64 = EXITS.split_once("[target.aarch64").expect("two targets").1;
    folder.write("exits.toml", &format!("[target.aarch64{aarch64}"));
    let with = |variable: &str, value: &str| {
        let mut minild = folder.minild(&["run", "exits.toml"]);
        let output = minild.env(variable, value).output().expect("minild starts");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let override_name = "MINILD_RUNNER_AARCH64_LINUX";
    for (value, says) in [("no-such-emulator -x", "no-such-emulator"), ("qemu 'x", "quote")] {
        let stderr = with(override_name, value);
        assert!(stderr.contains(override_name) && stderr.contains(says), "{stderr}");
    }
    if cfg!(not(target_arch = "aarch64")) {
        let stderr = with("PATH", "");
        assert!(stderr.contains("needs qemu-aarch64: apt install qemu-user"), "{stderr}");
    }
}

#[test]
fn host_is_this_machine_and_comes_first() {
    let folder = Folder::new();
    let hello = sample("hello.toml");
    let ran = folder.run(&[&["run", &hello][..], &HOST[..]].concat());
    ran.status(42).stdout_has("Hello, world!");
    // With every emulator out of the way only this machine itself is left.
    let output = folder.minild(&["run", &hello]).env("PATH", "").output().expect("minild starts");
    assert_eq!(output.status.code(), Some(42));
}
