//! What can be wrong with a CO-RE relocation.

use crate::btf::BtfError;
use thiserror::Error;

/// A relocation that cannot be applied, and why.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("CO-RE relocation {relo} at byte {insn_off:#x}: {problem}")]
pub struct CoreError {
    /// The offset of the instruction in its section, in bytes.
    pub insn_off: u32,
    /// The relocation in words: `byte_off of struct task_struct.pid (type 7, access 0:3)`.
    pub relo: String,
    /// Why.
    pub problem: CoreProblem,
}

/// Why a CO-RE relocation cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CoreProblem {
    /// The access string does not say a member of the type.
    #[error("access string '{access}' does not fit the program's own type: {what}")]
    Access {
        /// The access string.
        access: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Only types with names can be found in the target.
    #[error("a type without a name cannot be looked for")]
    Anonymous,
    /// Types of the target have the name and the member, but the result depends on which one is meant.
    #[error("the target has several such types, and they differ: {first}, {second}")]
    Ambiguous {
        /// The first type with its number, and what the instruction would get from it: `struct s.a [5] gives 4`.
        first: String,
        /// Another type, and what the instruction would get from that.
        second: String,
    },
    /// The kind does not go with the access, such as the sign of an array's element.
    #[error("this kind cannot be asked of {0}")]
    Unsupported(&'static str),
    /// A bit-field crosses the bounds of an aligned word of 64 bits.
    #[error("the bit-field of {bits} bits at bit {offset} lies in no aligned word of at most 64 bits")]
    BitField {
        /// Its offset in bits.
        offset: u64,
        /// Its bits.
        bits: u32,
    },
    /// Types are nested too deeply, or too many have to be compared.
    #[error("the types are nested too deeply to be compared")]
    TooDeep,
    /// The instruction lies outside of the code or not on a multiple of eight.
    #[error("there is no whole instruction in the {length:#x} bytes of code")]
    Outside {
        /// The bytes of code.
        length: usize,
    },
    /// The instruction is of a kind that holds no such value.
    #[error("instruction {code:#04x} has no immediate or offset to relocate")]
    Instruction {
        /// Its opcode.
        code: u8,
    },
    /// The instruction does not hold what the program's own types say.
    #[error("the instruction holds {found}, but the program's own types say {expected}")]
    Mismatch {
        /// What it holds.
        found: i64,
        /// What it should hold.
        expected: u64,
    },
    /// The new value does not fit the instruction's field.
    #[error("{value} does not fit the instruction's field of {bits} bits")]
    Range {
        /// The value.
        value: u64,
        /// The bits of the field, one of them the sign.
        bits: u32,
    },
    /// A load or store is not of the size that the program's own type has, or there is no load of the target's size.
    #[error("the instruction accesses {access} bytes, the member has {size}")]
    AccessSize {
        /// The bytes that the instruction accesses.
        access: u32,
        /// The bytes of the member.
        size: u32,
    },
    /// A type has no size.
    #[error(transparent)]
    Btf(#[from] BtfError),
}
