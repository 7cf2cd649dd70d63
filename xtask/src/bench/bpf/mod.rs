//! BPF: programs in our machine against other interpreters, and links to one object against bpftool's.

mod link;
mod machines;
mod programs;

use super::Plan;
use super::report::Line;
use crate::Result;

pub(crate) use link::prepare;

/// Programs first, then links.
pub(crate) fn compare(plan: &Plan) -> Result<Vec<Line>> {
    let mut lines = programs::compare(plan)?;
    lines.extend(link::compare(plan)?);
    Ok(lines)
}
