//! Clocks, chance, processors, tasks: what a program asks of where it runs.

use super::errno::{EINVAL, ENOENT};
use super::{Host, Table, clear, packet};
use crate::call::Call;
use crate::fault::Fault;

pub(super) static HELPERS: Table = &[
    ("ktime_get_ns", |_, host| Ok(host.clock.monotonic())),
    ("ktime_get_boot_ns", |_, host| Ok(host.clock.monotonic())),
    ("ktime_get_coarse_ns", |_, host| Ok(host.clock.monotonic() / TICK * TICK)),
    ("ktime_get_tai_ns", |_, host| Ok(host.clock.tai())),
    ("jiffies64", |_, host| Ok(host.clock.monotonic() / TICK)),
    ("get_prandom_u32", |_, host| Ok(host.random().into())),
    ("get_smp_processor_id", |call, _| Ok(call.cpu() as u64)),
    ("get_numa_node_id", |_, host| Ok(host.numa_node.into())),
    ("get_current_pid_tgid", |_, host| Ok(u64::from(host.task.tgid) << 32 | u64::from(host.task.pid))),
    ("get_current_uid_gid", |_, host| Ok(u64::from(host.task.gid) << 32 | u64::from(host.task.uid))),
    ("get_current_comm", get_current_comm),
    ("get_current_task", |_, _| Ok(TASK)),
    ("get_current_task_btf", |_, _| Ok(TASK)),
    ("get_current_cgroup_id", |_, host| Ok(host.cgroups.last().copied().unwrap_or(0))),
    ("get_current_ancestor_cgroup_id", |call, host| Ok(ancestor(host, call.argument(0)))),
    ("skb_cgroup_id", skb_cgroup_id),
    ("skb_ancestor_cgroup_id", skb_ancestor_cgroup_id),
    ("get_cgroup_classid", |_, host| Ok(host.classid.into())),
    ("skb_cgroup_classid", |_, host| Ok(host.classid.into())),
    ("get_route_realm", |_, _| Ok(0)),
    ("skb_under_cgroup", |_, _| Ok(ENOENT)),
    ("get_ns_current_pid_tgid", get_ns_current_pid_tgid),
    ("per_cpu_ptr", per_cpu_ptr),
    ("this_cpu_ptr", |call, _| Ok(call.argument(0))),
];

/// Nanoseconds between two ticks, of which there are 250 a second (`CONFIG_HZ`).
const TICK: u64 = 4_000_000;

/// What stands for the current task: an address that only helpers understand.
pub(super) const TASK: u64 = crate::address::at(crate::address::OBJECT_REGION, 0x1000);

/// The length of a command's name with its terminator (`TASK_COMM_LEN`).
const COMM: usize = 16;

fn get_current_comm(call: &mut Call<'_, '_>, host: &Host) -> Result<u64, Fault> {
    let [to, len, ..] = call.arguments();
    let target = call.memory(to, u64::from(len as u32), crate::fault::Access::Write)?;
    let comm = host.task.comm.as_bytes();
    let shown = &comm[..comm.len().min(COMM - 1).min(target.len.saturating_sub(1))];
    target.memory.fill(target.offset, target.len, 0);
    target.write(shown);
    Ok(0)
}

/// The cgroup that far below the root; zero if the task's is not that deep.
fn ancestor(host: &Host, level: u64) -> u64 {
    let level = i64::from(level as i32);
    usize::try_from(level).ok().and_then(|level| host.cgroups.get(level)).copied().unwrap_or(0)
}

fn skb_cgroup_id(call: &mut Call<'_, '_>, host: &Host) -> Result<u64, Fault> {
    let has_socket = packet(call, "bpf_skb_cgroup_id")?.own_socket().is_some();
    Ok(host.cgroups.last().filter(|_| has_socket).copied().unwrap_or(0))
}

fn skb_ancestor_cgroup_id(call: &mut Call<'_, '_>, host: &Host) -> Result<u64, Fault> {
    let level = call.argument(1);
    let has_socket = packet(call, "bpf_skb_ancestor_cgroup_id")?.own_socket().is_some();
    Ok(if has_socket { ancestor(host, level) } else { 0 })
}

/// There is one namespace here, of which programs know no numbers of device and inode.
fn get_ns_current_pid_tgid(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let [_, _, to, len, _] = call.arguments();
    clear(call, to, u64::from(len as u32), EINVAL)
}

/// Variables of the kernel have one copy here.
fn per_cpu_ptr(call: &mut Call<'_, '_>, host: &Host) -> Result<u64, Fault> {
    let [variable, cpu, ..] = call.arguments();
    Ok(if (cpu as u32 as usize) < host.cpus { variable } else { 0 })
}
