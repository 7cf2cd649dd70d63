// A Rust program of two crates: variables of threads, panics that are caught and one that is not, what is made once.
use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::catch_unwind;
use std::sync::{LazyLock, mpsc};
use std::thread;

struct Noisy(&'static str);

impl Drop for Noisy {
    fn drop(&mut self) {
        println!("{} is gone", self.0);
    }
}

thread_local! {
    static WORDS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static NOISY: RefCell<Option<Noisy>> = const { RefCell::new(None) };
}

static SQUARES: LazyLock<HashMap<u64, u64>> = LazyLock::new(|| (0..100).map(|number| (number, number * number)).collect());

fn work(id: u64) -> usize {
    WORDS.with_borrow_mut(|words| words.push(format!("{id}")));
    WORDS.with_borrow(Vec::len) + SQUARES[&id] as usize
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (sender, receiver) = mpsc::channel();
    let workers: Vec<_> = (0..4).map(|id| thread::spawn({
        let sender = sender.clone();
        move || sender.send(work(id)).unwrap()
    })).collect();
    drop(sender);
    let mut results: Vec<usize> = receiver.iter().collect();
    results.sort();
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    println!("{results:?} {} {arguments:?}", work(9));
    thread::spawn(|| NOISY.set(Some(Noisy("a thread's variable")))).join().unwrap();
    let caught = catch_unwind(|| -> usize {
        let _guard = Noisy("a guard");
        panic!("caught")
    });
    println!("{:?}", caught.unwrap_err().downcast_ref::<&str>());
    println!("{}", thread::spawn(|| standard_other::fail(3)).join().is_err());
    println!("{} {:.3} {}", standard_other::allocations(), 2f64.sqrt(), 0.1 + 0.2);
    assert!(arguments != ["panic"], "nobody catches this");
    std::process::exit(arguments.len() as i32);
}
