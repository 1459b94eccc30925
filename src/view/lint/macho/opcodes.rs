//! Fixups as opcodes (`LC_DYLD_INFO`), which older systems read and newer ones still take.

use object::LittleEndian as LE;
use object::macho;

use super::{MachO, WRITE};
use crate::view::lint::bytes::Bytes;
use crate::view::lint::report::{Place, Report};
use crate::view::lint::rule::Loader::Dyld;
use crate::view::lint::rule::{Check, Rule, error};
use crate::view::reader::Damage;
use crate::view::reader::macho::{BindTable, MachO as Reader};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "macho/fixup-opcode",
        demand: "rebase and bind opcodes are known and complete",
        by: &[error(Dyld)],
        symptom: "dyld: `unknown rebase opcode`, `unknown bind opcode`, and abort (SIGABRT)",
        cure: "write the opcodes anew, ended by DONE (0)",
        source: "dyld mach_o/RebaseOpcodes.cpp, valid; mach_o/BindOpcodes.cpp, valid",
        check: Check::MachO(opcodes),
    },
    Rule {
        name: "macho/fixup-type",
        demand: "rebases and binds by opcodes are of type 1, pointers",
        by: &[error(Dyld)],
        symptom: "dyld: `unknown rebase type` or `unknown bind type`, and abort (SIGABRT)",
        cure: "write 0x11 (REBASE_OPCODE_SET_TYPE_IMM) and 0x51 (BIND_OPCODE_SET_TYPE_IMM)",
        source: "dyld mach_o/RebaseOpcodes.cpp, valid; mach_o/BindOpcodes.cpp, valid",
        check: Check::MachO(types),
    },
    Rule {
        name: "macho/fixup-opcodes-cut",
        demand: "nothing stands behind the opcode DONE (0) of rebases and binds",
        by: &[error(Dyld)],
        symptom: "the fixups behind it are not made: SIGSEGV at the first pointer that was not corrected, or call that was not bound",
        cure: "end the opcodes with one byte 0, and pad them with zeros",
        source: "dyld mach_o/RebaseOpcodes.cpp and mach_o/BindOpcodes.cpp, forEachRebase, forEachBind (REBASE_OPCODE_DONE, BIND_OPCODE_DONE)",
        check: Check::MachO(cut),
    },
    Rule {
        name: "macho/fixup-location",
        demand: "opcodes fix up places in writable segments",
        by: &[error(Dyld)],
        symptom: "dyld: `segment offset … beyond segment` or `is in non-writable segment`, and abort (SIGABRT); or SIGBUS in dyld before the program starts",
        cure: "correct segment and offset; move what holds addresses to __DATA_CONST or __DATA",
        source: "dyld mach_o/RebaseOpcodes.cpp, valid; mach_o/BindOpcodes.cpp, valid",
        check: Check::MachO(locations),
    },
];

/// Each place that opcodes fix up: where the opcodes lie, and the place.
fn places(macho: &MachO<'_>) -> Vec<(u64, Result<Option<u64>, Damage>)> {
    let mut places = Vec::new();
    let Ok(reader) = Reader::open(macho.data.0) else { return places };
    let Ok(Some(info)) = reader.dyld_info() else { return places };
    let rebases = u64::from(info.rebase_off.get(reader.endian));
    places
        .extend(reader.rebases(info).map(|rebase| (rebases, rebase.map(|rebase| rebase.address))));
    for (table, offset) in [
        (BindTable::Bind, info.bind_off),
        (BindTable::Weak, info.weak_bind_off),
        (BindTable::Lazy, info.lazy_bind_off),
    ] {
        let offset = u64::from(offset.get(reader.endian));
        let binds = reader.binds(info, table);
        places.extend(binds.map(|bind| (offset, bind.map(|bind| bind.address))));
    }
    places
}

/// Whether there are opcodes that lie in the file: where they do not, another rule says so.
fn has_opcodes(macho: &MachO<'_>) -> bool {
    let command = macho.first(macho::LC_DYLD_INFO_ONLY).or(macho.first(macho::LC_DYLD_INFO));
    let info = command.and_then(|command| macho.read::<macho::DyldInfoCommand<LE>>(command));
    info.is_some_and(|info| {
        let parts = [
            (info.rebase_off, info.rebase_size),
            (info.bind_off, info.bind_size),
            (info.weak_bind_off, info.weak_bind_size),
            (info.lazy_bind_off, info.lazy_bind_size),
        ];
        parts.iter().all(|(offset, size)| {
            macho.data.slice(offset.get(LE).into(), size.get(LE).into()).is_some()
        })
    })
}

