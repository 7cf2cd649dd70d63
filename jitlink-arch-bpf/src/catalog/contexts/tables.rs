//! The contexts of packets. Who may access which field is what the verifier of Linux 6.18 answers.

use std::borrow::Cow;

use super::Meaning::*;
use super::{Context, Field, Meaning};
use crate::catalog::programs::ProgramType::*;
use crate::catalog::programs::{ProgramSet, ProgramType};

const NOBODY: ProgramSet = ProgramSet::of(&[]);
const XDP: ProgramSet = ProgramSet::of(&[Xdp]);
const TC: ProgramSet = ProgramSet::of(&[SchedCls, SchedAct]);
/// Those that see the packet through memory; the flow dissector sees nothing else.
const DIRECT: ProgramSet = LWT.and(&[SchedCls, SchedAct, CgroupSkb, SkSkb, FlowDissector]);
const LWT: ProgramSet = ProgramSet::of(&[LwtIn, LwtOut, LwtXmit, LwtSeg6local]);
const SOCKETS: ProgramSet = ProgramSet::of(&[CgroupSkb, SkSkb]);
const CGROUP: ProgramSet = ProgramSet::of(&[SchedCls, SchedAct, CgroupSkb]);
const MARK_READ: ProgramSet = LWT.and(&[SocketFilter, SchedCls, SchedAct, CgroupSkb]);
const MARK: ProgramSet = LWT.and(&[SchedCls, SchedAct, CgroupSkb]);
const PRIORITY: ProgramSet = LWT.and(&[SchedCls, SchedAct, CgroupSkb, SkSkb]);
const INDEX: ProgramSet = ProgramSet::of(&[SchedCls, SchedAct, SkSkb]);
const ALL: ProgramSet = MARK_READ.and(&[SkSkb]);

/// A row: offset, size and meaning, who reads, who writes.
const fn f(name: &'static str, place: (u32, u32, Meaning), readers: ProgramSet, writers: ProgramSet) -> Field {
    Field { name: Cow::Borrowed(name), offset: place.0, size: place.1, meaning: place.2, readers, writers }
}

/// `struct xdp_md`: what XDP programs get. The egress interface is only there for programs in a device map.
pub static XDP_MD: Context = Context {
    name: Cow::Borrowed("xdp_md"),
    size: 24,
    fields: Cow::Borrowed(&[
        f("data", (0, 4, PacketStart), XDP, NOBODY),
        f("data_end", (4, 4, PacketEnd), XDP, NOBODY),
        f("data_meta", (8, 4, PacketMeta), XDP, NOBODY),
        f("ingress_ifindex", (12, 4, WholeNumber), XDP, NOBODY),
        f("rx_queue_index", (16, 4, WholeNumber), XDP, NOBODY),
        f("egress_ifindex", (20, 4, WholeNumber), XDP, NOBODY),
    ]),
};

/// `struct __sk_buff`: what programs get that work on socket buffers.
#[rustfmt::skip]
pub static SK_BUFF: Context = Context {
    name: Cow::Borrowed("__sk_buff"),
    size: 192,
    fields: Cow::Borrowed(&[
        f("len",             (0, 4, Number),       ALL, NOBODY),
        f("pkt_type",        (4, 4, Number),       ALL, NOBODY),
        f("mark",            (8, 4, Number),       MARK_READ, MARK),
        f("queue_mapping",   (12, 4, Number),      ALL, TC),
        f("protocol",        (16, 4, Number),      ALL, NOBODY),
        f("vlan_present",    (20, 4, Number),      ALL, NOBODY),
        f("vlan_tci",        (24, 4, Number),      ALL, NOBODY),
        f("vlan_proto",      (28, 4, Number),      ALL, NOBODY),
        f("priority",        (32, 4, Number),      ALL, PRIORITY),
        f("ingress_ifindex", (36, 4, Number),      ALL, NOBODY),
        f("ifindex",         (40, 4, Number),      ALL, NOBODY),
        f("tc_index",        (44, 4, Number),      ALL, INDEX),
        f("cb",              (48, 20, Bytes),      ALL, ALL),
        f("hash",            (68, 4, Number),      ALL, NOBODY),
        f("tc_classid",      (72, 4, Number),      TC, TC),
        f("data",            (76, 4, PacketStart), DIRECT, NOBODY),
        f("data_end",        (80, 4, PacketEnd),   DIRECT, NOBODY),
        f("napi_id",         (84, 4, Number),      ALL, NOBODY),
        f("family",          (88, 4, Number),      SOCKETS, NOBODY),
        f("remote_ip4",      (92, 4, WholeNumber), SOCKETS, NOBODY),
        f("local_ip4",       (96, 4, WholeNumber), SOCKETS, NOBODY),
        f("remote_ip6",      (100, 16, Words),     SOCKETS, NOBODY),
        f("local_ip6",       (116, 16, Words),     SOCKETS, NOBODY),
        f("remote_port",     (132, 4, Number),     SOCKETS, NOBODY),
        f("local_port",      (136, 4, Number),     SOCKETS, NOBODY),
        f("data_meta",       (140, 4, PacketMeta), TC, NOBODY),
        f("flow_keys",       (144, 8, FlowKeys),   ProgramSet::of(&[FlowDissector]), NOBODY),
        f("tstamp",          (152, 8, WholeNumber), CGROUP, CGROUP),
        f("wire_len",        (160, 4, Number),     TC, NOBODY),
        f("gso_segs",        (164, 4, Number),     ALL, NOBODY),
        f("sk",              (168, 8, Socket),     ALL, NOBODY),
        f("gso_size",        (176, 4, Number),     ALL, NOBODY),
        f("tstamp_type",     (180, 1, WholeNumber), TC, NOBODY),
        f("hwtstamp",        (184, 8, WholeNumber), CGROUP, NOBODY),
    ]),
};

/// The context that programs of a kind get, if it is described here.
pub fn of(program: ProgramType) -> Option<&'static Context> {
    match program {
        Xdp => Some(&XDP_MD),
        SocketFilter | SchedCls | SchedAct | CgroupSkb | LwtIn | LwtOut | LwtXmit | LwtSeg6local | SkSkb
        | FlowDissector => Some(&SK_BUFF),
        _ => None,
    }
}
