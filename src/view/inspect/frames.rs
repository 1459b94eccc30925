//! Frame descriptions as a view, of ELF and of Mach-O.

use std::fmt::Write;

use rustc_hash::FxHashMap;

use super::super::reader::eh_frame::{EhFrame, FrameDescription, Place};
use super::model::{Found, Unwinding};

/// Where a section of frame descriptions lies.
pub(super) struct Section<'data> {
    pub(super) bytes: &'data [u8],
    pub(super) address: u64,
    pub(super) offset: u64,
    pub(super) is_little: bool,
}

/// Adds all functions that the section describes; gives how many those are.
pub(super) fn read(section: &Section<'_>, found: &mut Found<'_>) -> usize {
    let mut names = Names::default();
    let mut functions = Vec::new();
    let mut damage = Vec::new();
    let Section { bytes, address, offset, is_little } = *section;
    let frames = EhFrame::new(bytes, address, offset, is_little, &found.architecture);
    frames.read(
        |described| functions.push(function(&described, address, &mut names, found)),
        &mut damage,
    );
    found.damage.append(&mut damage);
    let count = functions.len();
    found.unwind.append(&mut functions);
    count
}

/// Names of the personalities, of which a program has a few for all its functions.
type Names = FxHashMap<u64, Option<String>>;

fn function(
    described: &FrameDescription,
    section: u64,
    names: &mut Names,
    found: &Found<'_>,
) -> Unwinding {
    let address = |place: Place| match place {
        Place::Direct(address) | Place::Indirect(address) => address,
    };
    Unwinding {
        start: described.begin,
        end: Some(described.end),
        description: Some(section.wrapping_add(described.offset)),
        common: Some(section.wrapping_add(described.cie)),
        personality: described.personality.map(address),
        lsda: described.lsda.map(address),
        summary: summary(described, names, found),
    }
}

/// What it says, in a line: `cfa=rsp+0x8, rip=[cfa-0x8]; 5 rows, saves rbx`.
fn summary(described: &FrameDescription, names: &mut Names, found: &Found<'_>) -> String {
    let rows = &described.rows;
    let mut text = format!("cfa={}", if rows.cfa.is_empty() { "nothing" } else { &rows.cfa });
    // Writing to a string cannot fail.
    for (register, rule) in &rows.restored {
        let _ = write!(text, ", {register}={rule}");
    }
    let _ = write!(text, "; {} {}", rows.count, if rows.count == 1 { "row" } else { "rows" });
    if !rows.saved.is_empty() {
        let _ = write!(text, ", saves {}", rows.saved.join(" "));
    }
    if described.is_signal_frame {
        text.push_str(", frame of a signal");
    }
    if let Some(place) = described.personality {
        let name = names.entry(personality(place)).or_insert_with(|| named(place, found));
        let (Place::Direct(address) | Place::Indirect(address)) = place;
        let _ = match name {
            Some(name) => write!(text, ", personality {name}"),
            None => write!(text, ", personality {address:#x}"),
        };
    }
    if let Some(Place::Direct(address) | Place::Indirect(address)) = described.lsda {
        let _ = write!(text, ", LSDA {address:#x}");
    }
    text
}

const fn personality(place: Place) -> u64 {
    match place {
        Place::Direct(address) | Place::Indirect(address) => address,
    }
}

/// The name of what lies at a place, or of what the loader writes there.
fn named(place: Place, found: &Found<'_>) -> Option<String> {
    let of_symbol = |address: u64| {
        let is_it = |symbol: &&super::model::Symbol<'_>| {
            symbol.value == address && symbol.kind == "function" && !symbol.name.is_empty()
        };
        found.symbols.iter().find(is_it).map(|symbol| symbol.name.to_string())
    };
    match place {
        Place::Direct(address) => of_symbol(address),
        Place::Indirect(slot) => {
            let relocation =
                found.relocations.iter().find(|relocation| relocation.place == slot)?;
            match (&relocation.symbol, relocation.addend) {
                (Some(symbol), _) => Some(symbol.to_string()),
                (None, Some(address)) => of_symbol(address.cast_unsigned()),
                (None, None) => None,
            }
        }
    }
}
