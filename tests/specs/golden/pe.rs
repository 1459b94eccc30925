//! PE: headers, directories, section table, and what the directories lead to.

use std::mem::offset_of;

use minild::Image;
use minild::format::layout::LaidOutSection;
use object::pe::{
    ImageArm64RuntimeFunctionEntry, ImageBaseRelocation, ImageDataDirectory, ImageDebugDirectory,
    ImageDosHeader, ImageExportDirectory, ImageFileHeader, ImageImportDescriptor,
    ImageOptionalHeader64, ImageRuntimeFunctionEntry, ImageSectionHeader,
};
use object::{LittleEndian as LE, pe};

use super::{Dump, fields, offset, shown};

/// What each directory leads to (PE format, "Optional Header Data Directories").
const DIRECTORIES: [&str; 16] = [
    "exports",
    "imports",
    "resources",
    "unwind rows",
    "certificates",
    "base relocations",
    "debug",
    "architecture",
    "global pointer",
    "thread-locals",
    "load configuration",
    "bound imports",
    "slots of imports",
    "delayed imports",
    "runtime of .NET",
    "reserved",
];

pub(super) fn dump(image: &Image) -> String {
    let mut dump = Dump::new(&image.bytes, 30);
    let at = dump.dos_header();
    dump.title("signature");
    dump.field(at, "signature", &format!("{:?}", dump.string(at)), "a PE image follows");
    let header = dump.coff_header(at + 4);
    let optional = at + 4 + size_of::<ImageFileHeader>();
    let directories = dump.optional_header(optional);
    let end = optional + usize::from(header.size_of_optional_header.get(LE));
    dump.directories(directories, end);
    for index in 0..usize::from(header.number_of_sections.get(LE)) {
        dump.section_table_entry(end + index * size_of::<ImageSectionHeader>());
    }
    for section in image.layout.sections() {
        dump.contents(image, &header, section);
    }
    dump.text
}

/// Where the file has what lies at this RVA.
fn at_rva(image: &Image, rva: u32) -> usize {
    let address = image.layout.image_base.0 + u64::from(rva);
    let section = image
        .layout
        .sections()
        .find(|section| (section.address.0..section.address.0 + section.size.0).contains(&address));
    let section = section.expect("the RVA lies in a section");
    offset(section.offset.0 + (address - section.address.0))
}

