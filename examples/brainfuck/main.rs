//! A compiler for brainfuck, to every target: `cargo run --example brainfuck -- TARGET FILE OUTPUT`.
//!
//! It makes machine code by itself; what that stands on (the entry, writing and reading a byte) is assembler text in a
//! spec, `runtime.toml`. Both meet in one [`Program`], by names.

use std::path::Path;
use std::process::ExitCode;

use minild::arch::{aarch64, x86_64};
use minild::input::spec::{self, Spec};
use minild::program::{Program, RelocationKind, Section, SectionKind, SymbolId};
use minild::{Architecture, Errors, Options, Target};

/// An instruction, or several, and the field in them that depends on a name.
pub(crate) struct Code {
    /// As an assembler writes it, the field zero: tests/examples has it assembled, and compares.
    #[allow(dead_code)]
    pub(crate) text: &'static str,
    /// Its bytes.
    pub(crate) bytes: &'static [u8],
    /// Where the field is, its kind, and what it counts from.
    field: Option<(u64, RelocationKind, i64)>,
}

/// What a compiled program is made of, on one architecture. The current cell is at rbx, or x19.
pub(crate) struct Instructions {
    pub(crate) enter: Code,
    pub(crate) leave: Code,
    pub(crate) call: Code,
    /// Goes on where the current cell is zero.
    pub(crate) skip: Code,
    /// Goes back where it is not.
    pub(crate) repeat: Code,
    /// Moves by so many cells: how far at once, and the bytes.
    step: (u32, fn(i32) -> Vec<u8>),
    /// Adds to the current cell.
    pub(crate) add: fn(u8) -> Vec<u8>,
}

const fn code(text: &'static str, bytes: &'static [u8]) -> Code {
    Code { text, bytes, field: None }
}

const fn with_field(
    text: &'static str,
    bytes: &'static [u8],
    offset: u64,
    kind: RelocationKind,
    addend: i64,
) -> Code {
    Code { text, bytes, field: Some((offset, kind, addend)) }
}

pub(crate) static X86_64: Instructions = Instructions {
    enter: code("push rbp", &[0x55]),
    leave: code("pop rbp; ret", &[0x5d, 0xc3]),
    call: with_field("call next; next:", &[0xe8, 0, 0, 0, 0], 1, x86_64::CALL32, -4),
    skip: with_field(
        "cmp byte ptr [rbx], 0; {disp32} je next; next:",
        &[0x80, 0x3b, 0, 0x0f, 0x84, 0, 0, 0, 0],
        5,
        x86_64::REL32,
        -4,
    ),
    repeat: with_field(
        "cmp byte ptr [rbx], 0; {disp32} jne next; next:",
        &[0x80, 0x3b, 0, 0x0f, 0x85, 0, 0, 0, 0],
        5,
        x86_64::REL32,
        -4,
    ),
    // add rbx, n
    step: (i32::MAX as u32, |n| [&[0x48, 0x81, 0xc3], &n.to_le_bytes()[..]].concat()),
    // add byte ptr [rbx], n
    add: |n| vec![0x80, 0x03, n],
};

pub(crate) static AARCH64: Instructions = Instructions {
    enter: code(
        "stp x29, x30, [sp, #-16]!; mov x29, sp",
        &[0xfd, 0x7b, 0xbf, 0xa9, 0xfd, 0x03, 0x00, 0x91],
    ),
    leave: code("ldp x29, x30, [sp], #16; ret", &[0xfd, 0x7b, 0xc1, 0xa8, 0xc0, 0x03, 0x5f, 0xd6]),
    call: with_field("bl #0", &[0, 0, 0, 0x94], 0, aarch64::CALL26, 0),
    skip: with_field(
        "ldrb w8, [x19]; cbz w8, #0",
        &[0x68, 0x02, 0x40, 0x39, 0x08, 0, 0, 0x34],
        4,
        aarch64::BRANCH19,
        0,
    ),
    repeat: with_field(
        "ldrb w8, [x19]; cbnz w8, #0",
        &[0x68, 0x02, 0x40, 0x39, 0x08, 0, 0, 0x35],
        4,
        aarch64::BRANCH19,
        0,
    ),
    // add x19, x19, #n; sub x19, x19, #-n
    step: (4095, |n| {
        let opcode: u32 = if n < 0 { 0xd100_0273 } else { 0x9100_0273 };
        (opcode | n.unsigned_abs() << 10).to_le_bytes().to_vec()
    }),
    // ldrb w8, [x19]; add w8, w8, #n; strb w8, [x19]
    add: |n| {
        let words = [0x3940_0268, 0x1100_0108 | u32::from(n) << 10, 0x3900_0268];
        words.into_iter().flat_map(u32::to_le_bytes).collect()
    },
};

