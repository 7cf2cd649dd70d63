//! Where in the address space of this process an arena goes.
//!
//! Code that was compiled for the small code model holds 32-bit distances to the data of shared libraries (`stdout`, `environ`).
//! So an arena lies near the libraries that are loaded: every distance between the two fits in 31 bits, where there is room.
//! What holds 32-bit addresses needs an arena in low memory. Both are searched for in the gaps that `/proc/self/maps` shows.

use super::map::Span;
use crate::addr::{Addr, AddrRange};
use crate::executor::ExecutorError;
use std::io;
use std::ops::{ControlFlow, Range};

/// How far a signed 32-bit distance reaches, less room for addends and for what lies around a symbol.
const REACH: u64 = (1 << 31) - (16 << 20);

/// Addresses below this stay free: the system refuses the first pages, and null with an offset must fault.
const LOWEST: u64 = 1 << 20;

/// What is left free below the stack, which grows downwards.
const STACK_ROOM: u64 = 256 << 20;

/// What arenas are aligned to, so that the system may use large pages.
const ALIGN: u64 = 2 << 20;

/// Where an arena should go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Near the shared libraries of the process, as far as the request allows.
    Near,
    /// Below 2 GiB.
    Low,
    /// The first arena exactly here, others as for `Near`.
    At(Addr),
}

/// Reserves `size` bytes near the loaded libraries and inside `range`, or anywhere inside it.
pub(super) fn reserve_near(size: u64, range: &AddrRange) -> io::Result<Span> {
    let Some(window) = window_near(&loaded_objects(), anchor(), size) else { return reserve_in(size, range) };
    if *range == AddrRange::ALL {
        let span = Span::reserve(size)?;
        if window.start <= span.start() && span.start() + size <= window.end {
            return Ok(span);
        }
    }
    let wanted = AddrRange { start: Addr(window.start), last: Addr(window.end - 1) };
    let both = wanted.intersect(range);
    match both.and_then(|both| reserve_in(size, &both).ok()) {
        Some(span) => Ok(span),
        None => reserve_in(size, range),
    }
}

/// Reserves `size` bytes inside `range`, as high as possible: what grows upwards from below is left room.
pub(super) fn reserve_in(size: u64, range: &AddrRange) -> io::Result<Span> {
    if *range == AddrRange::ALL {
        return Span::reserve(size);
    }
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let gaps = gaps(&maps);
    let mut last = io::Error::from_raw_os_error(libc::ENOMEM);
    for range in parts(range) {
        // Another thread may take a gap before we do; there are others.
        for start in candidates(&gaps, &range, size).take(16) {
            match Span::reserve_at(start, size) {
                Ok(span) => return Ok(span),
                Err(error) => last = error,
            }
        }
    }
    Err(last)
}

/// A range, and before it what is better. Where 32 bits are enough for an address, they may be read with a sign, whatever the relocation
/// says: unwinders do so with `DW_EH_PE_sdata4`. Below 2 GiB, where linkers place such programs too, that makes no difference.
fn parts(range: &AddrRange) -> impl Iterator<Item = AddrRange> {
    let low = AddrRange { start: Addr(0), last: Addr((1 << 31) - 1) }.intersect(range);
    low.filter(|low| low != range && range.last.0 < 1 << 32).into_iter().chain([*range])
}

/// The error for an arena that cannot be placed.
pub(super) fn no_room(size: u64, range: &AddrRange, cause: &io::Error) -> ExecutorError {
    let mebibytes = size.div_ceil(1 << 20);
    if *range == AddrRange::ALL {
        let reason = format!("cannot reserve {mebibytes} MiB of address space: {cause}");
        return ExecutorError::with_advice(
            reason,
            "raise the limit on address space (ulimit -v), or choose a smaller arena",
        );
    }
    ExecutorError::with_advice(
        format!("no {mebibytes} MiB of address space are free between {} and {}: {cause}", range.start, range.last),
        "the objects hold addresses or distances narrower than a pointer, so they must lie there; compile them as \
         position-independent code (-fPIC) or for a larger code model",
    )
}

/// Starts of free places for `size` bytes inside `range`, highest first.
fn candidates<'g>(gaps: &'g [Range<u64>], range: &AddrRange, size: u64) -> impl Iterator<Item = u64> + 'g {
    let (first, last) = (range.start.0.max(LOWEST), range.last.0);
    gaps.iter().rev().filter_map(move |gap| {
        let (start, end) = (gap.start.max(first), gap.end.min(last.saturating_add(1)));
        let highest = end.checked_sub(size).filter(|highest| *highest >= start)?;
        let aligned = highest & !(ALIGN - 1);
        Some(if aligned >= start { aligned } else { highest & !(super::map::page_size() - 1) })
            .filter(|at| *at >= start)
    })
}

