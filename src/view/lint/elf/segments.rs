//! Load segments: how the kernel maps them, page by page (`elf_load`, `elf_map`), and where that is not what the
//! headers say.

use object::LittleEndian as LE;
use object::elf;

use super::{Elf, LARGE_PAGE, PAGE, Segment};
use crate::target::Architecture;
use crate::view::lint::bytes::{down, field, up};
use crate::view::lint::report::{Place, Report};
use crate::view::lint::rule::Loader::{Glibc, Linux, LinuxLargePages, Musl};
use crate::view::lint::rule::{Check, Rule, error, warning};

type Header = elf::ProgramHeader64<LE>;

/// Below this a system may refuse to map anything: the usual value of `vm.mmap_min_addr`.
const LEAST_ADDRESS: u64 = 0x1_0000;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "elf/no-load",
        demand: "there is a PT_LOAD segment",
        by: &[error(Linux), error(Glibc), error(Musl)],
        symptom: "SIGSEGV at exec; `object file has no loadable segments` for a library",
        cure: "map code and data with load segments",
        source: "Linux fs/binfmt_elf.c, load_elf_binary; glibc elf/dl-load.c, _dl_map_object_from_fd",
        check: Check::Elf(no_load),
    },
    Rule {
        name: "elf/segment-congruence",
        demand: "p_offset and p_vaddr are equal modulo the page size",
        by: &[error(Linux), error(Glibc).libraries(), error(Musl).libraries()],
        symptom: "SIGSEGV at exec, before the first instruction; `ELF load command address/offset not page-aligned` for a library",
        cure: "move the segment's bytes in the file, or its address",
        source: "Linux fs/binfmt_elf.c, elf_map (mmap refuses the offset)",
        check: Check::Elf(congruence),
    },
    Rule {
        name: "elf/large-pages",
        demand: "p_offset and p_vaddr are equal modulo 64 KiB, and segments with different rights do not share 64 KiB of addresses",
        by: &[warning(LinuxLargePages)],
        symptom: "runs with pages of 4 KiB; SIGSEGV at exec or a wrong protection where the kernel has pages of 16 or 64 KiB",
        cure: "lay the file out for pages of 64 KiB (`-z max-page-size=65536`)",
        source: "Linux arch/arm64/Kconfig, ARM64_64K_PAGES; fs/binfmt_elf.c, elf_map",
        check: Check::Elf(large_pages),
    },
    Rule {
        name: "elf/segment-sizes",
        demand: "p_filesz is not above p_memsz",
        by: &[error(Linux), warning(Glibc).libraries(), warning(Musl).libraries()],
        symptom: "SIGSEGV at exec; a library is loaded, with less or more of its bytes than were meant",
        cure: "set p_memsz to what the segment takes in memory, file bytes and zeros",
        source: "Linux fs/binfmt_elf.c, load_elf_binary",
        check: Check::Elf(sizes),
    },
    Rule {
        name: "elf/segment-range",
        demand: "segments end below the end of user space, and do not wrap around",
        by: &[error(Linux), error(Glibc), error(Musl)],
        symptom: "SIGSEGV at exec",
        cure: "take lower addresses, or smaller zeros",
        source: "Linux fs/binfmt_elf.c, load_elf_binary (BAD_ADDR, TASK_SIZE)",
        check: Check::Elf(range),
    },
    Rule {
        name: "elf/segment-truncated",
        demand: "the file has the bytes that p_offset and p_filesz say",
        by: &[error(Linux), error(Glibc), error(Musl)],
        symptom: "it starts; SIGBUS when a page behind the end of the file is touched",
        cure: "write or copy the file again: it ends too early",
        source: "mmap(2), SIGBUS; Linux mm/filemap.c, filemap_fault",
        check: Check::Elf(file_range),
    },
    Rule {
        name: "elf/segment-order",
        demand: "load segments stand in the order of their addresses",
        by: &[warning(Linux), error(Glibc).libraries(), error(Musl).libraries()],
        symptom: "what is reserved for the program is measured from the first to the last header: libraries may be mapped into it",
        cure: "sort the PT_LOAD headers by p_vaddr",
        source: "System V gABI chapter 5, PT_LOAD; Linux fs/binfmt_elf.c, total_mapping_size; glibc elf/dl-map-segments.h",
        check: Check::Elf(order),
    },
    Rule {
        name: "elf/segment-overlap",
        demand: "no two load segments share an address, nor a page with different bytes",
        by: &[error(Linux), error(Glibc), error(Musl)],
        symptom: "the later header silently takes the place of the earlier one's pages: wrong bytes, lost variables",
        cure: "give the later segment a page of its own",
        source: "Linux fs/binfmt_elf.c, elf_map (MAP_FIXED)",
        check: Check::Elf(overlap),
    },
    Rule {
        name: "elf/bss-not-writable",
        demand: "only writable segments have zeros behind their bytes (p_memsz above p_filesz)",
        by: &[error(Linux), error(Glibc).libraries(), error(Musl).libraries()],
        symptom: "the zeros that share the last page of file bytes are not cleared, and hold junk of the file; whole pages of them \
                  become writable, in an executable segment writable and executable",
        cure: "put zero-filled sections into a writable segment",
        source: "Linux fs/binfmt_elf.c, elf_load (padzero, vm_brk_flags)",
        check: Check::Elf(zeros),
    },
    Rule {
        name: "elf/writable-executable",
        demand: "no load segment is both writable and executable",
        by: &[warning(Linux), warning(Glibc), warning(Musl)],
        symptom: "whoever can write to it has code run; SELinux and hardened kernels refuse it (`Permission denied`)",
        cure: "put code and variables into segments of their own",
        source: "SELinux execmem; OpenBSD and PaX W^X",
        check: Check::Elf(writable_executable),
    },
    Rule {
        name: "elf/no-rights",
        demand: "load segments with bytes of the file can be read, written or executed",
        by: &[error(Linux), error(Glibc), error(Musl)],
        symptom: "SIGSEGV when anything in it is touched, by ld.so where it has the tables",
        cure: "set PF_R, and PF_W or PF_X where they are meant",
        source: "Linux fs/binfmt_elf.c, make_prot; mmap(2), PROT_NONE",
        check: Check::Elf(no_rights),
    },
    Rule {
        name: "elf/tables-unreadable",
        demand: "what the dynamic linker reads lies in segments with PF_R: program headers, dynamic table, symbols, names, relocations",
        by: &[error(Glibc), error(Musl)],
        symptom: "SIGSEGV inside ld.so where execute-only memory is enforced: arm64, and x86-64 with protection keys",
        cure: "set PF_R of the segment",
        source: "Linux fs/binfmt_elf.c, make_prot; arch/x86/mm/pkeys.c, __execute_only_pkey; glibc elf/get-dynamic-info.h",
        check: Check::Elf(tables_unreadable),
    },
    Rule {
        name: "elf/align",
        demand: "p_align is a power of two, of at least a page in a library, and divides the distance of p_offset and p_vaddr",
        by: &[warning(Linux), warning(Glibc).libraries()],
        symptom: "the kernel and glibc from 2.35 on pass it over, but for one beyond all memory; before: `ELF load command alignment \
                  not page-aligned` for a library",
        cure: "set it to the page size that the file was laid out for",
        source: "glibc elf/dl-load.c, _dl_map_object_from_fd; Linux fs/binfmt_elf.c, maximum_alignment",
        check: Check::Elf(align),
    },
    Rule {
        name: "elf/low-address",
        demand: "a program with a fixed position begins at 64 KiB or above",
        by: &[warning(Linux).programs()],
        symptom: "SIGSEGV at exec, but for root or where vm.mmap_min_addr is lower",
        cure: "take a higher image base: 0x400000 is usual",
        source: "Linux security/min_addr.c, vm.mmap_min_addr",
        check: Check::Elf(low_address),
    },
];

