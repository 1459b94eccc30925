//! `minild lint`: what it prints in each form, and how it ends.

use std::fs;

use serde_json::Value;

use crate::{EXITS, Folder};

/// A folder with a program that is well, one with a warning, and one that does not start.
fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("exits.toml", EXITS);
    folder.run(&["build", "exits.toml", "--target", "x86_64-linux", "-o", "well"]).status(0);
    let well = folder.read("well");
    // e_shstrndx: names of sections that no section has.
    let mut warned = well.clone();
    warned[62] = 99;
    fs::write(folder.path("warned"), warned).expect("the folder can be written to");
    fs::write(folder.path("cut"), &well[..100]).expect("the folder can be written to");
    folder
}

#[test]
fn errors_are_1_and_warnings_0() {
    let folder = folder();
    folder.run(&["lint", "well"]).status(0).stdout_has("well: ELF64 program, x86_64: no findings");
    let warned = folder.run(&["lint", "well", "warned"]);
    warned.status(0).stdout_has("warning[elf/section-headers]").stdout_has("1 warning");
    let cut = folder.run(&["lint", "cut", "well"]);
    cut.status(1)
        .stdout_has("error[elf/phdrs-truncated]")
        .stdout_has("--> cut:0x20 (ELF header, e_phoff)");
    cut.stdout_has("`Exec format error`").stdout_has("well: ELF64");
}

#[test]
fn what_cannot_be_looked_at_is_said_and_the_rest_is_looked_at() {
    let folder = folder();
    let ran = folder.run(&["lint", "missing", "exits.toml", "well"]);
    ran.status(1).stderr_has("missing").stderr_has("exits.toml: it is a text");
    ran.stdout_has("well: ELF64 program");
}

#[cfg(unix)]
#[test]
fn what_has_no_end_is_not_waited_for() {
    let folder = folder();
    fs::create_dir(folder.path("folder")).expect("the folder can be written to");
    let made = std::process::Command::new("mkfifo").arg(folder.path("pipe")).status();
    assert!(made.expect("mkfifo runs").success());
    let ran = folder.run(&["lint", "/dev/zero", "folder", "pipe", "well"]);
    ran.status(1).stdout_has("well: ELF64 program");
    ran.stderr_has("cannot read /dev/zero: it is a device, not a file");
    ran.stderr_has("cannot read folder: it is a folder, not a file");
    ran.stderr_has("cannot read pipe: it is a pipe, not a file; `-` reads one from standard input");
    // `inspect` says the same of each.
    for path in ["/dev/zero", "folder", "pipe", "missing"] {
        let [lint, inspect] = ["lint", "inspect"].map(|command| folder.run(&[command, path]));
        assert_eq!(lint.status(1).stderr(), inspect.status(1).stderr());
    }
    let read_by = |command: &str, path: &str| {
        let mut minild = crate::runners::minild();
        minild.args([command, "-"]).stdin(fs::File::open(path).expect("it is there"));
        minild.output().expect("minild runs")
    };
    let read = |path: &str| read_by("lint", path);
    let well = read(folder.path("well").to_str().expect("text"));
    assert_eq!(
        String::from_utf8_lossy(&well.stdout),
        "<stdin>: ELF64 program, x86_64: no findings\n"
    );
    let endless = read("/dev/zero");
    assert_eq!(endless.status.code(), Some(1));
    let said = String::from_utf8_lossy(&endless.stderr).into_owned();
    assert!(said.contains("cannot read <stdin>: it is a device"), "{said}");
    assert_eq!(endless.stderr, read_by("inspect", "/dev/zero").stderr);
}

/// Who starts programs may give them a socket where a shell gives a pipe.
#[cfg(unix)]
#[test]
fn a_socket_is_standard_input_too() {
    use std::io::Write;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    let folder = folder();
    let (mut ours, theirs) = UnixStream::pair().expect("a pair");
    let well = folder.read("well");
    // It is small enough for the socket to keep.
    ours.write_all(&well).expect("it takes bytes");
    drop(ours);
    let mut minild = folder.minild(&["lint", "-", "--format", "json"]);
    let output = minild.stdin(OwnedFd::from(theirs)).output().expect("minild runs");
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(document["files"][0]["path"], "<stdin>");
    assert_eq!(output.status.code(), Some(0));
}

#[cfg(unix)]
#[test]
fn a_name_tells_the_terminal_nothing() {
    let folder = folder();
    let name = "wa\x1b[31mrned\n";
    fs::copy(folder.path("warned"), folder.path(name)).expect("the folder can be written to");
    let ran = folder.run(&["lint", name, "no\x1b[31mne"]);
    assert!(!ran.stdout().contains('\x1b'), "{}", ran.stdout());
    ran.status(1).stdout_has(r"wa\u{1b}[31mrned\n: ELF64").stderr_has(r"no\u{1b}[31mne");
}

#[test]
fn a_rule_is_explained_and_a_slip_recognised() {
    let folder = Folder::new();
    let ran = folder.run(&["lint", "--explain", "macho/page-zero"]);
    ran.status(0).stdout_has("error: the kernel of macOS").stdout_has("Killed: 9");
    let ran = folder.run(&["lint", "--explain", "macho/pagezero"]);
    ran.status(2).stderr_has("did you mean `macho/page-zero`?").stderr_has("Usage: minild lint");
    folder.run(&["lint", "--rules"]).status(0).stdout_has("uefi/code-flag");
    for wrong in
        [&["lint"][..], &["lint", "x", "--rules"], &["lint", "--rules", "--format", "sarif"]]
    {
        folder.run(wrong).status(2);
    }
}

#[test]
fn sarif_has_the_rules_and_the_places() {
    let folder = folder();
    let ran = folder.run(&["lint", "cut", "warned", "missing", "--format", "sarif"]);
    ran.status(1);
    let sarif: Value = serde_json::from_str(&ran.stdout()).expect("JSON");
    assert_eq!(sarif["version"], "2.1.0");
    let run = &sarif["runs"][0];
    let results = run["results"].as_array().expect("a list");
    assert!(results.len() >= 2, "{results:?}");
    for result in results {
        let index =
            usize::try_from(result["ruleIndex"].as_u64().expect("a number")).expect("small");
        assert_eq!(run["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
        let place = &result["locations"][0]["physicalLocation"];
        assert!(place["region"]["byteOffset"].is_u64(), "{place}");
    }
    assert_eq!(run["invocations"][0]["executionSuccessful"], false, "one is missing");
    for rule in run["tool"]["driver"]["rules"].as_array().expect("a list") {
        for field in ["shortDescription", "fullDescription", "help"] {
            assert!(rule[field]["text"].as_str().is_some_and(|text| text.len() > 9), "{rule}");
        }
        let levels = ["note", "warning", "error"];
        let level = rule["defaultConfiguration"]["level"].as_str().expect("a level");
        assert!(levels.contains(&level), "{rule}");
    }
}

/// Wrong would be: a field that the schema of SARIF 2.1.0 does not have, or has otherwise: what is read by its
/// structures and written again would lack it.
#[test]
fn sarif_is_of_its_schema() {
    let folder = folder();
    for files in [&["cut", "warned", "missing"][..], &["warned"], &["missing"]] {
        let ran = folder.run(&[&["lint", "--format", "sarif"], files].concat());
        let written: Value = serde_json::from_str(&ran.stdout()).expect("JSON");
        let read: serde_sarif::sarif::Sarif =
            serde_json::from_value(written.clone()).expect("SARIF 2.1.0");
        assert_eq!(serde_json::to_value(read).expect("JSON"), written);
    }
}
