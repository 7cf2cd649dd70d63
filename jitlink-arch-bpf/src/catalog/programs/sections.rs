//! Which section holds which kind of program: libbpf's rules ("Program Types and ELF Sections" in the kernel's documentation).
//!
//! A section's name is the rule's name, `.s` if the program may sleep, and after a slash where the program is to be attached;
//! not every rule allows all of that. A question mark before it means: do not load unless asked to.

use super::ProgramType::*;
use super::{AttachType, ProgramType};

/// What a section's name says about the programs in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramSection<'a> {
    /// The rule that the name follows.
    pub rule: &'static SectionRule,
    /// The program may sleep (`BPF_F_SLEEPABLE`).
    pub sleepable: bool,
    /// It is loaded without being asked for: there was no question mark.
    pub autoload: bool,
    /// What stands after the first slash: the function, tracepoint, hook or the like to attach to; `None` without a slash.
    pub target: Option<&'a str>,
}

/// A rule that names of sections follow.
#[derive(Debug, PartialEq, Eq)]
pub struct SectionRule {
    /// The name before `.s` and before what follows the slash.
    pub name: &'static str,
    /// The kind of program.
    pub program: ProgramType,
    /// Where such programs are attached, as the kernel wants to know when it loads one (`expected_attach_type`).
    pub attach: Option<AttachType>,
    options: u8,
}

/// A slash and a target may follow.
const EXTRAS: u8 = 1;
/// `.s` may follow the name, for programs that may sleep.
const SLEEPY: u8 = 2;
/// The programs may always sleep.
const SLEEPS: u8 = 4;
/// The programs know XDP packets of several buffers.
const FRAGS: u8 = 8;
/// The target is a function or type, which the kernel wants as a BTF id.
const BTF: u8 = 16;
/// Kernels that do not know the attach type load the program without it.
const OPTIONAL: u8 = 32;

const NO_ATTACH: Option<AttachType> = None;

const fn attach(number: u32) -> Option<AttachType> {
    Some(AttachType(number))
}

const fn rule(name: &'static str, program: ProgramType, attach: Option<AttachType>, options: u8) -> SectionRule {
    SectionRule { name, program, attach, options }
}

impl SectionRule {
    /// Whether the programs know XDP packets of several buffers (`BPF_F_XDP_HAS_FRAGS`).
    pub fn frags(&self) -> bool {
        self.options & FRAGS != 0
    }

    /// Whether the attach type may be left out for kernels that do not know it.
    pub fn attach_is_optional(&self) -> bool {
        self.options & OPTIONAL != 0
    }

    /// For programs that attach by the BTF id of a kernel's function or type: what stands before the target in its name.
    pub fn btf_prefix(&self) -> Option<&'static str> {
        let prefix = match self.attach {
            Some(AttachType::TRACE_RAW_TP) => "btf_trace_",
            Some(AttachType::LSM_MAC | AttachType::LSM_CGROUP) => "bpf_lsm_",
            Some(AttachType::TRACE_ITER) => "bpf_iter_",
            _ => "",
        };
        (self.options & BTF != 0).then_some(prefix)
    }

    /// The rest of a name that follows this rule: whether it may sleep, and the target.
    fn matches<'a>(&self, name: &'a str) -> Option<(bool, Option<&'a str>)> {
        let mut rest = name.strip_prefix(self.name)?;
        let mut sleepable = self.options & SLEEPS != 0;
        if let Some(after) = rest.strip_prefix(".s")
            && self.options & SLEEPY != 0
        {
            (rest, sleepable) = (after, true);
        }
        match rest.strip_prefix('/') {
            Some(target) if self.options & EXTRAS != 0 => Some((sleepable, Some(target))),
            None if rest.is_empty() => Some((sleepable, None)),
            _ => None,
        }
    }
}

/// What programs a section holds; `None` if no rule has such a name.
pub fn classify(section: &str) -> Option<ProgramSection<'_>> {
    let name = section.strip_prefix('?').unwrap_or(section);
    RULES.iter().find_map(|rule| {
        let (sleepable, target) = rule.matches(name)?;
        Some(ProgramSection { rule, sleepable, autoload: name.len() == section.len(), target })
    })
}

