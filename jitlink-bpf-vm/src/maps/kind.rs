//! The types of maps that there are, under the kernel's numbers.

use super::errno::{Errno, MapResult};

/// A type of map. The numbers are those of the kernel's `enum bpf_map_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
#[expect(missing_docs, reason = "the names are the kernel's, and NAMES tells them")]
pub enum MapKind {
    Hash = 1,
    Array = 2,
    ProgArray = 3,
    PerfEventArray = 4,
    PercpuHash = 5,
    PercpuArray = 6,
    LruHash = 9,
    LruPercpuHash = 10,
    LpmTrie = 11,
    ArrayOfMaps = 12,
    HashOfMaps = 13,
    Devmap = 14,
    Cpumap = 16,
    Xskmap = 17,
    Queue = 22,
    Stack = 23,
    SkStorage = 24,
    DevmapHash = 25,
    Ringbuf = 27,
    InodeStorage = 28,
    TaskStorage = 29,
    BloomFilter = 30,
    UserRingbuf = 31,
    CgrpStorage = 32,
    Arena = 33,
}

/// All that the kernel has, in the order of their numbers, with what there is of them here.
#[rustfmt::skip]
const KINDS: [(&str, Option<MapKind>); 35] = [
    ("unspec", None),
    ("hash", Some(MapKind::Hash)),
    ("array", Some(MapKind::Array)),
    ("prog_array", Some(MapKind::ProgArray)),
    ("perf_event_array", Some(MapKind::PerfEventArray)),
    ("percpu_hash", Some(MapKind::PercpuHash)),
    ("percpu_array", Some(MapKind::PercpuArray)),
    ("stack_trace", None),
    ("cgroup_array", None),
    ("lru_hash", Some(MapKind::LruHash)),
    ("lru_percpu_hash", Some(MapKind::LruPercpuHash)),
    ("lpm_trie", Some(MapKind::LpmTrie)),
    ("array_of_maps", Some(MapKind::ArrayOfMaps)),
    ("hash_of_maps", Some(MapKind::HashOfMaps)),
    ("devmap", Some(MapKind::Devmap)),
    ("sockmap", None),
    ("cpumap", Some(MapKind::Cpumap)),
    ("xskmap", Some(MapKind::Xskmap)),
    ("sockhash", None),
    ("cgroup_storage", None),
    ("reuseport_sockarray", None),
    ("percpu_cgroup_storage", None),
    ("queue", Some(MapKind::Queue)),
    ("stack", Some(MapKind::Stack)),
    ("sk_storage", Some(MapKind::SkStorage)),
    ("devmap_hash", Some(MapKind::DevmapHash)),
    ("struct_ops", None),
    ("ringbuf", Some(MapKind::Ringbuf)),
    ("inode_storage", Some(MapKind::InodeStorage)),
    ("task_storage", Some(MapKind::TaskStorage)),
    ("bloom_filter", Some(MapKind::BloomFilter)),
    ("user_ringbuf", Some(MapKind::UserRingbuf)),
    ("cgrp_storage", Some(MapKind::CgrpStorage)),
    ("arena", Some(MapKind::Arena)),
    ("insn_array", None),
];

impl MapKind {
    /// The type with a number of the kernel's; types that there are not here are refused by name.
    pub fn from_number(number: u32) -> MapResult<MapKind> {
        match KINDS.get(number as usize) {
            Some((_, Some(kind))) => Ok(*kind),
            Some((name, None)) => {
                Err(Errno::INVAL.because(format!("there are no maps of type {name} ({number}) here")))
            }
            None => Err(Errno::INVAL.because(format!("there is no type of map with number {number}"))),
        }
    }

    /// The kernel's number.
    pub fn number(self) -> u32 {
        self as u32
    }

    /// The name, as bpftool shows it.
    pub fn name(self) -> &'static str {
        KINDS[self as usize].0
    }

    /// Whether there is a value for each CPU.
    pub fn is_percpu(self) -> bool {
        matches!(self, MapKind::PercpuHash | MapKind::PercpuArray | MapKind::LruPercpuHash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_stands_at_its_number() {
        for (number, (name, kind)) in (0..).zip(KINDS) {
            match kind {
                Some(kind) => {
                    assert_eq!((kind.number(), kind.name(), MapKind::from_number(number)), (number, name, Ok(kind)))
                }
                None => assert!(MapKind::from_number(number).unwrap_err().reason.contains(name)),
            }
        }
        assert_eq!(MapKind::from_number(u32::MAX).unwrap_err().errno, Errno::INVAL);
    }
}
