//! Files to look at: those that minild writes, and those that other tools wrote.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use minild::Options;
use minild::input::spec;
use tempfile::TempDir;

/// A file in memory.
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

/// The package's folder.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Samples that cover all tables together, linked for all their targets.
const SAMPLES: [&str; 5] = ["hello", "pointers", "puts", "library", "tls"];

/// What minild writes.
pub(crate) static WRITTEN: LazyLock<Vec<File>> = LazyLock::new(|| {
    let mut files = Vec::new();
    for sample in SAMPLES {
        let path = root().join(format!("samples/{sample}.toml"));
        let text = fs::read(&path).expect("samples are part of the package");
        let spec = spec::read_bytes(&text, &root().join("samples")).expect("samples are right");
        for target in spec.targets() {
            let (program, _) = spec.program(target).expect("samples are right");
            let image = minild::link(&program, &Options::default()).expect("samples link");
            files.push(File { name: format!("{sample}-{target}"), bytes: image.bytes });
        }
    }
    files
});

/// What clang, ld64.lld and lld-link made of one source, in a folder that goes with the process.
pub(crate) struct Built {
    folder: TempDir,
    pub(crate) paths: Vec<PathBuf>,
}

impl Built {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Everything that a table of these formats can show: imports, exports, pointers, thread-locals, C++ names.
const SOURCE: &str = r#"
extern "C" int printf(const char *, ...);
extern "C" void abort();
namespace app {
struct Thing { virtual ~Thing(); virtual int f(int); int x; };
int Thing::f(int y) { return x + y; }
Thing::~Thing() {}
thread_local int counter = 7;
thread_local int zeros[4];
const char *names[] = {"a", "b", "c"};
int (*functions[])(const char *, ...) = {printf, printf};
}
void operator delete(void *) noexcept { abort(); }
void operator delete(void *, unsigned long) noexcept { abort(); }
extern "C" int main(int count, char **) {
    app::counter += count + app::zeros[count & 3];
    app::Thing thing;
    thing.x = count;
    app::functions[0]("%s %d\n", app::names[count % 3], thing.f(app::counter));
    return 42;
}
"#;

/// The same for Windows and UEFI, where there is no C library to import from.
const WINDOWS_SOURCE: &str = r#"
extern "C" __declspec(dllimport) void ExitProcess(unsigned);
extern "C" __declspec(dllimport) void *GetStdHandle(int);
extern "C" int _fltused = 0;
namespace app {
struct Thing { __declspec(dllexport) virtual int f(int); int x; };
int Thing::f(int y) { return x + y; }
extern "C" __declspec(dllexport) const char *names[] = {"a", "b", "c"};
}
extern "C" __declspec(dllexport) int start() {
    char frame[200];
    for (int index = 0; index < 200; ++index) ((volatile char *)frame)[index] = 1;
    app::Thing thing;
    thing.x = frame[3] + (GetStdHandle(-11) != 0);
    ExitProcess(thing.f(*app::names[1]));
    return 42;
}
"#;

const UEFI_SOURCE: &str = r#"
extern "C" const char *names[] = {"a", "b", "c"};
extern "C" unsigned long long start(void *, void *) { return names[1][0]; }
"#;

const STAND_IN: &str = "--- !tapi-tbd
tbd-version: 4
targets: [ x86_64-macos, arm64-macos ]
install-name: '/usr/lib/libSystem.B.dylib'
exports:
  - targets: [ x86_64-macos, arm64-macos ]
    symbols: [ _printf, _abort, dyld_stub_binder, __tlv_bootstrap ]
...
";

const DEFINITIONS: &str = "LIBRARY kernel32.dll\nEXPORTS\nExitProcess\nGetStdHandle\n";

/// Runs a tool, or says that it is not there.
///
/// # Panics
/// When it fails: only what is missing is a reason to skip a test.
fn run(folder: &Path, tool: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(tool).current_dir(folder).args(arguments).output();
    let output = output.map_err(|error| format!("{tool}: {error}"))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool} {arguments:?}: {stderr}");
    Ok(())
}