impl Instructions {
    /// Those of an architecture.
    pub(crate) fn of(architecture: Architecture) -> &'static Self {
        match architecture {
            Architecture::X86_64 => &X86_64,
            Architecture::Aarch64 => &AARCH64,
            other => panic!("nobody has written down the instructions of {other} yet"),
        }
    }

    /// Moves by `n` cells.
    pub(crate) fn step(&self, n: i64) -> Vec<u8> {
        let (most, step) = self.step;
        let mut bytes = Vec::new();
        let mut left = n.unsigned_abs();
        while left > 0 {
            let part = left.min(u64::from(most));
            let part = i32::try_from(part).expect("at most 2^31 - 1");
            bytes.extend(step(if n < 0 { -part } else { part }));
            left -= u64::from(part.unsigned_abs());
        }
        bytes
    }
}

/// A bracket without its partner, by its place in the source.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unbalanced(pub(crate) usize);

/// What a field in the function depends on.
enum Goal {
    Name(SymbolId),
    /// A place in the function itself.
    Own(u64),
}

/// The function in the making: its bytes, and what in them depends on what.
#[derive(Default)]
struct Function {
    bytes: Vec<u8>,
    fields: Vec<(u64, RelocationKind, Goal, i64)>,
}

impl Function {
    fn here(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn push(&mut self, code: &Code) {
        self.bytes.extend_from_slice(code.bytes);
    }

    fn push_to(&mut self, code: &Code, goal: Goal) {
        let (offset, kind, addend) = code.field.expect("code that goes somewhere");
        self.fields.push((self.here() + offset, kind, goal, addend));
        self.push(code);
    }
}

/// Compiles `source` into the function `program`.
pub(crate) fn compile(source: &[u8], program: &mut Program<'_>) -> Result<(), Unbalanced> {
    let instructions = Instructions::of(program.target.architecture);
    let (output, input) = (program.reference("output"), program.reference("input"));
    let mut function = Function::default();
    // For each open bracket its place in the source, the place behind its code, and the index of its field.
    let mut open: Vec<(usize, u64, usize)> = Vec::new();

    function.push(&instructions.enter);
    let mut at = 0;
    while let Some(&command) = source.get(at) {
        let run = source[at..].iter().take_while(|next| **next == command).count();
        let mut taken = 1;
        match command {
            b'>' | b'<' => {
                let cells = i64::try_from(run).expect("no source is that long");
                let cells = if command == b'<' { -cells } else { cells };
                function.bytes.extend(instructions.step(cells));
                taken = run;
            }
            b'+' | b'-' => {
                let n = u8::try_from(run % 256).expect("below 256");
                let n = if command == b'-' { n.wrapping_neg() } else { n };
                function.bytes.extend((instructions.add)(n));
                taken = run;
            }
            b'.' => function.push_to(&instructions.call, Goal::Name(output)),
            b',' => function.push_to(&instructions.call, Goal::Name(input)),
            b'[' => {
                function.push_to(&instructions.skip, Goal::Own(0));
                open.push((at, function.here(), function.fields.len() - 1));
            }
            b']' => {
                let (_, first, skip) = open.pop().ok_or(Unbalanced(at))?;
                function.push_to(&instructions.repeat, Goal::Own(first));
                function.fields[skip].2 = Goal::Own(function.here());
            }
            _ => {} // a comment
        }
        at += taken;
    }
    if let Some((at, ..)) = open.pop() {
        return Err(Unbalanced(at));
    }
    function.push(&instructions.leave);

    let size = function.here();
    let section = program.add_section(Section::new("program", SectionKind::Code, function.bytes));
    let own = program.define("program", section, 0, size);
    for (offset, kind, goal, addend) in function.fields {
        match goal {
            Goal::Name(symbol) => program.relocate(section, offset, kind, symbol, addend),
            Goal::Own(place) => {
                program.relocate(section, offset, kind, own, addend + place.cast_signed());
            }
        }
    }
    Ok(())
}

/// What every program stands on.
pub(crate) fn runtime() -> Result<Spec, Errors> {
    spec::read(include_str!("runtime.toml"), Path::new("."))
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [target, source, output] = &arguments[..] else {
        eprintln!("usage: brainfuck TARGET FILE OUTPUT");
        return ExitCode::from(2);
    };
    let built = (|| {
        let target: Target = target.parse().map_err(|unknown| format!("{unknown}"))?;
        let text = std::fs::read(source).map_err(|error| format!("{source}: {error}"))?;
        let runtime = runtime().map_err(|errors| errors.to_string())?;
        let (mut program, _) = runtime.program(target).map_err(|errors| errors.to_string())?;
        compile(&text, &mut program)
            .map_err(|Unbalanced(at)| format!("{source}: the bracket at {at} has no partner"))?;
        minild::link_to(&program, &Options::default(), Path::new(output))
            .map_err(|errors| errors.to_string())
    })();
    match built {
        Ok(_) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}
