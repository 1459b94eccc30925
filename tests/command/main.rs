//! The command as a user meets it: what it writes and where, what it prints, and how it ends.

mod build;
mod lint;
mod linted;
mod needs;
mod new;
mod papers;
mod print;
mod run;
// Another binary asks what can run here, too.
#[allow(dead_code)]
#[path = "../support/runners.rs"]
mod runners;
mod test;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// The smallest spec that runs where `minild` is built for Linux: it exits with 42.
const EXITS: &str = r#"
[target.x86_64-linux]
hex = "start: b8 3c 00 00 00 bf 2a 00 00 00 0f 05"  # mov eax, 60; mov edi, 42; syscall

[target.aarch64-linux]
hex = "start: d2800ba8 d2800540 d4000001"           # mov x8, #93; mov x0, #42; svc #0
"#;

/// A spec whose code has an error that only linking finds.
const UNDEFINED: &str = "[target.x86_64-linux]\nhex = \"start: e8 <rel32 nowhere>\"\n";

/// A folder to run `minild` in.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file.
    fn write(&self, name: &str, contents: &str) -> &Self {
        fs::write(self.path(name), contents).expect("the folder can be written to");
        self
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// What is in the folder, in order.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).expect("the folder is there");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("it can be listed").file_name().display().to_string())
            .collect();
        names.sort();
        names
    }

    /// `minild` in this folder, with these arguments.
    fn minild(&self, arguments: &[&str]) -> Command {
        let mut command = runners::minild();
        command.current_dir(self.0.path()).args(arguments).env_remove("NO_COLOR");
        command
    }

    /// Runs it and says how it ended.
    fn run(&self, arguments: &[&str]) -> Ran {
        Ran(self.minild(arguments).output().expect("minild starts"))
    }
}

/// A sample of the package.
fn sample(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(name);
    path.to_str().expect("the package lies in a folder with a plain name").to_owned()
}

/// How a run of `minild` ended.
struct Ran(Output);

impl Ran {
    #[track_caller]
    fn status(&self, expected: i32) -> &Self {
        let (stdout, stderr) = (self.stdout(), self.stderr());
        assert_eq!(self.0.status.code(), Some(expected), "{stdout}{stderr}");
        self
    }

    #[track_caller]
    fn stderr_has(&self, part: &str) -> &Self {
        assert!(self.stderr().contains(part), "no {part:?} in: {}", self.stderr());
        self
    }

    #[track_caller]
    fn stdout_has(&self, part: &str) -> &Self {
        assert!(self.stdout().contains(part), "no {part:?} in: {}", self.stdout());
        self
    }

    fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }
}

#[test]
fn a_wrong_command_line_is_2_and_a_wrong_input_1() {
    let folder = Folder::new();
    folder.write("exits.toml", EXITS).write("undefined.toml", UNDEFINED);
    for wrong in [
        &[][..],
        &["compile"],
        &["build"],
        &["build", "exits.toml", "--frobnicate"],
        &["build", "exits.toml", "--target", "vax-vms"],
        &["build", "exits.toml", "-o", "one-for-two"],
        &["build", "exits.toml", "--target", "x86_64-linux", "-o", "-", "--format", "json"],
        &["build", "exits.toml", "-o", "x", "--out-dir", "y"],
        &["build", "undefined.toml", "--target", "aarch64-linux"],
        &["run", "exits.toml", "no", "dashes"],
        &["test"],
    ] {
        let ran = folder.run(wrong);
        assert_eq!(ran.0.status.code(), Some(2), "{wrong:?}: {}{}", ran.stdout(), ran.stderr());
    }
    for command in ["build", "run", "test", "check", "layout"] {
        let spec = if command == "layout" { "missing.toml" } else { "undefined.toml" };
        folder.run(&[command, spec]).status(1);
    }
    assert_eq!(folder.names(), ["exits.toml", "undefined.toml"]);
}

#[test]
fn a_spec_that_cannot_be_read_is_one_line() {
    let folder = Folder::new();
    fs::create_dir(folder.path("folder.toml")).expect("a folder");
    for (spec, says) in
        [("missing.toml", "No such file"), ("folder.toml", "it is a folder, not a file")]
    {
        let ran = folder.run(&["check", spec]);
        ran.status(1).stderr_has(spec).stderr_has(says);
        assert_eq!(ran.stderr().lines().count(), 1, "{}", ran.stderr());
    }
}

#[test]
fn a_dash_is_a_spec_on_standard_input_wherever_one_is_read() {
    let folder = Folder::new();
    let spec = format!("{EXITS}\n[[test]]\nexit = 42\n");
    let reads = |spec: &str, arguments: &[&str]| {
        folder.write("input", spec);
        let input = fs::File::open(folder.path("input")).expect("it was written");
        Ran(folder.minild(arguments).stdin(input).output().expect("minild starts"))
    };
    reads(&spec, &["check", "-"]).status(0).stdout_has("<stdin>: no errors");
    reads(&spec, &["layout", "-"]).status(0).stdout_has("<stdin> for x86_64-linux");
    reads(&spec, &["test", "-", "--target", "host"]).status(0).stdout_has("1 passed");
    reads(&spec, &["run", "-"]).status(42);
    // Nobody said what the file is to be called.
    reads(&spec, &["build", "-"]).status(2).stderr_has("no `name`");
    reads("", &["check", "-"]).status(1).stderr_has("<stdin>: the spec is empty");
}

#[test]
fn only_commands_that_work_are_listed() {
    let folder = Folder::new();
    let help = folder.run(&["--help"]).status(0).stdout();
    let commands: Vec<_> = help
        .lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(commands[..6], ["new", "build", "run", "test", "check", "layout"]);
    assert_eq!(commands[6..9], ["inspect", "lint", "targets"]);
    assert_eq!(commands[9..], ["schema", "completions", "man", "help"]);
}

/// Wrong would be: a command is described as something that it has in common with others.
#[test]
fn a_command_is_described_in_one_way() {
    let folder = Folder::new();
    let help = folder.run(&["--help"]).status(0).stdout();
    let rows = help.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1);
    let rows: Vec<_> = rows
        .take_while(|line| !line.is_empty())
        .filter_map(|row| row.trim().split_once(' '))
        .collect();
    assert!(rows.len() > 10, "{help}");
    for (command, about) in rows.into_iter().filter(|(command, _)| *command != "help") {
        for flag in ["-h", "--help"] {
            let help = folder.run(&[command, flag]).status(0).stdout();
            assert_eq!(help.lines().next(), Some(about.trim()), "minild {command} {flag}");
        }
    }
}
