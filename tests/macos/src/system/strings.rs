//! libSystem's string, number, sorting and mathematical functions.

use super::Row;
use crate::process::{Flow, Process, Trap};

/// `str…`, `atoi`, `qsort` and the like.
pub const FUNCTIONS: &[Row] = &[
    ("_strlen", |process, [string, ..]| {
        Ok(Flow::Return(process.space.read_string(string)?.len() as u64))
    }),
    ("_strnlen", |process, [string, limit, ..]| {
        Ok(Flow::Return(bounded(process, string, limit)?.len() as u64))
    }),
    ("_strcmp", |process, [left, right, ..]| compare(process, left, right, u64::MAX)),
    ("_strncmp", |process, [left, right, limit, ..]| compare(process, left, right, limit)),
    ("_strcpy", |process, [to, from, ..]| copy(process, to, from)),
    ("___strcpy_chk", |process, [to, from, ..]| copy(process, to, from)),
    ("_strncpy", |process, [to, from, size, ..]| {
        let mut bytes = bounded(process, from, size)?;
        bytes.resize(usize::try_from(size).unwrap_or(0), 0);
        process.space.write(to, &bytes)?;
        Ok(Flow::Return(to))
    }),
    ("_strlcpy", |process, [to, from, size, ..]| {
        let bytes = process.space.read_string(from)?;
        if size > 0 {
            let kept = bytes.len().min(usize::try_from(size - 1).unwrap_or(usize::MAX));
            process.space.write(to, &[&bytes[..kept], &[0]].concat())?;
        }
        Ok(Flow::Return(bytes.len() as u64))
    }),
    ("_strcat", |process, [to, from, ..]| {
        let end = to + process.space.read_string(to)?.len() as u64;
        copy(process, end, from)?;
        Ok(Flow::Return(to))
    }),
    ("_strdup", |process, [string, ..]| {
        let mut bytes = process.space.read_string(string)?;
        bytes.push(0);
        let address =
            process.system.heap.allocate(&mut process.space, bytes.len() as u64, 16).unwrap_or(0);
        process.space.write(address, &bytes)?;
        Ok(Flow::Return(address))
    }),
    ("_strchr", |process, [string, byte, ..]| {
        find_byte(process, string, byte, |bytes, byte| {
            bytes.iter().position(|found| *found == byte)
        })
    }),
    ("_strrchr", |process, [string, byte, ..]| {
        find_byte(process, string, byte, |bytes, byte| {
            bytes.iter().rposition(|found| *found == byte)
        })
    }),
    ("_strstr", |process, [haystack, needle, ..]| {
        let (bytes, needle) =
            (process.space.read_string(haystack)?, process.space.read_string(needle)?);
        let found = (0..=bytes.len()).find(|&start| bytes[start..].starts_with(&needle));
        Ok(Flow::Return(found.map_or(0, |offset| haystack + offset as u64)))
    }),
    ("_strtok", |process, [string, separators, ..]| {
        let start = if string == 0 { process.system.strtok } else { string };
        if start == 0 {
            return Ok(Flow::Return(0));
        }
        let (bytes, separators) =
            (process.space.read_string(start)?, process.space.read_string(separators)?);
        let Some(first) = bytes.iter().position(|byte| !separators.contains(byte)) else {
            process.system.strtok = 0;
            return Ok(Flow::Return(0));
        };
        let end = bytes[first..]
            .iter()
            .position(|byte| separators.contains(byte))
            .map(|length| first + length);
        process.system.strtok = match end {
            Some(end) => {
                process.space.write(start + end as u64, &[0])?;
                start + end as u64 + 1
            }
            None => 0,
        };
        Ok(Flow::Return(start + first as u64))
    }),
    ("_atoi", |process, [string, ..]| {
        Ok(Flow::Return(parse_integer(&process.space.read_string(string)?, 10).0.cast_unsigned()))
    }),
    ("_atol", |process, [string, ..]| {
        Ok(Flow::Return(parse_integer(&process.space.read_string(string)?, 10).0.cast_unsigned()))
    }),
    ("_strtol", to_integer),
    ("_strtoll", to_integer),
    ("_strtoul", to_integer),
    ("_strtoull", to_integer),
    ("_atof", |process, [string, ..]| {
        let text = process.space.read_string(string)?;
        let text = String::from_utf8_lossy(&text).trim().to_owned();
        let value = (0..=text.len()).rev().find_map(|end| text.get(..end)?.parse::<f64>().ok());
        Ok(Flow::ReturnDouble(value.unwrap_or(0.0)))
    }),
    ("_abs", |_, [value, ..]| Ok(Flow::Return(low_i32(value).unsigned_abs().into()))),
    ("_toupper", |_, [byte, ..]| {
        Ok(Flow::Return(u8::try_from(byte).map_or(byte, |byte| byte.to_ascii_uppercase().into())))
    }),
    ("_tolower", |_, [byte, ..]| {
        Ok(Flow::Return(u8::try_from(byte).map_or(byte, |byte| byte.to_ascii_lowercase().into())))
    }),
    ("_isdigit", |_, [byte, ..]| {
        Ok(Flow::Return(u8::try_from(byte).is_ok_and(|byte| byte.is_ascii_digit()).into()))
    }),
    ("_isspace", |_, [byte, ..]| {
        Ok(Flow::Return(
            u8::try_from(byte).is_ok_and(|byte| byte.is_ascii_whitespace() || byte == 0xb).into(),
        ))
    }),
    ("_qsort", |process, [base, count, size, compare, ..]| {
        sort(process, base, count, size, compare)
    }),
    ("_bsearch", |process, [key, base, count, size, compare, ..]| {
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            let element = base.wrapping_add(middle.wrapping_mul(size));
            match low_i32(process.call(compare, &[key, element])?) {
                0 => return Ok(Flow::Return(element)),
                order if order < 0 => high = middle,
                _ => low = middle + 1,
            }
        }
        Ok(Flow::Return(0))
    }),
    ("_sqrt", |process, _| Ok(Flow::ReturnDouble(process.double_argument(0).sqrt()))),
    ("_sin", |process, _| Ok(Flow::ReturnDouble(process.double_argument(0).sin()))),
    ("_cos", |process, _| Ok(Flow::ReturnDouble(process.double_argument(0).cos()))),
    ("_exp", |process, _| Ok(Flow::ReturnDouble(process.double_argument(0).exp()))),
    ("_log", |process, _| Ok(Flow::ReturnDouble(process.double_argument(0).ln()))),
    ("_floor", |process, _| Ok(Flow::ReturnDouble(process.double_argument(0).floor()))),
    ("_ceil", |process, _| Ok(Flow::ReturnDouble(process.double_argument(0).ceil()))),
    ("_fabs", |process, _| Ok(Flow::ReturnDouble(process.double_argument(0).abs()))),
    ("_pow", |process, _| {
        Ok(Flow::ReturnDouble(process.double_argument(0).powf(process.double_argument(1))))
    }),
    ("_fmod", |process, _| {
        Ok(Flow::ReturnDouble(process.double_argument(0) % process.double_argument(1)))
    }),
];

