//! Tables from a number to something outside of the map: programs to tail-call, devices, CPUs and sockets to redirect
//! to.
//!
//! Here an entry is a number that the host gives and knows the meaning of: for `prog_array` a program of the machine,
//! for `devmap` an interface, for `cpumap` the length of a queue, for `xskmap` a socket. [`Map::target`] is what tail
//! calls and `bpf_redirect_map` ask. Which numbers are valid only the host knows, so all are taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::array::{check as check_array, index, next_index, outside};
use super::errno::{Errno, MapResult};
use super::family::{Element, Family, missing};
use super::hash::{Hash, check_entries};
use super::kind::MapKind;
use super::queue::check_value;
use super::spec::{MapHost, MapSpec, flag};
use super::value::{Writer, allocate};
use super::{Map, Store};
use crate::memory::Memory;

/// The most CPUs that a kernel is built for.
const CPU_LIMIT: u32 = 8192;

/// The longest queue of a CPU.
const QUEUE_LIMIT: u32 = 16384;

/// A table by number: a word an entry, with the value as programs see it and, where a value of zero is possible, a mark
/// behind it.
#[derive(Debug)]
pub(super) struct Table {
    words: Arc<Memory>,
    entries: u32,
    size: usize,
    kind: MapKind,
    cpus: u32,
}

/// The same with any numbers as keys: `devmap_hash`.
#[derive(Debug)]
pub(super) struct DeviceHash {
    table: Hash,
    size: usize,
}

impl Table {
    /// Checks the definition as the kernel does and makes an empty table.
    pub(super) fn new(spec: &MapSpec, kind: MapKind, host: &MapHost) -> MapResult<Table> {
        check(spec, kind)?;
        Ok(Table {
            words: Arc::new(allocate(u128::from(spec.max_entries) * 8, host)?),
            entries: spec.max_entries,
            size: spec.value_size as usize,
            kind,
            cpus: u32::try_from(host.cpus).unwrap_or(u32::MAX),
        })
    }

    fn word(&self, key: &[u8]) -> Option<&AtomicU64> {
        let index = index(key);
        (index < self.entries).then(|| self.words.word(index as usize * 8))
    }

    /// The word of an entry with a value, zero for none.
    fn pack(&self, value: &[u8]) -> u64 {
        let mut bytes = [0; 8];
        bytes[..value.len()].copy_from_slice(value);
        if matches!(self.kind, MapKind::ProgArray | MapKind::Xskmap) {
            // Zero may be a number of the host's too.
            bytes[4] = 1;
            return u64::from_ne_bytes(bytes);
        }
        without_program(&mut bytes);
        if u32_of(&bytes) == 0 { 0 } else { u64::from_ne_bytes(bytes) }
    }

    fn bytes(&self, key: &[u8]) -> Option<[u8; 8]> {
        let word = self.word(key)?.load(Ordering::Acquire);
        (word != 0).then(|| word.to_ne_bytes())
    }

    /// What only this type checks of an update.
    fn check_update(&self, index: u32, value: &[u8], flags: u64) -> MapResult {
        if self.kind == MapKind::ProgArray {
            if flags != flag::ANY {
                return Err(Errno::INVAL.because(format!("there are no flags {flags:#x} for an update")));
            }
            return Ok(());
        }
        if flags > flag::EXIST {
            return Err(Errno::INVAL.because(format!("there are no flags {flags:#x} for an update")));
        }
        if index >= self.entries {
            return Err(outside(&index.to_ne_bytes(), self.entries, Errno::TOO_BIG));
        }
        if flags == flag::NOEXIST && self.kind != MapKind::Xskmap {
            return Err(Errno::EXIST.because("all elements of this table exist"));
        }
        let first = u32_of(value);
        match self.kind {
            MapKind::Devmap => check_device(value, first == 0),
            MapKind::Cpumap if first > QUEUE_LIMIT => {
                Err(Errno::OVERFLOW.because(format!("a queue of {first} is longer than {QUEUE_LIMIT}")))
            }
            MapKind::Cpumap if index >= self.cpus => Err(Errno::NODEV.because(format!("there is no CPU {index}"))),
            _ => Ok(()),
        }
    }
}

/// The first number of a value.
fn u32_of(value: &[u8]) -> u32 {
    value.first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes))
}

/// Says in the one way of the kernel that a device or CPU has no program; descriptors below one mean none.
fn without_program(value: &mut [u8]) {
    if let Some(program) = value.get_mut(4..8).filter(|program| u32_of(program).cast_signed() <= 0) {
        program.fill(0);
    }
}

/// Refuses a program for no interface.
fn check_device(value: &[u8], none: bool) -> MapResult {
    let program = value.get(4..).map_or(0, u32_of).cast_signed();
    if none && program > 0 {
        return Err(Errno::INVAL.because("a program, but no interface"));
    }
    Ok(())
}

/// The kernel's checks for these types.
fn check(spec: &MapSpec, kind: MapKind) -> MapResult {
    if kind == MapKind::ProgArray {
        return check_fd_array(spec, kind);
    }
    MapSpec::check_size("max_entries", spec.max_entries, 1..=u32::MAX)?;
    MapSpec::check_size("key_size", spec.key_size, 4..=4)?;
    if spec.value_size != 8 || kind == MapKind::Xskmap {
        MapSpec::check_size("value_size", spec.value_size, 4..=4)?;
    }
    spec.check_flags(match kind {
        MapKind::Cpumap => flag::NUMA_NODE,
        _ => flag::NUMA_NODE | flag::RDONLY | flag::WRONLY,
    })?;
    if kind == MapKind::Cpumap && spec.max_entries > CPU_LIMIT {
        return Err(Errno::TOO_BIG.because(format!("{} CPUs are more than {CPU_LIMIT}", spec.max_entries)));
    }
    Ok(())
}

