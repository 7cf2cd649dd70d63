//! `jitlink run --profile`: what perf is told of linked code, and what it makes of it.

use super::super::support::{C_COMPILERS, Folder, Outcome, find, jitlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// About a second.
const ROUNDS: &str = "400000000";

/// The program, and the number of its process and the address of its hot function as it says them.
fn folder(compiler: &Path, flags: &str) -> Folder {
    let folder = Folder::new();
    std::fs::copy(super::source("profile.c"), folder.path("profile.c")).unwrap();
    folder.tool(compiler, &format!("{flags} -c profile.c"));
    folder
}

fn said(outcome: &Outcome) -> (String, u64) {
    assert_eq!(outcome.status, 0, "{outcome:?}");
    let line = outcome.stdout.lines().find(|line| line.contains(" 0x")).unwrap();
    let (process, address) = line.split_once(" 0x").unwrap();
    (process.to_string(), u64::from_str_radix(address, 16).unwrap())
}

/// The map of a process, removed with this.
struct Map(PathBuf);

impl Map {
    fn of(process: &str) -> Map {
        Map(format!("/tmp/perf-{process}.map").into())
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn files_name_the_functions_of_the_program() {
    for compiler in C_COMPILERS.iter().filter_map(|names| find(names)) {
        let folder = folder(&compiler, "-O2 -g");
        let (process, address) = said(&folder.jitlink("run --profile map profile.o"));
        let map = Map::of(&process);
        let text = std::fs::read_to_string(&map.0).unwrap();
        let names: Vec<&str> = text.lines().map(|line| line.splitn(3, ' ').nth(2).unwrap()).collect();
        assert!(["main", "hot_function", "hot_caller"].iter().all(|name| names.contains(name)), "{text}");
        assert!(text.lines().any(|line| line.starts_with(&format!("{address:x} ")) && line.ends_with(" hot_function")));

        let (process, _) = said(&folder.jitlink("run --profile jitdump profile.o"));
        let dump = folder.read(&format!("jit-{process}.dump"));
        assert_eq!(dump[..4], 0x4a69_5444_u32.to_ne_bytes());
        let holds = |text: &str| dump.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(holds("hot_function\0") && holds("profile.c\0"));
        std::fs::create_dir(folder.path("dumps")).unwrap();
        let mut command = jitlink(["run", "--profile", "jitdump", "profile.o"]);
        let (process, _) = said(&Outcome::of(command.current_dir(folder.path("")).env("JITDUMPDIR", "dumps")));
        assert!(folder.path(&format!("dumps/jit-{process}.dump")).exists());
        // Without the option there is neither.
        let (process, _) = said(&folder.jitlink("run profile.o"));
        assert!(!folder.path(&format!("jit-{process}.dump")).exists() && !Map::of(&process).0.exists());
    }
}

#[test]
fn profiles_that_cannot_be_are_refused() {
    let Some(compiler) = find(C_COMPILERS[0]) else { return };
    let folder = folder(&compiler, "-O2");
    let outcome = folder.jitlink("run --profile map --debug profile.o");
    assert!(outcome.errors().contains("use --profile jitdump"), "{outcome:?}");
    let mut command = jitlink(["run", "--profile", "jitdump", "profile.o"]);
    let outcome = Outcome::of(command.current_dir(folder.path("")).env("JITDUMPDIR", "missing"));
    assert!(outcome.errors().contains("cannot make the profile"), "{outcome:?}");
}

/// The profiler, if this machine lets it look; says why not.
fn perf(folder: &Folder) -> Option<PathBuf> {
    let perf = find(&["perf"])?;
    let outcome = folder.command(&perf, "record -k mono -e cpu-clock -o probe.data true");
    if outcome.status != 0 {
        eprintln!("skipped in part: perf may not record here: {}", outcome.stderr.trim());
        return None;
    }
    Some(perf)
}

fn record(folder: &Folder, perf: &Path, how: &str, profile: &str) -> (String, u64) {
    let recording = format!("record -k mono -e cpu-clock {how} -o perf.data");
    let mut command = Command::new(perf);
    command.args(recording.split_whitespace()).arg(env!("CARGO_BIN_EXE_jitlink"));
    command.args(["run", "--profile", profile, "profile.o", "--", ROUNDS]);
    said(&Outcome::of(command.current_dir(folder.path(""))))
}

fn tell(folder: &Folder, perf: &Path, words: &str) -> String {
    let outcome = folder.command(perf, words);
    assert_eq!(outcome.status, 0, "{words}: {outcome:?}");
    outcome.stdout
}

/// How many samples were in functions of this name, and how many there are.
fn samples(script: &str, name: &str) -> (usize, usize) {
    let names = script.lines().filter_map(|line| line.split_whitespace().nth(1));
    (names.clone().filter(|sample| *sample == name).count(), names.count())
}

#[test]
fn perf_finds_names_in_the_map() {
    let Some(compiler) = find(C_COMPILERS[0]) else { return };
    let folder = folder(&compiler, "-O2");
    let Some(perf) = perf(&folder) else { return };
    let (process, _) = record(&folder, &perf, "", "map");
    let _map = Map::of(&process);
    let (hot, all) = samples(&tell(&folder, &perf, "script -i perf.data -F ip,sym"), "hot_function");
    assert!(hot > 10 && hot * 2 > all, "{hot} of {all}");
}

#[test]
fn perf_makes_files_of_a_dump() {
    let Some(compiler) = find(C_COMPILERS[0]) else { return };
    let folder = folder(&compiler, "-O2 -g -fno-omit-frame-pointer -mno-omit-leaf-frame-pointer");
    let Some(perf) = perf(&folder) else { return };
    record(&folder, &perf, "--call-graph fp", "jitdump");
    tell(&folder, &perf, "inject --jit -i perf.data -o jit.data");
    let (hot, all) = samples(&tell(&folder, &perf, "script -i jit.data -G -F ip,sym"), "hot_function");
    assert!(hot > 10 && hot * 2 > all, "{hot} of {all}");
    // Frames lead to the callers.
    let frames = tell(&folder, &perf, "script -i jit.data -F ip,sym");
    let stacks: Vec<Vec<&str>> = frames
        .split("\n\n")
        .map(|stack| stack.lines().filter_map(|frame| frame.split_whitespace().nth(1)).collect())
        .collect();
    let in_hot = stacks.iter().filter(|stack| stack.first() == Some(&"hot_function"));
    let called = stacks.iter().filter(|stack| stack.first() == Some(&"hot_function") && stack.contains(&"main"));
    let (in_hot, called) = (in_hot.count(), called.count());
    assert!(called * 2 > in_hot, "{called} of {in_hot}\n{}", &frames[..frames.len().min(2000)]);
    // Lines and unwind records are in the file of the function, and mean its code there.
    let Some(readelf) = find(&["readelf"]) else { return };
    let files =
        std::fs::read_dir(folder.path("")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let shown: Vec<String> = files
        .filter(|name| name.ends_with(".so"))
        .map(|name| tell(&folder, &readelf, &format!("-sW --debug-dump=decodedline,frames {name}")))
        .collect();
    let shown = shown.iter().find(|shown| shown.contains(" hot_function\n")).expect("a file of the function");
    let fde = shown.lines().find(|line| line.contains("FDE")).expect("an unwind record");
    let symbol = shown.lines().find(|line| line.ends_with(" hot_function")).expect("a symbol");
    let start = symbol.split_whitespace().nth(1).expect("an address");
    assert!(fde.contains(&format!("pc={start}..")), "{fde} {symbol}");
    assert!(shown.contains("profile.c") && shown.contains(&format!("0x{}", start.trim_start_matches('0'))), "{shown}");
}
