//! What each family of maps does: the operations that the kernel has in its `struct bpf_map_ops`.
//!
//! [`Map`](super::Map) checks what the kernel's system call checks for all types (access, sizes of key and value, lock
//! flag) and leaves the rest to the family. A family says by its defaults what it does not have.

use std::sync::Arc;

use super::errno::{Errno, MapError, MapResult};
use super::value::Writer;
use crate::memory::Memory;

/// The operations of a family. Keys have the map's key size, values were not checked.
pub(super) trait Family: Send + Sync {
    /// Where programs find values.
    fn values(&self) -> Option<&Arc<Memory>> {
        None
    }

    /// The place of a value for programs.
    fn find(&self, _key: &[u8], _cpu: usize) -> Option<usize> {
        None
    }

    /// A copy of a value for the host.
    fn lookup(&self, key: &[u8], flags: u64) -> MapResult<Vec<u8>>;

    /// Creates or replaces an element.
    fn update(&self, key: &[u8], value: &[u8], flags: u64, by: Writer) -> MapResult;

    /// Removes an element.
    fn delete(&self, key: &[u8]) -> MapResult;

    /// The key behind a key, or the first.
    fn next_key(&self, key: Option<&[u8]>) -> MapResult<Vec<u8>>;

    /// Removes an element and gives it.
    fn take(&self, _key: &[u8], _flags: u64) -> MapResult<Vec<u8>> {
        Err(missing(Errno::NOTSUPP))
    }

    /// Adds a value to a map without keys.
    fn push(&self, _value: &[u8], _flags: u64) -> MapResult {
        Err(missing(Errno::NOTSUPP))
    }

    /// Removes a value from a map without keys.
    fn pop(&self, _value: &mut [u8]) -> MapResult {
        Err(missing(Errno::NOTSUPP))
    }

    /// The value that `pop` would remove; for bloom filters, whether the value may be there.
    fn peek(&self, _value: &mut [u8]) -> MapResult {
        Err(missing(Errno::NOTSUPP))
    }

    /// Elements in an order that ends whatever others do: those at the cursor, which moves on. None at the end.
    fn step(&self, _cursor: &mut u64) -> Option<Vec<Element>> {
        None
    }

    /// Which operations there are on many elements at once.
    fn batches(&self) -> Batches {
        Batches::None
    }
}

/// An element that iteration came by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// Its key.
    pub key: Vec<u8>,
    /// Where the value of the first CPU is in the map's memory.
    pub offset: usize,
}

/// Which operations there are on many elements at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Batches {
    None,
    /// Look up and update (arrays).
    Values,
    /// Look up, update and delete.
    Elements,
    /// All of these and looking up with deletion, bucket by bucket.
    Buckets,
}

/// The type has no such operation.
pub(super) fn missing(errno: Errno) -> MapError {
    errno.because("this type of map has no such operation")
}

/// Refuses flags of an update that there are not.
pub(super) fn check_update(flags: u64, allowed: u64) -> MapResult {
    if flags & !allowed > super::spec::flag::EXIST {
        return Err(Errno::INVAL.because(format!("there are no flags {flags:#x} for an update")));
    }
    Ok(())
}
