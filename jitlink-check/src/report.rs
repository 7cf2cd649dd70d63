//! What came of rules, for people and for tools.

use crate::source::Diagnostic;
use jitlink_core::LinkError;
use jitlink_core::link::Statistics;
use std::fmt;

/// What came of all the rules of a file.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The links, in the order of the file.
    pub links: Vec<LinkOutcome>,
}

/// What came of one link.
#[derive(Clone, Debug)]
pub struct LinkOutcome {
    /// Its line in the rules file, `FILE` or `FILE:LINE`.
    pub place: String,
    /// Its rules, in the order of the file.
    pub rules: Vec<Outcome>,
    /// Errors of the link that no rule expects.
    pub unexpected: Vec<LinkError>,
    /// What the link did, if it succeeded.
    pub statistics: Option<Statistics>,
}

/// What came of one rule.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The rules file, as it was named.
    pub file: String,
    /// The line, from one.
    pub line: usize,
    /// The character of the line, from one.
    pub column: usize,
    /// The rule.
    pub rule: String,
    /// Whether it holds.
    pub verdict: Verdict,
}

/// Whether a rule holds.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It does.
    Passed,
    /// It does not.
    Failed(Explanation),
    /// It has no value: it asks for what the link does not have.
    Invalid(Box<Diagnostic>),
    /// The link failed, so there was nothing to evaluate it against.
    NotEvaluated,
}

/// Why a rule does not hold.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// In words, where values do not say it.
    pub reason: Option<String>,
    /// The values: first the sides of what is to blame, then those of the parts.
    pub values: Vec<Part>,
    /// What was probably meant.
    pub hint: Option<String>,
}

/// A part of a rule with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is in the rule.
    pub role: PartRole,
    /// As it is written.
    pub expression: String,
    /// Its value in hex, or `true` or `false`.
    pub value: String,
}

/// What a part is in its rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartRole {
    /// The left side of a comparison that is to blame.
    Left,
    /// Its right side.
    Right,
    /// A condition that is to blame.
    Condition,
    /// Something inside.
    Part,
}

impl PartRole {
    /// A word for it: `left`, `right`, `condition` or `part`.
    pub fn name(self) -> &'static str {
        match self {
            PartRole::Left => "left",
            PartRole::Right => "right",
            PartRole::Condition => "condition",
            PartRole::Part => "part",
        }
    }
}

impl Report {
    /// Whether every rule holds, and no link failed unexpectedly.
    pub fn passed(&self) -> bool {
        let held = |outcome: &Outcome| matches!(outcome.verdict, Verdict::Passed);
        self.links.iter().all(|link| link.unexpected.is_empty() && link.rules.iter().all(held))
    }

    /// How many rules hold, do not hold (or have no value), and were not evaluated.
    pub fn counts(&self) -> (usize, usize, usize) {
        let mut counts = (0, 0, 0);
        for outcome in self.links.iter().flat_map(|link| &link.rules) {
            match outcome.verdict {
                Verdict::Passed => counts.0 += 1,
                Verdict::Failed(_) | Verdict::Invalid(_) => counts.1 += 1,
                Verdict::NotEvaluated => counts.2 += 1,
            }
        }
        counts
    }

    /// One line: `3 rules passed, 1 failed`.
    pub fn summary(&self) -> String {
        let (passed, failed, skipped) = self.counts();
        let plural = if passed == 1 { "rule" } else { "rules" };
        let mut text = format!("{passed} {plural} passed, {failed} failed");
        if skipped > 0 {
            text += &format!(", {skipped} not evaluated");
        }
        let broken = self.links.iter().filter(|link| !link.unexpected.is_empty()).count();
        match broken {
            0 => text,
            1 => text + ", 1 link failed unexpectedly",
            _ => text + &format!(", {broken} links failed unexpectedly"),
        }
    }
}

/// What failed, and the summary.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for link in &self.links {
            if !link.unexpected.is_empty() {
                writeln!(f, "{}: the link failed unexpectedly", link.place)?;
            }
            for error in &link.unexpected {
                writeln!(f, "  error[{}]: {error}", error.code())?;
                if !error.advice().is_empty() {
                    writeln!(f, "    help: {}", error.advice())?;
                }
            }
            for outcome in &link.rules {
                write!(f, "{outcome}")?;
            }
        }
        writeln!(f, "{}", self.summary())
    }
}

/// Why it failed; nothing where it holds or was not evaluated.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verdict {
            Verdict::Passed | Verdict::NotEvaluated => Ok(()),
            Verdict::Invalid(diagnostic) => writeln!(f, "{diagnostic}"),
            Verdict::Failed(explanation) => {
                writeln!(f, "{}:{}:{}: failed: {}", self.file, self.line, self.column, self.rule)?;
                write!(f, "{explanation}")
            }
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(reason) = &self.reason {
            for line in reason.lines() {
                writeln!(f, "  {line}")?;
            }
        }
        let width = self.values.iter().map(|part| part.expression.chars().count()).max().unwrap_or(0);
        let mut is_first_part = true;
        for Part { role, expression, value } in &self.values {
            let label = match role {
                PartRole::Left => "left",
                PartRole::Right => "right",
                PartRole::Condition => "is",
                PartRole::Part if std::mem::take(&mut is_first_part) => "where",
                PartRole::Part => "",
            };
            writeln!(f, "  {label:5}  {expression:width$} = {value}")?;
        }
        match &self.hint {
            Some(hint) => writeln!(f, "  help: {hint}"),
            None => Ok(()),
        }
    }
}
