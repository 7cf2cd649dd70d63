//! The graph at the end of a link, and what it says of functions, data and references.

use super::externs::Outside;
use crate::complete::{is_code, is_maps};
use crate::image::{DataBlock, ExternKind, Function, Reference, Target};
use crate::insn::WORD;
use jitlink_core::Addr;
use jitlink_core::graph::{Block, BlockId, Content, LinkGraph, Scope, Section, Symbol, SymbolId, SymbolKind, Value};
use jitlink_core::link::PassContext;

/// The fixed-up bytes of all live blocks that hold any, by address.
pub(super) fn bytes(graph: &LinkGraph<'_>, context: &mut PassContext<'_>) -> Vec<(Addr, Vec<u8>)> {
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
pub(super) fn live<'g, 'a>(graph: &'g LinkGraph<'a>) -> impl Iterator<Item = (BlockId, &'g Block<'a>)> {
    graph.blocks().filter(|(id, block)| graph.is_live(*id) && graph.section(block.section).is_loaded())
}

/// The graph with its addresses.
pub(super) struct Look<'l, 'g, 'a> {
    pub(super) graph: &'l LinkGraph<'a>,
    pub(super) context: &'l PassContext<'g>,
}

impl<'a> Look<'_, '_, 'a> {
    pub(super) fn address(&self, block: BlockId) -> Addr {
        self.context.address(block).unwrap_or_default()
    }

    pub(super) fn section(&self, block: BlockId) -> &Section<'a> {
        self.graph.section(self.graph.block(block).section)
    }

    /// Symbols with names at places in live blocks of the sections that fit, one of each name and place.
    pub(super) fn symbols(&self, fits: impl Fn(&Section<'_>) -> bool) -> Vec<(Addr, BlockId, u64, SymbolId)> {
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
    pub(super) fn functions(&self) -> Vec<Function> {
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

    /// Sections of variables and constants, by address.
    pub(super) fn data(&self) -> Vec<DataBlock> {
        let is_data = |section: &Section<'_>| {
            let said = matches!(section.name, b"license" | b"version");
            !is_code(section) && !is_maps(section.name) && !is_stand_in(section) && !said
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
    pub(super) fn references(&self, known: &Known<'_>) -> Vec<Reference> {
        let sorted = |places: &mut Vec<(Addr, usize)>| places.sort_unstable();
        let mut maps: Vec<_> = known.maps.iter().enumerate().map(|(index, map)| (*map, index)).collect();
        sorted(&mut maps);
        let stand_ins = known.outside.iter().enumerate().filter(|(_, outside)| outside.kind != ExternKind::Config);
        let mut outside: Vec<_> =
            stand_ins.map(|(index, name)| (self.address(name.block) + name.offset, index)).collect();
        sorted(&mut outside);
        let before = |places: &[(Addr, usize)], address: Addr| {
            let after = places.partition_point(|(start, _)| *start <= address);
            places[..after].last().map(|&(_, index)| index)
        };
        let mut references = Vec::new();
        for (id, block) in live(self.graph).filter(|(_, block)| !is_maps(self.graph.section(block.section).name)) {
            let in_code = is_code(self.graph.section(block.section));
            for edge in self.graph.edges(id) {
                let Value::Block { block: target, offset } = self.graph.symbol(edge.target).value else { continue };
                let start = self.address(target);
                let meant = Addr((start + offset).0.wrapping_add_signed(edge.addend));
                let section = self.section(target);
                let found = if is_maps(section.name) {
                    before(&maps, meant).map(Target::Map)
                } else if is_stand_in(section) {
                    before(&outside, meant).map(Target::Extern)
                } else if is_code(section) {
                    let functions = known.functions;
                    functions.binary_search_by_key(&meant, |function| function.address).ok().map(Target::Function)
                } else {
                    let block = known.data.binary_search_by_key(&start, |block| block.address).ok();
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
    pub(super) fn only_text(&self, name: &[u8]) -> Result<&[u8], String> {
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

/// What references are told apart by.
pub(super) struct Known<'k> {
    pub(super) functions: &'k [Function],
    /// Where they are.
    pub(super) maps: &'k [Addr],
    pub(super) data: &'k [DataBlock],
    pub(super) outside: &'k [Outside],
}

/// Whether bytes of a section only stand for names of the kernel.
pub(super) fn is_stand_in(section: &Section<'_>) -> bool {
    section.name == b".ksyms"
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
