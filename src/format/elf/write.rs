//! The bytes of an ELF file's own tables, top to bottom as in the file.

use std::collections::{HashMap, HashSet};

use object::elf;
use object::pod;
use object::write::elf::{
    Encoder, FileHeader, FileHeaderLayout, ProgramHeader as Header, Rel, SectionHeader, Sym,
};
use object::{Endianness, U32};

use super::Elf;
use super::dynamic::{Dynamic, DynamicSymbol};
use super::plan::{
    BUILD_ID, DYNAMIC, DYNSTR, DYNSYM, GNU_HASH, HASH, HEADERS, INTERP, RELA_DYN, SECTION_HEADERS,
    SHSTRTAB, STRTAB, SYMTAB, VERDEF, VERNEED, VERSYM,
};
use super::tables::{BUILD_ID_SIZE, NOTE_OWNER, ProgramHeader, count, encoder, machine};
use crate::format::Linked;
use crate::format::layout::{
    LaidOutSection, Layout, LoadRelocation, LoadValue, NamedSymbol, Segment,
};
use crate::format::plan::{Permissions, Role, TableId};
use crate::program::{Binding, Position, SectionKind, SymbolType};
use crate::target::Architecture;

/// The bytes of one table.
pub(super) fn table(linked: &Linked<'_, Elf>, table: TableId) -> Vec<u8> {
    let encoder = encoder(linked.layout.target.architecture);
    match table {
        HEADERS => headers(linked, encoder),
        BUILD_ID => build_id_note(),
        RELA_DYN => load_relocations(linked, encoder),
        SYMTAB => symbols(linked, encoder),
        STRTAB => linked.tables.symbol_names.bytes.clone(),
        SHSTRTAB => linked.tables.section_names.bytes.clone(),
        SECTION_HEADERS => section_headers(linked, encoder),
        _ => {
            let dynamic = linked.tables.dynamic.as_ref();
            dynamic_table(
                linked,
                dynamic.expect("only dynamic files have other tables"),
                encoder,
                table,
            )
        }
    }
}

/// The bytes of a table that the dynamic linker reads.
fn dynamic_table(
    linked: &Linked<'_, Elf>,
    dynamic: &Dynamic,
    encoder: Encoder<Endianness>,
    table: TableId,
) -> Vec<u8> {
    match table {
        INTERP => dynamic.interpreter.clone().unwrap_or_default(),
        DYNSYM => dynamic_symbols(linked, dynamic, encoder),
        DYNSTR => dynamic.strings.bytes.clone(),
        GNU_HASH => dynamic.gnu_hash(),
        HASH => dynamic.sysv_hash(),
        VERSYM => dynamic.versym(),
        VERNEED => dynamic.verneed(),
        VERDEF => dynamic.verdef(),
        DYNAMIC => {
            let mut bytes = Vec::new();
            let entries = dynamic.entries(|role| {
                let section = linked.layout.section(role)?;
                Some((section.address, section.size))
            });
            for (tag, value) in entries {
                encoder.dynamic(&mut bytes, tag, value).expect("64 bits hold every value");
            }
            bytes
        }
        _ => unreachable!("the plan names no other table"),
    }
}

fn dynamic_symbols(
    linked: &Linked<'_, Elf>,
    dynamic: &Dynamic,
    encoder: Encoder<Endianness>,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    encoder.null_symbol(&mut bytes);
    let named: HashMap<_, _> =
        linked.gathered.symbols.iter().map(|named| (named.id, named)).collect();
    for symbol in &dynamic.symbols {
        let entry = match named.get(&symbol.symbol).filter(|_| symbol.is_export) {
            Some(named) => exported_symbol(linked, named, symbol.name),
            None => imported_symbol(linked, symbol),
        };
        encoder.symbol(&mut bytes, &entry);
    }
    bytes
}

/// A symbol that others see, whoever saw it inside.
fn exported_symbol(linked: &Linked<'_, Elf>, named: &NamedSymbol<'_>, st_name: u32) -> Sym {
    let binding = match named.binding {
        Binding::Weak => Binding::Weak,
        Binding::Local | Binding::Global => Binding::Global,
    };
    symbol_entry(linked, &NamedSymbol { binding, ..*named }, st_name)
}

