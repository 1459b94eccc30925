//! Numbers that people write with units: sizes, alignments, times; and integers inside other texts.

use std::time::Duration;

use toml::de::DeValue;

use super::document::{Entry, Located, Reader, all_of, integer_value};
use crate::error::{Error, ErrorKind, Place};
use crate::units::Align;

/// What a size is counted in: a name, and how many bytes it stands for.
pub(super) const SIZE_UNITS: &[(&str, u128)] = &[
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("PiB", 1 << 50),
    ("EiB", 1 << 60),
];

/// What a time is counted in: a name, and how many milliseconds it stands for.
pub(super) const TIME_UNITS: &[(&str, u128)] = &[("s", 1000), ("ms", 1), ("min", 60_000)];

/// The longest time that can be asked for, in seconds.
pub(super) const DAY: i128 = 24 * 60 * 60;

/// The integer that `text` spells: decimal, or with `0x`, `0o` or `0b` before it; `_` between digits.
pub(super) fn parse_integer(text: &str) -> Option<u128> {
    let (digits, radix) = match text.get(..2) {
        Some("0x") => (&text[2..], 16),
        Some("0o") => (&text[2..], 8),
        Some("0b") => (&text[2..], 2),
        _ => (text, 10),
    };
    let is_plain =
        digits.starts_with(|first: char| first.is_digit(radix)) && !digits.ends_with('_');
    is_plain.then(|| u128::from_str_radix(&digits.replace('_', ""), radix).ok())?
}

/// A number of bytes: an integer, or a string with a unit.
pub(super) fn size(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Located<u64>> {
    let bytes =
        counted(reader, entry, SIZE_UNITS, "a number of bytes or a string like \"64 KiB\"")?;
    if let Ok(value) = u64::try_from(bytes) {
        return Some(Located { value, span: entry.span.clone() });
    }
    let written = entry.value.as_str().map_or_else(|| bytes.to_string(), str::to_owned);
    let message =
        format!("`{}` cannot be {written}: 64-bit programs have room for 16 EiB - 1", entry.key);
    let error = Error::new(ErrorKind::OutOfRange, message).at(Place::Text(entry.span.clone()), "");
    reader.refuse(error.value(bytes, 0..=u64::MAX.into()))
}

/// A power of two, as a size.
pub(super) fn align(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Located<Align>> {
    let Located { value: bytes, span } = size(reader, entry)?;
    if let Some(value) = Align::new(bytes) {
        return Some(Located { value, span });
    }
    let error = Error::new(
        ErrorKind::InvalidValue,
        format!("`{}` must be a power of two, and {bytes} is none", entry.key),
    )
    .at(Place::Text(span), "");
    reader.refuse(match bytes.checked_next_power_of_two() {
        Some(above) if bytes > 2 => {
            error.help(format!("the nearest are {} and {above}", above / 2))
        }
        _ => error,
    })
}

/// A time: a number of seconds, or a string with a unit.
pub(super) fn duration(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Duration> {
    const WANTED: &str = "a number of seconds or a string like \"500 ms\"";
    let milliseconds = match entry.value {
        DeValue::Integer(_) => reader.integer(entry, (1, DAY))? * 1000,
        _ => counted(reader, entry, TIME_UNITS, WANTED)?,
    };
    if (1..=DAY * 1000).contains(&milliseconds) {
        return u64::try_from(milliseconds).ok().map(Duration::from_millis);
    }
    let message = format!("`{}` is from a millisecond to a day", entry.key);
    let error = Error::new(ErrorKind::OutOfRange, message).at(Place::Text(entry.span.clone()), "");
    reader.refuse(error.value(milliseconds, 1..=DAY * 1000))
}

/// A plain integer, or a string of an integer and one of `units`, the first where none is said.
fn counted(
    reader: &mut Reader<'_>,
    entry: &Entry<'_>,
    units: &[(&str, u128)],
    wanted: &str,
) -> Option<i128> {
    let text = match entry.value {
        DeValue::String(text) => text.trim(),
        DeValue::Integer(integer) => match integer_value(integer) {
            Some(value) if value >= 0 => return Some(value),
            _ => return reader.integer(entry, (0, u64::MAX.into())),
        },
        _ => return reader.refuse(entry.must_be(wanted)),
    };
    let is_hex = text.starts_with("0x");
    let unit_start = text
        .find(|c: char| !(c.is_ascii_digit() || c == '_' || is_hex && c.is_ascii_alphanumeric()));
    let (number, unit) = text.split_at(unit_start.unwrap_or(text.len()));
    let unit = unit.trim_start();
    let scale = match unit {
        "" => Some(units[0].1),
        _ => units.iter().find(|(name, _)| *name == unit).map(|&(_, scale)| scale),
    };
    let invalid = |message: String| {
        Error::new(ErrorKind::InvalidValue, message).at(Place::Text(entry.span.clone()), "")
    };
    let Some(number) = parse_integer(number) else {
        let error = invalid(format!("`{}` must be {wanted}, not \"{text}\"", entry.key));
        return reader.refuse(error);
    };
    let Some(scale) = scale else {
        let names = || units.iter().map(|(name, _)| *name);
        let error = invalid(format!("`{unit}` is no unit of `{}`", entry.key));
        let near = names().find(|name| name.replace('i', "").eq_ignore_ascii_case(unit));
        let near = near.or_else(|| names().find(|name| name.eq_ignore_ascii_case(unit)));
        return reader.refuse(match near {
            Some(name) => error.help(format!("did you mean `{name}`?")),
            None => error.help(format!("its units are {}", all_of(names()))),
        });
    };
    // Saturation keeps a number that is far too large too large.
    let product = number.saturating_mul(scale);
    Some(i128::try_from(product).unwrap_or(i128::MAX))
}
