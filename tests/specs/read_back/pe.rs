//! PE: headers, sections, imports, exports, base relocations, unwind rows, identity.

use std::collections::{BTreeMap, BTreeSet};

use goblin::pe::PE;
use goblin::pe::exception::{RuntimeFunctionIterator, UnwindInfo};
use minild::format::layout::Segment;
use minild::format::plan::{Permissions, Role};
use minild::program::{Definition, OutputKind, Position, Program, SectionKind, Start};
use minild::{Architecture, Image};
use object::read::coff::{CoffHeader, Symbol as _};
use object::read::pe::{ImageOptionalHeader, ImageThunkData, Import, PeFile64};
use object::{LittleEndian as LE, pe};

use super::{index, pointers_are_the_programs, same, wanted_imports};
use crate::Checked;
use crate::case::Variant;

pub(super) fn check(program: &Program<'_>, image: &Image, variant: Variant) -> Checked {
    let file = PeFile64::parse(&*image.bytes)?;
    // Firmware runs images that need no more than this.
    let goblin = PE::parse(&image.bytes)?;
    headers_are_the_layouts(program, image, &file)?;
    sections_are_the_layouts(image, &file, &goblin)?;
    pointers_are_the_programs(program, image)?;
    imports_are_the_programs(program, image, &file, &goblin)?;
    exports_are_the_programs(program, image, &file, &goblin)?;
    base_relocations_are_the_programs(program, image, &file, &goblin)?;
    functions_can_be_unwound(image, &goblin)?;
    symbols_are_the_programs(program, image, &file, variant)?;
    identity_is_one(image, &file, &goblin)
}

/// What lies from the image's start to there.
fn rva(image: &Image, address: u64) -> u32 {
    u32::try_from(address - image.layout.image_base.0).expect("an image has less than 2 GiB")
}

/// What the format calls sections.
fn sections(image: &Image) -> impl Iterator<Item = &Segment> {
    image
        .layout
        .segments
        .iter()
        .filter(|segment| segment.name.starts_with('.') && segment.size.0 > 0)
}

fn headers_are_the_layouts(program: &Program<'_>, image: &Image, file: &PeFile64<'_>) -> Checked {
    let (layout, header) = (&image.layout, file.nt_headers().optional_header);
    same("base", &header.image_base(), &layout.image_base.0)?;
    let entry = layout.entry.map_or(0, |entry| rva(image, entry.0));
    same("entry", &header.address_of_entry_point(), &entry)?;
    let last = sections(image).last().ok_or("no sections")?;
    let end = rva(image, last.address.0) + u32::try_from(last.size.0)?;
    let align = u32::try_from(layout.page_size.get())?;
    same("size of the image", &header.size_of_image(), &end.next_multiple_of(align))?;
    same("section alignment", &header.section_alignment(), &align)?;
    let first = sections(image).next().ok_or("no sections")?;
    let headers = u64::from(header.size_of_headers());
    same(
        "first section",
        &first.address.0,
        &(layout.image_base.0 + headers.next_multiple_of(layout.page_size.get())),
    )?;

    let is_fixed = program.wishes.position == Position::Fixed;
    let has = |flag: pe::DllFlags| header.dll_characteristics().contains(flag);
    same("may be moved", &has(pe::IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE), &!is_fixed)?;
    same("to anywhere", &has(pe::IMAGE_DLLCHARACTERISTICS_HIGH_ENTROPY_VA), &!is_fixed)?;
    same("data is not executed", &has(pe::IMAGE_DLLCHARACTERISTICS_NX_COMPAT), &true)?;
    let flags = file.nt_headers().file_header.characteristics.get(LE);
    let stripped = flags.contains(pe::IMAGE_FILE_RELOCS_STRIPPED);
    same("cannot be moved", &stripped, &is_fixed)?;
    let is_library = program.kind == OutputKind::SharedLibrary;
    same("is a library", &flags.contains(pe::IMAGE_FILE_DLL), &is_library)
}

/// A section as both readers see it: name, RVA, bytes of memory, file offset, bytes of the file, permissions.
type Seen = (String, u32, u32, u32, u32, Permissions);

fn permissions(flags: pe::SectionFlags) -> Permissions {
    Permissions {
        read: flags.contains(pe::IMAGE_SCN_MEM_READ),
        write: flags.contains(pe::IMAGE_SCN_MEM_WRITE),
        execute: flags.contains(pe::IMAGE_SCN_MEM_EXECUTE),
    }
}

