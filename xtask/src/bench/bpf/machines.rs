//! The machines that programs are run in: ours, the interpreter of the crate `rbpf`, and uBPF's.
//!
//! Each is a program that takes code, memory and a number of runs, and prints what `jitlink bpf run --format json` prints.
//! uBPF is written in C; its sources come with a crate and are compiled here with the flags of its own build.

use crate::Result;
use crate::bench::{Plan, folder};
use crate::conformance::fetch;
use crate::process::{capture, cargo, find_tool, root, run, target};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The crate that ships uBPF's sources, and its version.
const UBPF: (&str, &str) = ("libubpf-sys", "0.9.611");

/// What of it is compiled.
const UBPF_SOURCES: [&str; 7] = [
    "ubpf_instruction_valid.c",
    "ubpf_jit.c",
    "ubpf_jit_arm64.c",
    "ubpf_jit_support.c",
    "ubpf_jit_x86_64.c",
    "ubpf_loader.c",
    "ubpf_vm.c",
];

/// A machine, and the program that runs code in it.
pub(super) struct Machine {
    pub(super) name: &'static str,
    program: PathBuf,
    kind: MachineKind,
}

#[derive(Clone, Copy)]
enum MachineKind {
    Ours,
    Other,
}

/// Ours, and those of the others that can be had here; what cannot is said.
pub(super) fn find(plan: &Plan) -> Result<Vec<Machine>> {
    let mut machines = vec![Machine { name: "jitlink", program: plan.jitlink.clone(), kind: MachineKind::Ours }];
    for (name, program) in [("rbpf", rbpf()), ("uBPF", ubpf())] {
        match program {
            Ok(program) => machines.push(Machine { name, program, kind: MachineKind::Other }),
            Err(error) => eprintln!("bench: {name} cannot be had, its rows are skipped: {error}"),
        }
    }
    Ok(machines)
}

impl Machine {
    /// The command line that runs code on memory, `repeat` times.
    pub(super) fn command(&self, code: &Path, memory: &Path, repeat: usize) -> Vec<String> {
        let (program, code) = (self.program.display().to_string(), code.display().to_string());
        let (memory, repeat) = (memory.display().to_string(), repeat.to_string());
        match self.kind {
            MachineKind::Other => vec![program, code, memory, repeat],
            MachineKind::Ours => {
                let mut words = vec![program];
                words.extend(["bpf", "run", "--format", "json", "--raw"].map(str::to_owned));
                words.extend([code, format!("--memory=@{memory}"), "--repeat".to_owned(), repeat]);
                words
            }
        }
    }
}

fn rbpf() -> Result<PathBuf> {
    run(&mut cargo(&["build", "--release", "--package", "xtask", "--bin", "rbpf"]))?;
    Ok(target().join("release/rbpf"))
}

fn ubpf() -> Result<PathBuf> {
    let work = folder("ubpf");
    std::fs::create_dir_all(&work)?;
    let (package, version) = UBPF;
    let sources = fetch(package, version, &work)?.join("ubpf/vm");
    // Its own build writes this file, with what it finds out about the machine.
    std::fs::write(work.join("ubpf_config.h"), "#define UBPF_HAS_ELF_H\n")?;
    let compiler = find_tool(&["gcc", "clang-22", "clang"]).ok_or("there is no compiler here")?;
    let program = work.join("ubpf");
    let mut command = Command::new(compiler);
    command.args(["-O2", "-DNDEBUG", "-w", "-I"]).arg(&work).arg("-I").arg(sources.join("inc"));
    command.arg(root().join("xtask/bench/ubpf.c")).args(UBPF_SOURCES.map(|source| sources.join(source)));
    capture(command.arg("-lm").arg("-o").arg(&program))?;
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_take_the_same_in_their_own_words() {
        let words = |kind| {
            let machine = Machine { name: "m", program: "/m".into(), kind };
            machine.command(Path::new("c.bin"), Path::new("m.bin"), 7).join(" ")
        };
        assert_eq!(words(MachineKind::Other), "/m c.bin m.bin 7");
        assert_eq!(words(MachineKind::Ours), "/m bpf run --format json --raw c.bin --memory=@m.bin --repeat 7");
    }
}
