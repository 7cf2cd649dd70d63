//! Bloom filters: sets that may say that a value is there when it is not, and never the reverse.
//!
//! Each value sets a few bits, and is taken to be there if all of them are set.

use super::chains::hash;
use super::errno::{Errno, MapResult};
use super::family::{Family, missing};
use super::queue::{check_value, check_value_size};
use super::spec::{MapHost, MapSpec, flag};
use super::value::{Writer, allocate};
use super::{Map, Store};
use crate::memory::Memory;
use std::sync::atomic::Ordering;

/// How many bits a value sets if the definition does not say.
const HASHES: u64 = 5;

/// A bloom filter.
#[derive(Debug)]
pub(super) struct Bloom {
    bits: Memory,
    mask: u32,
    hashes: u64,
    size: usize,
    seed: u64,
}

impl Bloom {
    /// Checks the definition as the kernel does and makes an empty filter. Where all entries are used, about one value
    /// of a hundred that are not there is taken to be.
    pub(super) fn new(spec: &MapSpec, host: &MapHost) -> MapResult<Bloom> {
        check_value_size(spec)?;
        MapSpec::check_size("key_size", spec.key_size, 0..=0)?;
        MapSpec::check_size("value_size", spec.value_size, 1..=u32::MAX)?;
        MapSpec::check_size("max_entries", spec.max_entries, 1..=u32::MAX)?;
        spec.check_flags(flag::NUMA_NODE | flag::ZERO_SEED | flag::ACCESS)?;
        if spec.extra > 15 {
            return Err(Errno::INVAL.because(format!("map_extra asks for {} hashes; there are up to 15", spec.extra)));
        }
        let hashes = if spec.extra == 0 { HASHES } else { spec.extra };
        // As many bits as keep half of them zero: entries * hashes / ln 2.
        let bits = u64::from(spec.max_entries).saturating_mul(hashes) / 5 * 7;
        let mask = match bits {
            0..64 => 63,
            64..0x8000_0001 => (bits.next_power_of_two() - 1) as u32,
            _ => u32::MAX,
        };
        let seed = if spec.has(flag::ZERO_SEED) { 0 } else { host.seed };
        let bits = allocate((u128::from(mask) + 1) / 8, host)?;
        Ok(Bloom { bits, mask, hashes, size: spec.value_size as usize, seed })
    }

    /// The bits of a value: each as a place and a word with that bit.
    fn bits_of<'a>(&'a self, value: &'a [u8]) -> impl Iterator<Item = (usize, u64)> + 'a {
        (0..self.hashes).map(move |index| {
            let bit = hash(self.seed.wrapping_add(index), value) & self.mask;
            ((bit / 64) as usize * 8, 1 << (bit % 64))
        })
    }
}

impl Map {
    /// Asks a bloom filter whether it may have a value: `ENOENT` if it has not (`BPF_MAP_LOOKUP_ELEM`, which takes the
    /// value there).
    pub fn contains(&self, value: &[u8]) -> MapResult {
        self.check_read()?;
        match &self.store {
            Store::Bloom(bloom) => bloom.peek(&mut value.to_vec()),
            _ => Err(missing(Errno::NOTSUPP)),
        }
    }
}

impl Family for Bloom {
    fn lookup(&self, _key: &[u8], _flags: u64) -> MapResult<Vec<u8>> {
        Err(Errno::INVAL.because("bloom filters have no keys and only tell whether they contain a value"))
    }

    fn update(&self, _key: &[u8], value: &[u8], flags: u64, by: Writer) -> MapResult {
        match by {
            Writer::Host => self.push(value, flags),
            Writer::Cpu(_) => Err(Errno::INVAL.because("bloom filters have no keys")),
        }
    }

    fn delete(&self, _key: &[u8]) -> MapResult {
        Err(missing(Errno::OPNOTSUPP))
    }

    fn next_key(&self, _key: Option<&[u8]>) -> MapResult<Vec<u8>> {
        Err(missing(Errno::OPNOTSUPP))
    }

    fn push(&self, value: &[u8], flags: u64) -> MapResult {
        if flags != flag::ANY {
            return Err(Errno::INVAL.because(format!("there are no flags {flags:#x} for adding a value")));
        }
        check_value(value, self.size)?;
        for (place, bit) in self.bits_of(value) {
            self.bits.word(place).fetch_or(bit, Ordering::Relaxed);
        }
        Ok(())
    }

    fn pop(&self, _value: &mut [u8]) -> MapResult {
        Err(missing(Errno::OPNOTSUPP))
    }

    fn peek(&self, value: &mut [u8]) -> MapResult {
        check_value(value, self.size)?;
        let there = self.bits_of(value).all(|(place, bit)| self.bits.word(place).load(Ordering::Relaxed) & bit != 0);
        if there { Ok(()) } else { Err(Errno::NOENT.because("the filter does not have the value")) }
    }
}
