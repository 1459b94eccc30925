//! Text in columns: as wide as what they hold, two spaces apart.

use std::fmt::Write;
use std::io;

/// On which side of its column a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows of texts under a heading.
#[derive(Debug)]
pub(super) struct Table<const N: usize> {
    sides: [Side; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// A table with only its heading.
    pub(super) fn new(columns: [(&str, Side); N]) -> Self {
        Self {
            sides: columns.map(|(_, side)| side),
            rows: vec![columns.map(|(name, _)| name.to_owned())],
        }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, row: [String; N]) {
        self.rows.push(row);
    }

    /// The table as lines, nothing behind the last text of a line.
    pub(super) fn render(&self) -> String {
        let mut widths = [0; N];
        for row in &self.rows {
            for (width, text) in widths.iter_mut().zip(row) {
                *width = (*width).max(text.chars().count());
            }
        }
        let mut lines = String::new();
        for row in &self.rows {
            lines.push_str(&line(row, &widths, self.sides));
        }
        lines
    }
}

/// Writes rows under a heading that are asked for twice, and never all held: once for how wide they are.
///
/// # Errors
/// When `out` does not take them.
pub(super) fn stream<const N: usize, R: Iterator<Item = [String; N]>>(
    out: &mut dyn io::Write,
    columns: [(&str, Side); N],
    rows: impl Fn() -> R,
) -> io::Result<()> {
    let heading = columns.map(|(name, _)| name.to_owned());
    let sides = columns.map(|(_, side)| side);
    let all = || std::iter::once(heading.clone()).chain(rows());
    let mut widths = [0; N];
    for row in all() {
        for (width, text) in widths.iter_mut().zip(&row) {
            *width = (*width).max(text.chars().count());
        }
    }
    all().try_for_each(|row| out.write_all(line(&row, &widths, sides).as_bytes()))
}

/// A row as a line, nothing behind its last text.
fn line<const N: usize>(row: &[String; N], widths: &[usize; N], sides: [Side; N]) -> String {
    let mut line = String::new();
    for ((text, &width), side) in row.iter().zip(widths).zip(sides) {
        // Writing to a string cannot fail.
        let _ = match side {
            Side::Left => write!(line, "{text:<width$}  "),
            Side::Right => write!(line, "{text:>width$}  "),
        };
    }
    line.truncate(line.trim_end().len());
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_they_hold() {
        let mut table = Table::new([("name", Side::Left), ("size", Side::Right)]);
        table.row(["a long name".into(), "7".into()]);
        table.row(["x".into(), String::new()]);
        assert_eq!(table.render(), "name         size\na long name     7\nx\n");
    }
}
