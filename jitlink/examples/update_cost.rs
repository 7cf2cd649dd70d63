//! Replaces one function of a program again and again, and says what that takes against linking the program.
//!
//! `update_cost FIRST.o SECOND.o FUNCTIONS UPDATES`: the program is `FUNCTIONS` copies of `FIRST.o`, in which `AAAAAA` becomes the
//! copy's number and `BBBBBB` the next one's; then one copy is replaced by `SECOND.o` and by `FIRST.o` in turn, with a quiescent
//! point after each. Prints the medians: `link SECONDS`, `update SECONDS`.

use jitlink::{Input, LinkOptions, Module, Session};
use std::error::Error;
use std::time::{Duration, Instant};

/// How often the whole program is linked.
const LINKS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [first, second, functions, updates] = &arguments[..] else {
        return Err("usage: update_cost FIRST.o SECOND.o FUNCTIONS UPDATES".into());
    };
    let (first, second) = (std::fs::read(first)?, std::fs::read(second)?);
    let (functions, updates) = (functions.parse::<usize>()?, updates.parse::<usize>()?);
    let copy = |template: &[u8], number: usize| {
        let bytes = numbered(&numbered(template, b"AAAAAA", number), b"BBBBBB", (number + 1) % functions);
        Input::from_bytes(format!("copy-{number:06}.o"), bytes)
    };
    let program: Vec<Input> = (0..functions).map(|number| copy(&first, number)).collect();
    let options = LinkOptions { updatable: true, ..LinkOptions::default() };
    let session = Session::in_process()?;
    let mut links = Vec::new();
    let mut module = None;
    for _ in 0..LINKS {
        if let Some(module) = module.take() {
            Module::remove(&module)?;
        }
        let start = Instant::now();
        module = Some(session.link(&program, &options)?);
        links.push(start.elapsed());
    }
    let module = module.ok_or("nothing was linked")?;
    let changed = functions / 2;
    let mut times = Vec::new();
    for turn in 0..updates {
        let (template, expected) = if turn % 2 == 0 { (&second, 42) } else { (&first, 41) };
        let new = [copy(template, changed)];
        let start = Instant::now();
        // SAFETY: the functions of one name have one type.
        unsafe { module.update(&new) }?;
        times.push(start.elapsed());
        // SAFETY: the function was compiled from `int step(int)`.
        let step = unsafe { module.function::<extern "C" fn(i32) -> i32>(&format!("step_{changed:06}")) }?;
        if step.call(40) != expected {
            return Err(format!("update {turn} answered {}", step.call(40)).into());
        }
        // SAFETY: no thread is in the module.
        unsafe { module.reclaim() };
    }
    println!("link {}\nupdate {}", median(links).as_secs_f64(), median(times).as_secs_f64());
    Ok(())
}

/// A template with a number in place of a word of six letters.
fn numbered(template: &[u8], hole: &[u8; 6], number: usize) -> Vec<u8> {
    let mut bytes = template.to_vec();
    let name = format!("{number:06}");
    let holes: Vec<usize> = bytes.windows(6).enumerate().filter(|(_, word)| word == hole).map(|(at, _)| at).collect();
    holes.into_iter().for_each(|at| bytes[at..at + 6].copy_from_slice(name.as_bytes()));
    bytes
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
