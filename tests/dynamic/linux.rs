//! Linux: glibc on both architectures, musl on x86-64; C by GNU ld, by lld and by musl's own compiler.

use std::process::Command;

use libtest_mimic::Trial;
use minild::Target;

use crate::bench::{Bench, fixture, tool};
use crate::c::no_compiler;
use crate::linted;
use crate::runners::no_runner;
use crate::trials::{Checked, missing, needing};

const TARGETS: [Target; 2] = [Target::X86_64_LINUX, Target::AARCH64_LINUX];

type Check = fn(&Bench) -> Checked;

const CHECKS: &[(&str, Check)] = &[
    ("imports", imports),
    ("used_by_c", used_by_c),
    ("loaded_by_c", loaded_by_c),
    ("uses_c", uses_c),
    ("old_version", old_version),
    ("weak_version", weak_version),
    ("fixed_position", fixed_position),
    ("stripped", stripped),
    ("relro", relro),
    ("missing_library", missing_library),
    ("missing_symbol", missing_symbol),
    ("missing_version", missing_version),
];

/// What only programs that this machine runs itself can show.
const NATIVE_CHECKS: &[(&str, Check)] =
    &[("ldd", ldd_is_content), ("ld_debug", ld_debug_has_no_complaint)];

const MUSL_CHECKS: &[(&str, Check)] = &[
    ("imports", musl_imports),
    ("used_by_c", musl_used_by_c),
    ("sysv_hash", musl_sysv_hash),
    ("missing_library", musl_missing_library),
    ("missing_symbol", musl_missing_symbol),
];

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for target in TARGETS {
        let native = if target == Target::X86_64_LINUX { NATIVE_CHECKS } else { &[] };
        for &(name, check) in CHECKS.iter().chain(native) {
            let name = format!("linux::{}::{name}", target.architecture);
            let missing = no_runner(target).or_else(|| no_compiler(target));
            trials.push(needing(missing, name, move || check(&Bench::new(target))));
        }
    }
    for &(name, check) in MUSL_CHECKS {
        let missing = no_runner(Target::X86_64_LINUX).or_else(|| missing("musl-gcc", "musl-tools"));
        let check = move || check(&Bench::new(Target::X86_64_LINUX));
        trials.push(needing(missing, format!("linux::musl::{name}"), check));
    }
    trials
}

const IMPORTS: &str = "through a stub\nthrough a pointer in data\nthrough data\n";

/// Wrong would be: an import that is not found, or found in another place than it lies in.
fn imports(bench: &Bench) -> Checked {
    bench.build(&fixture("imports.toml"), "imports")?;
    bench.run("imports", &[])?.is(42, IMPORTS)
}

fn sum(bench: &Bench) -> Checked {
    bench.build(&fixture("sum.toml"), "libsum.so.1").map(drop)
}

const USED: &str = "the library speaks\n42 21, base 8, calls 2, ready 1\n";

/// Wrong would be: a library that a linker does not take, is not found by its name, is not relocated, does not run
/// its functions, or whose variables are not the program's.
fn used_by_c(bench: &Bench) -> Checked {
    sum(bench)?;
    bench.c_program("use.c", &["libsum.so.1"], "use")?;
    bench.run("use", &[])?.is(42, &format!("{USED}the library ends\n"))
}

/// Wrong would be: a hash table that does not lead to every name and version, or to one that is not there.
fn loaded_by_c(bench: &Bench) -> Checked {
    sum(bench)?;
    bench.c_program("load.c", &[], "load")?;
    let path = bench.path("libsum.so.1");
    let path = path.to_str().ok_or("a path of text")?;
    let shown = bench.run("load", &[path])?;
    shown.is(
        42,
        &format!(
            "42 2, calls 2, missing 0\n{path}: undefined symbol: not_there\n103 3\nthe library ends\n"
        ),
    )
}

/// Wrong would be: a program whose library finds none of its exports, or its own data.
fn uses_c(bench: &Bench) -> Checked {
    bench.c_library("plugin.c", ("", &[]), "libplugin.so")?;
    bench.build(&fixture("host.toml"), "host")?;
    bench.run("host", &[])?.is(42, "the host ends\n")
}

/// A client of libsum in assembly: it exits with what `function` makes of 20 and 22, whatever it is.
fn client(function: &str) -> String {
    format!(
        r#"
        name = "client"
        runpath = "$ORIGIN"
        start = "libc"
        imports."libsum.so.1" = [{{ name = "{function}", as = "add" }}]
        [target.x86_64-linux]
        asm = """
        start:
            push rax
            mov  edi, 20
            mov  esi, 22
            call add
            pop  rcx
            ret
        """
        [target.aarch64-linux]
        asm = """
        start:
            stp  x29, x30, [sp, #-16]!
            mov  w0, #20
            mov  w1, #22
            bl   add
            ldp  x29, x30, [sp], #16
            ret
        """
        "#
    )
}

