//! Machine code as text: what `llvm-objdump` prints, mnemonics and operands, and what is referred to has its name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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

/// Address and text of each instruction, by `llvm-objdump`. It prints a prefix as an instruction of its own; what stands behind one
/// belongs to it.
fn objdump(tool: &str, arguments: &[&str], path: &Path) -> Vec<(u64, String)> {
    let arguments =
        [&["--disassemble", "--disassemble-zeroes", "--no-show-raw-insn"], arguments].concat();
    let text = ask(tool, &arguments, path);
    let mut lines = Vec::new();
    let mut before: Option<(u64, String)> = None;
    for line in text.lines() {
        let Some((address, instruction)) = line.trim().split_once(':') else { continue };
        let Ok(address) = u64::from_str_radix(address, 16) else { continue };
        let instruction = instruction.trim();
        let (address, instruction) = match before.take() {
            Some((start, prefix)) => (start, format!("{prefix} {instruction}")),
            None => (address, instruction.to_owned()),
        };
        if ["lock", "rep", "repne", "data16", "notrack", "bnd"].contains(&&*instruction) {
            before = Some((address, instruction));
        } else {
            lines.push((address, instruction));
        }
    }
    lines
}

/// An instruction as both tools would write it: its words, and its numbers apart from them.
#[derive(Debug, PartialEq, Eq)]
struct Normal {
    words: String,
    numbers: Vec<String>,
}

/// Spaces, the base of numbers, `#` before them, remarks and names of addresses are style.
fn normal(text: &str) -> Normal {
    let remarks = ["//", "##", " # "].iter().filter_map(|start| text.find(start)).min();
    let text = text[..remarks.unwrap_or(text.len())].to_lowercase();
    let text = match text.find(['<', ';']) {
        Some(start) if !text.starts_with('<') => &text[..start],
        _ => &text,
    };
    let (mut words, mut numbers) = (String::new(), Vec::new());
    let mut rest = text.trim();
    while let Some(first) = rest.chars().next() {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        if is_part(first) {
            let is_number = first.is_ascii_digit();
            let is_more = |c: char| is_part(c) || (is_number && c == '.');
            let end = rest.find(|c| !is_more(c)).unwrap_or(rest.len());
            let token = &rest[..end];
            if is_number {
                let minus = if words.ends_with('-') { "-" } else { "" };
                words.truncate(words.len() - minus.len());
                if !minus.is_empty() && words.ends_with(|c: char| c.is_alphanumeric()) {
                    words.push('+');
                }
                numbers.push(format!("{minus}{}", decimal(token)));
                words.push('N');
            } else {
                if words.ends_with(|c: char| c.is_alphanumeric()) {
                    words.push(' ');
                }
                words.push_str(token);
            }
            rest = &rest[end..];
        } else {
            // What is subtracted is added with a minus.
            if first == '+' && rest[1..].trim_start().starts_with('-') {
            } else if !first.is_whitespace() && first != '#' {
                words.push(first);
            }
            rest = &rest[first.len_utf8()..];
        }
    }
    Normal { words, numbers }
}

fn decimal(token: &str) -> String {
    if let Some(digits) = token.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).map_or(token.to_owned(), |value| value.to_string());
    }
    if token.contains('.')
        && let Ok(value) = token.parse::<f64>()
    {
        return value.to_string();
    }
    token.parse::<u64>().map_or(token.to_owned(), |value| value.to_string())
}

/// Whether numbers are the same in as many bits as an instruction's operand may have, with a sign or without.
fn same_numbers(ours: &[String], theirs: &[String], widths: &[u32]) -> bool {
    let same = |(one, other): (&String, &String)| {
        one == other
            || match (one.parse::<i128>(), other.parse::<i128>()) {
                (Ok(one), Ok(other)) => widths.iter().any(|width| {
                    let fits = |number| (-(1_i128 << (width - 1))..1 << width).contains(&number);
                    (one - other) % (1 << width) == 0 && fits(one) && fits(other)
                }),
                _ => false,
            }
    };
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(same)
}

