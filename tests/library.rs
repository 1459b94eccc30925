//! The crate as its callers meet it: what it promises of its types, its outputs and its errors.

// Each binary uses a part of it.
#[allow(dead_code)]
#[path = "support/linted.rs"]
mod linted;

use std::io::{self, Write};
use std::sync::Arc;
use std::{fs, thread};

use minild::error::{ErrorKind, Place};
use minild::program::{Contents, Export, Program, Section, SectionKind, SymbolId};
use minild::target::TARGETS;
use minild::{Errors, Image, Layout, Options, Pending, Size, Target, arch};

/// A program that is all there for a target: code, a constant, a pointer to it.
fn program(target: Target) -> Program<'static> {
    let mut program = Program::new(target);
    program.name = "library".into();
    let text = program.add_section(Section::new("text", SectionKind::ReadOnly, b"a constant"));
    let text = program.define("text", text, 0, 10);
    let pointer = program.add_section(Section::new("pointer", SectionKind::Data, &[0; 8]));
    program.define("pointer", pointer, 0, 8);
    program.relocate(pointer, 0, arch::of(target.architecture).pointer(), text, 0);
    let code = program.add_section(Section::new("code", SectionKind::Code, &[0; 16]));
    program.entry = Some(program.define("start", code, 0, 16));
    program
}

fn linked(target: Target) -> Image {
    linted::link(&program(target), &Options::default()).expect("it links")
}

#[test]
fn everything_goes_to_any_thread() {
    fn any_thread<T: Send + Sync>() {}
    any_thread::<Program<'_>>();
    any_thread::<Options>();
    any_thread::<Image>();
    any_thread::<Layout>();
    any_thread::<Pending<'_>>();
    any_thread::<Errors>();
    any_thread::<minild::link::Resolved<'_>>();
    any_thread::<minild::link::Synthesized<'_>>();
    any_thread::<minild::format::layout::Gathered<'_>>();
    any_thread::<minild::format::output::Output>();

    // One program, linked by many threads at once.
    for row in TARGETS {
        let shared = Arc::new(program(row.target));
        let expected = linked(row.target).bytes;
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let program = Arc::clone(&shared);
                thread::spawn(move || linted::link(&program, &Options::default()))
            })
            .collect();
        for thread in threads {
            let image = thread.join().expect("no panic").expect("it links");
            assert!(image.bytes == expected, "{}: other bytes on another thread", row.name);
        }
    }
}

#[test]
fn every_way_out_gives_the_same_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    for row in TARGETS {
        let program = program(row.target);
        let options = Options::default();
        let expected = linked(row.target).bytes;
        let mut written = Vec::new();
        // Not linted: the bytes are those of the image above.
        minild::link_into(&program, &options, &mut written).expect("it links");
        assert!(written == expected, "{}: to a writer", row.name);
        let path = folder.path().join(row.name);
        linted::link_to(&program, &options, &path).expect("it links");
        assert!(fs::read(&path).expect("a file") == expected, "{}: to a file", row.name);
        let layout = minild::layout(&program, &options).expect("it can be laid out");
        assert_eq!(layout.file_size.0, expected.len() as u64, "{}: the layout", row.name);
        minild::check(&program, &options).expect("nothing is wrong");
    }
}

/// Wrong would be: a file has its name before anybody could look at it, or leaves something behind.
#[test]
fn a_file_that_waits_beside_its_place_is_whole_and_goes_when_nobody_wants_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let names = || fs::read_dir(folder.path()).expect("a folder").count();
    for row in TARGETS {
        let (program, options) = (program(row.target), Options::default());
        let path = folder.path().join("program");
        let beside = || {
            // Not linted: the bytes are those of the image below.
            minild::link_beside(&program, &options, &path).expect("it links")
        };
        let pending = beside();
        let expected = linked(row.target).bytes;
        assert!(fs::read(pending.temporary_path()).expect("a file") == expected, "{}", row.name);
        assert_eq!(pending.temporary_path().parent(), path.parent());
        assert!(!path.exists(), "{}", row.name);
        drop(pending);
        assert_eq!(names(), 0, "{}", row.name);

        beside().put_in_place().expect("it can be renamed");
        assert!(fs::read(&path).expect("a file") == expected, "{}", row.name);
        assert_eq!(names(), 1, "{}", row.name);
        fs::remove_file(&path).expect("it is there");
    }
}