fn sections_are_the_layouts(image: &Image, file: &PeFile64<'_>, goblin: &PE<'_>) -> Checked {
    let number = |number: u64| u32::try_from(number).expect("an image has less than 2 GiB");
    let expected: Vec<Seen> = sections(image)
        .map(|segment| {
            let offset = if segment.file_size.0 == 0 { 0 } else { number(segment.offset.0) };
            let (address, size) = (rva(image, segment.address.0), number(segment.size.0));
            let file_size = number(segment.file_size.0);
            (segment.name.to_owned(), address, size, offset, file_size, segment.permissions)
        })
        .collect();
    let seen: Vec<Seen> = file
        .section_table()
        .iter()
        .map(|header| {
            let name = String::from_utf8_lossy(header.raw_name()).into_owned();
            (
                name,
                header.virtual_address.get(LE),
                header.virtual_size.get(LE),
                header.pointer_to_raw_data.get(LE),
                header.size_of_raw_data.get(LE),
                permissions(header.characteristics.get(LE)),
            )
        })
        .collect();
    same("sections", &seen, &expected)?;
    let seen: Vec<Seen> = goblin
        .sections
        .iter()
        .map(|section| {
            (
                section.name().unwrap_or("?").to_owned(),
                section.virtual_address,
                section.virtual_size,
                section.pointer_to_raw_data,
                section.size_of_raw_data,
                permissions(pe::SectionFlags(section.characteristics)),
            )
        })
        .collect();
    same("sections, to goblin", &seen, &expected)
}

/// Where a directory lies and how large it is; zeros for none.
fn directory(file: &PeFile64<'_>, number: usize) -> (u32, u32) {
    file.data_directory(number).map_or((0, 0), pe::ImageDataDirectory::address_range)
}

fn imports_are_the_programs(
    program: &Program<'_>,
    image: &Image,
    file: &PeFile64<'_>,
    goblin: &PE<'_>,
) -> Checked {
    let mut found = BTreeSet::new();
    let mut slots = Vec::new();
    if let Some(table) = file.import_table()? {
        let mut descriptors = table.descriptors()?;
        while let Some(descriptor) = descriptors.next()? {
            let library =
                String::from_utf8_lossy(table.name(descriptor.name.get(LE))?).into_owned();
            let mut wanted = table.thunks(descriptor.original_first_thunk.get(LE))?;
            let mut in_slots = table.thunks(descriptor.first_thunk.get(LE))?;
            let mut slot = descriptor.first_thunk.get(LE);
            while let Some(thunk) = wanted.next::<pe::ImageNtHeaders64>()? {
                let in_slot = in_slots.next::<pe::ImageNtHeaders64>()?.map(ImageThunkData::raw);
                same("a slot before it is bound", &in_slot, &Some(thunk.raw()))?;
                let name = match table.import::<pe::ImageNtHeaders64>(thunk)? {
                    Import::Ordinal(number) => format!("#{number}"),
                    Import::Name(_, name) => String::from_utf8_lossy(name).into_owned(),
                };
                if !found.insert((library.clone(), name.clone())) {
                    return Err(format!("{library} {name} is imported twice").into());
                }
                slots.push(slot);
                slot += 8;
            }
        }
    }
    let wanted = wanted_imports(program, false);
    same("missing imports", &wanted.difference(&found).collect(), &BTreeSet::new())?;
    let others: BTreeSet<_> = found.difference(&wanted).collect();
    // The C library's start is start-up code's.
    if program.wishes.start != Some(Start::Libc) && !others.is_empty() {
        return Err(format!("nobody imports {others:?}").into());
    }

    let libraries: BTreeSet<_> = found.iter().map(|(library, _)| library.as_str()).collect();
    same("libraries, to goblin", &goblin.libraries.iter().copied().collect(), &libraries)?;
    let mut to_goblin: Vec<_> = goblin.imports.iter().map(|import| import.offset).collect();
    to_goblin.sort_unstable();
    same("number of imports, to goblin", &to_goblin.len(), &found.len())?;

    let table = directory(file, pe::IMAGE_DIRECTORY_ENTRY_IAT);
    let section = image.layout.section(Role::ImportSlots);
    let expected = section.map_or((0, 0), |section| {
        (rva(image, section.address.0), u32::try_from(section.size.0).expect("a small table"))
    });
    same("table of slots", &table, &expected)?;
    match slots.iter().find(|slot| !(table.0..table.0 + table.1).contains(slot)) {
        None => Ok(()),
        Some(slot) => Err(format!("the slot at {slot:#x} is outside").into()),
    }
}

