//! Lines of the benchmark's tables, for people and for programs.

use super::measure::Figures;
use crate::Result;
use serde_json::{Value, json};

/// What was compared, what came out, and what has to.
pub(crate) struct Line {
    pub(crate) row: String,
    pub(crate) what: String,
    pub(crate) against: String,
    pub(crate) measured: Result<Measured>,
    pub(crate) bars: Bars,
}

/// Two sides' medians.
pub(crate) struct Measured {
    pub(crate) ours: Figures,
    pub(crate) theirs: Figures,
    /// Whether the other side's CPU time and memory are known.
    pub(crate) knows_usage: bool,
    pub(crate) rounds: usize,
}

/// The ratios that ours may have to theirs; `None` where a ratio is only shown.
#[derive(Clone, Copy, Default)]
pub(crate) struct Bars {
    pub(crate) time: Option<f64>,
    pub(crate) memory: Option<f64>,
    pub(crate) cpu: Option<f64>,
}

impl Line {
    fn ratio(&self, figure: fn(&Figures) -> f64) -> Option<f64> {
        let measured = self.measured.as_ref().ok()?;
        Some(figure(&measured.ours) / figure(&measured.theirs)).filter(|ratio| ratio.is_finite())
    }

    fn time_ratio(&self) -> Option<f64> {
        self.ratio(|figures| figures.wall)
    }

    fn cpu_ratio(&self) -> Option<f64> {
        self.ratio(|figures| figures.cpu).filter(|_| self.knows_usage())
    }

    fn memory_ratio(&self) -> Option<f64> {
        self.ratio(|figures| figures.memory).filter(|_| self.knows_usage())
    }

    fn knows_usage(&self) -> bool {
        self.measured.as_ref().is_ok_and(|measured| measured.knows_usage)
    }

    /// Whether all that is judged is within its bar; `None` if it could not be measured.
    pub(crate) fn passes(&self) -> Option<bool> {
        let judged = [
            (self.time_ratio(), self.bars.time),
            (self.memory_ratio(), self.bars.memory),
            (self.cpu_ratio(), self.bars.cpu),
        ];
        let ratios: Option<Vec<(f64, f64)>> =
            judged.into_iter().filter_map(|(ratio, bar)| Some(ratio.zip(Some(bar?)))).collect();
        Some(ratios?.into_iter().all(|(ratio, bar)| ratio <= bar))
    }
}

/// Prints lines under a heading.
pub(crate) fn print(title: &str, lines: &[Line]) {
    println!("\n{title}");
    println!(
        "{:12} {:14} {:>10} {:>10} {:>7} {:>6} {:4}  {:>7} {:>6} {:4}  {:>7} {:>6} {:4}  {:>6}",
        "row", "against", "ours", "theirs", "time", "bar", "", "memory", "bar", "", "CPU", "bar", "", "rounds"
    );
    for line in lines {
        let name = format!("{:12} {:14}", line.row, line.against);
        let measured = match &line.measured {
            Ok(measured) => measured,
            Err(error) => {
                println!("{name} {error}");
                continue;
            }
        };
        println!(
            "{name} {:>7.2} ms {:>7.2} ms {}  {}  {}  {:>6}",
            measured.ours.wall * 1e3,
            measured.theirs.wall * 1e3,
            judged(line.time_ratio(), line.bars.time),
            judged(line.memory_ratio(), line.bars.memory),
            judged(line.cpu_ratio(), line.bars.cpu),
            measured.rounds
        );
    }
}

/// A ratio, its bar, and whether it is within it.
fn judged(ratio: Option<f64>, bar: Option<f64>) -> String {
    let verdict = match ratio.zip(bar) {
        Some((ratio, bar)) if ratio <= bar => "pass",
        Some(_) => "FAIL",
        None => "",
    };
    format!("{:>7} {:>6} {verdict:4}", number(ratio), number(bar.filter(|_| ratio.is_some())))
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}

/// Lines for programs.
pub(crate) fn as_json(lines: &[Line]) -> Vec<Value> {
    let side = |figures: &Figures| json!({ "wall_ms": figures.wall * 1e3, "cpu_ms": figures.cpu * 1e3, "memory_kib": figures.memory });
    lines
        .iter()
        .map(|line| {
            let measured = line.measured.as_ref().ok();
            json!({
                "row": line.row,
                "what": line.what,
                "against": line.against,
                "ours": measured.map(|measured| side(&measured.ours)),
                "theirs": measured.map(|measured| side(&measured.theirs)),
                "error": line.measured.as_ref().err().map(ToString::to_string),
                "time_ratio": line.time_ratio(),
                "time_bar": line.bars.time,
                "memory_ratio": line.memory_ratio(),
                "memory_bar": line.bars.memory,
                "cpu_ratio": line.cpu_ratio(),
                "cpu_bar": line.bars.cpu,
                "pass": line.passes(),
                "rounds": measured.map(|measured| measured.rounds),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(ours: Figures, theirs: Figures, knows_usage: bool) -> Line {
        let bars = Bars { time: Some(0.2), memory: Some(0.5), cpu: None };
        let measured = Ok(Measured { ours, theirs, knows_usage, rounds: 5 });
        Line { row: "row".into(), what: "what".into(), against: "them".into(), measured, bars }
    }

    #[test]
    fn time_and_memory_are_both_judged() {
        let theirs = Figures { wall: 1.0, cpu: 1.0, memory: 100.0 };
        let ours = |wall: f64, memory: f64| Figures { wall, cpu: 1.0, memory };
        assert_eq!(line(ours(0.2, 50.0), theirs, true).passes(), Some(true));
        assert_eq!(line(ours(0.21, 50.0), theirs, true).passes(), Some(false));
        assert_eq!(line(ours(0.2, 51.0), theirs, true).passes(), Some(false));
        // What cannot be known is no verdict.
        assert_eq!(line(ours(0.2, 50.0), theirs, false).passes(), None);
        assert_eq!(Line { measured: Err("failed".into()), ..line(theirs, theirs, true) }.passes(), None);
    }

    #[test]
    fn processor_time_is_judged_where_it_has_a_bar() {
        let theirs = Figures { wall: 1.0, cpu: 1.0, memory: 100.0 };
        let bars = Bars { time: Some(12.0), memory: None, cpu: Some(12.0) };
        let passes = |cpu: f64| Line { bars, ..line(Figures { cpu, ..theirs }, theirs, true) }.passes();
        assert_eq!((passes(12.0), passes(13.0)), (Some(true), Some(false)));
    }

    #[test]
    fn programs_get_the_bars_too() {
        let theirs = Figures { wall: 1.0, cpu: 1.0, memory: 100.0 };
        let value = &as_json(&[line(theirs, theirs, true)])[0];
        assert_eq!(value["time_ratio"], 1.0);
        assert_eq!(value["memory_bar"], 0.5);
        assert_eq!(value["pass"], false);
    }
}
