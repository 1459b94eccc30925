//! What surrounds instructions: comments, directives, padding.

use std::fmt::Write;

use expect_test::{Expect, expect};
use iced_x86::{Decoder, DecoderOptions, Mnemonic};

use super::super::dialect;
use super::try_assemble;
use crate::target::Architecture;

#[track_caller]
fn check(architecture: Architecture, text: &str, expected: Expect) {
    let block = try_assemble(text, architecture).unwrap_or_else(|errors| panic!("{errors}"));
    let mut dump = String::new();
    for line in block.bytes.chunks(16) {
        let digits: Vec<_> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(dump, "{}", digits.join(" ")).expect("strings take all");
    }
    for label in &block.labels {
        writeln!(dump, "{} at {}", label.name, label.offset).expect("strings take all");
    }
    if let Some(align) = block.align {
        writeln!(dump, "align {align}").expect("strings take all");
    }
    expected.assert_eq(&dump);
}

#[test]
fn comments() {
    check(
        Architecture::X86_64,
        "# all of it
        nop # and the rest
        nop // of the line
        /* one */ nop /* and
        several */ nop
        cmp al, '#'   # in quotes it is none
        .ascii \"//#/*\"
        ",
        expect![[r#"
            90 90 90 90 3c 23 2f 2f 23 2f 2a
        "#]],
    );
    check(
        Architecture::Aarch64,
        "# a line of its own
        nop // the rest
        mov x0, #1 /* a number */
        ",
        expect![[r#"
            1f 20 03 d5 20 00 80 d2
        "#]],
    );
}

#[test]
fn directives() {
    check(
        Architecture::X86_64,
        "start: .byte 1, -1, 255, 'a', 2*8+1
        .short 0xffff, -32768
        .long 0xffffffff, -1
        .quad 0xffffffffffffffff, -9223372036854775808
        .ascii \"a\\n\", \"\\x80ä\"
        .asciz \"b\"
        .zero 3
        .skip 2, 0xcc
        one: two: .balign 4
        .p2align 4, 0xee
        end:
        ",
        expect![[r#"
            01 ff ff 61 11 ff ff 00 80 ff ff ff ff ff ff ff
            ff ff ff ff ff ff ff ff ff 00 00 00 00 00 00 00
            80 61 0a 80 c3 a4 62 00 00 00 00 cc cc 0f 1f 00
            start at 0
            one at 45
            two at 45
            end at 48
            align 16
        "#]],
    );
    check(
        Architecture::Aarch64,
        ".byte 1
        .balign 4
        .inst 0xd65f03c0, 0xd503201f
        .balign 16
        nop
        ",
        expect![[r#"
            01 00 00 00 c0 03 5f d6 1f 20 03 d5 1f 20 03 d5
            1f 20 03 d5
            align 16
        "#]],
    );
}

#[test]
fn padding_does_nothing_and_fits() {
    for length in 0..40 {
        let bytes = (dialect(Architecture::X86_64).padding)(length);
        assert_eq!(bytes.len(), length);
        let mut decoder = Decoder::with_ip(64, &bytes, 0, DecoderOptions::NONE);
        let all_nops = decoder.iter().all(|instruction| instruction.mnemonic() == Mnemonic::Nop);
        assert!(all_nops, "{bytes:02x?}");
        assert_eq!((dialect(Architecture::Aarch64).padding)(length).len(), length);
    }
}

/// The memory that an item needs grows with its text, and so does the time: no directive and no chain of
/// jumps makes more of it.
#[test]
fn long_texts_take_no_longer_than_they_must() {
    let mut text = String::new();
    for line in 0..20_000 {
        // Each jump reaches just as long as the next ones stay short.
        writeln!(text, ".l{line}: jmp .l{}", (line + 60).min(19_999)).expect("strings take all");
    }
    let start = std::time::Instant::now();
    try_assemble(&text, Architecture::X86_64).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}
