//! Edges: relocations still to be applied.

use super::SymbolId;
use crate::reloc::Subject;

/// One relocation: the row says how the value is computed and written, the edge says where and of what.
///
/// 24 bytes, because large links hold millions of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The constant that is added to the subject (A).
    pub addend: i64,
    /// Bytes from the block's start to the field.
    pub offset: u32,
    /// What it refers to.
    pub target: SymbolId,
    /// The index of its row in the graph's table.
    pub row: u16,
    /// What of the target is meant. It starts as the row's; a pass may change it before the link is lowered; lowering makes it
    /// [`Subject::Symbol`], of the slot or stub that was asked for.
    pub subject: Subject,
}

impl Edge {
    /// Stands for an edge that could not be made, in a graph that is then given up.
    pub(super) const PLACEHOLDER: Edge =
        Edge { addend: 0, offset: 0, target: SymbolId(0), row: u16::MAX, subject: Subject::Nothing };
}

const _: () = assert!(size_of::<Edge>() == 24);
