//! Hash tables: how the dynamic linker finds what a file offers, held against the symbols themselves.

use object::LittleEndian as LE;
use object::elf;

use super::Elf;
use crate::view::lint::bytes::text;
use crate::view::lint::report::{Place, Report};
use crate::view::lint::rule::Loader::{Glibc, Musl, Tools};
use crate::view::lint::rule::{Check, Rule, error, warning};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "elf/hash-missing",
        demand: "there is a DT_HASH or a DT_GNU_HASH",
        by: &[error(Musl), error(Glibc).libraries()],
        symptom: "musl: SIGSEGV inside ld.so, for a program too; glibc: no symbol of the library is found",
        cure: "add DT_HASH or DT_GNU_HASH, even an empty one",
        source: "musl ldso/dynlink.c, sysv_lookup; glibc elf/dl-setup_hash.c, _dl_setup_hash",
        check: Check::Elf(missing),
    },
    Rule {
        name: "elf/gnu-hash",
        demand: "DT_GNU_HASH has buckets, a power of two of filter words, and lies in a load segment",
        by: &[error(Glibc), error(Musl)],
        symptom: "a failed assertion, SIGFPE or SIGSEGV inside ld.so, or symbols that are not found",
        cure: "round the number of filter words up to a power of two; one bucket is the least",
        source: "glibc elf/dl-setup_hash.c, _dl_setup_hash; musl ldso/dynlink.c, gnu_lookup_filtered",
        check: Check::Elf(gnu_header),
    },
    Rule {
        name: "elf/hash-buckets",
        demand: "DT_HASH has buckets and lies in a load segment",
        by: &[error(Musl), warning(Glibc)],
        symptom: "musl divides by the number of buckets: SIGFPE",
        cure: "one bucket is the least",
        source: "musl ldso/dynlink.c, sysv_lookup; glibc elf/dl-setup_hash.c, _dl_setup_hash",
        check: Check::Elf(sysv_header),
    },
    Rule {
        name: "elf/hash-lookup",
        demand: "the hash table finds each symbol that the file offers: by the hash of its name, in its bucket, in a chain that ends",
        by: &[error(Glibc), error(Musl)],
        symptom: "`undefined symbol` though the file has it; SIGSEGV inside ld.so, or a search that never ends",
        cure: "make the table anew from the symbols and their names; sort symbols by bucket for DT_GNU_HASH",
        source: "glibc elf/dl-lookup.c, do_lookup_x; musl ldso/dynlink.c, gnu_lookup, sysv_lookup",
        check: Check::Elf(lookup),
    },
    Rule {
        name: "elf/hash-disagrees",
        demand: "where there are both, DT_HASH finds what DT_GNU_HASH finds",
        by: &[warning(Tools)],
        symptom: "dynamic linkers take DT_GNU_HASH; tools that count symbols by DT_HASH, and old systems, miss symbols or crash",
        cure: "make both from the same symbols, or leave DT_HASH out",
        source: "glibc elf/dl-setup_hash.c, _dl_setup_hash (DT_GNU_HASH first); System V gABI chapter 5, Hash Table",
        check: Check::Elf(disagrees),
    },
];

fn missing(elf: &Elf<'_>, report: &mut Report<'_>) {
    let Some(dynamic) = elf.linking().filter(|_| elf.has_linker()) else { return };
    if dynamic.entry(elf::DT_HASH).is_none() && dynamic.entry(elf::DT_GNU_HASH).is_none() {
        report.add(elf.linking_place(), "there is neither DT_HASH nor DT_GNU_HASH");
    }
}

