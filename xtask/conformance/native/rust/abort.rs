//! A program that aborts where others unwind.
use std::io::Write;

struct Noisy;
impl Drop for Noisy {
    fn drop(&mut self) {
        println!("never seen: nothing unwinds");
    }
}

fn main() {
    let _noisy = Noisy;
    std::panic::set_hook(Box::new(|info| {
        println!("hook: {}", info.payload_as_str().unwrap_or("?"));
        let _ = std::io::stdout().flush();
    }));
    let handle = std::thread::spawn(|| std::env::args().map(|word| word.len()).count());
    let count = handle.join().unwrap();
    println!("{count} word");
    let _ = std::panic::catch_unwind(|| assert_eq!(count, 7, "the end"));
    println!("never seen: aborted");
}
