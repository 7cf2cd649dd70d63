//! The code that links a function on its first call.
//!
//! It runs between a call and the function that is called, so every register that may hold an argument, or whatever else a
//! caller may expect the function to find, has to survive: the integer ones, `%rax` (the number of vector registers of a
//! variadic call, psABI section 3.5.7), `%r10` (the static chain), and vector registers in full width (section 3.2.3),
//! which only `xsave` knows how to save on machines to come. What it saves are the states that a call can carry: SSE, AVX and
//! the three parts of AVX-512. The x87 stack and `%r16` to `%r31` carry no arguments; tiles neither. A machine that cannot
//! `xsave` has no more than what `fxsave` saves.
//!
//! `%r11` is free between a call and its target; lazy stubs put the address of the slot there. The stack is aligned anew,
//! because the caller's alignment is only known where the ABI is kept, and `xsave` needs more of it.
//!
//! No unwinder finds its way through: nothing that this code calls may throw. When the function itself throws, this code has left
//! the stack as it was.
//!
//! The bytes are those of `binder.s`, which a test assembles.

use super::rows;
use jitlink_core::arch::{StubFixup, StubTemplate};

/// Where the address of the host's function stands.
const HOST: u32 = 0xa0;

/// The binder.
pub(super) static BINDER: StubTemplate =
    StubTemplate::new(&CODE, 8, &[StubFixup { offset: HOST, row: rows::POINTER, addend: 0 }]);

#[rustfmt::skip]
static CODE: [u8; 168] = [
    0x55,                                              // 00: push %rbp
    0x48, 0x89, 0xe5,                                  // 01: mov %rsp, %rbp
    0x53,                                              // 04: push %rbx
    0x50,                                              // 05: push %rax
    0x57,                                              // 06: push %rdi
    0x56,                                              // 07: push %rsi
    0x52,                                              // 08: push %rdx
    0x51,                                              // 09: push %rcx
    0x41, 0x50,                                        // 0a: push %r8
    0x41, 0x51,                                        // 0c: push %r9
    0x41, 0x52,                                        // 0e: push %r10
    0x41, 0x53,                                        // 10: push %r11
    0xb8, 0x01, 0x00, 0x00, 0x00,                      // 12: mov $0x1, %eax
    0x31, 0xc9,                                        // 17: xor %ecx, %ecx
    0x0f, 0xa2,                                        // 19: cpuid
    0x0f, 0xba, 0xe1, 0x1b,                            // 1b: bt $0x1b, %ecx
    0x73, 0x49,                                        // 1f: jae 6a
    0xb8, 0x0d, 0x00, 0x00, 0x00,                      // 21: mov $0xd, %eax
    0x31, 0xc9,                                        // 26: xor %ecx, %ecx
    0x0f, 0xa2,                                        // 28: cpuid
    0x48, 0x29, 0xdc,                                  // 2a: sub %rbx, %rsp
    0x48, 0x83, 0xe4, 0xc0,                            // 2d: and $0xffffffffffffffc0, %rsp
    0x31, 0xc0,                                        // 31: xor %eax, %eax
    0x48, 0x8d, 0xbc, 0x24, 0x00, 0x02, 0x00, 0x00,    // 33: lea 0x200(%rsp), %rdi
    0xb9, 0x08, 0x00, 0x00, 0x00,                      // 3b: mov $0x8, %ecx
    0xf3, 0x48, 0xab,                                  // 40: rep stos %rax, %es:(%rdi)
    0xb8, 0xe6, 0x00, 0x00, 0x00,                      // 43: mov $0xe6, %eax
    0x31, 0xd2,                                        // 48: xor %edx, %edx
    0x48, 0x0f, 0xae, 0x24, 0x24,                      // 4a: xsave64 (%rsp)
    0x48, 0x8b, 0x7d, 0xb0,                            // 4f: mov -0x50(%rbp), %rdi
    0xff, 0x15, 0x47, 0x00, 0x00, 0x00,                // 53: call *host(%rip)
    0x49, 0x89, 0xc3,                                  // 59: mov %rax, %r11
    0xb8, 0xe6, 0x00, 0x00, 0x00,                      // 5c: mov $0xe6, %eax
    0x31, 0xd2,                                        // 61: xor %edx, %edx
    0x48, 0x0f, 0xae, 0x2c, 0x24,                      // 63: xrstor64 (%rsp)
    0xeb, 0x22,                                        // 68: jmp 8c
    0x48, 0x81, 0xec, 0x00, 0x02, 0x00, 0x00,          // 6a: sub $0x200, %rsp
    0x48, 0x83, 0xe4, 0xc0,                            // 71: and $0xffffffffffffffc0, %rsp
    0x48, 0x0f, 0xae, 0x04, 0x24,                      // 75: fxsave64 (%rsp)
    0x48, 0x8b, 0x7d, 0xb0,                            // 7a: mov -0x50(%rbp), %rdi
    0xff, 0x15, 0x1c, 0x00, 0x00, 0x00,                // 7e: call *host(%rip)
    0x49, 0x89, 0xc3,                                  // 84: mov %rax, %r11
    0x48, 0x0f, 0xae, 0x0c, 0x24,                      // 87: fxrstor64 (%rsp)
    0x48, 0x8d, 0x65, 0xb8,                            // 8c: lea -0x48(%rbp), %rsp
    0x41, 0x5a,                                        // 90: pop %r10
    0x41, 0x59,                                        // 92: pop %r9
    0x41, 0x58,                                        // 94: pop %r8
    0x59,                                              // 96: pop %rcx
    0x5a,                                              // 97: pop %rdx
    0x5e,                                              // 98: pop %rsi
    0x5f,                                              // 99: pop %rdi
    0x58,                                              // 9a: pop %rax
    0x5b,                                              // 9b: pop %rbx
    0x5d,                                              // 9c: pop %rbp
    0x41, 0xff, 0xe3,                                  // 9d: jmp *%r11
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,    // a0: host
];
