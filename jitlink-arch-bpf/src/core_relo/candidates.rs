//! Which types of the target may be the one that the program means.
//!
//! A candidate has the same name up to `___` and what follows (the *flavour*, by which a program tells several versions
//! of a struct apart), and the same kind. The target's names are entered in a table once, so a search takes no time
//! that depends on the kernel's size.

use crate::btf::{Btf, Kind, Type, TypeId};
use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;
use std::hash::BuildHasher;

/// The name without its flavour: up to the last `___` that is between two other characters.
pub(super) fn essential(name: &[u8]) -> &[u8] {
    let flavour = |window: &[u8]| window[0] != b'_' && &window[1..4] == b"___" && window[4] != b'_';
    let separator = name.windows(5).rposition(flavour);
    separator.map_or(name, |before| &name[..=before])
}

/// Whether two kinds may be the same type: enumerations of both widths may.
pub(super) fn kinds_agree(one: Kind, other: Kind) -> bool {
    one == other || one.is_enum() && other.is_enum()
}

/// The types that programs are adjusted to, and a table of their names.
#[derive(Debug)]
pub struct Target<'a> {
    btf: &'a Btf,
    /// The first type of each essential name.
    names: HashTable<u32>,
    /// The next type of the same essential name; 0 at the end.
    next: Vec<u32>,
}

impl<'a> Target<'a> {
    /// Enters the names of all types that a program can ask for.
    pub fn new(btf: &'a Btf) -> Target<'a> {
        let mut target = Target { btf, names: HashTable::new(), next: vec![0; btf.len() + 1] };
        // From the last to the first, so that each list is in ascending order.
        for number in (1..=btf.len() as u32).rev() {
            target.enter(number);
        }
        target
    }

    /// The types.
    pub fn btf(&self) -> &'a Btf {
        self.btf
    }

    fn enter(&mut self, number: u32) {
        let asked_for = |ty: &Type<'_>| {
            !matches!(ty.kind(), Kind::Func | Kind::Var | Kind::Datasec | Kind::DeclTag | Kind::TypeTag)
        };
        let btf = self.btf;
        if !btf.ty(TypeId(number)).is_some_and(|ty| asked_for(&ty)) {
            return;
        }
        let name = name_of(btf, number);
        if name.is_empty() {
            return;
        }
        let hash = FxBuildHasher.hash_one(name);
        match self.names.find_mut(hash, |other| name_of(btf, *other) == name) {
            Some(first) => self.next[number as usize] = std::mem::replace(first, number),
            None => {
                self.names.insert_unique(hash, number, |number| FxBuildHasher.hash_one(name_of(btf, *number)));
            }
        }
    }

    /// The candidates for a type of the program, by ascending number.
    pub(super) fn candidates(&self, local: &Type<'_>) -> Vec<TypeId> {
        let name = essential(local.btf().string(local.name_offset()).unwrap_or_default());
        let first = self.names.find(FxBuildHasher.hash_one(name), |other| name_of(self.btf, *other) == name);
        let mut found = Vec::new();
        let mut number = first.copied().unwrap_or_default();
        while number != 0 {
            if self.btf.ty(TypeId(number)).is_some_and(|ty| kinds_agree(ty.kind(), local.kind())) {
                found.push(TypeId(number));
            }
            number = self.next[number as usize];
        }
        found
    }
}

fn name_of(btf: &Btf, number: u32) -> &[u8] {
    let name = btf.ty(TypeId(number)).and_then(|ty| btf.string(ty.name_offset()));
    essential(name.unwrap_or_default())
}
