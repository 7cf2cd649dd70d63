//! What is said of a crash: the target tells addresses and registers, and this side knows what they mean.

use crate::wire::CrashFacts;
use jitlink_core::Addr;
use jitlink_core::executor::Description;
use std::fmt::{self, Write};

/// How many registers stand in a line.
const COLUMNS: usize = 4;

/// A crash of a process that runs linked code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrashReport {
    /// The signal's number.
    pub signal: i32,
    /// The registers by name.
    pub registers: Vec<(String, u64)>,
    /// The function of linked code, its object, and where in it; `None` if other code crashed.
    pub place: Option<String>,
    what: String,
    instruction: Option<Addr>,
}

impl CrashReport {
    pub(super) fn new<'d>(facts: CrashFacts, modules: impl Iterator<Item = &'d Description> + Clone) -> CrashReport {
        let place = |at: Addr, returns: bool| {
            let inside = if returns { at - 1 } else { at };
            let holds =
                |module: &&Description| module.segments.iter().any(|(start, size)| inside.offset_from(*start) < *size);
            let mut text = String::from(if returns { "called from " } else { "in " });
            // Writing to a string does not fail.
            let _ = modules.clone().find(holds)?.write_place(&mut text, at, returns);
            Some(text)
        };
        let instruction = facts.instruction.map(Addr);
        CrashReport {
            signal: facts.signal.0,
            place: instruction
                .and_then(|at| place(at, false))
                .or_else(|| facts.return_to.and_then(|at| place(Addr(at), true))),
            registers: facts.registers,
            what: format!("{} at {}", facts.signal.1, Addr(facts.address)),
            instruction,
        }
    }
}

impl fmt::Display for CrashReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.place, self.instruction) {
            (Some(place), _) => write!(f, "linked code crashed: {}\n  {place}", self.what)?,
            (None, Some(at)) => {
                write!(f, "the program crashed: {}\n  in code that was not linked (address {at})", self.what)?
            }
            (None, None) => write!(f, "the program crashed: {}", self.what)?,
        }
        for line in self.registers.chunks(COLUMNS) {
            let mut text = String::new();
            for (name, value) in line {
                write!(text, " {name:>7} {value:016x}")?;
            }
            write!(f, "\n {text}")?;
        }
        Ok(())
    }
}
