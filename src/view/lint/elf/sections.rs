//! Sections: no loader reads them, but they say where the linker put what the segments map. Where both disagree, one
//! is wrong.

use std::collections::HashSet;

use object::LittleEndian as LE;
use object::elf;

use super::Elf;
use crate::view::lint::bytes::{field, up};
use crate::view::lint::report::{Place, Report};
use crate::view::lint::rule::Loader::{Glibc, Linux, Musl, Tools};
use crate::view::lint::rule::{Check, Rule, warning};

type Header = elf::SectionHeader64<LE>;
type Segment = elf::ProgramHeader64<LE>;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "elf/section-unmapped",
        demand: "sections that are in memory lie in load segments, at the same bytes of the file",
        by: &[warning(Tools)],
        symptom: "either the program finds other bytes at its addresses than the linker put there, and crashes; or debuggers, \
                  `objcopy` and `strip` show and write the wrong bytes",
        cure: "correct p_offset, p_vaddr and p_filesz of the segment, or sh_offset, sh_addr and sh_size of the section",
        source: "System V gABI chapter 4, sh_addr, sh_offset; chapter 5, Segment Contents",
        check: Check::Elf(unmapped),
    },
    Rule {
        name: "elf/section-table",
        demand: "where there are sections, the tables that the dynamic table names begin where a section does",
        by: &[warning(Tools)],
        symptom: "either ld.so reads the table from its middle and finds junk, or tools do",
        cure: "set the entry of the dynamic table to the section's address",
        source: "System V gABI chapter 4, Special Sections; chapter 5, Dynamic Section",
        check: Check::Elf(tables),
    },
    Rule {
        name: "elf/section-thread-locals",
        demand: "where there are sections, PT_TLS covers those of thread-locals, from the first to the last, and is aligned as they are",
        by: &[warning(Tools)],
        symptom: "code counts from the end of PT_TLS on x86-64, from its start on arm64: it finds the wrong thread-locals, or crashes",
        cure: "let p_vaddr and p_memsz span .tdata and .tbss, p_filesz .tdata, and p_align be the greatest of their alignments",
        source: "ELF Handling For Thread-Local Storage, section 3; System V gABI chapter 5, Thread-Local Storage",
        check: Check::Elf(thread_locals),
    },
    Rule {
        name: "elf/header-offset",
        demand: "p_offset and p_vaddr of PT_DYNAMIC, PT_TLS, PT_PHDR, PT_NOTE and PT_GNU_EH_FRAME are of the same bytes, all of them",
        by: &[warning(Tools)],
        symptom: "loaders go by the address, tools by the offset: these show something else than what is loaded",
        cure: "set p_offset to where the file has what is at p_vaddr, and p_filesz to its size",
        source: "System V gABI chapter 5, Program Header; glibc elf/rtld.c, rtld_setup_main_map; binutils readelf",
        check: Check::Elf(header_offset),
    },
    Rule {
        name: "elf/unwind-address",
        demand: "PT_GNU_EH_FRAME is mapped at its address",
        by: &[warning(Linux), warning(Glibc), warning(Musl)],
        symptom: "SIGSEGV or `terminate called` when an exception is thrown, no backtraces",
        cure: "set p_vaddr to the address of .eh_frame_hdr",
        source: "gcc libgcc/unwind-dw2-fde-dip.c, _Unwind_IteratePhdrCallback",
        check: Check::Elf(unwind_address),
    },
];

/// More section headers than these nobody writes: their number has 16 bits.
const MOST_SECTIONS: u64 = 0xff00;

impl Elf<'_> {
    /// The section headers, each with its place in the file; none where the table is damaged, which is a rule of its own.
    pub(super) fn sections(&self) -> impl Iterator<Item = (u64, Header)> {
        let (start, count) = (self.header.e_shoff.get(LE), u64::from(self.header.e_shnum.get(LE)));
        let size = size_of::<Header>() as u64;
        let is_whole = u64::from(self.header.e_shentsize.get(LE)) == size
            && self.data.slice(start, count * size).is_some();
        let count = if is_whole && start != 0 { count.min(MOST_SECTIONS) } else { 0 };
        (0..count).map_while(move |index| {
            let at = start + index * size;
            Some((at, self.data.read(at)?))
        })
    }
}

fn unmapped(elf: &Elf<'_>, report: &mut Report<'_>) {
    if elf.loads().next().is_none() {
        return;
    }
    for ((at, section), index) in elf.sections().zip(0_u64..) {
        let (address, offset, size) =
            (section.sh_addr.get(LE), section.sh_offset.get(LE), section.sh_size.get(LE));
        let has = |flag: elf::SectionFlags| section.sh_flags.get(LE).0 & flag.0 != 0;
        if !has(elf::SHF_ALLOC) || size == 0 {
            continue;
        }
        let is_zeros = section.sh_type.get(LE) == elf::SHT_NOBITS;
        let is_mapped = if is_zeros {
            // Zeros of thread-locals take no room where the program is loaded.
            has(elf::SHF_TLS) || elf.load_at(address, size).is_some()
        } else {
            elf.file_offset(address, size) == Some(offset)
        };
        if !is_mapped {
            let place = Place::new(
                at + field!(Header, sh_addr).offset,
                field!(Header, sh_addr).size,
                format!("section header {index}, sh_addr"),
            );
            let message = format!(
                "no load segment has section {index} at {address:#x} (offset {offset:#x}, {size:#x} bytes)"
            );
            report.add(place, message);
        }
    }
}

