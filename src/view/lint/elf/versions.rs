//! Symbol versions: which variant of a symbol the dynamic linker takes, and whether it starts without one.

use std::collections::HashSet;

use object::LittleEndian as LE;
use object::elf;

use super::Elf;
use super::relocations::relocations;
use crate::target::Architecture;
use crate::view::lint::bytes::text;
use crate::view::lint::report::{Place, Report};
use crate::view::lint::rule::Loader::{Glibc, Tools};
use crate::view::lint::rule::{Check, Rule, error, warning};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "elf/versions-incomplete",
        demand: "DT_VERSYM is there where DT_VERNEED or DT_VERDEF is, and only there",
        by: &[error(Glibc)],
        symptom: "SIGSEGV inside ld.so: it reads versions that are not there",
        cure: "add the missing table, or take all of them out",
        source: "glibc elf/dl-version.c, _dl_check_map_versions; elf/dl-lookup.c, check_match",
        check: Check::Elf(incomplete),
    },
    Rule {
        name: "elf/version-record",
        demand: "the records of DT_VERNEED and DT_VERDEF have version 1, lie one behind the other in a load segment, and name \
                 versions of the string table",
        by: &[error(Glibc)],
        symptom: "`unsupported version 0 of Verneed record`, `version … not found` with a name that is junk, or SIGSEGV inside ld.so",
        cure: "correct the entry's address, and vn_aux, vn_next, vna_next and their like",
        source: "glibc elf/dl-version.c, _dl_check_map_versions, match_symbol; LSB Core, Symbol Versioning",
        check: Check::Elf(records),
    },
    Rule {
        name: "elf/version-library",
        demand: "versions are needed of libraries that DT_NEEDED names",
        by: &[error(Glibc)],
        symptom: "`Assertion `needed != NULL' failed` inside ld.so, but where another library brings the one that is named",
        cure: "add a DT_NEEDED, or take the library's versions out",
        source: "glibc elf/dl-version.c, _dl_check_map_versions (find_needed)",
        check: Check::Elf(libraries),
    },
    Rule {
        name: "elf/version-hash",
        demand: "the hash of a version that is needed or defined is that of its name",
        by: &[error(Glibc)],
        symptom: "`version `GLIBC_2.2.5' not found`, though the library has it",
        cure: "compute vna_hash and vd_hash as for DT_HASH",
        source: "glibc elf/dl-version.c, match_symbol; System V gABI chapter 5, Hash Table",
        check: Check::Elf(hashes),
    },
    Rule {
        name: "elf/version-index",
        demand: "each number in DT_VERSYM is 0, 1, or that of one version: needed, where the symbol is looked for in another file",
        by: &[error(Glibc)],
        symptom: "SIGSEGV inside ld.so, or a symbol with another version than was meant",
        cure: "correct the symbol's number, or vna_other and vd_ndx",
        source: "glibc elf/dl-version.c, _dl_check_map_versions (l_versions); elf/dl-lookup.c, check_match",
        check: Check::Elf(indexes),
    },
    Rule {
        name: "elf/version-count",
        demand: "DT_VERNEEDNUM, DT_VERDEFNUM, vn_cnt and vd_cnt count the records that are there",
        by: &[warning(Tools)],
        symptom: "dynamic linkers follow the records and start it; tools that go by the numbers miss versions or refuse the file",
        cure: "count the records",
        source: "LSB Core, Symbol Versioning; binutils readelf, process_version_sections",
        check: Check::Elf(counts),
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

/// Versions of a library that a file needs, or a version that it defines.
struct Record<'d> {
    /// Where it lies.
    at: u64,
    /// The library that has the version, where it is needed.
    library: Option<Name<'d>>,
    versions: Vec<Version<'d>>,
    /// How many the record says that there are.
    count: u64,
}

/// A text of the string table; `None` where it is not in it.
type Name<'d> = Option<&'d [u8]>;

