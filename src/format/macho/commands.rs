//! The load commands: how large each is, and its bytes.

use std::mem::offset_of;

use object::macho;
use object::write::macho::{
    BuildVersionCommand, DyldInfoCommand, DylibCommand, DysymtabCommand, SectionHeader,
    SegmentCommand, SymtabCommand,
};
use object::{LittleEndian as LE, U32, U64, pod};

use super::MachO;
use super::plan::{
    BINDS, DATA_CONST, EXPORTS, FIXUPS, FUNCTION_STARTS, INDIRECT_SYMBOLS, LINKEDIT, PAGE, SDK,
    SIGNATURE, STRINGS, SYMBOLS, compatibility_version, current_version, oldest_system,
};
use super::tables::{Tables, encoder, le32, library_name, name_16, with_headers};
use crate::arch;
use crate::format::Linked;
use crate::format::layout::{Gathered, LaidOutSection, Segment};
use crate::format::plan::{Permissions, Role, TableId};
use crate::program::{SectionKind, SystemVersion};
use crate::units::{FileOffset, Size};

/// A load command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Nothing may lie in the first 4 GiB.
    PageZero,
    /// This segment of the gathered program.
    Segment(usize),
    /// Where dyld starts its chains.
    ChainedFixups,
    /// What others can look up.
    ExportsTrie,
    /// Opcodes for dyld, where there are no chains.
    DyldInfo,
    /// Where the symbol table is.
    SymbolTable,
    /// How it is ordered.
    DynamicSymbolTable,
    /// What programs call the library.
    LibraryName,
    /// Who loads the program.
    Dylinker,
    /// What identifies the build.
    Uuid,
    /// Which systems it runs on.
    BuildVersion,
    /// The same, for macOS before 10.14.
    VersionMin,
    /// The version of its source: none.
    SourceVersion,
    /// Where it starts, called by dyld.
    Main,
    /// The registers that it starts with, without dyld.
    UnixThread,
    /// This library.
    Library(usize),
    /// This folder, in which dyld looks for libraries.
    RunPath(usize),
    /// Where its functions start.
    FunctionStarts,
    /// Where its signature is.
    CodeSignature,
}

/// The only program that xnu takes for a dynamic linker (`load_dylinker`).
const DYLINKER: &str = "/usr/lib/dyld";

/// The version that a library is asked for, and the one it is said to have been linked with: none, which
/// every library has. (Linkers give those no other that ask for none, and dyld before macOS 12 refuses a
/// library whose compatibility version is older than the one asked for.)
const ANY_VERSION: macho::Version = macho::Version(0);

/// What dyld's and Apple's linker's library commands carry in place of a time.
const LIBRARY_TIMESTAMP: u32 = 2;
/// The same in a library's own name.
const LIBRARY_ID_TIMESTAMP: u32 = 1;

/// The state of an x86-64 thread (`mach/i386/_structs.h`, `x86_THREAD_STATE64`): flavor 4, 42 words of
/// 32 bits.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct ThreadState {
    before_rip: [u64; 16], // rax … r15
    rip: u64,
    behind_rip: [u64; 4], // rflags, cs, fs, gs
}

const X86_THREAD_STATE64: u32 = 4;

