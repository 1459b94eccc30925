//! The headers, the data directories and the load configuration, field by field.

use object::LittleEndian as LE;
use object::pe::{GuardFlags, ImageFileHeader};
use object::read::pe::RichHeaderInfo;

use super::super::super::reader::pe::{LoadConfig, Pe, checksum};
use super::super::model::{Found, Record, Value};
use super::super::words::{constant, flags};

/// What the data directories are called (`IMAGE_DIRECTORY_ENTRY_…`).
const DIRECTORIES: [&str; 16] = [
    "export",
    "import",
    "resource",
    "exception",
    "security",
    "base relocation",
    "debug",
    "architecture",
    "global pointer",
    "TLS",
    "load configuration",
    "bound import",
    "import address table",
    "delay import",
    "CLR runtime",
    "reserved",
];

/// The certificate table's place is a file offset.
const SECURITY: usize = 4;

pub(super) fn read<'data>(pe: &Pe<'data>, found: &mut Found<'data>) {
    let mut dos = Record::new("DOS header", 0);
    dos.explained("e_lfanew", Value::Hex(pe.headers_offset), "where the PE headers lie");
    found.headers.push(dos);
    if let Some(rich) = RichHeaderInfo::parse(pe.data, pe.headers_offset) {
        found.headers.push(self::rich(&rich));
    }
    found.headers.push(file_header(&pe.headers.file_header, pe.headers_offset + 4));
    found.headers.push(optional_header(pe));
    found.headers.push(directories(pe));
    if let Some(config) = found.or_damage(LoadConfig::of(pe)).flatten() {
        found.headers.push(load_config(&config));
    }
}

/// Which tools of Microsoft made how many of the objects that were linked.
fn rich<'data>(rich: &RichHeaderInfo<'data>) -> Record<'data> {
    let mut record = Record::new("Rich header", rich.offset as u64);
    for entry in rich.unmasked_entries() {
        let (product, build) = (entry.comp_id >> 16, entry.comp_id & 0xffff);
        let meaning = format!("objects made by product {product:#06x}, build {build}");
        record.explained("objects", Value::Count(entry.count.into()), meaning);
    }
    record
}

pub(super) fn file_header<'data>(header: &ImageFileHeader, offset: u64) -> Record<'data> {
    let mut record = Record::new("file header", offset);
    let machine = header.machine.get(LE);
    record.explained("Machine", Value::Hex(machine.0.into()), constant(machine));
    record.count("NumberOfSections", header.number_of_sections.get(LE));
    record.explained(
        "TimeDateStamp",
        Value::Hex(header.time_date_stamp.get(LE).into()),
        "a time, or a hash where the build is reproducible",
    );
    record.hex("PointerToSymbolTable", header.pointer_to_symbol_table.get(LE));
    record.count("NumberOfSymbols", header.number_of_symbols.get(LE));
    record.count("SizeOfOptionalHeader", header.size_of_optional_header.get(LE));
    let set = header.characteristics.get(LE);
    record.explained("Characteristics", Value::Hex(set.0.into()), flags(set, "IMAGE_FILE_"));
    record
}

/// Adds fields of the optional header by the names that `winnt.h` gives them.
macro_rules! numbers {
    ($record:expr, $header:expr; $($kind:ident $name:literal $field:ident,)*) => {
        $($record.$kind($name, $header.$field.get(LE));)*
    };
}

fn optional_header<'data>(pe: &Pe<'data>) -> Record<'data> {
    let header = &pe.headers.optional_header;
    let mut record = Record::new("optional header", pe.headers_offset + 24);
    record.explained("Magic", Value::Hex(header.magic.get(LE).into()), "PE32+");
    record.count("MajorLinkerVersion", header.major_linker_version);
    record.count("MinorLinkerVersion", header.minor_linker_version);
    numbers!(record, header;
        hex "SizeOfCode" size_of_code,
        hex "SizeOfInitializedData" size_of_initialized_data,
        hex "SizeOfUninitializedData" size_of_uninitialized_data,
    );
    let entry = header.address_of_entry_point.get(LE);
    record.explained(
        "AddressOfEntryPoint",
        Value::Hex(entry.into()),
        "the entry, from the image base",
    );
    numbers!(record, header;
        hex "BaseOfCode" base_of_code,
        hex "ImageBase" image_base,
        hex "SectionAlignment" section_alignment,
        hex "FileAlignment" file_alignment,
        count "MajorOperatingSystemVersion" major_operating_system_version,
        count "MinorOperatingSystemVersion" minor_operating_system_version,
        count "MajorImageVersion" major_image_version,
        count "MinorImageVersion" minor_image_version,
        count "MajorSubsystemVersion" major_subsystem_version,
        count "MinorSubsystemVersion" minor_subsystem_version,
        count "Win32VersionValue" win32_version_value,
        hex "SizeOfImage" size_of_image,
        hex "SizeOfHeaders" size_of_headers,
    );
    let (said, right) = (header.check_sum.get(LE), checksum(pe));
    let meaning = match said {
        0 => "not computed".to_owned(),
        sum if sum == right => "right".to_owned(),
        _ => format!("wrong: the file's is {right:#x}"),
    };
    record.explained("CheckSum", Value::Hex(said.into()), meaning);
    let subsystem = header.subsystem.get(LE);
    record.explained("Subsystem", Value::Count(subsystem.0.into()), constant(subsystem));
    let set = header.dll_characteristics.get(LE);
    record.explained(
        "DllCharacteristics",
        Value::Hex(set.0.into()),
        flags(set, "IMAGE_DLLCHARACTERISTICS_"),
    );
    numbers!(record, header;
        hex "SizeOfStackReserve" size_of_stack_reserve,
        hex "SizeOfStackCommit" size_of_stack_commit,
        hex "SizeOfHeapReserve" size_of_heap_reserve,
        hex "SizeOfHeapCommit" size_of_heap_commit,
        hex "LoaderFlags" loader_flags,
        count "NumberOfRvaAndSizes" number_of_rva_and_sizes,
    );
    record
}

fn directories<'data>(pe: &Pe<'data>) -> Record<'data> {
    let mut record = Record::new("data directories", pe.directory_offset(0));
    for (index, directory) in pe.directories.enumerate() {
        let (start, size) = directory.address_range();
        if start == 0 && size == 0 {
            continue;
        }
        let name = DIRECTORIES.get(index).copied().unwrap_or("unknown");
        let meaning = if index == SECURITY {
            format!("{size:#x} bytes, at that offset of the file")
        } else {
            let section = pe.sections.section_containing(start);
            let of = section.map_or_else(String::new, |section| {
                format!(" of {}", super::super::padded(&section.name))
            });
            format!("{size:#x} bytes{of}")
        };
        record.explained(name, Value::Hex(start.into()), meaning);
    }
    record
}

fn load_config<'data>(config: &LoadConfig<'data>) -> Record<'data> {
    let mut record = Record::new("load configuration", config.offset);
    for field in config.fields() {
        let meaning = match (field.name, field.value) {
            (_, 0) => String::new(),
            ("GuardFlags", value) => {
                flags(GuardFlags(u32::try_from(value).unwrap_or(u32::MAX)), "IMAGE_GUARD_")
            }
            ("SecurityCookie", _) => "where the stack cookie lies".to_owned(),
            (_, _) if field.is_address => "an address".to_owned(),
            _ => String::new(),
        };
        record.explained(field.name, Value::Hex(field.value), meaning);
    }
    record
}
