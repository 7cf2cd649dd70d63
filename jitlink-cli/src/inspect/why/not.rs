//! Why a symbol is not in the link.

use super::{Answer, SHOWN, Step, called, find, is_live, is_live_block, knows_liveness, listed, live};
use crate::inspect::model::{Cause, Member, Model, Place, State, Symbol};
use crate::inspect::similar::similar;
use crate::inspect::words::{count, printable};

pub(super) fn answers(model: &Model, name: &str) -> Vec<Answer> {
    let found = find(model, name);
    match found.is_empty() {
        true => vec![answer(name, nowhere(model, name))],
        false => found.into_iter().map(|symbol| answer(name, known(model, symbol, name))).collect(),
    }
}

type Found = (&'static str, String, Vec<Step>);

fn answer(name: &str, (verdict, answer, steps): Found) -> Answer {
    Answer { question: "why-not", symbol: name.to_string(), verdict, answer, steps }
}

/// A name that no object of the link has.
fn nowhere(model: &Model, name: &str) -> Found {
    let mut steps = archived(model, name, false);
    let shown = printable(name);
    if !steps.is_empty() {
        return ("archive-member", format!("{shown} is not in the link: only members of archives define it"), steps);
    }
    steps.extend(look_alikes(model, name));
    ("unknown", format!("{shown} is not in the link: no object or archive defines it or refers to it"), steps)
}

/// A name that objects define or refer to.
fn known(model: &Model, symbol: u32, name: &str) -> Found {
    let called = called(model, symbol, name);
    let copies = definitions(model, symbol);
    let mut steps: Vec<Step> = copies.iter().filter_map(|&copy| gave_way(model, copy)).collect();
    if is_live(model, symbol) {
        steps.extend(live::way_to(model, symbol, super::block_of(model, symbol).unwrap_or_default()));
        let sentence = match (model.symbols[symbol as usize].address, steps.is_empty()) {
            (None, _) => format!("{called} is live, but the link failed before it had an address:"),
            (Some(address), false) => format!("{called} is in the link, at {address}:"),
            (Some(address), true) => format!("{called} is in the link, at {address}: the linker made it"),
        };
        return ("live", sentence, steps);
    }
    match model.symbols[symbol as usize].place {
        Place::Block { block, .. } => unneeded(model, symbol, block, &called, steps),
        Place::Absolute { address }
            if !copies.is_empty() && model.symbols[symbol as usize].own == model.symbols[symbol as usize].place =>
        {
            ("absolute", format!("{called} is no place in the batch: its object gives it the address {address}"), steps)
        }
        Place::Absolute { address } if !copies.is_empty() => (
            "gave-way",
            format!("{called} is not in the link: a definition that stands already, at {address}, is used"),
            steps,
        ),
        Place::Boundary { .. } => {
            ("boundary", format!("{called} is an end of a run of sections, which the linker provides"), steps)
        }
        Place::ImageBase => {
            ("image-base", format!("{called} is the base of the image, which the linker provides"), steps)
        }
        Place::Common => {
            ("undecided", format!("{called} would get memory of the linker's, but the link failed before"), steps)
        }
        _ => outside(model, symbol, name, &called, steps),
    }
}

/// The symbols of a name that define it in their objects.
fn definitions(model: &Model, symbol: u32) -> Vec<u32> {
    let data = &model.symbols[symbol as usize];
    let same = |other: &Symbol| other.name == data.name && other.scope != "local" && other.own != Place::Undefined;
    let is_local = data.scope == "local";
    let all = (0..model.symbols.len() as u32).zip(&model.symbols);
    all.filter(|(index, other)| *index == symbol && data.own != Place::Undefined || !is_local && same(other))
        .map(|(index, _)| index)
        .collect()
}

/// What became of a definition that is not the one that its name means.
fn gave_way(model: &Model, copy: u32) -> Option<Step> {
    let data = &model.symbols[copy as usize];
    let object = |index: u32| printable(&model.objects[index as usize].name);
    let home = object(data.object);
    let group = match data.own {
        Place::Block { block, .. } => model.sections[model.blocks[block as usize].section as usize].group,
        _ => None,
    };
    let group = group.map(|group| &model.groups[group as usize]);
    let text = match group.and_then(|group| Some((group, group.kept?))) {
        Some((group, kept)) => format!(
            "the copy in {home} was discarded: COMDAT group {} is kept from {}",
            printable(&group.name),
            object(kept)
        ),
        None if data.canonical != copy => {
            let winner = &model.symbols[data.canonical as usize];
            let how = |symbol: &Symbol| match symbol.own {
                Place::Common => "common",
                _ => symbol.linkage,
            };
            if how(data) == "common" && how(winner) == "common" {
                let text =
                    format!("the common symbol in {home} shares the memory of the one in {}", object(winner.object));
                return Some(Step { text, symbol: Some(copy), ..Step::default() });
            }
            let than = match how(data) == how(winner) {
                true => "comes first",
                false => "wins over it",
            };
            format!(
                "the {} definition in {home} gave way: the {} one in {} {than}",
                how(data),
                how(winner),
                object(winner.object)
            )
        }
        None => return None,
    };
    Some(Step { text, symbol: Some(copy), ..Step::default() })
}

/// A definition that pruning removed, or that it never came to.
fn unneeded(model: &Model, symbol: u32, block: u32, called: &str, mut steps: Vec<Step>) -> Found {
    let home = model.home(block);
    if !knows_liveness(model) {
        return (
            "undecided",
            format!("{called} is defined in {home}, but the link failed before it was asked for"),
            steps,
        );
    }
    if model.blocks[block as usize].state == State::Discarded {
        return ("discarded", format!("{called} is not in the link: its copy in {home} was discarded"), steps);
    }
    // What refers to the symbol by the name of its section and an offset keeps its block alive just so.
    let into_block = |edge: &&u32| {
        let target = model.asked(**edge).map(|side| model.symbols[side.target as usize].place);
        matches!(target, Some(Place::Block { block: at, .. }) if at == block)
    };
    let all: Vec<u32> = (0..model.edges.len() as u32).collect();
    let referrers: Vec<u32> = all.iter().filter(into_block).copied().collect();
    let from_elsewhere: Vec<u32> =
        referrers.into_iter().filter(|&edge| model.edges[edge as usize].block != block).collect();
    let sentence = match from_elsewhere.len() {
        0 => format!("{called} is not in the link: nothing refers to it ({home}), and it is no root"),
        number => format!(
            "{called} is not in the link: only what is not live itself refers to it ({home}; {})",
            count(number, "reference")
        ),
    };
    steps.extend(listed(model, &from_elsewhere, 0, |edge| dead_site(model, edge)));
    steps.push(roots(model));
    let data = &model.symbols[symbol as usize];
    if data.scope != "local" {
        steps.push(Step::text(0, format!("--entry {} would keep it", printable(&data.name))));
    }
    ("pruned", sentence, steps)
}

fn dead_site(model: &Model, edge: u32) -> String {
    let relocation = model.asked(edge).map_or("", |side| side.relocation);
    let fate = match model.blocks[model.edges[edge as usize].block as usize].state {
        State::Discarded => "discarded",
        _ => "not live",
    };
    format!("{} ({relocation}), which is {fate}", model.site(edge))
}

/// What the roots of the link are.
fn roots(model: &Model) -> Step {
    let mut named: Vec<u32> = Vec::new();
    let (mut exported, mut other) = (0, 0);
    for cause in model.blocks.iter().filter_map(|block| block.cause) {
        match cause {
            Cause::Entry { symbol } | Cause::Retained { symbol } => named.push(symbol),
            Cause::Exported { .. } => exported += 1,
            Cause::RetainedSection | Cause::Initialisers => other += 1,
            _ => {}
        }
    }
    let mut parts: Vec<String> = named.iter().take(SHOWN).map(|&symbol| model.symbol_name(symbol)).collect();
    if named.len() > SHOWN {
        parts.push(format!("{} more", named.len() - SHOWN));
    }
    if exported > 0 {
        parts.push(count(exported, "block") + " that others can see");
    }
    if other > 0 {
        parts.push(count(other, "section") + " that are always kept");
    }
    let text =
        if parts.is_empty() { "the link has no roots".into() } else { format!("the roots are: {}", parts.join(", ")) };
    Step::text(0, text)
}

/// A name that no object of the link defines.
fn outside(model: &Model, symbol: u32, name: &str, called: &str, mut steps: Vec<Step>) -> Found {
    let data = &model.symbols[symbol as usize];
    let referrers = &model.index().referrers[symbol as usize];
    let is_live = |edge: &&u32| is_live_block(model, model.edges[**edge as usize].block);
    let live: Vec<u32> = referrers.iter().filter(is_live).copied().collect();
    let places = |edges: &[u32], depth| {
        listed(model, edges, depth, |edge| {
            let relocation = model.asked(edge).map_or("", |side| side.relocation);
            format!("{} ({relocation})", model.site(edge))
        })
    };
    let found_at = match data.address {
        Some(address) if address.0 != 0 => Some(address),
        _ => None,
    };
    if let Some(address) = found_at {
        steps.push(Step::text(0, format!("{} to it:", refers(live.len()))));
        steps.extend(places(&live, 1));
        let sentence = format!("{called} is not defined in the batch: it is outside of it, at {address}");
        return ("external", sentence, steps);
    }
    steps.extend(archived(model, name, data.linkage == "weak"));
    if knows_liveness(model) && live.is_empty() && !referrers.is_empty() {
        steps.extend(listed(model, referrers, 0, |edge| dead_site(model, edge)));
        let sentence =
            format!("{called} is not looked up: no object of the link defines it, and only dead code refers to it");
        return ("unneeded", sentence, steps);
    }
    if data.address.is_some() {
        let why = if data.linkage == "weak" { "the references are weak" } else { "--unresolved null was given" };
        steps.extend(places(&live, 0));
        return ("null", format!("nothing defines {called}; it is null, because {why}"), steps);
    }
    let all = if knows_liveness(model) { &live } else { referrers };
    steps.push(Step::text(0, format!("{} to it:", refers(all.len()))));
    steps.extend(places(all, 1));
    steps.extend(look_alikes(model, name));
    if data.scope == "hidden" {
        steps.push(Step::text(0, "the reference is hidden: only an object of the same link may define it"));
    } else {
        steps.push(Step::text(0, "add what defines it: an object, an archive, -l LIB, or --define NAME=ADDR"));
    }
    ("undefined", format!("nothing defines {called}"), steps)
}

fn refers(number: usize) -> String {
    match number {
        0 => "only the command line refers".into(),
        1 => "1 place refers".into(),
        _ => format!("{number} places refer"),
    }
}

/// Archive members that would define a name, and why they did not join.
fn archived(model: &Model, name: &str, weak: bool) -> Vec<Step> {
    let defines = |member: &&Member| !member.joined && member.defines.iter().any(|defined| defined == name);
    let step = |member: &Member| {
        let why = match weak {
            true => "weak references pull in no members".to_string(),
            false => format!(
                "nothing in the link needs it or {}",
                match member.defines.len() {
                    1 => "anything else of it".into(),
                    number => format!("another of the {number} names that it defines"),
                }
            ),
        };
        Step::text(
            0,
            format!("{}({}) defines it, and did not join: {why}", printable(&member.archive), printable(&member.name)),
        )
    };
    model.members.iter().filter(defines).map(step).collect()
}

fn look_alikes(model: &Model, name: &str) -> Option<Step> {
    let names = similar(model, name);
    (!names.is_empty()).then(|| Step::text(0, format!("there is: {}", names.join(", "))))
}
