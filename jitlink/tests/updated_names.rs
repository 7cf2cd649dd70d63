//! Names of a module after updates.
#![cfg(all(feature = "elf", feature = "x86"))]

use jitlink::{Addr, Input, LinkOptions, Registry, Session};
use jitlink_core::image::{ImageConfig, ImageExecutor};
use std::sync::Arc;

const ONE: &[u8] = include_bytes!("fixtures/update/constant1.o");
const TWO: &[u8] = include_bytes!("fixtures/update/constant2.o");

fn input(bytes: &[u8]) -> [Input; 1] {
    [Input::from_bytes("table.o", bytes)]
}

#[test]
fn a_constant_that_changed_is_found_where_it_is_now() {
    let executor = ImageExecutor::new(ImageConfig::default()).unwrap();
    let session = Session::new(Registry::global().unwrap(), Arc::new(executor.clone()));
    let options = LinkOptions { updatable: true, ..LinkOptions::default() };
    let module = session.link(&input(ONE), &options).unwrap();
    let table = || {
        let found = session.library("main").lookup("table").unwrap();
        let segment = executor
            .segments()
            .into_iter()
            .find(|segment| (segment.address..segment.address + segment.size()).contains(&found.address()));
        let segment = segment.expect("memory that is there");
        let start = found.address().offset_from(segment.address) as usize;
        segment.bytes()[start..start + found.size() as usize].to_vec()
    };
    assert_eq!(table(), 7u32.to_le_bytes());
    for (bytes, expected) in [(TWO, &[8u32, 9][..]), (ONE, &[7]), (ONE, &[7]), (TWO, &[8, 9])] {
        // SAFETY: nothing of the module runs.
        unsafe { module.update(&input(bytes)) }.unwrap();
        // SAFETY: nothing of the module runs, and no address of it is kept.
        unsafe { module.reclaim() };
        let expected: Vec<u8> = expected.iter().flat_map(|number| number.to_le_bytes()).collect();
        assert_eq!(table(), expected);
        assert_eq!(module.lookup("table").unwrap().size(), expected.len() as u64);
    }
    assert_ne!(module.lookup("table").unwrap().address(), Addr(0));
}

#[test]
fn a_name_that_is_hidden_now_is_found_no_more() {
    let executor = ImageExecutor::new(ImageConfig::default()).unwrap();
    let session = Session::new(Registry::global().unwrap(), Arc::new(executor));
    let options = LinkOptions { updatable: true, ..LinkOptions::default() };
    let module = session.link(&input(ONE), &options).unwrap();
    let hidden = include_bytes!("fixtures/update/constant3.o");
    // SAFETY: nothing of the module runs.
    unsafe { module.update(&input(hidden)) }.unwrap();
    assert!(module.lookup("table").is_none() && session.library("main").lookup("table").is_none());
    // SAFETY: nothing of the module runs.
    unsafe { module.update(&input(ONE)) }.unwrap();
    assert!(module.lookup("table").is_some() && session.library("main").lookup("table").is_some());
}
