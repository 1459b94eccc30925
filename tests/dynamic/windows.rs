//! Windows, as wine has it: C by clang and lld, in the way of MinGW.

use libtest_mimic::Trial;
use minild::Target;

use crate::bench::{Bench, fixture};
use crate::c::no_compiler;
use crate::runners::no_runner;
use crate::trials::{Checked, needing};

const TARGETS: [Target; 2] = [Target::X86_64_WINDOWS, Target::AARCH64_WINDOWS];

type Check = fn(&Bench) -> Checked;

const CHECKS: &[(&str, Check)] = &[
    ("used_by_c", used_by_c),
    ("loaded_by_c", loaded_by_c),
    ("uses_c", uses_c),
    ("relro", relro),
    ("missing_library", missing_library),
    ("missing_symbol", missing_symbol),
];

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for target in TARGETS {
        for &(name, check) in CHECKS {
            let name = format!("windows::{}::{name}", target.architecture);
            let missing = no_runner(target).or_else(|| no_compiler(target));
            trials.push(needing(missing, name, move || check(&Bench::new(target))));
        }
    }
    trials
}

fn sum(bench: &Bench) -> Checked {
    bench.build(&fixture("sum.toml"), "libsum.dll").map(drop)
}

/// Wrong would be: a library that a linker does not take, that is not relocated, whose entry does not run, whose
/// variables are not the program's, or that does not pass another library's function on.
fn used_by_c(bench: &Bench) -> Checked {
    sum(bench)?;
    bench.c_program("use.c", &["libsum.dll"], "use.exe")?;
    let used = "the library speaks\n42 21, base 8, calls 2, ready 1\nlength 7\n";
    bench.run("use.exe", &[])?.is(42, used)
}

/// Wrong would be: names out of order, numbers that are not those that were asked for.
fn loaded_by_c(bench: &Bench) -> Checked {
    sum(bench)?;
    bench.c_program("load.c", &[], "load.exe")?;
    bench.run("load.exe", &[])?.is(42, "42 2, calls 2, missing 0\n3 103 5, none 0\n")
}

/// Wrong would be: imports by name and by number that are not those of another linker's library, or a program's
/// exports that the library does not find.
fn uses_c(bench: &Bench) -> Checked {
    bench.c_library("plugin.c", ("host.exe", &["answer"]), "plugin.dll")?;
    // lld numbers exports in the order of their names: ask, shared, triple.
    let spec = fixture("host.toml").replace("ordinal = 3", "ordinal = 1");
    bench.build(&spec, "host.exe")?;
    bench.run("host.exe", &[])?.is(42, "the host ends\n")
}

/// Wrong would be: an address that somebody can replace once the program runs.
fn relro(bench: &Bench) -> Checked {
    let spec = r#"
        start = "libc"
        imports."msvcrt.dll" = ["puts", "fflush"]
        rodata.before = { cstring = "written" }
        rodata.after = { cstring = "written over" }
        [target.x86_64-windows]
        asm = """
        start:
            sub  rsp, 40
            lea  rcx, [rip + before]
            call puts
            xor  ecx, ecx
            call fflush
            lea  rcx, [rip + puts@GOTPCREL]
            mov  rdx, [rip + puts@GOTPCREL]
            mov  [rcx], rdx                 # the same address, but nobody may write it
            lea  rcx, [rip + after]
            call puts
            mov  eax, 42
            add  rsp, 40
            ret
        """
        [target.aarch64-windows]
        asm = """
        start:
            stp  x29, x30, [sp, #-16]!
            adrp x0, before
            add  x0, x0, :lo12:before
            bl   puts
            mov  x0, #0
            bl   fflush
            adrp x9, :got:puts              // memory is protected by the page: its first word will do
            ldr  x10, [x9]
            str  x10, [x9]
            adrp x0, after
            add  x0, x0, :lo12:after
            bl   puts
            mov  w0, #42
            ldp  x29, x30, [sp], #16
            ret
        """
    "#;
    bench.build(spec, "relro.exe")?;
    let shown = bench.run("relro.exe", &[])?;
    // With which status wine ends a program that faults differs.
    if shown.status != 42 && shown.stdout == "written\r\n" {
        Ok(())
    } else {
        Err(format!("the write was let pass: {shown:#?}").into())
    }
}

fn missing_library(bench: &Bench) -> Checked {
    bench.build(&fixture("host.toml"), "host.exe")?;
    let shown = bench.run_in(&[("WINEDEBUG", "err+module")], "host.exe", &[])?;
    // STATUS_DLL_NOT_FOUND, 0xc0000135: wine keeps eight bits of it.
    shown.complains(0x35, "plugin.dll")
}

/// By name and by number. Windows refuses such a program (`STATUS_ENTRYPOINT_NOT_FOUND`, `STATUS_ORDINAL_NOT_FOUND`); wine
/// starts it, and ends it where it calls what is not there.
fn missing_symbol(bench: &Bench) -> Checked {
    bench.c_library("plugin.c", ("host.exe", &["answer"]), "plugin.dll")?;
    let host = fixture("host.toml");
    let by_name = host.replace("[\"triple\"", "[{ name = \"treble\", as = \"triple\" }");
    let by_number = host.replace("ordinal = 3", "ordinal = 9");
    for (spec, missing) in [(by_name, "treble"), (by_number, "9")] {
        bench.build(&spec, "host.exe")?;
        let shown = bench.run_in(&[("WINEDEBUG", "err+module")], "host.exe", &[])?;
        // With which status wine ends a program that faults differs.
        let says = format!("to unimplemented function plugin.dll.{missing}, aborting");
        if shown.status == 42 || !shown.stdout.is_empty() || !shown.stderr.contains(&says) {
            return Err(format!("it ran without {missing}: {shown:#?}").into());
        }
    }
    Ok(())
}
