//! The member or value of the target that an access of the program means.

use super::compat::{Compare, names_agree};
use super::spec::{MOST_STEPS, Spec, Step};
use super::{CoreKind, CoreProblem};
use crate::btf::{Btf, TypeId};

/// How many members one search may look at: members without names that are held twice could take for ever.
const MOST_MEMBERS: u32 = 1_000_000;

/// Follows an access through a candidate's types; `None` if it has no such member, or one that cannot stand for the
/// program's.
pub(super) fn find<'t>(
    local: &Spec<'_>,
    target: &'t Btf,
    candidate: TypeId,
    kind: CoreKind,
) -> Result<Option<Spec<'t>>, CoreProblem> {
    let mut compare = Compare::new(local.btf, target);
    let mut spec = Spec::new(target, candidate);
    match kind {
        CoreKind::TypeMatches => return Ok(compare.matches(local.root, candidate)?.then_some(spec)),
        kind if kind.is_enumerator() => return find_value(local, spec),
        kind if !kind.is_field() => return Ok(compare.outlines(local.root, candidate)?.then_some(spec)),
        _ => {}
    }
    let mut search = Search { target, members: MOST_MEMBERS };
    let mut ty = target.resolve(candidate)?;
    // Every member that is entered counts, those without names too.
    let mut entered = 0;
    for (number, step) in local.steps.iter().enumerate() {
        if let Some(name) = step.name {
            let Some(found) = search.member(ty.id(), name, MOST_STEPS.saturating_sub(entered))? else {
                return Ok(None);
            };
            let own = local.btf.ty(step.ty).and_then(|ty| ty.member(step.index as usize));
            if !compare.members(own.map_or(TypeId::VOID, |member| member.ty), found.ty)? {
                return Ok(None);
            }
            entered += found.depth;
            spec.bit_offset = spec.bit_offset.wrapping_add(found.bit_offset);
            spec.steps.push(found.step);
            ty = target.resolve(found.ty)?;
            continue;
        }
        if number > 0 {
            let Some(array) = ty.array() else { return Ok(None) };
            if step.index >= array.count && !spec.ends_with_flexible(array.count) {
                return Ok(None);
            }
            ty = target.resolve(array.element)?;
        }
        entered += 1;
        spec.enter_element(ty.id(), step.index)?;
    }
    Ok(Some(spec))
}

fn find_value<'t>(local: &Spec<'_>, mut spec: Spec<'t>) -> Result<Option<Spec<'t>>, CoreProblem> {
    let wanted = local.steps.first().and_then(|step| step.name).unwrap_or_default();
    let ty = spec.btf.resolve(spec.root)?;
    let found = ty.enumerators().enumerate().find(|(_, value)| names_agree(value.name, wanted));
    Ok(found.map(|(index, value)| {
        spec.steps.push(Step { ty: ty.id(), index: index as u32, name: Some(value.name) });
        spec
    }))
}

/// A named member, perhaps of a struct or union without a name within the one that was searched.
struct Found<'t> {
    step: Step<'t>,
    ty: TypeId,
    bit_offset: u64,
    depth: usize,
}

struct Search<'t> {
    target: &'t Btf,
    members: u32,
}

impl<'t> Search<'t> {
    /// The first member of this name, at most `deepest` members without names deep.
    fn member(&mut self, within: TypeId, name: &str, deepest: usize) -> Result<Option<Found<'t>>, CoreProblem> {
        let ty = self.target.resolve(within)?;
        if !ty.kind().is_composite() {
            return Ok(None);
        }
        let deeper = deepest.checked_sub(1).ok_or(CoreProblem::TooDeep)?;
        for (index, member) in ty.members().enumerate() {
            self.members = self.members.checked_sub(1).ok_or(CoreProblem::TooDeep)?;
            if member.name == name {
                let step = Step { ty: ty.id(), index: index as u32, name: Some(member.name) };
                return Ok(Some(Found { step, ty: member.ty, bit_offset: u64::from(member.bit_offset), depth: 1 }));
            }
            if member.name.is_empty()
                && let Some(mut found) = self.member(member.ty, name, deeper)?
            {
                found.bit_offset = found.bit_offset.wrapping_add(u64::from(member.bit_offset));
                found.depth += 1;
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}
