//! Files whose bytes were changed, and which are made whole again: signatures and checksums.

// Each binary uses a part of it.
#[allow(dead_code)]
#[path = "support/linted.rs"]
mod linted;

use minild::error::ErrorKind;
use minild::format::{macho, pe};
use minild::program::{Program, Section, SectionKind};
use minild::{Options, Target};

const MACS: [Target; 2] = [Target::X86_64_MACOS, Target::AARCH64_MACOS];

fn program(target: Target) -> Program<'static> {
    let mut program = Program::new(target);
    let text = vec![b'x'; 20_000];
    program.add_section(Section::new("text", SectionKind::ReadOnly, text));
    let code = program.add_section(Section::new("start", SectionKind::Code, &[0xc0; 16]));
    program.entry = Some(program.define("start", code, 0, 8));
    program
}

fn file(target: Target) -> Vec<u8> {
    linted::link(&program(target), &Options::default()).expect("it links").bytes
}

fn u32_at(file: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(file[at..at + 4].try_into().expect("4 bytes"))
}

/// What was signed and is signed again without a change is the same, whoever signs.
#[test]
fn signing_twice_changes_nothing() {
    for target in MACS {
        let linked = file(target);
        let mut signed = linked.clone();
        macho::sign(&mut signed, None).expect("it can be signed");
        assert!(signed == linked, "{target}: other bytes");
    }
    let linked = linted::link_universal(&MACS.map(program), &Options::default());
    let linked = linked.expect("it links");
    let mut signed = linked.clone();
    macho::sign(&mut signed, None).expect("it can be signed");
    assert!(signed == linked, "universal: other bytes");
}

/// A file as a linker writes it that does not sign: the last command, which tells of the signature, is not there,
/// and nor is the signature.
#[test]
fn a_file_without_a_signature_gets_one() {
    for target in MACS {
        let linked = file(target);
        let (count, size) = (u32_at(&linked, 16), u32_at(&linked, 20));
        let command = 32 + size as usize - 16;
        assert_eq!(u32_at(&linked, command), 0x1d, "LC_CODE_SIGNATURE comes last");
        let signature = u32_at(&linked, command + 8) as usize;

        let mut unsigned = linked[..signature].to_vec();
        unsigned[16..20].copy_from_slice(&(count - 1).to_le_bytes());
        unsigned[20..24].copy_from_slice(&(size - 16).to_le_bytes());
        unsigned[command..command + 16].fill(0);
        let link_edit =
            unsigned.windows(10).position(|name| name == b"__LINKEDIT").expect("it is there");
        let start = u32_at(&linked, link_edit + 32) as usize;
        let rest = (signature - start) as u64;
        unsigned[link_edit + 40..link_edit + 48].copy_from_slice(&rest.to_le_bytes());

        let before = unsigned.clone();
        let errors = macho::sign(&mut unsigned, None).unwrap_err();
        assert_eq!(errors.iter().next().map(|error| error.kind), Some(ErrorKind::Missing));
        assert!(unsigned == before, "changed in spite of the error");
        macho::sign(&mut unsigned, Some("program")).expect("it can be signed");
        assert!(unsigned == linked, "{target}: other bytes than the link's own");
    }
}

#[test]
fn a_longer_name_makes_room_for_itself() {
    let mut signed = file(Target::AARCH64_MACOS);
    let before = signed.len();
    macho::sign(&mut signed, Some("a.much.longer.identifier")).expect("it can be signed");
    assert_eq!(signed.len() - before, "a.much.longer.identifier".len() - "program".len());
    linted::is_linted("with a longer name", &signed);
    let again = signed.clone();
    macho::sign(&mut signed, None).expect("it can be signed");
    assert!(signed == again, "the name was not kept");
    macho::sign(&mut signed, Some("with\0inside")).unwrap_err();
    assert!(signed == again, "changed in spite of the error");
}

/// Nothing that the old signature says is lost: where ours cannot say it, that is an error.
#[test]
fn what_a_linker_cannot_say_is_refused() {
    let whole = file(Target::AARCH64_MACOS);
    let command = 32 + u32_at(&whole, 20) as usize - 16;
    let signature = u32_at(&whole, command + 8) as usize;
    for (what, offset, value) in [
        ("entitlements", 12, 5_u32.to_be_bytes()), // the slot of the one blob
        ("the hardened runtime", 20 + 12, 0x1_0002_u32.to_be_bytes()), // flags of the code directory
    ] {
        let mut other = whole.clone();
        other[signature + offset..signature + offset + 4].copy_from_slice(&value);
        let errors = macho::sign(&mut other, None).unwrap_err();
        let kind = errors.iter().next().map(|error| error.kind);
        assert_eq!(kind, Some(ErrorKind::Unsupported), "{what}");
    }
    let mut longer = whole.clone();
    longer.push(0);
    macho::sign(&mut longer, None).expect_err("a byte behind the signature");
}

/// Wherever a file ends, and whichever byte of its headers is wrong: an error, and the file as it was, or a signed
/// file.
///
/// Broken on purpose, so not linted: a signature does not mend a header.
#[test]
fn damaged_files_are_errors() {
    let whole = file(Target::AARCH64_MACOS);
    for len in (0..whole.len()).step_by(7) {
        let mut cut = whole[..len].to_vec();
        macho::sign(&mut cut, None).expect_err("it is cut off");
        assert!(cut == whole[..len], "changed in spite of the error");
    }
    for index in 0..0x600 {
        for value in [0x7f, 0xff] {
            let mut damaged = whole.clone();
            damaged[index] = value;
            let before = damaged.clone();
            if macho::sign(&mut damaged, None).is_err() {
                assert!(damaged == before, "changed in spite of the error");
            }
        }
    }
    let mut none = Vec::new();
    macho::sign(&mut none, Some("x")).expect_err("nothing is there");
    let mut elf = file(Target::X86_64_LINUX);
    macho::sign(&mut elf, Some("x")).expect_err("another format");
    pe::set_checksum(&mut elf).expect_err("another format");
}

#[test]
fn a_checksum_is_the_one_that_the_link_wrote() {
    for target in [Target::X86_64_WINDOWS, Target::AARCH64_UEFI] {
        let linked = file(target);
        let mut again = linked.clone();
        pe::set_checksum(&mut again).expect("an image");
        assert!(again == linked, "{target}: another checksum");
        for len in 0..0x400 {
            // The headers, their directories excepted, end at 0xc8.
            let sum = pe::checksum(&linked[..len]);
            assert!(sum.is_ok() == (len >= 0xc8), "{len:#x} bytes hold no headers");
        }
    }
    pe::checksum(b"MZ").expect_err("it is cut off");
}
