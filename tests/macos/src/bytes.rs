//! Checked reads of integers, strings and LEB128 numbers from byte slices: what the parsers of files are made of.
//! Everything returns `None` beyond the end, so that no file can make a reader panic.

/// `size` bytes at `offset`.
#[must_use]
pub fn slice(bytes: &[u8], offset: u64, size: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(size).ok()?)?;
    bytes.get(start..end)
}

fn array<const N: usize>(bytes: &[u8], offset: u64) -> Option<[u8; N]> {
    slice(bytes, offset, N as u64)?.try_into().ok()
}

/// A little-endian `u16`.
#[must_use]
pub fn u16_at(bytes: &[u8], offset: u64) -> Option<u16> {
    array(bytes, offset).map(u16::from_le_bytes)
}

/// A little-endian `u32`.
#[must_use]
pub fn u32_at(bytes: &[u8], offset: u64) -> Option<u32> {
    array(bytes, offset).map(u32::from_le_bytes)
}

/// A little-endian `u64`.
#[must_use]
pub fn u64_at(bytes: &[u8], offset: u64) -> Option<u64> {
    array(bytes, offset).map(u64::from_le_bytes)
}

/// A big-endian `u32`.
#[must_use]
pub fn be_u32_at(bytes: &[u8], offset: u64) -> Option<u32> {
    array(bytes, offset).map(u32::from_be_bytes)
}

/// A big-endian `u64`.
#[must_use]
pub fn be_u64_at(bytes: &[u8], offset: u64) -> Option<u64> {
    array(bytes, offset).map(u64::from_be_bytes)
}

/// The string at `offset`, which must have its NUL inside `bytes`.
#[must_use]
pub fn string_at(bytes: &[u8], offset: u64) -> Option<&str> {
    let rest = bytes.get(usize::try_from(offset).ok()?..)?;
    let end = rest.iter().position(|&byte| byte == 0)?;
    std::str::from_utf8(&rest[..end]).ok()
}

/// A name in a fixed field, padded with NULs.
#[must_use]
pub fn fixed_name(field: &[u8]) -> String {
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

/// A reader that moves forward: opcodes and tries.
#[derive(Debug, Clone)]
pub struct Cursor<'data> {
    bytes: &'data [u8],
    /// Bytes read so far.
    pub offset: usize,
}

impl<'data> Cursor<'data> {
    /// Reads `bytes` from `offset` on.
    #[must_use]
    pub fn new(bytes: &'data [u8], offset: usize) -> Cursor<'data> {
        Cursor { bytes, offset }
    }

    /// Whether everything was read.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.offset >= self.bytes.len()
    }

    /// The next byte.
    pub fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.offset)?;
        self.offset += 1;
        Some(byte)
    }

    /// The next unsigned LEB128 number, of at most 64 bits.
    pub fn uleb128(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift >= 64 || bits << shift >> shift != bits {
                return None;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        Some(value)
    }

    /// The next signed LEB128 number, of at most 64 bits.
    pub fn sleb128(&mut self) -> Option<i64> {
        let mut value = 0i64;
        let mut shift = 0;
        loop {
            let byte = self.byte()?;
            if shift >= 64 {
                return None;
            }
            value |= i64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                if byte & 0x40 != 0 && shift < 64 {
                    value |= -1 << shift;
                }
                return Some(value);
            }
        }
    }

    /// The next string with its NUL, returned without it.
    pub fn string(&mut self) -> Option<&'data str> {
        let string = string_at(self.bytes, self.offset as u64)?;
        self.offset += string.len() + 1;
        Some(string)
    }
}
