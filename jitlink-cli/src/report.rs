//! Errors and tables, for people and for tools.

use crate::advice::advice;
use crate::args::{Format, LinkArgs};
use jitlink::core::graph::Warning;
use jitlink::{LinkError, LinkErrors, Statistics, Updated};
use serde_json::{Value, json};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

/// Errors that are shown one by one; the rest is counted.
const SHOWN: usize = 20;

/// Writes errors to standard error, and gives the exit code of a failed link. `entries` are the names that were asked for.
pub(crate) fn failure(errors: &LinkErrors, format: Format, entries: &[String]) -> ExitCode {
    let mut out = std::io::stderr().lock();
    let written = match format {
        Format::Json => {
            let errors: Vec<Value> = errors.iter().map(|error| json_error(error, entries)).collect();
            writeln!(out, "{}", json!({ "errors": errors }))
        }
        Format::Text => write_errors(&mut out, errors, entries),
    };
    // Nobody is left to tell if standard error is closed.
    drop(written);
    ExitCode::from(1)
}

/// Whether standard error is to be coloured: on a terminal, unless <https://no-color.org> says no.
fn coloured(out: &impl IsTerminal) -> bool {
    out.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn write_errors(out: &mut std::io::StderrLock<'_>, errors: &LinkErrors, entries: &[String]) -> std::io::Result<()> {
    let (red, cyan, reset) = match coloured(out) {
        true => ("\x1b[1;31m", "\x1b[36m", "\x1b[0m"),
        false => ("", "", ""),
    };
    // The same advice for several errors in a row stands once, after the last of them.
    let shown: Vec<(&LinkError, String)> =
        errors.iter().take(SHOWN).map(|error| (error, advice(error, entries))).collect();
    for (index, (error, advice)) in shown.iter().enumerate() {
        writeln!(out, "{red}error{reset}[{}]: {error}", error.code())?;
        let repeated = shown.get(index + 1).is_some_and(|(_, next)| next == advice);
        if !advice.is_empty() && !repeated {
            writeln!(out, "  {cyan}help{reset}: {advice}")?;
        }
    }
    if errors.len() > SHOWN {
        writeln!(out, "… and {} more errors (--format json shows all)", errors.len() - SHOWN)?;
    }
    Ok(())
}

/// An error as tools read it.
pub(crate) fn json_error(error: &LinkError, entries: &[String]) -> Value {
    let site = error.site().map(|site| {
        json!({
            "object": site.object,
            "section": site.section,
            "offset": format!("{:#x}", site.offset),
            "relocation": site.reloc,
            "symbol": site.symbol,
        })
    });
    let mut value =
        json!({ "code": error.code(), "message": error.to_string(), "advice": advice(error, entries), "site": site });
    match error {
        LinkError::OutOfRange { value: number, min, max, place, target, .. } => {
            value["value"] = json!(number.to_string());
            value["limit"] = json!([min.to_string(), max.to_string()]);
            value["place"] = json!(place.to_string());
            value["target"] = json!(target.to_string());
        }
        LinkError::Undefined { symbol, total, .. } => {
            value["symbol"] = json!(symbol);
            value["references"] = json!(total);
        }
        LinkError::Duplicate { symbol, first, second } => {
            value["symbol"] = json!(symbol);
            value["objects"] = json!([first, second]);
        }
        _ => {}
    }
    value
}

/// Says what an update of the running program did, to standard error.
pub(crate) fn updated(updated: &Updated, took: Duration, format: Format) {
    let mut out = std::io::stderr().lock();
    let milliseconds = took.as_secs_f64() * 1e3;
    let written = match format {
        Format::Json => {
            let report = json!({ "updated": {
                "replaced": updated.replaced,
                "added": updated.added,
                "removed": updated.removed,
                "skips_initialisers": updated.skips_initialisers,
                "milliseconds": milliseconds,
            }});
            writeln!(out, "{report}")
        }
        Format::Text => {
            let part = |what: &str, names: &[String]| match names {
                [] => None,
                [one] => Some(format!("{what} {one}")),
                [one, two] => Some(format!("{what} {one}, {two}")),
                [one, two, rest @ ..] => Some(format!("{what} {one}, {two} and {} more", rest.len())),
            };
            let parts = [("replaced", &updated.replaced), ("added", &updated.added), ("removed", &updated.removed)];
            let parts: Vec<String> = parts.iter().filter_map(|(what, names)| part(what, names)).collect();
            let what = if parts.is_empty() { "nothing changed".to_string() } else { parts.join("; ") };
            let skipped = if updated.skips_initialisers { "; new initialisers do not run" } else { "" };
            writeln!(out, "updated: {what}{skipped} ({milliseconds:.1} ms)")
        }
    };
    drop(written);
}

/// Says why an update failed, and that the program goes on without it.
pub(crate) fn not_updated(errors: &LinkErrors, format: Format) {
    failure(errors, format, &[]);
    if format == Format::Text {
        let _ = writeln!(std::io::stderr().lock(), "not updated: the program goes on as it was");
    }
}

/// Says what objects ask for that has no effect here, to standard error.
pub(crate) fn warnings(statistics: &Statistics, format: Format) {
    let warnings = &statistics.warnings;
    if warnings.is_empty() {
        return;
    }
    let mut out = std::io::stderr().lock();
    let written = match format {
        Format::Json => {
            let warnings: Vec<Value> =
                warnings.iter().map(|warning| json!({ "object": warning.object, "message": warning.what })).collect();
            writeln!(out, "{}", json!({ "warnings": warnings }))
        }
        Format::Text => write_warnings(&mut out, warnings),
    };
    drop(written);
}

fn write_warnings(out: &mut std::io::StderrLock<'_>, warnings: &[Warning]) -> std::io::Result<()> {
    let (yellow, reset) = if coloured(out) { ("\x1b[1;33m", "\x1b[0m") } else { ("", "") };
    for warning in warnings.iter().take(SHOWN) {
        writeln!(out, "{yellow}warning{reset}: {warning}")?;
    }
    if warnings.len() > SHOWN {
        writeln!(out, "… and {} more warnings (--format json shows all)", warnings.len() - SHOWN)?;
    }
    Ok(())
}

/// Writes what is to be said of a link that succeeded, to standard error: warnings, and how long each phase took if that was asked.
pub(crate) fn linked(statistics: &Statistics, args: &LinkArgs) {
    warnings(statistics, args.format);
    if args.time {
        times(statistics, args.format);
    }
}

/// Writes how long each phase took, to standard error: standard output is the program's.
pub(crate) fn times(statistics: &Statistics, format: Format) {
    let total: f64 = statistics.phases.iter().map(|(_, took)| took.as_secs_f64()).sum();
    let mut out = std::io::BufWriter::new(std::io::stderr().lock());
    let written = match format {
        Format::Json => {
            let phases: Vec<Value> = statistics
                .phases
                .iter()
                .map(|(name, took)| json!({ "phase": name, "milliseconds": took.as_secs_f64() * 1e3 }))
                .collect();
            let report = json!({
                "phases": phases,
                "milliseconds": total * 1e3,
                "objects": statistics.objects,
                "blocks": statistics.blocks.0,
                "live_blocks": statistics.blocks.1,
                "symbols": statistics.symbols,
                "relocations": statistics.relocations,
                "got_slots": statistics.slots,
                "stubs": statistics.stubs,
            });
            writeln!(out, "{report}")
        }
        Format::Text => write_times(&mut out, statistics, total),
    };
    drop(written);
}

fn write_times(out: &mut impl Write, statistics: &Statistics, total: f64) -> std::io::Result<()> {
    for (name, took) in &statistics.phases {
        let milliseconds = took.as_secs_f64() * 1e3;
        let share = if total > 0.0 { took.as_secs_f64() / total * 100.0 } else { 0.0 };
        writeln!(out, "{name:>10} {milliseconds:9.3} ms {share:5.1} %")?;
    }
    writeln!(out, "{:>10} {:9.3} ms", "total", total * 1e3)?;
    writeln!(
        out,
        "{} objects, {} of {} blocks live, {} symbols, {} relocations, {} GOT slots, {} stubs",
        statistics.objects,
        statistics.blocks.1,
        statistics.blocks.0,
        statistics.symbols,
        statistics.relocations,
        statistics.slots,
        statistics.stubs
    )
}
