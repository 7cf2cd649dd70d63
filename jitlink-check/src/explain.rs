//! Why a rule fails: the comparisons that are to blame, both of their sides, and the values of the parts.

use crate::evaluate::{Value, hex};
use crate::expression::{Expression, NodeId, NodeKind, Operator, Sort};
use crate::report::{Explanation, Part, PartRole};
use crate::view::View;

pub(crate) fn failure(text: &str, expression: &Expression, values: &[Value], view: &View<'_>) -> Explanation {
    let explainer = Explainer { text, expression, values, view };
    let mut parts = Vec::new();
    let mut hint = None;
    for blamed in explainer.blamed(expression.nodes.len() - 1) {
        match expression.nodes[blamed].kind {
            NodeKind::Binary(operator, left, right) if operator.is_comparison() => {
                parts.push(explainer.part(left, PartRole::Left));
                parts.push(explainer.part(right, PartRole::Right));
                hint = hint.or_else(|| explainer.hint(operator, left, right));
            }
            _ => parts.push(explainer.part(blamed, PartRole::Condition)),
        }
    }
    // What was shown already, and numbers that stand for themselves, say nothing new.
    for id in 0..expression.nodes.len() {
        let node = &expression.nodes[id];
        let is_plain = matches!(node.kind, NodeKind::Number(_));
        let part = explainer.part(id, PartRole::Part);
        let is_known = parts.iter().any(|known: &Part| known.expression == part.expression);
        if node.sort == Sort::Number && !is_plain && !is_known {
            parts.push(part);
        }
    }
    Explanation { reason: None, values: parts, hint }
}

struct Explainer<'e> {
    text: &'e str,
    expression: &'e Expression,
    values: &'e [Value],
    view: &'e View<'e>,
}

impl Explainer<'_> {
    /// The conditions that make the whole false, in order.
    fn blamed(&self, whole: NodeId) -> Vec<NodeId> {
        let mut blamed = Vec::new();
        let mut work = vec![whole];
        while let Some(id) = work.pop() {
            match self.expression.nodes[id].kind {
                // Both of its sides are false, and an && has at least one.
                NodeKind::Binary(Operator::Or, left, right) => work.extend([right, left]),
                NodeKind::Binary(Operator::And, left, right) => {
                    let is_false = |id: &NodeId| self.values[*id] == Ok(0);
                    // The first false one decides; what comes after it may depend on it.
                    work.extend([left, right].into_iter().find(is_false));
                }
                NodeKind::Not(inner) => blamed.push(inner),
                _ => blamed.push(id),
            }
        }
        blamed
    }

    fn part(&self, id: NodeId, role: PartRole) -> Part {
        let node = &self.expression.nodes[id];
        let words: Vec<&str> = self.text.get(node.span.0..node.span.1).unwrap_or_default().split_whitespace().collect();
        let value = match (&self.values[id], node.sort) {
            (Ok(value), Sort::Number) => hex(*value),
            (Ok(value), Sort::Condition) => self.condition(*value, &node.kind),
            (Err(fault), _) => format!("({})", fault.message),
        };
        Part { role, expression: words.join(" "), value }
    }

    fn condition(&self, value: i128, kind: &NodeKind) -> String {
        match kind {
            NodeKind::Exists(lookup) => match self.view.look_up(lookup) {
                Ok(value) => format!("true ({value:#x})"),
                Err(_) => (value == 1).to_string(),
            },
            _ => (value == 1).to_string(),
        }
    }

    /// What is often meant by an equality that fails by a multiple of a word.
    fn hint(&self, operator: Operator, left: NodeId, right: NodeId) -> Option<String> {
        let (Ok(left_value), Ok(right_value)) = (&self.values[left], &self.values[right]) else { return None };
        let difference = left_value.checked_sub(*right_value).filter(|_| operator == Operator::Equal)?;
        let bits = [64u32, 32, 16, 8].into_iter().find(|bits| difference & ((1 << bits) - 1) == 0)?;
        let is_load = |id: NodeId| matches!(self.expression.nodes[id].kind, NodeKind::Load { bytes, .. } if 8 * bytes as u32 == bits);
        (is_load(left) || is_load(right)).then(|| {
            format!(
                "both sides are equal in {bits} bits: load with the other sign (i{bits}, u{bits}), or compare [{}:0]",
                bits - 1
            )
        })
    }
}
