//! Relocations and symbol versions: what the dynamic linker writes, and which variant of a symbol it takes.

use object::LittleEndian as LE;
use object::elf;

use super::{Elf, Segment};
use crate::target::Architecture;
use crate::view::lint::bytes::text;
use crate::view::lint::report::{Place, Report};
use crate::view::lint::rule::Loader::{Glibc, Linux, Musl};
use crate::view::lint::rule::{Check, Rule, error, warning};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "elf/relocation-target",
        demand: "relocations lie in writable load segments, where there are no text relocations",
        by: &[error(Glibc), error(Musl), error(Linux)],
        symptom: "SIGSEGV inside ld.so, or inside the program's own start-up code",
        cure: "move what holds the address to a writable section, or to RELRO",
        source: "glibc elf/dl-reloc.c, _dl_relocate_object; elf/do-rel.h; musl ldso/dynlink.c, do_relocs",
        check: Check::Elf(targets),
    },
    Rule {
        name: "elf/relocation-type",
        demand: "every relocation is of a type that the dynamic linker knows",
        by: &[error(Glibc), error(Musl)],
        symptom: "`unexpected reloc type` (glibc), `unsupported relocation type` (musl)",
        cure: "resolve it when linking; GLOB_DAT, JUMP_SLOT, RELATIVE, 64-bit addresses and thread-local ones are left to load time",
        source: "glibc sysdeps/{x86_64,aarch64}/dl-machine.h, elf_machine_rela; musl arch/{x86_64,aarch64}/reloc.h",
        check: Check::Elf(types),
    },
    Rule {
        name: "elf/relr-version",
        demand: "a file with DT_RELR that needs versions of libc.so.6 needs GLIBC_ABI_DT_RELR too",
        by: &[error(Glibc)],
        symptom: "`DT_RELR without GLIBC_ABI_DT_RELR dependency`",
        cure: "add that version to what is needed of libc.so.6, or use DT_RELA",
        source: "glibc elf/dl-version.c, _dl_check_map_versions",
        check: Check::Elf(relr_version),
    },
    Rule {
        name: "elf/unversioned-symbol",
        demand: "symbols that glibc has in several versions are asked for with one",
        by: &[warning(Glibc)],
        symptom: "the oldest variant is taken: memcpy that looks for overlaps, condition variables of 2.2, realpath without resolved paths",
        cure: "write DT_VERSYM and DT_VERNEED, with the version that the headers promise",
        source: "glibc elf/dl-lookup.c, check_match; stdlib/Versions and its like",
        check: Check::Elf(unversioned),
    },
];

/// The relocations of a table: each with its place in the file.
fn table<'e>(
    elf: &'e Elf<'_>,
    start: elf::DynamicTag,
    size: elf::DynamicTag,
) -> impl Iterator<Item = (u64, elf::Rela64<LE>)> + 'e {
    let size_of_one = size_of::<elf::Rela64<LE>>() as u64;
    let dynamic = elf.dynamic.as_ref().filter(|dynamic| dynamic.is_terminated);
    let range = dynamic.and_then(|dynamic| {
        let (address, size) = (dynamic.value(start)?, dynamic.value(size)?);
        Some((elf.file_offset(address, size)?, size))
    });
    let (offset, size) = range.unwrap_or_default();
    (0..size / size_of_one).map_while(move |index| {
        let at = offset + index * size_of_one;
        Some((at, elf.data.read(at)?))
    })
}

fn relocations<'e>(elf: &'e Elf<'_>) -> impl Iterator<Item = (u64, elf::Rela64<LE>)> + 'e {
    let calls = table(elf, elf::DT_JMPREL, elf::DT_PLTRELSZ);
    table(elf, elf::DT_RELA, elf::DT_RELASZ).chain(calls)
}

fn place(at: u64) -> Place {
    Place::new(at, size_of::<elf::Rela64<LE>>() as u64, "relocation")
}

fn kind(relocation: &elf::Rela64<LE>) -> u32 {
    relocation.r_type(LE, false).0
}

