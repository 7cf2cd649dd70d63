//! The main job on real input, for somebody who has just cloned the repository: compiles the program of several objects in
//! `examples/calculator` on the spot, then links and runs it in one process, without an executable in between.

use crate::process::{cargo, find_tool, root, run, target};
use crate::{Args, Result};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const OPTIONS: &str = "  -- ARGS   lines for the calculator instead of the ones shown here
";

/// What the calculator is asked where nothing else is asked.
const LINES: &[&str] = &[
    "square(x) = x ^ 2",
    "square(12) + 1",
    "fib(n) = if(n < 2, n, fib(n - 1) + fib(n - 2))",
    "fib(20)",
    "radius = 2.5",
    "pi * square(radius)",
];

pub(crate) fn main(args: Args) -> Result {
    let given = args.finish()?;
    let cc = find_tool(&["cc", "gcc", "clang"]).ok_or("there is no C compiler (try `cargo xtask setup`)")?;
    let folder = target().join("demo");
    std::fs::create_dir_all(&folder)?;
    let mut objects = Vec::new();
    for source in sources()? {
        let object = from_root(&folder.join(source.with_extension("o").file_name().unwrap_or_default()));
        say_and_run(Command::new(&cc).args(["-O2", "-c"]).arg(&source).arg("-o").arg(&object))?;
        objects.push(object);
    }
    say_and_run(&mut cargo(&["build", "--release", "--package", "jitlink-cli"]))?;
    let mut jitlink = Command::new(from_root(&target().join("release/jitlink")));
    jitlink.args(["run", "--time"]).args(&objects).args(["-l", "m", "--"]);
    match given.is_empty() {
        true => jitlink.args(LINES),
        false => jitlink.args(&given),
    };
    say_and_run(&mut jitlink)
}

/// A path as it is shortest from the root, where the commands run.
fn from_root(path: &Path) -> PathBuf {
    path.strip_prefix(root()).unwrap_or(path).to_path_buf()
}

/// The program's sources, in order, relative to the root.
fn sources() -> Result<Vec<PathBuf>> {
    let folder = PathBuf::from("examples/calculator");
    let names = std::fs::read_dir(root().join(&folder))?.map(|entry| Ok(folder.join(entry?.file_name())));
    let mut sources = names.collect::<Result<Vec<PathBuf>>>()?;
    sources.retain(|path| path.extension().is_some_and(|extension| extension == "c"));
    sources.sort();
    // The program goes by the name of its first object.
    sources.sort_by_key(|path| !path.ends_with("main.c"));
    Ok(sources)
}

/// Runs a command in the root, after showing it as a person would type it.
fn say_and_run(command: &mut Command) -> Result {
    let program = Path::new(command.get_program());
    let name = if program.starts_with("target") { Some(program.as_os_str()) } else { program.file_name() };
    let quoted = |word: &OsStr| match word.to_string_lossy() {
        plain if plain.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_./".contains(letter)) => {
            plain.into_owned()
        }
        other => format!("'{other}'"),
    };
    let words: Vec<String> = name.into_iter().chain(command.get_args()).map(quoted).collect();
    eprintln!("$ {}", words.join(" "));
    run(command.current_dir(root()))
}
