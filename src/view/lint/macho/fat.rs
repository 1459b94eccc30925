//! Universal files: several files in one, one an architecture.

use object::BigEndian as BE;
use object::macho;

use super::LEAST_COMMAND;
use crate::error::Error;
use crate::target::Architecture;
use crate::view::lint::bytes::{Bytes, field};
use crate::view::lint::report::{Place, Report};
use crate::view::lint::rule::Loader::{Dyld, Xnu};
use crate::view::lint::rule::{Check, Kind, Loader, Rule, Subject, error, warning};
use crate::view::lint::{Lint, unsupported};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "macho/fat-truncated",
        demand: "the file holds its universal header and an entry for each slice",
        by: &[error(Xnu), error(Dyld)],
        symptom: "`Malformed Mach-o file` (EBADMACHO, 88)",
        cure: "correct nfat_arch, or write the file again: it ends too early",
        source: "xnu bsd/kern/mach_fat.c, fatfile_validate_fatarches",
        check: Check::Fat(truncated),
    },
    Rule {
        name: "macho/fat-slice",
        demand: "each slice lies inside the file",
        by: &[error(Xnu), error(Dyld)],
        symptom: "`Malformed Mach-o file` (EBADMACHO, 88)",
        cure: "write or copy the file again: it ends too early",
        source: "xnu bsd/kern/mach_fat.c, fatfile_validate_fatarches",
        check: Check::Fat(slices),
    },
    Rule {
        name: "macho/fat-alignment",
        demand: "each slice begins at a page: 16 KiB for arm64, 4 KiB for x86-64",
        by: &[error(Xnu)],
        symptom: "`Malformed Mach-o file` (EBADMACHO, 88), or `Killed: 9`, on one architecture only",
        cure: "align slices to 16 KiB (align 14)",
        source: "xnu bsd/kern/mach_loader.c, load_segment (file offsets count from the file's start)",
        check: Check::Fat(alignment),
    },
    Rule {
        name: "macho/fat-overlap",
        demand: "no two slices share bytes",
        by: &[error(Xnu), error(Dyld)],
        symptom: "`Malformed Mach-o file` (EBADMACHO, 88)",
        cure: "give each slice bytes of its own",
        source: "xnu bsd/kern/mach_fat.c, fatfile_validate_fatarches",
        check: Check::Fat(overlap),
    },
    Rule {
        name: "macho/fat-architecture",
        demand: "a slice is for the architecture that its entry says",
        by: &[error(Xnu)],
        symptom: "`Bad CPU type in executable` (EBADARCH, 86) on one architecture only",
        cure: "copy cputype and cpusubtype from the slice's own header",
        source: "xnu bsd/kern/mach_fat.c, fatfile_getbestarch; bsd/kern/mach_loader.c, get_macho_vnode",
        check: Check::Fat(architecture),
    },
    Rule {
        name: "macho/fat-twice",
        demand: "no two slices are for one architecture",
        by: &[warning(Xnu)],
        symptom: "one of them is never run",
        cure: "keep one",
        source: "xnu bsd/kern/mach_fat.c, fatfile_getbestarch; dyld mach_o/Universal.cpp, valid",
        check: Check::Fat(twice),
    },
];

/// A universal file.
#[derive(Debug)]
pub(in crate::view::lint) struct Fat<'d> {
    data: Bytes<'d>,
    count: u64,
    /// Up to the first entry that is not there.
    slices: Vec<Slice>,
}

/// An entry of the universal header.
#[derive(Clone, Copy, Debug)]
struct Slice {
    index: usize,
    /// Where the entry lies.
    entry: u64,
    cpu: macho::CpuType,
    subtype: u32,
    offset: u64,
    size: u64,
}

/// Java's classes begin with the same four bytes; none has so few versions.
const MOST_SLICES: u32 = 30;

impl Slice {
    fn place(&self) -> Place {
        Place::new(self.entry, 20, format!("universal header, slice {}", self.index))
    }

    fn page(&self) -> u64 {
        if self.cpu == macho::CPU_TYPE_ARM64 { 0x4000 } else { 0x1000 }
    }

    /// What it is called in findings.
    fn name(&self) -> &'static str {
        match self.cpu {
            macho::CPU_TYPE_ARM64 => "arm64",
            macho::CPU_TYPE_X86_64 => "x86_64",
            _ => "other",
        }
    }
}

