//! Merging: equal strings and constants of the batch become one.
//!
//! A mergeable section says that nobody cares where an entry is, only what it holds. References say which entry they mean by
//! the symbol's value, or by value plus addend where the symbol is the section itself (gABI, "Section Attribute Flags",
//! SHF_MERGE). A pc-relative reference to the section itself has the distance to the next instruction mixed into its addend, so
//! it does not say which entry it means: sections with such references stay as they are.

use super::synthetic::Synthetic;
use crate::graph::{
    Block, BlockId, Content, Edge, LinkGraph, Merge, Protection, Residence, Section, Symbol, SymbolId, SymbolKind,
    Value,
};
use crate::reloc::{Base, Subject};
use hashbrown::{HashMap, HashTable};
use rayon::prelude::*;
use rustc_hash::{FxBuildHasher, FxHasher};
use std::ffi::CStr;
use std::hash::Hasher;
use std::ops::Range;

/// Which blocks may share entries.
type Key = (Merge, u8, Protection, Residence);

/// Where the entries of a block went: offset in the block, offset in the merged block. Sorted by the former.
type Moves = Vec<(u32, u32)>;

/// How many blocks are worth a task.
const BLOCKS: usize = 1 << 12;

/// How many symbols are.
const SYMBOLS: usize = 1 << 14;

/// Merges all live mergeable sections.
pub(super) fn merge(graph: &mut LinkGraph<'_>, synthetic: &mut Synthetic) {
    let Some(mut candidates) = candidates(graph) else { return };
    let by_section = exclude_unclear(graph, &mut candidates);
    if candidates.is_empty() {
        return;
    }
    let mut members: Vec<(Key, Vec<BlockId>)> = Vec::new();
    let mut number_of_key: HashMap<Key, usize, FxBuildHasher> = HashMap::default();
    for (id, key) in candidates {
        let number = *number_of_key.entry(key).or_insert_with(|| {
            members.push((key, Vec::new()));
            members.len() - 1
        });
        members[number].1.push(id);
    }
    let pool = |(key, blocks): &(Key, Vec<BlockId>)| Pool::of(graph, *key, blocks);
    let pools: Vec<(Pool, Vec<Moves>)> = match graph.threads > 1 {
        true => members.par_iter().map(pool).collect(),
        false => members.iter().map(pool).collect(),
    };
    let mut moves: Vec<Option<(usize, Moves)>> = vec![None; graph.blocks.len()];
    let mut merged: Vec<(BlockId, SymbolId)> = Vec::new();
    for (((_, align_log2, protection, residence), blocks), (pool, moved)) in members.into_iter().zip(pools) {
        for (id, moved) in blocks.into_iter().zip(moved) {
            moves[id.index()] = Some((merged.len(), moved));
            graph.live[id.index()] = false;
        }
        let mut section = Section::new(b".merged", synthetic.object(graph));
        (section.protection, section.residence) = (protection, residence);
        let block = synthetic.add(graph, section, Content::Owned(pool.bytes.into()), align_log2);
        merged.push((block, synthetic.symbol(graph, block, 0)));
    }
    retarget(graph, &by_section, &moves, &merged);
}

/// Points symbols, and edges that mean an entry by its place in a section, to the merged blocks.
fn retarget(
    graph: &mut LinkGraph<'_>,
    by_section: &[usize],
    moves: &[Option<(usize, Moves)>],
    merged: &[(BlockId, SymbolId)],
) {
    // Edges first: they need to know where the section symbols pointed.
    for &index in by_section {
        let Edge { target, addend, .. } = graph.edges[index];
        let Value::Block { block: old, offset } = graph.symbols[target.index()].value else { continue };
        let Some(Some((pool, moves))) = moves.get(old.index()) else { continue };
        let entry = moved(moves, offset.wrapping_add(addend as u64));
        let edge = &mut graph.edges[index];
        (edge.target, edge.addend) = (merged[*pool].1, entry as i64);
    }
    let retarget = |symbol: &mut Symbol<'_>| {
        if let Value::Block { block, offset } = symbol.value
            && let Some(Some((pool, moves))) = moves.get(block.index())
        {
            symbol.value = Value::Block { block: merged[*pool].0, offset: moved(moves, offset) };
        }
    };
    match graph.threads > 1 {
        true => graph.symbols.par_iter_mut().with_min_len(SYMBOLS).for_each(retarget),
        false => graph.symbols.iter_mut().for_each(retarget),
    }
}

