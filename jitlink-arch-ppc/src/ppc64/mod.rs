//! PowerPC with 64-bit pointers under the OpenPOWER ELFv2 ABI ("64-Bit ELF V2 ABI Specification: Power Architecture", OpenPOWER
//! Foundation), to whose sections comments refer by name.
//!
//! What shapes a linker for it:
//!
//! - **Code finds its data from a base in `r2`**, the TOC base, which each function that needs it computes from its own address or
//!   gets from its caller. That is `toc`.
//! - **A function may have two entries**, and a call may have to save and restore `r2`: what caller and callee agree on decides
//!   how a call is made (`calls`).
//! - **The older ELFv1 ABI has descriptors**: a function's symbol stands for a table with its entry and its TOC base
//!   (`descriptors`).
//! - **Immediates have 16 bits.** Addresses are put together of an upper part that is rounded, because the lower one is
//!   sign-extended, and of a lower one. Loads and stores of eight bytes use the two low bits for the opcode.
//! - **POWER10 has prefixed instructions** of eight bytes with 34 bits relative to the instruction itself. Code that is compiled
//!   for them needs no TOC.
//! - **Branches reach 32 MiB**, conditional ones 32 KiB. Thunks extend the former, and the latter become branches to the former.
//!
//! | module | purpose |
//! | --- | --- |
//! | [`relocs`] | the ABI's relocations, a line each |
//! | [`rows`] | the rows that slots, stubs and calls use |
//! | `calls` | how a call is made |
//! | `descriptors` | functions of the ELFv1 ABI |
//! | `stubs` | code for stubs and thunks |
//! | `trampolines` | functions that are found on their first call |
//! | `toc` | where the TOC lies, and its base |
//! | `groups` | objects that have a TOC base of their own |
//! | `slots` | the linker's slots for such objects |
//! | `save` | routines that save and restore registers |

mod calls;
mod descriptors;
mod groups;
pub mod relocs;
pub mod rows;
mod save;
mod slots;
mod stubs;
pub(crate) mod toc;
mod trampolines;

use crate::branches;
use groups::Groups;
use jitlink_core::arch::{
    ArchInfo, CallForm, CodeSite, Outlined, Relaxed, StubKind, StubTemplate, SystemNames, Target,
};
use jitlink_core::error::Site;
use jitlink_core::format::ObjectHeader;
use jitlink_core::graph::ObjectBuilder;
use jitlink_core::link::{Pipeline, Stage};
use jitlink_core::{Endian, LinkError, TargetArch};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// PowerPC with 64-bit pointers in one byte order. Stubs are bytes, so each order is an architecture of its own.
#[derive(Clone, Copy, Debug)]
pub struct Ppc64 {
    info: &'static ArchInfo,
    endian: Endian,
}

/// Little-endian PowerPC with 64-bit pointers.
pub static PPC64LE: Ppc64 = Ppc64 { info: &INFO_LITTLE, endian: Endian::Little };

/// Big-endian PowerPC with 64-bit pointers.
pub static PPC64: Ppc64 = Ppc64 { info: &INFO_BIG, endian: Endian::Big };

static INFO_BIG: ArchInfo =
    info("ppc64", "64-bit PowerPC, big-endian, ELFv1 and ELFv2 ABIs, all code models", &TRAP_BIG)
        .descriptors_in(descriptors::NAME)
        .systems(&SYSTEM_BIG);
static INFO_LITTLE: ArchInfo =
    info("ppc64le", "64-bit PowerPC, little-endian, ELFv2 ABI, all code models", &TRAP_LITTLE).systems(&SYSTEM_LITTLE);

/// Systems with a C library of the GNU project; the big-endian one has the ELFv1 ABI.
static SYSTEM_BIG: [SystemNames; 1] = [SystemNames::new(Endian::Big, 8, "powerpc64", "powerpc64-unknown-linux-gnu")
    .qemu("ppc64")
    .debian("powerpc64-linux-gnu", "libc6-ppc64-cross")];
static SYSTEM_LITTLE: [SystemNames; 1] =
    [SystemNames::new(Endian::Little, 8, "powerpc64", "powerpc64le-unknown-linux-gnu")
        .qemu("ppc64le")
        .debian("powerpc64le-linux-gnu", "libc6-ppc64el-cross")];

/// What big-endian code of that ABI is called by.
const ELFV2: &str = "ELFv2";
/// The bits of `e_flags` with the number of the ABI (`EF_PPC64_ABI`); zero where an object does not say it.
const ABI: u32 = 3;

