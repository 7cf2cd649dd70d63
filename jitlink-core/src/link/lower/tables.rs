//! GOT slots and stubs, made on demand and shared by the whole batch.

use super::super::synthetic::Synthetic;
use super::{Lowered, Slot};
use crate::arch::{StubKind, StubTemplate};
use crate::graph::{BlockId, Content, Edge, LinkGraph, Protection, Residence, Section, SymbolId};
use crate::reloc::Subject;
use hashbrown::HashMap;

const NONE: u32 = u32::MAX;

/// The tables under construction. Symbols of slots and stubs exist at once, their blocks get bytes and edges at the end.
pub(super) struct Tables {
    /// Slot of each symbol, by position.
    slot_of: Vec<u32>,
    /// The first of the slots that hold what thread-local code needs, by variable, what asks for them and from where.
    thread_local: HashMap<(SymbolId, Subject, Residence), SymbolId>,
    got: Option<BlockId>,
    /// Slots for code that may lie far from the GOT, and yet takes its slots to be near.
    far_got: Option<BlockId>,
    far_slots: Vec<Slot>,
    /// Stubs by their kind and by where the code lies that uses them: those for near code jump through slots, for code that may
    /// lie far from the slots there are others.
    stubs: Vec<StubTable>,
    lowered: Lowered,
    pointer_row: u16,
}

impl Tables {
    pub(super) fn new(graph: &LinkGraph<'_>, pointer_row: u16) -> Tables {
        let symbols = graph.symbols.len();
        Tables {
            pointer_row,
            slot_of: vec![NONE; symbols],
            thread_local: HashMap::new(),
            got: graph.got.filter(|&got| graph.is_live(got)),
            far_got: None,
            far_slots: Vec::new(),
            stubs: Vec::new(),
            lowered: Lowered::default(),
        }
    }

    /// Makes sure that there is a GOT, if only for its address.
    pub(super) fn need_got(&mut self, graph: &mut LinkGraph<'_>, synthetic: &mut Synthetic) -> BlockId {
        *self.got.get_or_insert_with(|| {
            let got = provide_got(graph, synthetic);
            graph.live[got.index()] = true;
            got
        })
    }

    /// The symbol of the slot that holds a symbol's address.
    pub(super) fn slot(&mut self, graph: &mut LinkGraph<'_>, synthetic: &mut Synthetic, target: SymbolId) -> SymbolId {
        self.need_got(graph, synthetic);
        let known = self.slot_of[target.index()];
        if known != NONE {
            return self.lowered.slots[known as usize].symbol;
        }
        self.slot_of[target.index()] = self.lowered.slots.len() as u32;
        self.push(graph, synthetic, Residence::Near, (target, Subject::Symbol))
    }

    /// The symbol of the first of neighbouring slots that hold numbers of a thread-local variable.
    pub(super) fn thread_local(
        &mut self,
        graph: &mut LinkGraph<'_>,
        synthetic: &mut Synthetic,
        key: (SymbolId, Subject, Residence),
        contents: &[Subject],
    ) -> SymbolId {
        let (target, _, residence) = key;
        if let Some(&known) = self.thread_local.get(&key) {
            return known;
        }
        let mut slots = contents.iter().map(|&content| self.push(graph, synthetic, residence, (target, content)));
        let first = slots.next().unwrap_or(target);
        slots.for_each(drop);
        self.thread_local.insert(key, first);
        first
    }

    fn push(
        &mut self,
        graph: &mut LinkGraph<'_>,
        synthetic: &mut Synthetic,
        residence: Residence,
        (target, content): (SymbolId, Subject),
    ) -> SymbolId {
        let got = match residence {
            Residence::Near => self.need_got(graph, synthetic),
            _ => *self.far_got.get_or_insert_with(|| add_got(graph, synthetic, residence)),
        };
        let slots = if residence == Residence::Near { &mut self.lowered.slots } else { &mut self.far_slots };
        let index = slots.len() as u64;
        let symbol = synthetic.symbol(graph, got, index * u64::from(graph.target.pointer_bytes));
        slots.push(Slot { target, symbol, content });
        symbol
    }

    /// The symbol of the stub that calls a symbol wherever it is, of a kind for near code, for code with the given residence.
    pub(super) fn stub(
        &mut self,
        graph: &mut LinkGraph<'_>,
        synthetic: &mut Synthetic,
        target: SymbolId,
        (kind, from): (StubKind, Residence),
    ) -> SymbolId {
        let (kind, residence) = match from {
            Residence::Near => (kind, Residence::Near),
            _ => (StubKind::Thunk, Residence::Far),
        };
        let Some(template) = graph.target.arch.stub(kind) else {
            // Without a stub the edge stays direct, and fix-up reports what it cannot reach.
            return target;
        };
        if template.fixups().iter().any(|fixup| graph.rows.row(fixup.row).subject() == Subject::GotSlot) {
            self.slot(graph, synthetic, target);
        }
        let known = self.stubs.iter().position(|table| (table.kind, table.residence) == (kind, residence));
        let index = known.unwrap_or_else(|| {
            self.stubs.push(StubTable::new(kind, residence));
            self.stubs.len() - 1
        });
        self.stubs[index].stub(graph, synthetic, target, template)
    }

