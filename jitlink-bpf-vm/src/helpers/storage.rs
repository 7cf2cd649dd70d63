//! Local storage: values of a map that belong to a socket, a task or a cgroup.

use super::errno::{EINVAL, ENOENT};
use super::maps::{map, result};
use super::{Host, Table};
use crate::call::Call;
use crate::contexts::PacketContext;
use crate::fault::Fault;

pub(super) static HELPERS: Table = &[
    ("sk_storage_get", |call, _| with_socket(call, storage_get).map(|found| found.unwrap_or(0))),
    ("sk_storage_delete", |call, _| with_socket(call, storage_delete).map(|found| found.unwrap_or(EINVAL))),
    ("task_storage_get", |call, host| storage_get(call, task(host))),
    ("task_storage_delete", |call, host| storage_delete(call, task(host))),
    ("cgrp_storage_get", |call, host| storage_get(call, cgroup(host))),
    ("cgrp_storage_delete", |call, host| storage_delete(call, cgroup(host))),
];

type Work = fn(&mut Call<'_, '_>, u64) -> Result<u64, Fault>;

/// There is one task, which all pointers to tasks mean.
fn task(host: &Host) -> u64 {
    u64::from(host.task.tgid) << 32 | u64::from(host.task.pid)
}

fn cgroup(host: &Host) -> u64 {
    host.cgroups.last().copied().unwrap_or(0)
}

/// Works with the socket of the second argument; nothing if that is null.
fn with_socket(call: &mut Call<'_, '_>, work: Work) -> Result<Option<u64>, Fault> {
    let address = call.argument(1);
    if address == 0 {
        return Ok(None);
    }
    let cookie = call.context_as::<PacketContext>().and_then(|context| Some(context.socket(address)?.cookie));
    match cookie {
        Some(cookie) => work(call, cookie).map(Some),
        None => Err(call.fault("bpf_sk_storage", format!("there is no socket at {address:#x}"))),
    }
}

fn storage_get(call: &mut Call<'_, '_>, object: u64) -> Result<u64, Fault> {
    let map = map(call, 0)?;
    let [_, pointer, initial, flags, _] = call.arguments();
    if pointer == 0 {
        return Ok(0);
    }
    let initial = match initial {
        0 => None,
        address => Some(call.read_vec(address, map.spec().value_size.into())?),
    };
    let found = map.storage(object, flags, initial.as_deref());
    Ok(found.map_or(0, |offset| call.value_address(&map, offset)))
}

fn storage_delete(call: &mut Call<'_, '_>, object: u64) -> Result<u64, Fault> {
    if call.argument(1) == 0 {
        return Ok(EINVAL);
    }
    let map = map(call, 0)?;
    let found = map.storage(object, 0, None).is_some();
    Ok(if found { result(map.delete_storage(object)) } else { ENOENT })
}
