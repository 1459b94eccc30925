//! What the checks find, gathered: the place in the file, the value, and who minds.

use std::fmt::Write;

use super::rule::{Loader, Rule, Severity, Subject};

/// More findings of one rule than these are only counted: a file can be wrong in a million places.
const MOST_OF_ONE_RULE: usize = 20;

/// A place in a file that breaks a rule.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// How badly the file does without, with the loaders that it is made for.
    pub severity: Severity,
    /// Who minds: the file's own loaders, or where none of them does, others.
    pub loaders: Vec<Loader>,
    /// Where.
    pub place: Place,
    /// One sentence that names the thing, the value and what would be legal.
    pub message: String,
}

/// Bytes of a file, and the structure that they belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// Bytes from the file's start.
    pub offset: u64,
    /// Bytes; 0 where something is missing.
    pub size: u64,
    /// The structure, and the field of it, by the names of the format's specification.
    pub structure: String,
}

impl Place {
    pub(super) fn new(offset: u64, size: u64, structure: impl Into<String>) -> Self {
        Self { offset, size, structure: structure.into() }
    }
}

/// Where one file's findings are gathered.
#[derive(Debug)]
pub(super) struct Report<'s> {
    subject: &'s Subject,
    /// Where the part of the file that is looked at begins, and what it is called.
    part: (u64, &'static str),
    rule: Option<&'static Rule>,
    severity: Severity,
    loaders: Vec<Loader>,
    first_of_rule: usize,
    uncounted: usize,
    pub(super) findings: Vec<Finding>,
}

impl<'s> Report<'s> {
    pub(super) fn new(subject: &'s Subject) -> Self {
        Self {
            subject,
            part: (0, ""),
            rule: None,
            severity: Severity::Note,
            loaders: Vec::new(),
            first_of_rule: 0,
            uncounted: 0,
            findings: Vec::new(),
        }
    }

    /// Says that all places lie in a part of the file, which begins at `offset`.
    pub(super) fn within(self, offset: u64, name: &'static str) -> Self {
        Self { part: (offset, name), ..self }
    }

    /// Turns to a rule, which the next findings belong to; whether anybody who may load this file demands it.
    pub(super) fn begin(&mut self, rule: &'static Rule) -> bool {
        let made: Vec<_> = rule.by.iter().filter(|demand| demand.is_of(self.subject)).collect();
        let is_own = |loader| self.subject.loaders.contains(&loader);
        let own: Vec<_> = made.iter().filter(|demand| is_own(demand.loader)).collect();
        let worst = own.iter().map(|demand| demand.severity).max();
        (self.severity, self.loaders) = if let Some(severity) = worst {
            (severity, own.iter().map(|demand| demand.loader).collect())
        } else {
            let is_other = |loader: &Loader| self.subject.others.contains(loader);
            let others = made.iter().map(|demand| demand.loader).filter(is_other);
            (Severity::Note, others.collect())
        };
        self.rule = Some(rule);
        self.first_of_rule = self.findings.len();
        self.uncounted = 0;
        !self.loaders.is_empty()
    }

    /// Reports a place that breaks the rule.
    pub(super) fn add(&mut self, place: Place, message: impl Into<String>) {
        if self.findings.len() - self.first_of_rule >= MOST_OF_ONE_RULE {
            self.uncounted += 1;
            return;
        }
        let (start, part) = self.part;
        let structure = match part {
            "" => place.structure,
            part => format!("{part} slice, {}", place.structure),
        };
        self.findings.push(Finding {
            rule: self.rule.expect("a rule was turned to"),
            severity: self.severity,
            loaders: self.loaders.clone(),
            place: Place { offset: start.saturating_add(place.offset), structure, ..place },
            message: message.into(),
        });
    }

    /// Ends a rule: says how many places were only counted.
    pub(super) fn end(&mut self) {
        if let Some(last) = self.findings.last_mut().filter(|_| self.uncounted > 0) {
            // Writing to a string cannot fail.
            let _ = write!(last.message, " (and {} more places)", self.uncounted);
        }
    }
}