impl Dump<'_> {
    fn dos_header(&mut self) -> usize {
        let header = self.structure::<ImageDosHeader>(0);
        self.title("DOS header");
        fields! { self, LE, 0, ImageDosHeader, header; e_magic: "MZ"; }
        let between = 2..offset_of!(ImageDosHeader, e_lfanew);
        let zeros = self.file[between.clone()].iter().all(|byte| *byte == 0);
        self.field(between.start, "all others", if zeros { "0" } else { "?" }, "nothing for DOS");
        fields! { self, LE, 0, ImageDosHeader, header; e_lfanew: "where the PE signature is"; }
        offset(header.e_lfanew.get(LE).into())
    }

    fn coff_header(&mut self, at: usize) -> ImageFileHeader {
        let header = self.structure::<ImageFileHeader>(at);
        self.title("file header");
        fields! { self, LE, at, ImageFileHeader, header;
            machine: "the instruction set";
            number_of_sections: "";
            time_date_stamp: "no time: the first bytes of the identity";
            pointer_to_symbol_table: "none";
            number_of_symbols: "";
            size_of_optional_header: "bytes of the next header and the directories";
            characteristics: "";
        }
        header
    }

    fn optional_header(&mut self, at: usize) -> usize {
        let header = self.structure::<ImageOptionalHeader64>(at);
        self.title("optional header");
        fields! { self, LE, at, ImageOptionalHeader64, header; magic: "PE32+"; }
        for (name, field, value) in [
            (
                "major_linker_version",
                offset_of!(ImageOptionalHeader64, major_linker_version),
                header.major_linker_version,
            ),
            (
                "minor_linker_version",
                offset_of!(ImageOptionalHeader64, minor_linker_version),
                header.minor_linker_version,
            ),
        ] {
            self.field(at + field, name, &shown(value), "not said");
        }
        fields! { self, LE, at, ImageOptionalHeader64, header;
            size_of_code: "bytes of the file that are code";
            size_of_initialized_data: "bytes of the file that are not";
            size_of_uninitialized_data: "bytes of zeros that are not in the file";
            address_of_entry_point: "from the image base";
            base_of_code: "where the first code lies, from the image base";
            image_base: "where the image wants to lie";
            section_alignment: "sections start at multiples of this in memory";
            file_alignment: "and of this in the file";
            major_operating_system_version: "the oldest that it runs on";
            minor_operating_system_version: "";
            major_image_version: "not said";
            minor_image_version: "";
            major_subsystem_version: "the oldest that it runs on";
            minor_subsystem_version: "";
            win32_version_value: "reserved";
            size_of_image: "bytes of memory";
            size_of_headers: "bytes of the file before the first section";
            check_sum: "sum of all words of the file, and its length";
            subsystem: "what surrounds it while it runs";
            dll_characteristics: "";
            size_of_stack_reserve: "addresses for the first thread's stack";
            size_of_stack_commit: "bytes of it that are there from the start";
            size_of_heap_reserve: "addresses for the process' heap";
            size_of_heap_commit: "bytes of it that are there from the start";
            loader_flags: "reserved";
            number_of_rva_and_sizes: "directories";
        }
        at + size_of::<ImageOptionalHeader64>()
    }

    fn directories(&mut self, start: usize, end: usize) {
        self.title("directories");
        for (at, name) in (start..end).step_by(size_of::<ImageDataDirectory>()).zip(DIRECTORIES) {
            let directory = self.structure::<ImageDataDirectory>(at);
            let (address, size) = directory.address_range();
            let meaning = if size == 0 { "none" } else { "" };
            self.field(at, name, &format!("{address:#x}, {size:#x} bytes"), meaning);
        }
    }

    fn section_table_entry(&mut self, at: usize) {
        let header = self.structure::<ImageSectionHeader>(at);
        let name = String::from_utf8_lossy(&header.name).trim_end_matches('\0').to_owned();
        self.title("section header");
        self.field(at, "name", &name, "");
        fields! { self, LE, at, ImageSectionHeader, header;
            virtual_size: "bytes of memory; zeros behind the file's";
            virtual_address: "from the image base";
            size_of_raw_data: "bytes of the file";
            pointer_to_raw_data: "from here in the file";
            pointer_to_relocations: "none: it is linked";
            pointer_to_linenumbers: "none";
            number_of_relocations: "";
            number_of_linenumbers: "";
            characteristics: "";
        }
    }

    fn contents(&mut self, image: &Image, header: &ImageFileHeader, section: &LaidOutSection) {
        match &*section.name {
            "headers" => {}
            ".idata$2" => self.import_descriptors(image, section),
            ".idata$4" => self.thunks(image, section, "import lookup: what is wanted"),
            ".idata$5" => {
                self.thunks(image, section, "slots of imports: the same, until it is loaded");
            }
            ".edata" => self.exports(image, section),
            ".debug" => self.debug_directory(section),
            ".pdata" => self.unwind_rows(header.machine.get(LE), section),
            ".reloc" => self.base_relocations(section),
            name if section.file_size.0 > 0 => self.bytes(name, section),
            name => self.title(&format!("{name}: {:#x} zeros, not in the file", section.size.0)),
        }
    }

    fn import_descriptors(&mut self, image: &Image, section: &LaidOutSection) {
        let start = offset(section.offset.0);
        let end = start + offset(section.file_size.0);
        for at in (start..end).step_by(size_of::<ImageImportDescriptor>()) {
            let descriptor = self.structure::<ImageImportDescriptor>(at);
            let name = match descriptor.name.get(LE) {
                0 => "the end".to_owned(),
                name => self.string(at_rva(image, name)),
            };
            self.title("import descriptor");
            fields! { self, LE, at, ImageImportDescriptor, descriptor;
                original_first_thunk: "what is wanted of the library";
                time_date_stamp: "not bound";
                forwarder_chain: "none";
                name: name;
                first_thunk: "where the addresses go";
            }
        }
    }

    fn thunks(&mut self, image: &Image, section: &LaidOutSection, title: &str) {
        self.title(title);
        let start = offset(section.offset.0);
        for at in (start..start + offset(section.file_size.0)).step_by(8) {
            let thunk = self.structure::<object::U64<LE>>(at).get(LE);
            let meaning = match thunk {
                0 => "the end of this library's".to_owned(),
                number if number >> 63 == 1 => format!("number {}", number & 0xffff),
                rva => {
                    let at = at_rva(image, u32::try_from(rva).expect("an RVA has 31 bits"));
                    self.string(at + 2) // behind the hint
                }
            };
            self.field(at, "thunk", &shown(thunk), &meaning);
        }
    }

    fn exports(&mut self, image: &Image, section: &LaidOutSection) {
        let at = offset(section.offset.0);
        let directory = self.structure::<ImageExportDirectory>(at);
        self.title("export directory");
        let name = self.string(at_rva(image, directory.name.get(LE)));
        fields! { self, LE, at, ImageExportDirectory, directory;
            characteristics: "reserved";
            time_date_stamp: "not said";
            major_version: "not said";
            minor_version: "";
            name: name;
            base: "the first number";
            number_of_functions: "";
            number_of_names: "";
            address_of_functions: "";
            address_of_names: "";
            address_of_name_ordinals: "";
        }
        let behind = at + size_of::<ImageExportDirectory>();
        self.hex_dump(behind, at + offset(section.file_size.0) - behind);
    }

    fn debug_directory(&mut self, section: &LaidOutSection) {
        let at = offset(section.offset.0);
        let entry = self.structure::<ImageDebugDirectory>(at);
        self.title("debug directory");
        fields! { self, LE, at, ImageDebugDirectory, entry;
            characteristics: "reserved";
            time_date_stamp: "no time: the first bytes of the identity";
            major_version: "";
            minor_version: "";
            typ: "the same input gives the same file";
            size_of_data: "";
            address_of_raw_data: "";
            pointer_to_raw_data: "";
        }
        let length = at + size_of::<ImageDebugDirectory>();
        let bytes = self.structure::<object::U32<LE>>(length).get(LE);
        self.field(length, "length", &shown(bytes), "bytes of the identity");
        let hex = self.hex(length + 4, offset(bytes.into())).concat();
        self.field(length + 4, "identity", &hex, "hash of the file");
    }

    fn unwind_rows(&mut self, machine: pe::Machine, section: &LaidOutSection) {
        let start = offset(section.offset.0);
        let end = start + offset(section.file_size.0);
        if machine == pe::IMAGE_FILE_MACHINE_AMD64 {
            for at in (start..end).step_by(size_of::<ImageRuntimeFunctionEntry>()) {
                let row = self.structure::<ImageRuntimeFunctionEntry>(at);
                self.title("unwind row");
                fields! { self, LE, at, ImageRuntimeFunctionEntry, row;
                    begin_address: "the function's first byte";
                    end_address: "the byte behind its last";
                    unwind_info_address_or_data: "its record";
                }
            }
            return;
        }
        for at in (start..end).step_by(size_of::<ImageArm64RuntimeFunctionEntry>()) {
            let row = self.structure::<ImageArm64RuntimeFunctionEntry>(at);
            self.title("unwind row");
            let is_packed = row.unwind_data.get(LE) & 3 != 0;
            fields! { self, LE, at, ImageArm64RuntimeFunctionEntry, row;
                begin_address: "the function's first byte";
                unwind_data: if is_packed { "what its record would say" } else { "its record" };
            }
        }
    }

    fn base_relocations(&mut self, section: &LaidOutSection) {
        let mut at = offset(section.offset.0);
        let end = at + offset(section.size.0);
        while at < end {
            let block = self.structure::<ImageBaseRelocation>(at);
            self.title("block of base relocations");
            fields! { self, LE, at, ImageBaseRelocation, block;
                virtual_address: "the page, from the image base";
                size_of_block: "bytes of this block";
            }
            let next = at + offset(block.size_of_block.get(LE).into());
            for at in (at + size_of::<ImageBaseRelocation>()..next).step_by(2) {
                let entry = self.structure::<object::U16<LE>>(at).get(LE);
                let (kind, place) = (pe::BaseRelocationType(entry >> 12), entry & 0xfff);
                let meaning = match kind {
                    pe::IMAGE_REL_BASED_ABSOLUTE => "fills the block up".to_owned(),
                    _ => format!("the word at {place:#x} of the page is an address"),
                };
                self.field(at, "entry", &shown(kind), &meaning);
            }
            at = next;
        }
    }
}
