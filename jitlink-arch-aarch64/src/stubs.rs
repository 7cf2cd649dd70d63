//! The code of stubs. They use `x16` alone, which is free between a call and its target; with it, `br` may go to where only calls may
//! (`bti c`).

use crate::rows;
use jitlink_core::arch::{StubFixup, StubKind, StubTemplate};

// adrp x16, slot
// ldr  x16, [x16, :lo12:slot]
// br   x16
static PLT: StubTemplate = StubTemplate::new(
    &[0x10, 0x00, 0x00, 0x90, 0x10, 0x02, 0x40, 0xf9, 0x00, 0x02, 0x1f, 0xd6],
    4,
    &[
        StubFixup { offset: 0, row: rows::SLOT_PAGE, addend: 0 },
        StubFixup { offset: 4, row: rows::SLOT_LOW, addend: 0 },
    ],
);

// adrp x16, callee
// add  x16, x16, :lo12:callee
// br   x16
static THUNK: StubTemplate = StubTemplate::new(
    &[0x10, 0x00, 0x00, 0x90, 0x10, 0x02, 0x00, 0x91, 0x00, 0x02, 0x1f, 0xd6],
    4,
    &[StubFixup { offset: 0, row: rows::PAGE, addend: 0 }, StubFixup { offset: 4, row: rows::LOW, addend: 0 }],
);

/// The stub of a kind.
pub(crate) fn template(kind: StubKind) -> Option<&'static StubTemplate> {
    match kind {
        StubKind::Plt => Some(&PLT),
        StubKind::Thunk => Some(&THUNK),
        _ => None,
    }
}
