//! `MINILD_LINT`: what the tests of minild run every command with, and that it finds what there is to find.

use crate::{EXITS, Folder, Ran};

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
}

/// A library is written beside the program that needs it, and looked at as well.
#[test]
fn what_a_program_needs_is_looked_at_too() {
    let folder = Folder::new();
    let needs = format!("needs = ['library.toml']\n{EXITS}");
    let library = format!("kind = 'shared-library'\n{UNVERSIONED}");
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
    for value in [None, Some("")] {
        let mut minild = folder.minild(&["build", "unversioned.toml"]);
        match value {
            None => minild.env_remove("MINILD_LINT"),
            Some(value) => minild.env("MINILD_LINT", value),
        };
        Ran(minild.output().expect("minild starts")).status(0);
    }
}
