//! PE32+ files, for Windows and for UEFI firmware: what the rules ask of one, read once.

mod exports;
mod headers;
mod image;
mod imports;
mod relocations;
mod runtime;
mod sections;
mod uefi;

use object::LittleEndian as LE;
use object::pe;

use super::bytes::{Bytes, Field, text, up};
use super::report::{Place, Report};
use super::rule::{Check, Kind, Loader, Rule, Subject};
use super::{Lint, unsupported};
use crate::error::Error;
use crate::target::Architecture;

/// The families of rules, in the order in which they look.
pub(super) const FAMILIES: &[&[Rule]] = &[
    headers::EARLY,
    headers::RULES,
    sections::RULES,
    image::RULES,
    relocations::RULES,
    imports::RULES,
    exports::RULES,
    runtime::RULES,
    uefi::RULES,
];

/// Pages of Windows and of firmware, on both architectures.
const PAGE: u64 = 0x1000;

type FileHeader = pe::ImageFileHeader;
type OptionalHeader = pe::ImageOptionalHeader64;

/// How far a file can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It ends before its headers do.
    Truncated,
    /// What the DOS header points at is no PE signature.
    NoSignature,
    /// The optional header is of no known form.
    NoMagic,
    /// To its section table.
    Whole,
}

/// A file as the loaders see it.
#[derive(Debug)]
pub(super) struct Pe<'d> {
    data: Bytes<'d>,
    stage: Stage,
    /// Where the PE signature lies.
    start: u64,
    file: FileHeader,
    optional: OptionalHeader,
    architecture: Architecture,
    kind: Kind,
    is_uefi: bool,
    /// `None` where the table ends outside the file, or has too many for anyone to read.
    sections: Option<Vec<Section>>,
    /// Which sections, in the order of their addresses.
    by_address: Vec<usize>,
}

/// A section header.
#[derive(Clone, Debug)]
struct Section {
    index: usize,
    /// Where it lies in the file.
    header: u64,
    name: String,
    address: u64,
    virtual_size: u64,
    offset: u64,
    file_size: u64,
    flags: u32,
}

/// Addresses, relative to the image base, that a data directory names.
#[derive(Clone, Copy, Debug)]
struct Directory {
    index: usize,
    /// Where its entry lies in the file.
    entry: u64,
    address: u64,
    size: u64,
}

impl Section {
    fn place(&self, field: Field) -> Place {
        let name = specification_name(field.name);
        let structure = format!("section header {} ({}), {name}", self.index, self.name);
        Place::new(self.header + field.offset, field.size, structure)
    }

    /// Bytes in memory.
    fn size(&self) -> u64 {
        if self.virtual_size == 0 { self.file_size } else { self.virtual_size }
    }

    /// The address behind it.
    fn end(&self) -> u64 {
        self.address + self.size()
    }

    fn has(&self, flag: pe::SectionFlags) -> bool {
        self.flags & flag.0 != 0
    }
}

impl Directory {
    fn place(&self) -> Place {
        const NAMES: [&str; 16] = [
            "export table",
            "import table",
            "resource table",
            "exception table",
            "certificate table",
            "base relocation table",
            "debug directory",
            "architecture",
            "global pointer",
            "TLS table",
            "load config table",
            "bound import table",
            "import address table",
            "delay import descriptors",
            "CLR runtime header",
            "reserved",
        ];
        let structure = format!("data directory {} ({})", self.index, NAMES[self.index]);
        Place::new(self.entry, size_of::<pe::ImageDataDirectory>() as u64, structure)
    }
}

/// `size_of_image` as the specification writes it: `SizeOfImage`.
fn specification_name(name: &str) -> String {
    if name.starts_with("e_") {
        return name.to_owned();
    }
    name.split('_')
        .map(|word| {
            let (first, rest) = word.split_at(1.min(word.len()));
            first.to_uppercase() + rest
        })
        .collect()
}

impl<'d> Pe<'d> {
    /// Where a field of the optional header lies.
    fn optional(&self, field: Field) -> Place {
        let offset = self.start + 4 + size_of::<FileHeader>() as u64 + field.offset;
        let structure = format!("optional header, {}", specification_name(field.name));
        Place::new(offset, field.size, structure)
    }

    /// Where a field of the file header lies.
    fn file(&self, field: Field) -> Place {
        let structure = format!("file header, {}", specification_name(field.name));
        Place::new(self.start + 4 + field.offset, field.size, structure)
    }