/// Two spellings of one instruction in x86-64.
fn is_same_x86_64(ours: &str, theirs: &str) -> bool {
    let spelled = |text: &str| {
        let mut text = normal(text);
        // `rax*4` or `4*rax`.
        for scale in ["N*"] {
            while let Some(at) = text.words.find(scale) {
                let end = text.words[at + 2..].find(|c: char| !c.is_alphanumeric());
                let end = end.map_or(text.words.len(), |end| at + 2 + end);
                let register = text.words[at + 2..end].to_owned();
                text.words.replace_range(at..end, &format!("{register}×N"));
            }
        }
        text.words = text.words.replace('*', "×");
        // The same operation, by another name.
        for (one, other) in [
            // A constant of 64 bits.
            ("movabs ", "mov "),
            // AT&T's names.
            ("fcompi ", "fcomip "),
            ("fucompi ", "fucomip "),
            // What processors do for it.
            ("xchg ax,ax", "nop"),
            // A prefix of control-flow enforcement, which the other tool does not always show.
            ("notrack ", ""),
        ] {
            text.words = text.words.replace(one, other);
        }
        let words = text.words.clone();
        let (mnemonic, operands) = words.split_once(' ').unwrap_or((&words, ""));
        let is_shift = ["shr", "sar", "shl", "rol", "ror", "rcl", "rcr"].contains(&mnemonic);
        // By one: said, or not.
        if is_shift && operands.ends_with(",N") && text.numbers.last().is_some_and(|by| by == "1") {
            text.words.truncate(words.len() - 2);
            text.numbers.pop();
        }
        // Two registers that are the same.
        if let ("imul", [first, second, "N"]) =
            (mnemonic, &operands.split(',').collect::<Vec<_>>()[..])
            && first == second
        {
            text.words = format!("imul {first},N");
        }
        // Which of two that are exchanged comes first.
        if let ("xchg", Some((first, second))) = (mnemonic, operands.split_once(',')) {
            text.words = format!("xchg {},{}", first.max(second), first.min(second));
        }
        // Operands that cannot be others.
        let bare = words.trim_start_matches("rep ").trim_start_matches("repne ");
        if ["stos", "movs", "cmps", "scas", "lods", "ins", "outs"].iter().any(|s| {
            bare.strip_prefix(s).is_some_and(|rest| {
                rest.starts_with(['b', 'w', 'd', 'q'])
                    && (rest.len() == 1 || rest[1..].contains("[r"))
            })
        }) {
            let end = words.find(bare).unwrap_or(0) + bare.find(' ').unwrap_or(bare.len());
            text.words.truncate(end);
        }
        if mnemonic.starts_with('f') && ["st(N),st", "st(N)"].contains(&operands) {
            let is_next = text.numbers == ["1"];
            if is_next {
                mnemonic.clone_into(&mut text.words);
                text.numbers.clear();
            }
        }
        // A segment that nothing is read from.
        if mnemonic == "nop" {
            text.words = text.words.replace(" cs:", "");
        }
        text
    };
    let (ours, theirs) = (spelled(ours), spelled(theirs));
    ours.words == theirs.words && same_numbers(&ours.numbers, &theirs.numbers, &[8, 16, 32, 64])
}

/// A list of registers, each of them named: `{ z1.b - z3.b }` are three.
fn listed(text: &str) -> String {
    let Some((before, rest)) = text.split_once("{ ") else { return text.to_owned() };
    let Some((list, behind)) = rest.split_once(" }") else { return text.to_owned() };
    let Some((first, last)) = list.split_once(" - ") else { return text.to_owned() };
    let parts = |register: &str| {
        let (name, element) = register.split_once('.')?;
        Some((name.get(1..)?.parse::<u32>().ok()?, element.to_owned()))
    };
    let (Some((first_number, element)), Some((last_number, _))) = (parts(first), parts(last))
    else {
        return text.to_owned();
    };
    let bank = &first[..1];
    let count = (last_number + 32 - first_number) % 32;
    let all = (0..=count).map(|index| format!("{bank}{}.{element}", (first_number + index) % 32));
    format!("{before}{{ {} }}{behind}", all.collect::<Vec<_>>().join(", "))
}

/// Two spellings of one instruction of arm64.
fn is_same_aarch64(ours: &str, theirs: &str) -> bool {
    let (mut ours, theirs) = (normal(ours), normal(&listed(theirs)));
    // The manual prefers the name of a widening without a shift.
    for (preferred, name) in [("sxtl", "sshll"), ("uxtl", "ushll")] {
        if ours.words.starts_with(preferred) && theirs.words.starts_with(name) {
            ours.words = format!("{},N", ours.words.replacen(preferred, name, 1));
            ours.numbers.push("0".to_owned());
        }
    }
    ours.words == theirs.words && same_numbers(&ours.numbers, &theirs.numbers, &[64])
}

