//! From addresses of code to lines of sources.

use crate::addr::Addr;
use std::ops::Range;

/// Which line of which source each address of a batch's code comes from.
///
/// Looking an address up allocates nothing and takes no lock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineTable {
    /// In ascending order of addresses, one of each. A row holds up to the next one's address; line 0 is no line.
    rows: Vec<Row>,
    files: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    address: Addr,
    file: u32,
    line: u32,
}

/// A line of a source file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'t> {
    /// Where its code begins.
    pub address: Addr,
    /// The file's path, as the compiler was told.
    pub file: &'t str,
    /// Its number in the file, from 1 on.
    pub number: u32,
}

impl LineTable {
    /// The table of some files. `rows` are address, index of the file, and line, each of which holds up to the next one's
    /// address; line 0 ends a run of code. Of rows of one address the last counts, but an end always gives way.
    pub fn new(files: Vec<String>, rows: impl IntoIterator<Item = (Addr, u32, u32)>) -> LineTable {
        let rows = rows.into_iter().filter(|(_, file, line)| *line == 0 || (*file as usize) < files.len());
        let mut rows: Vec<Row> = rows.map(|(address, file, line)| Row { address, file, line }).collect();
        // Stable: of rows of one address the last one stays the last.
        rows.sort_by_key(|row| (row.address, row.line != 0));
        rows.dedup_by(|later, kept| {
            let same = later.address == kept.address;
            if same {
                *kept = *later;
            }
            same
        });
        rows.dedup_by(|later, kept| (later.file, later.line) == (kept.file, kept.line));
        rows.shrink_to_fit();
        LineTable { rows, files }
    }

    /// The line that the code at an address comes from.
    pub fn find(&self, address: Addr) -> Option<Line<'_>> {
        let after = self.rows.partition_point(|row| row.address <= address);
        self.line(self.rows[..after].last()?)
    }

    /// The lines of a range of code, in ascending order of addresses. The first one may begin before the range.
    pub fn within(&self, code: Range<Addr>) -> impl Iterator<Item = Line<'_>> {
        let first = self.rows.partition_point(|row| row.address <= code.start).saturating_sub(1);
        let rows = self.rows[first.min(self.rows.len())..].iter();
        rows.take_while(move |row| row.address < code.end).filter_map(|row| self.line(row))
    }

    /// Whether there are no lines.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn line(&self, row: &Row) -> Option<Line<'_>> {
        let file = self.files.get(row.file as usize).filter(|_| row.line != 0)?;
        Some(Line { address: row.address, file, number: row.line })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(table: &LineTable, address: u64) -> Option<(&str, u32)> {
        table.find(Addr(address)).map(|line| (line.file, line.number))
    }

    #[test]
    fn rows_hold_up_to_the_next_one() {
        let rows = [(0x20, 1, 9), (0x28, 0, 0), (0x10, 0, 3), (0x14, 0, 4), (0x20, 0, 0)];
        let table =
            LineTable::new(vec!["a.c".into(), "b.c".into()], rows.map(|(at, file, line)| (Addr(at), file, line)));
        let expected = [
            (0x0f, None),
            (0x10, Some(("a.c", 3))),
            (0x13, Some(("a.c", 3))),
            (0x14, Some(("a.c", 4))),
            (0x1f, Some(("a.c", 4))),
            (0x20, Some(("b.c", 9))),
            (0x27, Some(("b.c", 9))),
            (0x28, None),
            (u64::MAX, None),
        ];
        for (address, line) in expected {
            assert_eq!(found(&table, address), line, "{address:#x}");
        }
        let numbers = |range: Range<u64>| -> Vec<u32> {
            table.within(Addr(range.start)..Addr(range.end)).map(|line| line.number).collect()
        };
        assert_eq!(numbers(0..u64::MAX), [3, 4, 9]);
        assert_eq!(numbers(0x12..0x14), [3]);
        assert_eq!(numbers(0x14..0x21), [4, 9]);
        assert_eq!(numbers(0x28..0x30), []);
    }

    #[test]
    fn the_last_row_of_an_address_counts_and_ends_give_way() {
        let rows = [(0x10, 0, 1), (0x10, 0, 2), (0x18, 0, 0), (0x18, 0, 5), (0x18, 7, 6), (0x20, 0, 0)];
        let table = LineTable::new(vec!["a.c".into()], rows.map(|(at, file, line)| (Addr(at), file, line)));
        assert_eq!(found(&table, 0x10), Some(("a.c", 2)));
        assert_eq!(found(&table, 0x18), Some(("a.c", 5)), "a row of a file that is not there is left out");
        assert_eq!(found(&LineTable::default(), 0x10), None);
    }
}
