//! What only a kernel can do: why it is refused; and kernel functions that are nothing to do here.

use super::Table;

/// Kernel functions that mark sections in which the kernel may not do something; nothing of that happens here.
pub(super) static KERNEL_FUNCTIONS: Table = &[
    ("bpf_rcu_read_lock", |_, _| Ok(0)),
    ("bpf_rcu_read_unlock", |_, _| Ok(0)),
    ("bpf_preempt_disable", |_, _| Ok(0)),
    ("bpf_preempt_enable", |_, _| Ok(0)),
    ("bpf_cast_to_kern_ctx", |call, _| Err(call.fault("bpf_cast_to_kern_ctx", KERNEL_MEMORY))),
    ("bpf_rdonly_cast", |call, _| Err(call.fault("bpf_rdonly_cast", KERNEL_MEMORY))),
];

const KERNEL_MEMORY: &str = "it gives the kernel's own structures, which there are none of here";

const PROCESSES: &str = "it changes what the kernel does to processes, and there is no kernel here";
const SOCKETS: &str = "it works on the kernel's sockets, and there are none here";
const DEVICES: &str = "it works on the kernel's devices and tunnels, and there are none here";
const EXECUTION: &str = "it tells of the kernel's own execution, and no kernel runs here";
const DATA: &str = "it needs the kernel's own data, which there are none of here";

/// What names of helpers begin with, and why there are none of them.
static REASONS: &[(&[&str], &str)] = &[
    (&["send_signal", "override_return", "probe_write_user", "bprm_", "sys_", "set_retval", "sysctl_set"], PROCESSES),
    (&["msg_", "sk_redirect", "sk_select", "sk_assign", "sock_map", "sock_hash", "bind", "setsockopt"], SOCKETS),
    (&["getsockopt", "sock_ops", "load_hdr_opt", "store_hdr_opt", "reserve_hdr_opt", "tcp_", "skc_to"], SOCKETS),
    (&["lwt_", "rc_", "skb_set_tunnel", "skb_get_xfrm"], DEVICES),
    (
        &["seq_", "get_stack", "get_task_stack", "read_branch", "get_branch", "perf_", "get_func", "get_attach"],
        EXECUTION,
    ),
];

/// Why there is no such helper here.
pub(super) fn why_not(name: &str) -> &'static str {
    let found = REASONS.iter().find(|(prefixes, _)| prefixes.iter().any(|prefix| name.starts_with(prefix)));
    found.map_or(DATA, |(_, reason)| reason)
}
