//! What must hold of records before anything else looks at them.
//!
//! Records are whole already. Three passes follow: numbers, names and ids of each record; chains of types with one
//! successor (names, qualifiers, pointers, arrays), none of which may come back to its start; and what types contain by
//! value, which must not come back either. Both kinds of path have at most [`LONGEST_PATH`] steps, so that following
//! them is cheap and recursion over them is safe. Linux stops at 32 and compilers do not come near.

use super::{Btf, BtfError, Kind, Linkage, Type, TypeId, strings};

/// The longest chain or nesting that is accepted.
pub(crate) const LONGEST_PATH: u16 = 256;

/// Checks all records.
pub(crate) fn all(btf: &Btf) -> Result<(), BtfError> {
    let names = Names { strings: &btf.strings, text: std::str::from_utf8(&btf.strings).is_ok() };
    btf.types().try_for_each(|ty| record(&ty, &names))?;
    chains(btf)?;
    nesting(btf)?;
    btf.types().filter(|ty| ty.kind().is_composite()).try_for_each(|ty| members(&ty))?;
    btf.types().filter(|ty| ty.kind() == Kind::Array).try_for_each(|ty| array_size(&ty))
}

struct Names<'a> {
    strings: &'a [u8],
    text: bool,
}

impl Names<'_> {
    fn check(&self, ty: &Type<'_>, offset: u32) -> Result<(), BtfError> {
        let (id, kind) = (ty.id(), ty.kind());
        let Some(first) = self.strings.get(offset as usize) else {
            return Err(BtfError::Name { id, kind, offset, length: self.strings.len() });
        };
        // In text as a whole, a part is text if it does not start inside a character.
        let is_text = match self.text {
            true => first & 0xc0 != 0x80,
            false => strings::at(self.strings, offset).is_some_and(|name| std::str::from_utf8(name).is_ok()),
        };
        if is_text { Ok(()) } else { Err(BtfError::Text { id, kind, offset }) }
    }
}

fn record(ty: &Type<'_>, names: &Names<'_>) -> Result<(), BtfError> {
    let (kind, words) = (ty.kind(), ty.words());
    names.check(ty, words[0])?;
    if ty.flag() && !kind.uses_flag() {
        return Err(BtfError::Info { id: ty.id(), info: words[1] });
    }
    if kind.part_words() == 0 && kind != Kind::Func && !ty.is_empty() {
        return Err(BtfError::Info { id: ty.id(), info: words[1] });
    }
    if kind.refers() {
        reference(ty, words[2])?;
    }
    match kind {
        Kind::Int => int(ty),
        Kind::Float if !matches!(words[2], 2 | 4 | 8 | 12 | 16) => {
            Err(value(ty, "a size other than 2, 4, 8, 12, 16:", words[2]))
        }
        Kind::Enum | Kind::Enum64 if !matches!(words[2], 1 | 2 | 4 | 8) => {
            Err(value(ty, "a size other than 1, 2, 4, 8:", words[2]))
        }
        Kind::Array => reference(ty, words[3]).and_then(|_| reference(ty, words[4])).map(|_| ()),
        Kind::Func => function(ty),
        Kind::Var if Linkage::from_number(words[3]).is_none() => Err(value(ty, "unknown linkage", words[3])),
        Kind::DeclTag => tag(ty),
        _ => Ok(()),
    }?;
    parts(ty, names)
}

fn parts(ty: &Type<'_>, names: &Names<'_>) -> Result<(), BtfError> {
    let kind = ty.kind();
    let size = kind.part_words();
    if size == 0 {
        return Ok(());
    }
    for part in ty.words()[3..].chunks_exact(size) {
        match kind {
            Kind::Datasec => {
                let (to, found) = (TypeId(part[0]), reference(ty, part[0])?);
                if !matches!(found, Kind::Var | Kind::Func) {
                    return Err(wrong(ty, to, Some(found)));
                }
                continue;
            }
            Kind::Struct | Kind::Union | Kind::FuncProto => reference(ty, part[1]).map(|_| ())?,
            _ => {}
        }
        names.check(ty, part[0])?;
    }
    Ok(())
}

fn int(ty: &Type<'_>) -> Result<(), BtfError> {
    let (word, Some(int)) = (ty.words()[3], ty.int()) else { return Ok(()) };
    if !matches!(int.size, 1..=16) {
        return Err(value(ty, "a size other than 1 to 16:", int.size));
    }
    if word & 0xf000_0000 != 0 || u32::from(int.bits) + u32::from(int.offset) > int.size * 8 {
        return Err(value(ty, "unknown encoding or more bits than its size:", word));
    }
    Ok(())
}

fn function(ty: &Type<'_>) -> Result<(), BtfError> {
    let target = TypeId(ty.words()[2]);
    let found = ty.btf().ty(target).map(|target| target.kind());
    if found != Some(Kind::FuncProto) {
        return Err(wrong(ty, target, found));
    }
    match ty.linkage() {
        Some(_) => Ok(()),
        None => Err(value(ty, "unknown linkage", ty.len() as u32)),
    }
}

fn tag(ty: &Type<'_>) -> Result<(), BtfError> {
    let Some(component) = ty.component() else { return Ok(()) };
    let target = ty.btf().expect(TypeId(ty.words()[2]))?;
    let of = match target.kind() {
        Kind::Func => target.target().map_or(0, |proto| ty.btf().ty(proto).map_or(0, |proto| proto.len())),
        kind if kind.is_composite() => target.len(),
        _ => 0,
    };
    if component as usize >= of { Err(value(ty, "a component that its target has not:", component)) } else { Ok(()) }
}

