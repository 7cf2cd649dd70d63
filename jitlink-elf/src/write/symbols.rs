//! The symbol table: local symbols in input order, signatures of groups, sections that are referred to, then all others.

use super::sections::Plan;
use super::{Head, unsupported};
use crate::symbols::far_common;
use jitlink_core::format::Relocatable;
use jitlink_core::graph::{Edge, LinkGraph, Linkage, Residence, Scope, Symbol, SymbolKind, Value};
use jitlink_core::{LinkError, LinkErrors};
use object::elf::{self, SymbolBind, SymbolSection, SymbolType, SymbolVisibility};
use std::collections::HashMap;

/// Where a symbol is, by the positions of sections in the plan.
#[derive(Clone, Copy)]
pub(crate) enum Home {
    Section(usize),
    /// The section that lists a group's members, by the group's position in the plan.
    Group(usize),
    Special(SymbolSection),
}

/// An entry to be written.
pub(crate) struct Entry<'g> {
    pub(crate) name: &'g [u8],
    pub(crate) kind: SymbolType,
    pub(crate) bind: SymbolBind,
    pub(crate) visibility: SymbolVisibility,
    pub(crate) home: Home,
    pub(crate) value: u64,
    pub(crate) size: u64,
}

/// The symbol table.
pub(crate) struct Table<'g> {
    /// All entries but the null one, which has number 0.
    pub(crate) entries: Vec<Entry<'g>>,
    /// How many of them are local.
    pub(crate) locals: usize,
    /// The number of each group's signature, by the group's position in the plan.
    pub(crate) signatures: Vec<u32>,
    /// The number of each symbol of the graph; `NONE` where it has none.
    numbers: Vec<u32>,
    /// The number of each section's symbol, by position in the plan; `NONE` where it has none.
    sections: Vec<u32>,
}

const NONE: u32 = u32::MAX;

/// What a reference means in the file.
pub(crate) enum Meaning {
    /// A symbol's number, and what is added to the addend.
    Symbol(u32, i64),
    /// Something that is not there: only debug information may mean it.
    Nothing,
}

