//! Inserts passes into a link: one sends calls of a function somewhere else, one reports what was linked.
//!
//! A pass is a function over the link graph at a stage of the link; [`jitlink::Stage`] says what is true at each. The first pass
//! here runs before pruning, so what only the replaced function needed is pruned with it, and the host's function is looked up
//! like any other name that is needed.
//!
//! Run it with `cargo run --example write_a_pass`.

use jitlink::core::graph::{LinkGraph, ObjectBuilder, Protection, Symbol};
use jitlink::{Input, LinkOptions, Roots, Session, Stage};
use std::error::Error;
use std::io::Write;
use std::sync::{Arc, Mutex};

/// Instead of `int add(int, int)`: adds without overflow.
extern "C" fn saturating_add(left: i32, right: i32) -> i32 {
    left.saturating_add(right)
}

/// Makes everything that refers to `old` refer to `new`, which is defined outside the batch.
fn redirect(graph: &mut LinkGraph<'_>, old: &str, new: &'static str) -> Result<(), String> {
    let old = graph.find_symbol(old).ok_or_else(|| format!("nothing refers to {old}"))?;
    let mut object = ObjectBuilder::new(graph, "(redirected)".into(), String::new());
    let id = object.id();
    let new = object.add_symbol(Symbol::undefined(new.as_bytes(), id));
    let blocks: Vec<_> = graph.blocks().map(|(id, _)| id).collect();
    for block in blocks {
        // Several symbols may stand for one definition: the canonical one says which.
        let edges = graph.edges(block).iter().enumerate();
        let found: Vec<usize> =
            edges.filter(|(_, edge)| graph.canonical(edge.target) == old).map(|(at, _)| at).collect();
        found.into_iter().for_each(|at| graph.edges_mut(block)[at].target = new);
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    run(&mut std::io::stdout())
}

/// The example, with its output going to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let report = Arc::new(Mutex::new(Vec::new()));
    let lines = report.clone();
    let mut options = LinkOptions { roots: Roots::Named(vec!["sum".into()]), ..LinkOptions::default() };
    options.pipeline.add(Stage::BeforePrune, "redirect", |graph, _| redirect(graph, "add", "saturating_add"));
    options.pipeline.add(Stage::AfterPrune, "report", move |graph, _| {
        let mut lines = lines.lock().map_err(|error| error.to_string())?;
        for (id, block) in graph.blocks().filter(|(_, block)| block.size() > 0) {
            let (section, object) = (graph.section(block.section), &graph.object_of(id).name);
            if section.protection != Protection::ReadExecute {
                continue;
            }
            let section = section.name_lossy();
            let state = if graph.is_live(id) { "live" } else { "pruned" };
            lines.push(format!("{object} {section}: {} relocations, {state}", graph.edges(id).len()));
        }
        Ok(())
    });

    let session = Session::in_process()?;
    session.define("saturating_add", saturating_add as extern "C" fn(i32, i32) -> i32)?;
    let sum_o = Input::from_bytes("sum.o", include_bytes!("../tests/fixtures/sum.o"));
    let add_o = Input::from_bytes("add.o", include_bytes!("../tests/fixtures/add.o"));
    let module = session.link(&[sum_o, add_o], &options)?;
    for line in report.lock().map_err(|error| error.to_string())?.iter() {
        writeln!(out, "{line}")?;
    }

    // SAFETY: sum.c defines the function with this type, and declares `add` with that of `saturating_add`.
    let sum = unsafe { module.function::<unsafe extern "C" fn(*const i32, i32) -> i32>("sum") }?;
    let values = [i32::MAX, 1];
    // SAFETY: the function reads as many values as it is told.
    writeln!(out, "the sum is {}", unsafe { sum.call(values.as_ptr(), values.len() as i32) })?;
    Ok(())
}
