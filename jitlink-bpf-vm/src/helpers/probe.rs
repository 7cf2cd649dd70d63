//! Reading memory that may not be there: `bpf_probe_read*` and `bpf_copy_from_user`.
//!
//! There is no memory here but the program's own, for kernel and user addresses alike.

use super::errno::EFAULT;
use super::{Host, Table, clear};
use crate::call::Call;
use crate::fault::{Access, Fault};

pub(super) static HELPERS: Table = &[
    ("probe_read", probe_read),
    ("probe_read_kernel", probe_read),
    ("probe_read_user", probe_read),
    ("copy_from_user", probe_read),
    ("copy_from_user_task", copy_from_user_task),
    ("probe_read_str", probe_read_str),
    ("probe_read_kernel_str", probe_read_str),
    ("probe_read_user_str", probe_read_str),
];

fn probe_read(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let [to, len, from, ..] = call.arguments();
    let len = u64::from(len as u32);
    let target = call.memory(to, len, Access::Write)?;
    if len == 0 {
        return Ok(0);
    }
    match call.read_vec(from, len) {
        Ok(bytes) => {
            target.write(&bytes);
            Ok(0)
        }
        Err(_) => clear(call, to, len, EFAULT),
    }
}

fn copy_from_user_task(call: &mut Call<'_, '_>, host: &Host) -> Result<u64, Fault> {
    if call.argument(4) != 0 {
        return Ok(super::errno::EINVAL);
    }
    probe_read(call, host)
}

/// Copies a string with its terminator; what does not fit is cut. Gives how many bytes it wrote.
fn probe_read_str(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let [to, len, from, ..] = call.arguments();
    let len = u64::from(len as u32);
    let target = call.memory(to, len, Access::Write)?;
    if len == 0 {
        return Ok(0);
    }
    let limit = len as usize;
    let Ok(mut bytes) = call.read_string(from, limit) else { return clear(call, to, len, EFAULT) };
    if bytes.len() < limit && call.load(from.wrapping_add(bytes.len() as u64), 1).is_err() {
        return clear(call, to, len, EFAULT);
    }
    bytes.truncate(limit - 1);
    bytes.push(0);
    target.write(&bytes);
    Ok(bytes.len() as u64)
}
