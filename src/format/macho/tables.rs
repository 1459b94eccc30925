//! What is known of a Mach-O file before any address is: its load commands, the numbers of its sections
//! and libraries.

use object::macho;
use object::write::macho::Encoder;
use object::{Endianness, LittleEndian, U32};

use super::commands::{Command, size_of_command};
use super::plan::{LINKEDIT, has_chained_fixups, is_dynamic, oldest_system, run_path, version};
use crate::format::layout::{Gathered, GatheredSegment, KeptImport};
use crate::format::plan::Role;
use crate::format::{Options, Shape};
use crate::program::{Binding, LibraryId, OutputKind, Program};
use crate::target::Architecture;
use crate::units::{Align, Size};

/// The library that every program has to name (dyld: "program does not link with libSystem").
pub(super) const LIB_SYSTEM: &str = "/usr/lib/libSystem.B.dylib";

/// A library that the file names.
#[derive(Clone, Debug)]
pub(super) struct NamedLibrary {
    /// Its path.
    pub(super) path: String,
    /// Whether the program runs without it: then all that is taken from it is weak.
    pub(super) weak: bool,
}

/// What is known before addresses are.
pub struct Tables {
    pub(super) commands: Vec<Command>,
    pub(super) libraries: Vec<NamedLibrary>,
    /// The folders in which dyld looks for libraries.
    pub(super) run_path: Vec<String>,
    /// For each library of the program its ordinal, from 1, if it is kept.
    ordinals: Vec<Option<u8>>,
    /// For each output section of the gathered program its number in the file, from 1.
    pub(super) section_numbers: Vec<Option<u8>>,
    pub(super) has_chains: bool,
    pub(super) strip: bool,
    headers_size: u64,
}

impl Tables {
    /// The number by which an import names its library.
    ///
    /// # Panics
    /// Never for a kept import: its library is kept.
    pub(super) fn ordinal(&self, program: &Program<'_>, kept: &KeptImport) -> u8 {
        let library = program.imports()[kept.import.index()].library;
        self.ordinals[library.index()].expect("the library of a kept import is kept")
    }

    pub(super) fn headers_shape(&self) -> Shape {
        Shape { size: Size(self.headers_size), align: Align::WORD }
    }
}

/// What every Mach-O file here is encoded with.
pub(super) fn encoder() -> Encoder<Endianness> {
    Encoder::new(Endianness::Little, true)
}

/// The path by which programs find the library again.
pub(super) fn library_name(program: &Program<'_>) -> String {
    match &program.library_name {
        Some(name) => name.to_string(),
        None => format!("@rpath/{}.dylib", program.name),
    }
}

/// A count as the format's fields hold it.
///
/// # Panics
/// Never for what comes from a program: its parts are numbered in 32 bits.
pub(super) fn count(items: usize) -> u32 {
    u32::try_from(items).expect("sections and symbols are numbered in 32 bits")
}

/// A little-endian number.
pub(super) fn le32(number: u32) -> U32<LittleEndian> {
    U32::new(LittleEndian, number)
}

pub(super) fn size(gathered: &Gathered<'_>, options: &Options) -> Tables {
    let program = gathered.program;
    let (libraries, ordinals) = libraries(gathered);
    let mut number = 0;
    let section_numbers = gathered
        .sections()
        .map(|section| {
            let has_header = !matches!(section.role, Role::Table(_));
            number += u8::from(has_header);
            has_header.then_some(number)
        })
        .collect();
    let run_path: Vec<_> = run_path(program).map(str::to_owned).collect();
    let mut tables = Tables {
        commands: commands(gathered, libraries.len(), run_path.len()),
        libraries,
        run_path,
        ordinals,
        section_numbers,
        has_chains: has_chained_fixups(program),
        strip: options.strip,
        headers_size: 0,
    };
    let commands =
        tables.commands.iter().map(|command| size_of_command(*command, &tables, gathered));
    tables.headers_size = encoder().mach_header_size() + commands.sum::<u64>();
    tables
}

