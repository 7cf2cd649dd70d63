//! What the host does with a map: the commands of the kernel's `bpf(2)` system call.

use std::sync::atomic::Ordering;

use super::Map;
use super::errno::{Errno, MapResult};
use super::family::Element;
use super::kind::MapKind;
use super::spec::flag;
use super::value::Writer;

impl Map {
    /// A copy of the value of a key (`BPF_MAP_LOOKUP_ELEM`). Per-CPU maps give the values of all CPUs, each rounded up
    /// to eight bytes. `ENOENT` if there is none. For queues and stacks, which have no keys, the key is empty and the
    /// value stays there.
    pub fn lookup(&self, key: &[u8]) -> MapResult<Vec<u8>> {
        self.lookup_with(key, flag::ANY)
    }

    /// [`Map::lookup`] with flags: [`flag::LOCK`] holds the value's spin lock while it is copied.
    pub fn lookup_with(&self, key: &[u8], flags: u64) -> MapResult<Vec<u8>> {
        check_flags(flags)?;
        self.check_read()?;
        self.check_lock(flags)?;
        self.check_key(key)?;
        self.family().lookup(key, flags)
    }

    /// Creates or replaces an element (`BPF_MAP_UPDATE_ELEM`), with [`flag::ANY`], [`flag::NOEXIST`] or
    /// [`flag::EXIST`], and [`flag::LOCK`]. Per-CPU maps want the values of all CPUs. For queues and stacks, the key is
    /// empty.
    pub fn update(&self, key: &[u8], value: &[u8], flags: u64) -> MapResult {
        self.check_write()?;
        self.check_lock(flags)?;
        self.check_key(key)?;
        self.family().update(key, value, flags, Writer::Host)
    }

    /// Removes an element (`BPF_MAP_DELETE_ELEM`).
    pub fn delete(&self, key: &[u8]) -> MapResult {
        self.check_write()?;
        self.check_key(key)?;
        self.family().delete(key)
    }

    /// The key behind a key (`BPF_MAP_GET_NEXT_KEY`): the first one without a key, or behind one that is not there.
    /// `ENOENT` at the end.
    pub fn next_key(&self, key: Option<&[u8]>) -> MapResult<Vec<u8>> {
        self.check_read()?;
        if let Some(key) = key {
            self.check_key(key)?;
        }
        self.family().next_key(key)
    }

    /// Removes an element and gives its value (`BPF_MAP_LOOKUP_AND_DELETE_ELEM`).
    pub fn lookup_and_delete(&self, key: &[u8], flags: u64) -> MapResult<Vec<u8>> {
        check_flags(flags)?;
        self.check_read()?;
        self.check_write()?;
        if flags != 0 && matches!(self.kind, MapKind::Queue | MapKind::Stack) {
            return Err(Errno::INVAL.because("queues and stacks have no flags for it"));
        }
        self.check_lock(flags)?;
        self.check_key(key)?;
        self.family().take(key, flags)
    }

    /// Forbids the host all further changes (`BPF_MAP_FREEZE`). Programs may go on to write.
    pub fn freeze(&self) -> MapResult {
        if self.spec.lock_offset.is_some() || self.spec.timer_offset.is_some() {
            return Err(Errno::NOTSUPP.because("maps whose values hold locks or timers cannot be frozen"));
        }
        self.check_write()?;
        if self.frozen.swap(true, Ordering::SeqCst) {
            return Err(Errno::BUSY.because("someone else is freezing the map"));
        }
        Ok(())
    }

    /// Whether the host was forbidden to change it.
    pub fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::SeqCst)
    }

    /// All elements for as long as they are there, each once: the key and the value as [`Map::lookup`] gives it. None
    /// where the host may only write.
    pub fn entries(&self) -> Entries<'_> {
        Entries { map: self, cursor: 0, ready: Vec::new().into_iter() }
    }

    /// How many bytes a value has for the host.
    pub fn host_value_size(&self) -> usize {
        let size = self.spec.value_size as usize;
        if self.kind.is_percpu() { size.next_multiple_of(8) * self.cpus } else { size }
    }

    pub(super) fn check_read(&self) -> MapResult {
        if self.spec.has(flag::WRONLY) {
            return Err(Errno::PERM.because("the host may only write this map"));
        }
        Ok(())
    }

    pub(super) fn check_write(&self) -> MapResult {
        if self.spec.has(flag::RDONLY) {
            return Err(Errno::PERM.because("the host may only read this map"));
        }
        if self.is_frozen() {
            return Err(Errno::PERM.because("the map is frozen"));
        }
        Ok(())
    }

    pub(super) fn check_lock(&self, flags: u64) -> MapResult {
        if flags & flag::LOCK != 0 && self.spec.lock_offset.is_none() {
            return Err(Errno::INVAL.because("BPF_F_LOCK, but the values have no bpf_spin_lock"));
        }
        Ok(())
    }

    pub(super) fn check_key(&self, key: &[u8]) -> MapResult {
        let wanted = self.key_size();
        if key.len() != wanted {
            return Err(Errno::INVAL.because(format!("the key has {} bytes rather than {wanted}", key.len())));
        }
        Ok(())
    }
}

/// Refuses flags that looking up does not have.
pub(super) fn check_flags(flags: u64) -> MapResult {
    if flags & !flag::LOCK != 0 {
        return Err(Errno::INVAL.because(format!("there are no flags {flags:#x} for looking up")));
    }
    Ok(())
}

/// The elements of a map, for the host.
#[derive(Debug)]
pub struct Entries<'a> {
    map: &'a Map,
    cursor: u64,
    ready: std::vec::IntoIter<Element>,
}

impl Iterator for Entries<'_> {
    type Item = (Vec<u8>, Vec<u8>);

    fn next(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        loop {
            for element in self.ready.by_ref() {
                // It may be gone by now.
                if let Ok(value) = self.map.lookup(&element.key) {
                    return Some((element.key, value));
                }
            }
            self.ready = self.map.family().step(&mut self.cursor)?.into_iter();
        }
    }
}
