//! The code that minild puts before a program that has to relocate itself.
//!
//! Where the system's loader applies no relocations (a position-independent program that names no
//! dynamic linker), nobody else does: this code walks the table of load relocations, protects what is
//! constant from then on, and enters the program with registers and stack as the kernel left them. Each
//! piece is written in assembly beside its bytes; a test assembles the source and compares.

mod aarch64_linux;
mod x86_64_linux;

use crate::program::{Landmark, RelocationKind};
use crate::target::Target;

/// Code with relocations of its own against what only the link knows.
#[derive(Debug)]
pub struct StartUp {
    /// The instructions.
    pub code: &'static [u8],
    /// Which of their bytes depend on what.
    pub relocations: &'static [StartUpRelocation],
}

/// A relocation in start-up code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartUpRelocation {
    /// Where its field starts, in bytes from the start of the code.
    pub offset: u64,
    /// How its bytes depend on the symbol.
    pub kind: RelocationKind,
    /// What it depends on.
    pub symbol: StartUpSymbol,
    /// What is added to that address.
    pub addend: i64,
}

/// What start-up code refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartUpSymbol {
    /// The program's own entry.
    Entry,
    /// A place of the layout.
    Landmark(Landmark),
}

/// The code that relocates a program for `target` from inside; `None` where none was written.
#[must_use]
pub fn self_relocation(target: Target) -> Option<&'static StartUp> {
    START_UPS.iter().find(|(of, _)| *of == target).map(|(_, start_up)| *start_up)
}

static START_UPS: &[(Target, &StartUp)] = &[
    (Target::X86_64_LINUX, &x86_64_linux::START_UP),
    (Target::AARCH64_LINUX, &aarch64_linux::START_UP),
];

const fn at(
    offset: u64,
    kind: RelocationKind,
    symbol: StartUpSymbol,
    addend: i64,
) -> StartUpRelocation {
    StartUpRelocation { offset, kind, symbol, addend }
}

/// Instruction words as they lie in memory.
const fn little_endian<const N: usize>(words: [u32; N]) -> [[u8; 4]; N] {
    let mut bytes = [[0; 4]; N];
    let mut index = 0;
    while index < N {
        bytes[index] = words[index].to_le_bytes();
        index += 1;
    }
    bytes
}
