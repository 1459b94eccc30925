//! The dynamic table: what the dynamic linker asserts, and reads without asking.

use object::LittleEndian as LE;
use object::elf;

use super::{Dynamic, Elf};
use crate::view::lint::bytes::Bytes;
use crate::view::lint::report::{Place, Report};
use crate::view::lint::rule::Loader::{Glibc, Musl};
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
        demand: "DT_RELAENT and DT_SYMENT are 24, DT_RELRENT is 8",
        by: &[error(Glibc)],
        symptom: "a failed assertion inside ld.so",
        cure: "set them to the sizes of 64-bit entries",
        source: "glibc elf/get-dynamic-info.h, elf_get_dynamic_info",
        check: Check::Elf(entry_sizes),
    },
    Rule {
        name: "elf/jump-relocations",
        demand: "DT_JMPREL has DT_PLTRELSZ and DT_PLTREL, which is DT_RELA",
        by: &[error(Glibc), warning(Musl)],
        symptom: "a failed assertion inside ld.so, or calls that go nowhere",
        cure: "add the missing one; DT_PLTREL is 7",
        source: "glibc elf/get-dynamic-info.h, elf_get_dynamic_info; elf/dynamic-link.h",
        check: Check::Elf(jump_relocations),
    },
    Rule {
        name: "elf/lazy-without-got",
        demand: "a table of calls that are bound lazily has a DT_PLTGOT",
        by: &[error(Glibc)],
        symptom: "SIGSEGV inside ld.so, which writes its own address there",
        cure: "add DT_PLTGOT, or bind everything at start (DF_BIND_NOW, DF_1_NOW)",
        source: "glibc sysdeps/x86_64/dl-machine.h, elf_machine_runtime_setup",
        check: Check::Elf(lazy),
    },
    Rule {
        name: "elf/hash-missing",
        demand: "there is a DT_HASH or a DT_GNU_HASH",
        by: &[error(Musl), error(Glibc).libraries()],
        symptom: "musl: SIGSEGV inside ld.so, for a program too; glibc: no symbol of the library is found",
        cure: "add DT_HASH or DT_GNU_HASH, even an empty one",
        source: "musl ldso/dynlink.c, sysv_lookup; glibc elf/dl-setup_hash.c, _dl_setup_hash",
        check: Check::Elf(hash_missing),
    },
    Rule {
        name: "elf/gnu-hash",
        demand: "DT_GNU_HASH has buckets, a power of two of filter words, and lies in a load segment",
        by: &[error(Glibc), error(Musl)],
        symptom: "a failed assertion, SIGFPE or SIGSEGV inside ld.so, or symbols that are not found",
        cure: "round the number of filter words up to a power of two; one bucket is the least",
        source: "glibc elf/dl-setup_hash.c, _dl_setup_hash; musl ldso/dynlink.c, gnu_lookup_filtered",
        check: Check::Elf(gnu_hash),
    },
    Rule {
        name: "elf/hash-buckets",
        demand: "DT_HASH has buckets and lies in a load segment",
        by: &[error(Musl), warning(Glibc)],
        symptom: "musl divides by the number of buckets: SIGFPE",
        cure: "one bucket is the least",
        source: "musl ldso/dynlink.c, sysv_lookup; glibc elf/dl-setup_hash.c, _dl_setup_hash",
        check: Check::Elf(sysv_hash),
    },
    Rule {
        name: "elf/dynamic-string",
        demand: "names of libraries and paths lie in the string table",
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
        name: "elf/function-array",
        demand: "DT_INIT_ARRAY, DT_FINI_ARRAY and DT_PREINIT_ARRAY have their sizes, multiples of 8",
        by: &[error(Glibc), error(Musl)],
        symptom: "SIGSEGV before or after main: ld.so reads a size that is not there, or calls half an address",
        cure: "add DT_INIT_ARRAYSZ and its like; the arrays hold pointers of 8 bytes",
        source: "glibc elf/dl-init.c, call_init; System V gABI chapter 5, Initialization and Termination Functions",
        check: Check::Elf(function_arrays),
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

fn dynamic<'e>(elf: &'e Elf<'_>) -> Option<&'e Dynamic> {
    // Where the table does not end, what its last entries are is anybody's guess.
    elf.dynamic.as_ref().filter(|dynamic| dynamic.is_terminated)
}

/// Where the dynamic table begins, for what is missing in it.
fn table(elf: &Elf<'_>) -> Place {
    let offset = elf.first(elf::PT_DYNAMIC).map_or(0, |segment| segment.offset);
    Place::new(offset, 0, "dynamic table")
}

/// Whether anybody but the program itself reads the table.
fn has_linker(elf: &Elf<'_>) -> bool {
    elf.first(elf::PT_INTERP).is_some() || elf.kind == super::Kind::Library
}

fn symbol_tables(elf: &Elf<'_>, report: &mut Report<'_>) {
    let Some(dynamic) = dynamic(elf).filter(|_| has_linker(elf)) else { return };
    for (tag, name) in [(elf::DT_STRTAB, "DT_STRTAB"), (elf::DT_SYMTAB, "DT_SYMTAB")] {
        if dynamic.entry(tag).is_none() {
            report.add(table(elf), format!("there is no {name}"));
        }
    }
}

/// Says which of three entries are missing, where one of them is there.
fn together(elf: &Elf<'_>, report: &mut Report<'_>, entries: [(elf::DynamicTag, &str); 3]) {
    let Some(dynamic) = dynamic(elf) else { return };
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
        (elf::DT_SYMENT, "DT_SYMENT", size_of::<elf::Sym64<LE>>() as u64),
        (elf::DT_RELRENT, "DT_RELRENT", ENTRY),
    ];
    for (tag, name, size) in sizes {
        if let Some(entry) = dynamic(elf).and_then(|dynamic| dynamic.entry(tag))
            && entry.value != size
        {
            report.add(entry.place(name), format!("{name} is {}, not {size}", entry.value));
        }
    }
}