fn tables(elf: &Elf<'_>, report: &mut Report<'_>) {
    /// Not `DT_INIT` and `DT_FINI`: these can be any functions.
    const TABLES: &[(elf::DynamicTag, &str)] = &[
        (elf::DT_STRTAB, "DT_STRTAB"),
        (elf::DT_SYMTAB, "DT_SYMTAB"),
        (elf::DT_HASH, "DT_HASH"),
        (elf::DT_GNU_HASH, "DT_GNU_HASH"),
        (elf::DT_RELA, "DT_RELA"),
        (elf::DT_RELR, "DT_RELR"),
        (elf::DT_JMPREL, "DT_JMPREL"),
        (elf::DT_PLTGOT, "DT_PLTGOT"),
        (elf::DT_VERSYM, "DT_VERSYM"),
        (elf::DT_VERNEED, "DT_VERNEED"),
        (elf::DT_VERDEF, "DT_VERDEF"),
        (elf::DT_INIT_ARRAY, "DT_INIT_ARRAY"),
        (elf::DT_FINI_ARRAY, "DT_FINI_ARRAY"),
    ];
    let Some(dynamic) = elf.linking() else { return };
    let is_loaded = |section: &Header| section.sh_flags.get(LE).0 & elf::SHF_ALLOC.0 != 0;
    let sections: HashSet<_> = elf
        .sections()
        .filter(|(_, section)| is_loaded(section))
        .map(|(_, section)| section.sh_addr.get(LE))
        .collect();
    if sections.is_empty() {
        return;
    }
    for (tag, name) in TABLES {
        // An address in no segment is a rule of its own; a static program without relocations has DT_RELA 0.
        let is_mapped = |address| address != 0 && elf.load_at(address, 1).is_some();
        if let Some(entry) = dynamic.entry(*tag)
            && is_mapped(entry.value)
            && !sections.contains(&entry.value)
        {
            let message = format!("{name} is {:#x}, where no section begins", entry.value);
            report.add(entry.place(name), message);
        }
    }
}

fn thread_locals(elf: &Elf<'_>, report: &mut Report<'_>) {
    let wanted = elf::SHF_ALLOC.0 | elf::SHF_TLS.0;
    let is_local = |(_, section): &(u64, Header)| section.sh_flags.get(LE).0 & wanted == wanted;
    let sections: Vec<_> = elf.sections().filter(is_local).map(|(_, section)| section).collect();
    let Some(start) = sections.iter().map(|section| section.sh_addr.get(LE)).min() else { return };
    let end = |section: &Header| section.sh_addr.get(LE).saturating_add(section.sh_size.get(LE));
    let span = |end: Option<u64>| end.unwrap_or(start) - start;
    let size = span(sections.iter().map(end).max());
    let is_bytes = |section: &&Header| section.sh_type.get(LE) != elf::SHT_NOBITS;
    let file_size = span(sections.iter().filter(is_bytes).map(end).max());
    let align = sections.iter().map(|section| section.sh_addralign.get(LE)).max();
    let align = align.filter(|align| align.is_power_of_two()).unwrap_or(1);
    let Some(tls) = elf.first(elf::PT_TLS) else {
        let place = Place::new(elf.header.e_phoff.get(LE), 0, "program headers");
        return report.add(place, "there are sections of thread-locals and no PT_TLS");
    };
    let (field, says, wanted) = if tls.address != start {
        (field!(Segment, p_vaddr), tls.address, start)
    } else if tls.size < size || tls.size > up(size, align) {
        (field!(Segment, p_memsz), tls.size, size)
    } else if tls.file_size != file_size {
        (field!(Segment, p_filesz), tls.file_size, file_size)
    } else if tls.align < align {
        (field!(Segment, p_align), tls.align, align)
    } else {
        return;
    };
    let message = format!("{} of PT_TLS is {says:#x}, its sections say {wanted:#x}", field.name);
    report.add(tls.place(field), message);
}

fn header_offset(elf: &Elf<'_>, report: &mut Report<'_>) {
    let kinds = [elf::PT_DYNAMIC, elf::PT_TLS, elf::PT_PHDR, elf::PT_NOTE, elf::PT_GNU_EH_FRAME];
    for segment in kinds.into_iter().flat_map(|kind| elf.of_kind(kind)) {
        // An address that is not mapped is a rule of its own, or the affair of nobody: notes of a file need not be in memory.
        let Some((offset, left)) = elf.bytes_at(segment.address) else { continue };
        // Where program headers are mapped elsewhere than PT_PHDR says is a rule of its own.
        let is_headers =
            segment.kind == elf::PT_PHDR && segment.offset == elf.header.e_phoff.get(LE);
        if segment.file_size == 0 || is_headers {
            continue;
        }
        if offset != segment.offset {
            let message = format!(
                "{} has {:#x} at offset {offset:#x}, and says {:#x}",
                segment.name(),
                segment.address,
                segment.offset
            );
            report.add(segment.place(field!(Segment, p_offset)), message);
        } else if segment.file_size > left {
            let message = format!(
                "{} has {:#x} bytes, its load segment {left:#x} there",
                segment.name(),
                segment.file_size
            );
            report.add(segment.place(field!(Segment, p_filesz)), message);
        }
    }
}

fn unwind_address(elf: &Elf<'_>, report: &mut Report<'_>) {
    for segment in elf.of_kind(elf::PT_GNU_EH_FRAME).filter(|segment| segment.size > 0) {
        if elf.load_at(segment.address, segment.size).is_none() {
            let message =
                format!("no load segment has {:#x} bytes at {:#x}", segment.size, segment.address);
            report.add(segment.place(field!(Segment, p_vaddr)), message);
        }
    }
}
