//! What ELF alone does not say of a BPF object: where its functions begin, what it calls without a relocation, and which
//! assembler's conventions its addends follow.
//!
//! All functions of a program section stand in one section of the object, and the assembler resolves calls between them. So
//! that functions are kept and pruned one by one, sections of code are cut at functions, and sections of maps at maps;
//! variables and constants stay together, because programs compute addresses within them.
//!
//! **Invariant:** no cut separates what control flow joins: a place into which code falls or jumps from the other side is
//! none, whatever symbols say.

mod flow;
mod gnu;
pub(crate) mod tables;

use crate::insn::{self, Insn, WORD};
use crate::relocs::{CALL_RAW, LOCAL_CALL, WIDE_LOAD};
use flow::Flow;
use hashbrown::HashMap;
use jitlink_core::format::ObjectHeader;
use jitlink_core::graph::{
    BlockId, LinkGraph, Linkage, LocalReference, ObjectBuilder, Protection, Scope, Section, SectionId, Split, Symbol,
    SymbolId, SymbolKind, Value,
};
use jitlink_core::{LinkError, Site};

/// The machine number of objects from before BPF had one.
const UNNAMED_MACHINE: u32 = 0;

/// Completes an object that was read.
pub(crate) fn complete(header: &ObjectHeader, object: &mut ObjectBuilder<'_, '_>) -> Result<(), LinkError> {
    let code = read_code(object)?;
    if header.machine == UNNAMED_MACHINE {
        check_is_bpf(object, &code)?;
    }
    refuse_unclear_numbers(object, &code)?;
    gnu::correct_addends(object, &code)?;
    gnu::renumber_data(object);
    share_texts(object);
    let tables = tables::read(object, &code)?;
    let mut split = plan(object, &code)?;
    split.cuts.extend(tables.cuts);
    split.references.extend(tables.references);
    object.split(split)
}

/// A block of instructions.
struct Code {
    block: BlockId,
    section: SectionId,
    words: Vec<Insn>,
}

/// The license and the kernel's version are what all objects of a program say together, under whatever names.
fn share_texts(object: &mut ObjectBuilder<'_, '_>) {
    let is_text = |name: &[u8]| matches!(name, b"license" | b"version");
    let sections: Vec<SectionId> =
        object.own_sections().filter(|(_, section)| is_text(section.name)).map(|(id, _)| id).collect();
    let graph = object.graph();
    let in_text = |symbol: &Symbol<'_>| match symbol.value {
        Value::Block { block, .. } => sections.contains(&graph.block(block).section),
        _ => false,
    };
    let own = object.own_symbols().filter(|(_, symbol)| in_text(symbol));
    let symbols: Vec<SymbolId> = own.map(|(id, _)| id).collect();
    for id in symbols {
        object.symbol_mut(id).linkage = Linkage::Weak;
        object.retain(id);
    }
}

pub(crate) fn is_code(section: &Section<'_>) -> bool {
    section.is_loaded() && section.protection == Protection::ReadExecute
}

/// Whether a section declares maps.
pub(crate) fn is_maps(name: &[u8]) -> bool {
    matches!(name, b".maps" | b"maps") || name.starts_with(b"maps/")
}

fn read_code(object: &ObjectBuilder<'_, '_>) -> Result<Vec<Code>, LinkError> {
    let graph = object.graph();
    let mut all = Vec::new();
    for (section, data) in object.own_sections().filter(|(_, section)| is_code(section)) {
        for (block, data_of) in graph.blocks_of(section) {
            let bytes = data_of.content.bytes();
            let words = insn::words(bytes, graph.target().endian).ok_or_else(|| {
                let what = format!("code of {:#x} bytes, which is no multiple of an instruction's {WORD}", bytes.len());
                LinkError::malformed(object.name(), data.name_lossy(), data_of.section_offset, what)
            })?;
            all.push(Code { block, section, words });
        }
    }
    Ok(all)
}

/// Machine zero is no machine: what has it must be seen to be BPF.
fn check_is_bpf(object: &ObjectBuilder<'_, '_>, code: &[Code]) -> Result<(), LinkError> {
    let refused = |section: String, offset: u64, what: String| {
        let site = Site { object: object.name().into(), section, offset, ..Site::default() };
        let what = format!("the header names no machine (e_machine 0), and {what}, so this is not taken for BPF");
        let advice = "compile again with a compiler that names the machine (clang --target=bpf)".into();
        LinkError::Unsupported { site: Box::new(site), what, advice }
    };
    if code.iter().all(|code| code.words.is_empty()) {
        return Err(refused(String::new(), 0, "it has no code to tell the machine by".into()));
    }
    for code in code {
        let mut index = 0;
        while index < code.words.len() {
            if let Err(error) = insn::decode(&code.words, index) {
                let name = object.graph().section(code.section).name_lossy();
                return Err(refused(name, (index * WORD) as u64, error.to_string()));
            }
            index += if code.words[index].is_wide() { 2 } else { 1 };
        }
    }
    Ok(())
}

