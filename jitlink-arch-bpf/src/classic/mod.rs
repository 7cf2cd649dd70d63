//! Classic BPF: the packet filters of `tcpdump`, of `SO_ATTACH_FILTER` and of seccomp.
//!
//! A classic program works on an accumulator `A`, an index register `X` and 16 words of memory, and only jumps forward, so it always
//! ends. It is read from any of its usual spellings ([`from_text`], [`from_bytes`]), checked by the kernel's rules ([`check`]) and translated to
//! the instructions of today ([`translate`]), as the kernel itself does; what runs it then need not know that it was one.
//!
//! Sources: the kernel's `Documentation/networking/filter.rst` and `linux/filter.h`; for seccomp
//! `Documentation/userspace-api/seccomp_filter.rst`.

mod check;
mod code;
mod emit;
mod read;
#[cfg(test)]
mod tests;
mod translate;

pub use check::check;
pub use read::{from_bytes, from_text};
pub use translate::translate;

/// The most instructions that a classic program may have (`BPF_MAXINSNS`).
pub const MAX_INSTRUCTIONS: usize = 4096;

/// One instruction (`struct sock_filter`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// The opcode.
    pub code: u16,
    /// How many instructions a conditional jump skips where the condition holds.
    pub jt: u8,
    /// How many it skips where it does not.
    pub jf: u8,
    /// A constant: a value, an offset into the packet, a word of memory, or the distance of a jump.
    pub k: u32,
}

/// What a classic program filters, which decides what it may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterKind {
    /// Packets. It returns how many bytes of one are kept.
    Socket,
    /// System calls: loads read `struct seccomp_data`. It returns what happens to the call (`SECCOMP_RET_*`).
    Seccomp,
}

/// Why something is no classic program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClassicError {
    /// The spelling is wrong.
    #[error("line {line}: {what}")]
    Text {
        /// The line, counted from one.
        line: usize,
        /// What is wrong there.
        what: String,
    },
    /// The size is wrong.
    #[error("{0}")]
    Size(String),
    /// An instruction breaks a rule.
    #[error("instruction {index} (code {code:#04x}, k {k:#x}): {what}")]
    Instruction {
        /// The instruction, counted from zero.
        index: usize,
        /// Its opcode.
        code: u16,
        /// Its constant.
        k: u32,
        /// The rule.
        what: String,
    },
}
