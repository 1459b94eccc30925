//! Headers that map nothing but say how memory is to be treated: stack, RELRO, thread-locals, notes.

use object::LittleEndian as LE;
use object::elf;

use super::{Elf, LARGE_PAGE, PAGE};
use crate::target::Architecture::{Aarch64, X86_64};
use crate::view::lint::bytes::{Bytes, down, field, up};
use crate::view::lint::report::{Place, Report};
use crate::view::lint::rule::Loader::{Glibc, Linux, LinuxLargePages, Musl, Tools};
use crate::view::lint::rule::{Check, Rule, error, warning};

type Header = elf::ProgramHeader64<LE>;

/// No allocator of thread-locals finds memory that is aligned to more.
const MOST_ALIGN: u64 = 1 << 31;

/// No process has more memory: 47 bits of addresses on x86-64, 48 on most of arm64 (`TASK_SIZE`).
const MOST_MEMORY: u64 = 1 << 48;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "elf/stack-missing",
        demand: "there is a PT_GNU_STACK header",
        by: &[warning(Linux).on(Aarch64), warning(Glibc)],
        symptom: "older kernels for arm64 make the stack, and all that is readable, executable; glibc takes it for a wish \
                  for executable stacks",
        cure: "add a PT_GNU_STACK header with the flags read and write (`.note.GNU-stack` in every object file)",
        source: "Linux arch/arm64/include/asm/elf.h, elf_read_implies_exec; glibc elf/dl-load.c (DEFAULT_STACK_PERMS)",
        check: Check::Elf(stack_missing),
    },
    Rule {
        name: "elf/executable-stack",
        demand: "PT_GNU_STACK does not ask for an executable stack",
        by: &[warning(Linux), warning(Glibc)],
        symptom: "code on the stack can be run by whoever can write it; glibc 2.41 and later refuses such a library in dlopen",
        cure: "clear PF_X of PT_GNU_STACK (`-z noexecstack`)",
        source: "Linux fs/binfmt_elf.c, load_elf_binary (EXSTACK_ENABLE_X)",
        check: Check::Elf(executable_stack),
    },
    Rule {
        name: "elf/relro-outside",
        demand: "PT_GNU_RELRO lies in one writable load segment",
        by: &[error(Glibc), error(Musl)],
        symptom: "`cannot apply additional memory protection after relocation`, or pages of something else turn read-only",
        cure: "let PT_GNU_RELRO cover sections of the writable segment that are constant after relocation",
        source: "glibc elf/dl-reloc.c, _dl_protect_relro; musl ldso/dynlink.c, reloc_all",
        check: Check::Elf(relro_outside),
    },
    Rule {
        name: "elf/relro-end",
        demand: "PT_GNU_RELRO ends at a page",
        by: &[warning(Glibc), warning(Musl)],
        symptom: "the end is rounded down: what lies in the last, partial page stays writable",
        cure: "pad the section before the next variable to a page",
        source: "glibc elf/dl-reloc.c, _dl_protect_relro (ALIGN_DOWN)",
        check: Check::Elf(relro_end),
    },
    Rule {
        name: "elf/relro-large-pages",
        demand: "PT_GNU_RELRO ends at a multiple of 64 KiB",
        by: &[warning(LinuxLargePages)],
        symptom: "with pages of 16 or 64 KiB the last, partial page stays writable",
        cure: "lay the file out for pages of 64 KiB (`-z max-page-size=65536 -z common-page-size=65536`)",
        source: "glibc elf/dl-reloc.c, _dl_protect_relro (ALIGN_DOWN with GLRO(dl_pagesize))",
        check: Check::Elf(relro_large_pages),
    },
    Rule {
        name: "elf/relro-freezes-data",
        demand: "nothing else that is written shares a page with PT_GNU_RELRO's begin",
        by: &[error(Glibc), error(Musl)],
        symptom: "the begin is rounded down: variables before it turn read-only, and SIGSEGV is raised when they are written",
        cure: "begin PT_GNU_RELRO with its segment, or at a page",
        source: "glibc elf/dl-reloc.c, _dl_protect_relro (ALIGN_DOWN)",
        check: Check::Elf(relro_begin),
    },
    Rule {
        name: "elf/tls-sizes",
        demand: "PT_TLS has no more bytes than memory, and its alignment is a power of two of at most 2 GiB",
        by: &[error(Linux), error(Glibc), error(Musl)],
        symptom: "thread-locals are copied over what lies behind them, or lie at wrong addresses: crashes in unrelated places",
        cure: "set p_filesz to the size of .tdata, p_memsz to that of .tdata and .tbss, p_align to the greatest alignment",
        source: "ELF Handling For Thread-Local Storage; musl src/env/__init_tls.c, static_init_tls; glibc csu/libc-tls.c",
        check: Check::Elf(tls_sizes),
    },
    Rule {
        name: "elf/tls-outside",
        demand: "the bytes of PT_TLS lie in a load segment",
        by: &[error(Linux), error(Glibc), error(Musl)],
        symptom: "SIGSEGV while the first thread is set up, or thread-locals that begin with junk",
        cure: "put .tdata into the segment that PT_TLS's address says",
        source: "musl src/env/__init_tls.c, static_init_tls; glibc csu/libc-tls.c, __libc_setup_tls",
        check: Check::Elf(tls_outside),
    },
    Rule {
        name: "elf/header-twice",
        demand: "PT_INTERP, PT_DYNAMIC, PT_PHDR, PT_TLS, PT_GNU_STACK and PT_GNU_RELRO are there at most once",
        by: &[warning(Linux), warning(Glibc), warning(Musl)],
        symptom: "kernel, dynamic linker and tools take different ones of them",
        cure: "keep one",
        source: "System V gABI chapter 5, Program Header; Linux fs/binfmt_elf.c (first PT_INTERP); glibc elf/rtld.c (last ones)",
        check: Check::Elf(twice),
    },
    Rule {
        name: "elf/note-truncated",
        demand: "the notes of a PT_NOTE end inside it",
        by: &[warning(Tools)],
        symptom: "build-id and ABI notes are not found: no debug symbols by build-id, `corrupt note` warnings",
        cure: "correct n_namesz and n_descsz, or the size of the segment",
        source: "System V gABI chapter 5, Note Section; binutils readelf, process_notes_at",
        check: Check::Elf(notes),
    },
    Rule {
        name: "elf/gnu-property",
        demand: "PT_GNU_PROPERTY is one note `GNU` of type 5 and at most 1 KiB, its properties whole and in ascending order",
        by: &[error(Linux).on(Aarch64), warning(Glibc).on(X86_64)],
        symptom: "arm64: `Exec format error` (ENOEXEC) for programs without an interpreter; x86-64: the properties are passed over",
        cure: "sort the properties by type and pad each to 8 bytes",
        source: "Linux fs/binfmt_elf.c, parse_elf_properties, parse_elf_property",
        check: Check::Elf(property),
    },
    Rule {
        name: "elf/note-address",
        demand: "PT_GNU_PROPERTY, and a PT_NOTE that is aligned to 8 as properties are, are mapped at their addresses",
        by: &[error(Glibc)],
        symptom: "SIGSEGV inside ld.so, which reads them by their addresses, or properties that are passed over",
        cure: "set p_vaddr to the address of .note.gnu.property, p_memsz to its size",
        source: "glibc elf/dl-load.c, _dl_process_pt_gnu_property; sysdeps/x86/dl-prop.h, _dl_process_pt_note",
        check: Check::Elf(note_address),
    },
];

