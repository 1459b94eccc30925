//! What is printed: colours where they are wanted, JSON that can be read, and no complaint of a reader that
//! goes away.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::runners::minild;
use crate::{EXITS, Folder, UNDEFINED, sample};

fn json(folder: &Folder, status: i32, arguments: &[&str]) -> Value {
    let ran = folder.run(&[arguments, &["--format", "json"]].concat());
    ran.status(status);
    assert_eq!(ran.stderr(), "");
    serde_json::from_str(&ran.stdout()).unwrap_or_else(|error| panic!("{error}: {}", ran.stdout()))
}

#[test]
fn colours_only_where_they_are_wanted() {
    let folder = Folder::new();
    folder.write("undefined.toml", UNDEFINED);
    let is_coloured = |arguments: &[&str], no_color: Option<&str>| {
        let mut minild = folder.minild(arguments);
        if let Some(value) = no_color {
            minild.env("NO_COLOR", value);
        }
        minild.output().expect("minild starts").stderr.contains(&0x1b)
    };
    let check = ["check", "undefined.toml"];
    let always = ["check", "undefined.toml", "--color", "always"];
    assert!(!is_coloured(&check, None), "a pipe is no terminal");
    assert!(is_coloured(&always, None));
    assert!(is_coloured(&always, Some("1")), "what the command line says goes first");
    assert!(!is_coloured(&["check", "undefined.toml", "--color", "never"], None));

    // Who says that a pipe is to be treated as a terminal still has NO_COLOR (no-color.org).
    let forced = |no_color: &str| {
        let mut minild = folder.minild(&check);
        minild.env("CLICOLOR_FORCE", "1").env("NO_COLOR", no_color);
        minild.output().expect("minild starts").stderr.contains(&0x1b)
    };
    assert!(forced("") && !forced("1"));
}

/// Wrong would be: a file's name turns the terminal red. Where nobody wants colours they are taken out of everything.
#[test]
#[cfg(unix)]
fn no_name_of_a_file_reaches_the_terminal_as_it_is() {
    let folder = Folder::new();
    let [spec, wrong, library, program] =
        ["e\x1b[35msc.toml", "w\x1b[35mrong.toml", "l\x1b[35mib.toml", "e\x1b[35msc"];
    folder.write(spec, &format!("{EXITS}\n[[test]]\nexit = 42\n")).write(wrong, UNDEFINED);
    folder.write(library, &format!("kind = 'shared-library'\n{EXITS}"));
    let host = ["--target", "host"];
    for (status, arguments) in [
        (0, &[&["build", spec][..], &host].concat()[..]),
        (0, &["check", spec]),
        (0, &["layout", spec]),
        (0, &[&["test", spec][..], &host].concat()),
        (0, &["lint", program]),
        (0, &["inspect", program]),
        (1, &["check", wrong]),
        (1, &["run", library]),
        (1, &["build", spec, "--out-dir", program]),
        (1, &["build", spec, "--target", "x86_64-linux", "-o", "no\x1b[35mne/x"]),
        (2, &["build", spec, "-o", "one-for-two"]),
        (2, &["build", spec, "--target", "x86_64-uefi"]),
    ] {
        let ran = folder.run(&[arguments, &["--color", "always"]].concat());
        ran.status(status);
        let told = ran.stdout() + &ran.stderr();
        assert!(!told.contains("\x1b[35m"), "{arguments:?}: {told:?}");
        assert!(told.contains("[35m"), "{arguments:?} names it: {told:?}");
    }
}

#[test]
fn errors_are_json_too() {
    let folder = Folder::new();
    folder.write("undefined.toml", UNDEFINED);
    for command in ["build", "check", "layout", "test"] {
        let document = json(&folder, 1, &[command, "undefined.toml"]);
        let error = &document["errors"][0];
        assert_eq!(error["kind"], "undefined-symbol", "{command}");
        assert_eq!(error["path"], "undefined.toml");
        assert_eq!(error["message"], "nothing defines `nowhere`");
        let place = &error["places"][0];
        assert_eq!((place["line"].as_u64(), place["column"].as_u64()), (Some(2), Some(18)));
        let (start, end) = (place["start"].as_u64(), place["end"].as_u64());
        let (start, end) = (start.expect("bytes"), end.expect("bytes"));
        let range = usize::try_from(start).expect("small")..usize::try_from(end).expect("small");
        assert_eq!(&UNDEFINED[range], "<rel32 nowhere>");
    }
    // A path is what is wrong: it is named, also by commands that take no spec.
    folder.write("taken", "").write("exits.toml", EXITS).write("new.toml", "");
    for (arguments, path) in [
        (&["lint", "missing"][..], "missing"),
        (&["inspect", "missing"], "missing"),
        (&["check", "missing.toml"], "missing.toml"),
        (&["new", "new"], "new.toml"),
        (&["build", "exits.toml", "--out-dir", "taken"], "taken"),
    ] {
        let document = json(&folder, 1, arguments);
        assert_eq!(document["errors"][0]["path"], path, "{arguments:?}");
        assert_eq!(document["errors"][0]["kind"], "file", "{arguments:?}");
    }
    let far = "[target.x86_64-linux]\nhex = \"start: eb <rel8 start+1000>\"\n";
    folder.write("far.toml", far);
    let document = json(&folder, 1, &["check", "far.toml"]);
    let error = &document["errors"][0];
    assert_eq!(error["value"], 998);
    assert_eq!(error["interval"], serde_json::json!([-128, 127]));
}

