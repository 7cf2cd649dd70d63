//! CO-RE: one object for many kernels.
//!
//! # The problem
//!
//! A program reads `task->pid`, but where `pid` lies differs from kernel to kernel. So clang notes for each such
//! instruction which type, which member and what about it (its offset, its size, whether it exists at all) the
//! instruction's number stands for, and whoever loads the program replaces the number by that of the kernel at hand:
//! *compile once, run everywhere*.
//!
//! # The idea
//!
//! ```text
//!  relocation ──parse──► access in the program's types ──find──► access in each candidate ──► one number ──► patch
//!  (type, "0:3", kind)       struct task_struct.pid           task_struct, task_struct___old
//! ```
//!
//! 1. `spec` follows the access string through the program's own types.
//! 2. `candidates` finds the types of the target that have the name, whatever the flavour (`task_struct___old` is a
//!    `task_struct`).
//! 3. `find` follows the same *names* through each of them, `compat` says which types can stand for which.
//! 4. `value` computes the number, here and there. If several candidates differ in it, that is an error.
//! 5. `patch` checks that the instruction holds the number of the program's types, and stores the other one.
//!
//! Where the target has no such member, relocations that ask for existence give 0. For others the instruction becomes a
//! call of a helper that does not exist ([`POISON_HELPER`]): it is an error only if it is reached, because programs
//! test for existence first.
//!
//! Results are those of libbpf (`relo_core.c`), also in that a candidate which lacked a member that another one had
//! does not count for later relocations of the same type. They differ in two points, on purpose: a number that does not
//! fit the instruction is an error, and the values of enumerations without a sign are not extended by one.

mod candidates;
mod compat;
mod error;
mod find;
mod kind;
mod patch;
mod spec;
mod value;

pub use candidates::Target;
pub use error::{CoreError, CoreProblem};
pub use kind::CoreKind;
pub use patch::POISON_HELPER;

use crate::btf::{Btf, TypeId, ext::CoreRelo};
use hashbrown::HashMap;
use jitlink_core::Endian;
use patch::Slot;
use rustc_hash::FxBuildHasher;
use spec::Spec;
use value::Number;

/// What a relocation did to its instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The instruction holds the target's number now.
    Patched {
        /// What it held.
        from: i64,
        /// What it holds.
        to: u64,
    },
    /// The instruction must not be reached.
    Poisoned {
        /// What the target lacks, in words.
        why: String,
    },
}

/// Applies the relocations of one object, and remembers the candidates of each type.
#[derive(Debug)]
pub struct Relocator<'a> {
    local: &'a Btf,
    target: &'a Target<'a>,
    candidates: HashMap<TypeId, Vec<TypeId>, FxBuildHasher>,
}

/// What the target's types say: a number with the access that gave it, or nothing.
enum Decision<'t> {
    Found(Number, Spec<'t>),
    Missing,
}

impl<'a> Relocator<'a> {
    /// A relocator for code whose types are `local`, to be run where the types are `target`.
    pub fn new(local: &'a Btf, target: &'a Target<'a>) -> Relocator<'a> {
        Relocator { local, target, candidates: HashMap::default() }
    }

    /// Applies a relocation to the instruction in `code`, which is the section that the relocation's offset counts in.
    pub fn apply(&mut self, code: &mut [u8], endian: Endian, relo: &CoreRelo) -> Result<Outcome, CoreError> {
        let result = self.decide_and_store(code, endian, relo);
        result.map_err(|problem| CoreError { insn_off: relo.insn_off, relo: self.describe(relo), problem })
    }

    /// A relocation in words: `byte_off of struct task_struct.pid (type 7, access 0:3)`.
    pub fn describe(&self, relo: &CoreRelo) -> String {
        let access = self.local.name(relo.access);
        let spec = Spec::parse(self.local, relo.ty, relo.kind, access);
        let what = spec.unwrap_or_else(|_| Spec::new(self.local, relo.ty)).describe();
        format!("{} of {what} (type {}, access {access})", relo.kind, relo.ty)
    }

    fn decide_and_store(&mut self, code: &mut [u8], endian: Endian, relo: &CoreRelo) -> Result<Outcome, CoreProblem> {
        let mut slot = Slot::new(code, relo.insn_off, endian)?;
        let local = Spec::parse(self.local, relo.ty, relo.kind, self.local.name(relo.access))?;
        let own = value::found(&local, relo.kind, endian)?;
        if relo.kind == CoreKind::TypeIdLocal {
            return slot.store(own, own).map(|from| Outcome::Patched { from, to: own.value });
        }
        let new = match self.decide(&local, relo.kind, endian)? {
            Decision::Found(number, spec) => {
                if let Some(why) = unsafe_resize(&slot, (&local, own), (&spec, number)) {
                    slot.poison();
                    return Ok(Outcome::Poisoned { why });
                }
                number
            }
            Decision::Missing => match value::missing(relo.kind) {
                Some(number) => number,
                None => {
                    slot.poison();
                    return Ok(Outcome::Poisoned { why: format!("the target has no {}", local.describe()) });
                }
            },
        };
        slot.store(own, new).map(|from| Outcome::Patched { from, to: new.value })
    }

    /// Finds the access in all candidates, which must agree.
    fn decide(&mut self, local: &Spec<'_>, kind: CoreKind, endian: Endian) -> Result<Decision<'a>, CoreProblem> {
        let root = self.local.expect(local.root)?;
        if root.name().is_empty() {
            return Err(CoreProblem::Anonymous);
        }
        let target = self.target;
        let candidates = self.candidates.entry(local.root).or_insert_with(|| target.candidates(&root));
        let mut decision = Decision::Missing;
        let mut matching = Vec::new();
        for candidate in candidates.iter() {
            let Some(spec) = find::find(local, target.btf(), *candidate, kind)? else { continue };
            let number = value::found(&spec, kind, endian)?;
            matching.push(*candidate);
            match &decision {
                Decision::Missing => decision = Decision::Found(number, spec),
                Decision::Found(first, at) if first.value != number.value || at.bit_offset != spec.bit_offset => {
                    return Err(ambiguous((at, *first), (&spec, number)));
                }
                Decision::Found(..) => {}
            }
        }
        if !matching.is_empty() {
            *candidates = matching;
        }
        Ok(decision)
    }
}

/// Why a load or store must not be made one of the target's size.
fn unsafe_resize(slot: &Slot<'_>, local: (&Spec<'_>, Number), target: (&Spec<'_>, Number)) -> Option<String> {
    let ((own_size, own), (new_size, new)) = (local.1.access?, target.1.access?);
    if !slot.is_access() || own_size == new_size || value::may_resize((local.0, own), (target.0, new)) {
        return None;
    }
    let what = target.0.describe();
    Some(format!(
        "{what} has {new_size} bytes in the target and {own_size} in the program, and is no pointer or unsigned integer"
    ))
}

fn ambiguous(first: (&Spec<'_>, Number), second: (&Spec<'_>, Number)) -> CoreProblem {
    let describe = |(spec, number): (&Spec<'_>, Number)| {
        let place = if spec.bit_offset == 0 { String::new() } else { format!(" (at bit {})", spec.bit_offset) };
        format!("{} [{}] gives {}{place}", spec.describe(), spec.root, number.value)
    };
    CoreProblem::Ambiguous { first: describe(first), second: describe(second) }
}
