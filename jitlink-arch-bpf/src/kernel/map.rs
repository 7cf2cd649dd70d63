//! Maps in the kernel.

use super::error::KernelError;
use super::sys::{self, Attr, Command, RawMap};
use crate::image::MapDefinition;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::OnceLock;

/// A map in the kernel. It lives until the last program, map or process that refers to it is gone.
#[derive(Debug)]
pub struct KernelMap {
    name: String,
    raw: RawMap,
}

/// A key and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// What a new map refers to: the BTF of its types, the map that shows what its elements are.
#[derive(Clone, Copy, Debug, Default)]
pub struct MapContext<'a> {
    /// Type information in which the definition's type ids count.
    pub types: Option<BorrowedFd<'a>>,
    /// For maps of maps: a map like those inside.
    pub inner: Option<&'a KernelMap>,
    /// For maps whose values the kernel defines: the type's id in the kernel's BTF.
    pub kernel_type: u32,
}

impl KernelMap {
    /// Creates a map. The kernel keeps the first 15 bytes of its name.
    pub fn create(definition: &MapDefinition, context: MapContext<'_>) -> Result<KernelMap, KernelError> {
        let mut attr = Attr::new(Command::MapCreate);
        attr.set(sys::map::KIND, definition.kind);
        attr.set(sys::map::MAX_ENTRIES, definition.max_entries);
        attr.set(sys::map::FLAGS, definition.flags);
        attr.set(sys::map::NUMA_NODE, definition.numa_node);
        attr.set(sys::map::EXTRA_LOW, definition.extra as u32);
        attr.set(sys::map::EXTRA_HIGH, (definition.extra >> 32) as u32);
        attr.set(sys::map::KERNEL_VALUE_TYPE, context.kernel_type);
        attr.name(sys::map::NAME, &definition.name);
        if let Some(inner) = context.inner {
            attr.set_fd(sys::map::INNER, inner.as_fd());
        }
        if let Some(types) = context.types {
            attr.set_fd(sys::map::BTF, types);
            attr.set(sys::map::KEY_TYPE, definition.types.0);
            attr.set(sys::map::VALUE_TYPE, definition.types.1);
        }
        match RawMap::create(attr, definition.key_size, definition.value_size) {
            Ok(raw) => Ok(KernelMap { name: definition.name.clone(), raw }),
            Err(error) => Err(KernelError::call(Command::MapCreate, &definition.name, error)),
        }
    }

    /// Opens a map that is pinned, and compares it with what is asked for.
    pub(super) fn pinned(definition: &MapDefinition, path: &Path) -> Result<KernelMap, KernelError> {
        let name = definition.name.clone();
        let path_name = super::path_name(path).map_err(|error| KernelError::call(Command::Get, &name, error))?;
        let (raw, numbers) = RawMap::open(&path_name).map_err(|error| KernelError::call(Command::Get, &name, error))?;
        let asked =
            [definition.kind, definition.key_size, definition.value_size, definition.max_entries, definition.flags];
        if numbers != asked {
            let what = format!(
                "the map that is pinned as {} has type, sizes, entries and flags {numbers:?}, and {asked:?} are asked for",
                path.display()
            );
            return Err(KernelError::image(name, what));
        }
        Ok(KernelMap { name, raw })
    }

    /// The map under another name than the kernel knows.
    pub(super) fn named(self, name: &str) -> KernelMap {
        KernelMap { name: name.to_owned(), ..self }
    }

    /// Writes what an arena of some bytes holds from the start.
    pub(super) fn write_arena(&self, size: u64, bytes: &[u8]) -> Result<(), KernelError> {
        self.raw.write_arena(size, bytes).map_err(|error| KernelError::call(Command::MapUpdate, &self.name, error))
    }

    /// Its name, uncut.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes of a value as [`KernelMap::lookup`] gives it: of per-CPU maps one a CPU, each rounded up to eight bytes.
    pub fn value_size(&self) -> usize {
        self.raw.value_size()
    }

    /// The value of a key, if the map has it.
    pub fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KernelError> {
        let mut value = vec![0; self.raw.value_size()];
        let found = found(self.raw.lookup(key, &mut value, 0));
        found.map(|found| found.then_some(value)).map_err(|error| self.error(Command::MapLookup, error))
    }

    /// Takes the next value out of a queue or stack, which have no keys, if there is one.
    pub fn take(&self) -> Result<Option<Vec<u8>>, KernelError> {
        let mut value = vec![0; self.raw.value_size()];
        let found = found(self.raw.take(&[], &mut value));
        found.map(|found| found.then_some(value)).map_err(|error| self.error(Command::MapTake, error))
    }

