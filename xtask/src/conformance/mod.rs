//! Real programs, linked by `ld` and by jitlink from the same objects, must print the same and end the same.
//!
//! Each code base is compiled by each compiler in each variant, with a driver of ours that gives it substantial and
//! deterministic work. `ld`'s program is the reference; `jitlink run` of the same objects is compared with it byte for
//! byte. Sources are downloaded at test time and never committed; objects are kept under the target folder, so that a
//! second run only links. BPF objects, whose reference is libbpf and the kernel, are in [`bpf`]; small programs in every way
//! to compile them are in [`native`]; the tests of an allocator are in [`allocators`]; a program of thousands of objects is in
//! [`large`].

mod allocators;
mod bases;
mod bpf;
mod build;
mod fetch;
pub(crate) mod foreign;
mod image;
mod large;
mod machines;
mod musl;
mod native;
mod run;

use crate::process::{capture, cargo, find_tool, in_ci, run as run_command, step, target};
use crate::{Args, Result};
use bases::{BASES, Base, SAMPLE_BASES, SAMPLE_VARIANTS, VARIANTS, Variant};
use build::{Compiler, in_parallel};
pub(crate) use fetch::fetch;
use run::{Case, CaseResult, Verdict};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const OPTIONS: &str =
    "  --bpf                 instead: BPF objects of real projects, shipped by Debian or compiled from crates. What jitlink
                        links of them has to load into the kernel as libbpf loads the objects (bpftool, as root).
                        Of the options below it takes --only, --sample, --jobs, --jitlink and --format
  --native              instead: small programs in C, C++ and Rust about what linkers and run-time libraries do (variables
                        of threads, exceptions, initialisers, …), at all levels and code models. Of the options below it
                        takes all but --reference-only
  --allocators          instead: jemalloc's own tests, which live on variables of threads, against themselves linked natively.
                        Of the options below it takes --jobs, --jitlink and --format
  --large               instead: a compiler made of LLVM's static libraries (package llvm-22-dev), over 2,000 objects.
                        Of the options below it takes --jitlink
  --foreign             instead: programs of --native and code bases on other machines, under an emulator, against that machine's
                        own linker (--machines ppc64le,ppc64,ppc64-elfv2,ppc32,windows; without the option all; ppc64-elfv2 has
                        musl from zig: pip install ziglang). Of the options below it takes --only (of either kind), --variants,
                        --compilers, --sample, --jobs and --jitlink
  --only NAMES          some of the code bases, with --bpf of the projects, with --native of the programs, with commas
  --variants NAMES      some of the variants, with commas (O0, O2, O3, Os, fPIC, fno-pic, ffunction-sections,
                        mcmodel=large, mcmodel=large-fPIC); with --native they are options ('-O2 -fPIC')
  --compilers NAMES     some of gcc, clang and, with --native, rustc (without the option all)
  --sample              what CI runs: two code bases, four variants; with --bpf and --native a few cases too
  --jobs N              compile and run N at once (default: one a core)
  --jitlink PATH        use this jitlink instead of building the one here
  --reference-only      link and run by ld alone, to check the cases themselves
  --format json         a report for programs
";

/// What to run and how.
struct Plan {
    bases: Vec<&'static Base>,
    variants: Vec<&'static Variant>,
    compilers: Vec<Compiler>,
    jobs: usize,
    /// `None` runs the references alone.
    jitlink: Option<PathBuf>,
    json: bool,
}

pub(crate) fn main(mut args: Args) -> Result {
    if args.flag("--bpf") {
        return bpf_main(args);
    }
    if args.flag("--allocators") {
        return allocators_main(args);
    }
    if args.flag("--native") {
        return native_main(args);
    }
    if args.flag("--foreign") {
        return foreign::main(args, cores());
    }
    if args.flag("--large") {
        let jitlink = args.value("--jitlink")?.map(|path| there(&path)).transpose()?;
        args.finish()?;
        return large::main(jitlink);
    }
    let (mut only, mut variants) = (args.list("--only")?, args.list("--variants")?);
    let compilers = args.list("--compilers")?;
    if args.flag("--sample") {
        (only, variants) = sample_names();
    }
    let jobs = args.number("--jobs")?;
    let jitlink = args.value("--jitlink")?;
    let reference_only = args.flag("--reference-only");
    let json = args.json()?;
    args.finish()?;
    let mut plan = plan(&only, &variants, &compilers)?;
    plan.jobs = jobs.unwrap_or(plan.jobs);
    plan.json = json;
    plan.jitlink = match jitlink {
        _ if reference_only => None,
        Some(path) => Some(there(&path)?),
        None => Some(build_jitlink()?),
    };
    run_plan(&plan)
}

