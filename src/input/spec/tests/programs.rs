//! What right specs become.

use std::fs;

use expect_test::expect;

use super::{check_program, dump, spec};
use crate::input::spec::{End, read};
use crate::target::Target;

const HELLO: &str = r##"
name = "hello"
entry = "start"

[rodata.message]
text = "Hello\n"

[bss.buffer]
size = "64 KiB"
align = 4096

[target.x86_64-linux]
hex = '''
start:  48 8d 35 <rel32 message>        # lea rsi, [rip + message]
        ba <u32 message.size>           # mov edx, message.size
        80 3d <rel32 buffer+8, end=1>05 # cmp byte ptr [rip + buffer + 8], 5
.again: ebFE
        eb <rel8 .again>
exit:
        0f05
'''

[target.aarch64-linux]
hex = """
start:
    10000001 <adr21 message>     # adr x1, message
    90000002 <page21 buffer> 91000042 <pageoff12 buffer + 0x10>
.l: 14000000 <jump26 .l>
    <abs64 message-1> <rel32 message>
    d65f03c0
"""

[[test]]
args = ["one"]
env = { A = "b" }
stdin = "in"
stdout = "Hello\n"
exit = 42
timeout = "500 ms"

[[test]]
targets = ["aarch64"]
signal = "SIGSEGV"
"##;

