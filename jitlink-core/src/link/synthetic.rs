//! Sections that the linker makes: slots, stubs, merged strings, common symbols.

use crate::graph::{Block, BlockId, Content, Edge, LinkGraph, Object, ObjectId, Section, SectionId, Symbol, SymbolId};

/// The name of the object that owns what the linker makes.
pub(super) const LINKER: &str = "(jitlink)";

/// Appends to a graph that is complete otherwise.
#[derive(Default)]
pub(super) struct Synthetic {
    object: Option<ObjectId>,
}

impl Synthetic {
    /// The object that owns what the linker makes.
    pub(super) fn object(&mut self, graph: &mut LinkGraph<'_>) -> ObjectId {
        let (sections, symbols) = (graph.sections.len() as u32, graph.symbols.len() as u32);
        // Where a pass has added an object since, another one begins: an object owns ranges.
        let newest = ObjectId::new(graph.objects.len().saturating_sub(1));
        if let Some(object) = self.object.filter(|&object| object == newest) {
            return object;
        }
        graph.objects.push(Object {
            name: LINKER.into(),
            path: String::new(),
            origin: 0,
            sections: sections..sections,
            symbols: symbols..symbols,
        });
        *self.object.insert(ObjectId::new(graph.objects.len() - 1))
    }

    /// Adds a section of one live block.
    pub(super) fn add<'a>(
        &mut self,
        graph: &mut LinkGraph<'a>,
        mut section: Section<'a>,
        content: Content<'a>,
        align_log2: u8,
    ) -> BlockId {
        let object = self.object(graph);
        let (id, block) = (SectionId::new(graph.sections.len()), BlockId::new(graph.blocks.len()));
        section.object = object;
        section.blocks = block.0..block.0 + 1;
        graph.sections.push(section);
        graph.objects[object.index()].sections.end += 1;
        let first_edge = graph.edges.len() as u32;
        graph.blocks.push(Block { content, section: id, section_offset: 0, align_log2, first_edge, edge_count: 0 });
        if graph.live.len() == block.index() {
            graph.live.push(true);
        }
        block
    }

    /// Gives a block of the linker's its edges, all at once.
    pub(super) fn set_edges(
        &mut self,
        graph: &mut LinkGraph<'_>,
        block: BlockId,
        edges: impl IntoIterator<Item = Edge>,
    ) {
        let first = graph.edges.len();
        graph.edges.extend(edges);
        let block = &mut graph.blocks[block.index()];
        (block.first_edge, block.edge_count) = (first as u32, (graph.edges.len() - first) as u32);
    }

    /// Adds a nameless symbol for a place in a block.
    pub(super) fn symbol(&mut self, graph: &mut LinkGraph<'_>, block: BlockId, offset: u64) -> SymbolId {
        let object = self.object(graph);
        let id = SymbolId::new(graph.symbols.len());
        graph.symbols.push(Symbol::local(b"", object, block, offset));
        graph.canonical.push(id);
        graph.objects[object.index()].symbols.end += 1;
        id
    }
}