/// A symbol that some library has.
fn imported_symbol(linked: &Linked<'_, Elf>, symbol: &DynamicSymbol) -> Sym {
    let is_weak = linked.gathered.program.symbol(symbol.symbol).binding == Binding::Weak;
    let binding = if is_weak { elf::STB_WEAK } else { elf::STB_GLOBAL };
    let symbol_type = if symbol.is_thread_local { elf::STT_TLS } else { elf::STT_NOTYPE };
    Sym {
        section: None,
        st_name: symbol.name,
        st_info: elf::SymbolInfo::new(binding, symbol_type),
        st_other: elf::SymbolOther::default(),
        st_shndx: elf::SHN_UNDEF,
        st_value: 0,
        st_size: 0,
    }
}

fn find(layout: &Layout, table: TableId) -> &LaidOutSection {
    layout.section(Role::Table(table)).expect("every file has this table")
}

/// The index of a table's section header; 0 for one that the file does not have.
fn section_index(linked: &Linked<'_, Elf>, table: TableId) -> u32 {
    let mut sections = linked.gathered.sections();
    let index = sections.position(|section| section.role == Role::Table(table));
    index.and_then(|index| linked.tables.header_indices[index]).unwrap_or(0)
}

fn file_layout(linked: &Linked<'_, Elf>, encoder: Encoder<Endianness>) -> FileHeaderLayout {
    FileHeaderLayout {
        e_phoff: encoder.file_header_size(),
        segment_num: count(linked.tables.program_headers.len()),
        e_shoff: find(linked.layout, SECTION_HEADERS).offset.0,
        section_num: linked.tables.section_count,
        shstrtab_index: section_index(linked, SHSTRTAB),
    }
}

fn headers(linked: &Linked<'_, Elf>, encoder: Encoder<Endianness>) -> Vec<u8> {
    let layout = linked.layout;
    let mut bytes = Vec::new();
    let header = FileHeader {
        e_type: match linked.gathered.program.wishes.position {
            Position::Independent => elf::ET_DYN,
            Position::Fixed => elf::ET_EXEC,
        },
        e_machine: machine(layout.target.architecture),
        e_entry: layout.entry.map_or(0, |entry| entry.0),
        ..FileHeader::default()
    };
    encoder
        .file_header(&mut bytes, &header, &file_layout(linked, encoder))
        .expect("a plan has fewer than 65535 segments");
    for header in &linked.tables.program_headers {
        encoder.program_header(&mut bytes, &program_header(layout, encoder, *header));
    }
    bytes
}