fn jump_relocations(elf: &Elf<'_>, report: &mut Report<'_>) {
    let Some(dynamic) = dynamic(elf) else { return };
    let Some(calls) = dynamic.entry(elf::DT_JMPREL) else { return };
    for (tag, name) in [(elf::DT_PLTRELSZ, "DT_PLTRELSZ"), (elf::DT_PLTREL, "DT_PLTREL")] {
        if dynamic.entry(tag).is_none() {
            report.add(calls.place("DT_JMPREL"), format!("there is DT_JMPREL and no {name}"));
        }
    }
    if let Some(kind) = dynamic.entry(elf::DT_PLTREL)
        && kind.value != elf::DT_RELA.0.cast_unsigned()
    {
        report
            .add(kind.place("DT_PLTREL"), format!("DT_PLTREL is {}, not 7 (DT_RELA)", kind.value));
    }
}

fn lazy(elf: &Elf<'_>, report: &mut Report<'_>) {
    let Some(dynamic) = dynamic(elf) else { return };
    let has = |tag, flag: u64| dynamic.value(tag).is_some_and(|flags| flags & flag != 0);
    let is_eager = dynamic.entry(elf::DT_BIND_NOW).is_some()
        || has(elf::DT_FLAGS, elf::DF_BIND_NOW.0)
        || has(elf::DT_FLAGS_1, elf::DF_1_NOW.0);
    if let Some(calls) = dynamic.entry(elf::DT_JMPREL)
        && dynamic.entry(elf::DT_PLTGOT).is_none()
        && !is_eager
    {
        report.add(calls.place("DT_JMPREL"), "there is DT_JMPREL and no DT_PLTGOT");
    }
}

fn hash_missing(elf: &Elf<'_>, report: &mut Report<'_>) {
    let Some(dynamic) = dynamic(elf).filter(|_| has_linker(elf)) else { return };
    if dynamic.entry(elf::DT_HASH).is_none() && dynamic.entry(elf::DT_GNU_HASH).is_none() {
        report.add(table(elf), "there is neither DT_HASH nor DT_GNU_HASH");
    }
}

fn gnu_hash(elf: &Elf<'_>, report: &mut Report<'_>) {
    let Some(entry) = dynamic(elf).and_then(|dynamic| dynamic.entry(elf::DT_GNU_HASH)) else {
        return;
    };
    // Without the header's four words its address is wrong, which is a rule of its own.
    let Some(at) = elf.file_offset(entry.value, 16) else { return };
    let word = |index: u64| elf.data.u32(at + index * 4).unwrap_or_default();
    let (buckets, words) = (word(0), word(2));
    let place = |index: u64| Place::new(at + index * 4, 4, "GNU hash table");
    if buckets == 0 {
        report.add(place(0), "it has no buckets");
    }
    if !words.is_power_of_two() {
        report.add(place(2), format!("it has {words} filter words"));
    }
    let size = 16 + u64::from(words) * 8 + u64::from(buckets) * 4;
    if elf.file_offset(entry.value, size).is_none() {
        report.add(place(0), format!("its {size:#x} bytes end outside the load segment"));
    }
}

