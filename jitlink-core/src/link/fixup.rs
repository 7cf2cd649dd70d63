//! Fix-up: blocks are copied to working memory and their edges applied, in one pass, in parallel where it pays.

use super::layout::{Addresses, KINDS, Layout, UNLOADED};
use super::lower::is_thread_local;
use super::runs::Runs;
use super::short_rows::{ShortBase, ShortRow};
use super::thread_locals::Numbers;
use crate::addr::Addr;
use crate::error::{LinkError, SignedHex};
use crate::executor::WorkingMemory;
use crate::format::ObjectFormat;
use crate::graph::{BlockId, Content, Edge, LinkGraph, Protection, SymbolId, Value};
use crate::pages;
use crate::reloc::{Base, FieldError, Inputs, Reloc, Subject, apply, evaluate};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::OnceLock;

/// Blocks are handed to threads in pieces of at least this many bytes.
const PIECE: u64 = 256 << 10;
/// Errors that one piece, or one block that is cut into pieces, reports at most; a broken code model would report every
/// relocation.
const SHOWN_ERRORS: usize = 20;

/// What fix-ups refer to besides symbols.
pub(super) struct Context<'c, 'a> {
    pub(super) graph: &'c LinkGraph<'a>,
    pub(super) layout: &'c Layout,
    pub(super) addresses: &'c Addresses,
    /// The objects' format, which says what stands for what is not linked.
    pub(super) format: &'static dyn ObjectFormat,
    /// The base of the GOT.
    pub(super) got: u64,
    /// The lowest address of the batch.
    pub(super) image: u64,
    /// The runs of sections, once something counts from where one starts.
    pub(super) runs: OnceLock<Runs>,
    /// How thread-local variables are found, once that is known.
    pub(super) thread_locals: Option<&'c Numbers>,
    /// Whether a debugger will read the sections without memory.
    pub(super) is_debugged: bool,
}

/// Where debuggers find no thread-local variable, be it in a field of four bytes or eight. They would take the distance from the
/// batch's block for one from the program's own, and show what is there.
const NO_VARIABLE: u64 = 0x8000_0000_8000_0000;

