//! The link graph: what the objects of one batch hold, in flat vectors addressed by typed ids.
//!
//! An *object* owns a range of *sections* and of *symbols*, a section owns a range of *blocks*, a block owns a range of
//! *edges*. A block is the unit that layout moves and pruning removes; an edge is a relocation still to be applied.
//!
//! Invariants, kept by [`builder::ObjectBuilder`] and relied on by every phase:
//! - the ranges of neighbours are adjacent and in order, so "all edges of an object" is a range too;
//! - an edge's field lies inside its block, and its row exists in the graph's table;
//! - ids in edges, symbols, dependencies and groups exist;
//! - names and borrowed content live as long as the input (`'a`).

pub mod block;
pub mod builder;
pub mod edge;
pub mod ids;
pub mod import;
pub mod section;
pub mod split;
pub mod symbol;
pub(crate) mod unwind;

pub use block::{Block, Content};
pub use builder::ObjectBuilder;
pub use edge::Edge;
pub use ids::{BlockId, GroupId, ObjectId, SectionId, SymbolId};
pub use import::{ExportName, Import, ImportLibrary};
pub use section::{Group, InitStage, Initialisers, Merge, Protection, Residence, Role, Section, Selection};
pub use split::{LocalReference, Split};
pub use symbol::{Linkage, Name, Scope, Symbol, SymbolKind, Value};

use crate::addr::Addr;
use crate::arch::Target;
use crate::error::{LinkError, Site};
use crate::pages;
use crate::reloc::RowTable;
use hashbrown::{HashMap, HashSet};
use std::fmt;
use std::ops::Range;

/// One input object of a batch.
#[derive(Clone, Debug)]
pub struct Object {
    /// How errors and maps call it: the file's path, with the member in parentheses where it came out of an archive.
    pub name: String,
    /// The path or archive path it was read from.
    pub path: String,
    /// What else the format was told of it, in a form of the format's own: for writing it back.
    pub origin: u64,
    pub(crate) sections: Range<u32>,
    pub(crate) symbols: Range<u32>,
}

/// What a name means if no object defines it: weaker than any definition of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// A reference to the name.
    pub name: SymbolId,
    /// What it means then.
    pub target: SymbolId,
    /// A reference that must be defined if the name means that, and is looked for in archives only then.
    pub needs: Option<SymbolId>,
}

/// Something that an object says of itself, and that must be the same in all objects of a batch that say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement<'a> {
    /// The object.
    pub object: ObjectId,
    /// What of the object it is.
    pub key: &'a [u8],
    /// What the object says.
    pub value: &'a [u8],
}

/// Something of an object that has no effect, which whoever links it should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The object's name.
    pub object: String,
    /// What it is.
    pub what: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.what)
    }
}

/// The batch under construction or being linked.
#[derive(Clone, Debug)]
pub struct LinkGraph<'a> {
    pub(crate) target: Target,
    pub(crate) rows: RowTable,
    pub(crate) objects: Vec<Object>,
    pub(crate) sections: Vec<Section<'a>>,
    pub(crate) blocks: Vec<Block<'a>>,
    pub(crate) symbols: Vec<Symbol<'a>>,
    pub(crate) edges: Vec<Edge>,
    pub(crate) groups: Vec<Group<'a>>,
    /// What names mean that nothing defines, in input order.
    pub(crate) fallbacks: Vec<Fallback>,
    /// What shared libraries define, in input order.
    pub(crate) imports: Vec<Import<'a>>,
    /// What objects say of themselves that all of a batch must agree on.
    pub(crate) agreements: Vec<Agreement<'a>>,
    /// What was understood, has no effect here and should be known.
    pub(crate) warnings: Vec<Warning>,
    /// If the first is live, the second is.
    pub(crate) dependencies: Vec<(BlockId, BlockId)>,
    /// Set by the prune phase; empty before it.
    pub(crate) live: Vec<bool>,
    /// The definition that each symbol stands for; set by the resolve phase, empty before it.
    pub(crate) canonical: Vec<SymbolId>,
    /// The runs of gathered sections that boundary symbols stand for; set by the resolve phase.
    pub(crate) runs: Vec<Vec<SectionId>>,
    /// Which of the runs something live refers to an end of; set by the prune phase.
    pub(crate) walked: Vec<bool>,
    /// What passes resolved anchors to: the anchor, then an address for each block.
    pub(crate) anchors: Vec<(u8, Vec<Addr>)>,
    /// The block whose address identifies the module, once something refers to it.
    pub(crate) handle: Option<BlockId>,
    /// Canonical symbols that something outside the batch defines; set by the look-up phase.
    pub(crate) external: HashSet<SymbolId>,
    /// Canonical symbols of thread-local variables outside the batch; set by the look-up phase.
    pub(crate) thread_locals: HashMap<SymbolId, crate::link::Outside>,
    /// Canonical symbols whose definitions gave way to others outside the batch; set by the resolve phase, and by updates.
    pub(crate) yielded: HashSet<SymbolId>,
    /// Blocks that stand already, so that they are not placed; empty if there are none.
    pub(crate) pinned: Vec<bool>,
    /// The GOT, once something needs it.
    pub(crate) got: Option<BlockId>,
    /// Sections without memory are read too.
    pub(crate) keep_debug: bool,
    /// How many threads may read one object.
    pub(crate) threads: usize,
    /// Symbols that must stay whatever refers to them.
    pub(crate) roots: Vec<SymbolId>,
}

