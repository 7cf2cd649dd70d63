//! Layout: blocks to segments, and places in them. Addresses only, no memory.
//!
//! A batch has at most one segment for each pair of protection and residence. In a segment, sections keep their input order;
//! gathered sections of one name lie together; zeros come last, so that they need no bytes.

use super::lower::Islands;
use crate::addr::Addr;
use crate::error::LinkError;
use crate::executor::SegmentRequest;
use crate::graph::{BlockId, Content, LinkGraph, Protection, Residence, Role, Section, SectionId, Symbol, Value};
use crate::pages;
use hashbrown::{HashMap, HashSet};
use indexmap::IndexMap;
use rayon::prelude::*;
use rustc_hash::FxBuildHasher;

/// The segments that a batch can have, in the order in which they are requested.
pub(super) const KINDS: [(Protection, Residence); 6] = [
    (Protection::ReadExecute, Residence::Near),
    (Protection::Read, Residence::Near),
    (Protection::ReadWrite, Residence::Near),
    (Protection::ReadExecute, Residence::Far),
    (Protection::Read, Residence::Far),
    (Protection::ReadWrite, Residence::Far),
];

/// The segment of blocks that are not loaded: debug information, whose addresses start at zero.
pub(super) const UNLOADED: u8 = KINDS.len() as u8;
/// The segment of thread-local variables, whose addresses are offsets in the block that each thread has of its own.
pub(super) const THREAD_LOCAL: u8 = UNLOADED + 1;
/// How many kinds of segments there are.
const SEGMENTS: usize = KINDS.len() + 2;
/// The segment of blocks that are not live.
const NONE: u8 = u8::MAX;

/// How many symbols are worth a task.
const SYMBOLS: usize = 1 << 14;

/// Where everything goes, relative to the segments' starts.
#[derive(Debug)]
pub(super) struct Layout {
    /// Segment of each block.
    segment: Vec<u8>,
    /// Offset of each block in its segment.
    offset: Vec<u64>,
    /// The blocks of each kind of segment in ascending order.
    pub(super) order: [Vec<BlockId>; SEGMENTS],
    /// Size and alignment of each kind of segment.
    pub(super) extent: [(u64, u64); SEGMENTS],
    /// The sections without memory, one for each name, as they lie one after another: name, start, size.
    pub(super) unloaded: Vec<(Vec<u8>, u64, u64)>,
}

impl Layout {
    /// The segment and the offset of a live block.
    pub(super) fn place(&self, block: BlockId) -> Option<(usize, u64)> {
        let segment = self.segment[block.index()];
        (segment != NONE).then(|| (usize::from(segment), self.offset[block.index()]))
    }
}

/// An upper bound of each segment before slots and stubs exist, for reservations.
pub(super) fn estimate(graph: &LinkGraph<'_>, extra: [u64; KINDS.len()]) -> Result<Vec<SegmentRequest>, LinkError> {
    let mut extent = [(0u64, 1u64); KINDS.len()];
    for (segment, (size, _)) in extent.iter_mut().enumerate() {
        *size = extra[segment];
    }
    for (id, block) in graph.blocks() {
        let section = graph.section(block.section);
        if let (true, Some(kind)) = (graph.is_live(id), kind(section)) {
            let (size, align) = &mut extent[kind];
            *size = size
                .checked_add(block.size())
                .and_then(|size| size.checked_add(block.align() - 1))
                .ok_or_else(too_large)?;
            *align = (*align).max(block.align());
        }
    }
    let requests = KINDS.iter().zip(extent).map(|(&(protection, residence), (size, align))| {
        let align = if size > 0 { align.max(16) } else { 1 };
        SegmentRequest { protection, residence, size, align }
    });
    Ok(requests.collect())
}

fn too_large() -> LinkError {
    LinkError::TooLarge { what: "the batch's memory".into(), value: u64::MAX, limit: u64::MAX }
}

