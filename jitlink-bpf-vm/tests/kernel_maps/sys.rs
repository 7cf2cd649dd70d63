//! The map commands of the `bpf(2)` system call.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use jitlink_bpf_vm::maps::MapSpec;

/// A number of `errno.h`.
pub(crate) type Failed = i32;

/// Room for the attributes of any command; the kernel wants zeros behind what a command has.
pub(crate) struct Attributes([u8; 144]);

impl Attributes {
    pub(crate) fn new() -> Attributes {
        Attributes([0; 144])
    }

    pub(crate) fn put(mut self, at: usize, bytes: &[u8]) -> Attributes {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    pub(crate) fn u32(self, at: usize, value: u32) -> Attributes {
        self.put(at, &value.to_ne_bytes())
    }

    pub(crate) fn u64(self, at: usize, value: u64) -> Attributes {
        self.put(at, &value.to_ne_bytes())
    }

    pub(crate) fn pointer(self, at: usize, bytes: Option<&mut [u8]>) -> Attributes {
        self.u64(at, bytes.map_or(0, |bytes| bytes.as_mut_ptr() as u64))
    }

    pub(crate) fn u32_at(&self, at: usize) -> u32 {
        u32::from_ne_bytes(self.0[at..at + 4].try_into().unwrap())
    }
}

/// One command. What the attributes point to must live as long as the call and be as large as the command says.
pub(crate) fn bpf(command: i32, attributes: &mut Attributes) -> Result<i64, Failed> {
    // SAFETY: the attributes are longer than any the kernel knows of these commands and outlive the call; the pointers
    // in them are made by `Attributes::pointer` from slices that the callers below keep and size as the map's
    // definition says.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes.0.as_mut_ptr(), attributes.0.len()) };
    if result >= 0 { Ok(result) } else { Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)) }
}

