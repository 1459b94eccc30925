//! The dynamic table: what the dynamic linker asserts, and reads without asking.

use std::collections::HashMap;

use object::LittleEndian as LE;
use object::elf;

use super::{Dynamic, Elf, Entry};
use crate::view::lint::report::{Place, Report};
use crate::view::lint::rule::Loader::{Glibc, Musl, Tools};
use crate::view::lint::rule::{Check, Rule, error, warning};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "elf/symbol-tables-missing",
        demand: "the dynamic table has DT_STRTAB and DT_SYMTAB",
        by: &[error(Glibc), error(Musl)],
        symptom: "SIGSEGV inside ld.so",
        cure: "add both, even for a program that imports nothing",
        source: "glibc elf/dl-lookup.c, do_lookup_x; musl ldso/dynlink.c, decode_dyn",
        check: Check::Elf(symbol_tables),
    },
    Rule {
        name: "elf/rela-incomplete",
        demand: "DT_RELA, DT_RELASZ and DT_RELAENT are there together",
        by: &[error(Glibc), warning(Musl)],
        symptom: "SIGSEGV or a failed assertion inside ld.so",
        cure: "add the missing one; DT_RELAENT is 24",
        source: "glibc elf/get-dynamic-info.h, elf_get_dynamic_info",
        check: Check::Elf(rela_incomplete),
    },
    Rule {
        name: "elf/relr-incomplete",
        demand: "DT_RELR, DT_RELRSZ and DT_RELRENT are there together",
        by: &[error(Glibc), error(Musl)],
        symptom: "a failed assertion inside ld.so, or pointers that were not relocated",
        cure: "add the missing one; DT_RELRENT is 8",
        source: "glibc elf/get-dynamic-info.h, elf_get_dynamic_info",
        check: Check::Elf(relr_incomplete),
    },
    Rule {
        name: "elf/entry-sizes",
        demand: "DT_RELAENT is 24, DT_RELRENT is 8",
        by: &[error(Glibc)],
        symptom: "a failed assertion inside ld.so",
        cure: "set them to the sizes of 64-bit entries",
        source: "glibc elf/get-dynamic-info.h, elf_get_dynamic_info",
        check: Check::Elf(entry_sizes),
    },
    Rule {
        name: "elf/symbol-size",
        demand: "DT_SYMENT is 24",
        by: &[warning(Tools)],
        symptom: "dynamic linkers take 24 for granted; tools misread the symbols or refuse them",
        cure: "set it to the size of a 64-bit symbol",
        source: "System V gABI chapter 5, DT_SYMENT",
        check: Check::Elf(symbol_size),
    },
    Rule {
        name: "elf/dynamic-cut",
        demand: "nothing stands behind the first DT_NULL of the dynamic table",
        by: &[error(Glibc), error(Musl)],
        symptom: "the entries behind it are not read: tables and libraries are missing, SIGSEGV inside ld.so",
        cure: "take the DT_NULL out, or move it to the end",
        source: "System V gABI chapter 5, DT_NULL; glibc elf/get-dynamic-info.h",
        check: Check::Elf(cut),
    },
    Rule {
        name: "elf/dynamic-twice",
        demand: "tags of the dynamic table are there once, but for DT_NEEDED, DT_AUXILIARY and DT_FILTER",
        by: &[warning(Glibc), warning(Musl), warning(Tools)],
        symptom: "dynamic linkers take the last one, and tools may take another: crashes in unrelated places where that was not meant",
        cure: "keep the entry that is right",
        source: "System V gABI chapter 5, Dynamic Section; glibc elf/get-dynamic-info.h; musl ldso/dynlink.c, decode_vec",
        check: Check::Elf(twice),
    },
    Rule {
        name: "elf/jump-relocations",
        demand: "DT_JMPREL, DT_PLTRELSZ and DT_PLTREL, which is DT_RELA, are there together",
        by: &[error(Glibc), warning(Musl)],
        symptom: "a failed assertion inside ld.so, or calls that go nowhere",
        cure: "add the missing one; DT_PLTREL is 7",
        source: "glibc elf/get-dynamic-info.h, elf_get_dynamic_info; elf/dynamic-link.h",
        check: Check::Elf(jump_relocations),
    },
    Rule {
        name: "elf/lazy-without-got",
        demand: "a table of calls that are bound lazily has a DT_PLTGOT of at least three words in a writable load segment",
        by: &[error(Glibc)],
        symptom: "SIGSEGV inside ld.so, which writes its own address there",
        cure: "add DT_PLTGOT, or bind everything at start (DF_BIND_NOW, DF_1_NOW)",
        source: "glibc sysdeps/x86_64/dl-machine.h, elf_machine_runtime_setup",
        check: Check::Elf(lazy),
    },
    Rule {
        name: "elf/dynamic-string",
        demand: "names of libraries and paths lie in the string table, and libraries have names",
        by: &[error(Glibc), error(Musl)],
        symptom: "`cannot open shared object file`, with a name that is junk, or SIGSEGV inside ld.so",
        cure: "correct the offset, or DT_STRSZ",
        source: "System V gABI chapter 5, DT_NEEDED, DT_STRSZ",
        check: Check::Elf(strings),
    },
    Rule {
        name: "elf/dynamic-address",
        demand: "the tables that the dynamic table names lie in load segments",
        by: &[error(Glibc), error(Musl)],
        symptom: "SIGSEGV inside ld.so",
        cure: "set the entry to the table's address in memory, not to its offset in the file",
        source: "System V gABI chapter 5, Dynamic Section (d_ptr)",
        check: Check::Elf(addresses),
    },
    Rule {
        name: "elf/text-relocations",
        demand: "no relocation changes code (DT_TEXTREL, DF_TEXTREL)",
        by: &[warning(Glibc), error(Musl).programs(), warning(Musl).libraries()],
        symptom: "code is made writable while it is relocated and shared with nobody; SELinux refuses it; musl does not do it for \
                  programs: SIGSEGV",
        cure: "compile the code position-independent (`-fPIC`)",
        source: "glibc elf/dl-reloc.c, _dl_relocate_object; musl ldso/dynlink.c, map_library",
        check: Check::Elf(text_relocations),
    },
];

