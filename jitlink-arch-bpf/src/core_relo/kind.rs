//! The kinds of CO-RE relocations (`enum bpf_core_relo_kind` of `include/uapi/linux/bpf.h`).

use std::fmt;

/// What about a type or member an instruction holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum CoreKind {
    /// The offset of a member in bytes.
    FieldByteOffset = 0,
    /// The size of a member in bytes.
    FieldByteSize = 1,
    /// 1 if the target has the member, 0 if not.
    FieldExists = 2,
    /// 1 if the member is signed, 0 if not.
    FieldSigned = 3,
    /// By how much a 64-bit word with a bit-field has to be shifted left.
    FieldLshiftU64 = 4,
    /// … and then right.
    FieldRshiftU64 = 5,
    /// The number of the type in the program's own BTF.
    TypeIdLocal = 6,
    /// The number of the type in the target's BTF; 0 if it has none.
    TypeIdTarget = 7,
    /// 1 if the target has the type, 0 if not.
    TypeExists = 8,
    /// The size of the type in bytes; 0 if the target has none.
    TypeSize = 9,
    /// 1 if the target's enumeration has the value, 0 if not.
    EnumvalExists = 10,
    /// The number of the value in the target's enumeration.
    EnumvalValue = 11,
    /// 1 if the target has the type and all that it needs, 0 if not.
    TypeMatches = 12,
}

impl CoreKind {
    /// All kinds in the order of their numbers.
    pub const ALL: [CoreKind; 13] = [
        CoreKind::FieldByteOffset,
        CoreKind::FieldByteSize,
        CoreKind::FieldExists,
        CoreKind::FieldSigned,
        CoreKind::FieldLshiftU64,
        CoreKind::FieldRshiftU64,
        CoreKind::TypeIdLocal,
        CoreKind::TypeIdTarget,
        CoreKind::TypeExists,
        CoreKind::TypeSize,
        CoreKind::EnumvalExists,
        CoreKind::EnumvalValue,
        CoreKind::TypeMatches,
    ];

    /// The kind of this number.
    pub fn from_number(number: u32) -> Option<CoreKind> {
        CoreKind::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// The name that libbpf prints, such as `byte_off`.
    pub fn name(self) -> &'static str {
        match self {
            CoreKind::FieldByteOffset => "byte_off",
            CoreKind::FieldByteSize => "byte_sz",
            CoreKind::FieldExists => "field_exists",
            CoreKind::FieldSigned => "signed",
            CoreKind::FieldLshiftU64 => "lshift_u64",
            CoreKind::FieldRshiftU64 => "rshift_u64",
            CoreKind::TypeIdLocal => "local_type_id",
            CoreKind::TypeIdTarget => "target_type_id",
            CoreKind::TypeExists => "type_exists",
            CoreKind::TypeSize => "type_size",
            CoreKind::EnumvalExists => "enumval_exists",
            CoreKind::EnumvalValue => "enumval_value",
            CoreKind::TypeMatches => "type_matches",
        }
    }

    /// Whether it is about a member.
    pub(crate) fn is_field(self) -> bool {
        (self as u32) <= CoreKind::FieldRshiftU64 as u32
    }

    /// Whether it is about a value of an enumeration.
    pub(crate) fn is_enumerator(self) -> bool {
        matches!(self, CoreKind::EnumvalExists | CoreKind::EnumvalValue)
    }
}

impl fmt::Display for CoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
