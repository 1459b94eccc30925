//! `LC_FUNCTION_STARTS`: where functions start, as distances from one to the next.

use object::read::Bytes;

/// The addresses of the functions, in order; ends at the first zero, or where the table is cut off.
#[derive(Clone, Debug)]
pub struct FunctionStarts<'data> {
    data: Bytes<'data>,
    address: u64,
}

impl<'data> FunctionStarts<'data> {
    /// Reads the table of an image that is loaded at `base`.
    #[must_use]
    pub const fn new(data: &'data [u8], base: u64) -> Self {
        Self { data: Bytes(data), address: base }
    }
}

impl Iterator for FunctionStarts<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let distance = self.data.read_uleb128().ok().filter(|distance| *distance != 0)?;
        self.address = self.address.wrapping_add(distance);
        Some(self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::FunctionStarts;

    #[test]
    fn each_counts_from_the_one_before() {
        let starts: Vec<_> = FunctionStarts::new(&[0x80, 0x08, 0x10, 0, 0, 7], 0x1000).collect();
        assert_eq!(starts, [0x1400, 0x1410]);
    }
}
