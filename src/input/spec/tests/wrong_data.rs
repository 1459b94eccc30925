//! What is said of wrong data items.

use expect_test::expect;

use super::check_errors;

#[test]
fn contents_twice() {
    check_errors(
        r#"
        [rodata.a]
        text = 'x'
        u8 = 1
        [target.x86_64-linux]
        hex = 'start: f4'
        "#,
        expect![[r#"
            3:1-3:3: conflict: `text` and `u8` both say what it holds
              2:1-2:5: already said here
              help: `fields` holds a mixture: fields = [{ text = "…" }, { u32 = 1 }]
        "#]],
    );
}

#[test]
fn no_contents() {
    check_errors(
        r#"
        [rodata.a]
        align = 8
        [bss.b]
        align = 8
        [target.x86_64-linux]
        hex = 'start: f4'
        "#,
        expect![[r#"
            1:9-1:10: missing: `rodata.a` does not say what it holds
              help: it can have `text`, `cstring`, `utf16`, `hex`, `u8`, `u16`, `u32`, `u64`, `i8`, `i16`, `i32`, `i64`, `f32`, `f64`, `pointers`, `file`, `fields` or `size`
            3:6-3:7: missing: `bss.b` does not say what it holds
              help: it can have `size`
        "#]],
    );
}

#[test]
fn no_contents_for_both_targets_is_told_once() {
    check_errors(
        r#"
        targets = ['x86_64-linux', 'aarch64-linux']
        [rodata.a]
        align = 8
        [target.x86_64]
        hex = 'start: f4'
        [target.aarch64]
        hex = 'start: d65f03c0'
        "#,
        expect![[r#"
            2:9-2:10: missing: `rodata.a` does not say what it holds
              help: it can have `text`, `cstring`, `utf16`, `hex`, `u8`, `u16`, `u32`, `u64`, `i8`, `i16`, `i32`, `i64`, `f32`, `f64`, `pointers`, `file`, `fields` or `size`
        "#]],
    );
}

#[test]
fn numbers_out_of_range() {
    check_errors(
        r#"
        [rodata]
        a = { u8 = 256 }
        b = { u8 = -1 }
        c = { i8 = [127, 128, -129] }
        d = { u64 = 0x1_0000_0000_0000_0000 }
        e = { i64 = 99999999999999999999999999999999999999999 }
        [target.x86_64-linux]
        hex = 'start: f4'
        "#,
        expect![[r#"
            2:12-2:15: out-of-range: `u8` cannot be 256: it is from 0 to 255
            3:12-3:14: out-of-range: `u8` cannot be -1: it is from 0 to 255
            4:18-4:21: out-of-range: `i8` cannot be 128: it is from -128 to 127
            4:23-4:27: out-of-range: `i8` cannot be -129: it is from -128 to 127
            5:13-5:36: out-of-range: `u64` cannot be 0x10000000000000000: it is from 0 to 18446744073709551615
            6:13-6:54: out-of-range: `i64` cannot be 99999999999999999999999999999999999999999: it is from -9223372036854775808 to 9223372036854775807
        "#]],
    );
}

#[test]
fn floats_out_of_range() {
    check_errors(
        r#"
        [rodata]
        a = { f32 = 1e39 }
        b = { f64 = 1e309 }
        c = { f32 = 16777217 }
        d = { f32 = 'x' }
        [target.x86_64-linux]
        hex = 'start: f4'
        "#,
        expect![[r#"
            2:13-2:17: out-of-range: `f32` cannot be 1e39: it is from -3.4028235e38 to 3.4028235e38
            3:13-3:18: out-of-range: `f64` cannot be 1e309: it is from -1.7976931348623157e308 to 1.7976931348623157e308
            4:13-4:21: out-of-range: `f32` holds no integer beyond 16777216 for sure
              help: write it as a float where the nearest one will do
            5:13-5:16: invalid-value: `f32` must be a number, or an array of numbers, not a string
        "#]],
    );
}

#[test]
fn alignments() {
    check_errors(
        r#"
        [rodata]
        a = { text = 'x', align = 24 }
        b = { text = 'x', align = 0 }
        c = { text = 'x', align = '3 KiB' }
        d = { text = 'x', align = -8 }
        [target.x86_64-linux]
        hex = 'start: f4'
        "#,
        expect![[r#"
            2:27-2:29: invalid-value: `align` must be a power of two, and 24 is none
              help: the nearest are 16 and 32
            3:27-3:28: invalid-value: `align` must be a power of two, and 0 is none
            4:27-4:34: invalid-value: `align` must be a power of two, and 3072 is none
              help: the nearest are 2048 and 4096
            5:27-5:29: out-of-range: `align` cannot be -8: it is from 0 to 18446744073709551615
        "#]],
    );
}

#[test]
fn sizes() {
    check_errors(
        r#"
        [bss]
        a = { size = '16 EiB' }
        b = { size = '64 KB' }
        c = { size = '64 kib' }
        d = { size = 'much' }
        e = { size = -1 }
        f = { size = 1.5 }
        g = { size = '99999999999999999999999999999999 TiB' }
        h = { size = '4 pages' }
        [target.x86_64-linux]
        hex = 'start: f4'
        "#,
        expect![[r#"
            2:14-2:22: out-of-range: `size` cannot be 16 EiB: 64-bit programs have room for 16 EiB - 1
            3:14-3:21: invalid-value: `KB` is no unit of `size`
              help: did you mean `KiB`?
            4:14-4:22: invalid-value: `kib` is no unit of `size`
              help: did you mean `KiB`?
            5:14-5:20: invalid-value: `size` must be a number of bytes or a string like "64 KiB", not "much"
            6:14-6:16: out-of-range: `size` cannot be -1: it is from 0 to 18446744073709551615
            7:14-7:17: invalid-value: `size` must be a number of bytes or a string like "64 KiB", not a float
            8:14-8:52: out-of-range: `size` cannot be 99999999999999999999999999999999 TiB: 64-bit programs have room for 16 EiB - 1
            9:14-9:23: invalid-value: `pages` is no unit of `size`
              help: its units are `B`, `KiB`, `MiB`, `GiB`, `TiB`, `PiB` and `EiB`
        "#]],
    );
}

#[test]
fn sizes_that_are_too_small_or_fill_too_much() {
    check_errors(
        r#"
        [rodata]
        a = { text = 'four', size = 3 }
        b = { fill = 1, size = '1 TiB' }
        c = { fill = 1 }
        d = { fields = [{ size = '1 TiB' }, {}, 5, { u8 = 1, u16 = 2 }, { file = 'x' }] }
        [target.x86_64-linux]
        hex = 'start: f4'
        "#,
        expect![[r#"
            5:41-5:42: invalid-value: each of `fields` must be a table like { u32 = 1 }, not an integer
            5:54-5:57: conflict: `u8` and `u16` both say what it holds
              5:46-5:48: already said here
              help: `fields` holds a mixture: fields = [{ text = "…" }, { u32 = 1 }]
            5:67-5:71: unknown-key: a field has no key `file`
              help: `file` is a key of an item of [code], and of an item of [rodata], [data] or [tls]
            2:29-2:30: out-of-range: 4 bytes do not fit a size of 3
              2:14-2:20: these bytes
            3:24-3:31: too-large: 1099511627776 bytes are too many to be filled: at most 268435456
              help: zeros cost nothing in `bss`
            4:1-4:2: missing: `rodata.c` does not say what it holds
              help: it can have `text`, `cstring`, `utf16`, `hex`, `u8`, `u16`, `u32`, `u64`, `i8`, `i16`, `i32`, `i64`, `f32`, `f64`, `pointers`, `file`, `fields` or `size`
            5:17-5:35: too-large: 1099511627776 bytes are too many to be filled: at most 268435456
            5:37-5:39: missing: this field holds nothing
              help: write it like { u32 = 1 }
        "#]],
    );
}

#[test]
fn sizes_that_do_not_fit() {
    check_errors(
        r#"
        [rodata]
        a = { text = 'four', size = 3 }
        b = { fill = 1, size = '1 TiB' }
        c = { fill = 1 }
        d = { fields = [{ size = '1 TiB' }, {}, { fill = 2 }, { u16 = 1, size = 1 }] }
        [target.x86_64-linux]
        hex = 'start: f4'
        "#,
        expect![[r#"
            2:29-2:30: out-of-range: 4 bytes do not fit a size of 3
              2:14-2:20: these bytes
            3:24-3:31: too-large: 1099511627776 bytes are too many to be filled: at most 268435456
              help: zeros cost nothing in `bss`
            4:1-4:2: missing: `rodata.c` does not say what it holds
              help: it can have `text`, `cstring`, `utf16`, `hex`, `u8`, `u16`, `u32`, `u64`, `i8`, `i16`, `i32`, `i64`, `f32`, `f64`, `pointers`, `file`, `fields` or `size`
            5:17-5:35: too-large: 1099511627776 bytes are too many to be filled: at most 268435456
            5:37-5:39: missing: this field holds nothing
              help: write it like { u32 = 1 }
            5:41-5:53: missing: this field holds nothing
              help: write it like { u32 = 1 }
            5:73-5:74: out-of-range: 2 bytes do not fit a size of 1
              5:63-5:64: these bytes
        "#]],
    );
}

#[test]
fn a_string_for_an_align() {
    check_errors(
        r#"
        [rodata]
        a = { text = 'x', align = '16 EiB' }
        b = { text = 'x', align = true }
        [target.x86_64-linux]
        hex = 'start: f4'
        "#,
        expect![[r#"
            2:27-2:35: out-of-range: `align` cannot be 16 EiB: 64-bit programs have room for 16 EiB - 1
            3:27-3:31: invalid-value: `align` must be a number of bytes or a string like "64 KiB", not a boolean
        "#]],
    );
}

#[test]
fn fill_is_a_byte() {
    check_errors(
        r#"
        [rodata]
        a = { fill = 256, size = 3 }
        [target.x86_64-linux]
        hex = 'start: f4'
        "#,
        expect![[r#"
            2:14-2:17: out-of-range: `fill` cannot be 256: it is from 0 to 255
        "#]],
    );
}

#[test]
fn references() {
    check_errors(
        r#"
        [rodata]
        a = { pointers = ['', 'b+', 'b 8', '8', 'b + c', 'a - b - c', 'a+0xx', 'a+9223372036854775808', 5] }
        b = { pointers = 'a:b' }
        [target.x86_64-linux]
        hex = 'start: f4'
        "#,
        expect![[r#"
            2:20-2:20: syntax: here a name is missing
              help: write it like `name`, `name+8` or `name-8`
            2:24-2:26: syntax: `b+` is no sum of names and numbers
              help: write it like `name`, `name+8` or `name-8`
            2:30-2:33: syntax: `b 8` is no sum of names and numbers
              help: write it like `name`, `name+8` or `name-8`
            2:66-2:69: syntax: `0xx` is no number
              help: numbers are decimal, or have `0x`, `0o` or `0b` before them
            2:97-2:98: invalid-value: each of `pointers` must be a string like "name+8", not an integer
            3:19-3:22: syntax: `a:b` is no sum of names and numbers
              help: write it like `name`, `name+8` or `name-8`
        "#]],
    );
}

#[test]
fn references_of_too_much() {
    check_errors(
        r#"
        [rodata]
        a = { pointers = ['a+9223372036854775807+9223372036854775807'] }
        [target.x86_64-linux]
        hex = 'start: f4'
        "#,
        expect![[r#"
            2:20-2:61: out-of-range: 18446744073709551614 is too much to add to an address
        "#]],
    );
}

#[test]
fn numbers_from_names() {
    check_errors(
        r#"
        [constants]
        big = 300
        [rodata]
        a = { u8 = ['big', 'bik', 'a', 'a.size', 'c.size', 'big.size', '2 - 3'] }
        [target.x86_64-linux]
        hex = 'start: f4'
        "#,
        expect![[r#"
            4:14-4:17: out-of-range: 300 does not fit `u8`: it is from 0 to 255
            4:21-4:24: undefined-symbol: no constant is called `bik`
              help: did you mean `big`?
            4:28-4:29: invalid-value: `a` is an address, and `u8` holds a number
              help: `a.size` is its size; addresses stand in `pointers` and in fixups like `<abs64 a>`
            4:43-4:49: undefined-symbol: nothing is called `c`, so it has no size
            4:53-4:61: invalid-value: `big` is a constant and has no size
              2:1-2:4: defined here
            4:65-4:70: out-of-range: -1 does not fit `u8`: it is from 0 to 255
        "#]],
    );
}

#[test]
fn a_nul_in_a_cstring() {
    check_errors(
        r#"
        [rodata]
        a = { cstring = "a\u00e4\u0000b" }
        [target.x86_64-linux]
        hex = 'start: f4'
        "#,
        expect![[r#"
            2:25-2:31: invalid-value: a NUL inside a `cstring` would end it early
              help: `cstring` ends with a NUL by itself; where one is wanted inside, use `text`
        "#]],
    );
}

#[test]
fn fields_of_a_wrong_shape() {
    check_errors(
        r#"
        [rodata]
        a = { fields = { u8 = 1 } }
        b = { fields = [{ pointer = ['a'] }, { fields = [] }] }
        [target.x86_64-linux]
        hex = 'start: f4'
        "#,
        expect![[r#"
            2:16-2:26: invalid-value: `fields` must be an array of tables like { u32 = 1 }, not a table
            3:29-3:34: invalid-value: `pointer` must be a string like "name+8", not an array
            3:40-3:46: unknown-key: a field has no key `fields`
              help: `fields` is a key of an item of [rodata], [data] or [tls]
        "#]],
    );
}

#[test]
fn wrong_products() {
    check_errors(
        r#"
        [rodata]
        a = { u32 = ["W*", "*W", "W**H", "W*(H)", "2 W"] }
        [target.x86_64-linux]
        hex = "start: c3"
        "#,
        expect![[r#"
            2:15-2:17: syntax: `W*` is no sum of names and numbers
              help: write it like `name`, `name+8` or `name-8`
            2:21-2:23: syntax: `*W` is no sum of names and numbers
              help: write it like `name`, `name+8` or `name-8`
            2:27-2:31: syntax: `W**H` is no sum of names and numbers
              help: write it like `name`, `name+8` or `name-8`
            2:35-2:40: syntax: `W*(H)` is no sum of names and numbers
              help: write it like `name`, `name+8` or `name-8`
            2:44-2:47: syntax: `2 W` is no sum of names and numbers
              help: write it like `name`, `name+8` or `name-8`
        "#]],
    );
    check_errors(
        r#"
        [constants]
        width = 80
        [bss]
        screen = { size = 64 }
        [rodata]
        a = { u32 = ["width*height", "with*2", "screen*2", "2*screen", "width.size*2"] }
        b = { u64 = "0xffffffffffffffff*width" }
        c = { u16 = "width*width*width" }
        d = { pointers = ["screen*2", "width*2"] }
        [target.x86_64-linux]
        hex = "start: b8 <u32 2*start>"
        "#,
        expect![[r#"
            6:21-6:27: undefined-symbol: no constant is called `height`
            6:31-6:35: undefined-symbol: no constant is called `with`
              help: did you mean `width`?
            6:41-6:47: invalid-value: `screen` is an address, and is not multiplied
            6:55-6:61: invalid-value: `screen` is an address, and is not multiplied
            6:65-6:75: invalid-value: `width` is a constant and has no size
              2:1-2:6: defined here
            7:14-7:38: out-of-range: this product is no number of 64 bits
            8:14-8:31: out-of-range: 512000 does not fit `u16`: it is from 0 to 65535
            11:25-11:30: invalid-value: `start` is an address, and is not multiplied
            9:20-9:26: invalid-value: `screen` is an address, and is not multiplied
            9:32-9:39: invalid-value: here the name of a place is missing: this is a number
              help: numbers stand in `u8` … `i64` and in fixups like `<u32 1>`
        "#]],
    );
}
