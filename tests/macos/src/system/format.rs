//! `printf`'s formats: turns a format and its variable arguments into bytes.

use super::arguments::Variadic;
use crate::process::{Process, Trap};

/// A conversion's flags, width and precision.
#[derive(Debug, Default, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "printf has five flags")]
struct Spec {
    left: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

/// How wide an integer argument is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Char,
    Short,
    Int,
    Long,
    LongDouble,
}

/// Formats as `printf` does.
///
/// # Errors
/// A fault in an argument, or a conversion that is not modelled.
pub fn format(process: &Process, format: &[u8], arguments: &mut Variadic) -> Result<Vec<u8>, Trap> {
    let mut output = Vec::new();
    let mut rest = format.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            output.push(byte);
            continue;
        }
        let mut spec = Spec::default();
        while let Some(flag) = rest.next_if(|byte| b"-+ #0'".contains(byte)) {
            match flag {
                b'-' => spec.left = true,
                b'+' => spec.plus = true,
                b' ' => spec.space = true,
                b'#' => spec.alternate = true,
                b'0' => spec.zero = true,
                _ => {}
            }
        }
        let width = number(process, &mut rest, arguments)?;
        spec.left |= width < 0;
        spec.width = usize::try_from(width.unsigned_abs()).unwrap_or(0);
        if rest.next_if_eq(&b'.').is_some() {
            spec.precision = usize::try_from(number(process, &mut rest, arguments)?).ok();
        }
        let mut length = Length::Int;
        while let Some(letter) = rest.next_if(|byte| b"hlqjztL".contains(byte)) {
            length = match (letter, length) {
                (b'h', Length::Short) => Length::Char,
                (b'h', _) => Length::Short,
                (b'L', _) => Length::LongDouble,
                _ => Length::Long,
            };
        }
        let conversion = rest.next().unwrap_or(b'%');
        output.extend(convert(process, spec, length, conversion, arguments)?);
    }
    Ok(output)
}

/// A width or precision: digits, or `*` for an argument.
fn number(
    process: &Process,
    rest: &mut std::iter::Peekable<impl Iterator<Item = u8>>,
    arguments: &mut Variadic,
) -> Result<i64, Trap> {
    if rest.next_if_eq(&b'*').is_some() {
        return Ok(i64::from(low_32(arguments.integer(process)?).cast_signed()));
    }
    let mut value = 0;
    while let Some(digit) = rest.next_if(u8::is_ascii_digit) {
        value = (value * 10 + i64::from(digit - b'0')).min(1 << 20);
    }
    Ok(value)
}

fn convert(
    process: &Process,
    spec: Spec,
    length: Length,
    conversion: u8,
    arguments: &mut Variadic,
) -> Result<Vec<u8>, Trap> {
    Ok(match conversion {
        b'%' => vec![b'%'],
        b'c' => pad(spec, "", vec![arguments.integer(process)?.to_le_bytes()[0]], false),
        b's' => {
            let address = arguments.integer(process)?;
            let mut string = if address == 0 {
                b"(null)".to_vec()
            } else {
                bounded_string(process, address, spec.precision)?
            };
            string.truncate(spec.precision.unwrap_or(usize::MAX));
            pad(spec, "", string, false)
        }
        b'p' => pad(spec, "0x", format!("{:x}", arguments.integer(process)?).into_bytes(), false),
        b'd' | b'i' => {
            let value = signed(arguments.integer(process)?, length);
            integer(spec, sign(spec, value < 0), &value.unsigned_abs().to_string(), value == 0)
        }
        b'u' | b'x' | b'X' | b'o' => {
            let value = unsigned(arguments.integer(process)?, length);
            let (digits, prefix) = match conversion {
                b'u' => (value.to_string(), ""),
                b'x' => (format!("{value:x}"), "0x"),
                b'X' => (format!("{value:X}"), "0X"),
                _ => (format!("{value:o}"), "0"),
            };
            integer(
                spec,
                if spec.alternate && value != 0 { prefix } else { "" },
                &digits,
                value == 0,
            )
        }
        b'f' | b'F' | b'e' | b'E' | b'g' | b'G' => {
            let value = if length == Length::LongDouble {
                arguments.long_double(process)?
            } else {
                arguments.double(process)?
            };
            float(spec, conversion, value)
        }
        other => {
            return Err(Trap::unsupported(format!("printf's conversion %{}", char::from(other))));
        }
    })
}

