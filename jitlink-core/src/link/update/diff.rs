//! What of the new objects stands already, and what has to be linked again.

use super::identity::{Class, Identity, identities};
use super::matching::Matching;
use super::spread::direct;
use super::{Baseline, BlockRecord, ObjectRecord};
use crate::addr::Addr;
use crate::error::{LinkError, Site};
use crate::graph::{BlockId, Edge, LinkGraph, Linkage, ObjectId, Scope, Symbol, SymbolId, SymbolKind, Value};
use crate::link::entries::is_entered;
use crate::link::groups::is_discarded;
use crate::reloc::{Base, Subject};
use hashbrown::{HashMap, HashSet};

/// What becomes of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is placed.
    Fresh,
    /// It stands already: the index of its record in its object's.
    Kept(usize),
    /// It is neither placed nor kept: new initialisers, which nobody runs.
    Dropped,
}

/// Where the memory of a name comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// From elsewhere, or it is no name of others' concern.
    Elsewhere,
    /// From the object that defines it.
    Own,
    /// From the linker, for all objects that have it (common symbols).
    Common,
}

/// Follows the blocks of a link that can be updated, from resolved names to addresses.
pub(in crate::link) struct Tracker<'b> {
    pub(super) base: Option<&'b Baseline>,
    pub(super) identities: Vec<Option<Identity>>,
    pub(super) fates: Vec<Fate>,
    /// By symbol.
    pub(super) origins: Vec<Origin>,
    /// Names that the replaced objects defined and that nothing defines now.
    pub(super) removed: Vec<&'b [u8]>,
    /// Whether arrays of initialisers changed, which are not run again.
    pub(super) skips_initialisers: bool,
}

