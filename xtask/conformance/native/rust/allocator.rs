//! A program with its own allocator.
use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::HashMap;
use std::sync::atomic::{AtomicIsize, Ordering};

static LIVE: AtomicIsize = AtomicIsize::new(0);
static CALLS: AtomicIsize = AtomicIsize::new(0);

struct Counting;

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as isize, Ordering::Relaxed);
        CALLS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    let (before, calls) = (LIVE.load(Ordering::Relaxed), CALLS.load(Ordering::Relaxed));
    let mut map: HashMap<u32, String> = (0..100).map(|key| (key, key.to_string())).collect();
    map.retain(|key, _| key % 3 == 0);
    let zeroed = vec![0u64; 1000];
    let mut growing = Vec::new();
    growing.extend(0..5000u32);
    println!("{} {} {}", map.len(), zeroed.len(), LIVE.load(Ordering::Relaxed) - before);
    drop((map, zeroed, growing));
    println!("{} {}", LIVE.load(Ordering::Relaxed) - before, CALLS.load(Ordering::Relaxed) - calls);
    println!("{:?}", std::panic::catch_unwind(|| Vec::<u8>::with_capacity(usize::MAX).len()).is_err());
}
