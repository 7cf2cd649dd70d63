//! A rules file: links, each with its conditions or with the errors that it is to end in.

use crate::evaluate::evaluate;
use crate::expression::Expression;
use crate::report::{Explanation, Outcome, Verdict};
use crate::setup::{self, Change};
use crate::source::{Diagnostic, Marked, Marker, Source};
use crate::view::View;
use crate::{explain, parser};
use jitlink_core::LinkError;
use std::fmt;

/// The rules of a file.
#[derive(Clone, Debug)]
pub struct Rules {
    pub(crate) source: Source,
    /// In the order of the file. The first may be that of the caller's options, and stand in no line.
    pub(crate) links: Vec<LinkRules>,
}

/// One link and what is expected of it.
#[derive(Clone, Debug)]
pub(crate) struct LinkRules {
    /// The line that starts it.
    pub(crate) start: Option<Marked>,
    pub(crate) changes: Vec<Change>,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) errors: Vec<Expected>,
}

#[derive(Clone, Debug)]
pub(crate) struct Condition {
    marked: Marked,
    expression: Expression,
}

/// An error that the link is to end in.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) marked: Marked,
    pub(crate) code: Option<String>,
    /// A part of the error's message; may be empty.
    pub(crate) text: String,
}

/// What is wrong with a rules file; at least one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleErrors(pub Vec<Diagnostic>);

impl fmt::Display for RuleErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for RuleErrors {}

impl Rules {
    /// Reads the rules in a text. `file` is how messages call it.
    ///
    /// # Errors
    /// All that is wrong with rules and markers, or that there is no rule at all.
    pub fn parse(file: &str, text: &str) -> Result<Rules, RuleErrors> {
        let source = Source::new(file, text);
        let (marked, mut problems) = source.marked();
        let mut links: Vec<LinkRules> = Vec::new();
        for marked in marked {
            if let Err(fault) = add(&mut links, marked.clone()) {
                problems.push(source.diagnostic(&marked, &fault));
            }
        }
        for link in &links {
            problems.extend(contradiction(&source, link));
        }
        if problems.is_empty() && links.iter().all(|link| link.conditions.is_empty() && link.errors.is_empty()) {
            let help = "a rule is a line with a comment such as: # jitlink-check: u32(label) == other - label";
            problems.push(source.whole("there is no rule in this file", help));
        }
        problems.sort_by_key(|problem| (problem.line, problem.column));
        if problems.is_empty() { Ok(Rules { source, links }) } else { Err(RuleErrors(problems)) }
    }

    /// How many rules there are: conditions, and errors that are expected.
    pub fn count(&self) -> usize {
        self.links.iter().map(|link| link.conditions.len() + link.errors.len()).sum()
    }

    /// Evaluates all conditions against one link, whichever link they were written for.
    pub fn evaluate(&self, view: &View<'_>) -> Vec<Outcome> {
        let conditions = self.links.iter().flat_map(|link| &link.conditions);
        conditions.map(|condition| condition.evaluate(&self.source, view)).collect()
    }

    /// The outcome of a rule.
    pub(crate) fn outcome(&self, marked: &Marked, verdict: Verdict) -> Outcome {
        outcome(&self.source, marked, verdict)
    }
}

fn outcome(source: &Source, marked: &Marked, verdict: Verdict) -> Outcome {
    let indent = marked.text.len() - marked.text.trim_start().len();
    let (line, column) = marked.place(indent);
    let text: Vec<&str> = marked.text.split_whitespace().collect();
    let kind = match &marked.marker {
        Marker::Error(Some(code)) => format!("error[{code}]: "),
        Marker::Error(None) => "error: ".into(),
        Marker::Condition | Marker::Link => String::new(),
    };
    Outcome { file: source.file.clone(), line, column, rule: kind + &text.join(" "), verdict }
}

impl Condition {
    pub(crate) fn evaluate(&self, source: &Source, view: &View<'_>) -> Outcome {
        let values = evaluate(&self.expression, view);
        let verdict = match values.last() {
            Some(Ok(1)) => Verdict::Passed,
            Some(Err(fault)) => Verdict::Invalid(Box::new(source.diagnostic(&self.marked, fault))),
            _ => Verdict::Failed(explain::failure(&self.marked.text, &self.expression, &values, view)),
        };
        outcome(source, &self.marked, verdict)
    }

    /// The outcome where there is no link to evaluate it against.
    pub(crate) fn skip(&self, source: &Source) -> Outcome {
        outcome(source, &self.marked, Verdict::NotEvaluated)
    }
}

impl Expected {
    /// Whether this is the error that was meant.
    pub(crate) fn matches(&self, error: &LinkError) -> bool {
        self.code.as_ref().is_none_or(|code| code == error.code()) && error.to_string().contains(&self.text)
    }

    pub(crate) fn failure(reason: String) -> Verdict {
        Verdict::Failed(Explanation { reason: Some(reason), values: Vec::new(), hint: None })
    }
}

/// Adds a marked line to the link that it belongs to.
fn add(links: &mut Vec<LinkRules>, marked: Marked) -> Result<(), crate::lexer::Fault> {
    let new = |start, changes| LinkRules { start, changes, conditions: Vec::new(), errors: Vec::new() };
    if marked.marker == Marker::Link {
        let changes = setup::parse(&marked.text)?;
        links.push(new(Some(marked), changes));
        return Ok(());
    }
    if links.is_empty() {
        links.push(new(None, Vec::new()));
    }
    let Some(link) = links.last_mut() else { return Ok(()) };
    match marked.marker.clone() {
        Marker::Error(code) => {
            let text = marked.text.trim().to_string();
            if text.is_empty() && code.is_none() {
                let fault = crate::lexer::Fault::new((0, marked.text.len()), "say which error is expected");
                return Err(fault.help("as in jitlink-check-error[out-of-range]: R_X86_64_8 against far"));
            }
            link.errors.push(Expected { marked, code, text });
        }
        Marker::Condition | Marker::Link => {
            let expression = parser::parse(&marked.text, marked.label.as_deref())?;
            link.conditions.push(Condition { marked, expression });
        }
    }
    Ok(())
}

/// A link that fails has no memory to evaluate conditions against.
fn contradiction(source: &Source, link: &LinkRules) -> Option<Diagnostic> {
    let (condition, expected) = (link.conditions.first()?, link.errors.first()?);
    let line = expected.marked.place(0).0;
    let fault = crate::lexer::Fault::new(
        (0, condition.marked.text.len()),
        format!("this link is expected to fail (line {line}), so there is nothing to evaluate this against"),
    );
    let help = "start another link above the one or the other: jitlink-check-link: OPTIONS";
    Some(source.diagnostic(&condition.marked, &fault.help(help)))
}
