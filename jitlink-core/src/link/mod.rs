//! The phases of a link, in order.
//!
//! [`link`] reads like the list of phases: read, resolve, prune, lower, lay out, fix up, finalize. Each phase works on the
//! whole batch before the next begins. Errors of a phase are collected; a phase with errors is the last one, and nothing that
//! was linked before is touched.

mod debug;
mod eh_frame;
mod entries;
mod externals;
mod finish;
mod fixup;
mod function_tables;
mod groups;
mod indirect;
mod layout;
mod lazy;
mod linked;
mod lower;
mod memory;
mod merge;
mod name_table;
mod observe;
mod options;
mod pipeline;
mod prune;
mod read;
mod relocatable;
mod resolve;
mod resolver;
mod runs;
mod short_rows;
mod synthetic;
mod thread_locals;
mod update;

pub use linked::{Export, Exports, LinkMap, Linked, MapObject, MapSection, MapSymbol, Segment, Statistics};
pub use observe::{ArchiveMember, Cause, Change, Liveness, Observer, Placement, Reason, Rewrite, Slot, Stub};
pub use options::{LinkOptions, Roots, Unresolved};
pub use pipeline::{Pass, PassContext, Pipeline, Stage};
pub use relocatable::relocatable;
pub use resolver::{Definition, Existing, ImportedName, NoSymbols, Resolver};
pub(crate) use thread_locals::Outside;
pub use thread_locals::{ThreadLocalPlace, ThreadLocals};
pub use update::{Baseline, Changes, PointerChange, Update, update};

use crate::addr::Addr;
use crate::error::{LinkError, LinkErrors};
use crate::executor::{Action, Executor, WorkingMemory};
use crate::graph::{BlockId, LinkGraph, ObjectBuilder, Symbol, SymbolId, Value};
use crate::input::Input;
use crate::registry::Registry;
use crate::reloc::Subject;
use function_tables::FunctionTable;
use indirect::Indirect;
use layout::{Addresses, Layout, UNLOADED};
use lazy::Trampoline;
use memory::Memory;
use std::sync::OnceLock;
use std::time::Instant;
use synthetic::Synthetic;
use update::{Placed, Tracker};

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
    in_pool(options, |threads| {
        let batch = Batch { registry, executor, resolver, options, threads };
        batch.link(inputs, None).map(|(linked, _)| linked)
    })
}

/// Runs a link on as many threads as its options say, which it is told.
fn in_pool<T: Send>(
    options: &LinkOptions,
    link: impl FnOnce(usize) -> Result<T, LinkErrors> + Send,
) -> Result<T, LinkErrors> {
    let threads = options.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).max(1);
    match options.threads {
        // A pool of its own where the caller counts threads; the shared one otherwise. Its threads end before this returns.
        Some(count) if count > 1 => {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(count);
            let linked = pool.build_scoped(|thread| thread.run(), |pool| pool.install(|| link(threads)));
            linked.map_err(|error| LinkError::Request(format!("cannot start {count} threads: {error}")))?
        }
        _ => link(threads),
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
        match self.statistics.phases.iter_mut().find(|phase| phase.0 == name) {
            Some(phase) => phase.1 += took,
            None => self.statistics.phases.push((name, took)),
        }
    }
}

