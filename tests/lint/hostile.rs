//! Files that mean harm: truncated, with bits turned over, with counts that cannot be. Findings, an error, never a panic.

use minild::view::lint;

use crate::bases;
use crate::edit::File;

const FILES: &[(&str, &str)] = &[
    ("linked", "x86_64-linux"),
    ("linked", "x86_64-windows"),
    ("library", "aarch64-windows"),
    ("plain", "x86_64-uefi"),
    ("linked", "aarch64-macos"),
    ("opcodes", "x86_64-macos"),
    ("fixed", "x86_64-macos"),
    ("universal", ""),
];

/// Pseudo-random numbers that are the same on every machine (Marsaglia, Xorshift RNGs).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).expect("below a usize")
    }
}

#[test]
fn a_file_that_ends_anywhere_is_no_panic() {
    for base in FILES {
        let whole = bases::file(*base).bytes;
        let tables = (0..0x1000).step_by(16).chain((0x1000..whole.len()).step_by(1024));
        for end in tables.filter(|end| *end < whole.len()) {
            let cut = lint::lint(&whole[..end]);
            let is_well = cut.is_ok_and(|lint| lint.findings.is_empty());
            // Section headers are the last of an ELF file, and a tool's affair; all else is missed.
            assert!(!is_well, "{base:?} is well with {end:#x} of {:#x} bytes", whole.len());
        }
    }
}

#[test]
fn bits_that_are_turned_over_are_no_panic() {
    let mut numbers = Numbers(0x5eed);
    for base in FILES {
        let whole = bases::file(*base).bytes;
        for _ in 0..150 {
            let mut bytes = whole.clone();
            for _ in 0..=numbers.below(4) {
                // Half of them in the headers, where counts and offsets are.
                let limit = if numbers.below(2) == 0 { 0x600 } else { whole.len() };
                let at = numbers.below(limit.min(whole.len()));
                bytes[at] ^= 1 << numbers.below(8);
            }
            let _ = lint::lint(&bytes);
        }
    }
}

#[test]
fn words_of_ones_are_no_panic() {
    for base in FILES {
        let whole = bases::file(*base);
        for at in (0..0x600.min(whole.bytes.len() - 8)).step_by(4) {
            for value in [u64::MAX, 10_000_000] {
                let mut file = File::new(whole.bytes.clone());
                file.put_u64(at, value);
                let _ = lint::lint(&file.bytes);
            }
        }
    }
}

#[test]
fn what_is_no_executable_is_said_so() {
    for (bytes, says) in [
        (&b""[..], "empty"),
        (b"#!/bin/sh\n", "script"),
        (b"!<arch>\n", "archive"),
        (b"\0asm\x01\0\0\0", "WebAssembly"),
        (b"text", "none of them"),
        (b"\xce\xfa\xed\xfe\x07\0\0\0", "32-bit"),
    ] {
        let error = lint::lint(bytes).expect_err("it has no rules");
        assert!(error.message.contains(says), "{error}");
    }
}
