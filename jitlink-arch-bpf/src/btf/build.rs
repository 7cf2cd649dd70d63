//! New BTF, a record at a time.

use super::{
    Array, Btf, BtfError, Enumerator, Int, Kind, Linkage, Member, Param, SectionVar, TypeId, strings::Strings,
};

/// The most parts that a record can have (`BTF_MAX_VLEN`).
const MAX_PARTS: usize = 0xffff;

/// Collects strings and records. Records may refer to ones that come later; [`finish`](Self::finish) checks all of
/// them.
#[derive(Clone, Debug)]
pub struct BtfBuilder {
    words: Vec<u32>,
    types: u32,
    strings: Strings,
}

impl Default for BtfBuilder {
    fn default() -> BtfBuilder {
        BtfBuilder { words: super::VOID_WORDS.to_vec(), types: 0, strings: Strings::default() }
    }
}

impl From<Btf> for BtfBuilder {
    fn from(btf: Btf) -> BtfBuilder {
        let types = btf.len() as u32;
        let words = if btf.words.is_empty() { super::VOID_WORDS.to_vec() } else { btf.words };
        let strings = if btf.strings.is_empty() { vec![0] } else { btf.strings };
        BtfBuilder { words, types, strings: Strings::from_bytes(strings) }
    }
}

impl BtfBuilder {
    /// A builder without types.
    pub fn new() -> BtfBuilder {
        BtfBuilder::default()
    }

    /// A builder without types, but with strings.
    pub(crate) fn with_strings(strings: Strings) -> BtfBuilder {
        BtfBuilder { strings, ..BtfBuilder::default() }
    }

    /// The id that the next record gets.
    pub fn next_id(&self) -> TypeId {
        TypeId(self.types + 1)
    }

    /// The offset of a string, which is stored once. Bytes from the first zero on do not count.
    pub fn string(&mut self, text: impl AsRef<[u8]>) -> Result<u32, BtfError> {
        self.strings.add(text.as_ref())
    }

    /// The string at an offset.
    pub fn string_at(&self, offset: u32) -> &[u8] {
        self.strings.at(offset)
    }

    /// An integer; see [`Int::encoding`].
    pub fn int(&mut self, name: &str, int: Int) -> Result<TypeId, BtfError> {
        let word = u32::from(int.bits) | u32::from(int.offset) << 16 | u32::from(int.encoding & 0xf) << 24;
        self.record(name, info(Kind::Int, 0, false)?, int.size, &[word])
    }

    /// A number with a fraction, of `size` bytes.
    pub fn float(&mut self, name: &str, size: u32) -> Result<TypeId, BtfError> {
        self.record(name, info(Kind::Float, 0, false)?, size, &[])
    }

    /// A type of one other: a pointer, a qualifier (without a name), a typedef or a type tag (with one).
    pub fn reference(&mut self, kind: Kind, name: &str, target: TypeId) -> Result<TypeId, BtfError> {
        self.record(name, info(kind, 0, false)?, target.0, &[])
    }

    /// An array.
    pub fn array(&mut self, array: Array) -> Result<TypeId, BtfError> {
        self.record("", info(Kind::Array, 0, false)?, 0, &[array.element.0, array.index.0, array.count])
    }