#[test]
fn results_are_json_too() {
    let folder = Folder::new();
    folder.write("exits.toml", &format!("{EXITS}\n[[test]]\nexit = 42\n"));
    let built = json(&folder, 0, &["build", "exits.toml"]);
    let outputs = built["outputs"].as_array().expect("a list");
    for output in outputs {
        let path = output["path"].as_str().expect("a path");
        assert_eq!(output["size"].as_u64(), Some(folder.read(path).len() as u64));
    }
    assert_eq!(outputs.len(), 2);

    assert_eq!(json(&folder, 0, &["check", "exits.toml"])["errors"], serde_json::json!([]));
    let tested = json(&folder, 0, &["test", "exits.toml", "--target", "host"]);
    assert_eq!((tested["passed"].as_u64(), tested["failed"].as_u64()), (Some(1), Some(0)));
    assert_eq!(tested["tests"][0]["result"], "ok");

    let targets = json(&folder, 0, &["targets"]);
    let native: Vec<_> = targets["targets"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|target| target["runner"] == "native")
        .collect();
    assert_eq!(native.len(), 1, "this machine is one of them");
}

/// Every key of a JSON document.
fn keys(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            found.extend(object.keys().cloned());
            object.values().for_each(|value| keys(value, found));
        }
        Value::Array(array) => array.iter().for_each(|value| keys(value, found)),
        _ => {}
    }
}

#[test]
fn every_document_has_its_version_and_every_key_is_described() {
    let described = include_str!("../../docs/JSON.md");
    let folder = Folder::new();
    folder
        .write("exits.toml", &format!("{EXITS}\n[[test]]\nexit = 41\n"))
        .write("undefined.toml", UNDEFINED)
        .write("broken", "\x7fELF");
    for (status, arguments) in [
        (0, &["build", "exits.toml", "--timings"][..]),
        (1, &["build", "undefined.toml"]),
        (0, &["check", "exits.toml"]),
        (1, &["check", "missing.toml"]),
        (0, &["layout", &sample("pointers.toml")]),
        (1, &["test", "exits.toml", "--target", "host"]),
        (0, &["targets"]),
        (0, &["new", "fresh"]),
        (0, &["lint", "exits-x86_64-linux"]),
        (0, &["lint", "--rules"]),
        (0, &["lint", "--explain", "pe/section-gap"]),
        (1, &["lint", "exits.toml", "broken"]),
    ] {
        let document = json(&folder, status, arguments);
        assert_eq!(document["version"], 1, "{arguments:?}");
        let mut found = Vec::new();
        keys(&document, &mut found);
        found.retain(|key| !described.contains(&format!("`{key}`")));
        assert_eq!(found, [""; 0], "docs/JSON.md does not describe these of {arguments:?}");
    }
}

#[test]
fn a_layout_says_where_everything_lies_and_why() {
    let folder = Folder::new();
    let document =
        json(&folder, 0, &["layout", &sample("pointers.toml"), "--target", "x86_64-linux"]);
    let layout = &document["layouts"][0];
    let segments = layout["segments"].as_array().expect("a list");
    let pieces: Vec<&Value> = segments
        .iter()
        .flat_map(|segment| segment["sections"].as_array().expect("a list"))
        .flat_map(|section| section["pieces"].as_array().expect("a list"))
        .collect();
    let start_up = pieces.iter().find(|piece| piece["name"] == "start_up").expect("it is made");
    assert_eq!(start_up["made"], true);
    assert_eq!(start_up["address"], layout["entry"]);
    let gaps = pieces.iter().filter(|piece| piece["gap"]["size"].as_u64() > Some(0));
    let mut count = 0;
    for piece in gaps {
        assert_eq!(piece["gap"]["reason"], "aligned to 8");
        count += 1;
    }
    assert!(count > 0, "the texts of the sample are not multiples of 8");

    let text = folder.run(&["layout", &sample("pointers.toml")]).status(0).stdout();
    assert!(text.contains("a page of its own (4 KiB)") && text.contains("(64 KiB)"), "{text}");
}

#[test]
#[cfg(unix)]
fn a_reader_that_goes_away_is_no_error() {
    let folder = Folder::new();
    let mut minild = folder
        .minild(&["layout", &sample("pointers.toml")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("minild starts");
    drop(minild.stdout.take());
    let output = minild.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", output.status);
    assert_eq!(output.stderr, b"");
}

#[test]
#[cfg(target_os = "linux")]
fn an_output_that_takes_nothing_is_an_error() {
    let folder = Folder::new();
    let command = format!("{} targets >/dev/full", minild().get_program().display());
    let output = Command::new("sh").args(["-c", &command]).output().expect("sh starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write to standard output"));
    drop(folder);
}
