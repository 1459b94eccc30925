//! Every spec of `samples/` and `tests/programs/`, for every target, in every variant: executed, read back
//! by readers that nobody here wrote, and dumped; every spec of `tests/errors/`, refused in the expected
//! words; every piece of assembly, assembled.
//!
//! Each check of each spec is a test of its own name: `cargo test --test specs runs::hello::aarch64` runs
//! hello on arm64. `UPDATE_EXPECT=1 cargo test --test specs` writes the expected texts anew.

mod assembly;
// Another binary uses more of it.
#[allow(dead_code)]
#[path = "../support/bench.rs"]
mod bench;
mod case;
mod changed;
mod errors;
mod execution;
mod firmware;
mod golden;
// Each binary uses a part of it.
#[allow(dead_code)]
#[path = "../support/linted.rs"]
mod linted;
mod options;
mod read_back;
#[path = "../support/runners.rs"]
mod runners;
mod signature;
mod tools;
#[path = "../support/trials.rs"]
mod trials;
mod universal;
mod windows;
#[path = "../support/wine.rs"]
mod wine;

use std::process::ExitCode;

use libtest_mimic::Arguments;

use runners::{minild, no_runner};
use trials::{Checked, missing, needing};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = errors::trials();
    trials.extend(assembly::trials());
    trials.extend(golden::trials());
    trials.extend(options::trials());
    trials.extend(firmware::trials());
    trials.extend(signature::trials());
    trials.extend(changed::trials());
    trials.extend(universal::trials());
    trials.extend(windows::trials());
    for case in case::all() {
        trials.extend(execution::trials(&case));
        trials.push(read_back::trial(case.clone()));
        trials.extend(tools::trials(&case));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}
