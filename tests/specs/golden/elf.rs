//! ELF: headers, notes, relocations, symbols.

use std::mem::offset_of;

use minild::Image;
use minild::format::layout::LaidOutSection;
use object::elf::{FileHeader64, NoteHeader64, ProgramHeader64, Rela64, SectionHeader64, Sym64};
use object::{Endianness, elf};

use super::{Dump, fields, offset, shown};

const LE: Endianness = Endianness::Little;

pub(super) fn dump(image: &Image) -> String {
    let mut dump = Dump::new(&image.bytes, 12);
    let header = dump.structure::<FileHeader64<Endianness>>(0);
    dump.file_header(&header);
    let (start, count) = (offset(header.e_phoff.get(LE)), header.e_phnum.get(LE));
    for index in 0..usize::from(count) {
        dump.program_header(start + index * size_of::<ProgramHeader64<Endianness>>());
    }
    for section in image.layout.sections() {
        match &*section.name {
            "headers" | "section headers" => {}
            ".note.gnu.build-id" => dump.note(offset(section.offset.0)),
            ".rela.dyn" => dump.relocations(header.e_machine.get(LE), section),
            ".symtab" => dump.symbols(section),
            name if section.file_size.0 > 0 => dump.bytes(name, section),
            name => dump.title(&format!("{name}: {:#x} zeros, not in the file", section.size.0)),
        }
    }
    let (start, count) = (offset(header.e_shoff.get(LE)), header.e_shnum.get(LE));
    for index in 0..usize::from(count) {
        let names = image.layout.sections().find(|section| section.name == ".shstrtab");
        let names = names.expect("every file names its sections");
        let at = start + index * size_of::<SectionHeader64<Endianness>>();
        dump.section_header(index, at, offset(names.offset.0));
    }
    dump.text
}

impl Dump<'_> {
    fn file_header(&mut self, header: &FileHeader64<Endianness>) {
        self.title("file header");
        let ident = header.e_ident;
        self.field(0, "magic", &format!("{:02x?}", ident.magic), "an ELF file");
        for (at, name, value, meaning) in [
            (4, "EI_CLASS", shown(ident.class), "64 bits"),
            (5, "EI_DATA", shown(ident.data), "little-endian"),
            (6, "EI_VERSION", shown(ident.version), "the only one there is"),
            (7, "EI_OSABI", shown(ident.os_abi), "no extensions"),
        ] {
            self.field(at, name, &value, meaning);
        }
        fields! { self, LE, 0, FileHeader64<Endianness>, header;
            e_type: match header.e_type.get(LE) {
                elf::ET_DYN => "may be loaded anywhere",
                _ => "loaded at its addresses",
            };
            e_machine: "the instruction set";
            e_version: "the only one there is";
            e_entry: "address of the first instruction";
            e_phoff: "where the program headers are";
            e_shoff: "where the section headers are";
            e_flags: "none";
            e_ehsize: "bytes of this header";
            e_phentsize: "bytes of a program header";
            e_phnum: "program headers";
            e_shentsize: "bytes of a section header";
            e_shnum: "section headers";
            e_shstrndx: "the section that has the names of sections";
        }
    }

    fn program_header(&mut self, at: usize) {
        let header = self.structure::<ProgramHeader64<Endianness>>(at);
        let meaning = match header.p_type.get(LE) {
            elf::PT_PHDR => "where these headers are",
            elf::PT_LOAD => "mapped by the kernel",
            elf::PT_NOTE => "the build's identity",
            elf::PT_GNU_RELRO => "read-only once relocated",
            elf::PT_GNU_STACK => "the stack: not executable",
            _ => "?",
        };
        self.title("program header");
        fields! { self, LE, at, ProgramHeader64<Endianness>, header;
            p_type: meaning;
            p_flags: "";
            p_offset: "from here in the file";
            p_vaddr: "to here in memory";
            p_paddr: "means nothing";
            p_filesz: "bytes of the file";
            p_memsz: "bytes of memory; zeros behind the file's";
            p_align: "offset and address are equal modulo this";
        }
    }

    fn section_header(&mut self, index: usize, at: usize, names: usize) {
        let header = self.structure::<SectionHeader64<Endianness>>(at);
        let name = self.string(names + offset(header.sh_name.get(LE).into()));
        self.title(&format!("section header {index}"));
        fields! { self, LE, at, SectionHeader64<Endianness>, header;
            sh_name: name;
            sh_type: "";
            sh_flags: "";
            sh_addr: "in memory";
            sh_offset: "in the file";
            sh_size: "bytes";
            sh_link: "";
            sh_info: "";
            sh_addralign: "";
            sh_entsize: "bytes of an entry";
        }
    }

    fn note(&mut self, at: usize) {
        let header = self.structure::<NoteHeader64<Endianness>>(at);
        self.title("note");
        fields! { self, LE, at, NoteHeader64<Endianness>, header;
            n_namesz: "bytes of the owner's name";
            n_descsz: "bytes of the identity";
            n_type: "3: NT_GNU_BUILD_ID";
        }
        let name = at + size_of::<NoteHeader64<Endianness>>();
        self.field(name, "name", &format!("{:?}", self.string(name)), "the owner");
        let identity = name + 4;
        let hex = self.hex(identity, 20).concat();
        self.field(identity, "desc", &hex, "hash of the file");
    }

    fn relocations(&mut self, machine: elf::Machine, section: &LaidOutSection) {
        let names = elf::machine_names(machine).r;
        let start = offset(section.offset.0);
        let end = start + offset(section.file_size.0);
        for at in (start..end).step_by(size_of::<Rela64<Endianness>>()) {
            let entry = self.structure::<Rela64<Endianness>>(at);
            self.title("relocation");
            let kind = entry.r_type(LE, false);
            let name = names.name(kind).unwrap_or("?");
            fields! { self, LE, at, Rela64<Endianness>, entry;
                r_offset: "the word at this address becomes the sum of";
            }
            self.field(
                at + offset_of!(Rela64<Endianness>, r_info),
                "r_info",
                name,
                "where the program lies",
            );
            fields! { self, LE, at, Rela64<Endianness>, entry; r_addend: "and this address"; }
        }
    }

    fn symbols(&mut self, section: &LaidOutSection) {
        let start = offset(section.offset.0);
        let strings = start + offset(section.file_size.0);
        for at in (start..strings).step_by(size_of::<Sym64<Endianness>>()) {
            let symbol = self.structure::<Sym64<Endianness>>(at);
            let name = self.string(strings + offset(symbol.st_name.get(LE).into()));
            self.title("symbol");
            fields! { self, LE, at, Sym64<Endianness>, symbol; st_name: name; }
            let info = format!("{:?} {:?}", symbol.st_bind(), symbol.st_type());
            self.field(at + offset_of!(Sym64<Endianness>, st_info), "st_info", &info, "");
            fields! { self, LE, at, Sym64<Endianness>, symbol;
                st_shndx: "the section it lies in";
                st_value: "its address";
                st_size: "its bytes";
            }
        }
    }
}