/// Bytes of a load command.
pub(super) fn size_of_command(command: Command, tables: &Tables, gathered: &Gathered<'_>) -> u64 {
    let encoder = encoder();
    let size = match command {
        Command::PageZero => return encoder.segment_command_size(0),
        Command::Segment(index) => {
            return encoder.segment_command_size(with_headers(&gathered.segments[index]));
        }
        Command::ChainedFixups
        | Command::ExportsTrie
        | Command::FunctionStarts
        | Command::CodeSignature => return encoder.linkedit_data_command_size(),
        Command::DyldInfo => return encoder.dyld_info_command_size(),
        Command::SymbolTable => return encoder.symtab_command_size(),
        Command::DynamicSymbolTable => return encoder.dysymtab_command_size(),
        Command::BuildVersion => return encoder.build_version_command_size(0),
        Command::LibraryName => {
            return encoder.dylib_command_size(library_name(gathered.program).len());
        }
        Command::Library(index) => {
            return encoder.dylib_command_size(tables.libraries[index].path.len());
        }
        Command::Dylinker => size_with_text(size_of::<macho::DylinkerCommand<LE>>(), DYLINKER),
        Command::RunPath(index) => {
            size_with_text(size_of::<macho::RpathCommand<LE>>(), &tables.run_path[index])
        }
        Command::Uuid => size_of::<macho::UuidCommand<LE>>(),
        Command::VersionMin => size_of::<macho::VersionMinCommand<LE>>(),
        Command::SourceVersion => size_of::<macho::SourceVersionCommand<LE>>(),
        Command::Main => size_of::<macho::EntryPointCommand<LE>>(),
        Command::UnixThread => {
            size_of::<macho::ThreadCommand<LE>>() + 2 * size_of::<u32>() + size_of::<ThreadState>()
        }
    };
    size as u64
}

/// Where the 16 bytes of the build's identity lie in the file.
pub(super) fn uuid_offset(linked: &Linked<'_, MachO>) -> FileOffset {
    let before = linked.tables.commands.iter().take_while(|command| **command != Command::Uuid);
    let before = before.map(|command| size_of_command(*command, linked.tables, linked.gathered));
    let command = encoder().mach_header_size() + before.sum::<u64>();
    FileOffset(command + offset_of!(macho::UuidCommand<LE>, uuid) as u64)
}

/// Appends a load command.
pub(super) fn encode(command: Command, linked: &Linked<'_, MachO>, bytes: &mut Vec<u8>) {
    let encoder = encoder();
    match command {
        Command::PageZero => page_zero(linked, bytes),
        Command::Segment(index) => segment(linked, index, bytes),
        Command::ChainedFixups => blob(linked, macho::LC_DYLD_CHAINED_FIXUPS, FIXUPS, bytes),
        Command::ExportsTrie => blob(linked, macho::LC_DYLD_EXPORTS_TRIE, EXPORTS, bytes),
        Command::FunctionStarts => {
            blob(linked, macho::LC_FUNCTION_STARTS, FUNCTION_STARTS, bytes);
        }
        Command::CodeSignature => blob(linked, macho::LC_CODE_SIGNATURE, SIGNATURE, bytes),
        Command::DyldInfo => dyld_info(linked, bytes),
        Command::SymbolTable => {
            let (symbols, strings) = (extent(linked, SYMBOLS), extent(linked, STRINGS));
            let command = SymtabCommand {
                symoff: symbols.0,
                nsyms: linked.late.symbols.count(),
                stroff: strings.0,
                strsize: strings.1,
            };
            encoder.symtab_command(bytes, &command);
        }
        Command::DynamicSymbolTable => dynamic_symbol_table(linked, bytes),
        Command::Dylinker => {
            let header = macho::DylinkerCommand {
                cmd: U32::new(LE, macho::LC_LOAD_DYLINKER),
                cmdsize: le32(command_size(command, linked)),
                name: macho::LcStr { offset: le32(size_u32::<macho::DylinkerCommand<LE>>()) },
            };
            push_with_text(pod::bytes_of(&header), DYLINKER, bytes);
        }
        Command::RunPath(index) => {
            let header = macho::RpathCommand {
                cmd: U32::new(LE, macho::LC_RPATH),
                cmdsize: le32(command_size(command, linked)),
                path: macho::LcStr { offset: le32(size_u32::<macho::RpathCommand<LE>>()) },
            };
            push_with_text(pod::bytes_of(&header), &linked.tables.run_path[index], bytes);
        }
        Command::Uuid => {
            let command = macho::UuidCommand {
                cmd: U32::new(LE, macho::LC_UUID),
                cmdsize: le32(size_u32::<macho::UuidCommand<LE>>()),
                uuid: [0; 16], // sealing puts the content's in
            };
            bytes.extend_from_slice(pod::bytes_of(&command));
        }
        Command::BuildVersion => {
            let command = BuildVersionCommand {
                platform: macho::PLATFORM_MACOS,
                minos: packed(oldest_system(linked.gathered.program)),
                sdk: packed(SDK),
                ntools: 0,
            };
            encoder.build_version_command(bytes, &command);
        }
        Command::VersionMin => {
            let command = macho::VersionMinCommand {
                cmd: U32::new(LE, macho::LC_VERSION_MIN_MACOSX),
                cmdsize: le32(size_u32::<macho::VersionMinCommand<LE>>()),
                version: U32::new(LE, packed(oldest_system(linked.gathered.program))),
                sdk: U32::new(LE, packed(SDK)),
            };
            bytes.extend_from_slice(pod::bytes_of(&command));
        }
        Command::SourceVersion => {
            let command = macho::SourceVersionCommand {
                cmd: U32::new(LE, macho::LC_SOURCE_VERSION),
                cmdsize: le32(size_u32::<macho::SourceVersionCommand<LE>>()),
                version: U64::new(LE, 0),
            };
            bytes.extend_from_slice(pod::bytes_of(&command));
        }
        Command::Main => {
            let wished = linked.gathered.program.wishes.stack.size.unwrap_or(Size::ZERO);
            let command = macho::EntryPointCommand {
                cmd: U32::new(LE, macho::LC_MAIN),
                cmdsize: le32(size_u32::<macho::EntryPointCommand<LE>>()),
                entryoff: U64::new(LE, entry(linked) - linked.layout.image_base.0),
                // 0 is the system's own choice.
                stacksize: U64::new(LE, wished.0.next_multiple_of(PAGE.get())),
            };
            bytes.extend_from_slice(pod::bytes_of(&command));
        }
        Command::UnixThread => unix_thread(linked, bytes),
        Command::LibraryName => own_name(linked, bytes),
        Command::Library(index) => library(linked, index, bytes),
    }
}

