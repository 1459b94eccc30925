//! Dumped: every field of every sample's file, as text that people can review: offset, name, value, and
//! what it means. What changes in a file shows here.

use std::fmt::Write;
use std::mem::offset_of;

use expect_test::expect_file;
use libtest_mimic::Trial;
use minild::Image;
use minild::format::layout::LaidOutSection;
use object::elf::{FileHeader64, NoteHeader64, ProgramHeader64, Rela64, SectionHeader64, Sym64};
use object::pod::Pod;
use object::{Endianness, elf, pod};

use crate::Checked;
use crate::case::{Case, Variant, all, root};

const LE: Endianness = Endianness::Little;

pub(crate) fn trials() -> Vec<Trial> {
    let is_sample = |case: &Case| {
        case.is_elf()
            && case.variant == Variant::Default
            && case.path.starts_with(root().join("samples"))
    };
    let trial = |case: Case| Trial::test(case.test_name("dump"), move || is_as_reviewed(&case));
    all().into_iter().filter(is_sample).map(trial).collect()
}

fn is_as_reviewed(case: &Case) -> Checked {
    case.link(|_, image| {
        let name = case.path.file_stem().expect("a spec's file has a name").display();
        let golden = root().join(format!("tests/golden/{name}-{}.txt", case.target));
        expect_file![golden].assert_eq(&dump(image));
        Ok(())
    })
}

/// Lines of text about a file.
struct Dump<'f> {
    file: &'f [u8],
    text: String,
}

/// Adds a line for each of these fields of a structure at an offset of the file.
macro_rules! fields {
    ($dump:expr, $at:expr, $structure:ty, $value:expr; $($field:ident: $meaning:expr;)*) => {
        $({
            let value = $value.$field.get(LE);
            let offset = $at + offset_of!($structure, $field);
            $dump.field(offset, stringify!($field), &shown(value), &$meaning.to_string());
        })*
    };
}

/// A number in hex; a constant by its name.
fn shown(value: impl std::fmt::Debug) -> String {
    let plain = format!("{value:?}");
    if plain.bytes().all(|byte| byte.is_ascii_digit()) { format!("{value:#x?}") } else { plain }
}

fn dump(image: &Image) -> String {
    let mut dump = Dump { file: &image.bytes, text: String::new() };
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

fn offset(number: u64) -> usize {
    usize::try_from(number).expect("the file is in memory")
}

impl Dump<'_> {
    fn structure<T: Pod + Copy>(&self, at: usize) -> T {
        *pod::from_bytes::<T>(&self.file[at..]).expect("it lies in the file").0
    }

    fn title(&mut self, title: &str) {
        writeln!(self.text, "\n{title}").expect("a string takes all");
    }

    fn field(&mut self, offset: usize, name: &str, value: &str, meaning: &str) {
        let line = format!("{offset:#06x}  {name:<12} {value:<22} {meaning}");
        writeln!(self.text, "{}", line.trim_end()).expect("a string takes all");
    }

    fn string(&self, at: usize) -> String {
        let end = self.file[at..].iter().position(|&byte| byte == 0).expect("a NUL ends it");
        String::from_utf8_lossy(&self.file[at..at + end]).into_owned()
    }

    fn file_header(&mut self, header: &FileHeader64<Endianness>) {
        self.text.push_str("file header\n");
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
        fields! { self, 0, FileHeader64<Endianness>, header;
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
        fields! { self, at, ProgramHeader64<Endianness>, header;
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
        fields! { self, at, SectionHeader64<Endianness>, header;
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
        fields! { self, at, NoteHeader64<Endianness>, header;
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
            fields! { self, at, Rela64<Endianness>, entry;
                r_offset: "the word at this address becomes the sum of";
            }
            self.field(
                at + offset_of!(Rela64<Endianness>, r_info),
                "r_info",
                name,
                "where the program lies",
            );
            fields! { self, at, Rela64<Endianness>, entry; r_addend: "and this address"; }
        }
    }

    fn symbols(&mut self, section: &LaidOutSection) {
        let start = offset(section.offset.0);
        let strings = start + offset(section.file_size.0);
        for at in (start..strings).step_by(size_of::<Sym64<Endianness>>()) {
            let symbol = self.structure::<Sym64<Endianness>>(at);
            let name = self.string(strings + offset(symbol.st_name.get(LE).into()));
            self.title("symbol");
            fields! { self, at, Sym64<Endianness>, symbol; st_name: name; }
            let info = format!("{:?} {:?}", symbol.st_bind(), symbol.st_type());
            self.field(at + offset_of!(Sym64<Endianness>, st_info), "st_info", &info, "");
            fields! { self, at, Sym64<Endianness>, symbol;
                st_shndx: "the section it lies in";
                st_value: "its address";
                st_size: "its bytes";
            }
        }
    }

    fn bytes(&mut self, name: &str, section: &LaidOutSection) {
        let size = section.file_size.0;
        let place = match section.address.0 {
            0 => "not in memory".to_owned(), // where the headers are
            address => format!("at address {address:#x}"),
        };
        self.title(&format!("{name}: {size:#x} bytes, {place}"));
        let start = offset(section.offset.0);
        for at in (start..start + offset(size)).step_by(16) {
            let length = 16.min(start + offset(size) - at);
            let text: String = self.file[at..at + length]
                .iter()
                .map(
                    |&byte| if byte.is_ascii_graphic() || byte == b' ' { byte.into() } else { '.' },
                )
                .collect();
            let line = format!("{at:#06x}  {:<47}  {text}", self.hex(at, length).join(" "));
            writeln!(self.text, "{}", line.trim_end()).expect("a string takes all");
        }
    }

    /// Each byte as two digits.
    fn hex(&self, at: usize, length: usize) -> Vec<String> {
        self.file[at..at + length].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
