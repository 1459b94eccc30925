//! `minild new`: a spec that is right and runs, under the name that was asked for, and never in the place of
//! another. (What its templates show on each target, tests/specs tries.)

use std::fs;
use std::path::Path;

use crate::Folder;

#[test]
fn a_new_spec_runs_at_once() {
    let folder = Folder::new();
    for (name, arguments) in [
        ("greet", &["new", "greet"][..]),
        ("greet-2", &["new", "greet-2", "--template", "hello"]),
        ("printf", &["new", "printf", "--template", "libc"]),
    ] {
        let spec = format!("{name}.toml");
        let ran = folder.run(arguments);
        ran.status(0).stdout_has(&format!("wrote {spec}, for ")).stdout_has("minild run ");
        folder.run(&["check", &spec]).status(0);
        let ran = folder.run(&["build", &spec, "--target", "x86_64-linux"]);
        ran.status(0).stdout_has(name);
        if cfg!(target_os = "linux") {
            folder.run(&["run", &spec]).status(42).stdout_has("Hello");
        }
    }
    assert_eq!(
        folder.names(),
        ["greet", "greet-2", "greet-2.toml", "greet.toml", "printf", "printf.toml"]
    );
}

#[test]
fn a_file_that_is_there_stays() {
    let folder = Folder::new();
    folder.write("mine.toml", "# mine\n");
    fs::create_dir(folder.path("folder.toml")).expect("a folder");
    for name in ["mine", "folder"] {
        let says = format!("{name}.toml is there already");
        folder.run(&["new", name]).status(1).stderr_has(&says);
    }
    assert_eq!(folder.read("mine.toml"), b"# mine\n");
    assert_eq!(folder.names(), ["folder.toml", "mine.toml"], "and nothing is left behind");
}

#[test]
fn a_name_that_no_file_can_have_is_a_wrong_command_line() {
    let folder = Folder::new();
    for wrong in ["", "a/b", "a b", "x.toml", "nul", ".."] {
        folder.run(&["new", wrong]).status(2);
    }
    folder.run(&["new"]).status(2);
    folder.run(&["new", "x", "--template", "gui"]).status(2).stderr_has("hello");
    assert!(folder.names().is_empty());
}

#[test]
fn it_prints_json_too() {
    let folder = Folder::new();
    let ran = folder.run(&["new", "greet", "--format", "json"]);
    let document: serde_json::Value = serde_json::from_str(&ran.status(0).stdout()).expect("JSON");
    assert_eq!(document["path"], "greet.toml");
    assert_eq!(document["targets"].as_array().map(Vec::len), Some(8));
    let ran = folder.run(&["new", "greet", "--format", "json"]);
    let document: serde_json::Value = serde_json::from_str(&ran.status(1).stdout()).expect("JSON");
    let message = document["errors"][0]["message"].as_str().expect("a message");
    assert!(message.contains("there already"), "{message}");
}

#[test]
fn the_readme_shows_what_it_prints() {
    let folder = Folder::new();
    let stdout = folder.run(&["new", "greet"]).status(0).stdout();
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(readme).expect("it is part of the package");
    let block = format!("$ minild new greet\n{stdout}");
    assert!(readme.contains(&block), "not in README.md:\n{block}");
}