impl Batch<'_> {
    /// Links the inputs; with a baseline, as an update of the module that it describes.
    fn link(&self, inputs: &[Input], baseline: Option<&Baseline>) -> Result<(Linked, Option<Changes>), LinkErrors> {
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
        let batch = objects.target(&first, &sources)?;
        self.executor.accept(&batch.target).map_err(LinkError::from)?;
        self.resolver.begin(&batch.target);
        let mut graph = objects.empty(&batch);
        let roots = command_line(&mut graph, options);
        let read = reader.read(&mut graph, &batch, &sources, &mut |_| ());
        clock.phase("read");

        // Resolve names within the batch.
        let mut names = resolve::Names::default();
        names.reserve(graph.symbols.len() / 2);
        let read = read.and_then(|()| names.complete(&mut graph, &reader, &batch, &mut archives));
        if let Some(observer) = &options.observer {
            observer.read(&graph, &names.members(&archives));
        }
        read?;
        let mut pipeline = options.pipeline.clone();
        graph.target.arch.add_passes(&mut pipeline);
        let mut nothing = PassContext { block_addresses: None, memory: None };
        let mut lookup = externals::LookUp::new(self.resolver, options);
        let (mut synthetic, tracker, needed) = loop {
            let unsettled = self.resolver.supplies_objects().then(|| graph.clone());
            let mut synthetic = Synthetic::default();
            if let Some(baseline) = baseline {
                baseline.discard_copies(&mut graph).map_err(collected)?;
            }
            names.settle(&mut graph, (self.resolver, self.executor), options, &batch, &mut synthetic)?;
            clock.phase("resolve");

            // What updates need to know of the objects, and what of an update's objects stands already.
            let tracker = match options.updatable {
                true => Some(Tracker::new(&mut graph, baseline).map_err(collected)?),
                false => None,
            };

            // Prune what nothing needs, then find what the rest needs from outside.
            run_passes(&pipeline, Stage::BeforePrune, &mut graph, &mut nothing)?;
            let mut needed = prune(&mut graph, options, &roots)?;
            if let Some(tracker) = &tracker {
                tracker.check_runs(&graph).map_err(collected)?;
                if baseline.is_some() {
                    update::check_image(&graph).map_err(collected)?;
                }
                needed = tracker.resolve(&mut graph, needed);
            }
            clock.phase("prune");
            let joining = lookup.ask(&graph, &needed)?;
            clock.phase("look up");
            match unsettled {
                // What was decided without the objects that join is decided anew.
                Some(unsettled) if !joining.is_empty() => graph = unsettled,
                _ => break (synthetic, tracker, needed),
            }
            externals::join(joining, &mut graph, &mut names, (&reader, &batch), &mut archives)?;
            clock.phase("read");
        };
        let trampolines = lookup.define(&mut graph, &mut synthetic, self.executor, &needed)?;
        clock.phase("look up");
        run_passes(&pipeline, Stage::AfterPrune, &mut graph, &mut nothing)?;

        // Merge, reserve memory, and lower what needs more than an address.
        let entries = match &tracker {
            Some(_) => entries::insert(&mut graph, &mut synthetic, |name| baseline?.entry(name))?,
            None => Vec::new(),
        };
        let needed = roots.iter().copied().chain(entries.iter().map(|entry| entry.code));
        let indirect = indirect::insert(&mut graph, &mut synthetic, self.executor, needed)?;
        if tracker.is_none() {
            // A part that others share could not be replaced.
            merge::merge(&mut graph, &mut synthetic);
        }
        let eh_frame = eh_frame::combine(&mut graph, &mut synthetic).map_err(collected)?;
        clock.phase("merge");
        let unlowered = observe::unexplained(&graph, options.observer.is_some());
        let survey = lower::Survey::new(&mut graph);
        let demand = lower::demand(&graph, &survey);
        let memory = Memory::reserve(self.executor, &graph, &demand)?;
        let fixed = thread_locals::can_be_fixed(self.executor, &graph);
        let mut lowered =
            lower::lower(&mut graph, &mut synthetic, (memory.region, fixed), &survey).map_err(collected)?;
        lowered.stubs.extend(trampolines.iter().map(Trampoline::stub).chain(indirect.iter().map(Indirect::stub)));
        if tracker.is_some() {
            thread_locals::check_updatable(&graph, &lowered.thread_locals)?;
        }
        clock.phase("lower");

        // Lay out.
        let layout = lower::insert_thunks(&mut graph, &mut synthetic, &mut lowered.stubs)?;
        let mut memory = memory.fit(self.executor, &layout)?;
        let addresses = layout::addresses(&graph, &layout, &memory.starts);
        run_layout_passes(&pipeline, &mut graph, &addresses)?;
        if let Some(observer) = &options.observer {
            let (lowered, addresses) = (&lowered, &addresses);
            let region = memory.region;
            let explainer = lower::Explainer { graph: &graph, before: &unlowered, lowered, addresses, region };
            let (slots, stubs, rewrites) = (explainer.slots(), explainer.stubs(), explainer.rewrites());
            let segments = memory.segments(&layout).map(|(_, segment)| segment).collect();
            observer.placed(&graph, &Placement { segments, slots, stubs, rewrites, region, addresses });
        }
        clock.phase("lay out");

        // Fix up.
        let got = lowered.got.or(graph.got.filter(|&got| graph.is_live(got)));
        let got = got.map_or(0, |got| (addresses.blocks[got.index()] + graph.target.arch.info().got_base_bias()).0);
        let mut unloaded = vec![0; layout.extent[usize::from(UNLOADED)].0 as usize];
        let wants_file = self.executor.wants_debug_file();
        let shows_debug = options.keep_debug && (wants_file || self.executor.wants_description());
        let functions = FunctionTable::find(&graph, &layout, &addresses)?;
        let mut unwind = None;
        let thread_locals;
        {
            let (layout, addresses, image) = (&layout, &addresses, addresses.image.0);
            let before = fixup::Context {
                graph: &graph,
                layout,
                addresses,
                format: batch.format,
                got,
                image,
                thread_locals: None,
                runs: OnceLock::new(),
                is_debugged: shows_debug && wants_file,
            };
            let (numbers, own) = thread_locals::bind(self.executor, &before, &lowered.thread_locals)?;
            thread_locals = own;
            let context = fixup::Context { thread_locals: Some(&numbers), ..before };
            let mut working = memory.working();
            working.push((usize::from(UNLOADED), WorkingMemory { bytes: &mut unloaded, zeroed: true }));
            fixup::fix_up(&context, &mut working, self.threads).map_err(collected)?;
            if let Some(table) = &functions {
                table.sort(&mut working, graph.target.endian);
            }
            run_memory_passes(&pipeline, &mut graph, layout, addresses, &mut working)?;
            if let Some(block) = eh_frame.filter(|_| shows_debug) {
                let bytes = debug::content(&graph, layout, &working, block);
                unwind = Some((addresses.blocks[block.index()], bytes));
            }
        }
        clock.phase("fix up");

        // Finalize.
        let segments: Vec<Segment> = memory.segments(&layout).map(|(_, segment)| segment).collect();
        let handle = graph.handle.filter(|&block| graph.is_live(block)).map(|block| addresses.blocks[block.index()]);
        // Batches that do not refer to their handle still need one, and any address of theirs will do.
        let handle = handle.or(segments.first().map(|segment| segment.address)).unwrap_or_default();
        let handle = baseline.map_or(handle, Baseline::handle);
        let describe = || {
            let spans = segments.iter().map(|segment| (segment.address, segment.size)).collect();
            let wanted = self.executor.wants_description();
            wanted.then(|| Action::Describe(finish::describe(&graph, &addresses, spans, handle)))
        };
        let export = || finish::exports(&graph, &names, &addresses);
        let (described, exports) =
            if self.threads > 1 { rayon::join(describe, export) } else { (describe(), export()) };
        let mut actions = Vec::from_iter(described);
        if let Some(block) = eh_frame {
            let (address, size) = (addresses.blocks[block.index()], graph.block(block).size());
            actions.push(Action::RegisterEhFrame { address, size });
        }
        // An executor whose functions are called otherwise does not unwind either.
        if let Some(table) = functions.filter(|_| self.executor.calls_as(&graph.target)) {
            actions.push(table.action(addresses.image));
        }
        if !trampolines.is_empty() {
            let slots = trampolines.into_iter().map(|trampoline| trampoline.at(&addresses));
            actions.push(Action::LinkOnCall(slots.collect()));
        }
        let (slots, used): (Vec<_>, Vec<_>) = indirect.into_iter().map(|function| function.at(&addresses)).unzip();
        let used = slots.iter().zip(used).filter(|(_, used)| *used).map(|(indirect, _)| indirect.slot).collect();
        if !slots.is_empty() {
            actions.push(Action::ResolveOnCall(slots));
        }
        let debug_sections = debug::sections(&layout, &unloaded);
        if shows_debug {
            let header = batch.format.header(&first.name, first.bytes)?;
            let finished = debug::Finished {
                batch: &batch,
                header,
                graph: &graph,
                entries: &entries,
                addresses: &addresses,
                segments: &segments,
                unwind,
                sections: &debug_sections,
                wants_file,
            };
            finished.describe(&mut actions)?;
        }
        let allocation = memory.finalize(actions).map_err(LinkError::from)?;
        let statistics = &mut clock.statistics;
        // Those that came from a file.
        statistics.objects = graph.objects.iter().filter(|object| !object.path.is_empty()).count();
        statistics.blocks = (graph.blocks.len(), graph.live.iter().filter(|&&live| live).count());
        statistics.symbols = graph.symbols.len();
        statistics.relocations = graph.edges.len();
        statistics.warnings = std::mem::take(&mut graph.warnings);
        let new_entries = entries.iter().filter(|entry| entry.slot.is_some()).count();
        (statistics.slots, statistics.stubs) = (lowered.slots.len() + new_entries, lowered.stubs.len() + new_entries);
        if tracker.is_some() {
            // Not left to the first update, which is to take no time for what stays.
            exports.table();
        }
        let root_address = |&root: &SymbolId| {
            let canonical = graph.canonical(root);
            let value = graph.symbol(canonical).value;
            (!matches!(value, Value::Undefined | Value::Absolute(0)))
                .then(|| Addr(addresses.symbols[canonical.index()]))
        };
        let placed = Placed { graph: &graph, addresses: &addresses, entries: &entries, handle };
        let (mut baseline_made, mut changes) = (None, None);
        match (&tracker, baseline) {
            (Some(tracker), Some(baseline)) => changes = Some(tracker.changes(&placed, baseline.next_allocation())),
            (Some(tracker), None) => baseline_made = Some(tracker.baseline(&placed)),
            (None, _) => {}
        }
        let linked = Linked {
            baseline: baseline_made,
            allocation,
            target: graph.target,
            thread_locals,
            segments,
            exports,
            roots: roots.iter().map(root_address).collect(),
            indirect: used,
            initialisers: finish::arrays(&graph, &addresses, false),
            finalisers: finish::arrays(&graph, &addresses, true),
            handle,
            debug: debug_sections,
            map: options.map.then(|| finish::map(&graph, &addresses, &lowered)),
            statistics: Statistics::default(),
        };
        clock.phase("finalize");
        Ok((Linked { statistics: clock.statistics, ..linked }, changes))
    }
}

