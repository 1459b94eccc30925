//! What compilers write, through `interop::object`: an object file as a whole, linked into a program that the target's
//! own loader runs. (Relocation by relocation it is tested in `src/interop`.)
//!
//! Each trial has a name: `cargo test --test interop object_file::aarch64-windows::clang::O2`.

// What another binary uses of them, too.
#[allow(dead_code)]
#[path = "../support/bench.rs"]
mod bench;
#[allow(dead_code)]
#[path = "../support/linted.rs"]
mod linted;
mod object_file;
#[path = "../support/runners.rs"]
mod runners;
#[path = "../support/trials.rs"]
mod trials;
#[path = "../support/wine.rs"]
mod wine;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed};
use minild::arch::start_up::start_by_libc;
use minild::interop::object::object;
use minild::program::{Definition, Import, Program};
use minild::target::TARGETS;
use minild::{OperatingSystem, Options, Target};

use bench::{Bench, tool};
use runners::no_runner;
use trials::{Checked, missing, needing};

/// How a compiler is asked to optimise: without, everything goes through memory; with, tables of jumps, vectors and
/// calls at a function's end come about.
const LEVELS: [&str; 2] = ["O0", "O2"];

/// What the program in C writes.
const WRITTEN: &str = "\
    one three, third 7, last 13, sum 11\n\
    9 11 7 12\n\
    loads 226, zeros 0 1, tentative 9\n\
    five: 1\n";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    // Firmware has no C library.
    let has_libc = TARGETS.iter().filter(|row| row.library_suffix.is_some());
    let cases = has_libc.flat_map(|row| LEVELS.map(|level| (row.target, level)));
    let cases = cases.map(|(target, level)| (target, "clang", level));
    // It compiles for this machine only.
    let gcc = LEVELS.map(|level| (Target::X86_64_LINUX, "gcc", level));
    let trials = cases.chain(gcc).map(|(target, compiler, level)| {
        let name = format!("object_file::{target}::{compiler}::{level}");
        let missing = no_runner(target).or_else(|| missing(compiler, compiler));
        needing(missing, name, move || runs(target, compiler, level))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// Wrong would be: a section in memory of other rights, a symbol at another place, an addend that is lost, doubled or
/// counted from elsewhere.
fn runs(target: Target, compiler: &str, level: &str) -> Checked {
    let bench = Bench::new(target);
    let bytes = fs::read(compile(&bench, compiler, level)?)?;
    let file = object::File::parse(&*bytes)?;
    let mut program =
        object_file::program(&file, target).map_err(|error| Failed::from(error.to_string()))?;
    start_by_libc(&mut program);
    import_from_libc(&mut program);
    let prefix = if target.operating_system == OperatingSystem::MacOs { "_" } else { "" };
    program.entry = program.global(&format!("{prefix}begin"));
    linted::link_to(&program, &Options::default(), &bench.path("whole.exe"))?;
    bench.run("whole.exe", &[])?.is(42, WRITTEN)
}

fn compile(bench: &Bench, compiler: &str, level: &str) -> Result<PathBuf, Failed> {
    let architecture = bench.target.architecture.name();
    let (system, is_windows) = match bench.target.operating_system {
        OperatingSystem::Linux => ("linux-gnu", false),
        OperatingSystem::MacOs => ("apple-macos13", false),
        _ => ("windows-msvc", true),
    };
    let object = bench.path("whole.o");
    let mut command = Command::new(compiler);
    if compiler == "clang" {
        command.args(["-target", &format!("{architecture}-{system}")]);
    }
    command.arg(format!("-{level}"));
    // Position-independent, which Windows' code is as it is.
    command.args((!is_windows).then_some("-fPIC")).args(["-ffreestanding", "-fno-stack-protector"]);
    command.args(["-c", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/whole.c"), "-o"]);
    tool(command.arg(&object))?;
    Ok(object)
}

/// What nothing defines the C library has.
fn import_from_libc(program: &mut Program<'_>) {
    let name = match program.target.operating_system {
        OperatingSystem::Linux => "libc.so.6",
        OperatingSystem::MacOs => "/usr/lib/libSystem.B.dylib",
        _ => "msvcrt.dll",
    };
    let library = program.library(name);
    let symbols = program.symbols().iter();
    let undefined = symbols.filter(|symbol| symbol.definition == Definition::Undefined);
    let names: Vec<_> = undefined.map(|symbol| symbol.name.to_string()).collect();
    for name in names {
        program.import(name.clone(), Import::by_name(library, name));
    }
}
