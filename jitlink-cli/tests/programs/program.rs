// A Rust program without std, which needs thread-local storage.
#![no_std]
#![no_main]

use core::ffi::{c_char, c_int};

unsafe extern "C" {
    fn printf(format: *const c_char, ...) -> c_int;
    fn abort() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    unsafe { abort() }
}

/// Nothing unwinds, but libcore's objects refer to it.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

trait Shape {
    fn area(&self) -> f64;
}

struct Square(f64);
struct Circle(f64);

impl Shape for Square {
    fn area(&self) -> f64 {
        self.0 * self.0
    }
}

impl Shape for Circle {
    fn area(&self) -> f64 {
        core::f64::consts::PI * self.0 * self.0
    }
}

static STEPS: [fn(i32) -> i32; 3] = [|value| value + 1, |value| value * 2, |value| value - 3];
static mut COUNT: i32 = 0;

#[inline(never)]
fn total(shapes: &[&dyn Shape]) -> f64 {
    shapes.iter().map(|shape| shape.area()).sum()
}

#[unsafe(no_mangle)]
pub extern "C" fn main(argc: c_int, _argv: *const *const c_char) -> c_int {
    let mut value = argc;
    for step in STEPS {
        value = step(value);
        unsafe { COUNT += 1 };
    }
    let count = unsafe { COUNT };
    unsafe { printf(c"rust %d %d %.3f\n".as_ptr(), value, count, total(&[&Square(2.0), &Circle(1.0)])) };
    5
}
