//! Fix-up: blocks are copied to working memory and their edges applied, in one pass, in parallel where it pays.

use super::layout::{Addresses, Layout, UNLOADED};
use crate::addr::Endian;
use crate::error::{LinkError, SignedHex};
use crate::executor::WorkingMemory;
use crate::graph::{BlockId, Content, Edge, LinkGraph, Protection};
use crate::reloc::{Base, FieldError, Inputs, Reloc, Subject, apply, evaluate};
use rayon::prelude::*;

/// Blocks are handed to threads in pieces of at least this many bytes.
const PIECE: u64 = 256 << 10;
/// Errors that one piece reports at most; a broken code model would report every relocation.
const SHOWN_ERRORS: usize = 20;

/// What fix-ups refer to besides symbols.
pub(super) struct Context<'c, 'a> {
    pub(super) graph: &'c LinkGraph<'a>,
    pub(super) layout: &'c Layout,
    pub(super) addresses: &'c Addresses,
    /// The base of the GOT.
    pub(super) got: u64,
    /// The lowest address of the batch.
    pub(super) image: u64,
}

/// Writes the final bytes of all segments; `memory` holds each with its kind.
pub(super) fn fix_up(
    context: &Context<'_, '_>,
    memory: &mut [(usize, WorkingMemory<'_>)],
    threads: usize,
) -> Result<(), Vec<LinkError>> {
    let mut pieces = Vec::new();
    for (kind, memory) in memory {
        cut(context, *kind, memory, &mut pieces);
    }
    let errors: Vec<LinkError> = if threads > 1 && pieces.len() > 1 {
        pieces.into_par_iter().flat_map_iter(|piece| piece.fix_up(context)).collect()
    } else {
        pieces.into_iter().flat_map(|piece| piece.fix_up(context)).collect()
    };
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// A run of blocks with the memory from its first to the next piece's first.
struct Piece<'p> {
    kind: usize,
    blocks: &'p [BlockId],
    /// The offset of `bytes` in the segment.
    start: u64,
    bytes: &'p mut [u8],
    zeroed: bool,
}

fn cut<'p>(context: &Context<'p, '_>, kind: usize, memory: &'p mut WorkingMemory<'_>, pieces: &mut Vec<Piece<'p>>) {
    let order = &context.layout.order[kind];
    let offset = |block: BlockId| context.layout.place(block).map_or(0, |(_, at)| at);
    let zeroed = memory.zeroed;
    let mut rest: &'p mut [u8] = memory.bytes;
    let (mut first, mut start) = (0, 0);
    for index in 0..order.len() {
        let end = order.get(index + 1).map_or(start + rest.len() as u64, |&next| offset(next));
        if end - start >= PIECE || index + 1 == order.len() {
            let (bytes, tail) = std::mem::take(&mut rest).split_at_mut((end - start) as usize);
            pieces.push(Piece { kind, blocks: &order[first..=index], start, bytes, zeroed });
            (first, start, rest) = (index + 1, end, tail);
        }
    }
}

impl Piece<'_> {
    fn fix_up(self, context: &Context<'_, '_>) -> Vec<LinkError> {
        let graph = context.graph;
        let trap = graph.target.arch.info().trap_bytes();
        let mut errors = Vec::new();
        let mut done = 0usize;
        for &id in self.blocks {
            let block = graph.block(id);
            let Some((_, at)) = context.layout.place(id) else { continue };
            let begin = (at - self.start) as usize;
            let is_code = graph.section(block.section).protection == Protection::ReadExecute;
            fill(&mut self.bytes[done..begin], is_code.then_some(trap), self.zeroed);
            done = begin + block.size() as usize;
            let bytes = &mut self.bytes[begin..done];
            match &block.content {
                Content::Zero(_) if !self.zeroed => bytes.fill(0),
                Content::Zero(_) => {}
                content => bytes.copy_from_slice(content.bytes()),
            }
            for edge in graph.edges(id) {
                if let Err(error) = fix(context, id, edge, bytes, self.kind == usize::from(UNLOADED))
                    && errors.len() < SHOWN_ERRORS
                {
                    errors.push(error);
                }
            }
        }
        fill(&mut self.bytes[done..], None, self.zeroed);
        errors
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

/// Applies one edge to the bytes of its block.
#[inline]
fn fix(context: &Context<'_, '_>, id: BlockId, edge: &Edge, bytes: &mut [u8], unloaded: bool) -> Result<(), LinkError> {
    let graph = context.graph;
    let row = graph.rows.row(edge.row);
    let endian = graph.target.endian;
    let place = (context.addresses.blocks[id.index()] + u64::from(edge.offset)).0;
    let symbol = context.addresses.symbols[edge.target.index()];
    let field = &mut bytes[edge.offset as usize..];

    // Nearly all relocations of nearly all programs.
    if matches!(edge.subject, Subject::Symbol | Subject::Callee)
        && row.formula().is_none()
        && let Some(size) = row.field().plain_bytes()
        && let Base::Zero | Base::Place = row.base()
    {
        let base = if row.base() == Base::Place { place } else { 0 };
        let value = (symbol as i64).wrapping_add(edge.addend).wrapping_sub(base as i64);
        if size == 8 && endian == Endian::Little {
            field[..8].copy_from_slice(&value.to_le_bytes());
            return Ok(());
        }
        return apply(row, field, value, endian)
            .map_err(|error| describe(context, id, edge, row, error, place, symbol));
    }

    let subject = match edge.subject {
        Subject::Nothing => return Ok(()),
        Subject::Symbol | Subject::Callee => symbol,
        Subject::Size => graph.symbol(edge.target).size,
        Subject::GotBase => context.got,
        // A variable's offset in its module's block, for debuggers only: thread-local code was refused before.
        Subject::DtpOffset if unloaded => 0,
        _ if unloaded => return Ok(()),
        _ => {
            let site = Box::new(graph.site(id, edge));
            let what = "no pass of this link lowers this relocation".to_string();
            return Err(LinkError::Unsupported { site, what, advice: "add the pass that lowers it".into() });
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
        Base::Section => section_start(context, edge),
        _ => 0,
    };
    let inputs =
        Inputs { subject, addend: edge.addend, place, got: context.got, image: context.image, section, anchor };
    let value = evaluate(row, &inputs);
    apply(row, field, value, endian).map_err(|error| describe(context, id, edge, row, error, place, subject))
}

/// Where what is left of the target's section starts.
fn section_start(context: &Context<'_, '_>, edge: &Edge) -> u64 {
    let graph = context.graph;
    let crate::graph::Value::Block { block, .. } = graph.symbol(edge.target).value else { return 0 };
    let blocks = graph.blocks_of(graph.block(block).section).map(|(id, _)| id).filter(|&id| graph.is_live(id));
    blocks.map(|id| context.addresses.blocks[id.index()].0).min().unwrap_or(0)
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
        FieldError::Align { value } => {
            let align = u64::from(row.field().alignment());
            LinkError::Misaligned { site, value: SignedHex(i128::from(value)), align }
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
                place: crate::addr::Addr(place),
                target: crate::addr::Addr(target),
                advice: advice.into(),
            }
        }
    }
}
