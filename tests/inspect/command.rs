//! The command as a user meets it: parts, exit status, what is no executable.

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::files::WRITTEN;

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).expect("the folder can be written to");
    }
    folder
}

fn minild(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_minild"));
    command.current_dir(folder.path()).arg("inspect").args(arguments);
    command
}

fn run(folder: &TempDir, arguments: &[&str]) -> (Output, String, String) {
    let output = minild(folder, arguments).output().expect("minild starts");
    let (stdout, stderr) = (&output.stdout, &output.stderr);
    let (stdout, stderr) = (String::from_utf8_lossy(stdout), String::from_utf8_lossy(stderr));
    let (stdout, stderr) = (stdout.into_owned(), stderr.into_owned());
    (output, stdout, stderr)
}

fn written(name: &str) -> &'static [u8] {
    &WRITTEN.iter().find(|file| file.name == name).expect("it is among the samples").bytes
}

#[test]
fn what_is_no_executable_is_called_what_it_is() {
    let folder = folder(&[("lib.a", b"!<arch>\nx"), ("text", b"Dear reader"), ("empty", b"")]);
    for (name, what) in [
        ("lib.a", "an archive of object files"),
        ("text", "a text"),
        ("empty", "an empty file"),
        ("missing", "No such file"),
    ] {
        let (output, stdout, stderr) = run(&folder, &[name]);
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert!(stderr.contains(what) && stderr.contains(name), "{stderr}");
        assert_eq!((stdout.as_str(), stderr.lines().count()), ("", 1));
        let (_, stdout, stderr) = run(&folder, &[name, "--format", "json"]);
        assert!(stdout.contains(what) && stderr.is_empty(), "{stdout}");
    }
}

#[test]
fn only_the_parts_that_were_asked_for_are_shown() {
    let folder = folder(&[("hello", written("hello-x86_64-linux"))]);
    let (_, overview, _) = run(&folder, &["hello"]);
    for part in ["\nsegments\n", "\nsections\n", "build-id", "(--symbols)"] {
        assert!(overview.contains(part), "{overview}");
    }
    let (_, symbols, _) = run(&folder, &["hello", "--symbols"]);
    assert!(symbols.contains("\nsymbols\n") && !symbols.contains("\nsegments\n"), "{symbols}");
    let (_, code, _) = run(&folder, &["hello", "--disassemble=start"]);
    assert!(code.contains("start:") && code.contains("syscall"), "{code}");
    assert!(!code.contains("\nsections\n"), "{code}");
    let (output, _, stderr) = run(&folder, &["hello", "--disassemble=strat"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains("did you mean `start`?"), "{stderr}");
}

#[test]
fn damage_is_shown_beside_what_is_whole() {
    let hello = written("hello-x86_64-linux");
    let folder = folder(&[("cut", &hello[..hello.len() - 100])]);
    let (output, stdout, stderr) = run(&folder, &["cut"]);
    assert_eq!((output.status.code(), stderr.as_str()), (Some(1), ""));
    assert!(
        stdout.contains("PT_LOAD") && stdout.contains("\ndamage\n  section headers at 0x"),
        "{stdout}"
    );
}

#[test]
fn a_dash_is_standard_input() {
    let folder = folder(&[]);
    let mut child = minild(&folder, &["-", "--segments"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("minild starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(written("hello-x86_64-windows")).expect("it is read");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("PE32+"));
}

#[test]
fn a_terminal_is_told_nothing_by_a_name() {
    let mut hello = written("hello-x86_64-linux").to_vec();
    let at = hello.windows(7).position(|window| window == b".rodata").expect("it has that section");
    hello[at..at + 7].copy_from_slice(b"\x1b[31m\r!");
    let folder = folder(&[("hello", &hello)]);
    let (_, stdout, _) = run(&folder, &["hello"]);
    assert!(!stdout.contains('\x1b') && !stdout.contains('\r'), "{stdout}");
    assert!(stdout.contains(r"\u{1b}[31m\r!"), "{stdout}");
}
