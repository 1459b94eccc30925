//! Which loaders' rules a file breaks, whoever wrote it.
//!
//! Takes the bytes of an ELF64, Mach-O or PE32+ file for x86-64 or arm64 and gives [`Finding`]s: the rule, the
//! place in the file, the value, and how badly the loaders of this file mind. The rules are written from the
//! loaders' sources and the formats' specifications, and know nothing of how this crate writes files.
//!
//! A rule is a row of a table ([`Rule`]): one file a family of them, the checks below the rows. A check trusts
//! nothing that it has not looked at itself; where a structure is so broken that others cannot be found, the rule
//! that it breaks is reported and those others are not.

mod bytes;
mod elf;
mod macho;
mod pe;
mod report;
mod rule;
mod unloaded;

pub use report::{Finding, Place};
pub use rule::{Demand, Kind, Loader, Rule, Severity, Version};

use crate::error::{Error, ErrorKind};
use bytes::Bytes;

/// What was looked at, and what was found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Lint {
    /// What the file is: `ELF64 program, x86_64`.
    pub file: String,
    /// What it breaks, in the order of the rules; empty where all is well.
    pub findings: Vec<Finding>,
}

impl Lint {
    /// The worst severity of all findings.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}

/// Every rule, by format and family.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    [elf::FAMILIES, pe::FAMILIES, macho::FAMILIES].into_iter().flatten().copied().flatten()
}

/// The rule of this name.
#[must_use]
pub fn rule(name: &str) -> Option<&'static Rule> {
    rules().find(|rule| rule.name == name)
}

/// Looks at a file.
///
/// ```
/// let program = b"\x7fELF\x02\x01\x01 and no more";
/// let lint = minild::view::lint::lint(program)?;
/// assert_eq!(lint.findings[0].rule.name, "elf/truncated");
/// # Ok::<(), minild::Error>(())
/// ```
///
/// # Errors
/// When it is none of the files that the rules are about; it is said what it seems to be.
pub fn lint(bytes: &[u8]) -> Result<Lint, Error> {
    let bytes = Bytes(bytes);
    if let Some(what) = unloaded::what_it_is(bytes) {
        return Err(unsupported(&format!("it is {what}")));
    }
    match bytes.0 {
        [0x7f, b'E', b'L', b'F', ..] => elf::lint(bytes),
        [b'M', b'Z', ..] => pe::lint(bytes),
        _ => macho::lint(bytes),
    }
}

/// What is said of a file that the rules are not about.
fn unsupported(what_it_is: &str) -> Error {
    let message = format!(
        "{what_it_is}; lint is for ELF64, Mach-O and PE32+ executables for x86-64 and arm64"
    );
    Error::new(ErrorKind::Unsupported, message)
}
