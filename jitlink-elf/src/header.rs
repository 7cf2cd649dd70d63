//! The file header and the section header table (gABI, "ELF Header" and "Sections").
//!
//! An object's header says how wide its words are and which byte order they have; every reader below is generic over that, so
//! each of the four combinations is compiled on its own and no relocation pays for a choice. Counts that do not fit the header
//! stand in section header 0.
//!
//! Invariants of a [`File`], which bound the memory and time that any input can take:
//! - the section headers, the section names' table and the contents of all sections lie inside the file;
//! - contents do not overlap: together they are no larger than the file. So whatever is made of each of them in turn (edges,
//!   unwind records, decompressed bytes) is bounded by the file's size too;
//! - names looked up are together no longer than a multiple of the file's size, although tables may share their tails.

use jitlink_core::format::ObjectHeader;
use jitlink_core::{Endian, LinkError, Site};
use object::elf;
use object::pod;
use object::read::StringTable;
use object::read::elf::{FileHeader, SectionHeader};
use std::cell::Cell;

/// The first bytes of LLVM bitcode, bare and in its wrapper.
const BITCODE_MAGICS: [[u8; 4]; 2] = [*b"BC\xc0\xde", [0xde, 0xc0, 0x17, 0x0b]];

/// How many times longer than the file all names together may be. Tables share equal tails, so a little over one is usual;
/// an attack has each of its symbols name the whole table.
const NAME_BUDGET: u64 = 256;

/// Whether this is an ELF file, or LLVM bitcode, which stands in for ELF objects under `-flto` and is refused with a reason.
pub(crate) fn recognize(bytes: &[u8]) -> bool {
    bytes.starts_with(&elf::ELFMAG) || is_bitcode(bytes)
}

fn is_bitcode(bytes: &[u8]) -> bool {
    BITCODE_MAGICS.iter().any(|magic| bytes.starts_with(magic))
}

/// The width and byte order that the identification bytes announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Little32,
    Little64,
    Big32,
    Big64,
}

impl Shape {
    /// Reads the identification bytes.
    pub(crate) fn of(name: &str, bytes: &[u8]) -> Result<Shape, LinkError> {
        if is_bitcode(bytes) {
            return Err(unsupported(
                name,
                "",
                0,
                "LLVM bitcode is not machine code",
                "compile without -flto (-fno-lto), or make an object of the bitcode: clang -O2 -x ir -c, with --target as it was",
            ));
        }
        let malformed = |offset: u64, what: String| Err(LinkError::malformed(name, "", offset, what));
        let Some(ident) = bytes.get(..size_of::<elf::Ident>()) else {
            return malformed(0, format!("the file ends within the identification bytes, after {}", bytes.len()));
        };
        if !ident.starts_with(&elf::ELFMAG) {
            return malformed(0, "the file does not start with the ELF magic number".into());
        }
        let (class, data, version) =
            (elf::FileClass(ident[4]), elf::DataEncoding(ident[5]), elf::FileVersion(ident[6]));
        if version != elf::EV_CURRENT {
            return malformed(6, format!("the version of the identification is {}, not 1", version.0));
        }
        Ok(match (class, data) {
            (elf::ELFCLASS32, elf::ELFDATA2LSB) => Shape::Little32,
            (elf::ELFCLASS32, elf::ELFDATA2MSB) => Shape::Big32,
            (elf::ELFCLASS64, elf::ELFDATA2LSB) => Shape::Little64,
            (elf::ELFCLASS64, elf::ELFDATA2MSB) => Shape::Big64,
            (elf::ELFCLASS32 | elf::ELFCLASS64, _) => {
                return malformed(5, format!("the data encoding is {}, neither little (1) nor big (2)", data.0));
            }
            _ => return malformed(4, format!("the class is {}, neither 32-bit (1) nor 64-bit (2)", class.0)),
        })
    }
}

/// A file whose header and section table were checked.
pub(crate) struct File<'n, 'a, Elf: FileHeader> {
    /// What errors call the object.
    pub(crate) name: &'n str,
    pub(crate) bytes: &'a [u8],
    pub(crate) endian: Elf::Endian,
    pub(crate) machine: u16,
    /// The header, of which each reader takes what it needs.
    pub(crate) header: &'a Elf,
    /// The section headers, of which the first is no section.
    pub(crate) sections: &'a [Elf::SectionHeader],
    names: StringTable<'a>,
    name_budget: Cell<u64>,
}