fn moved(moves: &Moves, offset: u64) -> u64 {
    let after = moves.partition_point(|&(old, _)| u64::from(old) <= offset);
    let (old, new) = moves[after.saturating_sub(1)];
    u64::from(new).wrapping_add(offset.wrapping_sub(u64::from(old)))
}

/// The live blocks that can be split into entries.
fn candidates(graph: &LinkGraph<'_>) -> Option<Vec<(BlockId, Key)>> {
    let mut found = Vec::new();
    for (_, section) in graph.sections() {
        let Some(kind) = section.merge else { continue };
        let (Merge::Constants(size) | Merge::Strings(size)) = kind;
        if !section.is_loaded() || section.retain || section.gathered || section.protection != Protection::Read {
            continue;
        }
        for id in section.blocks.clone().map(BlockId) {
            let block = graph.block(id);
            if graph.is_live(id) && is_splittable(block, kind, size as usize) {
                found.push((id, (kind, block.align_log2, section.protection, section.residence)));
            }
        }
    }
    (!found.is_empty()).then_some(found)
}

fn is_splittable(block: &Block<'_>, kind: Merge, entry: usize) -> bool {
    let bytes = block.content.bytes();
    let whole =
        !bytes.is_empty() && entry > 0 && bytes.len().is_multiple_of(entry) && bytes.len() < u32::MAX as usize / 2;
    let terminated = || bytes[bytes.len() - entry..].iter().all(|&byte| byte == 0);
    let aligned = matches!(kind, Merge::Strings(_)) || (entry as u64).is_multiple_of(block.align());
    whole && block.edge_count == 0 && aligned && (matches!(kind, Merge::Constants(_)) || terminated())
}

/// Leaves out blocks with references that do not say which entry they mean. The edges that mean entries of candidates by their
/// place in the section.
fn exclude_unclear(graph: &LinkGraph<'_>, candidates: &mut Vec<(BlockId, Key)>) -> Vec<usize> {
    let mut is_candidate = vec![false; graph.blocks.len()];
    candidates.iter().for_each(|(id, _)| is_candidate[id.index()] = true);
    // Few symbols stand for such sections, and most edges are those of others: they are told apart without a look at the symbols.
    let candidate = |symbol: &Symbol<'_>| match (symbol.kind, symbol.value) {
        (SymbolKind::Section, Value::Block { block, .. }) => is_candidate[block.index()],
        _ => false,
    };
    let stands_for_candidate: Vec<bool> = graph.symbols.iter().map(candidate).collect();
    let look = |blocks: Range<usize>| {
        let (mut by_section, mut unclear) = (Vec::new(), Vec::new());
        for id in blocks.map(BlockId::new).filter(|&id| graph.is_live(id)) {
            for index in graph.block(id).edge_range() {
                let edge = &graph.edges[index];
                if !stands_for_candidate[edge.target.index()] {
                    continue;
                }
                let Value::Block { block: target, offset } = graph.symbol(edge.target).value else { continue };
                by_section.push(index);
                let size = graph.block(target).size();
                let inside = offset.checked_add_signed(edge.addend).is_some_and(|at| at < size);
                // Only an address means the entry at the addend: a size or a slot means the section as a whole.
                let is_address = matches!(edge.subject, Subject::Symbol | Subject::Nothing);
                let row = graph.rows.row(edge.row);
                if !inside || !is_address || row.base() != Base::Zero {
                    unclear.push(target);
                }
            }
        }
        (by_section, unclear)
    };
    let count = graph.blocks.len();
    let parts: Vec<_> = match graph.threads > 1 {
        true => {
            let starts = (0..count).into_par_iter().step_by(BLOCKS);
            starts.map(|start| look(start..count.min(start + BLOCKS))).collect()
        }
        false => vec![look(0..count)],
    };
    let (mut by_section, mut unclear) = (Vec::new(), vec![false; count]);
    for (some, wrong) in parts {
        by_section.extend(some);
        wrong.into_iter().for_each(|block: BlockId| unclear[block.index()] = true);
    }
    candidates.retain(|(id, _)| !unclear[id.index()]);
    by_section
}