fn read(data: Bytes<'_>) -> Result<Fat<'_>, Error> {
    let is_64 = data.0.get(3) == Some(&0xbf);
    let count = data.read::<macho::FatHeader>(0).map_or(0, |header| header.nfat_arch.get(BE));
    if count > MOST_SLICES {
        return Err(unsupported("it is a Java class, or a universal file of very many slices"));
    }
    let mut slices = Vec::new();
    for index in 0..count as usize {
        let first = size_of::<macho::FatHeader>();
        let slice = if is_64 {
            let entry = (first + index * size_of::<macho::FatArch64>()) as u64;
            data.read::<macho::FatArch64>(entry).map(|arch| Slice {
                index,
                entry,
                cpu: arch.cputype.get(BE),
                subtype: arch.cpusubtype.get(BE).0,
                offset: arch.offset.get(BE),
                size: arch.size.get(BE),
            })
        } else {
            let entry = (first + index * size_of::<macho::FatArch32>()) as u64;
            data.read::<macho::FatArch32>(entry).map(|arch| Slice {
                index,
                entry,
                cpu: arch.cputype.get(BE),
                subtype: arch.cpusubtype.get(BE).0,
                offset: arch.offset.get(BE).into(),
                size: arch.size.get(BE).into(),
            })
        };
        let Some(slice) = slice else { break };
        slices.push(slice);
    }
    Ok(Fat { data, count: count.into(), slices })
}

/// Looks at a universal file and at each of its slices that is for an architecture with rules.
pub(super) fn lint(data: Bytes<'_>) -> Result<Lint, Error> {
    let fat = read(data)?;
    let subject = Subject {
        loaders: vec![Loader::Xnu, Loader::Dyld],
        others: Vec::new(),
        architecture: Architecture::Aarch64,
        kind: Kind::Program,
        sdk: None,
    };
    let mut report = Report::new(&subject);
    for rule in RULES {
        if let Check::Fat(check) = rule.check
            && report.begin(rule)
        {
            check(&fat, &mut report);
            report.end();
        }
    }
    let mut findings = report.findings;
    let mut files = Vec::new();
    for slice in &fat.slices {
        let Some(bytes) = data.slice(slice.offset, slice.size) else { continue };
        // What has no rules here is passed over, as another system's slice is by a kernel.
        if let [0xcf, 0xfa, 0xed, 0xfe, ..] = bytes
            && let Ok(file) = super::slice(Bytes(bytes), slice.offset, slice.name(), &mut findings)
        {
            files.push(file);
        }
    }
    let slices =
        if files.is_empty() { "no slice that has rules".to_owned() } else { files.join("; ") };
    Ok(Lint { file: format!("universal file ({slices})"), findings })
}

fn truncated(fat: &Fat<'_>, report: &mut Report<'_>) {
    let count = fat.count;
    if (fat.slices.len() as u64) < count || fat.data.len() < LEAST_COMMAND {
        let message = format!("{count} slices, but the file ends at {:#x}", fat.data.len());
        report.add(Place::new(0, fat.data.len().min(8), "universal header"), message);
    }
}

fn slices(fat: &Fat<'_>, report: &mut Report<'_>) {
    for slice in &fat.slices {
        if slice.offset.checked_add(slice.size).is_none_or(|end| end > fat.data.len()) {
            let message = format!(
                "slice {} has {:#x} bytes at {:#x}, but the file ends at {:#x}",
                slice.index,
                slice.size,
                slice.offset,
                fat.data.len()
            );
            report.add(slice.place(), message);
        }
    }
}

fn alignment(fat: &Fat<'_>, report: &mut Report<'_>) {
    for slice in fat.slices.iter().filter(|slice| !slice.offset.is_multiple_of(slice.page())) {
        let message = format!("the slice for {} begins at {:#x}", slice.name(), slice.offset);
        report.add(slice.place(), message);
    }
}

fn overlap(fat: &Fat<'_>, report: &mut Report<'_>) {
    let mut slices: Vec<_> = fat.slices.iter().collect();
    slices.sort_by_key(|slice| slice.offset);
    let header = size_of::<macho::FatHeader>() as u64;
    if let Some(first) = slices.first().filter(|first| first.offset < header) {
        report.add(first.place(), format!("the slice begins at {:#x}", first.offset));
    }
    for pair in slices.windows(2) {
        if pair[0].offset.saturating_add(pair[0].size) > pair[1].offset {
            let message = format!("slices {} and {} share bytes", pair[0].index, pair[1].index);
            report.add(pair[1].place(), message);
        }
    }
}

fn architecture(fat: &Fat<'_>, report: &mut Report<'_>) {
    for slice in &fat.slices {
        let Some(bytes) = fat.data.slice(slice.offset, slice.size) else { continue };
        let field = field!(super::Header, cputype);
        let cpu = Bytes(bytes).u32(field.offset).filter(|_| bytes.starts_with(&[0xcf, 0xfa]));
        if let Some(cpu) = cpu.filter(|cpu| *cpu != slice.cpu.0) {
            let message = format!("the entry says {:#x}, the slice {cpu:#x}", slice.cpu.0);
            report.add(slice.place(), message);
        }
    }
}

fn twice(fat: &Fat<'_>, report: &mut Report<'_>) {
    for (index, slice) in fat.slices.iter().enumerate() {
        let is_same = |other: &&Slice| (other.cpu, other.subtype) == (slice.cpu, slice.subtype);
        if fat.slices[..index].iter().any(|other| is_same(&other)) {
            report.add(slice.place(), format!("slice {index} is for {} again", slice.name()));
        }
    }
}