fn there(path: &str) -> Result<PathBuf> {
    Ok(Path::new(path).canonicalize().map_err(|error| format!("{path}: {error}"))?)
}

fn bpf_main(mut args: Args) -> Result {
    let only = if args.flag("--sample") { bpf::sample_names() } else { args.list("--only")? };
    let jobs = args.number("--jobs")?.unwrap_or_else(cores);
    let jitlink = args.value("--jitlink")?.map(|path| there(&path)).transpose()?;
    let json = args.json()?;
    args.finish()?;
    bpf::main(&bpf::Plan { only, jobs, jitlink, json })
}

fn native_main(mut args: Args) -> Result {
    let (only, variants) = match args.flag("--sample") {
        true => native::sample_names(),
        false => (args.list("--only")?, args.list("--variants")?),
    };
    let compilers = args.list("--compilers")?;
    let jobs = args.number("--jobs")?.unwrap_or_else(cores);
    let jitlink = args.value("--jitlink")?.map(|path| there(&path)).transpose()?;
    let json = args.json()?;
    args.finish()?;
    native::main(&native::Plan { only, variants, compilers, jobs, jitlink, json, machine: None })
}

fn allocators_main(mut args: Args) -> Result {
    let jobs = args.number("--jobs")?.unwrap_or_else(cores);
    let jitlink = args.value("--jitlink")?.map(|path| there(&path)).transpose()?;
    let json = args.json()?;
    args.finish()?;
    allocators::main(&allocators::Plan { jobs, jitlink, json })
}

/// What CI runs within the tests.
pub(crate) fn sample() -> Result {
    let (only, variants) = sample_names();
    let mut plan = plan(&only, &variants, &[])?;
    let jitlink = build_jitlink()?;
    plan.jitlink = Some(jitlink.clone());
    run_plan(&plan)?;
    let (only, variants) = native::sample_names();
    let (compilers, jitlink_path) = (Vec::new(), Some(jitlink.clone()));
    let (jobs, json, machine) = (cores(), false, None);
    native::main(&native::Plan { only, variants, compilers, jobs, jitlink: jitlink_path, json, machine })?;
    foreign::sample(jobs, &jitlink)?;
    bpf::main(&bpf::Plan { only: bpf::sample_names(), jobs: cores(), jitlink: Some(jitlink), json: false })
}

/// How many cases run at once where nobody says it.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

fn sample_names() -> (Vec<String>, Vec<String>) {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    (owned(SAMPLE_BASES), owned(SAMPLE_VARIANTS))
}

/// The plan for what is named; an empty list stands for all.
fn plan(only: &[String], variants: &[String], compilers: &[String]) -> Result<Plan> {
    Ok(Plan { compilers: installed(COMPILERS, compilers)?, ..chosen(only, variants)? })
}

/// The same without compilers.
fn chosen(only: &[String], variants: &[String]) -> Result<Plan> {
    Ok(Plan {
        bases: pick(BASES, only, |base| base.name, "code base")?,
        variants: pick(VARIANTS, variants, |variant| variant.name, "variant")?,
        compilers: Vec::new(),
        jobs: cores(),
        jitlink: None,
        json: false,
    })
}

fn pick<T>(all: &'static [T], names: &[String], name: fn(&T) -> &'static str, what: &str) -> Result<Vec<&'static T>> {
    if let Some(unknown) = names.iter().find(|wanted| all.iter().all(|item| name(item) != wanted.as_str())) {
        let known: Vec<&str> = all.iter().map(name).collect();
        return Err(format!("there is no {what} `{unknown}`; there are {}", known.join(", ")).into());
    }
    Ok(all.iter().filter(|item| names.is_empty() || names.iter().any(|wanted| wanted == name(item))).collect())
}

/// Compilers by the name that they have here, with those that they may be installed under.
type Known = &'static [(&'static str, &'static [&'static str])];

/// The compilers of code bases; of C++ too, which another command links.
const COMPILERS: Known = &[("gcc", &["gcc"]), ("clang", &["clang-22", "clang"])];

/// The wanted ones of some compilers that are here; in CI all have to be.
fn installed(known: Known, wanted: &[String]) -> Result<Vec<Compiler>> {
    let mut compilers = Vec::new();
    for &(name, tools) in known {
        if !wanted.is_empty() && wanted.iter().all(|wanted| wanted != name) {
            continue;
        }
        match find_tool(tools) {
            Some(path) => {
                let version = capture(Command::new(&path).arg("--version"))?;
                let version = version.lines().next().unwrap_or_default().to_owned();
                compilers.push(Compiler { name, path, arguments: Vec::new(), version, machine: None, library: None });
            }
            None if in_ci() => return Err(format!("{name} is not installed, and CI skips no test").into()),
            None => eprintln!("conformance: {name} is not installed, its cases are skipped (try `cargo xtask setup`)"),
        }
    }
    if compilers.is_empty() {
        return Err("there is no compiler here".into());
    }
    Ok(compilers)
}