impl<'b> Tracker<'b> {
    /// Looks at the batch when its names are resolved. With a baseline, pins what stands already.
    pub(in crate::link) fn new(
        graph: &mut LinkGraph<'_>,
        base: Option<&'b Baseline>,
    ) -> Result<Tracker<'b>, Vec<LinkError>> {
        let mut errors = Vec::new();
        let mut origins = origins(graph);
        if let Some(base) = base {
            check_objects(graph, base, &mut errors);
            yield_to_others(graph, base, &mut origins, &mut errors);
            if !errors.is_empty() {
                return Err(errors);
            }
        }
        let identities = identities(graph, &origins);
        let fates = vec![Fate::Fresh; graph.blocks.len()];
        let mut tracker = Tracker { base, identities, fates, origins, removed: Vec::new(), skips_initialisers: false };
        if let Some(base) = base {
            tracker.match_objects(graph, base, &mut errors);
            tracker.check_dropped(graph, &mut errors);
            tracker.renew_resolvers(graph);
            tracker.find_removed(graph, base, &mut errors);
            tracker.spread(graph, base);
            tracker.check_moves(graph, base, &mut errors);
            tracker.check_narrow(graph, &mut errors);
            tracker.check_ends(graph, base, &mut errors);
            if !errors.is_empty() {
                return Err(errors);
            }
            tracker.pin(graph, base);
        }
        retain_definitions(graph);
        Ok(tracker)
    }

    /// The record of the object that a batch's object replaces.
    pub(super) fn old(&self, graph: &LinkGraph<'_>, object: ObjectId) -> Option<&'b ObjectRecord> {
        self.base?.objects.get(&graph.object(object).name)
    }

    /// The record of a kept block.
    pub(super) fn kept(&self, graph: &LinkGraph<'_>, block: BlockId) -> Option<&'b BlockRecord> {
        let Fate::Kept(record) = self.fates[block.index()] else { return None };
        self.old(graph, graph.section(graph.block(block).section).object)?.blocks.get(record)
    }

    fn match_objects(&mut self, graph: &LinkGraph<'_>, base: &'b Baseline, errors: &mut Vec<LinkError>) {
        for index in 0..graph.objects.len() {
            let object = ObjectId::new(index);
            let none = ObjectRecord::default();
            let old = base.objects.get(&graph.object(object).name).unwrap_or(&none);
            let mut matching = Matching::new(graph, &self.identities, &mut self.fates, object, old);
            matching.run(base, errors);
            self.skips_initialisers |= matching.skips_initialisers;
        }
    }

    /// New arrays of initialisers are left out, so nothing may lie in them or refer to them.
    fn check_dropped(&self, graph: &LinkGraph<'_>, errors: &mut Vec<LinkError>) {
        if self.fates.iter().all(|fate| *fate != Fate::Dropped) {
            return;
        }
        let mut needed = vec![false; graph.blocks.len()];
        let is_dropped = |value: Value| match value {
            Value::Block { block, .. } if self.fates[block.index()] == Fate::Dropped => Some(block.index()),
            _ => None,
        };
        for (id, symbol) in graph.symbols().filter(|(id, _)| self.origins[id.index()] == Origin::Own) {
            if let Some(block) = is_dropped(symbol.value).filter(|_| graph.canonical(id) == id) {
                needed[block] = true;
            }
        }
        for (block, _) in graph.blocks().filter(|(block, _)| self.identities[block.index()].is_some()) {
            for target in graph.edges(block).iter().filter_map(|edge| is_dropped(graph.symbol(edge.target).value)) {
                needed[target] |= target != block.index();
            }
        }
        for (block, _) in needed.iter().enumerate().filter(|(_, needed)| **needed) {
            let block = BlockId::new(block);
            let section = graph.section(graph.block(block).section).name_lossy();
            let what =
                format!("{section} is new or has another size, is left out of updates, and yet referred to by name");
            let object = graph.object_of(block).name.clone();
            errors.push(LinkError::NotUpdatable { object, what, advice: RESTART.into() });
        }
    }

    /// An indirect function that only its object sees has no entry, and nobody remembers the address that stands for it. So its
    /// resolver is linked again, and what refers to it.
    fn renew_resolvers(&mut self, graph: &LinkGraph<'_>) {
        for (_, symbol) in graph.symbols().filter(|(_, symbol)| symbol.kind == SymbolKind::Indirect) {
            if let (Value::Block { block, .. }, Scope::Local) = (symbol.value, symbol.scope)
                && self.identities[block.index()].as_ref().is_some_and(|identity| identity.class == Class::Text)
            {
                self.fates[block.index()] = Fate::Fresh;
            }
        }
    }

    /// Names of the replaced objects that nothing defines any more; an error for each that others of the module need.
    fn find_removed(&mut self, graph: &LinkGraph<'_>, base: &'b Baseline, errors: &mut Vec<LinkError>) {
        let of = |origin: Origin| -> HashSet<&[u8]> {
            let all = graph.symbols().filter(|(id, _)| self.origins[id.index()] == origin);
            all.map(|(_, symbol)| symbol.name.bytes()).collect()
        };
        let (defined, tentative) = (of(Origin::Own), of(Origin::Common));
        let mut uses: HashMap<&[u8], usize> = HashMap::new();
        let replaced: Vec<(&str, &ObjectRecord)> = graph
            .objects()
            .filter_map(|(_, object)| Some((object.name.as_str(), base.objects.get(&object.name)?)))
            .collect();
        for name in replaced.iter().flat_map(|(_, old)| &old.uses) {
            *uses.entry(name).or_default() += 1;
        }
        for (object, name) in
            replaced.iter().flat_map(|(object, old)| old.defines.iter().map(move |name| (object, name)))
        {
            if defined.contains(&**name) {
                continue;
            }
            if tentative.contains(&**name) {
                let name = String::from_utf8_lossy(name);
                let what = format!("{name} is a tentative definition now, and what it was would be lost");
                errors.push(LinkError::NotUpdatable { object: object.to_string(), what, advice: RESTART.into() });
                continue;
            }
            let others = base.uses(name) - uses.get(&**name).copied().unwrap_or(0);
            if others > 0 {
                errors.push(still_used(graph, base, name, others));
            }
            self.removed.push(name);
        }
    }

    /// Refuses what would move a name that others of the module refer to directly.
    fn check_moves(&self, graph: &LinkGraph<'_>, base: &Baseline, errors: &mut Vec<LinkError>) {
        for (id, symbol) in graph.symbols() {
            if self.origins[id.index()] != Origin::Own {
                continue;
            }
            let Some(record) = base.name(symbol.name.bytes()) else { continue };
            let entered = is_entered(graph, id);
            let (now, class) = match symbol.value {
                Value::Block { block, .. } if self.fates[block.index()] == Fate::Fresh => {
                    (None, self.identities[block.index()].as_ref().map(|identity| identity.class))
                }
                Value::Block { .. } => (self.standing(graph, base, id), None),
                Value::Absolute(address) => (Some(Addr(address)), None),
                _ => continue,
            };
            let object = graph.object(symbol.object).name.clone();
            if entered != record.entry.is_some() {
                let (now, before) = if entered { ("function", "variable") } else { ("variable", "function") };
                let what = format!("{} is a {now} now, but was a {before}", symbol.name);
                errors.push(LinkError::NotUpdatable { object, what, advice: RESTART.into() });
            } else if !entered && class == Some(Class::Data) {
                let what = format!("the variable {} would move, and its value be lost", symbol.name);
                errors.push(LinkError::NotUpdatable { object, what, advice: RESTART.into() });
            } else if !entered && now != Some(record.address) {
                let batch = graph.objects().filter_map(|(_, object)| base.objects.get(&object.name));
                let within = batch.filter(|old| old.uses.iter().any(|name| **name == *symbol.name.bytes())).count();
                if base.uses(symbol.name.bytes()) > within {
                    let what = format!(
                        "{} changed, and {} refer to it directly",
                        symbol.name,
                        users(graph, base, symbol.name.bytes()).join(", ")
                    );
                    let advice = "update those objects together with this one".into();
                    errors.push(LinkError::NotUpdatable { object, what, advice });
                }
            }
        }
    }

    /// Data that stays can follow what it refers to only where it holds whole pointers, which are stored at once.
    fn check_narrow(&self, graph: &LinkGraph<'_>, errors: &mut Vec<LinkError>) {
        for (id, _) in graph.blocks() {
            let is_data = self.identities[id.index()].as_ref().is_some_and(|identity| identity.class != Class::Text);
            if !is_data || !matches!(self.fates[id.index()], Fate::Kept(_)) {
                continue;
            }
            for edge in graph.edges(id) {
                let target = graph.canonical(edge.target);
                let moves = direct(graph, id, target).is_some_and(|block| self.fates[block.index()] == Fate::Fresh);
                if moves && !is_pointer(graph, edge) {
                    let site = graph.site(id, edge);
                    let what =
                        format!("{site}: a variable refers to code or constants that changed, by less than a pointer");
                    let object = graph.object_of(id).name.clone();
                    errors.push(LinkError::NotUpdatable { object, what, advice: RESTART.into() });
                }
            }
        }
    }

    /// Gives symbols of what stands already their addresses, and leaves its blocks out.
    fn pin(&self, graph: &mut LinkGraph<'_>, base: &Baseline) {
        let addresses: Vec<Option<u64>> =
            graph.canonical.iter().map(|&id| self.standing(graph, base, id).map(|address| address.0)).collect();
        for (symbol, address) in graph.symbols.iter_mut().zip(addresses) {
            if let Some(address) = address {
                symbol.value = Value::Absolute(address);
                if symbol.kind == SymbolKind::Indirect {
                    // That of its entry, like any other function's.
                    symbol.kind = SymbolKind::Function;
                }
            }
        }
        self.retain_targets(graph);
        graph.pinned = self.fates.iter().map(|fate| *fate != Fate::Fresh).collect();
    }

    /// Where a definition stands already.
    pub(super) fn standing(&self, graph: &LinkGraph<'_>, base: &Baseline, id: SymbolId) -> Option<Addr> {
        let symbol = graph.symbol(id);
        match symbol.value {
            Value::Block { block, .. } if graph.handle == Some(block) => Some(base.handle),
            Value::Block { block, offset } => {
                let record = self.kept(graph, block)?;
                let name = (symbol.scope != Scope::Local).then(|| base.name(symbol.name.bytes())).flatten();
                let entry = name.filter(|name| name.entry.is_some());
                Some(entry.map_or(record.address + offset, |name| name.address))
            }
            Value::Boundary { .. } => base.boundaries.get(symbol.name.bytes()).copied(),
            _ => None,
        }
    }

    /// Pointers in variables that stay are looked at again when addresses are known: what they refer to must have one.
    fn retain_targets(&self, graph: &mut LinkGraph<'_>) {
        for block in (0..graph.blocks.len()).map(BlockId::new) {
            if self.identities[block.index()].as_ref().is_some_and(|identity| identity.class != Class::Text)
                && matches!(self.fates[block.index()], Fate::Kept(_))
            {
                let targets: Vec<SymbolId> = graph.edges(block).iter().map(|edge| edge.target).collect();
                graph.roots.extend(targets);
            }
        }
    }

    /// Gives needed names that other objects of the module define their addresses; the rest are others' to find.
    pub(in crate::link) fn resolve(&self, graph: &mut LinkGraph<'_>, needed: Vec<SymbolId>) -> Vec<SymbolId> {
        let Some(base) = self.base else { return needed };
        let removed: HashSet<&[u8]> = self.removed.iter().copied().collect();
        let is_elsewhere = |id: &SymbolId| {
            let symbol = &mut graph.symbols[id.index()];
            let name = symbol.name.bytes();
            let Some(record) = base.name(name).filter(|_| !removed.contains(name)) else { return true };
            symbol.value = Value::Absolute(record.address.0);
            false
        };
        needed.into_iter().filter(is_elsewhere).collect()
    }
}

/// Whether an edge stores a whole pointer.
pub(super) fn is_pointer(graph: &LinkGraph<'_>, edge: &Edge) -> bool {
    let row = graph.rows.row(edge.row);
    let whole = row.field().bytes() == usize::from(graph.target.pointer_bytes) && row.limits().is_none();
    edge.subject == Subject::Symbol && row.base() == Base::Zero && row.formula().is_none() && whole
}

pub(super) const RESTART: &str =
    "link the program anew; with -fdata-sections each variable has a place of its own, so that others can come and go";

/// The batch must be for the same machine, and its objects must be told apart by name.
fn check_objects(graph: &LinkGraph<'_>, base: &Baseline, errors: &mut Vec<LinkError>) {
    if graph.target != base.target {
        errors.push(LinkError::MixedTargets {
            object: graph
                .objects
                .iter()
                .find(|object| !object.path.is_empty())
                .map_or_else(String::new, |object| object.name.clone()),
            found: graph.target.to_string(),
            first: base.objects().next().unwrap_or("the module").to_string(),
            expected: base.target.to_string(),
        });
    }
    let mut seen = HashSet::new();
    for (_, object) in graph.objects().filter(|(_, object)| !object.path.is_empty()) {
        if !seen.insert(&object.name) || base.ambiguous.contains(&object.name) {
            errors.push(LinkError::NotUpdatable {
                object: object.name.clone(),
                what: "two objects of the module have this name".into(),
                advice: "give each object of a module a name of its own".into(),
            });
        }
    }
}

/// Where the memory of each symbol comes from, once names are resolved.
fn origins(graph: &LinkGraph<'_>) -> Vec<Origin> {
    let origin = |(id, symbol): (SymbolId, &Symbol<'_>)| {
        let named = symbol.scope != Scope::Local && !symbol.name.is_empty() && graph.canonical(id) == id;
        if !named || graph.yielded.contains(&id) {
            return Origin::Elsewhere;
        }
        match symbol.value {
            Value::Block { block, .. } => {
                let section = graph.section(graph.block(block).section);
                match section.object == symbol.object {
                    // What is not loaded has no address that others could use.
                    true if section.is_loaded() => Origin::Own,
                    false if section.name == b".common" => Origin::Common,
                    _ => Origin::Elsewhere,
                }
            }
            Value::Absolute(_) => Origin::Own,
            _ => Origin::Elsewhere,
        }
    };
    graph.symbols().map(origin).collect()
}

/// Definitions that may give way do so to those of objects that stay.
fn yield_to_others(graph: &mut LinkGraph<'_>, base: &Baseline, origins: &mut [Origin], errors: &mut Vec<LinkError>) {
    let batch: HashSet<usize> = graph.objects().filter_map(|(_, object)| base.object_index(&object.name)).collect();
    let mut yielded: HashMap<SymbolId, u64> = HashMap::new();
    for (id, symbol) in graph.symbols() {
        let origin = origins[id.index()];
        if origin == Origin::Elsewhere {
            continue;
        }
        let Some(record) = base.name(symbol.name.bytes()) else { continue };
        if record.owner.is_some_and(|owner| batch.contains(&(owner as usize))) {
            continue;
        }
        let object = || graph.object(symbol.object).name.clone();
        match (origin, record.owner) {
            (Origin::Own, Some(owner)) if symbol.linkage == Linkage::Strong => {
                let first = base.objects.get_index(owner as usize).map_or_else(String::new, |(name, _)| name.clone());
                errors.push(LinkError::Duplicate { symbol: symbol.name.to_string(), first, second: object() });
            }
            (Origin::Own, None) if symbol.linkage == Linkage::Strong => {
                let what = format!("{} was a tentative definition, and its value would be lost", symbol.name);
                errors.push(LinkError::NotUpdatable { object: object(), what, advice: RESTART.into() });
            }
            // Of a weak definition and a larger tentative one, the tentative one would count in a link of all.
            (Origin::Common, _) if symbol.size > record.size => {
                let what = format!("{} grew from {:#x} to {:#x} bytes", symbol.name, record.size, symbol.size);
                errors.push(LinkError::NotUpdatable { object: object(), what, advice: RESTART.into() });
            }
            _ => drop(yielded.insert(id, record.address.0)),
        }
    }
    for &id in yielded.keys() {
        origins[id.index()] = Origin::Elsewhere;
        graph.yielded.insert(id);
    }
    for index in 0..graph.symbols.len() {
        if let Some(&address) = yielded.get(&graph.canonical[index]) {
            graph.symbols[index].value = Value::Absolute(address);
        }
    }
}

/// In links that can be updated, everything that other objects may come to need is kept.
fn retain_definitions(graph: &mut LinkGraph<'_>) {
    let is_definition = |&id: &SymbolId| {
        let symbol = graph.symbol(id);
        let in_memory = match symbol.value {
            Value::Block { block, .. } => {
                let section = graph.section(graph.block(block).section);
                section.is_loaded() && !is_discarded(graph, section.group)
            }
            _ => false,
        };
        symbol.scope != Scope::Local && graph.canonical(id) == id && in_memory
    };
    let definitions: Vec<SymbolId> = (0..graph.symbols.len()).map(SymbolId::new).filter(is_definition).collect();
    graph.roots.extend(definitions);
}

/// The objects of the module, outside the batch, that refer to a name.
fn users(graph: &LinkGraph<'_>, base: &Baseline, name: &[u8]) -> Vec<String> {
    let batch: HashSet<&str> = graph.objects.iter().map(|object| object.name.as_str()).collect();
    let uses = |(object, record): (&String, &ObjectRecord)| {
        let uses = record.uses.iter().any(|used| **used == *name) && !batch.contains(object.as_str());
        uses.then(|| object.clone())
    };
    base.objects.iter().filter_map(uses).collect()
}

fn still_used(graph: &LinkGraph<'_>, base: &Baseline, name: &[u8], total: usize) -> LinkError {
    let site = |object: String| Site { object, ..Site::default() };
    LinkError::Undefined {
        symbol: String::from_utf8_lossy(name).into_owned(),
        references: users(graph, base, name).into_iter().take(3).map(site).collect(),
        total,
        advice: "update the objects that refer to it together with this one".into(),
    }
}
