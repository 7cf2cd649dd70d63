//! The phases of a link, in order.
//!
//! [`link`] reads like the list of phases: read, resolve, prune, lower, lay out, fix up, finalize. Each phase works on the
//! whole batch before the next begins. Errors of a phase are collected; a phase with errors is the last one, and nothing that
//! was linked before is touched.

mod eh_frame;
mod externals;
mod finish;
mod fixup;
mod layout;
mod linked;
mod lower;
mod merge;
mod options;
mod pipeline;
mod prune;
mod read;
mod resolve;
mod synthetic;

pub use linked::{Export, Exports, LinkMap, Linked, MapObject, MapSection, MapSymbol, Segment, Statistics};
pub use options::{Existing, LinkOptions, NoSymbols, Resolver, Roots, Unresolved};
pub use pipeline::{Pass, PassContext, Pipeline, Stage};

use crate::addr::{Addr, AddrRange};
use crate::error::{LinkError, LinkErrors};
use crate::executor::{Action, Executor, MemoryRequest, Reservation, WorkingMemory};
use crate::graph::{BlockId, LinkGraph, ObjectBuilder, Symbol, SymbolId, Value};
use crate::input::Input;
use crate::registry::Registry;
use layout::{Addresses, KINDS, Layout, UNLOADED};
use std::time::Instant;
use synthetic::Synthetic;

/// Links a batch: objects, and the archive members that they need, become one graph, one layout and one allocation.
///
/// Names that the batch does not define are asked of `resolver`. Nothing of the batch runs; see
/// [`Linked::initialisers`].
pub fn link(
    registry: &Registry,
    executor: &dyn Executor,
    inputs: &[Input],
    resolver: &dyn Resolver,
    options: &LinkOptions,
) -> Result<Linked, LinkErrors> {
    let threads = options.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).max(1);
    match options.threads {
        // A pool of its own where the caller counts threads; the shared one otherwise.
        Some(count) if count > 1 => {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build();
            let pool = pool.map_err(|error| LinkError::Request(format!("cannot start {count} threads: {error}")))?;
            pool.install(|| Batch { registry, executor, resolver, options, threads }.link(inputs))
        }
        _ => Batch { registry, executor, resolver, options, threads }.link(inputs),
    }
}

/// What stays the same through all phases.
struct Batch<'b> {
    registry: &'b Registry,
    executor: &'b dyn Executor,
    resolver: &'b dyn Resolver,
    options: &'b LinkOptions,
    threads: usize,
}

/// Measures the phases.
struct Clock {
    statistics: Statistics,
    last: Instant,
}

impl Clock {
    fn phase(&mut self, name: &'static str) {
        let now = Instant::now();
        let took = now - std::mem::replace(&mut self.last, now);
        tracing::debug!(phase = name, ?took);
        self.statistics.phases.push((name, took));
    }
}