fn own_name(linked: &Linked<'_, MachO>, bytes: &mut Vec<u8>) {
    let program = linked.gathered.program;
    let name = library_name(program);
    let command = DylibCommand {
        cmd: macho::LC_ID_DYLIB,
        name: name.as_bytes(),
        timestamp: LIBRARY_ID_TIMESTAMP,
        current_version: packed(current_version(program)),
        compatibility_version: packed(compatibility_version(program)),
    };
    encoder().dylib_command(bytes, &command);
}

fn library(linked: &Linked<'_, MachO>, index: usize, bytes: &mut Vec<u8>) {
    let library = &linked.tables.libraries[index];
    let command = DylibCommand {
        cmd: if library.weak { macho::LC_LOAD_WEAK_DYLIB } else { macho::LC_LOAD_DYLIB },
        name: library.path.as_bytes(),
        timestamp: LIBRARY_TIMESTAMP,
        current_version: ANY_VERSION,
        compatibility_version: ANY_VERSION,
    };
    encoder().dylib_command(bytes, &command);
}

fn page_zero(linked: &Linked<'_, MachO>, bytes: &mut Vec<u8>) {
    let page_zero = SegmentCommand {
        segname: name_16("__PAGEZERO"),
        vmaddr: 0,
        vmsize: linked.layout.image_base.0,
        fileoff: 0,
        filesize: 0,
        maxprot: macho::VmProt(0),
        initprot: macho::VmProt(0),
        nsects: 0,
        flags: macho::SegmentFlags(0),
    };
    encoder().segment_command(bytes, &page_zero);
}

/// Bytes of a command that ends with a text, its NUL included, in whole words.
fn size_with_text(header: usize, text: &str) -> usize {
    (header + text.len() + 1).next_multiple_of(8)
}

fn push_with_text(header: &[u8], text: &str, bytes: &mut Vec<u8>) {
    let end = bytes.len() + size_with_text(header.len(), text);
    bytes.extend_from_slice(header);
    bytes.extend_from_slice(text.as_bytes());
    bytes.resize(end, 0);
}

