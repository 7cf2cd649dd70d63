//! Crashes: a signal ends the process, and its handler tells the linking side before that.

use crate::server::output::{self, CrashRecord};
use jitlink_core::process::crash;

/// Has crashes told.
pub(in crate::server) fn report_crashes() {
    crash::report_to(|crash| {
        output::crashed(&CrashRecord {
            signal: crash.signal,
            name: crash.name,
            address: crash.address.0,
            instruction: crash.instruction.map(|address| address.0),
            return_to: crash.return_to.map(|address| address.0),
            registers: crash.registers,
        });
    });
}

/// Has crashes of the calling thread caught.
pub(in crate::server) fn catch_crashes() {
    // Without crash reports a crash is still a crash.
    let _ = crash::install();
}
