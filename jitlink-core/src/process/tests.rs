//! Tests of the whole executor. Those that run machine code hold it for one host architecture and are skipped on others.

use super::exit;
use super::*;
use crate::addr::Endian;
use crate::executor::{Action, Allocation, Description, PointerPlace};
use crate::graph::Protection;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

fn segment(protection: Protection, size: u64) -> SegmentRequest {
    SegmentRequest { protection, residence: Residence::Near, size, align: 16 }
}

fn request(segments: &[SegmentRequest]) -> MemoryRequest {
    MemoryRequest { segments: segments.to_vec(), range: AddrRange::ALL }
}

fn three(size: u64) -> MemoryRequest {
    request(&[Protection::ReadExecute, Protection::Read, Protection::ReadWrite].map(|kind| segment(kind, size)))
}

/// An executor whose first arena is at an ordinary address of its own. Elsewhere an arena may happen to start where unwinders would overlook
/// a function, and then its first granule is not used.
fn executor_at_ordinary_address() -> ProcessExecutor {
    static NEXT: AtomicU64 = AtomicU64::new(0x4000_0020_0000);
    let address = NEXT.fetch_add(1 << 32, Ordering::Relaxed);
    ProcessExecutor::new().unwrap().place(Placement::At(Addr(address)))
}

/// Links bytes, one run for each segment.
fn link(executor: &ProcessExecutor, request: &MemoryRequest, bytes: &[&[u8]]) -> (Vec<Addr>, Box<dyn Allocation>) {
    let mut reservation = executor.reserve(request).unwrap();
    let addresses = (0..bytes.len()).map(|index| reservation.address(index)).collect();
    for (memory, bytes) in reservation.working_memory().into_iter().zip(bytes) {
        if !memory.zeroed {
            memory.bytes.fill(0);
        }
        memory.bytes[..bytes.len()].copy_from_slice(bytes);
    }
    (addresses, reservation.finalize(Vec::new()).unwrap())
}

fn maps() -> Vec<String> {
    std::fs::read_to_string("/proc/self/maps").unwrap().lines().map(str::to_string).collect()
}

/// The `rwxp` of the mapping that holds an address.
fn rights(address: Addr) -> Option<String> {
    maps().into_iter().find_map(|line| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let (start, end) = (u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?);
        (start <= address.0 && address.0 < end).then(|| rest[..4].to_string())
    })
}

fn assert_nothing_is_writable_and_executable() {
    assert!(!maps().iter().any(|line| line.contains("wx")), "{:#?}", maps());
}

#[test]
fn segments_have_their_protection_and_never_write_and_execute() {
    let executor = ProcessExecutor::new().unwrap();
    let (at, allocation) = link(&executor, &three(40), &[b"code", b"constant", b"data"]);
    assert_eq!(at.iter().map(|at| rights(*at).unwrap()).collect::<Vec<_>>(), ["r-xs", "r--s", "rw-p"]);
    assert_nothing_is_writable_and_executable();
    let mut bytes = [1; 9];
    allocation.read(at[1], &mut bytes).unwrap();
    assert_eq!(&bytes, b"constant\0");
    assert!(allocation.read(at[1] + 32, &mut bytes).is_err());
}

#[test]
fn small_modules_share_pages() {
    let executor = ProcessExecutor::new().unwrap();
    let (first, one) = link(&executor, &three(40), &[b"a", b"b", b"c"]);
    let (second, two) = link(&executor, &three(40), &[b"d", b"e", b"f"]);
    for (first, second) in first.iter().zip(&second) {
        assert_eq!(first.0 / 4096, second.0 / 4096);
        assert_eq!(second.offset_from(*first), 48);
    }
    let mut byte = [0];
    one.read(first[0], &mut byte).unwrap();
    assert_eq!(&byte, b"a");
    drop(one);
    two.read(second[0], &mut byte).unwrap();
    assert_eq!(&byte, b"d");
}

#[test]
fn arenas_lie_near_the_c_library() {
    let executor = ProcessExecutor::new().unwrap();
    let reservation = executor.reserve(&three(40)).unwrap();
    let region = reservation.region();
    assert_eq!(region.last.0 - region.start.0 + 1, ARENA_SIZE);
    for name in [&b"environ"[..], b"stdout", b"printf"] {
        let there = executor.lookup(&[name]).unwrap()[0].unwrap();
        for end in [region.start, region.last] {
            assert!(there.0.abs_diff(end.0) < 1 << 31, "{region:?} {there}");
        }
    }
}