struct Version<'d> {
    at: u64,
    name: Name<'d>,
    hash: u32,
    index: u16,
}

/// The records of a table, and what is wrong with the first that cannot be read.
struct Records<'d> {
    records: Vec<Record<'d>>,
    damage: Option<(u64, String)>,
}

/// Follows a table's records. `read` gives one, where what belongs to it lies, and how far the next one is.
fn follow<'d>(
    elf: &Elf<'d>,
    tag: elf::DynamicTag,
    mut read: impl FnMut(u64, &mut u64) -> Result<(Record<'d>, u64), (u64, String)>,
) -> Option<Records<'d>> {
    let table = elf.linking()?.value(tag)?;
    let mut found = Records { records: Vec::new(), damage: None };
    let (mut at, _) = elf.bytes_at(table)?;
    // Records that share their bytes could make more of them than the file has room for.
    let mut left = elf.data.len() / size_of::<elf::Vernaux<LE>>() as u64;
    loop {
        match read(at, &mut left) {
            Ok((record, next)) => {
                found.records.push(record);
                if next == 0 {
                    break;
                }
                at = at.saturating_add(next);
            }
            Err(damage) => {
                found.damage = Some(damage);
                break;
            }
        }
    }
    Some(found)
}

fn outside<T>(at: u64) -> Result<T, (u64, String)> {
    Err((at, format!("the record at {at:#x} is not in the file")))
}

/// Takes one out of the number of records that there can be.
fn take(at: u64, left: &mut u64) -> Result<(), (u64, String)> {
    *left = left.checked_sub(1).ok_or((at, "the records do not end".to_owned()))?;
    Ok(())
}

/// What `DT_VERNEED` says.
fn needed<'d>(elf: &Elf<'d>) -> Option<Records<'d>> {
    follow(elf, elf::DT_VERNEED, |at, left| {
        take(at, left)?;
        let Some(library) = elf.data.read::<elf::Verneed<LE>>(at) else { return outside(at) };
        let version = library.vn_version.get(LE);
        if version != elf::VER_NEED_CURRENT {
            return Err((at, format!("vn_version is {version}")));
        }
        let mut record = Record {
            at,
            library: Some(elf.dynamic_string(library.vn_file.get(LE).into())),
            versions: Vec::new(),
            count: library.vn_cnt.get(LE).into(),
        };
        let mut at = at.saturating_add(library.vn_aux.get(LE).into());
        loop {
            take(at, left)?;
            let Some(version) = elf.data.read::<elf::Vernaux<LE>>(at) else { return outside(at) };
            record.versions.push(Version {
                at,
                name: elf.dynamic_string(version.vna_name.get(LE).into()),
                hash: version.vna_hash.get(LE),
                index: version.vna_other.get(LE).0,
            });
            match version.vna_next.get(LE) {
                0 => return Ok((record, library.vn_next.get(LE).into())),
                next => at = at.saturating_add(next.into()),
            }
        }
    })
}

/// What `DT_VERDEF` says: the first name of each record is the version's, those behind are its predecessors'.
fn defined<'d>(elf: &Elf<'d>) -> Option<Records<'d>> {
    follow(elf, elf::DT_VERDEF, |at, left| {
        take(at, left)?;
        let Some(definition) = elf.data.read::<elf::Verdef<LE>>(at) else { return outside(at) };
        let version = definition.vd_version.get(LE);
        if version != elf::VER_DEF_CURRENT {
            return Err((at, format!("vd_version is {version}")));
        }
        let first = at.saturating_add(definition.vd_aux.get(LE).into());
        let Some(name) = elf.data.read::<elf::Verdaux<LE>>(first) else { return outside(first) };
        let version = Version {
            at,
            name: elf.dynamic_string(name.vda_name.get(LE).into()),
            hash: definition.vd_hash.get(LE),
            index: definition.vd_ndx.get(LE).0,
        };
        let record = Record { at, library: None, versions: vec![version], count: 1 };
        Ok((record, definition.vd_next.get(LE).into()))
    })
}