/// In code, the numbers 2 to 4 are those of older GNU assemblers for parts of instructions that cannot hold an address.
fn refuse_unclear_numbers(object: &ObjectBuilder<'_, '_>, code: &[Code]) -> Result<(), LinkError> {
    let graph = object.graph();
    for code in code {
        let raw = |row: u16| graph.rows().row(row).raw();
        if let Some(edge) = graph.edges(code.block).iter().find(|edge| matches!(raw(edge.row), 2..=4)) {
            let gnu = ["R_BPF_INSN_32", "R_BPF_INSN_16", "R_BPF_INSN_DISP16"][raw(edge.row) as usize - 2];
            let what = format!("in code this number is {gnu} of GNU tools before 2.41: an address in a short field");
            let advice = "load the address with a 64-bit immediate (lddw)".into();
            return Err(LinkError::Unsupported { site: Box::new(graph.site(code.block, edge)), what, advice });
        }
    }
    Ok(())
}

/// Where the object is cut, and what its code calls without a relocation.
fn plan(object: &ObjectBuilder<'_, '_>, code: &[Code]) -> Result<Split, LinkError> {
    let graph = object.graph();
    let position: HashMap<BlockId, usize> = code.iter().enumerate().map(|(at, code)| (code.block, at)).collect();
    let mut starts: Vec<Vec<u32>> = vec![Vec::new(); code.len()];
    let mut split = Split::default();
    for (_, symbol) in object.own_symbols() {
        let Value::Block { block, offset } = symbol.value else { continue };
        // Local symbols without a type are labels within functions.
        let names_function =
            symbol.kind == SymbolKind::Function || symbol.kind == SymbolKind::Other && symbol.scope != Scope::Local;
        let Ok(offset) = u32::try_from(offset) else { continue };
        if let Some(&at) = position.get(&block) {
            if names_function {
                starts[at].push(offset);
            }
        } else if is_maps(graph.section(graph.block(block).section).name) && symbol.kind != SymbolKind::Section {
            split.cuts.push((block, offset));
        }
    }
    for (target, offset) in addressed(graph, code, &position) {
        starts[target].push(offset);
    }
    for (code, mut starts) in code.iter().zip(starts) {
        let relocated: Vec<u32> = graph.edges(code.block).iter().map(|edge| edge.offset).collect();
        let flow = Flow::of(&code.words, &relocated).map_err(|(index, what)| {
            let section = graph.section(code.section).name_lossy();
            LinkError::malformed(object.name(), section, (index * WORD) as u64, what)
        })?;
        if let Some(&within) = starts.iter().find(|&&start| !flow.may_start(start)) {
            let section = graph.section(code.section).name_lossy();
            let what = "a function begins here, within an instruction";
            return Err(LinkError::malformed(object.name(), section, within.into(), what));
        }
        starts.extend(flow.calls.iter().map(|call| call.1));
        starts.sort_unstable();
        starts.dedup();
        let cuts = flow.separable(&starts);
        let piece = |offset: u32| cuts.partition_point(|&cut| cut <= offset);
        let crossing = flow.calls.iter().filter(|(from, to)| piece(*from) != piece(*to));
        split.references.extend(crossing.map(|&(from, to)| LocalReference {
            from: code.block,
            offset: from,
            row: LOCAL_CALL,
            to: code.block,
            addend: u64::from(to),
        }));
        split.cuts.extend(cuts.into_iter().map(|cut| (code.block, cut)));
    }
    Ok(split)
}

/// The places of code that relocations name by a section's symbol: called, or handed on as an address.
fn addressed(graph: &LinkGraph<'_>, code: &[Code], position: &HashMap<BlockId, usize>) -> Vec<(usize, u32)> {
    let place = |edge: &jitlink_core::graph::Edge| {
        let raw = graph.rows().row(edge.row).raw();
        let symbol = graph.symbol(edge.target);
        let Value::Block { block, offset } = symbol.value else { return None };
        let at = position.get(&block)?;
        let offset = u32::try_from(offset.checked_add_signed(edge.addend)?).ok()?;
        let meant = matches!(raw, CALL_RAW | WIDE_LOAD) && symbol.kind == SymbolKind::Section;
        (meant && offset.is_multiple_of(WORD as u32)).then_some((*at, offset))
    };
    code.iter().flat_map(|code| graph.edges(code.block)).filter_map(place).collect()
}
