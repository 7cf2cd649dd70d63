//! Models of what threads share in this process, run by loom in every order that the threads' steps can have (`cargo xtask loom`).
//!
//! The registries, lists, rooms and files in them are the real ones; unwinders are made for the models, which note what they are told.

use super::debugger;
use super::profile::{self, Profile};
use super::thread_room::Room;
use super::unwind::models as unwind;
use crate::executor::ThreadLocalRequest;
use loom::thread::{JoinHandle, spawn};
use std::sync::Arc;

/// How many times a thread may be interrupted where it does not wait. More orders take longer; two find nearly all mistakes.
const PREEMPTIONS: usize = 2;

fn model(run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(PREEMPTIONS);
    builder.check(run);
}

fn join<T>(threads: impl IntoIterator<Item = JoinHandle<T>>) -> Vec<T> {
    // All are started before the first is waited for.
    let threads: Vec<_> = threads.into_iter().collect();
    threads.into_iter().map(|thread| thread.join().expect("a thread that ends")).collect()
}

#[test]
fn every_unwinder_knows_every_module_once_whichever_came_first() {
    model(|| {
        let notes = unwind::Notes::default();
        let early = unwind::register(0x1000);
        let modules = [0x2000, 0x3000].map(|address| spawn(move || unwind::register(address)));
        let unwinders = [1, 2].map(|identity| {
            let notes = notes.clone();
            spawn(move || notes.add(identity))
        });
        let later = join(modules);
        join(unwinders);
        let mut known = notes.known();
        known.sort_unstable();
        let expected = [1, 2].map(|identity| [0x1000, 0x2000, 0x3000].map(|address| (identity, address))).concat();
        assert_eq!(known, expected);
        drop((early, later));
        assert_eq!(notes.known(), []);
    });
}

#[test]
fn an_unwinder_that_two_threads_find_is_told_once() {
    model(|| {
        let notes = unwind::Notes::default();
        let module = unwind::register(0x1000);
        let finders = [0, 1].map(|_| {
            let notes = notes.clone();
            spawn(move || notes.add(7))
        });
        join(finders);
        assert_eq!(notes.known(), [(7, 0x1000)]);
        drop(module);
        assert_eq!(notes.known(), []);
    });
}

#[test]
fn an_unwinder_that_comes_while_a_module_goes_knows_nothing_of_it() {
    model(|| {
        let notes = unwind::Notes::default();
        let module = unwind::register(0x1000);
        let goes = spawn(move || drop(module));
        let unwinder = notes.clone();
        let comes = spawn(move || unwinder.add(3));
        join([goes, comes]);
        assert_eq!(notes.known(), []);
    });
}

#[test]
fn debuggers_see_the_files_that_are_there() {
    model(|| {
        let kept = debugger::register(b"kept".to_vec());
        let passing = spawn(|| drop(debugger::register(b"passing".to_vec())));
        let staying = spawn(|| debugger::register(b"staying".to_vec()));
        // In between the list is whole, whatever is in it.
        assert!(debugger::shown().contains(&b"kept".to_vec()));
        join([passing]);
        let staying = join([staying]);
        assert_eq!(debugger::shown(), [b"staying".to_vec(), b"kept".to_vec()]);
        drop(kept);
        assert_eq!(debugger::shown(), [b"staying".to_vec()]);
        drop(staying);
        assert!(debugger::shown().is_empty());
    });
}

/// Memory that stays.
fn memory(size: usize) -> *mut [u8] {
    // Aligned as thread-local blocks are.
    let words: &'static mut [u128] = Box::leak(vec![u128::MAX; size / 16].into_boxed_slice());
    std::ptr::slice_from_raw_parts_mut(words.as_mut_ptr().cast(), size)
}

#[test]
fn rooms_give_each_module_bytes_of_its_own() {
    model(|| {
        let (copy, image) = (memory(64), memory(64));
        let room = Arc::new(Room::in_memory(copy, image));
        let give = |value: u8, size: u64| {
            let room = Arc::clone(&room);
            spawn(move || {
                let initial = [value; 8];
                let request = ThreadLocalRequest { image: &initial, size, align: 16, queries: &[], layout: None };
                room.give(&request).expect("memory that can be written").map(|block| (block.offset(), value, size))
            })
        };
        let blocks = join([give(1, 16), give(2, 24), give(3, 32)]);
        let given: Vec<(i64, u8, u64)> = blocks.into_iter().flatten().collect();
        // Which of them no room is left for depends on their order.
        assert!(given.len() >= 2, "{given:?}");
        for (offset, value, size) in given {
            let range = offset as usize..offset as usize + size as usize;
            for place in [copy, image] {
                // SAFETY: the memory stays, and no thread uses it any more.
                let bytes = unsafe { &(&*place)[range.clone()] };
                assert_eq!((&bytes[..8], bytes[8..].iter().all(|byte| *byte == 0)), (&[value; 8][..], true));
            }
        }
        // SAFETY: nobody uses the memory any more; it came from boxes of as many words.
        unsafe {
            for place in [copy, image] {
                drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(place.cast::<u128>(), 4)));
            }
        }
    });
}

#[test]
fn two_rooms_do_not_write_at_once() {
    model(|| {
        // Their pages may be the same, which are writable only while one of them writes: `Turn` fails where both do.
        let threads = [1, 2].map(|value: u8| {
            let room = Room::in_memory(memory(16), memory(16));
            spawn(move || {
                let initial = [value; 8];
                room.give(&ThreadLocalRequest { image: &initial, size: 8, align: 8, queries: &[], layout: None })
                    .is_ok_and(|block| block.is_some())
            })
        });
        assert_eq!(join(threads), [true, true]);
    });
}

#[test]
fn a_process_has_one_file_of_a_kind_and_records_are_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let profile = Profile::JitDump(folder.path().to_path_buf());
    let path = folder.path().join(format!("jit-{}.dump", std::process::id()));
    model(move || {
        let writers = ["first", "second"].map(|name| {
            let profile = profile.clone();
            spawn(move || {
                let output = profile::open(&profile).expect("a file");
                profile::models::record(&output, name);
                output
            })
        });
        let outputs = join(writers);
        assert!(Arc::ptr_eq(&outputs[0], &outputs[1]));
        let dump = std::fs::read(&path).expect("the file");
        let mut names = profile::models::names(&dump);
        names.sort_unstable();
        assert_eq!(names, ["first", "second"]);
    });
}

#[test]
fn nothing_comes_behind_the_end_of_a_dump() {
    let folder = tempfile::tempdir().expect("a folder");
    let profile = Profile::JitDump(folder.path().to_path_buf());
    let path = folder.path().join(format!("jit-{}.dump", std::process::id()));
    model(move || {
        let output = profile::open(&profile).expect("a file");
        let writer = Arc::clone(&output);
        let writer = spawn(move || profile::models::record(&writer, "late"));
        let closer = spawn(move || output.close());
        join([writer, closer]);
        let dump = std::fs::read(&path).expect("the file");
        // Whole records with at most one end, which is the last: the names come from walking all of them.
        let names = profile::models::names(&dump);
        assert!(names.is_empty() || names == ["late"], "{names:?}");
    });
}
