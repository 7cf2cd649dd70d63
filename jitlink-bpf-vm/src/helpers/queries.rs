//! What programs ask the host for by helpers, and the host answers.

/// A question to the host's routes: `struct bpf_fib_lookup`, which the answer changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FibLookup {
    /// The structure, in the program's byte order.
    pub params: [u8; 64],
    /// The call's flags (`BPF_FIB_LOOKUP_*`).
    pub flags: u32,
}

/// A question to the host's sockets. Addresses are in network byte order, of four bytes or sixteen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketQuery {
    /// TCP rather than UDP.
    pub tcp: bool,
    /// The remote address.
    pub source: Vec<u8>,
    /// The local address.
    pub destination: Vec<u8>,
    /// The remote port.
    pub source_port: u16,
    /// The local port.
    pub destination_port: u16,
    /// The network namespace, or -1 for the program's own.
    pub netns: i32,
}
