//! The table of all helpers, one a line: `cargo test` compares numbers and names with `linux/bpf.h` where that is installed.

use super::Arg::*;
use super::Return::{Integer, Void};
use super::{Arg, Helper, Return as To};
use crate::catalog::programs::ProgramSet;
use crate::catalog::programs::ProgramType::*;

const GPL: u8 = Helper::GPL;
const PACKET: u8 = Helper::PACKET;
const ACQUIRES: u8 = Helper::ACQUIRES;
const RELEASES: u8 = Helper::RELEASES;
const SLEEPS: u8 = Helper::SLEEPS;

// Kernel objects that several take.
const INODE: Arg = ObjectOrNull("inode");
const TASK: Arg = ObjectOrNull("task_struct");
const KNOWN_TASK: Arg = Object("task_struct");
const CGROUP: Arg = ObjectOrNull("cgroup");
const SEQ: Arg = Object("seq_file");

// Who may call: the sets that occur, as the verifier of Linux 6.18 answers.
const ANY: ProgramSet = ProgramSet::ALL;
const TRACERS_AND_SYSCALL: ProgramSet =
    ProgramSet::of(&[Kprobe, Tracepoint, PerfEvent, RawTracepoint, RawTracepointWritable, Tracing, Lsm, Syscall]);
const SKB_WRITERS: ProgramSet = ProgramSet::of(&[SchedCls, SchedAct, LwtXmit, SkSkb]);
const TC_LWT_XMIT: ProgramSet = ProgramSet::of(&[SchedCls, SchedAct, LwtXmit]);
const TC: ProgramSet = ProgramSet::of(&[SchedCls, SchedAct]);
const TC_XDP_LWT_XMIT: ProgramSet = ProgramSet::of(&[SchedCls, SchedAct, Xdp, LwtXmit]);
const TC_LWT: ProgramSet = ProgramSet::of(&[SchedCls, SchedAct, LwtIn, LwtOut, LwtXmit, LwtSeg6local]);
const EVENT_WRITERS: ProgramSet = ProgramSet::of(&[
    SocketFilter,
    Kprobe,
    SchedCls,
    SchedAct,
    Tracepoint,
    Xdp,
    PerfEvent,
    CgroupSkb,
    CgroupSock,
    LwtIn,
    LwtOut,
    LwtXmit,
    SockOps,
    SkSkb,
    CgroupDevice,
    SkMsg,
    RawTracepoint,
    CgroupSockAddr,
    LwtSeg6local,
    CgroupSysctl,
    RawTracepointWritable,
    CgroupSockopt,
    Tracing,
    Lsm,
    SkLookup,
    Syscall,
]);
const SKB_READERS: ProgramSet = ProgramSet::of(&[
    SocketFilter,
    SchedCls,
    SchedAct,
    CgroupSkb,
    LwtIn,
    LwtOut,
    LwtXmit,
    SkSkb,
    LwtSeg6local,
    SkReuseport,
    FlowDissector,
]);
const TC_XDP_LWT: ProgramSet = ProgramSet::of(&[SchedCls, SchedAct, Xdp, LwtIn, LwtOut, LwtXmit, LwtSeg6local]);
const TRACERS: ProgramSet =
    ProgramSet::of(&[Kprobe, Tracepoint, PerfEvent, RawTracepoint, RawTracepointWritable, Tracing, Lsm]);
