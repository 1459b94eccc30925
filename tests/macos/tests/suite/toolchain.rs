//! Builds fixtures with clang and ld64.lld, and runs the small macOS on them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// Where the sources are.
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
/// Symbols that the library for the linker has and libSystem has not: a program may import them weakly.
const NOT_IN_LIBSYSTEM: [&str; 1] = ["_missing_function"];

/// The install name of the fixtures' library.
pub(crate) const LIBGREET: &str = "@executable_path/libgreet.dylib";

/// An architecture, by the linker's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Arch {
    X86_64,
    Arm64,
}

impl Arch {
    pub(crate) const ALL: [Arch; 2] = [Arch::X86_64, Arch::Arm64];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Arch::X86_64 => "x86_64",
            Arch::Arm64 => "arm64",
        }
    }

    /// The engines that can run it.
    pub(crate) fn engines(self) -> &'static [&'static str] {
        match self {
            Arch::X86_64 => &["unicorn", "native"],
            Arch::Arm64 => &["unicorn"],
        }
    }
}

/// A folder with what was built.
pub(crate) struct Workshop {
    folder: TempDir,
}

/// Runs a tool; its failure is a broken test bench.
fn tool(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{command:?}: {error} (tests/macos/setup.sh installs what is needed)")
    });
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Workshop {
    pub(crate) fn new() -> Workshop {
        let folder = TempDir::new().expect("a temporary folder");
        let workshop = Workshop { folder };
        let mut symbols = small_macos::system::symbols();
        symbols.extend(NOT_IN_LIBSYSTEM);
        workshop.stand_in("libSystem.tbd", "/usr/lib/libSystem.B.dylib", &symbols, &[]);
        workshop
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A library for the linker's eyes only: an install name and symbols, which the file at run time may have or not.
    pub(crate) fn stand_in(
        &self,
        file: &str,
        install_name: &str,
        symbols: &[&str],
        thread_locals: &[&str],
    ) {
        let text = format!(
            "--- !tapi-tbd\ntbd-version: 4\ntargets: [ x86_64-macos, arm64-macos ]\ninstall-name: '{install_name}'\n\
             exports:\n  - targets: [ x86_64-macos, arm64-macos ]\n    symbols: [ {} ]\n    thread-local-symbols: [ {} ]\n...\n",
            symbols.join(", "),
            thread_locals.join(", ")
        );
        std::fs::write(self.path(file), text).expect("a temporary file");
    }

    /// Compiles a fixture.
    fn compile(&self, arch: Arch, source: &str) -> PathBuf {
        let object = self.path(&format!("{source}.{}.o", arch.name()));
        let target = format!("{}-apple-macos13", arch.name());
        tool(
            Command::new("clang")
                .args([
                    "-target",
                    &target,
                    "-O1",
                    "-ffreestanding",
                    "-fno-stack-protector",
                    "-Wno-main-return-type",
                    "-c",
                    "-o",
                ])
                .arg(&object)
                .arg(Path::new(FIXTURES).join(source)),
        );
        object
    }

    /// Links `sources` with libSystem to `output`, with more options of ld64.lld.
    pub(crate) fn link(
        &self,
        arch: Arch,
        sources: &[&str],
        output: &str,
        options: &[&str],
    ) -> PathBuf {
        let path = self.path(output);
        let mut command = Command::new("ld64.lld-19");
        command.current_dir(self.folder.path()).args(["-arch", arch.name(), "-o"]).arg(&path);
        if !options.contains(&"-platform_version") {
            command.args(["-platform_version", "macos", "13.0", "13.0"]);
        }
        command
            .args(sources.iter().map(|source| self.compile(arch, source)))
            .arg("libSystem.tbd")
            .args(options);
        tool(&mut command);
        path
    }

    /// The program `rich.c` and its library, in a folder of their own.
    pub(crate) fn rich(&self, arch: Arch, name: &str, options: &[&str]) -> PathBuf {
        self.library(arch, name, options);
        // The linker sees a `not_there` that the library at run time does not have.
        let stand_in = format!("{name}/stand-in.tbd");
        self.stand_in(
            &stand_in,
            LIBGREET,
            &["_greet", "_greetings", "_table", "_not_there"],
            &["_per_thread"],
        );
        self.link(
            arch,
            &["rich.c"],
            &format!("{name}/rich"),
            &[&[stand_in.as_str()], options].concat(),
        )
    }

    /// The library `libgreet.dylib` alone, in a folder of its own.
    pub(crate) fn library(&self, arch: Arch, name: &str, options: &[&str]) {
        std::fs::create_dir_all(self.path(name)).expect("a temporary folder");
        let both = ["-dylib", "-install_name", LIBGREET];
        self.link(
            arch,
            &["greet.c"],
            &format!("{name}/libgreet.dylib"),
            &[&both, options].concat(),
        );
    }

    /// The code of `static.s` alone.
    pub(crate) fn static_code(&self) -> Vec<u8> {
        let (object, code) = (self.path("static.o"), self.path("static.bin"));
        let source = Path::new(FIXTURES).join("static.s");
        tool(
            Command::new("clang")
                .args(["-target", "x86_64-linux", "-c", "-o"])
                .arg(&object)
                .arg(source),
        );
        tool(
            Command::new("llvm-objcopy")
                .args(["-O", "binary", "-j", ".text"])
                .arg(&object)
                .arg(&code),
        );
        std::fs::read(code).expect("just written")
    }
}

/// What a run showed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Exit status, or 128 + Linux's number of the signal.
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the small macOS.
pub(crate) fn small_macos(options: &[&str], file: &Path, arguments: &[&str]) -> Shown {
    use std::os::unix::process::ExitStatusExt;
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_small-macos"))
        .args(options)
        .arg(file)
        .args(arguments)
        .env("FIXTURE", "here")
        .output()
        .expect("the small macOS is built");
    let status =
        status.code().or(status.signal().map(|signal| 128 + signal)).expect("a process ends");
    Shown {
        status,
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    }
}