/// Wrong would be: a version that is not the one that was asked for, by name or by asking for none.
fn old_version(bench: &Bench) -> Checked {
    sum(bench)?;
    for (function, result) in [("add@SUM_1", 142), ("add@SUM_2", 42)] {
        bench.build(&client(function), "client")?;
        bench.run("client", &[])?.is(result, "the library ends\n")?;
    }
    Ok(())
}

/// Wrong would be: a program that does not start although all that its library lacks is weak.
fn weak_version(bench: &Bench) -> Checked {
    let spec = r#"
        start = "libc"
        imports."libc.so.6" = [{ name = "puts@GLIBC_9.9", as = "too_new", weak = true }]
        rodata.table = { pointers = ["too_new"] }
        [target.x86_64-linux]
        asm = """
        start:
            mov  rax, [rip + table]
            add  eax, 42
            ret
        """
        [target.aarch64-linux]
        asm = """
        start:
            adrp x9, table
            ldr  x0, [x9, :lo12:table]
            add  w0, w0, #42
            ret
        """
    "#;
    bench.build(spec, "weak")?;
    bench.run("weak", &[])?.is(42, "")
}

/// Wrong would be: a program at a fixed position that the dynamic linker moves, or does not relocate.
fn fixed_position(bench: &Bench) -> Checked {
    let spec = format!("position = \"fixed\"\n{}", fixture("imports.toml"));
    let path = bench.build(&spec, "imports")?;
    // Otherwise it would prove nothing.
    if !tool(Command::new("readelf").arg("-h").arg(path))?.contains("EXEC") {
        return Err("it has no fixed position".into());
    }
    bench.run("imports", &[])?.is(42, IMPORTS)
}

/// Wrong would be: names that the dynamic linker needs among those that are left out.
fn stripped(bench: &Bench) -> Checked {
    bench.build_with(&fixture("sum.toml"), "libsum.so.1", &["--strip"])?;
    bench.build_with(&client("add"), "client", &["--strip"])?;
    // Without a version, the library's first.
    bench.run("client", &[])?.is(142, "the library ends\n")
}

/// Wrong would be: an address that somebody can replace once the program runs.
fn relro(bench: &Bench) -> Checked {
    let spec = r#"
        start = "libc"
        imports."libc.so.6" = ["puts", "fflush"]
        rodata.table = { pointers = ["puts"] }
        rodata.before = { cstring = "written" }
        [target.x86_64]
        code.begin.asm = """
        begin:
            push rax
            lea  rdi, [rip + before]
            call puts
            xor  edi, edi
            call fflush
            pop  rcx
            ret
        """
        [target.aarch64]
        code.begin.asm = """
        begin:
            stp  x29, x30, [sp, #-16]!
            adrp x0, before
            add  x0, x0, :lo12:before
            bl   puts
            mov  x0, #0
            bl   fflush
            ldp  x29, x30, [sp], #16
            ret
        """
    "#;
    let slot = r#"
        [target.x86_64-linux]
        asm = """
        start:
            push rax
            call begin
            lea  rdi, [rip + puts@GOTPCREL]
            mov  [rdi], rdi
            pop  rcx
            ret
        """
        [target.aarch64-linux]
        asm = """
        start:
            stp  x29, x30, [sp, #-16]!
            bl   begin
            adrp x9, :got:puts              // memory is protected by the page: its first word will do
            str  x9, [x9]
            ldp  x29, x30, [sp], #16
            ret
        """
    "#;
    let pointer = slot.replace("puts@GOTPCREL", "table").replace(":got:puts", "table");
    for part in [slot, &pointer] {
        bench.build(&format!("{spec}{part}"), "relro")?;
        let shown = bench.run("relro", &[])?;
        if (shown.status, shown.stdout.as_str()) != (128 + 11, "written\n") {
            return Err(format!("the write was let pass: {shown:#?}").into());
        }
    }
    Ok(())
}

fn missing_library(bench: &Bench) -> Checked {
    bench.build(&client("add"), "client")?;
    let part = "error while loading shared libraries: libsum.so.1: cannot open shared object file";
    bench.run("client", &[])?.complains(127, part)
}

fn missing_symbol(bench: &Bench) -> Checked {
    sum(bench)?;
    bench.build(&client("subtract"), "client")?;
    bench.run("client", &[])?.complains(127, "undefined symbol: subtract")
}

fn missing_version(bench: &Bench) -> Checked {
    sum(bench)?;
    bench.build(&client("add@SUM_9"), "client")?;
    let part = "version `SUM_9' not found (required by";
    bench.run("client", &[])?.complains(1, part)
}

