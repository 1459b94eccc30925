//! Mach-O: segments, sections, symbols, libraries, what dyld is told to write, exports, the signature.

use std::collections::{BTreeMap, BTreeSet};

use goblin::mach::MachO;
use minild::Image;
use minild::format::layout::{LaidOutSection, Segment};
use minild::format::plan::{Permissions, Role};
use minild::program::{
    Binding, Definition, OutputKind, Position, Program, SectionKind, SymbolType,
};
use object::macho::{self, MachHeader64};
use object::read::macho::{
    LoadCommandVariant, MachHeader, MachOFile, Nlist, Section as _, Segment as _,
};
use object::{BigEndian, Endianness, Object, ObjectSymbol};
use sha2::{Digest, Sha256};

use super::{
    file_offset, import_name, import_of, index, mapped, pointers_are_the_programs, same,
    wanted_imports,
};
use crate::Checked;
use crate::case::Variant;

const LE: Endianness = Endianness::Little;

/// What every program is linked with, whether it says so or not.
const LIB_SYSTEM: &str = "/usr/lib/libSystem.B.dylib";

type File<'f> = MachOFile<'f, MachHeader64<Endianness>>;

pub(super) fn check(program: &Program<'_>, image: &Image, variant: Variant) -> Checked {
    let file = File::parse(&*image.bytes)?;
    let goblin = MachO::parse(&image.bytes, 0)?;
    let commands = Commands::read(image)?;
    segments_are_the_layouts(program, image, &commands, &goblin)?;
    sections_are_the_layouts(image, &commands, &goblin)?;
    entry_is_the_programs(program, image, &commands, &goblin)?;
    libraries_are_the_programs(program, &commands, &goblin)?;
    symbols_are_the_programs(program, image, &file, variant)?;
    fixups_are_the_programs(program, image, &commands)?;
    exports_are_the_programs(program, image, &commands, &goblin)?;
    functions_start_where_they_do(program, image, &commands)?;
    signature_is_the_files(program, image, &commands)
}

/// The load commands, each kind that is looked at.
#[derive(Default)]
struct Commands<'f> {
    segments: Vec<&'f macho::SegmentCommand64<Endianness>>,
    sections: Vec<&'f macho::Section64<Endianness>>,
    libraries: Vec<(String, bool)>,
    chains: Option<&'f macho::LinkeditDataCommand<Endianness>>,
    opcodes: Option<&'f macho::DyldInfoCommand<Endianness>>,
    trie: Option<&'f macho::LinkeditDataCommand<Endianness>>,
    signature: Option<&'f macho::LinkeditDataCommand<Endianness>>,
    function_starts: Option<&'f macho::LinkeditDataCommand<Endianness>>,
    main: Option<&'f macho::EntryPointCommand<Endianness>>,
    thread: Option<&'f [u8]>,
}

impl<'f> Commands<'f> {
    fn read(image: &'f Image) -> Result<Self, object::read::Error> {
        let header = MachHeader64::parse(&*image.bytes, 0)?;
        let mut commands = header.load_commands(LE, &*image.bytes, 0)?;
        let mut found = Self::default();
        while let Some(command) = commands.next()? {
            match command.variant()? {
                LoadCommandVariant::Segment64(segment, data) => {
                    found.segments.push(segment);
                    found.sections.extend(segment.sections(LE, data)?);
                }
                LoadCommandVariant::Dylib(library) => {
                    let name = String::from_utf8_lossy(command.string(LE, library.dylib.name)?);
                    let is_weak = command.cmd() == macho::LC_LOAD_WEAK_DYLIB;
                    found.libraries.push((name.into_owned(), is_weak));
                }
                LoadCommandVariant::LinkeditData(data) => match command.cmd() {
                    macho::LC_DYLD_CHAINED_FIXUPS => found.chains = Some(data),
                    macho::LC_DYLD_EXPORTS_TRIE => found.trie = Some(data),
                    macho::LC_CODE_SIGNATURE => found.signature = Some(data),
                    macho::LC_FUNCTION_STARTS => found.function_starts = Some(data),
                    _ => {}
                },
                LoadCommandVariant::DyldInfo(info) => found.opcodes = Some(info),
                LoadCommandVariant::EntryPoint(main) => found.main = Some(main),
                LoadCommandVariant::Thread(_, state) => found.thread = Some(state),
                _ => {}
            }
        }
        Ok(found)
    }
}

