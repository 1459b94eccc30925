//! Mach-O: programs and libraries under the small macOS, which refuses what xnu and dyld do, changed in each load
//! command and table.

mod fields;
mod subjects;

use libtest_mimic::Trial;

/// One trial a subject.
pub(crate) fn trials() -> Vec<Trial> {
    subjects::trials()
}
