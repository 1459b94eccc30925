//! What test binaries with trials of their own names share: a trial that is left out by name where what it needs
//! is not installed, and what there is.

use std::collections::HashMap;
use std::process::Command;
use std::sync::OnceLock;

use libtest_mimic::{Failed, Trial};
use minild::Target;

/// What a check says of its case: nothing, or what is wrong.
pub(crate) type Checked = Result<(), Failed>;

/// A test that needs what may not be installed. Where it is `missing`, the test is ignored and says why;
/// on CI it fails.
pub(crate) fn needing(
    missing: Option<String>,
    name: String,
    check: impl FnOnce() -> Checked + Send + 'static,
) -> Trial {
    match missing {
        None => Trial::test(name, check),
        Some(reason) if std::env::var_os("CI").is_some() => {
            Trial::test(name, move || Err(reason.into()))
        }
        Some(reason) => Trial::test(name, || Ok(())).with_ignored_flag(true).with_kind(reason),
    }
}

/// Why `program` cannot be run, if it cannot.
pub(crate) fn missing(program: &str, package: &str) -> Option<String> {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .any(|folder| folder.join(program).is_file());
    (!found).then(|| format!("needs {program}: apt install {package}"))
}

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
