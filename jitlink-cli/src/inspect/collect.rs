//! Filling the model while a link runs.

use super::model::{
    Block, Cause, Change, Counts, Edge, Group, Hex, Member, Model, Object, Place, Reached, Section, Segment, Side,
    Slot, State, Stub, Symbol, Target, VERSION, residence_name,
};
use super::words;
use jitlink::Stage;
use jitlink::core::graph::{self, BlockId, LinkGraph, Linkage, Scope, SymbolId, SymbolKind, Value};
use jitlink::core::link::{self, ArchiveMember, Liveness, Observer, Placement};
use jitlink::core::reloc::Subject;
use jitlink::{LinkOptions, Pipeline};
use std::sync::{Arc, Mutex, PoisonError};

/// Looks on, and keeps what it sees.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    model: Arc<Mutex<Model>>,
    /// Blocks come with their bytes.
    with_content: bool,
}

impl Collector {
    /// A collector that is told of all that happens in links with `options`, and what it fills.
    pub(crate) fn watch(options: &mut LinkOptions, with_content: bool) -> Arc<Mutex<Model>> {
        let model = Arc::new(Mutex::new(Model { version: VERSION, ..Model::default() }));
        options.observer = Some(Arc::new(Collector { model: model.clone(), with_content }));
        if with_content {
            collect_bytes(&mut options.pipeline, model.clone());
        }
        model
    }