/// The kind of memory that a section is in, if the batch's own memory holds it.
fn kind(section: &Section<'_>) -> Option<usize> {
    if section.role == Role::ThreadLocal {
        return None;
    }
    let protection = match section.protection {
        Protection::ReadExecute => 0,
        Protection::Read => 1,
        Protection::ReadWrite => 2,
    };
    match section.residence {
        Residence::Near => Some(protection),
        Residence::Far => Some(protection + 3),
        Residence::Unloaded => None,
    }
}

/// Lays out all live blocks.
pub(super) fn lay_out(graph: &LinkGraph<'_>, islands: &Islands) -> Result<Layout, LinkError> {
    let count = graph.blocks.len();
    let mut layout = Layout {
        segment: vec![NONE; count],
        offset: vec![0; count],
        order: Default::default(),
        extent: [(0, 1); SEGMENTS],
        unloaded: Vec::new(),
    };
    for section in section_order(graph) {
        let section = graph.section(section);
        let segment = kind(section).unwrap_or(match section.role {
            Role::ThreadLocal => usize::from(THREAD_LOCAL),
            _ => usize::from(UNLOADED),
        });
        for block in section.blocks.clone().map(BlockId).filter(|&block| graph.is_live(block)) {
            layout.order[segment].push(block);
        }
    }
    for segment in 0..layout.order.len() {
        let is_zero = |block: &BlockId| matches!(graph.block(*block).content, Content::Zero(_));
        let run = |block: &BlockId| {
            let section = graph.section(graph.block(*block).section);
            section.gathered.then(|| section.run_name())
        };
        // Stable, so that gathered runs stay together: a run is all bytes or all zeros unless objects mix both, and then its
        // zeros are written out.
        let order = &layout.order[segment];
        let zeros: HashSet<&[u8], FxBuildHasher> =
            order.iter().filter(|block| is_zero(block)).filter_map(run).collect();
        let mixed: HashSet<&[u8], FxBuildHasher> = match zeros.is_empty() {
            true => zeros,
            false => {
                order.iter().filter(|block| !is_zero(block)).filter_map(run).filter(|run| zeros.contains(run)).collect()
            }
        };
        layout.order[segment].sort_by_key(|block| is_zero(block) && run(block).is_none_or(|run| !mixed.contains(run)));
        if !islands.after.is_empty() {
            let own = std::mem::take(&mut layout.order[segment]);
            let all: HashSet<BlockId> = islands.after.values().copied().collect();
            let code = own.into_iter().filter(|block| !all.contains(block));
            layout.order[segment] =
                code.flat_map(|block| [Some(block), islands.after.get(&block).copied()]).flatten().collect();
        }
        let (mut end, mut most) = (0u64, 1u64);
        for &block in &layout.order[segment] {
            let data = graph.block(block);
            let at = Addr(end).align_up(data.align()).ok_or_else(too_large)?.0;
            end = at.checked_add(data.size()).ok_or_else(too_large)?;
            most = most.max(data.align());
            layout.segment[block.index()] = segment as u8;
            layout.offset[block.index()] = at;
        }
        layout.extent[segment] = (end, most);
    }
    lay_out_unloaded(graph, &mut layout);
    Ok(layout)
}

/// Puts sections without memory together by name, because references into them count from the start of their name.
fn lay_out_unloaded(graph: &LinkGraph<'_>, layout: &mut Layout) {
    let unloaded = usize::from(UNLOADED);
    let mut by_name: IndexMap<&[u8], Vec<BlockId>, FxBuildHasher> = IndexMap::default();
    for &block in &layout.order[unloaded] {
        by_name.entry(graph.section(graph.block(block).section).name).or_default().push(block);
    }
    let mut end = 0u64;
    for (name, blocks) in &by_name {
        let start = end.next_multiple_of(16);
        end = start;
        for &block in blocks {
            end = end.next_multiple_of(graph.block(block).align().min(16));
            layout.offset[block.index()] = end;
            end += graph.block(block).size();
        }
        layout.unloaded.push((name.to_vec(), start, end - start));
    }
    layout.order[unloaded] = by_name.into_values().flatten().collect();
    layout.extent[unloaded].0 = end;
}

