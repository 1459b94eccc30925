//! The bytes of an image's own tables, top to bottom as in the file.

use object::pe;
use object::{LittleEndian as LE, U16, U32, U64, pod};

use super::plan::{
    BASE_RELOCATIONS, DEBUG_DIRECTORY, EXPORTS, FILE_ALIGN, HEADERS, HEADERS_SEGMENT,
    IMPORT_DIRECTORY, IMPORT_LOOKUP, IMPORT_NAMES, SYMBOLS, is_movable, subsystem,
};
use super::tables::{DEFAULT_COMMIT, DEFAULT_RESERVE, IDENTITY_SIZE};
use super::{Pe, imports};
use crate::format::Linked;
use crate::format::layout::{LaidOutSection, Layout, Segment};
use crate::format::plan::{Permissions, Role, TableId};
use crate::program::{OutputKind, SectionKind, Subsystem};
use crate::target::{Architecture, OperatingSystem};
use crate::units::Size;

/// The bytes of one table.
pub(super) fn table(linked: &Linked<'_, Pe>, table: TableId) -> Vec<u8> {
    match table {
        HEADERS => headers(linked),
        IMPORT_DIRECTORY => imports::directory(linked),
        IMPORT_LOOKUP => imports::lookup_tables(linked),
        IMPORT_NAMES => linked.tables.imports.names().to_vec(),
        EXPORTS => {
            linked.tables.exports.as_ref().map(|exports| exports.bytes(linked)).unwrap_or_default()
        }
        DEBUG_DIRECTORY => debug_directory(linked.layout),
        BASE_RELOCATIONS => linked.late.base_relocations.bytes().to_vec(),
        SYMBOLS => linked.late.symbols.bytes().to_vec(),
        _ => unreachable!("the plan names no other table"),
    }
}

/// A number as the format's fields hold it.
///
/// # Panics
/// Never for sizes, RVAs and file offsets of an image: the layout keeps them below 2 GiB.
pub(super) fn number(number: u64) -> u32 {
    u32::try_from(number).expect("an image has less than 2 GiB")
}

/// An offset in a page.
///
/// # Panics
/// Never for an offset in a page of 4 KiB.
pub(super) fn half(number: u64) -> u16 {
    u16::try_from(number).expect("an offset in a page has 12 bits")
}

/// Where an output section lies from the image base; 0 for one that the image does not have.
pub(super) fn rva_of(layout: &Layout, role: Role) -> u32 {
    layout.section(role).map_or(0, |section| rva(layout, section))
}

fn rva(layout: &Layout, section: &LaidOutSection) -> u32 {
    number(section.address.0 - layout.image_base.0)
}

/// What the format calls sections: what is mapped, but for the headers.
pub(super) fn sections(layout: &Layout) -> impl Iterator<Item = &Segment> {
    let mapped = layout.segments.iter().filter(|segment| segment.mapped);
    mapped.filter(|segment| segment.name != HEADERS_SEGMENT && segment.size > Size::ZERO)
}

fn headers(linked: &Linked<'_, Pe>) -> Vec<u8> {
    let dos = pe::ImageDosHeader {
        e_magic: U16::new(LE, pe::IMAGE_DOS_SIGNATURE),
        e_lfanew: U32::new(LE, number(size_of::<pe::ImageDosHeader>() as u64)),
        ..zeroed()
    };
    let nt = pe::ImageNtHeaders64 {
        signature: U32::new(LE, pe::IMAGE_NT_SIGNATURE),
        file_header: file_header(linked),
        optional_header: optional_header(linked),
    };
    let mut bytes = pod::bytes_of(&dos).to_vec();
    bytes.extend_from_slice(pod::bytes_of(&nt));
    for directory in directories(linked.layout) {
        bytes.extend_from_slice(pod::bytes_of(&directory));
    }
    for segment in sections(linked.layout) {
        bytes.extend_from_slice(pod::bytes_of(&section_header(linked.layout, segment)));
    }
    bytes
}

