//! i386 (also IA-32, x86 with 32-bit pointers).
//!
//! What shapes a linker for it:
//!
//! - **Addresses are 32 bits wide, and so are fields.** What the machine computes wraps around at 4 GiB, so code reaches everything
//!   directly: there are no thunks, no slots that code would need, and nothing moves out of line.
//! - **Most references are absolute.** Only branches count from the byte after their field.
//! - **Addends stand in the fields**, with whatever else is stored there before linking.
//!
//! | module | purpose |
//! | --- | --- |
//! | [`relocs`] | the relocations, a line each |
//! | [`rows`] | the rows that slots and stubs use |
//! | `stubs` | code for PLT stubs |

pub mod relocs;
pub mod rows;
mod stubs;

use jitlink_core::TargetArch;
use jitlink_core::arch::{ArchInfo, StubKind, StubTemplate};

/// The i386 machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct I386;

static INFO: ArchInfo = ArchInfo::new("i386", "i386 (IA-32), objects of Windows", &rows::ROWS)
    .pointer_rows(Some(rows::POINTER), None)
    .trap(&[0xcc]) // int3
    .got_bias(0);

impl TargetArch for I386 {
    fn info(&self) -> &'static ArchInfo {
        &INFO
    }

    fn stub(&self, kind: StubKind) -> Option<&'static StubTemplate> {
        stubs::template(kind)
    }
}
