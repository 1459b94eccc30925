//! No line that is accepted means anything else to LLVM.

use expect_test::{Expect, expect};

use super::generator::{self, Random};
use super::{llvm, try_assemble};
use crate::target::Architecture;

/// How lines fared.
#[derive(Debug, Default)]
struct Score {
    same: usize,
    /// Other bytes that mean the same.
    equivalent: usize,
    /// LLVM accepts it, we do not.
    refused: Vec<String>,
    refused_by_both: usize,
    /// We accept it, LLVM does not.
    only_ours: Vec<String>,
    /// The lines that mean something else, with what.
    wrong: Vec<String>,
}

fn compare(architecture: Architecture, lines: &[String]) -> Score {
    let expected = llvm::assemble(architecture, lines);
    let mut score = Score::default();
    let mut different = Vec::new();
    for (line, expected) in lines.iter().zip(expected) {
        let ours = try_assemble(line, architecture).ok().map(|block| block.bytes);
        match (ours, expected) {
            (None, None) => score.refused_by_both += 1,
            (None, Some(_)) => score.refused.push(line.clone()),
            (Some(_), None) => score.only_ours.push(line.clone()),
            (Some(ours), Some(expected)) if ours == expected => score.same += 1,
            (Some(ours), Some(expected)) => different.push((line, ours, expected)),
        }
    }
    let codes: Vec<_> =
        different.iter().flat_map(|(_, ours, theirs)| [ours.clone(), theirs.clone()]).collect();
    let texts = llvm::disassemble(architecture, &codes);
    for ((line, ours, theirs), texts) in different.into_iter().zip(texts.chunks(2)) {
        match texts {
            [Some(our_text), Some(their_text)] if is_same(our_text, their_text) => {
                score.equivalent += 1;
            }
            texts => score.wrong.push(format!("{line}: {ours:02x?} {theirs:02x?} {texts:?}")),
        }
    }
    score
}

/// Whether two disassemblies say the same: by their letters, or in one of the ways in which one meaning has
/// two encodings.
fn is_same(ours: &str, theirs: &str) -> bool {
    // What follows is LLVM's remark on the result.
    let plain = |text: &str| {
        let text = text.split(" # ").next().unwrap_or_default().trim();
        text.strip_prefix("movabs ").map_or(text.to_owned(), |rest| format!("mov {rest}"))
    };
    let (ours, theirs) = (plain(ours), plain(theirs));
    let swapped = || {
        let (first, second) = ours.strip_prefix("xchg ")?.split_once(", ")?;
        Some(theirs == format!("xchg {second}, {first}"))
    };
    // A 32-bit move clears the upper half of the register that a 64-bit move writes.
    let widened = || {
        let (register, number) = ours.strip_prefix("mov ")?.split_once(", ")?;
        let number = number.parse::<i64>().ok().filter(|&number| number >= 0)?;
        let wide = match register.strip_prefix('e') {
            Some(rest) => format!("r{rest}"),
            None => register.strip_suffix('d')?.to_owned(),
        };
        Some(theirs == format!("mov {wide}, {number}"))
    };
    // -1 and 4294967295 are the same 32 bits.
    let wrapped = || {
        let (our_rest, our_number) = ours.rsplit_once(", ")?;
        let (their_rest, their_number) = theirs.rsplit_once(", ")?;
        let difference = our_number.parse::<i128>().ok()? - their_number.parse::<i128>().ok()?;
        Some(our_rest == their_rest && difference % (1 << width(our_rest)) == 0)
    };
    // Where a register is not shifted or extended, its words for that do not matter.
    let unshifted = |text: &str| {
        let text = text.replace("uxtx", "lsl").replace("uxtw", "lsl");
        let text = text.replace(", lsl #0", "").replace(" #0]", "]").replace(", lsl]", "]");
        text.trim_end_matches(", lsl").to_owned()
    };
    ours == theirs
        || unshifted(&ours) == unshifted(&theirs)
        || [swapped(), widened(), wrapped()].contains(&Some(true))
}

