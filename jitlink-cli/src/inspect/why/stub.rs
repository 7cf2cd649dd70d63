//! Why a symbol has a stub or a GOT slot: who asked, and why the reference could not be direct.

use super::{Answer, Step, called, find, is_live_block, listed, not};
use crate::inspect::model::{Hex, Model, Reached};
use crate::inspect::words::count;

pub(super) fn answers(model: &Model, name: &str) -> Vec<Answer> {
    let found = find(model, name);
    if found.is_empty() {
        return not::answers(model, name).into_iter().map(|answer| Answer { question: "why-stub", ..answer }).collect();
    }
    found.into_iter().map(|symbol| answer(model, symbol, name)).collect()
}

/// Something that the linker made for a symbol.
struct Made {
    what: String,
    symbol: u32,
    address: Option<Hex>,
    for_stub: bool,
}

fn made_for(model: &Model, symbol: u32) -> Vec<Made> {
    // A thunk may be for a stub of the symbol.
    let is_for = |target: u32| {
        let target = model.index().made.get(&target).map_or(target, |made| made.1);
        model.symbols[target as usize].canonical == symbol
    };
    let stub = |stub: &crate::inspect::model::Stub| Made {
        what: if stub.kind == "thunk" { "thunk".into() } else { "stub".into() },
        symbol: stub.symbol,
        address: stub.address,
        for_stub: false,
    };
    let slot = |slot: &crate::inspect::model::Slot| Made {
        what: "GOT slot".into(),
        symbol: slot.symbol,
        address: slot.address,
        for_stub: slot.for_stub,
    };
    let stubs = model.stubs.iter().filter(|stub| is_for(stub.target)).map(stub);
    let slots = model.slots.iter().filter(|slot| is_for(slot.target)).map(slot);
    stubs.chain(slots).collect()
}

fn answer(model: &Model, symbol: u32, name: &str) -> Answer {
    let called = called(model, symbol, name);
    let answer = |verdict, answer, steps| Answer { question: "why-stub", symbol: name.into(), verdict, answer, steps };
    let live: Vec<u32> = model.index().referrers[symbol as usize]
        .iter()
        .copied()
        .filter(|&edge| is_live_block(model, model.edges[edge as usize].block))
        .collect();
    if model.reached < Reached::Placed {
        return answer(
            "unknown",
            format!("the link failed before stubs were made, so {called} has none yet"),
            Vec::new(),
        );
    }
    let made = made_for(model, symbol);
    if made.is_empty() {
        let (verdict, why) = match live.is_empty() {
            true => ("unreferenced", "nothing live refers to it".to_string()),
            false => ("direct", format!("{} to it directly", reach(live.len()))),
        };
        let steps = listed(model, &live, 0, |edge| direct(model, edge));
        return answer(verdict, format!("{called} has no stub and no GOT slot: {why}"), steps);
    }
    let mut steps = Vec::new();
    for made in &made {
        let users: Vec<u32> = edges_to(model, made.symbol);
        let at = made.address.map_or_else(String::new, |address| format!(" at {address}"));
        let users_words = match (users.len(), made.for_stub) {
            (0, true) => "used by its stub".to_string(),
            (number, true) => format!("used by its stub and {}", count(number, "reference")),
            (number, false) => format!("used by {}", count(number, "reference")),
        };
        let text = format!("{}{at}, {users_words}:", made.what);
        steps.push(Step { text, symbol: Some(made.symbol), ..Step::default() });
        steps.extend(listed(model, &users, 1, |edge| changed(model, edge)));
    }
    let rest: Vec<u32> = live
        .into_iter()
        .filter(|&edge| !matches!(model.edges[edge as usize].change, Some(ref change) if change.kind != "relaxed"))
        .collect();
    if !rest.is_empty() {
        steps.push(Step::text(0, format!("{} to it without:", reach(rest.len()))));
        steps.extend(listed(model, &rest, 1, |edge| direct(model, edge)));
    }
    let what: Vec<String> = made.iter().map(|made| format!("a {}", made.what)).collect();
    let verdict = match made[0].what.as_str() {
        "GOT slot" => "slot",
        "thunk" => "thunk",
        _ => "stub",
    };
    answer(verdict, format!("{called} has {}:", what.join(" and ")), steps)
}

fn reach(number: usize) -> String {
    match number {
        1 => "1 reference goes".into(),
        _ => format!("{number} references go"),
    }
}

/// The edges of objects that now lead to something that the linker made.
fn edges_to(model: &Model, made: u32) -> Vec<u32> {
    let leads_there = |edge: &crate::inspect::model::Edge| {
        edge.before.is_some() && edge.after.is_some_and(|after| after.target == made)
    };
    let positions = (0..model.edges.len() as u32).zip(&model.edges);
    positions.filter(|(_, edge)| edge.change.is_some() && leads_there(edge)).map(|(index, _)| index).collect()
}

fn changed(model: &Model, edge: u32) -> String {
    let relocation = model.asked(edge).map_or("", |side| side.relocation);
    let why = model.edges[edge as usize].change.as_ref().map_or("", |change| change.text.as_str());
    format!("{} ({relocation}): {why}", model.site(edge))
}

fn direct(model: &Model, edge: u32) -> String {
    let relocation = model.asked(edge).map_or("", |side| side.relocation);
    let why = match &model.edges[edge as usize].change {
        Some(change) => format!("{}: {}", change.kind, change.text),
        None => "its field holds the value".into(),
    };
    format!("{} ({relocation}): {why}", model.site(edge))
}
