//! Maps: what programs keep between runs, and share with each other and with the host.
//!
//! The host works on a [`Map`] with the operations of the kernel's `bpf(2)` system call, programs with those of its
//! helpers ([`Map::on_cpu`]); flags and error numbers are the kernel's. All of it may be done by several threads at
//! once. Values lie in [`Memory`], so programs read and write them in place.
//!
//! - A value never moves while its element is in the map, and its memory lives as long as the map. What a program may
//!   still point to is not used for another element while the program runs ([`running`]).
//! - The host sees whole values: an update replaces an element, except per-CPU values and those under `BPF_F_LOCK`.
//! - Nothing that a definition says makes the host run out of memory: [`MapHost::memory`] bounds a map.
//! - Iteration ends, whatever others do in the meantime ([`Map::entries`]); walking with [`Map::next_key`] starts again
//!   where the key was deleted, as it does in the kernel.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

mod arena;
mod array;
mod batch;
mod bloom;
mod chains;
mod errno;
mod family;
mod grace;
mod hash;
mod host;
mod kind;
mod lpm;
mod lru;
mod nested;
mod perf;
mod program;
mod queue;
mod ring;
mod slots;
mod spec;
pub mod spin;
mod storage;
mod table;
#[cfg(test)]
mod tests;
mod value;

pub use arena::Arena;
pub use batch::Batch;
pub use errno::{Errno, MapError, MapResult};
pub use family::Element;
pub use grace::{Running, running};
pub use host::Entries;
pub use kind::MapKind;
pub use perf::Perf;
pub use program::OnCpu;
pub use ring::{Ring, RingState};
pub use spec::{MapHost, MapSpec, flag};

use crate::memory::Memory;
use array::Array;
use bloom::Bloom;
use family::Family;
use hash::Hash;
use lpm::Lpm;
use nested::Nested;
use queue::Queue;
use storage::Storage;
use table::{DeviceHash, Table};

/// A map.
pub struct Map {
    spec: MapSpec,
    kind: MapKind,
    store: Store,
    cpus: usize,
    frozen: AtomicBool,
    id: u32,
}

/// What a map does, by its family.
enum Store {
    Array(Array),
    Hash(Hash),
    Lpm(Lpm),
    Queue(Queue),
    Bloom(Bloom),
    Ring(Ring),
    Perf(Perf),
    Nested(Nested),
    Table(Table),
    DeviceHash(DeviceHash),
    Storage(Storage),
    Arena(Arena),
}

impl Store {
    fn new(spec: &MapSpec, kind: MapKind, host: &MapHost) -> MapResult<Store> {
        Ok(match kind {
            MapKind::Array | MapKind::PercpuArray => Store::Array(Array::new(spec, kind, host)?),
            MapKind::Hash | MapKind::PercpuHash | MapKind::LruHash | MapKind::LruPercpuHash => {
                Store::Hash(Hash::new(spec, kind, host)?)
            }
            MapKind::LpmTrie => Store::Lpm(Lpm::new(spec, host)?),
            MapKind::Queue | MapKind::Stack => Store::Queue(Queue::new(spec, kind, host)?),
            MapKind::BloomFilter => Store::Bloom(Bloom::new(spec, host)?),
            MapKind::Ringbuf | MapKind::UserRingbuf => Store::Ring(Ring::new(spec, host)?),
            MapKind::PerfEventArray => Store::Perf(Perf::new(spec)?),
            MapKind::ArrayOfMaps | MapKind::HashOfMaps => Store::Nested(Nested::new(spec, kind, host)?),
            MapKind::ProgArray | MapKind::Devmap | MapKind::Cpumap | MapKind::Xskmap => {
                Store::Table(Table::new(spec, kind, host)?)
            }
            MapKind::DevmapHash => Store::DeviceHash(DeviceHash::new(spec, host)?),
            MapKind::SkStorage | MapKind::InodeStorage | MapKind::TaskStorage | MapKind::CgrpStorage => {
                Store::Storage(Storage::new(spec, host)?)
            }
            MapKind::Arena => Store::Arena(Arena::new(spec, host)?),
        })
    }
}