/// Fails where an instruction of a file is read in another way than by the other tool; how many there are.
fn compare(path: &Path) -> usize {
    let ours = instructions(path);
    let bytes = fs::read(path).expect("it is there");
    let is_arm = inspect(&bytes, Disassembly::PARTS)
        .is_ok_and(|found| found.images.iter().all(|image| image.architecture == "aarch64"));
    // Each version leaves out what the other has: 19 prints nothing of some libraries, 14 has no newer arm64.
    let theirs = if is_arm {
        objdump("llvm-objdump-19", &["--mattr=+all"], path)
    } else {
        objdump("llvm-objdump", &["--x86-asm-syntax=intel"], path)
    };
    let places = |all: &mut dyn Iterator<Item = u64>| all.collect::<Vec<_>>();
    let (here, there) = (
        places(&mut ours.iter().map(|(address, ..)| *address)),
        places(&mut theirs.iter().map(|(address, _)| *address)),
    );
    let differ = here.iter().zip(&there).find(|(one, other)| one != other);
    assert_eq!((differ, here.len()), (None, there.len()), "{}", path.display());
    let is_same = if is_arm { is_same_aarch64 } else { is_same_x86_64 };
    let mut wrong = String::new();
    let both = ours.iter().map(|(address, text, _)| (address, text)).zip(&theirs);
    let differ = both.filter(|((_, text), (_, other))| !is_same(text, other));
    for ((address, text), (_, other)) in differ.take(40) {
        let _ = writeln!(wrong, "{address:#x}: {text}  {}", other.replace('\t', " "));
    }
    assert!(wrong.is_empty(), "{}:\n{wrong}", path.display());
    ours.len()
}

#[test]
fn instructions_are_those_that_another_tool_reads() {
    let Some(built) = built() else { return };
    let mut compared = BTreeMap::new();
    for path in built.paths.iter().filter(|path| !path.ends_with("universal")) {
        let architecture =
            if path.to_string_lossy().contains("arm64") { "arm64" } else { "x86_64" };
        *compared.entry(architecture).or_insert(0) += compare(path);
    }
    let libraries = picked("/usr/lib/x86_64-linux-gnu", |name| name.contains(".so"), 4);
    // Code by hand, of all kinds of vectors.
    let vectors = ["/usr/lib/x86_64-linux-gnu/libm.so.6"].map(PathBuf::from);
    for path in libraries.iter().chain(&vectors) {
        *compared.entry("x86_64").or_insert(0) += compare(path);
    }
    for path in ["libc.so.6", "libm.so.6"] {
        let path = Path::new("/usr/aarch64-linux-gnu/lib").join(path);
        *compared.entry("arm64").or_insert(0) += compare(&path);
    }
    println!("instructions compared: {compared:?}");
    assert!(compared["arm64"] > 300_000 && compared["x86_64"] > 100_000, "{compared:?}");
}

/// Words of arm64 in an object file, as `llvm-objdump` reads them.
fn read_by_objdump(words: impl Iterator<Item = u32>) -> Vec<(u32, String)> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (source, object) = (folder.path().join("words.s"), folder.path().join("words.o"));
    let words: Vec<_> = words.collect();
    let lines: Vec<_> = words.iter().map(|word| format!(".inst {word:#x}\n")).collect();
    let text = lines.concat();
    fs::write(&source, text).expect("the folder can be written to");
    let made = Command::new("llvm-mc-19")
        .args(["--triple=aarch64", "--filetype=obj", "-o"])
        .args([&object, &source])
        .status();
    assert!(made.expect("tests/run.sh installs it").success());
    let lines = objdump("llvm-objdump-19", &["--mattr=+all"], &object);
    assert_eq!(lines.len(), words.len());
    words.into_iter().zip(lines.into_iter().map(|(_, text)| text)).collect()
}

/// The text of one word at an address.
fn read_here(address: u64, word: u32) -> String {
    let mut elf = Vec::new();
    // A header and one executable segment are enough.
    elf.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    elf.extend([2_u16, 183].map(u16::to_le_bytes).concat());
    elf.extend(1_u32.to_le_bytes());
    elf.extend([0_u64, 64, 0].map(u64::to_le_bytes).concat());
    elf.extend(0_u32.to_le_bytes());
    elf.extend([64_u16, 56, 1, 64, 0, 0].map(u16::to_le_bytes).concat());
    elf.extend([1_u32, 5].map(u32::to_le_bytes).concat());
    elf.extend([120_u64, address, address, 4, 4, 4].map(u64::to_le_bytes).concat());
    elf.extend(word.to_le_bytes());
    let found = inspect(&elf, Disassembly::PARTS).expect("the header is whole");
    let code = Disassembly::new(&found.images[0], &elf, None).expect("arm64 is read");
    let line = code.lines().find_map(|line| match line {
        Line::Instruction { text, .. } => Some(text),
        _ => None,
    });
    line.expect("one instruction")
}

