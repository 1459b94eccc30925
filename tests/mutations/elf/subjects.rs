//! Programs and libraries that work: what C compilers, linkers and minild make of the fixtures.

use std::fs;
use std::path::Path;
use std::process::Command;

use libtest_mimic::{Failed, Trial};
use minild::input::spec;
use minild::{Options, Target};
use tempfile::TempDir;

use super::fields::fields;
use crate::hunt::{Exceptions, Subject};
use crate::trials::{Checked, missing, needing};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mutations/fixtures");

/// What the program writes.
const STDOUT: &str = "found 42\nend\nlibrary end\n";

/// A way to make the program and its library.
struct Toolchain {
    name: &'static str,
    compiler: &'static str,
    package: &'static str,
    both: &'static [&'static str],
    program: &'static [&'static str],
    library: &'static [&'static str],
}

const TOOLCHAINS: &[Toolchain] = &[
    Toolchain {
        name: "glibc",
        compiler: "gcc",
        package: "gcc",
        both: &["-Wl,--hash-style=both", "-Wl,-z,lazy"],
        program: &["-fpie", "-pie"],
        library: &["-Wl,--version-script=library.map"],
    },
    Toolchain {
        name: "glibc_lld",
        compiler: "clang",
        package: "clang lld-19",
        both: &["--ld-path=/usr/bin/ld.lld-19", "-Wl,-z,now", "-Wl,--hash-style=gnu"],
        program: &["-fpie", "-pie"],
        library: &["-Wl,--version-script=library.map"],
    },
    Toolchain {
        name: "glibc_fixed",
        compiler: "gcc",
        package: "gcc",
        both: &["-Wl,-z,now"],
        program: &["-fno-pie", "-no-pie"],
        library: &[],
    },
    Toolchain {
        name: "musl",
        compiler: "musl-gcc",
        package: "musl-tools",
        both: &["-Wl,--hash-style=both"],
        program: &["-fpie", "-pie"],
        library: &[],
    },
];

/// What the file means by itself, whatever it says: only its author could say that it is wrong.
const SILENT: Exceptions = &[
    ("DT_DEBUG.d_tag", "turned into DT_RUNPATH, which is to be empty here: where libraries lie"),
    ("DT_RUNPATH*", "where libraries lie"),
    ("DT_STRSZ.d_tag", "turned into DT_NEEDED: other libraries are asked for; musl reads no size"),
    ("DT_SYMENT.d_tag", "turned into DT_NEEDED: other libraries are asked for"),
    ("DT_RELACOUNT.d_tag", "turned into DT_NEEDED: other libraries are asked for"),
    ("DT_FLAGS.d_tag", "turned into DT_NEEDED or DT_RUNPATH"),
    ("DT_FLAGS_1.d_tag", "turned into DT_NEEDED: other libraries are asked for"),
    (
        "DT_FLAGS_1.d_val",
        "DF_1_NODEFLIB: the usual folders are not to be searched, which may be meant",
    ),
    ("DT_NULL.d_tag", "turned into another tag whose value is 0"),
    ("DT_NEEDED*", "which libraries have the symbols that no version says anything of"),
    ("DT_INIT.d_val", "which function of the code is called"),
    ("DT_FINI.d_val", "which function of the code is called"),
    ("DT_INIT_ARRAYSZ.d_val", "how many functions are called"),
    ("DT_FINI_ARRAYSZ.d_val", "how many functions are called"),
    ("DT_RELASZ.d_val", "how many relocations there are"),
    ("DT_PLTRELSZ.d_val", "how many relocations there are"),
    ("GNU hash bucket", "a bucket of no symbol, moved to where a chain of its own hash lies"),
    ("PT_GNU_RELRO.p_memsz", "which variables of one segment are constant"),
    ("e_entry", "where in the code the program begins"),
    ("relocation.r_addend", "which address is meant"),
    ("relocation.r_offset", "which pointer is meant"),
    ("relocation.r_sym", "which symbol is meant"),
    ("relocation.r_type", "what of the symbol is meant"),
    ("symbol.st_name", "which symbol is meant"),
    (
        "symbol.st_info",
        "weak or not, function or not: whether it may be missing, and how it is asked for",
    ),
    ("symbol.st_other", "what a program has, and no library was meant to take"),
    ("symbol.st_shndx", "defined here or elsewhere"),
    ("symbol.st_size", "how much of a variable is copied"),
    ("symbol.st_value", "where in the file it lies"),
    ("versym", "which of the versions that there are is meant"),
];

