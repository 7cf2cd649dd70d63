//! A type as its record says it.

use super::{Array, Btf, Enumerator, Int, Kind, Linkage, Member, Param, SectionVar, TypeId};
use std::fmt;

/// A type of a [`Btf`]: its record, and the names in it.
///
/// Questions that the kind has no answer to give `None` or no items, so no caller has to ask for the kind first.
#[derive(Clone, Copy)]
pub struct Type<'a> {
    btf: &'a Btf,
    id: TypeId,
    words: &'a [u32],
}

impl<'a> Type<'a> {
    /// The record of exactly these words, which the reader checked.
    pub(crate) fn new(btf: &'a Btf, id: TypeId, words: &'a [u32]) -> Type<'a> {
        Type { btf, id, words }
    }

    /// The BTF that the type belongs to.
    pub fn btf(&self) -> &'a Btf {
        self.btf
    }

    /// Its number.
    pub fn id(&self) -> TypeId {
        self.id
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        Kind::from_number(self.words[1] >> 24 & 0x1f).unwrap_or(Kind::Void)
    }

    /// Its name; empty where it has none.
    pub fn name(&self) -> &'a str {
        self.btf.name(self.words[0])
    }

    /// Where its name is among the strings.
    pub fn name_offset(&self) -> u32 {
        self.words[0]
    }

    /// How many members, values, parameters or variables it has; for a function the number of its linkage.
    pub fn len(&self) -> usize {
        (self.words[1] & 0xffff) as usize
    }

    /// Whether it has no parts.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The flag of the kind: bit-fields in a struct, signed values in an enumeration, a union that is only declared, a
    /// tag that stands for an attribute.
    pub fn flag(&self) -> bool {
        self.words[1] >> 31 != 0
    }

    /// The type that it refers to by its third word: what a pointer, name, qualifier, tag, function or variable is of,
    /// and the result of a prototype.
    pub fn target(&self) -> Option<TypeId> {
        self.kind().refers().then_some(TypeId(self.words[2]))
    }

    /// The size in bytes that the record itself says; see [`Btf::size_of`] for that of any type.
    pub fn size(&self) -> Option<u32> {
        self.kind().is_sized().then_some(self.words[2])
    }

    /// How an integer is represented.
    pub fn int(&self) -> Option<Int> {
        (self.kind() == Kind::Int).then(|| Int::new(self.words[2], self.words[3]))
    }

    /// Elements and length of an array.
    pub fn array(&self) -> Option<Array> {
        let whole = || Array { element: TypeId(self.words[3]), index: TypeId(self.words[4]), count: self.words[5] };
        (self.kind() == Kind::Array).then(whole)
    }

    /// The members of a struct or union, in the order of the source.
    pub fn members(&self) -> impl ExactSizeIterator<Item = Member<'a>> + use<'a> {
        let ty = *self;
        self.parts(self.kind().is_composite()).map(move |part| ty.as_member(part))
    }

    /// One of the members.
    pub fn member(&self, index: usize) -> Option<Member<'a>> {
        self.parts(self.kind().is_composite()).nth(index).map(|part| self.as_member(part))
    }

    fn as_member(&self, part: &'a [u32]) -> Member<'a> {
        let bits = if self.flag() { (part[2] >> 24) as u8 } else { 0 };
        Member {
            name: self.btf.name(part[0]),
            ty: TypeId(part[1]),
            bit_offset: if self.flag() { part[2] & 0xff_ffff } else { part[2] },
            bits: (bits != 0).then_some(bits),
        }
    }

    /// The values of an enumeration of either width.
    pub fn enumerators(&self) -> impl ExactSizeIterator<Item = Enumerator<'a>> + use<'a> {
        let ty = *self;
        self.parts(self.kind().is_enum()).map(move |part| ty.as_enumerator(part))
    }

    /// One of the values of an enumeration.
    pub fn enumerator(&self, index: usize) -> Option<Enumerator<'a>> {
        self.parts(self.kind().is_enum()).nth(index).map(|part| self.as_enumerator(part))
    }

    fn as_enumerator(&self, part: &'a [u32]) -> Enumerator<'a> {
        let value = match (self.kind(), self.flag()) {
            (Kind::Enum64, _) => u64::from(part[1]) | u64::from(part[2]) << 32,
            (_, true) => part[1] as i32 as i64 as u64,
            (_, false) => u64::from(part[1]),
        };
        Enumerator { name: self.btf.name(part[0]), value }
    }

    /// The parameters of a prototype.
    pub fn params(&self) -> impl ExactSizeIterator<Item = Param<'a>> + use<'a> {
        let ty = *self;
        self.parts(self.kind() == Kind::FuncProto)
            .map(move |part| Param { name: ty.btf.name(part[0]), ty: TypeId(part[1]) })
    }

    /// The variables of a section.
    pub fn section_vars(&self) -> impl ExactSizeIterator<Item = SectionVar> + use<'a> {
        self.parts(self.kind() == Kind::Datasec).map(|part| SectionVar {
            ty: TypeId(part[0]),
            offset: part[1],
            size: part[2],
        })
    }

    /// Who sees a function or variable.
    pub fn linkage(&self) -> Option<Linkage> {
        match self.kind() {
            Kind::Func => Linkage::from_number(self.words[1] & 0xffff),
            Kind::Var => Linkage::from_number(self.words[3]),
            _ => None,
        }
    }

    /// Which member or parameter a tag belongs to; `None` if it belongs to the declaration as a whole, or if this is no
    /// tag.
    pub fn component(&self) -> Option<u32> {
        (self.kind() == Kind::DeclTag && self.words[3] != u32::MAX).then(|| self.words[3])
    }

    /// The record as it is stored.
    pub(crate) fn words(&self) -> &'a [u32] {
        self.words
    }

    fn parts(&self, has_parts: bool) -> std::slice::ChunksExact<'a, u32> {
        let words = if has_parts { &self.words[3..] } else { &[] };
        words.chunks_exact(self.kind().part_words().max(1))
    }
}

impl fmt::Debug for Type<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {} '{}'", self.id, self.kind(), self.name())
    }
}