impl Batch<'_> {
    fn link(&self, inputs: &[Input]) -> Result<Linked, LinkErrors> {
        let mut clock = Clock { statistics: Statistics::default(), last: Instant::now() };
        let options = self.options;
        let files = typed_arena::Arena::new();

        // Read, and pull in the archive members that the batch needs.
        let objects = read::ObjectReader { registry: self.registry, keep_debug: options.keep_debug };
        let reader = read::Reader { objects, files: &files, threads: self.threads };
        let (sources, mut archives) = reader.classify(inputs)?;
        let first = match sources.first() {
            Some(first) => first.clone(),
            None => first_member(&reader, &archives)?,
        };
        let batch = objects.target(&first)?;
        let mut graph = objects.empty(&batch);
        let roots = command_line(&mut graph, options);
        reader.read(&mut graph, &batch, &sources)?;
        clock.phase("read");

        // Resolve names within the batch.
        let mut names = resolve::Names::default();
        names.reserve(graph.symbols.len() / 2);
        names.complete(&mut graph, &reader, &batch, &mut archives)?;
        let mut synthetic = Synthetic::default();
        names.settle(&mut graph, self.resolver, options, &batch, &mut synthetic)?;
        clock.phase("resolve");

        // Prune what nothing needs, then find what the rest needs from outside.
        let mut pipeline = options.pipeline.clone();
        graph.target.arch.add_passes(&mut pipeline);
        let mut nothing = PassContext { block_addresses: None, memory: None };
        run_passes(&pipeline, Stage::BeforePrune, &mut graph, &mut nothing)?;
        let needed = prune::prune(&mut graph, options, &roots).map_err(collected)?;
        clock.phase("prune");
        externals::resolve(&mut graph, &needed, self.resolver, options)?;
        clock.phase("look up");
        run_passes(&pipeline, Stage::AfterPrune, &mut graph, &mut nothing)?;

        // Merge, reserve memory, and lower what needs more than an address.
        merge::merge(&mut graph, &mut synthetic);
        let eh_frame = eh_frame::combine(&mut graph, &mut synthetic).map_err(collected)?;
        clock.phase("merge");
        let demand = lower::demand(&graph, options.updatable);
        let mut memory = Memory::reserve(self.executor, &graph, &demand, options.updatable)?;
        let mut lowered = lower::lower(&mut graph, &mut synthetic, memory.region, options).map_err(collected)?;
        clock.phase("lower");

        // Lay out.
        let layout = lower::insert_thunks(&mut graph, &mut synthetic, &mut lowered.stubs)?;
        memory.resize(&layout)?;
        let addresses = layout::addresses(&graph, &layout, &memory.starts);
        run_layout_passes(&pipeline, &mut graph, &addresses)?;
        clock.phase("lay out");

        // Fix up.
        let image = memory.segments(&layout).map(|(_, segment)| segment.address).min().unwrap_or_default();
        let got = lowered.got.or(graph.got.filter(|&got| graph.is_live(got)));
        let got = got.map_or(0, |got| (addresses.blocks[got.index()] + graph.target.arch.info().got_base_bias()).0);
        let mut unloaded = vec![0; layout.extent[usize::from(UNLOADED)].0 as usize];
        {
            let context = fixup::Context { graph: &graph, layout: &layout, addresses: &addresses, got, image: image.0 };
            let mut working = memory.working();
            working.push((usize::from(UNLOADED), WorkingMemory { bytes: &mut unloaded, zeroed: true }));
            fixup::fix_up(&context, &mut working, self.threads).map_err(collected)?;
            run_memory_passes(&pipeline, &mut graph, &layout, &addresses, &mut working)?;
        }
        clock.phase("fix up");

        // Finalize.
        let segments: Vec<Segment> = memory.segments(&layout).map(|(_, segment)| segment).collect();
        let handle = graph.handle.filter(|&block| graph.is_live(block)).map(|block| addresses.blocks[block.index()]);
        // Batches that do not refer to their handle still need one, and any address of theirs will do.
        let handle = handle.or(segments.first().map(|segment| segment.address)).unwrap_or_default();
        let mut actions = Vec::new();
        if self.executor.wants_description() {
            let spans = segments.iter().map(|segment| (segment.address, segment.size)).collect();
            actions.push(Action::Describe(finish::describe(&graph, &addresses, spans, handle)));
        }
        if let Some(block) = eh_frame {
            let (address, size) = (addresses.blocks[block.index()], graph.block(block).size());
            actions.push(Action::RegisterEhFrame { address, size });
        }
        let allocation = memory.reservation.finalize(actions).map_err(LinkError::from)?;
        let statistics = &mut clock.statistics;
        // Those that came from a file.
        statistics.objects = graph.objects.iter().filter(|object| !object.path.is_empty()).count();
        statistics.blocks = (graph.blocks.len(), graph.live.iter().filter(|&&live| live).count());
        statistics.symbols = graph.symbols.len();
        statistics.relocations = graph.edges.len();
        (statistics.slots, statistics.stubs) = (lowered.slots.len(), lowered.stubs.len());
        let exports = finish::exports(&graph, &names, &addresses);
        let root_address = |&root: &SymbolId| {
            let canonical = graph.canonical(root);
            let value = graph.symbol(canonical).value;
            (!matches!(value, Value::Undefined | Value::Absolute(0)))
                .then(|| Addr(addresses.symbols[canonical.index()]))
        };
        let debug = layout.unloaded.iter().map(|(name, start, size)| {
            (String::from_utf8_lossy(name).into_owned(), unloaded[*start as usize..(start + size) as usize].to_vec())
        });
        let linked = Linked {
            allocation,
            target: graph.target,
            segments,
            exports,
            roots: roots.iter().map(root_address).collect(),
            initialisers: finish::arrays(&graph, &addresses, false),
            finalisers: finish::arrays(&graph, &addresses, true),
            handle,
            debug: debug.collect(),
            map: options.map.then(|| finish::map(&graph, &addresses, &lowered)),
            statistics: Statistics::default(),
        };
        clock.phase("finalize");
        Ok(Linked { statistics: clock.statistics, ..linked })
    }
}

