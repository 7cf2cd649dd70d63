//! Names that the batch does not define: given by the caller, by libraries, by whoever supplies objects, or by the executor.

use super::lazy::{self, Trampoline};
use super::options::{LinkOptions, Roots, Unresolved};
use super::read::{BatchTarget, LazyArchive, Reader};
use super::resolve::Names;
use super::resolver::{Definition, ImportedName, Resolver};
use super::synthetic::Synthetic;
use super::thread_locals::Outside;
use crate::addr::Addr;
use crate::error::{LinkError, LinkErrors, Site};
use crate::executor::Executor;
use crate::graph::{ImportLibrary, LinkGraph, Linkage, Scope, Symbol, SymbolId, SymbolKind, Value};
use crate::input::Input;
use hashbrown::{HashMap, hash_map};
use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

/// How often objects may join because those that joined before need more. A program that supplies an object for every name
/// that it is asked for would go on for ever.
const MOST_ROUNDS: u64 = 10_000;

/// What the resolver said: each name is asked for once in a link, however often objects join.
pub(super) struct LookUp<'l, 'a> {
    resolver: &'l dyn Resolver,
    options: &'l LinkOptions,
    defines: HashMap<&'l [u8], Addr, FxBuildHasher>,
    answers: HashMap<&'a [u8], Option<Definition>, FxBuildHasher>,
    rounds: u64,
}

/// An object that the resolver gave for a name.
pub(super) struct Joining<'a> {
    name: &'a [u8],
    input: Input,
    supplier: String,
}

impl<'l, 'a> LookUp<'l, 'a> {
    pub(super) fn new(resolver: &'l dyn Resolver, options: &'l LinkOptions) -> LookUp<'l, 'a> {
        let defines = options.defines.iter().map(|(name, address)| (name.as_bytes(), *address)).collect();
        LookUp { resolver, options, defines, answers: HashMap::default(), rounds: 0 }
    }

