//! GOT slots and stubs, made on demand and shared by the whole batch.

use super::super::synthetic::Synthetic;
use super::Lowered;
use crate::arch::StubKind;
use crate::graph::{BlockId, Content, Edge, LinkGraph, Protection, Section, SymbolId};
use crate::reloc::Subject;

const NONE: u32 = u32::MAX;

/// The tables under construction. Symbols of slots and stubs exist at once, their blocks get bytes and edges at the end.
pub(super) struct Tables {
    /// Slot of each symbol, by position.
    slot_of: Vec<u32>,
    stub_of: Vec<u32>,
    got: Option<BlockId>,
    stubs: Option<BlockId>,
    lowered: Lowered,
    /// Slots can be changed while the program runs.
    writable: bool,
    pointer_row: u16,
}

impl Tables {
    pub(super) fn new(graph: &LinkGraph<'_>, pointer_row: u16, writable: bool) -> Tables {
        let symbols = graph.symbols.len();
        Tables {
            pointer_row,
            slot_of: vec![NONE; symbols],
            stub_of: vec![NONE; symbols],
            got: graph.got.filter(|&got| graph.is_live(got)),
            stubs: None,
            lowered: Lowered::default(),
            writable,
        }
    }

    /// Makes sure that there is a GOT, if only for its address.
    pub(super) fn need_got(&mut self, graph: &mut LinkGraph<'_>, synthetic: &mut Synthetic) -> BlockId {
        *self.got.get_or_insert_with(|| {
            let got = provide_got(graph, synthetic, self.writable);
            graph.live[got.index()] = true;
            got
        })
    }

    /// The symbol of the slot that holds a symbol's address.
    pub(super) fn slot(&mut self, graph: &mut LinkGraph<'_>, synthetic: &mut Synthetic, target: SymbolId) -> SymbolId {
        let got = self.need_got(graph, synthetic);
        let known = self.slot_of[target.index()];
        if known != NONE {
            return self.lowered.slots[known as usize].1;
        }
        let index = self.lowered.slots.len();
        let slot = synthetic.symbol(graph, got, index as u64 * u64::from(graph.target.pointer_bytes));
        self.slot_of[target.index()] = index as u32;
        self.lowered.slots.push((target, slot));
        slot
    }

    /// The symbol of the stub that calls a symbol wherever it is.
    pub(super) fn stub(&mut self, graph: &mut LinkGraph<'_>, synthetic: &mut Synthetic, target: SymbolId) -> SymbolId {
        let known = self.stub_of[target.index()];
        if known != NONE {
            return self.lowered.stubs[known as usize].1;
        }
        let Some(template) = graph.target.arch.stub(StubKind::Plt) else {
            // Without a stub the edge stays direct, and fix-up reports what it cannot reach.
            return target;
        };
        if template.fixups().iter().any(|fixup| graph.rows.row(fixup.row).subject() == Subject::GotSlot) {
            self.slot(graph, synthetic, target);
        }
        let stubs = *self.stubs.get_or_insert_with(|| {
            let mut section = Section::new(b".plt", synthetic.object(graph));
            section.protection = Protection::ReadExecute;
            let align_log2 = template.align().trailing_zeros() as u8;
            synthetic.add(graph, section, Content::Owned(Box::default()), align_log2)
        });
        let index = self.lowered.stubs.len();
        let stub = synthetic.symbol(graph, stubs, index as u64 * stride(template));
        self.stub_of[target.index()] = index as u32;
        self.lowered.stubs.push((target, stub, StubKind::Plt));
        stub
    }

    /// Gives the blocks their bytes and edges.
    pub(super) fn finish(mut self, graph: &mut LinkGraph<'_>, synthetic: &mut Synthetic) -> Lowered {
        let pointer = usize::from(graph.target.pointer_bytes);
        if let Some(stubs) = self.stubs
            && let Some(template) = graph.target.arch.stub(StubKind::Plt)
        {
            let stride = stride(template);
            let mut code = Vec::with_capacity(self.lowered.stubs.len() * stride as usize);
            let mut edges = Vec::new();
            for (index, &(target, ..)) in self.lowered.stubs.iter().enumerate() {
                let start = index * stride as usize;
                code.extend_from_slice(template.code());
                let trap = graph.target.arch.info().trap_bytes().iter().cycle();
                code.extend(trap.take(start + stride as usize - code.len()));
                for fixup in template.fixups() {
                    let subject = graph.rows.row(fixup.row).subject();
                    let target = match subject {
                        Subject::GotSlot => self.lowered.slots[self.slot_of[target.index()] as usize].1,
                        _ => target,
                    };
                    let (offset, addend) = (start as u32 + fixup.offset, fixup.addend);
                    edges.push(Edge { offset, target, addend, row: fixup.row, subject: Subject::Symbol });
                }
            }
            graph.blocks[stubs.index()].content = Content::Owned(code.into());
            synthetic.set_edges(graph, stubs, edges);
        }
        if let Some(got) = self.got {
            let row = self.pointer_row;
            graph.blocks[got.index()].content = Content::Owned(vec![0; self.lowered.slots.len() * pointer].into());
            let slot = |(index, &(target, _)): (usize, &(SymbolId, SymbolId))| Edge {
                offset: (index * pointer) as u32,
                target,
                addend: 0,
                row,
                subject: Subject::Symbol,
            };
            let edges: Vec<Edge> = self.lowered.slots.iter().enumerate().map(slot).collect();
            synthetic.set_edges(graph, got, edges);
        }
        self.lowered.got = self.got;
        self.lowered
    }
}

/// The batch's GOT block, made if it has none; empty until slots are known.
pub(in crate::link) fn provide_got(graph: &mut LinkGraph<'_>, synthetic: &mut Synthetic, writable: bool) -> BlockId {
    if let Some(got) = graph.got {
        return got;
    }
    let mut section = Section::new(b".got", synthetic.object(graph));
    if writable {
        section.protection = Protection::ReadWrite;
    }
    let align_log2 = graph.target.pointer_bytes.trailing_zeros() as u8;
    let got = synthetic.add(graph, section, Content::Owned(Box::default()), align_log2);
    graph.got = Some(got);
    got
}

/// The distance between neighbouring stubs.
fn stride(template: &crate::arch::StubTemplate) -> u64 {
    (template.code().len() as u64).next_multiple_of(template.align())
}