fn stack_missing(elf: &Elf<'_>, report: &mut Report<'_>) {
    if elf.loads().next().is_some() && elf.first(elf::PT_GNU_STACK).is_none() {
        let place = Place::new(elf.header.e_phoff.get(LE), 0, "program headers");
        report.add(place, "there is no PT_GNU_STACK");
    }
}

fn executable_stack(elf: &Elf<'_>, report: &mut Report<'_>) {
    for stack in elf.of_kind(elf::PT_GNU_STACK).filter(|stack| stack.has(elf::PF_X)) {
        report.add(stack.place(field!(Header, p_flags)), "PT_GNU_STACK has the flag PF_X");
    }
}

/// RELRO with the load segment that it lies in.
fn relro<'e>(elf: &'e Elf<'_>) -> impl Iterator<Item = (&'e super::Segment, &'e super::Segment)> {
    elf.of_kind(elf::PT_GNU_RELRO).filter_map(|relro| {
        let load = elf.load_at(relro.address, relro.size).or_else(|| {
            // Linkers let it reach to the end of the page in which its segment ends.
            let load = elf.load_at(relro.address, 1)?;
            // Its whole pages are what is made read-only; none of them may be unmapped.
            (down(relro.end(), PAGE) <= up(load.end(), PAGE)).then_some(load)
        })?;
        load.has(elf::PF_W).then_some((relro, load))
    })
}

