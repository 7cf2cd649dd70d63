//! All of CI, in the order that finds mistakes soonest; the tests come last, so that their closing lines close the log.

use crate::process::{capture, cargo, find_tool, run, step};
use crate::{Args, Result, api, examples, fuzz, loom, publish, sanitize, setup, test};
use std::time::Instant;

pub(crate) const OPTIONS: &str =
    "  --only STEPS   some of the steps, with commas: format, lints, docs, api, features, licences, loom, fuzz,
                 sanitize, packages, examples, tests
";

/// A step of CI: its name and what it does.
type Step = (&'static str, fn() -> Result);

const STEPS: &[Step] = &[
    ("format", format),
    ("lints", lints),
    ("docs", docs),
    ("api", || api::check(false)),
    ("features", features),
    ("licences", licences),
    ("loom", loom::models),
    ("fuzz", fuzz::ci),
    ("sanitize", sanitize::ci),
    ("packages", || publish::check(false)),
    ("examples", || examples::main(Args::new(Vec::new()))),
    ("tests", || test::main(Args::new(vec!["--no-setup".to_owned()]))),
];

/// Crates whose features are not each built alone.
const NOT_PUBLISHED: &[&str] = &["xtask"];

pub(crate) fn main(mut args: Args) -> Result {
    let only = args.list("--only")?;
    args.finish()?;
    if let Some(unknown) = only.iter().find(|name| STEPS.iter().all(|(step, _)| step != name)) {
        return Err(format!("there is no step `{unknown}` (see --help)").into());
    }
    if only.is_empty() {
        setup::setup()?;
    }
    for (name, task) in STEPS.iter().filter(|(name, _)| only.is_empty() || only.iter().any(|wanted| wanted == name)) {
        let start = Instant::now();
        task().map_err(|error| format!("{name}: {error}"))?;
        // The tests' own lines stay the last ones.
        if *name != "tests" {
            eprintln!("{name}: passed in {} s", start.elapsed().as_secs());
        }
    }
    Ok(())
}

fn format() -> Result {
    step("format");
    run(&mut cargo(&["fmt", "--all", "--check"]))
}

fn lints() -> Result {
    step("lints");
    run(&mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn docs() -> Result {
    step("docs");
    run(cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-Dwarnings"))
}

/// Licences, bans and sources; advisories are left out because they need a database that only the network has.
fn licences() -> Result {
    step("licences");
    if find_tool(&["cargo-deny"]).is_none() {
        run(&mut cargo(&["install", "--locked", "cargo-deny"]))?;
    }
    run(&mut cargo(&["deny", "check", "bans", "licenses", "sources"]))
}

/// Every crate without features, and with each of its features alone: features only ever add.
fn features() -> Result {
    let text = capture(&mut cargo(&["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&text)?;
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        if NOT_PUBLISHED.contains(&name) {
            continue;
        }
        step(&format!("{name} without features"));
        let check = ["check", "--package", name, "--no-default-features"];
        run(&mut cargo(&check))?;
        let declared = package["features"].as_object();
        for feature in declared.into_iter().flat_map(|features| features.keys()).filter(|feature| *feature != "default")
        {
            step(&format!("{name} with {feature} alone"));
            run(cargo(&check).args(["--features", feature]))?;
        }
    }
    Ok(())
}
