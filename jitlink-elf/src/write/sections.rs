//! Which sections the object has, and what lies where in them.

use super::origin::SectionOrigin;
use super::{Head, too_large, unsupported};
use crate::sections::far_flag;
use jitlink_core::format::Relocatable;
use jitlink_core::graph::{
    BlockId, Content, Group, GroupId, InitStage, Initialisers, LinkGraph, Merge, Protection, Residence, Role, Section,
    SectionId, Selection, SymbolKind, Value,
};
use jitlink_core::reloc::Base;
use jitlink_core::{LinkError, LinkErrors};
use object::elf::{self, SectionType};
use std::collections::HashMap;

/// Flags that the graph says in its own words, or that speak of this file's own tables.
const SAID_ELSEWHERE: u64 = elf::SHF_WRITE.0
    | elf::SHF_ALLOC.0
    | elf::SHF_EXECINSTR.0
    | elf::SHF_MERGE.0
    | elf::SHF_STRINGS.0
    | elf::SHF_INFO_LINK.0
    | elf::SHF_GROUP.0
    | elf::SHF_TLS.0
    | elf::SHF_COMPRESSED.0;

/// A section to be written.
pub(crate) struct Output<'g> {
    pub(crate) name: &'g [u8],
    pub(crate) kind: SectionType,
    pub(crate) flags: u64,
    pub(crate) entry: u64,
    pub(crate) align_log2: u8,
    pub(crate) size: u64,
    /// The blocks in it, with their offsets.
    pub(crate) blocks: Vec<(BlockId, u64)>,
    /// Its group.
    pub(crate) group: Option<GroupId>,
    /// The section that orders it, by its position in the plan.
    pub(crate) ordered_by: Option<usize>,
    /// Sections of its name may follow in it.
    is_open: bool,
    /// It is written although nothing is in it and nothing refers to it.
    pub(crate) keeps_empty: bool,
}

/// All sections, and where blocks are in them.
pub(crate) struct Plan<'g> {
    pub(crate) outputs: Vec<Output<'g>>,
    /// By block: the output and the offset in it.
    placed: Vec<Option<(u32, u64)>>,
    /// The groups that have members, in order, with their names and whether other copies of them are discarded.
    pub(crate) groups: Vec<(GroupId, &'g [u8], bool)>,
}

