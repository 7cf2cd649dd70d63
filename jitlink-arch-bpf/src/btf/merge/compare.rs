//! Whether two declarations of one thing go together.

use crate::btf::{Btf, BtfError, Kind, Type, TypeId};
use hashbrown::HashSet;
use rustc_hash::FxBuildHasher;
use thiserror::Error;

/// Two declarations that do not go together.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{first}` and `{second}` do not go together: {reason}")]
pub struct Mismatch {
    /// The first as C writes it.
    pub first: String,
    /// The second as C writes it.
    pub second: String,
    /// What differs, with the parts that do.
    pub reason: String,
}

/// Compares two declarations, in the same BTF or in different ones.
///
/// Names of typedefs and parameters, qualifiers and tags do not count. An array without a length goes with one of any,
/// and a declared struct with its definition. Behind a pointer only the names of structs count: objects that use CO-RE
/// declare just the members that they read. Structs that are held by value must have the same members.
pub fn compatible(a: (&Btf, TypeId), b: (&Btf, TypeId)) -> Result<(), Mismatch> {
    let mut compare = Compare { a: a.0, b: b.0, open: vec![(a.1, b.1, false)], seen: HashSet::default() };
    compare.run().map_err(|reason| {
        let definition = |btf: &Btf, id: TypeId| btf.c_definition(id).trim_end_matches(';').to_owned();
        Mismatch { first: definition(a.0, a.1), second: definition(b.0, b.1), reason }
    })
}

struct Compare<'a> {
    a: &'a Btf,
    b: &'a Btf,
    /// Pairs still to be compared, and whether there is a pointer before them.
    open: Vec<(TypeId, TypeId, bool)>,
    seen: HashSet<(TypeId, TypeId, bool), FxBuildHasher>,
}

impl Compare<'_> {
    fn run(&mut self) -> Result<(), String> {
        while let Some(pair) = self.open.pop() {
            if self.seen.insert(pair) {
                let a = self.a.resolve(pair.0).map_err(|error: BtfError| error.to_string())?;
                let b = self.b.resolve(pair.1).map_err(|error: BtfError| error.to_string())?;
                self.pair(&a, &b, pair.2)?;
            }
        }
        Ok(())
    }

    fn pair(&mut self, a: &Type<'_>, b: &Type<'_>, behind: bool) -> Result<(), String> {
        let differ = |what: &str| Err(format!("{what} of `{}` and `{}`", short(a), short(b)));
        match (a.kind(), b.kind()) {
            (Kind::Fwd, other) | (other, Kind::Fwd) if other.is_composite() || other == Kind::Fwd => {
                let union = |ty: &Type<'_>| ty.kind() == Kind::Union || ty.kind() == Kind::Fwd && ty.flag();
                if a.name() != b.name() || union(a) != union(b) { differ("names") } else { Ok(()) }
            }
            (one, other) if one.is_enum() && other.is_enum() => enums(a, b),
            (one, other) if one != other => differ("kinds"),
            (Kind::Int, _) => ints(a, b),
            (Kind::Float, _) if a.size() != b.size() => differ("sizes"),
            (Kind::Struct | Kind::Union, _) => self.composites(a, b, behind),
            (Kind::Array, _) => {
                let (Some(one), Some(other)) = (a.array(), b.array()) else { return Ok(()) };
                if one.count != other.count && one.count != 0 && other.count != 0 {
                    return differ("lengths");
                }
                self.open.push((one.element, other.element, behind));
                Ok(())
            }
            (Kind::FuncProto, _) => {
                if a.len() != b.len() {
                    return differ("numbers of parameters");
                }
                self.open.extend(a.params().zip(b.params()).map(|(one, other)| (one.ty, other.ty, behind)));
                self.targets(a, b, behind);
                Ok(())
            }
            (Kind::Ptr, _) => {
                self.targets(a, b, true);
                Ok(())
            }
            (Kind::Func | Kind::Var | Kind::DeclTag, _) => {
                self.targets(a, b, behind);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn targets(&mut self, a: &Type<'_>, b: &Type<'_>, behind: bool) {
        self.open.push((a.target().unwrap_or_default(), b.target().unwrap_or_default(), behind));
    }

    fn composites(&mut self, a: &Type<'_>, b: &Type<'_>, behind: bool) -> Result<(), String> {
        let differ = |what: &str| Err(format!("{what} of `{}` and `{}`", short(a), short(b)));
        if a.name() != b.name() {
            return differ("names");
        }
        if behind && !a.name().is_empty() {
            return Ok(());
        }
        if a.size() != b.size() || a.len() != b.len() {
            return differ("sizes or numbers of members");
        }
        for (one, other) in a.members().zip(b.members()) {
            if (one.name, one.bit_offset, one.bits) != (other.name, other.bit_offset, other.bits) {
                let place = |bits: u32| format!("{}.{}", bits / 8, bits % 8);
                let (first, second) = (place(one.bit_offset), place(other.bit_offset));
                return differ(&format!("member `{}` at {first}, `{}` at {second}", one.name, other.name));
            }
            self.open.push((one.ty, other.ty, behind));
        }
        Ok(())
    }
}

fn enums(a: &Type<'_>, b: &Type<'_>) -> Result<(), String> {
    let differ = |what: &str| Err(format!("{what} of `{}` and `{}`", short(a), short(b)));
    if a.name() != b.name() {
        return differ("names");
    }
    if a.is_empty() || b.is_empty() {
        return Ok(());
    }
    if a.size() != b.size() || !a.enumerators().eq(b.enumerators()) {
        return differ("values");
    }
    Ok(())
}

fn ints(a: &Type<'_>, b: &Type<'_>) -> Result<(), String> {
    let shape = |ty: &Type<'_>| ty.int().map(|int| (int.size, int.bits, int.is_signed(), int.is_bool()));
    if shape(a) == shape(b) { Ok(()) } else { Err(format!("sizes or signs of `{}` and `{}`", short(a), short(b))) }
}

/// The type in a few words.
fn short(ty: &Type<'_>) -> String {
    let text = ty.btf().c_type(ty.id());
    if text.chars().count() <= 200 { text } else { text.chars().take(200).chain(['…']).collect() }
}