/// All records of both tables.
fn all<'d>(elf: &Elf<'d>) -> Vec<Record<'d>> {
    let tables = [needed(elf), defined(elf)].into_iter().flatten();
    tables.flat_map(|table| table.records).collect()
}

fn incomplete(elf: &Elf<'_>, report: &mut Report<'_>) {
    let Some(dynamic) = elf.linking().filter(|_| elf.has_linker()) else { return };
    let tables = [(elf::DT_VERNEED, "DT_VERNEED"), (elf::DT_VERDEF, "DT_VERDEF")];
    let table = tables.iter().find_map(|(tag, name)| Some((dynamic.entry(*tag)?, name)));
    match (dynamic.entry(elf::DT_VERSYM), table) {
        (Some(entry), None) => {
            let message = "there is DT_VERSYM, and neither DT_VERNEED nor DT_VERDEF";
            report.add(entry.place("DT_VERSYM"), message);
        }
        (None, Some((entry, name))) => {
            report.add(entry.place(name), format!("there is {name} and no DT_VERSYM"));
        }
        _ => {}
    }
}

fn records(elf: &Elf<'_>, report: &mut Report<'_>) {
    for (table, name) in [(needed(elf), "DT_VERNEED"), (defined(elf), "DT_VERDEF")] {
        let Some(table) = table else { continue };
        if let Some((at, what)) = table.damage {
            report.add(Place::new(at, 2, format!("{name}, record")), what);
        }
        for record in table.records {
            if record.library == Some(None) {
                let message = "the name of a library is outside of the string table";
                report.add(Place::new(record.at, 16, format!("{name}, vn_file")), message);
            }
            // Without a name nobody takes it for the one that was asked for.
            for version in
                record.versions.iter().filter(|one| one.name.is_none_or(<[u8]>::is_empty))
            {
                let message = match version.name {
                    None => "the name of a version is outside of the string table",
                    Some(_) => "a version has no name",
                };
                report.add(Place::new(version.at, 16, format!("{name}, version")), message);
            }
        }
    }
}

fn libraries(elf: &Elf<'_>, report: &mut Report<'_>) {
    let (Some(dynamic), Some(table)) = (elf.linking(), needed(elf)) else { return };
    let named: Vec<_> =
        dynamic.all(elf::DT_NEEDED).filter_map(|entry| elf.dynamic_string(entry.value)).collect();
    for record in table.records {
        if let Some(Some(library)) = record.library
            && !named.contains(&library)
        {
            let message =
                format!("versions are needed of `{}`, which no DT_NEEDED names", text(library));
            report.add(Place::new(record.at, 16, "DT_VERNEED, vn_file"), message);
        }
    }
}

fn hashes(elf: &Elf<'_>, report: &mut Report<'_>) {
    for version in all(elf).iter().flat_map(|record| &record.versions) {
        if let Some(name) = version.name
            && elf::hash(name) != version.hash
        {
            let message = format!(
                "the version `{}` has the hash {:#x}, and its record {:#x}",
                text(name),
                elf::hash(name),
                version.hash
            );
            report.add(Place::new(version.at, 16, "version"), message);
        }
    }
}

