//! Timers in values of maps.
//!
//! What stands in the value is the number of an entry here; the map makes it zero when the value is replaced or
//! deleted, and the timer has ended then. The host decides when time passes: [`Host::run_timers`] calls the functions
//! of timers that are due.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::errno::{EBUSY, EINVAL};
use super::maps::{map, no_field};
use super::{Host, Table};
use crate::address::{CONTEXT, VALUE_REGION, map_handle, offset, region};
use crate::call::Call;
use crate::context::Context;
use crate::fault::{Fault, FaultKind};
use crate::maps::Map;
use crate::memory::Memory;
use crate::vm::{Program, Vm};
use jitlink_core::Endian;

pub(super) static HELPERS: Table = &[
    ("timer_init", timer_init),
    ("timer_set_callback", timer_set_callback),
    ("timer_start", timer_start),
    ("timer_cancel", timer_cancel),
];

/// All timers of a host.
#[derive(Debug, Default)]
pub(super) struct Timers(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    last: u64,
    /// By map and place, so there are no more than values.
    at: BTreeMap<(u32, usize), Timer>,
}

#[derive(Clone, Debug)]
struct Timer {
    number: u64,
    map: Arc<Map>,
    /// Where the timer is in the map's memory.
    place: usize,
    endian: Endian,
    /// The number of its map, in the machine.
    handle: u64,
    /// The address of the value that it is in.
    value: u64,
    /// The element's key.
    key: Vec<u8>,
    function: u64,
    due: Option<u64>,
}

impl Timers {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on the timer at a place, if it is the one whose number stands there; `EINVAL` otherwise.
    fn with(&self, place: &Place, work: impl FnOnce(&mut Timer) -> u64) -> u64 {
        match self.entries().at.get_mut(&place.key()) {
            Some(timer) if timer.number == place.number => work(timer),
            _ => EINVAL,
        }
    }
}

/// Where a program says that a timer is, and the number that stands there.
struct Place {
    map: Arc<Map>,
    handle: u64,
    offset: usize,
    number: u64,
}

impl Place {
    fn key(&self) -> (u32, usize) {
        (self.map.id(), self.offset)
    }
}

/// The place of the first argument, if it is one in a map's memory.
fn place(call: &mut Call<'_, '_>, name: &str) -> Result<Place, Fault> {
    let address = call.argument(0);
    let index = region(address).checked_sub(VALUE_REGION).filter(|_| address.is_multiple_of(8));
    let Some(handle) = index.map(map_handle) else {
        return Err(call.fault(name, format!("{address:#x} is no timer in a value of a map")));
    };
    let map = call.map(handle)?.clone();
    let number = call.load(address, 8)?;
    Ok(Place { map, handle, offset: offset(address) as usize, number })
}

fn timer_init(call: &mut Call<'_, '_>, host: &Host) -> Result<u64, Fault> {
    /// `CLOCK_REALTIME`, `CLOCK_MONOTONIC` and `CLOCK_BOOTTIME`.
    const CLOCKS: [u64; 3] = [0, 1, 7];
    const NAME: &str = "bpf_timer_init";
    let [address, handle, flags, ..] = call.arguments();
    let map = map(call, 1)?;
    if !CLOCKS.contains(&flags) {
        return Ok(EINVAL);
    }
    let place = place(call, NAME)?;
    if host.timers.with(&place, |_| 0) == 0 {
        return Ok(EBUSY);
    }
    if place.handle != handle {
        return Err(call.fault(NAME, format!("{address:#x} is in no value of map \"{}\"", map.name())));
    }
    if !map.is_timer(place.offset) {
        let reason = no_field(&map, map.spec().timer_offset);
        return Err(call.fault(NAME, format!("{address:#x} is no timer: {reason}")));
    }
    let Some((key, value)) = element_of(&map, place.offset, call.cpu()) else { return Ok(EINVAL) };
    let (value, endian) = (call.value_address(&map, value), call.endian());
    let mut entries = host.timers.entries();
    entries.last += 1;
    let number = entries.last;
    let timer = Timer { number, map, place: place.offset, endian, handle, value, key, function: 0, due: None };
    entries.at.insert(place.key(), timer);
    drop(entries);
    call.store(address, 8, number)?;
    Ok(0)
}

/// The element whose value holds a place, and where the value begins.
fn element_of(map: &Map, place: usize, cpu: usize) -> Option<(Vec<u8>, usize)> {
    let size = map.spec().value_size as usize;
    let mut cursor = 0;
    while let Some(elements) = map.on_cpu(cpu).step(&mut cursor) {
        let found = elements.into_iter().find(|element| (element.offset..element.offset + size).contains(&place));
        if let Some(element) = found {
            return Some((element.key, element.offset));
        }
    }
    None
}

