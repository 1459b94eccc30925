//! What is said of wrong keys, targets, files, sections and tests.

use expect_test::expect;

use super::{check_errors, check_link_words};

#[test]
fn the_empty_spec() {
    check_errors(
        "",
        expect![[r#"
        1:1-1:1: missing: the spec is empty
          help: say targets = ["x86_64-linux"], or give a target its code: [target.x86_64-linux]
    "#]],
    );
}

#[test]
fn only_a_comment() {
    check_errors(
        r#"
        # nothing
        "#,
        expect![[r#"
            1:1-1:1: missing: the spec is empty
              help: say targets = ["x86_64-linux"], or give a target its code: [target.x86_64-linux]
        "#]],
    );
}

#[test]
fn no_target() {
    check_errors(
        r#"
        name = 'x'
        "#,
        expect![[r#"
            1:1-1:1: missing: the spec is for no target
              help: say targets = ["x86_64-linux"], or give a target its code: [target.x86_64-linux]
        "#]],
    );
}

#[test]
fn no_targets_listed() {
    check_errors(
        r#"
        targets = []
        "#,
        expect![[r#"
            1:11-1:13: missing: the spec is for no target
              help: say targets = ["x86_64-linux"], or give a target its code: [target.x86_64-linux]
        "#]],
    );
}

#[test]
fn an_unknown_key() {
    check_errors(
        r#"
        postion = 'fixed'
        targets = ['x86_64-linux']
        hex = 'start: f4'
        "#,
        expect![[r#"
            1:1-1:8: unknown-key: a spec has no key `postion`
              help: did you mean `position`?
        "#]],
    );
}

#[test]
fn an_unknown_key_that_is_like_none() {
    check_errors(
        r#"
        colour = 3
        targets = ['x86_64-linux']
        hex = 'start: f4'
        "#,
        expect![[r#"
            1:1-1:7: unknown-key: a spec has no key `colour`
              help: its keys are `version`, `name`, `targets`, `target`, `needs`, `test`, `entry`, `kind`, `library-name`, `interpreter`, `runpath`, `libc`, `init`, `fini`, `exports`, `position`, `base`, `subsystem`, `macos`, `current-version`, `compatibility-version`, `start`, `stack`, `heap`, `imports`, `constants`, `asm`, `hex`, `file`, `code`, `rodata`, `data`, `bss`, `tls`, `unwind`, `unwind-records` and `section`
        "#]],
    );
}

#[test]
fn a_key_of_a_later_version() {
    check_errors(
        r#"
        object = 'a.o'
        [stack]
        size = 1
        [target.x86_64-linux]
        hex = 'start: f4'
        "#,
        expect![[r#"
            1:1-1:7: unknown-key: a spec has no key `object`
              help: its keys are `version`, `name`, `targets`, `target`, `needs`, `test`, `entry`, `kind`, `library-name`, `interpreter`, `runpath`, `libc`, `init`, `fini`, `exports`, `position`, `base`, `subsystem`, `macos`, `current-version`, `compatibility-version`, `start`, `stack`, `heap`, `imports`, `constants`, `asm`, `hex`, `file`, `code`, `rodata`, `data`, `bss`, `tls`, `unwind`, `unwind-records` and `section`
        "#]],
    );
}

#[test]
fn unknown_keys_below() {
    check_errors(
        r#"
        [rodata.a]
        txet = 'x'
        [target.x86_64-linux]
        hex = 'start: f4'
        version = 1
        [target.x86_64-linux.bss.b]
        size = 1
        text = 'x'
        [[test]]
        exits = 42
        "#,
        expect![[r#"
            2:1-2:5: unknown-key: `rodata.a` has no key `txet`
              help: did you mean `text`?
            5:1-5:8: unknown-key: `target.x86_64-linux` has no key `version`
              help: `version` is a key of the spec itself, and of an export
            8:1-8:5: unknown-key: `bss.b` has no key `text`
              help: `text` is a key of an item of [rodata], [data] or [tls]
            10:1-10:6: unknown-key: `test` has no key `exits`
              help: did you mean `exit`?
        "#]],
    );
}

#[test]
fn wrong_types() {
    check_errors(
        r#"
        name = 1
        targets = 'x86_64-linux'
        entry = ['start']
        position = true
        rodata = 5
        test = 1
        [data]
        u32 = 5
        b = { u8 = 1.5, align = [1] }
        [bss]
        c = 'text'
        "#,
        expect![[r#"
            1:8-1:9: invalid-value: `name` must be a string, not an integer
            2:11-2:25: invalid-value: `targets` must be an array of targets, not a string
            3:9-3:18: invalid-value: `entry` must be a string, not an array
            4:12-4:16: invalid-value: `position` must be a string, not a boolean
            5:10-5:11: invalid-value: `rodata` must be a table, not an integer
            6:8-6:9: invalid-value: `test` must be an array of tables: [[test]], not an integer
            8:7-8:8: invalid-value: `u32` must be a table or a string, not an integer
              help: an item has a name: [data.NAME]
            9:12-9:15: invalid-value: `u8` must be an integer, or an array of integers, not a float
            9:25-9:28: invalid-value: `align` must be a number of bytes or a string like "64 KiB", not an array
            11:5-11:11: invalid-value: `c` must be a table, not a string
        "#]],
    );
}

#[test]
fn a_wrong_version() {
    check_errors(
        r#"
        version = 2
        [target.x86_64-linux]
        hex = 'start: f4'
        "#,
        expect![[r#"
            1:11-1:12: unsupported: this minild reads version 1 of the language, not 2
        "#]],
    );
}

#[test]
fn a_name_that_is_a_path() {
    check_errors(
        r#"
        name = '../x'
        [target.x86_64-linux]
        hex = 'start: f4'
        "#,
        expect![[r#"
            1:8-1:14: invalid-value: `name` is what the written file is called, and "../x" cannot be
        "#]],
    );
}

#[test]
fn a_wrong_position() {
    check_errors(
        r#"
        position = 'fix'
        [target.x86_64-linux]
        hex = 'start: f4'
        "#,
        expect![[r#"
            1:12-1:17: invalid-value: `position` is `independent` or `fixed`, not `fix`
        "#]],
    );
}

#[test]
fn unknown_targets() {
    check_errors(
        r#"
        targets = ['x86_64-linus', 'host']
        [target.x86_65]
        [target.host]
        "#,
        expect![[r#"
            1:12-1:26: invalid-value: no target is called `x86_64-linus`
              help: did you mean `x86_64-linux`?
            1:28-1:34: invalid-value: no target is called `host`
              help: a spec says the same on every machine: name the target; `--target host` chooses this machine's
            2:9-2:15: invalid-value: no target, architecture or system is called `x86_65`
              help: did you mean `x86_64`?
            3:9-3:13: invalid-value: no target, architecture or system is called `host`
              help: a spec says the same on every machine: name the target; `--target host` chooses this machine's
        "#]],
    );
}

#[test]
fn a_target_twice() {
    check_errors(
        r#"
        targets = ['x86_64-linux', 'x86_64-unknown-linux-gnu']
        hex = 'start: f4'
        "#,
        expect![[r#"
            1:28-1:54: conflict: `x86_64-linux` is listed twice
              1:12-1:26: first listed here
        "#]],
    );
}

#[test]
fn two_tables_of_a_target() {
    check_errors(
        r#"
        [target.x86_64-linux]
        hex = 'start: f4'
        [target.x86_64-linux-gnu]
        entry = 'start'
        "#,
        expect![[r#"
            3:9-3:25: conflict: `x86_64-linux-gnu` has two tables
              1:9-1:21: the first one
        "#]],
    );
}

#[test]
fn a_test_that_would_never_run() {
    check_errors(
        r#"
        [target.x86_64-linux]
        hex = 'start: f4'
        [[test]]
        targets = ['linux', 'aarch64']
        "#,
        expect![[r#"
            4:21-4:30: conflict: this test is for a target that the spec is not for
        "#]],
    );
}

#[test]
fn wrong_tests() {
    check_errors(
        r#"
        [target.x86_64-linux]
        hex = 'start: f4'
        [[test]]
        exit = 256
        args = 'one'
        env = { 'A=B' = 'c', D = 1 }
        timeout = '5 parsecs'
        contains = ['a', '']
        [[test]]
        exit = 1
        signal = 'SIGSEGV'
        [[test]]
        signal = 'SIGSEG'
        timeout = 0
        "#,
        expect![[r#"
            5:8-5:13: invalid-value: `args` must be an array of strings, not a string
            6:9-6:14: invalid-value: "A=B" is no name of an environment variable
            6:26-6:27: invalid-value: `D` must be a string, not an integer
            7:11-7:22: invalid-value: `parsecs` is no unit of `timeout`
              help: its units are `s`, `ms` and `min`
            8:18-8:20: invalid-value: an empty text is found in whatever the program writes
            11:1-11:7: conflict: a run ends by itself or by a signal, not by both
              10:8-10:9: an exit status is asked for here
            13:10-13:18: invalid-value: no signal is called `SIGSEG`
              help: did you mean `SIGSEGV`?
            14:11-14:12: out-of-range: `timeout` cannot be 0: it is from 1 to 86400
            4:8-4:11: out-of-range: on `x86_64-linux` the exit status cannot be 256: it is from 0 to 255
        "#]],
    );
}

#[test]
fn no_code() {
    check_errors(
        r#"
        [target.x86_64-linux]
        [rodata]
        a = 'x'
        "#,
        expect![[r#"
            1:9-1:21: missing: the program for `x86_64-linux` has no code
              help: give [target.x86_64-linux] an `asm`, a `hex` or a `file`
        "#]],
    );
}

#[test]
fn no_entry() {
    check_errors(
        r#"
        [target.x86_64-linux]
        hex = 'begin: f4'
        [target.aarch64-linux]
        hex = 'start: d65f03c0'
        "#,
        expect![[r#"
            1:9-1:21: missing: the program for `x86_64-linux` has no entry: nothing is called `start`
              help: give its first instruction the label `start:`, or say entry = "begin"
        "#]],
    );
}

#[test]
fn an_undefined_entry() {
    check_link_words(
        r#"
        entry = 'main'
        init = ['before']
        [target.x86_64-linux]
        hex = 'man: f4'
        "#,
        expect![[r#"
            2:9-2:17: undefined-symbol: nothing defines `before`
            1:9-1:15: undefined-symbol: the entry `main` is not defined for `x86_64-linux`
              help: did you mean `man`?
        "#]],
    );
}

#[test]
fn a_constant_of_too_many_bits() {
    check_errors(
        r#"
        [constants]
        b = 99999999999999999999
        [target.x86_64-linux]
        hex = 'start: f4'
        "#,
        expect![[r#"
            2:5-2:25: out-of-range: `b` cannot be 99999999999999999999: it is from -9223372036854775808 to 18446744073709551615
        "#]],
    );
}

#[test]
fn a_file_does_not_share_its_section() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("bytes"), "abc").expect("a temporary file");
    for contents in ["'a', 'b'", "'b', 'a'"] {
        let text = format!(
            "[data]\na = {{ file = 'bytes' }}\nb = {{ u8 = 1 }}\n[section.s]\ncontents = [{contents}]\n\
             [target.x86_64-linux]\nhex = 'start: c3'\n"
        );
        let spec = super::super::read(&text, folder.path()).expect("a spec that reads");
        let errors = spec.program(crate::Target::X86_64_LINUX).expect_err("it is refused");
        let told: Vec<_> = errors.iter().map(|error| error.message.as_str()).collect();
        assert_eq!(told, ["`a` is a file, and a file does not share its section"]);
    }
}

#[test]
fn files_that_cannot_be_read() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir(folder.path().join("folder")).expect("the folder is made");
    let text = "[target.x86_64-linux]\nfile = 'missing.bin'\n[rodata]\na = { file = 'folder' }\nb = { file = '' }\nc = { file = 1 }\n";
    expect![[r#"
        2:8-2:21: file: `missing.bin` cannot be read: there is no such file
          help: paths start at the spec's folder
        4:14-4:22: file: `folder` is a folder, not a file
          help: paths start at the spec's folder
        5:14-5:16: invalid-value: `file` is the path of a file, and this is empty
        6:14-6:15: invalid-value: `file` must be a string, not an integer
    "#]]
    .assert_eq(&super::all_errors(text, folder.path()));
}

#[test]
fn a_file_has_its_own_size() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("a.bin"), "x").expect("the file is written");
    let text = "[target.x86_64-linux]\nhex = 'start: f4'\n[rodata.a]\nfile = 'a.bin'\nsize = 5\n";
    expect![[r#"
        5:8-5:9: conflict: the size of a `file` is the file's
          4:1-4:5: the file
    "#]]
    .assert_eq(&super::all_errors(text, folder.path()));
}

#[test]
fn wrong_sections() {
    check_errors(
        r#"
        targets = ["x86_64-linux"]
        hex = "start: f4"
        [rodata]
        a = "x"
        b = "y"
        [data]
        c = "z"
        [bss]
        d.size = "1 TiB"
        [section.a]
        contents = ["b"]
        [section.empty]
        contents = []
        [section.nothing]
        [section.unknown]
        kind = "text"
        contents = ["aa", "b", 5]
        at = 4096
        "#,
        expect![[r#"
            16:8-16:14: invalid-value: `kind` is `code`, `rodata`, `data`, `bss`, `tls`, `unwind` or `unwind-records`, not `text`
            17:24-17:25: invalid-value: each of `contents` must be a string, not an integer
            13:12-13:14: missing: `section.empty` holds nothing
              help: list its items: contents = ["NAME"]
            14:10-14:17: missing: `section.nothing` holds nothing
              help: list its items: contents = ["NAME"]
            17:13-17:17: undefined-symbol: no item is called `aa`
              help: did you mean `a`?
            17:19-17:22: conflict: `b` cannot lie at two places
              11:13-11:16: first listed here
            10:10-10:11: duplicate-symbol: `a` is defined twice
              4:1-4:2: first defined here
        "#]],
    );
    check_errors(
        r#"
        targets = ["x86_64-linux"]
        hex = "start: f4"
        [rodata]
        a = "x"
        b = "y"
        [data]
        c = "z"
        [bss]
        d.size = "1 TiB"
        [section.a]
        contents = ["a"]
        [section.two]
        contents = ["b", "b", "a", "e"]
        [section.mixed]
        contents = ["c", "d"]
        [section.zeros]
        kind = "bss"
        contents = ["d", "c"]
        "#,
        expect![[r#"
            13:18-13:21: conflict: `b` cannot lie at two places
              13:13-13:16: first listed here
            13:23-13:26: conflict: `a` cannot lie at two places
              11:13-11:16: first listed here
            13:28-13:31: undefined-symbol: no item is called `e`
            15:18-15:21: conflict: `d` is bss and `c` is data
              15:13-15:16: the first item
              help: say what the section is: kind = "data"
            18:13-18:16: conflict: `d` cannot lie at two places
              15:18-15:21: first listed here
            18:18-18:21: conflict: `c` cannot lie at two places
              15:13-15:16: first listed here
            10:10-10:11: duplicate-symbol: `a` is defined twice
              4:1-4:2: first defined here
        "#]],
    );
    check_errors(
        r#"
        targets = ["x86_64-linux"]
        hex = "start: f4"
        data.c = "z"
        bss.d.size = "1 TiB"
        [section.large]
        kind = "data"
        contents = ["d", "c"]
        "#,
        expect![[r#"
            7:13-7:16: too-large: `large` is too large: at most 268435456 bytes
        "#]],
    );
}

#[test]
fn a_test_for_no_target() {
    let text = "[target.x86_64-linux]\nhex = 'start: f4'\n[[test]]\ntargets = []\nexit = 42\n";
    expect![[r#"
        4:11-4:13: missing: a test for no target tests nothing
          help: leave `targets` out for all targets of the spec
    "#]]
    .assert_eq(&super::all_errors(text, std::path::Path::new(".")));
}

#[test]
fn an_at_sign_is_no_part_of_an_export() {
    let text = "kind = 'shared-library'\n\
        exports = [{ name = 'a@B', symbol = 'f' }, { name = 'f', version = 'A@B' }]\n\
        [target.x86_64-linux]\nhex = 'f: c3'\n";
    let errors = super::link_errors(text).expect("both are wrong");
    let told: Vec<_> = errors.iter().map(|error| error.message.as_str()).collect();
    let expected = [
        "\"a@B\" is no name of an export: it is empty, or holds a NUL or an @",
        "\"A@B\" is no version of the export `f`: it is empty, or holds a NUL or an @",
    ];
    assert_eq!(told, expected);
}
