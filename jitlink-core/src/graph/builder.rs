//! Building the graph of one object: what an [`crate::ObjectFormat`] writes into.

use super::*;
use crate::input::Input;
use crate::reloc::Reloc;
use rayon::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Relocations of one section are read in batches of this many, each on all threads.
const BATCH: usize = 128 << 10;
/// Fewer than this many are not worth a second thread.
const FEWEST_A_THREAD: usize = 8 << 10;

/// Appends one object to a graph, and keeps the graph's invariants.
///
/// Order: sections and their blocks, then symbols, then edges block by block. Blocks of a section are added together, edges of
/// a block too.
#[derive(Debug)]
pub struct ObjectBuilder<'g, 'a> {
    pub(super) graph: &'g mut LinkGraph<'a>,
    object: ObjectId,
    /// The file that the object is in, if it is known.
    input: Option<&'a Input>,
}

impl<'g, 'a> ObjectBuilder<'g, 'a> {
    /// Starts an object.
    pub fn new(graph: &'g mut LinkGraph<'a>, name: String, path: String) -> Self {
        let object = ObjectId::new(graph.objects.len());
        let (sections, symbols) = (graph.sections.len() as u32, graph.symbols.len() as u32);
        graph.objects.push(Object { name, path, origin: 0, sections: sections..sections, symbols: symbols..symbols });
        ObjectBuilder { graph, object, input: None }
    }

    /// This builder for an object in a file whose memory can be given back once it is read.
    pub(crate) fn of_input(mut self, input: Option<&'a Input>) -> Self {
        self.input = input;
        self
    }

    /// The object's id.
    pub fn id(&self) -> ObjectId {
        self.object
    }

    /// The object's name, for errors.
    pub fn name(&self) -> &str {
        &self.graph.object(self.object).name
    }

    /// The machine that the batch is for.
    pub fn target(&self) -> &Target {
        &self.graph.target
    }

