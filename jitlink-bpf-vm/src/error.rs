//! Why a program cannot be loaded.

use crate::memory::OutOfMemory;
use jitlink_arch_bpf::insn::DecodeError;

/// Why a program cannot be loaded. Places are function and instruction, counted in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A word is no instruction.
    #[error("{place}: {error}")]
    Instruction {
        /// Where.
        place: String,
        /// What is wrong.
        error: DecodeError,
    },
    /// A jump or call goes to something that is no instruction of the code.
    #[error("{place}: it jumps {distance} words on, where no instruction of this code begins")]
    Jump {
        /// Where.
        place: String,
        /// How far, from the next instruction.
        distance: i64,
    },
    /// An instruction still names something by a number that only a kernel knows.
    #[error("{place}: {what}; link the program first")]
    Unlinked {
        /// Where.
        place: String,
        /// What.
        what: String,
    },
    /// Memory of the image is at addresses that mean something else here.
    #[error("a segment of {size:#x} bytes cannot be at {address:#x}: {reason}")]
    Segment {
        /// Where it starts.
        address: u64,
        /// How many bytes.
        size: u64,
        /// Why not.
        reason: &'static str,
    },
    /// A map cannot be made.
    #[error("map \"{name}\": {reason}")]
    Map {
        /// Its name.
        name: String,
        /// Why not.
        reason: String,
    },
    /// There is no such program.
    #[error("there is no program \"{name}\"; there {}", if .known.is_empty() { "is none".into() } else { format!("are: {}", .known.join(", ")) })]
    Program {
        /// The name that was asked for.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// The host has no memory.
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
}
