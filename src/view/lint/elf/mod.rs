//! ELF files: what the rules ask of one, read once.

mod functions;
mod hashes;
mod header;
mod interpreter;
mod linking;
mod marks;
mod relocations;
mod sections;
mod segments;
mod symbols;
mod versions;

use std::cell::Cell;

use object::LittleEndian as LE;
use object::elf;

use super::bytes::{Bytes, Field};
use super::report::{Place, Report};
use super::rule::{Check, Kind, Loader, Rule, Subject};
use super::{Lint, unsupported};
use crate::error::Error;
use crate::target::Architecture;

/// The families of rules, in the order in which they look.
pub(super) const FAMILIES: &[&[Rule]] = &[
    header::RULES,
    segments::RULES,
    marks::RULES,
    sections::RULES,
    interpreter::RULES,
    linking::RULES,
    functions::RULES,
    hashes::RULES,
    relocations::RULES,
    symbols::RULES,
    versions::RULES,
];

/// More program headers than these no kernel reads: `load_elf_phdrs` takes at most 64 KiB of them.
const MOST_SEGMENTS: u64 = 65536 / PROGRAM_HEADER_SIZE;
const PROGRAM_HEADER_SIZE: u64 = size_of::<elf::ProgramHeader64<LE>>() as u64;

/// Bytes of the ELF header of 32-bit files.
const SHORT_HEADER: u16 = 52;

/// Files are no longer (`off_t`), so what lies behind an offset by a count of 32 bits has one too.
const MOST_OFFSET: u64 = i64::MAX as u64;

/// Pages of every kernel for x86-64, and of most for arm64.
const PAGE: u64 = 0x1000;
/// The largest pages of kernels for arm64.
const LARGE_PAGE: u64 = 0x1_0000;

/// A file as the kernel and the dynamic linker see it.
#[derive(Debug)]
pub(super) struct Elf<'d> {
    data: Bytes<'d>,
    header: elf::FileHeader64<LE>,
    architecture: Architecture,
    kind: Kind,
    /// `None` where the program headers cannot be read: their rules say why.
    segments: Option<Vec<Segment>>,
    dynamic: Option<Dynamic>,
    strings: Option<Strings<'d>>,
    /// Bytes of names that may still be read: names overlap, and a file that means harm has a million long ones.
    names_left: Cell<u64>,
}

/// The dynamic linker's string table.
#[derive(Clone, Copy, Debug)]
struct Strings<'d> {
    bytes: Bytes<'d>,
    /// Where the last text in it ends.
    last_end: Option<u64>,
}

impl Strings<'_> {
    /// Whether a text that begins there ends inside.
    fn holds(&self, offset: u64) -> bool {
        self.last_end.is_some_and(|end| offset <= end)
    }
}

/// A program header.
#[derive(Clone, Copy, Debug)]
struct Segment {
    index: usize,
    /// Where it lies in the file.
    header: u64,
    kind: elf::ProgramType,
    flags: u32,
    offset: u64,
    address: u64,
    file_size: u64,
    size: u64,
    align: u64,
}

impl Segment {
    /// Where a field of it lies.
    fn place(&self, field: Field) -> Place {
        let structure = format!("program header {} ({}), {}", self.index, self.name(), field.name);
        Place::new(self.header + field.offset, field.size, structure)
    }

    fn name(&self) -> String {
        const NAMES: &[(elf::ProgramType, &str)] = &[
            (elf::PT_LOAD, "PT_LOAD"),
            (elf::PT_DYNAMIC, "PT_DYNAMIC"),
            (elf::PT_INTERP, "PT_INTERP"),
            (elf::PT_NOTE, "PT_NOTE"),
            (elf::PT_PHDR, "PT_PHDR"),
            (elf::PT_TLS, "PT_TLS"),
            (elf::PT_GNU_EH_FRAME, "PT_GNU_EH_FRAME"),
            (elf::PT_GNU_STACK, "PT_GNU_STACK"),
            (elf::PT_GNU_RELRO, "PT_GNU_RELRO"),
            (elf::PT_GNU_PROPERTY, "PT_GNU_PROPERTY"),
        ];
        let known = NAMES.iter().find(|(kind, _)| *kind == self.kind);
        known.map_or_else(|| format!("type {:#x}", self.kind.0), |(_, name)| (*name).to_owned())
    }

    fn has(&self, flag: elf::ProgramFlags) -> bool {
        self.flags & flag.0 != 0
    }

    /// The address behind it, or the last one.
    fn end(&self) -> u64 {
        self.address.saturating_add(self.size)
    }

    /// Whether it has these addresses in memory.
    fn holds(&self, address: u64, size: u64) -> bool {
        address >= self.address && address.checked_add(size).is_some_and(|end| end <= self.end())
    }

