//! What an observer sees of a link.

use crate::kit::{Image, exported, link_err, link_ok, roots, try_link};
use jitlink_core::graph::{BlockId, LinkGraph, Residence, Value};
use jitlink_core::link::{
    ArchiveMember, Cause, Change, LinkOptions, Liveness, Observer, Placement, Reason, Rewrite, Unresolved,
};
use std::sync::{Arc, Mutex};

/// What was seen, with names instead of ids.
#[derive(Debug, Default)]
struct Seen {
    steps: Vec<&'static str>,
    /// Sections with their causes, from the root to the one that is asked for.
    chains: Vec<Vec<String>>,
    /// Target, what was done, why.
    rewrites: Vec<(String, Change, Reason)>,
    /// Section and address of everything in memory.
    places: Vec<(String, u64)>,
    slots: Vec<(String, bool)>,
}

#[derive(Debug)]
struct Witness(Arc<Mutex<Seen>>);

fn watched(options: LinkOptions) -> (LinkOptions, Arc<Mutex<Seen>>) {
    let seen = Arc::new(Mutex::new(Seen::default()));
    (LinkOptions { observer: Some(Arc::new(Witness(seen.clone()))), ..options }, seen)
}

fn section(graph: &LinkGraph<'_>, block: BlockId) -> String {
    graph.section(graph.block(block).section).name_lossy()
}

fn words(graph: &LinkGraph<'_>, block: BlockId, cause: Cause) -> String {
    let why = match cause {
        Cause::Entry(symbol) => format!("entry {}", graph.display_symbol(symbol)),
        Cause::Exported(symbol) => format!("exported {}", graph.display_symbol(symbol)),
        Cause::Edge { from, index } => graph.site(from, &graph.edges(from)[index as usize]).to_string(),
        other => format!("{other:?}"),
    };
    format!("{}: {why}", section(graph, block))
}

impl Observer for Witness {
    fn read(&self, graph: &LinkGraph<'_>, _: &[ArchiveMember<'_>]) {
        self.0.lock().unwrap().steps.push("read");
        let is_resolved = graph.symbols().any(|(id, _)| graph.canonical(id) != id);
        assert!(!is_resolved, "symbols are what their objects say");
    }

    fn resolved(&self, _: &LinkGraph<'_>) {
        self.0.lock().unwrap().steps.push("resolved");
    }

    fn pruned(&self, graph: &LinkGraph<'_>, liveness: &Liveness) {
        let mut seen = self.0.lock().unwrap();
        seen.steps.push("pruned");
        for (block, _) in graph.blocks() {
            assert_eq!(liveness.cause(block).is_some(), graph.is_live(block), "{}", section(graph, block));
            let chain: Vec<_> = liveness.chain(block);
            assert_eq!(chain.is_empty(), !graph.is_live(block));
            seen.chains.push(chain.into_iter().map(|(block, cause)| words(graph, block, cause)).collect());
        }
    }

    fn placed(&self, graph: &LinkGraph<'_>, placement: &Placement<'_>) {
        let mut seen = self.0.lock().unwrap();
        seen.steps.push("placed");
        let named = |rewrite: &Rewrite| (graph.display_symbol(rewrite.before.target), rewrite.change, rewrite.reason);
        seen.rewrites = placement.rewrites.iter().map(named).collect();
        seen.slots = placement.slots.iter().map(|slot| (graph.display_symbol(slot.target), slot.for_stub)).collect();
        for (block, _) in graph.blocks() {
            let address = placement.address(graph, block);
            assert_eq!(address.is_some(), graph.is_live(block));
            seen.places.extend(address.map(|address| (section(graph, block), address.0)));
        }
        for (id, symbol) in graph.symbols() {
            let address = placement.symbol_address(graph, id);
            match symbol.value {
                Value::Absolute(at) => assert_eq!(address.map(|address| address.0), Some(at)),
                Value::Block { block, offset } if graph.is_live(block) => {
                    assert_eq!(address, placement.address(graph, block).map(|start| start + offset));
                }
                _ => {}
            }
        }
    }
}

/// Links and tells what was seen.
fn see(objects: &[(&str, &str)], options: LinkOptions) -> (Image, Seen) {
    let (options, seen) = watched(options);
    let image = link_ok(objects, &options);
    drop(options);
    (image, Arc::try_unwrap(seen).unwrap().into_inner().unwrap())
}

const CHAIN: &str = "
toy le64
section .text.long1 rx
label long1 hidden
call long2
ret
section .text.long2 rx
label long2 hidden
call goal
ret
section .text.main rx
label main global
call long1
call short
ret
section .text.short rx
label short hidden
call goal
call goal
ret
section .text.goal rx
label goal hidden
ret
section .text.dead rx
label dead global
call goal
ret
";

