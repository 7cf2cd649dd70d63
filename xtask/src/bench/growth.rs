//! How time grows with the input: ten times of one thing, against one time of it.
//!
//! The start of a process is not growth, so what a trivial link takes is subtracted from both sides.

use super::inputs::{Row, compile, small_objects};
use super::measure::{self, Figures, Side};
use super::report::{Bars, Line, Measured};
use super::rivals::command;
use super::{Plan, folder};
use crate::Result;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Ten times the input may take this many times the time.
pub(super) const BAR: f64 = 12.0;

/// What grows: its name, the two sizes, and what writes an input of a size.
struct Kind {
    name: &'static str,
    sizes: [usize; 2],
    make: fn(&Path, usize) -> Result<Vec<PathBuf>>,
}

const KINDS: &[Kind] = &[
    Kind { name: "objects", sizes: [2_000, 20_000], make: small_objects },
    Kind { name: "sections", sizes: [20_000, 200_000], make: sections },
    Kind { name: "symbols", sizes: [100_000, 1_000_000], make: symbols },
    Kind { name: "relocations", sizes: [200_000, 2_000_000], make: relocations },
    Kind { name: "chain", sizes: [20_000, 200_000], make: chain },
];

/// Writes all inputs.
pub(crate) fn prepare() -> Result {
    for kind in KINDS {
        for size in kind.sizes {
            eprintln!("growth: {size} {}", kind.name);
            kind.prepare(size)?;
        }
    }
    Ok(())
}

/// Every kind at both sizes.
pub(crate) fn compare(plan: &Plan, trivial: &Row) -> Result<Vec<Line>> {
    let side = |inputs: &[String]| Side { commands: vec![command(&plan.jitlink, &["link", "--no-exec"], inputs)] };
    let nothing = trivial.prepare(&folder(trivial.name))?;
    let mut lines = Vec::new();
    for kind in KINDS {
        let [small, large] = kind.sizes;
        eprintln!("growth: {large} against {small} {}", kind.name);
        let sides = [side(&kind.prepare(large)?), side(&kind.prepare(small)?), side(&nothing)];
        let (results, rounds) = measure::compare(&sides, plan.time);
        let figures = results.into_iter().collect::<Result<Vec<Figures>>>();
        lines.push(Line {
            row: kind.name.into(),
            what: format!("{large} {} against {small}, less the time of a trivial link", kind.name),
            against: small.to_string(),
            measured: figures.and_then(|figures| grown(&figures, rounds)),
            bars: Bars { time: Some(BAR), memory: None, cpu: None },
        });
    }
    Ok(lines)
}

/// The large and the small input's figures without those of a trivial link, which come last.
pub(super) fn grown(figures: &[Figures], rounds: usize) -> Result<Measured> {
    let [large, small, trivial] = figures else { return Err("a side is lost".into()) };
    let (ours, theirs) = (large.less_time_of(trivial), small.less_time_of(trivial));
    if ours.wall <= 0.0 || theirs.wall <= 0.0 {
        return Err("a trivial link took as long: the machine is too busy to measure growth".into());
    }
    Ok(Measured { ours, theirs, knows_usage: true, rounds })
}

impl Kind {
    fn prepare(&self, size: usize) -> Result<Vec<String>> {
        let folder = folder("growth").join(format!("{}-{size}", self.name));
        super::inputs::prepared(&folder, |folder| (self.make)(folder, size))
    }
}

/// The end of every assembler source.
const NO_STACK: &str = "\t.section .note.GNU-stack,\"\",@progbits\n";

/// Functions in sections of their own, that call nothing.
fn sections(folder: &Path, count: usize) -> Result<Vec<PathBuf>> {
    let mut text = String::new();
    for i in 0..count {
        writeln!(text, "\t.section .text.f{i},\"ax\",@progbits\n\t.globl f{i}\nf{i}:\tret")?;
    }
    Ok(vec![compile(folder, "sections.s", &(text + NO_STACK), &[])?])
}

/// Names in one section, every fourth local.
fn symbols(folder: &Path, count: usize) -> Result<Vec<PathBuf>> {
    let mut text = String::from("\t.text\n");
    for i in 0..count {
        if i % 4 > 0 {
            writeln!(text, "\t.globl a_name_of_usual_length_{i}")?;
        }
        writeln!(text, "a_name_of_usual_length_{i}:\tnop")?;
    }
    Ok(vec![compile(folder, "symbols.s", &(text + NO_STACK), &[])?])
}

/// Calls, loads and pointers among ten functions.
fn relocations(folder: &Path, count: usize) -> Result<Vec<PathBuf>> {
    let mut text = String::from("\t.text\n");
    for i in 0..10 {
        writeln!(text, "\t.globl function_{i}\nfunction_{i}:\tret")?;
    }
    for i in 0..count / 2 {
        match i % 2 {
            0 => writeln!(text, "\tcall function_{}@PLT", i % 10)?,
            _ => writeln!(text, "\tmovq function_{}@GOTPCREL(%rip), %rax", i % 10)?,
        }
    }
    text += "\t.data\n\t.balign 8\n";
    for i in 0..count - count / 2 {
        writeln!(text, "\t.quad function_{} + {}", i % 10, i % 16)?;
    }
    Ok(vec![compile(folder, "relocations.s", &(text + NO_STACK), &[])?])
}

/// Functions in sections of their own, each of which calls the next.
fn chain(folder: &Path, count: usize) -> Result<Vec<PathBuf>> {
    let mut text = String::new();
    for i in 0..count {
        let next = (i + 1) % count;
        writeln!(text, "\t.section .text.f{i},\"ax\",@progbits\n\t.globl f{i}\nf{i}:\tcall f{next}@PLT\n\tret")?;
    }
    Ok(vec![compile(folder, "chain.s", &(text + NO_STACK), &[])?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_trivial_link_takes_is_no_growth() {
        let figures = |wall: f64| Figures { wall, cpu: wall, memory: 100.0 };
        let measured = grown(&[figures(21.0), figures(3.0), figures(1.0)], 5).unwrap();
        assert_eq!((measured.ours.wall, measured.theirs.wall), (20.0, 2.0));
        assert!(grown(&[figures(21.0), figures(1.0), figures(1.0)], 5).is_err());
    }
}
