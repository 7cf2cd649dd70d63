//! Look at a link, or change it.
//!
//! A pass is a function over the [`LinkGraph`](crate::core::graph::LinkGraph), which holds sections, blocks, symbols and edges
//! (relocations that wait to be applied). It runs at a [`Stage`](crate::Stage), and what it can do depends on what is true there:
//!
//! | stage | a pass there can |
//! | --- | --- |
//! | `BeforePrune` | keep or hide names, point references elsewhere, add objects |
//! | `AfterPrune` | see what is live, change edges before they get slots and stubs |
//! | `AfterLayout`, `BeforeFixup` | see final addresses, resolve anchors |
//! | `AfterFixup` | read and change the final bytes |
//!
//! This one counts what refers to a function:
//!
//! ```
//! use jitlink::{Input, LinkOptions, Session, Stage};
//! use std::sync::atomic::{AtomicUsize, Ordering};
//! use std::sync::Arc;
//!
//! let count = Arc::new(AtomicUsize::new(0));
//! let found = count.clone();
//! let mut options = LinkOptions::default();
//! options.pipeline.add(Stage::AfterPrune, "count calls of add", move |graph, _| {
//!     let add = graph.find_symbol("add").ok_or("nothing is called add")?;
//!     for (block, _) in graph.blocks().filter(|(block, _)| graph.is_live(*block)) {
//!         // Several symbols may stand for one definition: the canonical one says which.
//!         let calls = graph.edges(block).iter().filter(|edge| graph.canonical(edge.target) == add);
//!         found.fetch_add(calls.count(), Ordering::Relaxed);
//!     }
//!     Ok(())
//! });
//!
//! let inputs = [Input::open("tests/fixtures/sum.o")?, Input::open("tests/fixtures/add.o")?];
//! let module = Session::in_process()?.link(&inputs, &options)?;
//! assert_eq!(count.load(Ordering::Relaxed), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A pass that fails says why, and the link fails with that reason and the pass's name. What a pass leaves behind is checked: an
//! edge that points at something pruned, or past its block, is an error and not a wild write.