fn build() -> Result<Built, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let at = folder.path();
    let write = |name: &str, text: &str| {
        fs::write(at.join(name), text).map_err(|error| format!("{name}: {error}"))
    };
    write("app.cpp", SOURCE)?;
    write("windows.cpp", WINDOWS_SOURCE)?;
    write("uefi.cpp", UEFI_SOURCE)?;
    write("libSystem.tbd", STAND_IN)?;
    write("kernel32.def", DEFINITIONS)?;
    let common = [
        "-O1",
        "-fno-rtti",
        "-fno-exceptions",
        "-fno-stack-protector",
        "-Wno-everything",
        "-c",
        "-o",
    ];
    let compile = |target: &str, source: &str, output: &str, more: &[&str]| {
        let arguments = [&["-target", target], more, &common, &[output, source]].concat();
        run(at, "clang", &arguments)
    };
    let mut names = Vec::new();
    for (arch, machine) in [("x86_64", "x64"), ("arm64", "arm64")] {
        let object = format!("app-{arch}.o");
        compile(&format!("{arch}-apple-macos13"), "app.cpp", &object, &[])?;
        for (name, system, more) in [
            ("chained", "13.0", &["-fixup_chains", "-export_dynamic"][..]),
            ("opcodes", "10.14", &["-no_fixup_chains", "-export_dynamic"]),
            ("library", "13.0", &["-dylib", "-install_name", "@rpath/libapp.dylib"]),
        ] {
            let output = format!("{name}-{arch}");
            let base = [
                "-arch",
                arch,
                "-platform_version",
                "macos",
                system,
                "13.0",
                "-adhoc_codesign",
                "-o",
            ];
            let arguments = [&base[..], &[&output, &object, "libSystem.tbd"], more].concat();
            run(at, "ld64.lld-19", &arguments)?;
            names.push(output);
        }
        names.push(object);

        let triple = if arch == "arm64" { "aarch64" } else { arch };
        let library = format!("kernel32-{arch}.lib");
        let machine = format!("/machine:{machine}");
        run(
            at,
            "lld-link-19",
            &["/lib", &machine, "/def:kernel32.def", &format!("/out:{library}")],
        )
        .or_else(|_| {
            let kind = if arch == "arm64" { "arm64" } else { "i386:x86-64" };
            run(at, "llvm-dlltool-14", &["-m", kind, "-d", "kernel32.def", "-l", &library])
        })?;
        let object = format!("windows-{arch}.obj");
        compile(
            &format!("{triple}-pc-windows-msvc"),
            "windows.cpp",
            &object,
            &["-funwind-tables"],
        )?;
        let executable = format!("windows-{arch}.exe");
        let arguments =
            ["/entry:start", "/subsystem:console", "/nodefaultlib", "/debug", "/Brepro"];
        let out = format!("/out:{executable}");
        run(at, "lld-link-19", &[&arguments[..], &[&object, &library, &machine, &out]].concat())?;
        let dynamic = format!("library-{arch}.dll");
        let arguments = ["/dll", "/noentry", "/nodefaultlib", "/export:start=start"];
        let out = format!("/out:{dynamic}");
        run(at, "lld-link-19", &[&arguments[..], &[&object, &library, &machine, &out]].concat())?;
        let firmware = format!("uefi-{arch}.efi");
        let uefi_object = format!("uefi-{arch}.obj");
        compile(&format!("{triple}-unknown-windows-msvc"), "uefi.cpp", &uefi_object, &[])?;
        let out = format!("/out:{firmware}");
        let arguments = ["/entry:start", "/subsystem:efi_application", "/nodefaultlib"];
        run(at, "lld-link-19", &[&arguments[..], &[&uefi_object, &machine, &out]].concat())?;
        names.extend([object, executable, dynamic, firmware, uefi_object]);

        let object = format!("linux-{arch}.o");
        compile(&format!("{triple}-unknown-linux-gnu"), "app.cpp", &object, &["-fPIC"])?;
        let library = format!("linux-{arch}.so");
        run(
            at,
            "ld.lld-19",
            &["-shared", "--pack-dyn-relocs=relr", "-z", "now", "-o", &library, &object],
        )?;
        names.extend([object, library]);
    }
    let slices = ["chained-x86_64", "chained-arm64"];
    run(at, "llvm-lipo-19", &[&["-create", "-output", "universal"][..], &slices].concat())?;
    names.push("universal".to_owned());
    let paths = names.iter().map(|name| at.join(name)).collect();
    Ok(Built { folder, paths })
}

/// What other tools make, or why they do not.
pub(crate) static BUILT: LazyLock<Result<Built, String>> = LazyLock::new(build);

/// As [`BUILT`]; where the tools are missing, the test says so, and fails under CI.
pub(crate) fn built() -> Option<&'static Built> {
    there(&BUILT)
}

