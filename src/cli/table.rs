//! Text in columns: as wide as what they hold, two spaces apart.

use std::fmt::Write;

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
            let mut line = String::new();
            for ((text, &width), side) in row.iter().zip(&widths).zip(self.sides) {
                // Writing to a string cannot fail.
                let _ = match side {
                    Side::Left => write!(line, "{text:<width$}  "),
                    Side::Right => write!(line, "{text:>width$}  "),
                };
            }
            lines.push_str(line.trim_end());
            lines.push('\n');
        }
        lines
    }
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
