//! What can go wrong in a link, always with its place, its values and what to do about it.
//!
//! A link reports all that it found, not only the first: [`LinkErrors`] is ordered so that causes stand before what follows
//! from them.

use crate::addr::{Addr, AddrRange};
use crate::executor::ExecutorError;
use std::fmt;

/// Where in the input something is wrong: `a.o: .text+0x1c: R_X86_64_PLT32 against puts`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// The object's name, with the member in parentheses where it came out of an archive.
    pub object: String,
    /// The section's name, or empty where the place is in no section.
    pub section: String,
    /// Bytes from the section's start (from the file's start where no section is named).
    pub offset: u64,
    /// The relocation's name as its ABI spells it, or empty.
    pub reloc: String,
    /// The symbol that the relocation refers to, or empty.
    pub symbol: String,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.object)?;
        match (self.section.is_empty(), self.offset) {
            // The file as a whole.
            (true, 0) => {}
            (true, offset) => write!(f, ": offset {offset:#x}")?,
            (false, offset) => write!(f, ": {}+{offset:#x}", self.section)?,
        }
        if !self.reloc.is_empty() {
            write!(f, ": {}", self.reloc)?;
        }
        if !self.symbol.is_empty() {
            write!(f, " against {}", self.symbol)?;
        }
        Ok(())
    }
}

/// What an object says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The object's name.
    pub object: String,
    /// What it says.
    pub value: String,
}

/// One thing that is wrong.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// A file could not be opened or read.
    #[error("{path}: {reason}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// No registered format recognises the file.
    #[error("{path}: no backend recognises this file ({}); registered formats: {formats}", beginning(.magic))]
    Unrecognized {
        /// The file.
        path: String,
        /// Its first bytes in hex; empty for an empty file.
        magic: String,
        /// The names of the registered formats.
        formats: String,
    },
    /// No relocation table or architecture is registered for the object's machine.
    #[error(
        "{object}: no backend for {format} machine {machine} with {pointer_bits}-bit pointers; registered: {registered}"
    )]
    NoBackend {
        /// The object.
        object: String,
        /// The object's format.
        format: String,
        /// The format's machine number.
        machine: u32,
        /// The width of its pointers.
        pointer_bits: u32,
        /// The pairs that are registered.
        registered: String,
    },
    /// Objects of one link are for different targets.
    #[error("{object} is for {found}, but {first} made this a link for {expected}")]
    MixedTargets {
        /// The object that does not fit.
        object: String,
        /// Its target.
        found: String,
        /// The object that decided the target.
        first: String,
        /// The target of the link.
        expected: String,
    },
    /// The file breaks a rule of its format.
    #[error("{site}: malformed: {what}")]
    Malformed {
        /// Where.
        site: Box<Site>,
        /// Which rule, with the offending value.
        what: String,
    },
    /// The file is well formed, but asks for something that is not supported.
    #[error("{site}: {what}")]
    Unsupported {
        /// Where.
        site: Box<Site>,
        /// What it asks for.
        what: String,
        /// What the user can do.
        advice: String,
    },
    /// The format's table has no such relocation.
    #[error("{site}: unknown relocation type {raw} for {arch}")]
    UnknownRelocation {
        /// Where.
        site: Box<Site>,
        /// The raw number.
        raw: u32,
        /// The architecture whose table was asked.
        arch: String,
    },
    /// The same name has two strong definitions.
    #[error("{symbol} is defined twice: in {first} and in {second}")]
    Duplicate {
        /// The name.
        symbol: String,
        /// The first definition's object.
        first: String,
        /// The second definition's object.
        second: String,
    },
    /// Copies of a COMDAT group differ where its selection rule forbids it.
    #[error("COMDAT group {group}: {what} (in {first} and {second})")]
    ComdatMismatch {
        /// The group's signature.
        group: String,
        /// The rule that is broken.
        what: String,
        /// The object of the copy that was kept.
        first: String,
        /// The object of the copy that differs.
        second: String,
    },
    /// Objects say of themselves what must be the same for all of a link, and it is not.
    #[error("{} has {key}={}, and {} has {key}={}", .first.object, .first.value, .second.object, .second.value)]
    Disagreement {
        /// What they say it of.
        key: String,
        /// What the first object says.
        first: Box<Said>,
        /// What another says.
        second: Box<Said>,
    },
    /// A name is referred to and defined nowhere.
    #[error("{symbol} is not defined{}", sites(.references, *.total))]
    Undefined {
        /// The name.
        symbol: String,
        /// The first few places that refer to it.
        references: Vec<Site>,
        /// How many places refer to it.
        total: usize,
        /// What the user can do.
        advice: String,
    },
    /// A live place refers to a section that was discarded with its COMDAT group.
    #[error("{site}: refers to section {section}, which was discarded because {kept} has the same COMDAT group")]
    Discarded {
        /// Where.
        site: Box<Site>,
        /// The discarded section.
        section: String,
        /// The object whose copy was kept.
        kept: String,
    },
    /// The value does not fit the field.
    #[error("{site}: {value} outside [{min}, {max}]{}", distance(*.place, *.target))]
    OutOfRange {
        /// Where.
        site: Box<Site>,
        /// The value that was to be written.
        value: SignedHex,
        /// The smallest value that fits.
        min: SignedHex,
        /// The largest value that fits.
        max: SignedHex,
        /// The address of the field.
        place: Addr,
        /// The address of the target.
        target: Addr,
        /// What the user can do.
        advice: String,
    },
    /// The value is not a multiple of what the field can express.
    #[error("{site}: {value} is not a multiple of {align}")]
    Misaligned {
        /// Where.
        site: Box<Site>,
        /// The value that was to be written.
        value: SignedHex,
        /// What it must be a multiple of.
        align: u64,
    },
    /// The batch needs addresses that the executor cannot give.
    #[error("no memory{} for {size:#x} bytes: {reason}", within(.range))]
    NoMemory {
        /// Where the memory must lie.
        range: AddrRange,
        /// How much of it.
        size: u64,
        /// What the executor said, and why the range is needed.
        reason: String,
        /// What the user can do.
        advice: String,
    },
    /// The batch is larger than an id, an offset or the executor's arena can express.
    #[error("{what}: {value:#x} is over the limit of {limit:#x}")]
    TooLarge {
        /// What is too large.
        what: String,
        /// How large it is.
        value: u64,
        /// How large it may be.
        limit: u64,
    },
    /// An update would need what cannot be had while the program runs. The module is as it was.
    #[error("{object}: {what}")]
    NotUpdatable {
        /// The new object.
        object: String,
        /// What of it is in the way.
        what: String,
        /// What the user can do.
        advice: String,
    },
    /// The executor failed.
    #[error("{reason}")]
    Executor {
        /// What was tried and what the system said.
        reason: String,
        /// What the user can do.
        advice: String,
    },
    /// A pass of the user failed.
    #[error("pass {pass}: {reason}")]
    Pass {
        /// The pass.
        pass: String,
        /// What it said.
        reason: String,
    },
    /// Who was asked for a definition failed, or gave something else.
    #[error("{resolver}: {reason}")]
    Resolver {
        /// Who was asked.
        resolver: String,
        /// What it said, or what is wrong with what it gave.
        reason: String,
    },
    /// What the caller asked for makes no sense.
    #[error("{0}")]
    Request(String),
}