    /// Gives a key a value; `flags` are the kernel's (`BPF_ANY` is 0).
    pub fn update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), KernelError> {
        self.raw.update(key, value, flags).map_err(|error| self.error(Command::MapUpdate, error))
    }

    /// Puts a map or program into an element of a map of maps or programs.
    pub fn put(&self, key: &[u8], object: BorrowedFd<'_>) -> Result<(), KernelError> {
        use std::os::fd::AsRawFd;
        self.update(key, &object.as_raw_fd().to_ne_bytes(), 0)
    }

    /// Removes a key; tells whether it was there.
    pub fn delete(&self, key: &[u8]) -> Result<bool, KernelError> {
        found(self.raw.delete(key)).map_err(|error| self.error(Command::MapDelete, error))
    }

    /// The key after one, in the map's own order; the first if none is given.
    pub fn next_key(&self, key: Option<&[u8]>) -> Result<Option<Vec<u8>>, KernelError> {
        let mut next = vec![0; self.raw.key_size()];
        let found = found(self.raw.next_key(key, &mut next));
        found.map(|found| found.then_some(next)).map_err(|error| self.error(Command::MapNextKey, error))
    }

    /// All keys and values, of at most `limit` keys: a map that others change could go on for ever.
    pub fn entries(&self, limit: usize) -> Result<Vec<Entry>, KernelError> {
        let (mut entries, mut key) = (Vec::new(), None);
        for _ in 0..limit {
            let Some(next) = self.next_key(key.as_deref())? else { break };
            if let Some(value) = self.lookup(&next)? {
                entries.push((next.clone(), value));
            }
            key = Some(next);
        }
        Ok(entries)
    }

    /// Takes the records that programs have submitted to a ring buffer, in order, as its one consumer.
    pub fn consume(&self, each: impl FnMut(&[u8])) -> Result<(), KernelError> {
        let failed = |source| KernelError::Call { command: "mmap", object: self.name.clone(), source };
        self.raw.drain(each).map_err(failed)
    }

    /// From now on the host cannot change it.
    pub fn freeze(&self) -> Result<(), KernelError> {
        self.raw.freeze().map_err(|error| self.error(Command::MapFreeze, error))
    }

    /// Gives it a path in a BPF file system, by which it outlives this process.
    pub fn pin(&self, path: &Path) -> Result<(), KernelError> {
        super::pin(path, self.as_fd()).map_err(|error| self.error(Command::Pin, error))
    }

    fn error(&self, command: Command, error: io::Error) -> KernelError {
        KernelError::call(command, &self.name, error)
    }
}

impl AsFd for KernelMap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.raw.fd().as_fd()
    }
}

fn found(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether maps of a type have one value a CPU (`bpf_map_value_size` in the kernel).
pub(super) fn is_per_cpu(kind: u32) -> bool {
    // BPF_MAP_TYPE_PERCPU_HASH, PERCPU_ARRAY, LRU_PERCPU_HASH, PERCPU_CGROUP_STORAGE.
    matches!(kind, 5 | 6 | 10 | 21)
}

/// How many CPUs the kernel may ever have, which is how many values per-CPU maps have.
pub(super) fn possible_cpus() -> io::Result<usize> {
    static COUNT: OnceLock<usize> = OnceLock::new();
    if let Some(count) = COUNT.get() {
        return Ok(*count);
    }
    let path = "/sys/devices/system/cpu/possible";
    let text = std::fs::read_to_string(path)?;
    match count_cpus(text.trim()) {
        Some(count) => Ok(*COUNT.get_or_init(|| count)),
        None => Err(io::Error::new(io::ErrorKind::InvalidData, format!("{path} holds {text:?}"))),
    }
}

/// How many numbers a list such as `0-3,8` holds.
fn count_cpus(list: &str) -> Option<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
        last.checked_sub(first)?.checked_add(1)
    };
    list.split(',').try_fold(0usize, |sum, part| sum.checked_add(range(part)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_counted() {
        assert_eq!(count_cpus("0"), Some(1));
        assert_eq!(count_cpus("0-3"), Some(4));
        assert_eq!(count_cpus("0-3,8"), Some(5));
        assert_eq!(count_cpus("0-3,8-15"), Some(12));
        assert_eq!(count_cpus("3-0"), None);
        assert_eq!(count_cpus(""), None);
        assert!(possible_cpus().unwrap() > 0);
    }
}
