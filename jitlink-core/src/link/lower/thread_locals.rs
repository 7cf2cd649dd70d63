//! Lowering of what finds thread-local variables: slots are made, and what must be known of each variable is noted.
//!
//! The numbers come from the executor, which needs the variables' initial values for that and so the addresses that they hold.
//! Until then slots and fields only say which number they are to hold.

use super::super::thread_locals::Outside;
use super::{Lowering, Survey, residence, unsupported};
use crate::arch::{CodeSite, Relaxed};
use crate::error::LinkError;
use crate::executor::ThreadLocalAccess;
use crate::graph::{BlockId, Edge, LinkGraph, Protection, Residence, Role, SymbolId, Value};
use crate::reloc::{Base, Subject};
use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

/// How the batch's code finds variables, in the order in which lowering met it, each with the first place that does so.
pub(in crate::link) type Accesses = IndexMap<(Variable, ThreadLocalAccess), (BlockId, Edge), FxBuildHasher>;

/// What a number is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::link) enum Variable {
    /// The batch's block as a whole.
    Block,
    /// One variable: of another block, or with a descriptor of its own.
    One(SymbolId),
}

const NOT_THREAD_LOCAL: (&str, &str) = (
    "the code takes its target for a thread-local variable, which it is not",
    "declare the variable alike wherever it is declared (thread_local, _Thread_local, __thread)",
);

/// What references to the address of a thread-local variable are told.
pub(super) const NO_ADDRESS: (&str, &str) = (
    "its target is a thread-local variable, which has another address in every thread",
    "declare the variable alike wherever it is declared (thread_local, _Thread_local, __thread)",
);

impl Lowering<'_, '_> {
    /// Lowers an edge whose subject is one of thread-local storage.
    pub(super) fn thread_local(&mut self, block: BlockId, index: usize) -> Result<(), LinkError> {
        let mut edge = self.graph.edges[index];
        let target = self.graph.canonical(edge.target);
        let is_own = match self.graph.symbol(target).value {
            Value::Block { block, .. } => is_thread_local(self.graph, block),
            _ => false,
        };
        if !is_own && !self.graph.thread_locals.contains_key(&target) {
            let (what, advice) = NOT_THREAD_LOCAL;
            return Err(unsupported(self.graph, block, &edge, what.into(), advice));
        }
        let is_relaxed = match edge.subject {
            Subject::TlsGdSlot | Subject::TlsLdSlot => is_own && self.fixed,
            Subject::TlsDescSlot | Subject::TlsDescCall => self.relaxes_descriptors && has_fixed(self.graph, target),
            _ => false,
        };
        if is_relaxed {
            self.relax_thread_local(block, index);
            edge = self.graph.edges[index];
        }
        if edge.subject == Subject::TlsDescCall {
            self.graph.edges[index].subject = Subject::Nothing;
            return Ok(());
        }
        let (access, contents): (_, &[Subject]) = match edge.subject {
            Subject::TlsGdSlot => (ThreadLocalAccess::Dynamic, &[Subject::TlsModule, Subject::TlsOffset]),
            Subject::TlsLdSlot => (ThreadLocalAccess::Dynamic, &[Subject::TlsModule, Subject::TlsStart]),
            Subject::TlsIeSlot => (ThreadLocalAccess::Static, &[Subject::TpOffset]),
            Subject::TlsDescSlot => {
                (ThreadLocalAccess::Descriptor, &[Subject::TlsDescFunction, Subject::TlsDescArgument])
            }
            Subject::TpOffset | Subject::TlsBase => (ThreadLocalAccess::Static, &[]),
            Subject::TlsDescFunction | Subject::TlsDescArgument => (ThreadLocalAccess::Descriptor, &[]),
            _ => (ThreadLocalAccess::Dynamic, &[]),
        };
        let is_whole = is_own && access != ThreadLocalAccess::Descriptor;
        let variable = if is_whole { Variable::Block } else { Variable::One(target) };
        self.accesses.entry((variable, access)).or_insert((block, edge));
        if !contents.is_empty() {
            // All of the batch's own variables have one module.
            let local = is_own && edge.subject == Subject::TlsLdSlot;
            let target = if local { *self.own_module.get_or_insert(target) } else { target };
            // Code of the large models too takes slots of thread-local variables to be near.
            let is_near = self.graph.rows.row(edge.row).base() != Base::Place;
            let from = if is_near { Residence::Near } else { residence(self.graph, block) };
            let slot = self.tables.thread_local(self.graph, self.synthetic, (target, edge.subject, from), contents);
            let edge = &mut self.graph.edges[index];
            (edge.target, edge.subject) = (slot, Subject::Symbol);
        }
        Ok(())
    }

