//! Dumped: every field of files, as text that people can review: offset, name, value, and what it means. What
//! changes in a file shows here. A file for each format, and here what is the same for all.

mod elf;
mod macho;
mod pe;

use std::fmt::Write;
use std::path::Path;

use expect_test::expect_file;
use libtest_mimic::Trial;
use minild::OperatingSystem;
use minild::format::layout::LaidOutSection;
use object::pod::{self, Pod};

use crate::Checked;
use crate::case::{Case, Variant, all, root};

/// The specs whose files are dumped: each shows something that the others have not.
const DUMPED: &[&str] = &[
    "samples/hello.toml",
    "samples/bss.toml",
    "samples/pointers.toml",
    "samples/puts.toml",
    "tests/programs/kernel_calls.toml",
    "tests/programs/macos.toml",
    "tests/programs/ordinals.toml",
    "tests/programs/relocated.toml",
    "tests/programs/unwind.toml",
];

/// A file at a fixed position, or with opcodes for dyld, is another: of these both are dumped.
const DUMPED_IN_VARIANTS: &[(&str, Variant)] = &[
    ("tests/programs/kernel_calls.toml", Variant::Fixed),
    ("tests/programs/macos.toml", Variant::OldMacOs),
];

pub(crate) fn trials() -> Vec<Trial> {
    let is_of = |path: &str, case: &Case| case.path == root().join(Path::new(path));
    let is_dumped = |case: &Case| match case.variant {
        Variant::Default => DUMPED.iter().any(|path| is_of(path, case)),
        variant => {
            DUMPED_IN_VARIANTS.iter().any(|(path, wanted)| is_of(path, case) && *wanted == variant)
        }
    };
    let trial = |case: Case| Trial::test(case.test_name("dump"), move || is_as_reviewed(&case));
    all().into_iter().filter(is_dumped).map(trial).collect()
}

fn is_as_reviewed(case: &Case) -> Checked {
    case.link(|_, image| {
        let name = case.path.file_stem().expect("a spec's file has a name").display();
        let variant = match case.variant {
            Variant::Default => String::new(),
            variant => format!("-{}", variant.name()),
        };
        let golden = root().join(format!("tests/golden/{name}-{}{variant}.txt", case.target));
        expect_file![golden].assert_eq(&match case.target.operating_system {
            OperatingSystem::Linux => elf::dump(image),
            OperatingSystem::MacOs => macho::dump(image),
            _ => pe::dump(image),
        });
        Ok(())
    })
}

/// Lines of text about a file.
struct Dump<'f> {
    file: &'f [u8],
    text: String,
    /// Characters of the column of names.
    width: usize,
}

/// Adds a line for each of these fields of a structure at an offset of the file.
macro_rules! fields {
    ($dump:expr, $endian:expr, $at:expr, $structure:ty, $value:expr; $($field:ident: $meaning:expr;)*) => {
        $({
            let value = $value.$field.get($endian);
            let offset = $at + std::mem::offset_of!($structure, $field);
            $dump.field(offset, stringify!($field), &shown(value), &$meaning.to_string());
        })*
    };
}
use fields;

/// A number in hex; a constant by its name.
fn shown(value: impl std::fmt::Debug) -> String {
    let plain = format!("{value:?}");
    if plain.bytes().all(|byte| byte.is_ascii_digit()) { format!("{value:#x?}") } else { plain }
}

fn offset(number: u64) -> usize {
    usize::try_from(number).expect("the file is in memory")
}

impl<'f> Dump<'f> {
    fn new(file: &'f [u8], width: usize) -> Self {
        Self { file, text: String::new(), width }
    }

    fn structure<T: Pod + Copy>(&self, at: usize) -> T {
        *pod::from_bytes::<T>(&self.file[at..]).expect("it lies in the file").0
    }

    fn title(&mut self, title: &str) {
        let gap = if self.text.is_empty() { "" } else { "\n" };
        writeln!(self.text, "{gap}{title}").expect("a string takes all");
    }

    fn field(&mut self, offset: usize, name: &str, value: &str, meaning: &str) {
        let width = self.width;
        let line = format!("{offset:#06x}  {name:<width$} {value:<22} {meaning}");
        writeln!(self.text, "{}", line.trim_end()).expect("a string takes all");
    }

    fn string(&self, at: usize) -> String {
        let end = self.file[at..].iter().position(|&byte| byte == 0).expect("a NUL ends it");
        String::from_utf8_lossy(&self.file[at..at + end]).into_owned()
    }

    fn bytes(&mut self, name: &str, section: &LaidOutSection) {
        let size = section.file_size.0;
        let place = match section.address.0 {
            0 => "not in memory".to_owned(), // where the headers are
            address => format!("at address {address:#x}"),
        };
        self.title(&format!("{name}: {size:#x} bytes, {place}"));
        self.hex_dump(offset(section.offset.0), offset(size));
    }

    /// Sixteen bytes a line; many lines of zeros are one.
    fn hex_dump(&mut self, start: usize, size: usize) {
        const MANY: usize = 4;
        let file = self.file;
        let lines: Vec<_> = file[start..start + size].chunks(16).collect();
        let mut at = start;
        for run in lines.chunk_by(|one, next| one == next) {
            let is_long = run.len() >= MANY && run[0].iter().all(|byte| *byte == 0);
            let shown = if is_long { 0 } else { run.len() };
            for line in &run[..shown] {
                let text: String = line
                    .iter()
                    .map(|&byte| match byte {
                        byte if byte.is_ascii_graphic() || byte == b' ' => byte.into(),
                        _ => '.',
                    })
                    .collect();
                let line = format!("{at:#06x}  {:<47}  {text}", self.hex(at, line.len()).join(" "));
                writeln!(self.text, "{}", line.trim_end()).expect("a string takes all");
                at += 16;
            }
            if is_long {
                let zeros: usize = run.iter().map(|line| line.len()).sum();
                writeln!(self.text, "{at:#06x}  {zeros:#x} zeros").expect("a string takes all");
                at += zeros;
            }
        }
    }

    /// Each byte as two digits.
    fn hex(&self, at: usize, length: usize) -> Vec<String> {
        self.file[at..at + length].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
