//! Arrays: elements with the numbers from zero, all of which exist from the start, with one value or one a CPU.

use std::sync::Arc;

use super::errno::{Errno, MapError, MapResult};
use super::family::{Batches, Element, Family, check_update};
use super::kind::MapKind;
use super::spec::{MapHost, MapSpec, flag};
use super::value::{Layout, Writer, allocate};
use crate::memory::Memory;

/// The largest value that the kernel's per-CPU allocator gives.
pub(super) const PERCPU_LIMIT: usize = 32 << 10;

/// How many elements one step of iteration takes.
const STEP: u64 = 64;

/// An array, or the table under one of its relatives.
#[derive(Debug)]
pub(super) struct Array {
    values: Arc<Memory>,
    entries: u32,
    layout: Layout,
}

impl Array {
    /// Checks the definition as the kernel does and makes an array of zeros.
    pub(super) fn new(spec: &MapSpec, kind: MapKind, host: &MapHost) -> MapResult<Array> {
        check(spec, kind)?;
        let percpu = kind == MapKind::PercpuArray;
        let layout = Layout::new(spec, percpu, host);
        let bytes = u128::from(spec.max_entries) * layout.element() as u128;
        Ok(Array { values: Arc::new(allocate(bytes, host)?), entries: spec.max_entries, layout })
    }

    /// Where a program's code may compute places itself: entries, and bytes from one to the next.
    pub(super) fn shape(&self) -> (u32, usize) {
        (self.entries, self.layout.element())
    }

    /// The place of the element with a number.
    pub(super) fn element(&self, index: u32) -> Option<usize> {
        (index < self.entries).then(|| index as usize * self.layout.element())
    }

    /// The element that a key names.
    fn at(&self, key: &[u8]) -> Option<usize> {
        self.element(index(key))
    }
}

/// The number in a key of four bytes.
pub(super) fn index(key: &[u8]) -> u32 {
    key.try_into().map_or(u32::MAX, u32::from_ne_bytes)
}

/// The key behind a key in an array.
pub(super) fn next_index(key: Option<&[u8]>, entries: u32) -> MapResult<Vec<u8>> {
    let next = match key.map(index) {
        Some(index) if index < entries => index + 1,
        _ => 0,
    };
    if next == entries {
        return Err(Errno::NOENT.because("that was the last element"));
    }
    Ok(next.to_ne_bytes().to_vec())
}

/// The element is behind the end of an array.
pub(super) fn outside(key: &[u8], entries: u32, errno: Errno) -> MapError {
    let index = index(key);
    errno.because(format!("there is no element {index} in an array of {entries}"))
}

/// The kernel's checks for arrays (`array_map_alloc_check`).
pub(super) fn check(spec: &MapSpec, kind: MapKind) -> MapResult {
    let percpu = kind == MapKind::PercpuArray;
    MapSpec::check_size("max_entries", spec.max_entries, 1..=u32::MAX)?;
    MapSpec::check_size("key_size", spec.key_size, 4..=4)?;
    MapSpec::check_size("value_size", spec.value_size, 1..=u32::MAX)?;
    let mut allowed = flag::NUMA_NODE | flag::ACCESS;
    match kind {
        MapKind::Array => allowed |= flag::MMAPABLE | flag::INNER_MAP,
        MapKind::PerfEventArray => allowed |= flag::PRESERVE_ELEMS,
        _ => {}
    }
    spec.check_flags(allowed)?;
    if percpu && spec.pinned_to_node() {
        return Err(Errno::INVAL.because("values of all CPUs cannot come from one NUMA node"));
    }
    check_value_size(spec, percpu)
}

/// Refuses values that are too large for the kernel.
pub(super) fn check_value_size(spec: &MapSpec, percpu: bool) -> MapResult {
    let size = spec.value_size;
    if i32::try_from(size).is_err() {
        return Err(Errno::TOO_BIG.because(format!("a value of {size} bytes is too large")));
    }
    if percpu && (size as usize).next_multiple_of(8) > PERCPU_LIMIT {
        return Err(Errno::TOO_BIG.because(format!("{size} bytes a CPU are more than {PERCPU_LIMIT}")));
    }
    Ok(())
}

impl Family for Array {
    fn values(&self) -> Option<&Arc<Memory>> {
        Some(&self.values)
    }

    fn find(&self, key: &[u8], cpu: usize) -> Option<usize> {
        self.at(key).filter(|_| cpu < self.layout.cpus || !self.layout.in_place()).map(|at| self.layout.on_cpu(at, cpu))
    }

    fn lookup(&self, key: &[u8], flags: u64) -> MapResult<Vec<u8>> {
        let at = self.at(key).ok_or_else(|| outside(key, self.entries, Errno::NOENT))?;
        self.layout.load(&self.values, at, flags)
    }

    fn update(&self, key: &[u8], value: &[u8], flags: u64, by: Writer) -> MapResult {
        let host_percpu = self.layout.in_place() && by == Writer::Host;
        check_update(flags, if host_percpu { 0 } else { flag::LOCK })?;
        let at = self.at(key).ok_or_else(|| outside(key, self.entries, Errno::TOO_BIG))?;
        if flags & flag::NOEXIST != 0 {
            return Err(Errno::EXIST.because("all elements of an array exist"));
        }
        self.layout.check_lock(flags)?;
        self.layout.check(value, by)?;
        if flags & flag::LOCK != 0 {
            self.layout.store_locked(&self.values, at, value, flags)?;
        } else {
            self.layout.store(&self.values, at, value, by);
        }
        self.layout.drop_fields(&self.values, at);
        Ok(())
    }

    fn delete(&self, _key: &[u8]) -> MapResult {
        Err(Errno::INVAL.because("elements of an array cannot be deleted"))
    }

    fn next_key(&self, key: Option<&[u8]>) -> MapResult<Vec<u8>> {
        next_index(key, self.entries)
    }

    fn step(&self, cursor: &mut u64) -> Option<Vec<Element>> {
        let start = *cursor;
        let end = start.saturating_add(STEP).min(u64::from(self.entries));
        if start >= end {
            return None;
        }
        *cursor = end;
        let elements = (start as u32..end as u32)
            .map(|index| Element { key: index.to_ne_bytes().to_vec(), offset: index as usize * self.layout.element() });
        Some(elements.collect())
    }

    fn batches(&self) -> Batches {
        Batches::Values
    }
}
