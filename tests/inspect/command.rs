//! The command as a user meets it: parts, exit status, what is no executable.

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
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
fn a_part_of_which_there_is_nothing_says_so() {
    let folder = folder(&[("hello", written("hello-x86_64-linux"))]);
    let (_, stdout, _) = run(&folder, &["hello", "--signature", "--tls", "--exports", "--imports"]);
    for part in ["signature", "thread-local storage", "exports", "imports", "libraries"] {
        assert!(stdout.contains(&format!("\n{part}: none\n")), "{stdout}");
    }
    let (_, overview, _) = run(&folder, &["hello"]);
    assert!(!overview.contains("none"), "{overview}");
    let (_, json, _) = run(&folder, &["hello", "--exports", "--format", "json"]);
    let json: Value = serde_json::from_str(&json).expect("JSON");
    let image = &json["images"][0];
    assert_eq!((&image["exports"], &image["tls"]), (&serde_json::json!([]), &Value::Null));
    let (_, stdout, _) = run(&folder, &["hello", "--all"]);
    assert!(stdout.contains("\nexports: none\n") && !stdout.contains("symbols: none"), "{stdout}");
}

#[test]
fn errors_name_their_file_in_json_too() {
    let folder = folder(&[("lib.a", b"!<arch>\nx")]);
    let path_of = |mut command: Command| {
        let output = command.output().expect("minild starts");
        let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        json["errors"][0]["path"].clone()
    };
    for name in ["missing", "lib.a", "."] {
        assert_eq!(path_of(minild(&folder, &[name, "--format", "json"])), name);
    }
    for command in ["build", "check", "layout"] {
        let mut other = Command::new(env!("CARGO_BIN_EXE_minild"));
        other.current_dir(folder.path()).args([command, "missing.toml", "--format", "json"]);
        assert_eq!(path_of(other), "missing.toml", "{command}");
    }
}

#[test]
fn only_what_has_an_end_is_read() {
    let folder = folder(&[]);
    let made = Command::new("mkfifo").arg(folder.path().join("pipe")).status();
    assert!(made.expect("mkfifo is everywhere").success());
    for (path, what) in [
        (".", "it is a folder"),
        ("/dev/zero", "it is a device"),
        ("/dev/null", "it is a device"),
        ("pipe", "`-` reads one from standard input"),
    ] {
        let (output, stdout, stderr) = run(&folder, &[path]);
        assert_eq!((output.status.code(), stdout.as_str()), (Some(1), ""), "{path}");
        assert!(stderr.contains(what) && stderr.contains(path), "{stderr}");
    }
}

#[test]
fn one_wrong_page_is_one() {
    let mut hello = written("hello-x86_64-macos").to_vec();
    hello[0x3000] ^= 1;
    let folder = folder(&[("hello", &hello)]);
    let (_, stdout, _) = run(&folder, &["hello", "--signature"]);
    assert!(stdout.contains("page 3 is not what was signed"), "{stdout}");
    hello[0x2000] ^= 1;
    fs::write(folder.path().join("hello"), &hello).expect("the folder can be written to");
    let (_, stdout, _) = run(&folder, &["hello", "--signature"]);
    assert!(stdout.contains("2 pages are not what was signed, page 2 first"), "{stdout}");
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

#[test]
fn a_terminal_is_told_nothing_by_the_name_of_a_file() {
    let name = "a\x1b[31m\u{202e}exe.\u{9b}so";
    let folder = folder(&[(name, written("hello-x86_64-linux")), ("not\x1b[0m\u{2066}", b"text")]);
    let is_plain = |text: &str| {
        !text.contains(['\x1b', '\u{9b}', '\u{202e}', '\u{2066}', '\r']) && !text.is_empty()
    };
    for arguments in [&[name][..], &[name, "--format", "json"]] {
        let (_, stdout, _) = run(&folder, arguments);
        assert!(is_plain(&stdout), "{stdout:?}");
    }
    let (_, json, _) = run(&folder, &[name, "--format", "json"]);
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["path"], name, "it is the same when it is read");
    for wrong in ["not\x1b[0m\u{2066}", "missing\x1b[0m\u{202e}"] {
        let (_, _, stderr) = run(&folder, &[wrong]);
        assert!(is_plain(&stderr), "{stderr:?}");
    }
}
