//! Read back: what two readers that nobody here wrote find in the file is what the layout says, and the
//! bytes are the program's. A file for each format, and here what is the same for all.

mod elf;
mod macho;
mod pe;

use std::collections::BTreeSet;

use libtest_mimic::{Failed, Trial};
use minild::format::layout::Segment;
use minild::format::plan::Role;
use minild::program::{Contents, Definition, Import, ImportId, ImportName, Section, SymbolId};
use minild::{Image, OperatingSystem, Program};
use object::{Object, ObjectSegment};

use crate::Checked;
use crate::case::Case;

pub(crate) fn trial(case: Case) -> Trial {
    Trial::test(case.test_name("reads_back"), move || {
        case.link(|program, image| {
            bytes_are_the_programs(program, image)?;
            nothing_lies_between(image)?;
            match case.target.operating_system {
                OperatingSystem::Linux => elf::check(program, image, case.variant),
                OperatingSystem::MacOs => macho::check(program, image, case.variant),
                _ => pe::check(program, image, case.variant),
            }
        })
    })
}

/// Fails with both sides where they differ.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: &T) -> Checked {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{what}: the file says {found:#x?}, the layout {expected:#x?}").into())
    }
}

/// A number as an index.
fn index(number: u64) -> usize {
    usize::try_from(number).expect("the file is in memory")
}

fn mapped(image: &Image) -> impl Iterator<Item = &Segment> {
    image.layout.segments.iter().filter(|segment| segment.mapped)
}

/// Every byte of every section lies where the layout says, but for the fields of relocations.
fn bytes_are_the_programs(program: &Program<'_>, image: &Image) -> Checked {
    for (id, section) in program.sections_with_ids() {
        let Contents::Bytes(bytes) = &section.contents else { continue };
        let offset = file_offset(image, image.layout.section_address(id).0)?;
        let found = &image.bytes[offset..offset + bytes.len()];
        let fields = fields(section);
        for (index, (&found, &expected)) in found.iter().zip(&**bytes).enumerate() {
            if found != expected && !fields.iter().any(|field| field.contains(&index)) {
                let place = format!("{}+{index:#x}", section.name);
                return same(&place, &found, &expected);
            }
        }
    }
    Ok(())
}

/// Every pointer is the address of what it points to, as it is where nobody moves the program.
fn pointers_are_the_programs(program: &Program<'_>, image: &Image) -> Checked {
    for (id, section) in program.sections_with_ids() {
        let pointers = section.relocations.iter().filter(|relocation| relocation.kind.is_pointer());
        for pointer in pointers {
            let start =
                index(pointer.offset) + file_offset(image, image.layout.section_address(id).0)?;
            if import_of(program, pointer.symbol).is_some() {
                continue;
            }
            let found = u64::from_le_bytes(image.bytes[start..start + 8].try_into()?);
            let target = image.layout.symbol(pointer.symbol).0.wrapping_add_signed(pointer.addend);
            same(&format!("pointer at {}+{:#x}", section.name, pointer.offset), &found, &target)?;
        }
    }
    Ok(())
}

/// The import that a symbol is, by its name if it has no definition of its own.
fn import_of(program: &Program<'_>, symbol: SymbolId) -> Option<ImportId> {
    match program.symbol(symbol).definition {
        Definition::Import(import) => Some(import),
        _ => None,
    }
}

/// How its library knows an import.
fn import_name(import: &Import<'_>) -> String {
    match &import.name {
        ImportName::Name(name) => name.to_string(),
        ImportName::Ordinal(number) => format!("#{number}"),
    }
}

/// The imports that some relocation of the program refers to: through a slot or stub, or from any place.
fn wanted_imports(program: &Program<'_>, through_slots_only: bool) -> BTreeSet<(String, String)> {
    let relocations = program.sections().iter().flat_map(|section| &section.relocations);
    relocations
        .filter(|relocation| !through_slots_only || !relocation.kind.is_pointer())
        .filter_map(|relocation| import_of(program, relocation.symbol))
        .map(|import| {
            let import = &program.imports()[import.index()];
            let library = &program.libraries()[import.library.index()].name;
            (library.to_string(), import_name(import))
        })
        .collect()
}

fn fields(section: &Section<'_>) -> Vec<std::ops::Range<usize>> {
    let field = |offset: u64, width: u64| {
        let start = usize::try_from(offset).expect("it lies in memory");
        start..start + usize::try_from(width).expect("at most 8")
    };
    section.relocations.iter().map(|r| field(r.offset, r.kind.width())).collect()
}

/// Where the file has the byte of this address, by its own program headers.
fn file_offset(image: &Image, address: u64) -> Result<usize, Failed> {
    let file = object::File::parse(&*image.bytes)?;
    let offset = file.segments().find_map(|segment| {
        let (offset, size) = segment.file_range();
        let inside = address.checked_sub(segment.address()).filter(|inside| *inside < size)?;
        Some(offset + inside)
    });
    let offset = offset.ok_or_else(|| format!("no segment has {address:#x} in the file"))?;
    Ok(usize::try_from(offset)?)
}

/// What belongs to no section is padding: zeros, or what traps between pieces of code.
fn nothing_lies_between(image: &Image) -> Checked {
    let mut covered = vec![false; image.bytes.len()];
    for section in image.layout.sections() {
        let whole = matches!(section.role, Role::Table(_)) || section.pieces.is_empty();
        let ranges: Vec<_> = if whole {
            vec![(section.offset.0, section.file_size.0)]
        } else if section.file_size.0 == 0 {
            Vec::new()
        } else {
            let piece = |piece: &minild::format::layout::Piece| {
                (section.offset.0 + piece.offset.0, piece.size.0)
            };
            section.pieces.iter().map(piece).collect()
        };
        for (offset, size) in ranges {
            let (offset, size) = (usize::try_from(offset)?, usize::try_from(size)?);
            covered[offset..offset + size].fill(true);
        }
    }
    let stray = covered
        .iter()
        .zip(&image.bytes)
        .position(|(covered, &byte)| !covered && byte != 0 && byte != 0xcc);
    match stray {
        None => Ok(()),
        Some(offset) => Err(format!("byte {offset:#x} is {:#x}", image.bytes[offset]).into()),
    }
}