/// The kind of what a record refers to.
fn reference(ty: &Type<'_>, to: u32) -> Result<Kind, BtfError> {
    let found = ty.btf().ty(TypeId(to)).map(|target| target.kind());
    found.ok_or_else(|| wrong(ty, TypeId(to), None))
}

fn members(ty: &Type<'_>) -> Result<(), BtfError> {
    let size = ty.words()[2];
    for (index, member) in ty.members().enumerate() {
        let bits = match member.bits {
            Some(bits) => u64::from(bits),
            // Compilers put `void` where they cannot say the type: that has no size to check.
            None => own_bits(ty.btf(), member.ty),
        };
        if u64::from(member.bit_offset) + bits > u64::from(size) * 8 {
            let offset = member.bit_offset;
            return Err(BtfError::Member { id: ty.id(), member: index, offset, bits, size });
        }
    }
    Ok(())
}

/// The bits of a member's value; a bit-field as old compilers describe it has fewer than its type's size.
fn own_bits(btf: &Btf, id: TypeId) -> u64 {
    let int = btf.resolve(id).ok().and_then(|ty| ty.int());
    match int {
        Some(int) if u32::from(int.bits) < int.size * 8 => u64::from(int.bits),
        _ => u64::from(btf.size_of(id).unwrap_or_default()) * 8,
    }
}

fn array_size(ty: &Type<'_>) -> Result<(), BtfError> {
    match ty.btf().size_of(ty.id()) {
        Err(BtfError::NoSize { .. }) | Ok(_) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The one type that a type leads to without being in a struct or prototype.
fn successor(ty: &Type<'_>) -> Option<TypeId> {
    match ty.kind() {
        Kind::FuncProto => None,
        Kind::Array => ty.array().map(|array| array.element),
        _ => ty.target(),
    }
}

/// Marks a type whose path is being followed.
const OPEN: u16 = u16::MAX;

fn chains(btf: &Btf) -> Result<(), BtfError> {
    // The number of steps from each type to the end of its chain, plus one.
    let mut lengths = vec![0_u16; btf.len() + 1];
    lengths[0] = 1;
    let mut path = Vec::new();
    for start in btf.types() {
        let mut ty = start;
        while lengths[ty.id().0 as usize] == 0 {
            lengths[ty.id().0 as usize] = OPEN;
            path.push(ty.id());
            let Some(next) = successor(&ty) else { break };
            ty = btf.expect(next)?;
        }
        // Either the path ended at its last type, or at one whose length is known, or at itself.
        let ended_new = path.last() == Some(&ty.id()) && successor(&ty).is_none();
        let mut length = if ended_new { 0 } else { lengths[ty.id().0 as usize] };
        if length == OPEN {
            return Err(BtfError::Cycle { id: ty.id(), kind: ty.kind() });
        }
        while let Some(id) = path.pop() {
            length += 1;
            if length > LONGEST_PATH {
                return Err(BtfError::TooLarge { what: "a chain of more than 256 types" });
            }
            lengths[id.0 as usize] = length;
        }
    }
    Ok(())
}

/// The types of which a type holds a value, by number.
fn contained<'a>(ty: &Type<'a>, index: usize) -> Option<TypeId> {
    match ty.kind() {
        Kind::Struct | Kind::Union => ty.words().get(3 + index * 3 + 1).map(|id| TypeId(*id)),
        Kind::Datasec => ty.words().get(3 + index * 3).map(|id| TypeId(*id)),
        Kind::Ptr => None,
        _ => successor(ty).filter(|_| index == 0),
    }
}

fn nesting(btf: &Btf) -> Result<(), BtfError> {
    // The greatest depth below each type, plus one.
    let mut depths = vec![0_u16; btf.len() + 1];
    depths[0] = 1;
    let mut stack: Vec<(Type<'_>, usize, u16)> = Vec::new();
    for start in btf.types() {
        if depths[start.id().0 as usize] == 0 {
            depths[start.id().0 as usize] = OPEN;
            stack.push((start, 0, 0));
        }
        while let Some((ty, index, deepest)) = stack.last_mut() {
            let Some(child) = contained(ty, *index) else {
                let depth = *deepest + 1;
                if depth > LONGEST_PATH {
                    return Err(BtfError::TooLarge { what: "types nested more than 256 deep" });
                }
                depths[ty.id().0 as usize] = depth;
                stack.pop();
                continue;
            };
            match depths[child.0 as usize] {
                OPEN => return Err(BtfError::Cycle { id: ty.id(), kind: ty.kind() }),
                0 => {
                    let child = btf.expect(child)?;
                    depths[child.id().0 as usize] = OPEN;
                    stack.push((child, 0, 0));
                }
                // A child that was just finished is seen again here, with its depth.
                known => {
                    *deepest = (*deepest).max(known);
                    *index += 1;
                }
            }
        }
    }
    Ok(())
}

fn wrong(ty: &Type<'_>, to: TypeId, found: Option<Kind>) -> BtfError {
    BtfError::Reference { id: ty.id(), kind: ty.kind(), to, found, count: ty.btf().len() }
}

fn value(ty: &Type<'_>, what: &'static str, value: u32) -> BtfError {
    BtfError::Value { id: ty.id(), kind: ty.kind(), what, value: u64::from(value) }
}