impl<'g> Plan<'g> {
    /// Places all live blocks.
    pub(crate) fn new(object: &Relocatable<'g, '_>, head: &Head) -> Result<Plan<'g>, LinkErrors> {
        let graph = object.graph;
        let mut plan = Plan { outputs: Vec::new(), placed: vec![None; graph.blocks().len()], groups: Vec::new() };
        let mut last: HashMap<&'g [u8], usize> = HashMap::new();
        let unclear = unclear(graph);
        let groups: Vec<&'g Group<'_>> = graph.groups().map(|(_, group)| group).collect();
        let mut errors = Vec::new();
        // What is ordered by others comes after them, so that it is known what they became.
        for ordered in [false, true] {
            for (id, _) in graph.sections().filter(|(_, section)| section.ordered_by.is_some() == ordered) {
                if graph.blocks_of(id).any(|(block, _)| graph.is_live(block)) {
                    errors.extend(plan.add(graph, head, &groups, &mut last, (id, unclear[id.index()])).err());
                }
            }
        }
        errors.extend(several_tables(graph, &plan.outputs));
        let mut used: Vec<GroupId> = plan.outputs.iter().filter_map(|output| output.group).collect();
        used.sort_unstable();
        used.dedup();
        for id in used {
            let group = groups[id.index()];
            if !matches!(group.selection, Selection::Any | Selection::All) || group.parent.is_some() {
                let what = format!("ELF has no selection rule for COMDAT group {}", group.name);
                errors.push(unsupported(
                    &graph.object(group.object).name,
                    "",
                    what,
                    "leave the object out of this link",
                ));
            }
            plan.groups.push((id, group.name.bytes(), group.selection != Selection::All));
        }
        LinkErrors::check(errors)?;
        Ok(plan)
    }

    /// Where a block is: the position of its section in the plan, and the offset in it.
    pub(crate) fn place(&self, block: BlockId) -> Option<(usize, u64)> {
        self.placed.get(block.index()).copied().flatten().map(|(output, offset)| (output as usize, offset))
    }

    /// Places a section, in one of its name that is there already if that changes nothing.
    fn add(
        &mut self,
        graph: &'g LinkGraph<'_>,
        head: &Head,
        groups: &[&Group<'_>],
        last: &mut HashMap<&'g [u8], usize>,
        (id, unclear): (SectionId, bool),
    ) -> Result<(), LinkError> {
        let section = graph.section(id);
        let ordered_by = match section.ordered_by.map(|other| self.output_of(graph, other)) {
            // It speaks of code that is not there.
            Some(None) if !section.is_loaded() => return Ok(()),
            ordered_by => ordered_by.flatten(),
        };
        let new = output(graph, head, groups, (id, unclear), ordered_by);
        let blocks = || graph.blocks_of(id).filter(|(block, _)| graph.is_live(*block));
        let align_log2 = blocks().map(|(_, block)| block.align_log2).max().unwrap_or(0);
        let index = match last.get(section.name) {
            Some(&index) if self.outputs[index].takes(&new, align_log2) => index,
            _ => {
                self.outputs.push(new);
                self.outputs.len() - 1
            }
        };
        last.insert(section.name, index);
        let output = &mut self.outputs[index];
        output.align_log2 = output.align_log2.max(align_log2);
        output.keeps_empty |= section.gathered || output.group.is_some();
        let limit = if head.is_64 { u64::MAX >> 1 } else { u64::from(u32::MAX) };
        for (block, data) in blocks() {
            let start = output.size.checked_next_multiple_of(data.align()).unwrap_or(u64::MAX);
            let end = start.saturating_add(data.size());
            if end > limit {
                return Err(too_large(format!("size of section {}", section.name_lossy()), end, limit));
            }
            output.size = end;
            output.blocks.push((block, start));
            self.placed[block.index()] = Some((index as u32, start));
        }
        Ok(())
    }

    /// What a section became.
    fn output_of(&self, graph: &LinkGraph<'_>, section: SectionId) -> Option<usize> {
        graph.blocks_of(section).find_map(|(block, _)| Some(self.place(block)?.0))
    }
}

impl Output<'_> {
    /// Whether another section can follow in this one, and means the same there.
    fn takes(&self, other: &Output<'_>, align_log2: u8) -> bool {
        let same = (self.kind, self.flags, self.entry, self.ordered_by)
            == (other.kind, other.flags, other.entry, other.ordered_by);
        // Padding between mergeable sections must be whole entries.
        let start = self.size.checked_next_multiple_of(1 << align_log2).unwrap_or(u64::MAX);
        let whole = self.entry == 0 || (start - self.size).is_multiple_of(self.entry);
        self.is_open && other.is_open && same && whole
    }
}

/// The header of a section's own.
fn output<'g>(
    graph: &'g LinkGraph<'_>,
    head: &Head,
    groups: &[&Group<'_>],
    (id, unclear): (SectionId, bool),
    ordered_by: Option<usize>,
) -> Output<'g> {
    let section = graph.section(id);
    // Copies of old, which are each other's by their own name, have no group in the file.
    let is_linkonce = |group: GroupId| groups[group.index()].name.bytes() == section.name && is_linkonce(section.name);
    let once = section.group.is_some_and(is_linkonce);
    let group = section.group.filter(|_| !once);
    let origin = SectionOrigin::unpack(section.origin);
    let zeros = graph.blocks_of(id).all(|(_, block)| matches!(block.content, Content::Zero(_)));
    let kind = kind(section, origin.kind, zeros);
    let mut flags = origin.flags.0 & !SAID_ELSEWHERE;
    let mut set = |flag: elf::SectionFlags, on: bool| flags |= if on { flag.0 } else { 0 };
    set(elf::SHF_ALLOC, section.is_loaded());
    set(elf::SHF_WRITE, section.is_loaded() && section.protection == Protection::ReadWrite);
    set(elf::SHF_EXECINSTR, section.is_loaded() && section.protection == Protection::ReadExecute);
    set(elf::SHF_TLS, section.role == Role::ThreadLocal);
    set(elf::SHF_GROUP, group.is_some());
    set(elf::SHF_LINK_ORDER, ordered_by.is_some());
    let is_array = matches!(section.role, Role::Initialisers(_));
    set(elf::SHF_GNU_RETAIN, section.retain && !is_array);
    set(elf::SHF_MERGE, section.merge.is_some());
    set(elf::SHF_STRINGS, matches!(section.merge, Some(Merge::Strings(_))));
    if let (Residence::Far, Some(far)) = (section.residence, far_flag(head.machine)) {
        flags |= far;
    }
    let entry = match section.merge {
        Some(Merge::Constants(entry) | Merge::Strings(entry)) => u64::from(entry),
        None if is_array => u64::from(graph.target().pointer_bytes),
        None => 0,
    };
    let is_open = group.is_none() && !once && !unclear && kind != elf::SHT_GNU_SFRAME && runs_forwards(section.role);
    Output {
        name: section.name,
        kind,
        flags,
        entry,
        align_log2: 0,
        size: 0,
        blocks: Vec::new(),
        group,
        ordered_by,
        // Unwind records of the batch are one already, and an empty section of their name is not theirs.
        is_open: is_open && section.role != Role::EhFrame,
        keeps_empty: false,
    }
}

