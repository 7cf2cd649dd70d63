//! Lowering of what finds thread-local variables: slots are made, and what must be known of each variable is noted.
//!
//! The numbers come from the executor, which needs the variables' initial values for that and so the addresses that they hold.
//! Until then slots and fields only say which number they are to hold.

use super::{Lowering, unsupported};
use crate::arch::CodeSite;
use crate::error::LinkError;
use crate::executor::ThreadLocalAccess;
use crate::graph::{BlockId, Edge, LinkGraph, Protection, Role, SymbolId, Value};
use crate::reloc::Subject;
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
        if is_own && self.fixed && matches!(edge.subject, Subject::TlsGdSlot | Subject::TlsLdSlot) {
            self.relax_thread_local(block, index);
            edge = self.graph.edges[index];
        }
        let (access, contents): (_, &[Subject]) = match edge.subject {
            Subject::TlsGdSlot => (ThreadLocalAccess::Dynamic, &[Subject::TlsModule, Subject::DtpOffset]),
            Subject::TlsLdSlot => (ThreadLocalAccess::Dynamic, &[Subject::TlsModule, Subject::Nothing]),
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
            let slot = self.tables.thread_local(self.graph, self.synthetic, (target, edge.subject), contents);
            let edge = &mut self.graph.edges[index];
            (edge.target, edge.subject) = (slot, Subject::Symbol);
        }
        Ok(())
    }

    /// Gives code that looks up a variable of the batch the form that computes its address, where there is one.
    fn relax_thread_local(&mut self, id: BlockId, index: usize) {
        let graph = &mut *self.graph;
        let block = graph.block(id);
        let is_code = graph.section(block.section).protection == Protection::ReadExecute;
        if !is_code || index + 1 >= block.edge_range().end {
            return;
        }
        let (edge, call) = (graph.edges[index], graph.edges[index + 1]);
        if graph.symbol(call.target).name.bytes() != LOOK_UP {
            return;
        }
        let row = graph.rows.row(edge.row);
        let site = CodeSite { block: block.content.bytes(), start: 0, edge, row, target: None };
        let Some(relaxed) = graph.target.arch.relax_thread_local(&site, &call) else { return };
        let row = graph.rows.row(relaxed.row);
        if relaxed.offset as usize + row.field().bytes() <= site.block.len() {
            let subject = row.subject();
            let edge = &mut graph.edges[index];
            (edge.offset, edge.row, edge.addend) = (relaxed.offset, relaxed.row, relaxed.addend);
            edge.subject = subject;
            graph.edges[index + 1].subject = Subject::Nothing;
        }
    }
}

/// The function that looks variables up ("ELF Handling For Thread-Local Storage", section 3.4).
const LOOK_UP: &[u8] = b"__tls_get_addr";

/// Whether a block holds thread-local variables.
pub(in crate::link) fn is_thread_local(graph: &LinkGraph<'_>, block: BlockId) -> bool {
    graph.section(graph.block(block).section).role == Role::ThreadLocal
}
