//! Architectures of the tests: the reader knows none, so any table will do. That of [`MACHINE`] is made up; the others number
//! what the fixtures use as the psABIs do, without doing anything right otherwise.

use crate::builder::Shape;
use jitlink_core::arch::{ArchInfo, StubKind, StubTemplate};
use jitlink_core::graph::{LinkGraph, ObjectBuilder};
use jitlink_core::registry::Plugin;
use jitlink_core::reloc::{Base, Field, Overflow, Reloc, RelocTable, Subject, bits, reloc};
use jitlink_core::{LinkError, ObjectFormat, Registry, TargetArch};
use jitlink_elf::ElfFormat;

/// The made-up machine.
pub(crate) const MACHINE: u16 = 0xfeed;
pub(crate) const NONE: u32 = 0;
pub(crate) const ABS64: u32 = 1;
pub(crate) const ABS32: u32 = 2;
pub(crate) const PC32: u32 = 3;
pub(crate) const CALL: u32 = 4;
/// Sixteen bits of the value, rounded, in the low half of a word.
pub(crate) const HA16: u32 = 5;
pub(crate) const ABS16: u32 = 6;

pub(crate) const X86_64: u16 = 62;
pub(crate) const I386: u16 = 3;
pub(crate) const PPC64: u16 = 21;

static WORD8: Field = Field::plain(1);
static WORD16: Field = Field::plain(2);
static WORD32: Field = Field::plain(4);
static WORD64: Field = Field::plain(8);
static HIGH16: Field = Field::word(4, &[bits(16, 16, 0, 0)]).round(0x8000);
static BRANCH24: Field = Field::word(4, &[bits(2, 24, 0, 2)]);

const fn row(raw: u32, name: &'static str, subject: Subject, base: Base, field: &'static Field) -> Reloc {
    reloc(raw, name, subject, base, field, Overflow::Ignore)
}

static TOY_ROWS: [Reloc; 7] = [
    Reloc::none(NONE, "R_TOY_NONE"),
    row(ABS64, "R_TOY_ABS64", Subject::Symbol, Base::Zero, &WORD64),
    row(ABS32, "R_TOY_ABS32", Subject::Symbol, Base::Zero, &WORD32),
    row(PC32, "R_TOY_PC32", Subject::Symbol, Base::Place, &WORD32),
    row(CALL, "R_TOY_CALL", Subject::Callee, Base::Place, &WORD32),
    row(HA16, "R_TOY_HA16", Subject::Symbol, Base::Zero, &HIGH16),
    row(ABS16, "R_TOY_ABS16", Subject::Symbol, Base::Zero, &WORD16),
];

static X86_64_ROWS: [Reloc; 21] = [
    Reloc::none(0, "R_X86_64_NONE"),
    row(1, "R_X86_64_64", Subject::Symbol, Base::Zero, &WORD64),
    row(2, "R_X86_64_PC32", Subject::Symbol, Base::Place, &WORD32),
    row(4, "R_X86_64_PLT32", Subject::Callee, Base::Place, &WORD32),
    row(9, "R_X86_64_GOTPCREL", Subject::GotSlot, Base::Place, &WORD32),
    row(10, "R_X86_64_32", Subject::Symbol, Base::Zero, &WORD32),
    row(11, "R_X86_64_32S", Subject::Symbol, Base::Zero, &WORD32),
    row(17, "R_X86_64_DTPOFF64", Subject::DtpOffset, Base::Zero, &WORD64),
    row(19, "R_X86_64_TLSGD", Subject::TlsGdSlot, Base::Place, &WORD32),
    row(20, "R_X86_64_TLSLD", Subject::TlsLdSlot, Base::Place, &WORD32),
    row(21, "R_X86_64_DTPOFF32", Subject::DtpOffset, Base::Zero, &WORD32),
    row(22, "R_X86_64_GOTTPOFF", Subject::TlsIeSlot, Base::Place, &WORD32),
    row(23, "R_X86_64_TPOFF32", Subject::TpOffset, Base::Zero, &WORD32),
    row(24, "R_X86_64_PC64", Subject::Symbol, Base::Place, &WORD64),
    row(25, "R_X86_64_GOTOFF64", Subject::Symbol, Base::Got, &WORD64),
    row(26, "R_X86_64_GOTPC32", Subject::GotBase, Base::Place, &WORD32),
    row(27, "R_X86_64_GOT64", Subject::GotSlot, Base::Got, &WORD64),
    row(29, "R_X86_64_GOTPC64", Subject::GotBase, Base::Place, &WORD64),
    row(31, "R_X86_64_PLTOFF64", Subject::Callee, Base::Got, &WORD64),
    row(41, "R_X86_64_GOTPCRELX", Subject::GotSlot, Base::Place, &WORD32),
    row(42, "R_X86_64_REX_GOTPCRELX", Subject::GotSlot, Base::Place, &WORD32),
];

