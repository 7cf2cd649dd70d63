//! What an object format tells the linker.

use crate::addr::Endian;
use crate::debug::{DebugImage, LineTable};
use crate::error::{LinkError, LinkErrors};
use crate::graph::{InitStage, LinkGraph, Name, ObjectBuilder, Scope, SymbolId};

/// A way to write object files. Knows no architecture.
pub trait ObjectFormat: Send + Sync {
    /// Its name, as relocation tables and link maps use it.
    fn name(&self) -> &'static str;

    /// One line for people.
    fn description(&self) -> &'static str;

    /// Whether these are the first bytes of an object of this format. By magic only; never fails.
    fn recognize(&self, bytes: &[u8]) -> bool;

    /// Which machine the object is for. `name` is the object's, for errors; fails where the header is cut off or contradicts itself.
    fn header(&self, name: &str, bytes: &[u8]) -> Result<ObjectHeader, LinkError>;

    /// Appends an object to the batch. Everything in it must be understood or refused: nothing is skipped.
    fn read<'a>(&self, bytes: &'a [u8], object: &mut ObjectBuilder<'_, 'a>) -> Result<(), LinkError>;

    /// Calls `found` with each name that the object defines for others, for archives without an index.
    fn definitions<'a>(&self, name: &str, bytes: &'a [u8], found: &mut dyn FnMut(&'a [u8])) -> Result<(), LinkError>;

    /// What the linker provides under this name, where nothing defines it.
    fn provided(&self, _name: &[u8]) -> Option<Provided> {
        None
    }

    /// The section whose start or stop this name means by convention, where nothing defines it (`__start_NAME`).
    fn boundary<'n>(&self, _name: &'n [u8]) -> Option<Boundary<'n>> {
        None
    }

    /// Writes a batch as one relocatable object, from which [`ObjectFormat::read`] makes the same graph again. What the format
    /// cannot express is refused by name; a format that is only read refuses everything.
    fn write(&self, _object: &Relocatable<'_, '_>) -> Result<Vec<u8>, LinkErrors> {
        let what = format!("objects of format {} can be read only, not written", self.name());
        Err(LinkError::Request(what).into())
    }

    /// What debug information in a section of this name holds in place of references to what is not linked, whatever their
    /// addends are. Debuggers take it for nothing.
    fn tombstone(&self, _section: &[u8]) -> u64 {
        0
    }

    /// Writes a file from which debuggers read what linked code is. `None` where the format has no such thing.
    fn debug_file(&self, _image: &DebugImage<'_>) -> Result<Option<Vec<u8>>, LinkErrors> {
        Ok(None)
    }

    /// The lines that linked code comes from, as far as debug information says it.
    fn lines(&self, _image: &DebugImage<'_>) -> Result<LineTable, LinkErrors> {
        Ok(LineTable::default())
    }
}

/// A batch whose names are resolved, to be written as one object.
///
/// Only live blocks are written. References of code go to [`LinkGraph::canonical`] symbols; those that debug information holds
/// of blocks that are not live go nowhere. Unwind records stand in one block.
#[derive(Debug)]
pub struct Relocatable<'g, 'a> {
    /// What the first object's header says.
    pub header: ObjectHeader,
    /// The batch.
    pub graph: &'g LinkGraph<'a>,
    /// The names that others see or must define, one of each, in the order in which they are to be written.
    pub names: Vec<VisibleName<'a>>,
}

/// A name that is not one object's alone.
#[derive(Clone, Copy, Debug)]
pub struct VisibleName<'a> {
    /// The name.
    pub name: Name<'a>,
    /// Who sees it.
    pub scope: Scope,
    /// What it means: its definition, or a reference to it if nothing of the batch defines it. Several names mean one symbol
    /// where there are aliases.
    pub symbol: SymbolId,
}

/// What the linker itself provides under a name that the format gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Provided {
    /// The base of the GOT.
    GotBase,
    /// The base of the image ([`Base::Image`](crate::reloc::Base::Image)).
    ImageBase,
    /// An address that identifies the module (`__dso_handle`).
    ModuleHandle,
    /// The start of the module's thread-local variables, for code that finds them all by one descriptor.
    ThreadLocalBase,
}

/// What an object's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectHeader {
    /// The format's number for the machine, which a [`RelocTable`](crate::reloc::RelocTable) ties to an architecture.
    pub machine: u32,
    /// The size of a pointer in bytes: four or eight.
    pub pointer_bytes: u8,
    /// The byte order.
    pub endian: Endian,
    /// What the format's header says about the ABI, in the machine's own bits (`e_flags` of ELF); zero where it says nothing.
    pub flags: u32,
}

/// An end of a run of gathered sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boundary<'n> {
    /// The name of the sections.
    pub section: &'n [u8],
    /// Instead of sections of that name, all arrays of functions that run at this stage: for start-up code that calls them itself. They
    /// get that name, and lie in the order in which start-up code walks over them.
    pub stage: Option<InitStage>,
    /// Which end.
    pub end: BoundaryEnd,
}

/// Which end of a run of sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoundaryEnd {
    /// Its first byte.
    Start,
    /// One past its last byte.
    Stop,
}