/// Wrong would be: a library or symbol that `ldd` does not find.
fn ldd_is_content(bench: &Bench) -> Checked {
    sum(bench)?;
    bench.build(&client("add@SUM_1"), "client")?;
    for file in ["client", "libsum.so.1"] {
        let shown = bench.show(Command::new("ldd").args(["-r", "-v"]).arg(bench.path(file)))?;
        let is_wrong = ["not found", "undefined", "not a dynamic"]
            .iter()
            .any(|wrong| shown.stdout.contains(wrong));
        if shown.status != 0 || !shown.stderr.is_empty() || is_wrong {
            return Err(format!("of {file}: {shown:#?}").into());
        }
    }
    let shown = bench.show(Command::new("ldd").arg("-v").arg(bench.path("client")))?;
    let found = ["libsum.so.1 => ", "libsum.so.1 (SUM_1) => "];
    match found.iter().find(|found| !shown.stdout.contains(*found)) {
        None => Ok(()),
        Some(found) => Err(format!("no {found:?} in {}", shown.stdout).into()),
    }
}

/// Wrong would be: something that the dynamic linker only says when it is asked for all.
fn ld_debug_has_no_complaint(bench: &Bench) -> Checked {
    sum(bench)?;
    bench.build(&client("add@SUM_2"), "client")?;
    let shown = bench.run_in(&[("LD_DEBUG", "all")], "client", &[])?;
    shown.is(42, "the library ends\n")?;
    if !shown.stderr.contains("calling init") || !shown.stderr.contains("`add' [SUM_2]") {
        return Err(format!("it did not say all: {}", shown.stderr).into());
    }
    // `error` alone is the name of a function.
    let wrong = ["error:", "warning:", "(fatal)", "cannot", "no version information"];
    match shown.stderr.lines().find(|line| wrong.iter().any(|word| line.contains(word))) {
        None => Ok(()),
        Some(line) => Err(format!("it says: {line}").into()),
    }
}

/// A spec for glibc as musl wants it: another library, and no versions.
fn for_musl(spec: &str) -> String {
    let spec = spec.replace("libc.so.6", "libc.so");
    let versions = ["@GLIBC_2.2.5", "@GLIBC_2.17", "@GLIBC_9.9"];
    let spec = versions.iter().fold(spec, |spec, version| spec.replace(version, ""));
    format!("libc = \"musl\"\n{spec}")
}

fn musl_imports(bench: &Bench) -> Checked {
    let path = bench.build(&for_musl(&fixture("imports.toml")), "imports")?;
    // Otherwise it would prove nothing.
    if !tool(Command::new("readelf").arg("-l").arg(path))?.contains("/lib/ld-musl-x86_64.so.1") {
        return Err("it does not ask for musl".into());
    }
    bench.run("imports", &[])?.is(42, IMPORTS)
}

fn musl_used_by_c(bench: &Bench) -> Checked {
    bench.build(&for_musl(&fixture("sum.toml")), "libsum.so.1")?;
    let object = bench.compile("use.c")?;
    let mut compiler = Command::new("musl-gcc");
    compiler.arg("-pie").arg(object).arg(bench.path("libsum.so.1"));
    tool(compiler.arg("-Wl,-rpath,$ORIGIN").arg("-o").arg(bench.path("use")))?;
    bench.run("use", &[])?.is(42, &format!("{USED}the library ends\n"))
}

/// Wrong would be: a table of System V's way that does not lead to every name: musl reads it alone where the other
/// is hidden from it.
fn musl_sysv_hash(bench: &Bench) -> Checked {
    let path = bench.build(&for_musl(&fixture("sum.toml")), "libsum.so.1")?;
    let mut bytes = std::fs::read(&path)?;
    let gnu_hash = object::elf::DT_GNU_HASH.0.cast_unsigned().to_le_bytes();
    let at = bytes.windows(8).position(|word| word == gnu_hash);
    // DT_DEBUG means nothing in a library.
    bytes[at.ok_or("no such entry")?..][..4].copy_from_slice(&21u32.to_le_bytes());
    std::fs::write(&path, bytes)?;
    linted::file_is_linted(&path);
    bench.build(&for_musl(&client("add")), "client")?;
    // It knows no versions but the last.
    bench.run("client", &[])?.is(42, "the library ends\n")
}

fn musl_missing_library(bench: &Bench) -> Checked {
    bench.build(&for_musl(&client("add")), "client")?;
    let part = "Error loading shared library libsum.so.1: No such file or directory (needed by";
    bench.run("client", &[])?.complains(127, part)
}

fn musl_missing_symbol(bench: &Bench) -> Checked {
    bench.build(&for_musl(&fixture("sum.toml")), "libsum.so.1")?;
    bench.build(&for_musl(&client("subtract")), "client")?;
    let part = "client: subtract: symbol not found";
    bench.run("client", &[])?.complains(127, part)
}
