//! The number that a relocation stands for, in the program's types or in the target's.

use super::spec::Spec;
use super::{CoreKind, CoreProblem};
use crate::btf::{Kind, TypeId};
use jitlink_core::Endian;

/// A number, and what a load or store has to know besides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) value: u64,
    /// Whether compilers cannot but come to the same number: not so where they may choose the word that holds a
    /// bit-field.
    pub(super) certain: bool,
    /// The size and the type of the member whose offset this is, if that is no bit-field.
    pub(super) access: Option<(u32, TypeId)>,
}

impl Number {
    fn plain(value: u64) -> Number {
        Number { value, certain: true, access: None }
    }
}

/// The number for an access that was found.
pub(super) fn found(spec: &Spec<'_>, kind: CoreKind, endian: Endian) -> Result<Number, CoreProblem> {
    match kind {
        CoreKind::FieldExists | CoreKind::TypeExists | CoreKind::TypeMatches | CoreKind::EnumvalExists => {
            Ok(Number::plain(1))
        }
        // Linking renumbers types, and no one renumbers them in instructions.
        CoreKind::TypeIdLocal | CoreKind::TypeIdTarget => {
            Ok(Number { value: u64::from(spec.root.0), certain: false, access: None })
        }
        CoreKind::TypeSize => Ok(Number::plain(u64::from(spec.btf.size_of(spec.root)?))),
        CoreKind::EnumvalValue => {
            let value = spec
                .steps
                .first()
                .and_then(|step| spec.btf.ty(step.ty).and_then(|ty| ty.enumerator(step.index as usize)));
            Ok(Number::plain(value.map_or(0, |value| value.value)))
        }
        _ => field(spec, kind, endian),
    }
}

/// The number where the target has no such thing; `None` if there is none, so that the instruction must not be reached.
pub(super) fn missing(kind: CoreKind) -> Option<Number> {
    let is_zero = matches!(
        kind,
        CoreKind::FieldExists
            | CoreKind::TypeExists
            | CoreKind::TypeMatches
            | CoreKind::EnumvalExists
            | CoreKind::TypeSize
            | CoreKind::TypeIdTarget
    );
    is_zero.then_some(Number::plain(0))
}

fn field(spec: &Spec<'_>, kind: CoreKind, endian: Endian) -> Result<Number, CoreProblem> {
    let Some(last) = spec.steps.last() else { return Err(CoreProblem::Unsupported("a type as a whole")) };
    let Some(member) = last.name.and_then(|_| spec.btf.ty(last.ty)?.member(last.index as usize)) else {
        let size = spec.btf.size_of(last.ty)?;
        let offset = Number { value: spec.bit_offset / 8, certain: true, access: Some((size, last.ty)) };
        return match kind {
            CoreKind::FieldByteOffset => Ok(offset),
            CoreKind::FieldByteSize => Ok(Number::plain(u64::from(size))),
            _ => Err(CoreProblem::Unsupported("an element of an array")),
        };
    };
    let ty = spec.btf.resolve(member.ty)?;
    let whole = spec.btf.size_of(ty.id())?;
    let place = match member.bits {
        Some(bits) => bit_field(spec.bit_offset, u32::from(bits), whole)?,
        None => Place { byte_offset: spec.bit_offset / 8, bytes: whole, bits: u64::from(whole) * 8 },
    };
    let number = |value| Number { value, certain: member.bits.is_none(), access: None };
    Ok(match kind {
        CoreKind::FieldByteOffset => {
            Number { access: member.bits.is_none().then_some((whole, ty.id())), ..number(place.byte_offset) }
        }
        CoreKind::FieldByteSize => number(u64::from(place.bytes)),
        CoreKind::FieldSigned => {
            let signed = ty.kind().is_enum() && ty.flag() || ty.int().is_some_and(|int| int.is_signed());
            Number::plain(u64::from(signed))
        }
        CoreKind::FieldLshiftU64 => {
            let within = spec.bit_offset.wrapping_sub(place.byte_offset.wrapping_mul(8));
            number(match endian {
                Endian::Little => 64_u64.wrapping_sub(within.wrapping_add(place.bits)),
                Endian::Big => 64_u64.wrapping_sub(u64::from(place.bytes) * 8).wrapping_add(within),
            })
        }
        _ => Number::plain(64_u64.wrapping_sub(place.bits)),
    })
}

/// The bytes that have to be read for a member.
struct Place {
    byte_offset: u64,
    bytes: u32,
    bits: u64,
}

/// The smallest aligned word from the type's own size on that holds all bits of a bit-field.
fn bit_field(offset: u64, bits: u32, size: u32) -> Result<Place, CoreProblem> {
    let mut bytes = size.max(1);
    loop {
        let byte_offset = offset / 8 / u64::from(bytes) * u64::from(bytes);
        if offset - byte_offset * 8 + u64::from(bits) <= u64::from(bytes) * 8 {
            return Ok(Place { byte_offset, bytes, bits: u64::from(bits) });
        }
        if bytes >= 8 {
            return Err(CoreProblem::BitField { offset, bits });
        }
        bytes *= 2;
    }
}

/// Whether a load of one size may become one of the other: pointers may, and integers without a sign, because what is
/// read is filled up with zeros.
pub(super) fn may_resize(local: (&Spec<'_>, TypeId), target: (&Spec<'_>, TypeId)) -> bool {
    let kind = |(spec, id): (&Spec<'_>, TypeId)| spec.btf.ty(id).map(|ty| (ty.kind(), ty.int()));
    match (kind(local), kind(target)) {
        (Some((Kind::Ptr, _)), Some((Kind::Ptr, _))) => true,
        (Some((_, Some(one))), Some((_, Some(other)))) => one.encoding != 1 && other.encoding != 1,
        _ => false,
    }
}