#[test]
fn hello_for_x86_64_counts_relative_fields_from_the_instructions_end() {
    check_program(
        HELLO,
        "x86_64-linux",
        expect![[r#"
        ReadOnly message align 8
            48 65 6c 6c 6f 0a
          message at 0x0, 6 bytes, Object
        Bss buffer align 4096
            zeros 0x10000
          buffer at 0x0, 65536 bytes, Object
        Code code align 8
            48 8d 35 00 00 00 00 ba 06 00 00 00 80 3d 00 00
            00 00 05 eb fe eb 00 0f 05
          0x3: rel32 message -4
          0xe: rel32 buffer +3
          0x16: rel8 .again -1
          start at 0x0, 23 bytes, Function
          local .again at 0x13, 0 bytes, Unspecified
          exit at 0x17, 2 bytes, Function
        entry start, Independent
    "#]],
    );
}

#[test]
fn hello_for_arm64_patches_words() {
    check_program(
        HELLO,
        "aarch64-linux",
        expect![[r#"
        ReadOnly message align 8
            48 65 6c 6c 6f 0a
          message at 0x0, 6 bytes, Object
        Bss buffer align 4096
            zeros 0x10000
          buffer at 0x0, 65536 bytes, Object
        Code code align 8
            01 00 00 10 02 00 00 90 42 00 00 91 00 00 00 14
            00 00 00 00 00 00 00 00 00 00 00 00 c0 03 5f d6
          0x0: adr21 message +0
          0x4: page21 buffer +0
          0x8: pageoff12 buffer +16
          0xc: jump26 .l +0
          0x10: abs64 message -1
          0x18: rel32 message +0
          start at 0x0, 32 bytes, Function
          local .l at 0xc, 0 bytes, Unspecified
        entry start, Independent
    "#]],
    );
}

#[test]
fn tests_say_what_a_run_must_show() {
    let spec = spec(HELLO);
    assert_eq!(spec.name(), Some("hello"));
    assert_eq!(spec.targets(), [Target::X86_64_LINUX, Target::AARCH64_LINUX]);
    let [first, second] = spec.tests() else { panic!("two tests") };
    assert_eq!(first.args(), ["one"]);
    assert_eq!(first.env().collect::<Vec<_>>(), [("A", "b")]);
    assert_eq!((first.stdin(), first.stdout(), first.stderr()), ("in", Some("Hello\n"), None));
    assert_eq!(first.end(), End::Exit(42));
    assert_eq!(first.timeout().map(|time| time.as_millis()), Some(500));
    assert!(first.is_for(Target::X86_64_LINUX));
    assert_eq!(second.end(), End::Signal("SIGSEGV"));
    assert!(second.is_for(Target::AARCH64_LINUX) && !second.is_for(Target::X86_64_LINUX));
}

#[test]
fn every_kind_of_data() {
    check_program(
        r##"
        hex = "start: f4"
        targets = ["x86_64-linux"]
        constants = { three = 3 }
        [rodata]
        plain = "ab"
        nul = { cstring = "ab" }
        wide = { utf16 = "a€😀" }
        raw = { hex = """
            01 02  # two bytes
        inside:
            0304 <abs64 plain+1> <rel32 plain> <u16 three>""", align = 1 }
        bytes = { u8 = 255 }
        numbers = { i16 = [-1, 0x7fff, "three - 5", "wide.size"] }
        longs = { u64 = 0xffff_ffff_ffff_ffff, size = 12 }
        single = { f32 = [1.5, 2, inf] }
        double = { f64 = -0.1 }
        table = { pointers = ["plain", "start + 4", "table-8", "__image_base"] }
        padded = { text = "abc", size = 6, fill = 0x20 }
        fields = { fields = [
            { u32 = 1 }, { text = "x", size = 4 }, { pointer = "table" }, { hex = "<abs32 table - plain>" },
            { size = 4 }, { fill = 0xff, size = 2 }, { u8 = "fields.size" },
        ] }
        [data]
        zeros = { size = "1 MiB", align = "64 KiB" }
        [bss.room]
        size = 0x10
        "##,
        "x86_64-linux",
        expect![[r#"
            Code code align 8
                f4
              start at 0x0, 1 bytes, Function
            ReadOnly plain align 8
                61 62
              plain at 0x0, 2 bytes, Object
            ReadOnly nul align 8
                61 62 00
              nul at 0x0, 3 bytes, Object
            ReadOnly wide align 8
                61 00 ac 20 3d d8 00 de
              wide at 0x0, 8 bytes, Object
            ReadOnly raw align 1
                01 02 03 04 00 00 00 00 00 00 00 00 00 00 00 00
                03 00
              0x4: abs64 plain +1
              0xc: rel32 plain +0
              raw at 0x0, 18 bytes, Object
              inside at 0x2, 16 bytes, Object
            ReadOnly bytes align 8
                ff
              bytes at 0x0, 1 bytes, Object
            ReadOnly numbers align 8
                ff ff ff 7f fe ff 08 00
              numbers at 0x0, 8 bytes, Object
            ReadOnly longs align 8
                ff ff ff ff ff ff ff ff 00 00 00 00
              longs at 0x0, 12 bytes, Object
            ReadOnly single align 8
                00 00 c0 3f 00 00 00 40 00 00 80 7f
              single at 0x0, 12 bytes, Object
            ReadOnly double align 8
                9a 99 99 99 99 99 b9 bf
              double at 0x0, 8 bytes, Object
            ReadOnly table align 8
                00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
                00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
              0x0: abs64 plain +0
              0x8: abs64 start +4
              0x10: abs64 table -8
              0x18: abs64 __image_base +0
              table at 0x0, 32 bytes, Object
            ReadOnly padded align 8
                61 62 63 20 20 20
              padded at 0x0, 6 bytes, Object
            ReadOnly fields align 8
                01 00 00 00 78 00 00 00 00 00 00 00 00 00 00 00
                00 00 00 00 00 00 00 00 ff ff 1b
              0x8: abs64 table +0
              0x10: abs32 table +0
              0x10: sub32 plain +0
              fields at 0x0, 27 bytes, Object
            Data zeros align 65536
                zeros 0x100000
              zeros at 0x0, 1048576 bytes, Object
            Bss room align 8
                zeros 0x10
              room at 0x0, 16 bytes, Object
            __image_base is Landmark(ImageBase)
            entry start, Independent
        "#]],
    );
}

#[test]
fn tables_of_targets_override_key_by_key_and_keep_places() {
    let text = r#"
        targets = ["x86_64-linux", "aarch64-linux"]
        position = "fixed"
        [rodata.first]
        text = "common"
        align = 32
        [rodata]
        second = "second"
        [target.x86_64-linux.rodata]
        first = { u8 = 3 }
        [target.linux]
        entry = "system"
        rodata.first.u8 = 2
        rodata.third = "third"
        [target.x86_64]
        position = "independent"
        entry = "machine"
        hex = "system: f4"
        rodata.first = { u8 = 1, align = 64 }
        [target.aarch64]
        code.code.hex = "system: d503201f"
    "#;
    check_program(
        text,
        "x86_64-linux",
        expect![[r#"
        ReadOnly first align 64
            03
          first at 0x0, 1 bytes, Object
        ReadOnly second align 8
            73 65 63 6f 6e 64
          second at 0x0, 6 bytes, Object
        Code code align 8
            f4
          system at 0x0, 1 bytes, Function
        ReadOnly third align 8
            74 68 69 72 64
          third at 0x0, 5 bytes, Object
        entry system, Independent
    "#]],
    );
    check_program(
        text,
        "aarch64-linux",
        expect![[r#"
        ReadOnly first align 32
            02
          first at 0x0, 1 bytes, Object
        ReadOnly second align 8
            73 65 63 6f 6e 64
          second at 0x0, 6 bytes, Object
        Code code align 8
            1f 20 03 d5
          system at 0x0, 4 bytes, Function
        ReadOnly third align 8
            74 68 69 72 64
          third at 0x0, 5 bytes, Object
        entry system, Fixed
    "#]],
    );
}

#[test]
fn files_are_named_and_never_read() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("code.bin"), [0xf4]).expect("the file is written");
    fs::write(folder.path().join("table.bin"), [0; 5000]).expect("the file is written");
    let text = r#"
        [rodata.table]
        file = "table.bin"
        [target.x86_64-linux]
        file = "code.bin"
        code.helper.file = "code.bin"
    "#;
    let spec = read(text, folder.path()).expect("the spec is right");
    let (program, _) = spec.program(Target::X86_64_LINUX).expect("the program is right");
    expect![[r#"
        ReadOnly table align 8
            file table.bin from 0, 5000 bytes
          table at 0x0, 5000 bytes, Object
        Code code align 8
            file code.bin from 0, 1 bytes
          start at 0x0, 1 bytes, Function
        Code helper align 8
            file code.bin from 0, 1 bytes
          helper at 0x0, 1 bytes, Function
        entry start, Independent
    "#]]
    .assert_eq(&dump(&program));
}

#[test]
fn what_the_text_says_of_line_ends_changes_nothing() {
    let text = format!("{HELLO}[rodata]\nlines = \"\"\"\none\ntwo\\r\n\"\"\"\n");
    let (unix, windows) = (spec(&text), spec(&text.replace('\n', "\r\n")));
    for target in [Target::X86_64_LINUX, Target::AARCH64_LINUX] {
        let unix = unix.program(target).expect("the program is right").0;
        assert_eq!(dump(&unix), dump(&windows.program(target).expect("the program is right").0));
    }
}

#[test]
fn constants_and_sizes_are_numbers_in_hex() {
    let text = r#"
        constants = { write = 64, big = 0xffff_ffff_ffff_ffff }
        rodata.message = "Hello"
        [target.linux.constants]
        exit = 93
        [target.x86_64-linux]
        constants.write = 1
        hex = '''
        start: b8 <u32 write> ba <u32 message.size + 1> 48b8 <u64 big> <i8 -1> <abs32 exit> <u8 start.size>
        '''
        [target.aarch64-linux]
        hex = '''
        start:
            d2800008 <imm16 write>
            52800002 <imm16 message.size>
            f100003f <imm12 message.size - exit + 100>
        '''
    "#;
    check_program(
        text,
        "x86_64-linux",
        expect![[r#"
        ReadOnly message align 8
            48 65 6c 6c 6f
          message at 0x0, 5 bytes, Object
        Code code align 8
            b8 01 00 00 00 ba 06 00 00 00 48 b8 ff ff ff ff
            ff ff ff ff ff 5d 00 00 00 1a
          start at 0x0, 26 bytes, Function
        entry start, Independent
    "#]],
    );
    check_program(
        text,
        "aarch64-linux",
        expect![[r#"
        ReadOnly message align 8
            48 65 6c 6c 6f
          message at 0x0, 5 bytes, Object
        Code code align 8
            08 08 80 d2 a2 00 80 52 3f 30 00 f1
          start at 0x0, 12 bytes, Function
        entry start, Independent
    "#]],
    );
}

#[test]
fn errors_of_the_link_are_shown_in_the_text() {
    use crate::error::{Error, ErrorKind, Place};
    use crate::program::{Definition, Relocation, Section};
    use std::fmt::Write;

    let text = HELLO.replace("buffer+8", "bufer+8");
    let spec = spec(&text);
    let (program, map) = spec.program(Target::X86_64_LINUX).expect("the program is right");
    let shown = |place: Place| match map
        .locate(Error::new(ErrorKind::OutOfRange, "").at(place, ""))
        .notes[0]
        .place
    {
        Place::Text(ref range) => text[range.clone()].to_owned(),
        ref other => panic!("{other:?} is not in the text"),
    };
    let mut all = String::new();
    for (id, symbol) in program.symbols_with_ids() {
        let sort = if symbol.definition == Definition::Undefined { "undefined " } else { "" };
        writeln!(all, "{sort}{}: {}", symbol.name, shown(Place::Symbol(id))).unwrap();
    }
    for (section, Section { name, relocations, .. }) in program.sections_with_ids() {
        writeln!(all, "section {name}: {}", shown(Place::Section { section, offset: 0 })).unwrap();
        for &Relocation { offset, .. } in relocations {
            writeln!(all, "  {}", shown(Place::Section { section, offset })).unwrap();
        }
    }
    expect![[r#"
        message: message
        buffer: buffer
        start: start
        .again: .again
        exit: exit
        undefined bufer: bufer+8
        section message: message
        section buffer: buffer
        section code: hex
          <rel32 message>
          <rel32 bufer+8, end=1>
          <rel8 .again>
    "#]]
    .assert_eq(&all);
}

#[test]
fn sections_put_items_together_in_their_own_order() {
    check_program(
        r#"
        targets = ["x86_64-linux"]
        hex = "start: e8 <call32 .end> .end: f4"
        code.helper.hex = "helper: eb <rel8 .end> .end: f4 ba <u32 both.size>"
        [rodata]
        a = { u8 = 1 }
        b = { pointers = "a", align = 32 }
        c = { u8 = 3 }
        d = { u8 = [4, 4], align = 1 }
        e = { u8 = 5, align = 1 }
        [bss]
        f.size = 3
        g.size = "1 TiB"
        [section.both]
        contents = ["helper", "code"]
        [section.mixed]
        kind = "data"
        align = 64
        contents = ["e", "d", "a", "b", "f"]
        [section.zeros]
        contents = ["g"]
        "#,
        "x86_64-linux",
        expect![[r#"
            Code both align 8
                eb 00 f4 ba 0e 00 00 00 e8 00 00 00 00 f4
              0x1: rel8 .end -1
              0x9: call32 .end -4
              both at 0x0, 14 bytes, Unspecified
              helper at 0x0, 8 bytes, Function
              local .end at 0x2, 0 bytes, Unspecified
              start at 0x8, 6 bytes, Function
              local .end at 0xd, 0 bytes, Unspecified
            ReadOnly c align 8
                03
              c at 0x0, 1 bytes, Object
            Data mixed align 64
                05 04 04 00 00 00 00 00 01 00 00 00 00 00 00 00
                00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
                00 00 00 00 00 00 00 00 00 00 00
              0x20: abs64 a +0
              mixed at 0x0, 43 bytes, Unspecified
              e at 0x0, 1 bytes, Object
              d at 0x1, 2 bytes, Object
              a at 0x8, 1 bytes, Object
              b at 0x20, 8 bytes, Object
              f at 0x28, 3 bytes, Object
            Bss zeros align 8
                zeros 0x10000000000
              zeros at 0x0, 1099511627776 bytes, Unspecified
              g at 0x0, 1099511627776 bytes, Object
            entry start, Independent
        "#]],
    );
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_text() {
    let text = "\u{feff}[target.x86_64-linux]\nhex = 'start: f4'\n";
    assert_eq!(spec(text).targets(), [Target::X86_64_LINUX]);
}

#[test]
fn bare_code_is_the_item_called_code() {
    let text = r#"
        hex = "start: f4"
        code.code.align = 64
        [target.x86_64-linux]
        [target.aarch64-linux]
        hex = "start: d65f03c0"
        code.code.align = 16
    "#;
    check_program(
        text,
        "x86_64-linux",
        expect![[r#"
        Code code align 64
            f4
          start at 0x0, 1 bytes, Function
        entry start, Independent
    "#]],
    );
    check_program(
        text,
        "aarch64-linux",
        expect![[r#"
        Code code align 16
            c0 03 5f d6
          start at 0x0, 4 bytes, Function
        entry start, Independent
    "#]],
    );
}

#[test]
fn numbers_are_sums_of_products() {
    check_program(
        r#"
        [constants]
        W = 80
        H = 25
        [bss.screen]
        size = 64
        [rodata]
        a = { u32 = ["W*H", "2 * W * H - 1", "screen.size*2", "-W*2+200"] }
        [data]
        d = { pointers = "screen + W*2" }
        [target.x86_64-linux]
        hex = "start: b8 <u32 W*H> 48 8d 05 <rel32 screen+W*2> c3"
        "#,
        "x86_64-linux",
        expect![[r#"
            Bss screen align 8
                zeros 0x40
              screen at 0x0, 64 bytes, Object
            ReadOnly a align 8
                d0 07 00 00 9f 0f 00 00 80 00 00 00 28 00 00 00
              a at 0x0, 16 bytes, Object
            Data d align 8
                00 00 00 00 00 00 00 00
              0x0: abs64 screen +160
              d at 0x0, 8 bytes, Object
            Code code align 8
                b8 d0 07 00 00 48 8d 05 00 00 00 00 c3
              0x8: rel32 screen +156
              start at 0x0, 13 bytes, Function
            entry start, Independent
        "#]],
    );
}