impl<'a> LinkGraph<'a> {
    /// An empty graph for a target, with the rows that its edges may use.
    pub fn new(target: Target, rows: RowTable) -> Self {
        LinkGraph {
            target,
            rows,
            objects: Vec::new(),
            sections: Vec::new(),
            blocks: Vec::new(),
            symbols: Vec::new(),
            edges: Vec::new(),
            groups: Vec::new(),
            fallbacks: Vec::new(),
            imports: Vec::new(),
            agreements: Vec::new(),
            warnings: Vec::new(),
            dependencies: Vec::new(),
            live: Vec::new(),
            canonical: Vec::new(),
            runs: Vec::new(),
            walked: Vec::new(),
            anchors: Vec::new(),
            handle: None,
            external: HashSet::new(),
            thread_locals: HashMap::new(),
            yielded: HashSet::new(),
            pinned: Vec::new(),
            got: None,
            keep_debug: false,
            threads: 1,
            roots: Vec::new(),
        }
    }

    /// This graph, for which debug sections are read too.
    pub fn with_debug(mut self) -> Self {
        self.keep_debug = true;
        self
    }

    /// The machine that the batch is for.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The relocation rows that edges index.
    pub fn rows(&self) -> &RowTable {
        &self.rows
    }

    /// All objects in input order.
    pub fn objects(&self) -> impl ExactSizeIterator<Item = (ObjectId, &Object)> {
        self.objects.iter().enumerate().map(|(index, object)| (ObjectId::new(index), object))
    }

    /// One object.
    pub fn object(&self, id: ObjectId) -> &Object {
        &self.objects[id.index()]
    }

    /// All sections in input order.
    pub fn sections(&self) -> impl ExactSizeIterator<Item = (SectionId, &Section<'a>)> {
        self.sections.iter().enumerate().map(|(index, section)| (SectionId::new(index), section))
    }

