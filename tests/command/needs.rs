//! `needs`: the shared libraries that a program runs with are built beside it, or it is said why not.

use crate::{Folder, Ran};

/// A spec for arm64 Linux, which needs these specs.
fn program(needs: &str) -> String {
    format!("needs = {needs}\n[target.aarch64-linux]\nhex = 'start: d65f03c0'\n")
}

/// A spec of a library, which needs these specs itself.
fn library(needs: &str) -> String {
    format!("kind = 'shared-library'\nexports = ['start']\n{}", program(needs))
}

/// Runs `program.toml` with what shows the folder that it lies in.
fn run(folder: &Folder) -> Ran {
    let script = r#"sh -c 'ls "$(dirname "$1")"; exit 42' sh"#;
    let mut minild = folder.minild(&["run", "program.toml", "--target", "aarch64-linux"]);
    let minild = minild.env("MINILD_RUNNER_AARCH64_LINUX", script);
    Ran(minild.output().expect("minild starts"))
}

#[test]
fn libraries_and_what_they_need_lie_beside_the_program() {
    let folder = Folder::new();
    folder.write("program.toml", &program("['one.toml', 'two.toml']"));
    folder.write("one.toml", &library("['two.toml', 'three.toml']"));
    folder.write("two.toml", &format!("name = 'libtwo'\n{}", library("['one.toml']")));
    folder.write("three.toml", &format!("library-name = 'libthree.so.3'\n{}", library("[]")));
    let ran = run(&folder);
    ran.status(42);
    assert_eq!(ran.stdout(), "libthree.so.3\nlibtwo.so\none.so\nprogram\n");
}

#[test]
fn tests_run_with_libraries_as_well() {
    let folder = Folder::new();
    let test = "[[test]]\ncontains = 'one.so'\nexit = 42\n";
    folder.write("program.toml", &format!("{}{test}", program("['one.toml']")));
    folder.write("one.toml", &library("[]"));
    let script = r#"sh -c 'ls "$(dirname "$1")"; exit 42' sh"#;
    let mut minild = folder.minild(&["test", "program.toml"]);
    let minild = minild.env("MINILD_RUNNER_AARCH64_LINUX", script);
    Ran(minild.output().expect("minild starts")).status(0).stdout_has("1 passed");
}

#[test]
fn what_cannot_be_needed_is_shown() {
    let folder = Folder::new();
    folder.write("program.toml", &program("['library.toml']"));
    run(&folder).status(1).stderr_has("`library.toml` cannot be read: there is no such file");

    folder.write("library.toml", &program("[]"));
    run(&folder).status(1).stderr_has("makes no shared library for aarch64-linux");

    folder.write("library.toml", &library("[]").replace("aarch64", "x86_64"));
    run(&folder).status(1).stderr_has("is not for aarch64-linux, only for x86_64-linux");
}

#[test]
fn what_is_wrong_with_a_library_is_shown_in_its_own_text() {
    let folder = Folder::new();
    folder.write("program.toml", &program("['library.toml']"));
    folder.write("library.toml", &library("[]").replace("['start']", "['strat']"));
    run(&folder).status(1).stderr_has("nothing defines `strat`").stderr_has("library.toml:2:");
}

#[test]
fn two_files_cannot_have_one_name() {
    let folder = Folder::new();
    folder.write("program.toml", &program("['one.toml', 'two.toml']"));
    folder.write("one.toml", &library("[]"));
    folder.write("two.toml", &format!("library-name = 'one.so'\n{}", library("[]")));
    run(&folder).status(1).stderr_has("two files for aarch64-linux are called `one.so`");
}
