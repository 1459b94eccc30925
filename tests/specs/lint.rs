//! Linted: no file that minild writes breaks a rule of those who load it, nor of others who could.

use libtest_mimic::Trial;
use minild::view::lint;

use crate::Checked;
use crate::case::Case;

pub(crate) fn trial(case: Case) -> Trial {
    Trial::test(case.test_name("lints"), move || case.link(|_, image| lints(&image.bytes)))
}

/// Fails with what is found.
pub(crate) fn lints(file: &[u8]) -> Checked {
    let lint = lint::lint(file)?;
    let findings = lint.findings.iter().map(|finding| {
        format!(
            "{}[{}]: {} ({} at {:#x})",
            finding.severity,
            finding.rule.name,
            finding.message,
            finding.place.structure,
            finding.place.offset
        )
    });
    let findings: Vec<_> = findings.collect();
    if findings.is_empty() { Ok(()) } else { Err(findings.join("\n").into()) }
}
