//! Runs bare instructions in the interpreter of the crate `rbpf`, as a side of the benchmark: `rbpf CODE MEMORY REPEAT`.
//!
//! The program gets the address and the length of the memory. Printed is what `jitlink bpf run --raw --format json` prints: what
//! the program returned at first, and the nanoseconds of a run.

use std::error::Error;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [code, memory, repeat] = words.as_slice() else { return Err("usage: rbpf CODE MEMORY REPEAT".into()) };
    let (code, mut memory, repeat) = (std::fs::read(code)?, std::fs::read(memory)?, repeat.parse::<u32>()?);
    // That machine hands over the address alone, so the program begins with r2 = length.
    let mut program = vec![0xb7, 2, 0, 0];
    program.extend(i32::try_from(memory.len())?.to_le_bytes());
    program.extend(code);
    let vm = rbpf::EbpfVmRaw::new(Some(&program))?;
    let result = vm.execute_program(&mut memory)?;
    let start = Instant::now();
    for _ in 0..repeat {
        vm.execute_program(&mut memory)?;
    }
    let nanoseconds = start.elapsed().as_secs_f64() * 1e9 / f64::from(repeat);
    println!("{{\"r0\": \"{result:#x}\", \"ns_per_run\": {nanoseconds:.1}}}");
    Ok(())
}
