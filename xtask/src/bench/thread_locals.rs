//! Calls of functions that use thread-local variables by each access model, against the same objects linked natively.
//!
//! Whole processes again: so many calls that what starts and links is lost among them.

use super::inputs::compile;
use super::measure::{self, Side};
use super::report::{Bars, Line, Measured};
use super::rivals::pair;
use super::{Plan, folder};
use crate::Result;
use crate::process::{capture, find_tool};
use std::process::Command;

/// What a model's calls may take, in times of the native program's: where the code stays as it was compiled, and where it is
/// rewritten to a model that needs no call.
const KEPT: f64 = 1.2;
const REWRITTEN: f64 = 2.0;

/// Each model: its name, what GCC is asked for, how the program is linked natively, and the bar.
const MODELS: &[(&str, &[&str], &str, f64)] = &[
    ("local exec", &["-fno-pic"], "-no-pie", KEPT),
    ("initial exec", &["-fPIC", "-ftls-model=initial-exec"], "-pie", KEPT),
    ("local dynamic", &["-fPIC", "-ftls-model=local-dynamic"], "-pie", REWRITTEN),
    ("general dynamic", &["-fPIC"], "-pie", REWRITTEN),
    ("without a PLT", &["-fPIC", "-fno-plt"], "-pie", REWRITTEN),
    ("descriptors", &["-fPIC", "-mtls-dialect=gnu2"], "-pie", REWRITTEN),
    ("large code", &["-fPIC", "-mcmodel=large"], "-pie", REWRITTEN),
];

const CALLED: &str = "\
__thread int counter = 7;
static __thread long calls;
int count(void) { calls++; return counter += 3; }
long called(void) { return calls; }
";

const CALLS: &str = "\
int count(void);
long called(void);
int main(void) {
    unsigned sum = 0;
    for (int i = 0; i < 100000000; i++) sum += count();
    return called() != 100000000 || sum == 1;
}
";

/// Every model.
pub(crate) fn compare(plan: &Plan) -> Result<Vec<Line>> {
    let compiler = find_tool(&["gcc"]).ok_or("gcc is not installed")?;
    let mut lines = Vec::new();
    for (model, flags, link, bar) in MODELS {
        eprintln!("thread-locals: {model}");
        let folder = folder("thread-locals").join(model.replace(' ', "-"));
        std::fs::create_dir_all(&folder)?;
        let flags = [&["-O2"], *flags].concat();
        let objects =
            [("calls.c", CALLS), ("called.c", CALLED)].map(|(name, text)| compile(&folder, name, text, &flags));
        let objects = objects.into_iter().collect::<Result<Vec<_>>>()?;
        let native = folder.join("native");
        capture(Command::new(&compiler).arg(link).args(&objects).arg("-o").arg(&native))?;
        let objects: Vec<String> = objects.iter().map(|path| path.to_string_lossy().into_owned()).collect();
        let ours = super::rivals::command(&plan.jitlink, &["run"], &objects);
        let sides =
            [Side { commands: vec![ours] }, Side { commands: vec![vec![native.to_string_lossy().into_owned()]] }];
        let (results, rounds) = measure::compare(&sides, plan.time);
        lines.push(Line {
            row: (*model).into(),
            what: format!("100,000,000 calls, GCC {}", flags.join(" ")),
            against: "native".into(),
            measured: pair(results).map(|(ours, theirs)| Measured { ours, theirs, knows_usage: true, rounds }),
            bars: Bars { time: Some(*bar), memory: None, cpu: None },
        });
    }
    Ok(lines)
}