fn is_linkonce(name: &[u8]) -> bool {
    name.starts_with(b".gnu.linkonce.")
}

/// Whether arrays of one name may become one array: those that run backwards at the start, or forwards at the end, would run
/// in another order.
fn runs_forwards(role: Role) -> bool {
    match role {
        Role::Initialisers(Initialisers { stage, backwards, .. }) => backwards == (stage == InitStage::Fini),
        _ => true,
    }
}

/// The section's type: what the file said where it did and the content agrees, else what the graph says.
fn kind(section: &Section<'_>, origin: SectionType, zeros: bool) -> SectionType {
    match origin {
        elf::SHT_NOBITS if !zeros => elf::SHT_PROGBITS,
        SectionType(0) | elf::SHT_PROGBITS if zeros => elf::SHT_NOBITS,
        SectionType(0) => match section.role {
            Role::Initialisers(array) => match array.stage {
                // ELF has no such arrays, nor has what is read from it.
                InitStage::Threads => elf::SHT_PROGBITS,
                InitStage::Preinit => elf::SHT_PREINIT_ARRAY,
                InitStage::Init => elf::SHT_INIT_ARRAY,
                InitStage::Fini => elf::SHT_FINI_ARRAY,
            },
            _ => elf::SHT_PROGBITS,
        },
        kind => kind,
    }
}

/// Mergeable sections with references that do not say which entry they mean: those to the section itself that have the
/// distance to the next instruction in their addends, or that point outside. Such sections stay by themselves, so that these
/// references mean what they meant.
fn unclear(graph: &LinkGraph<'_>) -> Vec<bool> {
    let mut unclear = vec![false; graph.sections().len()];
    for (block, _) in graph.blocks().filter(|(block, _)| graph.is_live(*block)) {
        for edge in graph.edges(block) {
            let symbol = graph.symbol(edge.target);
            let (SymbolKind::Section, Value::Block { block: target, offset }) = (symbol.kind, symbol.value) else {
                continue;
            };
            let target = graph.block(target);
            if graph.section(target.section).merge.is_some() {
                let inside = offset.checked_add_signed(edge.addend).is_some_and(|at| at < target.size());
                unclear[target.section.index()] |= !inside || graph.rows().row(edge.row).base() != Base::Zero;
            }
        }
    }
    unclear
}

/// Tables of which an object can have only one, since they begin with a header for all of it.
fn several_tables(graph: &LinkGraph<'_>, outputs: &[Output<'_>]) -> Option<LinkError> {
    let mut tables = outputs.iter().filter(|output| output.kind == elf::SHT_GNU_SFRAME);
    let (_, second) = (tables.next()?, tables.next()?);
    let (block, _) = *second.blocks.first()?;
    let what = "a second table of stack traces (SFrame), and an object has one only";
    let object = &graph.object_of(block).name;
    Some(unsupported(object, &String::from_utf8_lossy(second.name), what, "compile without -Wa,--gsframe"))
}
