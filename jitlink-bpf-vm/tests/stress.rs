//! One machine, whose programs several threads run at once on the maps that they share, while the host reads along.

mod compiled;

use jitlink_arch_bpf::image::BpfImage;
use jitlink_bpf_vm::context::RawMemory;
use jitlink_bpf_vm::helpers::{Host, standard};
use jitlink_bpf_vm::maps::{MapHost, flag};
use jitlink_bpf_vm::vm::{Vm, VmBuilder};
use jitlink_core::Endian;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const THREADS: u64 = 4;
const STEPS: u64 = 4000;
const ALL: u64 = THREADS * STEPS;
const KEYS: u64 = 16;

fn image() -> Option<BpfImage> {
    let target = if Endian::NATIVE == Endian::Little { "--target=bpfel" } else { "--target=bpfeb" };
    let object = compiled::compile("stress.c", &[target, "-mcpu=v3"], include_str!("compiled/stress.c"))?;
    Some(compiled::image(&[object]))
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap())
}

#[test]
fn threads_that_share_maps_lose_nothing() {
    let Some(image) = image() else { return };
    let host = MapHost { cpus: THREADS as usize, ..MapHost::default() };
    let vm = VmBuilder::new().functions(standard(Arc::new(Host::new()))).map_host(host).build(&image).unwrap();
    vm.map("locked_by_key").unwrap().update(&1u32.to_ne_bytes(), &[0; 32], 0).unwrap();
    let done = AtomicBool::new(false);
    let mut received = std::thread::scope(|scope| {
        let reader = scope.spawn(|| read_along(&vm, &done));
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn({
                    let vm = &vm;
                    move || steps(vm, thread)
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        done.store(true, Ordering::SeqCst);
        reader.join().unwrap()
    });
    vm.map("events").unwrap().ring().unwrap().consume(|record| received.push((word(record, 0), word(record, 8))));
    check_counters(&vm);
    check_records(&vm, &received);
}

/// All steps of a thread, each a run of the program.
fn steps(vm: &Vm, thread: u64) {
    let program = vm.program("take").unwrap();
    let mut options = vm.options();
    options.cpu = thread as usize;
    for number in 0..STEPS {
        let input = [thread.to_ne_bytes(), number.to_ne_bytes()].concat();
        let mut context = RawMemory::new(&input).unwrap();
        let result = vm.run_with(program, &mut context, &options).unwrap_or_else(|fault| panic!("{fault}"));
        assert_eq!(result, 0, "step {number} of thread {thread}");
    }
}

/// What the host sees meanwhile: under the lock, a sum is always that of the count beside it. Gives the records.
fn read_along(vm: &Vm, done: &AtomicBool) -> Vec<(u64, u64)> {
    let (ring, mut received) = (vm.map("events").unwrap().ring().unwrap(), Vec::new());
    while !done.load(Ordering::SeqCst) {
        ring.consume(|record| received.push((word(record, 0), word(record, 8))));
        for name in ["locked", "locked_by_key"] {
            let value = vm.map(name).unwrap().lookup_with(&1u32.to_ne_bytes(), flag::LOCK).unwrap();
            let (count, sum) = (word(&value, 16), word(&value, 24));
            assert_eq!(sum, count * (count + 1) / 2, "{name}: {count} times");
        }
        assert!(vm.map("crowded").unwrap().entries().all(|(key, value)| key == value));
    }
    received
}

fn check_counters(vm: &Vm) {
    let value = |name: &str, key: u32| vm.map(name).unwrap().lookup(&key.to_ne_bytes()).unwrap();
    assert_eq!(word(&value("totals", 0), 0), ALL);
    assert_eq!(word(&value("totals", 1), 0), THREADS * (STEPS * (STEPS - 1) / 2));
    for key in 0..KEYS {
        let counted: u64 = (0..THREADS).map(|thread| hits(thread, key)).sum();
        for name in ["by_key", "recent"] {
            assert_eq!(word(&value(name, key as u32), 0), counted, "{name}: {key}");
        }
        let percpu = value("percpu_by_key", key as u32);
        for thread in 0..THREADS {
            assert_eq!(word(&percpu, 8 * thread as usize), hits(thread, key), "key {key} of thread {thread}");
        }
    }
    let percpu = value("percpu", 0);
    assert!((0..THREADS as usize).all(|thread| word(&percpu, 8 * thread) == STEPS), "{percpu:?}");
    for name in ["locked", "locked_by_key"] {
        let sums = value(name, 1);
        assert_eq!((word(&sums, 16), word(&sums, 24)), (ALL, ALL * (ALL + 1) / 2), "{name}");
        assert_eq!(sums[8..12], [0; 4], "{name}");
    }
    let mut left: Vec<(u64, u64)> =
        vm.map("own").unwrap().entries().map(|(key, value)| (word(&key, 0), word(&value, 0))).collect();
    left.sort_unstable();
    assert_eq!(left, (0..THREADS).map(|thread| (thread, STEPS - 1)).collect::<Vec<_>>());
    let crowded = vm.map("crowded").unwrap();
    assert!((1..=32).contains(&crowded.entries().count()));
    assert!(crowded.entries().all(|(key, value)| key == value));
}

/// How often a thread comes by a key.
fn hits(thread: u64, key: u64) -> u64 {
    (0..STEPS).filter(|number| (number * 7 + thread) % KEYS == key).count() as u64
}

/// Each record comes once, in its thread's order, and what did not come was given up or found no room.
fn check_records(vm: &Vm, received: &[(u64, u64)]) {
    for thread in 0..THREADS {
        let own: Vec<u64> = received.iter().filter(|(from, _)| *from == thread).map(|(_, number)| *number).collect();
        assert!(own.windows(2).all(|pair| pair[0] < pair[1]), "thread {thread}");
        assert!(own.iter().all(|number| number % 8 != 0 && *number < STEPS), "thread {thread}");
    }
    let lost = |of: u32| word(&vm.map("totals").unwrap().lookup(&of.to_ne_bytes()).unwrap(), 0);
    assert_eq!(received.len() as u64 + lost(3), ALL - THREADS * STEPS.div_ceil(8));
    let state = vm.map("events").unwrap().ring().unwrap().query();
    assert_eq!((state.available, state.producer), (0, state.consumer));
    assert_eq!(state.producer, (ALL - lost(2) - lost(3)) * 24, "a record has 16 bytes and its header");
}