fn gnu_header(elf: &Elf<'_>, report: &mut Report<'_>) {
    let Some(entry) = elf.linking().and_then(|dynamic| dynamic.entry(elf::DT_GNU_HASH)) else {
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

fn sysv_header(elf: &Elf<'_>, report: &mut Report<'_>) {
    let Some(entry) = elf.linking().and_then(|dynamic| dynamic.entry(elf::DT_HASH)) else { return };
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

/// Numbers of 32 bits one behind the other in the file.
#[derive(Clone, Copy)]
struct Words {
    at: u64,
    count: u64,
}

impl Words {
    fn get(self, elf: &Elf<'_>, index: u64) -> Option<u64> {
        let at = self.at.checked_add(index.checked_mul(4)?)?;
        elf.data.u32(at).filter(|_| index < self.count).map(u64::from)
    }

    fn place(self, index: u64, structure: &str) -> Place {
        Place::new(self.at.saturating_add(index.saturating_mul(4)), 4, structure)
    }
}

/// A `DT_GNU_HASH` whose header is right.
pub(super) struct GnuTable {
    first: u64,
    shift: u32,
    /// Where the filter lies, and how many words of 64 bits it has.
    filter: (u64, u64),
    buckets: Words,
    chains: Words,
}

impl GnuTable {
    pub(super) fn read(elf: &Elf<'_>) -> Option<Self> {
        let address = elf.linking()?.value(elf::DT_GNU_HASH)?;
        let (at, left) = elf.bytes_at(address)?;
        let word = |index: u64| elf.data.u32(at + index * 4);
        let (count, words) = (u64::from(word(0)?), u64::from(word(2)?));
        let size = 16 + words * 8 + count * 4;
        if count == 0 || !words.is_power_of_two() || size > left {
            return None;
        }
        Some(Self {
            first: word(1)?.into(),
            shift: word(3)?,
            filter: (at + 16, words),
            buckets: Words { at: at + 16 + words * 8, count },
            chains: Words { at: at + size, count: (left - size) / 4 },
        })
    }

    /// The first symbol that is offered.
    pub(super) const fn first_symbol(&self) -> u64 {
        self.first
    }

    /// The number of symbols, by the chain that begins last and where it ends.
    pub(super) fn symbols(&self, elf: &Elf<'_>) -> Option<u64> {
        let buckets = (0..self.buckets.count).filter_map(|index| self.buckets.get(elf, index));
        let last = buckets.max().unwrap_or_default();
        if last == 0 {
            return Some(self.first);
        }
        let mut index = last.checked_sub(self.first)?;
        while self.chains.get(elf, index)? & 1 == 0 {
            index += 1;
        }
        Some(self.first + index + 1)
    }

    /// Whether the filter lets a hash through.
    fn passes(&self, elf: &Elf<'_>, hash: u32) -> bool {
        let (at, words) = self.filter;
        let word = elf.data.u64(at + u64::from(hash / 64) % words * 8).unwrap_or_default();
        let second = hash.checked_shr(self.shift).unwrap_or_default();
        word >> (hash % 64) & word >> (second % 64) & 1 == 1
    }
}

fn lookup(elf: &Elf<'_>, report: &mut Report<'_>) {
    if !elf.has_linker() {
        return;
    }
    if let Some(table) = GnuTable::read(elf) {
        gnu_lookup(elf, &table, report);
    } else if elf.linking().is_some_and(|dynamic| dynamic.entry(elf::DT_GNU_HASH).is_none()) {
        sysv_lookup(elf, report);
    }
}

fn disagrees(elf: &Elf<'_>, report: &mut Report<'_>) {
    if elf.has_linker() && GnuTable::read(elf).is_some() {
        sysv_lookup(elf, report);
    }
}

/// Follows every chain of `DT_GNU_HASH`.
fn gnu_lookup(elf: &Elf<'_>, table: &GnuTable, report: &mut Report<'_>) {
    let (buckets, chains) = (table.buckets, table.chains);
    // Each symbol is in one chain.
    let mut left = chains.count;
    let mut found = 0;
    for bucket in 0..buckets.count {
        let Some(first) = buckets.get(elf, bucket).filter(|first| *first != 0) else { continue };
        let place = buckets.place(bucket, "GNU hash table, bucket");
        let Some(mut index) = first.checked_sub(table.first) else {
            let message = format!(
                "bucket {bucket} begins with symbol {first}, the table with symbol {}",
                table.first
            );
            report.add(place, message);
            continue;
        };
        loop {
            let Some(word) = chains.get(elf, index).filter(|_| left > 0) else {
                let message = format!("the chain of bucket {bucket} does not end in its segment");
                report.add(place, message);
                break;
            };
            left -= 1;
            found += 1;
            let at = chains.place(index, "GNU hash table, chain");
            if !gnu_entry(elf, table, (bucket, table.first + index, word), at, report) {
                return;
            }
            if word & 1 == 1 {
                break;
            }
            index += 1;
        }
    }
    // What is not defined stands in front; where nothing is offered, behind.
    let symbols = table.first..elf.section_symbols().unwrap_or_default();
    let offered = symbols.map_while(|index| elf.symbol(index));
    let offered = offered.filter(|(_, symbol)| is_offered(symbol)).count() as u64;
    if offered > found {
        let message = format!("it has {found} of the {offered} symbols that are offered");
        report.add(buckets.place(0, "GNU hash table, buckets"), message);
    }
}

/// Looks at a symbol of a chain; whether there is more to look at.
fn gnu_entry(
    elf: &Elf<'_>,
    table: &GnuTable,
    (bucket, symbol, word): (u64, u64, u64),
    place: Place,
    report: &mut Report<'_>,
) -> bool {
    let Some((_, entry)) = elf.symbol(symbol) else {
        report.add(place, format!("symbol {symbol} of bucket {bucket} lies outside the table"));
        return true;
    };
    let Some(name) = elf.dynamic_string(entry.st_name.get(LE).into()) else {
        // A name outside is a rule of its own; where no more are read, the rest is believed.
        return elf.names_left.get() > 0;
    };
    let hash = elf::gnu_hash(name);
    let named = format!("symbol {symbol} (`{}`)", text(name));
    let message = if u64::from(hash | 1) != word | 1 {
        format!("{named} has the hash {hash:#x}, the table {word:#x}")
    } else if u64::from(hash) % table.buckets.count != bucket {
        let right = u64::from(hash) % table.buckets.count;
        format!("{named} is in bucket {bucket}, and is looked for in bucket {right}")
    } else if !table.passes(elf, hash) {
        format!("the filter says that {named} is not there")
    } else {
        return true;
    };
    report.add(place, message);
    true
}

/// Follows every chain of `DT_HASH`.
fn sysv_lookup(elf: &Elf<'_>, report: &mut Report<'_>) {
    let Some(address) = elf.linking().and_then(|dynamic| dynamic.value(elf::DT_HASH)) else {
        return;
    };
    let Some((at, left)) = elf.bytes_at(address) else { return };
    let word = |index: u64| elf.data.u32(at + index * 4).map(u64::from);
    let (Some(buckets), Some(symbols)) = (word(0), word(1)) else { return };
    if buckets == 0 || 8 + (buckets + symbols) * 4 > left {
        return;
    }
    let chains = Words { at: at + 8 + buckets * 4, count: symbols };
    let buckets = Words { at: at + 8, count: buckets };
    let mut left = symbols;
    let mut found = 0;
    for bucket in 0..buckets.count {
        let mut symbol = buckets.get(elf, bucket).unwrap_or_default();
        let mut place = buckets.place(bucket, "hash table, bucket");
        while symbol != 0 {
            let Some(next) = chains.get(elf, symbol).filter(|_| left > 0) else {
                let message = if left == 0 {
                    format!("the chain of bucket {bucket} does not end")
                } else {
                    format!("bucket {bucket} leads to symbol {symbol} of {symbols}")
                };
                report.add(place, message);
                break;
            };
            left -= 1;
            let Some((_, entry)) = elf.symbol(symbol) else { break };
            found += u64::from(is_offered(&entry));
            let name = elf.dynamic_string(entry.st_name.get(LE).into());
            let right = name.map(|name| (name, u64::from(elf::hash(name)) % buckets.count));
            if let Some((name, right)) = right.filter(|(_, right)| *right != bucket) {
                let message = format!(
                    "symbol {symbol} (`{}`) is in bucket {bucket}, and is looked for in bucket {right}",
                    text(name)
                );
                report.add(place.clone(), message);
            }
            place = chains.place(symbol, "hash table, chain");
            symbol = next;
        }
    }
    let offered = (1..symbols).map_while(|index| elf.symbol(index));
    let offered = offered.filter(|(_, entry)| is_offered(entry)).count() as u64;
    if offered > found {
        let message = format!("it has {found} of the {offered} symbols that are offered");
        report.add(buckets.place(0, "hash table, buckets"), message);
    }
}

/// Whether others can take a symbol from this file.
fn is_offered(symbol: &elf::Sym64<LE>) -> bool {
    symbol.st_shndx.get(LE) != elf::SHN_UNDEF && symbol.st_bind() != elf::STB_LOCAL
}
