//! The archive reader: any bytes.
//!
//! Promises that are checked: what is not an archive is refused; members lie inside the file, in order and apart; the index
//! points to members; names are together no longer than the multiple of the file that the reader allows; a second reading gives
//! the same.

use jitlink_core::archive::{Archive, MemberData};

const NAME: &str = "folder/input.a";
/// How many times longer than the file all names together may be, the index included.
const NAMES: usize = 2 * 64;

/// Reads the bytes as an archive.
pub fn run(bytes: &[u8]) {
    let archive = match Archive::parse(NAME, bytes) {
        Ok(archive) => archive,
        Err(error) => {
            assert!(!error.to_string().is_empty() && !error.code().is_empty());
            assert_eq!(error.site().expect("a place").object, NAME, "{error}");
            return;
        }
    };
    assert!(Archive::recognize(bytes), "an archive without magic");
    let range = bytes.as_ptr_range();
    let mut end = range.start;
    let mut names = 0;
    let mut last = None;
    for member in archive.members() {
        assert!(last < Some(member.offset) && member.offset < bytes.len() as u64, "members stand in order");
        last = Some(member.offset);
        names += member.name.len();
        match &member.data {
            MemberData::Inline(data) => {
                let data = data.as_ptr_range();
                assert!(end <= data.start && data.end <= range.end, "a member overlaps another or leaves the file");
                end = data.end;
            }
            MemberData::External(path) => assert!(!path.as_os_str().is_empty()),
        }
    }
    for (name, member) in archive.index().into_iter().flatten() {
        assert!(member < archive.members().len(), "{name:?} is in no member");
        assert!(name.is_empty() || range.contains(&name.as_ptr()), "a name from outside");
        names += name.len();
    }
    // Bytes that are no UTF-8 are shown as three.
    assert!(names <= bytes.len().saturating_mul(3 * NAMES), "{names} bytes of names");
    let again = Archive::parse(NAME, bytes).expect("what could be read can be read again");
    assert_eq!(again.members().len(), archive.members().len());
    let entries = |archive: &Archive<'_>| archive.index().map(|index| index.map(|entry| entry.1).collect::<Vec<_>>());
    assert_eq!(entries(&again), entries(&archive));
}
