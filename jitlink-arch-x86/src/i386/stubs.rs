//! The code of stubs. It jumps through a slot and changes no register, since conventions pass arguments in `%eax`, `%ecx` and `%edx`.

use super::rows;
use jitlink_core::arch::{StubFixup, StubKind, StubTemplate};

// ff 25 abs32   jmp *slot
// cc cc         int3; int3
static PLT: StubTemplate = StubTemplate::new(
    &[0xff, 0x25, 0, 0, 0, 0, 0xcc, 0xcc],
    8, // one cache line a stub
    &[StubFixup { offset: 2, row: rows::SLOT, addend: 0 }],
);

/// The stub of a kind.
pub(super) fn template(kind: StubKind) -> Option<&'static StubTemplate> {
    match kind {
        StubKind::Plt => Some(&PLT),
        _ => None,
    }
}
