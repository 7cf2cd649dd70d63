//! `jitlink check`: link, and evaluate rules about the linked memory.

use crate::args::{Check, Format, Unresolved};
use crate::link::usage;
use crate::progress::Progress;
use crate::{inputs, report};
use jitlink::{Addr, ImageConfig, ImageExecutor, LinkError, LinkErrors, Registry};
use jitlink_check::{Checker, Diagnostic, LinkOutcome, Outcome, Report, RuleErrors, Rules, Setup, Verdict};
use serde_json::{Value, json};
use std::io::Write;
use std::process::ExitCode;

pub(crate) fn run(args: &Check) -> ExitCode {
    if !args.link.libraries.is_empty() || !args.link.library_paths.is_empty() {
        usage("check runs nothing, so -l and -L have no use: give names an address with --define");
    }
    let setup = setup(args);
    match check(args, setup) {
        Ok(Ok(report)) => finish(args, &report),
        Ok(Err(errors)) => unreadable(args, &errors),
        Err(errors) => report::failure(&errors, args.link.format, &args.entry),
    }
}

fn setup(args: &Check) -> Setup {
    let image = ImageConfig { base: Addr(args.base), arena_size: args.arena_size, page_size: args.page_size };
    if let Err(error) = ImageExecutor::new(image) {
        usage(&format!("{error}; {}", error.advice));
    }
    Setup {
        image,
        defines: args.link.define.iter().map(|(name, address)| (name.clone(), Addr(*address))).collect(),
        aliases: args.link.alias.clone(),
        entries: args.entry.clone(),
        unresolved: match args.link.unresolved {
            Unresolved::Error => jitlink::Unresolved::Error,
            Unresolved::Null => jitlink::Unresolved::Null,
        },
        threads: args.link.threads.map(|count| count as usize),
    }
}

fn check(args: &Check, setup: Setup) -> Result<Result<Report, RuleErrors>, LinkErrors> {
    let _progress = Progress::start(format!("checking {}", args.rules.display()));
    let text = std::fs::read(&args.rules)
        .map_err(|error| LinkError::Io { path: args.rules.display().to_string(), reason: error.to_string() })?;
    let rules = match Rules::parse(&args.rules.display().to_string(), &String::from_utf8_lossy(&text)) {
        Ok(rules) => rules,
        Err(errors) => return Ok(Err(errors)),
    };
    let inputs = inputs::open(&args.link)?.inputs;
    let registry = Registry::global()?;
    Ok(Ok(Checker::new(&registry, &inputs).setup(setup).check(&rules)))
}

/// Shows the report; a closed pipe is the reader's wish.
fn finish(args: &Check, report: &Report) -> ExitCode {
    let mut out = std::io::stdout().lock();
    let _ = match args.link.format {
        Format::Text => write!(out, "{report}"),
        Format::Json => writeln!(out, "{:#}", to_json(report)),
    };
    if args.link.time {
        let all = report.links.iter().filter_map(|link| link.statistics.as_ref());
        all.for_each(|statistics| report::times(statistics, args.link.format));
    }
    if report.passed() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// Shows what is wrong with the rules, on standard error as other wrong input.
fn unreadable(args: &Check, errors: &RuleErrors) -> ExitCode {
    let mut out = std::io::stderr().lock();
    let _ = match args.link.format {
        Format::Text => writeln!(out, "{errors}"),
        Format::Json => {
            let errors: Vec<Value> = errors.0.iter().map(diagnostic).collect();
            writeln!(out, "{}", json!({ "errors": errors }))
        }
    };
    ExitCode::from(1)
}

fn to_json(report: &Report) -> Value {
    let (passed, failed, skipped) = report.counts();
    json!({
        "version": 1,
        "passed": passed,
        "failed": failed,
        "not_evaluated": skipped,
        "links": report.links.iter().map(link).collect::<Vec<_>>(),
    })
}

fn link(link: &LinkOutcome) -> Value {
    let error =
        |error: &LinkError| json!({ "code": error.code(), "message": error.to_string(), "advice": error.advice() });
    json!({
        "place": link.place,
        "unexpected_errors": link.unexpected.iter().map(error).collect::<Vec<_>>(),
        "rules": link.rules.iter().map(rule).collect::<Vec<_>>(),
    })
}

fn rule(outcome: &Outcome) -> Value {
    let mut value = json!({
        "file": outcome.file,
        "line": outcome.line,
        "column": outcome.column,
        "rule": outcome.rule,
        "status": match outcome.verdict {
            Verdict::Passed => "passed",
            Verdict::Failed(_) => "failed",
            Verdict::Invalid(_) => "invalid",
            Verdict::NotEvaluated => "not-evaluated",
        },
    });
    match &outcome.verdict {
        Verdict::Failed(explanation) => {
            let parts = explanation
                .values
                .iter()
                .map(|part| json!({ "role": part.role.name(), "expression": part.expression, "value": part.value }));
            value["reason"] = json!(explanation.reason);
            value["values"] = parts.collect();
            value["advice"] = json!(explanation.hint);
        }
        Verdict::Invalid(error) => value["error"] = diagnostic(error),
        Verdict::Passed | Verdict::NotEvaluated => {}
    }
    value
}

fn diagnostic(error: &Diagnostic) -> Value {
    json!({
        "file": error.file,
        "line": error.line,
        "column": error.column,
        "message": error.message,
        "advice": error.help,
    })
}