const TC_LWT_SK_SKB: ProgramSet = ProgramSet::of(&[SchedCls, SchedAct, LwtIn, LwtOut, LwtXmit, SkSkb, LwtSeg6local]);
const XDP: ProgramSet = ProgramSet::of(&[Xdp]);
const COOKIES: ProgramSet = ProgramSet::of(&[
    SocketFilter,
    SchedCls,
    SchedAct,
    CgroupSkb,
    CgroupSock,
    SockOps,
    SkSkb,
    CgroupSockAddr,
    SkReuseport,
    Tracing,
    Lsm,
    Syscall,
]);
const SOCKET_SKB: ProgramSet = ProgramSet::of(&[SocketFilter, SchedCls, SchedAct, CgroupSkb, SkSkb]);
const SOCKOPT: ProgramSet = ProgramSet::of(&[SockOps, CgroupSockAddr, CgroupSockopt, StructOps, Lsm]);
const TC_SK_SKB: ProgramSet = ProgramSet::of(&[SchedCls, SchedAct, SkSkb]);
const SK_SKB: ProgramSet = ProgramSet::of(&[SkSkb]);
const SOCK_OPS: ProgramSet = ProgramSet::of(&[SockOps]);
const PERF: ProgramSet = ProgramSet::of(&[PerfEvent]);
const KPROBE: ProgramSet = ProgramSet::of(&[Kprobe]);
const SK_MSG: ProgramSet = ProgramSet::of(&[SkMsg]);
const SOCK_ADDR: ProgramSet = ProgramSet::of(&[CgroupSockAddr]);
const RELATIVE: ProgramSet = ProgramSet::of(&[SocketFilter, SchedCls, SchedAct, CgroupSkb, SkReuseport]);
const TC_XDP: ProgramSet = ProgramSet::of(&[SchedCls, SchedAct, Xdp]);
const LWT_ENCAP: ProgramSet = ProgramSet::of(&[LwtIn, LwtXmit]);
const SEG6: ProgramSet = ProgramSet::of(&[LwtSeg6local]);
const LIRC: ProgramSet = ProgramSet::of(&[LircMode2]);
const TC_CGROUP_SKB: ProgramSet = ProgramSet::of(&[SchedCls, SchedAct, CgroupSkb]);
const CGROUPS: ProgramSet =
    ProgramSet::of(&[CgroupSkb, CgroupSock, SockOps, CgroupDevice, CgroupSockAddr, CgroupSysctl, CgroupSockopt]);
const REUSEPORT: ProgramSet = ProgramSet::of(&[SkReuseport]);
const LOOKUP: ProgramSet = ProgramSet::of(&[SchedCls, SchedAct, Xdp, CgroupSkb, SkSkb, CgroupSockAddr]);
const RELEASES_SOCKETS: ProgramSet =
    ProgramSet::of(&[SchedCls, SchedAct, Xdp, CgroupSkb, SkSkb, CgroupSockAddr, SkLookup]);
const TCP_SOCK: ProgramSet = ProgramSet::of(&[SchedCls, SchedAct, CgroupSkb, SockOps, CgroupSockopt]);
const SYSCTL: ProgramSet = ProgramSet::of(&[CgroupSysctl]);
const SK_STORAGE: ProgramSet = ProgramSet::of(&[
    SchedCls,
    SchedAct,
    CgroupSkb,
    CgroupSock,
    SockOps,
    SkMsg,
    CgroupSockAddr,
    CgroupSockopt,
    Tracing,
    StructOps,
    Lsm,
    Syscall,
]);
const SK_STORAGE_DELETE: ProgramSet = ProgramSet::of(&[
    SchedCls,
    SchedAct,
    CgroupSkb,
    SockOps,
    SkMsg,
    CgroupSockAddr,
    CgroupSockopt,
    Tracing,
    StructOps,
    Lsm,
    Syscall,
]);
const KERNEL: ProgramSet = ProgramSet::of(&[Tracing, Lsm, Syscall]);
const STRUCT_OPS: ProgramSet = ProgramSet::of(&[StructOps]);
const NETNS: ProgramSet = ProgramSet::of(&[
    SocketFilter,
    SchedCls,
    SchedAct,
    CgroupSkb,
    CgroupSock,
    SockOps,
    SkMsg,
    CgroupSockAddr,
    CgroupSockopt,
]);
const TC_SK_LOOKUP: ProgramSet = ProgramSet::of(&[SchedCls, SchedAct, SkLookup]);
const TRACING: ProgramSet = ProgramSet::of(&[Tracing, Lsm]);
const CGROUP_SKB: ProgramSet = ProgramSet::of(&[CgroupSkb]);
const CASTS: ProgramSet = ProgramSet::of(&[
    SocketFilter,
    SchedCls,
    SchedAct,
    Xdp,
    CgroupSkb,
    LwtIn,
    LwtOut,
    LwtXmit,
    SockOps,
    SkSkb,
    SkMsg,
    CgroupSockAddr,
    LwtSeg6local,
    FlowDissector,
    Tracing,
    Lsm,
    SkLookup,
    Syscall,
]);
const LSM: ProgramSet = ProgramSet::of(&[Lsm]);
const COARSE: ProgramSet = ProgramSet::of(&[
    SocketFilter,
    SchedCls,
    SchedAct,
    Xdp,
    CgroupSkb,
    CgroupSock,
    LwtIn,
    LwtOut,
    LwtXmit,
    SockOps,
    SkSkb,
    SkMsg,
    CgroupSockAddr,
    LwtSeg6local,
    SkReuseport,
    FlowDissector,
    CgroupSysctl,
    SkLookup,
]);
const SYSCALL: ProgramSet = ProgramSet::of(&[Syscall]);
const RETVAL: ProgramSet = ProgramSet::of(&[CgroupSock, CgroupSockAddr, CgroupSysctl, CgroupSockopt]);
const XDP_LENGTH: ProgramSet = ProgramSet::of(&[Xdp, Tracing, Lsm, Syscall]);

