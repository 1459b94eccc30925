//! What the link finds wrong is shown in the spec, and once for all targets.

use expect_test::expect;

use super::check_link_errors;

#[test]
fn undefined_symbols() {
    check_link_errors(
        r#"
        targets = ["x86_64-linux", "aarch64-linux"]
        [rodata]
        message = "x"
        table = { pointers = ["message", "mesage+8", "other"] }
        [target.x86_64]
        hex = "start: e8 <call32 exit> eb <rel8 strat>"
        [target.aarch64]
        hex = "start: 94000000 <call26 exit>"
        "#,
        expect![[r#"
            4:34: undefined-symbol: "mesage+8"
            4:46: undefined-symbol: "other"
            6:18: undefined-symbol: <call32 exit>
            6:35: undefined-symbol: <rel8 strat>
            8:24: undefined-symbol: <call26 exit>
        "#]],
    );
}

#[test]
fn fields_that_cannot_hold_their_values() {
    check_link_errors(
        r#"
        [bss]
        far.size = "3 GiB"
        near.size = 8
        [target.x86_64-linux]
        hex = """
        start:
            eb <rel8 far>
            8b 05 <rel32 near>
            e8 <call32 far+0x7fffffff>
        """
        [target.aarch64-linux]
        hex = """
        start:
            10000000 <adr21 near>
            91000000 <call26 start>
            f9400000 <pageoff12 start+1>
        """
        "#,
        expect![[r#"
            7:8: out-of-range: <rel8 far>
            8:11: out-of-range: <rel32 near>
            9:8: out-of-range: <call32 far+0x7fffffff>
            14:14: out-of-range: <adr21 near>
            15:14: unsupported-relocation: <call26 start>
            16:14: misaligned: <pageoff12 start+1>
        "#]],
    );
}

#[test]
fn addresses_that_a_program_that_can_move_does_not_know() {
    check_link_errors(
        r#"
        [rodata]
        short = { hex = "<abs32 start>" }
        [target.x86_64-linux]
        hex = "start: 48b8 <abs64 start> b8 <abs32 start>"
        "#,
        expect![[r#"
            2:18: unsupported-relocation: <abs32 start>
            4:20: unsupported-relocation: <abs64 start>
            4:37: unsupported-relocation: <abs32 start>
        "#]],
    );
}

#[test]
fn a_wish_that_the_system_cannot_honour() {
    check_link_errors(
        r#"
        position = "fixed"
        [target.aarch64-windows]
        hex = "start: d65f03c0"
        "#,
        expect![[r#"
            1:12: unsupported: "fixed"
        "#]],
    );
}

#[test]
fn too_much_memory() {
    check_link_errors(
        r#"
        [bss]
        a.size = "15 EiB"
        b.size = "15 EiB"
        [target.x86_64-linux]
        hex = "start: f4"
        "#,
        expect![[r#"
            3:1: too-large: b
        "#]],
    );
}

#[test]
fn a_section_lies_where_it_is_told_or_not_at_all() {
    check_link_errors(
        r#"
        targets = ['x86_64-linux']
        hex = "start: c3"
        [rodata]
        long = { size = 4096 }
        short = "a"
        odd = "b"
        [section.low]
        at = 0x200
        contents = ["short"]
        [section.crooked]
        at = 0x2004
        contents = ["odd"]
        "#,
        expect![[r#"
            8:6: conflict: 0x200
            11:6: conflict: 0x2004
        "#]],
    );
}
