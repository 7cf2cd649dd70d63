//! The code of stubs and thunks, and of functions that are found on their first call.
//!
//! All of it knows addresses as they are: memory has its place before code is written, so nothing has to be found from a base
//! register. A stub of a call changes `r12` and `ctr` (Power Architecture 32-bit ABI Supplement, "Function Linkage" leaves `r11` and
//! `r12` to code between caller and callee; `r11` is kept because nested functions get their environment in it).
//!
//! A thunk stands in for a direct call, which leaves all registers as they are: routines that save registers get arguments in `r0`
//! and `r11`, and code around them holds the condition register in `r12`. So only `ctr` changes. There is nothing below the stack
//! pointer that signals would leave alone, so it is moved for the one word that is kept.
//!
//! The *binder* keeps what may hold arguments ("Parameter Passing"): `r3` to `r10`, `r11`, `f1` to `f8`, and the condition
//! register, which says whether variable arguments are in floating-point registers. Vector registers are not there on all machines;
//! whoever has them keeps them in the function that the binder calls.
//!
//! | its frame | what |
//! | --- | --- |
//! | 0 | back chain, room for the callee's return address |
//! | 8 | `r3` to `r11` |
//! | 44 | condition register |
//! | 48 | `f1` to `f8` |

use super::rows;
use crate::code::{Code, code, fixup, short};
use jitlink_core::Endian;
use jitlink_core::arch::{StubFixup, StubKind, StubTemplate};

const LIS_R12: u32 = 0x3d80_0000;
const ADDI_R12_R12: u32 = 0x398c_0000;
const MTCTR_R12: u32 = 0x7d89_03a6;
const BCTR: u32 = 0x4e80_0420;

const PLT: [u32; 4] = [
    LIS_R12,     //   lis   r12, slot@ha
    0x818c_0000, //   lwz   r12, slot@l(r12)
    MTCTR_R12,   //   mtctr r12
    BCTR,        //   bctr
];
const PLT_FIXUPS: &[StubFixup] = &[fixup(0, rows::SLOT_HA, 0), fixup(4, rows::SLOT_LO, 0)];

const THUNK: [u32; 8] = [
    0x9421_fff0,  //   stwu  r1, -16(r1)
    0x9181_0008,  //   stw   r12, 8(r1)
    LIS_R12,      //   lis   r12, callee@ha
    ADDI_R12_R12, //   addi  r12, r12, callee@l
    MTCTR_R12,    //   mtctr r12
    0x8181_0008,  //   lwz   r12, 8(r1)
    0x3821_0010,  //   addi  r1, r1, 16
    BCTR,         //   bctr
];
const THUNK_FIXUPS: &[StubFixup] = &[fixup(8, rows::ADDRESS_HA, 0), fixup(12, rows::ADDRESS_LO, 0)];

const LAZY: [u32; 3] = [
    LIS_R12,      //   lis   r12, slot@ha
    ADDI_R12_R12, //   addi  r12, r12, slot@l
    0x4800_0000,  //   b     binder
];
const LAZY_FIXUPS: &[StubFixup] = &[fixup(0, rows::SLOT_HA, 0), fixup(4, rows::SLOT_LO, 0), fixup(8, rows::BRANCH, 0)];

const GENERAL: u16 = 8;
const CONDITION: u16 = 44;
const FLOAT: u16 = 48;
const FRAME: u16 = FLOAT + 8 * 8;
/// Where a function keeps its return address in its caller's frame.
const RETURN: u16 = 4;

const BINDER_WORDS: usize = 51;
/// Where in it the linker's address is.
const BINDER_LINKER: usize = 23;
const BINDER: [u32; BINDER_WORDS] = binder();
const BINDER_FIXUPS: &[StubFixup] =
    &[fixup(4 * BINDER_LINKER as u32, rows::ADDRESS_HA, 0), fixup(4 * BINDER_LINKER as u32 + 4, rows::ADDRESS_LO, 0)];

/// A load or store of a register at a place in the frame.
const fn framed(opcode: u32, register: u32, at: u16) -> u32 {
    short(opcode, register, 1, at)
}

const LWZ: u32 = 32;
const STW: u32 = 36;
const LFD: u32 = 50;
const STFD: u32 = 54;

impl Code<BINDER_WORDS> {
    const fn registers(&mut self, general: u32, float: u32) {
        let mut index = 0;
        while index < 9 {
            self.push(framed(general, 3 + index, GENERAL + 4 * index as u16));
            index += 1;
        }
        let mut index = 0;
        while index < 8 {
            self.push(framed(float, 1 + index, FLOAT + 8 * index as u16));
            index += 1;
        }
    }
}

const fn binder() -> [u32; BINDER_WORDS] {
    let mut code = Code::new(0);
    code.push(0x7c08_02a6); // mflr r0
    code.push(framed(STW, 0, RETURN));
    code.push(0x9421_0000 | FRAME.wrapping_neg() as u32); // stwu r1, -FRAME(r1)
    code.registers(STW, STFD);
    code.push(0x7c00_0026); // mfcr r0
    code.push(framed(STW, 0, CONDITION));
    code.push(0x7d83_6378); // mr r3, r12
    assert!(code.used == BINDER_LINKER);
    code.push(LIS_R12);
    code.push(ADDI_R12_R12);
    code.push(MTCTR_R12);
    code.push(0x4e80_0421); // bctrl
    code.push(0x7c69_03a6); // mtctr r3
    code.push(framed(LWZ, 0, CONDITION));
    code.push(0x7c0f_f120); // mtcr r0
    code.registers(LWZ, LFD);
    code.push(0x3821_0000 | FRAME as u32); // addi r1, r1, FRAME
    code.push(framed(LWZ, 0, RETURN));
    code.push(0x7c08_03a6); // mtlr r0
    code.push(BCTR);
    assert!(code.used == BINDER_WORDS);
    code.words
}

/// The templates of one byte order.
struct Templates {
    plt: StubTemplate,
    thunk: StubTemplate,
    lazy: StubTemplate,
    binder: StubTemplate,
}

static LITTLE: Templates = Templates {
    plt: StubTemplate::new(&const { code::<16>(&PLT, false) }, 4, PLT_FIXUPS),
    thunk: StubTemplate::new(&const { code::<32>(&THUNK, false) }, 4, THUNK_FIXUPS),
    lazy: StubTemplate::new(&const { code::<12>(&LAZY, false) }, 4, LAZY_FIXUPS),
    binder: StubTemplate::new(&const { code::<{ 4 * BINDER_WORDS }>(&BINDER, false) }, 4, BINDER_FIXUPS),
};

static BIG: Templates = Templates {
    plt: StubTemplate::new(&const { code::<16>(&PLT, true) }, 4, PLT_FIXUPS),
    thunk: StubTemplate::new(&const { code::<32>(&THUNK, true) }, 4, THUNK_FIXUPS),
    lazy: StubTemplate::new(&const { code::<12>(&LAZY, true) }, 4, LAZY_FIXUPS),
    binder: StubTemplate::new(&const { code::<{ 4 * BINDER_WORDS }>(&BINDER, true) }, 4, BINDER_FIXUPS),
};

/// The stub of a kind.
pub(super) fn template(kind: StubKind, endian: Endian) -> Option<&'static StubTemplate> {
    let templates = match endian {
        Endian::Little => &LITTLE,
        Endian::Big => &BIG,
    };
    match kind {
        StubKind::Plt => Some(&templates.plt),
        StubKind::Thunk => Some(&templates.thunk),
        StubKind::Lazy => Some(&templates.lazy),
        StubKind::Binder => Some(&templates.binder),
        _ => None,
    }
}
