//! Passes of the caller, at each stage.

use crate::kit::{Event::*, executor, exported, inputs, link_ok, link_with, roots, try_link};
use jitlink_core::Addr;
use jitlink_core::graph::{Content, ObjectBuilder, Protection, Scope, Section, Symbol};
use jitlink_core::link::{LinkOptions, NoSymbols, Stage};
use std::sync::{Arc, Mutex};

const TEXT: &str = "
toy le64
section .text.main rx
label main global
call first
ret
section .text.first rx
label first global
tag 1
ret
section .text.second rx
label second global
tag 2
ret
section .text.own rx
label own
tag 3
ret
";

#[test]
fn a_pass_before_pruning_can_keep_what_nothing_needs() {
    let mut options = roots(&["main"]);
    options.pipeline.add(Stage::BeforePrune, "keep", |graph, _| {
        let second = graph.find_symbol("second").ok_or("no second")?;
        graph.retain(second);
        Ok(())
    });
    let image = link_ok(&[("a.o", TEXT)], &options);
    assert_eq!(image.run("second"), [Tag(2)]);
}

#[test]
fn a_pass_before_pruning_can_hide_a_name() {
    let mut options = exported();
    options.pipeline.add(Stage::BeforePrune, "hide", |graph, _| {
        let second = graph.find_symbol("second").ok_or("no second")?;
        graph.symbol_mut(second).scope = Scope::Hidden;
        Ok(())
    });
    let image = link_ok(&[("a.o", TEXT)], &options);
    assert_eq!((image.export("second"), image.find("second")), (None, None));
    assert!(image.export("first").is_some());
}

#[test]
fn a_pass_before_pruning_can_add_an_object() {
    let mut options = exported();
    options.pipeline.add(Stage::BeforePrune, "add", |graph, _| {
        let first = graph.find_symbol("first").ok_or("no first")?;
        let mut object = ObjectBuilder::new(graph, "made.o".into(), String::new());
        let mut section = Section::new(b"made", object.id());
        (section.protection, section.retain) = (Protection::ReadWrite, true);
        object.add_section(section);
        let block = object.add_block(Content::Owned(Box::new([0; 8])), 0, 3);
        object.add_symbol(Symbol::local(b"made", object.id(), block, 0));
        let (row, subject) = object.row(1).map(|(index, row)| (index, row.subject())).ok_or("no row")?;
        object.begin_edges(block);
        let edge = jitlink_core::graph::Edge { addend: 4, offset: 0, target: first, row, subject };
        object.add_edge(block, edge).map_err(|error| error.to_string())
    });
    let image = link_ok(&[("a.o", TEXT)], &options);
    assert_eq!(image.pointer(image.address("made")), image.address("first") + 4);
}

fn retarget(stage: Stage, from: &'static str, to: &'static str) -> LinkOptions {
    let mut options = roots(&["main"]);
    options.pipeline.add(stage, "retarget", move |graph, _| {
        let new = graph.symbols().find(|(_, symbol)| symbol.name.bytes() == to.as_bytes()).ok_or("no target")?.0;
        let old = graph.find_symbol(from).ok_or("no symbol")?;
        let blocks: Vec<_> = graph.blocks().map(|(id, _)| id).collect();
        for block in blocks {
            for index in 0..graph.edges(block).len() {
                if graph.canonical(graph.edges(block)[index].target) == old {
                    graph.edges_mut(block)[index].target = new;
                }
            }
        }
        Ok(())
    });
    options
}

#[test]
fn a_pass_can_change_an_edge_before_pruning_and_what_is_live_follows() {
    let image = link_ok(&[("a.o", TEXT)], &retarget(Stage::BeforePrune, "first", "own"));
    assert_eq!(image.run("main"), [Tag(3)]);
    assert_eq!(image.find("first"), None);
}

#[test]
fn a_pass_can_change_an_edge_after_pruning_and_after_layout() {
    for stage in [Stage::AfterPrune, Stage::AfterLayout, Stage::BeforeFixup] {
        let image = link_ok(&[("a.o", TEXT)], &retarget(stage, "first", "main"));
        let main = image.address("main");
        assert_eq!(image.number(main, 4), 0x1000_0000, "a call to itself, at {stage:?}");
    }
}

