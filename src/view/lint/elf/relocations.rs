//! Relocations: what the dynamic linker, or the program's own start-up code, writes before the program runs.

use std::collections::HashMap;

use object::LittleEndian as LE;
use object::elf;

use super::{Elf, PAGE, Segment};
use crate::target::Architecture;
use crate::view::lint::bytes::down;
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
        name: "elf/relocation-size",
        demand: "DT_RELASZ and DT_PLTRELSZ are multiples of 24, DT_RELRSZ of 8",
        by: &[error(Glibc), error(Musl)],
        symptom: "ld.so reads half an entry, and what lies behind the table as its other half: SIGSEGV, or an unknown relocation type",
        cure: "let the size count whole entries",
        source: "glibc elf/do-rel.h, elf_dynamic_do_Rela; musl ldso/dynlink.c, do_relocs",
        check: Check::Elf(sizes),
    },
    Rule {
        name: "elf/relative-count",
        demand: "DT_RELACOUNT is at most the number of RELATIVE relocations that DT_RELA begins with",
        by: &[error(Glibc)],
        symptom: "the others among them are taken for RELATIVE too: pointers to symbols hold their addends, SIGSEGV when they are used",
        cure: "sort RELATIVE relocations to the front and count them; or leave DT_RELACOUNT out",
        source: "glibc elf/do-rel.h, elf_dynamic_do_Rela (nrelative)",
        check: Check::Elf(relative_count),
    },
    Rule {
        name: "elf/relative-address",
        demand: "a RELATIVE relocation makes an address of the file's own memory, an IRELATIVE one that of code",
        by: &[warning(Glibc), warning(Musl), warning(Linux)],
        symptom: "a pointer that leads out of the program: SIGSEGV when it is used, for IRELATIVE before main",
        cure: "set r_addend to the address before the program is moved",
        source: "glibc elf/do-rel.h, elf_machine_rela_relative; System V ABI, Relocation Types (B + A)",
        check: Check::Elf(relative_address),
    },
    Rule {
        name: "elf/relro-lazy",
        demand: "what is written when a call is first made does not lie in PT_GNU_RELRO",
        by: &[error(Glibc)],
        symptom: "SIGSEGV at the first call of an imported function: its slot is read-only by then",
        cure: "bind everything at start (`-z now`, DF_BIND_NOW), or end PT_GNU_RELRO before .got.plt",
        source: "glibc elf/dl-runtime.c, _dl_fixup; elf/dl-reloc.c, _dl_protect_relro",
        check: Check::Elf(relro_lazy),
    },
    Rule {
        name: "elf/jump-relocation-type",
        demand: "relocations of calls that are bound lazily are of the types that can wait: JUMP_SLOT, IRELATIVE, TLSDESC",
        by: &[error(Glibc)],
        symptom: "`unexpected PLT reloc type`",
        cure: "move the relocation to DT_RELA, or bind everything at start (`-z now`)",
        source: "glibc sysdeps/{x86_64,aarch64}/dl-machine.h, elf_machine_lazy_rel",
        check: Check::Elf(jump_types),
    },
    Rule {
        name: "elf/relocation-overlap",
        demand: "no two relocations write the same bytes",
        by: &[warning(Glibc), warning(Musl), warning(Linux)],
        symptom: "what the first wrote is lost; a pointer that should have been written there is not: SIGSEGV when it is used",
        cure: "correct r_offset of one of them",
        source: "System V gABI chapter 4, Relocation; glibc elf/do-rel.h, elf_dynamic_do_Rela",
        check: Check::Elf(overlaps),
    },
    Rule {
        name: "elf/tls-missing",
        demand: "a file that asks for its own thread-locals has a PT_TLS",
        by: &[error(Glibc), error(Musl)],
        symptom: "SIGSEGV inside ld.so, or thread-locals that lie in those of another module",
        cure: "add a PT_TLS header that covers .tdata and .tbss",
        source: "glibc sysdeps/x86_64/dl-machine.h, elf_machine_rela (CHECK_STATIC_TLS); musl ldso/dynlink.c, do_relocs",
        check: Check::Elf(tls_missing),
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

pub(super) fn relocations<'e>(
    elf: &'e Elf<'_>,
) -> impl Iterator<Item = (u64, elf::Rela64<LE>)> + 'e {
    let calls = table(elf, elf::DT_JMPREL, elf::DT_PLTRELSZ);
    table(elf, elf::DT_RELA, elf::DT_RELASZ).chain(calls)
}