fn sites(references: &[Site], total: usize) -> String {
    let mut text = String::new();
    for site in references {
        text.push_str(if text.is_empty() { "; referred to at " } else { ", " });
        text.push_str(&format!("{} {}+{:#x}", site.object, site.section, site.offset));
        if !site.reloc.is_empty() {
            text.push_str(&format!(" ({})", site.reloc));
        }
    }
    if total > references.len() {
        text.push_str(&format!(", and {} more", total - references.len()));
    }
    text
}

fn beginning(magic: &str) -> String {
    if magic.is_empty() { "it is empty".into() } else { format!("it starts with {magic}") }
}

fn within(range: &AddrRange) -> String {
    if *range == AddrRange::ALL { String::new() } else { format!(" from {} to {}", range.start, range.last) }
}

fn distance(place: Addr, target: Addr) -> String {
    format!(" (place {place}, target {target})")
}

impl LinkError {
    /// A malformed place in an object.
    pub fn malformed(
        object: impl Into<String>,
        section: impl Into<String>,
        offset: u64,
        what: impl Into<String>,
    ) -> Self {
        let site = Site { object: object.into(), section: section.into(), offset, ..Site::default() };
        LinkError::Malformed { site: Box::new(site), what: what.into() }
    }

    /// A stable, short name of the kind of error, for tools.
    pub fn code(&self) -> &'static str {
        match self {
            LinkError::Io { .. } => "io",
            LinkError::Unrecognized { .. } => "unrecognized",
            LinkError::NoBackend { .. } => "no-backend",
            LinkError::MixedTargets { .. } => "mixed-targets",
            LinkError::Malformed { .. } => "malformed",
            LinkError::Unsupported { .. } => "unsupported",
            LinkError::UnknownRelocation { .. } => "unknown-relocation",
            LinkError::Duplicate { .. } => "duplicate",
            LinkError::ComdatMismatch { .. } => "comdat-mismatch",
            LinkError::Disagreement { .. } => "disagreement",
            LinkError::Undefined { .. } => "undefined",
            LinkError::Discarded { .. } => "discarded",
            LinkError::OutOfRange { .. } => "out-of-range",
            LinkError::Misaligned { .. } => "misaligned",
            LinkError::NoMemory { .. } => "no-memory",
            LinkError::TooLarge { .. } => "too-large",
            LinkError::NotUpdatable { .. } => "not-updatable",
            LinkError::Executor { .. } => "executor",
            LinkError::Pass { .. } => "pass",
            LinkError::Resolver { .. } => "resolver",
            LinkError::Request(_) => "request",
        }
    }

    /// The place, where the error has one.
    pub fn site(&self) -> Option<&Site> {
        match self {
            LinkError::Malformed { site, .. }
            | LinkError::Unsupported { site, .. }
            | LinkError::UnknownRelocation { site, .. }
            | LinkError::Discarded { site, .. }
            | LinkError::OutOfRange { site, .. }
            | LinkError::Misaligned { site, .. } => Some(site),
            LinkError::Undefined { references, .. } => references.first(),
            _ => None,
        }
    }

    /// What the user can do about it.
    pub fn advice(&self) -> String {
        match self {
            LinkError::Io { .. } => "check the path and that the file can be read".into(),
            LinkError::Unrecognized { .. } => {
                "pass a relocatable object file (cc -c) or an archive of them, or enable the backend's Cargo feature"
                    .into()
            }
            LinkError::NoBackend { .. } => "enable the Cargo feature of that architecture's backend".into(),
            LinkError::MixedTargets { .. } => "compile all objects of a link for the same target".into(),
            LinkError::Malformed { .. } => "the file is damaged or its producer is at fault; build it again".into(),
            LinkError::UnknownRelocation { .. } => {
                "the object was made by a newer or unusual compiler; report it with the object".into()
            }
            LinkError::Duplicate { .. } => "remove one definition, or make one of them weak or static".into(),
            LinkError::ComdatMismatch { .. } => {
                "compile both objects from the same source with the same options".into()
            }
            LinkError::Discarded { .. } | LinkError::Disagreement { .. } => {
                "compile both objects with the same compiler and options".into()
            }
            LinkError::Misaligned { .. } => {
                "the target must be aligned; check the assembly or the section's alignment".into()
            }
            LinkError::TooLarge { .. } => "split the link into several smaller ones".into(),
            LinkError::Unsupported { advice, .. }
            | LinkError::Undefined { advice, .. }
            | LinkError::OutOfRange { advice, .. }
            | LinkError::NoMemory { advice, .. }
            | LinkError::NotUpdatable { advice, .. }
            | LinkError::Executor { advice, .. } => advice.clone(),
            LinkError::Pass { .. } | LinkError::Resolver { .. } | LinkError::Request(_) => String::new(),
        }
    }
}

