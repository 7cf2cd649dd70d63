//! Entries: in links that can be updated, a function that other objects see is entered through a stub of its own, which jumps
//! through a writable slot.
//!
//! Calls, pointers in data and what callers look up all mean the stub, so a function has one address for good, whatever code
//! the slot names at the moment. Unwind records and debug information mean the code itself.

use super::synthetic::Synthetic;
use crate::addr::Addr;
use crate::arch::StubKind;
use crate::error::LinkError;
use crate::graph::{
    Block, Content, Edge, LinkGraph, Name, Protection, Residence, Role, Scope, Section, Symbol, SymbolId, SymbolKind,
    Value,
};
use crate::reloc::Subject;

/// A function of the batch with its entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// The symbol that others refer to; it stands for the stub now.
    pub(super) function: SymbolId,
    /// The symbol of the code.
    pub(super) code: SymbolId,
    /// The symbol of the slot, if the entry is new.
    pub(super) slot: Option<SymbolId>,
}

/// Whether a name means a function that others can call, so that it has an entry.
pub(super) fn is_entered(graph: &LinkGraph<'_>, symbol: SymbolId) -> bool {
    if graph.external.contains(&graph.canonical(symbol)) {
        // A trampoline to a function of others.
        return false;
    }
    let symbol = graph.symbol(graph.canonical(symbol));
    let in_code = match symbol.value {
        Value::Block { block, .. } => graph.section(graph.block(block).section).protection == Protection::ReadExecute,
        _ => false,
    };
    let is_function = matches!(symbol.kind, SymbolKind::Function | SymbolKind::Indirect);
    in_code && is_function && symbol.scope != Scope::Local && !symbol.name.is_empty()
}

/// Gives every live function that others see its entry: the one that stands already, where `known` has its stub, or a new one.
pub(super) fn insert<'a>(
    graph: &mut LinkGraph<'a>,
    synthetic: &mut Synthetic,
    known: impl Fn(&Name<'_>) -> Option<Addr>,
) -> Result<Vec<Entry>, LinkError> {
    let is_live = |id: SymbolId| match graph.symbol(id).value {
        Value::Block { block, .. } => graph.is_live(block),
        _ => false,
    };
    let all = (0..graph.symbols.len()).map(SymbolId::new);
    let functions: Vec<SymbolId> =
        all.filter(|&id| graph.canonical(id) == id && is_entered(graph, id) && is_live(id)).collect();
    let mut inserter = Inserter::new(graph, synthetic)?;
    let mut entries = Vec::with_capacity(functions.len());
    let mut code_of = vec![None; inserter.graph.symbols.len()];
    for function in functions {
        let entry = inserter.entry(function, &known);
        code_of[function.index()] = Some(entry.code);
        entries.push(entry);
    }
    inserter.finish();
    redirect(graph, &code_of);
    Ok(entries)
}

/// Makes the two blocks of new entries.
struct Inserter<'g, 'a> {
    graph: &'g mut LinkGraph<'a>,
    synthetic: &'g mut Synthetic,
    template: &'static crate::arch::StubTemplate,
    pointer_row: u16,
    blocks: Option<(crate::graph::BlockId, crate::graph::BlockId)>,
    /// Code and slot of each new entry.
    new: Vec<(SymbolId, SymbolId)>,
}

impl<'g, 'a> Inserter<'g, 'a> {
    fn new(graph: &'g mut LinkGraph<'a>, synthetic: &'g mut Synthetic) -> Result<Inserter<'g, 'a>, LinkError> {
        let missing = |what: &str| {
            let arch = graph.target.arch.info().name();
            LinkError::Request(format!("links for {arch} cannot be updated: it has no {what}"))
        };
        let template =
            graph.target.arch.stub(StubKind::Plt).ok_or_else(|| missing("stub that jumps through a slot"))?;
        let pointer_row = graph.target.pointer_row().ok_or_else(|| missing("relocation row for pointers"))?;
        Ok(Inserter { graph, synthetic, template, pointer_row, blocks: None, new: Vec::new() })
    }

