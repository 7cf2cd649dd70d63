//! From tokens to the tree of a rule.
//!
//! Operators bind as in Rust: `* / %`, `+ -`, `<< >>`, `&`, `^`, `|`, comparisons, `&&`, `||`. So `word & 0xff == 1` compares the
//! masked word, and a comparison of a comparison is refused rather than guessed at. Numbers and conditions are kept apart.

use crate::expression::{Expression, Lookup, Node, NodeId, NodeKind, Operator, Sort, What};
use crate::lexer::{Fault, Span, Token, tokens};
use jitlink_core::Endian;

/// How deep operands may be nested; a bound for the stack.
const DEEPEST: usize = 200;

/// Parses a rule. `place` is what `.` stands for: the name of a symbol.
pub(crate) fn parse(text: &str, place: Option<&str>) -> Result<Expression, Fault> {
    let mut parser = Parser { text, tokens: tokens(text)?, next: 0, depth: 0, nodes: Vec::new(), place };
    if parser.peek() == &Token::End {
        return Err(Fault::new((0, text.len()), "there is no condition in this rule"));
    }
    let (whole, span) = parser.expression(0)?;
    if parser.peek() != &Token::End {
        return Err(parser.unexpected("an operator or the end of the rule"));
    }
    if parser.nodes[whole].sort == Sort::Number {
        let fault = Fault::new(span, "a rule is a condition, and this is a number");
        return Err(fault.help(format!("say what it is to be: {} == …", text[span.0..span.1].trim())));
    }
    Ok(Expression { nodes: parser.nodes })
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<(Token, Span)>,
    next: usize,
    depth: usize,
    nodes: Vec<Node>,
    place: Option<&'t str>,
}

/// A node, and where it stands with the parentheses around it.
type Parsed = (NodeId, Span);

const FUNCTIONS: [&str; 8] = ["symbol", "size", "section", "section_size", "section_end", "got", "stub", "exists"];
const LOADS: [&str; 8] = ["u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64"];