/// The libraries that something is kept of, in the program's order, and libSystem.
fn libraries(gathered: &Gathered<'_>) -> (Vec<NamedLibrary>, Vec<Option<u8>>) {
    let program = gathered.program;
    let mut named = Vec::new();
    let mut ordinals = vec![None; program.libraries().len()];
    if !is_dynamic(program) {
        return (named, ordinals);
    }
    for (index, library) in program.libraries().iter().enumerate() {
        let of_library = |kept: &&KeptImport| {
            program.imports()[kept.import.index()].library == LibraryId::new(index)
        };
        let mut kept = gathered.imports.iter().filter(of_library).peekable();
        if kept.peek().is_none() {
            continue;
        }
        let weak = kept.all(|kept| program.symbol(kept.symbol).binding == Binding::Weak)
            && library.name != LIB_SYSTEM;
        named.push(NamedLibrary { path: library.name.to_string(), weak });
        ordinals[index] = u8::try_from(named.len()).ok();
    }
    if named.iter().all(|library| library.path != LIB_SYSTEM) {
        named.push(NamedLibrary { path: LIB_SYSTEM.to_owned(), weak: false });
    }
    (named, ordinals)
}

/// Which load commands there are, in the order that Apple's linker writes them.
fn commands(gathered: &Gathered<'_>, libraries: usize, run_path: usize) -> Vec<Command> {
    let program = gathered.program;
    let is_library = program.kind == OutputKind::SharedLibrary;
    let mut commands = Vec::new();
    if !is_library {
        commands.push(Command::PageZero);
    }
    let segments = gathered.segments.iter().enumerate().filter(|(_, segment)| is_present(segment));
    commands.extend(segments.map(|(index, _)| Command::Segment(index)));
    if has_chained_fixups(program) {
        commands.extend([Command::ChainedFixups, Command::ExportsTrie]);
    } else if is_dynamic(program) {
        commands.push(Command::DyldInfo);
    }
    commands.extend([Command::SymbolTable, Command::DynamicSymbolTable]);
    if is_library {
        commands.push(Command::LibraryName);
    } else if is_dynamic(program) {
        commands.push(Command::Dylinker);
    }
    commands.push(Command::Uuid);
    // `Policy::useBuildVersionLoadCommand`
    let knows_build_version = program.target.architecture == Architecture::Aarch64
        || oldest_system(program) >= version(10, 14);
    commands.push(if knows_build_version { Command::BuildVersion } else { Command::VersionMin });
    commands.push(Command::SourceVersion);
    match program.kind {
        OutputKind::SharedLibrary => {}
        OutputKind::Executable if is_dynamic(program) => commands.push(Command::Main),
        OutputKind::Executable => commands.push(Command::UnixThread),
    }
    commands.extend((0..libraries).map(Command::Library));
    commands.extend((0..run_path).map(Command::RunPath));
    commands.extend([Command::FunctionStarts, Command::CodeSignature]);
    commands
}

/// Whether a segment is in the file: the first always is, since it holds the headers, and so is the last.
fn is_present(segment: &GatheredSegment) -> bool {
    segment.row.name == LINKEDIT || !segment.sections.is_empty()
}

/// The 16 bytes of a name of a segment or section.
///
/// # Panics
/// When the name is longer: the plan has none.
pub(super) fn name_16(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    bytes
}

/// The sections of a segment that the file has headers for: its tables have none.
pub(super) fn with_headers(segment: &GatheredSegment) -> u32 {
    let sections = segment.sections.iter();
    count(sections.filter(|section| !matches!(section.role, Role::Table(_))).count())
}

/// The processor that a file is for; every model of it.
pub(super) fn cpu(architecture: Architecture) -> (macho::CpuType, macho::CpuSubtype) {
    match architecture {
        Architecture::X86_64 => (macho::CPU_TYPE_X86_64, macho::CPU_SUBTYPE_X86_64_ALL.into()),
        Architecture::Aarch64 => (macho::CPU_TYPE_ARM64, macho::CPU_SUBTYPE_ARM64_ALL.into()),
    }
}
