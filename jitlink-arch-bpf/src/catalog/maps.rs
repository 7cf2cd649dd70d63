//! Kinds of maps: the kernel's numbers and names, what keys are, and what programs and hosts can do with them.

/// What the keys of a map are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// Bytes of any size but zero.
    Bytes,
    /// A 32-bit index below the number of elements.
    Index,
    /// A 32-bit number: that of an interface, a CPU, a stack.
    Number,
    /// A 32-bit count of bits, then at most 256 bytes of which so many count.
    Prefix,
    /// There is none; the size is zero.
    None,
    /// A kernel object: a file descriptor of 32 bits to the host, the object itself to programs.
    Object,
    /// A cgroup: its number in 64 bits, or that and an attach type.
    Cgroup,
}

/// What can be done with a map, as a set of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Operations(pub u32);

impl Operations {
    /// Find an element by its key.
    pub const LOOKUP: u32 = 1;
    /// Add or change an element.
    pub const UPDATE: u32 = 1 << 1;
    /// Remove an element.
    pub const DELETE: u32 = 1 << 2;
    /// Get the next key (hosts), call a function for each element (programs).
    pub const ITERATE: u32 = 1 << 3;
    /// Find and remove in one step.
    pub const TAKE: u32 = 1 << 4;
    /// Append an element.
    pub const PUSH: u32 = 1 << 5;
    /// Remove the next element.
    pub const POP: u32 = 1 << 6;
    /// Look at the next element, or ask whether one may be there.
    pub const PEEK: u32 = 1 << 7;
    /// Find another CPU's element.
    pub const PER_CPU: u32 = 1 << 8;
    /// Send records to the other side.
    pub const OUTPUT: u32 = 1 << 9;
    /// Receive records of the other side.
    pub const DRAIN: u32 = 1 << 10;
    /// Go on with the program of an element.
    pub const TAIL_CALL: u32 = 1 << 11;
    /// Send the packet or message to where an element says.
    pub const REDIRECT: u32 = 1 << 12;
    /// Find, make or remove the storage of a kernel object.
    pub const STORAGE: u32 = 1 << 13;
    /// Ask whether something is in the cgroup of an element.
    pub const UNDER: u32 = 1 << 14;
    /// Keep the current call stack.
    pub const STACK: u32 = 1 << 15;
    /// Read the counter of an element.
    pub const COUNTER: u32 = 1 << 16;
    /// Map the memory.
    pub const MMAP: u32 = 1 << 17;
    /// Several elements in one step.
    pub const BATCH: u32 = 1 << 18;

    /// Whether one of these operations is there.
    pub const fn has(self, operations: u32) -> bool {
        self.0 & operations != 0
    }
}

/// A kind of map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapType {
    /// The kernel's number (`enum bpf_map_type`).
    pub number: u32,
    /// The kernel's name without `BPF_MAP_TYPE_`, in small letters.
    pub name: &'static str,
    /// What its keys are.
    pub key: Key,
    /// What programs can do.
    pub programs: Operations,
    /// What hosts can do, by the commands of `bpf(2)` or through mapped memory.
    pub host: Operations,
    /// Whether programs get values as memory that they read and write in place.
    pub addressable: bool,
}

const LOOKUP: u32 = Operations::LOOKUP;
const UPDATE: u32 = Operations::UPDATE;
const DELETE: u32 = Operations::DELETE;
const ITERATE: u32 = Operations::ITERATE;
const PER_CPU: u32 = Operations::PER_CPU;
const OUTPUT: u32 = Operations::OUTPUT;
const REDIRECT: u32 = Operations::REDIRECT;
const STORAGE: u32 = Operations::STORAGE;
const MMAP: u32 = Operations::MMAP;
const BATCH: u32 = Operations::BATCH;
/// As a hash table gives them.
const ELEMENTS: u32 = LOOKUP | UPDATE | DELETE | ITERATE;
const TABLE: u32 = ELEMENTS | Operations::TAKE | BATCH;
const QUEUE: u32 = Operations::PUSH | Operations::POP | Operations::PEEK;

const fn m(number: u32, name: &'static str, key: Key, programs: u32, host: u32) -> MapType {
    let (programs, host) = (Operations(programs), Operations(host));
    MapType { number, name, key, programs, host, addressable: false }
}

/// As [`m`], for maps whose values are addressable.
const fn v(number: u32, name: &'static str, key: Key, programs: u32, host: u32) -> MapType {
    MapType { addressable: true, ..m(number, name, key, programs, host) }
}

