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
#[path = "../support/trials.rs"]
mod trials;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use minild::program::OutputKind;

use trials::{Checked, minild, missing, needing, no_runner};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = errors::trials();
    trials.extend(assembly::trials());
    trials.extend(golden::trials());
    for case in case::all() {
        // A library runs in the program that needs it.
        if case.kind == OutputKind::Executable {
            trials.push(execution::trial(case.clone()));
        }
        if case.is_elf() {
            trials.push(read_back::trial(case.clone()));
        }
        trials.extend(tools::trials(&case));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}