fn no_load(elf: &Elf<'_>, report: &mut Report<'_>) {
    if elf.segments.is_some() && elf.loads().next().is_none() {
        let place = Place::new(elf.header.e_phoff.get(LE), 0, "program headers");
        report.add(place, format!("none of {} program headers is PT_LOAD", elf.segments().len()));
    }
}

/// Whether address and offset lie at the same place of their pages.
fn is_congruent(load: &Segment, page: u64) -> bool {
    load.offset % page == load.address % page
}

fn congruence(elf: &Elf<'_>, report: &mut Report<'_>) {
    // A segment without file bytes is mapped from nothing.
    for load in elf.loads().filter(|load| load.file_size > 0 && !is_congruent(load, PAGE)) {
        let message = format!(
            "segment {}: offset {:#x} and address {:#x} differ modulo {PAGE:#x}",
            load.index, load.offset, load.address
        );
        report.add(load.place(field!(Header, p_offset)), message);
    }
}

fn large_pages(elf: &Elf<'_>, report: &mut Report<'_>) {
    let loads: Vec<_> = elf.loads().collect();
    for load in &loads {
        if load.file_size > 0 && is_congruent(load, PAGE) && !is_congruent(load, LARGE_PAGE) {
            let message = format!(
                "segment {}: offset {:#x} and address {:#x} differ modulo {LARGE_PAGE:#x}",
                load.index, load.offset, load.address
            );
            report.add(load.place(field!(Header, p_offset)), message);
        }
    }
    for pair in loads.windows(2) {
        let shares = down(pair[1].address, LARGE_PAGE) < up(pair[0].end(), LARGE_PAGE);
        let is_next = pair[1].address >= up(pair[0].end(), PAGE);
        if shares && is_next && pair[0].flags != pair[1].flags {
            let message = format!(
                "segments {} and {} share the 64 KiB at {:#x}, with different rights",
                pair[0].index,
                pair[1].index,
                down(pair[1].address, LARGE_PAGE)
            );
            report.add(pair[1].place(field!(Header, p_vaddr)), message);
        }
    }
}

