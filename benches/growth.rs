//! What a link costs as each part of a program grows: how long one element takes among few and among many. Where the
//! columns of a row stay level, time is proportional to the program; where they double, something is quadratic.
//! docs/MEASUREMENTS.md has what came out; `cargo bench --bench growth [-- WORD]` measures again.

use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use minild::arch;
use minild::input::spec;
use minild::program::{
    Binding, Definition, Export, Import, Program, Section, SectionId, SectionKind, Symbol,
};
use minild::{Align, Options, Size, Target};

/// How many elements there are in the first column; each next one has twice as many.
const FIRST: usize = 1 << 12;
const COLUMNS: u32 = 5;

/// A program in which there are many of something.
type Grown = fn(Target, usize) -> Program<'static>;

const PROGRAMS: &[(&str, Grown)] = &[
    ("sections", sections),
    ("symbols in one section", |target, count| symbols(target, count, Binding::Global)),
    ("local symbols", |target, count| symbols(target, count, Binding::Local)),
    ("references that one symbol resolves", references),
    ("common symbols", commons),
    ("relocations in one section", relocations),
    ("relocations that descend", relocations_descending),
    ("pointers, a section each", pointers),
    ("pointers in one section", pointers_of_one_section),
    ("pointers in constants", constant_pointers),
    ("slots", slots),
    ("imports of one library", imports),
    ("libraries", libraries),
    ("exports", exports),
    ("functions that run first", initialisers),
    ("thread-local variables", thread_locals),
    ("files", files),
];

/// A spec in which there are many of something.
type Written = fn(usize) -> String;

const SPECS: &[(&str, Written)] = &[
    ("spec: items", |count| each(count, |text, n| write!(text, "[data.item_{n}]\nu64 = {n}\n"))),
    ("spec: strings", |count| {
        String::from("[rodata]\n") + &each(count, |text, n| writeln!(text, "item_{n} = \"text\""))
    }),
    ("spec: lines of asm", |count| in_asm(count, |text, _| writeln!(text, "mov eax, 1"))),
    ("spec: labels of asm", |count| in_asm(count, |text, n| writeln!(text, "l{n}: jmp l{n}"))),
    ("spec: labels of hex", |count| {
        in_hex(count, |text, n| writeln!(text, "l{n}: e9 <rel32 l{n}>"))
    }),
    ("spec: bytes of hex", |count| in_hex(count, |text, _| writeln!(text, "90"))),
    ("spec: tests", |count| {
        each(count, |text, n| write!(text, "[[test]]\nargs = [\"{n}\"]\nexit = 0\n"))
    }),
    ("spec: fields", |count| {
        let mut text = String::from("[data.table]\nfields = [\n");
        for n in 0..count {
            writeln!(text, "{{ u32 = {n} }}, ").expect("a string takes it");
        }
        text + "]\n"
    }),
    ("spec: pointers", |count| {
        let mut text = String::from("[data.table]\npointers = [\n");
        for n in 0..count {
            writeln!(text, "\"start+{n}\",").expect("a string takes it");
        }
        text + "]\n"
    }),
    ("spec: imports", |count| {
        let mut text = String::from("[imports]\n\"libc.so.6\" = [\n");
        for n in 0..count {
            writeln!(text, "\"f{n}\",").expect("a string takes it");
        }
        text + "]\n"
    }),
    ("spec: constants", |count| each(count, |text, n| writeln!(text, "constants.c{n} = {n}"))),
    ("spec: exports", |count| {
        let mut text = String::from("exports = [\n");
        for n in 0..count {
            writeln!(text, "{{ name = \"e{n}\", symbol = \"start\" }},")
                .expect("a string takes it");
        }
        text + "]\n"
    }),
    ("spec: undefined names", |count| in_hex(count, |text, n| writeln!(text, "e9 <rel32 u{n}>"))),
];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let is_wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word));
    print!("{:44}", "nanoseconds an element, of how many:");
    for column in 0..COLUMNS {
        print!("{:>10}", FIRST << column);
    }
    println!();
    for target in [Target::X86_64_LINUX, Target::AARCH64_MACOS, Target::X86_64_WINDOWS] {
        for (name, grown) in PROGRAMS {
            let name = format!("{name}, {target}");
            if is_wanted(&name) {
                row(&name, |count| {
                    let program = grown(target, count);
                    let start = Instant::now();
                    // Where a format cannot count so many, that is told as soon.
                    let _ = std::hint::black_box(minild::link(&program, &Options::default()));
                    start.elapsed()
                });
            }
        }
    }
    for (name, written) in SPECS {
        if is_wanted(name) {
            row(name, |count| {
                let text = spec_of(&written(count));
                let start = Instant::now();
                let linked = spec::read(&text, Path::new(".")).and_then(|spec| {
                    let (program, _) = spec.program(Target::X86_64_LINUX)?;
                    minild::link(&program, &Options::default())
                });
                let _ = std::hint::black_box(linked);
                start.elapsed()
            });
        }
    }
}

