//! Locks and timers in values of maps: fields that a kernel finds by the names of their types.
//!
//! A kernel looks for them when a map is made with the types of its elements (`btf_parse_fields`), and programs reach them by
//! helpers only. It looks at the members of the value, of structs in it, and of structs in those; not into unions. A value may have
//! one of each kind. Where it has more, or an array of them, the kernel refuses the types, is given the map without them (by libbpf and
//! by the loader here), and knows of no such field then, so that programs that use one are refused; the same comes out here.
//!
//! A type may be a part of others many times over, so each is looked at once.

use super::{Btf, Kind, Type, TypeId};
use hashbrown::HashMap;

/// Where the fields of a map's value are that programs reach by helpers only, in bytes from the value's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ValueFields {
    /// The `struct bpf_spin_lock`, of four bytes.
    pub lock: Option<u32>,
    /// The `struct bpf_timer`, of 16 bytes.
    pub timer: Option<u32>,
}

/// How deep the kernel looks for members of members, and for elements of elements (`MAX_RESOLVE_DEPTH`).
const MOST_LEVELS: u32 = 32;

/// Name, size and alignment of the fields' types, in the order of [`ValueFields`].
const SPECIAL: [(&str, u32, u32); 2] = [("bpf_spin_lock", 4, 4), ("bpf_timer", 16, 8)];

/// What a struct holds; `None` where the kernel would know of no field at all.
type Found = Option<ValueFields>;

impl ValueFields {
    /// The fields in a value of a type. None in anything but a struct, and none where the kernel takes none.
    pub fn of(btf: &Btf, value: TypeId) -> ValueFields {
        let Ok(ty) = btf.resolve(value) else { return ValueFields::default() };
        let mut seen = HashMap::new();
        (ty.kind() == Kind::Struct).then(|| in_struct(&ty, 0, &mut seen)).flatten().unwrap_or_default()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == ValueFields::default()
    }

    fn one(index: usize, offset: u32) -> ValueFields {
        match index {
            0 => ValueFields { lock: Some(offset), timer: None },
            _ => ValueFields { lock: None, timer: Some(offset) },
        }
    }

    /// The same fields in a value that holds this one at an offset.
    fn within(self, offset: u32) -> Found {
        let shift = |field: Option<u32>| field.map_or(Some(None), |at| at.checked_add(offset).map(Some));
        Some(ValueFields { lock: shift(self.lock)?, timer: shift(self.timer)? })
    }

    /// Those of both; none of one kind twice.
    fn and(self, other: ValueFields) -> Found {
        let either = |a: Option<u32>, b: Option<u32>| (a.is_none() || b.is_none()).then(|| a.or(b));
        Some(ValueFields { lock: either(self.lock, other.lock)?, timer: either(self.timer, other.timer)? })
    }
}

fn in_struct(ty: &Type<'_>, level: u32, seen: &mut HashMap<TypeId, Found>) -> Found {
    if let Some(known) = seen.get(&ty.id()) {
        return *known;
    }
    let found = if level < MOST_LEVELS { members(ty, level, seen) } else { None };
    seen.insert(ty.id(), found);
    found
}

fn members(ty: &Type<'_>, level: u32, seen: &mut HashMap<TypeId, Found>) -> Found {
    let (mut found, mut named) = (ValueFields::default(), [false; SPECIAL.len()]);
    for member in ty.members() {
        // Where a bit-field begins within a byte, the kernel gives the value up.
        if member.bit_offset % 8 != 0 {
            return None;
        }
        let (offset, (element, count)) = (member.bit_offset / 8, element(ty.btf(), member.ty)?);
        if count == 0 {
            continue;
        }
        // Names count as they stand, so that a typedef hides what it is of.
        let own = match SPECIAL.iter().position(|(name, ..)| *name == element.name()) {
            Some(index) => {
                if std::mem::replace(&mut named[index], true) {
                    return None;
                }
                let (_, size, align) = SPECIAL[index];
                let whole = element.kind() == Kind::Struct && element.size() == Some(size) && offset % align == 0;
                if whole { ValueFields::one(index, offset) } else { continue }
            }
            None if element.kind() == Kind::Struct => in_struct(&element, level + 1, seen)?.within(offset)?,
            None => continue,
        };
        if count > 1 && !own.is_empty() {
            return None;
        }
        found = found.and(own)?;
    }
    Some(found)
}

/// What an array is of in the end, and how many of them; a type itself, once.
fn element(btf: &Btf, id: TypeId) -> Option<(Type<'_>, u64)> {
    let (mut ty, mut count, mut levels) = (btf.ty(id)?, 1u64, 0);
    while let Some(array) = ty.array() {
        levels += 1;
        if levels == MOST_LEVELS {
            return None;
        }
        count = count.saturating_mul(array.count.into());
        ty = btf.ty(array.element)?;
    }
    Some((ty, count))
}
