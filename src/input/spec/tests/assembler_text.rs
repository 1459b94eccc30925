//! What assembler text becomes inside a spec: constants, sizes, symbols, and where it lies.

use expect_test::expect;

use super::{check_errors, check_program};

#[test]
fn constants_and_sizes_decide_the_width_of_instructions() {
    check_program(
        r#"
        [constants]
        SMALL = 1
        LARGE = 0x1000
        [rodata]
        message = "Hello"
        [bss]
        buffer = { size = "64 KiB" }
        [target.x86_64-linux]
        asm = '''
        start:
            mov eax, SMALL
            add rax, SMALL
            add rax, LARGE
            add rax, -SMALL*2
            mov edx, message.size
            mov edx, buffer.size - 1
            mov rcx, [rdi + rcx*8 - LARGE]
            mov byte ptr [rip + buffer + buffer.size - 1], SMALL + 1
            lea rsi, [rip + message]
            call puts
            jmp .end
            .byte SMALL, message.size
        .end:
            ret
        '''
        "#,
        "x86_64-linux",
        expect![[r#"
            ReadOnly message align 8
                48 65 6c 6c 6f
              message at 0x0, 5 bytes, Object
            Bss buffer align 8
                zeros 0x10000
              buffer at 0x0, 65536 bytes, Object
            Code code align 8
                b8 01 00 00 00 48 83 c0 01 48 05 00 10 00 00 48
                83 c0 fe ba 05 00 00 00 ba ff ff 00 00 48 8b 8c
                cf 00 f0 ff ff c6 05 00 00 00 00 02 48 8d 35 00
                00 00 00 e8 00 00 00 00 eb 02 01 05 c3
              0x27: rel32 buffer +65530
              0x2f: rel32 message -4
              0x34: call32 puts -4
              start at 0x0, 61 bytes, Function
              local .end at 0x3c, 0 bytes, Unspecified
            puts is Undefined
            entry start, Independent
        "#]],
    );
}

#[test]
fn several_texts_see_each_other() {
    check_program(
        r#"
        entry = "main"
        [target.aarch64-linux]
        code.first.asm = """
        main:
            bl second
            adrp x0, table
            add x0, x0, :lo12:table
            ldr x1, [x0, #table.size - 8]
            b .end
        .end: ret
        """
        code.last.hex = "second: d65f03c0"
        code.other = { asm = ".balign 64\nthird: ret" }
        [data.table]
        pointers = ["main", "third"]
        "#,
        "aarch64-linux",
        expect![[r#"
            Data table align 8
                00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
              0x0: abs64 main +0
              0x8: abs64 third +0
              table at 0x0, 16 bytes, Object
            Code first align 8
                00 00 00 94 00 00 00 90 00 00 00 91 01 04 40 f9
                01 00 00 14 c0 03 5f d6
              0x0: call26 second +0
              0x4: page21 table +0
              0x8: pageoff12 table +0
              main at 0x0, 24 bytes, Function
              local .end at 0x14, 0 bytes, Unspecified
            Code last align 8
                c0 03 5f d6
              second at 0x0, 4 bytes, Function
            Code other align 64
                c0 03 5f d6
              third at 0x0, 4 bytes, Function
            entry main, Independent
        "#]],
    );
}

#[test]
fn the_sizes_of_texts_and_sections_are_known_in_texts() {
    check_program(
        r#"
        [rodata]
        one = { u8 = 1, align = 1 }
        two = { u16 = 2, align = 1 }
        [section.both]
        contents = ["two", "one"]
        [target.x86_64-linux.code.copy]         # the item's name is no symbol, the label is
        asm = """
        start:
            add eax, start.size                 # 3 bytes, but 5 where the size does not fit 8 bits
            add eax, last.size                  # so this makes the text grow twice
            mov ecx, both.size
            .skip 116
        """
        [target.x86_64-linux.code.other]
        asm = "last: push start.size\n.skip 200"
        [target.x86_64-linux.code.hex]
        hex = "exact: 90 90 90"
        [target.x86_64-linux.code.end]
        asm = "mov al, exact.size"
        "#,
        "x86_64-linux",
        expect![[r#"
            ReadOnly both align 8
                02 00 01
              both at 0x0, 3 bytes, Unspecified
              two at 0x0, 2 bytes, Object
              one at 0x2, 1 bytes, Object
            Code copy align 8
                05 83 00 00 00 05 cd 00 00 00 b9 03 00 00 00 00
                00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
                00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
                00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
                00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
                00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
                00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
                00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
                00 00 00
              start at 0x0, 131 bytes, Function
            Code other align 8
                68 83 00 00 00 00 00 00 00 00 00 00 00 00 00 00
                00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
                00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
                00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
                00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
                00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
                00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
                00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
                00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
                00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
                00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
                00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
                00 00 00 00 00 00 00 00 00 00 00 00 00
              last at 0x0, 205 bytes, Function
            Code hex align 8
                90 90 90
              exact at 0x0, 3 bytes, Function
            Code end align 8
                b0 03
            entry start, Independent
        "#]],
    );
}

#[test]
fn sizes_that_never_settle_are_an_error() {
    // In its short form the instruction is too small for itself, in its long form too large.
    check_errors(
        r#"
        [target.x86_64-linux]
        asm = """
        start:
            add eax, 201 - start.size
            .skip 70
        """
        "#,
        expect![[r#"
            2:1-2:4: invalid-value: how large this text is depends on sizes that depend on it, and they do not settle
              help: instructions whose width does not depend on the size let it settle
        "#]],
    );
    check_errors(
        r#"
        [target.x86_64-linux]
        asm = """
        start:
            add eax, strat.size
            add eax, .end.size
        .end:
            .skip start.size * 2
        """
        "#,
        expect![[r#"
            4:14-4:24: undefined-symbol: nothing is called `strat`, so it has no size
              help: did you mean `start`?
            5:14-5:23: undefined-symbol: nothing is called `.end`, so it has no size
        "#]],
    );
}
