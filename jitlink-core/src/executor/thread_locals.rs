//! Thread-local variables of linked code: what a link asks its executor for, and what it is told.
//!
//! A batch has one *block* of such variables, of which every thread gets a copy with the same initial values: threads that run
//! already, and those that start later. How code finds the copy of its thread is a matter of the code (the access models of
//! "ELF Handling For Thread-Local Storage", section 3.4), and each way needs numbers that only the target knows.

use super::ExecutorError;
use crate::addr::Addr;

/// A block of thread-local variables, and what the code of its batch has to know of it and of others.
#[derive(Clone, Copy, Debug)]
pub struct ThreadLocalRequest<'r> {
    /// The initial values; what follows them in the block is zero.
    pub image: &'r [u8],
    /// The size of the block in bytes; zero for a batch that only uses the variables of others.
    pub size: u64,
    /// Its alignment, a power of two.
    pub align: u64,
    /// What is to be known.
    pub queries: &'r [ThreadLocalQuery<'r>],
    /// Where static programs of the machine have their block, if that is known.
    pub layout: Option<StaticThreadLocals>,
}

/// Where static programs of a machine have their block of thread-local variables, whose number is one: the layout that compilers and
/// start-up code agree on ("ELF Handling For Thread-Local Storage", section 3, and the machine's psABI).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaticThreadLocals {
    place: BlockPlace,
    module_bias: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BlockPlace {
    /// Variant I: so many bytes before the thread pointer.
    Start(u64),
    /// Variant II: it ends at the thread pointer.
    End,
}

impl StaticThreadLocals {
    /// The block's start lies `bias` bytes before what the thread pointer holds, and `module_bias` bytes before what
    /// `__tls_get_addr` counts from, so that fields with a sign reach more of it.
    pub const fn biased(bias: u64, module_bias: u64) -> StaticThreadLocals {
        StaticThreadLocals { place: BlockPlace::Start(bias), module_bias }
    }

    /// The block ends at the thread pointer, rounded up to its alignment.
    pub const fn before_pointer() -> StaticThreadLocals {
        StaticThreadLocals { place: BlockPlace::End, module_bias: 0 }
    }

    /// The offset from the thread pointer of the start of a block of this size and alignment, a power of two.
    pub fn pointer_offset(&self, size: u64, align: u64) -> i64 {
        match self.place {
            BlockPlace::Start(bias) => bias.cast_signed().wrapping_neg(),
            BlockPlace::End => Addr(size).align_up(align).unwrap_or(Addr(size)).0.cast_signed().wrapping_neg(),
        }
    }

    /// What `__tls_get_addr` takes for the offset of the block's start.
    pub fn module_offset(&self) -> i64 {
        self.module_bias.cast_signed().wrapping_neg()
    }
}

/// How code finds a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ThreadLocalQuery<'r> {
    /// The variable.
    pub variable: ThreadLocalVariable<'r>,
    /// How it is found.
    pub access: ThreadLocalAccess,
}

/// A thread-local variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ThreadLocalVariable<'r> {
    /// The one at this offset in the block of the request.
    Own(u64),
    /// The one of this name that the target's program or one of its libraries defines.
    Named(&'r [u8]),
}

/// How code finds a thread-local variable, and so what is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ThreadLocalAccess {
    /// By `__tls_get_addr`: the number of the block, and the offset in it.
    Dynamic,
    /// By an offset from the thread pointer that is the same in every thread: the offset, and zero.
    Static,
    /// By a descriptor: the address of its function, and the argument.
    Descriptor,
}

/// A block that every thread has, or will have when it first uses it. Dropping it takes it from all of them.
pub trait ThreadLocalBlock: Send + Sync {
    /// The answers to the queries, in their order; `None` for a variable that the target does not know.
    fn answers(&self) -> &[Option<[u64; 2]>];

    /// The address of the calling thread's copy of what is at an offset in the block.
    fn address(&self, offset: u64) -> Result<Addr, ExecutorError>;
}