/// Builds the command as users get it.
pub(crate) fn build_jitlink() -> Result<PathBuf> {
    run_command(&mut cargo(&["build", "--release", "--package", "jitlink-cli"]))?;
    let built = target().join("release/jitlink");
    if !built.is_file() {
        return Err(format!("{} is not built", built.display()).into());
    }
    Ok(built)
}

fn run_plan(plan: &Plan) -> Result {
    step("conformance");
    let mut report = Vec::new();
    let (mut passed, mut failed) = (0, 0);
    for base in &plan.bases {
        let (lines, results) = run_base(plan, base).map_err(|error| format!("{}: {error}", base.name))?;
        if !plan.json {
            println!("{} ({} {}, {}, {lines} lines)", base.name, base.package, base.version, base.language.name());
        }
        for result in &results {
            match &result.verdict {
                Verdict::Same | Verdict::ReferenceOnly => passed += 1,
                Verdict::BadReference(_) | Verdict::Differs(_) => failed += 1,
            }
            match plan.json {
                true => report.push(as_json(base, lines, result)),
                false => println!("{}", as_row(result)),
            }
        }
    }
    if plan.json {
        println!("{}", serde_json::to_string_pretty(&json!({ "version": 1, "cases": report }))?);
    } else {
        let what = if plan.jitlink.is_some() { "are the same as by ld" } else { "run when linked by ld" };
        println!("conformance: {passed} cases {what}, {failed} not");
    }
    if failed > 0 {
        return Err(format!("{failed} of {} cases fail", passed + failed).into());
    }
    Ok(())
}

/// Compiles and runs all cases of one base: how many lines the compiler read, and the results.
fn run_base(plan: &Plan, base: &'static Base) -> Result<(usize, Vec<CaseResult>)> {
    let work = target().join("conformance").join(base.name);
    std::fs::create_dir_all(&work)?;
    let package = fetch(base.package, base.version, &work)?.canonicalize()?;
    let mut cases = Vec::new();
    for compiler in &plan.compilers {
        for variant in &plan.variants {
            let folder = work.join(format!("{}-{}", compiler.name, variant.name));
            std::fs::create_dir_all(&folder)?;
            let units = build::units(base, &package, compiler, variant, &folder)?;
            cases.push((Case { base, compiler, variant, units }, folder));
        }
    }
    let units: Vec<_> = cases.iter().flat_map(|(case, _)| &case.units).collect();
    eprintln!("{}: {} objects in {} cases", base.name, units.len(), cases.len());
    in_parallel(&units, plan.jobs, |unit| unit.compile().map_err(|error| error.to_string()))
        .into_iter()
        .collect::<std::result::Result<Vec<()>, String>>()?;
    let lines = cases.first().map_or(0, |(case, _)| build::lines(&case.units));
    let results = in_parallel(&cases, plan.jobs, |(case, folder)| case.run(folder, plan.jitlink.as_deref()));
    Ok((lines, results))
}

fn as_row(result: &CaseResult) -> String {
    let verdict = match &result.verdict {
        Verdict::Same => "same".to_owned(),
        Verdict::ReferenceOnly => "reference runs".to_owned(),
        Verdict::BadReference(why) => format!("BAD REFERENCE: {why}"),
        Verdict::Differs(why) => format!("DIFFERS: {why}"),
    };
    format!(
        "  {:6} {:20} {:4} objects {:7.2} s by ld {:7.2} s by jitlink  {verdict}",
        result.compiler,
        result.variant,
        result.objects,
        result.reference_time.as_secs_f64(),
        result.jitlink_time.as_secs_f64()
    )
}

fn as_json(base: &Base, lines: usize, result: &CaseResult) -> serde_json::Value {
    let (verdict, detail) = match &result.verdict {
        Verdict::Same => ("same", None),
        Verdict::ReferenceOnly => ("reference-only", None),
        Verdict::BadReference(why) => ("bad-reference", Some(why)),
        Verdict::Differs(why) => ("differs", Some(why)),
    };
    json!({
        "base": base.name,
        "package": base.package,
        "package_version": base.version,
        "language": base.language.name(),
        "lines": lines,
        "compiler": result.compiler,
        "variant": result.variant,
        "objects": result.objects,
        "reference_seconds": result.reference_time.as_secs_f64(),
        "jitlink_seconds": result.jitlink_time.as_secs_f64(),
        "verdict": verdict,
        "detail": detail,
    })
}
