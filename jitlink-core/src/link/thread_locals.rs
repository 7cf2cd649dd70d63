//! The batch's thread-local variables: their initial values go to the executor, and its answers into slots and code.

use super::fixup::{self, Context};
use super::layout::THREAD_LOCAL;
use super::lower::{Accesses, Variable, is_thread_local};
use crate::addr::Addr;
use crate::error::{LinkError, LinkErrors};
use crate::executor::{
    Executor, ExecutorError, ThreadLocalAccess, ThreadLocalBlock, ThreadLocalQuery, ThreadLocalRequest,
    ThreadLocalVariable, WorkingMemory,
};
use crate::graph::{BlockId, Edge, LinkGraph, Role, SymbolId, Value};
use crate::reloc::{Base, Subject};
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;
use std::fmt;

/// A block of more bytes than this, which each thread would have, is a mistake of the input.
const MOST_BYTES: u64 = 1 << 28;

/// The highest alignment of a block.
const MOST_ALIGN: u64 = 1 << 20;

/// Where a thread-local variable is that was linked before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadLocalPlace {
    /// The number of its block, as `__tls_get_addr` takes it.
    pub module: u64,
    /// Its offset in the block.
    pub offset: u64,
    /// Its offset from the thread pointer, if that is the same in every thread.
    pub pointer_offset: Option<i64>,
}

/// A thread-local variable that no block of the batch holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outside {
    /// The target's program or one of its libraries defines it.
    Named,
    /// An earlier batch does.
    Placed(ThreadLocalPlace),
    /// It stands for the start of the batch's own.
    Base,
}

/// The block of a linked batch. Dropping it takes the variables from all threads.
pub struct ThreadLocals {
    block: Box<dyn ThreadLocalBlock>,
    module: u64,
    /// Where the batch's variables start in the block of that number.
    start: u64,
    pointer_offset: Option<i64>,
}

impl ThreadLocals {
    /// Where the variable at an offset in the batch's block is.
    pub fn place(&self, offset: u64) -> ThreadLocalPlace {
        let pointer_offset = self.pointer_offset.map(|start| start.wrapping_add_unsigned(offset));
        ThreadLocalPlace { module: self.module, offset: self.start + offset, pointer_offset }
    }

    /// The address of the calling thread's copy of the variable at an offset in the batch's block.
    pub fn address(&self, offset: u64) -> Result<Addr, ExecutorError> {
        self.block.address(offset)
    }
}

impl fmt::Debug for ThreadLocals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("ThreadLocals");
        debug.field("module", &self.module).field("pointer_offset", &self.pointer_offset).finish_non_exhaustive()
    }
}

/// What code and slots are to hold.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    module: u64,
    /// Where the batch's block starts in that of the module.
    start: u64,
    pointer_offset: u64,
    of: HashMap<(SymbolId, ThreadLocalAccess), [u64; 2], FxBuildHasher>,
}

impl Numbers {
    /// The number of a variable's block, and its offset in it; `offset` is that of a variable of the batch.
    pub(super) fn dynamic(&self, graph: &LinkGraph<'_>, symbol: SymbolId, offset: u64) -> [u64; 2] {
        self.outside(graph, symbol, ThreadLocalAccess::Dynamic)
            .unwrap_or([self.module, self.start.wrapping_add(offset)])
    }

    /// Where the batch's variables start in the module's block.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// A variable's offset from the start of the batch's own; that of another's in its module's block.
    pub(super) fn offset(&self, graph: &LinkGraph<'_>, symbol: SymbolId, offset: u64) -> u64 {
        self.outside(graph, symbol, ThreadLocalAccess::Dynamic).map_or(offset, |[_, offset]| offset)
    }

    /// The offset from the thread pointer of the start of the batch's own variables.
    pub(super) fn base(&self) -> u64 {
        self.pointer_offset
    }

    /// A variable's offset from the thread pointer.
    pub(super) fn pointer_offset(&self, graph: &LinkGraph<'_>, symbol: SymbolId, offset: u64) -> u64 {
        let outside = self.outside(graph, symbol, ThreadLocalAccess::Static);
        outside.map_or(self.pointer_offset.wrapping_add(offset), |[offset, _]| offset)
    }

    /// A variable's descriptor.
    pub(super) fn descriptor(&self, graph: &LinkGraph<'_>, symbol: SymbolId) -> [u64; 2] {
        self.of.get(&(graph.canonical(symbol), ThreadLocalAccess::Descriptor)).copied().unwrap_or_default()
    }