static I386_ROWS: [Reloc; 7] = [
    row(1, "R_386_32", Subject::Symbol, Base::Zero, &WORD32),
    row(2, "R_386_PC32", Subject::Symbol, Base::Place, &WORD32),
    row(4, "R_386_PLT32", Subject::Callee, Base::Place, &WORD32),
    row(9, "R_386_GOTOFF", Subject::Symbol, Base::Got, &WORD32),
    row(10, "R_386_GOTPC", Subject::GotBase, Base::Place, &WORD32),
    row(22, "R_386_8", Subject::Symbol, Base::Zero, &WORD8),
    row(43, "R_386_GOT32X", Subject::GotSlot, Base::Got, &WORD32),
];

static PPC64_ROWS: [Reloc; 8] = [
    row(1, "R_PPC64_ADDR32", Subject::Symbol, Base::Zero, &WORD32),
    row(10, "R_PPC64_REL24", Subject::Callee, Base::Place, &BRANCH24),
    row(26, "R_PPC64_REL32", Subject::Symbol, Base::Place, &WORD32),
    row(38, "R_PPC64_ADDR64", Subject::Symbol, Base::Zero, &WORD64),
    row(48, "R_PPC64_TOC16_LO", Subject::Symbol, Base::Anchor(0), &WORD16),
    row(50, "R_PPC64_TOC16_HA", Subject::Symbol, Base::Anchor(0), &WORD16),
    row(51, "R_PPC64_TOC", Subject::Nothing, Base::Zero, &WORD64),
    row(64, "R_PPC64_TOC16_LO_DS", Subject::Symbol, Base::Anchor(0), &WORD16),
];

struct Toy;

static INFO: ArchInfo = ArchInfo::new("toy", "an architecture for tests", &[]);

impl TargetArch for Toy {
    fn info(&self) -> &'static ArchInfo {
        &INFO
    }

    fn stub(&self, _: StubKind) -> Option<&'static StubTemplate> {
        None
    }
}

/// The format with a table for each machine of the tests.
pub(crate) fn registry() -> Registry {
    let tables = [
        (u32::from(MACHINE), 8, &TOY_ROWS[..]),
        (u32::from(MACHINE), 4, &TOY_ROWS[..]),
        (u32::from(X86_64), 8, &X86_64_ROWS[..]),
        (u32::from(I386), 4, &I386_ROWS[..]),
        (u32::from(PPC64), 8, &PPC64_ROWS[..]),
        (62, 4, &X86_64_ROWS[..]),
    ];
    let registry = Registry::empty().with(Plugin::Format(&ElfFormat)).unwrap().with(Plugin::Arch(&Toy)).unwrap();
    tables.into_iter().fold(registry, |registry, (machine, pointer, rows)| {
        registry.with(Plugin::Relocs(RelocTable::new("elf", machine, pointer, "toy", rows))).unwrap()
    })
}

/// An empty graph for objects like this one.
pub(crate) fn graph_for(bytes: &[u8]) -> Result<LinkGraph<'static>, LinkError> {
    let header = ElfFormat.header("test.o", bytes)?;
    let (target, rows) = registry().target(&ElfFormat, &header, "test.o")?;
    Ok(LinkGraph::new(target, rows))
}

/// Reads an object as a link does. The bytes are leaked, which keeps the tests short.
pub(crate) fn read(bytes: &[u8]) -> Result<LinkGraph<'static>, LinkError> {
    read_into(graph_for(bytes)?, bytes.to_vec().leak())
}

/// Reads an object with its debug information.
pub(crate) fn read_debug(bytes: &[u8]) -> Result<LinkGraph<'static>, LinkError> {
    read_into(graph_for(bytes)?.with_debug(), bytes.to_vec().leak())
}

/// Reads an object into a graph.
pub(crate) fn read_into<'a>(mut graph: LinkGraph<'a>, bytes: &'a [u8]) -> Result<LinkGraph<'a>, LinkError> {
    assert!(ElfFormat.recognize(bytes), "{:02x?}", &bytes[..bytes.len().min(4)]);
    let mut builder = ObjectBuilder::new(&mut graph, "test.o".into(), "test.o".into());
    ElfFormat.read(bytes, &mut builder)?;
    Ok(graph)
}

/// The graph of an object that is well formed.
pub(crate) fn ok(object: &crate::builder::Elf) -> LinkGraph<'static> {
    read(&object.write()).unwrap_or_else(|error| panic!("{:?}: {error}", object.shape))
}

/// The text of the error of an object that is not.
pub(crate) fn error(object: &crate::builder::Elf) -> String {
    match read(&object.write()) {
        Ok(_) => panic!("{:?}: accepted", object.shape),
        Err(error) => format!("{}: {error}", error.code()),
    }
}

/// The word size of a shape.
pub(crate) fn pointer(shape: Shape) -> u64 {
    if shape.wide { 8 } else { 4 }
}
