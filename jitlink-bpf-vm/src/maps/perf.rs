//! Perf event arrays: a channel a CPU, by which programs send records to the host.
//!
//! In the kernel the host opens an event for each CPU and stores its descriptor. Here it opens a channel at an index,
//! for the CPU of that number, and consumes records from it. A full channel drops what is new and counts it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::array::{next_index, outside};
use super::errno::{Errno, MapResult};
use super::family::{Family, check_update, missing};
use super::kind::MapKind;
use super::spec::MapSpec;
use super::table::check_fd_array;
use super::value::Writer;
use super::{Map, Store};

/// The index that means the CPU that the program runs on, and all bits of an index (`BPF_F_CURRENT_CPU`,
/// `BPF_F_INDEX_MASK`).
const CURRENT_CPU: u64 = 0xffff_ffff;

/// The largest record: a perf record counts its size, header and all, in 16 bits.
const RECORD_LIMIT: usize = u16::MAX as usize - 32;

/// What a record takes beside its data.
const OVERHEAD: usize = 16;

/// Channels for records.
#[derive(Debug)]
pub struct Perf {
    entries: u32,
    channels: Mutex<BTreeMap<u32, Channel>>,
}

#[derive(Debug, Default)]
struct Channel {
    capacity: usize,
    used: usize,
    lost: u64,
    records: VecDeque<Vec<u8>>,
}

impl Perf {
    /// Checks the definition as the kernel does and makes an array without channels.
    pub(super) fn new(spec: &MapSpec) -> MapResult<Perf> {
        check_fd_array(spec, MapKind::PerfEventArray)?;
        Ok(Perf { entries: spec.max_entries, channels: Mutex::default() })
    }

    /// Opens a channel for the CPU `index`, that holds up to `capacity` bytes of records, or empties it if it is open.
    /// `E2BIG` behind the end of the array.
    pub fn open(&self, index: u32, capacity: usize) -> MapResult {
        if index >= self.entries {
            return Err(outside(&index.to_ne_bytes(), self.entries, Errno::TOO_BIG));
        }
        self.channels().insert(index, Channel { capacity, ..Channel::default() });
        Ok(())
    }

    /// Sends a record from a program on a CPU (`bpf_perf_event_output`). The low half of the flags is the index, all
    /// ones for the CPU's own. `EINVAL` for other flags, `E2BIG` behind the end of the array or for more than 64 KiB,
    /// `ENOENT` where no channel is open, `EOPNOTSUPP` for another CPU's, `ENOSPC` if it is full.
    pub fn output(&self, data: &[u8], flags: u64, cpu: usize) -> MapResult {
        if flags & !CURRENT_CPU != 0 {
            return Err(Errno::INVAL.because(format!("there are no flags {flags:#x} for output")));
        }
        let index = if flags == CURRENT_CPU { cpu as u64 } else { flags };
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        if index >= self.entries {
            return Err(outside(&index.to_ne_bytes(), self.entries, Errno::TOO_BIG));
        }
        if data.len() > RECORD_LIMIT {
            return Err(Errno::TOO_BIG.because(format!("a record of {} bytes is too large", data.len())));
        }
        let mut channels = self.channels();
        let channel = channels.get_mut(&index).ok_or_else(|| Errno::NOENT.because("no channel is open there"))?;
        if index as usize != cpu {
            return Err(Errno::OPNOTSUPP.because(format!("the channel is for CPU {index}, and this is {cpu}")));
        }
        let size = data.len() + OVERHEAD;
        if size > channel.capacity - channel.used {
            channel.lost += 1;
            return Err(Errno::NOSPC.because("the channel is full"));
        }
        channel.used += size;
        channel.records.push_back(data.to_vec());
        Ok(())
    }

    /// The next record of a channel.
    pub fn next(&self, index: u32) -> Option<Vec<u8>> {
        let mut channels = self.channels();
        let channel = channels.get_mut(&index)?;
        let record = channel.records.pop_front()?;
        channel.used -= record.len() + OVERHEAD;
        Some(record)
    }

    /// Calls for each record that is there now, channel by channel, with the CPU, and tells how many there were.
    pub fn consume(&self, mut each: impl FnMut(u32, &[u8])) -> usize {
        let waiting: Vec<(u32, usize)> =
            self.channels().iter().map(|(index, channel)| (*index, channel.records.len())).collect();
        let mut count = 0;
        for (index, records) in waiting {
            for record in std::iter::from_fn(|| self.next(index)).take(records) {
                each(index, &record);
                count += 1;
            }
        }
        count
    }

    /// How many records of a channel were dropped because it was full.
    pub fn lost(&self, index: u32) -> u64 {
        self.channels().get(&index).map_or(0, |channel| channel.lost)
    }

    fn channels(&self) -> MutexGuard<'_, BTreeMap<u32, Channel>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Map {
    /// The channels of a map of type `perf_event_array`.
    pub fn perf(&self) -> Option<&Perf> {
        match &self.store {
            Store::Perf(perf) => Some(perf),
            _ => None,
        }
    }
}

impl Family for Perf {
    fn lookup(&self, _key: &[u8], _flags: u64) -> MapResult<Vec<u8>> {
        Err(missing(Errno::NOTSUPP))
    }

    fn update(&self, key: &[u8], _value: &[u8], flags: u64, by: Writer) -> MapResult {
        if by != Writer::Host || flags != 0 {
            check_update(flags, 0)?;
            return Err(Errno::INVAL.because("only the host opens channels, without flags"));
        }
        if super::array::index(key) >= self.entries {
            return Err(outside(key, self.entries, Errno::TOO_BIG));
        }
        Err(Errno::BADF.because("a channel is opened with Perf::open, and bytes name none"))
    }

    fn delete(&self, key: &[u8]) -> MapResult {
        let index = super::array::index(key);
        if index >= self.entries {
            return Err(outside(key, self.entries, Errno::TOO_BIG));
        }
        match self.channels().remove(&index) {
            Some(_) => Ok(()),
            None => Err(Errno::NOENT.because("no channel is open there")),
        }
    }

    fn next_key(&self, key: Option<&[u8]>) -> MapResult<Vec<u8>> {
        next_index(key, self.entries)
    }
}
