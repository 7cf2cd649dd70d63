//! One relocatable object from a batch: read, resolve, prune if asked, and hand the graph to its format for writing.
//!
//! What only a link that is the last one may decide stays open: names that nothing defines, names that the linker provides,
//! ends of runs of sections, the memory of common symbols, and whether equal strings become one. COMDAT groups stay groups,
//! because the next link may bring more copies.

use super::eh_frame::{self, Ending};
use super::options::{LinkOptions, Roots};
use super::pipeline::{PassContext, Stage};
use super::synthetic::Synthetic;
use super::{collected, command_line, first_member, prune, read, resolve, run_passes};
use crate::error::{LinkError, LinkErrors};
use crate::format::{Relocatable, VisibleName};
use crate::graph::{LinkGraph, SymbolId, Value};
use crate::input::Input;
use crate::registry::Registry;

/// Links objects, and the archive members that they need, into the bytes of one relocatable object.
///
/// Names are resolved among the inputs; what they do not define stays a reference, unless [`LinkOptions::defines`] gives it an
/// address. With [`Roots::Exported`] everything is kept; other roots keep what they need. Of the caller's passes those of
/// [`Stage::BeforePrune`] and [`Stage::BeforeWrite`] run, of the architecture's the latter. The result depends on inputs and options alone, and writing it again gives the same bytes.
///
/// Fails with all that is wrong with the inputs, and if the format cannot express the result.
pub fn relocatable(registry: &Registry, inputs: &[Input], options: &LinkOptions) -> Result<Vec<u8>, LinkErrors> {
    let threads = options.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).max(1);
    match options.threads {
        Some(count) if count > 1 => {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build();
            let pool = pool.map_err(|error| LinkError::Request(format!("cannot start {count} threads: {error}")))?;
            pool.install(|| combine(registry, inputs, options, threads))
        }
        _ => combine(registry, inputs, options, threads),
    }
}

fn combine(
    registry: &Registry,
    inputs: &[Input],
    options: &LinkOptions,
    threads: usize,
) -> Result<Vec<u8>, LinkErrors> {
    let files = typed_arena::Arena::new();
    let objects = read::ObjectReader { registry, keep_debug: options.keep_debug };
    let reader = read::Reader { objects, files: &files, threads };
    let (sources, mut archives) = reader.classify(inputs)?;
    let first = match sources.first() {
        Some(first) => first.clone(),
        None => first_member(&reader, &archives)?,
    };
    let batch = objects.target(&first, &sources)?;
    let header = batch.format.header(&first.name, first.bytes)?;
    let mut graph = objects.empty(&batch);
    let roots = command_line(&mut graph, options);
    reader.read(&mut graph, &batch, &sources, &mut |_| ())?;
    let mut names = resolve::Names::default();
    names.complete(&mut graph, &reader, &batch, &mut archives)?;
    names.settle_within(&mut graph, options)?;

    let mut nothing = PassContext { block_addresses: None, memory: None };
    run_passes(&options.pipeline, Stage::BeforePrune, &mut graph, &mut nothing)?;
    let is_defined = |&root: &SymbolId| graph.symbol(graph.canonical(root)).is_defined();
    let prunes = match &options.roots {
        Roots::Exported => false,
        Roots::Named(_) => {
            LinkErrors::check(
                roots.iter().filter(|root| !is_defined(root)).map(|&root| missing(&graph, root)).collect(),
            )?;
            true
        }
        Roots::IfDefined(_) => roots.iter().any(is_defined),
    };
    // Nobody asks why something is live.
    let mut causes = ();
    let marked = if prunes { prune::prune } else { prune::keep_all };
    marked(&mut graph, options, &roots, &mut causes).map_err(collected)?;
    let mut pipeline = options.pipeline.clone();
    graph.target.arch.add_passes(&mut pipeline);
    run_passes(&pipeline, Stage::BeforeWrite, &mut graph, &mut nothing)?;
    eh_frame::combine_to(&mut graph, &mut Synthetic::default(), Ending::Open).map_err(collected)?;
    let names = written(&graph, names.visible(&graph), prunes);
    LinkErrors::check(names.iter().filter_map(|name| alias_of_nothing(&graph, name)).collect())?;
    batch.format.write(&Relocatable { header, graph: &graph, names })
}

/// The names that the object has: what is live, what live code refers to, and, if nothing was pruned, all that anything asked
/// for, because a mere reference brings in an archive's member.
fn written<'a>(graph: &LinkGraph<'a>, mut names: Vec<VisibleName<'a>>, prunes: bool) -> Vec<VisibleName<'a>> {
    let mut referenced = vec![!prunes; graph.symbols.len()];
    if prunes {
        for (block, _) in graph.blocks().filter(|(block, _)| graph.is_live(*block)) {
            graph.edges(block).iter().for_each(|edge| referenced[graph.canonical(edge.target).index()] = true);
        }
    }
    // The command line asks for names, but it is no part of the object.
    let asks = |symbol: SymbolId| graph.symbol(symbol).object.index() == 0;
    let mut referred_to = vec![false; graph.symbols.len()];
    for (id, symbol) in graph.symbols().filter(|(_, symbol)| symbol.object.index() != 0) {
        referred_to[graph.canonical(id).index()] |= !symbol.name.is_empty();
    }
    names.retain(|name| match graph.symbol(name.symbol).value {
        Value::Block { block, .. } => graph.is_live(block) || is_unwind(graph, name.symbol),
        Value::Undefined if asks(name.symbol) => referenced[name.symbol.index()] && referred_to[name.symbol.index()],
        _ => referenced[name.symbol.index()],
    });
    names
}

/// Whether a name was defined in unwind records, which were put together anew: the format refuses it by name.
fn is_unwind(graph: &LinkGraph<'_>, symbol: SymbolId) -> bool {
    let Value::Block { block, .. } = graph.symbol(symbol).value else { return false };
    graph.section(graph.block(block).section).role == crate::graph::Role::EhFrame
}

/// A second name for what is not there, which no object can say.
fn alias_of_nothing(graph: &LinkGraph<'_>, name: &VisibleName<'_>) -> Option<LinkError> {
    let symbol = graph.symbol(name.symbol);
    let nothing = !symbol.is_defined() && symbol.name != name.name;
    nothing.then(|| LinkError::Request(format!("--alias {}={}: nothing here defines {1}", name.name, symbol.name)))
}

fn missing(graph: &LinkGraph<'_>, root: SymbolId) -> LinkError {
    LinkError::Undefined {
        symbol: graph.symbol(root).name.to_string(),
        references: Vec::new(),
        total: 0,
        advice: "add the object or archive that defines it".into(),
    }
}
