//! What is where in a program's addresses: areas of memory, units of code, maps.
//!
//! Hosts add and remove things while programs run. So a [`Space`] publishes a [`Snapshot`] that never changes, and each run holds
//! the ones that it has used: what it may have addresses of stays alive until it ends.

use crate::address::{self, VALUE_REGION};
use crate::code::Unit;
use crate::fault::Access;
use crate::maps::Map;
use crate::memory::Memory;
use std::sync::{Arc, PoisonError, RwLock};

/// Memory that a program may touch.
#[derive(Clone, Debug)]
pub(crate) struct Area {
    /// The address of its first byte.
    pub(crate) start: u64,
    /// How many bytes.
    pub(crate) len: u64,
    /// Where they are: `offset` and all `len` bytes from it are inside.
    pub(crate) memory: Arc<Memory>,
    pub(crate) offset: usize,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    pub(crate) what: What,
}

/// What an area is, for errors.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Packet,
    Context,
    Stack,
    Data,
    Map(Arc<Map>),
}

impl Area {
    /// All of a memory.
    pub(crate) fn whole(start: u64, memory: Arc<Memory>, what: What) -> Area {
        let len = memory.len() as u64;
        Area { start, len, memory, offset: 0, readable: true, writable: true, what }
    }

    /// The area of a map's values.
    pub(crate) fn of_map(index: usize, map: &Arc<Map>) -> Option<Area> {
        let (readable, writable) = map.program_access();
        let start = address::at(VALUE_REGION + index as u32, 0);
        let whole = Area::whole(start, map.values()?.clone(), What::Map(map.clone()));
        Some(Area { readable, writable, ..whole })
    }

    /// Whether all of the bytes are inside.
    pub(crate) fn contains(&self, address: u64, size: u64) -> bool {
        let offset = address.wrapping_sub(self.start);
        offset <= self.len && size <= self.len - offset
    }

    pub(crate) fn allows(&self, access: Access) -> bool {
        match access {
            Access::Read => self.readable,
            Access::Write => self.writable,
        }
    }
}

/// All that programs share, at one moment.
#[derive(Clone, Default)]
pub(crate) struct Snapshot {
    /// By address; they do not overlap.
    areas: Vec<Area>,
    /// By address; they do not overlap.
    units: Vec<Arc<Unit>>,
    /// By index. Never removed: programs may hold their handles.
    maps: Vec<Arc<Map>>,
}

impl Snapshot {
    /// The area that holds an address.
    pub(crate) fn area(&self, address: u64) -> Option<&Area> {
        let after = self.areas.partition_point(|area| area.start <= address);
        self.areas[..after].last().filter(|area| address - area.start < area.len)
    }

    /// The last area in an address's region that begins at it or before it, or else the first in the region.
    pub(crate) fn nearest(&self, address: u64) -> Option<&Area> {
        let after = self.areas.partition_point(|area| area.start <= address);
        let same = |area: &&Area| address::region(area.start) == address::region(address);
        self.areas[..after].last().filter(same).or_else(|| self.areas.get(after).filter(same))
    }

    /// The code that holds an address.
    pub(crate) fn unit(&self, address: u64) -> Option<&Arc<Unit>> {
        let after = self.units.partition_point(|unit| unit.start() <= address);
        self.units[..after].last().filter(|unit| address - unit.start() < unit.size())
    }

    pub(crate) fn map(&self, index: usize) -> Option<&Arc<Map>> {
        self.maps.get(index)
    }

    /// The index of a map.
    pub(crate) fn index_of(&self, map: &Arc<Map>) -> Option<usize> {
        self.maps.iter().position(|known| Arc::ptr_eq(known, map))
    }
}

/// The current snapshot.
#[derive(Default)]
pub(crate) struct Space(RwLock<Arc<Snapshot>>);

impl Space {
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the snapshot by a changed copy of it.
    fn change<T>(&self, change: impl FnOnce(&mut Snapshot) -> T) -> T {
        // A change that panics has changed a copy, or nothing that anyone sees before it is whole.
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut current))
    }

    /// Adds areas and code; gives back the number of what was in the way instead, and adds nothing then.
    pub(crate) fn add(&self, areas: Vec<Area>, units: Vec<Arc<Unit>>) -> Result<(), u64> {
        let mut taken: Vec<(u64, u64)> = Vec::new();
        taken.extend(areas.iter().map(|area| (area.start, area.len)));
        taken.extend(units.iter().map(|unit| (unit.start(), unit.size())));
        self.change(|snapshot| {
            taken.extend(snapshot.areas.iter().map(|area| (area.start, area.len)));
            taken.extend(snapshot.units.iter().map(|unit| (unit.start(), unit.size())));
            taken.sort_unstable();
            if let Some(pair) = taken.windows(2).find(|pair| pair[1].0 - pair[0].0 < pair[0].1) {
                return Err(pair[1].0);
            }
            snapshot.areas.extend(areas);
            snapshot.areas.sort_unstable_by_key(|area| area.start);
            snapshot.units.extend(units);
            snapshot.units.sort_unstable_by_key(|unit| unit.start());
            Ok(())
        })
    }

    /// Removes what starts at these addresses.
    pub(crate) fn remove(&self, starts: &[u64]) {
        self.change(|snapshot| {
            snapshot.areas.retain(|area| !starts.contains(&area.start));
            snapshot.units.retain(|unit| !starts.contains(&unit.start()));
        });
    }

    /// Adds a map, and gives back its index: that of before if it is here already.
    pub(crate) fn attach(&self, map: &Arc<Map>) -> usize {
        self.change(|snapshot| {
            if let Some(index) = snapshot.index_of(map) {
                return index;
            }
            let index = snapshot.maps.len();
            snapshot.maps.push(map.clone());
            if let Some(area) = Area::of_map(index, map) {
                let at = snapshot.areas.partition_point(|other| other.start < area.start);
                snapshot.areas.insert(at, area);
            }
            index
        })
    }
}
