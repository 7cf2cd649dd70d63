//! Waits for linking sides: not on Windows, where a connection has no process of its own yet.

use jitlink_executor::Address;
use std::path::PathBuf;
use std::process::ExitCode;

/// Says that nobody can connect.
pub(crate) fn serve(
    address: &Address,
    _given: Option<String>,
    _file: Option<PathBuf>,
    _once: bool,
) -> Result<ExitCode, String> {
    Err(format!("cannot listen at {address} on Windows: have the linking side start this program with --stdio"))
}
