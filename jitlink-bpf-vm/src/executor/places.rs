//! Which addresses of linked memory are in use.

use crate::address::{self, CODE_REGION, DATA_REGIONS};
use jitlink_core::executor::{ExecutorError, SegmentRequest};
use jitlink_core::graph::Protection;
use jitlink_core::{Addr, AddrRange};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What code is aligned to at least.
pub(super) const PAGE: u64 = 4096;
/// The size of a region.
const REGION: u64 = 1 << 32;

/// The addresses in use.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Runs of code: from an offset in the region of code to one past their end.
    code: BTreeMap<u64, u64>,
    /// Regions of data.
    data: BTreeSet<u32>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is one step, so a panic elsewhere cannot leave anything half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The addresses of all code.
pub(super) fn code() -> AddrRange {
    AddrRange::new(Addr(address::at(CODE_REGION, 0)), REGION)
}

impl Places {
    /// Takes addresses for a segment into use.
    pub(super) fn take(&mut self, request: &SegmentRequest, range: &AddrRange) -> Result<Addr, ExecutorError> {
        let address = match request.protection {
            Protection::ReadExecute => self.code_place(request),
            _ => self.data_place(request),
        };
        let full = || {
            let what = format!(
                "the machine has no room for {:#x} bytes of {} memory",
                request.size,
                request.protection.name()
            );
            ExecutorError::with_advice(what, "link less at once, or remove modules first")
        };
        let address = address.ok_or_else(full)?;
        if !range.contains(address, request.size) {
            return Err(ExecutorError::with_advice(
                format!(
                    "{:#x} bytes at {address} lie outside {} to {}, which the short references of these objects reach",
                    request.size, range.start, range.last
                ),
                "compile so that addresses have 64 bits",
            ));
        }
        match request.protection {
            Protection::ReadExecute => {
                let offset = u64::from(address::offset(address.0));
                self.code.insert(offset, offset + request.size.max(1));
            }
            _ => _ = self.data.insert(address::region(address.0)),
        }
        Ok(address)
    }

    /// Gives addresses back.
    pub(super) fn give_back(&mut self, address: Addr) {
        match address::region(address.0) {
            CODE_REGION => _ = self.code.remove(&u64::from(address::offset(address.0))),
            region => _ = self.data.remove(&region),
        }
    }

    /// Code is moved closer to what is before it by nobody: the first gap that is wide enough is taken.
    fn code_place(&self, request: &SegmentRequest) -> Option<Addr> {
        let align = request.align.max(PAGE);
        let size = request.size.max(1);
        let mut place = 0u64;
        for (&start, &end) in &self.code {
            if place.checked_add(size)? <= start {
                break;
            }
            place = end.checked_next_multiple_of(align)?;
        }
        let fits = place.checked_add(size).is_some_and(|end| end <= REGION) && align <= REGION;
        fits.then(|| Addr(address::at(CODE_REGION, place as u32)))
    }

    fn data_place(&self, request: &SegmentRequest) -> Option<Addr> {
        let region = DATA_REGIONS.clone().find(|region| !self.data.contains(region))?;
        (request.size <= REGION && request.align <= REGION).then(|| Addr(address::at(region, 0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jitlink_core::graph::Residence;

    fn segment(protection: Protection, size: u64, align: u64) -> SegmentRequest {
        SegmentRequest { protection, residence: Residence::Near, size, align }
    }

    #[test]
    fn code_shares_a_region_and_data_does_not() {
        let mut places = Places::default();
        let code = segment(Protection::ReadExecute, 0x1008, 8);
        let data = segment(Protection::ReadWrite, 8, 8);
        let first = places.take(&code, &AddrRange::ALL).unwrap();
        let second = places.take(&code, &AddrRange::ALL).unwrap();
        assert_eq!((first.0, second.0), (0x10_0000_0000, 0x10_0000_2000));
        assert_eq!(places.take(&data, &AddrRange::ALL).unwrap().0, 0x11_0000_0000);
        assert_eq!(places.take(&data, &AddrRange::ALL).unwrap().0, 0x12_0000_0000);
        places.give_back(first);
        places.give_back(Addr(0x11_0000_0000));
        assert_eq!(places.take(&data, &AddrRange::ALL).unwrap().0, 0x11_0000_0000);
        let large = segment(Protection::ReadExecute, 0x2001, 8);
        assert_eq!(places.take(&large, &AddrRange::ALL).unwrap().0, 0x10_0000_4000);
        assert_eq!(places.take(&code, &AddrRange::ALL).unwrap(), first);
    }

    #[test]
    fn what_has_no_room_is_refused() {
        let mut places = Places::default();
        let low = AddrRange::new(Addr(0), 1 << 32);
        let error = places.take(&segment(Protection::Read, 8, 8), &low).unwrap_err().to_string();
        assert_eq!(
            error,
            "0x8 bytes at 0x1100000000 lie outside 0x0 to 0xffffffff, which the short references of these objects reach"
        );
        let error = places.take(&segment(Protection::ReadExecute, u64::MAX, 8), &AddrRange::ALL).unwrap_err();
        assert_eq!(error.to_string(), "the machine has no room for 0xffffffffffffffff bytes of r-x memory");
        assert!(places.take(&segment(Protection::Read, 8, 1 << 40), &AddrRange::ALL).is_err());
        for _ in 0..DATA_REGIONS.len() {
            places.take(&segment(Protection::Read, 8, 8), &AddrRange::ALL).unwrap();
        }
        assert!(places.take(&segment(Protection::Read, 8, 8), &AddrRange::ALL).is_err());
    }
}
