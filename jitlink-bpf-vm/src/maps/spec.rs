//! What a map is to be, and what the host grants to maps.

use std::ops::RangeInclusive;

use jitlink_arch_bpf::image::MapDefinition;

use super::errno::{Errno, MapResult};
use super::kind::MapKind;

/// What a map is to be: the attributes of the kernel's command `BPF_MAP_CREATE`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapSpec {
    /// Its name.
    pub name: String,
    /// The kernel's number of its type (`enum bpf_map_type`).
    pub kind: u32,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// How many elements it can hold; bytes for ring buffers, pages for arenas.
    pub max_entries: u32,
    /// Flags of creation (`BPF_F_*`).
    pub flags: u32,
    /// What is special to the type (`map_extra`).
    pub extra: u64,
    /// The NUMA node that `BPF_F_NUMA_NODE` asks for.
    pub numa_node: u32,
    /// What the inner maps of a map of maps look like.
    pub inner: Option<Box<MapSpec>>,
    /// Where in a value its `struct bpf_spin_lock` (four bytes) is.
    pub lock_offset: Option<u32>,
    /// Where in a value its `struct bpf_timer` (16 bytes) is.
    pub timer_offset: Option<u32>,
}

/// What the host grants to maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapHost {
    /// How many CPUs there are: a program runs with a number below it, and per-CPU maps have so many values for a key.
    pub cpus: usize,
    /// How many bytes one map may have. Larger ones are refused with `ENOMEM`, as the kernel does when memory is short.
    pub memory: u64,
    /// Where hashes start from: the order of iteration depends on it, and who does not know it cannot provoke long
    /// chains. Maps with `BPF_F_ZERO_SEED` start from zero.
    pub seed: u64,
}

impl Default for MapHost {
    fn default() -> MapHost {
        MapHost { cpus: 1, memory: 1 << 30, seed: 0x6a69_746c_696e_6b00 }
    }
}

/// Flags of creation and of operations, as `linux/bpf.h` numbers them.
pub mod flag {
    /// Create the element or replace it.
    pub const ANY: u64 = 0;
    /// Only create the element.
    pub const NOEXIST: u64 = 1;
    /// Only replace the element; for queues and stacks: drop the oldest when full.
    pub const EXIST: u64 = 2;
    /// Hold the value's spin lock while it is copied.
    pub const LOCK: u64 = 4;

    /// Elements are allocated one by one.
    pub const NO_PREALLOC: u32 = 1;
    /// Each CPU has its own list of elements that were used least recently.
    pub const NO_COMMON_LRU: u32 = 1 << 1;
    /// Memory comes from one NUMA node.
    pub const NUMA_NODE: u32 = 1 << 2;
    /// The host may only read.
    pub const RDONLY: u32 = 1 << 3;
    /// The host may only write.
    pub const WRONLY: u32 = 1 << 4;
    /// Hashes start from zero.
    pub const ZERO_SEED: u32 = 1 << 6;
    /// Programs may only read.
    pub const RDONLY_PROG: u32 = 1 << 7;
    /// Programs may only write.
    pub const WRONLY_PROG: u32 = 1 << 8;
    /// Storage goes along when its object is cloned.
    pub const CLONE: u32 = 1 << 9;
    /// The host may map the values.
    pub const MMAPABLE: u32 = 1 << 10;
    /// Events stay when the host closes the map.
    pub const PRESERVE_ELEMS: u32 = 1 << 11;
    /// As an inner map, it may have another number of elements than the template.
    pub const INNER_MAP: u32 = 1 << 12;
    /// Faults in an arena end the host's process.
    pub const SEGV_ON_FAULT: u32 = 1 << 17;
    /// Arena pointers are not converted for the host.
    pub const NO_USER_CONV: u32 = 1 << 18;

    /// Who may read and write.
    pub(crate) const ACCESS: u32 = RDONLY | WRONLY | RDONLY_PROG | WRONLY_PROG;
}

impl From<&MapDefinition> for MapSpec {
    fn from(definition: &MapDefinition) -> MapSpec {
        MapSpec {
            name: definition.name.clone(),
            kind: definition.kind,
            key_size: definition.key_size,
            value_size: definition.value_size,
            max_entries: definition.max_entries,
            flags: definition.flags,
            extra: definition.extra,
            numa_node: definition.numa_node,
            inner: definition.inner.as_deref().map(|inner| Box::new(inner.into())),
            lock_offset: definition.fields.lock,
            timer_offset: definition.fields.timer,
        }
    }
}

