//! The code of stubs.
//!
//! No stub starts with `endbr64`. It would matter where an indirect branch reaches a stub (the stub being what some object
//! takes for the function's address) in a process under indirect-branch tracking; no Linux enables that for user space, and
//! the instruction would double the stubs' size. The bytes after each jump are `int3`, which also ends straight-line
//! speculation past it.
//!
//! `%r11` is the register that the psABI leaves to code between a call and its target (section 3.2.3, figure 3.4): neither
//! an argument, nor preserved, nor the static chain, which is `%r10`.

use super::binder::BINDER;
use super::rows;
use jitlink_core::arch::{StubFixup, StubKind, StubTemplate};

// ff 25 rel32   jmp *slot(%rip)
// cc cc         int3; int3
static PLT: StubTemplate = StubTemplate::new(
    &[0xff, 0x25, 0, 0, 0, 0, 0xcc, 0xcc],
    8, // one cache line a stub
    &[StubFixup { offset: 2, row: rows::SLOT, addend: -4 }],
);

// 49 bb imm64   movabs $target, %r11
// 41 ff e3      jmp *%r11
// cc cc cc      int3 (3 times)
static THUNK: StubTemplate = StubTemplate::new(
    &[0x49, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0, 0x41, 0xff, 0xe3, 0xcc, 0xcc, 0xcc],
    16,
    &[StubFixup { offset: 2, row: rows::POINTER, addend: 0 }],
);

// 4c 8d 1d rel32   lea slot(%rip), %r11
// e9 rel32         jmp binder
static LAZY: StubTemplate = StubTemplate::new(
    &[0x4c, 0x8d, 0x1d, 0, 0, 0, 0, 0xe9, 0, 0, 0, 0],
    4,
    &[StubFixup { offset: 3, row: rows::SLOT, addend: -4 }, StubFixup { offset: 8, row: rows::NEAR, addend: -4 }],
);

/// The stub of a kind.
pub(super) fn template(kind: StubKind) -> Option<&'static StubTemplate> {
    match kind {
        StubKind::Plt => Some(&PLT),
        StubKind::Thunk => Some(&THUNK),
        StubKind::Lazy => Some(&LAZY),
        StubKind::Binder => Some(&BINDER),
        _ => None,
    }
}
