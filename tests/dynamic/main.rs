//! Programs and libraries that load each other: minild's with each other, and with those that C compilers and other
//! linkers make, on either side; executed by each system's own loader. Every file is read by two readers on the
//! way, which must have nothing to say.
//!
//! Each trial has a name: `cargo test --test dynamic linux::aarch64::used_by_c`.

#[path = "../support/bench.rs"]
mod bench;
mod c;
// Each binary uses a part of it.
#[allow(dead_code)]
#[path = "../support/linted.rs"]
mod linted;
mod linux;
mod macos;
#[path = "../support/runners.rs"]
mod runners;
#[path = "../support/trials.rs"]
mod trials;
mod windows;
#[path = "../support/wine.rs"]
mod wine;

use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = [linux::trials(), macos::trials(), windows::trials()];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit_code()
}