const ENTRY: u64 = 8;

fn symbol_tables(elf: &Elf<'_>, report: &mut Report<'_>) {
    let Some(dynamic) = elf.linking().filter(|_| elf.has_linker()) else { return };
    for (tag, name) in [(elf::DT_STRTAB, "DT_STRTAB"), (elf::DT_SYMTAB, "DT_SYMTAB")] {
        if dynamic.entry(tag).is_none() {
            report.add(elf.linking_place(), format!("there is no {name}"));
        }
    }
}

/// Says which of three entries are missing, where one of them is there.
fn together(elf: &Elf<'_>, report: &mut Report<'_>, entries: [(elf::DynamicTag, &str); 3]) {
    let Some(dynamic) = elf.linking() else { return };
    let there = entries.iter().find(|(tag, _)| dynamic.entry(*tag).is_some());
    let Some((there, name)) = there else { return };
    for (tag, missing) in &entries {
        if let Some(entry) = dynamic.entry(*there)
            && dynamic.entry(*tag).is_none()
        {
            report.add(entry.place(name), format!("there is {name} and no {missing}"));
        }
    }
}

fn rela_incomplete(elf: &Elf<'_>, report: &mut Report<'_>) {
    let entries =
        [(elf::DT_RELA, "DT_RELA"), (elf::DT_RELASZ, "DT_RELASZ"), (elf::DT_RELAENT, "DT_RELAENT")];
    together(elf, report, entries);
}

fn relr_incomplete(elf: &Elf<'_>, report: &mut Report<'_>) {
    let entries =
        [(elf::DT_RELR, "DT_RELR"), (elf::DT_RELRSZ, "DT_RELRSZ"), (elf::DT_RELRENT, "DT_RELRENT")];
    together(elf, report, entries);
}

fn entry_sizes(elf: &Elf<'_>, report: &mut Report<'_>) {
    let sizes = [
        (elf::DT_RELAENT, "DT_RELAENT", size_of::<elf::Rela64<LE>>() as u64),
        (elf::DT_RELRENT, "DT_RELRENT", ENTRY),
    ];
    entry_size(elf, report, &sizes);
}

