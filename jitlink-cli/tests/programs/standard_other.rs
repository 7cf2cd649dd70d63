// A crate that another one links, with an allocator of its own.
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

static COUNT: AtomicUsize = AtomicUsize::new(0);

struct Counting;

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[cfg(own_allocator)]
#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often the allocator was asked, if it is the program's.
pub fn allocations() -> usize {
    let before = COUNT.load(Ordering::Relaxed);
    drop(std::hint::black_box(Box::new(5)));
    COUNT.load(Ordering::Relaxed) - before
}

pub fn fail(code: i32) -> i32 {
    if code > 0 { panic!("a panic of another crate: {code}") } else { code }
}
