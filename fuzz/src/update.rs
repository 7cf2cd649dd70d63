//! Whole updates: a drawn module is linked, and then updated again and again with objects that differ a little. Nothing runs.
//!
//! Promises that are checked:
//!
//! - an update that fails changes nothing, neither in memory nor among the names;
//! - an update with what is linked already, by the link or by the update before, changes nothing;
//! - every field of what an update placed holds what [`crate::oracle`] computes;
//! - names lead into memory of the module, also when what was replaced is freed;
//! - the module has the names that its objects define;
//! - modules that do not need each other can be removed;
//! - once all is dropped nothing is left: no segment, no byte on the heap.

use crate::case::{self, OBJECTS};
use crate::counting;
use crate::elf;
use crate::host::Host;
use crate::machines;
use crate::made;
use crate::oracle;
use arbitrary::{Result, Unstructured};
use jitlink::{Module, RemoveError, Session};
use jitlink_core::graph::{LinkGraph, Linkage, Role, Scope, Symbol, SymbolKind, Value};
use jitlink_core::image::{ImageConfig, ImageExecutor};
use jitlink_core::link::{LinkOptions, Unresolved};
use jitlink_core::process::ProcessExecutor;
use jitlink_core::{Addr, Executor, Input};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

/// The bytes out of which an object is drawn: a few others give an object that differs a little.
#[derive(Clone, Debug)]
struct Recipe(Vec<u8>);

impl Recipe {
    fn draw(u: &mut Unstructured<'_>) -> Result<Recipe> {
        let size = usize::from(8 + u.arbitrary::<u8>()? % 120);
        Ok(Recipe(u.bytes(size.min(u.len()))?.to_vec()))
    }

    fn object(&self) -> Vec<u8> {
        let Some((kind, rest)) = self.0.split_first() else { return OBJECTS[9].to_vec() };
        let mut u = Unstructured::new(rest);
        let object = if kind % 4 == 0 { case::damaged(&mut u) } else { made::object(&mut u) };
        object.unwrap_or_else(|_| OBJECTS[9].to_vec())
    }
}

/// The objects of the module as they are meant to be.
struct Sources(Vec<Recipe>);

impl Sources {
    fn inputs(&self, which: impl Iterator<Item = usize>) -> Vec<Input> {
        which.map(|index| Input::from_bytes(format!("o{index}.o"), self.0[index].object())).collect()
    }

    fn all(&self) -> Vec<Input> {
        self.inputs(0..self.0.len())
    }
}

/// Links and updates as the bytes say.
pub fn run(bytes: &[u8]) {
    let took = || {
        let before = counting::live();
        // Bytes that run out end the play early.
        let _ = play(&mut Unstructured::new(bytes));
        counting::live() - before
    };
    // What is made once in a process stays, so what the first play took says nothing if a second takes nothing.
    if took() != 0 && !in_process(bytes.first().copied().unwrap_or_default()) {
        assert_eq!(took(), 0, "bytes on the heap that nobody holds");
    }
}

/// Whether an input is linked into this process, whose memory is kept for the next.
fn in_process(flags: u8) -> bool {
    flags & 3 == 3
}

