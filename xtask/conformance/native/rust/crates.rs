//! A program of two crates.
use parts::{SEEN, Visit, fail, note, walk};

unsafe extern "C" {
    safe fn parts_double(value: i32) -> i32;
}

struct Sum(i64);
impl Visit for Sum {
    fn visit(&mut self, value: i64) -> i64 {
        self.0 += value;
        note(self.0)
    }
}

fn main() {
    note("text");
    note(vec![1.5, 2.5]);
    println!("{} {}", walk(&mut Sum(0), &[1, 2, 3]), parts_double(21));
    println!("{}", fail(3).unwrap_err());
    println!("{}", std::panic::catch_unwind(|| fail(0)).unwrap_err().downcast_ref::<&str>().unwrap());
    let other = std::thread::spawn(|| {
        note(Some('x'));
        SEEN.take()
    });
    println!("{:?} {:?}", other.join().unwrap(), SEEN.take());
    println!("{}", unsafe { (*(&raw const parts::PLAIN)).iter().sum::<u32>() });
    std::process::exit(note(5));
}
