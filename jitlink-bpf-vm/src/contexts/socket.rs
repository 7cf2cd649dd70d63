//! Sockets as programs see them.

/// A socket: what `struct bpf_sock` shows of it. Addresses are in network byte order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Socket {
    /// The interface that it is bound to, or zero.
    pub bound_dev_if: u32,
    /// The address family (`AF_INET` is 2, `AF_INET6` is 10).
    pub family: u32,
    /// The type (`SOCK_STREAM` is 1).
    pub kind: u32,
    /// The protocol (`IPPROTO_TCP` is 6).
    pub protocol: u32,
    /// The mark.
    pub mark: u32,
    /// The priority.
    pub priority: u32,
    /// The local address: four or sixteen bytes, then zeros.
    pub source: [u8; 16],
    /// The local port.
    pub source_port: u16,
    /// The remote address: four or sixteen bytes, then zeros.
    pub destination: [u8; 16],
    /// The remote port.
    pub destination_port: u16,
    /// The state (`BPF_TCP_ESTABLISHED` is 1, `BPF_TCP_LISTEN` is 10).
    pub state: u32,
    /// The receive queue that its packets come through, or -1.
    pub rx_queue_mapping: i32,
    /// A number that only this socket has, for `bpf_get_socket_cookie` and for storage.
    pub cookie: u64,
    /// The owner, for `bpf_get_socket_uid`.
    pub uid: u32,
    /// The number of its network namespace, for `bpf_get_netns_cookie`.
    pub netns_cookie: u64,
}

/// The size of `struct bpf_sock`.
pub(crate) const SIZE: usize = 80;
/// The state of listening sockets.
const LISTEN: u32 = 10;

impl Socket {
    /// Whether it waits for connections.
    pub(crate) fn listens(&self) -> bool {
        self.state == LISTEN
    }

    /// Whether it is a TCP socket.
    pub(crate) fn is_tcp(&self) -> bool {
        self.protocol == 6 && self.kind == 1
    }

    /// It as `struct bpf_sock`.
    pub(crate) fn to_bytes(&self, endian: jitlink_core::Endian) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        let numbers = [self.bound_dev_if, self.family, self.kind, self.protocol, self.mark, self.priority];
        for (i, number) in numbers.into_iter().enumerate() {
            endian.write(&mut bytes[4 * i..4 * i + 4], number.into());
        }
        let wide = self.family == 10;
        let (source, destination) = (&self.source, &self.destination);
        if wide {
            bytes[28..44].copy_from_slice(source);
            bytes[56..72].copy_from_slice(destination);
        } else {
            bytes[24..28].copy_from_slice(&source[..4]);
            bytes[52..56].copy_from_slice(&destination[..4]);
        }
        endian.write(&mut bytes[44..48], self.source_port.into());
        bytes[48..50].copy_from_slice(&self.destination_port.to_be_bytes());
        endian.write(&mut bytes[72..76], self.state.into());
        endian.write(&mut bytes[76..80], u64::from(self.rx_queue_mapping.cast_unsigned()));
        bytes
    }
}
