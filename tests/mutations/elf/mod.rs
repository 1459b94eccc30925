//! ELF: programs and libraries under glibc, musl and the kernel alone, changed in each header and table.

mod fields;
mod subjects;

use libtest_mimic::Trial;

/// One trial a subject.
pub(crate) fn trials() -> Vec<Trial> {
    subjects::trials()
}