fn name(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn protection(permissions: Permissions) -> u32 {
    let Permissions { read, write, execute } = permissions;
    u32::from(read) | u32::from(write) << 1 | u32::from(execute) << 2
}

/// A segment as both readers see it: name, address, bytes of memory, file offset, bytes of the file, protection
/// at first and at most.
type SeenSegment = (String, u64, u64, u64, u64, u32, u32);

fn segments_are_the_layouts(
    program: &Program<'_>,
    image: &Image,
    commands: &Commands<'_>,
    goblin: &MachO<'_>,
) -> Checked {
    let page = image.layout.page_size.get();
    let of_layout = |segment: &Segment| -> SeenSegment {
        let protection = protection(segment.permissions);
        let size = segment.size.0.next_multiple_of(page);
        let Segment { address, offset, file_size, .. } = segment;
        (segment.name.to_owned(), address.0, size, offset.0, file_size.0, protection, protection)
    };
    let mut expected: Vec<_> = mapped(image).map(of_layout).collect();
    if program.kind == OutputKind::Executable {
        let size = image.layout.image_base.0;
        expected.insert(0, ("__PAGEZERO".to_owned(), 0, size, 0, 0, 0, 0));
    }
    let seen: Vec<SeenSegment> = commands
        .segments
        .iter()
        .map(|segment| {
            (
                name(segment.name()),
                segment.vmaddr.get(LE),
                segment.vmsize.get(LE),
                segment.fileoff.get(LE),
                segment.filesize.get(LE),
                segment.initprot.get(LE).0,
                segment.maxprot.get(LE).0,
            )
        })
        .collect();
    same("segments", &seen, &expected)?;
    let seen: Vec<SeenSegment> = goblin
        .segments
        .iter()
        .map(|segment| {
            (
                segment.name().unwrap_or("?").to_owned(),
                segment.vmaddr,
                segment.vmsize,
                segment.fileoff,
                segment.filesize,
                segment.initprot,
                segment.maxprot,
            )
        })
        .collect();
    same("segments, to goblin", &seen, &expected)
}

/// A section as both readers see it: segment, name, address, size, file offset, alignment.
type SeenSection = (String, String, u64, u64, u64, u64);

fn sections_are_the_layouts(image: &Image, commands: &Commands<'_>, goblin: &MachO<'_>) -> Checked {
    let of_layout = |segment: &Segment, section: &LaidOutSection| -> SeenSection {
        let offset = if section.file_size.0 == 0 { 0 } else { section.offset.0 };
        let (segment, name) = (segment.name.to_owned(), section.name.to_string());
        (segment, name, section.address.0, section.size.0, offset, section.align.get())
    };
    let expected: Vec<_> = mapped(image)
        .flat_map(|segment| segment.sections.iter().map(move |section| (segment, section)))
        .filter(|(_, section)| !matches!(section.role, Role::Table(_)))
        .map(|(segment, section)| of_layout(segment, section))
        .collect();
    let seen: Vec<SeenSection> = commands
        .sections
        .iter()
        .map(|section| {
            (
                name(section.segment_name()),
                name(section.name()),
                section.addr.get(LE),
                section.size.get(LE),
                section.offset.get(LE).into(),
                1 << section.align.get(LE),
            )
        })
        .collect();
    same("sections", &seen, &expected)?;
    let mut seen: Vec<SeenSection> = Vec::new();
    for segment in &goblin.segments {
        for (section, _) in segment.sections()? {
            let (of_segment, name) = (section.segname()?.to_owned(), section.name()?.to_owned());
            let (offset, align) = (section.offset.into(), 1 << section.align);
            seen.push((of_segment, name, section.addr, section.size, offset, align));
        }
    }
    same("sections, to goblin", &seen, &expected)
}

fn entry_is_the_programs(
    program: &Program<'_>,
    image: &Image,
    commands: &Commands<'_>,
    goblin: &MachO<'_>,
) -> Checked {
    let base = image.layout.image_base.0;
    let entry = image.layout.entry.map(|entry| entry.0);
    let main = commands.main.map(|main| base + main.entryoff.get(LE));
    // Flavor, count, 16 registers, rip.
    let rip = |state: &[u8]| {
        let rip = state.get(8 + 16 * 8..)?.first_chunk()?;
        Some(u64::from_le_bytes(*rip))
    };
    let thread = commands.thread.and_then(rip);
    match (program.kind, program.wishes.position) {
        (OutputKind::SharedLibrary, _) => same("entry", &main.or(thread), &None),
        (_, position) => {
            let is_called = position == Position::Independent;
            let expected = if is_called { (entry, None) } else { (None, entry) };
            same("entry", &(main, thread), &expected)?;
            same("entry, to goblin", &Some(goblin.entry), &entry)
        }
    }
}

fn libraries_are_the_programs(
    program: &Program<'_>,
    commands: &Commands<'_>,
    goblin: &MachO<'_>,
) -> Checked {
    let mut expected = BTreeSet::new();
    if program.wishes.position == Position::Independent {
        let wanted = wanted_imports(program, false);
        for library in program.libraries() {
            let name = library.name.to_string();
            let of_library = |symbol: &&minild::program::Symbol<'_>| match symbol.definition {
                Definition::Import(import) => {
                    let import = &program.imports()[import.index()];
                    let library = &program.libraries()[import.library.index()].name;
                    *library == name && wanted.contains(&(name.clone(), import_name(import)))
                }
                _ => false,
            };
            let mut symbols = program.symbols().iter().filter(of_library).peekable();
            if symbols.peek().is_some() {
                let is_weak = symbols.all(|symbol| symbol.binding == Binding::Weak);
                expected.insert((name.clone(), is_weak && name != LIB_SYSTEM));
            }
        }
        expected.insert((LIB_SYSTEM.to_owned(), false));
    }
    let found: BTreeSet<_> = commands.libraries.iter().cloned().collect();
    same("libraries", &found, &expected)?;
    same("number of libraries", &commands.libraries.len(), &found.len())?;
    // goblin counts the file itself.
    let to_goblin: BTreeSet<_> = goblin.libs.iter().skip(1).copied().collect();
    same("libraries, to goblin", &to_goblin, &expected.iter().map(|(name, _)| &**name).collect())
}

