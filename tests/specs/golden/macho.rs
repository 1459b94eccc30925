//! Mach-O: header, load commands, the tables of the last segment, the signature.

use std::mem::offset_of;

use minild::Image;
use minild::format::layout::LaidOutSection;
use object::macho::{
    self, BuildVersionCommand, CsBlobIndex, CsCodeDirectoryV0, CsCodeDirectoryV1,
    CsCodeDirectoryV2, CsCodeDirectoryV3, CsCodeDirectoryV4, CsSuperBlob, DyldChainedFixupsHeader,
    DyldChainedStartsInSegment, DyldInfoCommand, Dylib, DylibCommand, DylinkerCommand,
    DysymtabCommand, EntryPointCommand, LinkeditDataCommand, LoadCommand, MachHeader64, Nlist64,
    Section64, SegmentCommand64, SourceVersionCommand, SymtabCommand, ThreadCommand, UuidCommand,
    VersionMinCommand,
};
use object::{BigEndian as BE, Endianness};

use super::{Dump, fields, offset, shown};

const LE: Endianness = Endianness::Little;

pub(super) fn dump(image: &Image) -> String {
    let mut dump = Dump::new(&image.bytes, 22);
    let header = dump.mach_header();
    let mut at = size_of::<MachHeader64<Endianness>>();
    for _ in 0..header.ncmds.get(LE) {
        at = dump.load_command(at);
    }
    let indirect = dump.symbol_names(image);
    for section in image.layout.sections() {
        match &*section.name {
            "headers" => {}
            "fixups" if has_chains(image) => dump.chained_fixups(section),
            "symbol table" => dump.nlists(image, section),
            "indirect symbols" => dump.indirect_symbols(section, &indirect),
            "code signature" => dump.signature(section),
            name if section.file_size.0 > 0 => dump.bytes(name, section),
            name => dump.title(&format!("{name}: {:#x} zeros, not in the file", section.size.0)),
        }
    }
    dump.text
}

/// Whether the first table of the last segment starts as chains do and opcodes do not: with a version of 0.
fn has_chains(image: &Image) -> bool {
    let table = image.layout.sections().find(|section| section.name == "fixups");
    table.is_some_and(|table| image.bytes[offset(table.offset.0)] == 0)
}