    fn entry(&mut self, function: SymbolId, known: impl Fn(&Name<'_>) -> Option<Addr>) -> Entry {
        let symbol = self.graph.symbol(function).clone();
        let code = SymbolId::new(self.graph.symbols.len());
        let name = Name::local(symbol.name.bytes());
        self.graph.symbols.push(Symbol { name, scope: Scope::Local, ..symbol.clone() });
        self.graph.canonical.push(code);
        // What an indirect function's entry leads to is found out by its resolver, which is `code` now.
        self.graph.symbols[function.index()].kind = SymbolKind::Function;
        if let Some(stub) = known(&symbol.name) {
            self.graph.symbols[function.index()].value = Value::Absolute(stub.0);
            return Entry { function, code, slot: None };
        }
        let (stubs, slots) = self.blocks();
        let index = self.new.len() as u64;
        let slot = self.synthetic.symbol(self.graph, slots, index * u64::from(self.graph.target.pointer_bytes));
        let offset = index * self.stride();
        self.graph.symbols[function.index()].value = Value::Block { block: stubs, offset };
        self.new.push((code, slot));
        Entry { function, code, slot: Some(slot) }
    }

    fn stride(&self) -> u64 {
        (self.template.code().len() as u64).next_multiple_of(self.template.align())
    }

    fn blocks(&mut self) -> (crate::graph::BlockId, crate::graph::BlockId) {
        *self.blocks.get_or_insert_with(|| {
            let mut stubs = Section::new(b".entries", self.synthetic.object(self.graph));
            stubs.protection = Protection::ReadExecute;
            let mut slots = Section::new(b".entries.slots", self.synthetic.object(self.graph));
            slots.protection = Protection::ReadWrite;
            let align = |align: u64| align.trailing_zeros() as u8;
            let empty = || Content::Owned(Box::default());
            let stubs = self.synthetic.add(self.graph, stubs, empty(), align(self.template.align()));
            let slots =
                self.synthetic.add(self.graph, slots, empty(), align(u64::from(self.graph.target.pointer_bytes)));
            (stubs, slots)
        })
    }

    /// Gives the blocks their bytes and edges.
    fn finish(self) {
        let Some((stubs, slots)) = self.blocks else { return };
        let (stride, pointer) = (self.stride() as usize, usize::from(self.graph.target.pointer_bytes));
        let trap = self.graph.target.arch.info().trap_bytes();
        let one = self.template.code().iter().chain(trap.iter().cycle()).take(stride);
        let code: Vec<u8> = std::iter::repeat_n(one, self.new.len()).flatten().copied().collect();
        let mut edges = Vec::with_capacity(self.new.len() * self.template.fixups().len());
        for (index, &(code, slot)) in self.new.iter().enumerate() {
            for fixup in self.template.fixups() {
                let target = match self.graph.rows.row(fixup.row).subject() {
                    Subject::GotSlot => slot,
                    _ => code,
                };
                let offset = (index * stride) as u32 + fixup.offset;
                edges.push(Edge { offset, target, addend: fixup.addend, row: fixup.row, subject: Subject::Symbol });
            }
        }
        self.graph.blocks[stubs.index()].content = Content::Owned(code.into());
        self.synthetic.set_edges(self.graph, stubs, edges);
        let row = self.pointer_row;
        let pointers = self.new.iter().enumerate().map(|(index, &(code, _))| Edge {
            offset: (index * pointer) as u32,
            target: code,
            addend: 0,
            row,
            subject: Subject::Symbol,
        });
        self.graph.blocks[slots.index()].content = Content::Owned(vec![0; self.new.len() * pointer].into());
        self.synthetic.set_edges(self.graph, slots, pointers);
    }
}

/// Lets references take the value of what they refer to, which is the stub now; unwind records and debug information refer to
/// the code.
pub(super) fn redirect(graph: &mut LinkGraph<'_>, code_of: &[Option<SymbolId>]) {
    let code = |canonical: SymbolId| code_of.get(canonical.index()).copied().flatten();
    for index in 0..code_of.len() {
        let canonical = graph.canonical[index];
        if code(canonical).is_some() {
            graph.symbols[index].value = graph.symbols[canonical.index()].value;
        }
    }
    let means_code = |block: &Block<'_>| {
        let section = &graph.sections[block.section.index()];
        section.role == Role::EhFrame || section.residence == Residence::Unloaded
    };
    for block in graph.blocks.iter().filter(|block| means_code(block)) {
        for edge in &mut graph.edges[block.edge_range()] {
            if let Some(code) = code(graph.canonical[edge.target.index()]) {
                edge.target = code;
            }
        }
    }
}
