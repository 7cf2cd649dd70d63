//! How a value lies in the memory of its map, and how it is copied in and out.
//!
//! Values start at multiples of eight. A per-CPU map has one for each CPU, one behind the other, so that what the host
//! sees (the kernel's layout: each CPU's value rounded up to eight bytes) is a single run. Locks and timers in a value
//! are not data: copies leave locks as they are, and the host sees zeros. A timer ends with the value that it is in:
//! its field becomes zero when the value is replaced or deleted, so whoever runs timers finds there that it is not the
//! one that was started.

use super::errno::{Errno, MapResult};
use super::spec::{MapHost, MapSpec, flag};
use super::spin;
use crate::memory::Memory;

/// Who writes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writer {
    /// The host, which gives the values of all CPUs.
    Host,
    /// A program on a CPU, which only has its own value.
    Cpu(usize),
}

/// The shape of an element's value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// Bytes that a program sees.
    pub(super) size: usize,
    /// Bytes from the value of one CPU to the next.
    pub(super) stride: usize,
    /// How many values there are; one unless the map is per CPU.
    pub(super) cpus: usize,
    percpu: bool,
    lock: Option<usize>,
    timer: Option<usize>,
}

impl Layout {
    /// The shape of a map's values.
    pub(super) fn new(spec: &MapSpec, percpu: bool, host: &MapHost) -> Layout {
        let size = spec.value_size as usize;
        Layout {
            size,
            stride: size.next_multiple_of(8),
            cpus: if percpu { host.cpus.max(1) } else { 1 },
            percpu,
            lock: spec.lock_offset.map(|offset| offset as usize),
            timer: spec.timer_offset.map(|offset| offset as usize),
        }
    }

    /// Bytes of the values of all CPUs.
    pub(super) fn element(&self) -> usize {
        self.stride * self.cpus
    }

    /// Bytes that the host reads and writes.
    pub(super) fn host_size(&self) -> usize {
        if self.percpu { self.element() } else { self.size }
    }

    /// Where a CPU's value is, in an element at an offset.
    pub(super) fn on_cpu(&self, at: usize, cpu: usize) -> usize {
        if self.percpu { at + cpu * self.stride } else { at }
    }

    /// Whether a value is updated where it stands, rather than replaced by a new element.
    pub(super) fn in_place(&self) -> bool {
        self.percpu
    }

    /// Refuses a value of another length, and a CPU that there is not.
    pub(super) fn check(&self, value: &[u8], by: Writer) -> MapResult {
        let wanted = match by {
            Writer::Host => self.host_size(),
            Writer::Cpu(cpu) if self.percpu && cpu >= self.cpus => {
                return Err(Errno::INVAL.because(format!("there is no CPU {cpu}")));
            }
            Writer::Cpu(_) => self.size,
        };
        if value.len() == wanted {
            return Ok(());
        }
        Err(Errno::INVAL.because(format!("the value has {} bytes rather than {wanted}", value.len())))
    }

    /// Refuses `BPF_F_LOCK` for values without a lock.
    pub(super) fn check_lock(&self, flags: u64) -> MapResult {
        if flags & flag::LOCK != 0 && self.lock.is_none() {
            return Err(Errno::INVAL.because("BPF_F_LOCK, but the values have no bpf_spin_lock"));
        }
        Ok(())
    }

    /// Copies a checked value over an element at an offset.
    pub(super) fn store(&self, memory: &Memory, at: usize, value: &[u8], by: Writer) {
        let at = match by {
            Writer::Cpu(cpu) => self.on_cpu(at, cpu),
            Writer::Host => at,
        };
        if self.lock.is_none() && self.timer.is_none() {
            return memory.write(at, value);
        }
        self.around_fields(|start, end| memory.write(at + start, &value[start..end]));
    }

    /// The same with the lock held if the flags ask for it.
    pub(super) fn store_locked(&self, memory: &Memory, at: usize, value: &[u8], flags: u64) -> MapResult {
        match self.lock {
            Some(lock) if flags & flag::LOCK != 0 => {
                spin::with(memory, at + lock, || self.store(memory, at, value, Writer::Host))
            }
            _ => {
                self.store(memory, at, value, Writer::Host);
                Ok(())
            }
        }
    }

    /// Ends what lives in an element beside its data, when it is replaced or deleted.
    pub(super) fn drop_fields(&self, memory: &Memory, at: usize) {
        if let Some(timer) = self.timer {
            memory.fill(at + timer, 16, 0);
        }
    }

    /// Makes a new element of what was another: what `value` does not give is zero.
    pub(super) fn create(&self, memory: &Memory, at: usize, value: &[u8], by: Writer) {
        let partial = self.percpu && by != Writer::Host;
        if partial || self.lock.is_some() || self.timer.is_some() || !self.size.is_multiple_of(8) {
            memory.fill(at, self.element(), 0);
        }
        self.store(memory, at, value, by);
    }

    /// Copies an element to the host, with the lock held if the flags ask for it.
    pub(super) fn load(&self, memory: &Memory, at: usize, flags: u64) -> MapResult<Vec<u8>> {
        let mut value = match self.lock {
            Some(lock) if flags & flag::LOCK != 0 => {
                spin::with(memory, at + lock, || memory.to_vec(at, self.host_size()))?
            }
            _ => memory.to_vec(at, self.host_size()),
        };
        if let Some(lock) = self.lock {
            value[lock..lock + 4].fill(0);
        }
        if let Some(timer) = self.timer {
            value[timer..timer + 16].fill(0);
        }
        Ok(value)
    }

    /// Calls for each run of bytes between lock and timer.
    fn around_fields(&self, mut copy: impl FnMut(usize, usize)) {
        let mut fields = [self.lock.map(|at| (at, at + 4)), self.timer.map(|at| (at, at + 16))];
        fields.sort_unstable();
        let mut done = 0;
        for (start, end) in fields.into_iter().flatten() {
            if done < start {
                copy(done, start);
            }
            done = done.max(end);
        }
        if done < self.size {
            copy(done, self.size);
        }
    }
}

/// Zeroed memory for a map, within what the host grants and what 32 bits of offset reach.
pub(super) fn allocate(bytes: u128, host: &MapHost) -> MapResult<Memory> {
    let limit = u128::from(host.memory).min(1 << 32);
    if bytes > limit {
        return Err(Errno::NOMEM.because(format!("the map needs {bytes} bytes and may have {limit}")));
    }
    let len = usize::try_from(bytes)
        .map_err(|_| Errno::NOMEM.because("the map needs more bytes than there are addresses"))?;
    Memory::zeroed(len).map_err(|error| Errno::NOMEM.because(error.to_string()))
}
