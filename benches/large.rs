//! A large object file, read through `interop` and linked into a file: how long each step takes, and how much memory the
//! whole needs. `benches/large.sh` makes the object file, and links it with other linkers too.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use minild::interop::object::object::{
    self, Object, ObjectSection, ObjectSymbol, RelocationTarget, SymbolSection,
};
use minild::interop::object::read_relocation;
use minild::program::{
    Binding, Definition, Program, Section, SectionId, SectionKind, Symbol, SymbolId,
};
use minild::{Align, Architecture, Options, Size, Target};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let [input, output] = &arguments[..] else {
        println!("left out: benches/large.sh says which object file is linked, and where to");
        return Ok(());
    };
    let mut last = Instant::now();
    let mut step = |name: &str| {
        println!("{name:10} {:>6} ms", last.elapsed().as_millis());
        last = Instant::now();
    };
    let bytes = std::fs::read(input)?;
    step("read");
    let program = program(&bytes)?;
    step("convert");
    let mut options = Options::default();
    options.threads = Options::ALL_THREADS;
    minild::link_to(&program, &options, Path::new(output))?;
    step("link");
    #[cfg(target_os = "linux")]
    for line in std::fs::read_to_string("/proc/self/status")?.lines() {
        if let Some(peak) = line.strip_prefix("VmHWM:") {
            println!("peak      {peak}");
        }
    }
    std::process::exit(0); // what is held is not given back piece by piece
}

/// What an ELF object file for Linux holds, its entry `_start`.
fn program(bytes: &[u8]) -> Result<Program<'_>, Box<dyn Error>> {
    let file = object::File::parse(bytes)?;
    let architecture = Architecture::try_from(file.architecture())?;
    let mut program = Program::new(match architecture {
        Architecture::Aarch64 => Target::AARCH64_LINUX,
        _ => Target::X86_64_LINUX,
    });

    let mut sections: Vec<Option<SectionId>> = Vec::new();
    for section in file.sections() {
        let Ok(kind) = SectionKind::try_from(section.kind()) else { continue };
        let mut own = if kind.is_zeros() {
            Section::bss(section.name()?, Size(section.size()))
        } else {
            Section::new(section.name()?, kind, section.data()?)
        };
        own.align = Align::new(section.align()).ok_or("an alignment that is none")?;
        let index = section.index().0;
        sections.resize(sections.len().max(index + 1), None);
        sections[index] = Some(program.add_section(own));
    }

    let mut symbols: Vec<Option<SymbolId>> = Vec::new();
    for symbol in file.symbols() {
        let definition = match symbol.section() {
            SymbolSection::Undefined => Definition::Undefined,
            SymbolSection::Absolute => Definition::Absolute(symbol.address()),
            SymbolSection::Section(index) => match sections.get(index.0).copied().flatten() {
                Some(section) => Definition::Section { section, offset: symbol.address() },
                None => continue,
            },
            _ => continue,
        };
        let mut own = Symbol::new(symbol.name()?, definition);
        own.binding = if symbol.is_local() {
            Binding::Local
        } else if symbol.is_weak() {
            Binding::Weak
        } else {
            Binding::Global
        };
        own.size = symbol.size();
        let index = symbol.index().0;
        symbols.resize(symbols.len().max(index + 1), None);
        symbols[index] = Some(program.add_symbol(own));
    }

    for section in file.sections() {
        let Some(id) = sections.get(section.index().0).copied().flatten() else { continue };
        let data = section.data()?;
        for (offset, relocation) in section.relocations() {
            let RelocationTarget::Symbol(symbol) = relocation.target() else { continue };
            let symbol = symbols.get(symbol.0).copied().flatten();
            let symbol = symbol.ok_or("a relocation to what is not linked")?;
            let field = data.get(usize::try_from(offset)?..).unwrap_or_default();
            let read = read_relocation(architecture, &relocation, field)?;
            program.relocate(id, offset, read.kind, symbol, read.addend);
        }
    }
    program.entry = program.global("_start");
    Ok(program)
}
