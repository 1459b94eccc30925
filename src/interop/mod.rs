//! What other crates' types are here.
//!
//! [`object`] has what the crate of that name calls things: who reads object files with it, or wrote them with it so
//! far, converts a section's kind, a symbol and a relocation at a time. A code generator with types of its own does the
//! same by hand: `examples/cranelift` of the source tree is the whole of it for Cranelift.

pub mod object;
