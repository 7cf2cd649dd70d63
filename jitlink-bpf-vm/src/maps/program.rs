//! What programs do with a map: the operations behind the kernel's helpers.

use super::Map;
use super::errno::{Errno, MapResult};
use super::family::Element;
use super::value::Writer;

/// A map as a program on a CPU sees it. Access that the map's flags forbid to programs gives `EPERM`; the kernel's
/// verifier does not let such programs through.
#[derive(Clone, Copy, Debug)]
pub struct OnCpu<'a> {
    map: &'a Map,
    cpu: usize,
}

impl<'a> OnCpu<'a> {
    pub(super) fn new(map: &'a Map, cpu: usize) -> OnCpu<'a> {
        OnCpu { map, cpu }
    }

    /// `bpf_map_lookup_elem`: the offset of the value in [`Map::values`].
    pub fn find(self, key: &[u8]) -> Option<usize> {
        self.map.find(key, self.cpu)
    }

    /// `bpf_map_lookup_percpu_elem`: the same for another CPU.
    pub fn find_on(self, key: &[u8], cpu: usize) -> Option<usize> {
        self.map.find(key, cpu)
    }

    /// `bpf_map_update_elem`: per-CPU maps change this CPU's value, and a new element is zero on the others.
    pub fn update(self, key: &[u8], value: &[u8], flags: u64) -> MapResult {
        self.check_write()?;
        self.map.check_key(key)?;
        self.map.family().update(key, value, flags, Writer::Cpu(self.cpu))
    }

    /// `bpf_map_delete_elem`.
    pub fn delete(self, key: &[u8]) -> MapResult {
        self.check_write()?;
        self.map.check_key(key)?;
        self.map.family().delete(key)
    }

    /// `bpf_map_push_elem`: adds to a queue, stack or bloom filter.
    pub fn push(self, value: &[u8], flags: u64) -> MapResult {
        self.check_write()?;
        self.map.family().push(value, flags)
    }

    /// `bpf_map_pop_elem`: takes from a queue or stack. `value` is zero where there is nothing (`ENOENT`).
    pub fn pop(self, value: &mut [u8]) -> MapResult {
        self.check_write()?;
        self.map.family().pop(value)
    }

    /// `bpf_map_peek_elem`: looks at what [`OnCpu::pop`] would take, or asks a bloom filter whether it may have the
    /// value.
    pub fn peek(self, value: &mut [u8]) -> MapResult {
        self.map.family().peek(value)
    }

    /// `bpf_for_each_map_elem`, in steps: some elements, with the place of this CPU's value. `cursor` starts at zero.
    /// None at the end, which comes whatever others do.
    pub fn step(self, cursor: &mut u64) -> Option<Vec<Element>> {
        let mut elements = self.map.family().step(cursor)?;
        if self.map.kind.is_percpu() {
            let stride = (self.map.spec.value_size as usize).next_multiple_of(8);
            for element in &mut elements {
                element.offset += stride * self.cpu.min(self.map.cpus - 1);
            }
        }
        Some(elements)
    }

    fn check_write(self) -> MapResult {
        if self.map.program_access().1 {
            return Ok(());
        }
        Err(Errno::PERM.because("programs may only read this map"))
    }
}