    /// Where these addresses lie in the file, if all of them do.
    fn file_offset(&self, address: u64, size: u64) -> Option<u64> {
        let inside = address.checked_sub(self.address)?;
        let is_inside = inside.checked_add(size)? <= self.file_size;
        self.offset.checked_add(inside).filter(|offset| is_inside && *offset <= MOST_OFFSET)
    }
}

/// The table that the dynamic linker reads first.
#[derive(Debug)]
struct Dynamic {
    /// Up to `DT_NULL`, without it.
    entries: Vec<Entry>,
    is_terminated: bool,
}

/// An entry of the dynamic table.
#[derive(Clone, Copy, Debug)]
struct Entry {
    tag: elf::DynamicTag,
    value: u64,
    /// Where it lies in the file.
    offset: u64,
}

impl Entry {
    fn place(&self, name: &str) -> Place {
        Place::new(
            self.offset,
            size_of::<elf::Dyn64<LE>>() as u64,
            format!("dynamic table, {name}"),
        )
    }
}

impl Dynamic {
    /// Bytes of an entry.
    const ENTRY: u64 = size_of::<elf::Dyn64<LE>>() as u64;

    /// Reads `size` bytes from `start` on: dynamic linkers read on to `DT_NULL`, whatever `PT_DYNAMIC` says.
    fn read(data: Bytes<'_>, start: u64, size: u64) -> Self {
        let mut entries = Vec::new();
        let mut is_terminated = false;
        for index in 0..size / Self::ENTRY {
            let Some(offset) = start.checked_add(index * Self::ENTRY) else { break };
            let Some(entry) = data.read::<elf::Dyn64<LE>>(offset) else { break };
            let tag = entry.d_tag.get(LE);
            if tag == elf::DT_NULL {
                is_terminated = true;
                break;
            }
            entries.push(Entry { tag, value: entry.d_val.get(LE), offset });
        }
        Self { entries, is_terminated }
    }

    /// The entry of a tag: the last one, as dynamic linkers take it.
    fn entry(&self, tag: elf::DynamicTag) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.tag == tag)
    }

    fn value(&self, tag: elf::DynamicTag) -> Option<u64> {
        self.entry(tag).map(|entry| entry.value)
    }

    /// Whether all symbols are looked for before the program starts, not when they are first called.
    fn is_bound_at_start(&self) -> bool {
        let has = |tag, flag: u64| self.value(tag).is_some_and(|flags| flags & flag != 0);
        self.entry(elf::DT_BIND_NOW).is_some()
            || has(elf::DT_FLAGS, elf::DF_BIND_NOW.0)
            || has(elf::DT_FLAGS_1, elf::DF_1_NOW.0)
    }

    fn all(&self, tag: elf::DynamicTag) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.tag == tag)
    }
}

impl<'d> Elf<'d> {
    /// A file of which only the header was read.
    fn new(data: Bytes<'d>, header: elf::FileHeader64<LE>, architecture: Architecture) -> Self {
        Self {
            data,
            header,
            architecture,
            kind: Kind::Program,
            segments: None,
            dynamic: None,
            strings: None,
            // Linkers merge names that end alike; sixteen to a byte is more than any file has.
            names_left: Cell::new(data.len().saturating_mul(16)),
        }
    }

    fn field(field: Field) -> Place {
        Place::new(field.offset, field.size, format!("ELF header, {}", field.name))
    }

    fn segments(&self) -> &[Segment] {
        self.segments.as_deref().unwrap_or_default()
    }

    fn of_kind(&self, kind: elf::ProgramType) -> impl DoubleEndedIterator<Item = &Segment> {
        self.segments().iter().filter(move |segment| segment.kind == kind)
    }

    fn loads(&self) -> impl DoubleEndedIterator<Item = &Segment> {
        self.of_kind(elf::PT_LOAD)
    }

    fn first(&self, kind: elf::ProgramType) -> Option<&Segment> {
        self.of_kind(kind).next()
    }

    /// The load segment whose addresses in memory these are.
    fn load_at(&self, address: u64, size: u64) -> Option<&Segment> {
        self.loads().find(|segment| segment.holds(address, size))
    }

    /// Where the file has these addresses.
    fn file_offset(&self, address: u64, size: u64) -> Option<u64> {
        self.loads().find_map(|segment| segment.file_offset(address, size))
    }

    /// Whether the system moves it to where it has room.
    fn is_position_independent(&self) -> bool {
        self.header.e_type.get(LE) == elf::ET_DYN
    }

    /// The path of the dynamic linker, as the file has it.
    fn interpreter(&self) -> Option<(&Segment, &'d [u8])> {
        let segment = self.first(elf::PT_INTERP)?;
        self.data.slice(segment.offset, segment.file_size).map(|path| (segment, path))
    }