impl Parser<'_> {
    fn peek(&self) -> &Token {
        &self.tokens[self.next].0
    }

    fn span(&self) -> Span {
        self.tokens[self.next].1
    }

    fn advance(&mut self) {
        // The last token stays.
        self.next = (self.next + 1).min(self.tokens.len() - 1);
    }

    fn accept(&mut self, mark: &str) -> bool {
        let is_there = matches!(self.peek(), Token::Mark(found) if *found == mark);
        if is_there {
            self.advance();
        }
        is_there
    }

    fn expect(&mut self, mark: &str) -> Result<usize, Fault> {
        let end = self.span().1;
        if self.accept(mark) { Ok(end) } else { Err(self.unexpected(&format!("`{mark}`"))) }
    }

    fn unexpected(&self, wanted: &str) -> Fault {
        let span = self.span();
        match self.peek() {
            // There is nothing to point at but the place after the last word.
            Token::End => {
                Fault::new((self.text.trim_end().len(), self.text.len()), format!("{wanted} is missing here"))
            }
            _ => Fault::new(span, format!("expected {wanted}, not `{}`", &self.text[span.0..span.1])),
        }
    }

    fn add(&mut self, kind: NodeKind, sort: Sort, span: Span) -> Parsed {
        self.nodes.push(Node { kind, sort, span });
        (self.nodes.len() - 1, span)
    }

    fn need(&self, operand: Parsed, sort: Sort) -> Result<NodeId, Fault> {
        let (id, span) = operand;
        match (self.nodes[id].sort == sort, sort) {
            (true, _) => Ok(id),
            (_, Sort::Number) => Err(Fault::new(span, "this is a condition, where a number is needed")),
            (_, Sort::Condition) => {
                let fault = Fault::new(span, "this is a number, where a condition is needed");
                Err(fault.help("compare it with something; & and | work on bits, && and || on conditions"))
            }
        }
    }

    /// Counts how deep `parse` is nested.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        if self.depth == DEEPEST {
            return Err(Fault::new(self.span(), "this is nested too deeply"));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// Operators that bind at least as tightly as `least`, with their operands.
    fn expression(&mut self, least: u8) -> Result<Parsed, Fault> {
        let mut left = self.nested(Self::unary)?;
        while let Some((operator, strength)) = self.operator().filter(|(_, strength)| *strength >= least) {
            let sign = self.span();
            self.advance();
            let right = self.nested(|parser| parser.expression(strength + 1))?;
            left = self.binary(operator, left, right)?;
            if operator.is_comparison() && self.operator().is_some_and(|(next, _)| next.is_comparison()) {
                let fault = Fault::new(self.span(), "comparisons do not chain");
                let sign = &self.text[sign.0..sign.1];
                return Err(fault.help(format!("write a {sign} b && b {sign} c")));
            }
        }
        Ok(left)
    }

    /// The operator that comes next, and how tightly it binds.
    fn operator(&self) -> Option<(Operator, u8)> {
        let Token::Mark(mark) = self.peek() else { return None };
        Some(match *mark {
            "||" => (Operator::Or, 1),
            "&&" => (Operator::And, 2),
            "==" => (Operator::Equal, 3),
            "!=" => (Operator::NotEqual, 3),
            "<" => (Operator::Less, 3),
            "<=" => (Operator::LessOrEqual, 3),
            ">" => (Operator::Greater, 3),
            ">=" => (Operator::GreaterOrEqual, 3),
            "|" => (Operator::BitOr, 4),
            "^" => (Operator::BitXor, 5),
            "&" => (Operator::BitAnd, 6),
            "<<" => (Operator::ShiftLeft, 7),
            ">>" => (Operator::ShiftRight, 7),
            "+" => (Operator::Add, 8),
            "-" => (Operator::Subtract, 8),
            "*" => (Operator::Multiply, 9),
            "/" => (Operator::Divide, 9),
            "%" => (Operator::Remainder, 9),
            _ => return None,
        })
    }

    fn binary(&mut self, operator: Operator, left: Parsed, right: Parsed) -> Result<Parsed, Fault> {
        let span = (left.1.0, right.1.1);
        let (operands, sort) = match operator {
            Operator::And | Operator::Or => (Sort::Condition, Sort::Condition),
            _ if operator.is_comparison() => (Sort::Number, Sort::Condition),
            _ => (Sort::Number, Sort::Number),
        };
        let (left, right) = (self.need(left, operands)?, self.need(right, operands)?);
        Ok(self.add(NodeKind::Binary(operator, left, right), sort, span))
    }

    fn unary(&mut self) -> Result<Parsed, Fault> {
        let start = self.span().0;
        for (mark, sort) in [("-", Sort::Number), ("~", Sort::Number), ("!", Sort::Condition)] {
            if self.accept(mark) {
                let operand = self.nested(Self::unary)?;
                let (span, operand) = ((start, operand.1.1), self.need(operand, sort)?);
                let kind = match mark {
                    "-" => NodeKind::Negate(operand),
                    "~" => NodeKind::Complement(operand),
                    _ => NodeKind::Not(operand),
                };
                return Ok(self.add(kind, sort, span));
            }
        }
        let mut operand = self.primary()?;
        while self.accept("[") {
            operand = self.slice(operand)?;
        }
        Ok(operand)
    }

    fn primary(&mut self) -> Result<Parsed, Fault> {
        let span = self.span();
        match self.peek().clone() {
            Token::Number(number) => {
                self.advance();
                Ok(self.add(NodeKind::Number(number), Sort::Number, span))
            }
            Token::Dot => {
                self.advance();
                let Some(label) = self.place else {
                    let fault = Fault::new(span, "`.` is the label above the rule, and there is none");
                    return Err(fault.help("labels that start with .L or a digit do not count: no object keeps them"));
                };
                let lookup = Lookup { what: What::Symbol, name: label.into(), object: None };
                Ok(self.add(NodeKind::Lookup(lookup), Sort::Number, span))
            }
            Token::Name(name) => {
                self.advance();
                if self.accept("(") {
                    return self.call(&name, span);
                }
                let lookup = Lookup { what: What::Symbol, name, object: None };
                Ok(self.add(NodeKind::Lookup(lookup), Sort::Number, span))
            }
            Token::Quoted(name) => {
                self.advance();
                let lookup = Lookup { what: What::Symbol, name, object: None };
                Ok(self.add(NodeKind::Lookup(lookup), Sort::Number, span))
            }
            Token::Mark("(") => {
                self.advance();
                let (inner, _) = self.nested(|parser| parser.expression(0))?;
                let end = self.expect(")")?;
                Ok((inner, (span.0, end)))
            }
            _ => Err(self.unexpected("a name, a number or `(`")),
        }
    }

    /// The arguments of a function, after `(`.
    fn call(&mut self, function: &str, span: Span) -> Result<Parsed, Fault> {
        let (kind, sort) = if function == "exists" {
            (NodeKind::Exists(self.existing()?), Sort::Condition)
        } else if let Some(what) = lookup_of(function) {
            (NodeKind::Lookup(self.lookup(what)?), Sort::Number)
        } else if let Some((bytes, is_signed, endian)) = load_of(function) {
            let address = self.nested(|parser| parser.expression(0))?;
            let address = self.need(address, Sort::Number)?;
            (NodeKind::Load { address, bytes, is_signed, endian }, Sort::Number)
        } else {
            let fault = Fault::new(span, format!("there is no function {function}"));
            let functions = [&FUNCTIONS[..], &LOADS[..]].concat().join(", ");
            return Err(fault.help(format!("there are {functions}, and loads of a given byte order, such as u32be")));
        };
        let end = self.expect(")")?;
        Ok(self.add(kind, sort, (span.0, end)))
    }

    /// What `exists` is asked for: a symbol, or what a function looks up.
    fn existing(&mut self) -> Result<Lookup, Fault> {
        let span = self.span();
        if let (Token::Name(function), Some((Token::Mark("("), _))) =
            (self.peek().clone(), self.tokens.get(self.next + 1))
        {
            self.advance();
            self.advance();
            let Some(what) = lookup_of(&function) else {
                return Err(Fault::new(
                    span,
                    format!("exists asks for symbols, sections, slots and stubs, not for {function}"),
                ));
            };
            let lookup = self.lookup(what)?;
            self.expect(")")?;
            return Ok(lookup);
        }
        self.lookup(What::Symbol)
    }

    /// `NAME`, `NAME in OBJECT`, and for a stub `, KIND`.
    fn lookup(&mut self, what: What) -> Result<Lookup, Fault> {
        let name = self.name("a name")?;
        let mut lookup = Lookup { what, name, object: None };
        if matches!(self.peek(), Token::Name(word) if word == "in") {
            self.advance();
            lookup.object = Some(self.name("the name of an object")?);
        }
        if matches!(lookup.what, What::Stub(_)) && self.accept(",") {
            lookup.what = What::Stub(Some(self.name("a kind of stub, such as plt or thunk")?));
        }
        Ok(lookup)
    }

    fn name(&mut self, wanted: &str) -> Result<String, Fault> {
        let name = match self.peek() {
            Token::Name(name) | Token::Quoted(name) => name.clone(),
            Token::Dot if self.place.is_some() => self.place.unwrap_or_default().to_string(),
            _ => return Err(self.unexpected(wanted)),
        };
        self.advance();
        Ok(name)
    }

    /// `HIGH:LOW]` or `BIT]`.
    fn slice(&mut self, operand: Parsed) -> Result<Parsed, Fault> {
        let start = self.span().0;
        let high = self.bit()?;
        let low = if self.accept(":") { self.bit()? } else { high };
        let end = self.expect("]")?;
        if low > high {
            let fault = Fault::new((start, end - 1), "the first bit of a slice is its highest");
            return Err(fault.help(format!("write [{low}:{high}]")));
        }
        let span = (operand.1.0, end);
        let value = self.need(operand, Sort::Number)?;
        Ok(self.add(NodeKind::Slice { value, high, low }, Sort::Number, span))
    }

    fn bit(&mut self) -> Result<u32, Fault> {
        match *self.peek() {
            Token::Number(bit) if bit < 64 => {
                self.advance();
                Ok(bit as u32)
            }
            _ => Err(self.unexpected("the number of a bit from 0 to 63")),
        }
    }
}

