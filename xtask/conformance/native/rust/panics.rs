//! Panics: caught, resumed, in destructors' reach, through C functions' callers, and one that nobody catches.
use std::any::Any;
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, Location, catch_unwind, panic_any, resume_unwind};
use std::rc::Rc;

struct Guard(Rc<RefCell<Vec<u32>>>, u32);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.borrow_mut().push(self.1);
    }
}

#[derive(Debug, PartialEq)]
struct Payload {
    code: i32,
    text: String,
}

#[inline(never)]
fn deep(log: &Rc<RefCell<Vec<u32>>>, depth: u32) -> u32 {
    let _guard = Guard(log.clone(), depth);
    if depth == 0 {
        let values: Vec<u32> = vec![1, 2, 3];
        return values[log.borrow().len() + 7];
    }
    deep(log, depth - 1) + 1
}

extern "C-unwind" fn through_c(depth: u32) -> u32 {
    if depth == 0 { panic_any(Payload { code: 9, text: "payload".into() }) } else { through_c(depth - 1) + 1 }
}

fn text(payload: Box<dyn Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(other) => other.downcast_ref::<&str>().map_or_else(|| "something".into(), |text| text.to_string()),
    }
}

#[track_caller]
fn caller() -> u32 {
    Location::caller().line()
}

fn main() {
    panic::set_hook(Box::new(|info| println!("hook: {} at line {}", info.payload_as_str().unwrap_or("?"), info.location().unwrap().line())));
    let log = Rc::new(RefCell::new(Vec::new()));
    let caught = catch_unwind(AssertUnwindSafe(|| deep(&log, 6)));
    println!("{} {:?}", text(caught.unwrap_err()), log.borrow());
    let caught = catch_unwind(|| through_c(5)).unwrap_err().downcast::<Payload>().unwrap();
    println!("{caught:?} {}", *caught == Payload { code: 9, text: "payload".into() });
    let again = catch_unwind(|| {
        let inner = catch_unwind(|| panic!("inner {}", 1)).unwrap_err();
        println!("inside");
        resume_unwind(inner)
    });
    println!("{}", text(again.map(|(): ()| ()).unwrap_err()));
    for divisor in [3_i32, 0, -1] {
        let result = catch_unwind(|| i32::MIN.wrapping_add(divisor.abs() - 1) / divisor);
        println!("{divisor} {:?}", result.map_err(text));
    }
    let small = std::env::args().count() as u8;
    println!("{:?}", catch_unwind(|| small + 254 + small).map_err(text));
    println!("{:?}", catch_unwind(|| "text".parse::<u32>().unwrap()).map_err(text));
    println!("{:?}", catch_unwind(|| None::<u32>.expect("a value")).map_err(text));
    println!("{:?}", catch_unwind(|| "äöü"[1..].len()).map_err(text));
    println!("{:?}", catch_unwind(|| RefCell::new(1).try_borrow_mut().map(|value| *value).unwrap()).map_err(text));
    println!("{} {}", caller() - line!(), std::thread::panicking());
    let _ = panic::take_hook();
    println!("last");
    let _guard = Guard(log, 1);
    panic!("nobody catches this");
}
