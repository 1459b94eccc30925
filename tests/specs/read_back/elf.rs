//! ELF: segments, sections, symbols and load relocations.

use std::collections::{BTreeMap, BTreeSet};

use goblin::elf::program_header::{PF_R, PF_W, PF_X, PT_LOAD};
use minild::Image;
use minild::format::layout::{LaidOutSection, Segment};
use minild::format::plan::{Permissions, Role};
use minild::program::{Definition, Import, ImportName, Position, Program, SectionKind};
use object::{Object, ObjectSection, ObjectSegment, ObjectSymbol};

use super::{mapped, pointers_are_the_programs, same};
use crate::Checked;
use crate::case::Variant;

pub(super) fn check(program: &Program<'_>, image: &Image, variant: Variant) -> Checked {
    object_agrees(image)?;
    goblin_agrees(image)?;
    symbols_are_the_programs(program, image, variant)?;
    pointers_are_the_programs(program, image)?;
    load_relocations_are_the_programs(program, image)
}

/// Sections that have a section header: not the headers themselves.
fn with_header(image: &Image) -> impl Iterator<Item = (&Segment, &LaidOutSection)> {
    let all = image.layout.segments.iter();
    all.flat_map(|segment| segment.sections.iter().map(move |section| (segment, section)))
        .filter(|(_, section)| section.name.starts_with('.'))
}

fn object_agrees(image: &Image) -> Checked {
    let file = object::File::parse(&*image.bytes)?;
    let layout = &image.layout;
    same("entry", &file.entry(), &layout.entry.map_or(0, |entry| entry.0))?;

    let segments: Vec<_> = file
        .segments()
        .map(|segment| {
            let permissions = segment.permissions();
            let permissions = Permissions {
                read: permissions.readable(),
                write: permissions.writable(),
                execute: permissions.executable(),
            };
            let (offset, size) = segment.file_range();
            (segment.address(), segment.size(), offset, size, segment.align(), permissions)
        })
        .collect();
    let expected: Vec<_> = mapped(image)
        .map(|segment| {
            let Segment { address, size, offset, file_size, align, permissions, .. } = segment;
            (address.0, size.0, offset.0, file_size.0, align.get(), *permissions)
        })
        .collect();
    same("segments", &segments, &expected)?;

    let sections: Vec<_> = file
        .sections()
        .map(|section| {
            let name = section.name().unwrap_or("?").to_owned();
            (name, section.address(), section.size(), section.align())
        })
        .collect();
    let expected: Vec<_> = with_header(image)
        .map(|(_, section)| {
            (section.name.to_string(), section.address.0, section.size.0, section.align.get())
        })
        .collect();
    same("sections", &sections, &expected)
}

fn goblin_agrees(image: &Image) -> Checked {
    let elf = goblin::elf::Elf::parse(&image.bytes)?;
    same("entry", &elf.entry, &image.layout.entry.map_or(0, |entry| entry.0))?;
    let flags = |permissions: Permissions| {
        let each =
            [(permissions.read, PF_R), (permissions.write, PF_W), (permissions.execute, PF_X)];
        each.iter().filter(|(allowed, _)| *allowed).fold(0, |flags, (_, flag)| flags | flag)
    };
    let segments: Vec<_> = elf
        .program_headers
        .iter()
        .filter(|header| header.p_type == PT_LOAD)
        .map(|header| {
            (header.p_vaddr, header.p_memsz, header.p_offset, header.p_filesz, header.p_flags)
        })
        .collect();
    let expected: Vec<_> = mapped(image)
        .map(|segment| {
            let Segment { address, size, offset, file_size, permissions, .. } = segment;
            (address.0, size.0, offset.0, file_size.0, flags(*permissions))
        })
        .collect();
    same("segments", &segments, &expected)?;

    let sections: Vec<_> = elf
        .section_headers
        .iter()
        .skip(1) // the null section
        .map(|header| {
            let name = elf.shdr_strtab.get_at(header.sh_name).unwrap_or("?").to_owned();
            (name, header.sh_addr, header.sh_offset, header.sh_size)
        })
        .collect();
    let expected: Vec<_> = with_header(image)
        .map(|(_, section)| {
            (section.name.to_string(), section.address.0, section.offset.0, section.size.0)
        })
        .collect();
    same("sections", &sections, &expected)
}

