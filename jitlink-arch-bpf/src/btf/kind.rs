//! The kinds of BTF types (`include/uapi/linux/btf.h`, enum after `BTF_INFO_KFLAG`).

use std::fmt;

/// What a type is. `Void` is type 0, which has no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// No type: `void`, or the end of variable arguments.
    Void = 0,
    /// An integer, a character or a truth value.
    Int = 1,
    /// A pointer.
    Ptr = 2,
    /// An array of known length.
    Array = 3,
    /// A struct with members.
    Struct = 4,
    /// A union with members.
    Union = 5,
    /// An enumeration with values of 32 bits.
    Enum = 6,
    /// A struct or union that is only declared.
    Fwd = 7,
    /// A name for another type.
    Typedef = 8,
    /// The `volatile` qualifier.
    Volatile = 9,
    /// The `const` qualifier.
    Const = 10,
    /// The `restrict` qualifier.
    Restrict = 11,
    /// A function: a name and a prototype.
    Func = 12,
    /// A function's result and parameters.
    FuncProto = 13,
    /// A variable.
    Var = 14,
    /// A section and the variables in it.
    Datasec = 15,
    /// A floating-point number.
    Float = 16,
    /// `btf_decl_tag`: a text attached to a declaration, a member or a parameter.
    DeclTag = 17,
    /// `btf_type_tag`: a text attached to a type.
    TypeTag = 18,
    /// An enumeration with values of 64 bits.
    Enum64 = 19,
}

impl Kind {
    /// All kinds with a record, in the order of their numbers.
    pub const ALL: [Kind; 19] = [
        Kind::Int,
        Kind::Ptr,
        Kind::Array,
        Kind::Struct,
        Kind::Union,
        Kind::Enum,
        Kind::Fwd,
        Kind::Typedef,
        Kind::Volatile,
        Kind::Const,
        Kind::Restrict,
        Kind::Func,
        Kind::FuncProto,
        Kind::Var,
        Kind::Datasec,
        Kind::Float,
        Kind::DeclTag,
        Kind::TypeTag,
        Kind::Enum64,
    ];

    /// The kind of this number; `None` for 0 and for numbers that are not in use.
    pub fn from_number(number: u32) -> Option<Kind> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        Kind::ALL.get(index).copied()
    }

    /// The name that `bpftool btf dump` prints, such as `FUNC_PROTO`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Void => "VOID",
            Kind::Int => "INT",
            Kind::Ptr => "PTR",
            Kind::Array => "ARRAY",
            Kind::Struct => "STRUCT",
            Kind::Union => "UNION",
            Kind::Enum => "ENUM",
            Kind::Fwd => "FWD",
            Kind::Typedef => "TYPEDEF",
            Kind::Volatile => "VOLATILE",
            Kind::Const => "CONST",
            Kind::Restrict => "RESTRICT",
            Kind::Func => "FUNC",
            Kind::FuncProto => "FUNC_PROTO",
            Kind::Var => "VAR",
            Kind::Datasec => "DATASEC",
            Kind::Float => "FLOAT",
            Kind::DeclTag => "DECL_TAG",
            Kind::TypeTag => "TYPE_TAG",
            Kind::Enum64 => "ENUM64",
        }
    }

    /// Whether the type only qualifies another one: `const`, `volatile`, `restrict`, a type tag.
    pub fn is_modifier(self) -> bool {
        matches!(self, Kind::Const | Kind::Volatile | Kind::Restrict | Kind::TypeTag)
    }

    /// Whether the type has members: a struct or a union.
    pub fn is_composite(self) -> bool {
        matches!(self, Kind::Struct | Kind::Union)
    }

    /// Whether the type is an enumeration of either width.
    pub fn is_enum(self) -> bool {
        matches!(self, Kind::Enum | Kind::Enum64)
    }

    /// Whether the third word of the record is the id of another type; otherwise it is a size, or nothing.
    pub fn refers(self) -> bool {
        self.is_modifier()
            || matches!(self, Kind::Ptr | Kind::Typedef | Kind::Func | Kind::FuncProto | Kind::Var | Kind::DeclTag)
    }

    /// Whether the third word of the record is a size in bytes.
    pub fn is_sized(self) -> bool {
        self.is_composite() || self.is_enum() || matches!(self, Kind::Int | Kind::Float | Kind::Datasec)
    }

    /// Whether the kind uses the flag in the highest bit of the second word.
    pub(crate) fn uses_flag(self) -> bool {
        self.is_composite() || self.is_enum() || matches!(self, Kind::Fwd | Kind::DeclTag | Kind::TypeTag)
    }

    /// How many words follow the first three: some for the type itself, and some for each of `count` parts.
    pub(crate) fn trailing_words(self, count: usize) -> usize {
        match self {
            Kind::Int | Kind::Var | Kind::DeclTag => 1,
            Kind::Array => 3,
            _ => count * self.part_words(),
        }
    }

    /// How many words each part (member, value, parameter, variable) has; 0 where a type has no parts.
    pub(crate) fn part_words(self) -> usize {
        match self {
            Kind::Struct | Kind::Union | Kind::Datasec | Kind::Enum64 => 3,
            Kind::Enum | Kind::FuncProto => 2,
            _ => 0,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who else sees a function or a variable (`enum btf_func_linkage`, `BTF_VAR_STATIC` and its kin).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Linkage {
    /// Only its object sees it.
    Static = 0,
    /// It is defined here, and others see it.
    Global = 1,
    /// It is defined elsewhere.
    Extern = 2,
}

impl Linkage {
    /// The linkage of this number.
    pub fn from_number(number: u32) -> Option<Linkage> {
        [Linkage::Static, Linkage::Global, Linkage::Extern].get(usize::try_from(number).ok()?).copied()
    }
}
