//! Packets as hosts give them to programs and get them back.

/// A packet with all that the kernel knows of it. The fields are those of `struct xdp_md` and `struct __sk_buff`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// Its bytes: from the Ethernet header on, or from the network header on for programs at sockets and routes.
    pub bytes: Vec<u8>,
    /// Metadata before it (`data_meta`), as XDP programs leave it for later ones: a multiple of four bytes.
    pub metadata: Vec<u8>,
    /// The interface that it is on.
    pub ifindex: u32,
    /// The interface that it came from.
    pub ingress_ifindex: u32,
    /// The interface that it will leave from, for XDP programs in a device map.
    pub egress_ifindex: u32,
    /// The receive queue that it came through.
    pub rx_queue: u32,
    /// The type of what it holds (`ETH_P_*`), in the host's byte order.
    pub protocol: u16,
    /// Who it is for (`PACKET_HOST` is 0).
    pub pkt_type: u32,
    /// The mark.
    pub mark: u32,
    /// The priority.
    pub priority: u32,
    /// The transmit queue.
    pub queue_mapping: u16,
    /// The VLAN tag that is not among its bytes.
    pub vlan: Option<Vlan>,
    /// The index of traffic control.
    pub tc_index: u16,
    /// The class of traffic control.
    pub tc_classid: u32,
    /// What programs leave for later ones.
    pub cb: [u32; 5],
    /// The hash of its flow, zero if unknown.
    pub hash: u32,
    /// The NAPI context that it came through.
    pub napi_id: u32,
    /// When it came or should leave, in nanoseconds.
    pub tstamp: u64,
    /// Which clock [`Packet::tstamp`] is of (`BPF_SKB_CLOCK_*`).
    pub tstamp_type: u8,
    /// When the hardware received it.
    pub hwtstamp: u64,
    /// Its length on the wire; that of its bytes if zero.
    pub wire_len: u32,
    /// How many packets it is to be cut into.
    pub gso_segs: u32,
    /// The size of these packets.
    pub gso_size: u32,
    /// The socket that it belongs to.
    pub socket: Option<super::Socket>,
}

/// A VLAN tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vlan {
    /// The tag protocol identifier: 0x8100 or 0x88a8.
    pub protocol: u16,
    /// Priority, drop indicator and number.
    pub tci: u16,
}

/// What a program asks to be done with its packet, beside what its verdict says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// If the verdict is to redirect: send it out of an interface, or take it as received there.
    Redirect {
        /// The interface.
        ifindex: u32,
        /// Received there (`BPF_F_INGRESS`).
        ingress: bool,
    },
    /// If the verdict is to redirect: to the other end of an interface's pair (`bpf_redirect_peer`).
    RedirectPeer {
        /// The interface.
        ifindex: u32,
    },
    /// If the verdict is to redirect: out of an interface, to a neighbour (`bpf_redirect_neigh`).
    RedirectNeighbour {
        /// The interface.
        ifindex: u32,
        /// The next hop, as `struct bpf_redir_neigh`; empty if the packet's destination is meant.
        next_hop: Vec<u8>,
    },
    /// If the verdict is to redirect: to an element of a map, or to all (`BPF_F_BROADCAST`).
    RedirectMap {
        /// The map's name.
        map: String,
        /// The element's key.
        key: u32,
        /// The call's flags.
        flags: u64,
    },
    /// A copy of the packet as it was then goes to an interface (`bpf_clone_redirect`).
    Clone {
        /// The interface.
        ifindex: u32,
        /// Received there (`BPF_F_INGRESS`).
        ingress: bool,
        /// The copy's bytes.
        bytes: Vec<u8>,
    },
}

impl Packet {
    /// A packet that begins with an Ethernet header, which says what it holds.
    pub fn ethernet(bytes: impl Into<Vec<u8>>) -> Packet {
        let bytes = bytes.into();
        let protocol = bytes.get(12..14).map_or(0, |kind| u16::from_be_bytes([kind[0], kind[1]]));
        Packet { bytes, protocol, ..Packet::default() }
    }

    /// A packet that begins with an IP header.
    pub fn ip(bytes: impl Into<Vec<u8>>) -> Packet {
        let bytes = bytes.into();
        let protocol = match bytes.first().map(|first| first >> 4) {
            Some(4) => 0x0800,
            Some(6) => 0x86dd,
            _ => 0,
        };
        Packet { bytes, protocol, ..Packet::default() }
    }
}