/// Prunes, and tells who looks on.
fn prune(graph: &mut LinkGraph<'_>, options: &LinkOptions, roots: &[SymbolId]) -> Result<Vec<SymbolId>, LinkErrors> {
    let Some(observer) = &options.observer else {
        return prune::prune(graph, options, roots, &mut ()).map_err(collected);
    };
    observer.resolved(graph);
    let mut liveness = Liveness::default();
    let needed = prune::prune(graph, options, roots, &mut liveness);
    observer.pruned(graph, &liveness);
    needed.map_err(collected)
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
    let mut errors = Vec::new();
    for (name, pass) in pipeline.at(stage) {
        pass(graph, context).map_err(|reason| LinkError::Pass { pass: name.to_string(), reason })?;
        match stage {
            // Symbols that a pass adds stand for themselves.
            Stage::BeforePrune => {
                graph.canonical.extend((graph.canonical.len()..graph.symbols.len()).map(SymbolId::new));
            }
            Stage::AfterPrune | Stage::AfterLayout | Stage::BeforeFixup => dangling(name, graph, &mut errors),
            // Files may say what only the next link will find.
            Stage::AfterFixup | Stage::BeforeWrite => {}
        }
        LinkErrors::check(std::mem::take(&mut errors))?;
    }
    Ok(())
}

/// Edges that a pass pointed at what is not there: pruned, or never looked up.
fn dangling(pass: &str, graph: &LinkGraph<'_>, errors: &mut Vec<LinkError>) {
    for (block, data) in graph.blocks() {
        if !graph.is_live(block) || !graph.section(data.section).is_loaded() {
            continue;
        }
        for edge in graph.edges(block).iter().filter(|edge| edge.subject != Subject::Nothing) {
            let what = match graph.symbol(edge.target).value {
                Value::Block { block: target, .. } if !graph.is_live(target) => "was pruned",
                Value::Undefined => "is not defined",
                _ => continue,
            };
            let reason = format!("{}, which {what}; retain it before pruning", graph.site(block, edge));
            errors.push(LinkError::Pass { pass: pass.into(), reason });
        }
    }
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