fn there(built: &'static Result<Built, String>) -> Option<&'static Built> {
    match built {
        Ok(built) => Some(built),
        Err(error) if std::env::var_os("CI").is_some() => panic!("{error}"),
        Err(error) => {
            eprintln!("skipped: {error} (tests/run.sh installs what is needed)");
            None
        }
    }
}

/// What a program and a library of mingw are made of.
const GNU_SOURCE: &str = r#"
int printf(const char *, ...);
int atoi(const char *);
static __thread int counter = 7;
static __thread int zeros[4];
__declspec(dllexport) int exported_value = 5;
__declspec(dllexport) int twice(int x) { return 2 * x; }
static void done(int *p) { printf("left %d\n", *p); }
int main(int argc, char **argv) {
    int value __attribute__((cleanup(done))) = argc;
    counter += zeros[argc & 3] + atoi(argc > 1 ? argv[1] : "1");
    printf("hello %d %d\n", counter, twice(value));
    return 42;
}
"#;

/// Touches each page of a large frame; else this takes a package of 100 MB.
const GNU_PROBE: &str = "
    .globl ___chkstk_ms
___chkstk_ms:
    push %rcx
    push %rax
    lea 24(%rsp), %rcx
1:  cmp $0x1000, %rax
    jb 2f
    sub $0x1000, %rcx
    test %rcx, (%rcx)
    sub $0x1000, %rax
    jmp 1b
2:  sub %rax, %rcx
    test %rcx, (%rcx)
    pop %rax
    pop %rcx
    ret
";

/// Links a program and a library with GNU ld and mingw's C runtime: what it writes is unlike what lld does.
fn build_by_gnu() -> Result<Built, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let at = folder.path();
    for (name, text) in [("app.c", GNU_SOURCE), ("probe.s", GNU_PROBE)] {
        fs::write(at.join(name), text).map_err(|error| format!("{name}: {error}"))?;
    }
    let target = ["-target", "x86_64-w64-mingw32", "-fexceptions", "-O1", "-c"];
    run(at, "clang", &[&target[..], &["app.c", "probe.s"]].concat())?;
    let of_gcc =
        picked("/usr/lib/gcc/x86_64-w64-mingw32/12-win32", |n| n == "libgcc_s_seh-1.dll", 1);
    let of_gcc = of_gcc.first().ok_or("libgcc_s_seh-1.dll is not there")?.to_string_lossy();
    let libraries = [
        "-L/usr/x86_64-w64-mingw32/lib",
        "--start-group",
        "-lmingw32",
        "-lmoldname",
        "-lmingwex",
        "-lmsvcrt",
        "-lkernel32",
        "-ladvapi32",
        "-lshell32",
        "-luser32",
        &of_gcc,
        "--end-group",
    ];
    let mut names = vec!["app.o", "probe.o"];
    for (name, first, kind) in [
        ("app.exe", "crt2.o", &[][..]),
        ("app.dll", "dllcrt2.o", &["-shared", "-e", "DllMainCRTStartup"]),
    ] {
        let first = format!("/usr/x86_64-w64-mingw32/lib/{first}");
        let start = ["-m", "i386pep", "-o", name, &first, "app.o", "probe.o"];
        run(at, "x86_64-w64-mingw32-ld", &[kind, &start[..], &libraries].concat())?;
        names.push(name);
    }
    let paths = names.iter().map(|name| at.join(name)).collect();
    Ok(Built { folder, paths })
}

/// What GNU ld makes; where it is missing, the test says so, and fails under CI.
pub(crate) fn built_by_gnu() -> Option<&'static Built> {
    static BUILT: LazyLock<Result<Built, String>> = LazyLock::new(build_by_gnu);
    there(&BUILT)
}

/// Files of a folder whose names end so, in order, as many as asked for, evenly picked. A folder without any is named,
/// and fails the test under CI.
pub(crate) fn picked(folder: &str, is_wanted: impl Fn(&str) -> bool, count: usize) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_file() && !path.is_symlink())
        .filter(|path| path.file_name().is_some_and(|name| is_wanted(&name.to_string_lossy())))
        // Large ones take long to print, and say nothing new.
        .filter(|path| path.metadata().is_ok_and(|data| data.len() < 3 << 20))
        .collect();
    if paths.is_empty() {
        let message = format!("{folder} has no file to look at (tests/run.sh installs them)");
        assert!(std::env::var_os("CI").is_none(), "{message}");
        eprintln!("skipped: {message}");
    }
    paths.sort();
    let step = (paths.len() / count.max(1)).max(1);
    paths.into_iter().step_by(step).take(count).collect()
}
