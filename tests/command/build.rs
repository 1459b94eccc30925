//! `minild build`: which files it writes, that they are whole, and that an old one survives.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::{EXITS, Folder, UNDEFINED, sample};

#[test]
fn one_target_gives_the_name_and_several_a_name_each() {
    let folder = Folder::new();
    folder.write("exits.toml", EXITS);
    folder.run(&["build", "exits.toml"]).status(0).stdout_has("exits-aarch64-linux");
    assert_eq!(folder.names(), ["exits-aarch64-linux", "exits-x86_64-linux", "exits.toml"]);

    folder.run(&["build", "exits.toml", "--target", "aarch64-linux"]).status(0);
    assert_eq!(folder.read("exits"), folder.read("exits-aarch64-linux"));

    let named = format!("name = \"other\"\n{EXITS}");
    folder.write("exits.toml", &named);
    folder.run(&["build", "exits.toml", "--out-dir", "made/here"]).status(0);
    assert!(folder.path("made/here/other-x86_64-linux").is_file());
}

#[test]
fn the_same_spec_gives_the_same_bytes_in_any_folder_at_any_time() {
    for name in ["hello", "bss", "pointers"] {
        let folders = [Folder::new(), Folder::new()];
        for folder in &folders {
            let text = fs::read_to_string(sample(&format!("{name}.toml"))).expect("a sample");
            folder.write("spec.toml", &text).run(&["build", "spec.toml"]).status(0);
        }
        for target in ["x86_64-linux", "aarch64-linux"] {
            let file = format!("{name}-{target}");
            assert_eq!(folders[0].read(&file), folders[1].read(&file), "{file}");
        }
    }
}

#[test]
fn the_output_is_a_new_file_that_can_be_executed() {
    let folder = Folder::new();
    folder.write("exits.toml", EXITS).write("out", "old");
    let old = fs::metadata(folder.path("out")).expect("it was written");
    folder.run(&["build", "exits.toml", "--target", "x86_64-linux", "-o", "out"]).status(0);
    let new = fs::metadata(folder.path("out")).expect("it was built");
    assert_ne!(old.ino(), new.ino());
    let umask_allows = fs::metadata(folder.path(".")).expect("a folder").permissions().mode();
    assert_eq!(new.permissions().mode() & 0o100, umask_allows & 0o100);
}

#[test]
fn an_old_file_survives_every_error() {
    let folder = Folder::new();
    folder.write("undefined", "old").write("undefined.toml", UNDEFINED);
    folder.run(&["build", "undefined.toml"]).status(1);
    assert_eq!(folder.read("undefined"), b"old");

    // One target is wrong: the other's file is not touched either.
    let half = format!("{UNDEFINED}\n[target.aarch64-linux]\nhex = \"start: d4200000\"\n");
    folder.write("half.toml", &half).write("half-aarch64-linux", "old");
    folder.run(&["build", "half.toml"]).status(1).stderr_has("for x86_64-linux");
    assert_eq!(folder.read("half-aarch64-linux"), b"old");
    assert_eq!(folder.names(), ["half-aarch64-linux", "half.toml", "undefined", "undefined.toml"]);
}

#[test]
fn an_input_is_never_overwritten() {
    let folder = Folder::new();
    folder.write("exits", EXITS);
    let spec = ["build", "exits", "--target", "x86_64-linux"];
    folder.run(&spec).status(1).stderr_has("the spec itself");
    folder.run(&[&spec[..], &["-o", "./exits"]].concat()).status(1).stderr_has("the spec itself");
    assert_eq!(folder.read("exits"), EXITS.as_bytes());

    let reads = format!("{EXITS}\n[rodata.picture]\nfile = \"picture\"\n");
    folder.write("reads.toml", &reads).write("picture", "a picture");
    let spec = ["build", "reads.toml", "--target", "x86_64-linux", "-o", "picture"];
    folder.run(&spec).status(1).stderr_has("one of its inputs");
    assert_eq!(folder.read("picture"), b"a picture");
}

#[test]
fn a_folder_of_the_outputs_name_stays() {
    let folder = Folder::new();
    folder.write("exits.toml", EXITS);
    fs::create_dir(folder.path("exits")).expect("a folder");
    let spec = ["build", "exits.toml", "--target", "x86_64-linux"];
    folder.run(&spec).status(1).stderr_has("it is no file");
    assert!(folder.path("exits").is_dir());
    for output in ["exits", "other/"] {
        let asked = [&spec[..], &["-o", output]].concat();
        folder.run(&asked).status(2).stderr_has("use --out-dir").stderr_has("Usage: minild build");
    }
}