impl<'n, 'a, Elf: FileHeader> File<'n, 'a, Elf> {
    /// Checks the file header alone.
    pub(crate) fn header(name: &'n str, bytes: &'a [u8]) -> Result<(&'a Elf, ObjectHeader), LinkError> {
        let Ok((header, _)) = pod::from_bytes::<Elf>(bytes) else {
            let what = format!("the file ends within its header, after {} bytes", bytes.len());
            return Err(LinkError::malformed(name, "", 0, what));
        };
        let big = header.is_big_endian();
        let endian = endian_of::<Elf>(name, header)?;
        refuse_other_types(name, header.e_type(endian))?;
        if header.e_version(endian) != u32::from(elf::EV_CURRENT.0) {
            let what = format!("the version is {}, not 1", header.e_version(endian));
            return Err(LinkError::malformed(name, "", 0x14, what));
        }
        let pointer_bytes = if header.is_type_64() { 8 } else { 4 };
        let machine = u32::from(header.e_machine(endian).0);
        let flags = header.e_flags(endian).0;
        let endian = if big { Endian::Big } else { Endian::Little };
        Ok((header, ObjectHeader { machine, pointer_bytes, endian, flags }))
    }

    /// Checks the header and the section table.
    pub(crate) fn parse(name: &'n str, bytes: &'a [u8]) -> Result<Self, LinkError> {
        let (header, _) = Self::header(name, bytes)?;
        let endian = endian_of::<Elf>(name, header)?;
        let shoff: u64 = header.e_shoff(endian).into();
        let malformed = |what: &str| {
            let what = format!("{what} (section headers at {shoff:#x}, file of {:#x} bytes)", bytes.len());
            LinkError::malformed(name, "", 0, what)
        };
        let sections = header.section_headers(endian, bytes).map_err(|error| malformed(&error.to_string()))?;
        let names = header.section_strings(endian, bytes, sections).map_err(|error| malformed(&error.to_string()))?;
        let name_budget = Cell::new((bytes.len() as u64).saturating_mul(NAME_BUDGET));
        let machine = header.e_machine(endian).0;
        let file = File { name, bytes, endian, machine, header, sections, names, name_budget };
        file.check_contents()?;
        Ok(file)
    }

    fn check_contents(&self) -> Result<(), LinkError> {
        if self.sections.first().is_some_and(|null| null.sh_type(self.endian) != elf::SHT_NULL) {
            return Err(LinkError::malformed(self.name, "", 0, "section header 0 is that of a section"));
        }
        let mut total = 0u64;
        for (index, section) in self.sections.iter().enumerate().skip(1) {
            let kind = section.sh_type(self.endian);
            if kind == elf::SHT_NOBITS || kind == elf::SHT_NULL {
                continue;
            }
            let (offset, size): (u64, u64) =
                (section.sh_offset(self.endian).into(), section.sh_size(self.endian).into());
            let end = offset.checked_add(size);
            if end.is_none_or(|end| end > self.bytes.len() as u64) {
                let file = self.bytes.len();
                let what =
                    format!("the content, {size:#x} bytes at {offset:#x}, runs past the file's end at {file:#x}");
                return Err(self.malformed(index, 0, what));
            }
            // Each size is at most the file's, which is at most 2^63, and so is the sum so far.
            total += size;
            if total > self.bytes.len() as u64 {
                let what =
                    format!("sections overlap: up to this one they claim {total:#x} bytes of {:#x}", self.bytes.len());
                return Err(self.malformed(index, 0, what));
            }
        }
        Ok(())
    }