/// `trap`.
const TRAP: u32 = 0x7fe0_0008;
const TRAP_LITTLE: [u8; 4] = TRAP.to_le_bytes();
const TRAP_BIG: [u8; 4] = TRAP.to_be_bytes();

const fn info(name: &'static str, description: &'static str, trap: &'static [u8]) -> ArchInfo {
    ArchInfo::new(name, description, &rows::ROWS)
        .pointer_rows(None, Some(rows::POINTER))
        .trap(trap)
        .got_bias(toc::BIAS)
        .got_beside(toc::NAME)
        .call_reach(0x200_0000)
        .stub_forms(stubs::FORMS)
        .trampoline_other(calls::CHANGES_TOC)
}

impl TargetArch for Ppc64 {
    fn info(&self) -> &'static ArchInfo {
        self.info
    }

    fn stub(&self, kind: StubKind) -> Option<&'static StubTemplate> {
        trampolines::template(kind, self.endian, false).or_else(|| stubs::template(kind, self.endian))
    }

    /// Big-endian code may be for either ABI (ELFv2 ABI, "ELF Header", `e_flags`), and systems of that byte order that are named here
    /// have the older one.
    fn convention(&self, header: &ObjectHeader) -> Option<&'static str> {
        match (self.endian, header.flags & ABI) {
            (Endian::Big, 0) => None,
            (Endian::Big, 2) => Some(ELFV2),
            _ => Some(""),
        }
    }

    fn trampoline_part(&self, kind: StubKind, target: &Target) -> Option<&'static StubTemplate> {
        trampolines::template(kind, self.endian, target.convention == ELFV2)
    }

    /// `pld` of a slot's content, where the address that the slot would hold is near.
    fn relax(&self, site: &CodeSite<'_>) -> Option<Relaxed> {
        let code = site.block.get(site.edge.offset as usize..)?.get(..8)?;
        let (prefix, suffix) = (self.endian.read(&code[..4]), self.endian.read(&code[4..]));
        // Prefix type 0 with R set, then `ld` without a base register.
        let is_pld = prefix & 0xfff0_0000 == 0x0410_0000 && suffix & 0xfc1f_0000 == 0xe400_0000;
        is_pld.then_some(Relaxed { row: rows::PLD_AS_PLA, offset: site.edge.offset, addend: site.edge.addend })
    }

    fn call(&self, site: &CodeSite<'_>, other: u8) -> CallForm {
        calls::form(site, other, self.endian)
    }

    fn outline(&self, site: &CodeSite<'_>) -> Result<Outlined, String> {
        branches::outline(site, self.endian, rows::BRANCH)
    }

    fn complete(&self, header: &ObjectHeader, object: &mut ObjectBuilder<'_, '_>) -> Result<(), LinkError> {
        // Where the objects that decide say nothing, others may say more; descriptors tell then.
        if object.target().convention == ELFV2 && self.convention(header) == Some("") {
            return Err(LinkError::Unsupported {
                site: Box::new(Site { object: object.name().into(), ..Site::default() }),
                what: "this object is for the ELFv1 ABI (e_flags), others of the link are for ELFv2".into(),
                advice: "compile all objects of a link alike (-mabi=elfv2 or -mabi=elfv1)".into(),
            });
        }
        toc::place(object);
        descriptors::cut(object)
    }

    fn add_passes(&self, pipeline: &mut Pipeline) {
        pipeline.add(Stage::BeforePrune, "PowerPC save and restore routines", |graph, _| {
            crate::save::provide(graph, &save::FAMILIES)
        });
        // Whether branches to functions' descriptors wait until objects are grouped.
        let wait = Arc::new(AtomicBool::new(false));
        let waits = Arc::clone(&wait);
        pipeline.add(Stage::BeforePrune, "PowerPC function descriptors", move |graph, _| {
            wait.store(descriptors::enter(graph)?, Ordering::Relaxed);
            Ok(())
        });
        // Objects are grouped before anything is lowered, and the bases are known when all is laid out.
        let groups = Arc::new(OnceLock::new());
        let known = Arc::clone(&groups);
        pipeline.add(Stage::AfterPrune, "PowerPC TOC groups", move |graph, _| {
            let made = Groups::make(graph)?;
            let groups = groups.get_or_init(|| made);
            match waits.load(Ordering::Relaxed) {
                true => descriptors::settle(graph, groups),
                false => Ok(()),
            }
        });
        pipeline.add(Stage::AfterLayout, "PowerPC TOC base", move |graph, context| {
            let none = Groups::default();
            toc::resolve(graph, context, known.get().unwrap_or(&none))
        });
    }
}