fn place(at: u64) -> Place {
    Place::new(at, size_of::<elf::Rela64<LE>>() as u64, "relocation")
}

pub(super) fn kind(relocation: &elf::Rela64<LE>) -> u32 {
    relocation.r_type(LE, false).0
}

fn targets(elf: &Elf<'_>, report: &mut Report<'_>) {
    let Some(dynamic) = &elf.dynamic else { return };
    let flags = dynamic.value(elf::DT_FLAGS).unwrap_or_default();
    if dynamic.entry(elf::DT_TEXTREL).is_some() || flags & elf::DF_TEXTREL.0 != 0 {
        return;
    }
    let writable = Sorted::of(elf.loads().filter(|load| load.has(elf::PF_W)));
    let holds = |address| writable.before(address).is_some_and(|load| load.holds(address, 8));
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

fn sizes(elf: &Elf<'_>, report: &mut Report<'_>) {
    let sizes = [
        (elf::DT_RELASZ, "DT_RELASZ", size_of::<elf::Rela64<LE>>() as u64),
        (elf::DT_PLTRELSZ, "DT_PLTRELSZ", size_of::<elf::Rela64<LE>>() as u64),
        (elf::DT_RELRSZ, "DT_RELRSZ", 8),
    ];
    for (tag, name, each) in sizes {
        if let Some(entry) = elf.linking().and_then(|dynamic| dynamic.entry(tag))
            && !entry.value.is_multiple_of(each)
        {
            let message = format!("{name} is {:#x}, no multiple of {each}", entry.value);
            report.add(entry.place(name), message);
        }
    }
}

/// The type of RELATIVE relocations, and of IRELATIVE ones.
pub(super) fn relative(architecture: Architecture) -> [u32; 2] {
    match architecture {
        Architecture::X86_64 => [elf::R_X86_64_RELATIVE.0, elf::R_X86_64_IRELATIVE.0],
        Architecture::Aarch64 => [elf::R_AARCH64_RELATIVE.0, elf::R_AARCH64_IRELATIVE.0],
    }
}

/// The types of relocations that fill a slot with what a symbol's name leads to.
pub(super) fn slots(architecture: Architecture) -> [u32; 2] {
    match architecture {
        Architecture::X86_64 => [elf::R_X86_64_GLOB_DAT.0, elf::R_X86_64_JUMP_SLOT.0],
        Architecture::Aarch64 => [elf::R_AARCH64_GLOB_DAT.0, elf::R_AARCH64_JUMP_SLOT.0],
    }
}

fn relative_count(elf: &Elf<'_>, report: &mut Report<'_>) {
    let Some(entry) = elf.linking().and_then(|dynamic| dynamic.entry(elf::DT_RELACOUNT)) else {
        return;
    };
    let [relative, _] = relative(elf.architecture);
    let first = table(elf, elf::DT_RELA, elf::DT_RELASZ)
        .take_while(|(_, relocation)| kind(relocation) == relative)
        .count() as u64;
    if entry.value > first {
        let message = format!(
            "DT_RELACOUNT is {}, DT_RELA begins with {first} RELATIVE relocations",
            entry.value
        );
        report.add(entry.place("DT_RELACOUNT"), message);
    }
}

fn relative_address(elf: &Elf<'_>, report: &mut Report<'_>) {
    let [relative, indirect] = relative(elf.architecture);
    let loads = Sorted::of(elf.loads());
    for (at, relocation) in relocations(elf) {
        let address = relocation.r_addend.get(LE).cast_unsigned();
        // The end of something is an address too.
        let load = || loads.before(address).filter(|load| load.holds(address, 0));
        let what = match kind(&relocation) {
            kind if kind == relative && load().is_none() => "where no load segment is",
            kind if kind == indirect && !load().is_some_and(|load| load.has(elf::PF_X)) => {
                "where no code is"
            }
            _ => continue,
        };
        report.add(place(at), format!("it makes the address {address:#x}, {what}"));
    }
}

fn relro_lazy(elf: &Elf<'_>, report: &mut Report<'_>) {
    if elf.linking().is_none_or(super::Dynamic::is_bound_at_start) {
        return;
    }
    let Some(relro) = elf.first(elf::PT_GNU_RELRO) else { return };
    let [call, ..] = waiting(elf.architecture);
    for (at, relocation) in table(elf, elf::DT_JMPREL, elf::DT_PLTRELSZ) {
        let address = relocation.r_offset.get(LE);
        let is_call = kind(&relocation) == call;
        // What turns read-only is whole pages.
        let frozen = down(relro.address, PAGE)..down(relro.end(), PAGE);
        if is_call && frozen.contains(&address) {
            report.add(place(at), format!("the call's slot at {address:#x} lies in PT_GNU_RELRO"));
        }
    }
}

/// The types of relocations that can wait for a call: `JUMP_SLOT`, `IRELATIVE`, `TLSDESC`.
fn waiting(architecture: Architecture) -> [u32; 3] {
    match architecture {
        Architecture::X86_64 => {
            [elf::R_X86_64_JUMP_SLOT.0, elf::R_X86_64_IRELATIVE.0, elf::R_X86_64_TLSDESC.0]
        }
        Architecture::Aarch64 => {
            [elf::R_AARCH64_JUMP_SLOT.0, elf::R_AARCH64_IRELATIVE.0, elf::R_AARCH64_TLSDESC.0]
        }
    }
}

fn jump_types(elf: &Elf<'_>, report: &mut Report<'_>) {
    if !elf.has_linker() || elf.linking().is_none_or(super::Dynamic::is_bound_at_start) {
        return;
    }
    let known = waiting(elf.architecture);
    for (at, relocation) in table(elf, elf::DT_JMPREL, elf::DT_PLTRELSZ) {
        let kind = kind(&relocation);
        if !known.contains(&kind) {
            report.add(place(at), format!("a relocation of DT_JMPREL has type {kind}"));
        }
    }
}

fn overlaps(elf: &Elf<'_>, report: &mut Report<'_>) {
    let (copy, halves) = match elf.architecture {
        Architecture::X86_64 => (
            elf::R_X86_64_COPY.0,
            &[elf::R_X86_64_PC32.0, elf::R_X86_64_32.0, elf::R_X86_64_SIZE32.0][..],
        ),
        Architecture::Aarch64 => (elf::R_AARCH64_COPY.0, &[][..]),
    };
    let [.., descriptor] = waiting(elf.architecture);
    let mut written: Vec<_> = relocations(elf)
        // R_*_NONE writes nothing, and a copy as much as its symbol has.
        .filter(|(_, relocation)| ![0, copy].contains(&kind(relocation)))
        .map(|(at, relocation)| {
            let size = match kind(&relocation) {
                kind if kind == descriptor => 16,
                kind if halves.contains(&kind) => 4,
                _ => 8_u64,
            };
            (relocation.r_offset.get(LE), size, at)
        })
        .collect();
    written.sort_unstable();
    for pair in written.windows(2) {
        let [(one, size, _), (other, _, at)] = pair else { continue };
        if one.saturating_add(*size) > *other {
            report.add(place(*at), format!("it writes to {other:#x}, and another to {one:#x}"));
        }
    }
}

fn tls_missing(elf: &Elf<'_>, report: &mut Report<'_>) {
    if elf.first(elf::PT_TLS).is_some() {
        return;
    }
    let own = match elf.architecture {
        Architecture::X86_64 => {
            [elf::R_X86_64_DTPMOD64.0, elf::R_X86_64_TPOFF64.0, elf::R_X86_64_TLSDESC.0]
        }
        Architecture::Aarch64 => {
            [elf::R_AARCH64_TLS_DTPMOD.0, elf::R_AARCH64_TLS_TPREL.0, elf::R_AARCH64_TLSDESC.0]
        }
    };
    for (at, relocation) in relocations(elf).filter(|(_, one)| own.contains(&kind(one))) {
        let symbol = relocation.r_sym(LE, false);
        let is_own = symbol == 0
            || elf
                .symbol(symbol.into())
                .is_some_and(|(_, symbol)| symbol.st_shndx.get(LE) != elf::SHN_UNDEF);
        if is_own {
            report.add(place(at), "it asks for a thread-local of this file, which has no PT_TLS");
        }
    }
}

/// What a relocation leaves at an address.
#[derive(Clone, Copy)]
pub(super) enum Relocated {
    /// This address, moved with the file.
    Moved(u64),
    /// What stands there, moved with the file (`DT_RELR`).
    MovedInPlace,
    /// What a symbol or a function says.
    Looked,
}

/// What relocations write, by address.
pub(super) struct Slots(HashMap<u64, Relocated>);

impl Slots {
    /// Of the addresses that are wanted: `DT_RELR` can name sixty times as many as it has bytes.
    pub(super) fn of(elf: &Elf<'_>, is_wanted: impl Fn(u64) -> bool) -> Self {
        let [relative, _] = relative(elf.architecture);
        let mut slots = HashMap::new();
        for (_, relocation) in relocations(elf) {
            let moved = relocation.r_addend.get(LE).cast_unsigned();
            let is_moved = kind(&relocation) == relative;
            let what = if is_moved { Relocated::Moved(moved) } else { Relocated::Looked };
            let address = relocation.r_offset.get(LE);
            if is_wanted(address) {
                slots.insert(address, what);
            }
        }
        for address in relr(elf).filter(|address| is_wanted(*address)) {
            slots.insert(address, Relocated::MovedInPlace);
        }
        Self(slots)
    }

    pub(super) fn at(&self, address: u64) -> Option<Relocated> {
        self.0.get(&address).copied()
    }
}

/// The addresses that `DT_RELR` names: an even word is one, an odd one has a bit for each of the 63 words behind.
fn relr<'e>(elf: &'e Elf<'_>) -> impl Iterator<Item = u64> + 'e {
    let range = elf.linking().and_then(|dynamic| {
        let (address, size) = (dynamic.value(elf::DT_RELR)?, dynamic.value(elf::DT_RELRSZ)?);
        Some((elf.file_offset(address, size)?, size))
    });
    let (start, size) = range.unwrap_or_default();
    let words = (0..size / 8).map_while(move |index| elf.data.u64(start + index * 8));
    let mut next: u64 = 0;
    words.flat_map(move |word| {
        let (first, bits) = if word & 1 == 0 { (word, 1) } else { (next, word >> 1) };
        next = first.wrapping_add(if word & 1 == 0 { 8 } else { 63 * 8 });
        (0..63).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| first.wrapping_add(bit * 8))
    })
}

/// Load segments by address: there may be a thousand of them, and a million addresses to look for.
struct Sorted<'e>(Vec<&'e Segment>);

impl<'e> Sorted<'e> {
    fn of(loads: impl Iterator<Item = &'e Segment>) -> Self {
        let mut loads: Vec<_> = loads.collect();
        loads.sort_by_key(|load| load.address);
        Self(loads)
    }

    /// The last one that begins at an address or before it.
    fn before(&self, address: u64) -> Option<&'e Segment> {
        let behind = self.0.partition_point(|load| load.address <= address);
        behind.checked_sub(1).map(|index| self.0[index])
    }
}
