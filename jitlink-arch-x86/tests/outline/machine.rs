//! Runs a few bytes of code on this processor, from a known state of all registers to another.

use std::arch::global_asm;
use std::ptr;
use std::sync::{Mutex, MutexGuard};

/// The registers. General ones are numbered as instructions encode them: rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, …
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) general: [u64; 16],
    pub(crate) flags: u64,
    pub(crate) unused: u64,
    pub(crate) xmm: [[u64; 2]; 2],
}

// run_code(state: rdi, code: rsi) leaves the host's stack, loads the state, and jumps. The code comes back by jumping to
// run_code_exit. `mov` and `movups` leave flags alone.
global_asm!(
    ".data",
    ".balign 8",
    "run_code_host: .quad 0",
    "run_code_state: .quad 0",
    "run_code_entry: .quad 0",
    "run_code_rdi: .quad 0",
    ".text",
    ".globl run_code",
    "run_code:",
    "push rbx; push rbp; push r12; push r13; push r14; push r15",
    "mov [rip + run_code_host], rsp",
    "mov [rip + run_code_state], rdi",
    "mov [rip + run_code_entry], rsi",
    "movups xmm0, [rdi + 144]",
    "movups xmm1, [rdi + 160]",
    "push [rdi + 128]",
    "popfq",
    "mov rax, [rdi]; mov rcx, [rdi + 8]; mov rdx, [rdi + 16]; mov rbx, [rdi + 24]",
    "mov rsp, [rdi + 32]; mov rbp, [rdi + 40]; mov rsi, [rdi + 48]",
    "mov r8, [rdi + 64]; mov r9, [rdi + 72]; mov r10, [rdi + 80]; mov r11, [rdi + 88]",
    "mov r12, [rdi + 96]; mov r13, [rdi + 104]; mov r14, [rdi + 112]; mov r15, [rdi + 120]",
    "mov rdi, [rdi + 56]",
    "jmp [rip + run_code_entry]",
    ".globl run_code_exit",
    "run_code_exit:",
    "mov [rip + run_code_rdi], rdi",
    "mov rdi, [rip + run_code_state]",
    "mov [rdi], rax; mov [rdi + 8], rcx; mov [rdi + 16], rdx; mov [rdi + 24], rbx",
    "mov [rdi + 32], rsp; mov [rdi + 40], rbp; mov [rdi + 48], rsi",
    "mov [rdi + 64], r8; mov [rdi + 72], r9; mov [rdi + 80], r10; mov [rdi + 88], r11",
    "mov [rdi + 96], r12; mov [rdi + 104], r13; mov [rdi + 112], r14; mov [rdi + 120], r15",
    "mov rax, [rip + run_code_rdi]",
    "mov [rdi + 56], rax",
    "movups [rdi + 144], xmm0",
    "movups [rdi + 160], xmm1",
    "mov rsp, [rip + run_code_host]",
    "pushfq",
    "pop [rdi + 128]",
    "cld",
    "pop r15; pop r14; pop r13; pop r12; pop rbp; pop rbx",
    "ret",
);

unsafe extern "C" {
    fn run_code(state: *mut State, code: *const u8);
    fn run_code_exit();
}

/// Memory mapped for a test.
pub(crate) struct Memory {
    base: *mut u8,
    size: usize,
}

// SAFETY: the memory belongs to this value alone.
unsafe impl Send for Memory {}

impl Memory {
    /// `size` bytes, in the lowest 2 GiB or wherever the system likes (far from there).
    pub(crate) fn new(size: usize, low: bool) -> Memory {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | if low { libc::MAP_32BIT } else { 0 };
        // SAFETY: a new mapping at an address of the system's choice.
        let base = unsafe { libc::mmap(ptr::null_mut(), size, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        assert_ne!(base, libc::MAP_FAILED);
        let memory = Memory { base: base.cast(), size };
        assert_eq!(low, memory.address() < 1 << 31);
        memory
    }

    pub(crate) fn address(&self) -> u64 {
        self.base as u64
    }

    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: mapped, readable and writable for as long as this value lives; `executable` is undone before it returns.
        unsafe { std::slice::from_raw_parts_mut(self.base, self.size) }
    }

    fn protect(&self, protection: i32) {
        // SAFETY: changes this mapping only.
        assert_eq!(unsafe { libc::mprotect(self.base.cast(), self.size, protection) }, 0);
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: nothing refers to the mapping any more.
        unsafe { libc::munmap(self.base.cast(), self.size) };
    }
}

/// The one that may run code: the state between two runs is in statics.
pub(crate) struct Machine(#[expect(dead_code, reason = "held")] MutexGuard<'static, ()>);

impl Machine {
    pub(crate) fn new() -> Machine {
        static RUNNING: Mutex<()> = Mutex::new(());
        Machine(RUNNING.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    /// The address to which code jumps to end its run.
    pub(crate) fn exit(&self) -> u64 {
        run_code_exit as *const () as u64
    }

    /// Runs the code at `offset` of `memory`.
    pub(crate) fn run(&self, memory: &Memory, offset: usize, state: &mut State) {
        memory.protect(libc::PROT_READ | libc::PROT_EXEC);
        // SAFETY: the test wrote code there that ends by jumping to `exit`, and whose stack pointer has room.
        unsafe { run_code(state, memory.base.add(offset)) };
        memory.protect(libc::PROT_READ | libc::PROT_WRITE);
    }
}
