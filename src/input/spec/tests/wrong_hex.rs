//! What is said of wrong hex text, and that places in it are exact.

use expect_test::expect;

use super::check_errors;

#[test]
fn odd_digits() {
    check_errors(
        r#"
        [target.x86_64-linux]
        hex = '''
        start:
          48 8 8d3
        '''
        "#,
        expect![[r#"
            4:6-4:7: syntax: `8` has 1 digit: a byte has two
            4:8-4:11: syntax: `8d3` has 3 digits: a byte has two
        "#]],
    );
}

#[test]
fn words_that_are_no_digits() {
    check_errors(
        r#"
        [target.x86_64-linux]
        hex = '''
        start: 0x48 4g ; comment
          mov eax // x
          48h
        '''
        "#,
        expect![[r#"
            3:8-3:12: syntax: `0x48` is not made of hex digits
              help: digits stand alone, without `0x`
            4:3-4:6: syntax: `mov` is not made of hex digits
              help: bytes are hex digits, a label ends with `:`, a fixup stands in `<…>`
            5:3-5:6: syntax: `48h` is not made of hex digits
        "#]],
    );
}

#[test]
fn a_fixup_without_end() {
    check_errors(
        r#"
        [target.x86_64-linux]
        hex = '''
        start: e8 <rel32 start # >
         <
        '''
        "#,
        expect![[r#"
            3:11-3:23: syntax: this fixup has no end
              help: a fixup ends with `>` on its own line
            4:2-4:3: syntax: this fixup has no end
              help: a fixup ends with `>` on its own line
        "#]],
    );
}

#[test]
fn malformed_fixups() {
    check_errors(
        r#"
        [target.x86_64-linux]
        hex = '''
        start: <> <rel32> <rel32 > <rel32 start+> <rel32 a b> <rel32 start, ends=1> <rel32 start, end=x> <rel32 start, end=9> <abs64 start, end=1> <u8 1, end=1>
        '''
        "#,
        expect![[r#"
            3:8-3:10: syntax: this fixup is empty
              help: write it like `<rel32 name>` or `<abs64 name+8>`
            3:11-3:18: syntax: `rel32` of what? The fixup names nothing
              help: write it like `<rel32 name>` or `<abs64 name+8>`
            3:19-3:27: syntax: `rel32` of what? The fixup names nothing
              help: write it like `<rel32 name>` or `<abs64 name+8>`
            3:35-3:41: syntax: `start+` is no sum of names and numbers
              help: write it like `name`, `name+8` or `name-8`
            3:50-3:53: syntax: `a b` is no sum of names and numbers
              help: write it like `name`, `name+8` or `name-8`
            3:68-3:75: syntax: `ends=1` is no option of a fixup
              help: there is `end=N`
            3:90-3:96: syntax: `end` is the bytes behind the field, 0 to 8, not `x`
            3:111-3:117: syntax: `end` is the bytes behind the field, 0 to 8, not `9`
            3:132-3:138: syntax: `abs64` does not count from the end of an instruction here
              help: leave out `end`
            3:146-3:152: syntax: `u8` does not count from the end of an instruction here
              help: leave out `end`
        "#]],
    );
}

#[test]
fn unknown_kinds() {
    check_errors(
        r#"
        [target.x86_64-linux]
        hex = '''
        start: <rel23 start> <sub64 start> <call26 start> <relative start>
        '''
        "#,
        expect![[r#"
            3:9-3:14: syntax: no fixup is called `rel23`
              help: did you mean `rel32`? There are `abs64`, `abs32`, `abs32s`, `rel64`, `rel32`, `rel8`, `call32`, `got32`, `tpoff32`, `tpoff64`, `gottpoff32`, `tlsdesc32`, `tlsgd32`, `tlvp32`, `secrel32`, `dtpoff64`, `rva32`, `u8`, `u16`, `u32`, `u64`, `i8`, `i16`, `i32` and `i64`
            3:23-3:28: syntax: `sub64` alone does not make a difference
              help: name both where the address is added: `<abs64 end - start>`
            3:37-3:43: syntax: `call26` is a fixup of aarch64
              help: did you mean `call32`? There are `abs64`, `abs32`, `abs32s`, `rel64`, `rel32`, `rel8`, `call32`, `got32`, `tpoff32`, `tpoff64`, `gottpoff32`, `tlsdesc32`, `tlsgd32`, `tlvp32`, `secrel32`, `dtpoff64`, `rva32`, `u8`, `u16`, `u32`, `u64`, `i8`, `i16`, `i32` and `i64`
            3:52-3:60: syntax: no fixup is called `relative`
              help: there are `abs64`, `abs32`, `abs32s`, `rel64`, `rel32`, `rel8`, `call32`, `got32`, `tpoff32`, `tpoff64`, `gottpoff32`, `tlsdesc32`, `tlsgd32`, `tlvp32`, `secrel32`, `dtpoff64`, `rva32`, `u8`, `u16`, `u32`, `u64`, `i8`, `i16`, `i32` and `i64`
        "#]],
    );
}

#[test]
fn local_labels() {
    check_errors(
        r#"
        [target.x86_64-linux]
        hex = '''
        start: eb <rel8 .agian>
        .again: f4
        .again: f4
        '''
        "#,
        expect![[r#"
            5:1-5:7: duplicate-symbol: `.again` is defined twice
              4:1-4:7: first defined here
            3:17-3:23: undefined-symbol: no local label is called `.agian` in this block
              help: did you mean `.again`?
        "#]],
    );
}

#[test]
fn wrong_labels() {
    check_errors(
        r#"
        [target.x86_64-linux]
        hex = '''
        start: f4
        : f4
        1: f4
        f4.size: f4
        . : a-b: f4
        '''
        "#,
        expect![[r#"
            4:1-4:2: syntax: a name has at least one letter
            5:1-5:3: syntax: `1` starts with a digit, as numbers do
            6:1-6:9: syntax: `f4.size` ends with `.size`, which stands for an item's size
            7:1-7:2: syntax: `.` is not made of hex digits
              help: bytes are hex digits, a label ends with `:`, a fixup stands in `<…>`
        "#]],
    );
}

#[test]
fn numbers_in_fixups() {
    check_errors(
        r#"
        [target.x86_64-linux]
        hex = '''
        start: <u8 300> <u32 start> <i8 -129> <u32 starts.size> <u16 missing> <abs64 5> <rel32 start - end>
        '''
        "#,
        expect![[r#"
            3:12-3:15: out-of-range: 300 does not fit `u8`: it is from 0 to 255
            3:22-3:27: invalid-value: `start` is an address, and `u32` holds a number
              help: `start.size` is its size; addresses stand in `pointers` and in fixups like `<abs64 start>`
            3:33-3:37: out-of-range: -129 does not fit `i8`: it is from -128 to 127
            3:44-3:55: undefined-symbol: nothing is called `starts`, so it has no size
              help: did you mean `start`?
            3:62-3:69: undefined-symbol: no constant is called `missing`
            3:81-3:100: unsupported: `rel32` cannot hold the difference of two names
              help: `abs64` and `abs32` can
        "#]],
    );
}

#[test]
fn words_of_wrong_length() {
    check_errors(
        r#"
        [target.aarch64-linux]
        hex = '''
        start: d65f03c
          c0 03
          d65f03c000
          0xd65f03c0
        '''
        "#,
        expect![[r#"
            3:8-3:15: syntax: `d65f03c` has 7 digits: an instruction word has eight
            4:3-4:5: syntax: `c0` has 2 digits: an instruction word has eight
              help: write the word as disassemblers print it: `d65f03c0`, which in memory is c0 03 5f d6
            4:6-4:8: syntax: `03` has 2 digits: an instruction word has eight
              help: write the word as disassemblers print it: `d65f03c0`, which in memory is c0 03 5f d6
            5:3-5:13: syntax: `d65f03c000` has 10 digits: an instruction word has eight
            6:3-6:13: syntax: `0xd65f03c0` is not made of hex digits
              help: digits stand alone, without `0x`
        "#]],
    );
}

#[test]
fn fixups_without_a_word() {
    check_errors(
        r#"
        [target.aarch64-linux]
        hex = '''
        start:
          <call26 start>
          94000000 <abs64 start> <call26 start>
        '''
        "#,
        expect![[r#"
            4:3-4:17: syntax: `call26` changes an instruction, and none is before it
              help: write the instruction word before the fixup, on the same line
            5:26-5:40: syntax: `call26` changes an instruction, and none is before it
              help: write the instruction word before the fixup, on the same line
        "#]],
    );
}

#[test]
fn two_fixups_on_a_word() {
    check_errors(
        r#"
        [target.aarch64-linux]
        hex = '''
        start: 94000000 <call26 start> <jump26 start>
        '''
        "#,
        expect![[r#"
            3:32-3:46: conflict: this instruction word has two fixups
              3:17-3:31: the first one
        "#]],
    );
}

#[test]
fn ends_and_other_architectures_kinds() {
    check_errors(
        r#"
        [target.aarch64-linux]
        hex = '''
        start: <rel32 start, end=1> <call32 start> <callX start>
        '''
        "#,
        expect![[r#"
            3:21-3:27: syntax: `rel32` does not count from the end of an instruction here
              help: leave out `end`
            3:30-3:36: syntax: `call32` is a fixup of x86_64
              help: did you mean `call26`? There are `abs64`, `abs32`, `rel64`, `rel32`, `call26`, `jump26`, `branch19`, `branch14`, `literal19`, `adr21`, `page21`, `pageoff12`, `gotpage21`, `gotpageoff12`, `imm16`, `imm12`, `tprel_hi12`, `tprel_lo12`, `tprel64`, `gottprel_page21`, `gottprel_lo12`, `tlsdesc_page21`, `tlsdesc_lo12`, `tlvp_page21`, `tlvp_pageoff12`, `secrel_hi12`, `secrel_lo12`, `secrel32`, `dtprel64`, `rva32`, `u8`, `u16`, `u32`, `u64`, `i8`, `i16`, `i32` and `i64`
            3:45-3:50: syntax: no fixup is called `callX`
              help: there are `abs64`, `abs32`, `rel64`, `rel32`, `call26`, `jump26`, `branch19`, `branch14`, `literal19`, `adr21`, `page21`, `pageoff12`, `gotpage21`, `gotpageoff12`, `imm16`, `imm12`, `tprel_hi12`, `tprel_lo12`, `tprel64`, `gottprel_page21`, `gottprel_lo12`, `tlsdesc_page21`, `tlsdesc_lo12`, `tlvp_page21`, `tlvp_pageoff12`, `secrel_hi12`, `secrel_lo12`, `secrel32`, `dtprel64`, `rva32`, `u8`, `u16`, `u32`, `u64`, `i8`, `i16`, `i32` and `i64`
        "#]],
    );
}

#[test]
fn numbers_in_instructions() {
    check_errors(
        r#"
        [target.aarch64-linux]
        hex = '''
        start: d2800002 <imm16 65536> d2800002 <imm16 start.size> 91000021 <imm16 1> 91000021 <imm12 0x1000> 94000000 <call26 5>
        '''
        "#,
        expect![[r#"
            3:24-3:29: out-of-range: 65536 does not fit `imm16`: it is from 0 to 65535
            3:68-3:77: unsupported-relocation: `imm16` belongs on `mov`, `movz` or `movk`
            3:94-3:100: out-of-range: 4096 does not fit `imm12`: it is from 0 to 4095
            3:119-3:120: invalid-value: here the name of a place is missing: this is a number
              help: numbers stand in `u8` … `i64` and in fixups like `<u32 1>`
        "#]],
    );
}

#[test]
fn a_difference_in_an_instruction() {
    check_errors(
        r#"
        [target.aarch64-linux]
        hex = '''
        start: 94000000 <call26 start - start>
        '''
        "#,
        expect![[r#"
            3:17-3:39: unsupported: `call26` cannot hold the difference of two names
              help: `abs64` and `abs32` can
        "#]],
    );
}

#[test]
fn places_in_escaped_strings_are_those_of_the_text() {
    check_errors(
        r#"
        [target.x86_64-linux]
        hex = "start:\t48 4\n\u0009 x"
        "#,
        expect![[r#"
            2:19-2:20: syntax: `4` has 1 digit: a byte has two
            2:29-2:30: syntax: `x` is not made of hex digits
              help: bytes are hex digits, a label ends with `:`, a fixup stands in `<…>`
        "#]],
    );
}

#[test]
fn one_cause_for_two_targets_is_told_once() {
    check_errors(
        r#"
        targets = ['x86_64-linux', 'aarch64-linux']
        [rodata.a]
        hex = '0 <rel33 a>'
        [target.x86_64]
        hex = 'start: f4'
        [target.aarch64]
        hex = 'start: d65f03c0'
        "#,
        expect![[r#"
            3:8-3:9: syntax: `0` has 1 digit: a byte has two
            3:11-3:16: syntax: no fixup is called `rel33`
              help: did you mean `rel32`? There are `abs64`, `abs32`, `abs32s`, `rel64`, `rel32`, `rel8`, `call32`, `got32`, `tpoff32`, `tpoff64`, `gottpoff32`, `tlsdesc32`, `tlsgd32`, `tlvp32`, `secrel32`, `dtpoff64`, `rva32`, `u8`, `u16`, `u32`, `u64`, `i8`, `i16`, `i32` and `i64`
        "#]],
    );
}

#[test]
fn hex_of_data_has_no_instructions() {
    check_errors(
        r#"
        targets = ['aarch64-linux']
        [rodata.a]
        hex = '00000094 <call26 a> <rel32 a, end=4>'
        [target.aarch64]
        hex = 'start: d65f03c0'
        "#,
        expect![[r#"
            3:18-3:24: syntax: `call26` changes an instruction, and data has none
            3:37-3:43: syntax: `rel32` does not count from the end of an instruction here
              help: leave out `end`
        "#]],
    );
}

#[test]
fn places_in_lines_that_end_with_crlf() {
    let text = "[target.x86_64-linux]\nhex = \"\"\"\nstart: f4\n  4\n  xyz\\\n  5\"\"\"\n[rodata.a]\npointers = '''\n\na:b'''\n";
    check_errors(
        &text.replace('\n', "\r\n"),
        expect![[r#"
            10:1-10:4: syntax: `a:b` is no sum of names and numbers
              help: write it like `name`, `name+8` or `name-8`
            4:3-4:4: syntax: `4` has 1 digit: a byte has two
            5:3-6:4: syntax: `xyz5` is not made of hex digits
              help: bytes are hex digits, a label ends with `:`, a fixup stands in `<…>`
        "#]],
    );
}
