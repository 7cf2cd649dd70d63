//! Local storage: one value for each object of the host (a socket, an inode, a task, a cgroup), made when a program
//! first asks.
//!
//! The kernel finds objects by pointers or descriptors. Here the host gives each a number of 64 bits, which is the key
//! for programs and for the host, and removes the storage when the object ends.

use std::sync::Arc;

use super::errno::{Errno, MapResult};
use super::family::{Element, Family, check_update, missing};
use super::hash::Hash;
use super::queue::check_value;
use super::spec::{MapHost, MapSpec, flag};
use super::value::Writer;
use super::{Map, Store};
use crate::memory::Memory;

/// Create what is not there (`BPF_LOCAL_STORAGE_GET_F_CREATE`).
const CREATE: u64 = 1;

/// Bytes of an object's number.
pub(super) const KEY_SIZE: usize = 8;

/// The largest value: the kernel counts its size in 16 bits.
const VALUE_LIMIT: u32 = 65535 - 128;

/// Storage for objects.
#[derive(Debug)]
pub(super) struct Storage {
    table: Hash,
    size: usize,
}

impl Storage {
    /// Checks the definition as the kernel does (`bpf_local_storage_map_alloc_check`) and makes an empty one.
    pub(super) fn new(spec: &MapSpec, host: &MapHost) -> MapResult<Storage> {
        if !spec.has(flag::NO_PREALLOC) {
            return Err(Errno::INVAL.because("local storage needs BPF_F_NO_PREALLOC"));
        }
        spec.check_flags(flag::NO_PREALLOC | flag::CLONE)?;
        MapSpec::check_size("max_entries", spec.max_entries, 0..=0)?;
        MapSpec::check_size("key_size", spec.key_size, 4..=4)?;
        MapSpec::check_size("value_size", spec.value_size, 1..=u32::MAX)?;
        if spec.value_size > VALUE_LIMIT {
            return Err(Errno::TOO_BIG.because(format!("a value of {} bytes is too large", spec.value_size)));
        }
        let spec = MapSpec { key_size: KEY_SIZE as u32, max_entries: 1 << 31, ..spec.clone() };
        Ok(Storage { table: Hash::table(&spec, false, host)?, size: spec.value_size as usize })
    }
}

impl Map {
    /// Where the storage of an object is, in [`Map::values`] (`bpf_sk_storage_get` and its like). With the flag 1 it is
    /// created, from `initial` or zeros. None if there is none, or the flags are wrong, or there is no memory.
    pub fn storage(&self, object: u64, flags: u64, initial: Option<&[u8]>) -> Option<usize> {
        let Store::Storage(storage) = &self.store else { return None };
        if flags & !CREATE != 0 {
            return None;
        }
        let key = object.to_ne_bytes();
        let found = storage.table.find(&key, 0);
        if found.is_some() || flags & CREATE == 0 {
            return found;
        }
        let zeros = vec![0; storage.size];
        // Another thread may have been faster, and then its value counts.
        let created = storage.table.update(&key, initial.unwrap_or(&zeros), flag::NOEXIST, Writer::Host);
        match created {
            Err(error) if error.errno != Errno::EXIST => None,
            _ => storage.table.find(&key, 0),
        }
    }

    /// Removes the storage of an object (`bpf_sk_storage_delete` and its like), or that of an object that ends.
    pub fn delete_storage(&self, object: u64) -> MapResult {
        match &self.store {
            Store::Storage(storage) => storage.table.delete(&object.to_ne_bytes()),
            _ => Err(missing(Errno::NOTSUPP)),
        }
    }
}

impl Family for Storage {
    fn values(&self) -> Option<&Arc<Memory>> {
        self.table.values()
    }

    fn lookup(&self, key: &[u8], flags: u64) -> MapResult<Vec<u8>> {
        self.table.lookup(key, flags)
    }

    fn update(&self, key: &[u8], value: &[u8], flags: u64, by: Writer) -> MapResult {
        if by != Writer::Host {
            return Err(missing(Errno::OPNOTSUPP));
        }
        check_update(flags, flag::LOCK)?;
        check_value(value, self.size)?;
        self.table.update(key, value, flags, by)
    }

    fn delete(&self, key: &[u8]) -> MapResult {
        self.table.delete(key)
    }

    fn next_key(&self, _key: Option<&[u8]>) -> MapResult<Vec<u8>> {
        Err(missing(Errno::NOTSUPP))
    }

    fn step(&self, cursor: &mut u64) -> Option<Vec<Element>> {
        self.table.step(cursor)
    }
}
