//! Large segments of code and constants, which have private pages of their own.

use super::*;

const SIZE: u64 = (5 << 20) + 100;

/// Code and constants of `size` bytes, each filled with its own byte, and small data.
fn large(executor: &ProcessExecutor, size: u64) -> (Vec<Addr>, Box<dyn Allocation>) {
    let segments = [segment(Protection::ReadExecute, size), segment(Protection::Read, size), three(64).segments[2]];
    let (code, constants) = (vec![0xc3; size as usize], vec![0x11; size as usize]);
    link(executor, &request(&segments), &[&code, &constants, &[0x22; 64]])
}

#[test]
fn large_segments_are_written_before_they_have_their_protection() {
    let executor = ProcessExecutor::new().unwrap();
    let (small, neighbour) = link(&executor, &three(64), &[&[1; 64], &[2; 64], &[3; 64]]);
    let mut reservation = executor.reserve(&request(&[segment(Protection::ReadExecute, SIZE)])).unwrap();
    let start = reservation.address(0);
    assert_eq!(rights(start).unwrap(), "rw-p");
    for memory in reservation.working_memory() {
        assert!(memory.zeroed && memory.bytes.iter().all(|byte| *byte == 0));
        memory.bytes.fill(0xc3);
    }
    let allocation = reservation.finalize(Vec::new()).unwrap();
    for at in [start, start + SIZE - 1] {
        assert_eq!(rights(at).unwrap(), "r-xp");
        // SAFETY: a return instruction is there, in code that stays until the end.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            std::mem::transmute::<usize, extern "C" fn()>(at.0 as usize)();
        }
    }
    assert_eq!(rights(small[0]).unwrap(), "r-xs");
    assert_nothing_is_writable_and_executable();
    drop((allocation, neighbour));
}

#[test]
fn what_follows_a_large_segment_is_shared_and_clean_again() {
    let executor = executor_at_ordinary_address();
    for round in 0..3 {
        let (at, allocation) = large(&executor, SIZE);
        assert_eq!([rights(at[0]).unwrap(), rights(at[1]).unwrap()], ["r-xp", "r--p"]);
        drop(allocation);
        assert_eq!([rights(at[0]).unwrap(), rights(at[1]).unwrap()], ["r-xs", "r--s"]);
        // Small pieces at the same place, written through their alias.
        let (again, allocation) = link(&executor, &three(64), &[&[round; 64], &[2; 64], &[3; 64]]);
        assert_eq!(again[..2], at[..2]);
        let mut bytes = [0; 64];
        allocation.read(again[0], &mut bytes).unwrap();
        assert_eq!(bytes, [round; 64]);
    }
}

#[test]
fn a_large_segment_gives_back_what_it_does_not_need() {
    let executor = executor_at_ordinary_address();
    let mut reservation = executor.reserve(&request(&[segment(Protection::Read, SIZE)])).unwrap();
    let start = reservation.address(0);
    reservation.resize(&[4097]).unwrap();
    let (next, neighbour) = link(&executor, &request(&[segment(Protection::Read, 64)]), &[&[7; 64]]);
    assert_eq!(next[0], start + 8192);
    reservation.working_memory()[0].bytes.fill(9);
    let allocation = reservation.finalize(Vec::new()).unwrap();
    let mut bytes = [0; 64];
    allocation.read(start + 4000, &mut bytes).unwrap();
    assert_eq!(bytes, [9; 64]);
    neighbour.read(next[0], &mut bytes).unwrap();
    assert_eq!(bytes, [7; 64]);
}

#[test]
fn parts_of_a_large_segment_are_released_with_all_of_it() {
    let executor = executor_at_ordinary_address();
    let free = |executor: &ProcessExecutor| executor.shared.arenas.lock().unwrap()[0].arena.free_space();
    drop(link(&executor, &three(64), &[&[1; 64], &[2; 64], &[3; 64]]));
    let before = free(&executor);
    let (at, allocation) = large(&executor, SIZE);
    allocation.release(at[0] + 48, 64).unwrap();
    assert!(allocation.release(at[0] + 64, 16).is_err());
    let (next, small) = link(&executor, &request(&[segment(Protection::ReadExecute, 32)]), &[&[3; 32]]);
    assert!(next[0] >= at[0] + SIZE, "{} {}", next[0], at[0]);
    drop((allocation, small));
    assert_eq!(free(&executor), before);
}

#[test]
fn debuggers_and_profilers_see_large_segments_of_their_own() {
    for purpose in [Purpose::Debugging, Purpose::Mapping] {
        let executor = ProcessExecutor { purpose, ..executor_at_ordinary_address() };
        let (at, allocation) = large(&executor, SIZE);
        assert_eq!(rights(at[0]).unwrap(), "r-xp");
        drop(allocation);
        let (again, allocation) = link(&executor, &three(64), &[&[1; 64], &[2; 64], &[3; 64]]);
        assert_eq!(again[0], at[0]);
        let mut bytes = [0; 64];
        allocation.read(again[0], &mut bytes).unwrap();
        assert_eq!(bytes, [1; 64]);
    }
}