impl Map {
    /// Makes a map as the kernel's `BPF_MAP_CREATE` does: with its checks of the definition, in its order, and its
    /// error numbers.
    pub fn new(spec: MapSpec, host: &MapHost) -> MapResult<Arc<Map>> {
        let kind = MapKind::from_number(spec.kind)?;
        spec.check_common(kind)?;
        let store = Store::new(&spec, kind, host)?;
        spec.check_fields(kind)?;
        // Ids tell maps of one process apart; the first is one, as in the kernel.
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let (cpus, frozen) = (host.cpus.max(1), AtomicBool::new(false));
        let mut map = Map { spec, kind, store, cpus, frozen, id };
        if let Store::Hash(hash) = &map.store {
            map.spec.max_entries = hash.entries();
        }
        Ok(Arc::new(map))
    }

    /// What it was made from; `max_entries` is what it really can hold.
    pub fn spec(&self) -> &MapSpec {
        &self.spec
    }

    /// Its type.
    pub fn kind(&self) -> MapKind {
        self.kind
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// A number that no other map of this process has.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Bytes of a key: eight for local storage, where it is the number of an object, else what the definition says.
    pub fn key_size(&self) -> usize {
        match &self.store {
            Store::Storage(_) => storage::KEY_SIZE,
            _ => self.spec.key_size as usize,
        }
    }

    /// For how many CPUs per-CPU maps have values.
    pub fn cpus(&self) -> usize {
        self.cpus
    }

    /// The memory that programs see values in, for types that have any. Its offsets are the same for the map's life.
    pub fn values(&self) -> Option<&Arc<Memory>> {
        self.family().values()
    }

    /// Where a program on a CPU finds the value of a key: the offset in [`Map::values`]. The value has
    /// [`MapSpec::value_size`] bytes there.
    #[inline]
    pub fn find(&self, key: &[u8], cpu: usize) -> Option<usize> {
        if key.len() != self.key_size() || cpu >= self.cpus {
            return None;
        }
        match &self.store {
            Store::Array(array) => array.find(key, cpu),
            Store::Hash(hash) => hash.find(key, cpu),
            _ => self.family().find(key, cpu),
        }
    }

    /// For plain arrays, what code that computes places itself needs: how many elements there are, and the bytes from
    /// one to the next.
    pub fn array_shape(&self) -> Option<(u32, usize)> {
        match &self.store {
            Store::Array(array) if self.kind == MapKind::Array => Some(array.shape()),
            _ => None,
        }
    }

    /// What programs may do with the map: read it and write it (`BPF_F_RDONLY_PROG`, `BPF_F_WRONLY_PROG`).
    pub fn program_access(&self) -> (bool, bool) {
        let host_writes = matches!(self.store, Store::Table(_) | Store::DeviceHash(_));
        (!self.spec.has(flag::WRONLY_PROG), !self.spec.has(flag::RDONLY_PROG) && !host_writes)
    }

    /// The map as a program on a CPU sees it.
    pub fn on_cpu(&self, cpu: usize) -> OnCpu<'_> {
        OnCpu::new(self, cpu)
    }

    /// Whether the lock of a value is at an offset in [`Map::values`].
    pub(crate) fn is_lock(&self, offset: usize) -> bool {
        self.is_field(self.spec.lock_offset, offset)
    }

    /// Whether the timer of a value is at an offset in [`Map::values`].
    pub(crate) fn is_timer(&self, offset: usize) -> bool {
        self.is_field(self.spec.timer_offset, offset)
    }

    fn is_field(&self, field: Option<u32>, offset: usize) -> bool {
        // Types that may have such fields have one value an element.
        let stride = (self.spec.value_size as usize).next_multiple_of(8).max(1);
        field.is_some_and(|field| offset % stride == field as usize)
    }

    fn family(&self) -> &dyn Family {
        match &self.store {
            Store::Array(array) => array,
            Store::Hash(hash) => hash,
            Store::Lpm(lpm) => lpm,
            Store::Queue(queue) => queue,
            Store::Bloom(bloom) => bloom,
            Store::Ring(ring) => ring,
            Store::Perf(perf) => perf,
            Store::Nested(nested) => nested,
            Store::Table(table) => table,
            Store::DeviceHash(devices) => devices,
            Store::Storage(storage) => storage,
            Store::Arena(arena) => arena,
        }
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Map({:?}, {}, id {})", self.spec.name, self.kind.name(), self.id)
    }
}