const fn h(number: u32, name: &'static str, args: &'static [Arg], returns: To, since: (u8, u8)) -> Helper {
    Helper { number, name, returns, args, since, traits: 0, programs: ANY }
}

impl Helper {
    const fn by(self, programs: ProgramSet) -> Helper {
        Helper { programs, ..self }
    }

    const fn with(self, traits: u8) -> Helper {
        Helper { traits, ..self }
    }
}

/// All helpers, in the order of their numbers, which start at 1.
#[rustfmt::skip]
pub static HELPERS: &[Helper] = &[
    h(1, "map_lookup_elem", &[Map, MapKey], To::MapValueOrNull, (3, 19)),
    h(2, "map_update_elem", &[Map, MapKey, MapValue, Any], Integer, (3, 19)),
    h(3, "map_delete_elem", &[Map, MapKey], Integer, (3, 19)),
    h(4, "probe_read", &[Uninit, SizeOrZero, Any], Integer, (4, 1)).by(TRACERS_AND_SYSCALL).with(GPL),
    h(5, "ktime_get_ns", &[], Integer, (4, 1)),
    h(6, "trace_printk", &[Read, Size, Optional, Optional, Optional], Integer, (4, 1)).with(GPL),
    h(7, "get_prandom_u32", &[], Integer, (4, 1)),
    h(8, "get_smp_processor_id", &[], Integer, (4, 1)),
    h(9, "skb_store_bytes", &[Context, Any, Read, Size, Any], Integer, (4, 1)).by(SKB_WRITERS).with(PACKET),
    h(10, "l3_csum_replace", &[Context, Any, Any, Any, Any], Integer, (4, 1)).by(TC_LWT_XMIT).with(PACKET),
    h(11, "l4_csum_replace", &[Context, Any, Any, Any, Any], Integer, (4, 1)).by(TC_LWT_XMIT).with(PACKET),
    h(12, "tail_call", &[Context, Map, Any], Void, (4, 2)),
    h(13, "clone_redirect", &[Context, Any, Any], Integer, (4, 2)).by(TC_LWT_XMIT).with(PACKET),
    h(14, "get_current_pid_tgid", &[], Integer, (4, 2)),
    h(15, "get_current_uid_gid", &[], Integer, (4, 2)),
    h(16, "get_current_comm", &[Uninit, Size], Integer, (4, 2)),
    h(17, "get_cgroup_classid", &[Context], Integer, (4, 3)),
    h(18, "skb_vlan_push", &[Context, Any, Any], Integer, (4, 3)).by(TC).with(PACKET),
    h(19, "skb_vlan_pop", &[Context], Integer, (4, 3)).by(TC).with(PACKET),
    h(20, "skb_get_tunnel_key", &[Context, Uninit, Size, Any], Integer, (4, 3)).by(TC_LWT_XMIT),
    h(21, "skb_set_tunnel_key", &[Context, Read, Size, Any], Integer, (4, 3)).by(TC_LWT_XMIT),
    h(22, "perf_event_read", &[Map, Any], Integer, (4, 3)).with(GPL),
    h(23, "redirect", &[Any, Any], Integer, (4, 4)).by(TC_XDP_LWT_XMIT),
    h(24, "get_route_realm", &[Context], Integer, (4, 4)).by(TC_LWT),
    h(25, "perf_event_output", &[Context, Map, Any, Read, SizeOrZero], Integer, (4, 4)).by(EVENT_WRITERS).with(GPL),
    h(26, "skb_load_bytes", &[Context, Any, Uninit, Size], Integer, (4, 5)).by(SKB_READERS),
    h(27, "get_stackid", &[Context, Map, Any], Integer, (4, 6)).by(TRACERS_AND_SYSCALL).with(GPL),
    h(28, "csum_diff", &[ReadOrNull, SizeOrZero, ReadOrNull, SizeOrZero, Any], Integer, (4, 6)).by(TC_XDP_LWT),
    h(29, "skb_get_tunnel_opt", &[Context, Uninit, Size], Integer, (4, 6)).by(TC_LWT_XMIT),
    h(30, "skb_set_tunnel_opt", &[Context, Read, Size], Integer, (4, 6)).by(TC_LWT_XMIT),
    h(31, "skb_change_proto", &[Context, Any, Any], Integer, (4, 8)).by(TC).with(PACKET),
    h(32, "skb_change_type", &[Context, Any], Integer, (4, 8)).by(TC),
    h(33, "skb_under_cgroup", &[Context, Map, Any], Integer, (4, 8)).by(TC_LWT),
    h(34, "get_hash_recalc", &[Context], Integer, (4, 8)).by(TC_LWT),
    h(35, "get_current_task", &[], Integer, (4, 8)).with(GPL),
    h(36, "probe_write_user", &[Any, Read, Size], Integer, (4, 8)).by(TRACERS).with(GPL),
    h(37, "current_task_under_cgroup", &[Map, Any], Integer, (4, 9)),
    h(38, "skb_change_tail", &[Context, Any, Any], Integer, (4, 9)).by(SKB_WRITERS).with(PACKET),
    h(39, "skb_pull_data", &[Context, Any], Integer, (4, 9)).by(TC_LWT_SK_SKB).with(PACKET),
    h(40, "csum_update", &[Context, Any], Integer, (4, 9)).by(TC_LWT_XMIT),
    h(41, "set_hash_invalid", &[Context], Integer, (4, 9)).by(TC_LWT_XMIT),
    h(42, "get_numa_node_id", &[], Integer, (4, 10)),
    h(43, "skb_change_head", &[Context, Any, Any], Integer, (4, 10)).by(SKB_WRITERS).with(PACKET),
    h(44, "xdp_adjust_head", &[Context, Any], Integer, (4, 10)).by(XDP).with(PACKET),
    h(45, "probe_read_str", &[Uninit, SizeOrZero, Any], Integer, (4, 11)).by(TRACERS_AND_SYSCALL).with(GPL),
    h(46, "get_socket_cookie", &[Context], Integer, (4, 12)).by(COOKIES),
    h(47, "get_socket_uid", &[Context], Integer, (4, 12)).by(SOCKET_SKB),
    h(48, "set_hash", &[Context, Any], Integer, (4, 13)).by(TC),
    h(49, "setsockopt", &[Context, Any, Any, Read, Size], Integer, (4, 13)).by(SOCKOPT),
    h(50, "skb_adjust_room", &[Context, Any, Any, Any], Integer, (4, 13)).by(TC_SK_SKB).with(PACKET),
    h(51, "redirect_map", &[Map, Any, Any], Integer, (4, 14)).by(XDP),
    h(52, "sk_redirect_map", &[Context, Map, Any, Any], Integer, (4, 14)).by(SK_SKB),
    h(53, "sock_map_update", &[Context, Map, MapKey, Any], Integer, (4, 14)).by(SOCK_OPS),
    h(54, "xdp_adjust_meta", &[Context, Any], Integer, (4, 15)).by(XDP).with(PACKET),
    h(55, "perf_event_read_value", &[Map, Any, Uninit, Size], Integer, (4, 15)).with(GPL),
    h(56, "perf_prog_read_value", &[Context, Uninit, Size], Integer, (4, 15)).by(PERF).with(GPL),
    h(57, "getsockopt", &[Context, Any, Any, Uninit, Size], Integer, (4, 15)).by(SOCKOPT),
    h(58, "override_return", &[Context, Any], Integer, (4, 16)).by(KPROBE).with(GPL),
    h(59, "sock_ops_cb_flags_set", &[Context, Any], Integer, (4, 16)).by(SOCK_OPS),
    h(60, "msg_redirect_map", &[Context, Map, Any, Any], Integer, (4, 17)).by(SK_MSG),
    h(61, "msg_apply_bytes", &[Context, Any], Integer, (4, 17)).by(SK_MSG),
    h(62, "msg_cork_bytes", &[Context, Any], Integer, (4, 17)).by(SK_MSG),
    h(63, "msg_pull_data", &[Context, Any, Any, Any], Integer, (4, 17)).by(SK_MSG).with(PACKET),
    h(64, "bind", &[Context, Read, Size], Integer, (4, 17)).by(SOCK_ADDR),
    h(65, "xdp_adjust_tail", &[Context, Any], Integer, (4, 18)).by(XDP).with(PACKET),
    h(66, "skb_get_xfrm_state", &[Context, Any, Uninit, Size, Any], Integer, (4, 18)).by(TC),
    h(67, "get_stack", &[Context, Uninit, SizeOrZero, Any], Integer, (4, 18)).by(TRACERS_AND_SYSCALL).with(GPL),
    h(68, "skb_load_bytes_relative", &[Context, Any, Uninit, Size, Any], Integer, (4, 18)).by(RELATIVE),
    h(69, "fib_lookup", &[Context, Write, Size, Any], Integer, (4, 18)).by(TC_XDP).with(GPL),
    h(70, "sock_hash_update", &[Context, Map, MapKey, Any], Integer, (4, 18)).by(SOCK_OPS),
    h(71, "msg_redirect_hash", &[Context, Map, MapKey, Any], Integer, (4, 18)).by(SK_MSG),
    h(72, "sk_redirect_hash", &[Context, Map, MapKey, Any], Integer, (4, 18)).by(SK_SKB),
    h(73, "lwt_push_encap", &[Context, Any, Read, Size], Integer, (4, 18)).by(LWT_ENCAP).with(PACKET),
    h(74, "lwt_seg6_store_bytes", &[Context, Any, Read, Size], Integer, (4, 18)).by(SEG6).with(PACKET),
    h(75, "lwt_seg6_adjust_srh", &[Context, Any, Any], Integer, (4, 18)).by(SEG6).with(PACKET),
    h(76, "lwt_seg6_action", &[Context, Any, Read, Size], Integer, (4, 18)).by(SEG6).with(PACKET),
    h(77, "rc_repeat", &[Context], Integer, (4, 18)).by(LIRC).with(GPL),
    h(78, "rc_keydown", &[Context, Any, Any, Any], Integer, (4, 18)).by(LIRC).with(GPL),
    h(79, "skb_cgroup_id", &[Context], Integer, (4, 18)).by(TC_CGROUP_SKB),
    h(80, "get_current_cgroup_id", &[], Integer, (4, 18)),
    h(81, "get_local_storage", &[Map, Any], To::MapValue, (4, 19)).by(CGROUPS),
    h(82, "sk_select_reuseport", &[Context, Map, MapKey, Any], Integer, (4, 19)).by(REUSEPORT),
    h(83, "skb_ancestor_cgroup_id", &[Context, Any], Integer, (4, 19)).by(TC_CGROUP_SKB),
    h(84, "sk_lookup_tcp", &[Context, Read, Size, Any, Any], To::SocketOrNull, (4, 20)).by(LOOKUP).with(ACQUIRES),
    h(85, "sk_lookup_udp", &[Context, Read, Size, Any, Any], To::SocketOrNull, (4, 20)).by(LOOKUP).with(ACQUIRES),
    h(86, "sk_release", &[ReleasedSocket], Integer, (4, 20)).by(RELEASES_SOCKETS).with(RELEASES),
    h(87, "map_push_elem", &[Map, MapValue, Any], Integer, (4, 20)),
    h(88, "map_pop_elem", &[Map, UninitMapValue], Integer, (4, 20)),
    h(89, "map_peek_elem", &[Map, UninitMapValue], Integer, (4, 20)),
    h(90, "msg_push_data", &[Context, Any, Any, Any], Integer, (4, 20)).by(SK_MSG).with(PACKET),
    h(91, "msg_pop_data", &[Context, Any, Any, Any], Integer, (5, 0)).by(SK_MSG).with(PACKET),
    h(92, "rc_pointer_rel", &[Context, Any, Any], Integer, (5, 0)).by(LIRC).with(GPL),
    h(93, "spin_lock", &[SpinLock], Void, (5, 1)),
    h(94, "spin_unlock", &[SpinLock], Void, (5, 1)),
    h(95, "sk_fullsock", &[SocketCommon], To::SocketOrNull, (5, 1)).by(TC_CGROUP_SKB),
    h(96, "tcp_sock", &[SocketCommon], To::TcpSocketOrNull, (5, 1)).by(TCP_SOCK),
    h(97, "skb_ecn_set_ce", &[Context], Integer, (5, 1)).by(TC_CGROUP_SKB),
    h(98, "get_listener_sock", &[SocketCommon], To::SocketOrNull, (5, 1)).by(TC_CGROUP_SKB),
    h(99, "skc_lookup_tcp", &[Context, Read, Size, Any, Any], To::SocketCommonOrNull, (5, 2)).by(LOOKUP).with(ACQUIRES),
    h(100, "tcp_check_syncookie", &[SocketCommon, Read, Size, Read, Size], Integer, (5, 2)).by(TC_XDP).with(GPL),
    h(101, "sysctl_get_name", &[Context, Uninit, Size, Any], Integer, (5, 2)).by(SYSCTL),
    h(102, "sysctl_get_current_value", &[Context, Uninit, Size], Integer, (5, 2)).by(SYSCTL),
    h(103, "sysctl_get_new_value", &[Context, Uninit, Size], Integer, (5, 2)).by(SYSCTL),
    h(104, "sysctl_set_new_value", &[Context, Read, Size], Integer, (5, 2)).by(SYSCTL),
    h(105, "strtol", &[Read, Size, Any, UninitBytes(8)], Integer, (5, 2)),
    h(106, "strtoul", &[Read, Size, Any, UninitBytes(8)], Integer, (5, 2)),
    h(107, "sk_storage_get", &[Map, SocketCommon, MapValueOrNull, Any], To::MapValueOrNull, (5, 2)).by(SK_STORAGE),
    h(108, "sk_storage_delete", &[Map, SocketCommon], Integer, (5, 2)).by(SK_STORAGE_DELETE),
    h(109, "send_signal", &[Any], Integer, (5, 3)),
    h(110, "tcp_gen_syncookie", &[SocketCommon, Read, Size, Read, Size], Integer, (5, 3)).by(TC_XDP).with(GPL),
    h(111, "skb_output", &[Object("sk_buff"), Map, Any, Read, SizeOrZero], Integer, (5, 5)).by(KERNEL).with(GPL),
    h(112, "probe_read_user", &[Uninit, SizeOrZero, Any], Integer, (5, 5)).with(GPL),
    h(113, "probe_read_kernel", &[Uninit, SizeOrZero, Any], Integer, (5, 5)).with(GPL),
    h(114, "probe_read_user_str", &[Uninit, SizeOrZero, Any], Integer, (5, 5)).with(GPL),
    h(115, "probe_read_kernel_str", &[Uninit, SizeOrZero, Any], Integer, (5, 5)).with(GPL),
    h(116, "tcp_send_ack", &[Object("tcp_sock"), Any], Integer, (5, 6)).by(STRUCT_OPS),
    h(117, "send_signal_thread", &[Any], Integer, (5, 6)),
    h(118, "jiffies64", &[], Integer, (5, 6)),
    h(119, "read_branch_records", &[Context, WriteOrNull, SizeOrZero, Any], Integer, (5, 6)).by(PERF).with(GPL),
    h(120, "get_ns_current_pid_tgid", &[Any, Any, Uninit, Size], Integer, (5, 7)),
    h(121, "xdp_output", &[Object("xdp_buff"), Map, Any, Read, SizeOrZero], Integer, (5, 7)).by(KERNEL).with(GPL),
    h(122, "get_netns_cookie", &[ContextOrNull], Integer, (5, 7)).by(NETNS),
    h(123, "get_current_ancestor_cgroup_id", &[Any], Integer, (5, 7)),
    h(124, "sk_assign", &[Context, SocketCommon, Any], Integer, (5, 7)).by(TC_SK_LOOKUP),
    h(125, "ktime_get_boot_ns", &[], Integer, (5, 8)),
    h(126, "seq_printf", &[SEQ, Read, Size, ReadOrNull, SizeOrZero], Integer, (5, 8)).by(TRACING).with(GPL),
    h(127, "seq_write", &[SEQ, Read, SizeOrZero], Integer, (5, 8)).by(TRACING).with(GPL),
    h(128, "sk_cgroup_id", &[SocketCommon], Integer, (5, 8)).by(CGROUP_SKB),
    h(129, "sk_ancestor_cgroup_id", &[SocketCommon, Any], Integer, (5, 8)).by(CGROUP_SKB),
    h(130, "ringbuf_output", &[Map, Read, SizeOrZero, Any], Integer, (5, 8)),
    h(131, "ringbuf_reserve", &[Map, AllocSize, Any], To::RecordOrNull, (5, 8)).with(ACQUIRES),
    h(132, "ringbuf_submit", &[Record, Any], Void, (5, 8)).with(RELEASES),
    h(133, "ringbuf_discard", &[Record, Any], Void, (5, 8)).with(RELEASES),
    h(134, "ringbuf_query", &[Map, Any], Integer, (5, 8)),
    h(135, "csum_level", &[Context, Any], Integer, (5, 8)).by(TC_LWT_XMIT),
    h(136, "skc_to_tcp6_sock", &[SocketCommon], To::ObjectOrNull("tcp6_sock"), (5, 9)).by(CASTS),
    h(137, "skc_to_tcp_sock", &[SocketCommon], To::ObjectOrNull("tcp_sock"), (5, 9)).by(CASTS),
    h(138, "skc_to_tcp_timewait_sock", &[SocketCommon], To::ObjectOrNull("tcp_timewait_sock"), (5, 9)).by(CASTS),
    h(139, "skc_to_tcp_request_sock", &[SocketCommon], To::ObjectOrNull("tcp_request_sock"), (5, 9)).by(CASTS),
    h(140, "skc_to_udp6_sock", &[SocketCommon], To::ObjectOrNull("udp6_sock"), (5, 9)).by(CASTS),
    h(141, "get_task_stack", &[Object("task_struct"), Uninit, SizeOrZero, Any], Integer, (5, 9)),
    h(142, "load_hdr_opt", &[Context, Write, Size, Any], Integer, (5, 10)).by(SOCK_OPS),
    h(143, "store_hdr_opt", &[Context, Read, Size, Any], Integer, (5, 10)).by(SOCK_OPS).with(PACKET),
    h(144, "reserve_hdr_opt", &[Context, Any, Any], Integer, (5, 10)).by(SOCK_OPS),
    h(145, "inode_storage_get", &[Map, INODE, MapValueOrNull, Any], To::MapValueOrNull, (5, 10)).by(TRACING),
    h(146, "inode_storage_delete", &[Map, INODE], Integer, (5, 10)).by(TRACING),
    h(147, "d_path", &[Object("path"), Uninit, SizeOrZero], Integer, (5, 10)).by(KERNEL),
    h(148, "copy_from_user", &[Uninit, SizeOrZero, Any], Integer, (5, 10)).with(SLEEPS),
    h(149, "snprintf_btf", &[Write, Size, Read, Size, Any], Integer, (5, 10)),
    h(150, "seq_printf_btf", &[SEQ, Read, SizeOrZero, Any], Integer, (5, 10)).by(TRACING).with(GPL),
    h(151, "skb_cgroup_classid", &[Context], Integer, (5, 10)).by(TC),
    h(152, "redirect_neigh", &[Any, ReadOrNull, SizeOrZero, Any], Integer, (5, 10)).by(TC),
    h(153, "per_cpu_ptr", &[PerCpu, Any], To::PerCpuOrNull, (5, 10)),
    h(154, "this_cpu_ptr", &[PerCpu], To::PerCpu, (5, 10)),
    h(155, "redirect_peer", &[Any, Any], Integer, (5, 10)).by(TC),
    h(156, "task_storage_get", &[Map, TASK, MapValueOrNull, Any], To::MapValueOrNull, (5, 11)),
    h(157, "task_storage_delete", &[Map, TASK], Integer, (5, 11)),
    h(158, "get_current_task_btf", &[], To::Object("task_struct"), (5, 11)).with(GPL),
    h(159, "bprm_opts_set", &[Object("linux_binprm"), Any], Integer, (5, 11)).by(LSM),
    h(160, "ktime_get_coarse_ns", &[], Integer, (5, 11)).by(COARSE),
    h(161, "ima_inode_hash", &[Object("inode"), Uninit, Size], Integer, (5, 11)).by(LSM).with(SLEEPS),
    h(162, "sock_from_file", &[Object("file")], To::ObjectOrNull("socket"), (5, 11)).by(KERNEL),
    h(163, "check_mtu", &[Context, Any, WriteBytes(4), Any, Any], Integer, (5, 12)).by(TC_XDP).with(GPL),
    h(164, "for_each_map_elem", &[Map, Callback, StackOrNull, Any], Integer, (5, 13)),
    h(165, "snprintf", &[WriteOrNull, SizeOrZero, ConstString, ReadOrNull, SizeOrZero], Integer, (5, 13)).with(GPL),
    h(166, "sys_bpf", &[Any, Read, Size], Integer, (5, 14)).by(SYSCALL).with(SLEEPS),
    h(167, "btf_find_by_name_kind", &[Read, Size, Any, Any], Integer, (5, 14)).by(SYSCALL),
    h(168, "sys_close", &[Any], Integer, (5, 14)).by(SYSCALL).with(SLEEPS),
    h(169, "timer_init", &[Timer, Map, Any], Integer, (5, 15)).with(GPL),
    h(170, "timer_set_callback", &[Timer, Callback], Integer, (5, 15)).with(GPL),
    h(171, "timer_start", &[Timer, Any, Any], Integer, (5, 15)).with(GPL),
    h(172, "timer_cancel", &[Timer], Integer, (5, 15)).with(GPL),
    h(173, "get_func_ip", &[Context], Integer, (5, 15)).by(TRACERS_AND_SYSCALL).with(GPL),
    h(174, "get_attach_cookie", &[Context], Integer, (5, 15)).by(TRACERS),
    h(175, "task_pt_regs", &[Object("task_struct")], To::Object("pt_regs"), (5, 15)).with(GPL),
    h(176, "get_branch_snapshot", &[Uninit, SizeOrZero, Any], Integer, (5, 16)).with(GPL),
    h(177, "trace_vprintk", &[Read, Size, ReadOrNull, SizeOrZero], Integer, (5, 16)).with(GPL),
    h(178, "skc_to_unix_sock", &[SocketCommon], To::ObjectOrNull("unix_sock"), (5, 16)).by(CASTS),
    h(179, "kallsyms_lookup_name", &[Read, SizeOrZero, Any, UninitBytes(8)], Integer, (5, 16)).by(SYSCALL),
    h(180, "find_vma", &[Object("task_struct"), Any, Callback, StackOrNull, Any], Integer, (5, 17)),
    h(181, "loop", &[Any, Callback, StackOrNull, Any], Integer, (5, 17)),
    h(182, "strncmp", &[Read, Size, ConstString], Integer, (5, 17)),
    h(183, "get_func_arg", &[Context, Any, UninitBytes(8)], Integer, (5, 17)).by(TRACING),
    h(184, "get_func_ret", &[Context, UninitBytes(8)], Integer, (5, 17)).by(TRACING),
    h(185, "get_func_arg_cnt", &[Context], Integer, (5, 17)).by(TRACING),
    h(186, "get_retval", &[], Integer, (5, 18)).by(RETVAL),
    h(187, "set_retval", &[Any], Integer, (5, 18)).by(RETVAL),
    h(188, "xdp_get_buff_len", &[Context], Integer, (5, 18)).by(XDP_LENGTH),
    h(189, "xdp_load_bytes", &[Context, Any, Uninit, Size], Integer, (5, 18)).by(XDP),
    h(190, "xdp_store_bytes", &[Context, Any, Read, Size], Integer, (5, 18)).by(XDP),
    h(191, "copy_from_user_task", &[Uninit, SizeOrZero, Any, KNOWN_TASK, Any], Integer, (5, 18)).with(GPL | SLEEPS),
    h(192, "skb_set_tstamp", &[Context, Any, Any], Integer, (5, 18)).by(TC),
    h(193, "ima_file_hash", &[Object("file"), Uninit, Size], Integer, (5, 18)).by(LSM).with(SLEEPS),
    h(194, "kptr_xchg", &[Kptr, OwnedOrNull], To::KptrOrNull, (5, 19)).with(ACQUIRES | RELEASES),
    h(195, "map_lookup_percpu_elem", &[Map, MapKey, Any], To::MapValueOrNull, (5, 19)),
    h(196, "skc_to_mptcp_sock", &[SocketCommon], To::ObjectOrNull("mptcp_sock"), (5, 19)).by(CASTS),
    h(197, "dynptr_from_mem", &[Uninit, SizeOrZero, Any, NewDynptr], Integer, (5, 19)),
    h(198, "ringbuf_reserve_dynptr", &[Map, Any, Any, NewDynptr], Integer, (5, 19)).with(ACQUIRES),
    h(199, "ringbuf_submit_dynptr", &[RecordDynptr, Any], Void, (5, 19)).with(RELEASES),
    h(200, "ringbuf_discard_dynptr", &[RecordDynptr, Any], Void, (5, 19)).with(RELEASES),
    h(201, "dynptr_read", &[Uninit, SizeOrZero, Dynptr, Any, Any], Integer, (5, 19)),
    h(202, "dynptr_write", &[Dynptr, Any, Read, SizeOrZero, Any], Integer, (5, 19)),
    h(203, "dynptr_data", &[Dynptr, Any, AllocSize], To::SliceOrNull, (5, 19)),
    h(204, "tcp_raw_gen_syncookie_ipv4", &[ReadBytes(20), Read, SizeOrZero], Integer, (6, 0)).by(TC_XDP).with(GPL),
    h(205, "tcp_raw_gen_syncookie_ipv6", &[ReadBytes(40), Read, SizeOrZero], Integer, (6, 0)).by(TC_XDP).with(GPL),
    h(206, "tcp_raw_check_syncookie_ipv4", &[ReadBytes(20), ReadBytes(20)], Integer, (6, 0)).by(TC_XDP).with(GPL),
    h(207, "tcp_raw_check_syncookie_ipv6", &[ReadBytes(40), ReadBytes(20)], Integer, (6, 0)).by(TC_XDP).with(GPL),
    h(208, "ktime_get_tai_ns", &[], Integer, (6, 1)),
    h(209, "user_ringbuf_drain", &[Map, Callback, StackOrNull, Any], Integer, (6, 1)),
    h(210, "cgrp_storage_get", &[Map, CGROUP, MapValueOrNull, Any], To::MapValueOrNull, (6, 2)),
    h(211, "cgrp_storage_delete", &[Map, CGROUP], Integer, (6, 2)),
];
