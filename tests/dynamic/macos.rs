//! macOS, as far as the tests have one: C by clang and ld64.lld.

use std::process::Command;

use libtest_mimic::Trial;
use minild::{Architecture, Target};

use crate::bench::{Bench, fixture, named_runner, tool};
use crate::c::no_compiler;
use crate::runners::no_runner;
use crate::trials::{Checked, needing};

const TARGETS: [Target; 2] = [Target::X86_64_MACOS, Target::AARCH64_MACOS];

/// The systems for which fixups are chains, and for which they are opcodes.
const SYSTEMS: [&str; 2] = ["13", "11"];

type Check = fn(&Bench) -> Checked;

const CHECKS: &[(&str, Check)] = &[
    ("imports", imports),
    ("used_by_c", used_by_c),
    ("uses_c", uses_c),
    ("versions", versions),
    ("relro", relro),
    ("missing_library", missing_library),
    ("missing_symbol", missing_symbol),
];

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for target in TARGETS {
        for &(name, check) in CHECKS {
            let name = format!("macos::{}::{name}", target.architecture);
            let missing = no_runner(target).or_else(|| no_compiler(target));
            trials.push(needing(missing, name, move || check(&Bench::new(target))));
        }
    }
    trials
}

/// A spec for a system of this version.
fn of_system(spec: &str, system: &str) -> String {
    format!("macos = \"{system}\"\n{spec}")
}

/// Runs a program with every engine, as it lies and moved, its image judged by every rule.
fn runs(bench: &Bench, name: &str, status: i32, stdout: &str) -> Checked {
    let small_macos = named_runner(bench.target).ok_or("no macOS")?;
    let engines: &[_] = match bench.target.architecture {
        Architecture::X86_64 => &["unicorn", "native"],
        _ => &["unicorn"],
    };
    for engine in engines {
        for slide in ["0", "0x4000000"] {
            let mut command = Command::new(&small_macos);
            command.args(["--validate", "--engine", engine, "--slide", slide]);
            let shown = bench.show(command.arg(bench.path(name)))?;
            shown.is(status, stdout)?;
        }
    }
    Ok(())
}

fn imports(bench: &Bench) -> Checked {
    for system in SYSTEMS {
        bench.build(&of_system(&fixture("imports.toml"), system), "imports")?;
        let stdout = "through a stub\nthrough a pointer in data\nthrough data\n";
        runs(bench, "imports", 42, stdout)?;
    }
    Ok(())
}

/// Wrong would be: a library that a linker does not take, is not found by its name, is not relocated, does not run
/// its functions, whose variables are not the program's, or that does not pass another library's function on.
fn used_by_c(bench: &Bench) -> Checked {
    for system in SYSTEMS {
        bench.build(&of_system(&fixture("sum.toml"), system), "libsum.dylib")?;
        bench.c_program("use.c", &["libsum.dylib"], "use")?;
        let stdout = "the library speaks\n42 21, base 8, calls 2, ready 1\nlength 7\n";
        runs(bench, "use", 42, stdout)?;
    }
    Ok(())
}

/// Wrong would be: a program that does not find its library where it says, or whose library does not find it.
fn uses_c(bench: &Bench) -> Checked {
    bench.c_library("plugin.c", ("", &[]), "libplugin.dylib")?;
    for system in SYSTEMS {
        bench.build(&of_system(&fixture("host.toml"), system), "host")?;
        runs(bench, "host", 42, "the host ends\n")?;
    }
    Ok(())
}

/// Wrong would be: versions that no other tool reads.
fn versions(bench: &Bench) -> Checked {
    let path = bench.build(&fixture("sum.toml"), "libsum.dylib")?;
    let said = tool(
        Command::new("llvm-objdump").args(["--macho", "--dylib-id", "--dylibs-used"]).arg(path),
    )?;
    for part in [
        "@rpath/libsum.dylib (compatibility version 2.0.0, current version 2.1.3)",
        "/usr/lib/libSystem.B.dylib (compatibility version",
    ] {
        if !said.contains(part) {
            return Err(format!("no {part:?} in: {said}").into());
        }
    }
    Ok(())
}

/// Wrong would be: an address that somebody can replace once the program runs.
fn relro(bench: &Bench) -> Checked {
    let spec = r#"
        imports."/usr/lib/libSystem.B.dylib" = [{ name = "_puts", as = "puts" }]
        rodata.table = { pointers = ["puts"] }
        rodata.before = { cstring = "written" }
        [target.x86_64-macos]
        asm = """
        start:
            push rax
            lea  rdi, [rip + before]
            call puts
            lea  rdi, [rip + table]
            mov  [rdi], rdi
            mov  eax, 42
            pop  rcx
            ret
        """
        [target.aarch64-macos]
        asm = """
        start:
            stp  x29, x30, [sp, #-16]!
            adrp x0, before
            add  x0, x0, :lo12:before
            bl   puts
            adrp x9, table
            str  x9, [x9, :lo12:table]
            mov  w0, #42
            ldp  x29, x30, [sp], #16
            ret
        """
    "#;
    // Where the same address lies among variables nothing keeps the program from writing it.
    bench.build(&spec.replace("rodata.table", "data.table"), "writable")?;
    bench.run("writable", &[])?.is(42, "written\n")?;
    bench.build(spec, "relro")?;
    let shown = bench.run("relro", &[])?;
    // What was written is in a buffer when the signal comes: SIGBUS, as xnu has it for a protected page.
    if [128 + 7, 128 + 11].contains(&shown.status) && !shown.stderr.contains("refused") {
        Ok(())
    } else {
        Err(format!("the write was let pass: {shown:#?}").into())
    }
}

fn missing_library(bench: &Bench) -> Checked {
    bench.build(&fixture("host.toml"), "host")?;
    bench.run("host", &[])?.complains(126, "libplugin.dylib")
}

fn missing_symbol(bench: &Bench) -> Checked {
    bench.c_library("plugin.c", ("", &[]), "libplugin.dylib")?;
    bench.build(&fixture("host.toml").replace("\"_triple\"", "\"_treble\""), "host")?;
    bench.run("host", &[])?.complains(126, "_treble")
}
