//! Read by the tools that people use: without an error, and without a warning.

use std::fs;
use std::process::Command;

use libtest_mimic::Trial;

use crate::case::Case;
use crate::{Checked, missing, needing};

/// Tools, how each is asked for all that it can read, the package that has it, and whether it reads ELF only.
const TOOLS: &[(&str, &[&str], &str, bool)] = &[
    ("llvm-readobj", &["--all"], "llvm", false),
    ("readelf", &["--all", "--wide"], "binutils", true),
];

pub(crate) fn trials(case: &Case) -> impl Iterator<Item = Trial> {
    let tools = TOOLS.iter().filter(|(.., elf_only)| case.is_elf() || !elf_only);
    tools.map(|&(tool, arguments, package, _)| {
        let case = case.clone();
        let name = case.test_name(tool);
        needing(missing(tool, package), name, move || reads_cleanly(tool, arguments, &case))
    })
}

fn reads_cleanly(tool: &str, arguments: &[&str], case: &Case) -> Checked {
    case.link(|_, image| {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("program");
        fs::write(&path, &image.bytes)?;
        let output = Command::new(tool).args(arguments).arg(&path).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() || !output.stderr.is_empty() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{}: {stderr}\n{text}", output.status).into());
        }
        let complaint = |line: &&str| {
            let line = line.to_lowercase();
            ["warning", "error", "corrupt", "<unknown", "invalid"]
                .iter()
                .any(|word| line.contains(word))
        };
        match text.lines().find(complaint) {
            Some(line) => Err(format!("{tool} says: {line}").into()),
            None if [".text", "__text"].iter().any(|name| text.contains(name)) => Ok(()),
            None => Err(format!("{tool} did not read the sections: {text}").into()),
        }
    })
}