fn program_header(layout: &Layout, encoder: Encoder<Endianness>, header: ProgramHeader) -> Header {
    let of_section = |section: &LaidOutSection, skipped: u64, align: u64, p_type| Header {
        p_type,
        p_flags: flags(Permissions::READ),
        p_offset: section.offset.0 + skipped,
        p_vaddr: section.address.0 + skipped,
        p_paddr: section.address.0 + skipped,
        p_filesz: section.file_size.0 - skipped,
        p_memsz: section.size.0 - skipped,
        p_align: align,
    };
    let of_segment = |segment: &Segment, p_type, p_flags| Header {
        p_type,
        p_flags,
        p_offset: segment.offset.0,
        p_vaddr: segment.address.0,
        p_paddr: segment.address.0,
        p_filesz: segment.file_size.0,
        p_memsz: segment.size.0,
        p_align: segment.align.get(),
    };
    match header {
        ProgramHeader::Headers => {
            let behind_file_header = encoder.file_header_size();
            let word = encoder.address_size();
            of_section(find(layout, HEADERS), behind_file_header, word, elf::PT_PHDR)
        }
        ProgramHeader::Interpreter => of_section(find(layout, INTERP), 0, 1, elf::PT_INTERP),
        ProgramHeader::Dynamic => {
            let dynamic = find(layout, DYNAMIC);
            let header = of_section(dynamic, 0, dynamic.align.get(), elf::PT_DYNAMIC);
            Header { p_flags: flags(Permissions::READ_WRITE), ..header }
        }
        ProgramHeader::Load(index) => {
            let segment = &layout.segments[index];
            of_segment(segment, elf::PT_LOAD, flags(segment.permissions))
        }
        ProgramHeader::Note => {
            let note = find(layout, BUILD_ID);
            of_section(note, 0, note.align.get(), elf::PT_NOTE)
        }
        ProgramHeader::Unwind => {
            let table = layout.section(Role::Kind(SectionKind::Unwind));
            let table = table.expect("this header stands for a section");
            of_section(table, 0, table.align.get(), elf::PT_GNU_EH_FRAME)
        }
        ProgramHeader::Tls => {
            let template = layout.template().expect("this header stands for a template");
            let kinds = [SectionKind::TlsData, SectionKind::TlsBss].map(Role::Kind);
            let first = kinds.into_iter().find_map(|role| layout.section(role));
            let first = first.expect("a template has a section");
            Header {
                p_filesz: template.data_end.0 - template.start.0,
                p_memsz: template.end.0 - template.start.0,
                ..of_section(first, 0, template.align.get(), elf::PT_TLS)
            }
        }
        // What glibc, musl and minild's own start-up code protect: read-only from then on.
        ProgramHeader::RelRo => {
            let relro = layout.segments.iter().find(|segment| segment.relro);
            let relro = relro.expect("this header stands for a segment");
            Header { p_align: 1, ..of_segment(relro, elf::PT_GNU_RELRO, flags(Permissions::READ)) }
        }
        // Without this header old kernels give an executable stack.
        ProgramHeader::Stack => Header {
            p_type: elf::PT_GNU_STACK,
            p_flags: flags(Permissions::READ_WRITE),
            p_offset: 0,
            p_vaddr: 0,
            p_paddr: 0,
            p_filesz: 0,
            p_memsz: 0,
            p_align: 16,
        },
    }
}

fn flags(permissions: Permissions) -> elf::ProgramFlags {
    let mut flags = elf::ProgramFlags(0);
    for (allowed, flag) in [
        (permissions.read, elf::PF_R),
        (permissions.write, elf::PF_W),
        (permissions.execute, elf::PF_X),
    ] {
        if allowed {
            flags |= flag;
        }
    }
    flags
}

/// The note with an identity of zeros: sealing puts the real one in.
fn build_id_note() -> Vec<u8> {
    let endian = Endianness::Little;
    let header = elf::NoteHeader64 {
        n_namesz: U32::new(endian, count(NOTE_OWNER.len())),
        n_descsz: U32::new(endian, count(BUILD_ID_SIZE)),
        n_type: U32::new(endian, elf::NT_GNU_BUILD_ID),
    };
    let mut bytes = pod::bytes_of(&header).to_vec();
    bytes.extend_from_slice(NOTE_OWNER);
    bytes.extend_from_slice(&[0; BUILD_ID_SIZE]);
    bytes
}

/// One entry a word: where it lies, and what it becomes; those that only follow the image's place first,
/// since `DT_RELACOUNT` counts them.
fn load_relocations(linked: &Linked<'_, Elf>, encoder: Encoder<Endianness>) -> Vec<u8> {
    let layout = linked.layout;
    let kinds = Kinds::of(layout.target.architecture);
    // A variable's place is counted from the template's start.
    let template = layout.template().map_or(0, |template| template.start.0);
    let slots: HashSet<_> = linked.gathered.imports.iter().filter_map(|kept| kept.slot).collect();
    let entry = |relocation: &LoadRelocation| {
        let r_offset = layout.section_address(relocation.section).0 + relocation.offset;
        let dynamic = linked.tables.dynamic.as_ref().filter(|_| relocation.import.is_some());
        let Some(dynamic) = dynamic else {
            if let Some(r_type) = kinds.of_thread_local(relocation.value) {
                let of_module = relocation.value == LoadValue::Module;
                let place = layout.symbol(relocation.symbol).0 - template;
                let place = if of_module { 0 } else { place.cast_signed() };
                return Rel { r_offset, r_sym: 0, r_type, r_addend: place + relocation.addend };
            }
            let address = layout.symbol(relocation.symbol).0.wrapping_add_signed(relocation.addend);
            let r_addend = address.cast_signed();
            return Rel { r_offset, r_sym: 0, r_type: kinds.relative, r_addend };
        };
        let is_slot = slots.contains(&(relocation.section, relocation.offset));
        Rel {
            r_offset,
            r_sym: dynamic.import_index(relocation.symbol),
            r_type: match kinds.of_thread_local(relocation.value) {
                Some(r_type) => r_type,
                None if is_slot => kinds.slot,
                None => kinds.pointer,
            },
            r_addend: relocation.addend,
        }
    };
    let mut bytes = Vec::new();
    let all = &linked.gathered.load_relocations;
    let (relative, bound): (Vec<_>, Vec<_>) =
        all.iter().partition(|relocation| relocation.is_relative());
    for relocation in relative.into_iter().chain(bound) {
        encoder.relocation(&mut bytes, true, &entry(relocation));
    }
    bytes
}

