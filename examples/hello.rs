//! A program for Linux on x86-64, from bytes to a file that runs: `cargo run --example hello`, then `./hello`.

use std::path::Path;

use minild::arch::x86_64;
use minild::program::{Program, Section, SectionKind};
use minild::{Options, Target};

/// Prints a line and exits with 42.
pub(crate) fn program() -> Program<'static> {
    let mut program = Program::new(Target::X86_64_LINUX);
    let text = program.add_section(Section::new("text", SectionKind::ReadOnly, b"Hello, world!\n"));
    let text = program.define("text", text, 0, 14);

    let code = b"\xb8\x01\0\0\0\xbf\x01\0\0\0\x48\x8d\x35\0\0\0\0\xba\x0e\0\0\0\x0f\x05\
        \xb8\x3c\0\0\0\xbf\x2a\0\0\0\x0f\x05";
    // mov eax, 1; mov edi, 1; lea rsi, [rip + text]; mov edx, 14; syscall    write(1, text, 14)
    // mov eax, 60; mov edi, 42; syscall                                      exit(42)
    let start = program.add_section(Section::new("start", SectionKind::Code, code));
    program.relocate(start, 13, x86_64::REL32, text, -4);
    program.entry = Some(program.define("start", start, 0, 36));
    program
}

fn main() -> Result<(), minild::Errors> {
    minild::link_to(&program(), &Options::default(), Path::new("hello"))?;
    Ok(())
}