/// A signed number shown in hex, `-0x10` rather than two's complement.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignedHex(pub i128);

impl fmt::Display for SignedHex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{:#x}", self.0.unsigned_abs())
    }
}

impl fmt::Debug for SignedHex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// All that is wrong with one link, causes first. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkErrors(Vec<LinkError>);

impl LinkErrors {
    /// `Err` with all of `errors` if there are any.
    pub fn check(errors: Vec<LinkError>) -> Result<(), LinkErrors> {
        if errors.is_empty() { Ok(()) } else { Err(LinkErrors(errors)) }
    }

    /// The errors, the first cause first.
    pub fn iter(&self) -> std::slice::Iter<'_, LinkError> {
        self.0.iter()
    }

    /// The first cause.
    pub fn first(&self) -> &LinkError {
        &self.0[0]
    }

    /// How many there are.
    #[allow(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl From<ExecutorError> for LinkError {
    fn from(error: ExecutorError) -> Self {
        LinkError::Executor { reason: error.reason, advice: error.advice }
    }
}

impl From<LinkError> for LinkErrors {
    fn from(error: LinkError) -> Self {
        LinkErrors(vec![error])
    }
}

impl IntoIterator for LinkErrors {
    type Item = LinkError;
    type IntoIter = std::vec::IntoIter<LinkError>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for LinkErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for LinkErrors {}
