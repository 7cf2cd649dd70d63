//! Cutting blocks of an object that is being built, so that what stands in one section can be kept or pruned part by part.
//!
//! Some formats put all code of an object into one section and say by symbols alone where its parts begin (BPF's program
//! sections, Mach-O's subsections). Between such parts the assembler has resolved references without leaving a relocation,
//! although the linker may now move the parts apart: these become edges.
//!
//! Invariants: the order of blocks, symbols and edges stays; a symbol at a cut belongs to what begins there; a reference
//! to a section's symbol goes to the part that holds the byte which its addend means. The time is linear in the size of the
//! object, apart from sorting what is cut.

use super::*;
use std::collections::HashMap;

/// How blocks are cut.
#[derive(Clone, Debug, Default)]
pub struct Split {
    /// The places: bytes from a block's start, in any order. Those at an end of a block, or past it, cut nothing.
    pub cuts: Vec<(BlockId, u32)>,
    /// References that have no relocation.
    pub references: Vec<LocalReference>,
}

/// A reference of a block to a place of the same object, for which the object has no relocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalReference {
    /// The block that refers, before it is cut.
    pub from: BlockId,
    /// Bytes from its start to the field.
    pub offset: u32,
    /// The index of the row in the graph's table.
    pub row: u16,
    /// The block that is meant, before it is cut.
    pub to: BlockId,
    /// Bytes from its start.
    pub addend: u64,
}

impl<'a> ObjectBuilder<'_, 'a> {
    /// Cuts blocks of this object, and adds edges for references that have no relocation. Nothing may be added to the object's
    /// sections afterwards.
    ///
    /// An edge to a section's symbol must mean the byte at its addend, whatever its row. Fails where a field lies across
    /// a cut, or a reference outside the blocks that it names.
    pub fn split(&mut self, split: Split) -> Result<(), LinkError> {
        let id = self.id();
        let object = self.graph.object(id).clone();
        let sections = object.sections.start as usize..object.sections.end as usize;
        let Some(first) = self.graph.sections.get(sections.start).map(|section| section.blocks.start as usize) else {
            return Ok(());
        };
        let plan = Pieces::new(self.graph, first, split.cuts);
        let mut references = split.references;
        if plan.is_whole() && references.is_empty() {
            return Ok(());
        }
        self.check_references(&references)?;
        references.sort_by_key(|reference| (reference.from, reference.offset));
        let mut symbols = plan.move_symbols(self.graph, &object);
        let edges = plan.distribute(self.graph, &references, &mut symbols)?;
        plan.replace(self.graph, sections, edges);
        let added = symbols.added.len() as u32;
        for (block, offset) in symbols.added {
            let symbol = Symbol { kind: SymbolKind::Section, ..Symbol::local(&[], id, block, offset) };
            self.graph.symbols.push(symbol);
        }
        self.graph.objects[id.index()].symbols.end += added;
        Ok(())
    }

    fn check_references(&self, references: &[LocalReference]) -> Result<(), LinkError> {
        for reference in references {
            let (from, to) = (self.graph.block(reference.from), self.graph.block(reference.to));
            let bytes = self.graph.rows.row(reference.row).field().bytes() as u64;
            let inside = u64::from(reference.offset) + bytes <= from.content.bytes().len() as u64;
            if !inside || reference.addend > to.size() {
                let place = from.section_offset + u64::from(reference.offset);
                let what = format!(
                    "a reference of {bytes} bytes to {:#x} of section {}, which has {:#x} there",
                    reference.addend,
                    self.graph.section(to.section).name_lossy(),
                    to.size()
                );
                let section = self.graph.section(from.section).name_lossy();
                return Err(LinkError::malformed(self.name(), section, place, what));
            }
        }
        Ok(())
    }
}

/// Which blocks take the places of those of the object.
struct Pieces {
    /// The object's first block.
    first: usize,
    /// By old block: the number of its first piece among the new ones, and one more for the end.
    starts: Vec<u32>,
    /// By new block: where it begins in the old one.
    offsets: Vec<u64>,
}

