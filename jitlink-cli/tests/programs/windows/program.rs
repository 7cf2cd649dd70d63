// Threads, thread-local variables with destructors, and a panic that is caught.
use std::cell::Cell;
use std::collections::HashMap;

struct Loud(&'static str);
impl Drop for Loud {
    fn drop(&mut self) {
        println!("drop {}", self.0);
    }
}

thread_local!(static NUMBER: Cell<u32> = const { Cell::new(5) });
thread_local!(static LOUD: Loud = const { Loud("thread") });

fn main() {
    let squares: HashMap<u32, u32> = (0..10).map(|number| (number, number * number)).collect();
    println!("{:?}", squares.get(&3));
    let thread = std::thread::spawn(|| {
        NUMBER.set(9);
        LOUD.with(|_| ());
        NUMBER.get()
    });
    println!("{} {}", thread.join().unwrap(), NUMBER.get());
    let panicked = std::panic::catch_unwind(|| {
        let _loud = Loud("in panic");
        let nothing: Vec<i32> = Vec::new();
        nothing[std::hint::black_box(3)]
    });
    println!("{}", panicked.is_err());
    std::process::exit(6)
}
