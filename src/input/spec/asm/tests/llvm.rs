//! Asks `llvm-mc` what lines are, many at a time.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::target::Architecture;

fn arguments(architecture: Architecture) -> &'static [&'static str] {
    match architecture {
        Architecture::X86_64 => {
            &["-triple=x86_64", "-x86-asm-syntax=intel", "-output-asm-variant=1"]
        }
        Architecture::Aarch64 => &["-triple=aarch64", "-mattr=+v8.2a,+lse"],
    }
}

fn run(architecture: Architecture, more: &[&str], input: &str) -> Vec<u8> {
    let mut child = Command::new("llvm-mc")
        .args(arguments(architecture))
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("these tests need llvm-mc: apt-get install llvm");
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input.as_bytes()));
        child.wait_with_output().expect("llvm-mc ends")
    });
    output.stdout
}

fn run_for_text(architecture: Architecture, more: &[&str], input: &str) -> String {
    String::from_utf8_lossy(&run(architecture, more, input)).into_owned()
}

/// What lines start with for the syntax that they are written in.
fn header(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::X86_64 => ".intel_syntax noprefix\n",
        Architecture::Aarch64 => "",
    }
}

/// The object file that LLVM makes of a text.
pub(super) fn object(architecture: Architecture, text: &str) -> Vec<u8> {
    let input = format!("{}{text}", header(architecture));
    run(architecture, &["-filetype=obj"], &input)
}

/// What LLVM makes of each line; `None` where it refuses it.
pub(super) fn assemble(architecture: Architecture, lines: &[String]) -> Vec<Option<Vec<u8>>> {
    let mut input = header(architecture).to_owned();
    for (index, line) in lines.iter().enumerate() {
        // The labels come out again between the instructions, also where a line is refused.
        input.extend(["mark_", &index.to_string(), ":\n", line, "\n"]);
    }
    let mut encoded = vec![None; lines.len()];
    let mut current = None;
    for line in run_for_text(architecture, &["-show-encoding"], &input).lines() {
        if let Some(index) = line.strip_prefix("mark_") {
            current = index.trim_end_matches(':').parse::<usize>().ok();
        } else if let Some((_, bytes)) = line.split_once("encoding: [")
            && let Some(index) = current
        {
            let bytes = bytes.trim_end_matches(']').split(',').map(byte).collect();
            encoded[index] = Some(bytes);
        }
    }
    encoded
}

/// `0x4c`
fn byte(text: &str) -> u8 {
    let digits = text.trim().trim_start_matches("0x");
    // What has holes for symbols is compared as an object file.
    u8::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("a line with a symbol: {text}"))
}

/// What LLVM reads in each piece of code; `None` where it is none.
pub(super) fn disassemble(architecture: Architecture, codes: &[Vec<u8>]) -> Vec<Option<String>> {
    let mut texts = Vec::new();
    // One call for each, as the output does not say where the next one starts: only few come here.
    for code in codes {
        let bytes: Vec<_> = code.iter().map(|byte| format!("{byte:#04x}")).collect();
        let input = bytes.join(" ");
        let output = run_for_text(architecture, &["-disassemble"], &input);
        let lines: Vec<_> = output
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && *line != ".text")
            .collect();
        let text = lines.join(" ");
        texts.push(
            Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
                .filter(|text| !text.is_empty()),
        );
    }
    texts
}
