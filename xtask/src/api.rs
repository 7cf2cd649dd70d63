//! What the published crates offer, written down, so that nothing of it disappears or changes unnoticed.
//!
//! `docs/api/CRATE.txt` lists every public item of a crate with its signature, a line each. CI lists them anew and fails where
//! the two differ; `--bless` accepts the difference and shows it. What is taken away or changed breaks somebody's program once
//! a version is released, so then it asks for more: a version that says so, or a "Breaking" entry in the changelog.
//!
//! The lines come from rustdoc's JSON, which the stable compiler writes too when `RUSTC_BOOTSTRAP` is set. That variable must
//! not reach build scripts, some of which compile other code under it: this program stands in for rustdoc and sets it there
//! alone. The JSON's format changes with the compiler, so the crate that reads it does too.

use crate::process::{capture, cargo, root, run, step, target};
use crate::publish::{Package, packages};
use crate::{Args, Result};
use public_api::{Builder, PublicApi};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

pub(crate) const OPTIONS: &str = "  --bless   write down what is there now, and show what is new
";

/// Set for the processes that stand in for rustdoc.
const STAND_IN: &str = "JITLINK_XTASK_IS_RUSTDOC";

/// Traits that the compiler implements by itself and that nobody relies on; `Send` and `Sync` are listed.
const UNLISTED: &[&str] = &["marker::Unpin", "marker::Freeze", "marker::UnsafeUnpin", "panic::unwind_safe::"];

pub(crate) fn main(mut args: Args) -> Result {
    let bless = args.flag("--bless");
    args.finish()?;
    check(bless)
}

/// Compares what the crates offer with what is written down, or writes it down.
pub(crate) fn check(bless: bool) -> Result {
    step("public API");
    let libraries: Vec<Package> = packages()?.into_iter().filter(|package| package.library.is_some()).collect();
    document(&libraries)?;
    let (mut changed, mut broken) = (0, 0);
    for package in &libraries {
        let path = root().join("docs/api").join(format!("{}.txt", package.name));
        let (before, now) = (read(&path)?, listing(package)?);
        let difference = Difference::between(&before, &now);
        difference.show(&package.name);
        changed += difference.added.len() + difference.removed.len();
        broken += difference.removed.len();
        if bless && may_break(difference.removed.len())? {
            std::fs::create_dir_all(root().join("docs/api"))?;
            std::fs::write(&path, now.join("\n") + "\n")?;
        }
    }
    match (bless, changed) {
        (true, _) => eprintln!("{changed} lines changed, {broken} of them taken away"),
        (false, 0) => {}
        (false, _) => {
            let advice = "look at the lines above; if they are meant, accept them with `cargo xtask api --bless`";
            return Err(format!("{changed} lines differ from docs/api: {advice}").into());
        }
    }
    Ok(())
}

/// Takes the place of rustdoc in processes that cargo starts for this task.
pub(crate) fn stand_in_for_rustdoc() -> Option<ExitCode> {
    let rustdoc = std::env::var_os(STAND_IN)?;
    let arguments = std::env::args_os().skip(1);
    let status = Command::new(rustdoc).args(arguments).env("RUSTC_BOOTSTRAP", "1").env_remove(STAND_IN).status();
    Some(match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// Has rustdoc write its JSON for all libraries, with the features that they have by default.
fn document(libraries: &[Package]) -> Result {
    let mut command = cargo(&["doc", "--no-deps", "--lib"]);
    for package in libraries {
        command.args(["--package", &package.name]);
    }
    command.env(STAND_IN, std::env::var_os("RUSTDOC").unwrap_or_else(|| "rustdoc".into()));
    command.env("RUSTDOC", std::env::current_exe()?);
    run(command.env("RUSTDOCFLAGS", "-Z unstable-options --output-format json"))
}

/// The public items of a crate, a line each, sorted as people read them.
fn listing(package: &Package) -> Result<Vec<String>> {
    let library = package.library.as_deref().unwrap_or_default();
    let json = target().join("doc").join(format!("{library}.json"));
    let api: PublicApi =
        Builder::from_rustdoc_json(&json).sorted(true).omit_blanket_impls(true).build().map_err(|error| {
            let compiler = capture(Command::new("rustc").arg("--version")).unwrap_or_default();
            let compiler = compiler.trim_end();
            format!("{}: {error}; `public-api` in xtask/Cargo.toml must be the release for {compiler}", json.display())
        })?;
    let lines = api.items().map(ToString::to_string);
    Ok(lines.filter(|line| !UNLISTED.iter().any(|name| line.starts_with("impl") && line.contains(name))).collect())
}

fn read(path: &PathBuf) -> Result<Vec<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(format!("{}: {error}", path.display()).into()),
    }
}