/// The entries of merged blocks of one key.
#[derive(Default)]
struct Pool {
    bytes: Vec<u8>,
    /// Ranges of `bytes`, found by what they hold.
    entries: HashTable<(u32, u32, u64)>,
}

impl Pool {
    /// The entries of blocks, in their order, and where those of each went.
    fn of(graph: &LinkGraph<'_>, key: Key, blocks: &[BlockId]) -> (Pool, Vec<Moves>) {
        let content = |id: &BlockId| graph.block(*id).content.bytes();
        let split = |id: &BlockId| split(content(id), key.0);
        let entries: Vec<Vec<Entry>> = match graph.threads > 1 {
            true => blocks.par_iter().map(split).collect(),
            false => blocks.iter().map(split).collect(),
        };
        let mut pool = Pool::default();
        let moves = blocks.iter().zip(entries).map(|(id, entries)| pool.add(content(id), &entries, key)).collect();
        (pool, moves)
    }

    fn add(&mut self, bytes: &[u8], split: &[Entry], (_, align_log2, ..): Key) -> Moves {
        self.bytes.reserve(bytes.len());
        if self.entries.is_empty() {
            // Compilers have merged what one object holds.
            self.entries.reserve(split.len(), |known| known.2);
        }
        let mut start = 0;
        let moved = split.iter().map(|entry| {
            let end = start + entry.length as usize;
            let at = self.intern(&bytes[start..end], entry.hash, 1 << align_log2);
            let from = std::mem::replace(&mut start, end);
            (from as u32, at)
        });
        moved.collect()
    }

    fn intern(&mut self, entry: &[u8], hash: u64, align: usize) -> u32 {
        let Pool { bytes, entries } = self;
        let same = |&(at, length, _): &(u32, u32, u64)| &bytes[at as usize..(at + length) as usize] == entry;
        if let Some(&(at, ..)) = entries.find(hash, same) {
            return at;
        }
        bytes.resize(bytes.len().next_multiple_of(align), 0);
        let at = bytes.len() as u32;
        bytes.extend_from_slice(entry);
        entries.insert_unique(hash, (at, entry.len() as u32, hash), |known| known.2);
        at
    }
}

/// An entry of a block, after the one before it.
struct Entry {
    length: u32,
    /// Of its bytes.
    hash: u64,
}

/// The entries that a block consists of.
fn split(bytes: &[u8], kind: Merge) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let length = match kind {
            Merge::Constants(size) => size as usize,
            Merge::Strings(size) => string_length(rest, size as usize),
        };
        let (entry, after) = rest.split_at(length);
        let mut hasher = FxHasher::default();
        hasher.write(entry);
        entries.push(Entry { length: length as u32, hash: hasher.finish() });
        rest = after;
    }
    entries
}

/// The length of the string at the start of `bytes`, terminator included. The last one is known to be terminated.
fn string_length(bytes: &[u8], character: usize) -> usize {
    if character == 1 {
        // The search for the end of a C string is faster than one byte by byte.
        return CStr::from_bytes_until_nul(bytes).map_or(bytes.len(), |text| text.count_bytes() + 1);
    }
    let end = bytes.chunks_exact(character).position(|unit| unit.iter().all(|&byte| byte == 0));
    end.map_or(bytes.len(), |end| (end + 1) * character)
}
