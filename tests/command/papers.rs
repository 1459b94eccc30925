//! What minild writes about itself: for shells, for readers of manuals, for editors; and how long it took.

use std::process::Command;

use serde_json::Value;

use crate::{EXITS, Folder};

#[test]
fn every_shell_gets_completions_with_every_command() {
    let folder = Folder::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = folder.run(&["completions", shell]);
        for command in ["build", "layout", "completions"] {
            ran.status(0).stdout_has(command);
        }
    }
    folder.run(&["completions", "csh"]).status(2);
}

#[test]
#[cfg(target_os = "linux")]
fn bash_takes_its_completions() {
    let folder = Folder::new();
    let script = folder.run(&["completions", "bash"]).stdout();
    // What a user who typed the words and a tab is offered.
    for (words, offered) in [
        (&["minild", "lay"][..], "layout"),
        (&["minild", "build", "--target", "aarch64-u"], "aarch64-uefi"),
    ] {
        let [.., before, last] = words else { unreachable!("there are two") };
        let (all, position) = (words.join(" "), words.len() - 1);
        let asks = format!(
            "COMP_WORDS=({all}) COMP_CWORD={position}; _minild minild {last} {before}; echo \"${{COMPREPLY[@]}}\""
        );
        let output = Command::new("bash")
            .args(["-c", &format!("{script}\n{asks}")])
            .output()
            .expect("bash starts");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), offered, "{output:?}");
    }
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let folder = Folder::new();
    folder.run(&["man"]).status(0).stdout_has(".TH minild 1").stdout_has("minild\\-build(1)");
    folder.run(&["man", "share/man1"]).status(0);
    let page = String::from_utf8(folder.read("share/man1/minild-build.1")).expect("it is text");
    assert!(page.contains(".TH minild-build 1") && page.contains("out\\-dir"), "{page}");
    folder.write("taken", "");
    folder.run(&["man", "taken"]).status(1).stderr_has("taken");
}

#[test]
fn the_schema_is_that_of_the_package() {
    let folder = Folder::new();
    let printed = folder.run(&["schema"]).status(0).stdout();
    assert_eq!(printed, include_str!("../../docs/spec.schema.json"));
}

#[test]
fn timings_name_the_passes_beside_the_output() {
    let folder = Folder::new();
    folder.write("exits.toml", EXITS);
    let ran = folder.run(&["build", "exits.toml", "--timings"]);
    ran.status(0).stderr_has("read_spec").stderr_has("lay_out_body");
    assert!(!ran.stdout().contains("lay_out_body"));

    let build = ["build", "exits.toml", "--timings", "--target", "x86_64-linux"];
    let ran = folder.run(&[&build[..], &["-o", "-"]].concat());
    assert!(ran.status(0).0.stdout.starts_with(b"\x7fELF"));
    ran.stderr_has("resolve");

    let ran = folder.run(&[&build[..], &["--format", "json"]].concat());
    let document: Value = serde_json::from_str(&ran.status(0).stdout()).expect("it is JSON");
    let timings = document["timings"].as_array().expect("a list");
    let row = timings.iter().find(|row| row["pass"] == "resolve").expect("a pass");
    assert_eq!(row["target"], "x86_64-linux");
    assert!(row["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0));
    let all = timings.iter().find(|row| row["pass"] == "read_spec").expect("a pass");
    assert_eq!(all["target"], Value::Null);
    let without = folder.run(&["build", "exits.toml", "--format", "json"]).status(0).stdout();
    assert!(!without.contains("timings"), "{without}");
}
