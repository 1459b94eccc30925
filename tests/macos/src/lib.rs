//! A small macOS for the tests: executes and refuses Mach-O files as xnu and dyld do.

#![deny(unsafe_code)]

pub mod arch;
pub mod bytes;
pub mod dyld;
pub mod engine;
pub mod fat;
pub mod host;
pub mod kernel;
pub mod macho;
pub mod process;
pub mod rule;
pub mod run;
pub mod signature;
pub mod space;
pub mod system;