/// A descriptor that a command gave.
pub(crate) fn descriptor(command: i32, attributes: &mut Attributes) -> Result<OwnedFd, Failed> {
    let fd = bpf(command, attributes)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// The types of a map's key and value.
pub(crate) struct Types {
    pub(crate) btf: OwnedFd,
    pub(crate) key: u32,
    pub(crate) value: u32,
}

/// A map of the kernel.
pub(crate) struct KernelMap {
    pub(crate) fd: OwnedFd,
    key_size: usize,
    value_size: usize,
}

impl KernelMap {
    pub(crate) fn new(spec: &MapSpec, types: Option<&Types>, inner: Option<&KernelMap>) -> Result<KernelMap, Failed> {
        // Zero would be the standard input.
        let of_maps = [12, 13].contains(&spec.kind);
        let none = if of_maps { u32::MAX } else { 0 };
        let inner_fd = inner.map_or(none, |map| map.fd.as_raw_fd() as u32);
        let mut attributes = Attributes::new()
            .u32(0, spec.kind)
            .u32(4, spec.key_size)
            .u32(8, spec.value_size)
            .u32(12, spec.max_entries)
            .u32(16, spec.flags)
            .u32(20, inner_fd)
            .u32(24, spec.numa_node)
            .u64(64, spec.extra);
        if let Some(types) = types {
            let fd = types.btf.as_raw_fd() as u32;
            attributes = attributes.u32(48, fd).u32(52, types.key).u32(56, types.value);
        }
        let percpu = [5, 6, 10].contains(&spec.kind);
        let size = spec.value_size as usize;
        let value_size = if percpu { size.next_multiple_of(8) * cpus() } else { size };
        Ok(KernelMap { fd: descriptor(0, &mut attributes)?, key_size: spec.key_size as usize, value_size })
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().u32(0, self.fd.as_raw_fd() as u32)
    }

    /// A key as the kernel takes it: none for maps without keys.
    fn key<'a>(&self, key: &'a mut Vec<u8>) -> Option<&'a mut [u8]> {
        assert_eq!(key.len(), self.key_size);
        (!key.is_empty()).then_some(key.as_mut_slice())
    }

    fn get(&self, command: i32, key: &[u8], flags: u64) -> Result<Vec<u8>, Failed> {
        let (mut key, mut value) = (key.to_vec(), vec![0; self.value_size]);
        let attributes = self.attributes().pointer(8, self.key(&mut key)).pointer(16, Some(&mut value));
        bpf(command, &mut attributes.u64(24, flags))?;
        Ok(value)
    }

    pub(crate) fn lookup(&self, key: &[u8], flags: u64) -> Result<Vec<u8>, Failed> {
        self.get(1, key, flags)
    }

    pub(crate) fn take(&self, key: &[u8], flags: u64) -> Result<Vec<u8>, Failed> {
        self.get(21, key, flags)
    }

    /// Whether a bloom filter has a value.
    pub(crate) fn contains(&self, value: &[u8]) -> Result<(), Failed> {
        let mut value = value.to_vec();
        assert_eq!(value.len(), self.value_size);
        bpf(1, &mut self.attributes().pointer(16, Some(&mut value))).map(|_| ())
    }

    pub(crate) fn update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Failed> {
        let (mut key, mut value) = (key.to_vec(), value.to_vec());
        assert_eq!(value.len(), self.value_size);
        let attributes = self.attributes().pointer(8, self.key(&mut key)).pointer(16, Some(&mut value));
        bpf(2, &mut attributes.u64(24, flags)).map(|_| ())
    }

    pub(crate) fn delete(&self, key: &[u8]) -> Result<(), Failed> {
        let mut key = key.to_vec();
        bpf(3, &mut self.attributes().pointer(8, self.key(&mut key))).map(|_| ())
    }

    pub(crate) fn next_key(&self, key: Option<&[u8]>) -> Result<Vec<u8>, Failed> {
        let (mut key, mut next) = (key.map(<[u8]>::to_vec), vec![0; self.key_size.max(8)]);
        let attributes = self.attributes().pointer(8, key.as_mut().and_then(|key| self.key(key)));
        bpf(4, &mut attributes.pointer(16, Some(&mut next)))?;
        next.truncate(self.key_size);
        Ok(next)
    }

    pub(crate) fn freeze(&self) -> Result<(), Failed> {
        bpf(22, &mut self.attributes()).map(|_| ())
    }

    /// `BPF_MAP_LOOKUP_BATCH` (24) or `BPF_MAP_LOOKUP_AND_DELETE_BATCH` (25) from the start: the elements, and how it
    /// ended.
    pub(crate) fn get_batch(&self, command: i32, count: u32, flags: u64) -> (Elements, Result<(), Failed>) {
        let mut out = vec![0; self.key_size.max(8)];
        let (mut keys, mut values) =
            (vec![0; self.key_size * count as usize], vec![0; self.value_size * count as usize]);
        let attributes = self.batch(&mut keys, &mut values, count, flags).pointer(8, Some(&mut out));
        let mut attributes = attributes;
        let result = bpf(command, &mut attributes).map(|_| ());
        let done = if result.is_ok() || result == Err(libc::ENOENT) { attributes.u32_at(32) as usize } else { 0 };
        let pairs = keys.chunks(self.key_size.max(1)).zip(values.chunks(self.value_size.max(1)));
        (pairs.take(done).map(|(key, value)| (key.to_vec(), value.to_vec())).collect(), result)
    }

    /// `BPF_MAP_UPDATE_BATCH` (26) or `BPF_MAP_DELETE_BATCH` (27): how many were done, and how it ended.
    pub(crate) fn put_batch(&self, command: i32, elements: &Elements, flags: u64) -> (usize, Result<(), Failed>) {
        let mut keys = elements.iter().flat_map(|(key, _)| key.clone()).collect::<Vec<u8>>();
        let mut values = elements.iter().flat_map(|(_, value)| value.clone()).collect::<Vec<u8>>();
        let mut attributes = self.batch(&mut keys, &mut values, elements.len() as u32, flags);
        let result = bpf(command, &mut attributes).map(|_| ());
        (attributes.u32_at(32) as usize, result)
    }

    fn batch(&self, keys: &mut [u8], values: &mut [u8], count: u32, flags: u64) -> Attributes {
        Attributes::new()
            .pointer(16, Some(keys))
            .pointer(24, Some(values))
            .u32(32, count)
            .u32(36, self.fd.as_raw_fd() as u32)
            .u64(40, flags)
    }
}

/// Keys with their values.
pub(crate) type Elements = Vec<(Vec<u8>, Vec<u8>)>;

/// How many CPUs the kernel has values for.
pub(crate) fn cpus() -> usize {
    let possible = std::fs::read_to_string("/sys/devices/system/cpu/possible").unwrap_or_default();
    let last = possible.trim().rsplit(['-', ',']).next().and_then(|last| last.parse::<usize>().ok());
    last.map_or(1, |last| last + 1)
}

