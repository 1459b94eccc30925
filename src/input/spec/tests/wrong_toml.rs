//! Specs whose text is no TOML, or says one thing twice.

use expect_test::expect;

use super::check_errors;

#[test]
fn a_key_twice() {
    check_errors(
        r#"
        targets = ['x86_64-linux']
        hex = 'start: f4'
        [rodata]
        a = 'x'
        b = 'y'
        a = 'z'
        "#,
        expect![[r#"
            6:1-6:2: syntax: `a` is said twice
              4:1-4:2: first said here
        "#]],
    );
}

#[test]
fn a_table_twice() {
    check_errors(
        r#"
        targets = ['x86_64-linux']
        hex = 'start: f4'
        [rodata.a]
        text = 'x'
        [data.a]
        text = 'y'
        [rodata.a]
        text = 'z'
        "#,
        expect![[r#"
            7:9-7:10: syntax: `a` is said twice
              3:9-3:10: first said here
            7:9-7:10: duplicate-symbol: `a` is defined twice
              5:7-5:8: first defined here
        "#]],
    );
}

#[test]
fn duplicates_do_not_hide_what_else_is_wrong() {
    check_errors(
        r#"
        targets = ['x86_64-linux']
        hex = 'start: f4'
        entry = 5
        entry = 'x'
        [rodata]
        a = { u8 = 256 }
        a = 'x'
        "#,
        expect![[r#"
            4:1-4:6: syntax: `entry` is said twice
              3:1-3:6: first said here
            7:1-7:2: syntax: `a` is said twice
              6:1-6:2: first said here
            3:9-3:10: invalid-value: `entry` must be a string, not an integer
            6:12-6:15: out-of-range: `u8` cannot be 256: it is from 0 to 255
        "#]],
    );
}

#[test]
fn several_mistakes_of_toml() {
    check_errors(
        r#"
        name = hello
        [rodata.a]
        text = 'x
        align = 4
        [rodata.b]
        text = 'y'
        [rodata.c]
        text = "a\qb"
        "#,
        expect![[r#"
            1:8-1:13: syntax: string values must be quoted, expected literal string
            3:10-3:10: syntax: invalid literal string, expected `'`
            8:11-8:11: syntax: missing escaped value, expected `b`, `e`, `f`, `n`, `r`, `\`, `"`, `x`, `u`, `U`
        "#]],
    );
}

#[test]
fn toml_that_is_none() {
    check_errors(
        r#"
        targets = [
        hex = 'start: f4
        [rodata
        a = 1979-
        "#,
        expect![[r#"
            2:5-2:6: syntax: unexpected `=` in array, expected value, `]`
        "#]],
    );
}

#[test]
fn places_behind_a_byte_order_mark_are_right() {
    check_errors(
        "\u{feff}nam = 'x'\ntargets = ['x86_64-linux']\nhex = 'start: 4'",
        expect![[r#"
        1:2-1:5: unknown-key: a spec has no key `nam`
          help: did you mean `name`?
        3:15-3:16: syntax: `4` has 1 digit: a byte has two
    "#]],
    );
}

#[test]
fn nesting_without_end() {
    let text = format!("name = {}1", "[".repeat(100_000));
    let said = super::all_errors(&text, std::path::Path::new("."));
    expect![[r#"
        1:88-1:89: syntax: cannot recurse further; max recursion depth met
    "#]]
    .assert_eq(&said);
}

#[test]
fn text_that_is_not_utf_8() {
    let said = |bytes: &[u8]| {
        let errors = crate::input::spec::read_bytes(bytes, std::path::Path::new(".")).unwrap_err();
        format!("{errors:#?}")
    };
    expect![[r#"
        Errors(
            [
                Error {
                    kind: Syntax,
                    message: "the spec is not UTF-8: byte 8 is 0xff",
                    notes: [
                        Note {
                            place: Text(
                                8..9,
                            ),
                            label: "",
                        },
                    ],
                    help: None,
                    value: None,
                    interval: None,
                },
            ],
        )"#]]
    .assert_eq(&said(b"name = '\xff'"));
    expect![[r#"
        Errors(
            [
                Error {
                    kind: Syntax,
                    message: "the spec is not UTF-8: byte 0 is 0xff",
                    notes: [
                        Note {
                            place: Text(
                                0..1,
                            ),
                            label: "",
                        },
                    ],
                    help: Some(
                        "it looks like UTF-16: save it as UTF-8",
                    ),
                    value: None,
                    interval: None,
                },
            ],
        )"#]]
    .assert_eq(&said(b"\xff\xfen\0a\0m\0e\0"));
}
