//! `ar` archives of every dialect, and the members that a link pulls in.
//!
//! An archive is a magic number and then members, each a 60-byte header of text and the bytes, padded to an even offset. The
//! dialects differ in where a long name stands and in how the index (which member defines which name) is written:
//!
//! | dialect | long names | index |
//! | --- | --- | --- |
//! | GNU, and Rust's `.rlib` | `/N` into the member `//` | `/`, or `/SYM64/` with wide offsets: big-endian offsets, then names |
//! | COFF | the same | a second `/`: little-endian, by member number |
//! | BSD, Darwin | `#1/N`, before the member's bytes | `__.SYMDEF`: pairs of name and member; `__.SYMDEF_64` with wide ones |
//! | thin GNU | `/N` into `//`: the path of the file that holds the bytes | as GNU |
//!
//! They are told apart member by member, since tools mix them. Indexes and tables of names stand before the first ordinary
//! member. Archives are recognised by content, so that any file name will do; what the members are is for formats to say.
//!
//! Invariants: members are in file order and lie inside the file; every entry of the index points to one of them; names are
//! together no longer than a multiple of the file. So memory and time are bounded by the file's size.
//!
//! Layout: `ar(5)` of each system; Microsoft "PE Format", "Archive (Library) File Format", from which ARM64EC's extra index is
//! passed over, because it serves another machine.

mod index;
#[cfg(test)]
mod tests;

use crate::error::{LinkError, Site};
use crate::graph::Name;
use std::borrow::Cow;
use std::ffi::CStr;
use std::path::{Path, PathBuf};

const MAGIC: &[u8] = b"!<arch>\n";
const THIN_MAGIC: &[u8] = b"!<thin>\n";
const HEADER: usize = 60;

/// How many times longer than the file all names together may be: names may share bytes.
const NAME_BUDGET: usize = 64;

/// A parsed archive.
#[derive(Clone, Debug)]
pub struct Archive<'a> {
    members: Vec<Member<'a>>,
    index: Option<Vec<(Name<'a>, u32)>>,
}

/// A member of an archive: usually an object, but anything may stand in one.
#[derive(Clone, Debug)]
pub struct Member<'a> {
    /// Its name; the path as the archive spells it in a thin archive.
    pub name: Cow<'a, str>,
    /// Its bytes.
    pub data: MemberData<'a>,
    /// Where its header starts in the archive.
    pub offset: u64,
}

/// Where the bytes of a member are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberData<'a> {
    /// In the archive.
    Inline(&'a [u8]),
    /// In a file of its own (thin archives). The path is the archive's folder and the member's name.
    External(PathBuf),
}

impl<'a> Archive<'a> {
    /// Whether these are the first bytes of an archive.
    pub fn recognize(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC) || bytes.starts_with(THIN_MAGIC)
    }

    /// Reads an archive; `name` is its path, which errors give and members of thin archives are relative to.
    pub fn parse(name: &str, bytes: &'a [u8]) -> Result<Archive<'a>, LinkError> {
        Reader { name, bytes, thin: bytes.starts_with(THIN_MAGIC), long_names: None, budget: 0 }.read()
    }

    /// The members in file order, without indexes and tables of names.
    pub fn members(&self) -> &[Member<'a>] {
        &self.members
    }

    /// The names that members define, each with the member's position in [`Archive::members`]; `None` without an index.
    pub fn index(&self) -> Option<impl ExactSizeIterator<Item = (&'a [u8], usize)> + '_> {
        let entries = self.names()?.iter();
        Some(entries.map(|(name, member)| (name.bytes(), *member as usize)))
    }

    /// What [`Archive::index`] gives, ready to be looked up.
    pub(crate) fn names(&self) -> Option<&[(Name<'a>, u32)]> {
        self.index.as_deref()
    }
}

/// Which kind of index a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IndexKind {
    Gnu,
    Gnu64,
    Bsd,
    Bsd64,
    /// By member number: a second index, which says what the first says.
    Numbered,
}

/// A member that is part of the archive's own structure.
enum Special {
    Index(IndexKind),
    LongNames,
    Other,
}

/// A member's header, read.
struct Header<'a> {
    /// The name field without padding.
    field: &'a [u8],
    /// The number of bytes that belong to the member, a BSD name included.
    size: usize,
    /// Where its header starts.
    offset: usize,
}

