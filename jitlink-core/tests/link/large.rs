//! Blocks and sections that are large enough to be read and fixed up in pieces.

use crate::kit::machine::Event;
use crate::kit::{Image, executor, exported, inputs, link_with};
use jitlink_core::graph::{BlockId, Edge};
use jitlink_core::link::{LinkOptions, NoSymbols, Stage};
use jitlink_core::{Addr, LinkErrors};
use std::fmt::Write;

/// How many pointers the block holds: over half a mebibyte.
const POINTERS: u64 = 80_000;

/// A block of pointers to `d`, each with its own number as the addend.
fn text() -> String {
    let mut text =
        String::from("toy le64\nsection .small rw\nlabel d global\nfill 8\nsection .data rw\nlabel p global\n");
    (0..POINTERS).for_each(|number| writeln!(text, "rel ABS64 d +{number}").unwrap());
    text
}

/// Links with this many threads after `change` has had the large block's edges.
fn linked(
    text: &str,
    threads: usize,
    change: impl Fn(&mut [Edge]) + Send + Sync + 'static,
) -> Result<Image, LinkErrors> {
    let mut options = LinkOptions { threads: Some(threads), ..exported() };
    options.pipeline.add(Stage::AfterPrune, "change", move |graph, _| {
        let blocks: Vec<BlockId> = graph.blocks().map(|(id, _)| id).collect();
        let large = blocks.into_iter().find(|block| graph.edges(*block).len() > 1000).ok_or("no large block")?;
        change(graph.edges_mut(large));
        Ok(())
    });
    link_with(&executor(), &inputs(&[("large.o", text)]), &NoSymbols, &options)
}

fn pointers(image: &Image) -> Vec<u64> {
    let (p, d) = (image.address("p"), image.address("d"));
    (0..POINTERS).map(|number| image.pointer(p + 8 * number).wrapping_sub(d)).collect()
}

#[test]
fn every_field_of_a_large_block_is_fixed_up_whatever_the_threads_and_the_order() {
    let text = text();
    let expected: Vec<u64> = (0..POINTERS).collect();
    for threads in [1, 2, 7] {
        assert_eq!(pointers(&linked(&text, threads, |_| ()).unwrap()), expected, "{threads} threads");
        let reversed = linked(&text, threads, |edges| edges.reverse()).unwrap();
        assert_eq!(pointers(&reversed), expected, "{threads} threads, backwards");
        let swapped = linked(&text, threads, |edges| edges.swap(3, POINTERS as usize - 5)).unwrap();
        assert_eq!(pointers(&swapped), expected, "{threads} threads, two of them swapped");
    }
}

#[test]
fn fields_that_overlap_are_written_in_the_order_of_their_edges() {
    let text = text();
    // Every field is moved by four bytes, so each is half covered by the next, or by the one before.
    let overlap = |edges: &mut [Edge]| {
        let odd = edges.iter_mut().enumerate().filter(|(number, _)| number % 2 == 1);
        odd.for_each(|(_, edge)| edge.offset -= 4);
    };
    let bytes = |threads, reverse: bool| {
        let change = move |edges: &mut [Edge]| {
            overlap(edges);
            if reverse {
                edges.reverse();
            }
        };
        linked(&text, threads, change).unwrap().all_bytes()
    };
    for reverse in [false, true] {
        let one = bytes(1, reverse);
        assert!([2, 7].iter().all(|&threads| bytes(threads, reverse) == one), "{reverse}");
    }
    assert_ne!(bytes(1, false), bytes(1, true));
}

#[test]
fn errors_of_a_large_block_are_the_same_with_any_number_of_threads() {
    let far = text().replace("+5\n", "+5\nrel ABS16 far\n") + "abs far 0x140000000\n";
    // Nothing else fits sixteen bits either: only so many are told.
    let all = text().replace("ABS64", "ABS16").replace("p global\n", "p global\nfill 480000\n");
    for text in [far, all] {
        let errors = [1, 2, 7].map(|threads| linked(&text, threads, |_| ()).err().unwrap());
        assert!(errors[0].len() <= 20, "{}", errors[0].len());
        assert!(errors.iter().all(|other| *other == errors[0]));
    }
}

#[test]
fn references_of_a_large_block_are_relaxed_whatever_the_threads() {
    const LOADS: usize = 40_000;
    let mut text =
        String::from("toy le64\nsection .data rw\nlabel d global\nfill 8\nsection .text rx\nlabel f global\n");
    // One in a thousand is of a name outside, and keeps its slot.
    (0..LOADS).for_each(|number| text += if number % 1000 == 7 { "loadx outside\n" } else { "loadx d\n" });
    text += "ret\n";
    let linked = |threads: usize| {
        let defines = vec![("outside".to_string(), Addr(0x7fff_0000_1000))];
        let options = LinkOptions { threads: Some(threads), defines, ..exported() };
        link_with(&executor(), &inputs(&[("large.o", &text)]), &NoSymbols, &options).unwrap()
    };
    let [one, two, seven] = [1, 2, 7].map(linked);
    assert_eq!(one.linked.statistics.slots, 1);
    assert!(two.all_bytes() == one.all_bytes() && seven.all_bytes() == one.all_bytes());
    let [d, outside] = [one.address("d"), 0x7fff_0000_1000];
    let expected: Vec<Event> =
        (0..LOADS).map(|number| Event::Loaded(if number % 1000 == 7 { outside } else { d })).collect();
    assert!(one.run("f") == expected, "each load gives the address that it asks for");
}
