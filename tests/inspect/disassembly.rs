//! Machine code as text: instructions lie where `llvm-objdump` finds them, and what they refer to has its name.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use minild::view::disassemble::{Disassembly, Line};
use minild::view::inspect::inspect;

use crate::files::{built, picked};
use crate::tool::ask;

/// Address, text and target of each instruction.
fn instructions(path: &Path) -> Vec<(u64, String, String)> {
    let bytes = fs::read(path).expect("it is there");
    let found = inspect(&bytes, Disassembly::PARTS).expect("it is whole");
    let mut all = Vec::new();
    for image in &found.images {
        let code = Disassembly::new(image, &bytes, None).expect("a known architecture");
        all.extend(code.lines().filter_map(|line| match line {
            Line::Instruction { address, text, target, .. } => Some((address, text, target)),
            _ => None,
        }));
    }
    all
}

/// It prints a prefix as an instruction of its own; what stands behind one belongs to it.
fn addresses_of_objdump(path: &Path) -> BTreeSet<u64> {
    let text = ask("llvm-objdump", &["--disassemble", "--no-show-raw-insn"], path);
    let mut addresses = BTreeSet::new();
    let mut is_behind_prefix = false;
    for line in text.lines() {
        let Some((address, instruction)) = line.trim().split_once(':') else { continue };
        let Ok(address) = u64::from_str_radix(address, 16) else { continue };
        if !is_behind_prefix {
            addresses.insert(address);
        }
        let prefixes = ["lock", "rep", "repne", "data16", "notrack", "bnd"];
        is_behind_prefix = prefixes.contains(&instruction.trim());
    }
    addresses
}

#[test]
fn instructions_lie_where_another_tool_finds_them() {
    let Some(built) = built() else { return };
    let mut paths: Vec<_> =
        built.paths.iter().filter(|path| !path.ends_with("universal")).cloned().collect();
    paths.extend(picked("/usr/lib/x86_64-linux-gnu", |name| name.contains(".so"), 3));
    let mut compared = 0;
    for path in paths {
        let ours = instructions(&path);
        let addresses: BTreeSet<_> = ours.iter().map(|(address, ..)| *address).collect();
        let theirs = addresses_of_objdump(&path);
        let differ: Vec<_> = addresses.symmetric_difference(&theirs).take(3).collect();
        assert!(differ.is_empty(), "{}: {differ:#x?}", path.display());
        compared += addresses.len();
    }
    assert!(compared > 3000, "{compared}");
}

#[test]
fn what_compilers_write_is_read() {
    let Some(built) = built() else { return };
    for path in &built.paths {
        for (address, text, _) in instructions(path) {
            let is_read = !text.contains("(bad)") && !text.contains(".inst");
            // What fills the space between functions may be nothing.
            assert!(
                is_read || text == ".inst 0x00000000",
                "{}: {address:#x} {text}",
                path.display()
            );
        }
    }
}

#[test]
fn what_is_called_and_read_has_its_name() {
    let Some(built) = built() else { return };
    for (name, target) in [
        ("chained-x86_64", "app::names"),
        ("chained-arm64", "app::names"),
        ("opcodes-arm64", "app::functions"),
        ("windows-x86_64.exe", "kernel32.dll!ExitProcess"),
        ("windows-arm64.exe", "kernel32.dll!ExitProcess"),
        ("library-x86_64.dll", "kernel32.dll!GetStdHandle"),
        ("app-x86_64.o", "X86_64_RELOC_SIGNED, pc-relative, 4 bytes __ZN3app5namesE"),
        ("linux-x86_64.so", "abort (stub)"),
        ("linux-arm64.so", "abort (stub)"),
        ("chained-x86_64", "_abort (stub)"),
        ("chained-arm64", "_abort (stub)"),
    ] {
        let all = instructions(&built.path(name));
        let has = all.iter().any(|(.., found)| found == target);
        let targets: BTreeSet<_> = all.iter().map(|(.., target)| target).collect();
        assert!(has, "{name} has no {target}: {targets:#?}");
    }
}
