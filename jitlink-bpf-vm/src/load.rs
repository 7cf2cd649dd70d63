//! What becomes of the parts of a linked program when it is loaded.

use crate::address::{self, CODE_REGION};
use crate::code::{Link, Source, Unit, UnitFunction, compile};
use crate::error::LoadError;
use crate::fault::{Line, Lines};
use crate::maps::{Map, MapKind};
use crate::memory::Memory;
use crate::space::{Area, What};
use crate::vm::Shared;
use hashbrown::HashMap;
use jitlink_arch_bpf::image::{BpfImage, ExternKind, ImageSegment, Target};
use jitlink_arch_bpf::insn::words;
use jitlink_core::Addr;
use jitlink_core::graph::Protection;
use std::sync::Arc;

/// The source lines of an image.
pub(crate) struct ImageLines(BpfImage);

impl ImageLines {
    /// Those of an image that has any.
    pub(crate) fn of(image: &BpfImage) -> Option<ImageLines> {
        let lines = BpfImage {
            functions: image.functions.clone(),
            types: image.types.clone(),
            segments: Vec::new(),
            maps: Vec::new(),
            data: Vec::new(),
            references: Vec::new(),
            externs: Vec::new(),
            license: String::new(),
            ..*image
        };
        (!image.types.lines.is_empty()).then_some(ImageLines(lines))
    }
}

impl Lines for ImageLines {
    fn lookup(&self, address: u64) -> Option<Line> {
        let line = self.0.line_at(Addr(address))?;
        Some(Line {
            file: line.file.into(),
            line: line.line,
            column: line.column.into(),
            text: String::from_utf8_lossy(line.text).trim().into(),
        })
    }
}

/// Segments are where nothing else is, and do not reach into another region.
pub(crate) fn check_segment(segment: &ImageSegment) -> Result<(), LoadError> {
    let (address, size) = (segment.address.0, segment.bytes.len() as u64);
    let refuse = |reason| Err(LoadError::Segment { address, size, reason });
    let region = address::region(address);
    if !(CODE_REGION..address::DATA_REGIONS.end).contains(&region) {
        return refuse("regions of linked memory are from 16 to 4095 (addresses from 0x1000000000)");
    }
    if size > (1 << 32) - u64::from(address::offset(address)) {
        return refuse("it reaches into the next region");
    }
    if segment.protection == Protection::ReadExecute && !(address % 8 == 0 && size.is_multiple_of(8)) {
        return refuse("code is whole words of eight bytes at multiples of eight");
    }
    Ok(())
}

pub(crate) fn load_data(segment: &ImageSegment, protection: Protection) -> Result<Area, LoadError> {
    let memory = Memory::zeroed(segment.bytes.len())?;
    memory.write(0, &segment.bytes);
    let area = Area::whole(segment.address.0, Arc::new(memory), What::Data);
    Ok(Area { writable: protection == Protection::ReadWrite, ..area })
}

pub(crate) fn load_code(
    image: &BpfImage,
    segment: &ImageSegment,
    maps: &[Arc<Map>],
    shared: &Shared,
) -> Result<Unit, LoadError> {
    let (start, size) = (segment.address, segment.bytes.len() as u64);
    let word = |address: Addr| ((address.0.wrapping_sub(start.0)) < size).then(|| ((address.0 - start.0) / 8) as usize);
    let words = words(&segment.bytes, image.endian).unwrap_or_default();
    let mut links = HashMap::new();
    for reference in &image.references {
        let Some(index) = word(reference.address) else { continue };
        if let Some(link) = link(image, reference.target, maps, shared) {
            links.insert(index, link);
        }
    }
    let functions = image.functions.iter().filter_map(|function| {
        let first = word(function.address)?;
        Some(UnitFunction { name: function.name.clone(), first, len: (function.size / 8) as usize })
    });
    let arena = maps.iter().find(|map| map.kind() == MapKind::Arena).and_then(|map| {
        let index = shared.space.snapshot().index_of(map)?;
        Some(address::VALUE_REGION + index as u32)
    });
    let (endian, functions) = (image.endian, functions.collect());
    compile(Source { start: start.0, endian, words: &words, functions, links, arena })
}

/// What stands for the target of a reference; nothing where the linked bytes say it already.
fn link(image: &BpfImage, target: Target, maps: &[Arc<Map>], shared: &Shared) -> Option<Link> {
    match target {
        Target::Map(index) => {
            let index = shared.space.snapshot().index_of(maps.get(index)?)?;
            Some(Link::Constant(address::map_handle(index as u32)))
        }
        Target::Extern(index) => {
            let target = image.externs.get(index)?;
            match (target.kind, shared.functions.index(&target.name)) {
                (ExternKind::Function, Some(index)) => Some(Link::Host(index)),
                (ExternKind::Function, None) => Some(Link::Missing(target.name.clone())),
                (ExternKind::Variable, _) => Some(Link::Constant(0)),
                (ExternKind::Config, _) => None,
            }
        }
        Target::Data { .. } | Target::Function(_) => None,
    }
}
