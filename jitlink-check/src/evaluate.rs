//! The value of a rule and of all of its parts.
//!
//! Numbers are exact: 128 bits hold every sum and difference of addresses and of what loads give, so a negative distance is less
//! than zero and nothing wraps around. What does not fit 128 bits is an error of the rule.

use crate::expression::{Expression, Lookup, NodeId, NodeKind, Operator, What};
use crate::lexer::{Fault, Span};
use crate::view::{Missing, View};
use jitlink_core::{Addr, Endian};

/// A number, or 0 and 1 for a condition; or why there is none.
pub(crate) type Value = Result<i128, Fault>;

/// The value of each node; that of the rule is the last one.
pub(crate) fn evaluate(expression: &Expression, view: &View<'_>) -> Vec<Value> {
    let mut values: Vec<Value> = Vec::with_capacity(expression.nodes.len());
    for node in &expression.nodes {
        let value = Evaluation { view, values: &values, span: node.span }.node(&node.kind);
        values.push(value);
    }
    values
}

struct Evaluation<'e> {
    view: &'e View<'e>,
    values: &'e [Value],
    span: Span,
}

impl Evaluation<'_> {
    fn node(&self, kind: &NodeKind) -> Value {
        match kind {
            NodeKind::Number(number) => Ok(i128::from(*number)),
            NodeKind::Lookup(lookup) => self.look_up(lookup).map(i128::from),
            NodeKind::Exists(lookup) => match self.view.look_up(lookup) {
                Ok(_) | Err(Missing::Several(_)) => Ok(1),
                Err(Missing::Nowhere(_)) => Ok(0),
                Err(missing) => Err(self.missing(lookup, missing)),
            },
            NodeKind::Load { address, bytes, is_signed, endian } => {
                self.load(self.value(*address)?, *bytes, *is_signed, endian.unwrap_or(self.view.endian))
            }
            NodeKind::Slice { value, high, low } => {
                let mask = (1i128 << (high - low + 1)) - 1;
                Ok(self.value(*value)? >> low & mask)
            }
            NodeKind::Negate(value) => self.fitting(self.value(*value)?.checked_neg()),
            NodeKind::Complement(value) => Ok(!self.value(*value)?),
            NodeKind::Not(value) => Ok(i128::from(self.value(*value)? == 0)),
            NodeKind::Binary(operator, left, right) => self.binary(*operator, *left, *right),
        }
    }

    fn value(&self, id: NodeId) -> Value {
        self.values[id].clone()
    }

    fn fitting(&self, value: Option<i128>) -> Value {
        value.ok_or_else(|| Fault::new(self.span, "the result does not fit 128 bits"))
    }

    fn binary(&self, operator: Operator, left: NodeId, right: NodeId) -> Value {
        let (left, right) = (self.value(left)?, || self.value(right));
        // The right side of && and || counts only where the left one does not decide.
        match operator {
            Operator::And => return if left == 0 { Ok(0) } else { right() },
            Operator::Or => return if left == 1 { Ok(1) } else { right() },
            _ => {}
        }
        let right = right()?;
        let shift = || {
            let is_possible = (0..128).contains(&right);
            is_possible
                .then_some(right as u32)
                .ok_or_else(|| Fault::new(self.span, format!("a shift by {right} is not one by 0 to 127 bits")))
        };
        let by_zero = || Fault::new(self.span, "division by zero");
        match operator {
            Operator::Equal => Ok(i128::from(left == right)),
            Operator::NotEqual => Ok(i128::from(left != right)),
            Operator::Less => Ok(i128::from(left < right)),
            Operator::LessOrEqual => Ok(i128::from(left <= right)),
            Operator::Greater => Ok(i128::from(left > right)),
            Operator::GreaterOrEqual => Ok(i128::from(left >= right)),
            Operator::BitOr | Operator::Or => Ok(left | right),
            Operator::BitXor => Ok(left ^ right),
            Operator::BitAnd | Operator::And => Ok(left & right),
            Operator::ShiftLeft => {
                let (shift, shifted) = (shift()?, left.wrapping_shl(shift()?));
                self.fitting((shifted >> shift == left).then_some(shifted))
            }
            Operator::ShiftRight => Ok(left >> shift()?),
            Operator::Add => self.fitting(left.checked_add(right)),
            Operator::Subtract => self.fitting(left.checked_sub(right)),
            Operator::Multiply => self.fitting(left.checked_mul(right)),
            Operator::Divide | Operator::Remainder if right == 0 => Err(by_zero()),
            Operator::Divide => self.fitting(left.checked_div(right)),
            Operator::Remainder => self.fitting(left.checked_rem(right)),
        }
    }

    fn load(&self, address: i128, bytes: usize, is_signed: bool, endian: Endian) -> Value {
        let Ok(at) = u64::try_from(address) else {
            return Err(Fault::new(self.span, format!("{} is no address to load from", hex(address))));
        };
        let mut buffer = [0; 8];
        let word = &mut buffer[..bytes];
        if !self.view.memory.read(Addr(at), word) {
            let message = match bytes {
                1 => format!("the byte at {at:#x} is not in linked memory"),
                _ => format!("the {bytes} bytes at {at:#x} are not in linked memory"),
            };
            let fault = Fault::new(self.span, message);
            let spans = self.view.memory.spans();
            let spans: Vec<String> =
                spans.iter().take(4).map(|(start, size)| format!("{start} to {}", *start + *size)).collect();
            return Err(fault.help(format!("there is memory from {}", spans.join(", from "))));
        }
        let unsigned = endian.read(word);
        let unused = 64 - 8 * bytes as u32;
        let signed = (unsigned << unused) as i64 >> unused;
        Ok(if is_signed { i128::from(signed) } else { i128::from(unsigned) })
    }

    fn look_up(&self, lookup: &Lookup) -> Result<u64, Fault> {
        self.view.look_up(lookup).map_err(|missing| self.missing(lookup, missing))
    }

    fn missing(&self, lookup: &Lookup, missing: Missing) -> Fault {
        let what = lookup.what.describe(&lookup.name);
        let place = lookup.object.as_ref().map_or_else(|| "in this link".to_string(), |object| format!("in {object}"));
        match missing {
            Missing::Nowhere(Some(similar)) => {
                Fault::new(self.span, format!("there is no {what} {place}")).help(format!("did you mean {similar}?"))
            }
            Missing::Nowhere(None) => {
                let help = match lookup.what {
                    What::Symbol | What::Size if lookup.name.starts_with(".L") => {
                        "no object keeps labels that start with .L: give it another name"
                    }
                    What::Symbol => "is it spelled so in the object, and does something that is linked need it?",
                    What::Size => "only symbols of objects have a size",
                    What::Section | What::SectionSize | What::SectionEnd => {
                        "empty sections, debug sections and those that nothing needs have no place"
                    }
                    What::Got => "a reference to something near may need no slot: check with exists(got(NAME))",
                    What::Stub(_) => "a call to something near needs no stub: check with exists(stub(NAME))",
                };
                Fault::new(self.span, format!("there is no {what} {place}")).help(help)
            }
            Missing::Several(places) => {
                let fault = Fault::new(self.span, format!("there is more than one {what}: {}", places.join(", ")));
                fault.help("say which object is meant: NAME in OBJECT (symbol(NAME in OBJECT) for an address)")
            }
            Missing::NoObject(objects) => {
                let object = lookup.object.as_deref().unwrap_or_default();
                let fault = Fault::new(self.span, format!("no object of this link is called {object}"));
                fault.help(format!("there are {}", objects.join(", ")))
            }
        }
    }
}

/// A number in hex, negative ones with their sign.
pub(crate) fn hex(value: i128) -> String {
    jitlink_core::error::SignedHex(value).to_string()
}
