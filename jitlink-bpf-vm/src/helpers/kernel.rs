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

/// Why there is no such helper here.
pub(super) fn why_not(name: &str) -> &'static str {
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    if starts(&["send_signal", "override_return", "probe_write_user", "bprm_", "sys_", "set_retval", "sysctl_set"]) {
        "it changes what the kernel does to processes, and there is no kernel here"
    } else if starts(&["msg_", "sk_redirect", "sk_select", "sk_assign", "sock_map", "sock_hash", "bind", "setsockopt"])
    {
        "it works on the kernel's sockets, and there are none here"
    } else if starts(&["getsockopt", "sock_ops", "load_hdr_opt", "store_hdr_opt", "reserve_hdr_opt", "tcp_", "skc_to"])
    {
        "it works on the kernel's sockets, and there are none here"
    } else if starts(&["lwt_", "rc_", "skb_set_tunnel", "skb_get_xfrm"]) {
        "it works on the kernel's devices and tunnels, and there are none here"
    } else if starts(&[
        "seq_",
        "get_stack",
        "get_task_stack",
        "read_branch",
        "get_branch",
        "perf_",
        "get_func",
        "get_attach",
    ]) {
        "it tells of the kernel's own execution, and no kernel runs here"
    } else {
        "it needs the kernel's own data, which there are none of here"
    }
}