#[test]
fn low_memory_is_found() {
    let executor = ProcessExecutor::new().unwrap();
    let mut low = three(40);
    low.range = AddrRange { start: Addr(0), last: Addr((1 << 31) - 1) };
    let reservation = executor.reserve(&low).unwrap();
    assert!(low.range.contains(reservation.address(0), 40) && low.range.contains(reservation.address(2), 40));
    assert_eq!(low.range.intersect(&reservation.region()), Some(reservation.region()));
    // What has no limit does not go there, because it is far from the libraries.
    assert!(!low.range.contains(executor.reserve(&three(40)).unwrap().address(0), 40));
    let forced = ProcessExecutor::new().unwrap().arena_size(32 << 20).place(Placement::Low);
    assert!(low.range.contains(forced.reserve(&three(40)).unwrap().address(0), 40));
}

#[test]
fn an_arena_can_be_placed() {
    let address = Addr(0x6100_0000_0000);
    let executor = ProcessExecutor::new().unwrap().arena_size(32 << 20).place(Placement::At(address));
    let reservation = executor.reserve(&three(40)).unwrap();
    assert_eq!(reservation.region().start, address);
    // Unwinders would overlook a function whose address ends in 32 zeros.
    assert_eq!(reservation.address(0), Addr(address.0 + 16));
    let mut taken = three(40);
    taken.range = AddrRange::new(address, 4096);
    let other = ProcessExecutor::new().unwrap();
    let error = other.reserve(&taken).err().unwrap();
    assert!(error.reason.contains("0x610000000000") && error.advice.contains("-fPIC"), "{error:?}");
}

#[test]
fn large_and_strongly_aligned_segments_fit() {
    let executor = ProcessExecutor::new().unwrap().arena_size(32 << 20);
    let mut large = request(&[segment(Protection::ReadExecute, 100), segment(Protection::ReadWrite, 3 << 30)]);
    large.segments[1].align = 1 << 22;
    large.segments.push(SegmentRequest { residence: Residence::Far, ..segment(Protection::ReadWrite, 1 << 33) });
    let mut reservation = executor.reserve(&large).unwrap();
    assert_eq!(reservation.address(1).0 % (1 << 22), 0);
    assert!(reservation.region().contains(reservation.address(1), 3 << 30));
    assert!(!reservation.region().contains(reservation.address(2), 1));
    let memory = reservation.working_memory();
    assert_eq!(memory[2].bytes.len(), 1 << 33);
    assert!(memory[1].zeroed && memory[2].zeroed);
    assert_eq!(memory[2].bytes[1 << 32], 0);
    let before = executor.shared.arenas.lock().unwrap().len();
    drop(reservation);
    large.segments[1].size = 4 << 30;
    large.segments[2].size = 1 << 34;
    drop(executor.reserve(&large).unwrap());
    assert_eq!(executor.shared.arenas.lock().unwrap().len(), before);
    large.segments[1].size = 1 << 60;
    assert!(executor.reserve(&large).is_err());
    large.segments[1].size = u64::MAX;
    assert!(executor.reserve(&large).is_err());
}

#[test]
fn reserved_sizes_shrink_but_do_not_grow() {
    let executor = ProcessExecutor::new().unwrap();
    let mut reservation = executor.reserve(&three(0x3000)).unwrap();
    assert!(reservation.resize(&[0x3001 + 16, 1, 1]).is_err());
    assert!(reservation.resize(&[1]).is_err());
    reservation.resize(&[0x3000, 5, 0]).unwrap();
    let sizes: Vec<usize> = reservation.working_memory().iter().map(|memory| memory.bytes.len()).collect();
    assert_eq!(sizes, [0x3000, 5, 0]);
    let next = executor.reserve(&three(16)).unwrap();
    assert_eq!(next.address(1).offset_from(reservation.address(1)), 16);
}

