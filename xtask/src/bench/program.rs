//! A large program: a compiler made of LLVM's static libraries, over 2,000 objects of over 100 MB together.
//!
//! It is linked and run, by us in one process, by static linkers in two; and linked alone, against the floor.

use super::floor;
use super::measure::{self, Side};
use super::report::{Bars, Line, Measured};
use super::rivals::{self, pair};
use super::{Plan, folder};
use crate::Result;
use crate::process::{capture, find_tool, root, run};
use std::path::{Path, PathBuf};
use std::process::Command;

const WHAT: &str = "a compiler of LLVM's static libraries, over 2,000 objects";

/// How near the floor the link has to be.
const FLOOR_BAR: f64 = 2.0;

/// What is linked.
pub(crate) struct Program {
    folder: PathBuf,
    object: PathBuf,
    archives: Vec<PathBuf>,
    /// Names of the shared libraries that the archives need.
    libraries: Vec<String>,
    compiler: PathBuf,
}

impl Program {
    /// Compiles what is not in LLVM's archives, and finds those.
    pub(crate) fn make() -> Result<Program> {
        const ABSENT: &str = "LLVM's static libraries are not installed (package llvm-22-dev)";
        let compiler = find_tool(&["clang++-22"]).ok_or("clang++-22 is not installed")?;
        let config = find_tool(&["llvm-config-22"]).ok_or(ABSENT)?;
        let ask = |what: &str| {
            Ok::<_, Box<dyn std::error::Error>>(capture(Command::new(&config).arg(what))?.trim().to_owned())
        };
        let libraries = PathBuf::from(ask("--libdir")?);
        let folder = folder("program");
        std::fs::create_dir_all(&folder)?;
        let object = folder.join("compiler.o");
        let mut command = Command::new(&compiler);
        command.args(["-O1", "-std=c++17", "-fno-rtti", "-g0", "-I", &ask("--includedir")?, "-c"]);
        run(command.arg(root().join("xtask/bench/compiler.cpp")).arg("-o").arg(&object))?;
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut archives: Vec<PathBuf> = std::fs::read_dir(&libraries)
            .map_err(|error| format!("{}: {error}", libraries.display()))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| name(path).starts_with("libLLVM") && name(path).ends_with(".a"))
            .collect();
        archives.sort();
        if archives.is_empty() {
            return Err(ABSENT.into());
        }
        Ok(Program { libraries: needed(&libraries)?, folder, object, archives, compiler })
    }

    fn inputs(&self) -> Vec<String> {
        [&self.object].into_iter().chain(&self.archives).map(|path| path.to_string_lossy().into_owned()).collect()
    }

    /// Our command.
    pub(crate) fn ours(&self, jitlink: &Path, what: &str) -> Vec<String> {
        let libraries = ["stdc++".to_owned()].into_iter().chain(self.libraries.iter().map(|name| format!(":{name}")));
        let libraries = libraries.flat_map(|name| ["-l".to_owned(), name]);
        rivals::command(jitlink, &[what], &self.inputs()).into_iter().chain(libraries).collect()
    }

    /// The program that another linker links, and its command: the one that the compiler calls, without the compiler.
    pub(crate) fn theirs(&self, linker: &str) -> Result<(String, Vec<String>)> {
        let program = self.folder.join(format!("by-{linker}")).to_string_lossy().into_owned();
        let mut command = Command::new(&self.compiler);
        command.arg("-###").arg(format!("-fuse-ld={linker}")).args(["-Wl,--gc-sections", "-o", &program]);
        command.arg("-Wl,--start-group").args(self.inputs()).arg("-Wl,--end-group");
        command.args(self.libraries.iter().map(|name| format!("-l:{name}")));
        let output = command.output().map_err(|error| format!("{}: {error}", self.compiler.display()))?;
        let told = String::from_utf8_lossy(&output.stderr);
        let line =
            told.lines().rev().find(|line| line.starts_with(" \"")).ok_or("the compiler does not say how it links")?;
        Ok((program, line.split('"').skip(1).step_by(2).map(str::to_owned).collect()))
    }
}

/// The libraries that LLVM's own shared library needs, without those of the compiler and the C library.
fn needed(libraries: &Path) -> Result<Vec<String>> {
    let reader = find_tool(&["readelf", "llvm-readelf-22"]).ok_or("readelf is not installed (package binutils)")?;
    let text = capture(Command::new(reader).arg("-d").arg(libraries.join("libLLVM.so")))?;
    let names = text.lines().filter(|line| line.contains("(NEEDED)"));
    let names = names.filter_map(|line| Some(line.split_once('[')?.1.split_once(']')?.0.to_owned()));
    let own =
        ["libc.so", "libm.so", "libstdc++.so", "libgcc_s.so", "ld-linux", "libpthread.so", "libdl.so", "librt.so"];
    Ok(names.filter(|name| !own.iter().any(|own| name.starts_with(own))).collect())
}

/// The program against each static linker that is here, and against the floor.
pub(crate) fn compare(plan: &Plan) -> Result<Vec<Line>> {
    let program = Program::make()?;
    let run = program.ours(&plan.jitlink, "run");
    let mut lines = Vec::new();
    let linkers: [(&str, &str, &[&str], bool); 2] =
        [("mold", "mold", &["mold"], false), ("lld", "ld.lld", &["ld.lld", "ld.lld-22"], true)];
    for (linker, shown, tools, knows_usage) in linkers {
        if find_tool(tools).is_none() {
            eprintln!("bench: {shown} is not installed, its row is skipped");
            continue;
        }
        eprintln!("program: against {shown}");
        let (linked, link) = program.theirs(linker)?;
        let sides = [Side { commands: vec![run.clone()] }, Side { commands: vec![link, vec![linked]] }];
        lines.push(line(&sides, plan, shown, knows_usage, 1.0));
    }
    eprintln!("program: against the floor");
    let link = program.ours(&plan.jitlink, "link");
    let copy = floor::command(&link, &program.inputs())?;
    let sides = [Side { commands: vec![link] }, Side { commands: vec![copy] }];
    lines.push(line(&sides, plan, "floor", true, FLOOR_BAR));
    Ok(lines)
}

fn line(sides: &[Side], plan: &Plan, against: &str, knows_usage: bool, bar: f64) -> Line {
    let (results, rounds) = measure::compare(sides, plan.time);
    Line {
        row: "program".into(),
        what: WHAT.into(),
        against: against.into(),
        measured: pair(results).map(|(ours, theirs)| Measured { ours, theirs, knows_usage, rounds }),
        bars: Bars { time: Some(bar), memory: None, cpu: None },
    }
}
