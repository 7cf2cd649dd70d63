//! Calls between functions that agree on `r2`, and between those that do not.
//!
//! `r2` holds the TOC base in functions that use one. What a function expects of it stands in its symbol (`st_other`, ELFv2 ABI,
//! "Symbol Values", "Local Entry Point"): its *local entry* is for callers with the same `r2`, its *global entry* computes
//! `r2` from its own address in `r12`. What the caller does about `r2` stands in the relocation of the call: after
//! `R_PPC64_REL24` there is a `nop` for a load that gets `r2` back, `R_PPC64_REL24_NOTOC` is for callers that have no TOC.
//!
//! | callee | caller with a TOC | caller without |
//! | --- | --- | --- |
//! | has two entries | its local entry | a stub that puts its address into `r12` |
//! | does not use `r2` | direct | direct |
//! | does not keep `r2` | a stub that saves `r2` | direct |
//! | has another TOC base | a stub that saves `r2` and computes `r12` | |
//! | is outside of the batch | a stub that saves `r2` and loads `r12` from a slot | a stub that loads `r12` from a slot |

use super::{rows, stubs};
use jitlink_core::Endian;
use jitlink_core::arch::{CallForm, CodeSite, StubKind};

pub(super) const REL24: u32 = 10;
const REL24_NOTOC: u32 = 116;
const ADDR64_LOCAL: u32 = 117;
const REL24_P9NOTOC: u32 = 124;

const NO_RESTORE: &str =
    "the caller's TOC base is lost on this way, and behind the call is no nop for the load that gets it back";
const CONDITIONAL: &str = "a conditional branch cannot go to a function with another TOC base";
const INSIDE: &str = "the call is to somewhere inside a function that a stub must enter at its start";
const RESERVED: &str = "the symbol's local entry has the reserved number 7";

/// The bits of a symbol's `st_other` that say where its local entry is.
pub(super) const LOCAL_ENTRY: u8 = 0xe0;

/// What a symbol says whose function does not keep `r2` and has one entry.
pub(super) const CHANGES_TOC: u8 = 1 << LOCAL_ENTRY.trailing_zeros();

/// What a callee expects of `r2`, and what it leaves in it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Callee {
    /// It does not use it.
    Keeps,
    /// It leaves something else in it.
    Changes,
    /// It has a local entry so many bytes past the global one.
    Entries(i64),
    /// Nobody knows.
    Reserved,
}

impl Callee {
    fn of(other: u8) -> Callee {
        match (other & LOCAL_ENTRY) >> LOCAL_ENTRY.trailing_zeros() {
            0 => Callee::Keeps,
            1 => Callee::Changes,
            7 => Callee::Reserved,
            log2 => Callee::Entries(1 << log2),
        }
    }

    fn local_entry(self) -> i64 {
        match self {
            Callee::Entries(distance) => distance,
            _ => 0,
        }
    }
}

/// How a call is made.
pub(super) fn form(site: &CodeSite<'_>, other: u8, endian: Endian) -> CallForm {
    let callee = Callee::of(other);
    if callee == Callee::Reserved {
        return CallForm { entry: 0, stub: Err(RESERVED), always: true };
    }
    let is_outside = site.target.is_some();
    let form = match site.row.raw() {
        REL24_NOTOC => without_toc(callee, is_outside, [stubs::OUTSIDE_NO_TOC, stubs::ENTER_NO_TOC]),
        REL24_P9NOTOC => without_toc(callee, is_outside, [stubs::OUTSIDE_NO_PREFIX, stubs::ENTER_NO_PREFIX]),
        ADDR64_LOCAL => return CallForm { entry: callee.local_entry(), stub: Err(INSIDE), always: false },
        REL24 => with_toc(callee, is_outside, restored(site, endian, rows::RESTORE_TOC, rows::CALL_AND_RESTORE)),
        raw if raw == rows::FIRST + u32::from(rows::CALL_ACROSS) => {
            across(callee, is_outside, restored(site, endian, rows::RESTORE_TOC, rows::CALL_AND_RESTORE))
        }
        raw if raw == rows::FIRST + u32::from(rows::CALL_V1) => {
            // Of the batch's own, only trampolines are still known by their descriptors here.
            described(site, endian, stubs::DESCRIPTOR, is_outside || callee == Callee::Changes)
        }
        raw if raw == rows::FIRST + u32::from(rows::CALL_V1_APART) => {
            let stub = if is_outside { stubs::DESCRIPTOR_APART } else { stubs::DESCRIPTOR_NEAR };
            described(site, endian, stub, is_outside || callee == Callee::Changes)
        }
        raw if raw == rows::FIRST + u32::from(rows::CALL_V1_ACROSS) => {
            described(site, endian, stubs::DESCRIPTOR_NEAR, true)
        }
        _ => with_toc(callee, is_outside, Err(CONDITIONAL)),
    };
    match form.always && site.edge.addend != 0 {
        true => CallForm { stub: Err(INSIDE), ..form },
        false => form,
    }
}