/// Where the program starts.
///
/// # Panics
/// Never: only executables have a command that asks, and they have an entry.
fn entry(linked: &Linked<'_, MachO>) -> u64 {
    linked.layout.entry.expect("an executable has an entry").0
}

fn command_size(command: Command, linked: &Linked<'_, MachO>) -> u32 {
    number(size_of_command(command, linked.tables, linked.gathered))
}

fn size_u32<T>() -> u32 {
    number(size_of::<T>() as u64)
}

/// A number as the format's fields hold it.
///
/// # Panics
/// Never for offsets and sizes in the file: `LinkEdit::new` refuses files of 4 GiB and more.
pub(super) fn number(number: u64) -> u32 {
    u32::try_from(number).expect("a file has less than 4 GiB")
}

/// Version numbers as the format packs them: xxxx.yy.zz.
fn packed(version: SystemVersion) -> macho::Version {
    let SystemVersion { major, minor, patch } = version;
    macho::Version(u32::from(major) << 16 | u32::from(minor) << 8 | u32::from(patch))
}

/// Offset and size of a table in the file; zeros for one that the file does not have.
fn extent(linked: &Linked<'_, MachO>, table: TableId) -> (u32, u32) {
    match linked.layout.section(Role::Table(table)) {
        Some(section) => (number(section.offset.0), number(section.size.0)),
        None => (0, 0),
    }
}

fn blob(
    linked: &Linked<'_, MachO>,
    cmd: macho::LoadCommandType,
    table: TableId,
    bytes: &mut Vec<u8>,
) {
    let (offset, size) = extent(linked, table);
    encoder().linkedit_data_command(bytes, cmd, offset, size);
}

fn dyld_info(linked: &Linked<'_, MachO>, bytes: &mut Vec<u8>) {
    let (rebase_off, rebase_size) = extent(linked, FIXUPS);
    let (bind_off, bind_size) = extent(linked, BINDS);
    let (export_off, export_size) = extent(linked, EXPORTS);
    let command = DyldInfoCommand {
        rebase_off,
        rebase_size,
        bind_off,
        bind_size,
        weak_bind_off: 0,
        weak_bind_size: 0,
        lazy_bind_off: 0,
        lazy_bind_size: 0,
        export_off,
        export_size,
    };
    encoder().dyld_info_command(bytes, macho::LC_DYLD_INFO_ONLY, &command);
}

fn dynamic_symbol_table(linked: &Linked<'_, MachO>, bytes: &mut Vec<u8>) {
    let symbols = &linked.late.symbols;
    let (indirect, size) = extent(linked, INDIRECT_SYMBOLS);
    let command = DysymtabCommand {
        ilocalsym: 0,
        nlocalsym: symbols.locals,
        iextdefsym: symbols.locals,
        nextdefsym: symbols.defined,
        iundefsym: symbols.locals + symbols.defined,
        nundefsym: symbols.undefined,
        indirectsymoff: indirect,
        nindirectsyms: size / number(encoder().indirect_symbol_size()),
        ..DysymtabCommand::default()
    };
    encoder().dysymtab_command(bytes, &command);
}

fn unix_thread(linked: &Linked<'_, MachO>, bytes: &mut Vec<u8>) {
    let state = ThreadState { rip: entry(linked), ..ThreadState::default() };
    let header = macho::ThreadCommand {
        cmd: U32::new(LE, macho::LC_UNIXTHREAD),
        cmdsize: le32(command_size(Command::UnixThread, linked)),
    };
    bytes.extend_from_slice(pod::bytes_of(&header));
    bytes.extend_from_slice(&X86_THREAD_STATE64.to_le_bytes());
    let words = size_u32::<ThreadState>() / size_u32::<u32>();
    bytes.extend_from_slice(&words.to_le_bytes());
    let registers = state.before_rip.into_iter().chain([state.rip]).chain(state.behind_rip);
    bytes.extend(registers.flat_map(u64::to_le_bytes));
}