impl MapSpec {
    /// A map without name and flags.
    pub fn new(kind: MapKind, key_size: u32, value_size: u32, max_entries: u32) -> MapSpec {
        MapSpec { kind: kind.number(), key_size, value_size, max_entries, ..MapSpec::default() }
    }

    /// The same with flags of creation.
    #[must_use]
    pub fn with_flags(self, flags: u32) -> MapSpec {
        MapSpec { flags, ..self }
    }

    /// The same without locks and timers in values, its inner maps' included.
    pub(crate) fn without_fields(self) -> MapSpec {
        let inner = self.inner.map(|inner| Box::new(inner.without_fields()));
        MapSpec { inner, lock_offset: None, timer_offset: None, ..self }
    }

    /// Whether all of the flags are given.
    pub(crate) fn has(&self, flags: u32) -> bool {
        self.flags & flags == flags
    }

    /// Refuses flags outside of `allowed`, and access that excludes itself.
    pub(crate) fn check_flags(&self, allowed: u32) -> MapResult {
        let extra = self.flags & !allowed;
        if extra != 0 {
            return Err(Errno::INVAL.because(format!("this type of map has no flags {extra:#x}")));
        }
        if self.has(flag::RDONLY_PROG | flag::WRONLY_PROG) {
            return Err(Errno::INVAL.because("programs cannot both only read and only write"));
        }
        Ok(())
    }

    /// Refuses a size other than the type's.
    pub(crate) fn check_size(what: &str, size: u32, wanted: RangeInclusive<u32>) -> MapResult {
        if wanted.contains(&size) {
            return Ok(());
        }
        let (low, high) = wanted.into_inner();
        let range = if low == high { format!("{low}") } else { format!("{low}..={high}") };
        Err(Errno::INVAL.because(format!("{what} is {size} rather than {range}")))
    }

    /// What is common to all types, checked before what is particular (`map_create` in the kernel).
    pub(crate) fn check_common(&self, kind: MapKind) -> MapResult {
        if self.extra != 0 && !matches!(kind, MapKind::BloomFilter | MapKind::Arena) {
            return Err(Errno::INVAL.because(format!("this type of map has no use for map_extra {:#x}", self.extra)));
        }
        if self.has(flag::RDONLY | flag::WRONLY) {
            return Err(Errno::INVAL.because("the host cannot both only read and only write"));
        }
        if self.has(flag::NUMA_NODE) && self.numa_node != 0 && self.numa_node != u32::MAX {
            return Err(Errno::INVAL.because(format!("there is no NUMA node {}", self.numa_node)));
        }
        self.check_field("bpf_spin_lock", self.lock_offset, 4)?;
        self.check_field("bpf_timer", self.timer_offset, 16)
    }

    /// What the kernel checks of locks and timers, after all else (`map_check_btf`).
    pub(crate) fn check_fields(&self, kind: MapKind) -> MapResult {
        if self.lock_offset.is_none() && self.timer_offset.is_none() {
            return Ok(());
        }
        if self.flags & (flag::RDONLY_PROG | flag::WRONLY_PROG) != 0 {
            return Err(Errno::ACCES.because("programs could not use the locks and timers in the values"));
        }
        let (locks, timers) = match kind {
            MapKind::Hash | MapKind::Array => (true, true),
            MapKind::LruHash => (false, true),
            MapKind::SkStorage | MapKind::InodeStorage | MapKind::TaskStorage | MapKind::CgrpStorage => (true, false),
            _ => (false, false),
        };
        if self.lock_offset.is_some() && !locks {
            return Err(Errno::OPNOTSUPP.because("values of this type of map cannot have a bpf_spin_lock"));
        }
        if self.timer_offset.is_some() && !timers {
            return Err(Errno::OPNOTSUPP.because("values of this type of map cannot have a bpf_timer"));
        }
        Ok(())
    }

    /// Whether memory is to come from a particular node, which per-CPU values cannot.
    pub(crate) fn pinned_to_node(&self) -> bool {
        self.has(flag::NUMA_NODE) && self.numa_node != u32::MAX
    }

    fn check_field(&self, what: &str, offset: Option<u32>, size: u32) -> MapResult {
        let Some(offset) = offset else { return Ok(()) };
        let inside = offset.checked_add(size).is_some_and(|end| end <= self.value_size);
        if inside && offset % size.min(8) == 0 {
            return Ok(());
        }
        let value_size = self.value_size;
        Err(Errno::INVAL.because(format!("{what} at offset {offset} does not fit a value of {value_size} bytes")))
    }
}