fn sysv_hash(elf: &Elf<'_>, report: &mut Report<'_>) {
    let Some(entry) = dynamic(elf).and_then(|dynamic| dynamic.entry(elf::DT_HASH)) else { return };
    let Some(at) = elf.file_offset(entry.value, 8) else { return };
    let word = |index: u64| u64::from(elf.data.u32(at + index * 4).unwrap_or_default());
    let size = 8 + word(0) * 4 + word(1) * 4;
    let place = Place::new(at, 8, "hash table");
    if word(0) == 0 {
        report.add(place, "it has no buckets");
    } else if elf.file_offset(entry.value, size).is_none() {
        report.add(place, format!("its {size:#x} bytes end outside the load segment"));
    }
}

fn strings(elf: &Elf<'_>, report: &mut Report<'_>) {
    const NAMES: &[(elf::DynamicTag, &str)] = &[
        (elf::DT_NEEDED, "DT_NEEDED"),
        (elf::DT_SONAME, "DT_SONAME"),
        (elf::DT_RPATH, "DT_RPATH"),
        (elf::DT_RUNPATH, "DT_RUNPATH"),
    ];
    let Some(dynamic) = dynamic(elf) else { return };
    let (Some(table), Some(size)) = (dynamic.value(elf::DT_STRTAB), dynamic.value(elf::DT_STRSZ))
    else {
        return;
    };
    // Tables outside are a rule of their own.
    let Some(table) = elf.file_offset(table, size).and_then(|at| elf.data.slice(at, size)) else {
        return;
    };
    for (tag, name) in NAMES {
        for entry in dynamic.all(*tag) {
            if Bytes(table).c_string(entry.value).is_none() {
                let message =
                    format!("{name} is {:#x}, the string table has {size:#x} bytes", entry.value);
                report.add(entry.place(name), message);
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
    let Some(dynamic) = dynamic(elf).filter(|_| elf.loads().next().is_some()) else { return };
    for (tag, size, name) in TABLES {
        let Some(entry) = dynamic.entry(*tag) else { continue };
        let size = size.and_then(|size| dynamic.value(size)).unwrap_or(1);
        if size > 0 && elf.load_at(entry.value, size).is_none() {
            let message = format!("{name} is {:#x}, which no load segment holds", entry.value);
            report.add(entry.place(name), message);
        }
    }
}

fn function_arrays(elf: &Elf<'_>, report: &mut Report<'_>) {
    const ARRAYS: &[(elf::DynamicTag, elf::DynamicTag, &str)] = &[
        (elf::DT_INIT_ARRAY, elf::DT_INIT_ARRAYSZ, "DT_INIT_ARRAY"),
        (elf::DT_FINI_ARRAY, elf::DT_FINI_ARRAYSZ, "DT_FINI_ARRAY"),
        (elf::DT_PREINIT_ARRAY, elf::DT_PREINIT_ARRAYSZ, "DT_PREINIT_ARRAY"),
    ];
    let Some(dynamic) = dynamic(elf) else { return };
    for (array, size, name) in ARRAYS {
        let Some(entry) = dynamic.entry(*array) else { continue };
        match dynamic.entry(*size) {
            None => report.add(entry.place(name), format!("there is {name} and not its size")),
            Some(size) if !size.value.is_multiple_of(ENTRY) => {
                let message = format!("{name} has {} bytes", size.value);
                report.add(size.place(&format!("{name}SZ")), message);
            }
            Some(_) => {}
        }
    }
}

fn text_relocations(elf: &Elf<'_>, report: &mut Report<'_>) {
    let Some(dynamic) = dynamic(elf) else { return };
    let flags = dynamic.entry(elf::DT_FLAGS);
    let flags = flags.filter(|flags| flags.value & elf::DF_TEXTREL.0 != 0);
    if let Some(entry) = dynamic.entry(elf::DT_TEXTREL).or(flags) {
        report.add(entry.place("DT_TEXTREL or DF_TEXTREL"), "it says that code is relocated");
    }
}
