//! Wine, which runs programs of Windows.

use crate::process::{find_tool, target};
use std::path::PathBuf;
use std::process::Command;

/// Debian keeps the program itself out of the folders of commands.
pub(crate) fn find() -> Option<PathBuf> {
    find_tool(&["/usr/lib/wine/wine64", "wine64", "wine"])
}

/// Tells it to keep quiet, to offer nothing to install, to keep its settings apart from the user's, and where the DLL is that Rust's programs
/// need and old versions of it do not have.
pub(crate) fn prepare(command: &mut Command) {
    command.env("WINEDEBUG", "-all").env("WINEDLLOVERRIDES", "mscoree,mshtml=");
    command.env("WINEPREFIX", target().join("wine"));
    command.env("WINEPATH", format!("Z:{}", target().join("executors").display()).replace('/', "\\"));
}