/// What symbols become.
struct Moved {
    /// By symbol of the object that stands for a section: the old block and the offset in it.
    sections: HashMap<SymbolId, (BlockId, u64)>,
    /// New symbols, in order.
    added: Vec<(BlockId, u64)>,
    /// The number of the first new one.
    next: usize,
    /// The new symbol of each piece that has one.
    of_piece: HashMap<BlockId, SymbolId>,
}

impl Moved {
    /// A symbol for the start of a piece.
    fn start_of(&mut self, piece: BlockId) -> SymbolId {
        *self.of_piece.entry(piece).or_insert_with(|| {
            self.added.push((piece, 0));
            SymbolId::new(self.next + self.added.len() - 1)
        })
    }
}

impl Pieces {
    fn new(graph: &LinkGraph<'_>, first: usize, mut cuts: Vec<(BlockId, u32)>) -> Pieces {
        cuts.sort_unstable();
        cuts.dedup();
        let (mut starts, mut offsets) = (Vec::new(), Vec::new());
        let mut cuts = cuts.into_iter().peekable();
        for (index, block) in graph.blocks.iter().enumerate().skip(first) {
            starts.push(offsets.len() as u32);
            offsets.push(0);
            while let Some((_, cut)) = cuts.next_if(|cut| cut.0.index() <= index) {
                let cut = u64::from(cut);
                if cut > 0 && cut < block.size() {
                    offsets.push(cut);
                }
            }
        }
        starts.push(offsets.len() as u32);
        Pieces { first, starts, offsets }
    }

    fn is_whole(&self) -> bool {
        self.offsets.len() + 1 == self.starts.len()
    }

    /// The numbers of the pieces of an old block.
    fn of(&self, block: BlockId) -> Range<usize> {
        let index = block.index() - self.first;
        self.starts[index] as usize..self.starts[index + 1] as usize
    }

    fn id(&self, piece: usize) -> BlockId {
        BlockId::new(self.first + piece)
    }

    /// The piece that holds an offset of an old block, and the offset in it. The end belongs to the last one.
    fn place(&self, block: BlockId, offset: u64) -> (BlockId, u64) {
        let pieces = self.of(block);
        let begun = self.offsets[pieces.clone()].partition_point(|&start| start <= offset);
        let piece = pieces.start + begun.max(1) - 1;
        (self.id(piece), offset - self.offsets[piece])
    }

    /// Gives the object's symbols their pieces.
    fn move_symbols(&self, graph: &mut LinkGraph<'_>, object: &Object) -> Moved {
        let next = graph.symbols.len();
        let mut moved = Moved { sections: HashMap::new(), added: Vec::new(), next, of_piece: HashMap::new() };
        for index in object.symbols.start as usize..object.symbols.end as usize {
            let symbol = &mut graph.symbols[index];
            let Value::Block { block, offset } = symbol.value else { continue };
            if symbol.kind == SymbolKind::Section && self.of(block).len() > 1 {
                moved.sections.insert(SymbolId::new(index), (block, offset));
            }
            let (block, offset) = self.place(block, offset);
            symbol.value = Value::Block { block, offset };
        }
        moved
    }

    /// All edges in the order of pieces, with the number of edges of each piece. Edges keep their order within one.
    fn distribute(
        &self,
        graph: &LinkGraph<'_>,
        references: &[LocalReference],
        symbols: &mut Moved,
    ) -> Result<(Vec<Edge>, Vec<u32>), LinkError> {
        let (mut edges, mut counts) = (Vec::new(), vec![0u32; self.offsets.len()]);
        let mut references = references.iter().peekable();
        for (index, block) in graph.blocks.iter().enumerate().skip(self.first) {
            let id = BlockId::new(index);
            let mut own: Vec<Edge> = graph.edges[block.edge_range()].to_vec();
            for edge in &mut own {
                if let Some(&(target, start)) = symbols.sections.get(&edge.target) {
                    *edge = self.retarget(graph, symbols, *edge, target, start);
                }
            }
            while let Some(reference) = references.next_if(|reference| reference.from == id) {
                let (piece, addend) = self.place(reference.to, reference.addend);
                let target = symbols.start_of(piece);
                let subject = graph.rows.row(reference.row).subject();
                let (offset, row) = (reference.offset, reference.row);
                own.push(Edge { addend: addend as i64, offset, target, row, subject });
            }
            let pieces = self.of(id);
            if pieces.len() > 1 {
                own.sort_by_key(|edge| edge.offset);
            }
            for edge in own {
                let (piece, offset) = self.place(id, u64::from(edge.offset));
                self.check_field(graph, id, &edge, piece)?;
                counts[piece.index() - self.first] += 1;
                edges.push(Edge { offset: offset as u32, ..edge });
            }
        }
        Ok((edges, counts))
    }

