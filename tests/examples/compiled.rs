//! The compiler of the example `brainfuck`: what it makes runs on every target.

use libtest_mimic::Trial;
use minild::target::TARGETS;
use minild::{OperatingSystem, Options, Target};

use crate::brainfuck::{Unbalanced, compile, runtime};
use crate::executed;
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
    trials
}

fn linked(source: &str, target: Target) -> Result<Vec<u8>, minild::Errors> {
    let runtime = runtime()?;
    let (mut program, _) = runtime.program(target)?;
    compile(source.as_bytes(), &mut program).expect("the brackets are balanced");
    Ok(minild::link(&program, &Options::default())?.bytes)
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