    fn has(&self, flag: pe::FileFlags) -> bool {
        self.file.characteristics.get(LE).0 & flag.0 != 0
    }

    fn has_dll_flag(&self, flag: pe::DllFlags) -> bool {
        self.optional.dll_characteristics.get(LE).0 & flag.0 != 0
    }

    /// Where the section table begins.
    fn section_table(&self) -> u64 {
        let optional = u64::from(self.file.size_of_optional_header.get(LE));
        self.start + 4 + size_of::<FileHeader>() as u64 + optional
    }

    fn sections(&self) -> &[Section] {
        self.sections.as_deref().unwrap_or_default()
    }

    /// Sections in the order of their addresses.
    fn by_address(&self) -> impl Iterator<Item = &Section> {
        self.by_address.iter().map(|index| &self.sections()[*index])
    }

    /// The section that has an address in memory.
    fn section_at(&self, address: u64) -> Option<&Section> {
        let behind =
            self.by_address.partition_point(|index| self.sections()[*index].address <= address);
        let section = &self.sections()[self.by_address[behind.checked_sub(1)?]];
        (address < section.end()).then_some(section)
    }

    /// Where the file has the bytes at an address, and how many follow there.
    fn file_range(&self, address: u64) -> Option<(u64, u64)> {
        let headers = u64::from(self.optional.size_of_headers.get(LE));
        if address < headers {
            return Some((address, headers - address));
        }
        let section = self.section_at(address)?;
        let inside = address - section.address;
        let size = section.size().min(section.file_size);
        (inside < size).then(|| (section.offset + inside, size - inside))
    }

    fn file_offset(&self, address: u64, size: u64) -> Option<u64> {
        let (offset, there) = self.file_range(address)?;
        (size <= there && self.data.slice(offset, size).is_some()).then_some(offset)
    }

    /// The bytes of the file from an address to the end of its section.
    fn bytes_at(&self, address: u64) -> Option<Bytes<'d>> {
        let (offset, there) = self.file_range(address)?;
        let there = there.min(self.data.len().saturating_sub(offset));
        self.data.slice(offset, there).map(Bytes)
    }

    /// Whether memory has these addresses.
    fn is_mapped(&self, address: u64, size: u64) -> bool {
        let headers = u64::from(self.optional.size_of_headers.get(LE));
        let Some(end) = address.checked_add(size) else { return false };
        end <= headers || self.section_at(address).is_some_and(|section| end <= section.end())
    }

    /// An address relative to the image base, of one that counts from 0 and lies in the image.
    fn relative(&self, address: u64) -> Option<u64> {
        let relative = address.checked_sub(self.optional.image_base.get(LE))?;
        (relative < u64::from(self.optional.size_of_image.get(LE))).then_some(relative)
    }

    /// A data directory that is used.
    fn directory(&self, index: usize) -> Option<Directory> {
        let count = self.optional.number_of_rva_and_sizes.get(LE) as usize;
        if index >= count.min(16) {
            return None;
        }
        let first = self.start + 4 + (size_of::<FileHeader>() + size_of::<OptionalHeader>()) as u64;
        let entry = first + (index * size_of::<pe::ImageDataDirectory>()) as u64;
        let directory = self.data.read::<pe::ImageDataDirectory>(entry)?;
        let address = u64::from(directory.virtual_address.get(LE));
        let size = u64::from(directory.size.get(LE));
        (address != 0).then_some(Directory { index, entry, address, size })
    }

    /// `SectionAlignment`, or the usual one where it is none.
    fn section_alignment(&self) -> u64 {
        let align = u64::from(self.optional.section_alignment.get(LE));
        if align.is_power_of_two() { align } else { PAGE }
    }

    /// Whether each section is mapped with its own protection: otherwise the file is mapped as it is.
    fn has_pages(&self) -> bool {
        self.section_alignment() >= PAGE
    }
}