/// A structure of zeros: every field of these is a number for which zero means that nothing is said.
fn zeroed<T: pod::Pod + Copy>() -> T {
    let zeros = vec![0; size_of::<T>()];
    *pod::from_bytes::<T>(&zeros).expect("as many bytes as the structure has, and no alignment").0
}

fn file_header(linked: &Linked<'_, Pe>) -> pe::ImageFileHeader {
    let program = linked.gathered.program;
    let mut characteristics = pe::IMAGE_FILE_EXECUTABLE_IMAGE | pe::IMAGE_FILE_LARGE_ADDRESS_AWARE;
    if !is_movable(program) {
        characteristics |= pe::IMAGE_FILE_RELOCS_STRIPPED;
    }
    if program.kind == OutputKind::SharedLibrary {
        characteristics |= pe::IMAGE_FILE_DLL;
    }
    let optional_header = size_of::<pe::ImageOptionalHeader64>()
        + pe::IMAGE_NUMBEROF_DIRECTORY_ENTRIES * size_of::<pe::ImageDataDirectory>();
    let machine = match program.target.architecture {
        Architecture::X86_64 => pe::IMAGE_FILE_MACHINE_AMD64,
        Architecture::Aarch64 => pe::IMAGE_FILE_MACHINE_ARM64,
    };
    let symbols = linked.layout.section(Role::Table(SYMBOLS));
    pe::ImageFileHeader {
        machine: U16::new(LE, machine),
        number_of_sections: U16::new(LE, half(linked.tables.section_count() as u64)),
        time_date_stamp: U32::new(LE, 0), // sealing puts the content's in
        pointer_to_symbol_table: U32::new(LE, symbols.map_or(0, |table| number(table.offset.0))),
        number_of_symbols: U32::new(LE, linked.late.symbols.count),
        size_of_optional_header: U16::new(LE, half(optional_header as u64)),
        characteristics: U16::new(LE, characteristics),
    }
}

fn optional_header(linked: &Linked<'_, Pe>) -> pe::ImageOptionalHeader64 {
    let layout = linked.layout;
    let program = linked.gathered.program;
    let sum = |wanted: fn(&Segment) -> bool, size: fn(&Segment) -> Size| {
        number(
            sections(layout).filter(|segment| wanted(segment)).map(|segment| size(segment).0).sum(),
        )
    };
    let is_code = |segment: &Segment| segment.permissions.execute;
    let is_data = |segment: &Segment| !segment.permissions.execute;
    let zeros = |segment: &Segment| {
        let zeros = segment.sections.iter().filter(|section| section.file_size == Size::ZERO);
        Size(zeros.map(|section| section.size.0).sum())
    };
    let code = sections(layout).find(|segment| is_code(segment));
    // The first versions that run on the architecture; older ones refuse a newer subsystem version.
    let (major, minor) = match program.target.architecture {
        Architecture::X86_64 => (6, 0),
        Architecture::Aarch64 => (6, 2),
    };
    let headers = layout.section(Role::Table(HEADERS)).map_or(Size::ZERO, |headers| headers.size);
    let size_of_headers = headers.0.next_multiple_of(FILE_ALIGN.get());
    let size_of_image = layout.memory_size().0.next_multiple_of(layout.page_size.get());
    let wishes = &program.wishes;
    pe::ImageOptionalHeader64 {
        magic: U16::new(LE, pe::IMAGE_NT_OPTIONAL_HDR64_MAGIC),
        major_linker_version: 0,
        minor_linker_version: 0,
        size_of_code: U32::new(LE, sum(is_code, |segment| segment.file_size)),
        size_of_initialized_data: U32::new(LE, sum(is_data, |segment| segment.file_size)),
        size_of_uninitialized_data: U32::new(LE, sum(is_data, zeros)),
        address_of_entry_point: U32::new(LE, entry(layout)),
        base_of_code: U32::new(
            LE,
            code.map_or(0, |segment| number(segment.address.0 - layout.image_base.0)),
        ),
        image_base: U64::new(LE, layout.image_base.0),
        section_alignment: U32::new(LE, number(layout.page_size.get())),
        file_alignment: U32::new(LE, number(FILE_ALIGN.get())),
        major_operating_system_version: U16::new(LE, major),
        minor_operating_system_version: U16::new(LE, minor),
        major_image_version: U16::new(LE, 0),
        minor_image_version: U16::new(LE, 0),
        major_subsystem_version: U16::new(LE, major),
        minor_subsystem_version: U16::new(LE, minor),
        win32_version_value: U32::new(LE, 0),
        size_of_image: U32::new(LE, number(size_of_image)),
        size_of_headers: U32::new(LE, number(size_of_headers)),
        check_sum: U32::new(LE, 0), // sealing puts it in
        subsystem: U16::new(LE, subsystem_number(subsystem(program))),
        dll_characteristics: U16::new(LE, dll_characteristics(linked)),
        size_of_stack_reserve: U64::new(LE, wishes.stack.size.unwrap_or(DEFAULT_RESERVE).0),
        size_of_stack_commit: U64::new(LE, wishes.stack.commit.unwrap_or(DEFAULT_COMMIT).0),
        size_of_heap_reserve: U64::new(LE, wishes.heap.size.unwrap_or(DEFAULT_RESERVE).0),
        size_of_heap_commit: U64::new(LE, wishes.heap.commit.unwrap_or(DEFAULT_COMMIT).0),
        loader_flags: U32::new(LE, 0),
        number_of_rva_and_sizes: U32::new(LE, number(pe::IMAGE_NUMBEROF_DIRECTORY_ENTRIES as u64)),
    }
}