fn sizes(elf: &Elf<'_>, report: &mut Report<'_>) {
    for load in elf.loads().filter(|load| load.file_size > load.size) {
        let message = format!(
            "segment {} has {:#x} bytes in the file and {:#x} in memory",
            load.index, load.file_size, load.size
        );
        report.add(load.place(field!(Header, p_filesz)), message);
    }
}

/// Where user space ends: `TASK_SIZE` with four levels of page tables.
fn user_space_end(architecture: Architecture) -> u64 {
    match architecture {
        Architecture::X86_64 => (1 << 47) - PAGE,
        Architecture::Aarch64 => 1 << 48,
    }
}

fn range(elf: &Elf<'_>, report: &mut Report<'_>) {
    let limit = user_space_end(elf.architecture);
    for load in elf.loads() {
        if load.address.checked_add(load.size).is_none_or(|end| end > limit) {
            let message = format!(
                "segment {} has {:#x} bytes at {:#x}; user space ends at {limit:#x}",
                load.index, load.size, load.address
            );
            report.add(load.place(field!(Header, p_vaddr)), message);
        }
    }
}

fn file_range(elf: &Elf<'_>, report: &mut Report<'_>) {
    for load in elf.loads().filter(|load| load.file_size > 0) {
        let end = load.offset.checked_add(load.file_size);
        if end.is_none_or(|end| end > elf.data.len()) {
            let message = format!(
                "segment {} has {:#x} bytes at offset {:#x}, but the file ends at {:#x}",
                load.index,
                load.file_size,
                load.offset,
                elf.data.len()
            );
            report.add(load.place(field!(Header, p_offset)), message);
        }
    }
}

fn order(elf: &Elf<'_>, report: &mut Report<'_>) {
    let loads: Vec<_> = elf.loads().collect();
    for pair in loads.windows(2).filter(|pair| pair[0].address > pair[1].address) {
        let message = format!(
            "segment {} at {:#x} stands behind segment {} at {:#x}",
            pair[1].index, pair[1].address, pair[0].index, pair[0].address
        );
        report.add(pair[1].place(field!(Header, p_vaddr)), message);
    }
}

fn overlap(elf: &Elf<'_>, report: &mut Report<'_>) {
    let mut loads: Vec<_> = elf.loads().filter(|load| load.size > 0).collect();
    loads.sort_by_key(|load| load.address);
    for pair in loads.windows(2) {
        let (one, other) = (pair[0], pair[1]);
        let share = if other.address < one.end() {
            "addresses"
        } else if down(other.address, PAGE) < up(one.end(), PAGE) && !bytes_agree(one, other) {
            "a page with different bytes"
        } else {
            continue;
        };
        let message = format!(
            "segments {} ({:#x}..{:#x}) and {} ({:#x}..{:#x}) share {share}",
            one.index,
            one.address,
            one.end(),
            other.index,
            other.address,
            other.end()
        );
        report.add(other.place(field!(Header, p_vaddr)), message);
    }
}