/// References that the caller makes: entry names, and both sides of aliases. The symbols of the entry names come first.
fn command_line<'a>(graph: &mut LinkGraph<'a>, options: &'a LinkOptions) -> Vec<SymbolId> {
    let mut object = ObjectBuilder::new(graph, "(command line)".into(), String::new());
    let id = object.id();
    let named: &[String] = match &options.roots {
        Roots::Named(names) | Roots::IfDefined(names) => names,
        Roots::Exported => &[],
    };
    let roots = named.iter().map(|name| object.add_symbol(Symbol::undefined(name.as_bytes(), id))).collect();
    // Visible names are roots, and aliases are visible.
    let mut aliases = Vec::new();
    for (new, old) in &options.aliases {
        let alias = Symbol { linkage: crate::graph::Linkage::Weak, ..Symbol::undefined(new.as_bytes(), id) };
        let alias = object.add_symbol(alias);
        object.add_symbol(Symbol::undefined(old.as_bytes(), id));
        if options.roots == Roots::Exported {
            aliases.push(alias);
        }
    }
    aliases.into_iter().for_each(|alias| graph.retain(alias));
    roots
}

/// A link of archives alone is for the target of their first object.
fn first_member<'a>(
    reader: &read::Reader<'_, 'a>,
    archives: &[read::LazyArchive<'a>],
) -> Result<read::Source<'a>, LinkErrors> {
    for archive in archives {
        for member in 0..archive.archive.members().len() {
            let source = reader.member(archive, member)?;
            if reader.objects.registry.recognize(source.bytes).is_some() {
                return Ok(source);
            }
        }
    }
    Err(LinkError::Request("there is nothing to link: no object file was given".into()).into())
}

fn collected(errors: Vec<LinkError>) -> LinkErrors {
    match LinkErrors::check(errors) {
        Err(errors) => errors,
        Ok(()) => LinkError::Request("a phase failed without an error".into()).into(),
    }
}

fn run_passes(
    pipeline: &Pipeline,
    stage: Stage,
    graph: &mut LinkGraph<'_>,
    context: &mut PassContext<'_>,
) -> Result<(), LinkErrors> {
    for (name, pass) in pipeline.at(stage) {
        pass(graph, context).map_err(|reason| LinkError::Pass { pass: name.to_string(), reason })?;
    }
    Ok(())
}

fn run_layout_passes(pipeline: &Pipeline, graph: &mut LinkGraph<'_>, addresses: &Addresses) -> Result<(), LinkErrors> {
    let mut context = PassContext { block_addresses: Some(&addresses.blocks), memory: None };
    run_passes(pipeline, Stage::AfterLayout, graph, &mut context)?;
    run_passes(pipeline, Stage::BeforeFixup, graph, &mut context)
}

/// Finds the bytes of blocks in working memory for passes.
#[derive(Debug)]
struct FixedBytes<'m, 'w> {
    layout: &'m Layout,
    sizes: Vec<u64>,
    memory: &'m mut [(usize, WorkingMemory<'w>)],
}

impl pipeline::BlockMemory for FixedBytes<'_, '_> {
    fn bytes(&mut self, block: BlockId) -> Option<&mut [u8]> {
        let (segment, offset) = self.layout.place(block)?;
        let memory = self.memory.iter_mut().find(|(kind, _)| *kind == segment)?;
        memory.1.bytes.get_mut(offset as usize..(offset + self.sizes[block.index()]) as usize)
    }
}

