//! Files that are known to run, of other tools: lint finds nothing, or what stands in [`KNOWN`] with its reason. A
//! sample of each folder is looked at; with `MINILD_TESTS=all` everything in it.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use minild::view::lint::{self, Severity};

use crate::files;
use crate::fixtures_by_lld;
use crate::hostile::rounds;

/// Findings that are right, of files that run.
pub(crate) struct Known {
    /// What the files are, for people.
    pub(crate) what: &'static str,
    /// A part of their paths.
    path: &'static str,
    pub(crate) rules: &'static [&'static str],
    /// Why they run all the same.
    pub(crate) why: &'static str,
}

pub(crate) const KNOWN: &[Known] = &[
    Known {
        what: "wine's libraries for x86-64",
        path: "wine/x86_64-windows/",
        rules: &["pe/checksum"],
        why: "their sums were computed before their last change, and nobody asks for those of programs",
    },
    Known {
        what: "wine's libraries for arm64",
        path: "wine/aarch64-windows/",
        rules: &["pe/dynamic-base", "pe/relocation-padding", "pe/large-address-aware"],
        why: "wine loads its own past its checks; Windows would refuse them, and put the others below 2 GiB",
    },
    Known {
        what: "wine's parts for Linux on arm64",
        path: "aarch64-linux-gnu/wine/",
        rules: &["elf/large-pages", "elf/relro-large-pages"],
        why: "they are laid out for pages of 4 KiB, which wine needs anyway",
    },
    Known {
        what: "most UEFI images",
        path: ".efi",
        rules: &["pe/nx-compat", "uefi/section-alignment", "pe/section-address"],
        why: "stock firmware runs them, and firmware that protects memory does not protect them, or refuses them",
    },
    Known {
        what: "systemd-boot and its stub",
        path: "systemd/boot/efi/",
        rules: &["pe/image-size-alignment"],
        why: "firmware rounds the size up",
    },
    Known {
        what: "what systemd's stub is made from, linuxx64.elf.stub",
        path: "systemd/boot/efi/linuxx64.elf.stub",
        rules: &["elf/phdrs-unmapped"],
        why: "nobody starts it: it is turned into a UEFI image first",
    },
    Known {
        what: "programs and libraries with thread-locals by GNU ld 2.40 for Windows",
        path: "/gnu-ld/app.",
        rules: &["pe/relocation-type"],
        why: "ld has the offsets of thread-locals corrected as if they were addresses (HIGHLOW): they run until they are moved",
    },
    Known {
        what: "what `ld.lld` links for arm64 by itself",
        path: "linux-arm64.so",
        rules: &["elf/relro-large-pages"],
        why: "it pads RELRO for pages of 4 KiB",
    },
];

/// Folders of files that run, the package that has them, and of how many files a sample is.
const FOLDERS: &[(&str, &str, usize)] = &[
    ("/usr/bin", "coreutils", 40),
    ("/usr/lib/x86_64-linux-gnu", "libc6", 40),
    ("/usr/aarch64-linux-gnu/lib", "libc6-arm64-cross", 10),
    ("/usr/lib/x86_64-linux-gnu/wine/x86_64-windows", "libwine", 20),
    ("target/runners/windows-aarch64/root/usr/lib/aarch64-linux-gnu/wine/aarch64-windows", "", 20),
    ("target/runners/windows-aarch64/root/usr/lib/aarch64-linux-gnu/wine/aarch64-unix", "", 10),
    ("/usr/lib/systemd/boot/efi", "systemd-boot-efi", 10),
    ("/usr/lib/shim", "shim-unsigned shim-helpers-amd64-signed", 10),
    ("/usr/libexec/fwupd/efi", "fwupd-unsigned", 10),
    ("/usr/lib/gcc/x86_64-w64-mingw32/12-win32", "gcc-mingw-w64-x86-64-win32-runtime", 10),
    ("/usr/x86_64-w64-mingw32/lib", "mingw-w64-x86-64-dev", 10),
];

