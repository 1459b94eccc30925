//! The small macOS, held against files that minild did not write: C programs by clang and ld64.lld, and a static
//! program assembled for the purpose.

mod broken;
mod edit;
mod programs;
mod refusals;
mod toolchain;