/// Small files are gathered in memory, large ones are not: wrong would be a byte that is another one there, or an identity
/// that was taken of another file.
#[test]
fn files_that_are_too_large_to_gather_have_the_same_bytes() {
    const LARGE: usize = (1 << 20) + (1 << 12);
    let folder = tempfile::tempdir().expect("a folder");
    let source = folder.path().join("source");
    fs::write(&source, vec![0x3c; LARGE]).expect("a file");
    let with = |target, contents: Vec<Contents<'static>>| {
        let mut program = program(target);
        for contents in contents {
            program.add_section(Section::new("large", SectionKind::ReadOnly, contents));
        }
        program
    };
    let whole_file = || Contents::File { path: source.clone(), offset: 0, len: LARGE as u64 };
    for target in
        [Target::X86_64_LINUX, Target::AARCH64_MACOS, Target::X86_64_WINDOWS, Target::AARCH64_UEFI]
    {
        for contents in [
            vec![Contents::Bytes(vec![0xa5; LARGE].into())],
            vec![whole_file()],
            // Small at first, and at the end too large.
            vec![Contents::Zeros(Size(LARGE as u64 / 3)); 3],
        ] {
            let program = with(target, contents);
            let options = Options::default();
            let expected = linted::link(&program, &options).expect("it links").bytes;
            assert!(expected.len() >= LARGE, "{target}");
            let path = folder.path().join(target.name());
            linted::link_to(&program, &options, &path).expect("it links");
            assert!(fs::read(&path).expect("a file") == expected, "{target}");
        }
    }
    let macs = [Target::X86_64_MACOS, Target::AARCH64_MACOS];
    let programs = macs.map(|target| with(target, vec![whole_file()]));
    let path = folder.path().join("universal");
    let expected = linted::link_universal(&programs, &Options::default()).expect("it links");
    // Not linted: the bytes are those of the file above.
    minild::link_universal_to(&programs, &Options::default(), &path).expect("it links");
    assert!(fs::read(&path).expect("a file") == expected);
}

/// Takes some bytes, then fails.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        if taken == 0 { Err(io::Error::other("the disk is full")) } else { Ok(taken) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_writer_that_fails_is_an_error() {
    let program = program(Target::X86_64_LINUX);
    // Not linted: no file becomes whole.
    let errors = minild::link_into(&program, &Options::default(), &mut Full(100)).unwrap_err();
    let error = errors.iter().next().expect("one");
    assert_eq!(error.kind, ErrorKind::File);
    assert!(error.message.contains("the disk is full"), "{}", error.message);
    // What is wrong with the program is told before anything is written.
    let mut written = Vec::new();
    let empty = Program::new(Target::X86_64_LINUX);
    // Not linted: nothing is written.
    minild::link_into(&empty, &Options::default(), &mut written).unwrap_err();
    assert!(written.is_empty());
}

#[test]
fn errors_are_data() {
    let mut program = program(Target::X86_64_LINUX);
    let code = program.add_section(Section::new("far", SectionKind::Code, &[0xeb, 0x00]));
    let start = program.global("start").expect("it is defined");
    program.relocate(code, 1, arch::x86_64::REL8, start, 0x1000);
    let missing = program.reference("txet");
    program.relocate(code, 7, arch::x86_64::REL32, missing, -4);

    // Names come first; ranges are only known when all lies in its place.
    let errors = linted::link(&program, &Options::default()).unwrap_err();
    let undefined = errors.iter().next().expect("one");
    assert_eq!(undefined.kind, ErrorKind::UndefinedSymbol);
    assert_eq!(undefined.help.as_deref(), Some("did you mean `text`?"));
    assert_eq!(undefined.notes[0].place, Place::Section { section: code, offset: 7 });

    program.define("txet", code, 0, 0);
    let errors = linted::link(&program, &Options::default()).unwrap_err();
    let outside = errors.iter().next().expect("one");
    assert_eq!((outside.kind, outside.value), (ErrorKind::OutOfRange, Some(7)));

    let mut program = self::program(Target::X86_64_LINUX);
    let code = program.add_section(Section::new("far", SectionKind::Code, &[0xeb, 0x00]));
    program.relocate(code, 1, arch::x86_64::REL8, start, 0x1000);
    let errors = linted::link(&program, &Options::default()).unwrap_err();
    let range = errors.iter().next().expect("one");
    assert_eq!(range.kind, ErrorKind::OutOfRange);
    assert_eq!(range.interval, Some(-128..=127));
    assert_eq!(range.value, Some(0x1000 - 17), "16 bytes of code and the field's own offset");
}

