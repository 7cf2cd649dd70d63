//! The kernel's helper functions: numbers, names, signatures.
//!
//! The signature is for checks: it says what a register must hold for the call to be safe, not which C type it has.

mod table;

use super::programs::ProgramSet;

pub use table::HELPERS;

/// What an argument of a helper must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arg {
    /// Any number; the helper itself checks it.
    Any,
    /// Any value or none at all: an argument that a format string may ask for.
    Optional,
    /// The program's context, unchanged.
    Context,
    /// The program's context, or null.
    ContextOrNull,
    /// A map, known when the program is loaded.
    Map,
    /// Memory that holds a key of the map argument.
    MapKey,
    /// Memory that holds a value of the map argument.
    MapValue,
    /// Memory that holds a value of the map argument, or null.
    MapValueOrNull,
    /// Memory for a value of the map argument, which the helper fills.
    UninitMapValue,
    /// Initialized memory that the helper reads; its size is the next argument.
    Read,
    /// As [`Arg::Read`], or null.
    ReadOrNull,
    /// Memory that the helper reads and writes; its size is the next argument.
    Write,
    /// As [`Arg::Write`], or null.
    WriteOrNull,
    /// Memory that the helper fills and that need not be initialized; its size is the next argument.
    Uninit,
    /// Initialized memory of that many bytes, which the helper reads.
    ReadBytes(u8),
    /// Initialized memory of that many bytes, which the helper reads and writes.
    WriteBytes(u8),
    /// Memory of that many bytes, aligned to as many, which the helper fills.
    UninitBytes(u8),
    /// The size in bytes of the memory before it, at least 1.
    Size,
    /// The size in bytes of the memory before it, or 0.
    SizeOrZero,
    /// A constant: how many bytes the returned memory has.
    AllocSize,
    /// Memory that a ring buffer gave; the call gives it back.
    Record,
    /// A `struct bpf_spin_lock` in a map value.
    SpinLock,
    /// A `struct bpf_timer` in a map value.
    Timer,
    /// A field of a map value that holds a pointer to a kernel object.
    Kptr,
    /// An initialized dynptr.
    Dynptr,
    /// A dynptr of a ring buffer; the call ends it.
    RecordDynptr,
    /// Stack memory that becomes a dynptr.
    NewDynptr,
    /// A function of the program, which the helper calls.
    Callback,
    /// A pointer into the stack, handed to the callback, or null.
    StackOrNull,
    /// A constant string in read-only memory that ends with zero.
    ConstString,
    /// A socket of any kind: `struct sock_common`, request and timewait sockets included.
    SocketCommon,
    /// As [`Arg::SocketCommon`]; the call gives the reference back.
    ReleasedSocket,
    /// A kernel object of the named type.
    Object(&'static str),
    /// A kernel object of the named type, or null.
    ObjectOrNull(&'static str),
    /// A kernel object of whatever type the [`Arg::Kptr`] takes, or null; the call takes its reference.
    OwnedOrNull,
    /// A per-CPU variable of the kernel.
    PerCpu,
}

/// What a helper returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Return {
    /// A number, mostly zero or a negative error number.
    Integer,
    /// Nothing: the register is not to be read.
    Void,
    /// A value of the map argument.
    MapValue,
    /// A value of the map argument, or null.
    MapValueOrNull,
    /// As many bytes as the [`Arg::AllocSize`] says, which must be given back, or null.
    RecordOrNull,
    /// As many bytes of the dynptr as the [`Arg::AllocSize`] says, or null.
    SliceOrNull,
    /// A full socket (`struct bpf_sock`), or null.
    SocketOrNull,
    /// A socket of any kind, or null.
    SocketCommonOrNull,
    /// A TCP socket (`struct bpf_tcp_sock`), or null.
    TcpSocketOrNull,
    /// A kernel object of the named type.
    Object(&'static str),
    /// A kernel object of the named type, or null.
    ObjectOrNull(&'static str),
    /// What the field held before, owned by the program now, or null.
    KptrOrNull,
    /// This CPU's copy of the per-CPU variable.
    PerCpu,
    /// A CPU's copy of the per-CPU variable, or null if there is no such CPU.
    PerCpuOrNull,
}

/// A helper function of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Helper {
    /// The number in call instructions (`BPF_FUNC_*`).
    pub number: u32,
    /// Its name without `bpf_`.
    pub name: &'static str,
    /// What it returns.
    pub returns: Return,
    /// What it takes.
    pub args: &'static [Arg],
    /// The first kernel that has it: major and minor version.
    pub since: (u8, u8),
    /// What else a call does or needs.
    pub traits: u8,
    /// Which programs may call it. The kernel narrows some further by attach type.
    pub programs: ProgramSet,
}

impl Helper {
    /// In [`Helper::traits`]: only programs under a license that the GPL is compatible with may call it.
    pub const GPL: u8 = 1;
    /// In [`Helper::traits`]: the packet may move or shrink, so pointers to it are invalid after the call.
    pub const PACKET: u8 = 2;
    /// In [`Helper::traits`]: what it returns must be given back.
    pub const ACQUIRES: u8 = 4;
    /// In [`Helper::traits`]: it gives back what an argument refers to.
    pub const RELEASES: u8 = 8;
    /// In [`Helper::traits`]: it may sleep, so only sleepable programs may call it.
    pub const SLEEPS: u8 = 16;

    /// Whether a call has one of these traits.
    pub const fn has(&self, traits: u8) -> bool {
        self.traits & traits != 0
    }
}

/// The helper of a number.
pub fn by_number(number: u32) -> Option<&'static Helper> {
    HELPERS.get((number as usize).checked_sub(1)?)
}

/// The helper of a name, with or without `bpf_`.
pub fn by_name(name: &str) -> Option<&'static Helper> {
    let short = name.strip_prefix("bpf_").unwrap_or(name);
    HELPERS.iter().find(|helper| helper.name == short)
}
