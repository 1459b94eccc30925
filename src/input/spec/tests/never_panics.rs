//! Whatever the text, reading it gives a spec or errors whose places are in the text.

use std::path::Path;

use proptest::prelude::*;

use crate::error::{Errors, Place};
use crate::input::spec::{read, read_bytes};

fn try_all(text: &str) {
    let folder = Path::new("/nonexistent");
    match read(text, folder) {
        Err(errors) => check_places(text, &errors),
        Ok(spec) => {
            for target in spec.targets() {
                if let Err(errors) = spec.program(target) {
                    check_places(text, &errors);
                }
            }
        }
    }
}

fn check_places(text: &str, errors: &Errors) {
    for note in errors.iter().flat_map(|error| &error.notes) {
        let Place::Text(range) = &note.place else { panic!("{note:?} is not in the text") };
        assert!(text.get(range.clone()).is_some(), "{range:?} of {} bytes: {errors:?}", text.len());
    }
}

/// A line of a spec, right or nearly so.
fn line() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "text", "u8", "i64", "f32", "size", "align", "fill", "hex", "pointers", "fields", "file",
        "entry", "targets", "name", "exit", "timeout", "env", "utf16", "cstring", "stdout",
        "position", "contents", "x",
    ]);
    let header = prop::sample::select(vec![
        "[rodata.a]",
        "[data.b]",
        "[bss.c]",
        "[code.d]",
        "[constants]",
        "[target.x86_64-linux]",
        "[target.aarch64-linux]",
        "[target.linux.data.b]",
        "[[test]]",
        "[section.s]",
        "[rodata]",
    ]);
    let value = prop_oneof![
        "\"[a-z0-9 .+<>:#,=_-]{0,20}\"",
        "'''\n[a-z0-9 .+<>:#,=\n-]{0,40}'''",
        "-?[0-9]{1,20}",
        "\\[\"[a-z+.-]{0,5}\", [0-9]{1,3}\\]",
        Just("[{ u8 = 1 }, { pointer = \"a\" }, { size = 3 }]".to_owned()),
        Just("\"start: 0f05 <rel32 a+1> <u32 a.size>\"".to_owned()),
        Just("\"start: d65f03c0 <call26 .x>\\n .x:\"".to_owned()),
        Just("\"\\u00e4\\\\ <rel32 \\u00e4>\"".to_owned()),
        Just("\"16 EiB\"".to_owned()),
        Just("0xffff_ffff_ffff_ffff_ffff_ffff_ffff_ffff_ffff".to_owned()),
    ];
    prop_oneof![1 => header.prop_map(str::to_owned), 3 => (key, value).prop_map(|(key, value)| format!("{key} = {value}"))]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn on_bytes(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = read_bytes(&bytes, Path::new("/nonexistent"));
    }

    #[test]
    fn on_text(text in "\\PC*") {
        try_all(&text);
    }

    #[test]
    fn on_lines_that_look_like_a_spec(lines in prop::collection::vec(line(), 0..16)) {
        try_all(&lines.join("\n"));
    }

    #[test]
    fn on_hex_text(hex in "[a-f0-9 <>:.#,=+\nä-]{0,60}", kind in "(rel32|abs64|u8|call26|jump26|x)", name in "[a-z.+ 0-9-]{0,8}") {
        try_all(&format!("targets = ['x86_64-linux', 'aarch64-linux']\nhex = '''{hex}\n94000000 <{kind} {name}>'''\n"));
    }
}
