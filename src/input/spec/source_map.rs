//! Where the parts of a program stand in its spec.

use super::document::Span;
use crate::error::{Error, Errors, Note, Place};
use crate::program::{SectionId, SymbolId};

/// Leads from the sections and symbols of a [`Program`](crate::Program) back to the text that it was
/// made from, so that what the link finds wrong is shown where the user wrote it.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    sections: Vec<SectionSource>,
    symbols: Vec<Option<Span>>,
    /// The keys of what the spec asks of the system, and where they are answered.
    wishes: Vec<(&'static str, Span)>,
    libraries: Vec<Span>,
    exports: Vec<Span>,
}

/// Where a section comes from.
#[derive(Clone, Debug)]
struct SectionSource {
    span: Span,
    /// What its table asks for, by key.
    wishes: Vec<(&'static str, Span)>,
    /// Offsets in the section, ascending, and where the bytes from there on stand.
    marks: Vec<(u64, Span)>,
}

impl SourceMap {
    /// The same error, with every place that this map knows as a place in the text.
    #[must_use]
    pub fn locate(&self, mut error: Error) -> Error {
        let locate = |note: Note| Note { place: self.place(note.place), ..note };
        error.notes = error.notes.into_iter().map(locate).collect();
        error
    }

    /// The same errors, each as [`locate`](Self::locate) gives it.
    #[must_use]
    pub fn locate_all(&self, errors: Errors) -> Errors {
        errors.map(|error| self.locate(error))
    }

    fn place(&self, place: Place) -> Place {
        let span = match &place {
            Place::Section { section, offset } => self.section(*section, *offset),
            Place::SectionWish { section, key } => self.section_wish(*section, key),
            Place::Symbol(symbol) => self.symbols.get(symbol.index()).cloned().flatten(),
            Place::Wish(key) => {
                let said = self.wishes.iter().find(|(known, _)| known == key);
                said.map(|(_, span)| span.clone())
            }
            Place::Export(index) => self.exports.get(*index).cloned(),
            Place::Library(library) => self.libraries.get(library.index()).cloned(),
            _ => None,
        };
        span.map_or(place, Place::Text)
    }

    fn section(&self, section: SectionId, offset: u64) -> Option<Span> {
        let source = self.sections.get(section.index())?;
        let mark = source.marks.partition_point(|&(start, _)| start <= offset).checked_sub(1);
        Some(mark.map_or(&source.span, |mark| &source.marks[mark].1).clone())
    }

    fn section_wish(&self, section: SectionId, key: &str) -> Option<Span> {
        let source = self.sections.get(section.index())?;
        let said = source.wishes.iter().find(|(known, _)| *known == key);
        Some(said.map_or(&source.span, |(_, span)| span).clone())
    }

    /// What the spec says of the wish `key` stands at `span`.
    pub(super) fn add_wish(&mut self, key: &'static str, span: &Span) {
        self.wishes.push((key, span.clone()));
    }

    /// The next library that is added to the program stands at `span`.
    pub(super) fn add_library(&mut self, span: &Span) {
        self.libraries.push(span.clone());
    }

    /// The next export that is added to the program stands at `span`.
    pub(super) fn add_export(&mut self, span: &Span) {
        self.exports.push(span.clone());
    }

    /// The next section that is added to the program stands at `span`, and what its table asks for at `wishes`.
    pub(super) fn add_section(&mut self, span: Span, wishes: Vec<(&'static str, Span)>) {
        self.sections.push(SectionSource { span, wishes, marks: Vec::new() });
    }

    /// What lies from `offset` of `section` on, behind the last such place, stands at `span`.
    pub(super) fn add_mark(&mut self, section: SectionId, offset: u64, span: &Span) {
        self.sections[section.index()].marks.push((offset, span.clone()));
    }

    /// `symbol` stands at `span`, unless that is known already.
    pub(super) fn add_symbol(&mut self, symbol: SymbolId, span: &Span) {
        if self.symbols.len() <= symbol.index() {
            self.symbols.resize(symbol.index() + 1, None);
        }
        self.symbols[symbol.index()].get_or_insert_with(|| span.clone());
    }
}
