//! The machine code that the example `brainfuck` makes: an assembler makes the same.

use std::io::Write;
use std::process::{Command, Stdio};

use libtest_mimic::Trial;
use minild::Architecture;
use object::{Object, ObjectSection};

use crate::brainfuck::Instructions;
use crate::trials::{Checked, missing, needing};

pub(crate) fn trials() -> Vec<Trial> {
    let all = Architecture::ALL.iter().copied();
    all.map(|architecture| {
        let name = format!("brainfuck::assembled::{architecture}");
        needing(missing("llvm-mc", "llvm"), name, move || same_as_llvm(architecture))
    })
    .collect()
}

fn same_as_llvm(architecture: Architecture) -> Checked {
    let instructions = Instructions::of(architecture);
    let Instructions { enter, leave, call, skip, repeat, .. } = instructions;
    let mut cases: Vec<(String, Vec<u8>)> = [enter, leave, call, skip, repeat]
        .map(|code| (code.text.to_owned(), code.bytes.to_vec()))
        .into();
    // What is computed: at both ends, and where one instruction becomes two.
    for n in [1, -1, 4095, -4095, 4096, 10_000, -10_000] {
        cases.push((stepping(architecture, n), instructions.step(n)));
    }
    for n in [1_u8, 127, 128, 255] {
        let text = match architecture {
            Architecture::X86_64 => format!("add byte ptr [rbx], {}", n.cast_signed()),
            _ => format!("ldrb w8, [x19]; add w8, w8, #{n}; strb w8, [x19]"),
        };
        cases.push((text, (instructions.add)(n)));
    }
    for (text, bytes) in cases {
        let expected = assemble(architecture, &text)?;
        if expected != bytes {
            return Err(format!("{text}: {bytes:02x?}, and llvm-mc {expected:02x?}").into());
        }
    }
    Ok(())
}

/// What moves by `n` cells: on arm64 by 4,095 at most at once.
fn stepping(architecture: Architecture, n: i64) -> String {
    if architecture == Architecture::X86_64 {
        // The form with a field of 32 bits, whatever the number.
        return format!(".byte 0x48, 0x81, 0xc3; .long {n}");
    }
    let mnemonic = if n < 0 { "sub" } else { "add" };
    let all = n.unsigned_abs();
    let parts = std::iter::repeat_n(4095, usize::try_from(all / 4095).expect("a small number"));
    let parts = parts.chain(Some(all % 4095).filter(|rest| *rest > 0));
    parts.map(|part| format!("{mnemonic} x19, x19, #{part};")).collect::<Vec<_>>().concat()
}

fn assemble(architecture: Architecture, text: &str) -> Result<Vec<u8>, libtest_mimic::Failed> {
    let (triple, syntax) = match architecture {
        Architecture::X86_64 => ("x86_64-linux-gnu", ".intel_syntax noprefix\n"),
        _ => ("aarch64-linux-gnu", ""),
    };
    let mut child = Command::new("llvm-mc")
        .args(["-filetype=obj", "-triple", triple])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let source = format!("{syntax}{}\n", text.replace(';', "\n"));
    child.stdin.take().expect("piped").write_all(source.as_bytes())?;
    let output = child.wait_with_output()?;
    let file = object::File::parse(&*output.stdout)?;
    let section = file.section_by_name(".text").ok_or("no .text")?;
    Ok(section.data()?.to_vec())
}