    /// What has been built so far.
    pub fn graph(&self) -> &LinkGraph<'a> {
        self.graph
    }

    /// The object's sections so far, in order.
    pub fn own_sections(&self) -> impl DoubleEndedIterator<Item = (SectionId, &Section<'a>)> + ExactSizeIterator {
        let first = self.graph.object(self.object).sections.start as usize;
        let own = self.graph.sections[first..].iter().enumerate();
        own.map(move |(index, section)| (SectionId::new(first + index), section))
    }

    /// The object's symbols so far, in order.
    pub fn own_symbols(&self) -> impl DoubleEndedIterator<Item = (SymbolId, &Symbol<'a>)> + ExactSizeIterator {
        let first = self.graph.object(self.object).symbols.start as usize;
        let own = self.graph.symbols[first..].iter().enumerate();
        own.map(move |(index, symbol)| (SymbolId::new(first + index), symbol))
    }

    /// Remembers what [`Object::origin`] says.
    pub fn remember(&mut self, origin: u64) {
        self.graph.objects[self.object.index()].origin = origin;
    }

    /// Whether sections that the program never sees (debug information, notes) are read too.
    pub fn keeps_debug(&self) -> bool {
        self.graph.keep_debug
    }

    /// Makes room for what the object is known to hold.
    pub fn reserve(&mut self, sections: usize, symbols: usize, edges: usize) {
        pages::reserve(&mut self.graph.sections, sections);
        pages::reserve(&mut self.graph.blocks, sections);
        pages::reserve(&mut self.graph.symbols, symbols);
        pages::reserve(&mut self.graph.edges, edges);
    }

    /// Adds a section without blocks. Its `object` is set here.
    pub fn add_section(&mut self, mut section: Section<'a>) -> SectionId {
        let id = SectionId::new(self.graph.sections.len());
        let next = self.graph.blocks.len() as u32;
        section.object = self.object;
        section.blocks = next..next;
        self.graph.sections.push(section);
        self.graph.objects[self.object.index()].sections.end += 1;
        id
    }

    /// Changes a section that this object added, once more is known of it. Its blocks stay.
    pub fn section_mut(&mut self, id: SectionId) -> &mut Section<'a> {
        &mut self.graph.sections[id.index()]
    }

    /// Adds a block to the newest section, `section_offset` bytes into it.
    pub fn add_block(&mut self, content: Content<'a>, section_offset: u64, align_log2: u8) -> BlockId {
        let id = BlockId::new(self.graph.blocks.len());
        let section = SectionId::new(self.graph.sections.len() - 1);
        debug_assert_eq!(self.graph.section(section).object, self.object);
        self.graph.sections[section.index()].blocks.end += 1;
        let first_edge = self.graph.edges.len() as u32;
        self.graph.blocks.push(Block { content, section, section_offset, align_log2, first_edge, edge_count: 0 });
        // What a pass adds after pruning is there because something live needs it. Before that nothing is listed.
        if self.graph.live.len() == id.index() && id.index() > 0 {
            self.graph.live.push(true);
        }
        id
    }

    /// Adds the records of a DWARF `.eh_frame` to the newest section, a block each, so that the record of a pruned function
    /// can be pruned with it.
    ///
    /// Records are aligned as far as their sizes keep it up, because four bytes of padding between two of them would read as
    /// the zero length that ends the section.
    pub fn add_unwind_records(&mut self, bytes: &'a [u8], align_log2: u8) -> Result<(), LinkError> {
        let section = SectionId::new(self.graph.sections.len() - 1);
        let first = self.graph.blocks.len();
        let endian = self.graph.target.endian;
        let mut offset = 0;
        let mut align_log2 = u32::from(align_log2);
        while offset < bytes.len() {
            let rest = &bytes[offset..];
            let size = unwind::record_size(rest, endian).ok_or_else(|| {
                let what = format!("an unwind record runs past the end of the section, {:#x} bytes on", rest.len());
                LinkError::malformed(self.name(), self.graph.section(section).name_lossy(), offset as u64, what)
            })?;
            align_log2 = align_log2.min(size.trailing_zeros());
            self.add_block(Content::Input(&rest[..size]), offset as u64, 0);
            offset += size;
        }
        self.graph.blocks[first..].iter_mut().for_each(|block| block.align_log2 = align_log2 as u8);
        Ok(())
    }

    /// Adds a symbol. Its `object` is set here.
    pub fn add_symbol(&mut self, mut symbol: Symbol<'a>) -> SymbolId {
        let id = SymbolId::new(self.graph.symbols.len());
        symbol.object = self.object;
        self.graph.symbols.push(symbol);
        self.graph.objects[self.object.index()].symbols.end += 1;
        // What a pass adds once names are resolved stands for itself. Before that nothing is listed.
        if self.graph.canonical.len() == id.index() && id.index() > 0 {
            self.graph.canonical.push(id);
        }
        id
    }

    /// Adds a COMDAT group. Its `object` is set here.
    pub fn add_group(&mut self, mut group: Group<'a>) -> GroupId {
        let id = GroupId::new(self.graph.groups.len());
        group.object = self.object;
        self.graph.groups.push(group);
        id
    }

    /// Says what a name means if nothing defines it.
    pub fn add_fallback(&mut self, fallback: Fallback) {
        self.graph.fallbacks.push(fallback);
    }

    /// Says that a shared library defines a name.
    pub fn add_import(&mut self, import: Import<'a>) {
        self.graph.imports.push(import);
    }

    /// Says something of the object that all objects of the batch that say it must agree on.
    pub fn agree(&mut self, key: &'a [u8], value: &'a [u8]) {
        self.graph.agreements.push(Agreement { object: self.object, key, value });
    }

    /// Tells whoever links the object of something that has no effect.
    pub fn warn(&mut self, what: impl Into<String>) {
        let warning = Warning { object: self.name().to_string(), what: what.into() };
        self.graph.warnings.push(warning);
    }

    /// Changes a group that this object added, once more is known of it. Its name stays.
    pub fn group_mut(&mut self, id: GroupId) -> &mut Group<'a> {
        &mut self.graph.groups[id.index()]
    }

    /// Keeps a symbol of this object, and all that it needs, from being pruned.
    pub fn retain(&mut self, symbol: SymbolId) {
        self.graph.retain(symbol);
    }

    /// Changes a symbol that this object added, once more is known of it. Its name stays.
    pub fn symbol_mut(&mut self, id: SymbolId) -> &mut Symbol<'a> {
        self.graph.symbol_mut(id)
    }

    /// The edges of a block that this object added, to correct what the format alone could not know. Offsets stay.
    pub fn edges_mut(&mut self, block: BlockId) -> &mut [Edge] {
        self.graph.edges_mut(block)
    }

    /// Whether a section of this name that takes up no memory says something about code, so that it is read, without its
    /// relocations, even if debug sections are not.
    pub fn keeps_beside(&self, name: &[u8]) -> bool {
        self.graph.target.arch.info().sections_beside().contains(&name)
    }

    /// Makes `kept` live whenever `keeper` is.
    pub fn add_dependency(&mut self, keeper: BlockId, kept: BlockId) {
        self.graph.dependencies.push((keeper, kept));
    }

    /// Starts the edges of a block; the next [`ObjectBuilder::add_edge`] calls belong to it.
    pub fn begin_edges(&mut self, block: BlockId) {
        let first_edge = self.graph.edges.len() as u32;
        let block = &mut self.graph.blocks[block.index()];
        debug_assert_eq!(block.edge_count, 0, "the edges of a block are added together");
        block.first_edge = first_edge;
    }

    /// The row of a raw relocation number in the table of this batch's format, with its index.
    #[inline]
    pub fn row(&self, raw: u32) -> Option<(u16, &Reloc)> {
        self.graph.rows.by_raw(raw)
    }

    /// Adds the relocations of a section, each an edge whose `offset` is replaced by the given number of bytes from the
    /// section's start. They may come in any order.
    pub fn add_edges<I>(&mut self, section: SectionId, relocations: I) -> Result<(), LinkError>
    where
        I: Iterator<Item = Result<(u64, Edge), LinkError>>,
    {
        let blocks = self.graph.section(section).blocks.clone();
        if blocks.len() == 1 {
            return self.add_block_edges(section, BlockId(blocks.start), relocations);
        }
        let mut sorted = relocations.collect::<Result<Vec<_>, _>>()?;
        sorted.sort_by_key(|(offset, _)| *offset);
        // Blocks that begin at or before the relocation at hand; the last of them holds it.
        let (mut begun, mut current) = (0, None);
        for (offset, edge) in sorted {
            let starts = &self.graph.blocks[blocks.start as usize..blocks.end as usize];
            begun += starts[begun..].iter().take_while(|block| block.section_offset <= offset).count();
            let Some(index) = begun.checked_sub(1) else {
                return Err(self.stray(section, offset, &edge));
            };
            let (block, start) = (BlockId(blocks.start + index as u32), starts[index].section_offset);
            if current != Some(block) {
                self.begin_edges(block);
                current = Some(block);
            }
            let in_block = self.edge_offset(section, offset, start, &edge)?;
            self.add_edge(block, Edge { offset: in_block, ..edge })?;
        }
        Ok(())
    }

    /// As [`ObjectBuilder::add_edges`], for relocations that can be read in any order: `read` gives each of `count` by its
    /// number, or `None` where it is wrong, and `explain` says what is wrong with one. `table` holds them one after another in
    /// equal parts, and is not read again.
    ///
    /// Many are read on several threads, each to its final place. The first that is wrong is the error.
    pub fn add_table_edges<R, E>(
        &mut self,
        section: SectionId,
        table: &'a [u8],
        count: usize,
        read: R,
        explain: E,
    ) -> Result<(), LinkError>
    where
        R: Fn(usize) -> Option<(u64, Edge)> + Sync,
        E: Fn(usize) -> LinkError,
    {
        let blocks = self.graph.section(section).blocks.clone();
        if count < 2 * FEWEST_A_THREAD || blocks.len() != 1 {
            return self.add_edges(section, (0..count).map(|number| read(number).ok_or_else(|| explain(number))));
        }
        let block = BlockId(blocks.start);
        self.begin_edges(block);
        let size = self.graph.block(block).content.bytes().len() as u64;
        let rows = self.graph.rows.clone();
        let (field_bytes, threads) = (rows.field_bytes(), self.graph.threads);
        let placed = |number: usize| {
            let (offset, edge) = read(number)?;
            let offset = offset_inside(size, field_bytes, offset, &edge)?;
            Some(Edge { offset, ..edge })
        };
        for first in (0..count).step_by(BATCH) {
            let batch = first..count.min(first + BATCH);
            let end = batch.end;
            if let Err(number) = extend(&mut self.graph.edges, batch, threads, &placed) {
                return Err(match read(number) {
                    Some((offset, edge)) => self.stray(section, offset, &edge),
                    None => explain(number),
                });
            }
            let entry = table.len() / count;
            self.release(&table[first * entry..end * entry]);
        }
        self.graph.blocks[block.index()].edge_count = count as u32;
        Ok(())
    }

    /// Says that these bytes of the input will not be read again, so that their memory can be used for something else.
    fn release(&self, bytes: &'a [u8]) {
        if let Some(input) = self.input {
            input.release(bytes);
        }
    }

    /// The usual case of [`ObjectBuilder::add_edges`]: everything that does not change is looked up once.
    fn add_block_edges<I>(&mut self, section: SectionId, block: BlockId, relocations: I) -> Result<(), LinkError>
    where
        I: Iterator<Item = Result<(u64, Edge), LinkError>>,
    {
        self.begin_edges(block);
        let size = self.graph.block(block).content.bytes().len() as u64;
        let rows = self.graph.rows.clone();
        let field_bytes = rows.field_bytes();
        let first = self.graph.edges.len();
        for relocation in relocations {
            let (offset, mut edge) = relocation?;
            let Some(inside) = offset_inside(size, field_bytes, offset, &edge) else {
                return Err(self.stray(section, offset, &edge));
            };
            edge.offset = inside;
            debug_assert!(edge.target.index() < self.graph.symbols.len());
            self.graph.edges.push(edge);
        }
        self.graph.blocks[block.index()].edge_count = (self.graph.edges.len() - first) as u32;
        Ok(())
    }

    fn edge_offset(&self, section: SectionId, offset: u64, start: u64, edge: &Edge) -> Result<u32, LinkError> {
        u32::try_from(offset - start).map_err(|_| self.stray(section, offset, edge))
    }

    fn stray(&self, section: SectionId, offset: u64, edge: &Edge) -> LinkError {
        let site = Site {
            object: self.name().to_string(),
            section: self.graph.section(section).name_lossy(),
            offset,
            reloc: self.graph.rows.row(edge.row).name().to_string(),
            symbol: self.graph.display_symbol(edge.target),
        };
        let content = self
            .graph
            .blocks_of(section)
            .last()
            .map_or(0, |(_, block)| block.section_offset + block.content.bytes().len() as u64);
        let bytes = self.graph.rows.row(edge.row).field().bytes();
        let what = format!("a field of {bytes} bytes there ends outside the section's {content:#x} bytes of content");
        LinkError::Malformed { site: Box::new(site), what }
    }

    /// Adds an edge to a block, whose edges were begun last. Fails where the field does not lie inside the block.
    #[inline]
    pub fn add_edge(&mut self, block: BlockId, edge: Edge) -> Result<(), LinkError> {
        let row = self.graph.rows.row(edge.row);
        let inside = &mut self.graph.blocks[block.index()];
        let end = u64::from(edge.offset) + row.field().bytes() as u64;
        if end > inside.content.bytes().len() as u64 {
            let size = inside.content.bytes().len();
            let site = Box::new(self.graph.site(block, &edge));
            return Err(LinkError::Malformed {
                site,
                what: format!("the field ends at {end:#x}, past the {size:#x} bytes of content there"),
            });
        }
        debug_assert!(edge.target.index() < self.graph.symbols.len());
        inside.edge_count += 1;
        self.graph.edges.push(edge);
        Ok(())
    }
}

