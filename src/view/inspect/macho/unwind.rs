//! Compact unwind information; where there is none, the table of functions.

use object::macho::LC_FUNCTION_STARTS;

use super::super::super::reader::bytes_until;
use super::super::super::reader::macho::{FunctionStarts, MachO, unwind_info};
use super::super::model::{Found, Unwinding};
use super::super::padded;

pub(super) fn read<'data>(image: &MachO<'data>, found: &mut Found<'data>) {
    let endian = image.endian;
    let base = image.base();
    let mut sections = image.segments.iter().flat_map(|segment| segment.sections);
    if let Some(section) =
        sections.find(|section| padded(&section.sectname).bytes() == b"__unwind_info")
    {
        let offset = section.offset.get(endian).into();
        let bytes = bytes_until(image.data, offset, section.size.get(endian));
        let (functions, damage) = unwind_info(bytes, offset);
        found.damage.extend(damage);
        found.unwind.extend(functions.into_iter().map(|function| Unwinding {
            start: base.wrapping_add(function.function.into()),
            end: function.end.map(|end| base.wrapping_add(end.into())),
            summary: mode(&found.architecture, function.encoding),
            ..Unwinding::default()
        }));
        return;
    }
    let starts = found.or_damage(image.linkedit(LC_FUNCTION_STARTS, "function starts")).flatten();
    let Some((_, bytes)) = starts else { return };
    let starts: Vec<_> = FunctionStarts::new(bytes, base).collect();
    let ends = starts.iter().skip(1).map(|end| Some(*end)).chain([None]);
    found.unwind.extend(starts.iter().zip(ends).map(|(start, end)| Unwinding {
        start: *start,
        end,
        summary: "only known to start here".to_owned(),
        ..Unwinding::default()
    }));
}

/// What an encoding says, in short.
fn mode(architecture: &str, encoding: u32) -> String {
    let mode = match (architecture, encoding >> 24 & 15) {
        (_, 0) => "none",
        ("x86_64", 1) | ("aarch64", 4) => "frame pointer",
        ("x86_64", 2) => "stack size in the encoding",
        ("x86_64", 3) => "stack size in the code",
        ("x86_64", 4) | ("aarch64", 3) => "DWARF",
        ("aarch64", 2) => "frameless",
        _ => "unknown mode",
    };
    format!("{mode} ({encoding:#010x})")
}
