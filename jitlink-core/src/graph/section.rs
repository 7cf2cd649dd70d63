//! Sections: what they hold, where they may go and what rules they follow.

use super::{GroupId, Name, ObjectId, SectionId};
use std::fmt;
use std::ops::Range;

/// A named part of an object.
#[derive(Clone, Debug)]
pub struct Section<'a> {
    /// Its name in the object.
    pub name: &'a [u8],
    /// The object.
    pub object: ObjectId,
    /// What the program may do with its memory.
    pub protection: Protection,
    /// Where it is placed, if it is.
    pub residence: Residence,
    /// What it is for.
    pub role: Role,
    /// Equal entries of such sections become one.
    pub merge: Option<Merge>,
    /// The COMDAT group that it belongs to.
    pub group: Option<GroupId>,
    /// It goes where this section goes, relative to the others of its name.
    pub ordered_by: Option<SectionId>,
    /// Sections of this name lie together in input order (ordered by [`Section::sort_key`] and [`Section::suffix`] first), because
    /// the program walks over them from a start symbol to a stop symbol, or counts from where they start.
    pub gathered: bool,
    /// Orders gathered sections of one name.
    pub sort_key: u32,
    /// How many bytes at the end of the name are not the run's that a gathered section lies in, but order it there: those of one
    /// sort key lie in the order of these bytes.
    pub suffix: u32,
    /// Never pruned.
    pub retain: bool,
    /// What else the format was told of it, in a form of the format's own: for writing the section back. Zero for sections
    /// that no format read.
    pub origin: u64,
    pub(crate) blocks: Range<u32>,
}

impl<'a> Section<'a> {
    /// A read-only section near the code, with no rule of its own.
    pub fn new(name: &'a [u8], object: ObjectId) -> Self {
        Section {
            name,
            object,
            protection: Protection::Read,
            residence: Residence::Near,
            role: Role::Ordinary,
            merge: None,
            group: None,
            ordered_by: None,
            gathered: false,
            sort_key: 0,
            suffix: 0,
            retain: false,
            origin: 0,
            blocks: 0..0,
        }
    }

    /// The name of the run that it lies in if it is gathered.
    pub fn run_name(&self) -> &'a [u8] {
        &self.name[..self.name.len().saturating_sub(self.suffix as usize)]
    }

    /// What orders it among those of its run and its sort key.
    pub fn run_order(&self) -> &'a [u8] {
        &self.name[self.run_name().len()..]
    }

    /// The name for people.
    pub fn name_lossy(&self) -> String {
        String::from_utf8_lossy(self.name).into_owned()
    }

    /// Whether it takes up memory of the program.
    pub fn is_loaded(&self) -> bool {
        self.residence != Residence::Unloaded
    }
}

/// What a program may do with memory. Nothing is ever writable and executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protection {
    /// Read and execute.
    ReadExecute,
    /// Read.
    Read,
    /// Read and write.
    ReadWrite,
}

impl Protection {
    /// `r-x`, `r--` or `rw-`.
    pub fn name(self) -> &'static str {
        match self {
            Protection::ReadExecute => "r-x",
            Protection::Read => "r--",
            Protection::ReadWrite => "rw-",
        }
    }
}

/// Where a section is placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Residence {
    /// With the code, the constants and the GOT, so that the code model's short references reach it.
    Near,
    /// Anywhere: only full-width references point to it (the large sections of the medium and large code models).
    Far,
    /// Nowhere: debug information and notes that the program does not see. All of it has bytes in the file: zeroes would be made
    /// one by one.
    Unloaded,
}

/// What a section is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Code or data.
    Ordinary,
    /// DWARF unwind records (`.eh_frame`).
    EhFrame,
    /// Records of this many bytes, one for each function and each starting with where that is (four bytes that count from the base
    /// of the image), from which the system unwinds.
    FunctionTable(u32),
    /// Pointers to functions that run before or after the program.
    Initialisers(Initialisers),
    /// The initial image of thread-local variables.
    ThreadLocal,
    /// Debug information.
    Debug,
}

/// How an array of function pointers is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Initialisers {
    /// When.
    pub stage: InitStage,
    /// Lower runs first at start, last at the end.
    pub priority: u32,
    /// The array is run from its end to its start (`.ctors`).
    pub backwards: bool,
}

/// When an array of function pointers is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InitStage {
    /// Before all initialisers, after the program, and when a thread starts or ends: functions that are told which, where the system
    /// calls such ones ("PE Format", "TLS Callback Functions").
    Threads,
    /// Before all other initialisers.
    Preinit,
    /// Before the program.
    Init,
    /// After the program, or when the module is removed.
    Fini,
}

/// Entries of a section that may become one when they are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Merge {
    /// Entries of this many bytes.
    Constants(u32),
    /// Strings of characters of this many bytes, each with a terminator.
    Strings(u32),
}

/// Parts of objects that are kept or discarded as one.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// Groups of the same name are copies of each other.
    pub name: Name<'a>,
    /// The object.
    pub object: ObjectId,
    /// Which copy is kept.
    pub selection: Selection,
    /// This group is discarded with that one (COFF's associative sections).
    pub parent: Option<GroupId>,
    /// The object whose copy is kept instead, once names are resolved.
    pub(crate) discarded_for: Option<ObjectId>,
    /// The section that size and content rules compare.
    pub leader: Option<SectionId>,
    /// The leader's size in bytes, where the object says another than the section has: what follows is padding.
    pub leader_size: Option<u64>,
}

impl<'a> Group<'a> {
    /// A group of which any copy may be kept.
    pub fn any(name: &'a [u8], object: ObjectId) -> Self {
        let name = Name::new(name);
        Group {
            name,
            object,
            selection: Selection::Any,
            parent: None,
            discarded_for: None,
            leader: None,
            leader_size: None,
        }
    }

    /// The object whose copy is kept instead of this one, once names are resolved; `None` for a copy that is kept.
    pub fn discarded_for(&self) -> Option<ObjectId> {
        self.discarded_for
    }
}

/// Which copy of a group is kept, and what is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// The first; the others may differ.
    Any,
    /// A second copy is an error.
    NoDuplicates,
    /// The first; all must have its size.
    SameSize,
    /// The first; all must have its bytes.
    ExactMatch,
    /// The largest.
    Largest,
    /// All: the group only ties its members' lives together.
    All,
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Selection::Any => "any",
            Selection::NoDuplicates => "no duplicates",
            Selection::SameSize => "same size",
            Selection::ExactMatch => "exact match",
            Selection::Largest => "largest",
            Selection::All => "all",
        })
    }
}
