//! The examples of the crate: what each makes is run, on every system that it makes it for.
//!
//! An example is a module here, so that what is tested is what is there. `cargo test --test examples brainfuck::`
//! runs one of them.

#[path = "../../examples/brainfuck/main.rs"]
#[allow(dead_code)]
mod brainfuck;
#[path = "../../examples/cranelift/main.rs"]
#[allow(dead_code)]
mod cranelift;
#[path = "../../examples/hello.rs"]
#[allow(dead_code)]
mod hello;
#[path = "../../examples/layout.rs"]
#[allow(dead_code)]
mod layout;
// Each binary uses a part of it.
#[allow(dead_code)]
#[path = "../support/linted.rs"]
mod linted;
#[path = "../../examples/patch.rs"]
#[allow(dead_code)]
mod patch;
#[path = "../../src/run/mod.rs"]
#[allow(dead_code, unused_imports, clippy::wildcard_imports)]
mod run;
#[path = "../support/trials.rs"]
mod trials;

mod assembled;
mod compiled;
mod drawn;
mod executed;
mod patched;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use minild::{Options, Target};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = vec![executed::trial("hello".into(), Target::X86_64_LINUX, || {
        let image = linted::link(&hello::program(), &Options::default())?;
        executed::shows(Target::X86_64_LINUX, &image.bytes, b"", b"Hello, world!\n")
    })];
    trials.extend(compiled::trials());
    trials.extend(assembled::trials());
    trials.extend(drawn::trials());
    trials.extend(patched::trials());
    libtest_mimic::run(&arguments, trials).exit_code()
}
