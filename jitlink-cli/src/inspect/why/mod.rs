//! Answers to why a symbol is live, has a stub or a slot, or is not in the link.

mod live;
mod not;
mod stub;

use super::model::{Model, Place, Reached, State};
use super::words::printable;
use crate::args::Inspect;
use serde::Serialize;
use std::io::Write;

/// How many places a list in an answer shows to people.
const SHOWN: usize = 8;

/// The answer to one question.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    /// `why-live`, `why-stub` or `why-not`.
    pub(crate) question: &'static str,
    /// The name that was asked for.
    pub(crate) symbol: String,
    /// The kind of answer, for tools.
    pub(crate) verdict: &'static str,
    /// The answer in one sentence.
    pub(crate) answer: String,
    /// What it rests on, in order.
    pub(crate) steps: Vec<Step>,
}

/// A line of an answer.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Step {
    /// What people read.
    pub(crate) text: String,
    /// How deep the line stands under others.
    pub(crate) depth: usize,
    /// The block, symbol and edge that the line is about, by their positions in the document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) block: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) symbol: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) edge: Option<u32>,
    /// Where the edge is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) site: Option<String>,
}

impl Step {
    fn text(depth: usize, text: impl Into<String>) -> Step {
        Step { text: text.into(), depth, ..Step::default() }
    }
}

/// Answers all questions of the command line, in its order of kinds.
pub(crate) fn answers(model: &Model, args: &Inspect) -> Vec<Answer> {
    let live = args.why_live.iter().flat_map(|name| live::answers(model, name));
    let stub = args.why_stub.iter().flat_map(|name| stub::answers(model, name));
    let not = args.why_not.iter().flat_map(|name| not::answers(model, name));
    live.chain(stub).chain(not).collect()
}

/// Writes answers for people.
pub(crate) fn write(out: &mut impl Write, answers: &[Answer]) -> std::io::Result<()> {
    for (index, answer) in answers.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        writeln!(out, "{}", answer.answer)?;
        for step in &answer.steps {
            writeln!(out, "{:indent$}{}", "", step.text, indent = 2 + 2 * step.depth)?;
        }
    }
    Ok(())
}

/// The symbols that a name of the command line means, each for itself: what is visible under the name, and local ones.
/// `OBJECT:NAME` means the one of that object.
fn find(model: &Model, name: &str) -> Vec<u32> {
    let found = named(model, name, None);
    match name.rsplit_once(':') {
        Some((object, name)) if found.is_empty() => named(model, name, Some(object)),
        _ => found,
    }
}

fn named(model: &Model, name: &str, object: Option<&str>) -> Vec<u32> {
    let mut found: Vec<u32> = Vec::new();
    for (index, symbol) in model.symbols.iter().enumerate() {
        let home = &model.objects[symbol.object as usize].name;
        let fits = object.is_none_or(|object| home == object || home.ends_with(&format!("/{object}")));
        if fits && symbol.name == name && symbol.kind != "file" && !found.contains(&symbol.canonical) {
            found.push(if symbol.scope == "local" { index as u32 } else { symbol.canonical });
        }
    }
    found
}

/// How an answer calls a symbol: with its object where it is local.
fn called(model: &Model, symbol: u32, name: &str) -> String {
    let data = &model.symbols[symbol as usize];
    match data.scope {
        "local" => format!("{} of {}", printable(&data.name), printable(&model.objects[data.object as usize].name)),
        // An alias is called as it was asked for.
        _ => printable(name),
    }
}

/// The block that a symbol is in.
fn block_of(model: &Model, symbol: u32) -> Option<u32> {
    let data = &model.symbols[symbol as usize];
    match (data.place, data.own) {
        (Place::Block { block, .. }, _) => Some(block),
        _ => None,
    }
}

/// Whether a symbol's bytes are in the link.
fn is_live(model: &Model, symbol: u32) -> bool {
    block_of(model, symbol).is_some_and(|block| is_live_block(model, block))
}

fn is_live_block(model: &Model, block: u32) -> bool {
    matches!(model.blocks[block as usize].state, State::Live | State::Absorbed | State::Made)
}

/// Whether the link came so far that liveness is known.
fn knows_liveness(model: &Model) -> bool {
    model.reached >= Reached::Pruned
}

/// A list of edges, of which people see the first few.
fn listed(model: &Model, edges: &[u32], depth: usize, text: impl Fn(u32) -> String) -> Vec<Step> {
    let step = |&edge: &u32| Step {
        text: text(edge),
        depth,
        block: Some(model.edges[edge as usize].block),
        edge: Some(edge),
        site: Some(model.site(edge)),
        ..Step::default()
    };
    let mut steps: Vec<Step> = edges.iter().take(SHOWN).map(step).collect();
    if edges.len() > SHOWN {
        steps.push(Step::text(depth, format!("… and {} more", edges.len() - SHOWN)));
    }
    steps
}
