//! Findings as SARIF 2.1.0 (OASIS, Static Analysis Results Interchange Format), which code hosts and editors show.

use std::collections::BTreeMap;
use std::path::Path;

use minild::view::lint::{Finding, Rule, Severity, rules};
use serde_json::{Value, json};

use super::Looked;

/// The document: one run, with the rules that were broken.
pub(super) fn document(looked: &[Looked<'_>]) -> Value {
    let found = || {
        looked.iter().flat_map(|looked| {
            let findings = looked.result.iter().flat_map(|lint| &lint.findings);
            findings.map(move |finding| (looked.path, finding))
        })
    };
    let broken: BTreeMap<_, _> =
        found().map(|(_, finding)| (finding.rule.name, finding.rule)).collect();
    // In the order of the tables, as `--rules` lists them.
    let broken: Vec<_> = rules().filter(|rule| broken.contains_key(rule.name)).collect();
    let results: Vec<_> = found().map(|(path, finding)| result(path, finding, &broken)).collect();
    let artifacts: Vec<_> =
        looked.iter().map(|looked| json!({ "location": { "uri": uri(looked.path) } })).collect();
    let unread: Vec<_> = looked
        .iter()
        .filter_map(|looked| {
            let error = looked.result.as_ref().err()?;
            Some(json!({
                "level": "error",
                "message": { "text": error.to_string() },
                "locations": [{ "physicalLocation": { "artifactLocation": { "uri": uri(looked.path) } } }],
            }))
        })
        .collect();
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "minild lint",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": broken.iter().map(|rule| descriptor(rule)).collect::<Vec<_>>(),
            } },
            "invocations": [{
                "executionSuccessful": unread.is_empty(),
                "toolExecutionNotifications": unread,
            }],
            "artifacts": artifacts,
            "results": results,
        }],
    })
}

fn descriptor(rule: &Rule) -> Value {
    json!({
        "id": rule.name,
        "shortDescription": { "text": format!("{}.", rule.demand) },
        "fullDescription": { "text": format!("{}. {}", rule.demand, rule.symptom) },
        "help": { "text": format!("{}. Source: {}", rule.cure, rule.source) },
        "defaultConfiguration": {
            "level": rule.by.iter().map(|demand| demand.severity).max().map_or("none", level),
        },
    })
}

fn result(path: &Path, finding: &Finding, broken: &[&Rule]) -> Value {
    let index = broken.iter().position(|rule| rule.name == finding.rule.name);
    json!({
        "ruleId": finding.rule.name,
        "ruleIndex": index,
        "level": level(finding.severity),
        "message": { "text": finding.message },
        "locations": [{
            "physicalLocation": {
                "artifactLocation": { "uri": uri(path) },
                "region": { "byteOffset": finding.place.offset, "byteLength": finding.place.size },
            },
            "logicalLocations": [{ "fullyQualifiedName": finding.place.structure }],
        }],
    })
}

/// SARIF has the same three words.
const fn level(severity: Severity) -> &'static str {
    severity.name()
}

/// A path as a relative or absolute reference (RFC 3986): what is not plain is escaped.
fn uri(path: &Path) -> String {
    let path = path.display().to_string();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    path.bytes()
        .map(|byte| match byte {
            plain if is_plain(plain) => char::from(plain).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_escaped() {
        assert_eq!(uri(Path::new("a b/ü.exe")), "a%20b/%C3%BC.exe");
    }
}
