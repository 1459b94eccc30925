//! The sizes of an ELF file's own tables, known before any address is.

use object::elf;
use object::write::StringTable;
use object::write::elf::Encoder;
use object::{Endianness, U32};

use super::dynamic::Dynamic;
use super::plan::{BUILD_ID, HEADERS, RELA_DYN, SECTION_HEADERS, SHSTRTAB, STRTAB, SYMTAB};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::format::layout::{Gathered, NamedSymbol};
use crate::format::plan::{Role, SegmentRole, TableId};
use crate::format::{Options, Shape};
use crate::program::{Binding, SectionKind};
use crate::target::Architecture;
use crate::units::{Align, Size};

/// Bytes of a build identity: as many as a SHA-1 has, which is what other tools expect.
pub(super) const BUILD_ID_SIZE: usize = 20;

/// The name of build-id notes' owner, its NUL included.
pub(super) const NOTE_OWNER: &[u8; 4] = b"GNU\0";

/// What every ELF file here is encoded with.
pub(super) fn encoder(architecture: Architecture) -> Encoder<Endianness> {
    Encoder::new(Endianness::Little, true, machine(architecture))
}

pub(super) fn machine(architecture: Architecture) -> elf::Machine {
    match architecture {
        Architecture::X86_64 => elf::EM_X86_64,
        Architecture::Aarch64 => elf::EM_AARCH64,
    }
}

/// A count as the format's fields hold it.
///
/// # Panics
/// Never for what comes from a program: its sections and symbols are numbered in 32 bits.
pub(super) fn count(items: usize) -> u32 {
    u32::try_from(items).expect("sections and symbols are numbered in 32 bits")
}

/// What a program header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProgramHeader {
    /// `PT_PHDR`: where the program headers lie themselves.
    Headers,
    /// `PT_INTERP`: the path of the dynamic linker.
    Interpreter,
    /// `PT_DYNAMIC`: what the dynamic linker reads.
    Dynamic,
    /// `PT_LOAD`: this segment of the layout.
    Load(usize),
    /// `PT_NOTE`: the build identity.
    Note,
    /// `PT_GNU_EH_FRAME`: the table for unwinding.
    Unwind,
    /// `PT_TLS`: the template that each thread's variables are copied from.
    Tls,
    /// `PT_GNU_RELRO`: the segment that turns read-only.
    RelRo,
    /// `PT_GNU_STACK`: the stack is not executable.
    Stack,
}

/// The tables of a file, sized.
pub struct Tables {
    pub(super) program_headers: Vec<ProgramHeader>,
    /// For each output section of the gathered program its section header's index.
    pub(super) header_indices: Vec<Option<u32>>,
    pub(super) section_count: u32,
    /// Which symbols the symbol table holds, in its order: local ones first (gABI, "Symbol Table").
    pub(super) symbol_order: Vec<usize>,
    pub(super) local_symbols: u32,
    pub(super) symbol_names: Strings,
    pub(super) section_names: Strings,
    pub(super) dynamic: Option<Dynamic>,
    load_relocations: u64,
    has_symbols: bool,
    encoder: Encoder<Endianness>,
}

/// A finished string table: its bytes, and where each string starts.
#[derive(Default)]
pub(super) struct Strings {
    pub(super) bytes: Vec<u8>,
    pub(super) offsets: Vec<u32>,
}

impl Strings {
    /// A table of `strings`, in which equal strings and common tails are kept once.
    fn new<'s>(strings: impl Iterator<Item = &'s str>) -> Result<Self, Error> {
        let mut table = StringTable::new();
        let ids: Vec<_> = strings.map(|string| table.add(string.as_bytes())).collect();
        let mut bytes = vec![0];
        table.write(&mut bytes, 1).map_err(|error| {
            Error::new(ErrorKind::TooLarge, format!("the names do not fit a string table: {error}"))
        })?;
        let offsets = ids.into_iter().map(|id| table.get_offset(id)).collect();
        Ok(Self { bytes, offsets })
    }
}