    /// Gives the blocks their bytes and edges.
    pub(super) fn finish(mut self, graph: &mut LinkGraph<'_>, synthetic: &mut Synthetic) -> Lowered {
        let slot = |target: SymbolId| self.lowered.slots[self.slot_of[target.index()] as usize].symbol;
        for table in &self.stubs {
            table.finish(graph, synthetic, slot);
        }
        for table in self.stubs {
            self.lowered.stubs.extend(table.stubs.into_iter().map(|(target, stub)| (target, stub, table.kind)));
        }
        for (got, slots) in [(self.got, &self.lowered.slots), (self.far_got, &self.far_slots)] {
            if let Some(got) = got {
                fill(graph, synthetic, got, slots, self.pointer_row);
            }
        }
        self.lowered.slots.append(&mut self.far_slots);
        self.lowered.got = self.got;
        self.lowered
    }
}

/// Gives a block of slots its bytes and edges.
fn fill(graph: &mut LinkGraph<'_>, synthetic: &mut Synthetic, got: BlockId, slots: &[Slot], row: u16) {
    let pointer = usize::from(graph.target.pointer_bytes);
    graph.blocks[got.index()].content = Content::Owned(vec![0; slots.len() * pointer].into());
    let slot = |(index, slot): (usize, &Slot)| Edge {
        offset: (index * pointer) as u32,
        target: slot.target,
        addend: 0,
        row,
        subject: slot.content,
    };
    synthetic.set_edges(graph, got, slots.iter().enumerate().map(slot));
}

/// Stubs of one kind, in one block.
struct StubTable {
    kind: StubKind,
    residence: Residence,
    /// Stub of each symbol.
    stub_of: HashMap<SymbolId, SymbolId>,
    /// What each stub is for, and its own symbol, in order.
    stubs: Vec<(SymbolId, SymbolId)>,
    block: Option<BlockId>,
}

impl StubTable {
    fn new(kind: StubKind, residence: Residence) -> StubTable {
        StubTable { kind, residence, stub_of: HashMap::new(), stubs: Vec::new(), block: None }
    }

    fn stub(
        &mut self,
        graph: &mut LinkGraph<'_>,
        synthetic: &mut Synthetic,
        target: SymbolId,
        template: &StubTemplate,
    ) -> SymbolId {
        if let Some(&stub) = self.stub_of.get(&target) {
            return stub;
        }
        let block = *self.block.get_or_insert_with(|| {
            let mut section = Section::new(b".plt", synthetic.object(graph));
            (section.protection, section.residence) = (Protection::ReadExecute, self.residence);
            let align_log2 = template.align().trailing_zeros() as u8;
            synthetic.add(graph, section, Content::Owned(Box::default()), align_log2)
        });
        let stub = synthetic.symbol(graph, block, self.stubs.len() as u64 * stride(template));
        self.stub_of.insert(target, stub);
        self.stubs.push((target, stub));
        stub
    }

    fn finish(&self, graph: &mut LinkGraph<'_>, synthetic: &mut Synthetic, slot: impl Fn(SymbolId) -> SymbolId) {
        let (Some(block), Some(template)) = (self.block, graph.target.arch.stub(self.kind)) else { return };
        let stride = stride(template);
        let mut code = Vec::with_capacity(self.stubs.len() * stride as usize);
        let mut edges = Vec::new();
        for (index, &(target, _)) in self.stubs.iter().enumerate() {
            let start = index * stride as usize;
            code.extend_from_slice(template.code());
            let trap = graph.target.arch.info().trap_bytes().iter().cycle();
            code.extend(trap.take(start + stride as usize - code.len()));
            for fixup in template.fixups() {
                let target = match graph.rows.row(fixup.row).subject() {
                    Subject::GotSlot => slot(target),
                    _ => target,
                };
                let (offset, addend) = (start as u32 + fixup.offset, fixup.addend);
                edges.push(Edge { offset, target, addend, row: fixup.row, subject: Subject::Symbol });
            }
        }
        graph.blocks[block.index()].content = Content::Owned(code.into());
        synthetic.set_edges(graph, block, edges);
    }
}

/// The batch's GOT block, made if it has none; empty until slots are known.
pub(in crate::link) fn provide_got(graph: &mut LinkGraph<'_>, synthetic: &mut Synthetic) -> BlockId {
    if let Some(got) = graph.got {
        return got;
    }
    let got = add_got(graph, synthetic, Residence::Near);
    graph.got = Some(got);
    got
}

/// A block for slots.
fn add_got(graph: &mut LinkGraph<'_>, synthetic: &mut Synthetic, residence: Residence) -> BlockId {
    let info = graph.target.arch.info();
    let mut section = Section::new(info.got_section(), synthetic.object(graph));
    section.residence = residence;
    section.gathered = info.has_gathered_got() && residence == Residence::Near;
    let align_log2 = graph.target.pointer_bytes.trailing_zeros() as u8;
    synthetic.add(graph, section, Content::Owned(Box::default()), align_log2)
}

/// The distance between neighbouring stubs.
fn stride(template: &StubTemplate) -> u64 {
    (template.code().len() as u64).next_multiple_of(template.align())
}
