//! Functions that the dynamic linker calls: initialisers and finalisers, one by one and in arrays.

use object::elf;

use super::relocations::{Relocated, Slots};
use super::{Elf, Entry};
use crate::view::lint::report::{Place, Report};
use crate::view::lint::rule::Loader::{Glibc, Musl};
use crate::view::lint::rule::{Check, Rule, error};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "elf/function-array",
        demand: "DT_INIT_ARRAY, DT_FINI_ARRAY and DT_PREINIT_ARRAY have their sizes, multiples of 8, and no size is there alone",
        by: &[error(Glibc), error(Musl)],
        symptom: "SIGSEGV before or after main: ld.so reads a size that is not there, or calls half an address; without the \
                  array its functions are not called",
        cure: "add DT_INIT_ARRAYSZ and its like; the arrays hold pointers of 8 bytes",
        source: "glibc elf/dl-init.c, call_init; System V gABI chapter 5, Initialization and Termination Functions",
        check: Check::Elf(arrays),
    },
    Rule {
        name: "elf/function-array-entry",
        demand: "each entry of DT_INIT_ARRAY, DT_FINI_ARRAY and DT_PREINIT_ARRAY is the address of code, written there by a \
                 relocation where the file can be moved",
        by: &[error(Glibc), error(Musl)],
        symptom: "SIGSEGV before or after main: ld.so calls whatever the entry holds, 0 too",
        cure: "point the array at the pointers; give each a RELATIVE relocation",
        source: "glibc elf/dl-init.c, call_init; elf/dl-call_fini.c, _dl_call_fini; musl ldso/dynlink.c, do_init_fini",
        check: Check::Elf(entries),
    },
    Rule {
        name: "elf/function-address",
        demand: "DT_INIT and DT_FINI are addresses of code",
        by: &[error(Glibc), error(Musl)],
        symptom: "SIGSEGV before or after main",
        cure: "set the entry to the function's address, or leave it out where there is none",
        source: "glibc elf/dl-init.c, call_init; elf/dl-call_fini.c, _dl_call_fini; musl ldso/dynlink.c, do_init_fini",
        check: Check::Elf(addresses),
    },
];

/// An array's entry, its size's, and their names.
type Array = (elf::DynamicTag, elf::DynamicTag, &'static str);

const ARRAYS: &[Array] = &[
    (elf::DT_INIT_ARRAY, elf::DT_INIT_ARRAYSZ, "DT_INIT_ARRAY"),
    (elf::DT_FINI_ARRAY, elf::DT_FINI_ARRAYSZ, "DT_FINI_ARRAY"),
    (elf::DT_PREINIT_ARRAY, elf::DT_PREINIT_ARRAYSZ, "DT_PREINIT_ARRAY"),
];

fn arrays(elf: &Elf<'_>, report: &mut Report<'_>) {
    let Some(dynamic) = elf.linking() else { return };
    for (array, size, name) in ARRAYS {
        match (dynamic.entry(*array), dynamic.entry(*size)) {
            (Some(entry), None) => {
                report.add(entry.place(name), format!("there is {name} and not its size"));
            }
            (None, Some(size)) if size.value > 0 => {
                let message = format!("there is {name}SZ and no {name}");
                report.add(size.place(&format!("{name}SZ")), message);
            }
            (_, Some(size)) if !size.value.is_multiple_of(8) => {
                let message = format!("{name} has {} bytes", size.value);
                report.add(size.place(&format!("{name}SZ")), message);
            }
            _ => {}
        }
    }
}

fn entries(elf: &Elf<'_>, report: &mut Report<'_>) {
    let Some(dynamic) = elf.linking().filter(|_| elf.has_linker()) else { return };
    let arrays: Vec<_> = ARRAYS
        .iter()
        .filter_map(|(array, size, name)| {
            let (array, size) = (dynamic.value(*array)?, dynamic.value(*size)?);
            // Arrays outside, and of half an address, have rules of their own.
            let is_whole = elf.load_at(array, size).is_some() && size.is_multiple_of(8);
            is_whole.then_some((array..array.checked_add(size)?, name))
        })
        .collect();
    if arrays.is_empty() {
        return;
    }
    let slots = Slots::of(elf, |address| arrays.iter().any(|(array, _)| array.contains(&address)));
    for (array, name) in &arrays {
        for (index, address) in (0_u64..).zip(array.clone().step_by(8)) {
            if let Some(what) = wrong_entry(elf, &slots, address) {
                let at = elf.file_offset(address, 8).unwrap_or_default();
                let place = Place::new(at, 8, format!("{name}, entry {index}"));
                report.add(place, format!("entry {index} of {name}, at {address:#x}, {what}"));
                // There may be more zeros than anybody can count.
                if elf.file_offset(address, 8).is_none() {
                    break;
                }
            }
        }
    }
}

/// What is wrong with the function whose address stands at an address.
fn wrong_entry(elf: &Elf<'_>, slots: &Slots, address: u64) -> Option<String> {
    // Behind the bytes of the file are zeros.
    let in_file = || elf.file_offset(address, 8).map_or(Some(0), |at| elf.data.u64(at));
    let function = match slots.at(address) {
        // A symbol's value, or what a function answers: known when it runs.
        Some(Relocated::Looked) => return None,
        Some(Relocated::Moved(function)) => function,
        None if elf.is_position_independent() => {
            return Some("is not relocated".to_owned());
        }
        Some(Relocated::MovedInPlace) | None => in_file()?,
    };
    (!is_code(elf, function)).then(|| format!("is {function:#x}, where no code is"))
}

fn is_code(elf: &Elf<'_>, address: u64) -> bool {
    elf.load_at(address, 1).is_some_and(|load| load.has(elf::PF_X))
}

fn addresses(elf: &Elf<'_>, report: &mut Report<'_>) {
    let Some(dynamic) = elf.linking().filter(|_| elf.has_linker()) else { return };
    for (tag, name) in [(elf::DT_INIT, "DT_INIT"), (elf::DT_FINI, "DT_FINI")] {
        let is_wrong = |entry: &&Entry| !is_code(elf, entry.value);
        // An address in no segment is a rule of its own.
        let is_mapped = |entry: &&Entry| elf.load_at(entry.value, 1).is_some();
        if let Some(entry) = dynamic.entry(tag).filter(is_wrong).filter(is_mapped) {
            report
                .add(entry.place(name), format!("{name} is {:#x}, where no code is", entry.value));
        }
    }
}