    /// The bytes of a section in the file; none for `SHT_NOBITS`.
    pub(crate) fn content(&self, index: usize) -> &'a [u8] {
        let section = &self.sections[index];
        match section.sh_type(self.endian) {
            elf::SHT_NULL | elf::SHT_NOBITS => &[],
            _ => {
                let (offset, size): (u64, u64) =
                    (section.sh_offset(self.endian).into(), section.sh_size(self.endian).into());
                &self.bytes[offset as usize..(offset + size) as usize]
            }
        }
    }

    /// A section's content as a table of entries of one size.
    pub(crate) fn table<T: pod::Pod>(&self, index: usize) -> Result<&'a [T], LinkError> {
        let entry: u64 = self.sections[index].sh_entsize(self.endian).into();
        let content = self.content(index);
        let expected = size_of::<T>();
        // Some producers leave the entry size out of tables that can have only one.
        if entry != expected as u64 && entry != 0 {
            return Err(self.malformed(index, 0, format!("its entries are of {entry:#x} bytes, not {expected:#x}")));
        }
        pod::slice_from_all_bytes(content).map_err(|()| {
            let what = format!("its size of {:#x} bytes is no multiple of its entries' {expected:#x}", content.len());
            self.malformed(index, 0, what)
        })
    }

    /// A section's name.
    pub(crate) fn section_name(&self, index: usize) -> Result<&'a [u8], LinkError> {
        let offset = self.sections[index].sh_name(self.endian);
        self.spend(self.names.get(offset)).ok_or_else(|| {
            let what = format!("the name of section {index}, at {offset:#x} of the table of names, is not there");
            LinkError::malformed(self.name, "", 0, what)
        })
    }

    /// A section's name for people.
    pub(crate) fn display_section(&self, index: usize) -> String {
        let known = self.sections.get(index).and_then(|section| self.names.get(section.sh_name(self.endian)).ok());
        match known {
            Some(name) if !name.is_empty() => String::from_utf8_lossy(&name[..name.len().min(256)]).into_owned(),
            _ => format!("section {index}"),
        }
    }

    /// A name out of a table, if it is there and the file has not asked for absurdly many bytes of names.
    pub(crate) fn spend(&self, name: Result<&'a [u8], ()>) -> Option<&'a [u8]> {
        let name = name.ok()?;
        self.name_budget.set(self.name_budget.get().checked_sub(name.len() as u64)?);
        Some(name)
    }

    /// The string table that a section's `sh_link` names.
    pub(crate) fn linked_strings(&self, index: usize) -> Result<StringTable<'a>, LinkError> {
        let link = self.sections[index].sh_link(self.endian) as usize;
        match self.sections.get(link) {
            Some(section) if section.sh_type(self.endian) == elf::SHT_STRTAB => {
                let (offset, size): (u64, u64) =
                    (section.sh_offset(self.endian).into(), section.sh_size(self.endian).into());
                Ok(StringTable::new(self.bytes, offset, offset + size))
            }
            _ => Err(self.malformed(index, 0, format!("its link, section {link}, is no string table"))),
        }
    }

    /// A broken rule at a place in a section.
    pub(crate) fn malformed(&self, section: usize, offset: u64, what: impl Into<String>) -> LinkError {
        LinkError::malformed(self.name, self.display_section(section), offset, what)
    }

    /// Something that is understood and not supported.
    pub(crate) fn unsupported(&self, section: usize, what: impl Into<String>, advice: &str) -> LinkError {
        unsupported(self.name, &self.display_section(section), 0, what, advice)
    }
}

fn endian_of<Elf: FileHeader>(name: &str, header: &Elf) -> Result<Elf::Endian, LinkError> {
    header.endian().map_err(|error| LinkError::malformed(name, "", 5, error.to_string()))
}

fn refuse_other_types(name: &str, kind: elf::FileType) -> Result<(), LinkError> {
    let (what, advice) = match kind {
        elf::ET_REL => return Ok(()),
        elf::ET_DYN => return Err(refuse_shared(name)),
        elf::ET_EXEC => ("an executable", "pass the object files (cc -c) that it was made of"),
        elf::ET_CORE => ("a core dump", "pass object files (cc -c)"),
        _ => {
            return Err(LinkError::malformed(
                name,
                "",
                0x10,
                format!("the file type is {:#x}, not relocatable (1)", kind.0),
            ));
        }
    };
    Err(unsupported(name, "", 0, format!("this is {what}, not a relocatable object"), advice))
}

/// Shared libraries and position-independent executables have one type; what tells them apart for people is the name.
fn refuse_shared(name: &str) -> LinkError {
    let (folder, file) = name.rsplit_once('/').unwrap_or((".", name));
    let (what, advice) = match file.strip_prefix("lib").and_then(|rest| rest.split_once(".so")) {
        Some((library, "")) => ("a shared library", format!("give it as a library: -L {folder} -l {library}")),
        _ if file.contains(".so") => ("a shared library", format!("give it as a library: -L {folder} -l :{file}")),
        _ => (
            "an executable or a shared library",
            "pass the object files (cc -c) that it was made of, or give it as a library (-L FOLDER -l :FILE)".into(),
        ),
    };
    unsupported(name, "", 0, format!("this is {what}, not a relocatable object"), &advice)
}

/// Something that is understood and not supported, with a way out.
pub(crate) fn unsupported(name: &str, section: &str, offset: u64, what: impl Into<String>, advice: &str) -> LinkError {
    let site = Site { object: name.into(), section: section.into(), offset, ..Site::default() };
    LinkError::Unsupported { site: Box::new(site), what: what.into(), advice: advice.into() }
}
