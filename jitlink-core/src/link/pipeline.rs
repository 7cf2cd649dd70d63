//! Passes that users and architectures insert between the phases.

use crate::addr::Addr;
use crate::graph::{BlockId, LinkGraph, SymbolId};
use std::fmt;
use std::sync::Arc;

/// Where a pass stands, and what is true when it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// All objects are read and names are resolved within the batch; nothing is pruned. Roots can be added.
    BeforePrune,
    /// Liveness is known. Edges can be changed; GOT slots and stubs do not exist yet.
    AfterPrune,
    /// Every live block and symbol has its final address; working memory holds nothing yet.
    AfterLayout,
    /// As `AfterLayout`, directly before bytes are copied and fixed up.
    BeforeFixup,
    /// Working memory holds the final bytes, readable through [`PassContext::bytes`].
    AfterFixup,
    /// Of links to one relocatable object alone: liveness is known, and the format writes the graph next.
    BeforeWrite,
}

/// A pass: changes the graph, or fails with a reason.
pub type Pass = dyn for<'g, 'a> Fn(&mut LinkGraph<'a>, &mut PassContext<'g>) -> Result<(), String> + Send + Sync;

/// The passes of a link.
#[derive(Clone, Default)]
pub struct Pipeline {
    passes: Vec<(Stage, String, Arc<Pass>)>,
}

impl Pipeline {
    /// No passes.
    pub fn new() -> Pipeline {
        Pipeline::default()
    }

    /// Adds a pass after those of its stage.
    pub fn add<F>(&mut self, stage: Stage, name: impl Into<String>, pass: F)
    where
        F: for<'g, 'a> Fn(&mut LinkGraph<'a>, &mut PassContext<'g>) -> Result<(), String> + Send + Sync + 'static,
    {
        self.passes.push((stage, name.into(), Arc::new(pass)));
    }

    pub(crate) fn at(&self, stage: Stage) -> impl Iterator<Item = (&str, &Pass)> {
        self.passes.iter().filter(move |entry| entry.0 == stage).map(|(_, name, pass)| (name.as_str(), &**pass))
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.passes.iter().map(|(stage, name, _)| (stage, name))).finish()
    }
}

/// What a pass may ask besides the graph.
#[derive(Debug)]
pub struct PassContext<'g> {
    pub(crate) block_addresses: Option<&'g [Addr]>,
    pub(crate) memory: Option<&'g mut dyn BlockMemory>,
}

/// The final bytes of blocks.
pub(crate) trait BlockMemory: fmt::Debug {
    fn bytes(&mut self, block: BlockId) -> Option<&mut [u8]>;
}

impl PassContext<'_> {
    /// A live block's address, once layout is done.
    pub fn address(&self, block: BlockId) -> Option<Addr> {
        self.block_addresses?.get(block.index()).copied()
    }

    /// A symbol's address, once layout is done.
    pub fn symbol_address(&self, graph: &LinkGraph<'_>, symbol: SymbolId) -> Option<Addr> {
        match graph.symbol(symbol).value {
            crate::graph::Value::Block { block, offset } if graph.is_live(block) => Some(self.address(block)? + offset),
            crate::graph::Value::Absolute(address) => Some(Addr(address)),
            _ => None,
        }
    }

    /// A live block's final bytes, after fixup; the pass may change them.
    pub fn bytes(&mut self, block: BlockId) -> Option<&mut [u8]> {
        self.memory.as_mut()?.bytes(block)
    }
}
