//! What BPF is to the linker.

use crate::complete::{self, tables};
use crate::link::write;
use crate::relocs::{OWN_ROWS, POINTER};
use jitlink_core::arch::{ArchInfo, StubKind, StubTemplate};
use jitlink_core::format::ObjectHeader;
use jitlink_core::graph::ObjectBuilder;
use jitlink_core::link::{Pipeline, Stage};
use jitlink_core::{LinkError, TargetArch};

/// The BPF machine, in both byte orders.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bpf;

pub(crate) static INFO: ArchInfo =
    ArchInfo::new("bpf", "BPF (eBPF), RFC 9669 and what compilers emit beyond it", &OWN_ROWS)
        .pointer_rows(None, Some(POINTER))
        // Opcode zero is no instruction.
        .trap(&[0])
        .beside(&[b".BTF", b".BTF.ext", b".comment", tables::SECTION]);

impl TargetArch for Bpf {
    fn info(&self) -> &'static ArchInfo {
        &INFO
    }

    // Calls reach 16 GiB either way, and nothing outside of a batch is code that BPF could jump to.
    fn stub(&self, _kind: StubKind) -> Option<&'static StubTemplate> {
        None
    }

    fn add_passes(&self, pipeline: &mut Pipeline) {
        pipeline.add(Stage::BeforeWrite, "BPF types of one object", |graph, _| write::unite(graph));
    }

    fn complete(&self, header: &ObjectHeader, object: &mut ObjectBuilder<'_, '_>) -> Result<(), LinkError> {
        complete::complete(header, object)
    }
}