/// The numbers of an architecture's dynamic relocations.
struct Kinds {
    /// The image's place and an addend.
    relative: elf::RelocationType,
    /// A symbol's address.
    slot: elf::RelocationType,
    /// A symbol's address and an addend.
    pointer: elf::RelocationType,
    /// How far a thread-local variable lies from the thread pointer.
    thread_offset: elf::RelocationType,
    /// The number of the file that has it.
    module: elf::RelocationType,
    /// Where in that file's thread-locals it lies.
    module_offset: elf::RelocationType,
    /// Its descriptor, two words.
    descriptor: elf::RelocationType,
}

impl Kinds {
    fn of(architecture: Architecture) -> Self {
        match architecture {
            Architecture::X86_64 => Self {
                relative: elf::R_X86_64_RELATIVE,
                slot: elf::R_X86_64_GLOB_DAT,
                pointer: elf::R_X86_64_64,
                thread_offset: elf::R_X86_64_TPOFF64,
                module: elf::R_X86_64_DTPMOD64,
                module_offset: elf::R_X86_64_DTPOFF64,
                descriptor: elf::R_X86_64_TLSDESC,
            },
            Architecture::Aarch64 => Self {
                relative: elf::R_AARCH64_RELATIVE,
                slot: elf::R_AARCH64_GLOB_DAT,
                pointer: elf::R_AARCH64_ABS64,
                thread_offset: elf::R_AARCH64_TLS_TPREL,
                module: elf::R_AARCH64_TLS_DTPMOD,
                module_offset: elf::R_AARCH64_TLS_DTPREL,
                descriptor: elf::R_AARCH64_TLSDESC,
            },
        }
    }

    /// The number for what is written of a thread-local variable; `None` for an address.
    fn of_thread_local(&self, value: LoadValue) -> Option<elf::RelocationType> {
        match value {
            LoadValue::Address => None,
            LoadValue::ThreadOffset => Some(self.thread_offset),
            LoadValue::Module => Some(self.module),
            LoadValue::ModuleOffset => Some(self.module_offset),
            LoadValue::Descriptor => Some(self.descriptor),
        }
    }
}

fn symbols(linked: &Linked<'_, Elf>, encoder: Encoder<Endianness>) -> Vec<u8> {
    let mut bytes = Vec::new();
    encoder.null_symbol(&mut bytes);
    let names = &linked.tables.symbol_names.offsets;
    for (&index, &st_name) in linked.tables.symbol_order.iter().zip(names) {
        let symbol = &linked.gathered.symbols[index];
        encoder.symbol(&mut bytes, &symbol_entry(linked, symbol, st_name));
    }
    bytes
}

fn symbol_entry(linked: &Linked<'_, Elf>, symbol: &NamedSymbol<'_>, st_name: u32) -> Sym {
    let binding = match symbol.binding {
        Binding::Local => elf::STB_LOCAL,
        Binding::Global => elf::STB_GLOBAL,
        Binding::Weak => elf::STB_WEAK,
    };
    let symbol_type = match symbol.symbol_type {
        SymbolType::Unspecified => elf::STT_NOTYPE,
        SymbolType::Function => elf::STT_FUNC,
        SymbolType::Object => elf::STT_OBJECT,
        SymbolType::ThreadLocal => elf::STT_TLS,
    };
    // A variable's value is its place in the template (gABI, "Symbol Table").
    let template = linked.layout.template().filter(|_| symbol_type == elf::STT_TLS);
    let base = template.map_or(0, |template| template.start.0);
    let section = symbol
        .section
        .and_then(|section| linked.tables.header_indices[linked.gathered.output_of(section)]);
    Sym {
        section,
        st_name,
        st_info: elf::SymbolInfo::new(binding, symbol_type),
        st_other: elf::SymbolOther::default(),
        st_shndx: if section.is_some() { elf::SHN_UNDEF } else { elf::SHN_ABS },
        st_value: linked.layout.symbol(symbol.id).0 - base,
        st_size: symbol.size,
    }
}