#[test]
fn an_edge_that_a_pass_points_at_what_was_pruned_is_an_error() {
    for stage in [Stage::AfterPrune, Stage::AfterLayout, Stage::BeforeFixup] {
        let errors = try_link(&[("a.o", TEXT)], &retarget(stage, "first", "second")).err().expect("an error");
        assert!(errors.to_string().contains("a.o: .text.main+0x0: CALL against second"), "{stage:?}: {errors}");
    }
}

#[test]
fn passes_after_layout_see_final_addresses_and_resolve_anchors() {
    let text = "toy le64\nsection .data rw\nlabel d global\nfill 10\nrel ANCHOR d +3\n";
    let seen = Arc::new(Mutex::new(None));
    let mut options = exported();
    let kept = seen.clone();
    options.pipeline.add(Stage::AfterLayout, "anchor", move |graph, context| {
        let d = graph.find_symbol("d").ok_or("no d")?;
        let address = context.symbol_address(graph, d).ok_or("no address")?;
        *kept.lock().unwrap() = Some(address);
        let count = graph.blocks().len();
        graph.set_anchor(7, vec![address + 100; count]);
        Ok(())
    });
    let image = link_ok(&[("a.o", text)], &options);
    let d = image.address("d");
    assert_eq!(*seen.lock().unwrap(), Some(Addr(d)));
    assert_eq!(image.signed(d + 10, 2), 3 - 100);
}

#[test]
fn an_anchor_that_no_pass_resolves_is_an_error() {
    let text = "toy le64\nsection .data rw\nlabel d global\nrel ANCHOR d\n";
    let errors = try_link(&[("a.o", text)], &exported()).err().unwrap();
    assert!(
        errors.to_string().contains("a.o: .data+0x0: ANCHOR against d: no pass of this link resolved anchor 7"),
        "{errors}"
    );
}

#[test]
fn a_pass_after_fixup_patches_final_bytes() {
    let mut options = exported();
    options.pipeline.add(Stage::AfterFixup, "patch", |graph, context| {
        let first = graph.find_symbol("first").ok_or("no first")?;
        let jitlink_core::graph::Value::Block { block, .. } = graph.symbol(first).value else {
            return Err("no block".into());
        };
        let bytes = context.bytes(block).ok_or("no bytes")?;
        assert_eq!(bytes, [1, 0, 0, 0x19, 0, 0, 0, 0x11]);
        bytes[0] = 77;
        Ok(())
    });
    assert_eq!(link_ok(&[("a.o", TEXT)], &options).run("main"), [Tag(77)]);
}

#[test]
fn passes_of_a_stage_run_in_order_and_stages_in_theirs() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let mut options = exported();
    let stages = [Stage::AfterFixup, Stage::BeforeFixup, Stage::AfterLayout, Stage::AfterPrune, Stage::BeforePrune];
    for stage in stages {
        for number in 0..2 {
            let log = log.clone();
            options.pipeline.add(stage, format!("{stage:?}{number}"), move |_, _| {
                log.lock().unwrap().push((stage, number));
                Ok(())
            });
        }
    }
    link_ok(&[("a.o", TEXT)], &options);
    let expected: Vec<(Stage, i32)> = stages.into_iter().rev().flat_map(|stage| [(stage, 0), (stage, 1)]).collect();
    assert_eq!(*log.lock().unwrap(), expected);
}

#[test]
fn a_pass_that_fails_fails_the_link_by_name_and_leaves_nothing() {
    for stage in [Stage::BeforePrune, Stage::AfterPrune, Stage::AfterLayout, Stage::BeforeFixup, Stage::AfterFixup] {
        let executor = executor();
        let mut options = exported();
        options.pipeline.add(stage, "picky", |_, _| Err("I do not like it".into()));
        let errors = link_with(&executor, &inputs(&[("a.o", TEXT)]), &NoSymbols, &options).err().unwrap();
        assert_eq!(errors.to_string(), "pass picky: I do not like it");
        assert!(executor.segments().is_empty());
        let image = link_with(&executor, &inputs(&[("a.o", TEXT)]), &NoSymbols, &exported()).unwrap();
        assert_eq!(image.address("main"), crate::kit::image::BASE, "the same addresses as if nothing had failed");
    }
}
