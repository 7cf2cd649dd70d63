//! Addresses of the target, and its byte order. A target address is never a `usize`: the target may be another machine.

use std::fmt;
use std::ops::{Add, Sub};

/// An address in the target's memory.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Addr(pub u64);

impl Addr {
    /// The address rounded up to a multiple of `align`, which is a power of two; `None` past the end of memory.
    pub fn align_up(self, align: u64) -> Option<Addr> {
        debug_assert!(align.is_power_of_two());
        Some(Addr(self.0.checked_add(align - 1)? & !(align - 1)))
    }

    /// The distance from `base` to this address, which wraps around the end of memory.
    pub fn offset_from(self, base: Addr) -> u64 {
        self.0.wrapping_sub(base.0)
    }
}

impl Add<u64> for Addr {
    type Output = Addr;
    fn add(self, offset: u64) -> Addr {
        Addr(self.0.wrapping_add(offset))
    }
}

impl Sub<u64> for Addr {
    type Output = Addr;
    fn sub(self, offset: u64) -> Addr {
        Addr(self.0.wrapping_sub(offset))
    }
}

impl fmt::Debug for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// Addresses from `start` to `last`, both included, so that a range may reach the end of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddrRange {
    /// The first address.
    pub start: Addr,
    /// The last address.
    pub last: Addr,
}

impl AddrRange {
    /// All of memory.
    pub const ALL: AddrRange = AddrRange { start: Addr(0), last: Addr(u64::MAX) };

    /// The `size` bytes from `start`; an empty range still holds its start.
    pub fn new(start: Addr, size: u64) -> AddrRange {
        AddrRange { start, last: Addr(start.0.saturating_add(size.max(1) - 1)) }
    }

    /// Whether the `size` bytes from `addr` lie inside.
    pub fn contains(&self, addr: Addr, size: u64) -> bool {
        let inner = AddrRange::new(addr, size);
        addr.0.checked_add(size.max(1) - 1).is_some() && self.start <= inner.start && inner.last <= self.last
    }

    /// What lies in both ranges.
    pub fn intersect(&self, other: &AddrRange) -> Option<AddrRange> {
        let both = AddrRange { start: self.start.max(other.start), last: self.last.min(other.last) };
        (both.start <= both.last).then_some(both)
    }

    /// The smallest range that holds both.
    pub fn union(&self, other: &AddrRange) -> AddrRange {
        AddrRange { start: self.start.min(other.start), last: self.last.max(other.last) }
    }
}

/// The order of the bytes of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endian {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

impl Endian {
    /// The byte order of this process.
    pub const NATIVE: Endian = if cfg!(target_endian = "little") { Endian::Little } else { Endian::Big };

    /// The name used in link maps: `little` or `big`.
    pub fn name(self) -> &'static str {
        match self {
            Endian::Little => "little",
            Endian::Big => "big",
        }
    }

    /// Reads the word of `bytes.len()` bytes (at most eight).
    #[inline]
    pub fn read(self, bytes: &[u8]) -> u64 {
        match (self, bytes.len()) {
            (Endian::Little, 4) => u64::from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])),
            (Endian::Little, _) => bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
            (Endian::Big, _) => bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
        }
    }

    /// Writes the low `bytes.len()` bytes (at most eight) of `word`.
    #[inline]
    pub fn write(self, bytes: &mut [u8], word: u64) {
        let count = bytes.len();
        match self {
            Endian::Little => bytes.copy_from_slice(&word.to_le_bytes()[..count]),
            Endian::Big => bytes.copy_from_slice(&word.to_be_bytes()[8 - count..]),
        }
    }
}