fn indexes(elf: &Elf<'_>, report: &mut Report<'_>) {
    let Some(table) = elf.linking().and_then(|dynamic| dynamic.value(elf::DT_VERSYM)) else {
        return;
    };
    let Some((start, left)) = elf.bytes_at(table).filter(|_| elf.has_linker()) else { return };
    let records = all(elf);
    if records.is_empty() {
        return;
    }
    let mut known = HashSet::from([0, 1]);
    let own = records.iter().filter(|record| record.library.is_none());
    let own: HashSet<_> =
        own.flat_map(|record| &record.versions).map(|version| version.index & INDEX).collect();
    for version in records.iter().flat_map(|record| &record.versions) {
        // The first definition of a library is itself, with the number of what has no version.
        if !known.insert(version.index & INDEX) && version.index & INDEX > 1 {
            let message = format!("two versions have the number {}", version.index & INDEX);
            report.add(Place::new(version.at, 16, "version"), message);
        }
    }
    let Some(count) = elf.symbols() else { return };
    // Nobody looks symbol 0 up.
    for symbol in 1..count.min(left / 2) {
        let at = start + symbol * 2;
        let Some(number) = elf.data.u16(at) else { break };
        let number = number & INDEX;
        let is_looked_for =
            elf.symbol(symbol).is_some_and(|(_, symbol)| symbol.st_shndx.get(LE) == elf::SHN_UNDEF);
        let message = if !known.contains(&number) {
            format!("symbol {symbol} has version {number}, which is none")
        } else if number > 1 && is_looked_for && own.contains(&number) {
            format!("symbol {symbol} is looked for with version {number}, which is the file's own")
        } else {
            continue;
        };
        report.add(Place::new(at, 2, "DT_VERSYM"), message);
    }
}

/// The part of a version's number that is the number; the rest says that it is not the default.
const INDEX: u16 = elf::VERSYM_VERSION;

fn counts(elf: &Elf<'_>, report: &mut Report<'_>) {
    let Some(dynamic) = elf.linking() else { return };
    let tables = [
        (needed(elf), elf::DT_VERNEEDNUM, "DT_VERNEEDNUM"),
        (defined(elf), elf::DT_VERDEFNUM, "DT_VERDEFNUM"),
    ];
    for (table, tag, name) in tables {
        // What cannot be read to its end is a rule of its own.
        let Some(table) = table.filter(|table| table.damage.is_none()) else { continue };
        let count = table.records.len() as u64;
        match dynamic.entry(tag) {
            Some(entry) if entry.value != count => {
                let message = format!("{name} is {}, and there are {count} records", entry.value);
                report.add(entry.place(name), message);
            }
            None => report.add(elf.linking_place(), format!("there is no {name}")),
            Some(_) => {}
        }
        for record in table.records {
            if record.count != record.versions.len() as u64 {
                let message = format!(
                    "vn_cnt is {}, and there are {} versions",
                    record.count,
                    record.versions.len()
                );
                report.add(Place::new(record.at, 16, "DT_VERNEED, vn_cnt"), message);
            }
        }
    }
}

fn relr_version(elf: &Elf<'_>, report: &mut Report<'_>) {
    let Some(entry) = elf.dynamic.as_ref().and_then(|dynamic| dynamic.entry(elf::DT_RELR)) else {
        return;
    };
    let Some(needed) = needed(elf) else { return };
    let libc = needed.records.iter().find(|one| one.library == Some(Some(&b"libc.so.6"[..])));
    let has_promise = |record: &Record<'_>| {
        record.versions.iter().any(|one| one.name == Some(&b"GLIBC_ABI_DT_RELR"[..]))
    };
    if libc.is_some_and(|libc| !has_promise(libc)) {
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
    if !needs_glibc || dynamic.entry(elf::DT_VERSYM).is_some() {
        return;
    }
    let mut told = Vec::new();
    for (_, relocation) in relocations(elf) {
        let index = u64::from(relocation.r_sym(LE, false));
        let Some((at, symbol)) = elf.symbol(index).filter(|_| index != 0) else { continue };
        let Some(name) = elf.dynamic_string(symbol.st_name.get(LE).into()) else { continue };
        let is_changed = CHANGED
            .iter()
            .any(|(changed, on)| *changed == name && on.is_none_or(|on| on == elf.architecture));
        let is_imported = symbol.st_shndx.get(LE) == elf::SHN_UNDEF;
        if is_changed && is_imported && !told.contains(&index) {
            told.push(index);
            let place = Place::new(at, size_of::<elf::Sym64<LE>>() as u64, "dynamic symbol");
            report.add(place, format!("`{}` is asked for without a version", text(name)));
        }
    }
}
