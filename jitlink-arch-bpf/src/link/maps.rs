//! Maps that BTF defines: variables in `.maps` whose types, not values, say what the map is.
//!
//! libbpf's `bpf_helpers.h` writes numbers as lengths of arrays (`int (*max_entries)[16]`), or as values of enumerations where
//! they need 64 bits, and types as pointers to them. What libbpf accepts (`parse_btf_map_def`) is accepted here. The value of
//! the variable counts for `values` only: pointers to inner maps or programs, which relocations fill.

use crate::btf::{Btf, Kind, Member, Type, TypeId, ValueFields};
use crate::image::MapDefinition;

/// A definition, and where in its variable the initial values are.
#[derive(Clone, Debug, Default)]
pub(super) struct Defined {
    pub(super) map: MapDefinition,
    /// Bytes from the variable's start to the first pointer, if there is a member `values`.
    pub(super) values: Option<u64>,
}

/// The map that a variable, or the type of an inner map, defines.
pub(super) fn definition(btf: &Btf, name: &str, ty: TypeId) -> Result<Defined, String> {
    parse(btf, name, ty, true)
}

fn parse(btf: &Btf, name: &str, ty: TypeId, outer: bool) -> Result<Defined, String> {
    let wrong = |what: String| format!("map {name}: {what}");
    let resolved = btf.resolve(ty).map_err(|error| wrong(error.to_string()))?;
    if resolved.kind() != Kind::Struct {
        return Err(wrong(format!("its type is {resolved:?}, not a struct of definitions")));
    }
    let mut defined = Defined { map: MapDefinition { name: name.into(), ..MapDefinition::default() }, values: None };
    for member in resolved.members() {
        let wrong = |what: String| format!("map {name}: {}: {what}", member.name);
        let number = || number(btf, &member).map_err(wrong);
        let map = &mut defined.map;
        match member.name {
            "type" => map.kind = number32(number()?).map_err(wrong)?,
            "max_entries" => map.max_entries = number32(number()?).map_err(wrong)?,
            "map_flags" => map.flags = number32(number()?).map_err(wrong)?,
            "numa_node" => map.numa_node = number32(number()?).map_err(wrong)?,
            "map_extra" => map.extra = number()?,
            "key_size" => agree(&mut map.key_size, number32(number()?).map_err(wrong)?).map_err(wrong)?,
            "value_size" => agree(&mut map.value_size, number32(number()?).map_err(wrong)?).map_err(wrong)?,
            "key" => {
                let (ty, size) = pointee(btf, &member).map_err(wrong)?;
                agree(&mut map.key_size, size).map_err(wrong)?;
                map.types.0 = ty.0;
            }
            "value" => {
                let (ty, size) = pointee(btf, &member).map_err(wrong)?;
                agree(&mut map.value_size, size).map_err(wrong)?;
                (map.types.1, map.fields) = (ty.0, ValueFields::of(btf, ty));
            }
            "pinning" if outer => {
                map.pin_by_name = match number()? {
                    0 => false,
                    1 => true,
                    other => return Err(wrong(format!("{other} is neither 0 (none) nor 1 (by name)"))),
                };
            }
            "values" if outer => {
                defined.values = Some(u64::from(member.bit_offset) / 8);
                map.inner = inner(btf, name, &member)?;
                agree(&mut map.value_size, 4).map_err(wrong)?;
            }
            _ => return Err(wrong("no such definition is known".into())),
        }
    }
    if defined.map.kind == 0 {
        return Err(wrong("its type is not said (__uint(type, …))".into()));
    }
    Ok(defined)
}

/// The number that a member's type says.
fn number(btf: &Btf, member: &Member<'_>) -> Result<u64, String> {
    let ty = btf.resolve(member.ty).map_err(|error| error.to_string())?;
    if ty.kind().is_enum() {
        let first = ty.enumerators().next();
        return first.map(|value| value.value).ok_or_else(|| "an enumeration without a value".into());
    }
    let array = ty.target().filter(|_| ty.kind() == Kind::Ptr).map(|target| btf.resolve(target));
    match array.transpose().map_err(|error| error.to_string())?.and_then(|ty| ty.array()) {
        Some(array) => Ok(u64::from(array.count)),
        None => Err(format!("{ty:?} says no number; use __uint or __ulong")),
    }
}

fn number32(number: u64) -> Result<u32, String> {
    u32::try_from(number).map_err(|_| format!("{number} does not fit 32 bits"))
}

/// Sizes may be said twice, but not differently.
fn agree(size: &mut u32, said: u32) -> Result<(), String> {
    if *size != 0 && *size != said {
        return Err(format!("a size of {said} bytes, where another part of the definition says {size}"));
    }
    *size = said;
    Ok(())
}

/// The type that a member points to, and its size.
fn pointee(btf: &Btf, member: &Member<'_>) -> Result<(TypeId, u32), String> {
    let ty = btf.resolve(member.ty).map_err(|error| error.to_string())?;
    let target = ty.target().filter(|_| ty.kind() == Kind::Ptr).ok_or_else(|| format!("{ty:?} is no pointer"))?;
    let size = btf.size_of(target).map_err(|error| error.to_string())?;
    Ok((target, size))
}

/// What the elements of `values` point to: maps like the one that is returned, or programs.
fn inner(btf: &Btf, name: &str, member: &Member<'_>) -> Result<Option<Box<MapDefinition>>, String> {
    let wrong = |what: String| format!("map {name}: values: {what}");
    let resolve = |id: TypeId| btf.resolve(id).map_err(|error| wrong(error.to_string()));
    let array = resolve(member.ty)?.array().ok_or_else(|| wrong("not an array".into()))?;
    let pointer: Type<'_> = resolve(array.element)?;
    let target = pointer.target().filter(|_| pointer.kind() == Kind::Ptr);
    let target = resolve(target.ok_or_else(|| wrong(format!("an array of {pointer:?}, not of pointers")))?)?;
    match target.kind() {
        Kind::FuncProto => Ok(None),
        _ => Ok(Some(Box::new(parse(btf, &format!("{name}.inner"), target.id(), false)?.map))),
    }
}