fn exports_are_the_programs(
    program: &Program<'_>,
    image: &Image,
    file: &PeFile64<'_>,
    goblin: &PE<'_>,
) -> Checked {
    let expected: BTreeMap<_, _> = program
        .exports
        .iter()
        .map(|export| (export.name.to_string(), rva(image, image.layout.symbol(export.symbol).0)))
        .collect();
    let mut found = BTreeMap::new();
    if let Some(table) = file.export_table()? {
        for export in table.exports()? {
            let name = export.name.ok_or("an export without a name")?;
            let object::read::pe::ExportTarget::Address(address) = export.target else {
                return Err("a forwarder".into());
            };
            found.insert(String::from_utf8_lossy(name).into_owned(), address);
        }
    }
    same("exports", &found, &expected)?;
    let to_goblin: BTreeMap<_, _> = goblin
        .exports
        .iter()
        .map(|export| {
            (export.name.unwrap_or("?").to_owned(), u32::try_from(export.rva).unwrap_or(0))
        })
        .collect();
    same("exports, to goblin", &to_goblin, &expected)
}

fn base_relocations_are_the_programs(
    program: &Program<'_>,
    image: &Image,
    file: &PeFile64<'_>,
    goblin: &PE<'_>,
) -> Checked {
    let mut found = BTreeSet::new();
    let mut pages = Vec::new();
    if let Some(mut blocks) =
        file.data_directories().relocation_blocks(&*image.bytes, &file.section_table())?
    {
        while let Some(block) = blocks.next()? {
            pages.push(block.virtual_address());
            for relocation in block {
                same("its kind", &relocation.typ, &pe::IMAGE_REL_BASED_DIR64)?;
                found.insert(relocation.virtual_address);
            }
        }
    }
    if !pages.is_sorted_by(|one, next| one < next) || pages.iter().any(|page| page % 0x1000 != 0) {
        return Err(format!("blocks are not one a page, ascending: {pages:#x?}").into());
    }
    let mut to_goblin = 0;
    for block in goblin
        .relocation_data
        .as_ref()
        .into_iter()
        .flat_map(goblin::pe::relocation::RelocationData::blocks)
    {
        let words = block?.words().collect::<Result<Vec<_>, _>>()?;
        to_goblin += words.iter().filter(|word| word.reloc_type() != 0).count();
    }
    same("number of base relocations, to goblin", &to_goblin, &found.len())?;

    let mut expected = BTreeSet::new();
    if program.wishes.position == Position::Independent {
        for (id, section) in program.sections_with_ids() {
            let start = rva(image, image.layout.section_address(id).0);
            let pointers = section.relocations.iter().filter(|r| r.kind.is_pointer());
            let to_places = pointers.filter(|r| super::import_of(program, r.symbol).is_none());
            for pointer in to_places {
                expected.insert(start + u32::try_from(pointer.offset)?);
            }
        }
        // Slots of the program's own places hold addresses as well.
        if let Some(slots) = image.layout.section(Role::Slots) {
            let start = rva(image, slots.address.0);
            expected.extend((start..start + u32::try_from(slots.size.0)?).step_by(8));
        }
        // Lists of functions are addresses throughout; so are the first three fields of the directory of
        // thread-locals, and where it names functions the fourth and the one that it names.
        for kind in [SectionKind::Init, SectionKind::Fini] {
            if let Some(list) = image.layout.section(Role::Kind(kind)) {
                let start = rva(image, list.address.0);
                expected.extend((start..start + u32::try_from(list.size.0)?).step_by(8));
            }
        }
        if let Some(directory) = image.layout.section(Role::TlsDirectory) {
            let start = rva(image, directory.address.0);
            let has_functions = directory.size.0 > 40;
            let fields: &[u32] = if has_functions { &[0, 8, 16, 24, 40] } else { &[0, 8, 16] };
            expected.extend(fields.iter().map(|field| start + field));
        }
    }
    same("base relocations", &found, &expected)
}