#[test]
fn arm64_system_registers_have_the_names_of_the_manual() {
    let moves = (0..1 << 15).map(|register| 0xd530_0000 | register << 5);
    let mut named = 0;
    for (index, (word, theirs)) in read_by_objdump(moves).into_iter().enumerate() {
        let ours = read_here(4 * index as u64, word);
        // Those that trace units and single processors have are numbers here.
        let is_known = !ours.contains(", s2_") && !ours.contains(", s3_");
        let is_own = ["trc", "brb", "s2_", "s3_"].iter().any(|start| {
            theirs.to_lowercase().split_once(", ").is_some_and(|(_, name)| name.starts_with(start))
        });
        let is_of_a_maker = [11, 15].contains(&(word >> 12 & 15));
        // One number, two names: that of what is read, and of what is written.
        let is_transfer = theirs.to_lowercase().contains("dbgdtrrx_el0");
        assert!(is_known || is_own || is_of_a_maker || is_transfer, "{word:#x}: {ours} {theirs}");
        if is_known && !is_own {
            named += 1;
            assert!(is_same_aarch64(&ours, &theirs), "{word:#x}: {ours} {theirs}");
        }
    }
    assert!(named > 600, "{named}");
}

/// Whether two texts of one word are a known difference.
type Differs = fn(ours: &str, theirs: &str) -> bool;

/// Where the other tool prints something else, and why that is no mistake here.
const DIFFERENT: [(&str, Differs); 9] = [
    ("the number of a hint that prefetches into a system cache", |ours, theirs| {
        ours.starts_with("prf") && ours.contains('#') && theirs.contains("slc")
    }),
    ("a constant with its sign, or in the elements' width", |ours, theirs| {
        ours.starts_with("mov z") && theirs.contains("// =")
    }),
    ("an index register that is zero", |ours, theirs| {
        ours.contains(", xzr") && !theirs.contains("xzr")
    }),
    ("the manual prefers `bfc`", |ours, theirs| {
        ours.starts_with("bfc") && theirs.starts_with("bfi") && theirs.contains("zr,")
    }),
    ("`mov` of what a wide move could do too", |ours, theirs| {
        ours.starts_with("mov") && theirs.starts_with("orr") && theirs.contains("zr, #")
    }),
    ("a predicate with its elements' width, or without", |ours, theirs| {
        ["sqdecp", "sqincp", "uqdecp", "uqincp"].iter().any(|name| ours.starts_with(name))
            && theirs.contains(ours.rsplit(' ').next().unwrap_or_default())
    }),
    ("an element's index that is zero", |ours, theirs| {
        ours.starts_with("psel") && theirs.ends_with(", 0]")
    }),
    ("what is left to `.inst`: docs/INSPECT.md names it", |ours, theirs| {
        let left = ["adr", "ext", "fdot", "ld1ro", "stl1", "ldap1"];
        ours.starts_with(".inst") && left.iter().any(|name| theirs.starts_with(name))
    }),
    ("system instructions and registers newer than the other tool", |_, theirs| {
        theirs.starts_with("sys") || theirs.contains("trc") || theirs.to_lowercase().contains("s2_")
    }),
];

#[test]
fn arm64_words_by_chance_are_what_another_tool_reads() {
    let mut word = 1_u32;
    let words = std::iter::repeat_with(|| {
        word = word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        word.rotate_left(11)
    });
    let mut wrong = BTreeMap::new();
    let mut compared = 0;
    for (index, (word, theirs)) in read_by_objdump(words.take(60_000)).into_iter().enumerate() {
        let ours = read_here(4 * index as u64, word);
        // What is newer than the other tool; SME, which is not read here (docs/INSPECT.md).
        let is_sme = word & 0x9e00_0000 == 0x8000_0000;
        if theirs.contains("<unknown>") || is_sme {
            assert!(!is_sme || ours.starts_with(".inst"), "{word:#x}: {ours}");
            continue;
        }
        if DIFFERENT.iter().any(|(_, differs)| differs(&ours, &theirs)) {
            continue;
        }
        compared += 1;
        if !is_same_aarch64(&ours, &theirs) {
            let mnemonic = theirs.split_whitespace().next().unwrap_or_default().to_owned();
            wrong.entry(mnemonic).or_insert_with(|| format!("{word:#x}: {ours} {theirs}"));
        }
    }
    assert!(compared > 8_000, "{compared}");
    assert!(wrong.is_empty(), "{compared} {wrong:#?}");
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
        ("app-x86_64.o", "X86_64_RELOC_SIGNED, pc-relative, 4 bytes app::names"),
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
