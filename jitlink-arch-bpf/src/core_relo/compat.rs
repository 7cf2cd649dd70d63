//! When a type of the target can stand for one of the program.
//!
//! Three relations, each as libbpf defines it (its `relo_core.c` says them in comments): members of a struct, types of
//! the same name, and the strict one that `bpf_core_type_matches` asks for. All look through qualifiers and typedefs.

use super::CoreProblem;
use super::candidates::{essential, kinds_agree};
use crate::btf::{Btf, Kind, Type, TypeId};

/// How deep types may be nested in each other.
const DEEPEST: u32 = 32;

/// How many steps one comparison may take: types that refer to others twice could take for ever.
const MOST_STEPS: u32 = 1_000_000;

/// Compares types of a program with types of the target.
pub(super) struct Compare<'a> {
    local: &'a Btf,
    target: &'a Btf,
    steps: u32,
}

impl<'a> Compare<'a> {
    pub(super) fn new(local: &'a Btf, target: &'a Btf) -> Compare<'a> {
        Compare { local, target, steps: MOST_STEPS }
    }

    fn step(&mut self, depth: u32) -> Result<(), CoreProblem> {
        self.steps = self.steps.checked_sub(1).ok_or(CoreProblem::TooDeep)?;
        if depth > DEEPEST { Err(CoreProblem::TooDeep) } else { Ok(()) }
    }

    fn both(&self, local: TypeId, target: TypeId) -> Result<(Type<'a>, Type<'a>), CoreProblem> {
        Ok((self.local.resolve(local)?, self.target.resolve(target)?))
    }

    /// Whether a member of type `target` can be read as one of type `local`: integers and pointers of any size, structs
    /// of any name, enumerations and declarations of the same name, arrays by their elements.
    pub(super) fn members(&mut self, local: TypeId, target: TypeId) -> Result<bool, CoreProblem> {
        let (mut local, mut target) = self.both(local, target)?;
        while let (Some(one), Some(other)) = (local.array(), target.array()) {
            (local, target) = self.both(one.element, other.element)?;
        }
        if local.kind().is_composite() && target.kind().is_composite() {
            return Ok(true);
        }
        if !kinds_agree(local.kind(), target.kind()) {
            return Ok(false);
        }
        Ok(match local.kind() {
            Kind::Ptr | Kind::Float => true,
            Kind::Int => is_whole(&local) && is_whole(&target),
            Kind::Fwd | Kind::Enum | Kind::Enum64 => {
                local.name().is_empty() || target.name().is_empty() || names_agree(local.name(), target.name())
            }
            _ => false,
        })
    }

    /// Whether types of the same name are the same in outline: the same kinds, through pointers, arrays and prototypes.
    pub(super) fn outlines(&mut self, local: TypeId, target: TypeId) -> Result<bool, CoreProblem> {
        let (one, other) = (self.local.expect(local)?, self.target.expect(target)?);
        if !kinds_agree(one.kind(), other.kind()) {
            return Ok(false);
        }
        self.outlines_within(local, target, 0)
    }

    fn outlines_within(&mut self, local: TypeId, target: TypeId, mut depth: u32) -> Result<bool, CoreProblem> {
        let (mut local, mut target) = self.both(local, target)?;
        loop {
            depth += 1;
            self.step(depth)?;
            if !kinds_agree(local.kind(), target.kind()) {
                return Ok(false);
            }
            (local, target) = match local.kind() {
                Kind::Void | Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 | Kind::Fwd => return Ok(true),
                Kind::Int => return Ok(is_whole(&local) && is_whole(&target)),
                Kind::Ptr => self.both(pointee(&local), pointee(&target))?,
                Kind::Array => self.both(element(&local), element(&target))?,
                Kind::FuncProto => {
                    if local.len() != target.len() {
                        return Ok(false);
                    }
                    for (one, other) in local.params().zip(target.params()) {
                        if !self.outlines_within(one.ty, other.ty, depth)? {
                            return Ok(false);
                        }
                    }
                    self.both(pointee(&local), pointee(&target))?
                }
                _ => return Ok(false),
            };
        }
    }

    /// Whether the target's type has all that the program's has: members and values by name, integers of the same size
    /// and sign, arrays of the same length. Behind a pointer only names and kinds count, and a declaration goes with a
    /// definition.
    pub(super) fn matches(&mut self, local: TypeId, target: TypeId) -> Result<bool, CoreProblem> {
        self.matches_within(local, target, false, 0)
    }

    fn matches_within(
        &mut self,
        local: TypeId,
        target: TypeId,
        mut behind: bool,
        mut depth: u32,
    ) -> Result<bool, CoreProblem> {
        let (mut local, mut target) = self.both(local, target)?;
        loop {
            depth += 1;
            self.step(depth)?;
            if !names_agree(local.name(), target.name()) {
                return Ok(false);
            }
            (local, target) = match (local.kind(), target.kind()) {
                (Kind::Void, Kind::Void) => return Ok(true),
                (Kind::Fwd, Kind::Fwd) => return Ok(local.flag() == target.flag()),
                (Kind::Fwd, kind) | (kind, Kind::Fwd) if kind.is_composite() && behind => {
                    let declaration = if local.kind() == Kind::Fwd { &local } else { &target };
                    return Ok(declaration.flag() == (kind == Kind::Union));
                }
                (one, other) if one.is_enum() && other.is_enum() => return Ok(values_match(&local, &target)),
                (one, other) if one != other => return Ok(false),
                (Kind::Struct | Kind::Union, _) if behind => return Ok(true),
                (Kind::Struct | Kind::Union, _) => return self.members_match(&local, &target, depth),
                (Kind::Int, _) => return Ok(same_int(&local, &target)),
                (Kind::Ptr, _) => {
                    behind = true;
                    self.both(pointee(&local), pointee(&target))?
                }
                (Kind::Array, _) => {
                    if local.array().map(|array| array.count) != target.array().map(|array| array.count) {
                        return Ok(false);
                    }
                    self.both(element(&local), element(&target))?
                }
                (Kind::FuncProto, _) => {
                    if local.len() != target.len() {
                        return Ok(false);
                    }
                    for (one, other) in local.params().zip(target.params()) {
                        if !self.matches_within(one.ty, other.ty, behind, depth)? {
                            return Ok(false);
                        }
                    }
                    self.both(pointee(&local), pointee(&target))?
                }
                _ => return Ok(false),
            };
        }
    }

    fn members_match(&mut self, local: &Type<'a>, target: &Type<'a>, depth: u32) -> Result<bool, CoreProblem> {
        if local.len() > target.len() {
            return Ok(false);
        }
        for member in local.members() {
            let mut found = false;
            for other in target.members() {
                self.step(depth)?;
                if names_agree(member.name, other.name) && self.matches_within(member.ty, other.ty, false, depth)? {
                    found = true;
                    break;
                }
            }
            if !found {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whether names agree up to their flavour.
pub(super) fn names_agree(one: &str, other: &str) -> bool {
    essential(one.as_bytes()) == essential(other.as_bytes())
}

/// Whether an integer is no bit-field as old compilers describe it.
fn is_whole(ty: &Type<'_>) -> bool {
    ty.int().is_some_and(|int| int.offset == 0)
}

fn same_int(local: &Type<'_>, target: &Type<'_>) -> bool {
    match (local.int(), target.int()) {
        (Some(one), Some(other)) => one.size == other.size && one.is_signed() == other.is_signed(),
        _ => false,
    }
}

fn values_match(local: &Type<'_>, target: &Type<'_>) -> bool {
    if local.size() != target.size() || local.len() > target.len() {
        return false;
    }
    let names: hashbrown::HashSet<&[u8]> = target.enumerators().map(|value| essential(value.name.as_bytes())).collect();
    local.enumerators().all(|value| names.contains(essential(value.name.as_bytes())))
}

fn pointee(ty: &Type<'_>) -> TypeId {
    ty.target().unwrap_or_default()
}

fn element(ty: &Type<'_>) -> TypeId {
    ty.array().map_or(TypeId::VOID, |array| array.element)
}
