//! Kinds of programs: the kernel's numbers, and what a section's name says.

mod sections;

use std::fmt;

pub use sections::{ProgramSection, RULES, SectionRule, classify};

/// The kind of a program (`enum bpf_prog_type`). It decides what the context is and which helpers there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ProgramType {
    /// Filters packets of a socket.
    SocketFilter = 1,
    /// At a function or instruction of the kernel or a process (kprobes, uprobes, USDT).
    Kprobe = 2,
    /// Traffic control: classifies, changes and redirects packets (tc, tcx, netkit).
    SchedCls = 3,
    /// Traffic control: an action.
    SchedAct = 4,
    /// At a tracepoint of the kernel.
    Tracepoint = 5,
    /// In a network driver, before there is a socket buffer.
    Xdp = 6,
    /// When a perf event fires.
    PerfEvent = 7,
    /// Packets to and from sockets of a cgroup.
    CgroupSkb = 8,
    /// Sockets of a cgroup when they are created, bound, released.
    CgroupSock = 9,
    /// Routes: incoming packets of lightweight tunnels.
    LwtIn = 10,
    /// Routes: outgoing packets of lightweight tunnels.
    LwtOut = 11,
    /// Routes: before transmission by lightweight tunnels.
    LwtXmit = 12,
    /// Events of TCP sockets.
    SockOps = 13,
    /// Packets of sockets in a socket map.
    SkSkb = 14,
    /// Access to devices by a cgroup.
    CgroupDevice = 15,
    /// Messages sent by sockets in a socket map.
    SkMsg = 16,
    /// At a tracepoint, with its raw arguments.
    RawTracepoint = 17,
    /// Addresses that sockets of a cgroup bind, connect, send to.
    CgroupSockAddr = 18,
    /// Routes: segment routing over IPv6.
    LwtSeg6local = 19,
    /// Decodes infrared remote controls.
    LircMode2 = 20,
    /// Selects a socket of a reuseport group.
    SkReuseport = 21,
    /// Finds out the flow of a packet.
    FlowDissector = 22,
    /// Access to sysctls by a cgroup.
    CgroupSysctl = 23,
    /// As [`ProgramType::RawTracepoint`], with arguments that can be changed.
    RawTracepointWritable = 24,
    /// Socket options of a cgroup.
    CgroupSockopt = 25,
    /// At functions and tracepoints by BTF, and iterators.
    Tracing = 26,
    /// Implements operations of the kernel.
    StructOps = 27,
    /// Replaces a function of another program; it may do what that program may.
    Ext = 28,
    /// Security hooks.
    Lsm = 29,
    /// Selects the socket for a new connection or datagram.
    SkLookup = 30,
    /// Runs when it is asked to, and may make some system calls.
    Syscall = 31,
    /// Netfilter hooks.
    Netfilter = 32,
}

use ProgramType as P;

static PROGRAM_TYPES: &[(ProgramType, &str)] = &[
    (P::SocketFilter, "socket_filter"),
    (P::Kprobe, "kprobe"),
    (P::SchedCls, "sched_cls"),
    (P::SchedAct, "sched_act"),
    (P::Tracepoint, "tracepoint"),
    (P::Xdp, "xdp"),
    (P::PerfEvent, "perf_event"),
    (P::CgroupSkb, "cgroup_skb"),
    (P::CgroupSock, "cgroup_sock"),
    (P::LwtIn, "lwt_in"),
    (P::LwtOut, "lwt_out"),
    (P::LwtXmit, "lwt_xmit"),
    (P::SockOps, "sock_ops"),
    (P::SkSkb, "sk_skb"),
    (P::CgroupDevice, "cgroup_device"),
    (P::SkMsg, "sk_msg"),
    (P::RawTracepoint, "raw_tracepoint"),
    (P::CgroupSockAddr, "cgroup_sock_addr"),
    (P::LwtSeg6local, "lwt_seg6local"),
    (P::LircMode2, "lirc_mode2"),
    (P::SkReuseport, "sk_reuseport"),
    (P::FlowDissector, "flow_dissector"),
    (P::CgroupSysctl, "cgroup_sysctl"),
    (P::RawTracepointWritable, "raw_tracepoint_writable"),
    (P::CgroupSockopt, "cgroup_sockopt"),
    (P::Tracing, "tracing"),
    (P::StructOps, "struct_ops"),
    (P::Ext, "ext"),
    (P::Lsm, "lsm"),
    (P::SkLookup, "sk_lookup"),
    (P::Syscall, "syscall"),
    (P::Netfilter, "netfilter"),
];

impl ProgramType {
    /// All kinds, in the order of their numbers.
    pub fn all() -> impl Iterator<Item = ProgramType> {
        PROGRAM_TYPES.iter().map(|(kind, _)| *kind)
    }