fn symbols_are_the_programs(
    program: &Program<'_>,
    image: &Image,
    file: &File<'_>,
    variant: Variant,
) -> Checked {
    let mut defined = BTreeMap::new();
    let mut wanted = BTreeSet::new();
    let mut order = Vec::new();
    for symbol in file.symbols() {
        let name = symbol.name()?.to_owned();
        order.push((!symbol.is_local(), symbol.is_undefined()));
        if symbol.is_undefined() {
            wanted.insert(name);
        } else {
            defined.insert(name, symbol.address());
        }
        if symbol.macho_symbol().is_stab() {
            return Err("a symbol for debuggers".into());
        }
    }
    if !order.is_sorted() {
        return Err("symbols are not local ones first, undefined ones last".into());
    }
    let mut expected = BTreeMap::new();
    if program.kind == OutputKind::Executable {
        expected.insert("__mh_execute_header".to_owned(), image.layout.image_base.0);
    }
    if variant != Variant::Stripped {
        for (id, symbol) in program.symbols_with_ids() {
            if let Definition::Section { section, .. } = symbol.definition {
                let mut address = image.layout.symbol(id).0;
                // What describes a thread-local variable bears its name.
                if program.section(section).kind.is_thread_local()
                    && let Some(found) = defined.get(&*symbol.name)
                    && variables(image).any(|variable| variable == *found)
                {
                    address = *found;
                }
                expected.insert(symbol.name.to_string(), address);
            }
        }
    }
    same("defined symbols", &defined, &expected)?;
    let expected = wanted_imports(program, false).into_iter().map(|(_, name)| name);
    let bootstrap = variables(image).next().map(|_| TLV_BOOTSTRAP.to_owned());
    let expected = expected.chain(bootstrap).collect();
    same("wanted symbols", &wanted, &expected)
}

/// What describes a variable until dyld has prepared it.
const TLV_BOOTSTRAP: &str = "__tlv_bootstrap";