/// All kinds, in the order of their numbers, which start at 1.
#[rustfmt::skip]
pub static MAP_TYPES: &[MapType] = &[
    v(1, "hash", Key::Bytes, ELEMENTS, TABLE),
    v(2, "array", Key::Index, LOOKUP | UPDATE | ITERATE, LOOKUP | UPDATE | ITERATE | BATCH | MMAP),
    m(3, "prog_array", Key::Index, Operations::TAIL_CALL, ELEMENTS),
    m(4, "perf_event_array", Key::Index, OUTPUT | Operations::COUNTER, UPDATE | DELETE | ITERATE),
    v(5, "percpu_hash", Key::Bytes, ELEMENTS | PER_CPU, TABLE),
    v(6, "percpu_array", Key::Index, LOOKUP | UPDATE | ITERATE | PER_CPU, LOOKUP | UPDATE | ITERATE | BATCH),
    m(7, "stack_trace", Key::Number, Operations::STACK, LOOKUP | DELETE | ITERATE | Operations::TAKE),
    m(8, "cgroup_array", Key::Index, Operations::UNDER, UPDATE | DELETE | ITERATE),
    v(9, "lru_hash", Key::Bytes, ELEMENTS, TABLE),
    v(10, "lru_percpu_hash", Key::Bytes, ELEMENTS | PER_CPU, TABLE),
    v(11, "lpm_trie", Key::Prefix, LOOKUP | UPDATE | DELETE, ELEMENTS | BATCH),
    m(12, "array_of_maps", Key::Index, LOOKUP, ELEMENTS | BATCH),
    m(13, "hash_of_maps", Key::Bytes, LOOKUP, ELEMENTS | BATCH),
    m(14, "devmap", Key::Index, LOOKUP | REDIRECT, ELEMENTS),
    m(15, "sockmap", Key::Index, LOOKUP | UPDATE | DELETE | REDIRECT, ELEMENTS),
    m(16, "cpumap", Key::Index, REDIRECT, ELEMENTS),
    m(17, "xskmap", Key::Index, LOOKUP | REDIRECT, UPDATE | DELETE | ITERATE),
    m(18, "sockhash", Key::Bytes, LOOKUP | UPDATE | DELETE | REDIRECT, ELEMENTS),
    v(19, "cgroup_storage", Key::Cgroup, STORAGE, LOOKUP | UPDATE | ITERATE),
    m(20, "reuseport_sockarray", Key::Index, REDIRECT, ELEMENTS),
    v(21, "percpu_cgroup_storage", Key::Cgroup, STORAGE, LOOKUP | UPDATE | ITERATE),
    m(22, "queue", Key::None, QUEUE, LOOKUP | UPDATE | Operations::TAKE),
    m(23, "stack", Key::None, QUEUE, LOOKUP | UPDATE | Operations::TAKE),
    v(24, "sk_storage", Key::Object, STORAGE, LOOKUP | UPDATE | DELETE),
    m(25, "devmap_hash", Key::Number, LOOKUP | REDIRECT, ELEMENTS),
    m(26, "struct_ops", Key::Index, 0, LOOKUP | UPDATE | DELETE | ITERATE),
    m(27, "ringbuf", Key::None, OUTPUT, MMAP),
    v(28, "inode_storage", Key::Object, STORAGE, LOOKUP | UPDATE | DELETE),
    v(29, "task_storage", Key::Object, STORAGE, LOOKUP | UPDATE | DELETE),
    m(30, "bloom_filter", Key::None, Operations::PUSH | Operations::PEEK, LOOKUP | UPDATE),
    m(31, "user_ringbuf", Key::None, Operations::DRAIN, MMAP),
    v(32, "cgrp_storage", Key::Object, STORAGE, LOOKUP | UPDATE | DELETE),
    m(33, "arena", Key::None, 0, MMAP),
    m(34, "insn_array", Key::Index, LOOKUP, LOOKUP | UPDATE | ITERATE),
    v(35, "rhash", Key::Bytes, ELEMENTS, TABLE),
];

/// The kind of a number.
pub fn by_number(number: u32) -> Option<&'static MapType> {
    MAP_TYPES.get((number as usize).checked_sub(1)?)
}

/// The kind of a name, with or without `BPF_MAP_TYPE_`, in letters of any case.
pub fn by_name(name: &str) -> Option<&'static MapType> {
    let lower = name.to_ascii_lowercase();
    let short = lower.strip_prefix("bpf_map_type_").unwrap_or(&lower);
    MAP_TYPES.iter().find(|kind| kind.name == short)
}
