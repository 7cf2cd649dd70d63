//! Linking modules in a loop of one process, removed at once or when all are linked: the last tenth against the first.

use super::inputs::compile;
use super::measure::Figures;
use super::report::{Bars, Line, Measured};
use super::{Plan, folder};
use crate::Result;
use crate::process::{capture, cargo, run, target};
use std::process::Command;

/// How many are linked and removed one after another.
const MODULES: usize = 100_000;

/// How many are there at once.
const STANDING: usize = 10_000;

/// What "flat" is: as much as two runs of one program differ on a machine that does other things too.
const TIME: f64 = 1.25;
const MEMORY: f64 = 1.05;

/// What stays linked, and what comes and goes. `AAAAAA` becomes another name each time.
const HOST: &str = "int host_value = 1;\nint host_add(int x) { return x + host_value; }\n";
const MODULE: &str = "\
extern int host_add(int);
extern int host_value;
int calls_AAAAAA;
static const char *const names[] = {\"one\", \"two\"};
__attribute__((constructor)) static void start(void) { calls_AAAAAA = names[host_value & 1][0] != 0; }
__attribute__((destructor)) static void stop(void) { calls_AAAAAA = 0; }
int step_AAAAAA(int x) { return host_add(x) + calls_AAAAAA; }
";

/// Runs each loop once.
pub(crate) fn compare(_plan: &Plan) -> Result<Vec<Line>> {
    run(&mut cargo(&["build", "--release", "--package", "jitlink", "--example", "churn"]))?;
    let folder = folder("churn");
    std::fs::create_dir_all(&folder)?;
    let host = compile(&folder, "host.c", HOST, &["-O2", "-fPIC"])?;
    let module = compile(&folder, "module.c", MODULE, &["-O2", "-fPIC"])?;
    let measure = |count: usize, keep: &[&str]| -> Result<Measured> {
        eprintln!("churn: {count} modules");
        let mut command = Command::new(target().join("release/examples/churn"));
        parse(&capture(command.args([&host, &module]).arg(count.to_string()).args(keep))?)
    };
    let line = |row: &str, what: String, measured, memory| Line {
        row: row.into(),
        what: format!("{what}: the last tenth against the first"),
        against: "first tenth".into(),
        measured,
        bars: Bars { time: Some(TIME), memory, cpu: None },
    };
    Ok(vec![
        line("churn", format!("linking and removing {MODULES} modules"), measure(MODULES, &[]), Some(MEMORY)),
        line("standing", format!("linking {STANDING} modules that stay"), measure(STANDING, &["keep"]), None),
    ])
}

/// Reads `first SECONDS CPU KIB` and `last SECONDS CPU KIB`.
fn parse(text: &str) -> Result<Measured> {
    let figures = |which: &str| -> Result<Figures> {
        let line = text.lines().find_map(|line| line.strip_prefix(which)).ok_or("the loop did not end")?;
        let numbers = line.split_whitespace().map(str::parse).collect::<std::result::Result<Vec<f64>, _>>()?;
        let [wall, cpu, memory] = numbers[..] else { return Err(format!("not three numbers: `{line}`").into()) };
        Ok(Figures { wall, cpu, memory })
    };
    Ok(Measured { ours: figures("last")?, theirs: figures("first")?, knows_usage: true, rounds: 1 })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn reads_what_the_loop_prints() {
        let measured = parse("first 2.0 1.9 3000\nlast 2.1 1.8 3100\n").unwrap();
        assert_eq!((measured.ours.wall, measured.theirs.memory), (2.1, 3000.0));
        assert!(parse("first 2.0 1.9 3000\n").is_err());
        assert!(parse("first 2.0 3000\nlast 1 2 3").is_err());
    }
}