#[test]
fn reused_memory_says_whether_it_is_clear() {
    let executor = ProcessExecutor::new().unwrap();
    let keep = executor.reserve(&three(40)).unwrap();
    let mut first = executor.reserve(&three(0x18_0000)).unwrap();
    for memory in first.working_memory() {
        assert!(memory.zeroed);
        memory.bytes.fill(0xaa);
    }
    let at = first.address(0);
    drop(first);
    let mut again = executor.reserve(&three(0x18_0000)).unwrap();
    assert_eq!(again.address(0), at);
    for memory in again.working_memory() {
        assert!(memory.zeroed && memory.bytes.iter().all(|byte| *byte == 0));
        memory.bytes[..64].fill(0xaa);
    }
    drop(again);
    let mut small = executor.reserve(&three(64)).unwrap();
    assert!(small.working_memory().iter().all(|memory| !memory.zeroed && memory.bytes[0] == 0xaa));
    drop(keep);
}

fn pointer(address: Addr) -> PointerPlace {
    PointerPlace { address, bytes: size_of::<usize>() as u8, endian: Endian::NATIVE }
}

#[test]
fn blocks_are_released_once_and_pointers_replaced() {
    let executor = executor_at_ordinary_address();
    let (at, allocation) = link(&executor, &three(64), &[&[1; 64], &[2; 64], &[0; 64]]);
    allocation.store_pointer(pointer(at[2] + 8), 0x1234_5678_9abc).unwrap();
    let mut word = [0; 8];
    allocation.read(at[2] + 8, &mut word).unwrap();
    assert_eq!(u64::from_ne_bytes(word), 0x1234_5678_9abc);
    assert_eq!(allocation.replace_pointer(pointer(at[2] + 8), 1, 2), Ok(false));
    assert_eq!(allocation.replace_pointer(pointer(at[2] + 8), 0x1234_5678_9abc, 2), Ok(true));
    assert_eq!(allocation.replace_pointer(pointer(at[2] + 8), 2, 3), Ok(true));
    let narrow = PointerPlace { bytes: 2, ..pointer(at[2] + 8) };
    assert!(allocation.store_pointer(narrow, 1).is_err());
    assert!(allocation.store_pointer(pointer(at[2] + 4), 0).is_err());
    assert!(allocation.store_pointer(pointer(at[2] + 64), 0).is_err());
    assert!(allocation.store_pointer(pointer(at[0]), 0).is_err());

    allocation.release(at[0] + 7, 25).unwrap();
    assert!(allocation.release(at[0] + 31, 2).is_err());
    assert!(allocation.release(at[0] + 48, 17).is_err());
    allocation.release(at[0] + 32, 16).unwrap();
    allocation.release(at[2], 16).unwrap();
    assert!(allocation.store_pointer(pointer(at[2] + 8), 0).is_err());
    let (reused, other) = link(&executor, &request(&[segment(Protection::ReadExecute, 32)]), &[&[3; 32]]);
    assert_eq!(reused[0], at[0] + 16);
    drop((allocation, other));
    let arenas = executor.shared.arenas.lock().unwrap();
    let size = arenas[0].arena.region();
    assert_eq!(arenas[0].arena.free_space(), (size.last.0 - size.start.0 + 1, 3));
}

/// Bytes in memory and number of mappings of this process.
fn footprint() -> (u64, usize) {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    let resident = status.split(' ').nth(1).unwrap().parse::<u64>().unwrap();
    (resident * map::page_size(), maps().len())
}

/// What a test does in a process of its own, where it counts what the whole process uses, or dies. Whether this is that process.
fn alone(test: &str) -> Result<(), std::process::Output> {
    if std::env::var_os("JITLINK_TEST_ALONE").is_some_and(|name| name == test) {
        return Ok(());
    }
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args([&format!("process::tests::{test}"), "--exact", "--nocapture", "--test-threads=1"]);
    Err(command.env("JITLINK_TEST_ALONE", test).output().unwrap())
}

fn assert_success(output: &std::process::Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    let ran = output.status.success() && text.contains("1 passed");
    assert!(ran, "{text}{}", String::from_utf8_lossy(&output.stderr));
}

