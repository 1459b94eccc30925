//! The compilers among the examples, `brainfuck` and `cranelift`: what they make runs on every target.

use libtest_mimic::Trial;
use minild::target::TARGETS;
use minild::{OperatingSystem, Options, Target};

use crate::brainfuck::{Unbalanced, compile, runtime};
use crate::cranelift;
use crate::executed;
use crate::linted;
use crate::trials::Checked;

/// Hello, by a well-known program's way: a loop that sets several cells, loops in loops, cells to both sides.
const HELLO: &str = "\
    ++++++++[>++++[>++>+++>+++>+<<<<-]>+>+>->>+[<]<-]
    >>.>---.+++++++..+++.>>.<-.<.+++.------.--------.>>+.>++.
    <<<<<<< >>>>>>>
    cell of 42: [-]>[-]<++++++[>+++++++<-]>";

/// Writes what it reads until there is nothing more, then 42.
const ECHO: &str = ",[.,] ++++++[>+++++++<-]>";

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![Trial::test("brainfuck::a_bracket_without_a_partner", unbalanced)];
    for target in TARGETS.iter().map(|row| row.target) {
        let is_firmware = target.operating_system == OperatingSystem::Uefi;
        let line_end = if is_firmware { "\r\n" } else { "\n" };
        trials.push(executed::trial(format!("brainfuck::hello::{target}"), target, move || {
            let expected = format!("Hello World!{line_end}");
            executed::shows(target, &linked(HELLO, target)?, b"", expected.as_bytes())
        }));
        // Firmware reads keys, and nobody presses one.
        if !is_firmware {
            trials.push(executed::trial(format!("brainfuck::echo::{target}"), target, move || {
                let text = b"what goes in\ncomes out";
                executed::shows(target, &linked(ECHO, target)?, text, text)
            }));
        }
    }
    trials.push(Trial::test("cranelift::what_is_wrong_is_told", wrong));
    for target in TARGETS.iter().map(|row| row.target) {
        // Firmware has no C library.
        if target.operating_system != OperatingSystem::Uefi {
            let name = format!("cranelift::fibonacci::{target}");
            trials.push(executed::trial(name, target, move || fibonacci(target)));
        }
    }
    trials
}

fn fibonacci(target: Target) -> Checked {
    let source = include_str!("../../examples/cranelift/fibonacci.lisp");
    let program = cranelift::compile(source, target).map_err(|error| error.to_string())?;
    let image = linted::link(&program, &Options::default())?;
    let lines = [
        "Fibonacci by Cranelift and minild:",
        "0 1 1 2 3 5 8 13 21 34 55 89 144 233 377 610 987 1597 2584 4181 ",
        "",
    ];
    // The C library of Windows writes texts, and ends their lines as Windows does.
    let is_windows = target.operating_system == OperatingSystem::Windows;
    let expected = lines.join(if is_windows { "\r\n" } else { "\n" });
    executed::shows(target, &image.bytes, b"", expected.as_bytes())
}

fn wrong() -> Checked {
    for (source, says) in [
        ("(fn main () (+ 1", "not closed"),
        ("(fn main () 1))", "not open"),
        ("(fn main () x)", "nothing is called x"),
        ("(fn main ())", "missing"),
        ("(fn f (a) a) (fn main () (f 1 2))", "f"),
    ] {
        match cranelift::compile(source, Target::X86_64_LINUX) {
            Err(error) if error.to_string().contains(says) => {}
            Err(error) => return Err(format!("{source}: {error}").into()),
            Ok(_) => return Err(format!("{source} was taken").into()),
        }
    }
    Ok(())
}

fn linked(source: &str, target: Target) -> Result<Vec<u8>, minild::Errors> {
    let runtime = runtime()?;
    let (mut program, _) = runtime.program(target)?;
    compile(source.as_bytes(), &mut program).expect("the brackets are balanced");
    Ok(linted::link(&program, &Options::default())?.bytes)
}

fn unbalanced() -> Checked {
    for (source, place) in [("+]", 1), ("[[]", 0), ("[]>][", 3)] {
        let runtime = runtime()?;
        let (mut program, _) = runtime.program(Target::X86_64_LINUX)?;
        if compile(source.as_bytes(), &mut program) != Err(Unbalanced(place)) {
            return Err(format!("{source} was taken, or another bracket was named").into());
        }
    }
    Ok(())
}
