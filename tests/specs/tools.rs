//! Read by the tools that people use: without an error, and without a warning.

use std::fs;
use std::process::Command;

use libtest_mimic::Trial;

use crate::case::Case;
use crate::{Checked, missing, needing};

/// A tool, and how it is asked for all that it can read.
struct Tool {
    /// Its name; of LLVM's a version that knows chained fixups.
    program: &'static str,
    arguments: &'static [&'static str],
    /// The Debian package that has it.
    package: &'static str,
    /// What it is to read.
    format: &'static str,
}

const TOOLS: &[Tool] = &[
    Tool { program: "llvm-readobj", arguments: &["--all"], package: "llvm", format: "ELF64" },
    Tool {
        program: "readelf",
        arguments: &["--all", "--wide"],
        package: "binutils",
        format: "ELF64",
    },
    Tool {
        program: "llvm-readobj-19",
        arguments: &[
            "--all",
            "--macho-data-in-code",
            "--macho-dysymtab",
            "--macho-indirect-symbols",
            "--macho-linker-options",
            "--macho-segment",
            "--macho-version-min",
        ],
        package: "llvm-19",
        format: "Mach-O",
    },
    Tool {
        program: "llvm-objdump-19",
        arguments: &[
            "--macho",
            "--all-headers",
            "--chained-fixups",
            "--dyld-info",
            "--exports-trie",
            "--function-starts",
            "--indirect-symbols",
            "--dylibs-used",
        ],
        package: "llvm-19",
        format: "Mach-O",
    },
    Tool {
        program: "llvm-readobj-19",
        arguments: &[
            "--all",
            "--coff-basereloc",
            "--coff-debug-directory",
            "--coff-directives",
            "--coff-exports",
            "--coff-imports",
            "--coff-load-config",
            "--coff-resources",
            "--coff-tls-directory",
        ],
        package: "llvm-19",
        format: "PE32+",
    },
    Tool {
        program: "llvm-objdump-19",
        arguments: &["--private-headers", "--section-headers"],
        package: "llvm-19",
        format: "PE32+",
    },
];

pub(crate) fn trials(case: &Case) -> impl Iterator<Item = Trial> {
    let format = case.target.operating_system.format();
    let tools = TOOLS.iter().filter(move |tool| tool.format == format);
    tools.map(|tool| {
        let case = case.clone();
        let name = case.test_name(tool.program);
        let missing = missing(tool.program, tool.package);
        needing(missing, name, move || reads_cleanly(tool.program, tool.arguments, &case))
    })
}

fn reads_cleanly(tool: &str, arguments: &[&str], case: &Case) -> Checked {
    case.link(|_, image| {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("program");
        fs::write(&path, &image.bytes)?;
        let output = Command::new(tool).args(arguments).arg(&path).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() || !output.stderr.is_empty() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{}: {stderr}\n{text}", output.status).into());
        }
        let complaint = |line: &&str| {
            let line = line.to_lowercase();
            // Names such as GetLastError are none.
            ["warning:", "error:", "corrupt", "<unknown", "invalid"]
                .iter()
                .any(|word| line.contains(word))
        };
        match text.lines().find(complaint) {
            Some(line) => Err(format!("{tool} says: {line}").into()),
            None if [".text", "__text"].iter().any(|name| text.contains(name)) => Ok(()),
            None => Err(format!("{tool} did not read the sections: {text}").into()),
        }
    })
}
