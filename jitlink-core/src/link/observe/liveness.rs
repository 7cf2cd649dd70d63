//! Why blocks are live: the first thing that reached each of them.
//!
//! Pruning visits blocks in order of their distance from the roots, so the causes of causes are a shortest way to a root.

use crate::graph::{BlockId, SymbolId};

/// What made a block live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The caller asked for this name.
    Entry(SymbolId),
    /// A pass or an alias keeps this symbol.
    Retained(SymbolId),
    /// The batch keeps what others can see, and they can see this symbol.
    Exported(SymbolId),
    /// Its section is always kept: it is marked to be retained.
    RetainedSection,
    /// Its section is always kept: it lists functions that run before or after the program.
    Initialisers,
    /// Its section takes up no memory of the program, and needs nothing.
    Unloaded,
    /// An edge of a live block leads there: the position among that block's edges. Where the edge's target is an end of a run
    /// of gathered sections, it keeps all of the run.
    Edge {
        /// The block that has the edge.
        from: BlockId,
        /// Its position in [`crate::graph::LinkGraph::edges`].
        index: u32,
    },
    /// It depends on a live block, as an unwind record does on its function.
    Dependency(BlockId),
    /// It belongs to the same COMDAT group as a live block.
    Group(BlockId),
}

impl Cause {
    /// The live block behind it; `None` for a root.
    pub fn parent(self) -> Option<BlockId> {
        match self {
            Cause::Edge { from, .. } | Cause::Dependency(from) | Cause::Group(from) => Some(from),
            _ => None,
        }
    }
}

/// The causes of all marks of a link.
#[derive(Clone, Debug, Default)]
pub struct Liveness {
    causes: Vec<Option<Cause>>,
}

impl Liveness {
    /// What made a block live; `None` for one that is not.
    pub fn cause(&self, block: BlockId) -> Option<Cause> {
        self.causes.get(block.index()).copied().flatten()
    }

    /// The blocks from a root to `block`, each with its cause; empty for one that is not live.
    pub fn chain(&self, block: BlockId) -> Vec<(BlockId, Cause)> {
        // A cause is set before what it causes, so this ends at a root.
        let step = |block: BlockId| self.cause(block).map(|cause| (block, cause));
        let mut chain: Vec<_> =
            std::iter::successors(step(block), |(_, cause)| cause.parent().and_then(step)).collect();
        chain.reverse();
        chain
    }
}

/// Hears of each mark that pruning makes.
pub(in crate::link) trait Causes {
    /// Whether anybody does. Marks are then made in one order.
    const ARE_HEARD: bool;

    /// `block` has become live.
    fn marked(&mut self, block: BlockId, cause: Cause);
}

/// Nobody asks.
impl Causes for () {
    const ARE_HEARD: bool = false;

    #[inline]
    fn marked(&mut self, _: BlockId, _: Cause) {}
}

impl Causes for Liveness {
    const ARE_HEARD: bool = true;

    fn marked(&mut self, block: BlockId, cause: Cause) {
        if self.causes.len() <= block.index() {
            self.causes.resize(block.index() + 1, None);
        }
        self.causes[block.index()] = Some(cause);
    }
}