fn section_headers(linked: &Linked<'_, Elf>, encoder: Encoder<Endianness>) -> Vec<u8> {
    let mut bytes = Vec::new();
    encoder.null_section_header(&mut bytes, &file_layout(linked, encoder));
    let mut names = linked.tables.section_names.offsets.iter();
    for segment in &linked.layout.segments {
        for section in &segment.sections {
            if matches!(section.role, Role::Table(HEADERS | SECTION_HEADERS)) {
                continue;
            }
            let &sh_name = names.next().expect("every section has a name");
            let is_thread_local =
                matches!(section.role, Role::Kind(kind) if kind.is_thread_local());
            let mut sh_flags = elf::SectionFlags(0);
            for (set, flag) in [
                (segment.mapped, elf::SHF_ALLOC),
                (segment.permissions.write, elf::SHF_WRITE),
                (segment.permissions.execute, elf::SHF_EXECINSTR),
                (is_thread_local, elf::SHF_TLS),
            ] {
                if set {
                    sh_flags |= flag;
                }
            }
            let header = SectionHeader {
                sh_name,
                sh_flags,
                sh_addr: section.address.0,
                sh_offset: section.offset.0,
                sh_size: section.size.0,
                sh_addralign: section.align.get(),
                ..by_role(linked, encoder, section.role)
            };
            encoder.section_header(&mut bytes, &header);
        }
    }
    bytes
}

/// What a section header says beside name and place.
fn by_role(linked: &Linked<'_, Elf>, encoder: Encoder<Endianness>, role: Role) -> SectionHeader {
    let plain = |sh_type| SectionHeader { sh_type, ..SectionHeader::default() };
    let index = |table| section_index(linked, table);
    let versions = linked.tables.dynamic.as_ref().map_or((0, 0), Dynamic::version_counts);
    match role {
        Role::Table(BUILD_ID) => plain(elf::SHT_NOTE),
        Role::Table(RELA_DYN) => {
            SectionHeader { sh_link: index(DYNSYM), ..encoder.relocation_section_header(true) }
        }
        Role::Table(SYMTAB) => {
            encoder.symtab_section_header(index(STRTAB), linked.tables.local_symbols)
        }
        Role::Table(STRTAB | SHSTRTAB) => encoder.strtab_section_header(),
        Role::Table(DYNSTR) => encoder.dynstr_section_header(),
        // Behind the null symbol, which is local, there are none but what others see.
        Role::Table(DYNSYM) => encoder.dynsym_section_header(index(DYNSTR), 1),
        Role::Table(DYNAMIC) => encoder.dynamic_section_header(index(DYNSTR)),
        Role::Table(GNU_HASH) => encoder.gnu_hash_section_header(index(DYNSYM)),
        Role::Table(HASH) => encoder.hash_section_header(index(DYNSYM)),
        Role::Table(VERSYM) => encoder.gnu_versym_section_header(index(DYNSYM)),
        Role::Table(VERNEED) => encoder.gnu_verneed_section_header(index(DYNSTR), versions.0),
        Role::Table(VERDEF) => encoder.gnu_verdef_section_header(index(DYNSTR), versions.1),
        Role::Kind(SectionKind::Bss | SectionKind::TlsBss) => plain(elf::SHT_NOBITS),
        Role::Kind(SectionKind::Init) => plain(elf::SHT_INIT_ARRAY),
        Role::Kind(SectionKind::Fini) => plain(elf::SHT_FINI_ARRAY),
        _ => plain(elf::SHT_PROGBITS),
    }
}