    fn outside(&self, graph: &LinkGraph<'_>, symbol: SymbolId, access: ThreadLocalAccess) -> Option<[u64; 2]> {
        if matches!(graph.symbol(symbol).value, Value::Block { .. }) {
            return None;
        }
        self.of.get(&(graph.canonical(symbol), access)).copied()
    }
}

/// Whether all threads can have the batch's variables at one distance from the thread pointer.
pub(super) fn can_be_fixed(executor: &dyn Executor, graph: &LinkGraph<'_>) -> bool {
    let (mut size, mut align) = (0u64, 1u64);
    for (section, _) in graph.sections().filter(|(_, section)| section.role == Role::ThreadLocal) {
        for (_, block) in graph.blocks_of(section).filter(|(id, _)| graph.is_live(*id)) {
            align = align.max(1 << block.align_log2);
            size = size.saturating_add(block.size()).saturating_add((1 << block.align_log2) - 1);
        }
    }
    size > 0 && size <= MOST_BYTES && executor.has_fixed_thread_locals(size, align)
}

/// Gives the batch's variables to the executor, once their initial values can be known, and learns how code finds them.
pub(super) fn bind(
    executor: &dyn Executor,
    context: &Context<'_, '_>,
    accesses: &Accesses,
) -> Result<(Numbers, Option<ThreadLocals>), LinkErrors> {
    let graph = context.graph;
    let (size, align) = context.layout.extent[usize::from(THREAD_LOCAL)];
    let blocks = &context.layout.order[usize::from(THREAD_LOCAL)];
    let is_own = !blocks.is_empty();
    if !is_own && accesses.is_empty() {
        return Ok((Numbers::default(), None));
    }
    LinkErrors::check(blocks.iter().filter_map(|&block| relative(graph, block)).collect())?;
    check_size("size of the batch's thread-local variables", size, MOST_BYTES)?;
    check_size("alignment of the batch's thread-local variables", align, MOST_ALIGN)?;
    let mut image = vec![0; size as usize];
    let memory = WorkingMemory { bytes: &mut image, zeroed: true };
    fixup::fix_up(context, &mut [(usize::from(THREAD_LOCAL), memory)], 1).map_err(super::collected)?;
    let used = image.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);

    let mut numbers = Numbers::default();
    let mut queries = Vec::new();
    let mut asked: Vec<Option<(Variable, ThreadLocalAccess)>> = Vec::new();
    if is_own {
        // Others may ask for variables of the batch, whether its own code does or not.
        queries.push(ThreadLocalQuery { variable: ThreadLocalVariable::Own(0), access: ThreadLocalAccess::Dynamic });
        asked.push(None);
    }
    for (&(variable, access), place) in accesses {
        match variable_of(context, variable) {
            Ok(_) if variable == Variable::Block && access == ThreadLocalAccess::Dynamic => {}
            Ok(variable_asked) => {
                queries.push(ThreadLocalQuery { variable: variable_asked, access });
                asked.push(Some((variable, access)));
            }
            Err((symbol, known)) => {
                let answer = placed(graph, access, &known, place)?;
                numbers.of.insert((symbol, access), answer);
            }
        }
    }
    let layout = graph.target.thread_locals;
    let request = ThreadLocalRequest { image: &image[..used], size, align, queries: &queries, layout };
    let block = executor.thread_locals(&request).map_err(|error| {
        let first = accesses.values().next().map(|(block, edge)| graph.site(*block, edge));
        let site = first.or_else(|| blocks.first().map(|&block| graph.place(block))).unwrap_or_default();
        LinkError::Unsupported { site: Box::new(site), what: error.reason, advice: error.advice }
    })?;
    let (mut pointer_offset, mut missing) = (None, Vec::new());
    for (asked, answer) in asked.iter().zip(block.answers()) {
        let answer = match (answer, asked) {
            (Some(answer), _) => answer,
            (None, Some(unknown)) => {
                missing.push(undefined(graph, &accesses[unknown], &unknown.0));
                continue;
            }
            (None, None) => continue,
        };
        match asked {
            None => [numbers.module, numbers.start] = *answer,
            Some((Variable::Block, _)) => {
                numbers.pointer_offset = answer[0];
                pointer_offset = Some(answer[0] as i64);
            }
            Some((Variable::One(symbol), access)) => _ = numbers.of.insert((*symbol, *access), *answer),
        }
    }
    LinkErrors::check(missing)?;
    let (module, start) = (numbers.module, numbers.start);
    Ok((numbers, Some(ThreadLocals { block, module, start, pointer_offset })))
}