fn play(u: &mut Unstructured<'_>) -> Result<()> {
    let flags: u8 = u.arbitrary()?;
    let image = image();
    let executor: Arc<dyn Executor> = if in_process(flags) { process() } else { Arc::new(Host(image.clone())) };
    let unresolved = if flags & 4 != 0 { Unresolved::Null } else { Unresolved::Error };
    let options = LinkOptions {
        updatable: true,
        unresolved,
        keep_debug: flags & 0x40 != 0,
        threads: Some(1),
        map: flags & 8 != 0,
        ..LinkOptions::default()
    };
    let checked = LinkOptions { pipeline: oracle::pipeline(), ..options.clone() };
    let sources = Sources((0..1 + flags / 16 % 4).map(|_| Recipe::draw(u)).collect::<Result<_>>()?);
    let session = Session::new(machines::x86_64().clone(), executor);
    case::dump(&sources.all());
    let Ok(module) = session.link(&sources.all(), &checked) else { return Ok(()) };
    // Another module that may need the first.
    let other = flags & 0x20 != 0;
    let other = other.then(|| session.link(&[Input::from_bytes("other.o", OBJECTS[3])], &options).ok()).flatten();
    let (image, debug) = (image.clone(), options.keep_debug);
    let commons = sources.all().iter().flat_map(|input| commons(input.bytes(), debug)).collect();
    let (hidden, places) = (BTreeSet::new(), BTreeMap::new());
    let mut play = Play { module, sources, debug, commons, hidden, places, image, other, needs_other: false };
    play.find_places();
    play.check_names();
    play.again(&play.sources.all());
    for _ in 0..6 {
        if u.is_empty() || play.round(u).is_err() {
            break;
        }
    }
    play.remove();
    let image = play.image.clone();
    drop((play, session));
    assert!(image.segments().is_empty(), "memory that nobody holds");
    Ok(())
}

/// A module between updates.
struct Play {
    module: Module,
    sources: Sources,
    /// Whether debug sections are linked, and what they define and hide with them.
    debug: bool,
    /// Names that were common symbols at some time.
    commons: BTreeSet<String>,
    /// Names that an object declared hidden at some time: they stay so until their own object is updated.
    hidden: BTreeSet<String>,
    /// The address of each name, and whether there was memory when it came to be: what has no size may lie beyond all of it.
    places: BTreeMap<String, (Addr, bool)>,
    image: ImageExecutor,
    /// A module that was linked later, and may need the first.
    other: Option<Module>,
    /// Whether an update may have made the first need the other.
    needs_other: bool,
}

impl Play {
    /// Removes the modules, unless each needs the other: those go with their session.
    fn remove(&self) {
        let Some(other) = &self.other else { return self.module.remove().expect("nothing needs the module") };
        match other.remove() {
            Ok(()) => self.module.remove().expect("nothing needs the module any more"),
            Err(refused) => {
                let RemoveError::Needed { dependents, .. } = refused else { panic!("other.o: {refused}") };
                assert!(self.needs_other && dependents == [self.module.name()], "{dependents:?} need other.o");
                match self.module.remove() {
                    Ok(()) => other.remove().expect("nothing needs the other module any more"),
                    Err(RemoveError::Needed { dependents, .. }) => assert_eq!(dependents, [other.name()]),
                    Err(refused) => panic!("the module: {refused}"),
                }
            }
        }
    }