/// Where each description of a thread-local variable lies.
fn variables(image: &Image) -> impl Iterator<Item = u64> {
    let section = image.layout.section(Role::Variables);
    let range =
        section.map_or(0..0, |section| section.address.0..section.address.0 + section.size.0);
    range.step_by(24)
}

/// What dyld is to write into a word.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fixup {
    /// This address, moved as the program is.
    Address(u64),
    /// Where a library has this, and an addend.
    Import { library: String, name: String, weak: bool, addend: i64 },
}

type Fixups = BTreeMap<u64, Fixup>;

fn fixups_are_the_programs(
    program: &Program<'_>,
    image: &Image,
    commands: &Commands<'_>,
) -> Checked {
    let found = match (commands.chains, commands.opcodes) {
        (Some(chains), None) => walk_chains(image, commands, chains)?,
        (None, Some(opcodes)) => run_opcodes(image, commands, opcodes)?,
        (None, None) if program.wishes.position == Position::Fixed => {
            return pointers_are_the_programs(program, image);
        }
        _ => return Err("fixups in two ways, or in none".into()),
    };
    let mut expected = expected_fixups(program, image);
    // Slots: of which import each is, the file says; that none is missing, the set of their names.
    let slots = image.layout.section(Role::Slots);
    let slots = slots.map_or(0..0, |slots| slots.address.0..slots.address.0 + slots.size.0);
    let mut in_slots = BTreeSet::new();
    for (address, fixup) in found.range(slots) {
        expected.insert(*address, fixup.clone());
        if let Fixup::Import { library, name, addend: 0, .. } = fixup {
            in_slots.insert((library.clone(), name.clone()));
        }
    }
    same("fixups", &found, &expected)?;
    same("slots of imports", &in_slots, &wanted_imports(program, true))
}

