//! On Windows: what more than one file, or more than one run, shows.
//!
//! Moved: wine moves no executable, and nothing but a taken place moves a library, so an executable loads a library that
//! wants its own place. Hanging: a program that does not end is ended.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use minild::input::spec;
use minild::{OperatingSystem, Options, Target};

use crate::case::{Variant, read, root};
use crate::{Checked, linted, minild, needing, no_runner};

/// Loads the library, and prints and ends with what its function `check` returns.
const CLIENT: &str = r#"
name = "client"

[rodata]
library  = { cstring = "relocated.dll" }
function = { cstring = "check" }
text     = { cstring = "loaded and moved" }

[target.windows]
imports."kernel32.dll" = ["LoadLibraryA", "GetProcAddress"]
imports."msvcrt.dll"   = ["puts", "exit"]

[target.x86_64-windows]
asm = '''
start:
    push rbx
    sub  rsp, 32
    mov  ebx, 100
    lea  rcx, [rip + library]
    call LoadLibraryA
    test rax, rax
    je   .leave
    mov  ebx, 101
    mov  rcx, rax
    lea  rdx, [rip + function]
    call GetProcAddress
    test rax, rax
    je   .leave
    call rax
    mov  ebx, eax
    cmp  ebx, 42
    jne  .leave
    lea  rcx, [rip + text]
    call puts
.leave:
    mov  ecx, ebx
    call exit
'''

[target.aarch64-windows]
asm = '''
start:
    stp  x29, x30, [sp, #-16]!
    mov  w19, #100
    adrp x0, library
    add  x0, x0, :lo12:library
    bl   LoadLibraryA
    cbz  x0, .leave
    mov  w19, #101
    adrp x1, function
    add  x1, x1, :lo12:function
    bl   GetProcAddress
    cbz  x0, .leave
    blr  x0
    mov  w19, w0
    cmp  w19, #42
    b.ne .leave
    adrp x0, text
    add  x0, x0, :lo12:text
    bl   puts
.leave:
    mov  w0, w19
    bl   exit
'''
"#;

pub(crate) fn trials() -> Vec<Trial> {
    let library = read(&root().join("tests/programs/relocated.toml"));
    let targets = library.targets().into_iter();
    let targets = targets.filter(|target| target.operating_system == OperatingSystem::Windows);
    let variants = [Variant::Default, Variant::Stripped];
    let cases = targets.flat_map(|target| variants.map(|variant| (target, variant)));
    let trial = |(target, variant): (Target, Variant)| {
        let name = format!("moved::{target}::{}", variant.name());
        needing(no_runner(target), name, move || is_moved(target, variant))
    };
    let mut trials: Vec<_> = cases.map(trial).collect();
    for target in [Target::X86_64_WINDOWS, Target::AARCH64_WINDOWS] {
        let name = format!("hangs::{target}");
        trials.push(needing(no_runner(target), name, move || is_ended_when_it_hangs(target)));
    }
    trials
}

/// Prints, and then does nothing for ever.
const HANGS: &str = r#"
name = "hangs"

[rodata]
text = "early\n"

[bss]
written = { size = 8 }

[target.windows]
imports."kernel32.dll" = ["GetStdHandle", "WriteFile"]

[target.x86_64-windows]
asm = '''
start:
    sub  rsp, 56
    mov  ecx, -11                   # STD_OUTPUT_HANDLE
    call GetStdHandle
    mov  rcx, rax
    lea  rdx, [rip + text]
    mov  r8d, text.size
    lea  r9, [rip + written]
    mov  qword ptr [rsp + 32], 0
    call WriteFile
.again:
    jmp  .again
'''

[target.aarch64-windows]
asm = '''
start:
    mov  w0, #-11                   // STD_OUTPUT_HANDLE
    bl   GetStdHandle
    adrp x1, text
    add  x1, x1, :lo12:text
    mov  w2, #text.size
    adrp x3, written
    add  x3, x3, :lo12:written
    mov  x4, #0
    bl   WriteFile
.again:
    b    .again
'''

[[test]]
stdout  = "late\n"
exit    = 42
timeout = "10 s"
"#;

/// A wine that does not end is ended after the limit, and what the program wrote until then is shown.
fn is_ended_when_it_hangs(target: Target) -> Checked {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("hangs.toml"), HANGS)?;
    let started = Instant::now();
    let output = minild()
        .current_dir(&folder)
        .args(["test", "hangs.toml", "--target", target.name()])
        .output()?;
    let shown = String::from_utf8_lossy(&output.stdout);
    if output.status.code() != Some(1) || started.elapsed() > Duration::from_mins(2) {
        return Err(format!("{} after {:?}: {shown}", output.status, started.elapsed()).into());
    }
    for part in ["was killed after 10s", "-late", "+early"] {
        if !shown.contains(part) {
            return Err(format!("no {part:?} in: {shown}").into());
        }
    }
    Ok(())
}

fn is_moved(target: Target, variant: Variant) -> Checked {
    let folder = tempfile::tempdir()?;
    let mut options = Options::default();
    options.strip = variant == Variant::Stripped;
    let library = read(&root().join("tests/programs/relocated.toml"));
    let (library, _) = library.program(target)?;
    linted::link_to(&library, &options, &folder.path().join("relocated.dll"))?;

    let client = spec::read(CLIENT, Path::new("."))?;
    let (client, _) = client.program(target)?;
    // Both want the same place, so the second does not get it.
    let place = |program| minild::layout(program, &options).map(|layout| layout.image_base);
    if place(&library)? != place(&client)? {
        return Err("the executable does not take the library's place".into());
    }
    fs::write(folder.path().join("client.toml"), CLIENT)?;
    let output = minild()
        .current_dir(&folder)
        .args(["run", "client.toml", "--target", target.name()])
        .output()?;
    let written = String::from_utf8_lossy(&output.stdout);
    let expected = (Some(42), "loaded and moved\r\n");
    if (output.status.code(), &*written) == expected {
        return Ok(());
    }
    let complaints = String::from_utf8_lossy(&output.stderr);
    Err(Failed::from(format!("{}: {written}{complaints}", output.status)))
}
