//! Errors as people and programs read them: in the text that they lie in, or as JSON.
//!
//! Takes errors whose places are bytes of a spec's text; the library describes, this file renders.

use std::io::{self, Write};
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use minild::view::reader::Name;
use minild::{Error, ErrorKind, Place, Target};
use serde::Serialize;

use super::{Format, print};

/// A text that errors lie in.
#[derive(Clone, Debug, Default)]
pub(super) struct Source {
    /// What the user calls it: a path as it was given.
    pub(super) name: String,
    /// The text; empty where it could not be read.
    pub(super) text: String,
}

impl Source {
    /// Its name as people read it.
    pub(super) fn shown(&self) -> Name<'_> {
        shown(&self.name)
    }
}

/// An error, and the targets that show it where not all do.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    /// The error.
    pub(super) error: Error,
    /// Empty where every target shows it.
    pub(super) targets: Vec<Target>,
}

impl From<Error> for Finding {
    fn from(error: Error) -> Self {
        Self { error, targets: Vec::new() }
    }
}

/// Everything that is wrong with the inputs of one command.
#[derive(Debug, Default)]
pub(super) struct Report {
    findings: Vec<(Source, Vec<Finding>)>,
}

impl Report {
    /// What is wrong with one text: told from its top to its bottom.
    pub(super) fn new(source: Source, mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| {
            in_text(&source, &finding.error).next().map(|(span, _)| span.start)
        });
        Self { findings: vec![(source, findings)] }
    }

    /// An error that lies in no text.
    pub(super) fn of_message(message: String) -> Self {
        Self::new(Source::default(), vec![Error::new(ErrorKind::File, message).into()])
    }

    /// An error of a file of which there is no text: what the user calls it, and what is wrong.
    pub(super) fn of_file(name: &str, error: Error) -> Self {
        Self::new(Source { name: name.to_owned(), text: String::new() }, vec![error.into()])
    }

    /// Adds what is wrong with other texts.
    pub(super) fn merge(&mut self, other: Self) {
        self.findings.extend(other.findings);
    }

    /// Whether nothing is wrong.
    pub(super) fn is_empty(&self) -> bool {
        self.findings.iter().all(|(_, findings)| findings.is_empty())
    }

    /// Tells people on standard error, programs on standard output.
    pub(super) fn print(&self, format: Format) -> io::Result<()> {
        match format {
            Format::Json => print::json(&self.json()),
            Format::Text => {
                let mut stderr = anstream::stderr().lock();
                // Where nobody listens there is nobody to tell about it; the status says it.
                let _ = stderr.write_all(self.text().as_bytes());
                Ok(())
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = (&Source, &Finding)> {
        let each = self.findings.iter();
        each.flat_map(|(source, findings)| findings.iter().map(move |finding| (source, finding)))
    }

    /// Each error under a title, in its lines of the text, a blank line behind it.
    fn text(&self) -> String {
        let renderer = Renderer::styled();
        let mut text = String::new();
        for (source, finding) in self.all() {
            text.push_str(&renderer.render(&groups(source, finding)));
            text.push('\n');
            if in_text(source, &finding.error).next().is_some() {
                text.push('\n');
            }
        }
        for (source, findings) in self.findings.iter().filter(|(_, findings)| findings.len() > 1) {
            let summary = format!("{} has {} errors", source.shown(), findings.len());
            let title = Group::with_title(Level::ERROR.primary_title(&summary));
            text.push_str(&renderer.render(&[title]));
            text.push('\n');
        }
        text
    }

    /// The report as a JSON document.
    pub(super) fn json(&self) -> impl Serialize + use<> {
        #[derive(Serialize)]
        struct Document {
            errors: Vec<JsonError>,
        }
        Document {
            errors: self.all().map(|(source, finding)| json_error(source, finding)).collect(),
        }
    }
}

/// A name of the user's, without what a terminal would obey.
pub(super) fn shown(name: &str) -> Name<'_> {
    Name::from(name)
}

/// The places of an error that lie in the text, the error's own first.
fn in_text<'e>(
    source: &'e Source,
    error: &'e Error,
) -> impl Iterator<Item = (Range<usize>, &'e str)> {
    error.notes.iter().filter_map(|note| match &note.place {
        Place::Text(span) if !source.text.is_empty() => {
            Some((within(&source.text, span), note.label.as_str()))
        }
        _ => None,
    })
}

