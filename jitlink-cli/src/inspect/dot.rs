//! The graph in the language of Graphviz: objects as clusters, blocks as nodes, relocations as edges.
//!
//! Graphviz gives up on some thousands of nodes, so large graphs are drawn by section or by object, and say so.

use super::model::{Model, Place, State};
use super::words::count;
use std::collections::BTreeMap;
use std::io::Write;

/// More nodes than this are drawn as fewer.
const MOST_NODES: usize = 600;

/// Names that a node shows.
const SHOWN_NAMES: usize = 6;

/// What a node stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Grain {
    Block,
    Section,
    Object,
}

pub(crate) fn write(out: &mut impl Write, model: &Model, all: bool) -> std::io::Result<()> {
    let grain = match (model.blocks.len(), used_sections(model)) {
        _ if all => Grain::Block,
        (blocks, _) if blocks <= MOST_NODES => Grain::Block,
        (_, sections) if sections <= MOST_NODES => Grain::Section,
        _ => Grain::Object,
    };
    writeln!(out, "digraph link {{")?;
    writeln!(out, "  rankdir=LR; compound=true;")?;
    writeln!(out, "  node [shape=box, style=filled, fontname=\"sans-serif\", fontsize=10];")?;
    writeln!(out, "  edge [fontname=\"sans-serif\", fontsize=8];")?;
    if grain != Grain::Block {
        let (what, blocks) = (if grain == Grain::Section { "section" } else { "object" }, model.blocks.len());
        let note = format!("{blocks} blocks, drawn a node a {what}; --all draws every block");
        writeln!(out, "  label={}; labelloc=t;", quoted(&note))?;
    }
    nodes(out, model, grain)?;
    edges(out, model, grain)?;
    writeln!(out, "}}")
}

fn used_sections(model: &Model) -> usize {
    let mut used = vec![false; model.sections.len()];
    model.blocks.iter().for_each(|block| used[block.section as usize] = true);
    used.into_iter().filter(|used| *used).count()
}

/// The node that a block belongs to.
fn node(model: &Model, grain: Grain, block: u32) -> String {
    let section = model.blocks[block as usize].section;
    match grain {
        Grain::Block => format!("b{block}"),
        Grain::Section => format!("s{section}"),
        Grain::Object => format!("o{}", model.sections[section as usize].object),
    }
}

fn nodes(out: &mut impl Write, model: &Model, grain: Grain) -> std::io::Result<()> {
    let mut members: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (index, block) in model.blocks.iter().enumerate() {
        // Every object has empty sections that nothing is about.
        let is_empty = block.size == 0 && block.edges.0 == block.edges.1 && model.symbols_in(index as u32).is_empty();
        if is_empty && is_gone(model, index as u32) {
            continue;
        }
        members.entry(model.sections[block.section as usize].object).or_default().push(index as u32);
    }
    for (object, blocks) in members {
        let name = &model.objects[object as usize].name;
        if grain == Grain::Object {
            let label = format!("{name}\n{}", count(blocks.len(), "block"));
            writeln!(out, "  o{object} [label={}, fillcolor={}];", quoted(&label), quoted(colour(model, &blocks)))?;
            continue;
        }
        writeln!(out, "  subgraph cluster_{object} {{")?;
        writeln!(out, "    label={}; style=rounded; color=gray60;", quoted(name))?;
        let mut seen: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        blocks.iter().for_each(|&block| seen.entry(node(model, grain, block)).or_default().push(block));
        for (id, blocks) in seen {
            let is_out = blocks.iter().all(|&block| is_gone(model, block));
            let style = if is_out { "\"filled,dashed\", fontcolor=gray50, color=gray60" } else { "filled" };
            let (label, fill) = (quoted(&label(model, &blocks)), quoted(colour(model, &blocks)));
            writeln!(out, "    {id} [label={label}, fillcolor={fill}, style={style}];")?;
        }
        writeln!(out, "  }}")?;
    }
    Ok(())
}

fn is_gone(model: &Model, block: u32) -> bool {
    matches!(model.blocks[block as usize].state, State::Pruned | State::Discarded)
}

fn label(model: &Model, blocks: &[u32]) -> String {
    let first = &model.blocks[blocks[0] as usize];
    let mut lines = vec![model.sections[first.section as usize].name.clone()];
    let mut names: Vec<String> =
        blocks.iter().flat_map(|&block| model.symbols_in(block)).map(|&symbol| model.symbol_name(symbol)).collect();
    if names.len() > SHOWN_NAMES {
        let more = names.len() - SHOWN_NAMES;
        names.truncate(SHOWN_NAMES);
        names.push(format!("… and {more} more"));
    }
    lines.extend(names);
    let bytes: u64 = blocks.iter().map(|&block| model.blocks[block as usize].size).sum();
    let size = if bytes == 1 { "1 byte".to_string() } else { format!("{bytes} bytes") };
    lines.push(match (blocks, first.address) {
        ([_], Some(address)) => format!("{size} at {address}"),
        _ => size,
    });
    lines.join("\n")
}

fn colour(model: &Model, blocks: &[u32]) -> &'static str {
    if blocks.iter().all(|&block| is_gone(model, block)) {
        return "gray93";
    }
    let block = blocks.iter().find(|&&block| !is_gone(model, block)).copied().unwrap_or(blocks[0]);
    match model.sections[model.blocks[block as usize].section as usize].protection {
        "r-x" => "#cfe3f7",
        "r--" => "#d9efd3",
        _ => "#fae3c4",
    }
}

/// Edges between nodes: one line for all relocations of a pair.
fn edges(out: &mut impl Write, model: &Model, grain: Grain) -> std::io::Result<()> {
    let mut pairs: BTreeMap<(String, String), (Vec<&str>, bool)> = BTreeMap::new();
    let mut outside: BTreeMap<u32, String> = BTreeMap::new();
    for edge in &model.edges {
        let Some(side) = edge.after.as_ref().or(edge.before.as_ref()) else { continue };
        let from = node(model, grain, edge.block);
        let to = match model.symbols[side.target as usize].place {
            Place::Block { block, .. } => node(model, grain, block),
            _ => {
                let symbol = model.symbols[side.target as usize].canonical;
                outside.entry(symbol).or_insert_with(|| model.symbol_name(symbol));
                format!("x{symbol}")
            }
        };
        if from == to && grain != Grain::Block {
            continue;
        }
        let (relocations, is_gone) = pairs.entry((from, to)).or_default();
        *is_gone = self::is_gone(model, edge.block);
        if !relocations.contains(&side.relocation) {
            relocations.push(side.relocation);
        }
    }
    for (symbol, name) in outside {
        writeln!(out, "  x{symbol} [label={}, shape=ellipse, fillcolor=white];", quoted(&name))?;
    }
    for ((from, to), (relocations, is_gone)) in pairs {
        let style = if is_gone { ", style=dashed, color=gray60, fontcolor=gray60" } else { "" };
        writeln!(out, "  {from} -> {to} [label={}{style}];", quoted(&relocations.join("\n")))?;
    }
    Ok(())
}

/// A string of the language. Lines are joined by its own escape.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            letter if letter.is_control() => quoted.push('\u{fffd}'),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn names_cannot_leave_their_quotes() {
        assert_eq!(quoted("plain"), "\"plain\"");
        assert_eq!(quoted("a\"];\\\n\x1b"), "\"a\\\"];\\\\\\n\u{fffd}\"");
    }
}
