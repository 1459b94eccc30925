//! The command, and what it can run here.

use std::collections::HashMap;
use std::process::Command;
use std::sync::OnceLock;

use minild::Target;

/// Why nothing here runs files of `target`, if so.
pub(crate) fn no_runner(target: Target) -> Option<String> {
    static REASONS: OnceLock<HashMap<String, Option<String>>> = OnceLock::new();
    let reasons = REASONS.get_or_init(|| {
        let output = minild().args(["targets", "--format", "json"]).output().expect("minild runs");
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let rows = json["targets"].as_array().expect("a list of targets");
        rows.iter()
            .map(|row| {
                let name = row["name"].as_str().expect("a name").to_owned();
                (name, row["missing"].as_str().map(str::to_owned))
            })
            .collect()
    });
    reasons[target.name()].clone()
}

/// The command. What it builds, runs and tests is linted, also what it takes away again when it ends: a finding is an
/// error. (What tests link without it goes through `linted.rs`.)
pub(crate) fn minild() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_minild"));
    command.env("MINILD_LINT", "1");
    command
}