/// Whether this process may use the system call; says so if not.
pub(crate) fn allowed() -> bool {
    let spec = MapSpec { kind: 2, key_size: 4, value_size: 8, max_entries: 1, ..MapSpec::default() };
    match KernelMap::new(&spec, None, None) {
        Ok(_) => true,
        Err(errno) => {
            eprintln!("skipped: the kernel does not let this process make maps (errno {errno})");
            false
        }
    }
}

/// Types for a key of four bytes and a value of 40: a number, a spin lock at offset 4, and the rest.
pub(crate) fn types_with_lock() -> Result<Types, Failed> {
    const NAMES: &[u8] = b"\0u32\0u64\0bpf_spin_lock\0val\0value\0a\0lock\0rest\0";
    let name = |name: &str| {
        let text = [b"\0", name.as_bytes(), b"\0"].concat();
        NAMES.windows(text.len()).position(|window| window == text).unwrap() as u32 + 1
    };
    let (int, array, structure) = (1 << 24, 3 << 24, 4 << 24);
    #[rustfmt::skip]
    let types = [
        name("u32"), int, 4, 32,
        name("bpf_spin_lock"), structure | 1, 4, name("val"), 1, 0,
        name("u64"), int, 8, 64,
        0, array, 0, 3, 1, 4,
        name("value"), structure | 3, 40, name("a"), 1, 0, name("lock"), 2, 32, name("rest"), 4, 64,
    ];
    let types: Vec<u8> = types.iter().flat_map(|word: &u32| word.to_ne_bytes()).collect();
    let head = [0x0001_eb9f, 24, 0, types.len() as u32, types.len() as u32, NAMES.len() as u32];
    let mut blob: Vec<u8> = head.iter().flat_map(|word| word.to_ne_bytes()).collect();
    blob.extend(types);
    blob.extend(NAMES);
    let size = blob.len() as u32;
    let btf = descriptor(18, &mut Attributes::new().pointer(0, Some(&mut blob)).u32(16, size))?;
    Ok(Types { btf, key: 1, value: 5 })
}

/// The pages of a ring buffer that the kernel shares: the consumer's position, the producer's, and the data twice.
pub(crate) struct Shared {
    consumer: *mut u8,
    producer: *mut u8,
    size: usize,
}

const PAGE: usize = 4096;

impl Shared {
    pub(crate) fn new(map: &KernelMap, size: usize) -> Shared {
        let pages = |len: usize, protection: i32, at: usize| {
            let fd = map.fd.as_raw_fd();
            // SAFETY: a new mapping at a place that the system chooses.
            let start =
                unsafe { libc::mmap(std::ptr::null_mut(), len, protection, libc::MAP_SHARED, fd, at as libc::off_t) };
            assert_ne!(start, libc::MAP_FAILED);
            start.cast::<u8>()
        };
        let consumer = pages(PAGE, libc::PROT_READ | libc::PROT_WRITE, 0);
        Shared { consumer, producer: pages(PAGE + 2 * size, libc::PROT_READ, PAGE), size }
    }

    /// The next record, as libbpf reads it. Nobody else writes meanwhile.
    pub(crate) fn next(&self) -> Option<Vec<u8>> {
        loop {
            // SAFETY: both pages are mapped, and begin with a position.
            let (consumed, produced) =
                unsafe { (self.consumer.cast::<u64>().read(), self.producer.cast::<u64>().read()) };
            if consumed >= produced {
                return None;
            }
            let at = PAGE + consumed as usize % self.size;
            // SAFETY: the data are mapped twice behind the producer's page, and a record is not longer than they are
            // once.
            let head = unsafe { self.producer.add(at).cast::<u32>().read() };
            let len = (head & !(3 << 30)) as usize;
            assert!(head >> 31 == 0 && len < self.size);
            // SAFETY: as above.
            let data = unsafe { std::slice::from_raw_parts(self.producer.add(at + 8), len) }.to_vec();
            // SAFETY: the consumer's page may be written.
            unsafe { self.consumer.cast::<u64>().write(consumed + (len as u64 + 8).next_multiple_of(8)) };
            if head >> 30 == 0 {
                return Some(data);
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: these are our own mappings, with their lengths, and no reference into them is left.
        unsafe {
            libc::munmap(self.consumer.cast(), PAGE);
            libc::munmap(self.producer.cast(), PAGE + 2 * self.size);
        }
    }
}

/// Numbers that look random and are the same in each run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    }

    /// A number below an end.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }

    pub(crate) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.roll() as u8).collect()
    }
}