fn run_memory_passes(
    pipeline: &Pipeline,
    graph: &mut LinkGraph<'_>,
    layout: &Layout,
    addresses: &Addresses,
    memory: &mut [(usize, WorkingMemory<'_>)],
) -> Result<(), LinkErrors> {
    if pipeline.at(Stage::AfterFixup).next().is_none() {
        return Ok(());
    }
    let sizes = graph.blocks().map(|(_, block)| block.size()).collect();
    let mut bytes = FixedBytes { layout, sizes, memory };
    let mut context = PassContext { block_addresses: Some(&addresses.blocks), memory: Some(&mut bytes) };
    run_passes(pipeline, Stage::AfterFixup, graph, &mut context)
}

/// The batch's reserved memory.
struct Memory {
    reservation: Box<dyn Reservation>,
    /// Which request each kind of segment became.
    request_of: [Option<usize>; KINDS.len()],
    starts: [Addr; KINDS.len()],
    region: AddrRange,
    /// The relocation that limits where the batch may lie, for errors.
    reserved: Vec<u64>,
}

impl Memory {
    fn reserve(
        executor: &dyn Executor,
        graph: &LinkGraph<'_>,
        demand: &lower::Demand,
        writable_slots: bool,
    ) -> Result<Memory, LinkErrors> {
        let mut extra = [0; KINDS.len()];
        extra[0] = demand.code;
        extra[if writable_slots { 2 } else { 1 }] = demand.slots + 16;
        let mut requests = layout::estimate(graph, extra)?;
        let mut request_of = [None; KINDS.len()];
        let mut next = 0;
        for (kind, request) in requests.iter().enumerate() {
            if request.size > 0 {
                request_of[kind] = Some(next);
                next += 1;
            }
        }
        requests.retain(|request| request.size > 0);
        let size = requests.iter().fold(0u64, |sum, request| sum.saturating_add(request.size));
        let reserved = requests.iter().map(|request| request.size).collect();
        let request = MemoryRequest { segments: requests, range: demand.range };
        let reservation = executor.reserve(&request).map_err(|error| {
            let why = demand.limited_by.map(|(block, index)| {
                format!("; the range is needed by {}", graph.site(block, &graph.edges(block)[index]))
            });
            LinkError::NoMemory {
                range: demand.range,
                size,
                reason: error.reason + &why.unwrap_or_default(),
                advice: match error.advice.is_empty() {
                    true => "link less at once, or compile with -fPIC so that any address will do".into(),
                    false => error.advice,
                },
            }
        })?;
        let starts = request_of.map(|request| request.map_or(Addr(0), |request| reservation.address(request)));
        let region = reservation.region();
        Ok(Memory { reservation, request_of, starts, region, reserved })
    }

    /// Fixes the final sizes, which the reservation bounds.
    fn resize(&mut self, layout: &Layout) -> Result<(), LinkErrors> {
        let mut sizes = vec![0; self.reserved.len()];
        for (kind, (size, _)) in layout.extent[..KINDS.len()].iter().enumerate() {
            match self.request_of[kind] {
                Some(request) if *size <= self.reserved[request] => sizes[request] = *size,
                None if *size == 0 => {}
                _ => {
                    let limit = self.request_of[kind].map_or(0, |request| self.reserved[request]);
                    return Err(LinkError::TooLarge { what: "what lowering added".into(), value: *size, limit }.into());
                }
            }
        }
        self.reservation.resize(&sizes).map_err(LinkError::from)?;
        Ok(())
    }

    /// The segments that have bytes, with their kinds.
    fn segments<'m>(&'m self, layout: &'m Layout) -> impl Iterator<Item = (usize, Segment)> + 'm {
        KINDS.iter().enumerate().filter_map(move |(kind, &(protection, residence))| {
            let size = layout.extent[kind].0;
            self.request_of[kind]?;
            (size > 0).then_some((kind, Segment { address: self.starts[kind], size, protection, residence }))
        })
    }

    /// The bytes of each segment, with its kind.
    fn working(&mut self) -> Vec<(usize, WorkingMemory<'_>)> {
        let mut kinds: Vec<usize> = (0..KINDS.len()).filter(|&kind| self.request_of[kind].is_some()).collect();
        kinds.sort_by_key(|&kind| self.request_of[kind]);
        kinds.into_iter().zip(self.reservation.working_memory()).collect()
    }
}