fn timer_set_callback(call: &mut Call<'_, '_>, host: &Host) -> Result<u64, Fault> {
    let function = call.argument(1);
    let place = place(call, "bpf_timer_set_callback")?;
    Ok(host.timers.with(&place, |timer| {
        timer.function = function;
        0
    }))
}

fn timer_start(call: &mut Call<'_, '_>, host: &Host) -> Result<u64, Fault> {
    /// The time is a moment rather than a distance (`BPF_F_TIMER_ABS`).
    const MOMENT: u64 = 1;
    /// It fires on this processor (`BPF_F_TIMER_CPU_PIN`).
    const PINNED: u64 = 2;
    let [_, time, flags, ..] = call.arguments();
    if flags & !(MOMENT | PINNED) != 0 {
        return Ok(EINVAL);
    }
    let place = place(call, "bpf_timer_start")?;
    let due = if flags & MOMENT != 0 { time } else { host.clock.monotonic().saturating_add(time) };
    Ok(host.timers.with(&place, |timer| {
        if timer.function == 0 {
            return EINVAL;
        }
        timer.due = Some(due);
        0
    }))
}

/// Stops a timer and forgets its function; whether it was to fire.
fn timer_cancel(call: &mut Call<'_, '_>, host: &Host) -> Result<u64, Fault> {
    let place = place(call, "bpf_timer_cancel")?;
    Ok(host.timers.with(&place, |timer| {
        timer.function = 0;
        timer.due.take().is_some().into()
    }))
}

/// What a timer's function is called with: its map, the key, the value.
struct Fired {
    memory: Arc<Memory>,
    arguments: [u64; 5],
}

impl Context for Fired {
    fn memory(&self) -> Option<&Arc<Memory>> {
        Some(&self.memory)
    }

    fn arguments(&self) -> [u64; 5] {
        self.arguments
    }
}

impl Timer {
    /// Whether its number still stands in the value: it does not once the value was replaced or deleted.
    fn lives(&self) -> bool {
        let mut bytes = [0; 8];
        let inside = self.map.values().filter(|values| self.place + bytes.len() <= values.len());
        inside.is_some_and(|values| {
            values.read(self.place, &mut bytes);
            self.endian.read(&bytes) == self.number
        })
    }

    /// Calls its function, in a way of the host's.
    fn fire(&self, run: &mut Run<'_>) -> Result<(), Fault> {
        let memory = Memory::zeroed(self.key.len().max(1));
        let memory = memory.map_err(|error| FaultKind::Unsupported(error.to_string()))?;
        memory.write(0, &self.key);
        let arguments = [self.handle, CONTEXT, self.value, 0, 0];
        run(self.function, &mut Fired { memory: Arc::new(memory), arguments }).map(|_| ())
    }
}

/// How the host runs the function at an address with a context.
type Run<'a> = dyn FnMut(u64, &mut dyn Context) -> Result<u64, Fault> + 'a;

impl Host {
    /// Calls the functions of all timers that are due at a time, the earliest first, and gives how many there were.
    /// Those that are started meanwhile wait for the next time. A timer whose value was replaced or deleted is
    /// forgotten.
    ///
    /// # Errors
    /// The fault of a function; timers that were due after it do not fire any more.
    pub fn run_timers(&self, vm: &Vm, now: u64) -> Result<usize, Fault> {
        self.run_timers_with(now, &mut |address, context| {
            let program = Program { name: "timer".into(), section: String::new(), address };
            vm.run(&program, context)
        })
    }

    /// As [`Host::run_timers`], for a host that runs functions in its own way: by their address, with a context.
    pub fn run_timers_with(
        &self,
        now: u64,
        run: &mut dyn FnMut(u64, &mut dyn Context) -> Result<u64, Fault>,
    ) -> Result<usize, Fault> {
        let mut due: Vec<(u64, Timer)> = Vec::new();
        self.timers.entries().at.retain(|_, timer| {
            if let Some(time) = timer.due.filter(|time| *time <= now) {
                timer.due = None;
                due.push((time, timer.clone()));
            }
            timer.lives()
        });
        due.sort_by_key(|(time, timer)| (*time, timer.number));
        let mut count = 0;
        for (_, timer) in due {
            if timer.lives() {
                timer.fire(run)?;
                count += 1;
            }
        }
        Ok(count)
    }
}
