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

/// The command.
pub(crate) fn minild() -> Command {
    Command::new(env!("CARGO_BIN_EXE_minild"))
}