fn row(name: &str, mut time: impl FnMut(usize) -> Duration) {
    print!("{name:44}");
    let mut spent = Duration::ZERO;
    for column in 0..COLUMNS {
        let count = FIRST << column;
        let best = (0..3).map(|_| time(count)).min().expect("three");
        print!("{:>10}", best.as_nanos() / count as u128);
        spent += best;
        if spent > Duration::from_secs(5) {
            print!("   (and so on)");
            break;
        }
    }
    println!();
}

fn program(target: Target) -> (Program<'static>, SectionId) {
    let mut program = Program::new(target);
    let code = program.add_section(Section::new("start", SectionKind::Code, &[0; 16]));
    program.entry = Some(program.define("start", code, 0, 16));
    (program, code)
}

fn sections(target: Target, count: usize) -> Program<'static> {
    let (mut program, _) = program(target);
    for n in 0..count {
        let kind = [SectionKind::ReadOnly, SectionKind::Data, SectionKind::Code][n % 3];
        program.add_section(Section::new(format!("s{n}"), kind, &[1; 8]));
    }
    program
}

fn symbols(target: Target, count: usize, binding: Binding) -> Program<'static> {
    let (mut program, code) = program(target);
    for n in 0..count {
        let definition = Definition::Section { section: code, offset: n as u64 % 16 };
        let mut symbol = Symbol::new(format!("a_symbol_{n}"), definition);
        symbol.binding = binding;
        program.add_symbol(symbol);
    }
    program
}

fn references(target: Target, count: usize) -> Program<'static> {
    let (mut program, _) = program(target);
    for _ in 0..count {
        program.add_symbol(Symbol::new("start", Definition::Undefined));
    }
    program
}

fn commons(target: Target, count: usize) -> Program<'static> {
    let (mut program, _) = program(target);
    let definition = Definition::Common { size: Size(8), align: Align::of(8) };
    for n in 0..count {
        program.add_symbol(Symbol::new(format!("c{n}"), definition));
    }
    program
}

/// Distances from one section of constants to the entry.
fn distances(target: Target, offsets: impl Iterator<Item = u64>, count: usize) -> Program<'static> {
    let (mut program, _) = program(target);
    let start = program.reference("start");
    let table = Section::new("table", SectionKind::ReadOnly, vec![0; count * 8]);
    let table = program.add_section(table);
    let kind = arch::of(target.architecture).kind("rel64").expect("both have one");
    for offset in offsets {
        program.relocate(table, offset, kind, start, 0);
    }
    program
}

fn relocations(target: Target, count: usize) -> Program<'static> {
    distances(target, (0..count as u64).map(|n| n * 8), count)
}

fn relocations_descending(target: Target, count: usize) -> Program<'static> {
    distances(target, (0..count as u64).rev().map(|n| n * 8), count)
}

fn pointers(target: Target, count: usize) -> Program<'static> {
    let (mut program, _) = program(target);
    let kind = arch::of(target.architecture).pointer();
    for n in 0..count {
        let data = program.add_section(Section::new("data", SectionKind::Data, &[0; 8]));
        let symbol = program.define(format!("data_{n}"), data, 0, 8);
        program.relocate(data, 0, kind, symbol, 0);
    }
    program
}

fn table_of_pointers(target: Target, count: usize, section_kind: SectionKind) -> Program<'static> {
    let (mut program, _) = program(target);
    let kind = arch::of(target.architecture).pointer();
    let start = program.reference("start");
    let data = program.add_section(Section::new("table", section_kind, vec![0; count * 8]));
    for n in 0..count as u64 {
        program.relocate(data, n * 8, kind, start, 0);
    }
    program
}

fn pointers_of_one_section(target: Target, count: usize) -> Program<'static> {
    table_of_pointers(target, count, SectionKind::Data)
}

fn constant_pointers(target: Target, count: usize) -> Program<'static> {
    table_of_pointers(target, count, SectionKind::ReadOnly)
}

