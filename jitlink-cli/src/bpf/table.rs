//! Tables with as many columns as their rows need.

use std::io::Write;

/// Rows of named cells. Columns stand in the order in which their names were met.
#[derive(Debug, Default)]
pub(super) struct Table {
    headers: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Adds a row: names of columns and what stands in them.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = (String, String)>) {
        let mut row = vec![String::new(); self.headers.len()];
        for (name, text) in cells {
            let column = self.headers.iter().position(|header| *header == name).unwrap_or_else(|| {
                self.headers.push(name);
                row.push(String::new());
                self.headers.len() - 1
            });
            row[column] = text;
        }
        self.rows.push(row);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Writes the table, if it has rows. Columns of numbers stand to the right.
    pub(super) fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let width = |text: &str| text.chars().count();
        let cell = |row: &'_ [String], column: usize| row.get(column).cloned().unwrap_or_default();
        let columns: Vec<(usize, bool)> = (0..self.headers.len())
            .map(|column| {
                let cells: Vec<String> = self.rows.iter().map(|row| cell(row, column)).collect();
                let widest = cells.iter().map(|text| width(text)).max().unwrap_or(0);
                (widest.max(width(&self.headers[column])), cells.iter().all(|text| is_number(text)))
            })
            .collect();
        for row in std::iter::once(&self.headers).chain(&self.rows) {
            let mut line = String::new();
            for (column, (widest, to_right)) in columns.iter().enumerate() {
                let text = cell(row, column);
                let space = " ".repeat(widest - width(&text));
                line += "  ";
                line += &if *to_right { space + &text } else { text + &space };
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn is_number(text: &str) -> bool {
    text.is_empty() || text.parse::<i128>().is_ok() || text.starts_with("0x")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_cells() {
        let mut table = Table::default();
        let row = |cells: &[(&str, &str)]| {
            cells.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect::<Vec<_>>()
        };
        table.row(row(&[("port", "80"), ("state", "open")]));
        table.row(row(&[("port", "8080"), ("state", "shut"), ("since", "-1")]));
        let mut text = Vec::new();
        table.write(&mut text).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "  port  state  since\n    80  open\n  8080  shut      -1\n");
    }
}
