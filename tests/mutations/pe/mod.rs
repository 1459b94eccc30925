//! PE: programs and libraries for Windows under wine, changed in each header and table. Wine loads more than Windows
//! does: that a changed file works says nothing.

mod fields;
mod subjects;

use libtest_mimic::Trial;

/// One trial a subject.
pub(crate) fn trials() -> Vec<Trial> {
    subjects::trials()
}