fn relro_outside(elf: &Elf<'_>, report: &mut Report<'_>) {
    let inside: Vec<_> = relro(elf).map(|(relro, _)| relro.index).collect();
    for relro in elf.of_kind(elf::PT_GNU_RELRO) {
        if relro.size > 0 && !inside.contains(&relro.index) {
            let message = format!(
                "PT_GNU_RELRO is {:#x}..{:#x}, which no writable load segment has",
                relro.address,
                relro.end()
            );
            report.add(relro.place(field!(Header, p_vaddr)), message);
        }
    }
}

fn relro_end(elf: &Elf<'_>, report: &mut Report<'_>) {
    for (relro, _) in relro(elf).filter(|(relro, _)| !relro.end().is_multiple_of(PAGE)) {
        let message = format!("PT_GNU_RELRO ends at {:#x}", relro.end());
        report.add(relro.place(field!(Header, p_memsz)), message);
    }
}

fn relro_large_pages(elf: &Elf<'_>, report: &mut Report<'_>) {
    for (relro, _) in relro(elf) {
        let end = relro.end();
        if end.is_multiple_of(PAGE) && !end.is_multiple_of(LARGE_PAGE) {
            let message = format!("PT_GNU_RELRO ends at {end:#x}");
            report.add(relro.place(field!(Header, p_memsz)), message);
        }
    }
}

fn relro_begin(elf: &Elf<'_>, report: &mut Report<'_>) {
    for (relro, _) in relro(elf) {
        let begin = down(relro.address, PAGE);
        // What ends before it, in the same page.
        let frozen = elf.loads().find(|load| {
            load.has(elf::PF_W)
                && load.size > 0
                && load.address < relro.address
                && load.end() > begin
        });
        if let Some(load) = frozen {
            let message = format!(
                "segment {} has {:#x}..{:#x} in the page at {begin:#x}, which turns read-only with PT_GNU_RELRO at {:#x}",
                load.index,
                load.address.max(begin),
                load.end().min(relro.address),
                relro.address
            );
            report.add(relro.place(field!(Header, p_vaddr)), message);
        }
    }
}

fn tls_sizes(elf: &Elf<'_>, report: &mut Report<'_>) {
    for tls in elf.of_kind(elf::PT_TLS) {
        if tls.file_size > tls.size {
            let message =
                format!("PT_TLS has {:#x} bytes and {:#x} of memory", tls.file_size, tls.size);
            report.add(tls.place(field!(Header, p_filesz)), message);
        }
        // 0 is as good as 1 elsewhere; here ld.so divides by it (glibc elf/dl-tls.c, _dl_determine_tlsoffset).
        if !tls.align.is_power_of_two() || tls.align > MOST_ALIGN {
            let message = format!("PT_TLS is aligned to {:#x}", tls.align);
            report.add(tls.place(field!(Header, p_align)), message);
        }
        if tls.size > MOST_MEMORY {
            let message =
                format!("PT_TLS has {:#x} bytes of memory, more than a process has", tls.size);
            report.add(tls.place(field!(Header, p_memsz)), message);
        }
    }
}

fn tls_outside(elf: &Elf<'_>, report: &mut Report<'_>) {
    for tls in elf.of_kind(elf::PT_TLS).filter(|tls| tls.file_size > 0) {
        if elf.file_offset(tls.address, tls.file_size).is_none() {
            let message = format!(
                "no load segment has the {:#x} bytes of PT_TLS at {:#x}",
                tls.file_size, tls.address
            );
            report.add(tls.place(field!(Header, p_vaddr)), message);
        }
    }
}

