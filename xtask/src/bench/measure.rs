//! What a whole process took: wall time, CPU time, peak memory.
//!
//! The sides take turns, A B A B, so that what else the machine does meets all of them alike; the first turn warms the
//! caches and is not counted. Of each figure the median is kept.

use crate::Result;
use crate::process::{capture, shown};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Turns of each side, whatever the time that is left.
const FEWEST_ROUNDS: usize = 5;
const MOST_ROUNDS: usize = 101;

/// The figures of one run, or the medians of many.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Figures {
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
    /// In KiB.
    pub(crate) memory: f64,
}

impl Figures {
    /// These figures without the time of others.
    pub(crate) fn less_time_of(&self, other: &Figures) -> Figures {
        Figures { wall: self.wall - other.wall, cpu: self.cpu - other.cpu, memory: self.memory }
    }
}

/// One side: the commands that do its work, one after the other.
pub(crate) struct Side {
    pub(crate) commands: Vec<Vec<String>>,
}

/// The medians of every side, in order, or what the side said when it failed; and how many rounds were run.
pub(crate) fn compare(sides: &[Side], time: Duration) -> (Vec<Result<Figures>>, usize) {
    let (results, rounds) = take_turns(sides, time, warm_up, Side::run);
    let medians = results.into_iter().map(|runs| Ok(medians(&runs?)));
    (medians.collect(), rounds)
}

/// What each turn of every side gave, in order, or what went wrong; and how many rounds were run. What `first` does is not counted.
pub(crate) fn take_turns<S, T>(
    sides: &[S],
    time: Duration,
    first: impl Fn(&S) -> Result,
    run: impl Fn(&S) -> Result<T>,
) -> (Vec<Result<Vec<T>>>, usize) {
    let mut results: Vec<Result<Vec<T>>> = sides.iter().map(|side| first(side).map(|()| Vec::new())).collect();
    let start = Instant::now();
    let mut rounds = 0;
    while rounds < FEWEST_ROUNDS || (rounds < MOST_ROUNDS && start.elapsed() < time) {
        for (side, result) in sides.iter().zip(&mut results) {
            let Ok(runs) = result else { continue };
            match run(side) {
                Ok(figures) => runs.push(figures),
                Err(error) => *result = Err(error),
            }
        }
        rounds += 1;
    }
    (results, rounds)
}

/// Runs each command once, and shows what it says when it fails.
fn warm_up(side: &Side) -> Result {
    for words in &side.commands {
        capture(&mut command(words))?;
    }
    Ok(())
}

fn command(words: &[String]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).stdin(Stdio::null());
    command
}

impl Side {
    fn run(&self) -> Result<Figures> {
        let mut sum = Figures::default();
        for words in &self.commands {
            let figures = run(&mut command(words))?;
            sum.wall += figures.wall;
            sum.cpu += figures.cpu;
            sum.memory = sum.memory.max(figures.memory);
        }
        Ok(sum)
    }
}

/// Runs one process and asks the kernel what it used.
fn run(command: &mut Command) -> Result<Figures> {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let child = command.spawn().map_err(|error| format!("{}: {error}", shown(command)))?;
    let mut status = 0;
    // SAFETY: all fields of `rusage` are integers, for which zero is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointers are to locals that live across the call, and the process is our child, not yet waited for.
    let waited = unsafe { libc::wait4(child.id().cast_signed(), &raw mut status, 0, &raw mut usage) };
    let wall = start.elapsed().as_secs_f64();
    if waited < 0 || !libc::WIFEXITED(status) || libc::WEXITSTATUS(status) != 0 {
        return Err(format!("`{}` failed", shown(command)).into());
    }
    Ok(Figures { wall, cpu: seconds(usage.ru_utime) + seconds(usage.ru_stime), memory: usage.ru_maxrss as f64 })
}

fn seconds(time: libc::timeval) -> f64 {
    time.tv_sec as f64 + time.tv_usec as f64 / 1e6
}

fn medians(runs: &[Figures]) -> Figures {
    Figures {
        wall: median(runs.iter().map(|run| run.wall).collect()),
        cpu: median(runs.iter().map(|run| run.cpu).collect()),
        memory: median(runs.iter().map(|run| run.memory).collect()),
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        length if length % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::{Side, compare, median};
    use std::time::Duration;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![9.0, 1.0, 3.0]), 3.0);
        assert_eq!(median(vec![4.0, 1.0, 9.0, 2.0]), 3.0);
    }

    #[test]
    fn a_side_that_fails_does_not_stop_the_other() {
        let side = |words: &[&str]| Side { commands: vec![words.iter().map(|word| (*word).to_owned()).collect()] };
        let (results, rounds) = compare(&[side(&["true"]), side(&["false"])], Duration::ZERO);
        assert!(results[0].as_ref().is_ok_and(|figures| figures.wall > 0.0 && figures.memory > 0.0));
        assert!(results[1].is_err());
        assert_eq!(rounds, 5);
    }
}