/// How many bits the first operand of a disassembly for x86-64 has.
fn width(text: &str) -> u32 {
    let text = text.strip_prefix("lock ").unwrap_or(text);
    let operand = text.split_once(' ').map_or("", |(_, operands)| operands);
    match operand.split([' ', ',']).next().unwrap_or_default() {
        "byte" => 8,
        "word" => 16,
        "dword" => 32,
        "qword" => 64,
        register if register.ends_with('d') || register.starts_with('e') => 32,
        register if register.ends_with('w') || register.len() == 2 => 16,
        _ => 64,
    }
}

/// The lines of a list without comments.
fn listed(list: &str) -> Vec<String> {
    let lines = list.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with("//")).map(str::to_owned).collect()
}

/// The common instructions of a list: none is wrong, and only those that are written down are refused.
#[track_caller]
fn check_list(architecture: Architecture, list: &str, expected: Expect) {
    let lines = listed(list);
    let score = compare(architecture, &lines);
    assert_eq!((&score.wrong[..], &score.only_ours[..]), (&[][..], &[][..]));
    let Score { same, equivalent, refused, refused_by_both, .. } = score;
    let counts =
        format!("{same} same, {equivalent} equivalent, {refused_by_both} refused by both\n");
    expected.assert_eq(&(counts + &refused.join("\n") + "\n"));
}

#[test]
fn common_instructions_of_x86_64() {
    check_list(
        Architecture::X86_64,
        include_str!("common_x86_64.s"),
        expect![[r"
        303 same, 8 equivalent, 0 refused by both
        sysretq
        pmovmskb eax, xmm0
        psrldq xmm0, 8
        pslld xmm0, 4
        ldmxcsr dword ptr [rdi]
        mov ax, ds
        mov ds, ax
        mov cr0, rax
        mov rax, cr3
        lgdt [rdi]
        lidt [rdi]
        invlpg [rdi]
        ltr ax
        fld qword ptr [rdi]
        fstp dword ptr [rdi]
        fldz
    "]],
    );
}

#[test]
fn common_instructions_of_arm64() {
    check_list(
        Architecture::Aarch64,
        include_str!("common_aarch64.s"),
        expect![[r"
        261 same, 0 equivalent, 1 refused by both
        ldpsw x0, x1, [x2]
        ldnp x0, x1, [x2]
        ldxp x0, x1, [x2]
        stxp w0, x1, x2, [x3]
        clrex
        udf #0
        mrs x0, midr_el1
        prfm pldl1keep, [x0]
        dc zva, x0
        ic ivau, x0
        crc32w w0, w1, w2
        hint #34
        bti c
        paciasp
        autiasp
        eret
        hvc #0
        smc #0
        fmov d0, x0
        fmov s0, #1.0
        fadd d0, d1, d2
        scvtf d0, x0
        fcvtzs x0, d0
        ldr d0, [x0]
        ldr q0, [x0, #16]
        str s0, [x0]
        stp d8, d9, [sp, #-16]!
        movi v0.16b, #0
        add v0.4s, v1.4s, v2.4s
        ld1 {v0.16b}, [x0]
    "]],
    );
}

/// How many generated lines are tried: all of them with `MINILD_TESTS=all`.
fn amount() -> usize {
    match std::env::var("MINILD_TESTS") {
        Ok(value) if value == "all" => 100_000,
        _ => 4_000,
    }
}

#[track_caller]
fn check_generated(architecture: Architecture, line: fn(&mut Random) -> String) {
    let mut random = Random::new(42);
    let lines: Vec<_> = (0..amount()).map(|_| line(&mut random)).collect();
    let score = compare(architecture, &lines);
    println!(
        "{architecture:?}: {} same, {} equivalent, {} refused, {} by both, {} only ours, {} wrong",
        score.same,
        score.equivalent,
        score.refused.len(),
        score.refused_by_both,
        score.only_ours.len(),
        score.wrong.len()
    );
    assert_eq!((&score.wrong[..], &score.only_ours[..]), (&[][..], &[][..]));
    assert!(score.same > lines.len() / 4, "the generator makes no instructions");
}

#[test]
fn generated_lines_of_x86_64() {
    check_generated(Architecture::X86_64, generator::x86_64);
}

#[test]
fn generated_lines_of_arm64() {
    check_generated(Architecture::Aarch64, generator::aarch64);
}