/// Where the image starts, from its base; 0 says nowhere.
fn entry(layout: &Layout) -> u32 {
    layout.entry.map_or(0, |entry| number(entry.0 - layout.image_base.0))
}

fn subsystem_number(subsystem: Subsystem) -> pe::Subsystem {
    match subsystem {
        Subsystem::Console => pe::IMAGE_SUBSYSTEM_WINDOWS_CUI,
        Subsystem::Graphical => pe::IMAGE_SUBSYSTEM_WINDOWS_GUI,
        Subsystem::EfiApplication => pe::IMAGE_SUBSYSTEM_EFI_APPLICATION,
        Subsystem::EfiBootServiceDriver => pe::IMAGE_SUBSYSTEM_EFI_BOOT_SERVICE_DRIVER,
        Subsystem::EfiRuntimeDriver => pe::IMAGE_SUBSYSTEM_EFI_RUNTIME_DRIVER,
    }
}

fn dll_characteristics(linked: &Linked<'_, Pe>) -> pe::DllFlags {
    let program = linked.gathered.program;
    let mut flags = pe::IMAGE_DLLCHARACTERISTICS_NX_COMPAT;
    if is_movable(program) {
        flags |= pe::IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE;
        flags |= pe::IMAGE_DLLCHARACTERISTICS_HIGH_ENTROPY_VA;
    }
    if program.target.operating_system == OperatingSystem::Windows {
        flags |= pe::IMAGE_DLLCHARACTERISTICS_TERMINAL_SERVER_AWARE;
    }
    flags
}