fn symbols_are_the_programs(program: &Program<'_>, image: &Image, variant: Variant) -> Checked {
    let file = object::File::parse(&*image.bytes)?;
    let found: BTreeMap<_, _> = file
        .symbols()
        .map(|symbol| (symbol.name().unwrap_or("?"), (symbol.address(), symbol.size())))
        .collect();
    let mut expected = BTreeMap::new();
    if variant != Variant::Stripped {
        for (id, symbol) in program.symbols_with_ids() {
            if let Definition::Section { section, .. } = symbol.definition {
                // A thread-local variable's value counts from the template.
                let template = image.layout.template();
                let template = template.filter(|_| program.section(section).kind.is_thread_local());
                let base = template.map_or(0, |template| template.start.0);
                expected.insert(&*symbol.name, (image.layout.symbol(id).0 - base, symbol.size));
            }
        }
        if expected.is_empty() {
            return Err("the program has no symbols to compare".into());
        }
    }
    same("symbols", &found, &expected)
}

/// The file has one relative relocation for each pointer to a place of the program, lists of functions
/// included, and one by name for each import.
fn load_relocations_are_the_programs(program: &Program<'_>, image: &Image) -> Checked {
    let elf = goblin::elf::Elf::parse(&image.bytes)?;
    let mut found = BTreeMap::new();
    let mut imported = BTreeSet::new();
    for section in &elf.section_headers {
        if section.sh_type == goblin::elf::section_header::SHT_RELA {
            let (offset, size) = (section.sh_offset.try_into()?, section.sh_size.try_into()?);
            let ctx = goblin::container::Ctx::new(
                goblin::container::Container::Big,
                goblin::container::Endian::Little,
            );
            let table = goblin::elf::RelocSection::parse(&image.bytes, offset, size, true, ctx)?;
            for relocation in &table {
                let relative =
                    [goblin::elf::reloc::R_X86_64_RELATIVE, goblin::elf::reloc::R_AARCH64_RELATIVE];
                if relative.contains(&relocation.r_type) && relocation.r_sym == 0 {
                    found.insert(relocation.r_offset, relocation.r_addend);
                    continue;
                }
                let symbol = elf.dynsyms.get(relocation.r_sym).ok_or("no such symbol")?;
                imported.insert(elf.dynstrtab.get_at(symbol.st_name).unwrap_or("?").to_owned());
            }
        }
    }
    let mut expected = BTreeMap::new();
    if program.wishes.position == Position::Independent {
        for (id, section) in program.sections_with_ids() {
            for relocation in section.relocations.iter().filter(|r| r.kind.is_pointer()) {
                let target = image.layout.symbol(relocation.symbol).0;
                let address = image.layout.section_address(id).0 + relocation.offset;
                let value = target.cast_signed().wrapping_add(relocation.addend);
                expected.insert(address, Some(value));
            }
        }
        for (kind, functions) in
            [(SectionKind::Init, &program.init), (SectionKind::Fini, &program.fini)]
        {
            let role = Role::Kind(kind);
            let list = image.layout.sections().find(|section| section.role == role);
            let list = list.map_or(0, |list| list.address.0);
            for (address, function) in (list..).step_by(8).zip(functions) {
                let value = image.layout.symbol(*function).0.cast_signed();
                expected.insert(address, Some(value));
            }
        }
    }
    same("load relocations", &found, &expected)?;

    let name = |import: &Import<'_>| match &import.name {
        ImportName::Name(name) => name.to_string(),
        ImportName::Ordinal(number) => number.to_string(),
    };
    let expected: BTreeSet<_> = program.imports().iter().map(name).collect();
    let wanted_by_start_up: BTreeSet<_> = imported.difference(&expected).cloned().collect();
    if wanted_by_start_up.iter().any(|name| name != "__libc_start_main") {
        return Err(format!("nobody imports {wanted_by_start_up:?}").into());
    }
    same("missing imports", &expected.difference(&imported).collect(), &BTreeSet::new())
}
