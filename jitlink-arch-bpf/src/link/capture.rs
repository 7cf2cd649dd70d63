//! What the last look at the graph finds.

use super::declared;
use super::externs::Outside;
use super::look::{Known, Look, bytes};
use super::merged::{self, ObjectPlaces};
use super::types::Types;
use crate::image::{
    BpfImage, DataBlock, Extern, ExternKind, Function, ImageSegment, ImageTypes, MapDefinition, Reference,
};
use jitlink_core::graph::LinkGraph;
use jitlink_core::link::{Linked, PassContext};
use jitlink_core::{Addr, Endian};

/// Everything of an image but the extents of its segments.
#[derive(Debug)]
pub(super) struct Collected {
    endian: Endian,
    blocks: Vec<(Addr, Vec<u8>)>,
    functions: Vec<Function>,
    maps: Vec<MapDefinition>,
    data: Vec<DataBlock>,
    references: Vec<Reference>,
    externs: Vec<Extern>,
    license: String,
    version: u32,
    types: ImageTypes,
}

impl Collected {
    /// Looks at a graph whose bytes are fixed up.
    pub(super) fn of(
        graph: &LinkGraph<'_>,
        context: &mut PassContext<'_>,
        types: &Types,
        outside: &[Outside],
    ) -> Result<Collected, String> {
        let blocks = bytes(graph, context);
        let look = Look { graph, context };
        let functions = look.functions();
        let mut maps = declared::maps(&look, types)?;
        let data = look.data();
        let addresses: Vec<Addr> = maps.iter().map(|map| map.definition.address).collect();
        let known = Known { functions: &functions, maps: &addresses, data: &data, outside };
        let references = look.references(&known);
        let license = look.only_text(b"license")?;
        let license = String::from_utf8_lossy(license.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned();
        let version = match look.only_text(b"version")? {
            [] => 0,
            bytes if bytes.len() == 4 => graph.target().endian.read(bytes) as u32,
            bytes => return Err(format!("section version has {} bytes, not the four of a number", bytes.len())),
        };
        let merged = merged::merge(graph, types, &ObjectPlaces::of(&look, types))?;
        let map_type = |position: usize, ty: u32| merged.maps[position].get(crate::btf::TypeId(ty)).0;
        for map in &mut maps {
            map.renumber(&map_type);
        }
        let externs = outside.iter().map(|outside| Extern {
            name: outside.name.clone(),
            kind: outside.kind,
            weak: outside.weak,
            type_id: map_type(outside.ty.0, outside.ty.1.0),
            address: (outside.kind == ExternKind::Config).then(|| look.address(outside.block) + outside.offset),
        });
        let externs = externs.collect();
        let maps = maps.into_iter().map(|map| map.definition).collect();
        let types = merged::image_types(&look, types, merged)?;
        let endian = graph.target().endian;
        Ok(Collected { endian, blocks, functions, maps, data, references, externs, license, version, types })
    }

    /// The image, with the link's segments.
    pub(super) fn into_image(self, linked: &Linked) -> BpfImage {
        let segment = |segment: &jitlink_core::link::Segment| {
            let mut bytes = vec![0; segment.size as usize];
            let first = self.blocks.partition_point(|(address, _)| *address < segment.address);
            for (address, content) in &self.blocks[first..] {
                let start = (address.0 - segment.address.0) as usize;
                match bytes.get_mut(start..start + content.len()) {
                    Some(place) => place.copy_from_slice(content),
                    None => break,
                }
            }
            ImageSegment { address: segment.address, protection: segment.protection, bytes }
        };
        let mut segments: Vec<ImageSegment> = linked.segments.iter().map(segment).collect();
        segments.sort_by_key(|segment| segment.address);
        BpfImage {
            endian: self.endian,
            segments,
            functions: self.functions,
            maps: self.maps,
            data: self.data,
            references: self.references,
            externs: self.externs,
            license: self.license,
            version: self.version,
            types: self.types,
        }
    }
}
