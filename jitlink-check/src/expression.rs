//! The tree of a rule, flat: operands stand before what uses them, so that evaluation is one walk from start to end.

use crate::lexer::Span;
use jitlink_core::Endian;

/// The index of a node in its expression.
pub(crate) type NodeId = usize;

/// A rule's condition; the last node is the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expression {
    pub(crate) nodes: Vec<Node>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) kind: NodeKind,
    pub(crate) sort: Sort,
    /// Without parentheses around it.
    pub(crate) span: Span,
}

/// What an expression gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Number,
    Condition,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NodeKind {
    Number(u64),
    /// The address, the size, …: what the link knows.
    Lookup(Lookup),
    /// Whether the link has it.
    Exists(Lookup),
    Load {
        address: NodeId,
        bytes: usize,
        is_signed: bool,
        /// The target's where it is `None`.
        endian: Option<Endian>,
    },
    Slice {
        value: NodeId,
        high: u32,
        low: u32,
    },
    Negate(NodeId),
    Complement(NodeId),
    Not(NodeId),
    Binary(Operator, NodeId, NodeId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    BitOr,
    BitXor,
    BitAnd,
    ShiftLeft,
    ShiftRight,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Operator {
    pub(crate) fn is_comparison(self) -> bool {
        use Operator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
        matches!(self, Equal | NotEqual | Less | LessOrEqual | Greater | GreaterOrEqual)
    }
}

/// A question to the link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lookup {
    pub(crate) what: What,
    pub(crate) name: String,
    /// The object that is asked; all of them where it is `None`.
    pub(crate) object: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Symbol,
    Size,
    Section,
    SectionSize,
    SectionEnd,
    Got,
    /// Of this kind, or of any.
    Stub(Option<String>),
}

impl What {
    /// What the name is the name of.
    pub(crate) fn describe(&self, name: &str) -> String {
        match self {
            What::Symbol | What::Size => format!("symbol {name}"),
            What::Section | What::SectionSize | What::SectionEnd => format!("section {name}"),
            What::Got => format!("GOT slot for {name}"),
            What::Stub(None) => format!("stub for {name}"),
            What::Stub(Some(kind)) => format!("{kind} stub for {name}"),
        }
    }
}
