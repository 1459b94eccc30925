//! Specs in which two things have one name, or something has one that nothing can have.

use expect_test::expect;

use super::check_errors;

#[test]
fn one_name_in_two_groups() {
    check_errors(
        r#"
        targets = ['x86_64-linux']
        hex = 'start: f4'
        [rodata]
        a = 'x'
        [data]
        a = 'y'
        "#,
        expect![[r#"
            6:1-6:2: duplicate-symbol: `a` is defined twice
              4:1-4:2: first defined here
        "#]],
    );
}

#[test]
fn a_label_called_as_an_item() {
    check_errors(
        r#"
        [target.x86_64-linux]
        hex = '''
        start:
        a: f4'''
        [rodata]
        a = 'x'
        "#,
        expect![[r#"
            6:1-6:2: duplicate-symbol: `a` is defined twice
              4:1-4:2: first defined here
        "#]],
    );
}

#[test]
fn a_constant_called_as_a_label() {
    check_errors(
        r#"
        [constants]
        start = 1
        [target.x86_64-linux]
        hex = 'start: f4'
        "#,
        expect![[r#"
            4:8-4:13: duplicate-symbol: `start` is defined twice
              2:1-2:6: first defined here
        "#]],
    );
}

#[test]
fn a_label_twice() {
    check_errors(
        r#"
        [target.x86_64-linux]
        hex = 'start: f4 start: f4'
        "#,
        expect![[r#"
            2:18-2:23: duplicate-symbol: `start` is defined twice
              2:8-2:13: first defined here
        "#]],
    );
}

#[test]
fn bare_code_and_its_table() {
    check_errors(
        r#"
        [target.x86_64-linux]
        hex = 'start: f4'
        [target.x86_64-linux.code.code]
        hex = 'f4'
        "#,
        expect![[r#"
            4:1-4:4: conflict: what `code.code` holds is said twice
              2:1-2:4: already said here
        "#]],
    );
}

#[test]
fn names_that_are_none() {
    check_errors(
        r#"
        [target.x86_64-linux]
        hex = 'start: f4'
        [rodata]
        'a b' = 'x'
        '' = 'x'
        1a = 'x'
        '.a' = 'x'
        'a.size' = 'x'
        "#,
        expect![[r#"
            4:1-4:6: invalid-value: `a b` has ' ': names have letters, digits and _ . $ @ ?
            5:1-5:3: invalid-value: a name has at least one letter
            6:1-6:3: invalid-value: `1a` starts with a digit, as numbers do
            7:1-7:5: invalid-value: `.a` starts with a dot, as the local labels of hex text do
            8:1-8:9: invalid-value: `a.size` ends with `.size`, which stands for an item's size
        "#]],
    );
}
