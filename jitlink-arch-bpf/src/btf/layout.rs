//! Sizes, alignments, and types behind names and qualifiers.

use super::{Btf, BtfError, Kind, Type, TypeId};

/// What a pointer takes in BPF, where every register has 64 bits.
pub(crate) const POINTER_BYTES: u32 = 8;

impl Btf {
    /// The type behind `const`, `volatile`, `restrict` and type tags.
    pub fn strip_modifiers(&self, id: TypeId) -> Result<Type<'_>, BtfError> {
        self.follow(id, Kind::is_modifier)
    }

    /// The type behind qualifiers and typedefs.
    pub fn resolve(&self, id: TypeId) -> Result<Type<'_>, BtfError> {
        self.follow(id, |kind| kind.is_modifier() || kind == Kind::Typedef)
    }

    /// How many bytes a value of the type takes. A variable is as large as its type.
    pub fn size_of(&self, id: TypeId) -> Result<u32, BtfError> {
        let mut count: u64 = 1;
        let mut ty = self.expect(id)?;
        loop {
            ty = self.follow(ty.id(), |kind| {
                kind.is_modifier() || matches!(kind, Kind::Typedef | Kind::Var | Kind::DeclTag)
            })?;
            let Some(array) = ty.array() else { break };
            let bytes = count.checked_mul(u64::from(array.count)).filter(|bytes| *bytes <= u64::from(u32::MAX));
            count = bytes.ok_or_else(|| self.too_large(id))?;
            ty = self.expect(array.element)?;
        }
        let one = match ty.kind() {
            Kind::Ptr => POINTER_BYTES,
            kind => ty.size().ok_or(BtfError::NoSize { id: ty.id(), kind })?,
        };
        u32::try_from(count * u64::from(one)).map_err(|_| self.too_large(id))
    }

    /// The alignment of a value in bytes, as C lays it out: that of the largest part, at least 1, and 1 for packed
    /// structs.
    pub fn align_of(&self, id: TypeId) -> Result<u32, BtfError> {
        self.align_within(id, &mut 1_000_000)
    }

    /// The alignment, with at most `steps` types looked at: types that hold others twice and more could take for ever.
    fn align_within(&self, id: TypeId, steps: &mut u32) -> Result<u32, BtfError> {
        let ty =
            self.follow(id, |kind| kind.is_modifier() || matches!(kind, Kind::Typedef | Kind::Var | Kind::DeclTag))?;
        *steps = steps.checked_sub(1).ok_or(BtfError::TooLarge { what: "types within a type, over a million" })?;
        if let Some(array) = ty.array() {
            return self.align_within(array.element, steps);
        }
        if !ty.kind().is_composite() {
            return self.size_of(ty.id()).map(|size| size.clamp(1, 8).next_power_of_two());
        }
        let mut align = 1;
        for member in ty.members() {
            let own = self.align_within(member.ty, steps)?;
            if member.bits.is_none() && member.bit_offset % (own * 8) != 0 {
                return Ok(1);
            }
            align = align.max(own);
        }
        Ok(if ty.size().is_some_and(|size| size % align != 0) { 1 } else { align })
    }

    /// Follows the third word while the kind passes. It ends because no such chain leads back to its start.
    fn follow(&self, id: TypeId, passes: impl Fn(Kind) -> bool) -> Result<Type<'_>, BtfError> {
        let mut ty = self.expect(id)?;
        while let Some(target) = ty.target().filter(|_| passes(ty.kind())) {
            ty = self.expect(target)?;
        }
        Ok(ty)
    }

    fn too_large(&self, id: TypeId) -> BtfError {
        let kind = self.ty(id).map_or(Kind::Void, |ty| ty.kind());
        BtfError::Value { id, kind, what: "a size of more than", value: u64::from(u32::MAX) }
    }
}