    /// Whether an object refers to a name of the other module, or defines one in a way that may yield.
    fn may_need_other(&self, object: &[u8]) -> bool {
        let (Some(other), Ok(graph)) = (&self.other, elf::read(object, self.debug)) else { return false };
        let exports = other.exports();
        let yields = |symbol: &Symbol<'_>| !symbol.is_defined() || symbol.linkage != Linkage::Strong;
        let gives_way = |symbol: &Symbol<'_>| match symbol.value {
            Value::Block { block, .. } => graph.section(graph.block(block).section).group.is_some(),
            Value::Common { .. } => true,
            _ => false,
        };
        let open = graph.symbols().filter(|(_, symbol)| yields(symbol) || gives_way(symbol));
        open.filter(|(_, symbol)| symbol.scope != Scope::Local).any(|(_, symbol)| exports.find(&symbol.name).is_some())
    }

    fn round(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let what: u8 = u.arbitrary()?;
        let (next, changed) = self.edit(u, what)?;
        let (names, memory) = (names(&self.module), memory(&self.image));
        let inputs = next.inputs(changed.into_iter());
        case::dump(&inputs);
        // SAFETY: nothing of the module ever runs.
        match unsafe { self.module.update(&inputs) } {
            Err(errors) => {
                assert!(errors.iter().all(|error| !error.to_string().is_empty() && !error.code().is_empty()));
                assert_eq!(self::names(&self.module), names, "an update that failed changed the names");
                assert_eq!(self::memory(&self.image), memory, "an update that failed changed memory: {errors}");
            }
            Ok(_) => {
                self.find_places();
                self.again(&inputs);
                self.sources = next;
                self.commons.extend(inputs.iter().flat_map(|input| commons(input.bytes(), self.debug)));
                self.check_names();
            }
        }
        if what & 0x10 != 0 {
            self.reclaim();
        }
        Ok(())
    }

    /// Updates with what is linked already.
    fn again(&mut self, inputs: &[Input]) {
        self.needs_other |= inputs.iter().any(|input| self.may_need_other(input.bytes()));
        let names = names(&self.module);
        // SAFETY: nothing of the module ever runs.
        let updated = unsafe { self.module.update(inputs) }.unwrap_or_else(|errors| panic!("the same again: {errors}"));
        let nothing = [&updated.replaced, &updated.added, &updated.removed].iter().all(|names| names.is_empty());
        // Resolvers of indirect functions that only their object sees are linked anew, with what refers to them.
        let renewed = inputs.iter().any(|input| self.has_own_resolver(input.bytes()));
        assert!(nothing || renewed, "nothing was new: {updated:?}");
        assert_eq!(self::names(&self.module), names, "an update with nothing new changed the names");
    }

    /// Whether an object has an indirect function that only it sees.
    fn has_own_resolver(&self, object: &[u8]) -> bool {
        let Ok(graph) = elf::read(object, self.debug) else { return false };
        graph.symbols().any(|(_, symbol)| symbol.kind == SymbolKind::Indirect && symbol.scope == Scope::Local)
    }

    /// Frees what was replaced; what names lead to is still there.
    fn reclaim(&self) {
        // SAFETY: nothing of the module ever runs.
        unsafe { self.module.reclaim() };
        let freed = self.places.iter().filter(|(_, (address, was_there))| *was_there && !self.is_memory(*address));
        let bodiless = self.bodiless();
        let freed: Vec<_> = freed.filter(|(name, _)| !bodiless.contains(*name)).collect();
        assert!(freed.is_empty(), "names whose memory was freed: {freed:?}");
    }

    /// Names that an object defines behind the last byte of a block: what is there belongs to others, who may go.
    fn bodiless(&self) -> BTreeSet<String> {
        let mut bodiless = BTreeSet::new();
        for input in self.sources.all() {
            let Ok(graph) = elf::read(input.bytes(), self.debug) else { continue };
            for (_, symbol) in graph.symbols() {
                if matches!(symbol.value, Value::Block { block, offset } if offset >= graph.block(block).size()) {
                    bodiless.insert(symbol.name.to_string());
                }
            }
        }
        bodiless
    }

    /// Remembers where names lead that are new or lead elsewhere.
    fn find_places(&mut self) {
        let place = |(name, address): (String, Addr)| {
            let known = self.places.get(&name).filter(|(known, _)| *known == address);
            let place = known.copied().unwrap_or_else(|| (address, self.is_memory(address)));
            (name, place)
        };
        self.places = names(&self.module).into_iter().map(place).collect();
    }

    fn is_memory(&self, address: Addr) -> bool {
        let segments = self.image.segments();
        segments.iter().any(|segment| (segment.address..segment.address + segment.size()).contains(&address))
    }

    /// Other objects, and which of them differ; one that does not where none does.
    fn edit(&self, u: &mut Unstructured<'_>, what: u8) -> Result<(Sources, BTreeSet<usize>)> {
        let mut next = Sources(self.sources.0.clone());
        let mut changed = BTreeSet::new();
        for _ in 0..what % 4 {
            let (which, at, value): (u8, u8, u8) = u.arbitrary()?;
            let which = usize::from(which) % next.0.len();
            let recipe = &mut next.0[which].0;
            if !recipe.is_empty() {
                let at = usize::from(at) % recipe.len();
                recipe[at] = value;
            }
            changed.insert(which);
        }
        if what & 0x0c == 0x0c && next.0.len() < 6 {
            changed.insert(next.0.len());
            next.0.push(Recipe::draw(u)?);
        }
        if changed.is_empty() {
            changed.insert(usize::from(what) % next.0.len());
        }
        Ok((next, changed))
    }

    /// The module has the names that its objects define, and no others.
    fn check_names(&mut self) {
        let found: BTreeSet<String> = names(&self.module).into_iter().map(|(name, _)| name).collect();
        let (mut defined, mut certain) = (self.commons.clone(), BTreeSet::new());
        for input in self.sources.all() {
            let Ok(graph) = elf::read(input.bytes(), self.debug) else { return };
            for (_, symbol) in
                graph.symbols().filter(|(_, symbol)| symbol.scope != Scope::Local && !symbol.name.is_empty())
            {
                let name = || symbol.name.to_string();
                if symbol.scope == Scope::Hidden {
                    self.hidden.insert(name());
                }
                if symbol.is_defined() {
                    defined.insert(name());
                }
                if is_certain(&graph, symbol) {
                    certain.insert(name());
                }
            }
        }
        let lost = certain.iter().find(|name| !found.contains(*name) && !self.hidden.contains(*name));
        assert_eq!(lost, None, "a definition that nobody finds");
        assert_eq!(found.iter().find(|name| !defined.contains(*name)), None, "a name that nothing defines");
    }
}