    /// One section.
    pub fn section(&self, id: SectionId) -> &Section<'a> {
        &self.sections[id.index()]
    }

    /// One section, to change where and how it is placed. Its object and blocks stay.
    pub fn section_mut(&mut self, id: SectionId) -> &mut Section<'a> {
        &mut self.sections[id.index()]
    }

    /// Aligns every block of a section to `1 << align_log2` at least.
    pub fn align_section(&mut self, id: SectionId, align_log2: u8) {
        let range = self.section(id).blocks.clone();
        for block in &mut self.blocks[range.start as usize..range.end as usize] {
            block.align_log2 = block.align_log2.max(align_log2);
        }
    }

    /// All blocks in input order, live or not.
    pub fn blocks(&self) -> impl ExactSizeIterator<Item = (BlockId, &Block<'a>)> {
        self.blocks.iter().enumerate().map(|(index, block)| (BlockId::new(index), block))
    }

    /// The blocks of a section.
    pub fn blocks_of(&self, section: SectionId) -> impl ExactSizeIterator<Item = (BlockId, &Block<'a>)> + use<'_, 'a> {
        let range = self.section(section).blocks.clone();
        range.map(|index| (BlockId(index), &self.blocks[index as usize]))
    }

    /// One block.
    pub fn block(&self, id: BlockId) -> &Block<'a> {
        &self.blocks[id.index()]
    }

    /// A block's bytes for writing; the input is copied at the first call. `None` for a block of zeros.
    pub fn content_mut(&mut self, id: BlockId) -> Option<&mut [u8]> {
        self.blocks[id.index()].content.to_mut()
    }

    /// Replaces what a block holds, which may then have another size. Edges into the bytes that were there go with them.
    pub fn replace_content(&mut self, id: BlockId, content: Content<'a>) {
        let block = &mut self.blocks[id.index()];
        (block.content, block.edge_count) = (content, 0);
    }

    /// Leaves out a block that pruning kept, because a pass has put elsewhere what it held. Nothing that is live may refer to it.
    pub fn discard(&mut self, id: BlockId) {
        if let Some(live) = self.live.get_mut(id.index()) {
            *live = false;
        }
    }

    /// The edges of a block.
    pub fn edges(&self, block: BlockId) -> &[Edge] {
        &self.edges[self.block(block).edge_range()]
    }

    /// The edges of a block, to retarget or replace. Offsets must stay inside the block.
    pub fn edges_mut(&mut self, block: BlockId) -> &mut [Edge] {
        let range = self.block(block).edge_range();
        &mut self.edges[range]
    }

    /// All symbols in input order.
    pub fn symbols(&self) -> impl ExactSizeIterator<Item = (SymbolId, &Symbol<'a>)> {
        self.symbols.iter().enumerate().map(|(index, symbol)| (SymbolId::new(index), symbol))
    }

    /// One symbol.
    pub fn symbol(&self, id: SymbolId) -> &Symbol<'a> {
        &self.symbols[id.index()]
    }

    /// One symbol, to change its scope, size or value.
    pub fn symbol_mut(&mut self, id: SymbolId) -> &mut Symbol<'a> {
        &mut self.symbols[id.index()]
    }

    /// The definition that a symbol stands for once names are resolved (itself before).
    pub fn canonical(&self, id: SymbolId) -> SymbolId {
        self.canonical.get(id.index()).copied().unwrap_or(id)
    }

    /// The first definition with this name, or the first reference if nothing defines it. Linear; for passes and tests.
    pub fn find_symbol(&self, name: &str) -> Option<SymbolId> {
        let named = |symbol: &Symbol<'_>| symbol.name.bytes() == name.as_bytes();
        let defined = self.symbols().find(|(_, symbol)| named(symbol) && symbol.is_defined());
        defined.or_else(|| self.symbols().find(|(_, symbol)| named(symbol))).map(|(id, _)| self.canonical(id))
    }

    /// Keeps a symbol, and all that it needs, from being pruned.
    pub fn retain(&mut self, symbol: SymbolId) {
        self.roots.push(symbol);
    }

    /// All COMDAT groups in input order.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = (GroupId, &Group<'a>)> {
        self.groups.iter().enumerate().map(|(index, group)| (GroupId::new(index), group))
    }

    /// What names mean that nothing defines, in input order.
    pub fn fallbacks(&self) -> &[Fallback] {
        &self.fallbacks
    }

    /// What objects import from shared libraries, in input order.
    pub fn imports(&self) -> &[Import<'a>] {
        &self.imports
    }

    /// What has no effect and should be known, in input order.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Pairs of blocks of which the second is live whenever the first is, besides what edges say.
    pub fn dependencies(&self) -> &[(BlockId, BlockId)] {
        &self.dependencies
    }

    /// Makes `kept` live whenever `keeper` is.
    pub fn add_dependency(&mut self, keeper: BlockId, kept: BlockId) {
        self.dependencies.push((keeper, kept));
    }

    /// Whether a block survived pruning; every block is live before it.
    pub fn is_live(&self, id: BlockId) -> bool {
        self.live.get(id.index()).copied().unwrap_or(true)
    }

    /// The block of the GOT, if the batch has one by now. Its slots come in when the batch is lowered.
    pub fn got(&self) -> Option<BlockId> {
        self.got.filter(|&got| self.is_live(got))
    }

    /// The address that a pass resolved an anchor to, for the relocations of a block.
    pub fn anchor(&self, anchor: u8, block: BlockId) -> Option<Addr> {
        let (_, addresses) = self.anchors.iter().find(|(known, _)| *known == anchor)?;
        addresses.get(block.index()).copied()
    }

    /// Resolves an anchor for all blocks at once: an address for each, in order. Passes do this once layout is done.
    pub fn set_anchor(&mut self, anchor: u8, addresses: Vec<Addr>) {
        self.anchors.retain(|(known, _)| *known != anchor);
        self.anchors.push((anchor, addresses));
    }

    /// The name of the object that a block came from.
    pub fn object_of(&self, block: BlockId) -> &Object {
        self.object(self.section(self.block(block).section).object)
    }

    /// The place of an edge, for errors.
    pub fn site(&self, block: BlockId, edge: &Edge) -> Site {
        let in_block = self.block(block);
        let section = self.section(in_block.section);
        Site {
            object: self.object(section.object).name.clone(),
            section: section.name_lossy(),
            offset: in_block.section_offset + u64::from(edge.offset),
            reloc: self.rows.row(edge.row).name().to_string(),
            symbol: self.display_symbol(edge.target),
        }
    }

    /// Where a block starts, for errors.
    pub(crate) fn place(&self, block: BlockId) -> Site {
        let offset = self.block(block).section_offset;
        let section = self.section(self.block(block).section);
        Site {
            object: self.object(section.object).name.clone(),
            section: section.name_lossy(),
            offset,
            ..Site::default()
        }
    }

    /// A symbol's name for people: its own, or that of the section it stands for.
    pub fn display_symbol(&self, id: SymbolId) -> String {
        let symbol = self.symbol(id);
        match symbol.value {
            _ if !symbol.name.is_empty() => symbol.name.to_string(),
            Value::Block { block, .. } => self.section(self.block(block).section).name_lossy(),
            // By its number in its object: that in the graph depends on what was read before.
            _ => format!("symbol {}", id.0.saturating_sub(self.object(symbol.object).symbols.start)),
        }
    }

    /// Makes room for `times` as much as these graphs hold together.
    pub(crate) fn reserve(&mut self, parts: &[(LinkGraph<'a>, Vec<LinkError>)], times: f64) {
        let room = |count: fn(&LinkGraph<'_>) -> usize| {
            let all: usize = parts.iter().map(|(part, _)| count(part)).sum();
            (all as f64 * times) as usize
        };
        self.objects.reserve(room(|part| part.objects.len()));
        pages::reserve(&mut self.sections, room(|part| part.sections.len()));
        pages::reserve(&mut self.blocks, room(|part| part.blocks.len()));
        pages::reserve(&mut self.symbols, room(|part| part.symbols.len()));
        pages::reserve(&mut self.edges, room(|part| part.edges.len()));
        pages::reserve(&mut self.groups, room(|part| part.groups.len()));
        pages::reserve(&mut self.dependencies, room(|part| part.dependencies.len()));
    }

    /// Appends graphs for the same target whose ids start at zero, as parallel readers make them, and tells `joined` when all
    /// but their edges are there. Edges, which take the longest, are appended beside that if another thread has nothing to do.
    pub(crate) fn append(
        &mut self,
        parts: Vec<LinkGraph<'a>>,
        joined: &mut (impl FnMut(&LinkGraph<'a>) + Send),
    ) -> Result<(), LinkError> {
        let mut bases = vec![Bases::of(self)];
        for part in &parts {
            bases.push(bases[bases.len() - 1].after(part)?);
        }
        let mut all_edges = std::mem::take(&mut self.edges);
        let mut parts: Vec<(Bases, LinkGraph<'a>)> = bases.into_iter().zip(parts).collect();
        let part_edges: Vec<_> =
            parts.iter_mut().map(|(base, part)| (*base, std::mem::take(&mut part.edges))).collect();
        let append_edges = || {
            for (base, mut edges) in part_edges {
                edges.iter_mut().for_each(|edge| edge.target.0 += base.symbols);
                append(&mut all_edges, edges);
            }
        };
        let append_rest = || {
            parts.into_iter().for_each(|(base, part)| self.append_all_but_edges(&base, part));
            joined(self);
        };
        rayon::join(append_edges, append_rest);
        self.edges = all_edges;
        Ok(())
    }

    fn append_all_but_edges(&mut self, base: &Bases, mut part: LinkGraph<'a>) {
        let shift = |range: &mut Range<u32>, by: u32| *range = range.start + by..range.end + by;
        for object in &mut part.objects {
            shift(&mut object.sections, base.sections);
            shift(&mut object.symbols, base.symbols);
        }
        for section in &mut part.sections {
            section.object.0 += base.objects;
            shift(&mut section.blocks, base.blocks);
            section.group.iter_mut().for_each(|group| group.0 += base.groups);
            section.ordered_by.iter_mut().for_each(|other| other.0 += base.sections);
        }
        for block in &mut part.blocks {
            block.section.0 += base.sections;
            block.first_edge += base.edges;
        }
        for symbol in &mut part.symbols {
            symbol.object.0 += base.objects;
            if let Value::Block { block, .. } = &mut symbol.value {
                block.0 += base.blocks;
            }
        }
        part.groups.iter_mut().for_each(|group| {
            group.object.0 += base.objects;
            group.parent.iter_mut().for_each(|parent| parent.0 += base.groups);
            group.leader.iter_mut().for_each(|leader| leader.0 += base.sections);
        });
        for (keeper, kept) in &mut part.dependencies {
            keeper.0 += base.blocks;
            kept.0 += base.blocks;
        }
        part.roots.iter_mut().for_each(|root| root.0 += base.symbols);
        for fallback in &mut part.fallbacks {
            fallback.name.0 += base.symbols;
            fallback.target.0 += base.symbols;
            fallback.needs.iter_mut().for_each(|needs| needs.0 += base.symbols);
        }
        for import in &mut part.imports {
            import.name.0 += base.symbols;
            import.slot.iter_mut().for_each(|slot| slot.0 += base.symbols);
            if let Some(ImportLibrary::At(name)) = &mut import.library {
                name.0 += base.symbols;
            }
        }
        part.agreements.iter_mut().for_each(|agreement| agreement.object.0 += base.objects);
        self.fallbacks.append(&mut part.fallbacks);
        self.imports.append(&mut part.imports);
        self.agreements.append(&mut part.agreements);
        self.warnings.append(&mut part.warnings);
        self.objects.append(&mut part.objects);
        append(&mut self.sections, part.sections);
        append(&mut self.blocks, part.blocks);
        append(&mut self.symbols, part.symbols);
        append(&mut self.groups, part.groups);
        append(&mut self.dependencies, part.dependencies);
        self.roots.append(&mut part.roots);
    }
}

/// The numbers that the first object, section, … of an appended graph get.
#[derive(Clone, Copy)]
struct Bases {
    objects: u32,
    sections: u32,
    blocks: u32,
    symbols: u32,
    edges: u32,
    groups: u32,
}

impl Bases {
    /// Of what comes after all of a graph.
    fn of(graph: &LinkGraph<'_>) -> Bases {
        Bases {
            objects: graph.objects.len() as u32,
            sections: graph.sections.len() as u32,
            blocks: graph.blocks.len() as u32,
            symbols: graph.symbols.len() as u32,
            edges: graph.edges.len() as u32,
            groups: graph.groups.len() as u32,
        }
    }

    /// Of what comes after a part that has these.
    fn after(&self, part: &LinkGraph<'_>) -> Result<Bases, LinkError> {
        let next = |base: u32, more: usize, what: &str| {
            let (value, limit) = (u64::from(base) + more as u64, u64::from(u32::MAX));
            let too_large = LinkError::TooLarge { what: what.into(), value, limit };
            if value < limit { Ok(value as u32) } else { Err(too_large) }
        };
        Ok(Bases {
            objects: next(self.objects, part.objects.len(), "number of objects")?,
            sections: next(self.sections, part.sections.len(), "number of sections")?,
            blocks: next(self.blocks, part.blocks.len(), "number of blocks")?,
            symbols: next(self.symbols, part.symbols.len(), "number of symbols")?,
            edges: next(self.edges, part.edges.len(), "number of relocations")?,
            groups: next(self.groups, part.groups.len(), "number of COMDAT groups")?,
        })
    }
}

/// Appends to a vector that may become long.
fn append<T>(all: &mut Vec<T>, mut part: Vec<T>) {
    pages::reserve(all, part.len());
    all.append(&mut part);
}
