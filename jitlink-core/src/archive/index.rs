//! The index of an archive: which member defines which name.

use super::{IndexKind, Member, Reader, terminated};
use crate::addr::Endian;
use crate::error::LinkError;
use crate::graph::Name;

/// Entries of an index: names with the position of their member.
type Entries<'a> = Vec<(Name<'a>, u32)>;

impl<'a> Reader<'_, 'a> {
    /// Reads an index of `kind`, whose bytes start at `start` in the file.
    pub(super) fn index(
        &mut self,
        kind: IndexKind,
        data: &'a [u8],
        start: usize,
        members: &[Member<'a>],
    ) -> Result<Entries<'a>, LinkError> {
        match kind {
            IndexKind::Gnu => self.gnu(data, start, members, 4),
            IndexKind::Gnu64 => self.gnu(data, start, members, 8),
            IndexKind::Bsd => self.bsd(data, start, members, 4),
            IndexKind::Bsd64 => self.bsd(data, start, members, 8),
            IndexKind::Numbered => self.numbered(data, start, members),
        }
    }

    /// A count, as many offsets of headers, as many names.
    fn gnu(
        &mut self,
        data: &'a [u8],
        start: usize,
        members: &[Member<'a>],
        width: usize,
    ) -> Result<Entries<'a>, LinkError> {
        let tables = table(data, Endian::Big, width);
        let Some((offsets, mut names)) = tables else { return Err(self.cut_short(start)) };
        let mut entries = Vec::with_capacity(offsets.len() / width);
        let mut last = None;
        for offset in offsets.chunks_exact(width) {
            let Some(name) = terminated(names) else { return Err(self.cut_short(start)) };
            names = &names[name.len() + 1..];
            // A member's names follow each other.
            let offset = Endian::Big.read(offset);
            let member = match last {
                Some((known, member)) if known == offset => member,
                _ => self.member_at(offset, name, start, members)?,
            };
            last = Some((offset, member));
            entries.push((Name::new(name), member));
        }
        Ok(entries)
    }

    /// The size of a table of pairs (position of the name, offset of the header), the table, the size of the names, the names;
    /// in the byte order of the machine that the archive is for.
    fn bsd(
        &mut self,
        data: &'a [u8],
        start: usize,
        members: &[Member<'a>],
        width: usize,
    ) -> Result<Entries<'a>, LinkError> {
        let read = |endian| {
            let (pairs, rest) = sized(data, endian, width)?;
            let (names, _) = sized(rest, endian, width)?;
            Some((endian, pairs, names))
        };
        let found = read(Endian::Little).or_else(|| read(Endian::Big));
        let Some((endian, pairs, names)) = found else { return Err(self.cut_short(start)) };
        let mut entries = Vec::with_capacity(pairs.len() / (2 * width));
        for pair in pairs.chunks_exact(2 * width) {
            let (name, offset) = pair.split_at(width);
            let rest = usize::try_from(endian.read(name)).ok().and_then(|at| names.get(at..));
            let name = rest.and_then(terminated);
            let Some(name) = name else { return Err(self.cut_short(start)) };
            self.spend(name, start)?;
            entries.push((Name::new(name), self.member_at(endian.read(offset), name, start, members)?));
        }
        Ok(entries)
    }

    /// The number of members and the offsets of their headers, then the number of names, the members' numbers from 1, the
    /// names.
    fn numbered(&mut self, data: &'a [u8], start: usize, members: &[Member<'a>]) -> Result<Entries<'a>, LinkError> {
        let read = || {
            let (offsets, rest) = table(data, Endian::Little, 4)?;
            let (size, rest) = rest.split_at_checked(4)?;
            let size = usize::try_from(Endian::Little.read(size)).ok()?.checked_mul(2)?;
            let (numbers, names) = rest.split_at_checked(size)?;
            Some((offsets, numbers, names))
        };
        let Some((offsets, numbers, mut names)) = read() else { return Err(self.cut_short(start)) };
        let mut entries = Vec::with_capacity(numbers.len() / 2);
        for number in numbers.chunks_exact(2) {
            let Some(name) = terminated(names) else { return Err(self.cut_short(start)) };
            names = &names[name.len() + 1..];
            let number = Endian::Little.read(number) as usize;
            let offset = number.checked_sub(1).and_then(|index| offsets.chunks_exact(4).nth(index));
            let Some(offset) = offset else {
                let name = String::from_utf8_lossy(name).into_owned();
                return Err(self.malformed(
                    start,
                    format!("the index says that member {number}, which is not there, defines {name}"),
                ));
            };
            entries.push((Name::new(name), self.member_at(Endian::Little.read(offset), name, start, members)?));
        }
        Ok(entries)
    }

    /// The member whose header starts at `offset`.
    fn member_at(&self, offset: u64, name: &[u8], start: usize, members: &[Member<'a>]) -> Result<u32, LinkError> {
        let found = members.binary_search_by_key(&offset, |member| member.offset);
        // A member takes up 60 bytes, so as many as overflow an index do not fit the 256 GiB of addressable archives.
        found.ok().and_then(|index| u32::try_from(index).ok()).ok_or_else(|| {
            let name = String::from_utf8_lossy(name);
            self.malformed(
                start,
                format!("the index says that a member at {offset:#x}, where none starts, defines {name}"),
            )
        })
    }

    fn cut_short(&self, start: usize) -> LinkError {
        self.malformed(start, "the archive's index is cut short")
    }
}

/// A count of entries of `width` bytes, then the entries; and what follows.
fn table(data: &[u8], endian: Endian, width: usize) -> Option<(&[u8], &[u8])> {
    let (count, rest) = data.split_at_checked(width)?;
    let size = usize::try_from(endian.read(count)).ok()?.checked_mul(width)?;
    rest.split_at_checked(size)
}

/// A size of `width` bytes, then as many bytes; and what follows.
fn sized(data: &[u8], endian: Endian, width: usize) -> Option<(&[u8], &[u8])> {
    let (size, rest) = data.split_at_checked(width)?;
    rest.split_at_checked(usize::try_from(endian.read(size)).ok()?)
}
