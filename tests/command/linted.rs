//! `--lint` and `MINILD_LINT`, with which the tests of minild run every command: that they find what there is to find, before
//! a file has its name.

use std::fs;

use crate::{EXITS, Folder, Ran, UNDEFINED};

/// A program that asks glibc for a function without saying in which of its versions: lint warns of it.
const UNVERSIONED: &str = r#"
imports."libc.so.6" = ["memcpy"]
[target.x86_64-linux]
hex = "start: e8 <call32 memcpy>"
"#;

#[test]
fn a_finding_in_what_was_written_is_an_error() {
    let folder = Folder::new();
    let tested = format!("{UNVERSIONED}[[test]]\nexit = 42\n");
    folder.write("unversioned.toml", &tested).write("exits.toml", EXITS);
    let says = "breaks `elf/unversioned-symbol`: `memcpy` is asked for without a version (";
    for arguments in [
        &["build", "unversioned.toml"][..],
        &["build", "unversioned.toml", "-o", "-"],
        &["run", "unversioned.toml"],
        &["test", "unversioned.toml"],
        &["test", "exits.toml", "unversioned.toml"],
    ] {
        folder.run(arguments).status(1).stderr_has(says);
    }
    let ran = folder.run(&["build", "unversioned.toml", "--format", "json"]);
    assert!(ran.status(1).stdout().contains("elf/unversioned-symbol"), "{}", ran.stdout());
    assert_eq!(folder.names(), ["exits.toml", "unversioned.toml"]);
}

/// One target is well and one is not: neither has its name, and what had it before is as it was.
#[test]
fn a_finding_lets_no_file_appear() {
    let folder = Folder::new();
    let aarch64 = EXITS.split_once("[target.aarch64").expect("two targets").1;
    let both = format!("{UNVERSIONED}[target.aarch64{aarch64}");
    folder.write("both.toml", &both).write("both-aarch64-linux", "old");
    for build in [
        &["build", "both.toml", "--lint"][..],
        &["build", "both.toml", "--lint", "--target", "x86_64-linux", "-o", "both-aarch64-linux"],
    ] {
        let mut minild = folder.minild(build);
        let ran = Ran(minild.env_remove("MINILD_LINT").output().expect("minild starts"));
        ran.status(1).stderr_has("breaks `elf/unversioned-symbol`: `memcpy`");
        ran.stderr_has("`minild lint --explain elf/unversioned-symbol` says more");
        assert_eq!(ran.stdout(), "");
        assert_eq!(folder.read("both-aarch64-linux"), b"old");
        assert_eq!(folder.names(), ["both-aarch64-linux", "both.toml"]);
    }
    let to_stdout = ["build", "both.toml", "--target", "x86_64-linux", "-o", "-"];
    let ran = folder.run(&to_stdout);
    assert_eq!(ran.status(1).stdout(), "", "nothing of it is written");

    // What cannot be linked is told in the same run.
    let wrong = UNDEFINED.replace("x86_64", "aarch64").replace("e8 <rel32 ", "14000000 <jump26 ");
    folder.write("both.toml", &format!("{UNVERSIONED}{wrong}"));
    let ran = folder.run(&["build", "both.toml"]);
    ran.status(1).stderr_has("nothing defines `nowhere`").stderr_has("elf/unversioned-symbol");
    assert_eq!(folder.names(), ["both-aarch64-linux", "both.toml"]);
}

/// Wrong would be: a file that has its name is not the one that was looked at.
#[test]
fn what_is_well_is_written_as_without() {
    let folder = Folder::new();
    folder.write("exits.toml", EXITS);
    let build = ["build", "exits.toml", "--target", "x86_64-linux", "-o"];
    folder.run(&[&build[..], &["linted", "--lint"]].concat()).status(0);
    let mut minild = folder.minild(&[&build[..], &["plain"]].concat());
    Ran(minild.env_remove("MINILD_LINT").output().expect("minild starts")).status(0);
    assert_eq!(folder.read("linted"), folder.read("plain"));
    let mode = |name: &str| fs::metadata(folder.path(name)).expect("it was built").permissions();
    assert_eq!(mode("linted"), mode("plain"));
}

/// A library is written beside the program that needs it, and looked at as well.
#[test]
fn what_a_program_needs_is_looked_at_too() {
    let folder = Folder::new();
    let needs = format!("needs = ['library.toml']\n{EXITS}");
    let library = UNVERSIONED.replace("[[test]]\nexit = 42\n", "");
    let library = format!("kind = 'shared-library'\n{library}");
    folder.write("program.toml", &needs).write("library.toml", &library);
    for command in ["run", "test"] {
        let ran = folder.run(&[command, "program.toml", "--target", "x86_64-linux"]);
        ran.status(1).stderr_has("library.so breaks `elf/unversioned-symbol`");
    }
}

#[test]
fn nobody_looks_who_is_not_asked() {
    let folder = Folder::new();
    folder.write("unversioned.toml", UNVERSIONED);
    for value in [None, Some(""), Some("0"), Some("off")] {
        let mut minild = folder.minild(&["build", "unversioned.toml"]);
        match value {
            None => minild.env_remove("MINILD_LINT"),
            Some(value) => minild.env("MINILD_LINT", value),
        };
        Ran(minild.output().expect("minild starts")).status(0);
    }
}
