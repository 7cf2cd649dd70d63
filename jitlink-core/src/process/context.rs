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

/// More registers than any machine here has.
pub(super) const MOST_REGISTERS: usize = 48;

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
#[cfg(any(target_arch = "powerpc", target_arch = "powerpc64"))]
pub(super) unsafe fn interrupted(context: *const c_void) -> Option<Interrupted> {
    // SAFETY: the caller promises that this is the context of a signal.
    let registers = unsafe { saved(context) };
    Some(Interrupted { instruction: registers[32] as u64, return_to: ReturnTo::Address(registers[36] as u64) })
}

/// The registers of the interrupted code: the general ones, then what the kernel calls nip, msr, orig_gpr3, ctr, link and xer
/// (linux/arch/powerpc/include/uapi/asm/ptrace.h). A pointer to them stands in the context: where words have 64 bits, behind flags, a link,
/// the signal's stack, a mask of 1024 signals, and nine words; where they have 32, behind the first three of these and seven words.
///
/// # Safety
/// As for [`interrupted`].
#[cfg(any(target_arch = "powerpc", target_arch = "powerpc64"))]
unsafe fn saved<'c>(context: *const c_void) -> &'c [usize; 38] {
    const REGISTERS: usize = match size_of::<usize>() {
        8 => (8 + 8 + 24 + 128) + 4 * 8 + 3 * 8,
        _ => 4 + 4 + 12 + 7 * 4,
    };
    // SAFETY: as the caller promises; the context lives as long as its handler runs.
    unsafe { &**context.byte_add(REGISTERS).cast::<*const [usize; 38]>() }
}

/// Reads a signal handler's third argument.
///
/// # Safety
/// `context` is what the kernel passed to a handler installed with `SA_SIGINFO`, during that handler.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "powerpc", target_arch = "powerpc64")))]
pub(super) unsafe fn interrupted(_context: *const c_void) -> Option<Interrupted> {
    None
}

/// Copies the registers of the interrupted code, by name; how many there are.
///
/// # Safety
/// As for [`interrupted`].
#[cfg(target_arch = "x86_64")]
pub(super) unsafe fn registers(context: *const c_void, to: &mut [(&'static str, u64); MOST_REGISTERS]) -> usize {
    const NAMES: [(&str, i32); 18] = [
        ("rax", libc::REG_RAX),
        ("rbx", libc::REG_RBX),
        ("rcx", libc::REG_RCX),
        ("rdx", libc::REG_RDX),
        ("rsi", libc::REG_RSI),
        ("rdi", libc::REG_RDI),
        ("rbp", libc::REG_RBP),
        ("rsp", libc::REG_RSP),
        ("r8", libc::REG_R8),
        ("r9", libc::REG_R9),
        ("r10", libc::REG_R10),
        ("r11", libc::REG_R11),
        ("r12", libc::REG_R12),
        ("r13", libc::REG_R13),
        ("r14", libc::REG_R14),
        ("r15", libc::REG_R15),
        ("rip", libc::REG_RIP),
        ("eflags", libc::REG_EFL),
    ];
    // SAFETY: the caller promises that this is the context of a signal, whose type is `ucontext_t`.
    let saved = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    for (register, (name, index)) in to.iter_mut().zip(NAMES) {
        *register = (name, saved[index as usize] as u64);
    }
    NAMES.len()
}

/// Copies the registers of the interrupted code, by name; how many there are.
///
/// # Safety
/// As for [`interrupted`].
#[cfg(target_arch = "aarch64")]
pub(super) unsafe fn registers(context: *const c_void, to: &mut [(&'static str, u64); MOST_REGISTERS]) -> usize {
    const NAMES: [&str; 33] = [
        "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16",
        "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x29", "x30", "sp", "pc",
    ];
    // SAFETY: the caller promises that this is the context of a signal, whose type is `ucontext_t`.
    let saved = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext };
    let values = saved.regs.iter().copied().chain([saved.sp, saved.pc]);
    to.iter_mut().zip(NAMES.iter().zip(values)).for_each(|(register, (name, value))| *register = (name, value));
    NAMES.len()
}

/// Copies the registers of the interrupted code, by name; how many there are.
///
/// # Safety
/// As for [`interrupted`].
#[cfg(any(target_arch = "powerpc", target_arch = "powerpc64"))]
pub(super) unsafe fn registers(context: *const c_void, to: &mut [(&'static str, u64); MOST_REGISTERS]) -> usize {
    const NAMES: [&str; 38] = [
        "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "r16",
        "r17", "r18", "r19", "r20", "r21", "r22", "r23", "r24", "r25", "r26", "r27", "r28", "r29", "r30", "r31", "nip",
        "msr", "orig_r3", "ctr", "lr", "xer",
    ];
    // SAFETY: as the caller promises.
    let saved = unsafe { saved(context) };
    to.iter_mut().zip(NAMES.iter().zip(saved)).for_each(|(register, (name, value))| *register = (name, *value as u64));
    NAMES.len()
}

/// Copies the registers of the interrupted code, by name; how many there are.
///
/// # Safety
/// As for [`interrupted`].
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "powerpc", target_arch = "powerpc64")))]
pub(super) unsafe fn registers(_context: *const c_void, _to: &mut [(&'static str, u64); MOST_REGISTERS]) -> usize {
    0
}
