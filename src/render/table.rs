//! Listings: a line of headings, then a line each, in columns.

use super::text::{pad, plain, width};
use crate::output;

/// Rows under headings. Columns are two spaces apart and as wide as their widest cell; an empty cell is a dash.
#[derive(Debug)]
pub(crate) struct Table {
    headings: Vec<(&'static str, Side)>,
    rows: Vec<Vec<String>>,
}

/// On which side of its column a cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

impl Table {
    /// An empty table. A heading that begins with `>` is of a column of numbers: its cells stand on the right.
    pub(crate) fn new(headings: &[&'static str]) -> Self {
        let heading = |text: &&'static str| {
            text.strip_prefix('>').map_or((*text, Side::Left), |text| (text, Side::Right))
        };
        Self { headings: headings.iter().map(heading).collect(), rows: Vec::new() }
    }

    /// Adds a row: a cell for each heading.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        let cell = |text: String| if text.is_empty() { "-".to_owned() } else { plain(&text).into_owned() };
        self.rows.push(cells.into_iter().map(cell).collect());
    }

    /// The lines, each ended: one for each row, unless that does not fit the terminal.
    pub(crate) fn text(&self) -> String {
        self.within(output::terminal_columns())
    }

    /// The lines in so many columns, if that is said: what does not fit stands below, indented.
    fn within(&self, columns: Option<usize>) -> String {
        let widths: Vec<usize> = (0..self.headings.len())
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| width(cell));
                cells.chain([self.headings[column].0.len()]).max().unwrap_or(0)
            })
            .collect();
        let breaks = breaks(&widths, columns.unwrap_or(usize::MAX));
        let heading: Vec<&str> = self.headings.iter().map(|h| h.0).collect();
        let mut result = self.line(&heading, &widths, &breaks);
        for row in &self.rows {
            let cells: Vec<&str> = row.iter().map(String::as_str).collect();
            result.push_str(&self.line(&cells, &widths, &breaks));
        }
        result
    }

    fn line(&self, cells: &[&str], widths: &[usize], breaks: &[usize]) -> String {
        let mut line = String::new();
        for (column, ((cell, columns), (_, side))) in cells.iter().zip(widths).zip(&self.headings).enumerate()
        {
            if breaks.contains(&column) {
                line.truncate(line.trim_end().len());
                line.push('\n');
                line.push_str(&" ".repeat(INDENT));
            } else if column > 0 {
                line.push_str("  ");
            }
            match side {
                Side::Left => line.push_str(&pad(cell, *columns)),
                Side::Right => {
                    line.push_str(&" ".repeat(columns.saturating_sub(width(cell))));
                    line.push_str(cell);
                }
            }
        }
        format!("{}\n", line.trim_end())
    }
}

/// How far what stands below is indented.
const INDENT: usize = 4;

/// The columns that begin a line of their own, so that no line is over so many characters.
fn breaks(widths: &[usize], limit: usize) -> Vec<usize> {
    let (mut breaks, mut used) = (Vec::new(), 0);
    for (column, width) in widths.iter().enumerate() {
        if column > 0 && used + 2 + width > limit {
            breaks.push(column);
            used = INDENT + width;
        } else {
            used += width + if column > 0 { 2 } else { 0 };
        }
    }
    breaks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_as_a_terminal_shows_them() {
        let mut table = Table::new(&["NAME", ">SIZE", "NOTE"]);
        table.row(["文書".into(), "1 KiB".into(), String::new()]);
        table.row(["a\x1b".into(), "10 MiB".into(), "x".into()]);
        assert_eq!(table.text(), "NAME       SIZE  NOTE\n文書      1 KiB  -\na\\u{1b}  10 MiB  x\n");
    }

    #[test]
    fn what_does_not_fit_stands_below() {
        let mut table = Table::new(&["NAME", ">SIZE", "NOTE"]);
        table.row(["documents".into(), "1 KiB".into(), "kept".into()]);
        table.row(["mail".into(), "10 MiB".into(), String::new()]);
        let wanted = "NAME         SIZE\n    NOTE\ndocuments   1 KiB\n    kept\nmail       10 MiB\n    -\n";
        assert_eq!(table.within(Some(20)), wanted);
        assert_eq!(table.within(Some(23)), table.within(None));
    }
}
