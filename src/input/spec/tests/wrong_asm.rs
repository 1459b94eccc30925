//! What is said of wrong assembler text, and that places in it are exact.

use expect_test::expect;

use super::check_errors;

#[test]
fn mistakes_on_x86_64() {
    check_errors(
        r#"
        [target.x86_64-linux]
        asm = '''
        start:
          mov eax, 1
          mvo eax, 1
          frobnicate
          mov eax 1
          mov eax,
          mov , eax
          add eax, bl
          mov [rdi], 5
          inc [rdi]
          movzx eax, [rdi]
          cmp rax, 0xffffffff
          add al, 300
          mov rax, message
          mov rax, [message]
          mov eax, [message + rcx*4]
          mov eax, offset message
          mov eax, SYS_wrte
          mov rax, [rbx - rcx]
          mov rax, [rbx + rcx*3]
          mov rax, [rbx + rcx + rdx]
          mov rax, [rip + rcx]
          mov rax, [rel message]
          mov rax, cr0
          mov rax, [rbx+0x80000000]
          nop ; comment
          mov eax, 017
          mov eax, 0ffh
          mov eax, 5fx
          mov eax, (1+2)
          movl $1, %eax
          jmp .gone
          jmp short start
          jmp 5
          1: jmp 1b
          rep mov eax, 1
          rep
          lock mov eax, 1
          call puts@GOTPCREL
          mov eax, ' ab'
          mov eax, 'a
          dword ptr eax
          mov dword ptr eax, 5
          mov eax, dword ptr 5
          cvtsi2sd xmm0, [rdi]
          pmovmskb eax, xmm0
          call eax
          xchg eax, eax
          push dword ptr [rdi]
          start: ret
          rax: ret
          lea rax, [rip + start.size]
          mov eax, nothing.size
          mov qword ptr [rip + a], offset b
          /* open
        '''
        [constants]
        SYS_write = 1
        [rodata]
        message = "hello"
        "#,
        expect![[r#"
            5:3-5:6: syntax: x86-64 has no instruction `mvo`
              help: did you mean `mov`?
            6:3-6:13: syntax: x86-64 has no instruction `frobnicate`
            7:11-7:12: syntax: `1` is not expected here
              help: operands have commas between them
            8:10-8:11: syntax: an operand is missing here
            9:7-9:8: syntax: an operand is missing here
            10:3-10:14: unsupported: `add eax, bl` would become `add eax, ebx`
              help: if it is an instruction, write its bytes: `.byte 0x…`, or use `hex`
            11:3-11:15: unsupported: `mov [rdi], 5` would become `mov dword ptr [rdi], 5`
              help: say the size of the memory operand: `byte ptr`, `word ptr`, `dword ptr` or `qword ptr`
            12:3-12:12: unsupported: `inc [rdi]` would become `inc dword ptr [rdi]`
              help: say the size of the memory operand: `byte ptr`, `word ptr`, `dword ptr` or `qword ptr`
            13:3-13:19: unsupported: `movzx eax, [rdi]` would become `movzx eax, byte ptr [rdi]`
              help: say the size of the memory operand: `byte ptr`, `word ptr`, `dword ptr` or `qword ptr`
            14:3-14:22: unsupported: `cmp rax, 0xffffffff` would become `cmp rax, 0xffffffffffffffff`
              help: the number does not fit the instruction, whose immediates have at most 32 bits and a sign: move it into a register first
            15:3-15:14: unsupported: `add al, 300` would become `add al, 0x2c`
              help: here a number has 8 bits: -128 to 255
            16:12-16:19: invalid-value: `message` is no constant, and cannot stand here as a number
              help: its address is lea rax, [rip + message], what lies there is mov rax, [rip + message]
            17:13-17:20: unsupported: the address of `message` does not fit 32 bits in a program that can be loaded anywhere
              help: count from the instruction: [rip + message]
            18:13-18:20: unsupported: the address of `message` does not fit 32 bits in a program that can be loaded anywhere
              help: first `lea` it into a register: lea rax, [rip + message]
            19:19-19:26: unsupported: an address has 64 bits, which only `mov` to a 64-bit register can hold
              help: lea rax, [rip + message] is shorter and needs no relocation when the program is loaded
            20:12-20:20: undefined-symbol: `SYS_wrte` is no constant, and cannot stand here as a number
              help: did you mean `SYS_write`?
            21:17-21:18: syntax: a register is never subtracted in an address
            22:23-22:24: out-of-range: a register is multiplied by 1, 2, 4 or 8
            23:25-23:28: syntax: an address has two registers at most, one of them multiplied
            24:12-24:23: syntax: an address that counts from `rip` has no other register
            25:13-25:16: syntax: `rel` is said with a register here
              help: write [rip + name]
            26:3-26:15: unsupported: `mov rax, cr0` would become `mov rax, 0`
              help: if it is an instruction, write its bytes: `.byte 0x…`, or use `hex`
            27:16-27:27: out-of-range: 2147483648 does not fit an address: it is from -2147483648 to 2147483647
            28:7-28:8: syntax: `;` separates statements for some assemblers and starts a comment for others
              help: a statement has a line of its own, and a comment starts with `#`
            29:12-29:15: syntax: `017` is octal to some assemblers and decimal to others
              help: write 17 or 0o17
            30:12-30:16: syntax: `0ffh` is no number
              help: write 0xff
            31:12-31:15: syntax: `5fx` is no number
              help: numbers are decimal, or have `0x`, `0o` or `0b` before them
            32:12-32:13: syntax: `(` is not calculated here
              help: sums and products of numbers are; give anything else a name in [constants]
            33:3-33:7: syntax: x86-64 has no instruction `movl`
              help: did you mean `cmovl`?
            34:7-34:12: undefined-symbol: no local label is called `.gone` in this block
            35:7-35:12: unsupported: `short` is not said here
              help: leave it out: a jump is as short as its target allows
            36:7-36:8: invalid-value: `jmp` goes to a name, not to a number
            37:3-37:4: syntax: `1:` is a number, and labels are names
              help: write `.again:` for a label that only this text sees
            37:10-37:12: syntax: `1b` is no number
              help: labels are names: `.again:` is one that only this text sees
            38:3-38:17: unsupported: `rep mov eax, 1` would become `mov eax, 1`
              help: `rep` stands before string instructions, like `rep stosb`
            39:3-39:6: syntax: `rep` stands before an instruction
            40:3-40:18: unsupported: `lock mov eax, 1` cannot be encoded: LOCK prefix requires a memory destination operand
              help: if it is an instruction, write its bytes: `.byte 0x…`, or use `hex`
            41:8-41:21: unsupported: x86-64 has no use for this part of `puts` here
              help: `@GOTPCREL` stands in [rip + name@GOTPCREL], `@PLT` behind `call` and `jmp`, `@tpoff` in fs:[name@tpoff]
            42:12-42:17: syntax: `' ab'` is not one character of ASCII
            43:12-43:14: syntax: this quote is not closed on its line
            44:3-44:8: syntax: x86-64 has no instruction `dword`
            45:7-45:16: syntax: a register has a size of its own
              help: leave out the size
            46:12-46:21: syntax: a size belongs to a memory operand
              help: memory stands in brackets: `dword ptr [rdi]`
            47:3-47:23: unsupported: `cvtsi2sd xmm0, [rdi]` would become `cvtsi2sd xmm0, dword ptr [rdi]`
              help: say the size of the memory operand: `byte ptr`, `word ptr`, `dword ptr` or `qword ptr`
            48:3-48:21: unsupported: `pmovmskb` is beyond this assembler
              help: if it is an instruction, write its bytes: `.byte 0x…`, or use `hex`
            49:3-49:11: unsupported: `call eax` would become `call rax`
              help: if it is an instruction, write its bytes: `.byte 0x…`, or use `hex`
            50:3-50:16: unsupported: `xchg eax, eax` would become `nop`
              help: if it is an instruction, write its bytes: `.byte 0x…`, or use `hex`
            51:3-51:23: unsupported: `push dword ptr [rdi]` would become `push qword ptr [rdi]`
              help: if it is an instruction, write its bytes: `.byte 0x…`, or use `hex`
            52:3-52:8: duplicate-symbol: `start` is defined twice
              3:1-3:6: first defined here
            53:3-53:6: syntax: `rax` is a register, and cannot be a label
            55:12-55:24: undefined-symbol: nothing is called `nothing`, so it has no size
            56:35-56:36: unsupported: `a` and `b` do not fit one instruction
            57:3-57:5: syntax: this comment has no end
        "#]],
    );
}

#[test]
fn mistakes_on_arm64() {
    check_errors(
        r#"
        [target.aarch64-linux]
        asm = '''
        start:
          mov x0, 0x12345
          and x0, x1, #5
          add w0, x1, w2
          ldr x0, [w1]
          ldr x0, [x1, #5000000]
          ldr x0, =message
          ldr d0, [x0]
          mov x0, message
          mov x0, #SYS_wrte
          mov x0, #1 # comment
          mov x0, # comment
          add x0, x0, message
          add x0, x0, :got:message
          add x0, x0, :low:message
          ret
        '''
        [constants]
        SYS_write = 1
        [rodata]
        message = "hello"
        "#,
        expect![[r#"
            4:3-4:18: unsupported: `mov x0, 0x12345` cannot be encoded: immediate cannot be encoded in a single instruction; use movz+movk
              help: one `mov` cannot make this number: write movz x0, #0x2345 and movk x0, #0x1, lsl #16
            5:3-5:17: unsupported: `and x0, x1, #5` would become `and x0, x1, #0x3`
              help: a logical immediate is a run of ones, rotated and repeated: move other numbers into a register first
            6:3-6:17: unsupported: `add w0, x1, w2` would become `add w0, w1, w2`
              help: if it is an instruction, write it as a word: `.inst 0x…`, or use `hex`
            7:12-7:14: syntax: an address starts with a 64-bit register or `sp`
              help: write [x0], [x0, #8], [x0, #8]!, [x0, x1, lsl #3] or [x0, w1, sxtw #3]
            8:3-8:25: unsupported: `ldr x0, [x1, #5000000]` cannot be encoded: offset out of range
              help: if it is an instruction, write it as a word: `.inst 0x…`, or use `hex`
            9:11-9:19: unsupported: there is no pool of literals
              help: build the number with `movz` and `movk`, or load it from an item or a label: ldr x0, name
            10:7-10:9: unsupported: floating-point and vector registers are beyond this assembler
              help: if it is an instruction, write it as a word: `.inst 0x…`, or use `hex`
            11:11-11:18: invalid-value: `message` is no constant, and cannot stand here as a number
              help: its address is `adr x0, message`, or `adrp x0, message` and `add x0, x0, :lo12:message`
            12:12-12:20: invalid-value: `SYS_wrte` is no constant, and `#` stands before a number
              help: did you mean `SYS_write`?
            13:14-13:15: syntax: `#` has no number behind it
              help: `#` stands before a number; a comment starts with `//`, or with `#` on a line of its own
            14:11-14:12: syntax: `#` has no number behind it
              help: `#` stands before a number; a comment starts with `//`, or with `#` on a line of its own
            15:15-15:22: invalid-value: `message` is no constant, and cannot stand here as a number
              help: its address is `adr x0, message`, or `adrp x0, message` and `add x0, x0, :lo12:message`
            16:15-16:27: unsupported: `add` has no use for this part of `message`
              help: `:lo12:` stands in `add` and in [x0, …], `:got:` behind `adrp`, `:got_lo12:` in `ldr`
            17:15-17:16: syntax: between colons stands what is meant of a symbol
              help: it is written like `:lo12:name`; there are `:lo12:`, `:got:`, `:got_lo12:`, `:tprel_hi12:`, `:tprel_lo12_nc:`, `:gottprel:`, `:gottprel_lo12:`, `:tlsdesc:`, `:tlsdesc_lo12:`, `:secrel_hi12:`, `:secrel_lo12:`
        "#]],
    );
}

#[test]
fn more_mistakes_on_arm64() {
    check_errors(
        r#"
        [target.aarch64-linux]
        asm = '''
        start:
          lsl w0, w1, #40
          lsl x0, x1, #-1
          cset x0, al
          ldp x0, x0, [x1]
          ldr x1, [x1], #8
          str x0, [x1, #8
          str x0, [x1]!
          ldr x0, [x1, x2, lsl #2]
          ubfx w0, w1, #30, #4
          b.xx start
          tbz w0, #32, start
          cbz sp, start
          mrs x0, nosuch_el0
          hlt #65536
          frob x0
          lsl #3
          adrp x0, :got:message+8
          b .gone
          b 5
          str x1, [sp], #8 ret
          .byte 1
          ret
        '''
        [constants]
        SYS_write = 1
        [rodata]
        message = "hello"
        "#,
        expect![[r#"
            4:3-4:18: syntax: `lsl w0, w1, #40`: a shift of 32 bits is by 0 to 31, not 40
            5:3-5:18: syntax: `lsl x0, x1, #-1`: a shift of 64 bits is by 0 to 63, not -1
            6:3-6:14: syntax: `cset x0, al`: the condition `al` has no opposite
            7:3-7:19: syntax: `ldp x0, x0, [x1]`: two values are loaded into one register
            8:3-8:19: syntax: `ldr x1, [x1], #8`: the register of the address is changed twice, or stored while it changes
            9:11-9:18: syntax: this bracket is not closed, or something stands behind it
            10:11-10:16: syntax: `!` wants a number
              help: write [x0], [x0, #8], [x0, #8]!, [x0, x1, lsl #3] or [x0, w1, sxtw #3]
            11:3-11:27: unsupported: `ldr x0, [x1, x2, lsl #2]` would become `ldr x0, [x1, x2]`
              help: if it is an instruction, write it as a word: `.inst 0x…`, or use `hex`
            12:3-12:23: syntax: `ubfx w0, w1, #30, #4`: 4 bits from bit 30 on are not within 32 bits
            13:3-13:13: unsupported: `b.xx start` cannot be encoded: unknown condition
              help: if it is an instruction, write it as a word: `.inst 0x…`, or use `hex`
            14:3-14:21: unsupported: `tbz w0, #32, start` would become `tbz x0, #0x20, $+0x0`
              help: if it is an instruction, write it as a word: `.inst 0x…`, or use `hex`
            15:3-15:16: unsupported: `cbz sp, start` would become `cbz xzr, $+0x0`
              help: if it is an instruction, write it as a word: `.inst 0x…`, or use `hex`
            16:11-16:21: unsupported: no system register is called `nosuch_el0` here
              help: if it is an instruction, write it as a word: `.inst 0x…`, or use `hex`
            17:3-17:13: unsupported: `hlt #65536` cannot be encoded: HLT number must fit in 16 bits
              help: if it is an instruction, write it as a word: `.inst 0x…`, or use `hex`
            18:3-18:7: unsupported: no instruction `frob` is known to this assembler
              help: if it is an instruction, write it as a word: `.inst 0x…`, or use `hex`
            19:3-19:9: unsupported: `lsl #3` cannot be encoded: expected Rd, Rn, Rm or Rd, Rn, #imm
              help: if it is an instruction, write it as a word: `.inst 0x…`, or use `hex`
            20:12-20:26: unsupported: nothing can be added to the slot of `message`
            21:5-21:10: undefined-symbol: no local label is called `.gone` in this block
            22:5-22:6: invalid-value: `b` goes to a name, not to a number
            23:20-23:23: syntax: `ret` is not expected here
            25:3-25:6: misaligned: this instruction would stand 1 bytes into the text, which is no multiple of 4
              help: write `.balign 4` behind the data before it
        "#]],
    );
}

#[test]
fn wrong_directives() {
    check_errors(
        r#"
        [target.aarch64-linux]
        asm = '''
        start: ret
          .word 1
          .align 4
          .byte 256
          .byte message
          .inst 0x100000000
          .ascii hello
          .ascii "a\q"
          .asciz "open
          .balign 3
          .balign 4, 5, 6
          .p2align 17
          .zero -1
          .global start
          .section .data
          .equ A, 1
          .frob
          .byte
          .quad :lo12:message
          .quad a + b
          x: y : ret
          .quad x ; .quad y
        '''
        "#,
        expect![[r#"
            4:3-4:8: unsupported: `.word` is not a directive here
              help: `.word` is 2 bytes on x86 and 4 on arm64: write `.short` or `.long`
            5:3-5:9: unsupported: `.align` is not a directive here
              help: `.align 4` is 4 bytes to some assemblers and 16 to others: write `.balign` (bytes) or `.p2align` (a power of two)
            6:9-6:12: out-of-range: 256 is not from -128 to 255
            7:9-7:16: invalid-value: an address does not fit `.byte`
              help: `.quad name` holds an address, `.long name - other` a distance
            8:9-8:20: out-of-range: 4294967296 is not from 0 to 4294967295
            9:10-9:15: syntax: `.ascii` holds text in quotes
              help: write it like .ascii "text\n"
            10:10-10:15: syntax: this text has an escape that is none
              help: there are \n \t \r \0 \\ \" \' and \xNN
            11:10-11:15: syntax: this quote is not closed on its line
              help: write it like .asciz "text\n"
            12:11-12:12: invalid-value: 3 is no power of two
            13:17-13:18: syntax: this operand is one too many
              help: padding is not limited: leave it out
            14:12-14:14: invalid-value: the power of two is from 0 to 16, not 17
            15:9-15:11: out-of-range: -1 is not from 0 to 16777216
            16:3-16:10: unsupported: `.global` is not a directive here
              help: every label without a dot before it is global, and other names are found by the link: leave it out
            17:3-17:11: unsupported: `.section` is not a directive here
              help: one `asm` is one section of code: data stands in [rodata], [data] and [bss]
            18:3-18:7: unsupported: `.equ` is not a directive here
              help: constants stand in [constants]
            19:3-19:8: syntax: no directive is called `.frob`
              help: there are `.byte`, `.short`, `.2byte`, `.hword`, `.long`, `.4byte`, `.int`, `.quad`, `.8byte`, `.inst`, `.ascii`, `.asciz`, `.string`, `.zero`, `.space`, `.skip`, `.balign` and `.p2align`
            20:3-20:8: syntax: `.byte` of what?
            21:9-21:22: unsupported: data has addresses of symbols, not of their slots or pages
            22:13-22:14: invalid-value: an operand has the address of one symbol, not a sum of two
            23:8-23:9: syntax: between colons stands what is meant of a symbol
              help: it is written like `:lo12:name`; there are `:lo12:`, `:got:`, `:got_lo12:`, `:tprel_hi12:`, `:tprel_lo12_nc:`, `:gottprel:`, `:gottprel_lo12:`, `:tlsdesc:`, `:tlsdesc_lo12:`, `:secrel_hi12:`, `:secrel_lo12:`
            24:11-24:12: syntax: `;` separates statements for some assemblers and starts a comment for others
              help: a statement has a line of its own, and a comment starts with `//`
        "#]],
    );
}