/// Where the loader finds the tables that it reads.
fn directories(layout: &Layout) -> Vec<pe::ImageDataDirectory> {
    let mut directories =
        vec![zeroed::<pe::ImageDataDirectory>(); pe::IMAGE_NUMBEROF_DIRECTORY_ENTRIES];
    for (entry, role) in [
        (pe::IMAGE_DIRECTORY_ENTRY_EXPORT, Role::Table(EXPORTS)),
        (pe::IMAGE_DIRECTORY_ENTRY_IMPORT, Role::Table(IMPORT_DIRECTORY)),
        (pe::IMAGE_DIRECTORY_ENTRY_EXCEPTION, Role::Kind(SectionKind::Unwind)),
        (pe::IMAGE_DIRECTORY_ENTRY_BASERELOC, Role::Table(BASE_RELOCATIONS)),
        (pe::IMAGE_DIRECTORY_ENTRY_DEBUG, Role::Table(DEBUG_DIRECTORY)),
        (pe::IMAGE_DIRECTORY_ENTRY_TLS, Role::TlsDirectory),
        (pe::IMAGE_DIRECTORY_ENTRY_IAT, Role::ImportSlots),
    ] {
        let Some(section) = layout.section(role) else { continue };
        // A directory's size counts its entries; what they point to lies behind them.
        let size = match role {
            Role::Table(DEBUG_DIRECTORY) => size_of::<pe::ImageDebugDirectory>() as u64,
            Role::TlsDirectory => size_of::<pe::ImageTlsDirectory64>() as u64,
            _ => section.size.0,
        };
        directories[entry] = pe::ImageDataDirectory {
            virtual_address: U32::new(LE, rva(layout, section)),
            size: U32::new(LE, number(size)),
        };
    }
    directories
}

fn section_header(layout: &Layout, segment: &Segment) -> pe::ImageSectionHeader {
    let has_bytes = segment.file_size > Size::ZERO;
    let mut name = [0; pe::IMAGE_SIZEOF_SHORT_NAME];
    name[..segment.name.len()].copy_from_slice(segment.name.as_bytes());
    pe::ImageSectionHeader {
        name,
        virtual_size: U32::new(LE, number(segment.size.0)),
        virtual_address: U32::new(LE, number(segment.address.0 - layout.image_base.0)),
        size_of_raw_data: U32::new(LE, number(segment.file_size.0)),
        pointer_to_raw_data: U32::new(LE, if has_bytes { number(segment.offset.0) } else { 0 }),
        characteristics: U32::new(LE, section_flags(segment, has_bytes)),
        ..zeroed()
    }
}

/// Firmware goes by what a section contains, Windows by what may be done with it.
fn section_flags(segment: &Segment, has_bytes: bool) -> pe::SectionFlags {
    let Permissions { read, write, execute } = segment.permissions;
    let mut flags = match (execute, has_bytes) {
        (true, _) => pe::IMAGE_SCN_CNT_CODE,
        (false, true) => pe::IMAGE_SCN_CNT_INITIALIZED_DATA,
        (false, false) => pe::IMAGE_SCN_CNT_UNINITIALIZED_DATA,
    };
    let is_discardable =
        segment.sections.iter().any(|section| section.role == Role::Table(BASE_RELOCATIONS));
    for (set, flag) in [
        (read, pe::IMAGE_SCN_MEM_READ),
        (write, pe::IMAGE_SCN_MEM_WRITE),
        (execute, pe::IMAGE_SCN_MEM_EXECUTE),
        (is_discardable, pe::IMAGE_SCN_MEM_DISCARDABLE),
    ] {
        if set {
            flags |= flag;
        }
    }
    flags
}

/// That the build is reproducible, and its identity: zeros until sealing.
fn debug_directory(layout: &Layout) -> Vec<u8> {
    let section = layout.section(Role::Table(DEBUG_DIRECTORY)).expect("every image has this table");
    let entry_size = number(size_of::<pe::ImageDebugDirectory>() as u64);
    let entry = pe::ImageDebugDirectory {
        typ: U32::new(LE, pe::IMAGE_DEBUG_TYPE_REPRO),
        size_of_data: U32::new(LE, number(section.size.0) - entry_size),
        address_of_raw_data: U32::new(LE, rva(layout, section) + entry_size),
        pointer_to_raw_data: U32::new(LE, number(section.offset.0) + entry_size),
        ..zeroed()
    };
    let mut bytes = pod::bytes_of(&entry).to_vec();
    bytes.extend_from_slice(pod::bytes_of(&U32::<LE>::new(LE, number(IDENTITY_SIZE as u64))));
    bytes.extend_from_slice(&[0; IDENTITY_SIZE]);
    bytes
}
