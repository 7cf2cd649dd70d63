//! Indirect functions (`STT_GNU_IFUNC`): a symbol whose value is a *resolver*, which returns the address of the function to use.
//!
//! Each one that something refers to gets a trampoline (`link/lazy`), which is the function's one address from then on: calls, GOT
//! references, pointers in data and what others look up all mean it. Its slot first leads to the binder, which has the executor call
//! the resolver. So no linked code runs before somebody calls it, and a resolver may need whatever the batch has. What of the batch
//! is referred to is listed in [`Linked::indirect`](super::Linked::indirect), for those who resolve before they initialise.
//!
//! After this phase no symbol of the graph is indirect.

use super::entries::redirect;
use super::lazy::Maker;
use super::synthetic::Synthetic;
use crate::addr::Addr;
use crate::arch::StubKind;
use crate::error::{LinkError, LinkErrors, Site};
use crate::executor::{Executor, IndirectSlot};
use crate::graph::{BlockId, LinkGraph, Protection, Scope, SymbolId, SymbolKind, Value};
use crate::link::layout::Addresses;
use hashbrown::HashSet;

/// An indirect function of the batch.
pub(super) struct Indirect {
    function: SymbolId,
    name: String,
    slot: SymbolId,
    resolver: SymbolId,
    /// Something of the batch refers to it.
    is_used: bool,
}

impl Indirect {
    /// As link maps list it: what it is for, its own symbol, its kind.
    pub(super) fn stub(&self) -> (SymbolId, SymbolId, StubKind) {
        (self.function, self.function, StubKind::Lazy)
    }

    /// What the executor is told, and whether something of the batch refers to it.
    pub(super) fn at(self, addresses: &Addresses) -> (IndirectSlot, bool) {
        let at = |symbol: SymbolId| Addr(addresses.symbols[symbol.index()]);
        (IndirectSlot { slot: at(self.slot), resolver: at(self.resolver), name: self.name }, self.is_used)
    }
}

/// Gives indirect functions of live code their trampolines: those that the batch refers to, `needed` ones among them, and those
/// that others see.
pub(super) fn insert(
    graph: &mut LinkGraph<'_>,
    synthetic: &mut Synthetic,
    executor: &dyn Executor,
    needed: impl Iterator<Item = SymbolId>,
) -> Result<Vec<Indirect>, LinkErrors> {
    let is_ours = |id: SymbolId| graph.symbol(id).kind == SymbolKind::Indirect && graph.canonical(id) == id;
    let functions: Vec<SymbolId> = (0..graph.symbols.len()).map(SymbolId::new).filter(|&id| is_ours(id)).collect();
    if functions.is_empty() {
        return Ok(Vec::new());
    }
    let used: HashSet<SymbolId> = {
        let needed = needed.chain(graph.roots.iter().copied());
        needed.chain(references(graph).map(|(_, _, target)| target)).map(|id| graph.canonical(id)).collect()
    };
    let is_needed = |id: &SymbolId| match graph.symbol(*id).value {
        Value::Block { block, .. } => {
            graph.is_live(block) && (used.contains(id) || graph.symbol(*id).scope >= Scope::Protected)
        }
        // What is nowhere, or outside, is what it is for any function.
        Value::Absolute(address) => address != 0 && !graph.external.contains(id) && !graph.yielded.contains(id),
        _ => false,
    };
    let functions: Vec<SymbolId> = functions.into_iter().filter(is_needed).collect();
    let mut indirect = Vec::with_capacity(functions.len());
    if !functions.is_empty() {
        let linker = check(graph, executor, &functions)?;
        let mut maker = Maker::new(graph, synthetic, linker, [b".indirect", b".indirect.slots"])?;
        let mut code_of = vec![None; maker.graph.symbols.len()];
        for id in functions {
            let (entry, slot) = maker.trampoline();
            let resolver = maker.symbol_like(id);
            let name = maker.graph.display_symbol(id);
            maker.enter(id, entry);
            code_of[id.index()] = Some(resolver);
            indirect.push(Indirect { function: id, name, slot, resolver, is_used: used.contains(&id) });
        }
        redirect(graph, &code_of);
    }
    graph.symbols.iter_mut().filter(|symbol| symbol.kind == SymbolKind::Indirect).for_each(|symbol| {
        symbol.kind = SymbolKind::Function;
    });
    Ok(indirect)
}

/// What live, loaded blocks refer to: block, index of the edge, target.
fn references(graph: &LinkGraph<'_>) -> impl Iterator<Item = (BlockId, usize, SymbolId)> {
    let loaded = graph.blocks().filter(|(id, block)| graph.is_live(*id) && graph.section(block.section).is_loaded());
    loaded.flat_map(|(id, _)| graph.edges(id).iter().enumerate().map(move |(index, edge)| (id, index, edge.target)))
}

/// The executor's linker, if it has one and all resolvers are code of the batch; otherwise an error for each function.
fn check(graph: &LinkGraph<'_>, executor: &dyn Executor, functions: &[SymbolId]) -> Result<Addr, LinkErrors> {
    let linker = executor.lazy_linker();
    let is_called = executor.calls_as(&graph.target);
    let error = |&id: &SymbolId| {
        let in_code = match graph.symbol(id).value {
            Value::Block { block, .. } => {
                let section = graph.section(graph.block(block).section);
                let descriptors = graph.target.arch.info().descriptor_section();
                section.protection == Protection::ReadExecute || descriptors == Some(section.name)
            }
            _ => false,
        };
        let (what, advice) = match &linker {
            _ if !in_code => ("the resolver of an indirect function (STT_GNU_IFUNC) is not code of this link", REBUILD),
            Ok(_) if is_called => return None,
            Ok(_) => ("the resolver of an indirect function (STT_GNU_IFUNC) is called in another way", RUN),
            Err(_) => ("an indirect function (STT_GNU_IFUNC) has no address before code runs that chooses one", RUN),
        };
        let what = match &linker {
            Err(_) if in_code => format!("{what}, and the executor \"{}\" runs none", executor.name()),
            Ok(_) if in_code => {
                let convention = graph.target.convention;
                format!("{what} ({convention}) than the executor \"{}\" calls functions", executor.name())
            }
            _ => what.into(),
        };
        Some(LinkError::Unsupported { site: Box::new(site(graph, id)), what, advice: advice.into() })
    };
    LinkErrors::check(functions.iter().filter_map(error).collect())?;
    Ok(linker.map_err(LinkError::from)?)
}

const REBUILD: &str = "compile the object that defines it again";
const RUN: &str = "link for an executor that runs code, or build without ifunc and target_clones attributes";

/// The first place that refers to a function, or where its resolver is.
fn site(graph: &LinkGraph<'_>, id: SymbolId) -> Site {
    if let Some((block, index, _)) = references(graph).find(|&(.., target)| graph.canonical(target) == id) {
        return graph.site(block, &graph.edges(block)[index]);
    }
    let symbol = graph.symbol(id);
    let place = match symbol.value {
        Value::Block { block, offset } => {
            let (block, section) = (graph.block(block), graph.section(graph.block(block).section));
            Site { section: section.name_lossy(), offset: block.section_offset + offset, ..Site::default() }
        }
        _ => Site::default(),
    };
    Site { object: graph.object(symbol.object).name.clone(), symbol: graph.display_symbol(id), ..place }
}