impl<'g> Table<'g> {
    /// Decides all entries.
    pub(crate) fn new(object: &Relocatable<'g, '_>, head: &Head, plan: &Plan<'g>) -> Result<Table<'g>, LinkErrors> {
        let graph = object.graph;
        let mut table = Table {
            entries: Vec::new(),
            locals: 0,
            signatures: Vec::new(),
            numbers: vec![NONE; graph.symbols().len()],
            sections: vec![NONE; plan.outputs.len()],
        };
        table.add_locals(graph, plan);
        table.add_signatures(object, plan);
        table.add_sections(graph, plan);
        table.locals = table.entries.len();
        table.add_visible(object, head, plan)?;
        // Entries of 32-bit files name symbols by 24 bits.
        let limit = if head.is_64 { u64::from(u32::MAX) } else { 0xff_ffff };
        match table.entries.len() as u64 {
            count if count >= limit => Err(super::too_large("number of symbols", count, limit).into()),
            _ => Ok(table),
        }
    }

    /// Whether anything names a place in a section.
    pub(crate) fn mentions(&self) -> Vec<bool> {
        let mut mentioned: Vec<bool> = self.sections.iter().map(|&number| number != NONE).collect();
        for entry in &self.entries {
            if let Home::Section(section) = entry.home {
                mentioned[section] = true;
            }
        }
        mentioned
    }

    /// What an edge refers to.
    pub(crate) fn meaning(&self, graph: &LinkGraph<'_>, plan: &Plan<'_>, edge: &Edge) -> Meaning {
        let target = graph.canonical(edge.target);
        let symbol = graph.symbol(target);
        if is_null(symbol) {
            return Meaning::Symbol(0, 0);
        }
        match (self.numbers[target.index()], section_symbol(symbol, plan)) {
            (_, Some((section, offset))) => Meaning::Symbol(self.sections[section], offset as i64),
            (NONE, None) => Meaning::Nothing,
            (number, None) => Meaning::Symbol(number, 0),
        }
    }

    fn push(&mut self, entry: Entry<'g>) -> u32 {
        self.entries.push(entry);
        self.entries.len() as u32
    }

    fn add_locals(&mut self, graph: &'g LinkGraph<'_>, plan: &Plan<'g>) {
        // A file's name stays as long as anything of the file does.
        let mut is_there = vec![false; graph.objects().len()];
        for (block, data) in graph.blocks().filter(|(block, _)| graph.is_live(*block)) {
            debug_assert!(plan.place(block).is_some() || !graph.section(data.section).is_loaded());
            is_there[graph.section(data.section).object.index()] = true;
        }
        for (id, symbol) in graph.symbols() {
            if symbol.scope != Scope::Local || symbol.kind == SymbolKind::Section || is_null(symbol) {
                continue;
            }
            let (home, value) = match symbol.value {
                Value::Block { block, offset } => match plan.place(block) {
                    Some((section, start)) => (Home::Section(section), start + offset),
                    None => continue,
                },
                Value::Absolute(value) if is_there[symbol.object.index()] => (Home::Special(elf::SHN_ABS), value),
                _ => continue,
            };
            let entry = Entry {
                name: symbol.name.bytes(),
                kind: kind(symbol.kind),
                bind: elf::STB_LOCAL,
                visibility: elf::STV_DEFAULT,
                home,
                value,
                size: symbol.size,
            };
            self.numbers[id.index()] = self.push(entry);
        }
    }

    /// The symbols that give groups their names where no visible symbol has it.
    fn add_signatures(&mut self, object: &Relocatable<'g, '_>, plan: &Plan<'g>) {
        let visible: HashMap<&[u8], ()> = object.names.iter().map(|name| (name.name.bytes(), ())).collect();
        for (index, (_, name, _)) in plan.groups.iter().enumerate() {
            let number = match visible.contains_key(name) {
                true => NONE,
                false => self.push(Entry {
                    name,
                    kind: elf::STT_NOTYPE,
                    bind: elf::STB_LOCAL,
                    visibility: elf::STV_DEFAULT,
                    home: Home::Group(index),
                    value: 0,
                    size: 0,
                }),
            };
            self.signatures.push(number);
        }
    }

    /// The symbols of sections that something refers to as such.
    fn add_sections(&mut self, graph: &'g LinkGraph<'_>, plan: &Plan<'g>) {
        let mut is_needed = vec![false; plan.outputs.len()];
        for (block, _) in graph.blocks().filter(|(block, _)| plan.place(*block).is_some()) {
            for edge in graph.edges(block) {
                if let Some((section, _)) = section_symbol(graph.symbol(graph.canonical(edge.target)), plan) {
                    is_needed[section] = true;
                }
            }
        }
        for section in (0..plan.outputs.len()).filter(|&section| is_needed[section]) {
            self.sections[section] = self.push(Entry {
                name: b"",
                kind: elf::STT_SECTION,
                bind: elf::STB_LOCAL,
                visibility: elf::STV_DEFAULT,
                home: Home::Section(section),
                value: 0,
                size: 0,
            });
        }
    }

    fn add_visible(&mut self, object: &Relocatable<'g, '_>, head: &Head, plan: &Plan<'g>) -> Result<(), LinkErrors> {
        let graph = object.graph;
        let mut errors = Vec::new();
        let mut numbers: HashMap<&[u8], u32> = HashMap::new();
        for visible in &object.names {
            let symbol = graph.symbol(visible.symbol);
            match self.visible(graph, head, plan, symbol, visible.scope) {
                Ok(entry) => {
                    let own = symbol.name == visible.name;
                    let number = self.push(Entry { name: visible.name.bytes(), ..entry });
                    numbers.insert(visible.name.bytes(), number);
                    if own || self.numbers[visible.symbol.index()] == NONE {
                        self.numbers[visible.symbol.index()] = number;
                    }
                }
                Err(error) => errors.push(error),
            }
        }
        for (signature, (_, name, _)) in self.signatures.iter_mut().zip(&plan.groups) {
            if let Some(&number) = numbers.get(name).filter(|_| *signature == NONE) {
                *signature = number;
            }
        }
        LinkErrors::check(errors)
    }

    fn visible(
        &self,
        graph: &'g LinkGraph<'_>,
        head: &Head,
        plan: &Plan<'g>,
        symbol: &Symbol<'_>,
        scope: Scope,
    ) -> Result<Entry<'g>, LinkError> {
        let refused = |what: &str, advice: &str| {
            unsupported(&graph.object(symbol.object).name, "", format!("{}: {what}", symbol.name), advice)
        };
        let (home, value) = match symbol.value {
            Value::Undefined => (Home::Special(elf::SHN_UNDEF), 0),
            Value::Absolute(value) => (Home::Special(elf::SHN_ABS), value),
            Value::Common { align_log2, residence } => {
                let far = far_common(head.machine).filter(|_| residence == Residence::Far);
                (Home::Special(far.unwrap_or(elf::SHN_COMMON)), 1 << align_log2)
            }
            Value::Block { block, offset } => match plan.place(block) {
                Some((section, start)) => (Home::Section(section), start + offset),
                None => return Err(refused(MOVED, "make the symbol local, or give the object to the link as it is")),
            },
            Value::ImageBase => {
                return Err(refused("the base of an image, which only a link decides", "leave the name undefined"));
            }
            Value::Boundary { .. } => {
                return Err(refused(
                    "an end of a run of sections, which only a link decides",
                    "leave the name undefined",
                ));
            }
        };
        let limit = if head.is_64 { u64::MAX } else { u64::from(u32::MAX) };
        if value > limit || symbol.size > limit {
            return Err(super::too_large(format!("value or size of {}", symbol.name), value.max(symbol.size), limit));
        }
        let bind = match symbol.linkage {
            Linkage::Strong => elf::STB_GLOBAL,
            Linkage::Weak => elf::STB_WEAK,
            Linkage::Unique => elf::STB_GNU_UNIQUE,
        };
        let visibility = match scope {
            Scope::Local | Scope::Hidden => elf::STV_HIDDEN,
            Scope::Protected => elf::STV_PROTECTED,
            Scope::Global => elf::STV_DEFAULT,
        };
        Ok(Entry { name: b"", kind: kind(symbol.kind), bind, visibility, home, value, size: symbol.size })
    }
}