    /// The dynamic table, where it ends: else what its last entries are is anybody's guess.
    fn linking(&self) -> Option<&Dynamic> {
        self.dynamic.as_ref().filter(|dynamic| dynamic.is_terminated)
    }

    /// Where the dynamic table begins, for what is missing in it.
    fn linking_place(&self) -> Place {
        let offset = self.first(elf::PT_DYNAMIC).map_or(0, |segment| segment.offset);
        Place::new(offset, 0, "dynamic table")
    }

    /// Whether anybody but the program itself reads the dynamic table.
    fn has_linker(&self) -> bool {
        self.first(elf::PT_INTERP).is_some() || self.kind == Kind::Library
    }

    /// Where the file has what is at an address, and how many bytes of its segment follow there.
    fn bytes_at(&self, address: u64) -> Option<(u64, u64)> {
        self.loads().find_map(|load| {
            let offset = load.file_offset(address, 1)?;
            Some((offset, load.file_size - (address - load.address)))
        })
    }

    /// A name of the dynamic linker's string table; `None` too where more were read than the file has room for.
    fn dynamic_string(&self, offset: u64) -> Option<&'d [u8]> {
        let strings = self.strings?;
        if !strings.holds(offset) || self.names_left.get() == 0 {
            return None;
        }
        let name = strings.bytes.c_string(offset)?;
        self.names_left.set(self.names_left.get().saturating_sub(name.len() as u64 + 1));
        Some(name)
    }

    /// Where an entry of the dynamic symbol table lies, and what it says.
    fn symbol(&self, index: u64) -> Option<(u64, elf::Sym64<LE>)> {
        let size = size_of::<elf::Sym64<LE>>() as u64;
        let table = self.dynamic.as_ref()?.value(elf::DT_SYMTAB)?;
        let at = self.file_offset(table.checked_add(index.checked_mul(size)?)?, size)?;
        Some((at, self.data.read(at)?))
    }
}

/// The dynamic table, where the dynamic linker finds it: by its address, and else by its place in the file.
fn read_dynamic(elf: &Elf<'_>) -> Option<Dynamic> {
    let segment = elf.first(elf::PT_DYNAMIC)?;
    let (start, size) =
        elf.bytes_at(segment.address).unwrap_or((segment.offset, segment.file_size));
    Some(Dynamic::read(elf.data, start, size))
}

/// The string table, where all of it is in the file.
fn read_strings<'d>(elf: &Elf<'d>) -> Option<Strings<'d>> {
    let dynamic = elf.dynamic.as_ref()?;
    let (table, size) = (dynamic.value(elf::DT_STRTAB)?, dynamic.value(elf::DT_STRSZ)?);
    let bytes = elf.data.slice(elf.file_offset(table, size)?, size)?;
    let last_end = bytes.iter().rposition(|byte| *byte == 0).map(|end| end as u64);
    Some(Strings { bytes: Bytes(bytes), last_end })
}

/// Reads a file and looks at it with every rule for ELF.
pub(super) fn lint(data: Bytes<'_>) -> Result<Lint, Error> {
    // The class alone may be a slip; with the size of the other class's header it is none (x32 has this machine).
    let is_short = data.0.get(4) == Some(&elf::ELFCLASS32.0)
        && data.u16(field!(elf::FileHeader32<LE>, e_ehsize).offset) == Some(SHORT_HEADER);
    let machine = data.u16(field!(elf::FileHeader64<LE>, e_machine).offset);
    let architecture = match machine.map(elf::Machine) {
        Some(elf::EM_X86_64 | elf::EM_AARCH64) if is_short => {
            return Err(unsupported("it is an ELF file with 32-bit addresses (x32, ILP32)"));
        }
        None | Some(elf::EM_X86_64) => Architecture::X86_64,
        Some(elf::EM_AARCH64) => Architecture::Aarch64,
        Some(machine) => {
            let class = if data.0.get(4) == Some(&elf::ELFCLASS32.0) { "a 32-bit" } else { "an" };
            let what = format!("it is {class} ELF file for another machine ({})", machine.0);
            return Err(unsupported(&what));
        }
    };
    let Some(header) = data.read::<elf::FileHeader64<LE>>(0) else {
        return Ok(truncated(data, architecture));
    };
    let mut elf = Elf::new(data, header, architecture);
    elf.segments = read_segments(data, &elf.header);
    elf.dynamic = read_dynamic(&elf);
    elf.strings = read_strings(&elf);
    elf.kind = kind(&elf);
    let subject = subject(&elf);
    let mut report = Report::new(&subject);
    look(&elf, &mut report, FAMILIES.iter().copied().flatten());
    let kind = match elf.kind {
        Kind::Program => "program",
        Kind::Library => "shared library",
    };
    Ok(Lint { file: format!("ELF64 {kind}, {architecture}"), findings: report.findings })
}

