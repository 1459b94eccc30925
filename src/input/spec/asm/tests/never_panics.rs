//! Whatever the text, it becomes bytes or errors whose places are in the text.

use proptest::prelude::*;

use super::generator::{self, Random};
use super::try_assemble;
use crate::error::Place;
use crate::target::Architecture;

fn try_both(text: &str) {
    for &architecture in Architecture::ALL {
        let Err(errors) = try_assemble(text, architecture) else { continue };
        for note in errors.iter().flat_map(|error| &error.notes) {
            let Place::Text(range) = &note.place else { panic!("{note:?} is not in the text") };
            // The text stands behind `'''` and a newline, and before `'''`.
            let source = format!("'''\n{text}'''");
            assert!(source.get(range.clone()).is_some(), "{range:?} of {source:?}: {errors:?}");
        }
    }
}

/// Pieces of statements, right ones and others.
const PIECES: &[&str] = &[
    "mov",
    "lea",
    "add",
    "imul",
    "jmp",
    "call",
    "jne",
    "rep",
    "lock",
    "stosb",
    "push",
    "movzx",
    "shl",
    "cvtsi2sd",
    "addss",
    "ldr",
    "str",
    "ldp",
    "stp",
    "adrp",
    "b.eq",
    "cbz",
    "tbz",
    "and",
    "ubfx",
    "cset",
    "mrs",
    "dmb",
    "swp",
    "casal",
    "stxr",
    "stlxrb",
    "rax",
    "eax",
    "al",
    "ah",
    "r8d",
    "xmm0",
    "cr0",
    "rip",
    "fs",
    "x0",
    "w1",
    "xzr",
    "sp",
    "wsp",
    "x30",
    "v0.4s",
    "d0",
    "lsl",
    "uxtw",
    "sxtx",
    "eq",
    "al",
    "tpidr_el0",
    "byte",
    "dword",
    "qword",
    "ptr",
    "offset",
    "name",
    ".local",
    "start",
    "name@GOTPCREL",
    "a.size",
    "0",
    "1",
    "-1",
    "8",
    "0x7fffffff",
    "0xffffffffffffffff",
    "9223372036854775808",
    "99999999999999999999999",
    "'a'",
    "\"text\"",
    "\"\\xff\"",
    "[",
    "]",
    "+",
    "-",
    "*",
    ",",
    ":",
    "#",
    "!",
    "=",
    "{",
    "}",
    "(",
    ")",
    ";",
    ".byte",
    ".long",
    ".quad",
    ".ascii",
    ".zero",
    ".balign",
    ".p2align",
    ".inst",
    "lo12",
    "got",
    "//",
    "/*",
    "*/",
    "\n",
    "ä",
    "@",
    "$",
    "%",
    "'",
    "\"",
    "\\",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn on_text(text in "\\PC*") {
        try_both(&text);
    }

    #[test]
    fn on_lines(text in "([a-z0-9 .,:#\\[\\]+*'\"\n-]{0,30}\n?){0,6}") {
        try_both(&text);
    }

    #[test]
    fn on_pieces(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..24), spaces in any::<bool>()) {
        try_both(&pieces.join(if spaces { " " } else { "" }));
    }
}

/// Lines that are nearly instructions, with a piece of something else in them.
#[test]
fn on_broken_instructions() {
    let mut random = Random::new(99);
    for _ in 0..600 {
        let mut line = match random.below(2) {
            0 => generator::x86_64(&mut random),
            _ => generator::aarch64(&mut random),
        };
        let at = random.below(line.len() + 1);
        if random.below(2) == 0 {
            line.truncate(at);
        }
        let at = at.min(line.len());
        line.insert_str(at, random.one_of(PIECES));
        try_both(&line);
    }
}

#[test]
fn on_deep_and_long_lines() {
    for text in ["(", "[", "-", "~", "!", "lock ", "1+", ".a:", "'", "/*"] {
        for length in [100, 1000, 100_000] {
            try_both(&text.repeat(length));
            try_both(&format!("mov eax, {}", text.repeat(length)));
            try_both(&format!(".quad {}", text.repeat(length)));
        }
    }
}

/// Operands of another sort, or none, where a mnemonic's own are taken for granted.
#[test]
fn exclusive_stores_without_their_registers_are_refused() {
    for mnemonic in ["stxr", "stlxr", "stxrb", "stlxrh"] {
        for operands in ["", "[x0]", "#1, #2, [x0]", "w1", "x0, [x0, x1]"] {
            let text = format!("{mnemonic} {operands}\n");
            try_both(&text);
            assert!(try_assemble(&text, Architecture::Aarch64).is_err(), "{text}");
        }
    }
}
