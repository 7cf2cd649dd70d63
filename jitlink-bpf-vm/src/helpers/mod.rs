//! The kernel's helpers and the kernel functions that have a meaning outside of a kernel.
//!
//! A helper is a function of its [`Call`] and of the [`Host`], which stands for what a kernel knows: clocks, tasks,
//! devices, sockets. Results are the kernel's: values, negative error numbers, what is cleared on errors. What the
//! kernel's verifier would not have let through ends the program with a fault that names the helper and the argument;
//! so does a helper that has no meaning without a kernel. Nothing else ends a program, and no argument makes the host
//! panic.
//!
//! Everything that a program holds in its own memory (dynptrs, timers, locks) is a number that is looked up on each
//! use.

mod arena;
mod checksum;
mod clock;
mod dynptr;
mod events;
mod format;
mod host;
mod iterate;
mod kernel;
mod locks;
mod maps;
mod print;
mod probe;
mod queries;
mod redirect;
mod room;
mod skb;
mod sockets;
mod storage;
mod strings;
mod tails;
mod tasks;
mod timers;
mod vlan;
mod xdp;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use jitlink_arch_bpf::catalog::helpers::HELPERS;

use crate::call::Call;
use crate::contexts::PacketContext;
use crate::fault::Fault;
use crate::functions::Functions;

pub use clock::Clock;
pub use host::{Host, Task};
pub use queries::{FibLookup, SocketQuery};
pub use tails::program_number;

/// What a helper is.
type Helper = fn(&mut Call<'_, '_>, &Host) -> Result<u64, Fault>;

/// Helpers by name without `bpf_`, and kernel functions by their whole name.
type Table = &'static [(&'static str, Helper)];

/// Error numbers of Linux that helpers return, negative.
mod errno {
    pub(super) const ENOENT: u64 = of(2);
    pub(super) const E2BIG: u64 = of(7);
    pub(super) const ENOMEM: u64 = of(12);
    pub(super) const EACCES: u64 = of(13);
    pub(super) const EFAULT: u64 = of(14);
    pub(super) const EBUSY: u64 = of(16);
    pub(super) const ENODEV: u64 = of(19);
    pub(super) const EINVAL: u64 = of(22);
    pub(super) const ERANGE: u64 = of(34);
    pub(super) const EOPNOTSUPP: u64 = of(95);
    pub(super) const EAFNOSUPPORT: u64 = of(97);
    pub(super) const EALREADY: u64 = of(114);
    pub(super) const ENOTSUPP: u64 = of(524);

    const fn of(number: i64) -> u64 {
        (-number) as u64
    }
}

/// All helpers and kernel functions, for programs on a host.
pub fn standard(host: Arc<Host>) -> Functions {
    let mut functions = Functions::new();
    for helper in HELPERS {
        let found = TABLES.iter().find_map(|table| table.iter().find(|(name, _)| *name == helper.name));
        let host = host.clone();
        match found {
            Some((_, body)) => functions.add_helper(helper.number, move |call| body(call, &host)),
            None => functions.add_helper(helper.number, |call| {
                let reason = kernel::why_not(helper.name);
                Err(call.fault(&format!("bpf_{}", helper.name), reason))
            }),
        }
    }
    for table in KERNEL_FUNCTIONS {
        for (name, body) in *table {
            let host = host.clone();
            functions.add_kernel_function(name, move |call| body(call, &host));
        }
    }
    functions
}

static TABLES: &[Table] = &[
    checksum::HELPERS,
    dynptr::HELPERS,
    events::HELPERS,
    iterate::HELPERS,
    locks::HELPERS,
    maps::HELPERS,
    print::HELPERS,
    probe::HELPERS,
    redirect::HELPERS,
    room::HELPERS,
    skb::HELPERS,
    sockets::HELPERS,
    storage::HELPERS,
    strings::HELPERS,
    tails::HELPERS,
    tasks::HELPERS,
    timers::HELPERS,
    vlan::HELPERS,
    xdp::HELPERS,
];

static KERNEL_FUNCTIONS: &[Table] =
    &[arena::KERNEL_FUNCTIONS, dynptr::KERNEL_FUNCTIONS, iterate::KERNEL_FUNCTIONS, kernel::KERNEL_FUNCTIONS];

/// The packet that the program was called with, if the argument is the program's context.
fn packet<'a>(call: &'a mut Call<'_, '_>, name: &str) -> Result<&'a mut PacketContext, Fault> {
    let address = call.argument(0);
    packet_at(call, name, address)
}

/// The packet that the program was called with, if the address is that of its context.
fn packet_at<'a>(call: &'a mut Call<'_, '_>, name: &str, address: u64) -> Result<&'a mut PacketContext, Fault> {
    if address != crate::address::CONTEXT {
        return Err(call.fault(name, format!("{address:#x} is not the program's context")));
    }
    let missing = call.fault(name, "the program was not called with a packet");
    call.context_as::<PacketContext>().ok_or(missing)
}

/// What a run of the program's memory that was filled on success holds after an error: zeros.
fn clear(call: &mut Call<'_, '_>, address: u64, len: u64, error: u64) -> Result<u64, Fault> {
    let slice = call.memory(address, len, crate::fault::Access::Write)?;
    slice.memory.fill(slice.offset, slice.len, 0);
    Ok(error)
}