/// A file that ends inside its header has nothing else to be looked at.
fn truncated(data: Bytes<'_>, architecture: Architecture) -> Lint {
    let mut whole = [0; size_of::<elf::FileHeader64<LE>>()];
    whole[..data.0.len()].copy_from_slice(data.0);
    let header = Bytes(&whole).read(0).expect("just as large");
    let elf = Elf::new(data, header, architecture);
    let subject = subject(&elf);
    let mut report = Report::new(&subject);
    look(&elf, &mut report, header::RULES.iter().take(1));
    Lint { file: "ELF64, truncated".into(), findings: report.findings }
}

fn look(elf: &Elf<'_>, report: &mut Report<'_>, rules: impl Iterator<Item = &'static Rule>) {
    for rule in rules {
        if let Check::Elf(check) = rule.check
            && report.begin(rule)
        {
            check(elf, report);
            report.end();
        }
    }
}

fn read_segments(data: Bytes<'_>, header: &elf::FileHeader64<LE>) -> Option<Vec<Segment>> {
    let count = u64::from(header.e_phnum.get(LE));
    let has_entries = u64::from(header.e_phentsize.get(LE)) == PROGRAM_HEADER_SIZE
        && (1..=MOST_SEGMENTS).contains(&count);
    if !has_entries {
        return None;
    }
    (0..count)
        .zip(0..)
        .map(|(number, index)| {
            let at = header.e_phoff.get(LE).checked_add(number * PROGRAM_HEADER_SIZE)?;
            let header = data.read::<elf::ProgramHeader64<LE>>(at)?;
            Some(Segment {
                index,
                header: at,
                kind: header.p_type.get(LE),
                flags: header.p_flags.get(LE).0,
                offset: header.p_offset.get(LE),
                address: header.p_vaddr.get(LE),
                file_size: header.p_filesz.get(LE),
                size: header.p_memsz.get(LE),
                align: header.p_align.get(LE),
            })
        })
        .collect()
}

/// Programs and libraries have one type in the header; what else they have tells them apart.
fn kind(elf: &Elf<'_>) -> Kind {
    let Some(dynamic) = &elf.dynamic else { return Kind::Program };
    // Linkers leave a debugger's entry in programs only, and name libraries only; who made an entry into another one
    // may have left the former in the latter.
    let is_program =
        dynamic.value(elf::DT_FLAGS_1).is_some_and(|flags| flags & elf::DF_1_PIE.0 != 0)
            || dynamic.entry(elf::DT_DEBUG).is_some() && dynamic.entry(elf::DT_SONAME).is_none();
    let is_linked = [elf::DT_SONAME, elf::DT_NEEDED, elf::DT_HASH, elf::DT_GNU_HASH]
        .iter()
        .any(|tag| dynamic.entry(*tag).is_some());
    let is_library = elf.is_position_independent()
        && elf.first(elf::PT_INTERP).is_none()
        && !is_program
        && is_linked;
    if is_library { Kind::Library } else { Kind::Program }
}

/// Who loads it.
fn subject(elf: &Elf<'_>) -> Subject {
    let mut loaders = vec![Loader::Tools];
    // A library is mapped by the dynamic linker alone.
    if elf.kind == Kind::Program || elf.first(elf::PT_INTERP).is_some() {
        loaders.push(Loader::Linux);
    }
    if elf.architecture == Architecture::Aarch64 {
        loaders.push(Loader::LinuxLargePages);
    }
    let needs_musl = || {
        let dynamic = elf.dynamic.as_ref();
        let needed = dynamic.into_iter().flat_map(|dynamic| dynamic.all(elf::DT_NEEDED));
        let mut names = needed.filter_map(|entry| elf.dynamic_string(entry.value));
        names.any(|name| name == b"libc.so" || name.starts_with(b"libc.musl-"))
    };
    let mut others = Vec::new();
    match elf.interpreter() {
        Some((_, path)) if path.windows(7).any(|part| part == b"ld-musl") => {
            loaders.push(Loader::Musl);
        }
        Some(_) => loaders.push(Loader::Glibc),
        None if elf.kind == Kind::Library && needs_musl() => loaders.push(Loader::Musl),
        None if elf.kind == Kind::Library => loaders.push(Loader::Glibc),
        None => {}
    }
    // Without a dynamic linker, what start-up code of the program's own does is its affair.
    if loaders.contains(&Loader::Glibc) || loaders.contains(&Loader::Musl) {
        others.extend([Loader::Glibc, Loader::GlibcAsProgram, Loader::Musl]);
    }
    Subject { loaders, others, architecture: elf.architecture, kind: elf.kind, sdk: None }
}

use super::bytes::field;