/// The offset of an edge in a block of `size` bytes; `None` if its field does not lie inside.
#[inline]
fn offset_inside(size: u64, field_bytes: &[u8], offset: u64, edge: &Edge) -> Option<u32> {
    let bytes = u64::from(field_bytes.get(usize::from(edge.row)).copied().unwrap_or(0));
    (offset <= size && bytes <= size - offset).then(|| u32::try_from(offset).ok()).flatten()
}

/// Appends the edges of the given numbers in order, or says which is the first that there is not.
fn extend(
    edges: &mut Vec<Edge>,
    numbers: Range<usize>,
    threads: usize,
    read: &(impl Fn(usize) -> Option<Edge> + Sync),
) -> Result<(), usize> {
    if threads <= 1 {
        for number in numbers {
            edges.push(read(number).ok_or(number)?);
        }
        return Ok(());
    }
    let wrong = AtomicUsize::new(usize::MAX);
    let or_note = |number: usize| {
        read(number).unwrap_or_else(|| {
            wrong.fetch_min(number, Ordering::Relaxed);
            Edge::PLACEHOLDER
        })
    };
    edges.par_extend(numbers.into_par_iter().with_min_len(FEWEST_A_THREAD).map(or_note));
    match wrong.into_inner() {
        usize::MAX => Ok(()),
        number => Err(number),
    }
}