/// Lines that only one of two listings has; a changed item is one of each.
#[derive(Debug, Default, PartialEq, Eq)]
struct Difference {
    removed: Vec<String>,
    added: Vec<String>,
}

impl Difference {
    fn between(before: &[String], now: &[String]) -> Difference {
        let mut counts: BTreeMap<&String, i32> = BTreeMap::new();
        before.iter().for_each(|line| *counts.entry(line).or_default() -= 1);
        now.iter().for_each(|line| *counts.entry(line).or_default() += 1);
        let mut difference = Difference::default();
        for (line, count) in counts {
            let side = if count < 0 { &mut difference.removed } else { &mut difference.added };
            side.extend((0..count.abs()).map(|_| line.clone()));
        }
        difference
    }

    fn show(&self, name: &str) {
        if !self.removed.is_empty() || !self.added.is_empty() {
            eprintln!("{name}:");
        }
        self.removed.iter().for_each(|line| eprintln!("  - {line}"));
        self.added.iter().for_each(|line| eprintln!("  + {line}"));
    }
}

/// Whether so many items may go: none is released yet, the version says that it is not compatible, or the changelog says what
/// breaks.
fn may_break(removed: usize) -> Result<bool> {
    if removed == 0 {
        return Ok(true);
    }
    let changelog = std::fs::read_to_string(root().join("CHANGELOG.md"))?;
    let version = workspace_version()?;
    if is_break_announced(&changelog, &version) {
        return Ok(true);
    }
    let advice =
        "raise the version, or say under `### Breaking` of the changelog's [Unreleased] what users have to change";
    Err(format!("items of a released version are taken away or changed ({removed}), and {version} is compatible with it: {advice}").into())
}

/// The version of the crate that users depend on.
fn workspace_version() -> Result<String> {
    let text = capture(&mut cargo(&["pkgid", "--package", "jitlink"]))?;
    let version = text.trim_end().rsplit(['#', '@']).next().unwrap_or_default();
    Ok(version.to_owned())
}

/// Whether the changelog (Keep a Changelog) and the version prepare users for what is taken away.
fn is_break_announced(changelog: &str, version: &str) -> bool {
    let headings = changelog.lines().filter_map(|line| line.strip_prefix("## ["));
    let releases: Vec<&str> = headings.filter_map(|rest| rest.split(']').next()).collect();
    let Some(last) = releases.iter().find(|name| **name != "Unreleased") else { return true };
    let unreleased = changelog.split("\n## [").find(|part| part.starts_with("Unreleased]")).unwrap_or_default();
    series(version) != series(last) || unreleased.contains("\n### Breaking")
}

/// The part of a version that stays while it is compatible: the first number that is not zero, and what stands before it.
fn series(version: &str) -> Vec<&str> {
    let numbers: Vec<&str> = version.split(['.', '-', '+']).take(3).collect();
    let first = numbers.iter().position(|number| *number != "0").unwrap_or(2);
    numbers.into_iter().take(first + 1).collect()
}

#[cfg(test)]
mod tests {
    use super::{Difference, is_break_announced, series};

    fn lines(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_changed_item_is_taken_away_and_new() {
        let difference = Difference::between(&lines("a b c c"), &lines("a b2 c d"));
        assert_eq!((difference.removed, difference.added), (lines("b c"), lines("b2 d")));
        assert_eq!(Difference::between(&lines("a b"), &lines("b a")), Difference::default());
    }

    #[test]
    fn only_what_is_released_can_break() {
        let unreleased = "# Changelog\n\n## [Unreleased]\n\n### Added\n";
        assert!(is_break_announced(unreleased, "0.1.0"));
        let released = format!("{unreleased}\n## [0.1.0] - 2030-01-01\n\n### Breaking\n");
        assert!(!is_break_announced(&released, "0.1.0"));
        assert!(!is_break_announced(&released, "0.1.1"));
        assert!(is_break_announced(&released, "0.2.0"));
        let announced = released.replace("### Added", "### Breaking");
        assert!(is_break_announced(&announced, "0.1.1"));
    }

    #[test]
    fn versions_are_compatible_up_to_their_first_number() {
        assert_eq!(series("0.1.3"), ["0", "1"]);
        assert_eq!(series("1.2.3"), ["1"]);
        assert_eq!(series("0.0.3-rc.1"), ["0", "0", "3"]);
    }
}
