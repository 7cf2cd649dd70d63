//! A crate that others link: generic and inlined code, a variable of each thread, an allocator, names for C.
use std::alloc::System;
use std::cell::RefCell;
use std::fmt::Debug;

#[global_allocator]
static ALLOCATOR: System = System;

thread_local! {
    pub static SEEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

pub static mut PLAIN: [u32; 4] = [1, 2, 3, 4];

#[inline]
pub fn note<T: Debug>(value: T) -> T {
    SEEN.with_borrow_mut(|seen| seen.push(format!("{value:?}")));
    value
}

pub fn fail(code: i32) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    if code == 0 { panic!("a panic of another crate") }
    Err(format!("error {code}").into())
}

pub trait Visit {
    fn visit(&mut self, value: i64) -> i64;
}

pub fn walk(visit: &mut dyn Visit, values: &[i64]) -> i64 {
    values.iter().map(|value| visit.visit(*value)).sum()
}

#[unsafe(no_mangle)]
pub extern "C" fn parts_double(value: i32) -> i32 {
    value.wrapping_mul(2)
}
