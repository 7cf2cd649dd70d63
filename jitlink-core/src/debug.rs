//! Debug information of linked code, between a format that knows how it is written and an executor that uses it.
//!
//! Where [`LinkOptions::keep_debug`](crate::link::LinkOptions::keep_debug) is set and the executor asks for it
//! ([`Executor::wants_debug_file`](crate::Executor::wants_debug_file)), a link shows the finished batch to its format as a
//! [`DebugImage`]. The format makes two things of it: a file that debuggers read, and a [`LineTable`], which crash reports and
//! profilers look addresses up in. The table is made before anything runs, so that a signal handler only has to search it.

mod lines;

pub use lines::{Line, LineTable};

use crate::addr::Addr;
use crate::format::ObjectHeader;
use crate::graph::{Scope, SymbolKind};
use crate::link::Segment;

/// A batch that is laid out and fixed up.
#[derive(Clone, Debug)]
pub struct DebugImage<'d> {
    /// What the first object's header says.
    pub header: ObjectHeader,
    /// The memory, in ascending order of kind.
    pub segments: &'d [Segment],
    /// Where the unwind records are, with their bytes; they lie in one of the segments.
    pub unwind: Option<(Addr, &'d [u8])>,
    /// What has a name and memory, in ascending order of addresses.
    pub symbols: Vec<DebugSymbol<'d>>,
    /// Sections without memory: name and relocated bytes. There is one of each name.
    pub sections: &'d [(String, Vec<u8>)],
}

/// A function or a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DebugSymbol<'d> {
    /// Its name.
    pub name: &'d [u8],
    /// Where it is.
    pub address: Addr,
    /// Its size in bytes; zero where unknown.
    pub size: u64,
    /// What it names.
    pub kind: SymbolKind,
    /// Who sees it.
    pub scope: Scope,
    /// Whether it is the entry of a function that can be replaced: code that only jumps to the function of this name.
    pub is_entry: bool,
}