impl Tables {
    pub(super) fn shape(&self, table: TableId) -> Option<Shape> {
        let encoder = self.encoder;
        let word = Align::of(encoder.address_size());
        let (present, size, align) = match table {
            HEADERS => {
                let each = encoder.program_header_size();
                (true, encoder.file_header_size() + each * self.program_headers.len() as u64, word)
            }
            BUILD_ID => {
                let header = size_of::<elf::NoteHeader64<Endianness>>();
                let size = header + NOTE_OWNER.len() + BUILD_ID_SIZE;
                (true, size as u64, Align::of(align_of::<U32<Endianness>>().max(4) as u64))
            }
            RELA_DYN => {
                let count = self.load_relocations;
                (count > 0, count * encoder.rel_size(true), word)
            }
            SYMTAB => {
                let count = self.symbol_order.len() as u64 + 1;
                (self.has_symbols, count * encoder.sym_size(), word)
            }
            STRTAB => (self.has_symbols, self.symbol_names.bytes.len() as u64, Align::ONE),
            SHSTRTAB => (true, self.section_names.bytes.len() as u64, Align::ONE),
            SECTION_HEADERS => {
                (true, u64::from(self.section_count) * encoder.section_header_size(), word)
            }
            _ => return self.dynamic.as_ref()?.shape(table),
        };
        present.then_some(Shape { size: Size(size), align })
    }
}

/// Sizes every table.
///
/// # Errors
/// Names that hold a NUL; more names than a string table can hold.
pub(super) fn size(gathered: &Gathered<'_>, options: &Options) -> Result<Tables> {
    let has_symbols = !options.strip && !gathered.symbols.is_empty();
    let symbols = if has_symbols { &gathered.symbols[..] } else { &[] };
    check_names(symbols)?;

    let mut symbol_order: Vec<usize> = (0..symbols.len()).collect();
    symbol_order.sort_by_key(|&index| symbols[index].binding != Binding::Local);
    let local_symbols =
        count(symbols.iter().filter(|symbol| symbol.binding == Binding::Local).count());
    let symbol_names = Strings::new(symbol_order.iter().map(|&index| symbols[index].name))?;

    let mut tables = Tables {
        program_headers: Vec::new(),
        header_indices: Vec::new(),
        section_count: 0,
        symbol_order,
        local_symbols: local_symbols + 1, // the null symbol
        symbol_names,
        section_names: Strings::default(),
        dynamic: Dynamic::new(gathered, encoder(gathered.program.target.architecture)),
        load_relocations: gathered.load_relocations.len() as u64,
        has_symbols,
        encoder: encoder(gathered.program.target.architecture),
    };
    tables.program_headers = program_headers(gathered, tables.dynamic.as_ref());

    // The null section, then every output section but the headers themselves.
    let mut next = 1;
    let mut names = Vec::new();
    for section in gathered.sections() {
        let has_header = match section.role {
            Role::Table(HEADERS | SECTION_HEADERS) => false,
            Role::Table(table) => tables.shape(table).is_some(),
            _ => true,
        };
        tables.header_indices.push(has_header.then_some(next));
        if has_header {
            next += 1;
            names.push(&*section.name);
        }
    }
    tables.section_count = next;
    tables.section_names = Strings::new(names.into_iter())?;
    Ok(tables)
}

/// Which program headers there are: `PT_PHDR` first, as the gABI asks, then segments as they ascend.
fn program_headers(gathered: &Gathered<'_>, dynamic: Option<&Dynamic>) -> Vec<ProgramHeader> {
    let mut headers = vec![ProgramHeader::Headers];
    if dynamic.is_some_and(|dynamic| dynamic.interpreter.is_some()) {
        headers.push(ProgramHeader::Interpreter);
    }
    let present = gathered
        .segments
        .iter()
        .filter(|segment| !segment.sections.is_empty() && segment.row.role.is_mapped());
    let mut has_relro = false;
    for (index, segment) in present.enumerate() {
        headers.push(ProgramHeader::Load(index));
        has_relro |= segment.row.role == SegmentRole::RelRo;
    }
    if dynamic.is_some() {
        headers.push(ProgramHeader::Dynamic);
    }
    headers.push(ProgramHeader::Note);
    if [SectionKind::TlsData, SectionKind::TlsBss]
        .iter()
        .any(|kind| gathered.has(Role::Kind(*kind)))
    {
        headers.push(ProgramHeader::Tls);
    }
    if gathered.has(Role::Kind(SectionKind::Unwind)) {
        headers.push(ProgramHeader::Unwind);
    }
    if has_relro {
        headers.push(ProgramHeader::RelRo);
    }
    headers.push(ProgramHeader::Stack);
    headers
}

fn check_names(symbols: &[NamedSymbol<'_>]) -> Result<()> {
    match symbols.iter().find(|symbol| symbol.name.contains('\0')) {
        None => Ok(()),
        Some(symbol) => Err(Error::new(
            ErrorKind::InvalidValue,
            format!("the name {:?} holds a NUL, which ends names in a symbol table", symbol.name),
        )
        .at(Place::Symbol(symbol.id), "")
        .into()),
    }
}