#[test]
fn each_live_block_has_a_shortest_way_from_a_root() {
    let (_, seen) = see(&[("a.o", CHAIN)], roots(&["main"]));
    assert_eq!(seen.steps, ["read", "resolved", "pruned", "placed"]);
    let goal = &seen.chains[4];
    assert_eq!(goal.len(), 3, "{goal:?}");
    assert_eq!(goal[0], ".text.main: entry main");
    assert!(goal[1].starts_with(".text.short: a.o: .text.main+") && goal[1].ends_with(" against short"), "{goal:?}");
    assert!(goal[2].starts_with(".text.goal: a.o: .text.") && goal[2].ends_with(" against goal"), "{goal:?}");
    assert!(seen.chains[5].is_empty(), "{:?}", seen.chains[5]);
    let (_, exported) = see(&[("a.o", CHAIN)], exported());
    assert_eq!(exported.chains[5], [".text.dead: exported dead"]);
}

#[test]
fn dependencies_and_groups_are_causes_too() {
    let object = "
toy le64
keep .text.f .meta
group g all
section .text.f rx group=g
label f global
ret
section .meta r
label meta
hex 01
section .member r group=g
hex 02
section .init r init=init
rel ABS64 f
section .note r retain
hex 03
";
    let (_, seen) = see(&[("a.o", object)], roots(&["f"]));
    let roots: Vec<&str> = seen.chains.iter().map(|chain| chain.last().map_or("", String::as_str)).collect();
    assert_eq!(roots[0], ".text.f: entry f");
    assert_eq!(roots[1], ".meta: Dependency(block0)");
    assert_eq!(roots[2], ".member: Group(block0)");
    assert_eq!((roots[3], roots[4]), (".init: Initialisers", ".note: RetainedSection"));
}

#[test]
fn lowering_says_why_it_changed_an_edge() {
    let near = "
toy le64
abs far 0x7fff00001000
section .text rx
label main global
call32 far
load far
loadx main
call32 distant
ret
";
    let apart = "
toy le64
section .ltext rx far
label distant global
ret
";
    let (_, seen) = see(&[("a.o", near), ("b.o", apart)], exported());
    let found: Vec<(&str, &str, &str)> =
        seen.rewrites.iter().map(|(target, change, reason)| (target.as_str(), change.name(), reason.name())).collect();
    assert_eq!(
        found,
        [
            ("far", "stub", "out-of-reach"),
            ("far", "slot", "external"),
            ("main", "relaxed", "in-reach"),
            ("distant", "stub", "apart"),
        ]
    );
    let Reason::OutOfReach { target, values, limits } = seen.rewrites[0].2 else { panic!("{:?}", seen.rewrites[0]) };
    assert_eq!(target.0, 0x7fff_0000_1000);
    assert!(values.0 > limits.1 && values.1 > limits.1, "no place of the region reaches it: {values:?}");
    assert_eq!(seen.rewrites[3].2, Reason::Apart { from: Residence::Near, to: Some(Residence::Far) });
    assert!(seen.slots.contains(&("far".into(), true)), "{:?}", seen.slots);
}

#[test]
fn distances_inside_the_batch_are_a_reason() {
    let text = "toy le64\nsection .text.a rx\nlabel a global\ncall b\nret\nfill 3000\nsection .text.between rx\nlabel c global\nret\nfill 3000\n\
                section .text.b rx\nlabel b global\nret\n";
    let (_, seen) = see(&[("a.o", text)], exported());
    let [(target, Change::Thunk(_), Reason::TooFar { value, limits })] = seen.rewrites.as_slice() else {
        panic!("{:?}", seen.rewrites)
    };
    assert!(target == "b" && value > &limits.1, "{value:?} fits {limits:?}");
}

#[test]
fn watching_changes_nothing() {
    for objects in [
        &[("a.o", CHAIN)][..],
        &[("a.o", "toy le64\nabs far 0x7fff00001000\nsection .text rx\nlabel f global\ncall32 far\nload far\nret\n")],
    ] {
        let plain = link_ok(objects, &exported());
        let (image, seen) = see(objects, exported());
        for (_, address) in seen.places {
            assert_eq!(image.try_bytes(address, 1), plain.try_bytes(address, 1));
        }
        let bytes = |image: &Image| -> Vec<Vec<u8>> {
            image.executor.segments().iter().map(|segment| segment.bytes().to_vec()).collect()
        };
        assert_eq!(bytes(&image), bytes(&plain));
    }
}

#[test]
fn failed_links_are_seen_as_far_as_they_came() {
    let main = "toy le64\nsection .text rx\nlabel main global\ncall missing\nret\n";
    let steps = |objects: &[(&str, &str)]| {
        let (options, seen) = watched(exported());
        link_err(objects, &options);
        seen.lock().unwrap().steps.clone()
    };
    assert_eq!(steps(&[("a.o", main)]), ["read", "resolved", "pruned"]);
    assert_eq!(steps(&[("a.o", main), ("b.o", main)]), ["read"], "a name is defined twice");
    assert_eq!(steps(&[("a.o", main), ("b.o", "toy le64\nnonsense\n")]), ["read"]);
    let (options, seen) = watched(LinkOptions { unresolved: Unresolved::Null, ..exported() });
    assert!(try_link(&[("a.o", main)], &options).is_ok());
    assert_eq!(seen.lock().unwrap().steps.last(), Some(&"placed"));
}
