//! Makes code that was written through one address visible to instruction fetches from another.
//!
//! Some machines keep the two coherent, others need to be told. The compiler's run-time library knows: its `__clear_cache` does
//! nothing on the former. Other cores may hold instructions that they fetched when older code was at these addresses; the system
//! makes them drop those.

use super::symbols;
use crate::addr::AddrRange;
use std::ffi::c_void;
use std::sync::OnceLock;

// linux/membarrier.h
const PRIVATE_EXPEDITED_SYNC_CORE: i32 = 1 << 5;
const REGISTER_PRIVATE_EXPEDITED_SYNC_CORE: i32 = 1 << 6;

/// Code was written that is now at `range`.
pub(super) fn code_written(range: AddrRange) {
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
