//! Files that work, changed in one field at a time: whatever the real loader then stumbles over, lint says before,
//! and what lint calls an error the loader minds. What neither can be held to stands in a table, with its reason.
//!
//! Each subject is a trial: `cargo test --test mutations elf::glibc_program`. A sample of the changes is tried, the same
//! on every machine; with `MINILD_TESTS=all` all of them are, which takes minutes.

mod elf;
#[path = "../support/fixtures_by_lld.rs"]
mod fixtures_by_lld;
mod hunt;
mod macho;
mod pe;
#[path = "../support/runners.rs"]
mod runners;
#[path = "../support/trials.rs"]
mod trials;
#[path = "../support/wine.rs"]
mod wine;

use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = [elf::trials(), macho::trials(), pe::trials()].into_iter().flatten().collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
