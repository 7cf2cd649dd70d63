//! How fast programs run here, beside the interpreter of the crate `rbpf`: `cargo run --release --example speed [ROUNDS]`.
//!
//! The programs are those of `kernels/kernels.c`, compiled by `clang -O2 --target=bpf -mcpu=v3`, a section a file
//! (`llvm-objcopy -O binary --only-section=.text.hash`); the last is two instructions, for what a run costs by itself. Both machines run each of them in turn over the same bytes, so that what
//! else the computer does falls on both. A line is: program, our best time, theirs, the ratio of these, and the median of the
//! ratios of pairs.

use jitlink_arch_bpf::insn::{self, Insn};
use jitlink_bpf_vm::context::RawMemory;
use jitlink_bpf_vm::memory::Memory;
use jitlink_bpf_vm::vm::VmBuilder;
use jitlink_core::Endian;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Name, code, bytes of memory, and how many runs are one measurement.
const KERNELS: [(&str, &[u8], usize, usize); 5] = [
    ("checksum", include_bytes!("kernels/checksum.bin"), 64 << 10, 1),
    ("hash", include_bytes!("kernels/hash.bin"), 32 << 10, 1),
    ("histogram", include_bytes!("kernels/histogram.bin"), 64 << 10, 1),
    ("matrix", include_bytes!("kernels/matrix.bin"), 48 * 48 * 12, 1),
    // What a run costs by itself: r0 = 0; exit.
    ("1000 runs", &[0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0], 64, 1000),
];

fn main() -> Result<(), Box<dyn Error>> {
    let rounds = std::env::args().nth(1).map_or(Ok(31), |rounds| rounds.parse::<usize>())?.max(1);
    println!("{:10} {:>10} {:>10} {:>6} {:>6}", "program", "here", "rbpf", "best", "median");
    for (name, code, size, runs) in KERNELS {
        let pairs = measure(code, size, (rounds, runs)).map_err(|error| format!("{name}: {error}"))?;
        let best = |side: fn(&(Duration, Duration)) -> Duration| pairs.iter().map(side).min().unwrap_or_default();
        let (ours, theirs) = (best(|pair| pair.0), best(|pair| pair.1));
        let ratio = |ours: Duration, theirs: Duration| theirs.as_secs_f64() / ours.as_secs_f64();
        let mut ratios: Vec<f64> = pairs.iter().map(|pair| ratio(pair.0, pair.1)).collect();
        ratios.sort_by(f64::total_cmp);
        let median = ratios[ratios.len() / 2];
        println!("{name:10} {ours:>10.1?} {theirs:>10.1?} {:>6.2} {median:>6.2}", ratio(ours, theirs));
    }
    Ok(())
}

/// The times that both take for a program, a pair a round.
fn measure(
    code: &[u8],
    size: usize,
    (rounds, runs): (usize, usize),
) -> Result<Vec<(Duration, Duration)>, Box<dyn Error>> {
    let bytes: Vec<u8> = (0..size as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
    let words = insn::words(code, Endian::Little).ok_or("the code is not whole words")?;
    let vm = VmBuilder::new().build_raw(&words, Endian::Little)?;
    let program = &vm.programs()[0];
    // Only the address of memory is an argument there.
    let len = Insn { code: 0xb7, dst: 2, src: 0, off: 0, imm: i32::try_from(size)? };
    let prefixed = [insn::bytes(&[len], Endian::Little), code.to_vec()].concat();
    let rbpf = rbpf::EbpfVmRaw::new(Some(&prefixed))?;
    let memory = Arc::new(Memory::zeroed(size)?);
    let mut theirs = bytes.clone();
    let mut pairs = Vec::new();
    for _ in 0..rounds {
        memory.write(0, &bytes);
        theirs.copy_from_slice(&bytes);
        let start = Instant::now();
        let mut context = RawMemory::from(memory.clone());
        let mut result = 0;
        for _ in 0..runs {
            result = vm.run(program, &mut context)?;
        }
        let ours = start.elapsed();
        let start = Instant::now();
        let mut expected = 0;
        for _ in 0..runs {
            expected = rbpf.execute_program(&mut theirs)?;
        }
        pairs.push((ours, start.elapsed()));
        if result != expected || memory.to_vec(0, size) != theirs {
            return Err(format!("the results differ: {result:#x} here, {expected:#x} there").into());
        }
    }
    Ok(pairs)
}