/// Why a place in unwind records has no symbol.
pub(crate) const MOVED: &str = "a place in unwind records, which were put together anew";

/// The null symbol, and what stands for symbols that were left out: an absolute zero without a name.
fn is_null(symbol: &Symbol<'_>) -> bool {
    symbol.name.is_empty() && symbol.value == Value::Absolute(0)
}

/// The section and offset of a symbol that stands for its section.
fn section_symbol(symbol: &Symbol<'_>, plan: &Plan<'_>) -> Option<(usize, u64)> {
    match (symbol.kind, symbol.value, symbol.scope) {
        (SymbolKind::Section, Value::Block { block, offset }, Scope::Local) => {
            plan.place(block).map(|(section, start)| (section, start + offset))
        }
        _ => None,
    }
}

fn kind(kind: SymbolKind) -> SymbolType {
    match kind {
        SymbolKind::Other => elf::STT_NOTYPE,
        SymbolKind::Object => elf::STT_OBJECT,
        SymbolKind::Function => elf::STT_FUNC,
        SymbolKind::Section => elf::STT_SECTION,
        SymbolKind::File => elf::STT_FILE,
        SymbolKind::ThreadLocal => elf::STT_TLS,
        SymbolKind::Indirect => elf::STT_GNU_IFUNC,
    }
}
