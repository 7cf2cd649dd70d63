//! How much there is of everything.

use super::model::{Counts, Model, Object, Place, State};

/// Counts what is left, what was pruned and what was made.
pub(crate) fn count(model: &mut Model) {
    let is_in = |state: State| matches!(state, State::Live | State::Made);
    let is_out = |state: State| matches!(state, State::Pruned | State::Discarded);
    model.totals.after = counted(model, is_in);
    model.totals.pruned = counted(model, is_out);
    // An object is pruned when nothing is left of it.
    let mut has_blocks = vec![(false, false); model.objects.len()];
    for block in &model.blocks {
        let (any, kept) = &mut has_blocks[model.sections[block.section as usize].object as usize];
        (*any, *kept) = (true, *kept || !is_out(block.state));
    }
    let is_gone = |(object, (any, kept)): (&Object, &(bool, bool))| !object.made && *any && !kept;
    model.totals.pruned.objects = model.objects.iter().zip(&has_blocks).filter(|pair| is_gone(*pair)).count();
    let changed = |kind: &str| {
        model.edges.iter().filter(|edge| edge.change.as_ref().is_some_and(|change| change.kind == kind)).count()
    };
    let (relaxed, outlined) = (changed("relaxed"), changed("outlined"));
    (model.totals.relaxed, model.totals.outlined) = (relaxed, outlined);
    model.totals.slots = model.slots.len();
    model.totals.thunks = model.stubs.iter().filter(|stub| stub.kind == "thunk").count();
    model.totals.stubs = model.stubs.len() - model.totals.thunks;
}

/// Blocks of some states, and what belongs to them.
fn counted(model: &Model, belongs: impl Fn(State) -> bool) -> Counts {
    let mut counts = Counts::default();
    let mut sections = vec![false; model.sections.len()];
    let mut objects = vec![false; model.objects.len()];
    for block in model.blocks.iter().filter(|block| belongs(block.state)) {
        let section = block.section as usize;
        let object = model.sections[section].object as usize;
        counts.sections += usize::from(!std::mem::replace(&mut sections[section], true));
        counts.objects += usize::from(!std::mem::replace(&mut objects[object], true) && !model.objects[object].made);
        counts.blocks += 1;
        counts.bytes = counts.bytes.saturating_add(block.size);
        counts.edges += (block.edges.1 - block.edges.0) as usize;
    }
    let in_block = |place: Place| match place {
        Place::Block { block, .. } => belongs(model.blocks[block as usize].state),
        _ => false,
    };
    counts.symbols = model.symbols.iter().filter(|symbol| in_block(symbol.own)).count();
    counts
}
