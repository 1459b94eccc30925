//! The ELF header: what `execve` looks at before it maps anything, and what others read there.

use object::LittleEndian as LE;
use object::elf;

use super::{Elf, MOST_SEGMENTS, PROGRAM_HEADER_SIZE};
use crate::view::lint::bytes::field;
use crate::view::lint::report::{Place, Report};
use crate::view::lint::rule::Loader::{Glibc, GlibcAsProgram, Linux, Musl, Tools};
use crate::view::lint::rule::{Check, Kind, Rule, error, warning};

type Header = elf::FileHeader64<LE>;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "elf/truncated",
        demand: "the file holds a whole ELF header of 64 bytes",
        by: &[error(Linux), error(Glibc), error(Musl)],
        symptom: "`Exec format error` (ENOEXEC)",
        cure: "write or copy the file again: it ends too early",
        source: "Linux fs/binfmt_elf.c, load_elf_binary",
        check: Check::Elf(truncated),
    },
    Rule {
        name: "elf/type",
        demand: "e_type is ET_EXEC or ET_DYN",
        by: &[error(Linux), error(Glibc), error(Musl)],
        symptom: "`Exec format error` (ENOEXEC)",
        cure: "link object files into a program; take ET_EXEC for a fixed address, ET_DYN otherwise",
        source: "Linux fs/binfmt_elf.c, load_elf_binary",
        check: Check::Elf(file_type),
    },
    Rule {
        name: "elf/identity",
        demand: "e_ident says 64 bits, little-endian, version 1, System V or GNU, and zeros",
        by: &[error(Glibc).libraries(), error(GlibcAsProgram), warning(Tools)],
        symptom: "the kernel starts it all the same; `ld.so prog` and `dlopen` say `wrong ELF class`, `invalid ELF header` \
                  or `ELF file OS ABI invalid`, and tools misread it",
        cure: "set EI_CLASS 2, EI_DATA 1, EI_VERSION 1, EI_OSABI 0 or 3, and zeros behind EI_OSABI",
        source: "glibc elf/dl-load.c, open_verify",
        check: Check::Elf(identity),
    },
    Rule {
        name: "elf/ehsize",
        demand: "e_ehsize is 64",
        by: &[warning(Tools)],
        symptom: "the kernel starts it all the same; `qemu-aarch64` says `Invalid ELF image for this architecture`, and tools refuse it",
        cure: "set it to the size of the 64-bit header",
        source: "System V gABI chapter 4, ELF Header; QEMU linux-user/elfload.c, elf_check_ehdr",
        check: Check::Elf(header_size),
    },
    Rule {
        name: "elf/phentsize",
        demand: "e_phentsize is 56",
        by: &[error(Linux), error(Glibc), error(Musl)],
        symptom: "`Exec format error` (ENOEXEC)",
        cure: "set it to the size of a 64-bit program header",
        source: "Linux fs/binfmt_elf.c, load_elf_phdrs",
        check: Check::Elf(entry_size),
    },
    Rule {
        name: "elf/phnum",
        demand: "there are 1 to 1170 program headers: at most 64 KiB of them",
        by: &[error(Linux)],
        symptom: "`Exec format error` (ENOEXEC)",
        cure: "gather sections into fewer segments; the extension for more headers (PN_XNUM) is for core files",
        source: "Linux fs/binfmt_elf.c, load_elf_phdrs",
        check: Check::Elf(entry_count),
    },
    Rule {
        name: "elf/phdrs-truncated",
        demand: "the program headers lie inside the file",
        by: &[error(Linux), error(Glibc), error(Musl)],
        symptom: "`Exec format error` (ENOEXEC) or an input/output error",
        cure: "point e_phoff at the table; if it is right, the file was cut",
        source: "Linux fs/binfmt_elf.c, load_elf_phdrs (elf_read)",
        check: Check::Elf(table_inside),
    },
    Rule {
        name: "elf/phdrs-unmapped",
        demand: "a load segment holds the program headers",
        by: &[warning(Linux).programs(), error(Glibc).programs(), error(Musl).programs()],
        symptom: "the program is told a wrong place for its headers (AT_PHDR): thread-locals are not set up, unwinders and \
                  dl_iterate_phdr find nothing or crash",
        cure: "begin the first load segment at file offset 0",
        source: "Linux fs/binfmt_elf.c, create_elf_tables (phdr_addr)",
        check: Check::Elf(table_mapped),
    },
    Rule {
        name: "elf/entry",
        demand: "e_entry lies in an executable load segment",
        by: &[error(Linux).programs()],
        symptom: "SIGSEGV at the first instruction",
        cure: "point e_entry at code; a program in Thumb or with tagged addresses has none here",
        source: "Linux fs/binfmt_elf.c, load_elf_binary (start_thread)",
        check: Check::Elf(entry),
    },
    Rule {
        name: "elf/section-headers",
        demand: "section headers, if there are any, lie inside the file, 64 bytes each, and the names' section is one of them",
        by: &[warning(Tools)],
        symptom: "it runs; `readelf`, `objdump`, `gdb` and `strip` refuse or misread it",
        cure: "correct e_shoff, e_shentsize, e_shnum and e_shstrndx, or set all of them to 0",
        source: "System V gABI chapter 4, ELF Header, Section Header",
        check: Check::Elf(section_headers),
    },
];

fn truncated(elf: &Elf<'_>, report: &mut Report<'_>) {
    let size = size_of::<Header>() as u64;
    if elf.data.len() < size {
        let message = format!("the file has {} bytes, its header {size}", elf.data.len());
        report.add(Place::new(0, elf.data.len(), "ELF header"), message);
    }
}