    /// An edge to a section's symbol, pointed at the piece that it means.
    fn retarget(&self, graph: &LinkGraph<'_>, symbols: &mut Moved, edge: Edge, target: BlockId, start: u64) -> Edge {
        let meant = start.checked_add_signed(edge.addend).filter(|at| *at <= graph.block(target).size());
        let Some((piece, addend)) = meant.map(|at| self.place(target, at)) else { return edge };
        if piece == self.id(self.of(target).start) {
            return edge;
        }
        Edge { target: symbols.start_of(piece), addend: addend as i64, ..edge }
    }

    /// A field that lies across a cut is no field of either side.
    fn check_field(&self, graph: &LinkGraph<'_>, id: BlockId, edge: &Edge, piece: BlockId) -> Result<(), LinkError> {
        let end = u64::from(edge.offset) + graph.rows.row(edge.row).field().bytes() as u64;
        let next = piece.index() - self.first + 1;
        if self.of(id).contains(&next) && self.offsets[next] < end {
            let what = format!("the field lies across {:#x}, where a symbol begins", self.offsets[next]);
            return Err(LinkError::Malformed { site: Box::new(graph.site(id, edge)), what });
        }
        Ok(())
    }

    /// Puts pieces and edges into the graph.
    fn replace(&self, graph: &mut LinkGraph<'_>, sections: Range<usize>, (edges, counts): (Vec<Edge>, Vec<u32>)) {
        let old: Vec<Block<'_>> = graph.blocks.drain(self.first..).collect();
        let mut first_edge = old.iter().map(|block| block.first_edge).min().unwrap_or(graph.edges.len() as u32);
        graph.edges.truncate(first_edge as usize);
        graph.edges.extend(edges);
        for (index, block) in old.into_iter().enumerate() {
            let pieces = self.starts[index] as usize..self.starts[index + 1] as usize;
            let size = block.size();
            let ends = self.offsets[pieces.clone()].iter().skip(1).copied().chain([size]);
            for (piece, end) in pieces.clone().zip(ends) {
                let start = self.offsets[piece];
                let align_log2 = block.align_log2.min(start.trailing_zeros().min(63) as u8);
                let content = if pieces.len() == 1 { block.content.clone() } else { block.content.slice(start, end) };
                let (section, section_offset) = (block.section, block.section_offset + start);
                let edge_count = counts[piece];
                graph.blocks.push(Block { content, section, section_offset, align_log2, first_edge, edge_count });
                first_edge += edge_count;
            }
        }
        for section in &mut graph.sections[sections] {
            let new = |old: u32| (self.first as u32) + self.starts[old as usize - self.first];
            section.blocks = new(section.blocks.start)..new(section.blocks.end);
        }
        // Those of objects before this one stay.
        let others = graph.dependencies.iter().rposition(|pair| pair.0.index().max(pair.1.index()) < self.first);
        let own = graph.dependencies.split_off(others.map_or(0, |last| last + 1));
        own.into_iter().for_each(|(keeper, kept)| self.depend(graph, keeper, kept));
    }

    /// Every piece of the one keeps all of the other, which are tied in a row.
    fn depend(&self, graph: &mut LinkGraph<'_>, keeper: BlockId, kept: BlockId) {
        let pieces = |block: BlockId| match block.index() < self.first {
            true => block.index()..block.index() + 1,
            false => self.first + self.of(block).start..self.first + self.of(block).end,
        };
        let (keepers, all) = (pieces(keeper), pieces(kept));
        graph.dependencies.extend(keepers.map(|keeper| (BlockId::new(keeper), BlockId::new(all.start))));
        graph
            .dependencies
            .extend(all.clone().zip(all.skip(1)).map(|(one, next)| (BlockId::new(one), BlockId::new(next))));
    }
}