fn symbol_size(elf: &Elf<'_>, report: &mut Report<'_>) {
    let size = size_of::<elf::Sym64<LE>>() as u64;
    entry_size(elf, report, &[(elf::DT_SYMENT, "DT_SYMENT", size)]);
}

fn entry_size(elf: &Elf<'_>, report: &mut Report<'_>, sizes: &[(elf::DynamicTag, &str, u64)]) {
    for &(tag, name, size) in sizes {
        if let Some(entry) = elf.linking().and_then(|dynamic| dynamic.entry(tag))
            && entry.value != size
        {
            report.add(entry.place(name), format!("{name} is {}, not {size}", entry.value));
        }
    }
}

fn jump_relocations(elf: &Elf<'_>, report: &mut Report<'_>) {
    let Some(dynamic) = elf.linking() else { return };
    let entries = [
        (elf::DT_JMPREL, "DT_JMPREL"),
        (elf::DT_PLTRELSZ, "DT_PLTRELSZ"),
        (elf::DT_PLTREL, "DT_PLTREL"),
    ];
    together(elf, report, entries);
    if let Some(kind) = dynamic.entry(elf::DT_PLTREL)
        && kind.value != elf::DT_RELA.0.cast_unsigned()
    {
        report
            .add(kind.place("DT_PLTREL"), format!("DT_PLTREL is {}, not 7 (DT_RELA)", kind.value));
    }
}

/// Entries that a `DT_NULL` hides, as far as `PT_DYNAMIC` says that the table goes.
fn cut(elf: &Elf<'_>, report: &mut Report<'_>) {
    let (Some(dynamic), Some(segment)) = (elf.linking(), elf.first(elf::PT_DYNAMIC)) else {
        return;
    };
    // A table elsewhere than PT_DYNAMIC says is a rule of its own.
    if !elf.has_linker() || elf.file_offset(segment.address, 1) != Some(segment.offset) {
        return;
    }
    let first = dynamic.entries.len() as u64;
    let hidden = (first + 1..segment.file_size / Dynamic::ENTRY).find_map(|index| {
        let at = segment.offset.checked_add(index * Dynamic::ENTRY)?;
        let entry = elf.data.read::<elf::Dyn64<LE>>(at)?;
        (entry.d_tag.get(LE) != elf::DT_NULL).then_some((index, at, entry.d_tag.get(LE)))
    });
    if let Some((index, at, tag)) = hidden {
        let message =
            format!("entry {first} is DT_NULL, and entry {index} has the tag {:#x}", tag.0);
        report.add(Place::new(at, Dynamic::ENTRY, "dynamic table"), message);
    }
}

fn twice(elf: &Elf<'_>, report: &mut Report<'_>) {
    const SEVERAL: [elf::DynamicTag; 3] = [elf::DT_NEEDED, elf::DT_AUXILIARY, elf::DT_FILTER];
    let Some(dynamic) = elf.linking().filter(|_| elf.has_linker()) else { return };
    let mut values = HashMap::new();
    // What lies between is nobody's, or of one system alone.
    let is_known = |tag: i64| !(0x100..0x6fff_f000).contains(&tag);
    let single = |entry: &&Entry| !SEVERAL.contains(&entry.tag) && is_known(entry.tag.0);
    for entry in dynamic.entries.iter().filter(single) {
        if let Some(before) = values.insert(entry.tag.0, entry.value)
            && before != entry.value
        {
            let tag = entry.tag.0;
            let message =
                format!("the tag {tag:#x} has the value {before:#x}, and {:#x}", entry.value);
            report.add(entry.place("d_tag"), message);
        }
    }
}

