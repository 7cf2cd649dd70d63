//! The lines that code comes from, out of DWARF's line programs (DWARF 5, section 6.2; versions 2 to 5 are read).
//!
//! Sections are linked already: each holds what all objects put there, and its references hold addresses and offsets. Runs of code
//! that is not linked begin at a tombstone, which is in no segment of code, and are left out.

use gimli::{EndianSlice, LineRow, RunTimeEndian, Unit};
use jitlink_core::debug::{DebugImage, LineTable};
use jitlink_core::graph::Protection;
use jitlink_core::{Addr, Endian, LinkError, Site};
use std::collections::{HashMap, HashSet};

type Bytes<'d> = EndianSlice<'d, RunTimeEndian>;
type Dwarf<'d> = gimli::Dwarf<Bytes<'d>>;

/// The longest path that systems take; what is longer is cut.
const LONGEST_PATH: usize = 4096;

/// Reads all line programs that a unit refers to.
pub(crate) fn read(image: &DebugImage<'_>) -> Result<LineTable, LinkError> {
    let endian = match image.header.endian {
        Endian::Little => RunTimeEndian::Little,
        Endian::Big => RunTimeEndian::Big,
    };
    let find = |name: &str| {
        let found = image.sections.iter().find(|(known, _)| known == name);
        EndianSlice::new(found.map_or(&[][..], |(_, bytes)| bytes), endian)
    };
    let Ok(dwarf) = Dwarf::load(|id| Ok::<_, std::convert::Infallible>(find(id.name())));
    // Each row takes a byte of its program at least. Where programs overlap, the input means no good.
    let budget = find(".debug_line").len();
    let mut lines = Lines { image, files: Vec::new(), numbers: HashMap::new(), rows: Vec::new(), budget };
    let mut known = HashSet::new();
    let mut units = dwarf.units();
    loop {
        let header = match units.next() {
            Ok(Some(header)) => header,
            Ok(None) => break,
            Err(error) => return Err(malformed(".debug_info", 0, error)),
        };
        let at = header.debug_info_offset().map_or(0, |offset| offset.0);
        let unit = dwarf.unit(header).map_err(|error| malformed(".debug_info", at, error))?;
        let Some(program) = unit.line_program.as_ref().map(|program| program.header().offset().0) else { continue };
        // Units may share a program.
        if known.insert(program) {
            lines.add(&dwarf, &unit).map_err(|error| malformed(".debug_line", program, error))?;
        }
    }
    Ok(LineTable::new(lines.files, lines.rows))
}

fn malformed(section: &str, offset: usize, error: impl std::fmt::Display) -> LinkError {
    let object = "debug information".to_string();
    let site = Site { object, section: section.into(), offset: offset as u64, ..Site::default() };
    LinkError::Malformed { site: Box::new(site), what: error.to_string() }
}

struct Lines<'i, 'd> {
    image: &'i DebugImage<'d>,
    files: Vec<String>,
    /// Files by path.
    numbers: HashMap<String, u32>,
    rows: Vec<(Addr, u32, u32)>,
    /// How many rows there can be at most from here on.
    budget: usize,
}

impl Lines<'_, '_> {
    /// Runs the line program of a unit.
    fn add(&mut self, dwarf: &Dwarf<'_>, unit: &Unit<Bytes<'_>>) -> Result<(), String> {
        let Some(program) = unit.line_program.clone() else { return Ok(()) };
        let mut files: HashMap<u64, Option<u32>> = HashMap::new();
        let mut rows = program.rows();
        // Whether the run of code is linked; known from its first row.
        let mut is_linked = None;
        while let Some((header, row)) = rows.next_row().map_err(|error| error.to_string())? {
            self.budget = self.budget.checked_sub(1).ok_or("there are more rows than bytes of line programs")?;
            let address = Addr(row.address());
            let linked = *is_linked.get_or_insert_with(|| self.is_code(address));
            if row.end_sequence() {
                is_linked = None;
            }
            if !linked {
                continue;
            }
            let file = match row.end_sequence() {
                true => Some(0),
                false => *files.entry(row.file_index()).or_insert_with(|| {
                    let path = path(dwarf, unit, header, row)?;
                    Some(self.number(path))
                }),
            };
            self.rows.extend(file.map(|file| (address, file, line(row))));
        }
        Ok(())
    }

    fn is_code(&self, address: Addr) -> bool {
        let code = self.image.segments.iter().filter(|segment| segment.protection == Protection::ReadExecute);
        code.into_iter().any(|segment| address.offset_from(segment.address) < segment.size)
    }

    fn number(&mut self, path: String) -> u32 {
        let Lines { files, numbers, .. } = self;
        *numbers.entry(path).or_insert_with_key(|path| {
            files.push(path.clone());
            files.len() as u32 - 1
        })
    }
}

/// The line of a row; zero, which is no line, where code ends or comes from nowhere.
fn line(row: &LineRow) -> u32 {
    let line = row.line().filter(|_| !row.end_sequence());
    line.map_or(0, |line| u32::try_from(line.get()).unwrap_or(u32::MAX))
}

/// The path of the file that a row names, with the folder in which the compiler ran.
fn path(
    dwarf: &Dwarf<'_>,
    unit: &Unit<Bytes<'_>>,
    header: &gimli::LineProgramHeader<Bytes<'_>>,
    row: &LineRow,
) -> Option<String> {
    let file = row.file(header)?;
    let text = |value| dwarf.attr_string(unit, value).ok().map(|text: Bytes<'_>| text.to_string_lossy().into_owned());
    let folder = unit.comp_dir.map(|folder| folder.to_string_lossy().into_owned());
    let parts = [folder, file.directory(header).and_then(text), text(file.path_name())];
    let mut path = String::new();
    for part in parts.into_iter().flatten().filter(|part| !part.is_empty()) {
        if part.starts_with('/') {
            path.clear();
        } else if !path.is_empty() && !path.ends_with('/') {
            path.push('/');
        }
        let cut = part.floor_char_boundary(LONGEST_PATH);
        path.push_str(&part[..cut]);
    }
    (!path.is_empty()).then_some(path)
}