fn file_type(elf: &Elf<'_>, report: &mut Report<'_>) {
    // Object files and core dumps have no rules.
    if !is_linked(elf) {
        let message = format!("e_type is {:#x}", elf.header.e_type.get(LE).0);
        report.add(Elf::field(field!(Header, e_type)), message);
    }
}

fn identity(elf: &Elf<'_>, report: &mut Report<'_>) {
    let ident = elf.data.slice(0, 16).expect("the header is there");
    let wanted: [(usize, &[u8], &str); 4] = [
        (4, &[2], "EI_CLASS"),
        (5, &[1], "EI_DATA"),
        (6, &[1], "EI_VERSION"),
        (7, &[0, 3], "EI_OSABI"),
    ];
    let zeros = (8..16).map(|index| (index, &[0][..], "EI_ABIVERSION and padding"));
    for (index, values, name) in wanted.into_iter().chain(zeros) {
        if !values.contains(&ident[index]) {
            let place = Place::new(index as u64, 1, format!("e_ident[{index}], {name}"));
            report.add(place, format!("e_ident[{index}] ({name}) is {}", ident[index]));
        }
    }
    let version = elf.header.e_version.get(LE);
    if version != u32::from(elf::EV_CURRENT.0) {
        report.add(Elf::field(field!(Header, e_version)), format!("e_version is {version}"));
    }
}

fn header_size(elf: &Elf<'_>, report: &mut Report<'_>) {
    let size = elf.header.e_ehsize.get(LE);
    if usize::from(size) != size_of::<Header>() {
        report.add(Elf::field(field!(Header, e_ehsize)), format!("e_ehsize is {size}"));
    }
}

/// An object file has no program headers, and its type says it all.
fn is_linked(elf: &Elf<'_>) -> bool {
    [elf::ET_EXEC, elf::ET_DYN].contains(&elf.header.e_type.get(LE))
}

fn entry_size(elf: &Elf<'_>, report: &mut Report<'_>) {
    let size = elf.header.e_phentsize.get(LE);
    if is_linked(elf) && u64::from(size) != PROGRAM_HEADER_SIZE {
        report.add(Elf::field(field!(Header, e_phentsize)), format!("e_phentsize is {size}"));
    }
}

fn entry_count(elf: &Elf<'_>, report: &mut Report<'_>) {
    let count = elf.header.e_phnum.get(LE);
    if is_linked(elf) && !(1..=MOST_SEGMENTS).contains(&u64::from(count)) {
        report.add(Elf::field(field!(Header, e_phnum)), format!("e_phnum is {count}"));
    }
}

fn table_inside(elf: &Elf<'_>, report: &mut Report<'_>) {
    let count = u64::from(elf.header.e_phnum.get(LE));
    let has_entries = u64::from(elf.header.e_phentsize.get(LE)) == PROGRAM_HEADER_SIZE
        && (1..=MOST_SEGMENTS).contains(&count);
    if has_entries && elf.segments.is_none() {
        let message = format!(
            "{count} program headers at {:#x}, but the file ends at {:#x}",
            elf.header.e_phoff.get(LE),
            elf.data.len()
        );
        report.add(Elf::field(field!(Header, e_phoff)), message);
    }
}

fn table_mapped(elf: &Elf<'_>, report: &mut Report<'_>) {
    let Some(segments) = &elf.segments else { return };
    let start = elf.header.e_phoff.get(LE);
    let end = start + segments.len() as u64 * PROGRAM_HEADER_SIZE;
    let is_mapped = elf
        .loads()
        .any(|load| load.offset <= start && load.offset.saturating_add(load.file_size) >= end);
    if !is_mapped && elf.loads().next().is_some() {
        let message = format!("no load segment holds the program headers at {start:#x}..{end:#x}");
        report.add(Elf::field(field!(Header, e_phoff)), message);
    }
}

fn entry(elf: &Elf<'_>, report: &mut Report<'_>) {
    if elf.kind != Kind::Program || elf.loads().next().is_none() {
        return;
    }
    let entry = elf.header.e_entry.get(LE);
    let message = match elf.load_at(entry, 1) {
        Some(load) if load.has(elf::PF_X) => return,
        Some(load) => {
            format!("the entry {entry:#x} is in segment {}, which is not executable", load.index)
        }
        None => format!("no load segment holds the entry {entry:#x}"),
    };
    report.add(Elf::field(field!(Header, e_entry)), message);
}

fn section_headers(elf: &Elf<'_>, report: &mut Report<'_>) {
    let header = &elf.header;
    let (start, count) = (header.e_shoff.get(LE), u64::from(header.e_shnum.get(LE)));
    // No table, or one so large that its size stands elsewhere.
    if start == 0 || count == 0 {
        return;
    }
    let size = u64::from(header.e_shentsize.get(LE));
    let names = u64::from(header.e_shstrndx.get(LE).0);
    if size != size_of::<elf::SectionHeader64<LE>>() as u64 {
        report.add(Elf::field(field!(Header, e_shentsize)), format!("e_shentsize is {size}"));
    } else if start.checked_add(count * size).is_none_or(|end| end > elf.data.len()) {
        let message = format!(
            "{count} section headers at {start:#x}, but the file ends at {:#x}",
            elf.data.len()
        );
        report.add(Elf::field(field!(Header, e_shoff)), message);
    } else if names >= count && names < u64::from(elf::SHN_LORESERVE) {
        let message = format!("e_shstrndx is {names} of {count} sections");
        report.add(Elf::field(field!(Header, e_shstrndx)), message);
    }
}
