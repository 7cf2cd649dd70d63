//! The three kinds of records (`struct bpf_func_info`, `bpf_line_info` and `bpf_core_relo` of
//! `include/uapi/linux/bpf.h`).

use crate::btf::TypeId;
use crate::core_relo::CoreKind;

/// Where a function starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FuncInfo {
    /// The offset of its first instruction in the section, in bytes.
    pub insn_off: u32,
    /// Its type, of kind `FUNC`.
    pub ty: TypeId,
}

/// Where the code of a source line starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineInfo {
    /// The offset of its first instruction in the section, in bytes.
    pub insn_off: u32,
    /// The name of the source file, an offset of the strings.
    pub file: u32,
    /// The text of the line, an offset of the strings; it need not be UTF-8.
    pub text: u32,
    /// The number of the line, from 1, below 2^22.
    pub line: u32,
    /// The column, from 1, below 2^10; 0 if it is not known.
    pub column: u16,
}

/// An instruction whose immediate or offset depends on the types of the machine on which it will run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreRelo {
    /// The offset of the instruction in the section, in bytes.
    pub insn_off: u32,
    /// The type that the access starts from.
    pub ty: TypeId,
    /// Which member of it, or which value of an enumeration, as numbers with colons: an offset of the strings.
    pub access: u32,
    /// What about it the instruction holds.
    pub kind: CoreKind,
}
