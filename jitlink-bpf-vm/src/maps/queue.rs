//! Queues and stacks: values without keys, that are added and taken at the ends.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::errno::{Errno, MapResult};
use super::family::Family;
use super::kind::MapKind;
use super::spec::{MapHost, MapSpec, flag};
use super::value::{Writer, allocate};
use crate::memory::Memory;

/// The kernel's largest allocation.
pub(super) const ALLOCATION_LIMIT: u32 = 4 << 20;

/// A queue or a stack: a ring of places for values.
#[derive(Debug)]
pub(super) struct Queue {
    values: Memory,
    size: usize,
    stride: usize,
    entries: u32,
    newest_first: bool,
    ends: Mutex<Ends>,
}

/// Which places are in use.
#[derive(Debug)]
struct Ends {
    /// The oldest value.
    first: u32,
    /// How many there are.
    count: u32,
}

impl Queue {
    /// Checks the definition as the kernel does (`queue_stack_map_alloc_check`) and makes an empty one.
    pub(super) fn new(spec: &MapSpec, kind: MapKind, host: &MapHost) -> MapResult<Queue> {
        MapSpec::check_size("max_entries", spec.max_entries, 1..=u32::MAX)?;
        MapSpec::check_size("key_size", spec.key_size, 0..=0)?;
        MapSpec::check_size("value_size", spec.value_size, 1..=u32::MAX)?;
        spec.check_flags(flag::NUMA_NODE | flag::ACCESS)?;
        check_value_size(spec)?;
        let size = spec.value_size as usize;
        let stride = size.next_multiple_of(8);
        Ok(Queue {
            values: allocate(u128::from(spec.max_entries) * stride as u128, host)?,
            size,
            stride,
            entries: spec.max_entries,
            newest_first: kind == MapKind::Stack,
            ends: Mutex::new(Ends { first: 0, count: 0 }),
        })
    }

    fn ends(&self) -> MutexGuard<'_, Ends> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place so many behind the first.
    fn place(&self, first: u32, behind: u32) -> u32 {
        ((u64::from(first) + u64::from(behind)) % u64::from(self.entries)) as u32
    }

    /// Copies out what is next, which `taken` says to remove.
    fn next(&self, value: &mut [u8], taken: u32) -> MapResult {
        self.check(value)?;
        let mut ends = self.ends();
        if ends.count == 0 {
            value.fill(0);
            return Err(Errno::NOENT.because("there is no value"));
        }
        let place = if self.newest_first { self.place(ends.first, ends.count - 1) } else { ends.first };
        self.values.read(place as usize * self.stride, value);
        if !self.newest_first {
            ends.first = self.place(ends.first, taken);
        }
        ends.count -= taken;
        Ok(())
    }

    fn check(&self, value: &[u8]) -> MapResult {
        check_value(value, self.size)
    }

    fn keyless<T>(&self) -> MapResult<T> {
        Err(Errno::INVAL.because("queues and stacks have no keys"))
    }
}

/// Refuses values that the kernel would not allocate.
pub(super) fn check_value_size(spec: &MapSpec) -> MapResult {
    if spec.value_size > ALLOCATION_LIMIT {
        return Err(Errno::TOO_BIG.because(format!("a value of {} bytes is too large", spec.value_size)));
    }
    Ok(())
}

/// Refuses a value of another length.
pub(super) fn check_value(value: &[u8], wanted: usize) -> MapResult {
    if value.len() != wanted {
        return Err(Errno::INVAL.because(format!("the value has {} bytes rather than {wanted}", value.len())));
    }
    Ok(())
}

impl Family for Queue {
    fn lookup(&self, _key: &[u8], _flags: u64) -> MapResult<Vec<u8>> {
        let mut value = vec![0; self.size];
        self.peek(&mut value)?;
        Ok(value)
    }

    fn update(&self, _key: &[u8], value: &[u8], flags: u64, by: Writer) -> MapResult {
        match by {
            Writer::Host => self.push(value, flags),
            Writer::Cpu(_) => self.keyless(),
        }
    }

    fn delete(&self, _key: &[u8]) -> MapResult {
        self.keyless()
    }

    fn next_key(&self, _key: Option<&[u8]>) -> MapResult<Vec<u8>> {
        self.keyless()
    }

    fn take(&self, _key: &[u8], _flags: u64) -> MapResult<Vec<u8>> {
        let mut value = vec![0; self.size];
        self.pop(&mut value)?;
        Ok(value)
    }

    fn push(&self, value: &[u8], flags: u64) -> MapResult {
        if flags != flag::ANY && flags != flag::EXIST {
            return Err(Errno::INVAL.because(format!("there are no flags {flags:#x} for adding a value")));
        }
        self.check(value)?;
        let mut ends = self.ends();
        if ends.count == self.entries {
            if flags != flag::EXIST {
                return Err(Errno::TOO_BIG.because("the map is full"));
            }
            ends.first = self.place(ends.first, 1);
            ends.count -= 1;
        }
        let place = self.place(ends.first, ends.count);
        self.values.write(place as usize * self.stride, value);
        ends.count += 1;
        Ok(())
    }

    fn pop(&self, value: &mut [u8]) -> MapResult {
        self.next(value, 1)
    }

    fn peek(&self, value: &mut [u8]) -> MapResult {
        self.next(value, 0)
    }
}
