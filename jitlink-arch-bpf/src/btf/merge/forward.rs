//! Declarations without a definition, and the definitions that they mean.
//!
//! `struct foo;` in one object means the `struct foo { … }` of another. Within an object its own definition counts;
//! otherwise there must be one definition, or several that look alike. Where objects define different structs of that
//! name, the declaration stays one.

use super::flat::Flat;
use crate::btf::Kind;
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

/// What a definition is looked up by: struct, union or enumeration, and the name.
type Key = (Kind, u32);

/// The definitions of a name.
struct Definitions {
    first: u32,
    alike: bool,
}

/// Points declarations to their definitions.
pub(super) fn resolve(flat: &mut Flat) {
    let mut overall: HashMap<Key, Definitions, FxBuildHasher> = HashMap::default();
    let mut own: HashMap<(usize, Key), u32, FxBuildHasher> = HashMap::default();
    let mut declarations = Vec::new();
    for object in 0..flat.bases.len().saturating_sub(1) {
        for id in flat.bases[object]..flat.bases[object + 1] {
            let Some((key, defines)) = key(flat, id) else { continue };
            if !defines {
                declarations.push((object, key, id));
                continue;
            }
            own.entry((object, key)).or_insert(id);
            let known = overall.entry(key).or_insert(Definitions { first: id, alike: true });
            known.alike &= alike(flat, known.first, id);
        }
    }
    for (object, key, id) in declarations {
        let overall = overall.get(&key).filter(|definitions| definitions.alike).map(|definitions| definitions.first);
        if let Some(definition) = own.get(&(object, key)).copied().or(overall) {
            flat.meaning[id as usize] = definition;
        }
    }
}

/// What a type with a name declares, and whether it defines it.
fn key(flat: &Flat, id: u32) -> Option<(Key, bool)> {
    let words = flat.words(id);
    if words[0] == 0 {
        return None;
    }
    let key = |kind| (kind, words[0]);
    match flat.kind(id) {
        Kind::Fwd if words[1] >> 31 != 0 => Some((key(Kind::Union), false)),
        Kind::Fwd => Some((key(Kind::Struct), false)),
        kind @ (Kind::Struct | Kind::Union) => Some((key(kind), true)),
        // An enumeration that is only declared has no values.
        Kind::Enum | Kind::Enum64 => Some((key(Kind::Enum), words[1] & 0xffff != 0)),
        _ => None,
    }
}

/// Whether definitions have the same size, and the same names at the same places.
fn alike(flat: &Flat, one: u32, other: u32) -> bool {
    let (one_words, other_words) = (flat.words(one), flat.words(other));
    if one_words.len() != other_words.len() || one_words[1..3] != other_words[1..3] {
        return false;
    }
    let is_id = |position: usize| flat.kind(one).is_composite() && position >= 3 && (position - 3) % 3 == 1;
    (3..one_words.len()).all(|position| is_id(position) || one_words[position] == other_words[position])
}
