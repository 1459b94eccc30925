//! Libraries with thread-local variables, initialisers and finalisers: linked with programs and loaded after they
//! have started, with threads from before and after; executed by each system's own loader.
//!
//! Each trial has a name: `cargo test --test thread_locals loaded_by_c::glibc`.

// What another binary uses of them, too.
#[allow(dead_code)]
#[path = "../support/bench.rs"]
mod bench;
#[path = "../support/runners.rs"]
mod runners;
#[path = "../support/trials.rs"]
mod trials;
#[path = "../support/wine.rs"]
mod wine;

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use libtest_mimic::Arguments;
use minild::target::TARGETS;
use minild::{OperatingSystem, Target};

use bench::{Bench, tool};
use runners::no_runner;
use trials::{Checked, missing, needing};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/thread_locals");

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    let has_libraries = TARGETS.iter().filter(|row| row.library_suffix.is_some());
    for target in has_libraries.map(|row| row.target) {
        let name = format!("linked::{target}");
        trials.push(needing(no_runner(target), name, move || linked(target)));
        if target.operating_system != OperatingSystem::MacOs {
            let name = format!("loaded::{target}");
            trials.push(needing(no_runner(target), name, move || loaded(target)));
        }
    }
    for target in [Target::X86_64_LINUX, Target::AARCH64_LINUX] {
        trials.push(needing(no_runner(target), format!("own::{target}"), move || {
            own(target, &fixture("own.toml"))
        }));
    }
    for libc in &LIBCS {
        let missing = || {
            let tools = libc.tools.iter();
            let tool = || tools.clone().find_map(|(tool, package)| missing(tool, package));
            no_runner(libc.target).or_else(tool).or_else(|| libc.missing_headers())
        };
        let name = format!("linked_by_c::{}", libc.name);
        trials.push(needing(missing(), name, move || linked_by_c(libc)));
        let name = format!("loaded_by_c::{}", libc.name);
        trials.push(needing(missing(), name, move || loaded_by_c(libc)));
        if !libc.has_spare_room {
            let name = format!("own::{}", libc.name);
            trials.push(needing(missing(), name, move || own_of_musl(libc)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn fixture(name: &str) -> String {
    fs::read_to_string(Path::new(FIXTURES).join(name)).expect("the fixture is part of the package")
}

/// The library's file name for a target.
fn library_name(target: Target) -> String {
    format!("libtls{}", target.row().library_suffix.expect("only targets with libraries are asked"))
}

/// Wrong would be: a variable that two threads share, that is not aligned or not as the template says, a template
/// without the library's place, an import that is another variable, an initialiser or a finaliser that nobody
/// runs.
fn linked(target: Target) -> Checked {
    let bench = Bench::new(target);
    bench.build(&fixture("library.toml"), &library_name(target))?;
    bench.build(&fixture("linked.toml"), "linked.exe")?;
    says_all_lines(&bench, &["linked.exe"])
}

/// The same for a library that the program loads when it runs already.
fn loaded(target: Target) -> Checked {
    let bench = Bench::new(target);
    let name = library_name(target);
    bench.build(&fixture("library.toml"), &name)?;
    bench.build(&fixture("loaded.toml"), "loaded.exe")?;
    says_all_lines(&bench, &["loaded.exe", &format!("./{name}")])
}

/// Wrong would be: a program's own variables at another distance from the thread pointer than the C library puts
/// them, or an initialiser that runs before they are there.
fn own(target: Target, spec: &str) -> Checked {
    let bench = Bench::new(target);
    bench.build(spec, "own")?;
    bench.run("own", &[])?.is(42, "every thread has its own\n")
}

/// The same for the C library that knows no versions.
fn own_of_musl(libc: &Libc) -> Checked {
    let spec = fixture("own.toml").replace("libc.so.6", "libc.so").replace("@GLIBC_2.34", "");
    own(libc.target, &format!("libc = \"{}\"\n{spec}", libc.key))
}

/// Files of programs and of what they load are written out at different times, so the order is not asked for.
fn says_all_lines(bench: &Bench, command: &[&str]) -> Checked {
    let shown = bench.run(command[0], &command[1..])?;
    let mut lines: Vec<_> = shown.stdout.lines().collect();
    lines.sort_unstable();
    if shown.status == 42 && lines == ["every thread has its own", "finalised", "initialised"] {
        return Ok(());
    }
    Err(format!("{shown:#?}").into())
}

/// A C library, and what compiles for it.
struct Libc {
    name: &'static str,
    /// What specs call it.
    key: &'static str,
    target: Target,
    /// What compiles and links, and the packages that have it.
    tools: &'static [(&'static str, &'static str)],
    /// The library that has `__tls_get_addr`.
    tls_get_addr: &'static str,
    /// What the compiler that links by itself is told.
    options: &'static [&'static str],
    /// Whether it loads libraries whose variables want a fixed distance from the thread pointer.
    has_spare_room: bool,
}

static LIBCS: [Libc; 3] = [
    Libc {
        name: "glibc",
        key: "glibc",
        target: Target::X86_64_LINUX,
        tools: &[("clang", "clang")],
        tls_get_addr: "ld-linux-x86-64.so.2",
        options: &["-ldl", "-lpthread"],
        has_spare_room: true,
    },
    Libc {
        name: "musl",
        key: "musl",
        target: Target::X86_64_LINUX,
        tools: &[("musl-gcc", "musl-tools")],
        tls_get_addr: "libc.so",
        options: &[],
        has_spare_room: false,
    },
    Libc {
        name: "glibc_on_aarch64",
        key: "glibc",
        target: Target::AARCH64_LINUX,
        tools: &[("clang", "clang"), ("ld.lld-19", "lld-19")],
        tls_get_addr: "ld-linux-aarch64.so.1",
        options: &[],
        has_spare_room: true,
    },
];

/// Where the C library for arm64 lies, with its headers and what stands before `main`.
const CROSS: &str = "/usr/aarch64-linux-gnu";

impl Libc {
    /// Why its programs cannot be compiled, if they cannot.
    fn missing_headers(&self) -> Option<String> {
        let start = format!("{CROSS}/lib/Scrt1.o");
        let is_missing = self.is_cross() && !Path::new(&start).is_file();
        is_missing.then(|| format!("needs {start}: apt install libc6-dev-arm64-cross"))
    }

    /// Whether it is another architecture's: then nothing compiles and links for it by itself.
    fn is_cross(&self) -> bool {
        self.target == Target::AARCH64_LINUX
    }

    fn libraries(&self) -> Result<Bench, libtest_mimic::Failed> {
        let bench = Bench::new(self.target);
        for (spec, name) in [("library.toml", "libtls.so"), ("fast.toml", "libfast.so")] {
            let spec = fixture(spec).replace("ld-linux-x86-64.so.2", self.tls_get_addr);
            bench.build(&format!("libc = \"{}\"\n{spec}", self.key), name)?;
        }
        Ok(bench)
    }

    /// Makes the program `partner` in C, which is linked with the libraries or will load them.
    fn compile(&self, bench: &Bench, is_linked: bool) -> Checked {
        let source = Path::new(FIXTURES).join("partner.c");
        let (define, libraries): (&[_], &[_]) =
            if is_linked { (&["-DLINKED"], &["-L.", "-ltls", "-lfast"]) } else { (&[], &[]) };
        let mut compiler = Command::new(self.tools[0].0);
        compiler.current_dir(bench.path(".")).args(["-Wall", "-Werror", "-O1"]).args(define);
        compiler.arg(source);
        if !self.is_cross() {
            compiler.args(libraries).args(["-Wl,-rpath,$ORIGIN,--fatal-warnings", "-o", "partner"]);
            return tool(compiler.args(self.options)).map(drop);
        }
        compiler.args(["-target", "aarch64-linux-gnu", "-fPIE", "-nostdlibinc", "-isystem"]);
        tool(compiler.arg(format!("{CROSS}/include")).args(["-c", "-o", "partner.o"]))?;
        let mut linker = Command::new(self.tools[1].0);
        linker.current_dir(bench.path(".")).args(["-pie", "--fatal-warnings", "-rpath", "$ORIGIN"]);
        linker.args(["-dynamic-linker", "/lib/ld-linux-aarch64.so.1", "-o", "partner"]);
        let [start, begin, end] =
            ["Scrt1.o", "crti.o", "crtn.o"].map(|file| format!("{CROSS}/lib/{file}"));
        linker.args([&start, &begin, "partner.o"]).args(libraries);
        tool(linker.args([format!("-L{CROSS}/lib"), "-lc".to_owned(), end])).map(drop)
    }
}

/// Wrong would be: a library that a linker does not take, an exported variable that is not the library's, or
/// anything that is wrong in [`linked`].
fn linked_by_c(libc: &Libc) -> Checked {
    let bench = libc.libraries()?;
    libc.compile(&bench, true)?;
    let said = "initialised\nmain\nevery thread has its own\nfinalised\n";
    bench.run("partner", &[])?.is(42, said)
}

/// Wrong would be: variables that a thread from before the library does not have.
fn loaded_by_c(libc: &Libc) -> Checked {
    let bench = libc.libraries()?;
    libc.compile(&bench, false)?;
    let libraries = ["./libtls.so", "./libfast.so"];
    let libraries = if libc.has_spare_room { &libraries[..] } else { &libraries[..1] };
    let said = "main\ninitialised\nevery thread has its own\nfinalised\n";
    bench.run("partner", libraries)?.is(42, said)
}
