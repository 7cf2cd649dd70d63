//! Where a thread was when a signal interrupted it.
//!
//! The one place in this crate that names machines: the registers that the kernel saves for a signal handler are laid out
//! differently on each, and nothing else tells the address of the instruction. A machine that is not here loses nothing but the
//! report of where linked code crashed.

use std::ffi::c_void;

/// What is known about the interrupted code.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interrupted {
    /// The instruction.
    pub(super) instruction: u64,
    /// Where it would return to if it is the first of a function: in a register, or on the stack.
    pub(super) return_to: ReturnTo,
}

/// Where a function finds its return address when it starts.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "a machine has one of the two ways")]
pub(super) enum ReturnTo {
    /// The address itself.
    Address(u64),
    /// It stands in memory here.
    Stack(u64),
}

/// Reads a signal handler's third argument.
///
/// # Safety
/// `context` is what the kernel passed to a handler installed with `SA_SIGINFO`, during that handler.
#[cfg(target_arch = "x86_64")]
pub(super) unsafe fn interrupted(context: *const c_void) -> Option<Interrupted> {
    // SAFETY: the caller promises that this is the context of a signal, whose type is `ucontext_t`.
    let registers = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let stack = registers[libc::REG_RSP as usize] as u64;
    let instruction = registers[libc::REG_RIP as usize] as u64;
    Some(Interrupted { instruction, return_to: ReturnTo::Stack(stack) })
}

/// Reads a signal handler's third argument.
///
/// # Safety
/// `context` is what the kernel passed to a handler installed with `SA_SIGINFO`, during that handler.
#[cfg(target_arch = "aarch64")]
pub(super) unsafe fn interrupted(context: *const c_void) -> Option<Interrupted> {
    // SAFETY: the caller promises that this is the context of a signal, whose type is `ucontext_t`.
    let registers = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext };
    Some(Interrupted { instruction: registers.pc, return_to: ReturnTo::Address(registers.regs[30]) })
}

/// Reads a signal handler's third argument.
///
/// # Safety
/// `context` is what the kernel passed to a handler installed with `SA_SIGINFO`, during that handler.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) unsafe fn interrupted(_context: *const c_void) -> Option<Interrupted> {
    None
}
