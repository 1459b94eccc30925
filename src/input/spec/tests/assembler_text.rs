//! What assembler text becomes inside a spec: constants, sizes, symbols, and where it lies.

use expect_test::expect;

use super::check_program;

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