/// Each row of the table names a function and a record that can be read, and they ascend.
fn functions_can_be_unwound(image: &Image, goblin: &PE<'_>) -> Checked {
    let rows = image.layout.section(Role::Kind(SectionKind::Unwind));
    let Some(data) = &goblin.exception_data else {
        return same("unwind rows", &0, &rows.map_or(0, |rows| rows.size.0));
    };
    let rows = rows.ok_or("unwind rows that the layout does not know")?;
    same(
        "place of the unwind rows",
        &(rows.address.0 - image.layout.image_base.0),
        &(index_of(goblin)),
    )?;
    let rows_of = |size: u64| rows.size.0 / size;
    if image.layout.target.architecture == Architecture::Aarch64 {
        let functions = data.functions_arm64().collect::<Result<Vec<_>, _>>()?;
        if !functions.is_sorted_by(|one, next| one.begin_address < next.begin_address) {
            return Err(format!("{functions:x?} are out of order").into());
        }
        for function in &functions {
            data.get_unwind_info_arm64(*function, &goblin.sections).transpose()?;
        }
        return same("number of unwind rows", &(functions.len() as u64), &rows_of(8));
    }
    let mut before = 0;
    let functions: RuntimeFunctionIterator<'_> = data.functions();
    let mut count = 0;
    for function in functions {
        let function = function?;
        if function.begin_address < before || function.end_address <= function.begin_address {
            return Err(format!("{function:?} is out of order").into());
        }
        before = function.end_address;
        let record: UnwindInfo<'_> = data.get_unwind_info(function, &goblin.sections)?;
        same("version of the record", &record.version, &1)?;
        count += 1;
    }
    same("number of unwind rows", &count, &rows_of(12))
}

fn index_of(goblin: &PE<'_>) -> u64 {
    let header = goblin.header.optional_header.as_ref();
    let table = header.and_then(|header| header.data_directories.get_exception_table().copied());
    table.map_or(0, |table| table.virtual_address.into())
}

/// Where somebody asked for them there are symbols, each at its section's start and an offset.
fn symbols_are_the_programs(
    program: &Program<'_>,
    image: &Image,
    file: &PeFile64<'_>,
    variant: Variant,
) -> Checked {
    let mut expected = BTreeMap::new();
    if variant == Variant::Symbols {
        for (id, symbol) in program.symbols_with_ids() {
            if matches!(symbol.definition, Definition::Section { .. }) {
                expected.insert(symbol.name.to_string(), image.layout.symbol(id).0);
            }
        }
    }
    let mut found = BTreeMap::new();
    let headers = file.nt_headers().file_header;
    if headers.pointer_to_symbol_table.get(LE) != 0 {
        let symbols = headers.symbols(&*image.bytes)?;
        for (_, symbol) in symbols.iter() {
            let section = usize::from(symbol.section_number.get(LE));
            let section = file.section_table().iter().nth(section - 1).ok_or("no such section")?;
            let name = String::from_utf8_lossy(symbol.name(symbols.strings())?).into_owned();
            let rva = section.virtual_address.get(LE) + symbol.value.get(LE);
            found.insert(name, image.layout.image_base.0 + u64::from(rva));
        }
    }
    same("symbols", &found, &expected)
}

/// The content's hash stands in three places, and the checksum is that of the file.
fn identity_is_one(image: &Image, file: &PeFile64<'_>, goblin: &PE<'_>) -> Checked {
    let debug = goblin.debug_data.as_ref().ok_or("no debug directory")?;
    let repro = debug.repro_info.as_ref().ok_or("no identity")?;
    let goblin::pe::debug::ReproInfo::Buffer { buffer, .. } = repro else {
        return Err("an identity without its bytes".into());
    };
    same("bytes of the identity", &buffer.len(), &32)?;
    let stamp = file.nt_headers().file_header.time_date_stamp.get(LE).to_le_bytes();
    same("time stamp", &&stamp[..], &&buffer[..4])?;

    // As the PE format has it: 16-bit words, carries added in, the field itself left out, and the length.
    let field = index(u64::from(file.dos_header().nt_headers_offset())) + 4 + 20 + 64;
    let mut sum: u32 = 0;
    for (at, word) in image.bytes.chunks(2).enumerate() {
        if (field..field + 4).contains(&(at * 2)) {
            continue;
        }
        let word = u16::from_le_bytes([word[0], word.get(1).copied().unwrap_or(0)]);
        sum += u32::from(word);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let expected = sum + u32::try_from(image.bytes.len())?;
    same("checksum", &file.nt_headers().optional_header.check_sum.get(LE), &expected)
}