/// A definition that others see whatever else there is: in memory that no copy elsewhere and no first link may replace.
fn is_certain(graph: &LinkGraph<'_>, symbol: &Symbol<'_>) -> bool {
    let Value::Block { block, .. } = symbol.value else { return false };
    let section = graph.section(graph.block(block).section);
    let plain = section.group.is_none() && section.role == Role::Ordinary && section.is_loaded();
    plain && symbol.scope == Scope::Global && symbol.linkage == Linkage::Strong
}

/// The names of an object's common symbols, which no object owns, so that they stay.
fn commons(bytes: &[u8], debug: bool) -> Vec<String> {
    let Ok(graph) = elf::read(bytes, debug) else { return Vec::new() };
    let common = graph.symbols().filter(|(_, symbol)| matches!(symbol.value, Value::Common { .. }));
    common.map(|(_, symbol)| symbol.name.to_string()).collect()
}

fn names(module: &Module) -> Vec<(String, Addr)> {
    let mut names: Vec<_> = module.exports().iter().map(|(name, export)| (name.to_string(), export.address)).collect();
    names.sort();
    names
}

fn memory(image: &ImageExecutor) -> Vec<(Addr, Vec<u8>)> {
    image.segments().iter().map(|segment| (segment.address, segment.bytes().to_vec())).collect()
}

/// An image with the names outside of it that objects ask for.
fn image() -> ImageExecutor {
    let config = ImageConfig { base: Addr(0x20_0000), arena_size: 16 << 20, page_size: 0x1000 };
    let known =
        ["external", "external_data", "printf", "environ", "elsewhere", "_Unwind_Resume", "__gxx_personality_v0"];
    let symbols = known.iter().enumerate().map(|(index, name)| (*name, Addr(0x7f12_3456_0000 + 16 * index as u64)));
    ImageExecutor::new(config).expect("a base and a size that go together").with_symbols(symbols)
}

fn process() -> Arc<dyn Executor> {
    static EXECUTOR: OnceLock<ProcessExecutor> = OnceLock::new();
    let executor = EXECUTOR.get_or_init(|| ProcessExecutor::new().expect("64-bit addresses").arena_size(64 << 20));
    Arc::new(executor.clone())
}
