//! What a file is, read back from its bytes: ELF64, Mach-O and PE32+, whoever wrote it.
//!
//! Takes the bytes of a file that nobody vouches for, gives what they say. Nothing here trusts a count or an offset:
//! what does not fit is [`Damage`](reader::Damage) with its place, and what lies beside it is still shown.

#[cfg(feature = "demangle")]
pub mod demangle;
#[cfg(feature = "disassemble")]
pub mod disassemble;
pub mod inspect;
pub mod lint;
pub mod reader;