/// Whether the page that two segments share is one page of the file, and nothing else.
fn bytes_agree(one: &Segment, other: &Segment) -> bool {
    let place = |load: &Segment| load.address.wrapping_sub(load.offset);
    place(one) == place(other) && one.file_size == one.size && other.file_size > 0
}

fn zeros(elf: &Elf<'_>, report: &mut Report<'_>) {
    for load in elf.loads().filter(|load| load.size > load.file_size && !load.has(elf::PF_W)) {
        let message = format!(
            "segment {} has {:#x} bytes of zeros and is not writable",
            load.index,
            load.size - load.file_size
        );
        report.add(load.place(field!(Header, p_memsz)), message);
    }
}

fn writable_executable(elf: &Elf<'_>, report: &mut Report<'_>) {
    for load in elf.loads().filter(|load| load.has(elf::PF_W) && load.has(elf::PF_X)) {
        let message = format!("segment {} is writable and executable", load.index);
        report.add(load.place(field!(Header, p_flags)), message);
    }
}

fn no_rights(elf: &Elf<'_>, report: &mut Report<'_>) {
    let rights = elf::PF_R.0 | elf::PF_W.0 | elf::PF_X.0;
    for load in elf.loads().filter(|load| load.file_size > 0 && load.flags & rights == 0) {
        let message = format!("segment {} has the flags {:#x}", load.index, load.flags);
        report.add(load.place(field!(Header, p_flags)), message);
    }
}

fn tables_unreadable(elf: &Elf<'_>, report: &mut Report<'_>) {
    let Some(dynamic) = elf.linking().filter(|_| elf.has_linker()) else { return };
    let headers = elf.of_kind(elf::PT_PHDR).chain(elf.of_kind(elf::PT_DYNAMIC));
    let tables = [elf::DT_STRTAB, elf::DT_SYMTAB, elf::DT_RELA, elf::DT_JMPREL, elf::DT_GNU_HASH];
    let addresses: Vec<_> = headers
        .map(|segment| segment.address)
        .chain(tables.into_iter().filter_map(|tag| dynamic.value(tag)))
        .collect();
    // Memory that can be written can be read; without any right it is a rule of its own.
    let is_executed_only =
        |load: &&Segment| load.has(elf::PF_X) && !load.has(elf::PF_R) && !load.has(elf::PF_W);
    for load in elf.loads().filter(is_executed_only) {
        if let Some(address) = addresses.iter().find(|address| load.holds(**address, 1)) {
            let message =
                format!("segment {} has what ld.so reads at {address:#x}, and no PF_R", load.index);
            report.add(load.place(field!(Header, p_flags)), message);
        }
    }
}

fn align(elf: &Elf<'_>, report: &mut Report<'_>) {
    let is_library = elf.kind == super::Kind::Library;
    for load in elf.loads() {
        let what = if load.align > 1 && !load.align.is_power_of_two() {
            "not a power of two"
        } else if load.align > user_space_end(elf.architecture) {
            "more than there are addresses"
        } else if is_library && load.align < PAGE {
            "less than a page"
        } else if load.file_size > 0
            && load.align > PAGE
            && is_congruent(load, PAGE)
            && !is_congruent(load, load.align)
        {
            "but offset and address differ modulo it"
        } else {
            continue;
        };
        let message = format!("p_align of segment {} is {:#x}, {what}", load.index, load.align);
        report.add(load.place(field!(Header, p_align)), message);
    }
}

fn low_address(elf: &Elf<'_>, report: &mut Report<'_>) {
    let first = elf.loads().min_by_key(|load| load.address);
    if let Some(load) = first.filter(|load| load.address < LEAST_ADDRESS)
        && elf.header.e_type.get(LE) == elf::ET_EXEC
    {
        let message = format!("segment {} is at {:#x}", load.index, load.address);
        report.add(load.place(field!(Header, p_vaddr)), message);
    }
}