fn without_toc(callee: Callee, is_outside: bool, [outside, enter]: [StubKind; 2]) -> CallForm {
    match callee {
        _ if is_outside => CallForm { entry: 0, stub: Ok((outside, None)), always: true },
        Callee::Entries(_) => CallForm { entry: 0, stub: Ok((enter, None)), always: true },
        _ => CallForm { entry: 0, stub: Ok((enter, None)), always: false },
    }
}

/// `restored` is the row of the call with its load behind it, or why it can have none.
fn with_toc(callee: Callee, is_outside: bool, restored: Result<u16, &'static str>) -> CallForm {
    let through = |kind: StubKind| restored.map(|row| (kind, Some(row)));
    match callee {
        _ if is_outside => CallForm { entry: 0, stub: through(stubs::OUTSIDE_TOC), always: true },
        Callee::Changes => CallForm { entry: 0, stub: through(stubs::SAVE_TOC), always: true },
        _ => CallForm { entry: callee.local_entry(), stub: through(stubs::OUTSIDE_TOC), always: false },
    }
}

/// As [`with_toc`], where the caller's TOC base is neither the callee's nor that of the linker's slots.
fn across(callee: Callee, is_outside: bool, restored: Result<u16, &'static str>) -> CallForm {
    let through = |kind: StubKind| restored.map(|row| (kind, Some(row)));
    match callee {
        _ if is_outside => CallForm { entry: 0, stub: through(stubs::OUTSIDE_ACROSS), always: true },
        Callee::Entries(_) => CallForm { entry: 0, stub: through(stubs::ENTER_ACROSS), always: true },
        _ => with_toc(callee, is_outside, restored),
    }
}

/// Under the ELFv1 ABI, to what is known by its descriptor, if `always`.
fn described(site: &CodeSite<'_>, endian: Endian, stub: StubKind, always: bool) -> CallForm {
    let restored = restored(site, endian, rows::RESTORE_TOC_V1, rows::CALL_AND_RESTORE_V1);
    CallForm { entry: 0, stub: restored.map(|row| (stub, Some(row))), always }
}

/// `row`, which is that of the call with the load of `r2` behind it, if there is room for that load.
fn restored(site: &CodeSite<'_>, endian: Endian, load: u32, row: u16) -> Result<u16, &'static str> {
    const NOP: u32 = 0x6000_0000;
    // Older compilers': `cror 15, 15, 15`, `cror 31, 31, 31`.
    const CROR_15: u32 = 0x4def_7b82;
    const CROR_31: u32 = 0x4fff_fb82;
    let word = |offset: u32| {
        let bytes = site.block.get(offset as usize..)?.get(..4)?;
        Some(endian.read(bytes) as u32)
    };
    let links = word(site.edge.offset).is_some_and(|branch| branch & 1 != 0);
    let behind = site.edge.offset.checked_add(4).and_then(word);
    let has_room = behind.is_some_and(|word| [NOP, CROR_15, CROR_31, load].contains(&word));
    if links && has_room { Ok(row) } else { Err(NO_RESTORE) }
}