/// Puts a call of each of `symbols` into the program.
fn call(program: &mut Program<'static>, symbols: &[minild::program::SymbolId]) {
    let arch = arch::of(program.target.architecture);
    let kind = arch.kind("call32").or_else(|| arch.kind("call26")).expect("one of both");
    let bytes = [0, 0, 0, 0x94].repeat(symbols.len());
    let code = program.add_section(Section::new("calls", SectionKind::Code, bytes));
    for (offset, symbol) in (0..).step_by(4).zip(symbols) {
        program.relocate(code, offset, kind, *symbol, 0);
    }
}

fn slots(target: Target, count: usize) -> Program<'static> {
    let (mut program, code) = program(target);
    let arch = arch::of(target.architecture);
    let kind = arch.kind("got32").or_else(|| arch.kind("gotpage21")).expect("one of both");
    let bytes = [0, 0, 0, 0x90].repeat(count);
    let loads = program.add_section(Section::new("loads", SectionKind::Code, bytes));
    for n in 0..count {
        let symbol = program.define(format!("f{n}"), code, n as u64 % 16, 0);
        program.relocate(loads, n as u64 * 4, kind, symbol, 0);
    }
    program
}

fn imports(target: Target, count: usize) -> Program<'static> {
    let (mut program, _) = program(target);
    let library = program.library("a-library");
    let names = (0..count).map(|n| format!("an_import_{n}"));
    let symbols: Vec<_> =
        names.map(|name| program.import(name.clone(), Import::by_name(library, name))).collect();
    call(&mut program, &symbols);
    program
}

fn libraries(target: Target, count: usize) -> Program<'static> {
    let (mut program, _) = program(target);
    let symbols: Vec<_> = (0..count)
        .map(|n| {
            let library = program.library(format!("library_{n}"));
            let name = format!("an_import_{n}");
            program.import(name.clone(), Import::by_name(library, name))
        })
        .collect();
    call(&mut program, &symbols);
    program
}

fn exports(target: Target, count: usize) -> Program<'static> {
    let (mut program, code) = program(target);
    for n in 0..count {
        let name = format!("an_export_{n}");
        let symbol = program.define(name.clone(), code, n as u64 % 16, 0);
        program.exports.push(Export::by_name(name, symbol));
    }
    program
}

fn initialisers(target: Target, count: usize) -> Program<'static> {
    let (mut program, code) = program(target);
    for n in 0..count {
        let symbol = program.define(format!("init_{n}"), code, n as u64 % 16, 0);
        program.init.push(symbol);
    }
    program
}

fn thread_locals(target: Target, count: usize) -> Program<'static> {
    let (mut program, _) = program(target);
    for n in 0..count {
        let data = program.add_section(Section::new("tls", SectionKind::TlsData, &[0; 8]));
        program.define(format!("variable_{n}"), data, 0, 8);
    }
    program
}

/// Sections that lie in a file, of 16 bytes each.
fn files(target: Target, count: usize) -> Program<'static> {
    let (mut program, _) = program(target);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    for _ in 0..count {
        let contents = minild::program::Contents::File { path: path.clone(), offset: 0, len: 16 };
        let mut section = Section::new("file", SectionKind::ReadOnly, &[]);
        section.contents = contents;
        program.add_section(section);
    }
    program
}

/// A spec for one target, with more in it.
fn spec_of(more: &str) -> String {
    let code = if more.contains("[code.") { "" } else { "[code.start]\nhex = 'start: 90'\n" };
    let (keys, tables) = match more.find("\n[").filter(|_| !more.starts_with('[')) {
        Some(at) => more.split_at(at + 1),
        None if more.starts_with('[') => ("", more),
        None => (more, ""),
    };
    format!("entry = 'start'\ntargets = ['x86_64-linux']\n{keys}{code}{tables}")
}

fn each(count: usize, mut add: impl FnMut(&mut String, usize) -> std::fmt::Result) -> String {
    let mut text = String::new();
    for n in 0..count {
        add(&mut text, n).expect("a string takes it");
    }
    text
}

fn in_asm(count: usize, add: impl FnMut(&mut String, usize) -> std::fmt::Result) -> String {
    format!("[code.start]\nasm = '''\nstart:\n{}'''\n", each(count, add))
}

fn in_hex(count: usize, add: impl FnMut(&mut String, usize) -> std::fmt::Result) -> String {
    format!("[code.start]\nhex = '''\nstart:\n{}'''\n", each(count, add))
}
