//! Whole links: a drawn batch is linked at a base, and into this process, where nothing of it runs.
//!
//! Promises that are checked, besides that every link ends in memory or in errors:
//!
//! - every field holds what [`crate::oracle`] computes anew;
//! - the same batch gives the same bytes, names and errors again, with other numbers of threads, and after a link that failed;
//! - a link that fails changes nothing, and one that is dropped leaves nothing: no segment, no address, no byte on the heap.

use crate::case::{self, Case, OBJECTS};
use crate::counting;
use crate::host::Host;
use crate::oracle;
use arbitrary::Unstructured;
use jitlink_core::executor::{MemoryRequest, SegmentRequest};
use jitlink_core::graph::{Protection, Residence};
use jitlink_core::image::{ImageConfig, ImageExecutor};
use jitlink_core::link::{LinkOptions, Linked, NoSymbols, link};
use jitlink_core::process::ProcessExecutor;
use jitlink_core::{Addr, Executor, Input, LinkErrors};
use std::sync::OnceLock;

use crate::machines;

/// What can be seen of a link.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Linked { segments: Vec<(Addr, Vec<u8>)>, names: Vec<(String, u64, u64)>, debug: Vec<(String, Vec<u8>)> },
    Failed(Vec<String>),
}

/// Draws a case and links it in every way that it asks for.
pub fn run(bytes: &[u8]) {
    let Ok(mut case) = Case::draw(&mut Unstructured::new(bytes)) else { return };
    case::dump(&case.inputs);
    if case.many {
        // Objects are read in parallel from this many on.
        let padding = (0..256).map(|number| Input::from_bytes(format!("padding{number}.o"), OBJECTS[9]));
        case.inputs.extend(padding);
    }
    let (base, size, page) = case.place;
    let config = ImageConfig { base: Addr(base & !(page - 1)), arena_size: size, page_size: page };
    let executor = ImageExecutor::new(config).expect("a base and a size that go together");
    let host = Host(executor.clone());
    // Something that is linked already.
    let before = link(machines::x86_64(), &executor, &[Input::from_bytes("add.o", OBJECTS[8])], &NoSymbols, &quiet());
    let standing = state(&executor);

    let checked = LinkOptions { pipeline: oracle::pipeline(), ..case.options.clone() };
    let first = seen(&case, &host, &checked);
    assert_eq!(state(&executor), standing, "a link that is gone left something");
    let live = counting::live();
    let second = seen(&case, &host, &case.options);
    assert_eq!(first, second, "the same link again, with another result");
    let size = second.heap();
    assert_eq!(counting::live() - live, size, "bytes on the heap that nobody holds");
    drop(second);
    assert_eq!(state(&executor), standing, "a link that is gone left something");

    for threads in [2, 7].into_iter().filter(|_| case.threads) {
        let options = LinkOptions { threads: Some(threads), ..case.options.clone() };
        assert_eq!(first, seen(&case, &host, &options), "{threads} threads give another result");
        assert_eq!(state(&executor), standing);
    }
    if case.process {
        in_process(&case);
    }
    drop(before);
}

/// How many bytes of a segment are looked at.
const MOST: u64 = 64 << 20;

/// Links into this process, and runs nothing.
fn in_process(case: &Case) {
    static EXECUTOR: OnceLock<ProcessExecutor> = OnceLock::new();
    let executor = EXECUTOR.get_or_init(|| ProcessExecutor::new().expect("64-bit addresses").arena_size(64 << 20));
    let options = LinkOptions { pipeline: oracle::pipeline(), ..case.options.clone() };
    match link(machines::x86_64(), executor, &case.inputs, &case.world, &options) {
        Ok(linked) => drop(look(&linked)),
        Err(errors) => check_errors(&errors),
    }
}

fn quiet() -> LinkOptions {
    LinkOptions { threads: Some(1), ..LinkOptions::default() }
}

fn seen(case: &Case, executor: &dyn Executor, options: &LinkOptions) -> Seen {
    match link(machines::x86_64(), executor, &case.inputs, &case.world, options) {
        Ok(linked) => look(&linked),
        Err(errors) => {
            check_errors(&errors);
            Seen::Failed(errors.iter().map(|error| error.to_string()).collect())
        }
    }
}

fn check_errors(errors: &LinkErrors) {
    assert!(errors.iter().count() > 0);
    for error in errors.iter() {
        assert!(!error.to_string().is_empty() && !error.code().is_empty());
    }
}

fn look(linked: &Linked) -> Seen {
    let segment = |segment: &jitlink_core::link::Segment| {
        // This process has room for more zeros than can be compared.
        let mut bytes = vec![0; segment.size.min(MOST) as usize];
        linked.allocation.read(segment.address, &mut bytes).expect("a segment can be read");
        (segment.address, bytes)
    };
    let within = |address: Addr, size: u64| {
        linked
            .segments
            .iter()
            .any(|segment| address >= segment.address && address.0 + size <= segment.address.0 + segment.size)
    };
    for array in linked.initialisers.iter().chain(&linked.finalisers) {
        assert!(within(array.address, array.count * 8), "an array of functions outside the batch");
    }
    let names = linked.exports.iter().map(|(name, export)| {
        assert_eq!(linked.exports.get(name).map(|found| found.address), Some(export.address), "{name}");
        (name.to_string(), export.address.0, export.size)
    });
    Seen::Linked {
        segments: linked.segments.iter().map(segment).collect(),
        names: names.collect(),
        debug: linked.debug.clone(),
    }
}

impl Seen {
    /// What this itself holds on the heap.
    fn heap(&self) -> i64 {
        fn vector<T>(vector: &Vec<T>) -> usize {
            vector.capacity() * size_of::<T>()
        }
        let size = match self {
            Seen::Linked { segments, names, debug } => {
                vector(segments)
                    + vector(names)
                    + vector(debug)
                    + segments.iter().map(|segment| vector(&segment.1)).sum::<usize>()
                    + names.iter().map(|name| name.0.capacity()).sum::<usize>()
                    + debug.iter().map(|debug| debug.0.capacity() + debug.1.capacity()).sum::<usize>()
            }
            Seen::Failed(errors) => vector(errors) + errors.iter().map(String::capacity).sum::<usize>(),
        };
        size as i64
    }
}

/// What an executor holds, and where the next link would go.
fn state(executor: &ImageExecutor) -> (Vec<(Addr, Vec<u8>)>, Option<Addr>) {
    let segments = executor.segments().iter().map(|segment| (segment.address, segment.bytes().to_vec())).collect();
    let segment = SegmentRequest { protection: Protection::Read, residence: Residence::Near, size: 1, align: 1 };
    let request = MemoryRequest { segments: vec![segment], range: jitlink_core::addr::AddrRange::ALL };
    let next = executor.reserve(&request).ok().map(|reservation| reservation.address(0));
    (segments, next)
}
