//! Why a symbol is live: the shortest way to it from a root.

use super::{Answer, Step, block_of, called, find, is_live, is_live_block, knows_liveness, not};
use crate::inspect::model::{Cause, Model, Place};
use crate::inspect::words::{count, printable};

pub(super) fn answers(model: &Model, name: &str) -> Vec<Answer> {
    let found = find(model, name);
    let live: Vec<u32> = found.iter().copied().filter(|&symbol| is_needed(model, symbol)).collect();
    if live.is_empty() {
        return not::answers(model, name).into_iter().map(|answer| Answer { question: "why-live", ..answer }).collect();
    }
    live.into_iter().map(|symbol| answer(model, symbol, name)).collect()
}

/// Whether live code needs the symbol, wherever it is.
fn is_needed(model: &Model, symbol: u32) -> bool {
    knows_liveness(model) && (is_live(model, symbol) || outside(model, symbol).is_some())
}

/// The live edge that needs something without bytes of its own: a name from outside, or an end of a run of sections.
pub(super) fn outside(model: &Model, symbol: u32) -> Option<u32> {
    let without_bytes = !matches!(model.symbols[symbol as usize].place, Place::Block { .. });
    let mut edges = model.index().referrers[symbol as usize].iter().copied();
    edges.find(|&edge| without_bytes && is_live_block(model, model.edges[edge as usize].block))
}

fn answer(model: &Model, symbol: u32, name: &str) -> Answer {
    let steps = match (block_of(model, symbol), outside(model, symbol)) {
        (Some(block), _) => way_to(model, symbol, block),
        (None, Some(edge)) => {
            let mut steps = chain(model, model.edges[edge as usize].block);
            steps.push(through(model, edge, steps.len()));
            steps
        }
        (None, None) => Vec::new(),
    };
    let called = called(model, symbol, name);
    let answer = match steps.len() {
        _ if block_of(model, symbol).is_none() => {
            format!("{called} is needed from outside the batch, {} from a root:", count(steps.len() - 1, "step"))
        }
        0 | 1 => format!("{called} is live, because it is kept itself:"),
        length => format!("{called} is live, {} from a root:", count(length - 1, "step")),
    };
    Answer { question: "why-live", symbol: name.to_string(), verdict: "live", answer, steps }
}

/// The way from a root to a symbol: to its block, and from there to it where something else of the block was reached.
pub(super) fn way_to(model: &Model, symbol: u32, block: u32) -> Vec<Step> {
    let mut steps = chain(model, block);
    let Some(last) = steps.last() else { return steps };
    let reached = last.edge.and_then(|edge| model.asked(edge)).map(|side| side.target).or(last.symbol);
    let canonical = |symbol: u32| model.symbols[symbol as usize].canonical;
    let is_it = reached.is_some_and(|reached| {
        let place = |symbol: u32| model.symbols[symbol as usize].place;
        canonical(reached) == canonical(symbol)
            || model.symbols[reached as usize].kind != "section" && place(reached) == place(symbol)
            || last
                .edge
                .and_then(|edge| model.asked(edge))
                .is_some_and(|side| model.target_name(side) == model.symbol_name(symbol))
    });
    if !is_it {
        let name = model.symbol_name(symbol);
        let text = format!("{name} is in the same block, which is kept or pruned as a whole ({})", model.home(block));
        steps.push(Step { text, depth: steps.len(), block: Some(block), symbol: Some(symbol), ..Step::default() });
    }
    steps
}

/// The way from a root to a block, the root first.
pub(super) fn chain(model: &Model, block: u32) -> Vec<Step> {
    let cause = |block: u32| Some((block, model.blocks[block as usize].cause?));
    let parent = |cause: Cause| match cause {
        Cause::Edge { block, .. } | Cause::Dependency { block } | Cause::Group { block } => Some(block),
        _ => None,
    };
    let mut links: Vec<(u32, Cause)> = std::iter::successors(cause(block), |(_, known)| parent(*known).and_then(cause))
        .take(model.blocks.len())
        .collect();
    links.reverse();
    links.into_iter().enumerate().map(|(depth, (block, cause))| step(model, depth, block, cause)).collect()
}

fn step(model: &Model, depth: usize, block: u32, cause: Cause) -> Step {
    let home = model.home(block);
    let here = model.block_name(block);
    let root = |symbol: Option<u32>, why: &str| {
        let name = symbol.map_or_else(|| here.clone(), |symbol| model.symbol_name(symbol));
        let text = format!("root: {name} ({home}), {why}");
        Step { text, depth, block: Some(block), symbol, ..Step::default() }
    };
    let because = |text: String| Step { text, depth, block: Some(block), ..Step::default() };
    match cause {
        Cause::Entry { symbol } => root(Some(symbol), "which --entry names"),
        Cause::Retained { symbol } => root(Some(symbol), "which an alias or a pass keeps"),
        Cause::Exported { symbol } => root(Some(symbol), "which others can see (no --entry was given)"),
        Cause::RetainedSection => root(None, "whose section is marked to be retained"),
        Cause::Initialisers => root(None, "which lists functions that run before or after the program"),
        Cause::Unloaded => root(None, "which takes up no memory of the program"),
        Cause::Edge { edge, .. } => through(model, edge, depth),
        Cause::Dependency { block: keeper } => because(format!(
            "{here} ({home}) depends on {}, as an unwind record on its function",
            model.block_name(keeper)
        )),
        Cause::Group { block: member } => {
            because(format!("{here} ({home}) is in the COMDAT group of {}", model.block_name(member)))
        }
    }
}

/// A step over an edge.
pub(super) fn through(model: &Model, edge: u32, depth: usize) -> Step {
    let site = model.site(edge);
    let side = model.asked(edge);
    let (name, relocation) =
        side.map_or_else(Default::default, |side| (model.target_name(side), side.relocation.to_string()));
    let target = side.map(|side| side.target);
    let run = match target.map(|target| model.symbols[target as usize].place) {
        Some(Place::Boundary { .. }) => ", an end of a run of sections, which are all kept",
        _ => "",
    };
    let home = match target.map(|target| (target, model.symbols[target as usize].place)) {
        Some((_, Place::Block { block, .. })) => format!(" ({})", model.home(block)),
        _ => String::new(),
    };
    let text = format!("{}{home}{run}: {relocation} at {site}", printable(&name));
    let block = Some(model.edges[edge as usize].block);
    Step { text, depth, symbol: target, edge: Some(edge), site: Some(site), block }
}