/// A `.eh_frame`: a CIE without augmentation, one FDE, the terminator.
fn unwind_records(function: Addr, size: u64) -> [u8; 48] {
    let mut records = [0; 48];
    records[0] = 12;
    records[8..12].copy_from_slice(&[1, 0, 1, 0x78]);
    records[16] = 20;
    records[20] = 20;
    records[24..32].copy_from_slice(&function.0.to_ne_bytes());
    records[32..40].copy_from_slice(&size.to_ne_bytes());
    records
}

#[test]
fn unwind_records_are_found_while_their_module_is_linked() {
    // GCC's unwinder answers with the record of a function.
    let Some(find) = symbols::find(c"_Unwind_Find_FDE") else { return };
    let find = |function: Addr| {
        let mut bases = [0_usize; 3];
        type Find = unsafe extern "C" fn(u64, *mut usize) -> u64;
        // SAFETY: a function of that name takes an address and room for three pointers (GCC, unwind-dw2-fde.h).
        unsafe { std::mem::transmute::<usize, Find>(find.0 as usize)(function.0, bases.as_mut_ptr()) }
    };
    let executor = ProcessExecutor::new().unwrap();
    let mut reservation = executor.reserve(&three(64)).unwrap();
    let (function, address) = (reservation.address(0), reservation.address(1));
    reservation.working_memory()[1].bytes[..48].copy_from_slice(&unwind_records(function, 16));
    assert_eq!(find(function + 5), 0);
    let allocation = reservation.finalize(vec![Action::RegisterEhFrame { address, size: 48 }]).unwrap();
    assert_eq!(find(function + 5), address.0 + 16);
    assert_eq!(find(function + 16), 0);
    drop(allocation);
    assert_eq!(find(function + 5), 0);

    let reservation = executor.reserve(&three(64)).unwrap();
    let wrong = Action::RegisterEhFrame { address: reservation.address(1), size: 65 };
    assert!(reservation.finalize(vec![wrong]).is_err());
}

#[test]
fn linking_and_removing_leaves_nothing() {
    if let Err(output) = alone("linking_and_removing_leaves_nothing") {
        return assert_success(&output);
    }
    let executor = ProcessExecutor::new().unwrap();
    let mut live = std::collections::VecDeque::new();
    let mut after_warm_up = None;
    for round in 0..20_000_u64 {
        let size = 16 + round * 7919 % 9000;
        let mut reservation = executor.reserve(&three(size)).unwrap();
        for memory in reservation.working_memory() {
            memory.bytes.fill(0xcc);
        }
        let (code, address) = (reservation.address(0), reservation.address(1));
        let frames = size >= 48;
        if frames {
            reservation.working_memory()[1].bytes[..48].copy_from_slice(&unwind_records(code, 16));
        }
        let segments = (0..3).map(|index| (reservation.address(index), size)).collect();
        let mut actions = vec![Action::Describe(Description { segments, ..Description::default() })];
        if frames {
            actions.push(Action::RegisterEhFrame { address, size: 48 });
        }
        live.push_back(reservation.finalize(actions).unwrap());
        if live.len() > 20 {
            live.remove((round % 20) as usize);
        }
        if round == 5_000 {
            after_warm_up = Some(footprint());
        }
    }
    let (memory, mappings) = footprint();
    let (memory_before, mappings_before) = after_warm_up.unwrap();
    assert!(memory <= memory_before + (2 << 20), "{memory_before} grew to {memory}");
    assert!(mappings <= mappings_before + 2, "{mappings_before} grew to {mappings}");
    drop(live);
    let arenas = executor.shared.arenas.lock().unwrap();
    assert_eq!((arenas.len(), arenas[0].arena.free_space().1), (1, 3));
    assert_nothing_is_writable_and_executable();
}

