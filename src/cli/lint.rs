//! `minild lint`: which loaders' rules a file breaks, with what a user would see of it.

use std::fmt::{Display, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use annotate_snippets::{Group, Level, Origin, Renderer};
use clap::ValueEnum;
use minild::Error;
use minild::error::nearest_name;
use minild::view::lint::{self, Finding, Lint, Rule, Severity};
use serde::Serialize;

use super::read_file::{name, read_file, shown};
use super::report::Report;
use super::table::{Side, Table};
use super::{Failure, print};

mod sarif;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// ELF64, Mach-O and PE32+ files for x86-64 and arm64; `-` reads one from standard input
    #[arg(value_name = "FILE", required_unless_present_any = ["explain", "rules"])]
    files: Vec<PathBuf>,
    /// Explain a rule: who demands what, what a user sees, what to change
    #[arg(long, value_name = "RULE", conflicts_with = "files")]
    explain: Option<String>,
    /// List all rules
    #[arg(long, conflicts_with_all = ["files", "explain"])]
    rules: bool,
    /// How to print
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON document on standard output
    Json,
    /// One SARIF 2.1.0 document on standard output, for code hosts and editors
    Sarif,
}

impl Arguments {
    /// How errors are printed that keep the command from its work.
    pub(super) fn error_format(&self) -> super::Format {
        match self.format {
            Format::Json => super::Format::Json,
            Format::Text | Format::Sarif => super::Format::Text,
        }
    }
}

/// A file, and what was found in it or why it could not be looked at.
struct Looked<'a> {
    path: &'a Path,
    result: Result<Lint, Error>,
}

pub(super) fn lint(arguments: &Arguments) -> Result<ExitCode, Failure> {
    if let Some(name) = &arguments.explain {
        return explain(name, arguments.format);
    }
    if arguments.rules {
        return list(arguments.format);
    }
    let looked: Vec<_> = arguments.files.iter().map(|path| look(path)).collect();
    let unread = unread(&looked);
    match arguments.format {
        Format::Text => {
            print::text(&text(&looked))?;
            unread.print(super::Format::Text)?;
        }
        Format::Json => print::json(&document(&looked, &unread))?,
        Format::Sarif => print::pretty(&sarif::document(&looked))?,
    }
    let lints = looked.iter().filter_map(|looked| looked.result.as_ref().ok());
    let is_broken = lints.map(Lint::worst).any(|worst| worst == Some(Severity::Error));
    let is_well = unread.is_empty() && !is_broken;
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn look(path: &Path) -> Looked<'_> {
    Looked { path, result: read_file(path).and_then(|bytes| lint::lint(&bytes)) }
}

/// What kept files from being looked at.
fn unread(looked: &[Looked<'_>]) -> Report {
    let mut report = Report::default();
    for looked in looked {
        if let Err(error) = &looked.result {
            report.merge(Report::of_file(&name(looked.path), error.clone()));
        }
    }
    report
}

const fn level(severity: Severity) -> Level<'static> {
    match severity {
        Severity::Note => Level::NOTE,
        Severity::Warning => Level::WARNING,
        Severity::Error => Level::ERROR,
    }
}

/// Who minds, as a sentence's subject.
fn loaders(finding: &Finding) -> String {
    let names: Vec<_> = finding.loaders.iter().map(|loader| loader.title()).collect();
    match finding.severity {
        Severity::Note => format!("only {}", names.join(", ")),
        Severity::Warning | Severity::Error => names.join(", "),
    }
}

/// Each finding under a title, a blank line behind it; then what each file is, and how many it has.
fn text(looked: &[Looked<'_>]) -> String {
    let renderer = Renderer::styled();
    let mut text = String::new();
    for Looked { path, result } in looked {
        let Ok(lint) = result else { continue };
        let path = shown(path);
        for finding in &lint.findings {
            text.push_str(&renderer.render(&[group(&path, finding)]));
            text.push_str("\n\n");
        }
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{path}: {}: {}", lint.file, counts(lint));
    }
    text
}

fn group<'f>(path: &impl Display, finding: &'f Finding) -> Group<'f> {
    let place = format!("{path}:{:#x} ({})", finding.place.offset, finding.place.structure);
    let demand = format!("{}: {}", loaders(finding), finding.rule.demand);
    let title = level(finding.severity).primary_title(&finding.message);
    Group::with_title(title.id(finding.rule.name))
        .element(Origin::path(place))
        .element(Level::NOTE.message(demand))
        .element(Level::NOTE.message(finding.rule.symptom))
        .element(Level::HELP.message(finding.rule.cure))
}

/// `1 error, 2 warnings`, or that there are none.
fn counts(lint: &Lint) -> String {
    let severities = [Severity::Error, Severity::Warning, Severity::Note];
    let counts: Vec<_> = severities
        .iter()
        .filter_map(|severity| {
            let same = lint.findings.iter().filter(|finding| finding.severity == *severity);
            match same.count() {
                0 => None,
                1 => Some(format!("1 {severity}")),
                count => Some(format!("{count} {severity}s")),
            }
        })
        .collect();
    if counts.is_empty() { "no findings".to_owned() } else { counts.join(", ") }
}

