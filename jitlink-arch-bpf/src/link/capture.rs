//! What the last look at the graph finds.

use super::legacy;
use crate::complete::{is_code, is_maps};
use crate::image::{BpfImage, DataBlock, Function, ImageSegment, MapDefinition, Reference, Target};
use crate::insn::WORD;
use jitlink_core::graph::{Block, BlockId, Content, LinkGraph, Scope, Section, Symbol, SymbolId, SymbolKind, Value};
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
    license: String,
    version: u32,
}

impl Collected {
    /// Looks at a graph whose bytes are fixed up.
    pub(super) fn of(graph: &LinkGraph<'_>, context: &mut PassContext<'_>) -> Result<Collected, String> {
        let blocks = bytes(graph, context);
        let look = Look { graph, context };
        let functions = look.functions();
        let maps = look.maps()?;
        let data = look.data();
        let references = look.references(&functions, &maps, &data);
        let license = look.only_text(b"license")?;
        let license = String::from_utf8_lossy(license.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned();
        let version = match look.only_text(b"version")? {
            [] => 0,
            bytes if bytes.len() == 4 => graph.target().endian.read(bytes) as u32,
            bytes => return Err(format!("section version has {} bytes, not the four of a number", bytes.len())),
        };
        Ok(Collected { endian: graph.target().endian, blocks, functions, maps, data, references, license, version })
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
            externs: Vec::new(),
            license: self.license,
            version: self.version,
        }
    }
}

/// The fixed-up bytes of all live blocks that hold any, by address.
fn bytes(graph: &LinkGraph<'_>, context: &mut PassContext<'_>) -> Vec<(Addr, Vec<u8>)> {
    let mut blocks = Vec::new();
    for (id, block) in live(graph).filter(|(_, block)| !matches!(block.content, Content::Zero(_)) && block.size() > 0) {
        debug_assert!(graph.section(block.section).is_loaded());
        if let (Some(address), Some(bytes)) = (context.address(id), context.bytes(id)) {
            blocks.push((address, bytes.to_vec()));
        }
    }
    blocks.sort_by_key(|(address, _)| *address);
    blocks
}

/// The live blocks that take up memory.
fn live<'g, 'a>(graph: &'g LinkGraph<'a>) -> impl Iterator<Item = (BlockId, &'g Block<'a>)> {
    graph.blocks().filter(|(id, block)| graph.is_live(*id) && graph.section(block.section).is_loaded())
}

/// The graph with its addresses.
struct Look<'l, 'g, 'a> {
    graph: &'l LinkGraph<'a>,
    context: &'l PassContext<'g>,
}

impl<'a> Look<'_, '_, 'a> {
    fn address(&self, block: BlockId) -> Addr {
        self.context.address(block).unwrap_or_default()
    }

