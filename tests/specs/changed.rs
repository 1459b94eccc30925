//! Changed: what other people's tools make of files when they strip or copy them breaks no rule either, and runs.
//!
//! `llvm-strip` and `llvm-objcopy` sign a Mach-O file again; for Intel they move its segments to pages of 4 KiB. Those of
//! GNU know no Mach-O, and Debian's no arm64.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use libtest_mimic::Trial;
use minild::program::OutputKind;
use minild::{Architecture, OperatingSystem, Target};

use crate::bench::{Bench, tool};
use crate::case::{Case, Variant, all, read, root};
use crate::{Checked, linted, missing, needing, no_runner};

/// The specs whose files are changed: each has something that the others have not, and a tool could lose.
const CHANGED: &[&str] = &["hello", "bss", "pointers", "init", "tls", "puts", "library"];

/// A tool, and how it is told where its output goes.
struct Tool {
    program: &'static str,
    output: &'static [&'static str],
    package: &'static str,
    is_for: fn(Target) -> bool,
}

const TOOLS: &[Tool] = &[
    Tool { program: "llvm-strip-19", output: &["-o"], package: "llvm-19", is_for: |_| true },
    Tool { program: "llvm-objcopy-19", output: &[], package: "llvm-19", is_for: |_| true },
    Tool { program: "strip", output: &["-o"], package: "binutils", is_for: is_gnus },
    Tool { program: "objcopy", output: &[], package: "binutils", is_for: is_gnus },
];

fn is_gnus(target: Target) -> bool {
    target.architecture == Architecture::X86_64 && target.operating_system != OperatingSystem::MacOs
}

pub(crate) fn trials() -> Vec<Trial> {
    let is_changed = |case: &Case| {
        // With symbols, so that there is something to strip.
        let variant = match case.target.operating_system {
            OperatingSystem::Windows | OperatingSystem::Uefi => Variant::Symbols,
            _ => Variant::Default,
        };
        let is_sample = case.path.starts_with(root().join("samples"));
        is_sample && case.variant == variant && CHANGED.contains(&case.name().as_str())
    };
    let mut trials = Vec::new();
    for case in all().into_iter().filter(is_changed) {
        for changer in TOOLS.iter().filter(|changer| (changer.is_for)(case.target)) {
            let name = format!("changed::{}::{}::{}", case.name(), case.target, changer.program);
            let missing = missing(changer.program, changer.package);
            let missing = missing.or_else(|| no_runner(case.target));
            let case = case.clone();
            trials.push(needing(missing, name, move || stays_well(&case, changer)));
        }
    }
    trials
}

fn stays_well(case: &Case, changer: &Tool) -> Checked {
    case.link(|_, image| {
        let bench = Bench::new(case.target);
        let (ours, theirs) = (bench.path("ours"), bench.path("theirs.exe"));
        fs::write(&ours, &image.bytes)?;
        fs::set_permissions(&ours, fs::Permissions::from_mode(0o755))?;
        let mut command = Command::new(changer.program);
        tool(command.arg(&ours).args(changer.output).arg(&theirs))?;
        linted::file_is_linted(&theirs);

        let spec = read(&case.path);
        let is_library = spec.kind(case.target) == OutputKind::SharedLibrary;
        // Firmware takes seconds to start, and what it looks at is what lint does.
        if is_library || case.target.operating_system == OperatingSystem::Uefi {
            return Ok(());
        }
        let tests = spec.tests().iter().filter(|test| test.is_for(case.target));
        let mut runs = 0;
        for test in tests {
            let arguments: Vec<_> = test.args().iter().map(String::as_str).collect();
            let shown = bench.run("theirs.exe", &arguments)?;
            let is_whole = |text: &str| shown.stdout == text;
            let has_all = test.contains().iter().all(|part| shown.stdout.contains(part));
            if shown.status != 42 || !test.stdout().is_none_or(is_whole) || !has_all {
                return Err(format!("what it did before it does no more: {shown:#?}").into());
            }
            runs += 1;
        }
        if runs == 0 { Err("nothing says what it must show".into()) } else { Ok(()) }
    })
}
