//! Every spec of `samples/` and `tests/programs/`, for every target, in every variant: executed, read back
//! by readers that nobody here wrote, and dumped; every spec of `tests/errors/`, refused in the expected
//! words; every piece of assembly, assembled.
//!
//! Each check of each spec is a test of its own name: `cargo test --test specs runs::hello::aarch64` runs
//! hello on arm64. `UPDATE_EXPECT=1 cargo test --test specs` writes the expected texts anew.

mod assembly;
mod case;
mod errors;
mod execution;
mod golden;
mod read_back;
mod tools;
mod windows;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

/// What a check says of its case: nothing, or what is wrong.
type Checked = Result<(), Failed>;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = errors::trials();
    trials.extend(assembly::trials());
    trials.extend(golden::trials());
    trials.extend(windows::trials());
    for case in case::all() {
        trials.extend(execution::trials(&case));
        trials.push(read_back::trial(case.clone()));
        trials.extend(tools::trials(&case));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A test that needs what may not be installed. Where it is `missing`, the test is ignored and says why;
/// on CI it fails.
fn needing(
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
fn missing(program: &str, package: &str) -> Option<String> {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .any(|folder| folder.join(program).is_file());
    (!found).then(|| format!("needs {program}: apt install {package}"))
}
