//! What people see of minild's own files, reviewed.

use std::fs;
use std::process::Command;

use expect_test::expect_file;

use crate::files::{WRITTEN, root};

#[test]
fn samples_are_shown_as_reviewed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, arguments) in [
        ("hello-x86_64-linux", &["--all", "--disassemble"][..]),
        ("pointers-aarch64-linux", &[]),
        ("hello-aarch64-windows", &["--all", "--disassemble"]),
        ("pointers-x86_64-uefi", &[]),
    ] {
        let file = WRITTEN.iter().find(|file| file.name == name);
        let file = file.unwrap_or_else(|| panic!("{name} is among the samples"));
        fs::write(folder.path().join(name), &file.bytes).expect("the folder can be written to");
        let output = Command::new(env!("CARGO_BIN_EXE_minild"))
            .current_dir(folder.path())
            .arg("inspect")
            .args(arguments)
            .arg(name)
            .output()
            .expect("minild starts");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("text is UTF-8");
        let golden = root().join(format!("tests/golden/inspect/{name}.txt"));
        expect_file![golden].assert_eq(&text);
    }
}