/// How the executor is asked for a variable; what is known of it already if an earlier batch has it.
fn variable_of<'g>(
    context: &Context<'g, '_>,
    variable: Variable,
) -> Result<ThreadLocalVariable<'g>, (SymbolId, ThreadLocalPlace)> {
    let Variable::One(symbol) = variable else { return Ok(ThreadLocalVariable::Own(0)) };
    match context.graph.thread_locals.get(&symbol).copied() {
        None => Ok(ThreadLocalVariable::Own(context.addresses.symbols[symbol.index()])),
        Some(Outside::Base) => Ok(ThreadLocalVariable::Own(0)),
        Some(Outside::Named) => Ok(ThreadLocalVariable::Named(context.graph.symbol(symbol).name.bytes())),
        Some(Outside::Placed(place)) => Err((symbol, place)),
    }
}

/// The answer for a variable of an earlier batch.
fn placed(
    graph: &LinkGraph<'_>,
    access: ThreadLocalAccess,
    known: &ThreadLocalPlace,
    (block, edge): &(BlockId, Edge),
) -> Result<[u64; 2], LinkError> {
    let (what, advice) = match access {
        ThreadLocalAccess::Dynamic => return Ok([known.module, known.offset]),
        ThreadLocalAccess::Static => match known.pointer_offset {
            Some(offset) => return Ok([offset as u64, 0]),
            None => (
                "the variable is in a module whose thread-local variables have no fixed distance from the thread pointer",
                "compile this object with -fPIC, or link it together with the module that defines the variable",
            ),
        },
        ThreadLocalAccess::Descriptor => (
            "the variable is in another module, whose variables have no descriptors",
            "compile with -mtls-dialect=gnu, or link the object together with the module that defines the variable",
        ),
    };
    let site = Box::new(graph.site(*block, edge));
    Err(LinkError::Unsupported { site, what: what.into(), advice: advice.into() })
}

/// An initial value that would have to be another in every thread.
fn relative(graph: &LinkGraph<'_>, block: BlockId) -> Option<LinkError> {
    let differs = |edge: &&Edge| {
        let is_relative = graph.rows.row(edge.row).base() != Base::Zero || edge.subject.is_thread_local();
        is_relative && edge.subject != Subject::Nothing
    };
    let edge = graph.edges(block).iter().find(differs)?;
    let site = Box::new(graph.site(block, edge));
    let what =
        "the initial value of a thread-local variable depends on where the variable is, which differs in every thread";
    let advice = "initialise the variable when the program runs";
    Some(LinkError::Unsupported { site, what: what.into(), advice: advice.into() })
}

/// Refuses variables in a link that is to be updated: their block could not grow, and threads have copies of it.
pub(super) fn check_updatable(graph: &LinkGraph<'_>, accesses: &Accesses) -> Result<(), LinkError> {
    let own = || graph.blocks().map(|(id, _)| id).find(|&id| graph.is_live(id) && is_thread_local(graph, id));
    let site = match accesses.values().next() {
        Some((block, edge)) => graph.site(*block, edge),
        None => match own() {
            Some(block) => graph.place(block),
            None => return Ok(()),
        },
    };
    let what = "thread-local variables in a module that can be updated are not supported".into();
    let advice = "link without `updatable` (without --watch), or keep thread-local variables in a module of their own";
    Err(LinkError::Unsupported { site: Box::new(site), what, advice: advice.into() })
}

/// Fails beyond what every thread can be given a copy of.
fn check_size(what: &str, value: u64, limit: u64) -> Result<(), LinkError> {
    if value > limit { Err(LinkError::TooLarge { what: what.into(), value, limit }) } else { Ok(()) }
}

/// What nobody defines, and the first place that needs it.
fn undefined(graph: &LinkGraph<'_>, (block, edge): &(BlockId, Edge), variable: &Variable) -> LinkError {
    let symbol = match variable {
        Variable::One(symbol) => graph.display_symbol(*symbol),
        Variable::Block => graph.display_symbol(edge.target),
    };
    let advice = "add the object, archive or library (-l) that defines the thread-local variable".into();
    LinkError::Undefined { symbol, references: vec![graph.site(*block, edge)], total: 1, advice }
}