/// Writes the final bytes of all segments; `memory` holds each with its kind.
pub(super) fn fix_up(
    context: &Context<'_, '_>,
    memory: &mut [(usize, WorkingMemory<'_>)],
    threads: usize,
) -> Result<(), Vec<LinkError>> {
    let (rows, endian) = (context.graph.rows.rows(), context.graph.target.endian);
    // Where there is more than one anchor, edges that count from others take the longer way.
    let anchor = context.graph.anchors.first();
    let short = |row| ShortRow::of(row, endian, anchor.map(|(anchor, _)| *anchor));
    let fixer = Fixer { context, short: rows.iter().map(short).collect(), anchors: anchor.map_or(&[], |(_, all)| all) };
    let mut pieces = Vec::new();
    for (kind, memory) in memory.iter_mut() {
        cut(context, *kind, memory, &mut pieces);
    }
    let mut fixed: Vec<Fixed> = if threads > 1 && pieces.len() > 1 {
        pieces.into_par_iter().map(|piece| piece.fix_up(&fixer)).collect()
    } else {
        pieces.into_iter().map(|piece| piece.fix_up(&fixer)).collect()
    };
    for index in 0..fixed.len() {
        if let Some(block) = fixed[index].block.filter(|_| !fixed[index].is_confined) {
            // Each field of the block in its turn, which the pieces could not see to.
            let errors = fix_again(&fixer, memory, block);
            fixed.iter_mut().filter(|part| part.block == Some(block)).for_each(|part| *part = Fixed::default());
            fixed[index].errors = errors;
        }
    }
    let mut errors = Vec::new();
    for parts in fixed.chunk_by_mut(|one, next| one.block.is_some() && one.block == next.block) {
        let limit = if parts.len() > 1 { errors.len() + SHOWN_ERRORS } else { usize::MAX };
        parts.iter_mut().for_each(|part| errors.append(&mut part.errors));
        errors.truncate(limit);
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Fixes a whole block up that was cut into pieces.
fn fix_again(fixer: &Fixer<'_, '_>, memory: &mut [(usize, WorkingMemory<'_>)], id: BlockId) -> Vec<LinkError> {
    let Some((kind, at)) = fixer.context.layout.place(id) else { return Vec::new() };
    let Some((_, memory)) = memory.iter_mut().find(|(known, _)| *known == kind) else { return Vec::new() };
    let block = fixer.context.graph.block(id);
    let bytes = &mut memory.bytes[at as usize..(at + block.size()) as usize];
    bytes.copy_from_slice(block.content.bytes());
    let mut errors = Vec::new();
    fixer.block(id, kind, bytes, &mut errors);
    errors
}

/// A run of blocks, or a part of one block, with the memory from its start to the next piece's.
struct Piece<'p> {
    kind: usize,
    blocks: &'p [BlockId],
    /// The part of the one block.
    part: Option<Part>,
    /// The offset of `bytes` in the segment.
    start: u64,
    bytes: &'p mut [u8],
    zeroed: bool,
}

/// Bytes of a block, and the edges of it that lie in them.
struct Part {
    bytes: Range<usize>,
    edges: Range<usize>,
}

/// What became of a piece.
#[derive(Default)]
struct Fixed {
    errors: Vec<LinkError>,
    /// The block that it is a part of.
    block: Option<BlockId>,
    /// Every field of the part lay inside it.
    is_confined: bool,
}

fn cut<'p>(context: &Context<'p, '_>, kind: usize, memory: &'p mut WorkingMemory<'_>, pieces: &mut Vec<Piece<'p>>) {
    let order = &context.layout.order[kind];
    let offset = |block: BlockId| context.layout.place(block).map_or(0, |(_, at)| at);
    let zeroed = memory.zeroed;
    let mut rest: &'p mut [u8] = memory.bytes;
    let (mut first, mut start) = (0, 0);
    for index in 0..order.len() {
        let end = order.get(index + 1).map_or(start + rest.len() as u64, |&next| offset(next));
        let before_large = order.get(index + 1).is_some_and(|&next| context.graph.block(next).size() >= 2 * PIECE);
        if end - start < PIECE && index + 1 < order.len() && !before_large {
            continue;
        }
        let blocks = &order[first..=index];
        let parts = if let [block] = blocks { parts(context.graph, *block) } else { Vec::new() };
        let count = parts.len();
        for (number, part) in parts.into_iter().enumerate() {
            let until = if number + 1 == count { end } else { offset(order[index]) + part.bytes.end as u64 };
            let (bytes, tail) = std::mem::take(&mut rest).split_at_mut((until - start) as usize);
            pieces.push(Piece { kind, blocks, part: Some(part), start, bytes, zeroed });
            (start, rest) = (until, tail);
        }
        if count == 0 {
            let (bytes, tail) = std::mem::take(&mut rest).split_at_mut((end - start) as usize);
            pieces.push(Piece { kind, blocks, part: None, start, bytes, zeroed });
            (start, rest) = (end, tail);
        }
        first = index + 1;
    }
}

/// The parts into which a large block is cut, before fields; none if it stays whole. Most blocks have their edges in order;
/// where that is not so, the parts' fix-up notices.
fn parts(graph: &LinkGraph<'_>, id: BlockId) -> Vec<Part> {
    let (edges, size) = (graph.edges(id), graph.block(id).size() as usize);
    let count = size / PIECE as usize;
    if count < 2 || matches!(graph.block(id).content, Content::Zero(_)) {
        return Vec::new();
    }
    let mut parts: Vec<Part> = Vec::with_capacity(count);
    let (mut byte, mut edge) = (0, 0);
    for number in 1..=count {
        let (next_byte, next_edge) = if number == count {
            (size, edges.len())
        } else {
            let target = size * number / count;
            let next = edge + edges[edge..].partition_point(|edge| (edge.offset as usize) < target);
            (edges.get(next).map_or(target, |edge| edge.offset as usize).max(byte), next)
        };
        parts.push(Part { bytes: byte..next_byte, edges: edge..next_edge });
        (byte, edge) = (next_byte, next_edge);
    }
    parts
}

impl Piece<'_> {
    fn fix_up(mut self, fixer: &Fixer<'_, '_>) -> Fixed {
        if KINDS.get(self.kind).is_some_and(|(protection, _)| *protection != Protection::ReadWrite) {
            // Unlike data, whose zeros nobody writes.
            pages::populate(self.bytes);
        }
        match self.part.take() {
            Some(part) => self.fix_part(&part, fixer),
            None => self.fix_blocks(fixer),
        }
    }

    fn fix_blocks(self, fixer: &Fixer<'_, '_>) -> Fixed {
        let (graph, layout) = (fixer.context.graph, fixer.context.layout);
        let mut errors = Vec::new();
        let mut done = 0usize;
        for &id in self.blocks {
            let block = graph.block(id);
            let Some((_, at)) = layout.place(id) else { continue };
            let begin = (at - self.start) as usize;
            fill(&mut self.bytes[done..begin], fixer.trap(id), self.zeroed);
            done = begin + block.size() as usize;
            let bytes = &mut self.bytes[begin..done];
            match &block.content {
                Content::Zero(_) if !self.zeroed => bytes.fill(0),
                Content::Zero(_) => {}
                content => bytes.copy_from_slice(content.bytes()),
            }
            fixer.block(id, self.kind, bytes, &mut errors);
        }
        fill(&mut self.bytes[done..], None, self.zeroed);
        Fixed { errors, block: None, is_confined: true }
    }

    fn fix_part(self, part: &Part, fixer: &Fixer<'_, '_>) -> Fixed {
        let (id, graph) = (self.blocks[0], fixer.context.graph);
        let mut fixed = Fixed { errors: Vec::new(), block: Some(id), is_confined: true };
        let Some((_, at)) = fixer.context.layout.place(id) else { return fixed };
        let begin = (at + part.bytes.start as u64 - self.start) as usize;
        let done = begin + part.bytes.len();
        fill(&mut self.bytes[..begin], fixer.trap(id), self.zeroed);
        fill(&mut self.bytes[done..], None, self.zeroed);
        let bytes = &mut self.bytes[begin..done];
        bytes.copy_from_slice(&graph.block(id).content.bytes()[part.bytes.clone()]);
        let place = fixer.context.addresses.blocks[id.index()].0;
        let sizes = graph.rows.field_bytes();
        for edge in &graph.edges(id)[part.edges.clone()] {
            let size = usize::from(sizes.get(usize::from(edge.row)).copied().unwrap_or(0));
            let start = (edge.offset as usize).wrapping_sub(part.bytes.start);
            let Some(field) = bytes.get_mut(start..).filter(|field| size <= field.len()) else {
                fixed.is_confined = false;
                return fixed;
            };
            let unloaded = self.kind == usize::from(UNLOADED);
            let at = place.wrapping_add(u64::from(edge.offset));
            fixer.fix(id, edge, field, at, unloaded, &mut fixed.errors);
        }
        fixed
    }
}

/// Fix-ups with what is worked out once for all of them.
struct Fixer<'c, 'a> {
    context: &'c Context<'c, 'a>,
    /// By row.
    short: Vec<ShortRow>,
    /// By block, what the first anchor stands for.
    anchors: &'c [Addr],
}

impl Fixer<'_, '_> {
    /// What fills gaps before a block, other than zeros.
    fn trap(&self, id: BlockId) -> Option<&[u8]> {
        let graph = self.context.graph;
        let is_code = graph.section(graph.block(id).section).protection == Protection::ReadExecute;
        is_code.then(|| graph.target.arch.info().trap_bytes())
    }

    /// Applies all edges of a block to its bytes.
    fn block(&self, id: BlockId, kind: usize, bytes: &mut [u8], errors: &mut Vec<LinkError>) {
        let place = self.context.addresses.blocks[id.index()].0;
        let unloaded = kind == usize::from(UNLOADED);
        for edge in self.context.graph.edges(id) {
            let field = &mut bytes[edge.offset as usize..];
            self.fix(id, edge, field, place.wrapping_add(u64::from(edge.offset)), unloaded, errors);
        }
    }

    /// Applies one edge to its field, which stands at the start of `field`, and at `place` in memory.
    #[inline(always)]
    fn fix(&self, id: BlockId, edge: &Edge, field: &mut [u8], place: u64, unloaded: bool, errors: &mut Vec<LinkError>) {
        if unloaded && self.bury(id, edge, field) {
            return;
        }
        if let Some(row) = self.short.get(usize::from(edge.row))
            && matches!(edge.subject, Subject::Symbol | Subject::Callee)
        {
            let symbol = self.context.addresses.symbols[edge.target.index()];
            let base = match row.base {
                ShortBase::Place => Some(place),
                ShortBase::Zero => Some(0),
                ShortBase::Anchor => self.anchors.get(id.index()).map(|anchor| anchor.0),
            };
            let value = symbol.wrapping_add(edge.addend as u64);
            if base.is_some_and(|base| row.write(field, value.wrapping_sub(base))) {
                return;
            }
        }
        if let Err(error) = fix(self.context, id, edge, field, place, unloaded)
            && errors.len() < SHOWN_ERRORS
        {
            errors.push(error);
        }
    }
}

impl Fixer<'_, '_> {
    /// Writes what debuggers take for nothing where a section without memory means a block that is not linked, or what they do
    /// not find. Whether it does.
    ///
    /// The addend does not count: an address near zero would be taken for one.
    fn bury(&self, id: BlockId, edge: &Edge, field: &mut [u8]) -> bool {
        let Context { graph, layout, format, is_debugged, .. } = self.context;
        let Value::Block { block: target, .. } = graph.symbol(edge.target).value else { return false };
        let value = match edge.subject {
            Subject::DtpOffset if *is_debugged => NO_VARIABLE,
            _ if layout.place(target).is_some() => return false,
            _ => format.tombstone(graph.section(graph.block(id).section).name),
        };
        graph.rows.row(edge.row).field().insert(field, value, graph.target.endian);
        true
    }
}

/// Fills a gap between blocks.
fn fill(gap: &mut [u8], trap: Option<&[u8]>, zeroed: bool) {
    match trap {
        Some(trap) => gap.iter_mut().zip(trap.iter().cycle()).for_each(|(byte, trap)| *byte = *trap),
        None if !zeroed => gap.fill(0),
        None => {}
    }
}

/// Applies one edge of any kind to its field.
fn fix(
    context: &Context<'_, '_>,
    id: BlockId,
    edge: &Edge,
    field: &mut [u8],
    place: u64,
    unloaded: bool,
) -> Result<(), LinkError> {
    let graph = context.graph;
    let row = graph.rows.row(edge.row);
    let symbol = context.addresses.symbols[edge.target.index()];
    let subject = match edge.subject {
        Subject::Nothing => return Ok(()),
        // Whether there is a GOT depends on what is loaded: for the rest there is none.
        Subject::GotBase if unloaded => return Ok(()),
        _ if unloaded && row.base() == Base::Got => return Ok(()),
        Subject::Symbol | Subject::Callee => symbol,
        Subject::Size => graph.symbol(edge.target).size,
        Subject::GotBase => context.got,
        // A variable's offset in its module's block, for debuggers.
        Subject::DtpOffset if unloaded => symbol,
        _ if unloaded && edge.subject != Subject::SectionIndex => return Ok(()),
        Subject::SectionIndex => runs(context).of(graph, context.layout, edge.target).map_or(0, |run| run.number),
        asked => {
            match context.thread_locals.and_then(|numbers| thread_local(graph, numbers, asked, edge.target, symbol)) {
                Some(number) => number,
                None => {
                    let site = Box::new(graph.site(id, edge));
                    let what = "no pass of this link lowers this relocation".to_string();
                    return Err(LinkError::Unsupported { site, what, advice: "add the pass that lowers it".into() });
                }
            }
        }
    };
    let anchor = match row.base() {
        Base::Anchor(anchor) => match graph.anchor(anchor, id) {
            Some(address) => address.0,
            None => {
                let site = Box::new(graph.site(id, edge));
                let what = format!("no pass of this link resolved anchor {anchor} for this block");
                return Err(LinkError::Unsupported { site, what, advice: "add the pass that resolves it".into() });
            }
        },
        _ => 0,
    };
    let section = match row.base() {
        // In each thread's copy.
        Base::Section if edge.subject.is_thread_local() || is_variable(graph, edge.target) => 0,
        Base::Section => runs(context).of(graph, context.layout, edge.target).map_or(0, |run| run.start),
        _ => 0,
    };
    let inputs =
        Inputs { subject, addend: edge.addend, place, got: context.got, image: context.image, section, anchor };
    let value = evaluate(row, &inputs);
    apply(row, field, value, graph.target.endian)
        .map_err(|error| describe(context, id, edge, row, error, place, subject))
}

/// Whether a symbol is a thread-local variable of the batch.
fn is_variable(graph: &LinkGraph<'_>, symbol: SymbolId) -> bool {
    matches!(graph.symbol(symbol).value, Value::Block { block, .. } if is_thread_local(graph, block))
}

/// The number of a thread-local variable that a field is to hold; `offset` is that in the batch's block.
fn thread_local(
    graph: &LinkGraph<'_>,
    numbers: &Numbers,
    asked: Subject,
    target: SymbolId,
    offset: u64,
) -> Option<u64> {
    Some(match asked {
        Subject::TlsModule => numbers.dynamic(graph, target, offset)[0],
        Subject::TlsOffset => numbers.dynamic(graph, target, offset)[1],
        Subject::TlsStart => numbers.start(),
        Subject::DtpOffset => numbers.offset(graph, target, offset),
        Subject::TlsBase => numbers.base(),
        Subject::TpOffset => numbers.pointer_offset(graph, target, offset),
        Subject::TlsDescFunction => numbers.descriptor(graph, target)[0],
        Subject::TlsDescArgument => numbers.descriptor(graph, target)[1],
        _ => return None,
    })
}

/// The runs of sections, found when something first asks.
fn runs<'r>(context: &'r Context<'_, '_>) -> &'r Runs {
    context.runs.get_or_init(|| Runs::find(context.graph, context.layout, context.addresses))
}

#[cold]
fn describe(
    context: &Context<'_, '_>,
    id: BlockId,
    edge: &Edge,
    row: &Reloc,
    error: FieldError,
    place: u64,
    target: u64,
) -> LinkError {
    let site = Box::new(context.graph.site(id, edge));
    match error {
        FieldError::Align { value, align } => {
            LinkError::Misaligned { site, value: SignedHex(i128::from(value)), align: align.into() }
        }
        FieldError::Range { value } => {
            let (min, max) = row.limits().unwrap_or((i128::from(i64::MIN), i128::from(i64::MAX)));
            let advice = match row.base() {
                Base::Zero => {
                    "link at a lower address (--base), or compile with -fPIC so that no absolute address is stored"
                }
                _ => "link closer to the target (--base), or compile with -fPIC or -mcmodel=large",
            };
            LinkError::OutOfRange {
                site,
                value: SignedHex(i128::from(value)),
                min: SignedHex(min),
                max: SignedHex(max),
                place: Addr(place),
                target: Addr(target),
                advice: advice.into(),
            }
        }
    }
}
