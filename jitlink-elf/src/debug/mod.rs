//! Debug information of linked code: the file that debuggers read, and the lines of code.

mod file;
mod lines;

pub(crate) use file::write;
pub(crate) use lines::read;

/// What stands in debug sections for what is not linked (GNU ld and LLD write the same): a pair of zeros would end a list of ranges
/// or locations of DWARF 2 to 4. The standard has no value for this; debuggers leave out code at address zero where there is none.
pub(crate) fn tombstone(section: &[u8]) -> u64 {
    u64::from(matches!(section, b".debug_ranges" | b".debug_loc"))
}
