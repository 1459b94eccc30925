//! Programs linked in memory: how long it takes, and how often memory is asked for. docs/MEASUREMENTS.md has what came
//! out; `cargo bench --bench link` measures again.

// Each binary uses a part of it.
#[allow(dead_code)]
#[path = "../tests/support/linted.rs"]
mod linted;

use std::path::Path;

use divan::{AllocProfiler, Bencher};
use minild::input::spec::{self, Spec};
use minild::program::{Program, Section, SectionKind};
use minild::target::TARGETS;
use minild::{Options, Target, arch};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

fn names() -> impl Iterator<Item = &'static str> {
    TARGETS.iter().map(|row| row.name)
}

fn target(name: &str) -> Target {
    name.parse().expect("a name of the table")
}

fn hello() -> Spec {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    let text = std::fs::read_to_string(samples.join("hello.toml")).expect("a sample");
    spec::read(&text, &samples).expect("a sample")
}

/// The sample hello, from a program to the bytes of its file.
#[divan::bench(args = names())]
fn hello_to_bytes(bencher: Bencher<'_, '_>, name: &str) {
    let spec = hello();
    let (program, _) = spec.program(target(name)).expect("a sample");
    let options = Options::default();
    linted::link(&program, &options).expect("it links");
    // Not linted: only the link is timed, and it gives what it gave above.
    bencher.bench_local(|| minild::link(&program, &options).expect("it links"));
}

/// The same as far as the addresses.
#[divan::bench(args = names())]
fn hello_laid_out(bencher: Bencher<'_, '_>, name: &str) {
    let spec = hello();
    let (program, _) = spec.program(target(name)).expect("a sample");
    let options = Options::default();
    bencher.bench_local(|| minild::layout(&program, &options).expect("it links"));
}

/// What a compiler makes: 1,000 functions of 256 bytes that call one another, each with a name, and as many pointers
/// to them in data.
fn functions(target: Target, count: u32) -> Program<'static> {
    let mut program = Program::new(target);
    let arch = arch::of(target.architecture);
    let (call, field) = match target.architecture {
        minild::Architecture::X86_64 => (arch.kind("call32"), [0xe8, 0, 0, 0, 0].as_slice()),
        _ => (arch.kind("call26"), [0, 0, 0, 0x94].as_slice()),
    };
    let call = call.expect("both have one");
    for index in 0..count {
        let code = field.repeat(256 / field.len());
        let size = code.len() as u64;
        let section = program.add_section(Section::new("function", SectionKind::Code, code));
        program.define(format!("function_{index}"), section, 0, size);
        let offset = field.len() as u64 - 4;
        let callee = program.reference(format!("function_{}", (index * 7 + 1) % count));
        for at in (offset..size).step_by(field.len()) {
            program.relocate(section, at, call, callee, 0);
        }
        let data = program.add_section(Section::new("pointer", SectionKind::Data, &[0; 8]));
        program.relocate(data, 0, arch.pointer(), callee, 0);
    }
    program.entry = program.global("function_0");
    program
}

#[divan::bench(args = names(), sample_count = 20)]
fn thousand_functions_to_bytes(bencher: Bencher<'_, '_>, name: &str) {
    let program = functions(target(name), 1000);
    let options = Options::default();
    linted::link(&program, &options).expect("it links");
    // Not linted: only the link is timed, and it gives what it gave above.
    bencher.bench_local(|| minild::link(&program, &options).expect("it links"));
}

/// How many mebibytes of data are signed, by how many threads.
const SIGNED: &[(usize, usize)] =
    &[(1, 1), (1, 2), (2, 1), (2, 2), (4, 1), (4, 2), (64, 1), (64, 2)];

/// A macOS program with a large constant: nearly all of its time is the signature's.
#[divan::bench(args = SIGNED, sample_count = 20, sample_size = 1)]
fn signature_by_threads(bencher: Bencher<'_, '_>, (mebibytes, threads): (usize, usize)) {
    let bytes = vec![0x5a; mebibytes << 20];
    let spec = hello();
    let (mut program, _) = spec.program(Target::AARCH64_MACOS).expect("a sample");
    program.add_section(Section::new("large", SectionKind::ReadOnly, bytes));
    let mut options = Options::default();
    options.threads = threads;
    linted::link(&program, &options).expect("it links");
    // Not linted: only the link is timed, and it gives what it gave above.
    bencher.bench_local(|| minild::link(&program, &options).expect("it links"));
}