fn targets(elf: &Elf<'_>, report: &mut Report<'_>) {
    let Some(dynamic) = &elf.dynamic else { return };
    let flags = dynamic.value(elf::DT_FLAGS).unwrap_or_default();
    if dynamic.entry(elf::DT_TEXTREL).is_some() || flags & elf::DF_TEXTREL.0 != 0 {
        return;
    }
    let mut writable: Vec<_> = elf.loads().filter(|load| load.has(elf::PF_W)).collect();
    writable.sort_by_key(|load| load.address);
    let holds = |address: u64| {
        let behind = writable.partition_point(|load| load.address <= address);
        let load: Option<&Segment> = behind.checked_sub(1).map(|index| writable[index]);
        load.is_some_and(|load| load.holds(address, 8))
    };
    for (at, relocation) in relocations(elf) {
        let address = relocation.r_offset.get(LE);
        // R_*_NONE writes nothing.
        if kind(&relocation) != 0 && !holds(address) {
            report.add(place(at), format!("it writes to {address:#x}, which is not writable"));
        }
    }
}

fn types(elf: &Elf<'_>, report: &mut Report<'_>) {
    let known: &[u32] = match elf.architecture {
        Architecture::X86_64 => &[
            elf::R_X86_64_NONE.0,
            elf::R_X86_64_64.0,
            elf::R_X86_64_PC32.0,
            elf::R_X86_64_COPY.0,
            elf::R_X86_64_GLOB_DAT.0,
            elf::R_X86_64_JUMP_SLOT.0,
            elf::R_X86_64_RELATIVE.0,
            elf::R_X86_64_32.0,
            elf::R_X86_64_DTPMOD64.0,
            elf::R_X86_64_DTPOFF64.0,
            elf::R_X86_64_TPOFF64.0,
            elf::R_X86_64_SIZE32.0,
            elf::R_X86_64_SIZE64.0,
            elf::R_X86_64_TLSDESC.0,
            elf::R_X86_64_IRELATIVE.0,
        ],
        Architecture::Aarch64 => &[
            elf::R_AARCH64_NONE.0,
            elf::R_AARCH64_ABS64.0,
            elf::R_AARCH64_COPY.0,
            elf::R_AARCH64_GLOB_DAT.0,
            elf::R_AARCH64_JUMP_SLOT.0,
            elf::R_AARCH64_RELATIVE.0,
            elf::R_AARCH64_TLS_DTPMOD.0,
            elf::R_AARCH64_TLS_DTPREL.0,
            elf::R_AARCH64_TLS_TPREL.0,
            elf::R_AARCH64_TLSDESC.0,
            elf::R_AARCH64_IRELATIVE.0,
        ],
    };
    for (at, relocation) in relocations(elf) {
        let kind = kind(&relocation);
        if !known.contains(&kind) {
            report.add(place(at), format!("it has type {kind}"));
        }
    }
}

/// The libraries of which versions are needed: each with the names of these.
fn needed_versions<'d>(elf: &Elf<'d>) -> Vec<(&'d [u8], Vec<&'d [u8]>)> {
    let mut needed = Vec::new();
    let Some(dynamic) = &elf.dynamic else { return needed };
    let (Some(table), Some(count)) =
        (dynamic.value(elf::DT_VERNEED), dynamic.value(elf::DT_VERNEEDNUM))
    else {
        return needed;
    };
    let Some(mut at) = elf.file_offset(table, 1) else { return needed };
    // Entries that share their bytes could make more versions than the file has room for.
    let mut left = elf.data.len() / size_of::<elf::Vernaux<LE>>() as u64;
    for _ in 0..count {
        if left == 0 {
            break;
        }
        left -= 1;
        let Some(library) = elf.data.read::<elf::Verneed<LE>>(at) else { break };
        let mut names = Vec::new();
        let mut version_at = at.saturating_add(library.vn_aux.get(LE).into());
        for _ in 0..u64::from(library.vn_cnt.get(LE)).min(left) {
            left -= 1;
            let Some(version) = elf.data.read::<elf::Vernaux<LE>>(version_at) else { break };
            names.extend(elf.dynamic_string(version.vna_name.get(LE).into()));
            match version.vna_next.get(LE) {
                0 => break,
                next => version_at = version_at.saturating_add(next.into()),
            }
        }
        if let Some(name) = elf.dynamic_string(library.vn_file.get(LE).into()) {
            needed.push((name, names));
        }
        match library.vn_next.get(LE) {
            0 => break,
            next => at = at.saturating_add(next.into()),
        }
    }
    needed
}