    /// Asks for the needed names that are new. The objects among the answers, in the order of the names.
    pub(super) fn ask(&mut self, graph: &LinkGraph<'a>, needed: &[SymbolId]) -> Result<Vec<Joining<'a>>, LinkErrors> {
        let (mut names, mut thread_locals): (Vec<&'a [u8]>, Vec<&'a [u8]>) = (Vec::new(), Vec::new());
        let imports = imports(graph);
        let (mut imported, mut imported_names): (Vec<ImportedName<'_>>, Vec<&'a [u8]>) = (Vec::new(), Vec::new());
        for &id in needed {
            let symbol = graph.symbol(id);
            let (name, import) = (symbol.name.bytes(), imports.get(&id));
            let hash_map::Entry::Vacant(answer) = self.answers.entry(name) else { continue };
            let outside = import.map(ImportedName::outside);
            if let Some(&address) = self.defines.get(name).or_else(|| self.defines.get(outside?)) {
                answer.insert(Some(Definition::Address(address)));
            } else if let Some(import) = import {
                answer.insert(None);
                imported.push(*import);
                imported_names.push(name);
            } else if symbol.scope >= Scope::Protected {
                answer.insert(None);
                let is_thread_local = symbol.kind == SymbolKind::ThreadLocal;
                if is_thread_local { thread_locals.push(name) } else { names.push(name) }
            }
        }
        if !thread_locals.is_empty() {
            let found = self.resolver.resolve_thread_locals(&thread_locals)?;
            self.answers.extend(
                thread_locals.into_iter().zip(found.into_iter().map(|place| place.map(Definition::ThreadLocal))),
            );
        }
        let mut joining = Vec::new();
        if !names.is_empty() || !imported.is_empty() {
            self.rounds += 1;
        }
        if !names.is_empty() {
            let found = self.resolver.resolve(&names)?;
            self.take(names, found, &mut joining)?;
        }
        if !imported.is_empty() {
            let found = self.resolver.resolve_imports(&imported)?;
            self.take(imported_names, found, &mut joining)?;
        }
        Ok(joining)
    }

    /// Remembers answers, and appends the objects among them.
    fn take(
        &mut self,
        names: Vec<&'a [u8]>,
        found: Vec<Option<Definition>>,
        joining: &mut Vec<Joining<'a>>,
    ) -> Result<(), LinkErrors> {
        if found.len() != names.len() {
            let what = format!("the resolver gave {} answers for {} names", found.len(), names.len());
            return Err(LinkError::Request(what).into());
        }
        for (&name, answer) in names.iter().zip(&found) {
            let Some(Definition::Object { input, supplier }) = answer else { continue };
            joining.push(Joining { name, input: input.clone(), supplier: supplier.clone() });
        }
        if !joining.is_empty() {
            if !self.resolver.supplies_objects() {
                return Err(LinkError::Request("the resolver gave an object although it supplies none".into()).into());
            }
            if self.rounds > MOST_ROUNDS {
                let what = "objects that are supplied because others that were supplied need them, in a chain of";
                let (value, limit) = (self.rounds, MOST_ROUNDS);
                return Err(LinkError::TooLarge { what: what.into(), value, limit }.into());
            }
        }
        self.answers.extend(names.into_iter().zip(found));
        Ok(())
    }

    /// Gives every needed name its value, or reports all that have none. Those that are linked on their first call get
    /// trampolines.
    pub(super) fn define(
        self,
        graph: &mut LinkGraph<'a>,
        synthetic: &mut Synthetic,
        executor: &dyn Executor,
        needed: &[SymbolId],
    ) -> Result<Vec<Trampoline>, LinkErrors> {
        let (mut missing, mut lazy) = (Vec::new(), Vec::new());
        for &symbol in needed {
            let Symbol { name, linkage, kind, scope, .. } = *graph.symbol(symbol);
            let value = match self.answers.get(name.bytes()).cloned().flatten() {
                Some(Definition::Address(address)) => {
                    graph.external.insert(symbol);
                    address.0
                }
                // References that take it for another kind of variable are refused with their places.
                Some(Definition::ThreadLocal(place)) => {
                    graph.external.insert(symbol);
                    graph.symbols[symbol.index()].kind = SymbolKind::ThreadLocal;
                    graph.thread_locals.insert(symbol, Outside::Placed(place));
                    0
                }
                Some(Definition::Lazy(_)) if !executor.calls_as(&graph.target) => {
                    let (name, convention) = (name.to_string(), graph.target.convention);
                    let what =
                        format!("{name} would be linked on its first call, which code for {convention} cannot make");
                    return Err(LinkError::Request(what).into());
                }
                Some(Definition::Lazy(function)) => {
                    graph.external.insert(symbol);
                    lazy.push((symbol, function));
                    continue;
                }
                // Whether the target defines it is known when its place is asked for.
                None if kind == SymbolKind::ThreadLocal && scope >= Scope::Protected => {
                    graph.external.insert(symbol);
                    graph.thread_locals.insert(symbol, Outside::Named);
                    0
                }
                // The object that was to define it has joined, and lost its definition to a group that was discarded.
                Some(Definition::Object { .. }) | None
                    if linkage != Linkage::Strong || self.options.unresolved == Unresolved::Null =>
                {
                    0
                }
                _ => {
                    missing.push(symbol);
                    continue;
                }
            };
            graph.symbols[symbol.index()].value = Value::Absolute(value);
        }
        LinkErrors::check(undefined(graph, &missing, self.options))?;
        // What is left are roots that need not be there.
        missing.into_iter().for_each(|symbol| graph.symbols[symbol.index()].value = Value::Absolute(0));
        let trampolines = lazy::trampolines(graph, synthetic, executor, lazy)?;
        for index in 0..graph.symbols.len() {
            if !graph.symbols[index].is_defined() {
                graph.symbols[index].value = graph.symbols[graph.canonical[index].index()].value;
            }
        }
        Ok(trampolines)
    }
}

/// Reads objects that were supplied into the graph as it was before names were settled, and what of archives they need.
///
/// One after another, so that an object does not join for a name that one before it defines: a supplier may give the same one
/// for several names.
pub(super) fn join<'a>(
    joining: Vec<Joining<'a>>,
    graph: &mut LinkGraph<'a>,
    names: &mut Names<'a>,
    (reader, batch): (&Reader<'_, 'a>, &BatchTarget),
    archives: &mut Vec<LazyArchive<'a>>,
) -> Result<(), LinkErrors> {
    let mut errors = Vec::new();
    for Joining { name, input, supplier } in joining {
        if names.is_defined(name) {
            continue;
        }
        let input: &'a Input = reader.files.alloc(input);
        let joined = reader.classify(std::slice::from_ref(input)).and_then(|(sources, more)| {
            reader.read(graph, batch, &sources, &mut |_| ())?;
            archives.extend(more);
            names.want(name);
            names.complete(graph, reader, batch, archives)
        });
        match joined {
            Err(failed) => errors.extend(failed),
            Ok(()) if !names.is_defined(name) => {
                let name = String::from_utf8_lossy(name);
                let reason = format!("{} was supplied for {name}, which it does not define", input.name());
                errors.push(LinkError::Resolver { resolver: supplier, reason });
            }
            Ok(()) => {}
        }
    }
    LinkErrors::check(errors)
}