/// Errors that one run gets away with.
const STRICT: Exceptions = &[
    ("elf/bss-not-writable", "nobody reads these zeros"),
    ("elf/dynamic-address", "pages are mapped whole, and tables that nobody reads may be anywhere"),
    ("elf/dynamic-cut", "what is cut off is not missed by this program"),
    ("elf/dynamic-outside", "what lies in the page is mapped all the same"),
    (
        "elf/dynamic-string",
        "what lies behind the string table happens to end, or the name is not read (DT_SONAME)",
    ),
    ("elf/dynamic-unterminated", "the kernel maps no more of a file than there is"),
    ("elf/jump-relocations", "there are no calls that the size could be of"),
    ("elf/entry", "the page is executable all the same, or nobody starts a library"),
    (
        "elf/function-address",
        "the function that is called instead does no harm, or an address of 0 is passed over by musl",
    ),
    ("elf/function-array", "a size of half an entry is rounded down"),
    ("elf/function-array-entry", "the entry is that of another function, or none that matters"),
    ("elf/gnu-hash", "nobody looks for a symbol of the program"),
    ("elf/hash-buckets", "musl takes DT_GNU_HASH where there is one"),
    ("elf/hash-lookup", "nobody looks for these symbols"),
    ("elf/interpreter-address", "what is mapped there is read as a name that nobody needs"),
    ("elf/interpreter-missing", "nobody starts this library"),
    ("elf/interpreter-relative", "nobody starts this library"),
    ("elf/interpreter-string", "nobody starts this library"),
    ("elf/jump-relocation-type", "the call is not made"),
    ("elf/lazy-without-got", "what ld.so writes beside the table is not missed"),
    ("elf/note-address", "what is mapped there is read as notes, and passed over"),
    ("elf/phdr-missing", "nobody starts this library"),
    ("elf/phdr-address", "the headers are not read again"),
    ("elf/rela-incomplete", "there is nothing to relocate"),
    (
        "elf/relative-count",
        "ld.so stops at the end of the table, or what is taken for RELATIVE is so",
    ),
    ("elf/relocation-size", "half an entry is passed over"),
    ("elf/relocation-target", "the page is writable all the same, or nothing is written"),
    ("elf/relocation-type", "musl passes over what it looks up only for a symbol that is missing"),
    ("elf/relro-freezes-data", "nothing is written to the variables that are frozen"),
    ("elf/relro-lazy", "no such call is made"),
    (
        "elf/relro-outside",
        "what turns read-only is not written to, or musl does not say what failed",
    ),
    ("elf/segment-congruence", "musl rounds the address down, and what it maps there is not read"),
    ("elf/segment-order", "there is room where the library is mapped"),
    ("elf/segment-overlap", "what is mapped over is not read any more"),
    ("elf/segment-range", "nothing is mapped there in a library that glibc loads"),
    ("elf/segment-sizes", "musl goes by the size in memory"),
    ("elf/segment-truncated", "what is missing is not read"),
    ("elf/symbol-not-looked-up", "a weak symbol may be missing"),
    ("elf/symbol-not-offered", "nobody looks for the symbol"),
    (
        "elf/symbol-reference",
        "the symbol is weak, or bound when it is first called, which it is not",
    ),
    ("elf/tables-unreadable", "this processor lets code be read"),
    ("elf/text-relocations", "there are none"),
    ("elf/tls-outside", "the thread-local is not read, or the page holds zeros too"),
    ("elf/tls-sizes", "the thread-local lies right by chance"),
    ("elf/version-hash", "the version is not asked for"),
    ("elf/version-index", "the symbol is not looked for, or the version is"),
    ("elf/version-library", "another library brings the one that is named"),
    ("elf/version-record", "the version is weak, or that of a symbol that is not looked for"),
    ("unsupported", "musl does not look at e_machine of a library"),
];

/// Which of the two files is changed.
#[derive(Clone, Copy)]
enum Part {
    Program,
    Library,
}

