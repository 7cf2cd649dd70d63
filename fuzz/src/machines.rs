//! Machines to read objects for: the real x86-64, and for everything else a made-up table under the number of a real machine,
//! so that every width, byte order and kind of relocation section leads somewhere.

use jitlink_arch_aarch64::{AARCH64, COFF_AARCH64};
use jitlink_arch_x86::{COFF_I386, COFF_X86_64, ELF_X86_64, I386, X86_64};
use jitlink_coff::CoffFormat;
use jitlink_core::arch::{ArchInfo, StubKind, StubTemplate};
use jitlink_core::registry::Plugin;
use jitlink_core::reloc::{Base, Field, Overflow, Reloc, RelocTable, Subject, bits, reloc};
use jitlink_core::{Registry, TargetArch};
use jitlink_elf::ElfFormat;
use std::sync::OnceLock;

/// How many relocation numbers the made-up tables know.
const ROWS: usize = 64;

static WORD8: Field = Field::plain(1);
static WORD16: Field = Field::plain(2);
static WORD32: Field = Field::plain(4);
static WORD64: Field = Field::plain(8);
static HIGH16: Field = Field::word(4, &[bits(16, 16, 0, 0)]).round(0x8000);
static BRANCH24: Field = Field::word(4, &[bits(2, 24, 0, 2)]).align(4);
static SPLIT: Field = Field::word(4, &[bits(12, 20, 0, 12), bits(0, 12, 1, 20)]).round(0x800);
static NOTHING: Field = Field::none();

static FIELDS: [&Field; 8] = [&NOTHING, &WORD64, &WORD32, &HIGH16, &BRANCH24, &SPLIT, &WORD16, &WORD8];
static SUBJECTS: [Subject; 5] = [Subject::Symbol, Subject::Callee, Subject::GotSlot, Subject::Size, Subject::Nothing];

/// Every field with every subject, by turns.
static MADE_UP: [Reloc; ROWS] = {
    let mut rows = [Reloc::none(0, "R_MADE_UP"); ROWS];
    let mut raw = 1;
    while raw < ROWS {
        let (field, subject) = (FIELDS[raw % FIELDS.len()], SUBJECTS[raw % SUBJECTS.len()]);
        rows[raw] = reloc(raw as u32, "R_MADE_UP", subject, Base::Place, field, Overflow::Ignore);
        raw += 1;
    }
    rows
};

/// Machine numbers (`e_machine`) and widths in bytes: i386, x32, PowerPC, PowerPC64, ARM, AArch64, RISC-V, MIPS, BPF.
static OTHERS: [(u32, u8); 11] =
    [(3, 4), (62, 4), (20, 4), (21, 8), (40, 4), (183, 8), (243, 4), (243, 8), (8, 4), (8, 8), (247, 8)];

struct MadeUp;

static INFO: ArchInfo = ArchInfo::new("made-up", "an architecture that has every kind of field", &[]);

impl TargetArch for MadeUp {
    fn info(&self) -> &'static ArchInfo {
        &INFO
    }

    fn stub(&self, _: StubKind) -> Option<&'static StubTemplate> {
        None
    }
}

/// ELF for all machines.
pub fn all() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let registry = x86_64().clone().with(Plugin::Arch(&MadeUp)).expect("one of its name");
        OTHERS.iter().fold(registry, |registry, &(machine, pointer_bytes)| {
            let table = RelocTable::new("elf", machine, pointer_bytes, "made-up", &MADE_UP);
            registry.with(Plugin::Relocs(table)).expect("one for each machine and width")
        })
    })
}

/// ELF for x86-64, as the linker has it.
pub fn x86_64() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        [Plugin::Format(&ElfFormat), Plugin::Arch(&X86_64), Plugin::Relocs(ELF_X86_64)]
            .into_iter()
            .try_fold(Registry::empty(), Registry::with)
            .expect("three different plugins")
    })
}

/// COFF for every machine that has it, as the linker has them.
pub fn coff() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let archs: [(&'static dyn TargetArch, RelocTable); 3] =
            [(&X86_64, COFF_X86_64), (&I386, COFF_I386), (&AARCH64, COFF_AARCH64)];
        let plugins = archs.into_iter().flat_map(|(arch, table)| [Plugin::Arch(arch), Plugin::Relocs(table)]);
        let registry = Registry::empty().with(Plugin::Format(&CoffFormat)).expect("the first");
        plugins.fold(registry, |registry, plugin| registry.with(plugin).expect("one for each machine"))
    })
}