    fn with(&self, fill: impl FnOnce(&mut Model)) {
        fill(&mut self.model.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Adds a pass that keeps the final bytes of blocks.
fn collect_bytes(pipeline: &mut Pipeline, model: Arc<Mutex<Model>>) {
    pipeline.add(Stage::AfterFixup, "inspect", move |graph, context| {
        let mut model = model.lock().unwrap_or_else(PoisonError::into_inner);
        for (index, block) in model.blocks.iter_mut().enumerate().take(graph.blocks().len()) {
            let id = BlockId::new(index);
            if graph.is_live(id) && !block.content.is_empty() {
                block.fixed = context.bytes(id).map(|bytes| Box::from(&*bytes));
            }
        }
        Ok(())
    });
}

impl Observer for Collector {
    fn read(&self, graph: &LinkGraph<'_>, members: &[ArchiveMember<'_>]) {
        self.with(|model| {
            let target = graph.target();
            model.target = Some(Target {
                format: target.format.to_string(),
                arch: target.arch.info().name().to_string(),
                endian: target.endian.name().to_string(),
                pointer_bytes: target.pointer_bytes,
            });
            model.members = members.iter().map(member).collect();
            model.widths = graph.rows().rows().iter().map(|row| (row.name(), row.field().bytes())).collect();
            capture(model, graph, self.with_content);
            model.reached = Reached::Read;
        });
    }

    fn resolved(&self, graph: &LinkGraph<'_>) {
        self.with(|model| {
            capture(model, graph, self.with_content);
            model.reached = Reached::Resolved;
        });
    }

    fn pruned(&self, graph: &LinkGraph<'_>, liveness: &Liveness) {
        self.with(|model| {
            for index in 0..model.blocks.len() {
                let id = BlockId::new(index);
                let group = graph.section(graph.block(id).section).group;
                let is_discarded = group.is_some_and(|group| model.groups[group.index()].kept.is_some());
                let cause = liveness.cause(id).map(|cause| cause_of(model, cause));
                let block = &mut model.blocks[index];
                block.cause = cause;
                let made = model.objects[model.sections[block.section as usize].object as usize].made;
                block.state = match (graph.is_live(id), is_discarded) {
                    (true, _) if made => State::Made,
                    (true, _) => State::Live,
                    (false, true) => State::Discarded,
                    (false, false) => State::Pruned,
                };
            }
            model.reached = Reached::Pruned;
        });
    }

    fn placed(&self, graph: &LinkGraph<'_>, placement: &Placement<'_>) {
        self.with(|model| {
            place(model, graph, placement, self.with_content);
            model.reached = Reached::Placed;
        });
    }
}

fn member(member: &ArchiveMember<'_>) -> Member {
    let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    Member {
        archive: member.archive.to_string(),
        name: member.name.to_string(),
        joined: member.joined,
        wanted: member.wanted.map(text),
        defines: member.defines.iter().map(|name| text(name)).collect(),
    }
}

fn cause_of(model: &Model, cause: link::Cause) -> Cause {
    match cause {
        link::Cause::Entry(symbol) => Cause::Entry { symbol: n(symbol.index()) },
        link::Cause::Retained(symbol) => Cause::Retained { symbol: n(symbol.index()) },
        link::Cause::Exported(symbol) => Cause::Exported { symbol: n(symbol.index()) },
        link::Cause::RetainedSection => Cause::RetainedSection,
        link::Cause::Initialisers => Cause::Initialisers,
        link::Cause::Unloaded => Cause::Unloaded,
        link::Cause::Edge { from, index } => {
            Cause::Edge { block: n(from.index()), edge: model.blocks[from.index()].edges.0 + index }
        }
        link::Cause::Dependency(block) => Cause::Dependency { block: n(block.index()) },
        link::Cause::Group(block) => Cause::Group { block: n(block.index()) },
    }
}

/// Takes over all of a graph that is not placed yet.
fn capture(model: &mut Model, graph: &LinkGraph<'_>, with_content: bool) {
    model.objects = graph.objects().map(|(_, object)| self::object(object)).collect();
    model.groups = graph.groups().map(|(_, group)| self::group(group)).collect();
    model.sections = graph.sections().map(|(_, section)| self::section(section)).collect();
    (model.blocks, model.edges) = (Vec::new(), Vec::new());
    for (id, block) in graph.blocks() {
        let first = model.edges.len() as u32;
        model.edges.extend(graph.edges(id).iter().map(|edge| {
            let before = Some(side(graph, edge));
            Edge { block: n(id.index()), offset: edge.offset, before, after: None, change: None }
        }));
        model.blocks.push(self::block(block, (first, model.edges.len() as u32), with_content));
    }
    let own: Vec<Place> = model.symbols.iter().map(|symbol| symbol.own).collect();
    model.symbols = graph.symbols().map(|(id, symbol)| self::symbol(graph, id, symbol)).collect();
    for (symbol, own) in model.symbols.iter_mut().zip(own) {
        symbol.own = own;
    }
    model.totals.before = Counts {
        objects: model.objects.iter().filter(|object| !object.made).count(),
        sections: model.sections.len(),
        blocks: model.blocks.len(),
        symbols: model.symbols.len(),
        edges: model.edges.len(),
        bytes: model.blocks.iter().map(|block| block.size).fold(0, u64::saturating_add),
    };
}

/// Adds what lowering made, where everything is, and what became of each edge.
fn place(model: &mut Model, graph: &LinkGraph<'_>, placement: &Placement<'_>, with_content: bool) {
    model.segments = placement.segments.iter().map(segment).collect();
    let known = model.objects.len();
    model.objects.extend(graph.objects().skip(known).map(|(_, object)| self::object(object)));
    let known = model.sections.len();
    model.sections.extend(graph.sections().skip(known).map(|(_, section)| self::section(section)));
    for (section, (_, now)) in model.sections.iter_mut().zip(graph.sections()) {
        // Sections that must lie together have got the protection and the place that all of them can live with.
        (section.protection, section.residence) = (now.protection.name(), residence_name(now.residence));
    }
    let known = model.symbols.len();
    model.symbols.extend(graph.symbols().skip(known).map(|(id, symbol)| self::symbol(graph, id, symbol)));
    for (id, _) in graph.symbols() {
        let address = placement.symbol_address(graph, id).map(|address| Hex(address.0));
        model.symbols[id.index()].address = address;
    }
    place_blocks(model, graph, placement, with_content);
    for rewrite in &placement.rewrites {
        let (block, index) = (rewrite.block.index(), rewrite.index as usize);
        let at = model.blocks[block].edges.0 as usize + index;
        let text = words::reason(&rewrite.reason, graph.rows().row(rewrite.before.row).name());
        if let Some(edge) = model.edges.get_mut(at) {
            edge.change = Some(Change { kind: rewrite.change.name(), reason: rewrite.reason.name(), text });
        }
    }
    let address = |model: &Model, symbol: SymbolId| model.symbols[symbol.index()].address;
    let slot = |slot: &link::Slot| Slot {
        symbol: n(slot.symbol.index()),
        target: n(slot.target.index()),
        address: address(model, slot.symbol),
        for_stub: slot.for_stub,
    };
    let slots = placement.slots.iter().map(slot).collect();
    let stub = |stub: &link::Stub| Stub {
        symbol: n(stub.symbol.index()),
        target: n(stub.target.index()),
        address: address(model, stub.symbol),
        kind: stub.kind.name(),
    };
    let stubs = placement.stubs.iter().map(stub).collect();
    (model.slots, model.stubs) = (slots, stubs);
}

fn place_blocks(model: &mut Model, graph: &LinkGraph<'_>, placement: &Placement<'_>, with_content: bool) {
    for (id, data) in graph.blocks() {
        let edges = graph.edges(id);
        let is_new = id.index() == model.blocks.len();
        if is_new {
            let none = model.edges.len() as u32;
            model.blocks.push(block(data, (none, none), with_content));
        }
        let made = model.objects[model.sections[data.section.index()].object as usize].made;
        let block = &mut model.blocks[id.index()];
        block.address = placement.address(graph, id).map(|address| Hex(address.0));
        block.state = match block.state {
            _ if made && graph.is_live(id) => State::Made,
            State::Live if !graph.is_live(id) => State::Absorbed,
            state => state,
        };
        if made {
            (block.size, block.content) = (data.size(), content(data, with_content));
        }
        if !graph.is_live(id) {
            continue;
        }
        let (first, end) = block.edges;
        if (end - first) as usize == edges.len() {
            for (known, edge) in model.edges[first as usize..end as usize].iter_mut().zip(edges) {
                known.after = Some(side(graph, edge));
            }
            continue;
        }
        let first = model.edges.len() as u32;
        block.edges = (first, first + edges.len() as u32);
        model.edges.extend(edges.iter().map(|edge| {
            let after = Some(side(graph, edge));
            Edge { block: n(id.index()), offset: edge.offset, before: None, after, change: None }
        }));
    }
}

/// A position as documents write it; ids are no larger.
fn n(index: usize) -> u32 {
    index as u32
}

fn object(object: &graph::Object) -> Object {
    Object { name: object.name.clone(), path: object.path.clone(), made: object.path.is_empty() }
}

fn group(group: &graph::Group<'_>) -> Group {
    Group {
        name: group.name.to_string(),
        object: n(group.object.index()),
        kept: group.discarded_for().map(|object| n(object.index())),
    }
}

fn section(section: &graph::Section<'_>) -> Section {
    Section {
        name: section.name_lossy(),
        object: n(section.object.index()),
        protection: section.protection.name(),
        residence: residence_name(section.residence),
        group: section.group.map(|group| n(group.index())),
    }
}

fn block(block: &graph::Block<'_>, edges: (u32, u32), with_content: bool) -> Block {
    Block {
        section: n(block.section.index()),
        offset: block.section_offset,
        size: block.size(),
        align: block.align(),
        state: State::Undecided,
        address: None,
        cause: None,
        edges,
        content: content(block, with_content),
        fixed: None,
    }
}

fn content(block: &graph::Block<'_>, wanted: bool) -> Box<[u8]> {
    if wanted { Box::from(block.content.bytes()) } else { Box::default() }
}

fn symbol(graph: &LinkGraph<'_>, id: SymbolId, symbol: &graph::Symbol<'_>) -> Symbol {
    let place = match symbol.value {
        Value::Undefined => Place::Undefined,
        Value::Block { block, offset } => Place::Block { block: n(block.index()), offset },
        Value::Absolute(address) => Place::Absolute { address: Hex(address) },
        Value::Boundary { stop, .. } => Place::Boundary { stop },
        Value::ImageBase => Place::ImageBase,
        Value::Common { .. } => Place::Common,
    };
    Symbol {
        name: symbol.name.to_string(),
        object: n(symbol.object.index()),
        scope: match symbol.scope {
            Scope::Local => "local",
            Scope::Hidden => "hidden",
            Scope::Protected => "protected",
            Scope::Global => "global",
        },
        linkage: match symbol.linkage {
            Linkage::Strong => "strong",
            Linkage::Weak => "weak",
            Linkage::Unique => "unique",
        },
        kind: match symbol.kind {
            SymbolKind::Other => "other",
            SymbolKind::Function => "function",
            SymbolKind::Object => "object",
            SymbolKind::Section => "section",
            SymbolKind::File => "file",
            SymbolKind::ThreadLocal => "thread-local",
            SymbolKind::Indirect => "indirect",
        },
        size: symbol.size,
        own: place,
        place,
        canonical: n(graph.canonical(id).index()),
        address: None,
    }
}

fn side(graph: &LinkGraph<'_>, edge: &graph::Edge) -> Side {
    Side {
        relocation: graph.rows().row(edge.row).name(),
        subject: match edge.subject {
            Subject::Symbol => "address",
            Subject::Callee => "call",
            Subject::GotSlot => "GOT slot",
            Subject::TlsGdSlot | Subject::TlsLdSlot | Subject::TlsIeSlot | Subject::TlsDescSlot => "TLS slot",
            Subject::TlsDescCall => "TLS call",
            Subject::TpOffset | Subject::DtpOffset => "TLS offset",
            Subject::Size => "size",
            Subject::SectionIndex => "section number",
            Subject::GotBase => "GOT base",
            Subject::Nothing => "nothing",
            _ => "other",
        },
        target: n(edge.target.index()),
        addend: edge.addend,
    }
}

fn segment(segment: &link::Segment) -> Segment {
    Segment {
        address: Hex(segment.address.0),
        size: segment.size,
        protection: segment.protection.name(),
        residence: residence_name(segment.residence),
    }
}
