//! Why and where a program was stopped.

use std::fmt;

/// What ended a program before its time. Nothing outside of what it may write has changed.
pub struct Fault(Box<Details>);

#[derive(Debug)]
struct Details {
    kind: FaultKind,
    /// The instruction, then the calls that led to it, innermost first.
    trace: Vec<Place>,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultKind {
    /// An access to memory that is not there, or is not for this program.
    #[error("cannot {access} {size} byte{} at {address:#x}: {what}", if *.size == 1 { "" } else { "s" })]
    Memory {
        /// The first address.
        address: u64,
        /// How many bytes.
        size: u64,
        /// What the program tried.
        access: Access,
        /// What is there, in words.
        what: String,
    },
    /// An atomic operation at a place that is not aligned to its size, which the kernel refuses too.
    #[error("an atomic operation on {size} bytes at {address:#x}, which is not a multiple of {size}")]
    Unaligned {
        /// The address.
        address: u64,
        /// How many bytes.
        size: u64,
    },
    /// The program has run for as many instructions as it may.
    #[error("the program has run for its budget of {0} instructions")]
    Budget(u64),
    /// Too many functions call each other.
    #[error("calls are more than {0} deep")]
    Depth(usize),
    /// A call of something that is no function.
    #[error("there is no function at {0:#x}")]
    NoFunction(u64),
    /// A jump to something that is no instruction of the function's code.
    #[error("there is no instruction to jump to at {0:#x}")]
    NoInstruction(u64),
    /// The code ends without `exit` or a jump.
    #[error("the code ends here without an exit")]
    End,
    /// A helper that this machine does not have.
    #[error("there is no helper {0}")]
    NoHelper(u32),
    /// A kernel function that this machine does not have.
    #[error("there is no kernel function \"{0}\"")]
    NoKernelFunction(String),
    /// A number that should be a handle of a map.
    #[error("{0:#x} is no map")]
    NoMap(u64),
    /// Something that this kind of program or context has not.
    #[error("{0}")]
    Unsupported(String),
    /// A helper refused its arguments in a way for which the kernel would not have loaded the program.
    #[error("{name}: {reason}")]
    Helper {
        /// The helper's name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The program threw an exception (`bpf_throw`), with this cookie. [`Vm::run`](crate::vm::Vm::run) makes a result of it.
    #[error("the program threw {0:#x}")]
    Thrown(u64),
}

/// What is done to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// It is read.
    Read,
    /// It is written, or read and written.
    Write,
}

/// An instruction of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its address.
    pub address: u64,
    /// The name of its function; empty where unknown.
    pub function: String,
    /// Its number in the function, in words; in all of the code where the function is unknown.
    pub index: u64,
    /// Its text.
    pub text: String,
    /// Its line in the source, where known.
    pub line: Option<Line>,
}

/// A line of source code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The file's name, as the compiler was given it.
    pub file: String,
    /// The line's number, from 1.
    pub line: u32,
    /// The column's number, from 1; zero where unknown.
    pub column: u32,
    /// The line itself; empty where unknown.
    pub text: String,
}

/// Where the source lines of code are known.
pub trait Lines: Send + Sync {
    /// The line of the instruction at an address.
    fn lookup(&self, address: u64) -> Option<Line>;
}

impl Fault {
    /// A fault whose place is not known yet: the machine adds it.
    pub fn new(kind: FaultKind) -> Fault {
        Fault(Box::new(Details { kind, trace: Vec::new() }))
    }

    /// What went wrong.
    pub fn kind(&self) -> &FaultKind {
        &self.0.kind
    }

    /// The instruction that did it.
    pub fn place(&self) -> Option<&Place> {
        self.0.trace.first()
    }

    /// The instruction that did it, then the calls that led to it, innermost first.
    pub fn trace(&self) -> &[Place] {
        &self.0.trace
    }

    pub(crate) fn extend(&mut self, places: impl IntoIterator<Item = Place>) {
        self.0.trace.extend(places);
    }
}

impl From<FaultKind> for Fault {
    fn from(kind: FaultKind) -> Fault {
        Fault::new(kind)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = self.place() {
            write!(f, "{place}: ")?;
        }
        write!(f, "{}", self.0.kind)
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Fault {}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = &self.line {
            write!(f, "{line}: ")?;
        }
        match self.function.as_str() {
            "" => write!(f, "instruction {}", self.index)?,
            name => write!(f, "{name}+{}", self.index)?,
        }
        match self.text.as_str() {
            "" => Ok(()),
            text => write!(f, " ({text})"),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)?;
        if self.column > 0 { write!(f, ":{}", self.column) } else { Ok(()) }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Access::Read => "read",
            Access::Write => "write",
        })
    }
}