fn twice(elf: &Elf<'_>, report: &mut Report<'_>) {
    let single = [
        elf::PT_INTERP,
        elf::PT_DYNAMIC,
        elf::PT_PHDR,
        elf::PT_TLS,
        elf::PT_GNU_STACK,
        elf::PT_GNU_RELRO,
    ];
    for kind in single {
        if let Some(second) = elf.of_kind(kind).nth(1) {
            let message = format!("program header {} is another {}", second.index, second.name());
            report.add(second.place(field!(Header, p_type)), message);
        }
    }
}

/// A note's name, type, and where its contents begin and end; `None` where they are not all inside.
fn note(notes: Bytes<'_>, at: u64, align: u64) -> Option<(&[u8], u32, u64, u64)> {
    let header = notes.read::<elf::NoteHeader64<LE>>(at)?;
    let start = at.checked_add(size_of::<elf::NoteHeader64<LE>>() as u64)?;
    let name_size = u64::from(header.n_namesz.get(LE));
    let name = notes.slice(start, name_size)?;
    let contents = up(start.checked_add(name_size)?, align);
    let end = contents.checked_add(u64::from(header.n_descsz.get(LE)))?;
    (end <= notes.len()).then_some((name, header.n_type.get(LE).0, contents, end))
}

fn notes(elf: &Elf<'_>, report: &mut Report<'_>) {
    for segment in elf.of_kind(elf::PT_NOTE) {
        let Some(bytes) = elf.data.slice(segment.offset, segment.file_size) else { continue };
        let notes = Bytes(bytes);
        let align = if segment.align == 8 { 8 } else { 4 };
        let mut at = 0;
        // Padding behind the last note is not one.
        while at + 12 <= notes.len() {
            let Some((.., end)) = note(notes, at, align) else {
                let place = Place::new(segment.offset + at, 12, "note");
                report.add(
                    place,
                    format!("the note at {at:#x} of segment {} ends outside it", segment.index),
                );
                break;
            };
            at = up(end, align);
        }
    }
}

fn property(elf: &Elf<'_>, report: &mut Report<'_>) {
    for segment in elf.of_kind(elf::PT_GNU_PROPERTY) {
        let place = Place::new(segment.offset, segment.file_size, "PT_GNU_PROPERTY");
        let Some(bytes) = elf.data.slice(segment.offset, segment.file_size) else { continue };
        if let Err(what) = properties(Bytes(bytes)) {
            report.add(place, what);
        }
    }
}

fn properties(notes: Bytes<'_>) -> Result<(), String> {
    if notes.len() > 1024 {
        return Err(format!("it has {} bytes", notes.len()));
    }
    let (name, kind, mut at, end) = note(notes, 0, 8).ok_or("its note ends outside it")?;
    if name != b"GNU\0" || kind != elf::NT_GNU_PROPERTY_TYPE_0.0 {
        return Err(format!("its note has type {kind}"));
    }
    let mut last = None;
    while at < end {
        let (Some(kind), Some(size)) = (notes.u32(at), notes.u32(at + 4)) else {
            return Err("a property ends outside it".to_owned());
        };
        let next = up(at + 8 + u64::from(size), 8);
        if next > end {
            return Err(format!("property {kind:#x} has {size} bytes and ends outside it"));
        }
        if last.is_some_and(|last| last >= kind) {
            return Err(format!(
                "property {kind:#x} stands behind {:#x}",
                last.unwrap_or_default()
            ));
        }
        last = Some(kind);
        at = next;
    }
    Ok(())
}

fn note_address(elf: &Elf<'_>, report: &mut Report<'_>) {
    let properties = elf.of_kind(elf::PT_GNU_PROPERTY);
    let notes = elf.of_kind(elf::PT_NOTE).filter(|note| note.align == 8);
    for segment in properties.chain(notes).filter(|segment| segment.size > 0) {
        if elf.load_at(segment.address, segment.size).is_none() {
            let message = format!(
                "no load segment has {:#x} bytes at {:#x} for {}",
                segment.size,
                segment.address,
                segment.name()
            );
            report.add(segment.place(field!(Header, p_vaddr)), message);
        }
    }
}
