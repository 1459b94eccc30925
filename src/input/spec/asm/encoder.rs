//! Asks `asm-rs` for the bits of one instruction.
//!
//! Only its lexer, parser and encoder are used: no optimiser (it changes what instructions do), no
//! preprocessor, no linker. Statements come in a canonical spelling that our own parser made, with
//! [`LABEL`] for a symbol. What it answers is a proposal; nothing is believed before it was read back.

use std::panic::{AssertUnwindSafe, catch_unwind};

use asm_rs::encoder::{EncodedInstr, encode_instruction};
use asm_rs::ir::{Arch, Statement, Syntax};
use asm_rs::{AsmError, lexer, parser};

use crate::target::Architecture;

/// What stands for a symbol.
pub(super) const LABEL: &str = "a_symbol";

/// The bytes that are proposed for an instruction.
pub(super) struct Proposal {
    pub(super) bytes: Vec<u8>,
    /// The same with a narrower field.
    pub(super) short: Option<Vec<u8>>,
}

/// Why there is no proposal.
pub(super) enum Refusal {
    UnknownMnemonic,
    /// Anything else, in the assembler's words.
    Other(String),
    /// The assembler broke down.
    Panic,
}

/// What `asm-rs` makes of `statement`.
pub(super) fn propose(statement: &str, architecture: Architecture) -> Result<Proposal, Refusal> {
    let arch = match architecture {
        Architecture::X86_64 => Arch::X86_64,
        Architecture::Aarch64 => Arch::Aarch64,
    };
    let encoded = catch_unwind(AssertUnwindSafe(|| encode(statement, arch)));
    let EncodedInstr { bytes, relax, .. } = encoded.map_err(|_| Refusal::Panic)??;
    Ok(Proposal { bytes: bytes.to_vec(), short: relax.map(|relax| relax.short_bytes.to_vec()) })
}

fn encode(statement: &str, arch: Arch) -> Result<EncodedInstr, Refusal> {
    let tokens = lexer::tokenize_with_syntax(statement, Syntax::Intel).map_err(refusal)?;
    let statements = parser::parse_with_syntax(&tokens, arch, Syntax::Intel).map_err(refusal)?;
    match &statements[..] {
        [Statement::Instruction(instruction)] => {
            encode_instruction(instruction, arch).map_err(refusal)
        }
        _ => Err(Refusal::UnknownMnemonic),
    }
}

fn refusal(error: AsmError) -> Refusal {
    match error {
        AsmError::UnknownMnemonic { .. } => Refusal::UnknownMnemonic,
        AsmError::InvalidOperands { detail, .. } => Refusal::Other(detail),
        AsmError::ImmediateOverflow { value, min, max, .. } => {
            Refusal::Other(format!("{value} is not from {min} to {max}"))
        }
        AsmError::Syntax { msg, .. } => Refusal::Other(msg),
        other => Refusal::Other(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Refusal, propose};
    use crate::target::Architecture;

    /// `asm-rs` negates the smallest number, which only panics where overflow is checked.
    #[cfg(debug_assertions)]
    #[test]
    fn a_panic_is_a_refusal() {
        let statement = "mov rax, [rax - 9223372036854775808]";
        let refusal = propose(statement, Architecture::X86_64).err();
        assert!(matches!(refusal, Some(Refusal::Panic)));
    }
}
