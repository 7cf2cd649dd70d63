//! The tests of an allocator that lives on thread-local variables: jemalloc's own, of its units and as a whole.
//!
//! Each test is a program; its objects, as jemalloc's makefile compiles them, are linked and run by jitlink too. Some tests fail on
//! some machines: what counts is that both say the same.

use super::build::in_parallel;
use super::build_jitlink;
use super::fetch::fetch;
use super::run::{Outcome, run};
use crate::Result;
use crate::process::{capture, find_tool, step, target};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The crate that ships the sources.
const PACKAGE: (&str, &str) = ("tikv-jemalloc-sys", "0.6.1+5.3.0-1-ge13ca993e8ccb9ba9847cc330696e02839f328f7");

/// What the compiler is asked for besides what the makefile says.
const FLAGS: &str = "-O1 -g0";

/// What takes this long hangs.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// How each test begins its name.
const KINDS: [&str; 2] = ["test/unit/", "test/integration/"];

/// The archive that tests of the whole are linked with.
const ARCHIVE: &str = "lib/libjemalloc.a";

/// What to run and how.
pub(super) struct Plan {
    pub(super) jobs: usize,
    pub(super) jitlink: Option<PathBuf>,
    pub(super) json: bool,
}

/// A test, as the makefile links it.
struct Test {
    name: String,
    objects: Vec<String>,
}

pub(super) fn main(plan: &Plan) -> Result {
    step("conformance of allocators");
    let jitlink = match &plan.jitlink {
        Some(path) => path.clone(),
        None => build_jitlink()?,
    };
    let work = target().join("conformance/allocators");
    std::fs::create_dir_all(&work)?;
    let folder = sources(&work)?;
    let tests = build(&folder, plan.jobs)?;
    let verdicts = in_parallel(&tests, plan.jobs, |test| {
        let verdict = test.differs(&folder, &work, &jitlink).unwrap_or_else(|error| Some(error.to_string()));
        if let (Some(why), false) = (&verdict, plan.json) {
            println!("FAILS: {}: {why}", test.name);
        }
        verdict
    });
    let failed = verdicts.iter().filter(|verdict| verdict.is_some()).count();
    if plan.json {
        let tests = tests.iter().zip(&verdicts).map(|(test, differs)| json!({ "test": test.name, "differs": differs }));
        println!("{}", serde_json::to_string_pretty(&json!({ "version": 1, "tests": tests.collect::<Vec<_>>() }))?);
    } else {
        println!("conformance: {} tests of jemalloc end as they end natively, {failed} do not", tests.len() - failed);
    }
    if failed > 0 { Err(format!("{failed} of {} tests fail", tests.len()).into()) } else { Ok(()) }
}

/// A copy of the sources, configured.
fn sources(work: &Path) -> Result<PathBuf> {
    let folder = work.join("jemalloc");
    if folder.join("Makefile").is_file() {
        return Ok(folder);
    }
    let package = fetch(PACKAGE.0, PACKAGE.1, work)?;
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    capture(Command::new("cp").arg("-r").arg(package.join("jemalloc")).arg(&folder))?;
    // The crate keeps it apart.
    std::fs::copy(package.join("configure/configure"), folder.join("configure"))?;
    let mut configure = Command::new("sh");
    configure.args(["configure", "--disable-cxx", "--with-jemalloc-prefix=je_"]).env("CFLAGS", FLAGS);
    capture(configure.env("CC", "gcc").current_dir(&folder))?;
    Ok(folder)
}

/// Compiles everything; the tests, by the commands that link them.
fn build(folder: &Path, jobs: usize) -> Result<Vec<Test>> {
    if find_tool(&["make"]).is_none() {
        return Err("make is not installed".into());
    }
    let make = |what: &[&str]| capture(Command::new("make").args(what).current_dir(folder));
    let jobs = format!("-j{jobs}");
    make(&[&jobs, "build_lib_static", "tests_unit", "tests_integration"])?;
    // As if no test had been linked, so that it says how it would.
    let text = make(&[
        "-n",
        "-W",
        "test/src/test.unit.o",
        "-W",
        "test/src/test.integration.o",
        "tests_unit",
        "tests_integration",
    ])?;
    let mut tests: Vec<Test> = text.lines().filter_map(test).collect();
    tests.sort_by(|one, other| one.name.cmp(&other.name));
    tests.dedup_by(|one, other| one.name == other.name);
    if tests.is_empty() { Err("jemalloc's makefile links no test".into()) } else { Ok(tests) }
}

/// The test that a command links.
fn test(command: &str) -> Option<Test> {
    let words: Vec<&str> = command.split_whitespace().collect();
    let output = words.iter().position(|word| *word == "-o")?;
    let name = words.get(output + 1).filter(|name| KINDS.iter().any(|kind| name.starts_with(kind)))?;
    let mut objects: Vec<String> =
        words.iter().filter(|word| word.ends_with(".o")).map(|word| (*word).to_owned()).collect();
    if name.ends_with(".o") || objects.is_empty() {
        return None;
    }
    if name.starts_with(KINDS[1]) {
        objects.push(ARCHIVE.to_owned());
    }
    Some(Test { name: (*name).to_owned(), objects })
}

impl Test {
    /// How what it does under jitlink differs from what it does linked natively.
    fn differs(&self, folder: &Path, work: &Path, jitlink: &Path) -> Result<Option<String>> {
        let place = |which: &str| work.join(format!("{}-{which}", self.name.replace('/', "-")));
        let mut native = Command::new(folder.join(&self.name));
        let native = run(native.env("LD_LIBRARY_PATH", folder.join("lib")), &place("native"), TIME_LIMIT)?;
        let mut linked = Command::new(jitlink);
        linked.arg("run").args(self.objects.iter().map(|object| folder.join(object)));
        let linked = run(&mut linked, &place("jitlink"), TIME_LIMIT)?;
        if native.end != linked.end {
            return Ok(Some(format!("natively it ends with {}, under jitlink with {}", native.end, linked.end)));
        }
        let (native, linked) = (results(&native), results(&linked));
        Ok((native != linked).then(|| "its parts pass and fail otherwise than natively".to_owned()))
    }
}

/// What the test says of each of its parts, in any order.
fn results(outcome: &Outcome) -> Vec<String> {
    let text = String::from_utf8_lossy(&outcome.stdout).into_owned() + &outcome.stderr;
    let is_result = |line: &&str| [": pass", ": fail", ": skip"].iter().any(|end| line.ends_with(end));
    let mut lines: Vec<String> = text.lines().filter(is_result).map(str::to_owned).collect();
    lines.sort();
    lines
}

#[cfg(test)]
mod tests {
    use super::test;

    #[test]
    fn commands_that_link_tests_are_told_from_others() {
        let found = test("gcc -o test/unit/sz test/unit/sz.o src/sz.unit.o -pthread -lm").unwrap();
        assert_eq!((found.name.as_str(), found.objects.len()), ("test/unit/sz", 2));
        let found = test("gcc  -o test/integration/posix test/integration/posix.o lib/libjemalloc.so").unwrap();
        assert_eq!(found.objects, ["test/integration/posix.o", "lib/libjemalloc.a"]);
        assert!(test("gcc -O1 -c -o test/unit/sz.o test/unit/sz.c").is_none());
        assert!(test("mkdir -p test/unit").is_none());
    }
}