/// All rules, by kind of program. At most one fits a name.
#[rustfmt::skip]
pub static RULES: &[SectionRule] = &[
    rule("socket", SocketFilter, NO_ATTACH, 0),
    rule("kprobe", Kprobe, NO_ATTACH, EXTRAS),
    rule("kprobe.multi", Kprobe, attach(42), EXTRAS),
    rule("kprobe.session", Kprobe, attach(56), EXTRAS),
    rule("kretprobe", Kprobe, NO_ATTACH, EXTRAS),
    rule("kretprobe.multi", Kprobe, attach(42), EXTRAS),
    rule("kretsyscall", Kprobe, NO_ATTACH, EXTRAS),
    rule("ksyscall", Kprobe, NO_ATTACH, EXTRAS),
    rule("uprobe", Kprobe, NO_ATTACH, EXTRAS | SLEEPY),
    rule("uprobe.multi", Kprobe, attach(48), EXTRAS | SLEEPY),
    rule("uprobe.session", Kprobe, attach(57), EXTRAS | SLEEPY),
    rule("uretprobe", Kprobe, NO_ATTACH, EXTRAS | SLEEPY),
    rule("uretprobe.multi", Kprobe, attach(48), EXTRAS | SLEEPY),
    rule("usdt", Kprobe, NO_ATTACH, EXTRAS | SLEEPY),
    rule("classifier", SchedCls, NO_ATTACH, 0),
    rule("netkit/peer", SchedCls, attach(55), 0),
    rule("netkit/primary", SchedCls, attach(54), 0),
    rule("tc", SchedCls, NO_ATTACH, 0),
    rule("tc/egress", SchedCls, attach(47), 0),
    rule("tc/ingress", SchedCls, attach(46), 0),
    rule("tcx/egress", SchedCls, attach(47), 0),
    rule("tcx/ingress", SchedCls, attach(46), 0),
    rule("action", SchedAct, NO_ATTACH, 0),
    rule("tp", Tracepoint, NO_ATTACH, EXTRAS | SLEEPY),
    rule("tracepoint", Tracepoint, NO_ATTACH, EXTRAS | SLEEPY),
    rule("xdp", Xdp, attach(37), OPTIONAL),
    rule("xdp.frags", Xdp, attach(37), FRAGS),
    rule("xdp.frags/cpumap", Xdp, attach(35), FRAGS),
    rule("xdp.frags/devmap", Xdp, attach(33), FRAGS),
    rule("xdp/cpumap", Xdp, attach(35), 0),
    rule("xdp/devmap", Xdp, attach(33), 0),
    rule("perf_event", PerfEvent, NO_ATTACH, 0),
    rule("cgroup/skb", CgroupSkb, NO_ATTACH, 0),
    rule("cgroup_skb/egress", CgroupSkb, attach(1), OPTIONAL),
    rule("cgroup_skb/ingress", CgroupSkb, attach(0), OPTIONAL),
    rule("cgroup/post_bind4", CgroupSock, attach(12), 0),
    rule("cgroup/post_bind6", CgroupSock, attach(13), 0),
    rule("cgroup/sock", CgroupSock, attach(2), OPTIONAL),
    rule("cgroup/sock_create", CgroupSock, attach(2), 0),
    rule("cgroup/sock_release", CgroupSock, attach(34), 0),
    rule("lwt_in", LwtIn, NO_ATTACH, 0),
    rule("lwt_out", LwtOut, NO_ATTACH, 0),
    rule("lwt_xmit", LwtXmit, NO_ATTACH, 0),
    rule("sockops", SockOps, attach(3), OPTIONAL),
    rule("sk_skb", SkSkb, NO_ATTACH, 0),
    rule("sk_skb/stream_parser", SkSkb, attach(4), OPTIONAL),
    rule("sk_skb/stream_verdict", SkSkb, attach(5), OPTIONAL),
    rule("sk_skb/verdict", SkSkb, attach(38), OPTIONAL),
    rule("cgroup/dev", CgroupDevice, attach(6), OPTIONAL),
    rule("sk_msg", SkMsg, attach(7), OPTIONAL),
    rule("raw_tp", RawTracepoint, NO_ATTACH, EXTRAS | SLEEPY),
    rule("raw_tracepoint", RawTracepoint, NO_ATTACH, EXTRAS | SLEEPY),
    rule("cgroup/bind4", CgroupSockAddr, attach(8), 0),
    rule("cgroup/bind6", CgroupSockAddr, attach(9), 0),
    rule("cgroup/connect4", CgroupSockAddr, attach(10), 0),
    rule("cgroup/connect6", CgroupSockAddr, attach(11), 0),
    rule("cgroup/connect_unix", CgroupSockAddr, attach(49), 0),
    rule("cgroup/getpeername4", CgroupSockAddr, attach(29), 0),
    rule("cgroup/getpeername6", CgroupSockAddr, attach(30), 0),
    rule("cgroup/getpeername_unix", CgroupSockAddr, attach(52), 0),
    rule("cgroup/getsockname4", CgroupSockAddr, attach(31), 0),
    rule("cgroup/getsockname6", CgroupSockAddr, attach(32), 0),
    rule("cgroup/getsockname_unix", CgroupSockAddr, attach(53), 0),
    rule("cgroup/recvmsg4", CgroupSockAddr, attach(19), 0),
    rule("cgroup/recvmsg6", CgroupSockAddr, attach(20), 0),
    rule("cgroup/recvmsg_unix", CgroupSockAddr, attach(51), 0),
    rule("cgroup/sendmsg4", CgroupSockAddr, attach(14), 0),
    rule("cgroup/sendmsg6", CgroupSockAddr, attach(15), 0),
    rule("cgroup/sendmsg_unix", CgroupSockAddr, attach(50), 0),
    rule("lwt_seg6local", LwtSeg6local, NO_ATTACH, 0),
    rule("lirc_mode2", LircMode2, attach(16), OPTIONAL),
    rule("sk_reuseport", SkReuseport, attach(39), 0),
    rule("sk_reuseport/migrate", SkReuseport, attach(40), 0),
    rule("flow_dissector", FlowDissector, attach(17), OPTIONAL),
    rule("cgroup/sysctl", CgroupSysctl, attach(18), 0),
    rule("raw_tp.w", RawTracepointWritable, NO_ATTACH, EXTRAS),
    rule("raw_tracepoint.w", RawTracepointWritable, NO_ATTACH, EXTRAS),
    rule("cgroup/getsockopt", CgroupSockopt, attach(21), 0),
    rule("cgroup/setsockopt", CgroupSockopt, attach(22), 0),
    rule("fentry", Tracing, attach(24), EXTRAS | SLEEPY | BTF),
    rule("fentry.multi", Tracing, attach(59), EXTRAS | SLEEPY),
    rule("fexit", Tracing, attach(25), EXTRAS | SLEEPY | BTF),
    rule("fexit.multi", Tracing, attach(60), EXTRAS | SLEEPY),
    rule("fmod_ret", Tracing, attach(26), EXTRAS | SLEEPY | BTF),
    rule("fsession", Tracing, attach(58), EXTRAS | SLEEPY | BTF),
    rule("fsession.multi", Tracing, attach(61), EXTRAS | SLEEPY),
    rule("iter", Tracing, attach(28), EXTRAS | SLEEPY | BTF),
    rule("tp_btf", Tracing, attach(23), EXTRAS | SLEEPY | BTF),
    rule("struct_ops", StructOps, NO_ATTACH, EXTRAS | SLEEPY),
    rule("freplace", Ext, NO_ATTACH, EXTRAS | BTF),
    rule("lsm", Lsm, attach(27), EXTRAS | SLEEPY | BTF),
    rule("lsm_cgroup", Lsm, attach(43), EXTRAS | BTF),
    rule("sk_lookup", SkLookup, attach(36), 0),
    rule("syscall", Syscall, NO_ATTACH, SLEEPS),
    rule("netfilter", Netfilter, attach(45), 0),
];
