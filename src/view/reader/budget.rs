//! How many entries a file can have room for.
//!
//! Tables of a file may overlap, and a byte of opcodes may ask for a billion entries. What a loader would carry out
//! takes bytes of the file all the same; who counts these knows when the file lies.

use super::{Damage, counted};

/// A number of entries that is not exceeded.
#[derive(Clone, Debug)]
pub struct Budget {
    structure: &'static str,
    left: u64,
    whole: u64,
}

impl Budget {
    /// Room for as many entries as `bytes` bytes hold where each takes at least `each`.
    #[must_use]
    pub fn new(structure: &'static str, bytes: usize, each: u64) -> Self {
        let whole = bytes as u64 / each.max(1);
        Self { structure, left: whole, whole }
    }

    /// Takes `count` entries out of it.
    ///
    /// # Errors
    /// When there is not that much left.
    pub fn take(&mut self, count: u64) -> Result<(), Damage> {
        match self.left.checked_sub(count) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(Damage::new(
                self.structure,
                None,
                format!(
                    "more than {}, for which the file has no room",
                    counted(self.whole, "entry", "entries")
                ),
            )),
        }
    }
}