fn lookup_of(function: &str) -> Option<What> {
    Some(match function {
        "symbol" => What::Symbol,
        "size" => What::Size,
        "section" => What::Section,
        "section_size" => What::SectionSize,
        "section_end" => What::SectionEnd,
        "got" => What::Got,
        "stub" => What::Stub(None),
        _ => return None,
    })
}

/// The bytes, the sign and the byte order of a load.
fn load_of(function: &str) -> Option<(usize, bool, Option<Endian>)> {
    let (plain, endian) = match (function.strip_suffix("le"), function.strip_suffix("be")) {
        (Some(plain), _) => (plain, Some(Endian::Little)),
        (_, Some(plain)) => (plain, Some(Endian::Big)),
        _ => (function, None),
    };
    let known = LOADS.contains(&plain);
    let bits: usize = plain.get(1..)?.parse().ok()?;
    known.then_some((bits / 8, plain.starts_with('i'), endian))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree with all of its parentheses.
    fn shape(text: &str) -> String {
        let expression = parse(text, Some("here")).unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
        fn show(expression: &Expression, id: NodeId) -> String {
            let child = |id: NodeId| show(expression, id);
            match &expression.nodes[id].kind {
                NodeKind::Number(number) => number.to_string(),
                NodeKind::Lookup(lookup) | NodeKind::Exists(lookup) => match &lookup.object {
                    Some(object) => format!("{:?}:{}@{object}", lookup.what, lookup.name),
                    None if lookup.what == What::Symbol => lookup.name.clone(),
                    None => format!("{:?}:{}", lookup.what, lookup.name),
                },
                NodeKind::Load { address, bytes, .. } => format!("*{bytes}{}", child(*address)),
                NodeKind::Slice { value, high, low } => format!("{}[{high}:{low}]", child(*value)),
                NodeKind::Negate(value) => format!("-{}", child(*value)),
                NodeKind::Complement(value) => format!("~{}", child(*value)),
                NodeKind::Not(value) => format!("!{}", child(*value)),
                NodeKind::Binary(operator, left, right) => format!("({} {operator:?} {})", child(*left), child(*right)),
            }
        }
        show(&expression, expression.nodes.len() - 1)
    }

    fn fault(text: &str) -> (Span, String) {
        let fault = parse(text, None).unwrap_err();
        (fault.span, fault.message)
    }

    #[test]
    fn operators_bind_as_in_rust() {
        assert_eq!(shape("a + b * c == d"), "((a Add (b Multiply c)) Equal d)");
        assert_eq!(shape("a & 1 == 0"), "((a BitAnd 1) Equal 0)");
        assert_eq!(shape("a - b - c != -d"), "(((a Subtract b) Subtract c) NotEqual -d)");
        assert_eq!(shape("a<1||b<2&&c<3"), "((a Less 1) Or ((b Less 2) And (c Less 3)))");
        assert_eq!(shape("1 | 2 ^ 3 & 4 << 5 > 0"), "((1 BitOr (2 BitXor (3 BitAnd (4 ShiftLeft 5)))) Greater 0)");
        assert_eq!(shape("!(a == 1)"), "!(a Equal 1)");
    }

    #[test]
    fn slices_bind_tightest() {
        assert_eq!(shape("-u32(a)[15:0] == 1"), "(-*4a[15:0] Equal 1)");
        assert_eq!(shape("(a - b)[7] == . "), "((a Subtract b)[7:7] Equal here)");
    }

    #[test]
    fn names_may_say_their_object() {
        assert_eq!(shape("got(f in a.o) == stub(g, plt)"), "(Got:f@a.o Equal Stub(Some(\"plt\")):g)");
        assert_eq!(
            shape("exists(\"a b\") && exists(section(.text in \"l.a(m.o)\"))"),
            "(a b And Section:.text@l.a(m.o))"
        );
        assert_eq!(shape("section_end(.text) > got"), "(SectionEnd:.text Greater got)");
    }

    #[test]
    fn faults_are_pointed_at() {
        assert_eq!(fault("a == "), ((4, 5), "a name, a number or `(` is missing here".into()));
        assert_eq!(fault("(a == 1"), ((7, 7), "`)` is missing here".into()));
        assert_eq!(fault("a == 1)"), ((6, 7), "expected an operator or the end of the rule, not `)`".into()));
        assert_eq!(fault("a == b == c"), ((7, 9), "comparisons do not chain".into()));
        assert_eq!(fault("a + 1"), ((0, 5), "a rule is a condition, and this is a number".into()));
        assert_eq!(fault("1 + (a == b) > 0"), ((4, 12), "this is a condition, where a number is needed".into()));
        assert_eq!(fault("a && b == 1"), ((0, 1), "this is a number, where a condition is needed".into()));
        assert_eq!(fault("u24(a) == 1"), ((0, 3), "there is no function u24".into()));
        assert_eq!(fault("a[0:7] == 1"), ((2, 5), "the first bit of a slice is its highest".into()));
        assert_eq!(fault("a[64] == 1").0, (2, 4));
        assert_eq!(fault(". == 1").0, (0, 1));
        assert_eq!(fault("exists(u8(a))").0, (7, 9));
        assert_eq!(fault("  ").1, "there is no condition in this rule");
    }

    #[test]
    fn nesting_has_a_bound() {
        let nested = |depth: usize| format!("{}a{} == 1", "(".repeat(depth), ")".repeat(depth));
        assert!(parse(&nested(20), None).is_ok());
        assert!(parse(&nested(900), None).unwrap_err().message.contains("nested"));
        assert!(parse(&"-".repeat(1000), None).unwrap_err().message.contains("nested"));
        assert!(parse(&"((".repeat(10_000), None).is_err());
        assert!(parse(&format!("{}1 == 1", "1 + ".repeat(900)), None).is_ok());
    }
}