    /// The kind of a number (`enum bpf_prog_type`).
    pub fn from_number(number: u32) -> Option<ProgramType> {
        PROGRAM_TYPES.get((number as usize).checked_sub(1)?).map(|(kind, _)| *kind)
    }

    /// The kernel's number.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The kernel's name without `BPF_PROG_TYPE_`, in small letters.
    pub fn name(self) -> &'static str {
        PROGRAM_TYPES[self as usize - 1].1
    }
}

impl fmt::Display for ProgramType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of kinds of programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ProgramSet(u64);

impl ProgramSet {
    /// Every kind.
    pub const ALL: ProgramSet = ProgramSet(!1);

    /// The kinds of a list.
    pub const fn of(kinds: &[ProgramType]) -> ProgramSet {
        let (mut bits, mut i) = (0, 0);
        while i < kinds.len() {
            bits |= 1 << kinds[i] as u64;
            i += 1;
        }
        ProgramSet(bits)
    }

    /// This set and these kinds.
    pub const fn and(self, kinds: &[ProgramType]) -> ProgramSet {
        ProgramSet(self.0 | ProgramSet::of(kinds).0)
    }

    /// Whether a kind is in the set.
    pub const fn has(self, kind: ProgramType) -> bool {
        self.0 >> kind as u64 & 1 != 0
    }
}

/// Where a program is attached (`enum bpf_attach_type`), by the kernel's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttachType(pub u32);

impl AttachType {
    /// A tracepoint by its BTF (`BPF_TRACE_RAW_TP`).
    pub const TRACE_RAW_TP: AttachType = AttachType(23);
    /// A security hook (`BPF_LSM_MAC`).
    pub const LSM_MAC: AttachType = AttachType(27);
    /// An iterator (`BPF_TRACE_ITER`).
    pub const TRACE_ITER: AttachType = AttachType(28);
    /// A security hook of a cgroup (`BPF_LSM_CGROUP`).
    pub const LSM_CGROUP: AttachType = AttachType(43);

    /// The kernel's name without `BPF_`, in small letters; `None` for a number that it does not know.
    pub fn name(self) -> Option<&'static str> {
        ATTACH_TYPES.get(self.0 as usize).copied()
    }

    /// The attach type of a name, with or without `BPF_`, in letters of any case.
    pub fn from_name(name: &str) -> Option<AttachType> {
        let lower = name.to_ascii_lowercase();
        let short = lower.strip_prefix("bpf_").unwrap_or(&lower);
        ATTACH_TYPES.iter().position(|known| *known == short).map(|number| AttachType(number as u32))
    }
}

impl fmt::Display for AttachType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "attach type {}", self.0),
        }
    }
}

static ATTACH_TYPES: &[&str] = &[
    "cgroup_inet_ingress",
    "cgroup_inet_egress",
    "cgroup_inet_sock_create",
    "cgroup_sock_ops",
    "sk_skb_stream_parser",
    "sk_skb_stream_verdict",
    "cgroup_device",
    "sk_msg_verdict",
    "cgroup_inet4_bind",
    "cgroup_inet6_bind",
    "cgroup_inet4_connect",
    "cgroup_inet6_connect",
    "cgroup_inet4_post_bind",
    "cgroup_inet6_post_bind",
    "cgroup_udp4_sendmsg",
    "cgroup_udp6_sendmsg",
    "lirc_mode2",
    "flow_dissector",
    "cgroup_sysctl",
    "cgroup_udp4_recvmsg",
    "cgroup_udp6_recvmsg",
    "cgroup_getsockopt",
    "cgroup_setsockopt",
    "trace_raw_tp",
    "trace_fentry",
    "trace_fexit",
    "modify_return",
    "lsm_mac",
    "trace_iter",
    "cgroup_inet4_getpeername",
    "cgroup_inet6_getpeername",
    "cgroup_inet4_getsockname",
    "cgroup_inet6_getsockname",
    "xdp_devmap",
    "cgroup_inet_sock_release",
    "xdp_cpumap",
    "sk_lookup",
    "xdp",
    "sk_skb_verdict",
    "sk_reuseport_select",
    "sk_reuseport_select_or_migrate",
    "perf_event",
    "trace_kprobe_multi",
    "lsm_cgroup",
    "struct_ops",
    "netfilter",
    "tcx_ingress",
    "tcx_egress",
    "trace_uprobe_multi",
    "cgroup_unix_connect",
    "cgroup_unix_sendmsg",
    "cgroup_unix_recvmsg",
    "cgroup_unix_getpeername",
    "cgroup_unix_getsockname",
    "netkit_primary",
    "netkit_peer",
    "trace_kprobe_session",
    "trace_uprobe_session",
    "trace_fsession",
    "trace_fentry_multi",
    "trace_fexit_multi",
    "trace_fsession_multi",
];