/// Reads a file and looks at it with every rule for PE.
pub(super) fn lint(data: Bytes<'_>) -> Result<Lint, Error> {
    let pe = read(data)?;
    let loaders = if pe.is_uefi {
        vec![Loader::Uefi, Loader::UefiNx, Loader::Tools]
    } else {
        vec![Loader::Windows, Loader::Tools]
    };
    let (others, architecture) = (Vec::new(), pe.architecture);
    let subject = Subject { loaders, others, architecture, kind: pe.kind, sdk: None };
    let mut report = Report::new(&subject);
    let families = if pe.stage == Stage::Whole { FAMILIES } else { &FAMILIES[..1] };
    for rule in families.iter().copied().flatten() {
        if let Check::Pe(check) = rule.check
            && report.begin(rule)
        {
            check(&pe, &mut report);
            report.end();
        }
    }
    let what = match (pe.stage, pe.is_uefi, pe.kind) {
        (Stage::Whole, true, _) => format!("PE32+ image for UEFI, {}", pe.architecture),
        (Stage::Whole, false, Kind::Program) => format!("PE32+ program, {}", pe.architecture),
        (Stage::Whole, false, Kind::Library) => format!("PE32+ library, {}", pe.architecture),
        _ => "PE32+, damaged".to_owned(),
    };
    Ok(Lint { file: what, findings: report.findings })
}

/// A structure of zeros, for a file that does not have it.
fn zeros<T: object::pod::Pod>() -> T {
    Bytes(&[0; 512]).read(0).expect("structures are smaller")
}

fn read(data: Bytes<'_>) -> Result<Pe<'_>, Error> {
    let mut pe = Pe {
        data,
        stage: Stage::Truncated,
        start: 0,
        file: zeros(),
        optional: zeros(),
        architecture: Architecture::X86_64,
        kind: Kind::Program,
        is_uefi: false,
        sections: None,
        by_address: Vec::new(),
    };
    let Some(dos) = data.read::<pe::ImageDosHeader>(0) else { return Ok(pe) };
    pe.start = u64::from(dos.e_lfanew.get(LE));
    let Some(signature) = data.slice(pe.start, 4) else { return Ok(pe) };
    if signature != b"PE\0\0" {
        pe.stage = Stage::NoSignature;
        return Ok(pe);
    }
    let Some(file) = data.read::<FileHeader>(pe.start + 4) else { return Ok(pe) };
    pe.file = file;
    pe.architecture = match file.machine.get(LE) {
        pe::IMAGE_FILE_MACHINE_AMD64 => Architecture::X86_64,
        pe::IMAGE_FILE_MACHINE_ARM64 => Architecture::Aarch64,
        machine => {
            let what = format!("it is a PE file for another machine ({:#x})", machine.0);
            return Err(unsupported(&what));
        }
    };
    let optional = pe.start + 4 + size_of::<FileHeader>() as u64;
    let magic = data.u16(optional);
    if magic.is_some_and(|magic| magic != pe::IMAGE_NT_OPTIONAL_HDR64_MAGIC) {
        pe.stage = Stage::NoMagic;
        return Ok(pe);
    }
    let Some(header) = data.read::<OptionalHeader>(optional) else { return Ok(pe) };
    pe.stage = Stage::Whole;
    pe.optional = header;
    pe.is_uefi = (pe::IMAGE_SUBSYSTEM_EFI_APPLICATION.0..=pe::IMAGE_SUBSYSTEM_EFI_ROM.0)
        .contains(&header.subsystem.get(LE).0);
    if pe.has(pe::IMAGE_FILE_DLL) && !pe.is_uefi {
        pe.kind = Kind::Library;
    }
    pe.sections = read_sections(&pe);
    let mut by_address: Vec<_> = (0..pe.sections().len()).collect();
    by_address.sort_by_key(|index| pe.sections()[*index].address);
    pe.by_address = by_address;
    Ok(pe)
}

fn read_sections(pe: &Pe<'_>) -> Option<Vec<Section>> {
    if !headers::is_section_count(pe) {
        return None;
    }
    let table = pe.section_table();
    let size = size_of::<pe::ImageSectionHeader>() as u64;
    (0..usize::from(pe.file.number_of_sections.get(LE)))
        .map(|index| {
            let at = table + index as u64 * size;
            let header = pe.data.read::<pe::ImageSectionHeader>(at)?;
            let name = header.name.split(|byte| *byte == 0).next().unwrap_or_default();
            Some(Section {
                index,
                header: at,
                name: text(name),
                address: header.virtual_address.get(LE).into(),
                virtual_size: header.virtual_size.get(LE).into(),
                offset: header.pointer_to_raw_data.get(LE).into(),
                file_size: header.size_of_raw_data.get(LE).into(),
                flags: header.characteristics.get(LE).0,
            })
        })
        .collect()
}

/// Where an image with these sections ends in memory.
fn image_end(pe: &Pe<'_>) -> u64 {
    let align = pe.section_alignment();
    let headers = u64::from(pe.optional.size_of_headers.get(LE));
    pe.sections().iter().map(|section| up(section.end(), align)).max().unwrap_or(up(headers, align))
}
