//! How sections of data lie in linked memory, so that each name is one run that the kernel can hold in one map.

use crate::complete::{is_code, is_maps};
use jitlink_core::graph::{LinkGraph, SectionId};

/// The largest alignment that a basic type has, as a power of two.
const BASIC_ALIGN: u8 = 3;

/// Makes sections of variables and constants of one name lie together, in the order of the input. All start at a multiple of
/// eight, so that distances from the first are offsets in a map's value.
pub(super) fn gather(graph: &mut LinkGraph<'_>) {
    let count = graph.sections().len();
    for id in (0..count).map(SectionId::new) {
        let section = graph.section(id);
        if section.is_loaded() && !is_code(section) && !is_maps(section.name) {
            graph.section_mut(id).gathered = true;
            graph.align_section(id, BASIC_ALIGN);
        }
    }
}