fn relr_version(elf: &Elf<'_>, report: &mut Report<'_>) {
    let Some(entry) = elf.dynamic.as_ref().and_then(|dynamic| dynamic.entry(elf::DT_RELR)) else {
        return;
    };
    let needed = needed_versions(elf);
    let libc = needed.iter().find(|(library, _)| *library == b"libc.so.6");
    if let Some((_, versions)) = libc
        && !versions.contains(&&b"GLIBC_ABI_DT_RELR"[..])
    {
        let message = "there is DT_RELR, and GLIBC_ABI_DT_RELR is not needed of libc.so.6";
        report.add(entry.place("DT_RELR"), message);
    }
}

/// Functions of which glibc's oldest variant behaves in another way than the one that headers declare.
const CHANGED: &[(&[u8], Option<Architecture>)] = &[
    (b"memcpy", Some(Architecture::X86_64)),
    (b"realpath", Some(Architecture::X86_64)),
    (b"posix_spawn", Some(Architecture::X86_64)),
    (b"posix_spawnp", Some(Architecture::X86_64)),
    (b"pthread_cond_broadcast", Some(Architecture::X86_64)),
    (b"pthread_cond_destroy", Some(Architecture::X86_64)),
    (b"pthread_cond_init", Some(Architecture::X86_64)),
    (b"pthread_cond_signal", Some(Architecture::X86_64)),
    (b"pthread_cond_timedwait", Some(Architecture::X86_64)),
    (b"pthread_cond_wait", Some(Architecture::X86_64)),
    (b"regexec", Some(Architecture::X86_64)),
    (b"nftw", Some(Architecture::X86_64)),
    (b"sched_getaffinity", Some(Architecture::X86_64)),
    (b"sched_setaffinity", Some(Architecture::X86_64)),
    (b"timer_create", Some(Architecture::X86_64)),
    (b"fmemopen", None),
    (b"glob", None),
    (b"quick_exit", None),
];

fn unversioned(elf: &Elf<'_>, report: &mut Report<'_>) {
    let Some(dynamic) = &elf.dynamic else { return };
    let needs_glibc = dynamic
        .all(elf::DT_NEEDED)
        .any(|entry| elf.dynamic_string(entry.value) == Some(&b"libc.so.6"[..]));
    let Some(symbols) = dynamic.value(elf::DT_SYMTAB).filter(|_| needs_glibc) else { return };
    if dynamic.entry(elf::DT_VERSYM).is_some() {
        return;
    }
    let size = size_of::<elf::Sym64<LE>>() as u64;
    let mut told = Vec::new();
    for (_, relocation) in relocations(elf) {
        let index = u64::from(relocation.r_sym(LE, false));
        let address = index.checked_mul(size).and_then(|offset| symbols.checked_add(offset));
        let at = address.and_then(|address| elf.file_offset(address, size));
        let symbol = at.and_then(|at| Some((at, elf.data.read::<elf::Sym64<LE>>(at)?)));
        let Some((at, symbol)) = symbol.filter(|_| index != 0) else { continue };
        let Some(name) = elf.dynamic_string(symbol.st_name.get(LE).into()) else { continue };
        let is_changed = CHANGED
            .iter()
            .any(|(changed, on)| *changed == name && on.is_none_or(|on| on == elf.architecture));
        let is_imported = symbol.st_shndx.get(LE) == elf::SHN_UNDEF;
        if is_changed && is_imported && !told.contains(&index) {
            told.push(index);
            let place = Place::new(at, size, "dynamic symbol");
            report.add(place, format!("`{}` is asked for without a version", text(name)));
        }
    }
}
