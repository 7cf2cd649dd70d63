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
