//! What the kernel refuses, said so that a person can act on it.

use super::sys::Command;
use std::fmt::Write;
use std::io;

/// How many lines of the verifier's log a message shows.
const SHOWN_LINES: usize = 12;

/// Why the kernel does not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// The `bpf` system call is not for this process.
    #[error("{command} of {object}: {}", not_allowed(.source))]
    NotAllowed {
        /// The command of the call.
        command: &'static str,
        /// The name of the map or program.
        object: String,
        /// What the system said.
        source: io::Error,
    },
    /// The verifier refuses a program.
    #[error("{}", refused(.program, .source, .log))]
    Refused {
        /// The program's name.
        program: String,
        /// What the system said.
        source: io::Error,
        /// All that the verifier wrote.
        log: String,
    },
    /// The kernel refuses type information.
    #[error("{}", refused("BTF", .source, .log))]
    Types {
        /// What the system said.
        source: io::Error,
        /// All that the kernel wrote about it.
        log: String,
    },
    /// Another call failed.
    #[error("{command} of {object}: {source}")]
    Call {
        /// The command of the call.
        command: &'static str,
        /// The name of the map or program.
        object: String,
        /// What the system said.
        source: io::Error,
    },
    /// The linked program asks for what the kernel cannot be given.
    #[error("{object}: {what}")]
    Image {
        /// The program, map or section.
        object: String,
        /// What is wrong, and what to do.
        what: String,
    },
}

impl KernelError {
    /// The error of a call on an object; lack of privileges is told apart.
    pub(super) fn call(command: Command, object: &str, source: io::Error) -> KernelError {
        // Calls on a map that was opened are refused for what the map is, such as a frozen one.
        let on_map = matches!(
            command,
            Command::MapLookup | Command::MapTake | Command::MapUpdate | Command::MapDelete | Command::MapNextKey
        );
        let (command, object) = (command.name(), object.to_owned());
        match source.raw_os_error() {
            Some(libc::EPERM) if !on_map => KernelError::NotAllowed { command, object, source },
            Some(libc::ENOSYS) => KernelError::NotAllowed { command, object, source },
            _ => KernelError::Call { command, object, source },
        }
    }

    pub(super) fn image(object: impl Into<String>, what: impl Into<String>) -> KernelError {
        KernelError::Image { object: object.into(), what: what.into() }
    }

    /// Whether it is for want of privileges, rather than because of the program.
    pub fn is_not_allowed(&self) -> bool {
        matches!(self, KernelError::NotAllowed { .. })
    }
}

fn not_allowed(source: &io::Error) -> String {
    let mut text = format!("{source}. ");
    if source.raw_os_error() == Some(libc::ENOSYS) {
        text += "This kernel, or the sandbox around this process, has no bpf system call";
    } else {
        text += "Loading BPF needs root, or CAP_BPF with CAP_PERFMON and CAP_NET_ADMIN as the program's type demands";
        if let Ok(value) = std::fs::read_to_string("/proc/sys/kernel/unprivileged_bpf_disabled") {
            _ = write!(text, "; kernel.unprivileged_bpf_disabled={}", value.trim());
        }
        text += "; containers and seccomp filters may forbid it to root, too, and kernels before 5.11 count maps against the limit \
                 of locked memory (ulimit -l)";
    }
    text + ". The virtual machine runs the program without privileges"
}

/// The last lines come first: they say what is wrong, those before how the verifier came there.
fn refused(object: &str, source: &io::Error, log: &str) -> String {
    let lines: Vec<&str> = log.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let said: Vec<&&str> = lines.iter().filter(|line| !is_statistics(line)).collect();
    let Some((last, before)) = said.split_last() else {
        return format!("{object}: the kernel refuses it without saying why: {source}");
    };
    let mut text = format!("{object}: the kernel's verifier refuses it: {last} ({source})");
    let first = before.len().saturating_sub(SHOWN_LINES);
    if first > 0 {
        _ = write!(text, "\n  … {first} lines before");
    }
    for line in &before[first..] {
        _ = write!(text, "\n  {line}");
    }
    text
}

/// Lines at the end of each log that count what was done.
fn is_statistics(line: &str) -> bool {
    ["processed ", "verification time ", "stack depth "].iter().any(|start| line.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_the_log_comes_first() {
        let log = "0: (95) exit\nR0 !read_ok\nprocessed 1 insns (limit 1000000)\nstack depth 0\n".to_owned();
        let error = KernelError::Refused { program: "prog".into(), source: io::Error::from_raw_os_error(13), log };
        let text = error.to_string();
        assert!(text.starts_with("prog: the kernel's verifier refuses it: R0 !read_ok (Permission denied"), "{text}");
        assert!(text.ends_with("\n  0: (95) exit"), "{text}");
        assert!(!error.is_not_allowed());
    }

    #[test]
    fn long_logs_are_cut_and_say_so() {
        let log: String = (0..100).map(|line| format!("line {line}\n")).collect();
        let text = refused("prog", &io::Error::from_raw_os_error(22), &log);
        assert!(text.contains("refuses it: line 99") && text.contains("87 lines before\n  line 87"), "{text}");
    }

    #[test]
    fn want_of_privileges_says_what_to_do() {
        let error = KernelError::call(Command::MapCreate, "counts", io::Error::from_raw_os_error(libc::EPERM));
        assert!(error.is_not_allowed());
        assert!(error.to_string().starts_with("BPF_MAP_CREATE of counts: Operation not permitted"), "{error}");
        assert!(error.to_string().contains("CAP_BPF"), "{error}");
        let error = KernelError::call(Command::MapCreate, "counts", io::Error::from_raw_os_error(libc::ENOSYS));
        assert!(error.to_string().contains("sandbox"), "{error}");
        let error = KernelError::call(Command::MapCreate, "counts", io::Error::from_raw_os_error(libc::EINVAL));
        assert_eq!(error.to_string(), "BPF_MAP_CREATE of counts: Invalid argument (os error 22)");
    }
}