/// The span, cut to whole characters of the text.
fn within(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(span.start);
    start..text.ceil_char_boundary(span.end).max(start)
}

fn groups<'r>(source: &'r Source, finding: &'r Finding) -> Vec<Group<'r>> {
    let error = &finding.error;
    let places: Vec<_> = in_text(source, error).collect();
    let targets: Vec<_> = finding.targets.iter().map(|target| target.name()).collect();
    let targets = (!targets.is_empty()).then(|| format!("for {}", targets.join(", ")));
    if places.is_empty() {
        // One line has to say it all, which text it is included; an error of a file says that itself.
        let name = match error.kind {
            ErrorKind::File => String::new(),
            _ => format!("{}: ", source.shown()),
        };
        let targets = targets.map_or(String::new(), |targets| format!(", {targets}"));
        let title = Level::ERROR.primary_title(format!("{name}{error}{targets}"));
        return vec![Group::with_title(title.id(error.kind.name()))];
    }
    let title = Level::ERROR.primary_title(&error.message).id(error.kind.name());
    let mut group = Group::with_title(title);
    let annotations = places.iter().enumerate().map(|(index, (span, label))| {
        let kind = if index == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
        kind.span(span.clone()).label((!label.is_empty()).then_some(*label))
    });
    let name = source.shown().to_string();
    let snippet = Snippet::source(&source.text).path(name).annotations(annotations);
    group = group.element(snippet);
    if let Some(targets) = targets {
        group = group.element(Level::NOTE.message(targets));
    }
    if let Some(help) = &error.help {
        group = group.element(Level::HELP.message(help));
    }
    vec![group]
}

#[derive(Serialize)]
struct JsonError {
    kind: &'static str,
    message: String,
    /// What the user calls the input.
    path: Option<String>,
    /// The error's own place first.
    places: Vec<JsonPlace>,
    help: Option<String>,
    value: Option<i128>,
    /// Least and greatest legal value.
    interval: Option<[i128; 2]>,
    /// The targets that show it; empty for all.
    targets: Vec<&'static str>,
}

#[derive(Serialize)]
struct JsonPlace {
    /// From 1.
    line: usize,
    /// From 1, in characters.
    column: usize,
    /// Bytes from the start of the text.
    start: usize,
    /// The byte behind it.
    end: usize,
    label: String,
}

fn json_error(source: &Source, finding: &Finding) -> JsonError {
    let error = &finding.error;
    let place = |(span, label): (Range<usize>, &str)| {
        let before = &source.text[..span.start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        JsonPlace {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            start: span.start,
            end: span.end,
            label: label.to_owned(),
        }
    };
    JsonError {
        kind: error.kind.name(),
        message: error.message.clone(),
        path: (!source.name.is_empty()).then(|| source.name.clone()),
        places: in_text(source, error).map(place).collect(),
        help: error.help.clone(),
        value: error.value,
        interval: error.interval.as_ref().map(|interval| [*interval.start(), *interval.end()]),
        targets: finding.targets.iter().map(|target| target.name()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_outside_the_text_or_inside_a_character_is_cut_to_what_is_there() {
        let source = Source { name: "x.toml".into(), text: "aé".into() };
        for span in [0..1, 1..2, 2..3, 3..3, 3..9, 7..9, 2..2] {
            let error = Error::new(ErrorKind::Syntax, "wrong").at(Place::Text(span), "here");
            let report = Report::new(source.clone(), vec![error.into()]);
            assert!(report.text().contains("wrong"));
            assert!(serde_json::to_string(&report.json()).is_ok_and(|json| json.contains("wrong")));
        }
    }
}