#[test]
fn a_forked_child_links_into_its_own_arenas() {
    if let Err(output) = alone("a_forked_child_links_into_its_own_arenas") {
        return assert_success(&output);
    }
    let executor = ProcessExecutor::new().unwrap();
    let (at, before) = link(&executor, &three(64), &[b"one", b"two", b"three"]);
    // SAFETY: this process has one thread that matters, and the child only links and leaves.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let (own, allocation) = link(&executor, &three(64), &[b"new", b"new", b"new"]);
        let mut bytes = [0; 3];
        let mut good = !before_region(&executor, at[0]).contains(own[0], 1);
        good &= allocation.read(own[0], &mut bytes).is_ok() && &bytes == b"new";
        good &= before.read(at[1], &mut bytes).is_ok() && &bytes == b"two";
        before.release(at[0], 3).unwrap();
        drop(before);
        drop(allocation);
        // SAFETY: leaves without running what the parent registered.
        unsafe { libc::_exit(if good { 7 } else { 8 }) };
    }
    let mut status = 0;
    // SAFETY: waits for the child that was just made.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(libc::WEXITSTATUS(status), 7);
    let mut bytes = [0; 3];
    before.read(at[0], &mut bytes).unwrap();
    assert_eq!(&bytes, b"one");
    let (next, _kept) = link(&executor, &three(64), &[b"x", b"y", b"z"]);
    assert_eq!(next[0], at[0] + 64);
}

fn before_region(executor: &ProcessExecutor, address: Addr) -> AddrRange {
    let arenas = executor.shared.arenas.lock().unwrap();
    let regions = arenas.iter().map(|home| home.arena.region());
    regions.into_iter().find(|region| region.contains(address, 1)).unwrap()
}

#[test]
fn symbols_are_the_c_librarys_own() {
    let executor = ProcessExecutor::new().unwrap();
    let names: [&[u8]; 7] = [b"environ", b"stdout", b"printf", b"optind", b"atexit", b"jitlink_no_such", b"a\0b"];
    let found = executor.lookup(&names).unwrap();
    assert_eq!(found[2], symbols::find(c"printf"));
    assert_eq!(found[4], exit::service(b"atexit"));
    assert_eq!(found[5..], [None, None]);
    unsafe extern "C" {
        static mut environ: *const u8;
        static mut stdout: *const u8;
        static mut optind: i32;
    }
    assert_eq!(found[0], Some(Addr(&raw const environ as u64)));
    assert_eq!(found[1], Some(Addr(&raw const stdout as u64)));
    assert_eq!(found[3], Some(Addr(&raw const optind as u64)));
    let old = executor.lookup(&[b"stat", b"lstat", b"mknod", b"__cxa_thread_atexit_impl"]).unwrap();
    assert!(old[..3].iter().all(Option::is_some));
}

#[test]
fn libraries_are_loaded_by_name_script_and_path() {
    let executor = ProcessExecutor::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("libboth.so"), "/* x */ GROUP ( libm.so.6 AS_NEEDED ( -lc ) libx.a )")
        .unwrap();
    std::fs::write(directory.path().join("libbad.so"), "this is no library").unwrap();
    let search = [directory.path().to_path_buf()];
    // SAFETY: the initialisers of the C library's parts are sound to run.
    unsafe {
        executor.load_library("both", &search).unwrap();
        executor.load_library("m", &[]).unwrap();
        executor.load_library(":libm.so.6", &[]).unwrap();
        let error = executor.load_library("jitlink-none", &search).unwrap_err();
        assert!(error.reason.contains("jitlink-none") && error.advice.contains("-L"), "{error:?}");
        let path = directory.path().join("libbad.so");
        assert!(executor.load_library(path.to_str().unwrap(), &[]).is_err());
    }
    assert!(executor.lookup(&[b"cosf"]).unwrap()[0].is_some());
}

#[test]
fn modules_are_found_while_others_come_and_go() {
    let executor = ProcessExecutor::new().unwrap();
    let stop = AtomicBool::new(false);
    let describe = |tag: u64| {
        let reservation = executor.reserve(&three(64)).unwrap();
        let address = reservation.address(0);
        let description = Description { segments: vec![(address, 64)], handle: Addr(tag), ..Description::default() };
        (address, reservation.finalize(vec![Action::Describe(description)]).unwrap())
    };
    let (kept, _module) = describe(1);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..3_000 {
                    let (address, module) = describe(2);
                    assert_eq!(modules::handle_at(address + 63), Some(Addr(2)));
                    drop(module);
                }
                stop.store(true, Ordering::Relaxed);
            });
        }
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(modules::with_module_at(kept, |module| module.handle), Some(Addr(1)));
            }
        });
    });
    assert_eq!(modules::with_module_at(Addr(8), |_| ()), None);
}

mod calls;
#[cfg(target_arch = "x86_64")]
mod machine;
mod sealed;
