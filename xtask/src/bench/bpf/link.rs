//! Links of many functions to one object: against `bpftool gen object`, and ten times the functions against one time.

use crate::Result;
use crate::bench::growth::{BAR, grown};
use crate::bench::inputs::{numbered, prepared};
use crate::bench::measure::{self, Side};
use crate::bench::report::{Bars, Line, Measured};
use crate::bench::rivals::{command, pair};
use crate::bench::{Plan, folder};
use crate::process::{capture, find_tool};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The functions of the small and of the large program.
const SIZES: [usize; 2] = [1_000, 10_000];
/// The functions of one object.
const EACH: usize = 200;

/// Our time at most this part of bpftool's, for the large program: of the small one much is the start of a process.
const OF_BPFTOOL: Bars = Bars { time: Some(1.0 / 3.0), memory: None, cpu: None };
const GROWTH: Bars = Bars { time: Some(BAR), memory: None, cpu: Some(BAR) };

/// Compiles what is linked, where there is a compiler for BPF.
pub(crate) fn prepare() -> Result {
    for functions in SIZES {
        eprintln!("bpf: {functions} functions");
        inputs(functions)?;
    }
    trivial().map(drop)
}

/// Both comparisons; that with bpftool is left out where it is not installed.
pub(super) fn compare(plan: &Plan) -> Result<Vec<Line>> {
    let bpftool = find_tool(&["bpftool"]);
    if bpftool.is_none() {
        eprintln!("bench: bpftool is not installed, its rows are skipped (it comes by `cargo xtask setup`)");
    }
    let mut lines = Vec::new();
    for functions in SIZES {
        if let Some(bpftool) = &bpftool {
            lines.push(against_bpftool(plan, bpftool, functions)?);
        }
    }
    lines.push(growth(plan)?);
    Ok(lines)
}

fn against_bpftool(plan: &Plan, bpftool: &Path, functions: usize) -> Result<Line> {
    eprintln!("bpf: {functions} functions, against bpftool");
    let inputs = inputs(functions)?;
    let output = output("bpftool", functions);
    let theirs = Side { commands: vec![command(bpftool, &["gen", "object", &output], &inputs)] };
    let (results, rounds) = measure::compare(&[ours(plan, functions, &inputs), theirs], plan.time);
    Ok(Line {
        row: format!("link {functions}"),
        what: format!("{functions} functions with their types and lines, linked to one object"),
        against: "bpftool".into(),
        measured: pair(results).map(|(ours, theirs)| Measured { ours, theirs, knows_usage: true, rounds }),
        bars: if functions == SIZES[1] { OF_BPFTOOL } else { Bars::default() },
    })
}

fn growth(plan: &Plan) -> Result<Line> {
    let [small, large] = SIZES;
    eprintln!("bpf: {large} functions against {small}");
    let side = |functions: usize, inputs: Vec<String>| ours(plan, functions, &inputs);
    let sides = [side(large, inputs(large)?), side(small, inputs(small)?), side(1, trivial()?)];
    let (results, rounds) = measure::compare(&sides, plan.time);
    let figures = results.into_iter().collect::<Result<Vec<_>>>();
    Ok(Line {
        row: format!("link {large}"),
        what: format!("{large} functions against {small}, less the time of a trivial link"),
        against: small.to_string(),
        measured: figures.and_then(|figures| grown(&figures, rounds)),
        bars: GROWTH,
    })
}

fn ours(plan: &Plan, functions: usize, inputs: &[String]) -> Side {
    let output = output("jitlink", functions);
    Side { commands: vec![command(&plan.jitlink, &["bpf", "link", "-o", &output], inputs)] }
}

/// Where a linker writes.
fn output(linker: &str, functions: usize) -> String {
    folder("bpf").join(format!("{functions}-by-{linker}.o")).display().to_string()
}

fn inputs(functions: usize) -> Result<Vec<String>> {
    prepared(&folder("bpf").join(format!("functions-{functions}")), |folder| {
        numbered(&compile(folder, "part.c", &part(EACH)?)?, functions / EACH)
    })
}

fn trivial() -> Result<Vec<String>> {
    prepared(&folder("bpf").join("trivial"), |folder| {
        Ok(vec![compile(folder, "trivial.c", "int trivial(void) { return 0; }\n")?])
    })
}

fn compile(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let compiler = find_tool(&["clang-22", "clang"]).ok_or("there is no clang here (try `cargo xtask setup`)")?;
    std::fs::write(folder.join(name), text)?;
    let object = Path::new(name).with_extension("o");
    let flags = ["--target=bpf", "-mcpu=v3", "-O2", "-g", "-c", name, "-o"];
    capture(Command::new(compiler).args(flags).arg(&object).current_dir(folder))?;
    Ok(folder.join(object))
}

/// A program with a map, variables, and functions that each call the next, the last one that of the next object. `AAAAAA` stands
/// for the object's number, `BBBBBB` for the next one's.
fn part(functions: usize) -> Result<String> {
    let mut text = String::from(
        "typedef unsigned int u32;\ntypedef unsigned long long u64;\n\
         struct item { u64 count; u32 kind, flags; struct item *next; };\n\
         struct state_AAAAAA { struct item first; u64 values[8]; };\n\
         struct state_AAAAAA state_AAAAAA;\n\
         static u64 calls;\n\
         struct { int (*type)[2]; u32 *key; struct state_AAAAAA *value; int (*max_entries)[16]; } map_AAAAAA\n\
         __attribute__((section(\".maps\"), used));\n\
         static void *(*find)(void *, const void *) = (void *)1;\n\
         char LICENSE[] __attribute__((section(\"license\"), used)) = \"GPL\";\n\
         extern u64 step_BBBBBB_0(struct item *item, u64 value);\n",
    );
    for i in 0..functions {
        writeln!(text, "u64 step_AAAAAA_{i}(struct item *item, u64 value);")?;
    }
    for i in 0..functions {
        let next = match i + 1 {
            next if next < functions => format!("step_AAAAAA_{next}"),
            _ => "step_BBBBBB_0".to_owned(),
        };
        write!(
            text,
            "__attribute__((noinline)) u64 step_AAAAAA_{i}(struct item *item, u64 value)\n{{\n\
             \tif (!item || value > {})\n\t\treturn value;\n\
             \tstate_AAAAAA.values[{}] += value;\n\
             \titem->count += {i};\n\tcalls++;\n\
             \treturn {next}(item, value ^ item->flags) + {};\n}}\n",
            i * 7 + 9,
            i % 8,
            i % 31
        )?;
    }
    text += "__attribute__((section(\"xdp\"), used)) int main_AAAAAA(void *context)\n{\n\
             \tu32 key = 0;\n\
             \tstruct state_AAAAAA *state = find(&map_AAAAAA, &key);\n\
             \treturn state ? step_AAAAAA_0(&state->first, calls) : 0;\n}\n";
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_calls_the_next() {
        let text = part(3).unwrap();
        for call in ["return step_AAAAAA_1(", "return step_AAAAAA_2(", "return step_BBBBBB_0("] {
            assert_eq!(text.matches(call).count(), 1, "{call}");
        }
        assert!(SIZES.iter().all(|size| size.is_multiple_of(EACH) && size / EACH > 1));
    }
}
