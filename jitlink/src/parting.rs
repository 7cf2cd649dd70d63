//! Which modules go together: when one is removed, and when a library ends.
//!
//! A link refers to modules that were there before, so modules mostly need each other in one direction. What a module comes to need
//! later, by a first call or an update, may need it in turn: such modules hold each other.

use crate::module::ModuleShared;
use crate::sync::Arc;
use std::collections::HashSet;

/// The modules that may go when `module` is removed: itself, and those that were linked on first calls and that it refers to.
///
/// What was linked on a call may refer to its caller, and to others that the caller called. So it is assumed that all of
/// them go, until [`that_go`] finds those that somebody needs who does not.
pub(crate) fn that_may_go(module: &Arc<ModuleShared>) -> Vec<Arc<ModuleShared>> {
    with_needed(std::slice::from_ref(module), ModuleShared::is_on_call)
}

/// The modules of `going` that nobody outside of it needs, nor those of it that stay. Called under their library's lock, or
/// without one when it has ended.
pub(crate) fn that_go(mut going: Vec<Arc<ModuleShared>>) -> Vec<Arc<ModuleShared>> {
    let mut left: HashSet<_> = going.iter().map(Arc::as_ptr).collect();
    let is_needed =
        |module: &&Arc<ModuleShared>| module.needed_beside(|other| left.contains(&Arc::as_ptr(other))).is_err();
    let mut staying: Vec<_> = going.iter().filter(is_needed).cloned().collect();
    // Those that stay keep what they need.
    while let Some(module) = staying.pop() {
        if left.remove(&Arc::as_ptr(&module)) {
            staying.extend(module.dependencies());
        }
    }
    going.retain(|module| left.contains(&Arc::as_ptr(module)));
    going
}

/// Lets the modules of a library that has ended outlive it, as long as somebody holds them.
pub(crate) fn part(modules: &[Arc<ModuleShared>]) {
    modules.iter().for_each(|module| module.outlive_library());
    let_go(modules);
}

/// Ends modules without a library, and those that they need, where only they hold each other. For whoever lets go of one: its library, or
/// one of the handles that are left.
pub(crate) fn let_go(modules: &[Arc<ModuleShared>]) {
    let all = with_needed(modules, ModuleShared::is_without_library);
    if !all.iter().any(|module| module.came_to_need()) {
        return;
    }
    // Another thread may come to the same at the same time. Each holds them until it has done.
    let going = that_go(all);
    // What runs at the end of one may call the others.
    going.iter().for_each(|module| _ = module.finish());
    going.iter().for_each(|module| module.forget_dependencies());
}

/// These modules, and those of a kind that they need, and that those need.
fn with_needed(modules: &[Arc<ModuleShared>], kind: impl Fn(&ModuleShared) -> bool) -> Vec<Arc<ModuleShared>> {
    let mut all = modules.to_vec();
    let mut known: HashSet<_> = all.iter().map(Arc::as_ptr).collect();
    let mut next = 0;
    while next < all.len() {
        for needed in all[next].dependencies() {
            if kind(&needed) && known.insert(Arc::as_ptr(&needed)) {
                all.push(needed);
            }
        }
        next += 1;
    }
    all
}
