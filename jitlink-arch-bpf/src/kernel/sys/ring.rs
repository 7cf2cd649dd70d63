//! The memory by which the kernel hands records of ring buffers over (kernel/bpf/ringbuf.c).
//!
//! The first page of a map of this type holds the consumer's position, which the consumer writes. The second holds the producer's,
//! and the data follows, twice, so that no record is cut where the buffer ends.

use super::{RawMap, numbers};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The number of this type of maps (`BPF_MAP_TYPE_RINGBUF`).
const RING: u32 = 27;
/// What a record's length says besides: it is still being written; nobody wants it (`BPF_RINGBUF_BUSY_BIT`, `…_DISCARD_BIT`).
const BUSY: u32 = 1 << 31;
const DISCARDED: u32 = 1 << 30;
/// A record's length, and where its page is.
const HEADER: usize = 8;

/// Memory of a map. **Invariant:** `size` bytes from `start` are mapped, and can be read, as long as this lives.
struct Mapping {
    start: *mut u8,
    size: usize,
}

impl Mapping {
    fn new(map: &RawMap, size: usize, protection: i32, offset: usize) -> io::Result<Mapping> {
        let fd = map.fd.as_raw_fd();
        // SAFETY: the kernel chooses where the new mapping is, so it replaces none.
        let start =
            unsafe { libc::mmap(std::ptr::null_mut(), size, protection, libc::MAP_SHARED, fd, offset as libc::off_t) };
        if start == libc::MAP_FAILED {
            Err(io::Error::last_os_error())
        } else {
            Ok(Mapping { start: start.cast(), size })
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it was mapped, as long as this, and nothing refers to it any more.
        unsafe { libc::munmap(self.start.cast(), self.size) };
    }
}

impl RawMap {
    /// Takes the records that were submitted, in order.
    pub(in crate::kernel) fn drain(&self, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what);
        let [kind, _, _, entries, _] = numbers(self.fd.as_fd())?;
        let data = entries as usize;
        if kind != RING || !data.is_power_of_two() {
            return Err(invalid("the map is no ring buffer"));
        }
        // SAFETY: it only asks for a number.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).map_err(io::Error::other)?;
        let consumer = Mapping::new(self, page, libc::PROT_READ | libc::PROT_WRITE, 0)?;
        let shared = Mapping::new(self, page + 2 * data, libc::PROT_READ, page)?;
        // SAFETY: both are aligned words at the starts of mappings that outlive these, which kernel and consumers access atomically.
        let (taken, given) = unsafe { (&*consumer.start.cast::<AtomicU64>(), &*shared.start.cast::<AtomicU64>()) };
        let (mut at, until) = (taken.load(Ordering::Acquire), given.load(Ordering::Acquire));
        while at < until {
            // SAFETY: less than `data`, so it lies within the mapping.
            let record = unsafe { shared.start.add(page + (at as usize & (data - 1))) };
            if !record.cast::<AtomicU32>().is_aligned() {
                return Err(invalid("the ring buffer's positions are not those of records"));
            }
            // SAFETY: an aligned word within the first copy of the data, or just behind it in the second, that the kernel stores atomically.
            let header = unsafe { &*record.cast::<AtomicU32>() }.load(Ordering::Acquire);
            if header & BUSY != 0 {
                break;
            }
            let length = (header & !DISCARDED) as usize;
            if length > data - HEADER {
                return Err(invalid("a record of the ring buffer is longer than the buffer"));
            }
            if header & DISCARDED == 0 {
                let mut bytes = vec![0; length];
                // SAFETY: at most `data` bytes from a place in the first copy, so within both; the kernel leaves a submitted record
                // alone until it is taken, and if another consumer takes it the bytes are others, but there.
                unsafe { std::ptr::copy_nonoverlapping(record.add(HEADER), bytes.as_mut_ptr(), length) };
                each(&bytes);
            }
            at += (length + HEADER).next_multiple_of(8) as u64;
            taken.store(at, Ordering::Release);
        }
        Ok(())
    }
}