/// Sections in the order in which they are placed: input order, but gathered ones of a name together, where the first is, and
/// ordered ones in the order of what they are ordered by.
fn section_order(graph: &LinkGraph<'_>) -> Vec<SectionId> {
    let needs_sorting = graph.sections().any(|(_, section)| section.gathered || section.ordered_by.is_some());
    let all = (0..graph.sections.len()).map(SectionId::new);
    if !needs_sorting {
        return all.collect();
    }
    let mut first_of_name: HashMap<&[u8], u32, FxBuildHasher> = HashMap::default();
    let mut keyed: Vec<(u32, u32, u32, SectionId)> = all
        .map(|id| {
            let section = graph.section(id);
            if !section.gathered && section.ordered_by.is_none() {
                return (id.0, 0, 0, id);
            }
            let first = *first_of_name.entry(section.run_name()).or_insert(id.0);
            (first, section.sort_key, section.ordered_by.map_or(id.0, |other| other.0), id)
        })
        .collect();
    // The names of most sections are never looked at: only those of one run and one sort key.
    keyed.sort_unstable_by(|one, other| {
        let order = |key: &(u32, u32, u32, SectionId)| graph.section(key.3).run_order();
        let in_run = (one.0, one.1).cmp(&(other.0, other.1)).then_with(|| order(one).cmp(order(other)));
        in_run.then_with(|| (one.2, one.3).cmp(&(other.2, other.3)))
    });
    keyed.into_iter().map(|key| key.3).collect()
}

/// The addresses of all blocks and symbols.
#[derive(Debug)]
pub(super) struct Addresses {
    pub(super) blocks: Vec<Addr>,
    pub(super) symbols: Vec<u64>,
    /// The base of the image: the lowest address of the batch.
    pub(super) image: Addr,
}

/// Computes addresses from the segments' starts.
pub(super) fn addresses(graph: &LinkGraph<'_>, layout: &Layout, starts: &[Addr; KINDS.len()]) -> Addresses {
    let mut blocks: Vec<Addr> = pages::vector(layout.segment.len());
    let placed = |(&segment, &offset): (&u8, &u64)| match segment {
        NONE => Addr(0),
        UNLOADED => {
            let after = layout.unloaded.partition_point(|section| section.1 <= offset);
            Addr(offset - layout.unloaded[after - 1].1)
        }
        THREAD_LOCAL => Addr(offset),
        _ => starts[usize::from(segment)] + offset,
    };
    blocks.extend(layout.segment.iter().zip(&layout.offset).map(placed));
    let loaded = starts.iter().zip(&layout.extent).filter(|(_, extent)| extent.0 > 0);
    let image = loaded.map(|(&start, _)| start).min().unwrap_or_default();
    let mut symbols = pages::vector(graph.symbols.len());
    let address = |symbol: &Symbol<'_>| match symbol.value {
        // Debug information may name what was pruned; it becomes null.
        Value::Block { block, .. } if layout.segment[block.index()] == NONE => 0,
        Value::Block { block, offset } => (blocks[block.index()] + offset).0,
        Value::Absolute(address) => address,
        Value::Boundary { run, stop } => boundary(graph, &blocks, run, stop),
        Value::ImageBase => image.0,
        Value::Undefined | Value::Common { .. } => 0,
    };
    match graph.threads > 1 {
        true => symbols.par_extend(graph.symbols.par_iter().with_min_len(SYMBOLS).map(address)),
        false => symbols.extend(graph.symbols.iter().map(address)),
    }
    Addresses { blocks, symbols, image }
}

/// The lowest or one past the highest address of a run of gathered sections.
fn boundary(graph: &LinkGraph<'_>, addresses: &[Addr], run: u32, stop: bool) -> u64 {
    let members =
        graph.runs[run as usize].iter().flat_map(|&section| graph.section(section).blocks.clone().map(BlockId));
    let live = members.filter(|&block| graph.is_live(block));
    let address = |block: BlockId| addresses[block.index()];
    match stop {
        false => live.map(|block| address(block).0).min().unwrap_or(0),
        true => live.map(|block| (address(block) + graph.block(block).size()).0).max().unwrap_or(0),
    }
}
