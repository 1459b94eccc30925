//! Partners in C: compiled by clang, linked by linkers that people use, with what minild made or for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Failed;
use minild::{Architecture, OperatingSystem, Target};

use crate::bench::{Bench, FIXTURES, named_runner, tool};
use crate::trials::{Checked, missing};

/// Why nothing can be made for `target`, if so.
pub(crate) fn no_compiler(target: Target) -> Option<String> {
    let linker = match target.operating_system {
        OperatingSystem::MacOs => "ld64.lld-19",
        _ => "ld.lld-19",
    };
    let tools = [("clang", "clang"), ("llvm-dlltool", "llvm"), (linker, "lld-19")];
    tools.iter().find_map(|(tool, package)| missing(tool, package))
}

/// Libraries that C programs are linked with, for their linkers' eyes: what each has that the sources use.
const WINDOWS_LIBRARIES: &[(&str, &[&str])] = &[
    ("msvcrt.dll", &["printf", "puts", "exit", "strcmp"]),
    ("kernel32.dll", &["LoadLibraryA", "GetProcAddress", "FreeLibrary"]),
];

impl Bench {
    /// Compiles a source among the fixtures for this target.
    pub(crate) fn compile(&self, source: &str) -> Result<PathBuf, Failed> {
        let architecture = self.target.architecture.name();
        let target = match self.target.operating_system {
            OperatingSystem::Linux => format!("{architecture}-linux-gnu"),
            OperatingSystem::MacOs => format!("{architecture}-apple-macos13"),
            _ => format!("{architecture}-windows-gnu"),
        };
        let object = self.path(&format!("{source}.o"));
        let mut clang = Command::new("clang");
        clang.args(["-target", &target, "-O1", "-ffreestanding", "-fno-stack-protector"]);
        clang.args(["-Wno-main-return-type", "-fPIC", "-c", "-o"]).arg(&object);
        // Windows' code is position-independent as it is, and clang says so.
        clang.arg(Path::new(FIXTURES).join(source)).arg("-Wno-unused-command-line-argument");
        tool(&mut clang)?;
        Ok(object)
    }

    /// Links a program of `source` and `libraries`, files of the folder, for this target.
    pub(crate) fn c_program(&self, source: &str, libraries: &[&str], name: &str) -> Checked {
        let object = self.compile(source)?;
        let mut linker = match self.target.operating_system {
            OperatingSystem::Linux if self.target.architecture == Architecture::X86_64 => {
                // The compiler's own way: GNU ld and the C library's own start.
                let mut clang = Command::new("clang");
                clang.args(["-pie", "-Wl,-rpath,$ORIGIN", "-Wl,--fatal-warnings"]).arg(object);
                clang
            }
            OperatingSystem::Linux => {
                let mut lld = Command::new("ld.lld-19");
                lld.args(["-pie", "-dynamic-linker", "/lib/ld-linux-aarch64.so.1"]);
                lld.args(["-rpath", "$ORIGIN", "--fatal-warnings"]);
                lld.arg(object).arg(self.compile("start.c")?);
                lld.arg("/usr/aarch64-linux-gnu/lib/libc.so.6");
                lld
            }
            OperatingSystem::MacOs => {
                let mut lld = self.ld64()?;
                lld.args(["-rpath", "@executable_path"]).arg(object).arg("libSystem.tbd");
                lld
            }
            _ => {
                let mut lld = self.mingw_linker();
                lld.args(["-e", "start", "--disable-auto-import"]);
                lld.arg(object).arg(self.compile("start.c")?);
                for (library, names) in WINDOWS_LIBRARIES {
                    lld.arg(self.import_library(library, names)?);
                }
                lld
            }
        };
        tool(linker.args(libraries).arg("-o").arg(name).current_dir(self.path(".")))?;
        Ok(())
    }

    /// Links a library of `source`; on Windows `from` is the program that has what it does not define.
    pub(crate) fn c_library(&self, source: &str, from: (&str, &[&str]), name: &str) -> Checked {
        let object = self.compile(source)?;
        let mut linker = match self.target.operating_system {
            OperatingSystem::Linux => {
                let mut lld = Command::new("ld.lld-19");
                lld.args(["-shared", "-soname", name, "--fatal-warnings"]);
                lld
            }
            OperatingSystem::MacOs => {
                let mut lld = self.ld64()?;
                lld.args(["-dylib", "-undefined", "dynamic_lookup", "libSystem.tbd"]);
                lld.args(["-install_name", &format!("@rpath/{name}")]);
                lld
            }
            _ => {
                let mut lld = self.mingw_linker();
                lld.arg("-shared");
                lld.arg(self.import_library(from.0, from.1)?);
                lld
            }
        };
        tool(linker.arg(object).arg("-o").arg(name).current_dir(self.path(".")))?;
        Ok(())
    }

    fn mingw_linker(&self) -> Command {
        let mut lld = Command::new("ld.lld-19");
        lld.args(["-m", if self.is_x86() { "i386pep" } else { "arm64pe" }]);
        lld.arg("--fatal-warnings");
        lld
    }

    fn ld64(&self) -> Result<Command, Failed> {
        self.write_lib_system()?;
        let mut lld = Command::new("ld64.lld-19");
        lld.args(["-arch", if self.is_x86() { "x86_64" } else { "arm64" }]);
        lld.args(["-platform_version", "macos", "13.0", "13.0", "-fatal_warnings"]);
        Ok(lld)
    }

    fn is_x86(&self) -> bool {
        self.target.architecture == Architecture::X86_64
    }

    /// What stands for a library when programs are linked for Windows.
    fn import_library(&self, library: &str, names: &[&str]) -> Result<PathBuf, Failed> {
        let definition = self.path(&format!("{library}.def"));
        let archive = self.path(&format!("{library}.a"));
        fs::write(&definition, format!("LIBRARY {library}\nEXPORTS\n{}\n", names.join("\n")))?;
        let mut dlltool = Command::new("llvm-dlltool");
        dlltool.args(["-m", if self.is_x86() { "i386:x86-64" } else { "arm64" }]);
        tool(dlltool.arg("-d").arg(&definition).arg("-l").arg(&archive))?;
        Ok(archive)
    }

    /// What stands for libSystem when programs are linked for macOS: what the small macOS has.
    fn write_lib_system(&self) -> Checked {
        let small_macos = named_runner(self.target).ok_or("no macOS")?;
        let symbols = tool(Command::new(small_macos).arg("--list-symbols"))?;
        let symbols: Vec<_> = symbols.lines().collect();
        let text = format!(
            "--- !tapi-tbd\ntbd-version: 4\ntargets: [ x86_64-macos, arm64-macos ]\n\
             install-name: '/usr/lib/libSystem.B.dylib'\nexports:\n  \
             - targets: [ x86_64-macos, arm64-macos ]\n    symbols: [ {} ]\n...\n",
            symbols.join(", ")
        );
        Ok(fs::write(self.path("libSystem.tbd"), text)?)
    }
}
