//! What assembler text becomes. `llvm-mc` says what is right; `UPDATE_EXPECT=1 cargo test` rewrites the
//! expectations.

// An expectation is said where it is checked, and nowhere else.
#![allow(clippy::needless_pass_by_value)]
// `expect!` is rewritten with hashes whether it needs them or not.
#![allow(clippy::needless_raw_string_hashes)]

mod generator;
mod llvm;
mod never_panics;
mod references;
mod same_as_llvm;
mod texts;

use crate::arch;
use crate::error::{Collector, Errors};
use crate::input::spec::asm::assemble;
use crate::input::spec::block::Block;
use crate::input::spec::names::Names;
use crate::input::spec::text_map::{MappedText, TextMap};
use crate::target::Architecture;

/// What becomes of `text`, whose offsets are those behind the `'''` of a TOML string.
fn try_assemble(text: &str, architecture: Architecture) -> Result<Block, Errors> {
    let source = format!("'''\n{text}'''");
    let map = TextMap::new(&source, 0..source.len());
    let asm = MappedText { text: text.to_owned(), map };
    let mut errors = Collector::default();
    let block = assemble(&asm, arch::of(architecture), &Names::default(), &mut errors);
    errors.into_result(block)
}