/// Compilers list names that their code turned out not to need: gcc's `_GLOBAL_OFFSET_TABLE_`. Wrong would be to want a
/// definition of those, or none of a name that is used.
#[test]
fn only_names_that_something_refers_to_need_a_definition() {
    type Use = fn(&mut Program<'_>, SymbolId);
    for row in TARGETS {
        let expected = linked(row.target).bytes;
        let mut program = program(row.target);
        let unused = program.reference("_GLOBAL_OFFSET_TABLE_");
        let link = |program: &Program<'_>| linted::link(program, &Options::default());
        assert!(link(&program).expect("nothing uses it").bytes == expected, "{}", row.name);

        let uses: [Use; 5] = [
            |program, symbol| {
                let data = program.add_section(Section::new("data", SectionKind::Data, &[0; 8]));
                let pointer = arch::of(program.target.architecture).pointer();
                program.relocate(data, 0, pointer, symbol, 0);
            },
            |program, symbol| program.entry = Some(symbol),
            |program, symbol| program.exports.push(Export::by_name("exported", symbol)),
            |program, symbol| program.init.push(symbol),
            |program, symbol| program.fini.push(symbol),
        ];
        for make_use in uses {
            let mut program = program.clone();
            make_use(&mut program, unused);
            let errors = link(&program).expect_err("nothing defines it");
            let undefined: Vec<_> =
                errors.iter().filter(|error| error.kind == ErrorKind::UndefinedSymbol).collect();
            assert_eq!(undefined.len(), 1, "{}: {errors}", row.name);
            assert!(undefined[0].message.contains("`_GLOBAL_OFFSET_TABLE_`"), "{errors}");
        }
    }
}

/// Wrong would be: a file whose pointers break each other, or a refusal of fields that only come in another order.
#[test]
fn fields_that_overlap_are_refused() {
    for row in TARGETS {
        let link = |offsets: [u64; 2]| {
            let mut program = program(row.target);
            let data = program.add_section(Section::new("pointers", SectionKind::Data, &[0; 24]));
            let entry = program.entry.expect("the program starts somewhere");
            let pointer = arch::of(row.target.architecture).pointer();
            for offset in offsets {
                program.relocate(data, offset, pointer, entry, 0);
            }
            linted::link(&program, &Options::default())
        };
        for offsets in [[0, 4], [4, 0], [8, 8]] {
            let errors = link(offsets).expect_err("they overlap");
            let told: Vec<_> = errors.iter().map(|error| error.message.as_str()).collect();
            let at = offsets[0].min(offsets[1]);
            assert_eq!(told, [format!("a `abs64` overlaps the `abs64` at {at:#x}")]);
        }
        for offsets in [[0, 8], [16, 0]] {
            link(offsets).unwrap_or_else(|errors| panic!("{}: {errors}", row.name));
        }
    }
}

/// Wrong would be: a difference that has no sign, or one that is cut off to fit its field.
#[test]
fn differences_have_a_sign() {
    for row in TARGETS {
        let arch = arch::of(row.target.architecture);
        let link = |width: usize, addend: i64| {
            let kind = |name| arch.kind(&format!("{name}{}", 8 * width)).expect("there is one");
            let mut program = program(row.target);
            let table = Section::new("table", SectionKind::ReadOnly, vec![0x5a; width]);
            let table = program.add_section(table);
            let here = program.define("table", table, 0, width as u64);
            let text = program.global("text").expect("it is defined");
            program.relocate(table, 0, kind("abs"), text, addend);
            program.relocate(table, 0, kind("sub"), here, 0);
            let image = linted::link(&program, &Options::default())?;
            let place = |symbol| image.layout.symbol(symbol).0.cast_signed();
            let piece = image.layout.sections().find_map(|section| {
                let piece = section.pieces.iter().find(|piece| piece.section == table)?;
                usize::try_from(section.offset.0 + piece.offset.0).ok()
            });
            let at = piece.expect("it is in the file");
            Ok::<_, Errors>((image.bytes[at..at + width].to_vec(), place(text) - place(here)))
        };
        for width in [4, 8] {
            let (written, expected) = link(width, -100).expect("it fits");
            assert!(expected < 0, "{}: the text lies in front of the table", row.name);
            assert_eq!(written, (expected - 100).to_le_bytes()[..width], "{}", row.name);
        }
        link(4, 0xffff_0000).expect("it fits where nobody reads a sign");
        for addend in [0x1_0000_1000, -0x8000_1000] {
            let errors = link(4, addend).expect_err("it does not fit");
            let error = errors.iter().next().expect("one");
            assert_eq!(error.interval, Some(-(1 << 31)..=(1 << 32) - 1), "{}", row.name);
        }
    }
}

/// Wrong would be: a hook that every test goes through and that finds nothing.
#[test]
fn what_is_broken_is_no_file_that_a_test_may_write() {
    let broken = |change: fn(&mut Vec<u8>)| {
        let mut file = linked(Target::X86_64_WINDOWS).bytes;
        change(&mut file);
        let looked = std::panic::catch_unwind(|| linted::is_linted("broken", &file));
        *looked.expect_err("it is broken").downcast::<String>().expect("a message")
    };
    let says = broken(|file| file[0x200] ^= 1);
    assert!(says.starts_with("broken (PE32+ program, x86_64):\nwarning[pe/checksum]: "), "{says}");
    let says = broken(|file| file.truncate(0x300));
    assert!(says.contains("\nerror[pe/raw-past-end]: "), "{says}");
    let says = broken(|file| file[..2].fill(0));
    assert!(says.starts_with("broken: it is a file of unknown kind"), "{says}");
}
