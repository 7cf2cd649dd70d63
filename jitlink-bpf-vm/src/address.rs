//! The map of a program's addresses: which numbers mean what.
//!
//! A program's address is 64 bits. The upper 32 are the number of a *region*, the lower 32 an offset in it:
//!
//! | region | what | access |
//! | --- | --- | --- |
//! | 0 | the packet. Its linear data is below 4 GiB because `xdp_md.data` and `__sk_buff.data` are 32 bits wide, and starts at [`PACKET`] or later, so that small numbers are no addresses | read and write; socket filters only read |
//! | 1 | the context: `xdp_md`, `__sk_buff`, arguments of a tracing program, raw memory | as the context says, field by field |
//! | 2 | the stack: [`FRAME_SIZE`] bytes a frame, one run of memory; `r10` is the end of a function's frame | read and write |
//! | 3 | handles of maps: what a load of a map's address gives | none |
//! | 4 | handles of other objects that programs see as pointers (sockets, timers, tasks) | none |
//! | 5 to 14 | reserved | |
//! | 15 | functions of the host, eight bytes each | none |
//! | 16 | the code of linked modules; only its addresses mean something | none |
//! | 17 to 4095 | constants and variables of linked modules, a region a segment | by protection |
//! | 4096 (0x1000) and up | values of maps, a region a map; that of an arena is 4 GiB wide, so that a cast of its address space is a change of the upper half | read and write, unless the map's flags say otherwise |
//!
//! Code is one region, and that of the host's functions is next to it, because a call reaches 2^31 instruction words: any code
//! can call any other. Programs that were linked for an image may have their segments anywhere from region 16 on.
//!
//! **Checked programs.** Each access looks its address up in the areas of the program, and needs all of its bytes inside one.
//! The areas that an instruction used last are tried first, with one comparison.
//!
//! **Trusted programs** (verified before, so that nothing has to be looked up) see the same map in one reserved window of the
//! host's addresses: the host address is the window's start plus the program's address. So a region never moves while
//! programs know its addresses, offsets are the same in both modes, and each region is followed by unmapped addresses there. No
//! program can tell which mode it runs in.
//!
//! **Invariant:** a program's address is never a host address, and no host address is ever stored where a program can see it.

/// The region of packets.
pub const PACKET_REGION: u32 = 0;
/// The region of contexts.
pub const CONTEXT_REGION: u32 = 1;
/// The region of the stack.
pub const STACK_REGION: u32 = 2;
/// The region of handles of maps.
pub const MAP_HANDLE_REGION: u32 = 3;
/// The region of handles of other objects.
pub const OBJECT_REGION: u32 = 4;
/// The region of the host's functions.
pub const HOST_REGION: u32 = 15;
/// The region of linked code.
pub const CODE_REGION: u32 = 16;
/// The regions of linked constants and variables.
pub const DATA_REGIONS: std::ops::Range<u32> = 17..0x1000;
/// The region of the first map's values.
pub const VALUE_REGION: u32 = 0x1000;

/// The lowest address of a packet's byte, headroom included.
pub const PACKET: u64 = 0x1_0000;
/// The address of the context.
pub const CONTEXT: u64 = at(CONTEXT_REGION, 0);
/// The address of the stack's first byte.
pub const STACK: u64 = at(STACK_REGION, 0);

/// The size of a function's stack frame in bytes (`MAX_BPF_STACK`).
pub const FRAME_SIZE: u64 = 512;

/// The address of an offset in a region.
#[inline]
pub const fn at(region: u32, offset: u32) -> u64 {
    (region as u64) << 32 | offset as u64
}

/// The region of an address.
#[inline]
pub const fn region(address: u64) -> u32 {
    (address >> 32) as u32
}

/// The offset of an address in its region.
#[inline]
pub const fn offset(address: u64) -> u32 {
    address as u32
}

/// The handle of the map of an index.
pub const fn map_handle(index: u32) -> u64 {
    at(MAP_HANDLE_REGION, index << 4)
}

/// The index of the map that a handle means, if it is one.
pub const fn map_index(handle: u64) -> Option<usize> {
    if region(handle) == MAP_HANDLE_REGION && handle & 15 == 0 { Some((offset(handle) >> 4) as usize) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_are_numbers_of_their_own_region() {
        for index in [0, 1, 77, (1 << 28) - 1] {
            assert_eq!(map_index(map_handle(index)), Some(index as usize));
        }
        assert_eq!(map_index(map_handle(3) + 8), None);
        assert_eq!(map_index(at(4, 0)), None);
        assert_eq!((region(at(7, 9)), offset(at(7, 9))), (7, 9));
    }
}
