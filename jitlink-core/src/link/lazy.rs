//! Trampolines of functions that are linked when they are first called.
//!
//! Each function gets an *entry*, which stands for its address everywhere in the batch: a stub that jumps through a slot in
//! writable memory. The slot first points to a *lazy* stub, which hands the slot's address to the *binder*; that calls the
//! executor's linker, and the slot points to the function from then on. All of it is blocks, symbols and edges before lowering, so
//! that lowering, layout and fix-up need to know nothing of it.

use super::layout::Addresses;
use super::synthetic::Synthetic;
use crate::addr::Addr;
use crate::arch::{StubKind, StubTemplate};
use crate::error::LinkError;
use crate::executor::{Executor, LazyFunction, LazySlot};
use crate::graph::{BlockId, Content, Edge, LinkGraph, Protection, Section, SymbolId, Value};
use crate::reloc::Subject;
use std::sync::Arc;

/// A function's trampoline.
pub(super) struct Trampoline {
    name: SymbolId,
    slot: SymbolId,
    function: Arc<dyn LazyFunction>,
}

impl Trampoline {
    /// As link maps list it: what it is for, its own symbol, its kind.
    pub(super) fn stub(&self) -> (SymbolId, SymbolId, StubKind) {
        (self.name, self.name, StubKind::Lazy)
    }

    /// Its slot, placed.
    pub(super) fn at(self, addresses: &Addresses) -> LazySlot {
        LazySlot { slot: Addr(addresses.symbols[self.slot.index()]), function: self.function }
    }
}

/// Makes the trampolines and gives the functions' symbols their addresses.
pub(super) fn trampolines(
    graph: &mut LinkGraph<'_>,
    synthetic: &mut Synthetic,
    executor: &dyn Executor,
    functions: Vec<(SymbolId, Arc<dyn LazyFunction>)>,
) -> Result<Vec<Trampoline>, LinkError> {
    if functions.is_empty() {
        return Ok(Vec::new());
    }
    let mut maker = Maker::new(graph, synthetic, executor.lazy_linker()?, [b".lazy", b".lazy.slots"])?;
    let make = |(name, function): (SymbolId, Arc<dyn LazyFunction>)| {
        let (entry, slot) = maker.trampoline();
        maker.enter(name, entry);
        Trampoline { name, slot, function }
    };
    Ok(functions.into_iter().map(make).collect())
}

/// Makes trampolines that share a binder.
pub(super) struct Maker<'m, 'a> {
    pub(super) graph: &'m mut LinkGraph<'a>,
    synthetic: &'m mut Synthetic,
    entry: &'static StubTemplate,
    lazy: &'static StubTemplate,
    binder: SymbolId,
    pointer_row: u16,
    /// The names of the sections of code and of slots.
    sections: [&'static [u8]; 2],
}

impl<'m, 'a> Maker<'m, 'a> {
    /// Makes the binder, which calls `linker`.
    pub(super) fn new(
        graph: &'m mut LinkGraph<'a>,
        synthetic: &'m mut Synthetic,
        linker: Addr,
        sections: [&'static [u8]; 2],
    ) -> Result<Maker<'m, 'a>, LinkError> {
        let arch = graph.target.arch;
        let part = |kind| arch.trampoline_part(kind, &graph.target);
        let entry = part(StubKind::Trampoline).or_else(|| arch.stub(StubKind::Plt));
        let templates = [entry, part(StubKind::Lazy), part(StubKind::Binder)];
        let ([Some(entry), Some(lazy), Some(binder)], Some(pointer_row)) = (templates, graph.target.pointer_row())
        else {
            let what =
                format!("{} has no trampolines for functions that are found on their first call", arch.info().name());
            return Err(LinkError::Request(what));
        };
        let mut maker = Maker { graph, synthetic, entry, lazy, binder: SymbolId::new(0), pointer_row, sections };
        let linker = maker.absolute(linker);
        maker.binder = maker.code(binder, linker, linker);
        Ok(maker)
    }

    /// The symbols of a new entry and of its slot, which leads to the binder.
    pub(super) fn trampoline(&mut self) -> (SymbolId, SymbolId) {
        let (slots, slot) = self.slot();
        let lazy = self.code(self.lazy, self.binder, slot);
        let edge = Edge { offset: 0, target: lazy, addend: 0, row: self.pointer_row, subject: Subject::Symbol };
        self.synthetic.set_edges(self.graph, slots, [edge]);
        (self.code(self.entry, slot, slot), slot)
    }

    /// Has a function's symbol mean its entry.
    pub(super) fn enter(&mut self, function: SymbolId, entry: SymbolId) {
        let value = self.graph.symbol(entry).value;
        let symbol = &mut self.graph.symbols[function.index()];
        symbol.value = value;
        symbol.other = self.graph.target.arch.info().trampoline_symbol_other();
    }

    /// Code made from a template: what its fixups mean by a GOT slot is `slot`, and by anything else `target`.
    fn code(&mut self, template: &StubTemplate, target: SymbolId, slot: SymbolId) -> SymbolId {
        let code = Content::Owned(template.code().into());
        let (block, symbol) = self.block(self.sections[0], Protection::ReadExecute, code, template.align());
        let edge = |fixup: &crate::arch::StubFixup| {
            let is_slot = self.graph.rows.row(fixup.row).subject() == Subject::GotSlot;
            let target = if is_slot { slot } else { target };
            let (offset, addend, row) = (fixup.offset, fixup.addend, fixup.row);
            Edge { offset, target, addend, row, subject: Subject::Symbol }
        };
        let edges: Vec<Edge> = template.fixups().iter().map(edge).collect();
        self.synthetic.set_edges(self.graph, block, edges);
        symbol
    }

    fn slot(&mut self) -> (BlockId, SymbolId) {
        let pointer = usize::from(self.graph.target.pointer_bytes);
        let content = Content::Owned(vec![0; pointer].into());
        self.block(self.sections[1], Protection::ReadWrite, content, pointer as u64)
    }

    fn block(
        &mut self,
        name: &'static [u8],
        protection: Protection,
        content: Content<'static>,
        align: u64,
    ) -> (BlockId, SymbolId) {
        let mut section = Section::new(name, self.synthetic.object(self.graph));
        section.protection = protection;
        let block = self.synthetic.add(self.graph, section, content, align.trailing_zeros() as u8);
        (block, self.synthetic.symbol(self.graph, block, 0))
    }

    /// A nameless symbol for the place of another.
    pub(super) fn symbol_like(&mut self, other: SymbolId) -> SymbolId {
        let symbol = self.absolute(Addr(0));
        self.graph.symbols[symbol.index()].value = self.graph.symbol(other).value;
        symbol
    }

    /// A symbol for an address outside the batch.
    fn absolute(&mut self, address: Addr) -> SymbolId {
        let block = BlockId::new(0);
        let symbol = self.synthetic.symbol(self.graph, block, 0);
        self.graph.symbols[symbol.index()].value = Value::Absolute(address.0);
        symbol
    }
}
