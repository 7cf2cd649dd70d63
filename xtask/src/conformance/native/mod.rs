//! Programs in C, C++ and Rust that use what linkers and run-time libraries have to get right, compiled in every way that
//! compilers offer: under jitlink they print what they print when the compiler links them, and end as they end then.

mod case;
mod programs;
mod variants;

use super::build::{Compiler, in_parallel};
use super::foreign::Machine;
use super::{Known, build_jitlink, installed};
use crate::Result;
use crate::process::{step, target};
use case::{Case, Verdict};
pub(super) use programs::Language;
use programs::{PROGRAMS, Program};
use serde_json::json;
use std::path::PathBuf;
pub(super) use variants::MODELS;

/// What to run and how; empty lists stand for all.
pub(super) struct Plan {
    pub(super) only: Vec<String>,
    pub(super) variants: Vec<String>,
    pub(super) compilers: Vec<String>,
    pub(super) jobs: usize,
    pub(super) jitlink: Option<PathBuf>,
    pub(super) json: bool,
    /// Another machine than this one.
    pub(super) machine: Option<&'static Machine>,
}

/// What CI runs.
pub(super) fn sample_names() -> (Vec<String>, Vec<String>) {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    (owned(programs::SAMPLE), owned(variants::SAMPLE))
}

/// The compilers of each language, by the name that both have in options.
const COMPILERS: &[(Language, Known)] = &[
    (Language::C, &[("gcc", &["gcc"]), ("clang", &["clang-22", "clang"])]),
    (Language::Cxx, &[("gcc", &["g++"]), ("clang", &["clang++-22", "clang++"])]),
    (Language::Rust, &[("rustc", &["rustc"])]),
];

pub(super) fn main(plan: &Plan) -> Result {
    step("conformance of native programs");
    let mut programs = programs(&plan.only)?;
    if let Some(machine) = plan.machine {
        programs.retain(|program| !machine.without.contains(&program.id().as_str()));
    }
    let compilers = compilers(&programs, plan)?;
    let cases = cases(&programs, &compilers, &plan.variants)?;
    let jitlink = match &plan.jitlink {
        Some(path) => path.clone(),
        None => build_jitlink()?,
    };
    let work = target().join("conformance/native");
    eprintln!("{} programs in {} cases", programs.len(), cases.len());
    let verdicts = in_parallel(&cases, plan.jobs, |case| {
        let verdict =
            case.run(&work, &jitlink).unwrap_or_else(|error| Verdict::Fails(error.to_string(), String::new()));
        if let (Verdict::Fails(why, repeat), false) = (&verdict, plan.json) {
            println!("FAILS: {}: {} (repeat: {repeat})", case.name(), why.replace('\n', "; "));
        }
        verdict
    });
    let (mut counts, mut report) = ([0; 3], Vec::new());
    for (case, verdict) in cases.iter().zip(&verdicts) {
        counts[place(verdict)] += 1;
        report.push(as_json(case, verdict));
    }
    let [same, none, failed] = counts;
    if plan.json {
        println!("{}", serde_json::to_string_pretty(&json!({ "version": 1, "cases": report }))?);
    } else {
        for program in &programs {
            println!("{}", as_row(program, &cases, &verdicts));
        }
        println!(
            "conformance: {same} cases are the same as by the compiler's linker, {none} have no reference, {failed} fail"
        );
    }
    if failed > 0 {
        return Err(format!("{failed} of {} cases fail", cases.len()).into());
    }
    Ok(())
}

fn programs(only: &[String]) -> Result<Vec<&'static Program>> {
    let ids: Vec<String> = PROGRAMS.iter().map(Program::id).collect();
    if let Some(unknown) = only.iter().find(|wanted| !ids.contains(wanted)) {
        return Err(format!("there is no program `{unknown}`; there are {}", ids.join(", ")).into());
    }
    Ok(PROGRAMS.iter().filter(|program| only.is_empty() || only.contains(&program.id())).collect())
}

/// The compilers that the programs need and that are here.
fn compilers(programs: &[&Program], plan: &Plan) -> Result<Vec<(Language, Compiler)>> {
    let (mut compilers, wanted) = (Vec::new(), plan.compilers.as_slice());
    if let Some(machine) = plan.machine {
        for language in [Language::C, Language::Cxx, Language::Rust] {
            let found = machine.compilers(language, wanted)?;
            compilers.extend(found.into_iter().map(|compiler| (language, compiler)));
        }
        return Ok(compilers);
    }
    for (language, known) in COMPILERS {
        let is_wanted = wanted.is_empty() || known.iter().any(|(name, _)| wanted.iter().any(|wanted| wanted == name));
        if is_wanted && programs.iter().any(|program| program.language == *language) {
            compilers.extend(installed(known, wanted)?.into_iter().map(|compiler| (*language, compiler)));
        }
    }
    Ok(compilers)
}

fn cases<'p>(
    programs: &[&'p Program],
    compilers: &'p [(Language, Compiler)],
    wanted: &[String],
) -> Result<Vec<Case<'p>>> {
    let mut cases = Vec::new();
    for &program in programs {
        for (_, compiler) in compilers.iter().filter(|(language, _)| *language == program.language) {
            let variants = match compiler.machine {
                Some(machine) => variants::of_machine(program, machine),
                None => variants::of(program, compiler.name),
            };
            let variants = variants.into_iter();
            let chosen = variants.filter(|variant| wanted.is_empty() || wanted.contains(&variant.name));
            cases.extend(chosen.map(|variant| Case { program, compiler, variant }));
        }
    }
    if cases.is_empty() {
        return Err("no case has these names; a variant's is its options, such as --variants='-O2 -fPIC'".into());
    }
    Ok(cases)
}

fn place(verdict: &Verdict) -> usize {
    match verdict {
        Verdict::Same => 0,
        Verdict::NoReference(_) => 1,
        Verdict::Fails(..) => 2,
    }
}

fn as_row(program: &Program, cases: &[Case], verdicts: &[Verdict]) -> String {
    let mut counts = [0; 3];
    for (case, verdict) in cases.iter().zip(verdicts) {
        if case.program.id() == program.id() {
            counts[place(verdict)] += 1;
        }
    }
    let [same, none, failed] = counts;
    format!("  {:20} {same:4} same {none:4} without a reference {failed:4} fail", program.id())
}

fn as_json(case: &Case, verdict: &Verdict) -> serde_json::Value {
    let (verdict, detail, repeat) = match verdict {
        Verdict::Same => ("same", None, None),
        Verdict::NoReference(why) => ("no-reference", Some(why.as_str()), None),
        Verdict::Fails(why, repeat) => ("fails", Some(why.as_str()), Some(repeat)),
    };
    json!({
        "program": case.program.id(),
        "compiler": case.compiler.name,
        "variant": case.variant.name,
        "verdict": verdict,
        "detail": detail,
        "repeat": repeat,
    })
}