/// The string at `address`, of which no more than `limit` bytes need be readable.
fn bounded_string(process: &Process, address: u64, limit: Option<usize>) -> Result<Vec<u8>, Trap> {
    let Some(limit) = limit else { return Ok(process.space.read_string(address)?) };
    let mut string = Vec::new();
    while string.len() < limit {
        match process.space.read_u8(address + string.len() as u64)? {
            0 => break,
            byte => string.push(byte),
        }
    }
    Ok(string)
}

fn low_32(value: u64) -> u32 {
    u32::try_from(value & 0xffff_ffff).expect("masked")
}

fn signed(value: u64, length: Length) -> i64 {
    let bits = width_in_bits(length);
    value.cast_signed() << (64 - bits) >> (64 - bits)
}

fn unsigned(value: u64, length: Length) -> u64 {
    let bits = width_in_bits(length);
    value << (64 - bits) >> (64 - bits)
}

fn width_in_bits(length: Length) -> u32 {
    match length {
        Length::Char => 8,
        Length::Short => 16,
        Length::Int => 32,
        Length::Long | Length::LongDouble => 64,
    }
}

fn sign(spec: Spec, negative: bool) -> &'static str {
    match (negative, spec.plus, spec.space) {
        (true, _, _) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    }
}

fn integer(spec: Spec, prefix: &str, digits: &str, is_zero: bool) -> Vec<u8> {
    let digits = match spec.precision {
        Some(0) if is_zero => String::new(),
        Some(precision) => format!("{digits:0>precision$}"),
        None => digits.to_owned(),
    };
    pad(spec, prefix, digits.into_bytes(), spec.zero && spec.precision.is_none())
}

fn float(spec: Spec, conversion: u8, value: f64) -> Vec<u8> {
    let magnitude = value.abs();
    let precision = spec.precision.unwrap_or(6);
    let mut digits = match conversion.to_ascii_lowercase() {
        _ if value.is_nan() => "nan".to_owned(),
        _ if value.is_infinite() => "inf".to_owned(),
        b'f' => format!("{magnitude:.precision$}"),
        b'e' => scientific(magnitude, precision),
        _ => shortest(magnitude, precision.max(1), spec.alternate),
    };
    if conversion.is_ascii_uppercase() {
        digits.make_ascii_uppercase();
    }
    pad(
        spec,
        sign(spec, value.is_sign_negative() && !value.is_nan()),
        digits.into_bytes(),
        spec.zero && value.is_finite(),
    )
}

/// `%e`: Rust writes `1.5e3` where C writes `1.5e+03`.
fn scientific(magnitude: f64, precision: usize) -> String {
    let text = format!("{magnitude:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').expect("Rust writes an exponent");
    let exponent: i32 = exponent.parse().expect("Rust writes a number");
    format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// `%g`: the shorter of `%f` and `%e` with `precision` digits in all.
fn shortest(magnitude: f64, precision: usize, keep_zeros: bool) -> String {
    let scientific = scientific(magnitude, precision - 1);
    let (mantissa, exponent) = scientific.split_once('e').expect("just written");
    let exponent_value: i64 = exponent.parse().expect("just written");
    let digits = i64::try_from(precision).expect("a precision is small");
    let strip = |text: &str| {
        if keep_zeros || !text.contains('.') {
            text.to_owned()
        } else {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    };
    if (-4..digits).contains(&exponent_value) {
        let decimals = usize::try_from(digits - 1 - exponent_value).unwrap_or(0);
        strip(&format!("{magnitude:.decimals$}"))
    } else {
        format!("{}e{exponent}", strip(mantissa))
    }
}

fn pad(spec: Spec, prefix: &str, body: Vec<u8>, zeros: bool) -> Vec<u8> {
    let missing = spec.width.saturating_sub(prefix.len() + body.len());
    let mut output = Vec::with_capacity(spec.width);
    if !spec.left && !zeros {
        output.resize(missing, b' ');
    }
    output.extend_from_slice(prefix.as_bytes());
    if !spec.left && zeros {
        output.resize(output.len() + missing, b'0');
    }
    output.extend(body);
    output.resize(output.len().max(spec.width), b' ');
    output
}
