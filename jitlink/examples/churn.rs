//! Links and removes one module after another, and says what the first and the last tenth of them took.
//!
//! `churn HOST.o MODULE.o COUNT [keep]`: the host stays linked and the modules use it. Each time `AAAAAA` in the module's bytes
//! becomes another name of that length, so that nothing can be found under a name of before. Prints
//! `first SECONDS CPU-SECONDS KIB` and the same for `last`; the memory is what the process holds at the tenth's end. With `keep` the
//! modules stay until all are linked, and are removed then, the oldest first.

use jitlink::{Input, LinkOptions, Module, Session};
use std::error::Error;
use std::path::Path;
use std::time::Instant;

/// What becomes another name each time.
const HOLE: &[u8] = b"AAAAAA";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (host, module, count, keep) = match &arguments[..] {
        [host, module, count] => (host, module, count, false),
        [host, module, count, keep] if keep == "keep" => (host, module, count, true),
        _ => return Err("usage: churn HOST.o MODULE.o COUNT [keep]".into()),
    };
    let count: usize = count.parse()?;
    let session = Session::in_process()?;
    let options = LinkOptions::default();
    let _host = session.link(&[Input::open(host)?], &options)?;
    let template = std::fs::read(Path::new(module))?;
    let holes: Vec<usize> =
        template.windows(HOLE.len()).enumerate().filter(|(_, bytes)| *bytes == HOLE).map(|(at, _)| at).collect();

    let tenth = (count / 10).max(1);
    let mut start = Figures::now()?;
    let mut first = None;
    let mut kept = Vec::new();
    for number in 0..count {
        if number == count - tenth {
            start = Figures::now()?;
        }
        let module = link_and_call(&session, &template, &holes, number, &options)?;
        if keep {
            kept.push(module)
        } else {
            module.remove()?
        }
        if number + 1 == tenth {
            first = Some(Figures::now()?.since(&start));
        }
    }
    let last = Figures::now()?.since(&start);
    for module in kept {
        module.remove()?;
    }
    println!("first {}\nlast {last}", first.ok_or("nothing was linked")?);
    Ok(())
}

/// One turn: the module's initialisers run, and its function is called.
fn link_and_call(
    session: &Session,
    template: &[u8],
    holes: &[usize],
    number: usize,
    options: &LinkOptions,
) -> Result<Module, Box<dyn Error>> {
    let name = format!("{number:06}");
    let mut bytes = template.to_vec();
    holes.iter().for_each(|at| bytes[*at..*at + HOLE.len()].copy_from_slice(name.as_bytes()));
    let module = session.link(&[Input::from_bytes(format!("module-{name}.o"), bytes)], options)?;
    // SAFETY: the module was compiled from C whose initialisers are sound, and nothing of it runs when it is removed.
    unsafe { module.initialise() }?;
    // SAFETY: the function was compiled from `int step(int)`.
    let step = unsafe { module.function::<extern "C" fn(i32) -> i32>(&format!("step_{name}")) }?;
    let result = step.call(40);
    if result != 42 {
        return Err(format!("module {number} answered {result}").into());
    }
    drop(step);
    Ok(module)
}

/// What the process has used so far.
struct Figures {
    time: Instant,
    cpu: f64,
    memory: u64,
}

impl Figures {
    fn now() -> Result<Figures, Box<dyn Error>> {
        let stat = std::fs::read_to_string("/proc/self/stat")?;
        // The second field is the program's name in parentheses, which may hold anything.
        let (_, fields) = stat.rsplit_once(") ").ok_or("a process without a state")?;
        let ticks = |number: usize| fields.split(' ').nth(number).and_then(|ticks| ticks.parse::<f64>().ok());
        let cpu = ticks(11).zip(ticks(12)).map(|(user, system)| (user + system) / 100.0);
        let status = std::fs::read_to_string("/proc/self/status")?;
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let memory = memory.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        Ok(Figures { time: Instant::now(), cpu: cpu.ok_or("no CPU time")?, memory: memory.ok_or("no memory in use")? })
    }

    fn since(&self, start: &Figures) -> String {
        format!("{:.6} {:.2} {}", (self.time - start.time).as_secs_f64(), self.cpu - start.cpu, self.memory)
    }
}
