//! The update of one function of a program: against linking the program, and of a large program against a small one.

use super::inputs::compile;
use super::measure::Figures;
use super::report::{Bars, Line, Measured};
use super::{Plan, folder};
use crate::Result;
use crate::process::{capture, cargo, run, target};
use std::process::Command;

/// The functions of the small and of the large program.
const PROGRAMS: [usize; 2] = [1_000, 10_000];
/// How often the function is replaced.
const UPDATES: usize = 1_000;

/// An update takes at most this part of linking the large program.
const OF_LINK: f64 = 1.0 / 100.0;
/// The cost must not grow with the program.
const OF_SMALL: f64 = 1.5;

/// An object of the program. `AAAAAA` becomes its number, `BBBBBB` the next one's.
const FIRST: &str = "\
extern int step_BBBBBB(int);
static int calls;
int other_AAAAAA(int x) { return x > 100 ? step_BBBBBB(x) : calls; }
int step_AAAAAA(int x) { calls++; return x + 1; }
";

/// Runs the loop once for each size of the program.
pub(crate) fn compare(_plan: &Plan) -> Result<Vec<Line>> {
    run(&mut cargo(&["build", "--release", "--package", "jitlink", "--example", "update_cost"]))?;
    let folder = folder("update");
    std::fs::create_dir_all(&folder)?;
    let flags = ["-O2", "-ffunction-sections", "-fdata-sections"];
    let first = compile(&folder, "first.c", FIRST, &flags)?;
    let second = compile(&folder, "second.c", &FIRST.replace("x + 1", "x + 2"), &flags)?;
    let mut costs = Vec::new();
    for functions in PROGRAMS {
        eprintln!("update: a program of {functions} functions");
        let mut command = Command::new(target().join("release/examples/update_cost"));
        command.args([&first, &second]).args([functions.to_string(), UPDATES.to_string()]);
        costs.push(capture(&mut command).and_then(|text| parse(&text))?);
    }
    let [(_, small), (link, large)] = costs[..] else { return Err("a program is missing".into()) };
    let line = |against: &str, what: &str, theirs: f64, bar: f64| Line {
        row: "update".into(),
        what: what.into(),
        against: against.into(),
        measured: Ok(Measured { ours: seconds(large), theirs: seconds(theirs), knows_usage: false, rounds: UPDATES }),
        bars: Bars { time: Some(bar), memory: None, cpu: None },
    };
    Ok(vec![
        line("link of 10,000", "one function of 10,000, against linking them", link, OF_LINK),
        line("of 1,000", "one function of 10,000, against one of 1,000", small, OF_SMALL),
    ])
}

fn seconds(wall: f64) -> Figures {
    Figures { wall, ..Figures::default() }
}

/// Reads `link SECONDS` and `update SECONDS`.
fn parse(text: &str) -> Result<(f64, f64)> {
    let number = |which: &str| -> Result<f64> {
        let line = text.lines().find_map(|line| line.strip_prefix(which)).ok_or("the loop did not end")?;
        Ok(line.trim().parse()?)
    };
    Ok((number("link ")?, number("update ")?))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn reads_what_the_loop_prints() {
        assert_eq!(parse("link 0.5\nupdate 0.00005\n").unwrap(), (0.5, 0.00005));
        assert!(parse("link 0.5\n").is_err() && parse("link x\nupdate 1").is_err());
    }
}