/// The low half, as the `int` that it is.
pub(super) fn low_i32(value: u64) -> i32 {
    u32::try_from(value & 0xffff_ffff).expect("masked").cast_signed()
}

fn bounded(process: &Process, string: u64, limit: u64) -> Result<Vec<u8>, Trap> {
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < limit {
        match process.space.read_u8(string + bytes.len() as u64)? {
            0 => break,
            byte => bytes.push(byte),
        }
    }
    Ok(bytes)
}

fn compare(process: &mut Process, left: u64, right: u64, limit: u64) -> Result<Flow, Trap> {
    for offset in 0..limit {
        let (left, right) =
            (process.space.read_u8(left + offset)?, process.space.read_u8(right + offset)?);
        if left != right || left == 0 {
            return Ok(Flow::Return((i64::from(left) - i64::from(right)).cast_unsigned()));
        }
    }
    Ok(Flow::Return(0))
}

fn copy(process: &mut Process, to: u64, from: u64) -> Result<Flow, Trap> {
    let mut bytes = process.space.read_string(from)?;
    bytes.push(0);
    process.space.write(to, &bytes)?;
    Ok(Flow::Return(to))
}

fn find_byte(
    process: &mut Process,
    string: u64,
    byte: u64,
    find: fn(&[u8], u8) -> Option<usize>,
) -> Result<Flow, Trap> {
    let mut bytes = process.space.read_string(string)?;
    bytes.push(0);
    Ok(Flow::Return(find(&bytes, byte.to_le_bytes()[0]).map_or(0, |offset| string + offset as u64)))
}

fn to_integer(process: &mut Process, [string, end, base, ..]: [u64; 6]) -> Result<Flow, Trap> {
    let text = process.space.read_string(string)?;
    let (value, used) = parse_integer(
        &text,
        u32::try_from(base).ok().filter(|base| matches!(base, 0 | 2..=36)).unwrap_or(10),
    );
    if end != 0 {
        process.space.write_u64(end, string + used as u64)?;
    }
    Ok(Flow::Return(value.cast_unsigned()))
}

/// The integer at the start of `text` and how many bytes it takes; base 0 looks for a prefix.
fn parse_integer(text: &[u8], base: u32) -> (i64, usize) {
    let mut at = text.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let negative = text.get(at) == Some(&b'-');
    at += usize::from(matches!(text.get(at), Some(b'-' | b'+')));
    let hexadecimal = text[at..].len() > 2
        && text[at..at + 2].eq_ignore_ascii_case(b"0x")
        && text[at + 2].is_ascii_hexdigit();
    let base = match base {
        0 | 16 if hexadecimal => {
            at += 2;
            16
        }
        0 if text.get(at) == Some(&b'0') => 8,
        0 => 10,
        base => base,
    };
    let mut value = 0u64;
    let digits =
        text[at..].iter().map_while(|byte| char::from(*byte).to_digit(base)).inspect(|digit| {
            value = value.wrapping_mul(base.into()).wrapping_add((*digit).into());
        });
    let count = digits.count();
    let used = if count == 0 { 0 } else { at + count };
    (if negative { value.wrapping_neg() } else { value }.cast_signed(), used)
}

/// Insertion into sorted order by the guest's comparison; elements are where it expects them when it is called.
fn sort(
    process: &mut Process,
    base: u64,
    count: u64,
    size: u64,
    compare: u64,
) -> Result<Flow, Trap> {
    let element = |index: u64| base.wrapping_add(index.wrapping_mul(size));
    for end in 1..count {
        for at in (0..end).rev() {
            let (left, right) = (element(at), element(at + 1));
            if low_i32(process.call(compare, &[left, right])?) <= 0 {
                break;
            }
            let (first, second) =
                (process.space.read(left, size)?, process.space.read(right, size)?);
            process.space.write(left, &second)?;
            process.space.write(right, &first)?;
        }
    }
    Ok(Flow::Return(0))
}
