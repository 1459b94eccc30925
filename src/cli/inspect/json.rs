//! The view as a JSON document: docs/INSPECT.md is its schema.

use minild::view::disassemble::Disassembly;
use minild::view::inspect::Inspection;
use serde::{Serialize, Serializer};

/// The document.
#[derive(Serialize)]
pub(super) struct Document<'i> {
    path: &'i str,
    #[serde(flatten)]
    file: &'i Inspection<'i>,
    /// The code of each image, line by line.
    #[serde(skip_serializing_if = "Option::is_none")]
    disassembly: Option<Vec<Lines<'i>>>,
}

impl<'i> Document<'i> {
    pub(super) fn new(
        path: &'i str,
        file: &'i Inspection<'i>,
        code: Option<&'i Vec<Disassembly<'i>>>,
    ) -> Self {
        let disassembly = code.map(|code| code.iter().map(Lines).collect());
        Self { path, file, disassembly }
    }
}

/// Lines that are made while they are written: all of them at once are far longer than the file.
struct Lines<'i>(&'i Disassembly<'i>);

impl Serialize for Lines<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.lines())
    }
}