impl Dump<'_> {
    fn mach_header(&mut self) -> MachHeader64<Endianness> {
        let header = self.structure::<MachHeader64<Endianness>>(0);
        self.title("Mach header");
        let magic = format!("{:#x}", header.magic.get(BE));
        self.field(0, "magic", &magic, "64 bits, little-endian");
        fields! { self, LE, 0, MachHeader64<Endianness>, header;
            cputype: "the instruction set";
            cpusubtype: "any model";
            filetype: "";
            ncmds: "load commands";
            sizeofcmds: "bytes of them";
            flags: "";
            reserved: "";
        }
        header
    }

    fn command(&mut self, at: usize, meaning: &str) {
        let command = self.structure::<LoadCommand<Endianness>>(at);
        self.title("load command");
        fields! { self, LE, at, LoadCommand<Endianness>, command;
            cmd: meaning;
            cmdsize: "bytes of this command";
        }
    }

    fn load_command(&mut self, at: usize) -> usize {
        let command = self.structure::<LoadCommand<Endianness>>(at);
        match command.cmd.get(LE) {
            macho::LC_SEGMENT_64 => self.segment(at),
            macho::LC_DYLD_CHAINED_FIXUPS => self.blob(at, "what dyld writes, as chains"),
            macho::LC_DYLD_EXPORTS_TRIE => self.blob(at, "what others can look up"),
            macho::LC_FUNCTION_STARTS => self.blob(at, "where functions start"),
            macho::LC_CODE_SIGNATURE => self.blob(at, "hashes of all that is before it"),
            macho::LC_DYLD_INFO_ONLY => self.dyld_info(at),
            macho::LC_SYMTAB => self.symbol_table(at),
            macho::LC_DYSYMTAB => self.dynamic_symbol_table(at),
            macho::LC_LOAD_DYLINKER => {
                let name = offset_of!(DylinkerCommand<Endianness>, name);
                self.command(at, "who loads the program");
                self.path(at, name);
            }
            macho::LC_LOAD_DYLIB => self.library(at, "a library"),
            macho::LC_LOAD_WEAK_DYLIB => self.library(at, "a library that may be missing"),
            macho::LC_ID_DYLIB => self.library(at, "what programs call this library"),
            macho::LC_UUID => {
                self.command(at, "what identifies the build");
                let uuid = at + offset_of!(UuidCommand<Endianness>, uuid);
                let hex = self.hex(uuid, 16).concat();
                self.field(uuid, "uuid", &hex, "hash of the file");
            }
            macho::LC_BUILD_VERSION | macho::LC_VERSION_MIN_MACOSX => self.versions(at),
            macho::LC_SOURCE_VERSION => {
                let command = self.structure::<SourceVersionCommand<Endianness>>(at);
                self.command(at, "the version of its source");
                fields! { self, LE, at, SourceVersionCommand<Endianness>, command; version: "not said"; }
            }
            macho::LC_MAIN => {
                let command = self.structure::<EntryPointCommand<Endianness>>(at);
                self.command(at, "where it starts, called by dyld");
                fields! { self, LE, at, EntryPointCommand<Endianness>, command;
                    entryoff: "from the Mach header";
                    stacksize: "bytes of the main thread's stack; 0: as the system likes";
                }
            }
            macho::LC_UNIXTHREAD => self.thread(at, offset(command.cmdsize.get(LE).into())),
            other => self.command(at, &format!("{other:?} is not known here")),
        }
        at + offset(command.cmdsize.get(LE).into())
    }

    /// A string of a load command, whose offset in it stands at `field`.
    fn path(&mut self, at: usize, field: usize) {
        let start = self.structure::<object::U32<Endianness>>(at + field).get(LE);
        let name = self.string(at + offset(start.into()));
        self.field(at + field, "name", &shown(start), &name);
    }

    fn name(&self, at: usize) -> String {
        let bytes = &self.file[at..at + 16];
        String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()
    }

    fn segment(&mut self, at: usize) {
        let segment = self.structure::<SegmentCommand64<Endianness>>(at);
        self.command(at, "a segment");
        let name = offset_of!(SegmentCommand64<Endianness>, segname);
        self.field(at + name, "segname", &self.name(at + name), "");
        fields! { self, LE, at, SegmentCommand64<Endianness>, segment;
            vmaddr: "to here in memory";
            vmsize: "bytes of memory; zeros behind the file's";
            fileoff: "from here in the file";
            filesize: "bytes of the file";
            maxprot: "what its pages may ever be used for";
            initprot: "and at first";
            nsects: "sections";
            flags: "";
        }
        let sections = at + size_of::<SegmentCommand64<Endianness>>();
        for index in 0..offset(segment.nsects.get(LE).into()) {
            self.section(sections + index * size_of::<Section64<Endianness>>());
        }
    }

    fn section(&mut self, at: usize) {
        let section = self.structure::<Section64<Endianness>>(at);
        self.title("section");
        let segment = at + offset_of!(Section64<Endianness>, segname);
        self.field(at, "sectname", &self.name(at), "");
        self.field(segment, "segname", &self.name(segment), "");
        fields! { self, LE, at, Section64<Endianness>, section;
            addr: "in memory";
            size: "bytes";
            offset: "in the file";
            align: "as a power of two";
            reloff: "none: it is linked";
            nreloc: "";
            flags: "";
            reserved1: "of stubs and slots: their first indirect symbol";
            reserved2: "of stubs: bytes of each";
            reserved3: "";
        }
    }

    fn blob(&mut self, at: usize, meaning: &str) {
        let command = self.structure::<LinkeditDataCommand<Endianness>>(at);
        self.command(at, meaning);
        fields! { self, LE, at, LinkeditDataCommand<Endianness>, command;
            dataoff: "in the file";
            datasize: "bytes";
        }
    }

    fn dyld_info(&mut self, at: usize) {
        let command = self.structure::<DyldInfoCommand<Endianness>>(at);
        self.command(at, "what dyld writes, as opcodes, and what others can look up");
        fields! { self, LE, at, DyldInfoCommand<Endianness>, command;
            rebase_off: "addresses that move with the program";
            rebase_size: "bytes";
            bind_off: "addresses of imports";
            bind_size: "bytes";
            weak_bind_off: "none";
            weak_bind_size: "";
            lazy_bind_off: "none: all is bound at once";
            lazy_bind_size: "";
            export_off: "the exports trie";
            export_size: "bytes";
        }
    }

    fn symbol_table(&mut self, at: usize) {
        let command = self.structure::<SymtabCommand<Endianness>>(at);
        self.command(at, "the symbol table");
        fields! { self, LE, at, SymtabCommand<Endianness>, command;
            symoff: "in the file";
            nsyms: "symbols";
            stroff: "their names, in the file";
            strsize: "bytes of them";
        }
    }

    fn dynamic_symbol_table(&mut self, at: usize) {
        let command = self.structure::<DysymtabCommand<Endianness>>(at);
        self.command(at, "how it is ordered");
        fields! { self, LE, at, DysymtabCommand<Endianness>, command;
            ilocalsym: "the first that only this file knows";
            nlocalsym: "";
            iextdefsym: "the first that this file defines";
            nextdefsym: "";
            iundefsym: "the first that libraries define";
            nundefsym: "";
            tocoff: "none";
            ntoc: "";
            modtaboff: "none";
            nmodtab: "";
            extrefsymoff: "none";
            nextrefsyms: "";
            indirectsymoff: "which symbol each stub and slot is for";
            nindirectsyms: "";
            extreloff: "none";
            nextrel: "";
            locreloff: "none";
            nlocrel: "";
        }
    }

    fn library(&mut self, at: usize, meaning: &str) {
        self.command(at, meaning);
        let dylib = offset_of!(DylibCommand<Endianness>, dylib);
        self.path(at, dylib + offset_of!(Dylib<Endianness>, name));
        let library = self.structure::<Dylib<Endianness>>(at + dylib);
        fields! { self, LE, at + dylib, Dylib<Endianness>, library;
            timestamp: "by custom";
            current_version: "of the library that it was linked with";
            compatibility_version: "the oldest that will do";
        }
    }

    fn versions(&mut self, at: usize) {
        let command = self.structure::<LoadCommand<Endianness>>(at);
        self.command(at, "which systems it runs on");
        if command.cmd.get(LE) == macho::LC_VERSION_MIN_MACOSX {
            let command = self.structure::<VersionMinCommand<Endianness>>(at);
            fields! { self, LE, at, VersionMinCommand<Endianness>, command;
                version: "the oldest macOS";
                sdk: "what rules it keeps";
            }
            return;
        }
        let command = self.structure::<BuildVersionCommand<Endianness>>(at);
        fields! { self, LE, at, BuildVersionCommand<Endianness>, command;
            platform: "";
            minos: "the oldest macOS";
            sdk: "what rules it keeps";
            ntools: "none is named";
        }
    }

    fn thread(&mut self, at: usize, size: usize) {
        self.command(at, "the registers that it starts with, without dyld");
        let state = at + size_of::<ThreadCommand<Endianness>>();
        for (at, name) in [(state, "flavor"), (state + 4, "count")] {
            let number = self.structure::<object::U32<Endianness>>(at).get(LE);
            self.field(at, name, &shown(number), "of x86_THREAD_STATE64");
        }
        let names = [
            "rax", "rbx", "rcx", "rdx", "rdi", "rsi", "rbp", "rsp", "r8", "r9", "r10", "r11",
            "r12", "r13", "r14", "r15", "rip", "rflags", "cs", "fs", "gs",
        ];
        for (at, name) in (state + 8..at + size).step_by(8).zip(names) {
            let value = self.structure::<object::U64<Endianness>>(at).get(LE);
            let meaning = if name == "rip" { "address of the first instruction" } else { "" };
            self.field(at, name, &shown(value), meaning);
        }
    }

    fn chained_fixups(&mut self, section: &LaidOutSection) {
        let start = offset(section.offset.0);
        let header = self.structure::<DyldChainedFixupsHeader<Endianness>>(start);
        self.title("chained fixups");
        fields! { self, LE, start, DyldChainedFixupsHeader<Endianness>, header;
            fixups_version: "";
            starts_offset: "where chains start";
            imports_offset: "what links name";
            symbols_offset: "the names";
            imports_count: "";
            imports_format: "";
            symbols_format: "not compressed";
        }
        let starts = start + offset(header.starts_offset.get(LE).into());
        let count = self.structure::<object::U32<Endianness>>(starts).get(LE);
        self.title("starts of chains");
        self.field(starts, "seg_count", &shown(count), "segments, page zero included");
        let places = (1..=offset(count.into())).map(|index| starts + 4 * index);
        let mut segments = Vec::new();
        for at in places {
            let place = self.structure::<object::U32<Endianness>>(at).get(LE);
            let meaning = if place == 0 { "a segment without chains" } else { "from seg_count on" };
            self.field(at, "seg_info_offset", &shown(place), meaning);
            if place != 0 {
                segments.push(starts + offset(place.into()));
            }
        }
        for at in segments {
            self.starts_in_segment(at);
        }
        let imports = start + offset(header.imports_offset.get(LE).into());
        let end = start + offset(section.file_size.0);
        self.title("imports of chains, and their names");
        self.hex_dump(imports, end - imports);
    }

    fn starts_in_segment(&mut self, at: usize) {
        let segment = self.structure::<DyldChainedStartsInSegment<Endianness>>(at);
        self.title("starts of a segment's chains");
        fields! { self, LE, at, DyldChainedStartsInSegment<Endianness>, segment;
            size: "bytes of this";
            page_size: "a chain keeps to its page";
            pointer_format: "";
            segment_offset: "from the Mach header";
            max_valid_pointer: "for 32 bits";
            page_count: "";
        }
        let pages = at + offset_of!(DyldChainedStartsInSegment<Endianness>, page_count) + 2;
        for at in (0..usize::from(segment.page_count.get(LE))).map(|page| pages + 2 * page) {
            let start = self.structure::<object::U16<Endianness>>(at).get(LE);
            let is_none = start == macho::DYLD_CHAINED_PTR_START_NONE;
            let meaning =
                if is_none { "a page without a chain" } else { "where its first link lies" };
            self.field(at, "page_start", &shown(start), meaning);
        }
    }

    /// The names of all symbols, in order.
    fn symbol_names(&self, image: &Image) -> Vec<String> {
        let table = image.layout.sections().find(|section| section.name == "symbol table");
        let Some(table) = table else { return Vec::new() };
        let strings = image.layout.sections().find(|section| section.name == "strings");
        let strings = offset(strings.expect("every file has strings").offset.0);
        let start = offset(table.offset.0);
        (start..start + offset(table.file_size.0))
            .step_by(size_of::<Nlist64<Endianness>>())
            .map(|at| {
                let symbol = self.structure::<Nlist64<Endianness>>(at);
                self.string(strings + offset(symbol.n_strx.get(LE).into()))
            })
            .collect()
    }

    fn nlists(&mut self, image: &Image, section: &LaidOutSection) {
        let names = self.symbol_names(image);
        let places = (offset(section.offset.0)..).step_by(size_of::<Nlist64<Endianness>>());
        for (at, name) in places.zip(names) {
            let symbol = self.structure::<Nlist64<Endianness>>(at);
            self.title("symbol");
            fields! { self, LE, at, Nlist64<Endianness>, symbol; n_strx: name; }
            let n_type = at + offset_of!(Nlist64<Endianness>, n_type);
            self.field(n_type, "n_type", &shown(symbol.n_type), "");
            let n_sect = at + offset_of!(Nlist64<Endianness>, n_sect);
            self.field(n_sect, "n_sect", &shown(symbol.n_sect), "the section it lies in");
            let n_desc = at + offset_of!(Nlist64<Endianness>, n_desc);
            let desc = format!("{:#x}", symbol.n_desc.get(LE).0);
            self.field(n_desc, "n_desc", &desc, "of an import: its library's number, above");
            fields! { self, LE, at, Nlist64<Endianness>, symbol; n_value: "its address"; }
        }
    }

    fn indirect_symbols(&mut self, section: &LaidOutSection, names: &[String]) {
        self.title("indirect symbols");
        let start = offset(section.offset.0);
        for at in (start..start + offset(section.file_size.0)).step_by(4) {
            let index = self.structure::<object::U32<Endianness>>(at).get(LE);
            let name =
                names.get(offset(index.into())).map_or("a place of the program", |name| name);
            self.field(at, "symbol", &shown(index), name);
        }
    }

    fn signature(&mut self, section: &LaidOutSection) {
        let start = offset(section.offset.0);
        let blob = self.structure::<CsSuperBlob>(start);
        self.title("code signature");
        fields! { self, BE, start, CsSuperBlob, blob;
            magic: "big-endian from here on";
            length: "bytes";
            count: "parts";
        }
        let entry = start + size_of::<CsSuperBlob>();
        let index = self.structure::<CsBlobIndex>(entry);
        fields! { self, BE, entry, CsBlobIndex, index; slot: "the only part"; offset: "where it is"; }
        self.code_directory(start + offset(index.offset.get(BE).into()));
    }

    fn code_directory(&mut self, start: usize) {
        let header = self.structure::<CsCodeDirectoryV0>(start);
        self.title("code directory");
        fields! { self, BE, start, CsCodeDirectoryV0, header;
            magic: "";
            length: "bytes";
            version: "";
            flags: "nobody signed it but a linker";
            hash_offset: "the hashes, from this header's start";
            ident_offset: "the identifier";
            n_special_slots: "none";
            n_code_slots: "hashes";
            code_limit: "bytes of the file that are hashed";
        }
        for (name, field, value, meaning) in [
            (
                "hash_size",
                offset_of!(CsCodeDirectoryV0, hash_size),
                shown(header.hash_size),
                "bytes",
            ),
            ("hash_type", offset_of!(CsCodeDirectoryV0, hash_type), shown(header.hash_type), ""),
            ("platform", offset_of!(CsCodeDirectoryV0, platform), shown(header.platform), ""),
            (
                "page_size",
                offset_of!(CsCodeDirectoryV0, page_size),
                shown(header.page_size),
                "as a power of two",
            ),
        ] {
            self.field(start + field, name, &value, meaning);
        }
        fields! { self, BE, start, CsCodeDirectoryV0, header; spare2: ""; }
        let mut at = start + size_of::<CsCodeDirectoryV0>();
        let scatter = self.structure::<CsCodeDirectoryV1>(at);
        fields! { self, BE, at, CsCodeDirectoryV1, scatter; scatter_offset: "none"; }
        at += size_of::<CsCodeDirectoryV1>();
        let team = self.structure::<CsCodeDirectoryV2>(at);
        fields! { self, BE, at, CsCodeDirectoryV2, team; team_offset: "none"; }
        at += size_of::<CsCodeDirectoryV2>();
        let limit = self.structure::<CsCodeDirectoryV3>(at);
        fields! { self, BE, at, CsCodeDirectoryV3, limit; spare3: ""; code_limit64: "for files of 4 GiB"; }
        at += size_of::<CsCodeDirectoryV3>();
        let text = self.structure::<CsCodeDirectoryV4>(at);
        fields! { self, BE, at, CsCodeDirectoryV4, text;
            exec_seg_base: "where the executable segment is in the file";
            exec_seg_limit: "bytes of it";
            exec_seg_flags: "";
        }
        let identifier = start + offset(header.ident_offset.get(BE).into());
        self.field(identifier, "identifier", &self.string(identifier), "");
        let hashes = start + offset(header.hash_offset.get(BE).into());
        let size = usize::from(header.hash_size);
        for number in 0..offset(header.n_code_slots.get(BE).into()) {
            let at = hashes + number * size;
            let hex = self.hex(at, size).concat();
            self.field(at, &format!("hash {number}"), &hex, "");
        }
    }
}