    /// A struct or union of `size` bytes. Bit-fields need offsets below 2^24.
    pub fn composite(&mut self, kind: Kind, name: &str, size: u32, members: &[Member<'_>]) -> Result<TypeId, BtfError> {
        let flag = members.iter().any(|member| member.bits.is_some());
        let mut parts = Vec::with_capacity(members.len() * 3);
        for member in members {
            if flag && member.bit_offset > 0xff_ffff {
                return Err(BtfError::TooLarge { what: "a struct with bit-fields of more than 2 MiB" });
            }
            let bits = u32::from(member.bits.unwrap_or_default());
            parts.extend([self.strings.add(member.name.as_bytes())?, member.ty.0, member.bit_offset | bits << 24]);
        }
        self.record(name, info(kind, members.len(), flag)?, size, &parts)
    }

    /// A struct that is only declared, or a union (`Kind::Union`).
    pub fn forward(&mut self, kind: Kind, name: &str) -> Result<TypeId, BtfError> {
        self.record(name, info(Kind::Fwd, 0, kind == Kind::Union)?, 0, &[])
    }

    /// An enumeration; `kind` says how wide its values are stored, `int` its size and sign.
    pub fn enumeration(
        &mut self,
        kind: Kind,
        name: &str,
        int: Int,
        values: &[Enumerator<'_>],
    ) -> Result<TypeId, BtfError> {
        let mut parts = Vec::with_capacity(values.len() * 3);
        for value in values {
            parts.extend([self.strings.add(value.name.as_bytes())?, value.value as u32]);
            parts.extend((kind == Kind::Enum64).then_some((value.value >> 32) as u32));
        }
        self.record(name, info(kind, values.len(), int.is_signed())?, int.size, &parts)
    }

    /// A prototype.
    pub fn prototype(&mut self, result: TypeId, params: &[Param<'_>]) -> Result<TypeId, BtfError> {
        let mut parts = Vec::with_capacity(params.len() * 2);
        for param in params {
            parts.extend([self.strings.add(param.name.as_bytes())?, param.ty.0]);
        }
        self.record("", info(Kind::FuncProto, params.len(), false)?, result.0, &parts)
    }

    /// A function with a prototype.
    pub fn function(&mut self, name: &str, prototype: TypeId, linkage: Linkage) -> Result<TypeId, BtfError> {
        self.record(name, info(Kind::Func, linkage as usize, false)?, prototype.0, &[])
    }

    /// A variable.
    pub fn variable(&mut self, name: &str, ty: TypeId, linkage: Linkage) -> Result<TypeId, BtfError> {
        self.record(name, info(Kind::Var, 0, false)?, ty.0, &[linkage as u32])
    }

    /// A section of `size` bytes with variables, which are stored by ascending offset as the kernel wants them.
    pub fn section(&mut self, name: &str, size: u32, vars: &[SectionVar]) -> Result<TypeId, BtfError> {
        let name = self.strings.add(name.as_bytes())?;
        self.section_at(name, size, vars)
    }

    /// A section whose name is at an offset of the strings.
    pub(crate) fn section_at(&mut self, name: u32, size: u32, vars: &[SectionVar]) -> Result<TypeId, BtfError> {
        let mut vars = vars.to_vec();
        vars.sort_by_key(|var| var.offset);
        let parts: Vec<u32> = vars.iter().flat_map(|var| [var.ty.0, var.offset, var.size]).collect();
        self.raw(&[name, info(Kind::Datasec, vars.len(), false)?, size], &parts)
    }

    /// A text attached to a declaration, or to the member or parameter of number `component`.
    pub fn tag(&mut self, text: &str, target: TypeId, component: Option<u32>) -> Result<TypeId, BtfError> {
        self.record(text, info(Kind::DeclTag, 0, false)?, target.0, &[component.unwrap_or(u32::MAX)])
    }

    /// Everything that was added, checked.
    pub fn finish(self) -> Result<Btf, BtfError> {
        Btf::from_parts(self.words, self.strings.into_bytes())
    }

    /// Adds a record whose parts hold ids and names of this builder.
    pub(crate) fn record(&mut self, name: &str, info: u32, third: u32, parts: &[u32]) -> Result<TypeId, BtfError> {
        let name = self.strings.add(name.as_bytes())?;
        self.raw(&[name, info, third], parts)
    }

    /// Adds a record as it is.
    pub(crate) fn raw(&mut self, head: &[u32; 3], parts: &[u32]) -> Result<TypeId, BtfError> {
        let full = BtfError::TooLarge { what: "more than 4 GiB of types" };
        let end = self.words.len() + head.len() + parts.len();
        u32::try_from(end * 4).map_err(|_| full)?;
        self.words.extend_from_slice(head);
        self.words.extend_from_slice(parts);
        self.types += 1;
        Ok(TypeId(self.types))
    }
}

/// The second word of a record.
pub(crate) fn info(kind: Kind, parts: usize, flag: bool) -> Result<u32, BtfError> {
    if parts > MAX_PARTS {
        return Err(BtfError::TooLarge { what: "a type with more than 65,535 parts" });
    }
    Ok(parts as u32 | (kind as u32) << 24 | u32::from(flag) << 31)
}