    fn section(&self, block: BlockId) -> &Section<'a> {
        self.graph.section(self.graph.block(block).section)
    }

    /// Symbols with names at places in live blocks of the sections that fit, one of each name and place.
    fn symbols(&self, fits: impl Fn(&Section<'_>) -> bool) -> Vec<(Addr, BlockId, u64, SymbolId)> {
        let mut found = Vec::new();
        for (id, symbol) in self.graph.symbols() {
            let Value::Block { block, offset } = symbol.value else { continue };
            if !symbol.name.is_empty() && self.graph.canonical(id) == id && self.graph.is_live(block) {
                let section = self.section(block);
                if section.is_loaded() && fits(section) {
                    found.push((self.address(block) + offset, block, offset, id));
                }
            }
        }
        found
    }

    /// All functions, by address. Code that is kept although nothing names it is called by its section.
    fn functions(&self) -> Vec<Function> {
        let mut starts = self.symbols(is_code);
        starts.retain(|(_, block, offset, id)| {
            let symbol = self.graph.symbol(*id);
            *offset < self.graph.block(*block).size() && names_function(symbol)
        });
        starts.sort_by_key(|(address, ..)| *address);
        let mut functions = Vec::with_capacity(starts.len());
        let mut blocks: Vec<(Addr, BlockId)> = live(self.graph)
            .filter(|(_, block)| is_code(self.graph.section(block.section)) && block.size() > 0)
            .map(|(id, _)| (self.address(id), id))
            .collect();
        blocks.sort_unstable_by_key(|(address, _)| *address);
        let mut starts = starts.into_iter().peekable();
        for (address, block) in blocks {
            let data = self.graph.block(block);
            let section = self.section(block).name_lossy();
            let first = functions.len();
            if starts.peek().is_none_or(|start| start.0 > address) {
                let name = format!("{section}+{:#x}", data.section_offset);
                functions.push(Function {
                    name,
                    section: section.clone(),
                    address,
                    size: 0,
                    global: false,
                    entry: false,
                });
            }
            while let Some((start, _, _, id)) = starts.next_if(|start| start.1 == block) {
                let symbol = self.graph.symbol(id);
                let global = symbol.scope >= Scope::Protected;
                let entry = symbol.scope != Scope::Local && !is_subprogram_section(&section);
                let name = symbol.name.to_string();
                functions.push(Function { name, section: section.clone(), address: start, size: 0, global, entry });
            }
            end_functions(&mut functions[first..], address + data.size());
        }
        // An object without program sections has its programs among its ordinary code.
        if !functions.iter().any(|function| function.entry) {
            functions.iter_mut().for_each(|function| function.entry = function.global);
        }
        functions
    }

    /// The maps, in the order of the input.
    fn maps(&self) -> Result<Vec<MapDefinition>, String> {
        let endian = self.graph.target().endian;
        let mut maps = Vec::new();
        for (address, block, offset, id) in self.symbols(|section| is_maps(section.name) && section.name != b".maps") {
            let symbol = self.graph.symbol(id);
            let bytes = self.graph.block(block).content.bytes();
            let end = match symbol.size {
                0 => bytes.len() as u64,
                size => offset.saturating_add(size).min(bytes.len() as u64),
            };
            let name = symbol.name.to_string();
            let definition = legacy::definition(&name, &bytes[offset.min(end) as usize..end as usize], endian)
                .map_err(|reason| format!("{}: {reason}", self.graph.object_of(block).name))?;
            maps.push(MapDefinition { address, ..definition });
        }
        Ok(maps)
    }

    fn data(&self) -> Vec<DataBlock> {
        let is_data = |section: &Section<'_>| {
            !is_code(section) && !is_maps(section.name) && !matches!(section.name, b"license" | b"version")
        };
        let blocks =
            live(self.graph).filter(|(_, block)| is_data(self.graph.section(block.section)) && block.size() > 0);
        let mut data: Vec<DataBlock> = blocks
            .map(|(id, block)| DataBlock {
                section: self.graph.section(block.section).name_lossy(),
                address: self.address(id),
                size: block.size(),
                protection: self.graph.section(block.section).protection,
            })
            .collect();
        data.sort_by_key(|block| block.address);
        data
    }

    /// What instructions and pointers in data refer to, by address.
    fn references(&self, functions: &[Function], maps: &[MapDefinition], data: &[DataBlock]) -> Vec<Reference> {
        let mut by_address: Vec<(Addr, usize)> =
            maps.iter().enumerate().map(|(index, map)| (map.address, index)).collect();
        by_address.sort_unstable();
        let mut references = Vec::new();
        for (id, block) in live(self.graph).filter(|(_, block)| !is_maps(self.graph.section(block.section).name)) {
            let in_code = is_code(self.graph.section(block.section));
            for edge in self.graph.edges(id) {
                let Value::Block { block: target, offset } = self.graph.symbol(edge.target).value else { continue };
                let start = self.address(target);
                let meant = Addr((start + offset).0.wrapping_add_signed(edge.addend));
                let section = self.section(target);
                let found = if is_maps(section.name) {
                    let after = by_address.partition_point(|(address, _)| *address <= meant);
                    by_address[..after].last().map(|&(_, map)| Target::Map(map))
                } else if is_code(section) {
                    functions.binary_search_by_key(&meant, |function| function.address).ok().map(Target::Function)
                } else {
                    let block = data.binary_search_by_key(&start, |block| block.address).ok();
                    block.map(|block| Target::Data { block, offset: meant.0.wrapping_sub(start.0) as i64 })
                };
                let place = if in_code { edge.offset / WORD as u32 * WORD as u32 } else { edge.offset };
                let address = self.address(id) + u64::from(place);
                references.extend(found.map(|target| Reference { address, target }));
            }
        }
        references.sort_by_key(|reference| reference.address);
        references
    }

    /// The content of the sections of a name, of which all objects that have it must have the same.
    fn only_text(&self, name: &[u8]) -> Result<&[u8], String> {
        let mut first: Option<BlockId> = None;
        for (id, block) in live(self.graph).filter(|(_, block)| self.graph.section(block.section).name == name) {
            let Some(before) = first else {
                first = Some(id);
                continue;
            };
            let (one, other) = (self.graph.block(before).content.bytes(), block.content.bytes());
            if one != other {
                let (first, second) = (self.graph.object_of(before), self.graph.object_of(id));
                let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\0').to_string();
                return Err(format!(
                    "section {} is {:?} in {} and {:?} in {}; programs that are linked together have one",
                    String::from_utf8_lossy(name),
                    show(one),
                    first.name,
                    show(other),
                    second.name
                ));
            }
        }
        Ok(first.map_or(&[], |block| self.graph.block(block).content.bytes()))
    }
}

/// Whether a symbol in code begins a function. Local symbols without a type are labels.
fn names_function(symbol: &Symbol<'_>) -> bool {
    symbol.kind == SymbolKind::Function || symbol.kind == SymbolKind::Other && symbol.scope != Scope::Local
}

/// Sections whose functions are only called.
fn is_subprogram_section(name: &str) -> bool {
    name == ".text" || name.starts_with(".text.")
}

/// Functions of a block end where the next begins; those at one place are one under several names.
fn end_functions(functions: &mut [Function], block_end: Addr) {
    let mut end = block_end;
    for index in (0..functions.len()).rev() {
        let start = functions[index].address;
        functions[index].size = end.0 - start.0;
        if index > 0 && functions[index - 1].address != start {
            end = start;
        }
    }
}