fn opcodes(macho: &MachO<'_>, report: &mut Report<'_>) {
    if !has_opcodes(macho) {
        return;
    }
    for (offset, place) in places(macho) {
        if let Err(damage) = place {
            let at = damage.offset.unwrap_or(offset);
            report.add(Place::new(at, 1, damage.structure.into_owned()), damage.message);
        }
    }
}

/// `BIND_OPCODE_SET_SYMBOL_TRAILING_FLAGS_IMM`, which a name follows.
const SET_SYMBOL: u8 = 0x40;

/// Goes through rebase or bind opcodes, shows where each lies, and gives how many bytes there are up to the first DONE,
/// with it; `None` where there is none.
fn done(opcodes: Bytes<'_>, is_bind: bool, mut visit: impl FnMut(u64, u8)) -> Option<u64> {
    let mut at = 0;
    loop {
        let byte = *opcodes.slice(at, 1)?.first()?;
        visit(at, byte);
        let opcode = byte & macho::BIND_OPCODE_MASK;
        at += 1;
        if opcode == 0 {
            return Some(at);
        }
        if is_bind && opcode == SET_SYMBOL {
            at += opcodes.c_string(at)?.len() as u64 + 1;
        }
        let numbers = match (is_bind, opcode) {
            (true, 0x20 | 0x60 | 0x70 | 0x80 | 0xa0) | (false, 0x20 | 0x30 | 0x60 | 0x70) => 1,
            (true, 0xc0) | (false, 0x80) => 2,
            _ => 0,
        };
        // Numbers of 7 bits a byte, the last without the highest.
        for _ in 0..numbers {
            let rest = opcodes.from(at).0;
            at += rest.iter().position(|byte| byte & 0x80 == 0)? as u64 + 1;
        }
    }
}

/// The opcode that sets the type of a fixup, and the only type of 64-bit images: a pointer.
const SET_TYPE: [u8; 2] = [0x10, 0x50];
const POINTER: u8 = 1;

/// A stream of opcodes: what it is called, whether it binds, where it lies, and its bytes.
type Stream<'d> = (&'static str, bool, u64, Bytes<'d>);

/// The streams that end at DONE, where they lie in the file.
fn streams<'d>(macho: &MachO<'d>) -> Vec<Stream<'d>> {
    let command = macho.first(macho::LC_DYLD_INFO_ONLY).or(macho.first(macho::LC_DYLD_INFO));
    let info = command.and_then(|command| macho.read::<macho::DyldInfoCommand<LE>>(command));
    let streams = info.into_iter().flat_map(|info| {
        [
            ("rebase opcodes", false, info.rebase_off, info.rebase_size),
            ("bind opcodes", true, info.bind_off, info.bind_size),
            ("weak bind opcodes", true, info.weak_bind_off, info.weak_bind_size),
        ]
    });
    streams
        .filter_map(|(name, is_bind, offset, size)| {
            let start = u64::from(offset.get(LE));
            let bytes = macho.data.slice(start, size.get(LE).into())?;
            Some((name, is_bind, start, Bytes(bytes)))
        })
        .collect()
}

fn cut(macho: &MachO<'_>, report: &mut Report<'_>) {
    for (name, is_bind, start, bytes) in streams(macho) {
        let Some(end) = done(bytes, is_bind, |_, _| ()) else { continue };
        let left = bytes.from(end).0;
        if left.iter().any(|byte| *byte != 0) {
            let message = format!("the {name} end after {end} bytes, and {} follow", left.len());
            report.add(Place::new(start + end - 1, 1, name), message);
        }
    }
}

fn types(macho: &MachO<'_>, report: &mut Report<'_>) {
    for (name, is_bind, start, bytes) in streams(macho) {
        done(bytes, is_bind, |at, byte| {
            let kind = byte & !macho::BIND_OPCODE_MASK;
            if byte & macho::BIND_OPCODE_MASK == SET_TYPE[usize::from(is_bind)] && kind != POINTER {
                let message = format!("the {name} set type {kind}");
                report.add(Place::new(start + at, 1, name), message);
            }
        });
    }
}

fn locations(macho: &MachO<'_>, report: &mut Report<'_>) {
    if !has_opcodes(macho) {
        return;
    }
    for (offset, place) in places(macho) {
        let message = match place {
            Err(_) => continue,
            Ok(None) => "a place outside its segment".to_owned(),
            Ok(Some(address)) => match macho.segment_at(address) {
                Some(segment) if segment.initial & WRITE != 0 => continue,
                Some(segment) => format!("{address:#x} in {}, which is not writable", segment.name),
                None => format!("{address:#x}, which no segment holds"),
            },
        };
        report.add(
            Place::new(offset, 1, "rebase and bind opcodes"),
            format!("they fix up {message}"),
        );
    }
}