fn segment(linked: &Linked<'_, MachO>, index: usize, bytes: &mut Vec<u8>) {
    let row = linked.gathered.segments[index].row;
    let segment = linked.layout.segments.iter().find(|segment| segment.name == row.name);
    let segment = segment.expect("a segment with a command is laid out");
    let headers: Vec<_> =
        segment.sections.iter().filter(|section| !matches!(section.role, Role::Table(_))).collect();
    let command = SegmentCommand {
        segname: name_16(segment.name),
        vmaddr: segment.address.0,
        vmsize: segment.size.0.next_multiple_of(PAGE.get()),
        fileoff: segment.offset.0,
        filesize: segment.file_size.0,
        maxprot: protection(segment.permissions),
        initprot: protection(segment.permissions),
        nsects: super::tables::count(headers.len()),
        flags: macho::SegmentFlags(match segment.name {
            DATA_CONST => macho::SG_READ_ONLY.0,
            _ => 0,
        }),
    };
    debug_assert!(segment.name != LINKEDIT || headers.is_empty());
    encoder().segment_command(bytes, &command);
    for section in headers {
        encoder().section_header(bytes, &section_header(linked, segment, section));
    }
}

fn protection(permissions: Permissions) -> macho::VmProt {
    let mut protection = macho::VmProt(0);
    for (allowed, flag) in [
        (permissions.read, macho::VM_PROT_READ),
        (permissions.write, macho::VM_PROT_WRITE),
        (permissions.execute, macho::VM_PROT_EXECUTE),
    ] {
        if allowed {
            protection |= flag;
        }
    }
    protection
}

fn section_header(
    linked: &Linked<'_, MachO>,
    segment: &Segment,
    section: &LaidOutSection,
) -> SectionHeader {
    let code = macho::S_ATTR_PURE_INSTRUCTIONS | macho::S_ATTR_SOME_INSTRUCTIONS;
    let regular = macho::SectionFlags::from(macho::S_REGULAR);
    let (flags, reserved1, reserved2) = match section.role {
        Role::Kind(SectionKind::Code) => (regular | code, 0, 0),
        Role::Kind(SectionKind::Bss) => (macho::S_ZEROFILL.into(), 0, 0),
        Role::Variables => (macho::S_THREAD_LOCAL_VARIABLES.into(), 0, 0),
        Role::Kind(SectionKind::TlsData) => (macho::S_THREAD_LOCAL_REGULAR.into(), 0, 0),
        Role::Kind(SectionKind::TlsBss) => (macho::S_THREAD_LOCAL_ZEROFILL.into(), 0, 0),
        // Both say where their part of the indirect symbols starts; stubs also how large each is.
        Role::Stubs => {
            let stub = arch::of(linked.layout.target.architecture).stub().code.len() as u64;
            let flags = macho::SectionFlags::from(macho::S_SYMBOL_STUBS) | code;
            (flags, linked.late.indirect_stubs, number(stub))
        }
        Role::InitOffsets => (macho::S_INIT_FUNC_OFFSETS.into(), 0, 0),
        Role::Kind(SectionKind::Init) => (macho::S_MOD_INIT_FUNC_POINTERS.into(), 0, 0),
        Role::Slots => (macho::S_NON_LAZY_SYMBOL_POINTERS.into(), linked.late.indirect_slots, 0),
        _ => (regular, 0, 0),
    };
    let is_zeros = matches!(section.role, Role::Kind(kind) if kind.is_zeros());
    SectionHeader {
        sectname: name_16(&section.name),
        segname: name_16(segment.name),
        addr: section.address.0,
        size: section.size.0,
        offset: if is_zeros { 0 } else { number(section.offset.0) },
        align: section.align.log2(),
        reloff: 0,
        nreloc: 0,
        flags,
        reserved1,
        reserved2,
        reserved3: 0,
    }
}
