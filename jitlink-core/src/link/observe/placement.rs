//! Where everything went, and what lowering did to edges on the way.

use crate::addr::{Addr, AddrRange};
use crate::arch::StubKind;
use crate::error::SignedHex;
use crate::graph::{BlockId, Edge, LinkGraph, Residence, SymbolId, Value};
use crate::link::Segment;
use crate::link::layout::Addresses;

/// A batch that is laid out.
#[derive(Debug)]
pub struct Placement<'p> {
    /// Its segments, the near ones first.
    pub segments: Vec<Segment>,
    /// The GOT's slots in order.
    pub slots: Vec<Slot>,
    /// Stubs in order, thunks last.
    pub stubs: Vec<Stub>,
    /// The edges that lowering changed, in order of blocks.
    pub rewrites: Vec<Rewrite>,
    /// Where the batch may lie: what lowering took as in reach does not depend on a block's place in it.
    pub region: AddrRange,
    pub(in crate::link) addresses: &'p Addresses,
}

impl Placement<'_> {
    /// The address of a block that is in memory.
    pub fn address(&self, graph: &LinkGraph<'_>, block: BlockId) -> Option<Addr> {
        graph.is_live(block).then(|| self.addresses.blocks.get(block.index()).copied()).flatten()
    }

    /// The address that a symbol means.
    pub fn symbol_address(&self, graph: &LinkGraph<'_>, symbol: SymbolId) -> Option<Addr> {
        match graph.symbol(symbol).value {
            Value::Block { block, .. } if !graph.is_live(block) => None,
            Value::Undefined | Value::Common { .. } => None,
            _ => self.addresses.symbols.get(symbol.index()).map(|&address| Addr(address)),
        }
    }
}

/// A slot of the GOT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The slot's own symbol.
    pub symbol: SymbolId,
    /// What it holds the address of.
    pub target: SymbolId,
    /// A stub jumps through it.
    pub for_stub: bool,
}

/// Code that jumps to where a call could not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stub {
    /// The stub's own symbol.
    pub symbol: SymbolId,
    /// What it jumps to.
    pub target: SymbolId,
    /// How it jumps.
    pub kind: StubKind,
}

/// An edge that lowering changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// The block that has the edge.
    pub block: BlockId,
    /// Its position among that block's edges.
    pub index: u32,
    /// The edge as it was before.
    pub before: Edge,
    /// What was done.
    pub change: Change,
    /// Why.
    pub reason: Reason,
}

/// What lowering did to an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It leads to this stub.
    Stub(SymbolId),
    /// It leads to this thunk, because its target is in the batch but out of reach.
    Thunk(SymbolId),
    /// It leads to this GOT slot.
    Slot(SymbolId),
    /// The instruction loads the address itself, without a GOT slot.
    Relaxed,
    /// The instruction was moved out of line, to this block.
    Outlined(BlockId),
}

impl Change {
    /// A short name: `stub`, `thunk`, `slot`, `relaxed` or `outlined`.
    pub fn name(self) -> &'static str {
        match self {
            Change::Stub(_) => "stub",
            Change::Thunk(_) => "thunk",
            Change::Slot(_) => "slot",
            Change::Relaxed => "relaxed",
            Change::Outlined(_) => "outlined",
        }
    }
}

/// Why an edge could not, or need not, stay as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The target lies outside the batch, and the field may be too short for the value.
    OutOfReach {
        /// Where the target is.
        target: Addr,
        /// The values at the two ends of the region in which the batch may lie.
        values: (SignedHex, SignedHex),
        /// The values that the field can hold.
        limits: (SignedHex, SignedHex),
    },
    /// The two lie in sections of which the large code models assume no distance.
    Apart {
        /// Where the reference is.
        from: Residence,
        /// Where the target is; `None` for what is outside the batch.
        to: Option<Residence>,
    },
    /// Both lie in the batch, but farther from each other than a call reaches.
    TooFar {
        /// The value that a direct call would need.
        value: SignedHex,
        /// The values that its field can hold.
        limits: (SignedHex, SignedHex),
    },
    /// The target lies outside the batch: a load of its address from the GOT keeps its slot.
    External {
        /// Where it is; zero where nothing defines it and null will do.
        target: Addr,
    },
    /// The place wants the address of the slot itself, or its instruction has no form that does without one.
    NeedsSlot,
    /// The target is in the batch, so its address can be computed from the place.
    InReach,
}

impl Reason {
    /// A short name for tools.
    pub fn name(&self) -> &'static str {
        match self {
            Reason::OutOfReach { .. } => "out-of-reach",
            Reason::Apart { .. } => "apart",
            Reason::TooFar { .. } => "too-far",
            Reason::External { .. } => "external",
            Reason::NeedsSlot => "needs-slot",
            Reason::InReach => "in-reach",
        }
    }
}

/// The edges as they are before lowering, for a link that somebody watches.
pub(in crate::link) fn unexplained(graph: &LinkGraph<'_>, is_watched: bool) -> Vec<Edge> {
    if is_watched { graph.edges.clone() } else { Vec::new() }
}