/// The free runs of addresses between the mappings of this process.
fn gaps(maps: &str) -> Vec<Range<u64>> {
    let mut gaps = Vec::new();
    let mut end = 0;
    for line in maps.lines() {
        let Some((start, rest)) = line.split_once('-') else { continue };
        let Some((stop, rest)) = rest.split_once(' ') else { continue };
        let (Ok(start), Ok(stop)) = (u64::from_str_radix(start, 16), u64::from_str_radix(stop, 16)) else { continue };
        let below = if rest.ends_with("[stack]") { start.saturating_sub(STACK_ROOM) } else { start };
        if end < below {
            gaps.push(end..below);
        }
        end = stop;
    }
    // A mapping at the end of memory is the kernel's; nothing can be mapped in the hole below it.
    while gaps.last().is_some_and(|gap: &Range<u64>| gap.end > 1 << 63) {
        gaps.pop();
    }
    gaps
}

/// The addresses from which all of an arena reaches all of the C library, and as many other objects as possible.
fn window_near(objects: &[Range<u64>], anchor: u64, size: u64) -> Option<Range<u64>> {
    let home = objects.iter().find(|object| object.contains(&anchor))?.clone();
    let mut near = home.clone();
    let mut others: Vec<&Range<u64>> = objects.iter().filter(|object| **object != home).collect();
    others.sort_by_key(|object| object.start.abs_diff(home.start));
    for object in others {
        let both = near.start.min(object.start)..near.end.max(object.end);
        if both.end - both.start + size <= REACH {
            near = both;
        }
    }
    let window = near.end.saturating_sub(REACH)..near.start + REACH;
    (window.end - window.start >= size).then_some(window)
}

/// An address in the C library.
fn anchor() -> u64 {
    super::symbols::find(c"getenv").map_or(0, |address| address.0)
}

/// The addresses of each object (program or library) that the system's loader knows.
fn loaded_objects() -> Vec<Range<u64>> {
    let mut objects: Vec<Range<u64>> = Vec::new();
    super::objects::each(&mut |object| {
        let loaded = object.headers.iter().filter(|header| header.p_type == libc::PT_LOAD);
        let ranges = loaded.map(|header| object.range(header));
        objects.extend(ranges.reduce(|one, other| one.start.min(other.start)..one.end.max(other.end)));
        ControlFlow::Continue(())
    });
    objects
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
00400000-00500000 r-xp 00000000 fe:00 1 /usr/bin/host
00500000-00600000 rw-p 00000000 00:00 0 [heap]
7f0000000000-7f0000100000 r-xp 00000000 fe:00 2 /lib/libc.so
7f0000200000-7f0000300000 r-xp 00000000 fe:00 2 /lib/libm.so
7ffff0000000-7ffff0010000 rw-p 00000000 00:00 0 [stack]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]
";

    #[test]
    fn gaps_leave_room_for_the_stack_and_end_below_the_kernel() {
        let stack = 0x7fff_f000_0000 - STACK_ROOM;
        let expected =
            [0..0x40_0000, 0x60_0000..0x7f00_0000_0000, 0x7f00_0010_0000..0x7f00_0020_0000, 0x7f00_0030_0000..stack];
        assert_eq!(gaps(MAPS), expected);
    }

    #[test]
    fn addresses_of_32_bits_are_below_2_gib_where_they_can_be() {
        let to = |last| AddrRange { start: Addr(0x1000), last: Addr(last) };
        let found = |last| parts(&to(last)).map(|part| part.last.0).collect::<Vec<_>>();
        assert_eq!(found(0xffff_ffff), [0x7fff_ffff, 0xffff_ffff]);
        assert_eq!(found(0x8000_0000), [0x7fff_ffff, 0x8000_0000]);
        assert_eq!(found(0x7fff_ffff), [0x7fff_ffff]);
        assert_eq!(found(0x1_0000_0000), [0x1_0000_0000]);
        let high = AddrRange { start: Addr(0x8000_0000), last: Addr(0xffff_ffff) };
        assert_eq!(parts(&high).collect::<Vec<_>>(), [high]);
    }

    #[test]
    fn low_memory_is_used_from_its_end() {
        let low = AddrRange { start: Addr(0), last: Addr(0x7fff_ffff) };
        let found: Vec<u64> = candidates(&gaps(MAPS), &low, 1 << 30).collect();
        assert_eq!(found, [0x4000_0000]);
        let found: Vec<u64> = candidates(&gaps(MAPS), &low, 0x10_0000).collect();
        assert_eq!(found, [0x7fe0_0000, 0x20_0000]);
        assert_eq!(candidates(&gaps(MAPS), &AddrRange::new(Addr(0x40_0000), 0x10_0000), 4096).next(), None);
    }

    #[test]
    fn a_window_reaches_the_c_library_and_what_is_near_it() {
        let (libc, libm, host) = (0x7f00_0000_0000..0x7f00_0010_0000, 0x7f00_0020_0000..0x7f00_0030_0000, 0..0x1000);
        let window = window_near(&[host, libm.clone(), libc.clone()], libc.start + 5, 1 << 30).unwrap();
        assert_eq!(window, libm.end - REACH..libc.start + REACH);
        assert_eq!(window_near(&[libm], libc.start, 1 << 30), None);
    }
}