fn lazy(elf: &Elf<'_>, report: &mut Report<'_>) {
    let Some(dynamic) = elf.linking() else { return };
    let Some(calls) =
        dynamic.entry(elf::DT_JMPREL).filter(|_| elf.has_linker() && !dynamic.is_bound_at_start())
    else {
        return;
    };
    match dynamic.entry(elf::DT_PLTGOT) {
        None => report.add(calls.place("DT_JMPREL"), "there is DT_JMPREL and no DT_PLTGOT"),
        Some(got) => {
            // An address in no segment is a rule of its own.
            let load = elf.load_at(got.value, 1);
            if load.is_some_and(|load| !load.has(elf::PF_W) || !load.holds(got.value, 24)) {
                let message = format!("no writable load segment has 24 bytes at {:#x}", got.value);
                report.add(got.place("DT_PLTGOT"), message);
            }
        }
    }
}

fn strings(elf: &Elf<'_>, report: &mut Report<'_>) {
    const NAMES: &[(elf::DynamicTag, &str)] = &[
        (elf::DT_NEEDED, "DT_NEEDED"),
        (elf::DT_SONAME, "DT_SONAME"),
        (elf::DT_RPATH, "DT_RPATH"),
        (elf::DT_RUNPATH, "DT_RUNPATH"),
    ];
    let Some(dynamic) = elf.linking() else { return };
    // Tables outside are a rule of their own.
    let Some(strings) = elf.strings else { return };
    for (tag, name) in NAMES {
        for entry in dynamic.all(*tag) {
            if !strings.holds(entry.value) {
                let size = strings.bytes.len();
                let message =
                    format!("{name} is {:#x}, the string table has {size:#x} bytes", entry.value);
                report.add(entry.place(name), message);
            } else if *tag == elf::DT_NEEDED && elf.dynamic_string(entry.value) == Some(b"") {
                report
                    .add(entry.place(name), format!("{name} is {:#x}, an empty name", entry.value));
            }
        }
    }
}

fn addresses(elf: &Elf<'_>, report: &mut Report<'_>) {
    /// Entries that hold an address, and those that say how many bytes are there.
    const TABLES: &[(elf::DynamicTag, Option<elf::DynamicTag>, &str)] = &[
        (elf::DT_STRTAB, Some(elf::DT_STRSZ), "DT_STRTAB"),
        (elf::DT_SYMTAB, None, "DT_SYMTAB"),
        (elf::DT_RELA, Some(elf::DT_RELASZ), "DT_RELA"),
        (elf::DT_RELR, Some(elf::DT_RELRSZ), "DT_RELR"),
        (elf::DT_JMPREL, Some(elf::DT_PLTRELSZ), "DT_JMPREL"),
        (elf::DT_HASH, None, "DT_HASH"),
        (elf::DT_GNU_HASH, None, "DT_GNU_HASH"),
        (elf::DT_VERSYM, None, "DT_VERSYM"),
        (elf::DT_VERNEED, None, "DT_VERNEED"),
        (elf::DT_VERDEF, None, "DT_VERDEF"),
        (elf::DT_PLTGOT, None, "DT_PLTGOT"),
        (elf::DT_INIT, None, "DT_INIT"),
        (elf::DT_FINI, None, "DT_FINI"),
        (elf::DT_INIT_ARRAY, Some(elf::DT_INIT_ARRAYSZ), "DT_INIT_ARRAY"),
        (elf::DT_FINI_ARRAY, Some(elf::DT_FINI_ARRAYSZ), "DT_FINI_ARRAY"),
    ];
    let Some(dynamic) = elf.linking().filter(|_| elf.loads().next().is_some()) else { return };
    for (tag, size, name) in TABLES {
        let Some(entry) = dynamic.entry(*tag) else { continue };
        let size = size.and_then(|size| dynamic.value(size)).unwrap_or(1);
        if size > 0 && elf.load_at(entry.value, size).is_none() {
            let message = format!("{name} is {:#x}, which no load segment holds", entry.value);
            report.add(entry.place(name), message);
        }
    }
}

fn text_relocations(elf: &Elf<'_>, report: &mut Report<'_>) {
    let Some(dynamic) = elf.linking() else { return };
    let flags = dynamic.entry(elf::DT_FLAGS);
    let flags = flags.filter(|flags| flags.value & elf::DF_TEXTREL.0 != 0);
    if let Some(entry) = dynamic.entry(elf::DT_TEXTREL).or(flags) {
        report.add(entry.place("DT_TEXTREL or DF_TEXTREL"), "it says that code is relocated");
    }
}