/// A program that minild links: its target, what runs it, the spec, and what it shows.
struct Linked {
    name: &'static str,
    target: Target,
    runner: &'static [&'static str],
    package: &'static str,
    spec: &'static str,
    stdout: &'static str,
    sample: u64,
}

const LINKED: &[Linked] = &[
    // The kernel alone, which maps it and jumps: the program relocates itself.
    Linked {
        name: "static",
        target: Target::X86_64_LINUX,
        runner: &[],
        package: "",
        spec: include_str!("../../../samples/pointers.toml"),
        stdout: "read and called through them: 42\n",
        sample: 16,
    },
    // glibc's ld.so for arm64, which has a start-up of its own.
    Linked {
        name: "glibc_arm64",
        target: Target::AARCH64_LINUX,
        runner: &["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"],
        package: "qemu-user libc6-arm64-cross",
        spec: include_str!("../../../samples/puts.toml"),
        stdout: "Hello from the C library\n",
        sample: 96,
    },
];

fn check_linked(linked: &Linked) -> Checked {
    let folder = tempfile::tempdir()?;
    let spec = spec::read(linked.spec, Path::new("."))?;
    let (program, _) = spec.program(linked.target)?;
    // Not linted: the hunt looks at it before it changes anything.
    let image = minild::link(&program, &Options::default())?;
    let fields = fields(&image.bytes);
    let path = folder.path().join("program");
    let mut command: Vec<_> = linked.runner.iter().map(Into::into).collect();
    command.push(path.clone().into());
    let subject = Subject {
        bytes: image.bytes,
        fields,
        path,
        command,
        environment: Vec::new(),
        seal: |_, _| (),
        stdout: linked.stdout,
        forgives: false,
        sample: linked.sample,
        silent: SILENT,
        strict: STRICT,
        elsewhere: &[],
    };
    subject.hunt()
}

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for linked in LINKED {
        let missing = linked.runner.first().and_then(|runner| missing(runner, linked.package));
        let name = format!("elf::{}_program", linked.name);
        trials.push(needing(missing, name, move || check_linked(linked)));
    }
    for toolchain in TOOLCHAINS {
        for part in [Part::Program, Part::Library] {
            let what = match part {
                Part::Program => "program",
                Part::Library => "library",
            };
            let name = format!("elf::{}_{what}", toolchain.name);
            let missing = missing(toolchain.compiler, toolchain.package);
            trials.push(needing(missing, name, move || check(toolchain, part)));
        }
    }
    trials
}

fn check(toolchain: &Toolchain, part: Part) -> Checked {
    let folder = build(toolchain)?;
    let program = folder.path().join("program");
    let path = match part {
        Part::Program => program.clone(),
        Part::Library => folder.path().join("libapp.so"),
    };
    let bytes = fs::read(&path)?;
    let fields = fields(&bytes);
    let subject = Subject {
        bytes,
        fields,
        path,
        command: vec![program.into()],
        environment: Vec::new(),
        seal: |_, _| (),
        stdout: STDOUT,
        forgives: false,
        sample: 16,
        silent: SILENT,
        strict: STRICT,
        elsewhere: &[],
    };
    subject.hunt()
}

fn build(toolchain: &Toolchain) -> Result<TempDir, Failed> {
    let folder = tempfile::tempdir()?;
    for entry in fs::read_dir(FIXTURES)? {
        let path = entry?.path();
        fs::copy(&path, folder.path().join(path.file_name().expect("a file")))?;
    }
    let compile = |arguments: &[&str]| compile(toolchain, folder.path(), arguments);
    let library = ["-shared", "-fPIC", "library.c", "-Wl,-soname,libapp.so", "-o", "libapp.so"];
    compile(&[&library[..], toolchain.library].concat())?;
    let program = ["program.c", "-L.", "-lapp", "-Wl,-rpath,$ORIGIN", "-o", "program"];
    compile(&[toolchain.program, &program].concat())?;
    Ok(folder)
}

fn compile(toolchain: &Toolchain, folder: &Path, arguments: &[&str]) -> Checked {
    let mut command = Command::new(toolchain.compiler);
    command.current_dir(folder).arg("-O1").args(toolchain.both).args(arguments);
    let output = command.output()?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
    }
}