/// The kernel's checks for arrays whose values stand for objects (`fd_array_map_alloc_check`).
pub(super) fn check_fd_array(spec: &MapSpec, kind: MapKind) -> MapResult {
    MapSpec::check_size("value_size", spec.value_size, 4..=4)?;
    if spec.flags & (flag::RDONLY_PROG | flag::WRONLY_PROG) != 0 {
        return Err(Errno::INVAL.because("programs have no access to the values of this type of map"));
    }
    check_array(spec, kind)
}

impl Map {
    /// The number that the host stored for a key of a table of programs, devices, CPUs or sockets, if any.
    pub fn target(&self, key: u32) -> Option<u32> {
        let key = key.to_ne_bytes();
        match &self.store {
            Store::Table(table) => table.bytes(&key).map(|bytes| u32_of(&bytes)),
            Store::DeviceHash(devices) => devices.table.lookup(&key, 0).ok().map(|value| u32_of(&value)),
            _ => None,
        }
    }
}

impl Family for Table {
    fn values(&self) -> Option<&Arc<Memory>> {
        matches!(self.kind, MapKind::Devmap | MapKind::Cpumap).then_some(&self.words)
    }

    fn find(&self, key: &[u8], _cpu: usize) -> Option<usize> {
        self.values()?;
        self.bytes(key).map(|_| index(key) as usize * 8)
    }

    fn lookup(&self, key: &[u8], _flags: u64) -> MapResult<Vec<u8>> {
        if self.kind == MapKind::Xskmap {
            return Err(missing(Errno::OPNOTSUPP));
        }
        let bytes = self.bytes(key).ok_or_else(|| Errno::NOENT.because("nothing was stored there"))?;
        Ok(bytes[..self.size].to_vec())
    }

    fn update(&self, key: &[u8], value: &[u8], flags: u64, by: Writer) -> MapResult {
        if by != Writer::Host {
            return Err(Errno::INVAL.because("programs cannot change this type of map"));
        }
        check_value(value, self.size)?;
        self.check_update(index(key), value, flags)?;
        let word = self.word(key).ok_or_else(|| outside(key, self.entries, Errno::TOO_BIG))?;
        let new = self.pack(value);
        let allowed = |old: u64| match flags {
            flag::NOEXIST if old != 0 => None,
            flag::EXIST if old == 0 && self.kind == MapKind::Xskmap => None,
            _ => Some(new),
        };
        match word.fetch_update(Ordering::AcqRel, Ordering::Acquire, allowed) {
            Ok(_) => Ok(()),
            Err(0) => Err(Errno::NOENT.because("nothing was stored there")),
            Err(_) => Err(Errno::EXIST.because("something was stored there already")),
        }
    }

    fn delete(&self, key: &[u8]) -> MapResult {
        let programs = self.kind == MapKind::ProgArray;
        let errno = if programs { Errno::TOO_BIG } else { Errno::INVAL };
        let old = self.word(key).ok_or_else(|| outside(key, self.entries, errno))?.swap(0, Ordering::AcqRel);
        if programs && old == 0 {
            return Err(Errno::NOENT.because("nothing was stored there"));
        }
        Ok(())
    }

    fn next_key(&self, key: Option<&[u8]>) -> MapResult<Vec<u8>> {
        next_index(key, self.entries)
    }

    fn step(&self, cursor: &mut u64) -> Option<Vec<Element>> {
        while *cursor < u64::from(self.entries) {
            let key = (*cursor as u32).to_ne_bytes();
            *cursor += 1;
            if self.bytes(&key).is_some() {
                return Some(vec![Element { key: key.to_vec(), offset: index(&key) as usize * 8 }]);
            }
        }
        None
    }
}

impl DeviceHash {
    /// Checks the definition as the kernel does and makes an empty table.
    pub(super) fn new(spec: &MapSpec, host: &MapHost) -> MapResult<DeviceHash> {
        check(spec, MapKind::DevmapHash)?;
        check_entries(spec.max_entries)?;
        let spec = MapSpec { flags: flag::NO_PREALLOC, ..spec.clone() };
        Ok(DeviceHash { table: Hash::table(&spec, false, host)?, size: spec.value_size as usize })
    }
}

impl Family for DeviceHash {
    fn values(&self) -> Option<&Arc<Memory>> {
        self.table.values()
    }

    fn find(&self, key: &[u8], cpu: usize) -> Option<usize> {
        self.table.find(key, cpu)
    }

    fn lookup(&self, key: &[u8], flags: u64) -> MapResult<Vec<u8>> {
        self.table.lookup(key, flags)
    }

    fn update(&self, key: &[u8], value: &[u8], flags: u64, by: Writer) -> MapResult {
        if by != Writer::Host {
            return Err(Errno::INVAL.because("programs cannot change this type of map"));
        }
        check_value(value, self.size)?;
        if flags > flag::EXIST || u32_of(value) == 0 {
            return Err(Errno::INVAL.because(format!("flags {flags:#x} and interface {}", u32_of(value))));
        }
        // The kernel does not insist that an element exists.
        let mut value = value.to_vec();
        without_program(&mut value);
        self.table.update(key, &value, flags & flag::NOEXIST, by)
    }

    fn delete(&self, key: &[u8]) -> MapResult {
        self.table.delete(key)
    }

    fn next_key(&self, key: Option<&[u8]>) -> MapResult<Vec<u8>> {
        self.table.next_key(key)
    }

    fn step(&self, cursor: &mut u64) -> Option<Vec<Element>> {
        self.table.step(cursor)
    }
}
