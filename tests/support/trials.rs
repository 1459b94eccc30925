//! What test binaries with trials of their own names share: a trial that is left out by name where what it needs
//! is not installed, and what there is.

use libtest_mimic::{Failed, Trial};

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