/// The names that objects import from shared libraries, by the symbols that stand for them.
fn imports<'g>(graph: &'g LinkGraph<'_>) -> HashMap<SymbolId, ImportedName<'g>> {
    let mut names = HashMap::new();
    for import in graph.imports() {
        let library = match import.library {
            Some(ImportLibrary::Named(library)) => Some(library),
            Some(ImportLibrary::At(place)) => text_at(graph, graph.canonical(place)),
            None => None,
        };
        let name = graph.symbol(import.name).name.bytes();
        // The first that says it, as of definitions.
        names.entry(graph.canonical(import.name)).or_insert(ImportedName { name, library, export: import.export });
    }
    names
}

/// The bytes from a symbol's place to the next zero.
fn text_at<'g>(graph: &'g LinkGraph<'_>, symbol: SymbolId) -> Option<&'g [u8]> {
    let Value::Block { block, offset } = graph.symbol(symbol).value else { return None };
    let rest = graph.block(block).content.bytes().get(usize::try_from(offset).ok()?..)?;
    let text = &rest[..rest.iter().position(|byte| *byte == 0)?];
    (!text.is_empty()).then_some(text)
}

/// How many places an error about an undefined name shows.
const SHOWN_REFERENCES: usize = 3;

/// The errors about missing names, each with the first few live places that refer to it.
fn undefined(graph: &LinkGraph<'_>, missing: &[SymbolId], options: &LinkOptions) -> Vec<LinkError> {
    if missing.is_empty() {
        return Vec::new();
    }
    let mut references: IndexMap<SymbolId, (Vec<Site>, usize)> =
        missing.iter().map(|&symbol| (symbol, Default::default())).collect();
    for (block, data) in graph.blocks() {
        if !graph.is_live(block) || !graph.section(data.section).is_loaded() {
            continue;
        }
        for edge in graph.edges(block) {
            if let Some((sites, total)) = references.get_mut(&graph.canonical(edge.target)) {
                *total += 1;
                if sites.len() < SHOWN_REFERENCES {
                    sites.push(graph.site(block, edge));
                }
            }
        }
    }
    let (similar, imports) = (Similar::new(graph), imports(graph));
    let forgiven = matches!(options.roots, Roots::IfDefined(_));
    let error = |(symbol, (references, total)): (SymbolId, (Vec<Site>, usize))| {
        if total == 0 && forgiven {
            return None;
        }
        let name = graph.symbol(symbol).name.to_string();
        let advice = advice(graph, symbol, imports.get(&symbol), &similar);
        Some(LinkError::Undefined { advice, symbol: name, references, total })
    };
    references.into_iter().filter_map(error).collect()
}

fn advice(graph: &LinkGraph<'_>, symbol: SymbolId, import: Option<&ImportedName<'_>>, similar: &Similar) -> String {
    let name = graph.symbol(symbol).name.to_string();
    let add = "add the object, archive or library (-l) that defines it, or give it an address (--define NAME=ADDR)";
    if let Some((import, library)) = import.and_then(|import| Some((import, import.library?))) {
        let library = String::from_utf8_lossy(library);
        format!("an import library says that {library} has it as {import}: use both of one version")
    } else if graph.symbol(symbol).scope < Scope::Protected {
        "the reference is hidden, so only an object of the same link may define it; add that object".into()
    } else if let Some(close) = similar.find(graph, &name) {
        format!("did you mean {close}? Else {add}")
    } else {
        add.into()
    }
}

/// Defined names by what they have in common with slips of the pen: made once for all undefined names.
struct Similar {
    names: HashMap<String, SymbolId>,
}

impl Similar {
    fn new(graph: &LinkGraph<'_>) -> Similar {
        let mut names = HashMap::new();
        for (id, symbol) in graph.symbols() {
            if symbol.scope != Scope::Local && symbol.is_defined() {
                names.entry(plain(&symbol.name.to_string())).or_insert(id);
            }
        }
        Similar { names }
    }

    /// A defined name that differs only in leading underscores or in the case of its letters.
    fn find(&self, graph: &LinkGraph<'_>, name: &str) -> Option<String> {
        self.names.get(&plain(name)).map(|&id| graph.symbol(id).name.to_string())
    }
}

fn plain(name: &str) -> String {
    name.trim_start_matches('_').to_ascii_lowercase()
}