#[derive(Serialize)]
struct Document<'a, E> {
    files: Vec<JsonFile<'a>>,
    /// What kept other files from being looked at.
    #[serde(flatten)]
    errors: E,
}

#[derive(Serialize)]
struct JsonFile<'a> {
    path: String,
    /// What it is.
    file: &'a str,
    findings: Vec<JsonFinding<'a>>,
}

#[derive(Serialize)]
struct JsonFinding<'a> {
    rule: &'static str,
    severity: &'static str,
    loaders: Vec<&'static str>,
    message: &'a str,
    /// Bytes from the file's start.
    offset: u64,
    /// Bytes; 0 where something is missing.
    size: u64,
    structure: &'a str,
    symptom: &'static str,
    cure: &'static str,
}

fn document<'a>(looked: &'a [Looked<'_>], unread: &Report) -> Document<'a, impl Serialize> {
    let files = looked.iter().filter_map(|Looked { path, result }| {
        let lint = result.as_ref().ok()?;
        let findings = lint.findings.iter().map(json_finding).collect();
        Some(JsonFile { path: name(path), file: &lint.file, findings })
    });
    Document { files: files.collect(), errors: unread.json() }
}

fn json_finding(finding: &Finding) -> JsonFinding<'_> {
    JsonFinding {
        rule: finding.rule.name,
        severity: finding.severity.name(),
        loaders: finding.loaders.iter().map(|loader| loader.name()).collect(),
        message: &finding.message,
        offset: finding.place.offset,
        size: finding.place.size,
        structure: &finding.place.structure,
        symptom: finding.rule.symptom,
        cure: finding.rule.cure,
    }
}

#[derive(Serialize)]
struct JsonRule {
    name: &'static str,
    demand: &'static str,
    by: Vec<JsonDemand>,
    symptom: &'static str,
    cure: &'static str,
    source: &'static str,
}

#[derive(Serialize)]
struct JsonDemand {
    severity: &'static str,
    loader: &'static str,
    /// Only files for this architecture.
    architecture: Option<&'static str>,
    /// Only `program`s, or only libraries (`library`).
    kind: Option<&'static str>,
    /// Only files linked against this SDK or a later one.
    sdk: Option<String>,
}

fn json_rule(rule: &Rule) -> JsonRule {
    let by = rule.by.iter().map(|demand| JsonDemand {
        severity: demand.severity.name(),
        loader: demand.loader.name(),
        architecture: demand.architecture.map(minild::Architecture::name),
        kind: demand.kind.map(|kind| match kind {
            lint::Kind::Program => "program",
            lint::Kind::Library => "library",
        }),
        sdk: demand.sdk.map(|sdk| sdk.to_string()),
    });
    JsonRule {
        name: rule.name,
        demand: rule.demand,
        by: by.collect(),
        symptom: rule.symptom,
        cure: rule.cure,
        source: rule.source,
    }
}

fn explain(name: &str, format: Format) -> Result<ExitCode, Failure> {
    let rule = lint::rule(name).ok_or_else(|| {
        let names = lint::rules().map(|rule| rule.name);
        Failure::Usage(match nearest_name(name, names) {
            Some(near) => format!("no rule is called `{name}`; did you mean `{near}`?"),
            None => format!("no rule is called `{name}`; `minild lint --rules` lists all"),
        })
    })?;
    match format {
        Format::Text => {
            let by: Vec<_> = rule.by.iter().map(ToString::to_string).collect();
            print::text(&format!(
                "{}\n\n  demand   {}\n  by       {}\n  symptom  {}\n  cure     {}\n  source   {}\n",
                rule.name,
                rule.demand,
                by.join("\n           "),
                rule.symptom,
                rule.cure,
                rule.source
            ))?;
        }
        Format::Json => print::json(&json_rule(rule))?,
        Format::Sarif => return Err(no_findings()),
    }
    Ok(ExitCode::SUCCESS)
}

fn list(format: Format) -> Result<ExitCode, Failure> {
    #[derive(Serialize)]
    struct Rules {
        rules: Vec<JsonRule>,
    }
    match format {
        Format::Text => {
            let mut table = Table::new([
                ("rule", Side::Left),
                ("severity", Side::Left),
                ("demand", Side::Left),
            ]);
            for rule in lint::rules() {
                let worst = rule.by.iter().map(|demand| demand.severity).max();
                let severity = worst.map_or(String::new(), |worst| worst.to_string());
                table.row([rule.name.to_owned(), severity, rule.demand.to_owned()]);
            }
            print::text(&table.render())?;
        }
        Format::Json => {
            let rules = lint::rules().map(json_rule).collect();
            print::json(&Rules { rules })?;
        }
        Format::Sarif => return Err(no_findings()),
    }
    Ok(ExitCode::SUCCESS)
}

fn no_findings() -> Failure {
    Failure::Usage("a SARIF document is about files: name some".to_owned())
}