struct Reader<'n, 'a> {
    name: &'n str,
    bytes: &'a [u8],
    thin: bool,
    long_names: Option<&'a [u8]>,
    /// How many more bytes of names may be read.
    budget: usize,
}

impl<'a> Reader<'_, 'a> {
    fn read(mut self) -> Result<Archive<'a>, LinkError> {
        if !Archive::recognize(self.bytes) {
            return Err(self.malformed(0, "the file does not start with an archive's magic number"));
        }
        self.budget = self.bytes.len().saturating_mul(NAME_BUDGET);
        let mut members: Vec<Member<'a>> = Vec::new();
        let mut index = None;
        let mut at = MAGIC.len();
        while at < self.bytes.len() {
            let header = self.header(at)?;
            let (name, data_start, leading) = (self.short_name(&header)?, at + HEADER, members.is_empty());
            if let Some(special) = special(name, leading, index) {
                let data = self.data(&header, data_start)?;
                let data = &data[self.bsd_name_size(&header)?..];
                match special {
                    Special::Index(kind) => index = Some((kind, data, data_start)),
                    Special::LongNames if self.long_names.is_some() || !leading => {
                        return Err(
                            self.malformed(at, "a table of names after the first, or after members that may use it")
                        );
                    }
                    Special::LongNames => self.long_names = Some(data),
                    Special::Other => {}
                }
                at = next(data_start, header.size);
                continue;
            }
            let member = self.member(&header, name, data_start)?;
            at = match member.data {
                MemberData::Inline(_) => next(data_start, header.size),
                MemberData::External(_) => data_start,
            };
            members.push(member);
        }
        let index = index.map(|(kind, data, start)| self.index(kind, data, start, &members)).transpose()?;
        Ok(Archive { members, index })
    }

    fn header(&self, offset: usize) -> Result<Header<'a>, LinkError> {
        let Some(header) = self.bytes.get(offset..).and_then(|rest| rest.get(..HEADER)) else {
            return Err(self.malformed(offset, "the file ends within the header of a member"));
        };
        if &header[58..] != b"`\n" {
            return Err(self.malformed(offset + 58, "the header of a member does not end with its mark"));
        }
        let digits = header[48..58].trim_ascii();
        let Some(size) = number(digits) else {
            let what = format!("the size of a member is {:?}, no number", String::from_utf8_lossy(digits));
            return Err(self.malformed(offset + 48, what));
        };
        Ok(Header { field: header[..16].trim_ascii_end(), size, offset })
    }

    /// The bytes of a member that has them here.
    fn data(&self, header: &Header<'a>, start: usize) -> Result<&'a [u8], LinkError> {
        let end = start.checked_add(header.size).filter(|end| *end <= self.bytes.len());
        end.map(|end| &self.bytes[start..end]).ok_or_else(|| {
            let what =
                format!("a member of {:#x} bytes runs past the file's end at {:#x}", header.size, self.bytes.len());
            self.malformed(header.offset, what)
        })
    }

    /// The name that a header holds or, in the BSD dialects, that follows it.
    fn short_name(&self, header: &Header<'a>) -> Result<&'a [u8], LinkError> {
        let size = self.bsd_name_size(header)?;
        if size == 0 {
            return Ok(header.field);
        }
        let start = header.offset + HEADER;
        let name = &self.bytes[start..start + size];
        Ok(terminated(name).unwrap_or(name))
    }

    /// How many bytes of the member are its name.
    fn bsd_name_size(&self, header: &Header<'a>) -> Result<usize, LinkError> {
        let Some(digits) = header.field.strip_prefix(b"#1/") else { return Ok(0) };
        let left = self.bytes.len() - header.offset - HEADER;
        number(digits).filter(|size| *size <= header.size && *size <= left).ok_or_else(|| {
            let size = String::from_utf8_lossy(digits);
            self.malformed(header.offset, format!("a member's name is {size:?} bytes long, which is no size inside it"))
        })
    }

    fn member(&mut self, header: &Header<'a>, name: &'a [u8], start: usize) -> Result<Member<'a>, LinkError> {
        let long = header.field.strip_prefix(b"/").filter(|digits| digits.first().is_some_and(u8::is_ascii_digit));
        let name = match long {
            Some(digits) => self.long_name(header, digits)?,
            // GNU ends names with a slash, so that they may end with a space.
            None => name.strip_suffix(b"/").filter(|name| !name.is_empty()).unwrap_or(name),
        };
        self.spend(name, header.offset)?;
        let data = if self.thin {
            let Ok(path) = std::str::from_utf8(name) else {
                return Err(self.unsupported(header.offset, "the path of a member is not UTF-8", "rename the file"));
            };
            let folder = Path::new(self.name).parent().unwrap_or(Path::new(""));
            MemberData::External(folder.join(path))
        } else {
            MemberData::Inline(&self.data(header, start)?[self.bsd_name_size(header)?..])
        };
        Ok(Member { name: String::from_utf8_lossy(name), data, offset: header.offset as u64 })
    }

    fn long_name(&self, header: &Header<'a>, digits: &[u8]) -> Result<&'a [u8], LinkError> {
        if digits.contains(&b':') {
            let what = "a member that lies in another archive, which this thin archive points to";
            return Err(self.unsupported(header.offset, what, "pass that archive itself"));
        }
        let rest = number(digits).and_then(|at| self.long_names?.get(at..));
        let name = rest.and_then(|rest| until(rest, |byte| byte == b'\n' || byte == 0));
        let Some(name) = name.map(|name| name.strip_suffix(b"/").unwrap_or(name)).filter(|name| !name.is_empty())
        else {
            let digits = String::from_utf8_lossy(digits);
            return Err(self.malformed(
                header.offset,
                format!("a member's name is entry {digits} of a table that has none there"),
            ));
        };
        Ok(name)
    }

    fn spend(&mut self, name: &[u8], offset: usize) -> Result<(), LinkError> {
        match self.budget.checked_sub(name.len() + 1) {
            Some(left) => self.budget = left,
            None => return Err(self.malformed(offset, "the archive's names share more bytes than they have")),
        }
        Ok(())
    }

    fn malformed(&self, offset: usize, what: impl Into<String>) -> LinkError {
        LinkError::malformed(self.name, "", offset as u64, what)
    }

    fn unsupported(&self, offset: usize, what: &str, advice: &str) -> LinkError {
        let site = Site { object: self.name.into(), offset: offset as u64, ..Site::default() };
        LinkError::Unsupported { site: Box::new(site), what: what.into(), advice: advice.into() }
    }
}

/// Whether a member of this name is part of the archive's own structure.
fn special(name: &[u8], leading: bool, index: Option<(IndexKind, &[u8], usize)>) -> Option<Special> {
    let kind = match name {
        b"//" => return Some(Special::LongNames),
        _ if !leading => return None,
        b"/" if index.is_some_and(|(kind, ..)| kind == IndexKind::Gnu) => IndexKind::Numbered,
        b"/" => IndexKind::Gnu,
        b"/SYM64/" => IndexKind::Gnu64,
        b"__.SYMDEF" | b"__.SYMDEF SORTED" => IndexKind::Bsd,
        b"__.SYMDEF_64" | b"__.SYMDEF_64 SORTED" => IndexKind::Bsd64,
        _ if name.starts_with(b"/<") => return Some(Special::Other),
        _ => return None,
    };
    Some(Special::Index(kind))
}

/// Where the member after these bytes starts. The last one's padding may be missing.
fn next(start: usize, size: usize) -> usize {
    let end = start.saturating_add(size);
    end.saturating_add(end & 1)
}

fn number(digits: &[u8]) -> Option<usize> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| plain)?.parse().ok()
}

/// The bytes before the first that ends a name.
fn until(bytes: &[u8], ends: impl Fn(u8) -> bool) -> Option<&[u8]> {
    let end = bytes.iter().position(|byte| ends(*byte))?;
    Some(&bytes[..end])
}

/// The bytes before the first zero.
fn terminated(bytes: &[u8]) -> Option<&[u8]> {
    CStr::from_bytes_until_nul(bytes).ok().map(CStr::to_bytes)
}