#[test]
fn a_dash_is_standard_input_and_standard_output() {
    let folder = Folder::new();
    folder.write("exits.toml", EXITS);
    folder.run(&["build", "exits.toml", "--target", "x86_64-linux"]).status(0);
    let mut minild = folder
        .minild(&["build", "-", "--target", "x86_64-linux", "-o", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("minild starts");
    minild.stdin.take().expect("piped").write_all(EXITS.as_bytes()).expect("it reads");
    let output = minild.wait_with_output().expect("it ends");
    assert!(output.status.success());
    assert_eq!(output.stdout, folder.read("exits"));
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let folder = Folder::new();
    folder.write("exits.toml", EXITS);
    let build = ["build", "exits.toml", "--target", "x86_64-linux", "-o", "gone/exits"];
    let ran = folder.run(&build);
    ran.status(1).stderr_has("cannot write gone/exits: there is no folder gone");
    assert_eq!(folder.names(), ["exits.toml"]);
}

#[test]
fn stripped_means_without_symbols() {
    let folder = Folder::new();
    let hello = sample("hello.toml");
    let build = ["build", &hello, "--target", "x86_64-linux", "-o"];
    folder.run(&[&build[..], &["whole"]].concat()).status(0);
    folder.run(&[&build[..], &["stripped", "--strip"]].concat()).status(0);
    let has_name = |file: &str| folder.read(file).windows(7).any(|bytes| bytes == b"message");
    assert!(has_name("whole") && !has_name("stripped"));
}

#[test]
fn bss_takes_no_room_in_the_file() {
    let folder = Folder::new();
    folder.run(&["build", &sample("bss.toml")]).status(0);
    assert!(folder.read("bss-x86_64-linux").len() < 4096);
}

/// macOS keeps a signature with the file that it was read from: a new one is another file, and who has the old
/// one open goes on with that.
#[test]
fn a_signed_file_is_never_rewritten() {
    let folder = Folder::new();
    let signed = r#"
        [target.macos]
        constants.status = 42
        [target.x86_64-macos]
        asm = "start: mov eax, status\nret"
        [target.aarch64-macos]
        asm = "start: mov w0, #status\nret"
    "#;
    for target in ["x86_64-macos", "aarch64-macos", "universal-macos"] {
        folder.write("signed.toml", signed);
        let build = ["build", "signed.toml", "--target", target, "-o", "signed"];
        folder.run(&build).status(0);
        let old = folder.read("signed");
        let mut open = fs::File::open(folder.path("signed")).expect("it was built");
        let before = open.metadata().expect("it is open").ino();

        folder.write("signed.toml", &signed.replace("42", "43")).run(&build).status(0);
        let after = fs::metadata(folder.path("signed")).expect("it was built").ino();
        assert_ne!(before, after, "{target}");
        assert_ne!(folder.read("signed"), old, "{target}");
        let mut kept = Vec::new();
        open.read_to_end(&mut kept).expect("it is open");
        assert!(kept == old, "{target}");
    }
    assert_eq!(folder.names(), ["signed", "signed.toml"]);
}

/// An executable that runs is replaced while it runs: the old process goes on with the old file.
#[test]
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn a_program_that_runs_can_be_rebuilt() {
    let folder = Folder::new();
    // Reads a byte, then exits with 42: xor eax, eax; xor edi, edi; lea rsi, [rsp-8]; mov edx, 1; syscall
    let waits = EXITS.replace("start: b8 3c", "start: 31c0 31ff 488d7424f8 ba01000000 0f05 b8 3c");
    folder.write("waits.toml", &waits);
    let build = ["build", "waits.toml", "--target", "x86_64-linux", "-o", "waits"];
    folder.run(&build).status(0);
    let mut old = Command::new(folder.path("waits"))
        .stdin(Stdio::piped())
        .spawn()
        .expect("what was built starts");
    assert!(Path::new(&format!("/proc/{}/exe", old.id())).exists(), "it runs");
    folder.write("waits.toml", &waits.replace("bf 2a", "bf 2b"));
    folder.run(&build).status(0);
    drop(old.stdin.take());
    assert_eq!(old.wait().expect("it ends").code(), Some(42));
    let new = Command::new(folder.path("waits")).stdin(Stdio::null()).status();
    assert_eq!(new.expect("the new one starts").code(), Some(43));
}
