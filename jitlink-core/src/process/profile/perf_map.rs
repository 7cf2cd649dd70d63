//! The map of names that `perf` looks for (Linux, `tools/perf/Documentation/jit-interface.txt`): a line for each function, with its
//! address and its size in hexadecimal digits, and its name up to the end of the line.

use super::Batch;
use std::fmt::Write;

/// The lines of a batch.
pub(super) fn lines(batch: &Batch<'_>) -> Vec<u8> {
    let mut text = String::new();
    for function in &batch.functions {
        let name = function.name.replace(char::is_control, "?");
        // Writing to a string does not fail.
        let _ = writeln!(text, "{:x} {:x} {name}", function.address.0, function.code.len());
    }
    text.into_bytes()
}