/// One for each pointer of the program, and one for each initialiser where they are listed by address.
fn expected_fixups(program: &Program<'_>, image: &Image) -> Fixups {
    let layout = &image.layout;
    let mut expected = Fixups::new();
    for (id, section) in program.sections_with_ids() {
        let start = layout.section_address(id).0;
        for pointer in section.relocations.iter().filter(|r| r.kind.is_pointer()) {
            let fixup = match import_of(program, pointer.symbol) {
                None => {
                    let target = layout.symbol(pointer.symbol).0;
                    Fixup::Address(target.wrapping_add_signed(pointer.addend))
                }
                Some(import) => {
                    let import = &program.imports()[import.index()];
                    Fixup::Import {
                        library: program.libraries()[import.library.index()].name.to_string(),
                        name: import_name(import),
                        weak: program.symbol(pointer.symbol).binding == Binding::Weak,
                        addend: pointer.addend,
                    }
                }
            };
            expected.insert(start + pointer.offset, fixup);
        }
    }
    for address in variables(image) {
        let fixup = Fixup::Import {
            library: LIB_SYSTEM.to_owned(),
            name: TLV_BOOTSTRAP.to_owned(),
            weak: false,
            addend: 0,
        };
        expected.insert(address, fixup);
    }
    if let Some(list) = layout.section(Role::Kind(SectionKind::Init)) {
        for (address, function) in (list.address.0..).step_by(8).zip(&program.init) {
            expected.insert(address, Fixup::Address(layout.symbol(*function).0));
        }
    }
    expected
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64, String> {
    let bytes = bytes.get(at..).and_then(<[u8]>::first_chunk);
    bytes.map(|bytes| u64::from_le_bytes(*bytes)).ok_or_else(|| format!("no word at {at:#x}"))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, String> {
    let bytes = bytes.get(at..).and_then(<[u8]>::first_chunk);
    bytes.map(|bytes| u32::from_le_bytes(*bytes)).ok_or_else(|| format!("no number at {at:#x}"))
}

/// Follows the chains, as `mach-o/fixup-chains.h` describes them. (object's reader takes the padding behind a
/// segment's header for a part of it, unless it is built for structures that are not aligned.)
fn walk_chains(
    image: &Image,
    commands: &Commands<'_>,
    command: &macho::LinkeditDataCommand<Endianness>,
) -> Result<Fixups, libtest_mimic::Failed> {
    let chains = command.chained_fixups(LE, &*image.bytes)?;
    let imports = chains.imports(LE)?.collect::<Result<Vec<_>, _>>()?;
    let payload = &image.bytes[index(command.dataoff.get(LE).into())..];
    let starts = &payload[index(chains.header().starts_offset.get(LE).into())..];
    same("segments with chains", &(u32_at(starts, 0)? as usize), &commands.segments.len())?;
    let mut found = Fixups::new();
    for (number, segment) in commands.segments.iter().enumerate() {
        let offset = u32_at(starts, 4 + 4 * number)? as usize;
        if offset == 0 {
            continue;
        }
        let of_segment = &starts[offset..];
        let (size, format) = (u32_at(of_segment, 0)?, u32_at(of_segment, 4)?);
        same("page size and pointer format", &format, &(0x4000 | 6 << 16))?;
        let from_base = segment.vmaddr.get(LE) - image.layout.image_base.0;
        same("offset of the segment", &u64_at(of_segment, 8)?, &from_base)?;
        let pages = u32_at(of_segment, 20)? & 0xffff;
        same("bytes of the starts", &size, &(22 + 2 * pages))?;
        let data =
            &image.bytes[index(segment.fileoff.get(LE))..][..index(segment.filesize.get(LE))];
        for page in 0..u64::from(pages) {
            let start = u32_at(of_segment, 22 + 2 * index(page))? & 0xffff;
            if start == 0xffff {
                continue;
            }
            let mut at = page * 0x4000 + u64::from(start);
            loop {
                let word = u64_at(data, index(at))?;
                let fixup = if word >> 63 == 1 {
                    let import = &imports[index(word & 0xff_ffff)];
                    let inline = i64::try_from(word >> 24 & 0xff)?;
                    Fixup::Import {
                        library: commands.libraries[usize::try_from(import.dylib.0)? - 1].0.clone(),
                        name: String::from_utf8_lossy(import.name).into_owned(),
                        weak: import.weak_import,
                        addend: import.addend + inline,
                    }
                } else {
                    let target = word & 0xf_ffff_ffff | (word >> 36 & 0xff) << 56;
                    Fixup::Address(image.layout.image_base.0.wrapping_add(target))
                };
                if found.insert(segment.vmaddr.get(LE) + at, fixup).is_some() {
                    return Err(format!("two chains meet at {at:#x}").into());
                }
                let next = (word >> 51 & 0xfff) * 4;
                if next == 0 {
                    break;
                }
                same("page of the next link", &((at + next) / 0x4000), &page)?;
                at += next;
            }
        }
    }
    Ok(found)
}

fn run_opcodes(
    image: &Image,
    commands: &Commands<'_>,
    command: &macho::DyldInfoCommand<Endianness>,
) -> Result<Fixups, libtest_mimic::Failed> {
    let address =
        |segment: u8, offset: u64| commands.segments[usize::from(segment)].vmaddr.get(LE) + offset;
    let mut found = Fixups::new();
    for rebase in command.rebases(LE, &*image.bytes, 8)? {
        let rebase = rebase?;
        same("kind of rebase", &rebase.kind, &macho::REBASE_TYPE_POINTER)?;
        let address = address(rebase.segment_index, rebase.segment_offset);
        let value = u64_at(&image.bytes, file_offset(image, address)?)?;
        found.insert(address, Fixup::Address(value));
    }
    for bind in command.binds(LE, &*image.bytes, 8)? {
        let bind = bind?;
        same("kind of bind", &bind.kind, &macho::BIND_TYPE_POINTER)?;
        let fixup = Fixup::Import {
            library: commands.libraries[usize::try_from(bind.dylib.0)? - 1].0.clone(),
            name: String::from_utf8_lossy(bind.symbol).into_owned(),
            weak: bind.flags.contains(macho::BIND_SYMBOL_FLAGS_WEAK_IMPORT),
            addend: bind.addend,
        };
        found.insert(address(bind.segment_index, bind.segment_offset), fixup);
    }
    Ok(found)
}

fn exports_are_the_programs(
    program: &Program<'_>,
    image: &Image,
    commands: &Commands<'_>,
    goblin: &MachO<'_>,
) -> Checked {
    let trie = match (commands.trie, commands.opcodes) {
        (Some(trie), _) => trie.exports_trie(LE, &*image.bytes)?,
        (None, Some(opcodes)) => opcodes.exports_trie(LE, &*image.bytes)?,
        (None, None) => return Ok(()),
    };
    let base = image.layout.image_base.0;
    let mut found = BTreeMap::new();
    for export in trie {
        let export = export?;
        let object::read::macho::ExportData::Regular { address } = *export.data() else {
            return Err(format!("{export:?} is no plain export").into());
        };
        found.insert(String::from_utf8_lossy(export.name()).into_owned(), address);
    }
    let mut expected = BTreeMap::new();
    if program.kind == OutputKind::Executable {
        expected.insert("__mh_execute_header".to_owned(), 0);
    }
    for export in &program.exports {
        expected.insert(export.name.to_string(), image.layout.symbol(export.symbol).0 - base);
    }
    same("exports", &found, &expected)?;
    let to_goblin: BTreeMap<_, _> =
        goblin.exports()?.into_iter().map(|export| (export.name, export.offset)).collect();
    same("exports, to goblin", &to_goblin, &expected)
}

/// The list is of functions that others see, and of all of them.
fn functions_start_where_they_do(
    program: &Program<'_>,
    image: &Image,
    commands: &Commands<'_>,
) -> Checked {
    let command = commands.function_starts.ok_or("no function starts")?;
    let starts = command.function_starts(LE, &*image.bytes, image.layout.image_base.0)?;
    let found = starts.collect::<Result<BTreeSet<_>, _>>()?;
    let is_function = |symbol: &minild::program::Symbol<'_>| match symbol.definition {
        Definition::Section { section, .. } => {
            let in_code = program.section(section).kind == SectionKind::Code;
            let type_ = symbol.symbol_type;
            type_ == SymbolType::Function || type_ == SymbolType::Unspecified && in_code
        }
        _ => false,
    };
    let expected: BTreeSet<_> = program
        .symbols_with_ids()
        .filter(|(_, symbol)| symbol.binding != Binding::Local && is_function(symbol))
        .map(|(id, _)| image.layout.symbol(id).0)
        .collect();
    same("function starts", &found, &expected)
}

/// Every page's hash is that page's: another implementation of what `seal` does, by object's reader.
fn signature_is_the_files(
    program: &Program<'_>,
    image: &Image,
    commands: &Commands<'_>,
) -> Checked {
    let command = commands.signature.ok_or("no signature")?;
    let signature = command.code_signature(LE, &*image.bytes)?;
    same("blobs", &signature.index().len(), &1)?;
    let blob = signature.blobs().next()?.ok_or("no blob")?;
    let directory = blob.code_directory()?.ok_or("no code directory")?;
    let offset = u64::from(command.dataoff.get(LE));
    same("end of what is signed", &directory.code_limit(), &offset)?;
    same("place of the signature", &(offset % 16), &0)?;
    let end = offset + u64::from(command.datasize.get(LE));
    same("end of the signature", &end, &(image.bytes.len() as u64))?;
    same("identifier", &directory.ident()?, &program.name.as_bytes())?;
    let header = directory.header();
    let flags = macho::CS_ADHOC | macho::CS_LINKER_SIGNED;
    same("flags", &header.flags.get(BigEndian), &flags)?;
    same("kind of hash", &header.hash_type, &macho::CS_HASHTYPE_SHA256)?;
    let pages = image.bytes[..index(offset)].chunks(1 << header.page_size);
    same("pages", &(header.n_code_slots.get(BigEndian) as usize), &pages.len())?;
    for (number, page) in pages.enumerate() {
        let hash = directory.code_hash(u32::try_from(number)?)?;
        same(&format!("hash of page {number}"), &hash, &&Sha256::digest(page)[..])?;
    }
    let text = directory.exec_seg().ok_or("no executable segment")?;
    let expected = image.layout.segments.first().ok_or("no segments")?;
    let found = (text.exec_seg_base.get(BigEndian), text.exec_seg_limit.get(BigEndian));
    same("executable segment", &found, &(expected.offset.0, expected.file_size.0))?;
    let is_main = text.exec_seg_flags.get(BigEndian).contains(macho::CS_EXECSEG_MAIN_BINARY);
    same("main binary", &is_main, &(program.kind == OutputKind::Executable))
}
