//! Makes code that was written through one address visible to instruction fetches from another.
//!
//! Some machines keep the two coherent, others need to be told. The compiler's run-time library knows: its `__clear_cache` does
//! nothing on the former. Other cores may hold instructions that they fetched when older code was at these addresses; the system
//! makes them drop those.
//!
//! Emulators of machines that need to be told keep translations of what ran, whatever those instructions are: they notice that code
//! is another when it is written where it runs, or when something is mapped there. So on such machines pages of code that is given
//! back are mapped again ([`IS_TOLD`]).

#[cfg(not(any(target_arch = "powerpc", target_arch = "powerpc64")))]
use super::symbols;
use crate::addr::AddrRange;
use std::sync::OnceLock;

/// Whether this machine may fetch what was at an address before, unless it is told that code is another.
pub(super) const IS_TOLD: bool = cfg!(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "s390x")));

// linux/membarrier.h
const PRIVATE_EXPEDITED_SYNC_CORE: i32 = 1 << 5;
const REGISTER_PRIVATE_EXPEDITED_SYNC_CORE: i32 = 1 << 6;

/// Code was written that is now at `range`.
///
/// The run-time library of this machine is an archive, so its function cannot be looked up. What it does stands in the Power ISA
/// (Book II, section "Instruction Storage"): each block of the data cache is stored, then each of the instruction cache
/// is made invalid, with a barrier after either.
#[cfg(any(target_arch = "powerpc", target_arch = "powerpc64"))]
pub(super) fn code_written(range: AddrRange) {
    let (first, last) = (range.start.0 as usize, range.last.0 as usize);
    if first > last {
        return;
    }
    let step = cache_block();
    let blocks = || (first & !(step - 1)..=last).step_by(step);
    for block in blocks() {
        // SAFETY: stores a block of mapped memory that the data cache may hold, and changes nothing else.
        unsafe { std::arch::asm!("dcbst 0, {}", in(reg_nonzero) block, options(nostack, preserves_flags)) };
    }
    // SAFETY: orders accesses to memory.
    unsafe { std::arch::asm!("sync", options(nostack, preserves_flags)) };
    for block in blocks() {
        // SAFETY: has a block of mapped memory fetched anew, and changes nothing else.
        unsafe { std::arch::asm!("icbi 0, {}", in(reg_nonzero) block, options(nostack, preserves_flags)) };
    }
    // SAFETY: orders accesses to memory, and drops what this core has fetched ahead.
    unsafe { std::arch::asm!("sync", "isync", options(nostack, preserves_flags)) };
}

/// The smaller of the sizes of both caches' blocks, as the system says; a power of two.
#[cfg(any(target_arch = "powerpc", target_arch = "powerpc64"))]
fn cache_block() -> usize {
    // linux/arch/powerpc/include/uapi/asm/auxvec.h
    const AT_DCACHEBSIZE: libc::c_ulong = 19;
    const AT_ICACHEBSIZE: libc::c_ulong = 20;
    /// No machine has smaller ones.
    const LEAST: usize = 16;
    static SIZE: OnceLock<usize> = OnceLock::new();
    *SIZE.get_or_init(|| {
        // SAFETY: reads what the system told this process when it started.
        let told = [AT_DCACHEBSIZE, AT_ICACHEBSIZE].map(|what| unsafe { libc::getauxval(what) } as usize);
        let known = told.into_iter().filter(|size| size.is_power_of_two() && *size >= LEAST);
        known.min().unwrap_or(LEAST)
    })
}

/// Code was written that is now at `range`.
#[cfg(not(any(target_arch = "powerpc", target_arch = "powerpc64")))]
pub(super) fn code_written(range: AddrRange) {
    use std::ffi::c_void;
    type ClearCache = unsafe extern "C" fn(*const c_void, *const c_void);
    static CLEAR: OnceLock<Option<ClearCache>> = OnceLock::new();
    let clear = CLEAR.get_or_init(|| {
        let address = symbols::find(c"__clear_cache")?;
        // SAFETY: a function of that name has this type (GCC manual, "Other Builtins").
        Some(unsafe { std::mem::transmute::<usize, ClearCache>(address.0 as usize) })
    });
    if let Some(clear) = clear {
        // SAFETY: the range is mapped, and its content does not change.
        unsafe { clear(range.start.0 as *const c_void, range.last.0.wrapping_add(1) as *const c_void) };
    }
}

/// Makes every core drop what it fetched from addresses whose code is another now.
pub(super) fn code_replaced() {
    static READY: OnceLock<bool> = OnceLock::new();
    let ready = READY.get_or_init(|| membarrier(REGISTER_PRIVATE_EXPEDITED_SYNC_CORE));
    if *ready {
        membarrier(PRIVATE_EXPEDITED_SYNC_CORE);
    }
}

fn membarrier(command: i32) -> bool {
    // SAFETY: the call orders memory accesses and changes nothing else.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}