    /// Gives code that looks up a variable of the batch the form that computes its address, where there is one.
    fn relax_thread_local(&mut self, id: BlockId, index: usize) {
        let Some((relaxed, with_call)) = relaxed(self.graph, id, index) else { return };
        let subject = self.graph.rows.row(relaxed.row).subject();
        let edge = &mut self.graph.edges[index];
        (edge.offset, edge.row, edge.addend) = (relaxed.offset, relaxed.row, relaxed.addend);
        edge.subject = subject;
        if with_call {
            self.graph.edges[index + 1].subject = Subject::Nothing;
        }
    }
}

/// Whether the code of all descriptors of the batch's own variables can do without: calls do not say which descriptor they go through,
/// so it is all or none.
pub(super) fn relaxes_descriptors(graph: &LinkGraph<'_>, survey: &Survey) -> bool {
    let mut edges = survey.again().flat_map(|(id, edges)| edges.iter().map(move |&index| (id, index as usize)));
    edges.all(|(id, index)| {
        let edge = &graph.edges[index];
        let is_descriptors = matches!(edge.subject, Subject::TlsDescSlot | Subject::TlsDescCall);
        !is_descriptors || !has_fixed(graph, graph.canonical(edge.target)) || relaxed(graph, id, index).is_some()
    })
}

/// Whether a symbol is a variable of the batch, or stands for the start of them all.
fn has_fixed(graph: &LinkGraph<'_>, symbol: SymbolId) -> bool {
    match graph.symbol(symbol).value {
        Value::Block { block, .. } => is_thread_local(graph, block),
        _ => matches!(graph.thread_locals.get(&symbol), Some(Outside::Base)),
    }
}

/// The form of the code at an edge that needs no look-up, and whether it takes in the edge behind, of a call.
fn relaxed(graph: &LinkGraph<'_>, id: BlockId, index: usize) -> Option<(Relaxed, bool)> {
    let block = graph.block(id);
    if graph.section(block.section).protection != Protection::ReadExecute {
        return None;
    }
    let edge = graph.edges[index];
    let call = graph.edges[index + 1..block.edge_range().end.max(index + 1)].first();
    let call = call.filter(|call| graph.symbol(call.target).name.bytes() == LOOK_UP);
    let site = CodeSite { block: block.content.bytes(), start: 0, edge, row: graph.rows.row(edge.row), target: None };
    let relaxed = graph.target.arch.relax_thread_local(&site, call)?;
    let is_inside = relaxed.offset as usize + graph.rows.row(relaxed.row).field().bytes() <= site.block.len();
    let with_call = matches!(edge.subject, Subject::TlsGdSlot | Subject::TlsLdSlot);
    is_inside.then_some((relaxed, with_call))
}

/// The function that looks variables up ("ELF Handling For Thread-Local Storage", section 3.4).
const LOOK_UP: &[u8] = b"__tls_get_addr";

/// Whether a block holds thread-local variables.
pub(in crate::link) fn is_thread_local(graph: &LinkGraph<'_>, block: BlockId) -> bool {
    graph.section(graph.block(block).section).role == Role::ThreadLocal
}
