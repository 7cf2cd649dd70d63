//! What programs print in the kernel: lines of its trace (`bpf_trace_printk`), which all programs of the machine share.

use super::error::Failure;
use jitlink::bpf::image::BpfImage;
use jitlink::bpf::insn::{Callee, Op, decode, words};
use jitlink::core::graph::Protection;
use std::path::PathBuf;

/// Where the trace is, if it is mounted: by itself, or with the file system for debugging.
const PLACES: [&str; 2] = ["/sys/kernel/tracing/trace", "/sys/kernel/debug/tracing/trace"];

/// The helpers that print (include/uapi/linux/bpf.h): `bpf_trace_printk`, `bpf_trace_vprintk`.
const PRINTERS: [u32; 2] = [6, 177];

/// The trace, from now on.
pub(super) struct Trace {
    path: PathBuf,
    /// How many lines this process has there already; one that is gone may have had its number.
    before: usize,
}

impl Trace {
    /// Begins to listen. `None` where the program prints nothing, or the trace cannot be read, which is said.
    pub(super) fn listen(image: &BpfImage) -> Option<Trace> {
        if !prints(image) {
            return None;
        }
        let found = PLACES.iter().find_map(|place| Some((place, std::fs::read_to_string(place).ok()?)));
        if found.is_none() {
            eprintln!("note: what programs print is in the kernel's trace, which cannot be read here");
            eprintln!("help: mount -t tracefs tracefs /sys/kernel/tracing");
        }
        let (place, text) = found?;
        Some(Trace { path: place.into(), before: lines(&text, std::process::id()).count() })
    }

    /// What has been printed since.
    pub(super) fn printed(self) -> Result<Vec<String>, Failure> {
        let text = std::fs::read_to_string(&self.path)
            .map_err(|error| Failure::new("trace", format!("{}: {error}", self.path.display()), ""))?;
        Ok(lines(&text, std::process::id()).skip(self.before).map(str::to_owned).collect())
    }
}

/// Whether any of the code calls a helper that prints.
fn prints(image: &BpfImage) -> bool {
    let code = image.segments.iter().filter(|segment| segment.protection == Protection::ReadExecute);
    code.filter_map(|segment| words(&segment.bytes, image.endian)).any(|words| {
        let is_printer =
            |index| matches!(decode(&words, index), Ok(Op::Call(Callee::Helper(number))) if PRINTERS.contains(&number));
        (0..words.len()).any(is_printer)
    })
}

/// What a process has printed: `NAME-PID [CPU] FLAGS TIME: bpf_trace_printk: TEXT`.
fn lines(trace: &str, process: u32) -> impl Iterator<Item = &str> {
    trace.lines().filter_map(move |line| {
        let (head, text) = line.split_once(": bpf_trace_printk: ")?;
        let (task, _) = head.split_once(" [")?;
        let (_, number) = task.trim_end().rsplit_once('-')?;
        (number == process.to_string()).then_some(text)
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_lines_of_one_process_are_found() {
        let trace = "# tracer: nop\n#\n         jitlink-32307   [000] b..11 20352.659258: bpf_trace_printk: hello: 22\n \
                     my-task x-17      [001] d..2. 1.0: bpf_trace_printk: not this\n\
                     jitlink-3230    [000] ..... 3.0: bpf_trace_printk: nor this\n\
                     jitlink-32307   [001] ..... 4.0: sched_switch: prev\n\
                     jitlink-32307   [001] ..... 4.0: bpf_trace_printk: \n";
        assert_eq!(super::lines(trace, 32307).collect::<Vec<_>>(), ["hello: 22", ""]);
        assert_eq!(super::lines(trace, 1).count(), 0);
    }
}
