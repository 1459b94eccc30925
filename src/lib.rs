//! Turns machine code and data into executables.

pub mod arch;
pub mod error;
pub mod program;
pub mod target;
pub mod units;

pub use error::{Error, ErrorKind, Errors, Note, Place, Result};
pub use program::Program;
pub use target::{Architecture, OperatingSystem, Target};
pub use units::{Address, Align, FileOffset, Size};