/// What lint says of a file that is not in the table.
fn unknown(path: &str, bytes: &[u8]) -> Vec<String> {
    let Ok(lint) = lint::lint(bytes) else { return Vec::new() };
    let known = KNOWN.iter().filter(|known| path.contains(known.path));
    let known: BTreeSet<_> = known.flat_map(|known| known.rules).collect();
    let findings = lint.findings.iter().filter(|finding| finding.severity > Severity::Note);
    let findings = findings.filter(|finding| !known.contains(&finding.rule.name));
    let told = |finding: &lint::Finding| {
        format!("{path}: {} {}: {}", finding.severity, finding.rule.name, finding.message)
    };
    findings.map(told).collect()
}

#[test]
fn files_of_systems_have_known_findings() {
    let mut wrong = Vec::new();
    for (folder, package, count) in FOLDERS {
        let whole = files::root().join(folder);
        let folder = whole.to_str().expect("paths here are text");
        // Libraries of object files and their like have nothing that is run.
        let is_linked =
            |name: &str| ![".a", ".o", ".la", ".pc"].iter().any(|end| name.ends_with(end));
        let paths = files::picked(folder, is_linked, rounds(*count, usize::MAX));
        let looked = paths.iter().filter_map(|path| Some((path, fs::read(path).ok()?)));
        let mut executables = 0;
        for (path, bytes) in looked {
            executables += usize::from(lint::lint(&bytes).is_ok());
            wrong.extend(unknown(&path.display().to_string(), &bytes));
        }
        if executables == 0 {
            let what = format!("{folder} has no executables (apt install {package})");
            assert!(std::env::var_os("CI").is_none(), "{what}");
            eprintln!("skipped: {what}");
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_other_linkers_write_has_known_findings() {
    let Some(built) = files::built() else { return };
    let is_executable = |path: &&PathBuf| {
        path.extension().is_none_or(|extension| extension != "o" && extension != "obj")
    };
    let paths: Vec<_> = built.paths.iter().filter(is_executable).collect();
    assert!(paths.len() >= 10, "{paths:?}");
    let mut wrong = Vec::new();
    for path in paths {
        let bytes = fs::read(path).expect("it was built");
        let name = path.display().to_string();
        assert!(lint::lint(&bytes).is_ok(), "{name} is an executable");
        wrong.extend(unknown(&name, &bytes));
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Wrong would be: a finding in what GNU ld writes that is not argued.
#[test]
fn what_gnu_ld_writes_has_known_findings() {
    let Some(built) = files::built_by_gnu() else { return };
    let paths = built.paths.iter().filter(|path| path.extension().is_some_and(|name| name != "o"));
    let mut wrong = Vec::new();
    for path in paths {
        let bytes = fs::read(path).expect("it was built");
        let name = path.file_name().expect("a file").display();
        wrong.extend(unknown(&format!("/gnu-ld/{name}"), &bytes));
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Wrong would be: a finding in programs and libraries that the small macOS runs.
#[test]
fn what_the_small_macos_runs_has_known_findings() {
    let mut wrong = Vec::new();
    for architecture in ["x86_64", "arm64"] {
        for (name, encoding) in fixtures_by_lld::ENCODINGS {
            let folder = tempfile::tempdir().expect("a temporary folder");
            if let Err(error) = fixtures_by_lld::build(folder.path(), architecture, encoding) {
                assert!(std::env::var_os("CI").is_none(), "{error}");
                eprintln!("skipped: {error}");
                return;
            }
            for file in ["rich", "libgreet.dylib"] {
                let bytes = fs::read(folder.path().join(file)).expect("it was built");
                wrong.extend(unknown(&format!("{name}/{architecture}/{file}"), &bytes));
            }
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_is_known_is_of_rules_that_there_are() {
    let names: BTreeSet<_> = lint::rules().map(|rule| rule.name).collect();
    for known in KNOWN {
        assert!(known.rules.iter().all(|rule| names.contains(rule)), "{:?}", known.rules);
    }
}
