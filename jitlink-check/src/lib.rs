#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod checker;
mod evaluate;
mod explain;
mod expression;
mod keep;
mod lexer;
mod parser;
mod report;
mod rules;
mod setup;
mod source;
mod view;

pub use checker::Checker;
pub use report::{Explanation, LinkOutcome, Outcome, Part, PartRole, Report, Verdict};
pub use rules::{RuleErrors, Rules};
pub use setup::Setup;
pub use source::Diagnostic;
pub use view::{Memory, View};
