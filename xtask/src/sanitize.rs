//! The unsafe code in programs that watch themselves.
//!
//! Miri cannot run what matters here: memory that is mapped twice, machine code, the C library's exit handlers and its unwinder. So
//! the tests that do all this run once more under the compiler's *address sanitizer*, which finds reads and writes outside of
//! heap blocks, stack variables and globals, use after free, use after return, and leaks. Linked code and the memory that it lives
//! in are not instrumented: there the kernel's protection has to do.
//!
//! Sanitizers are unstable options of every compiler, stable ones included, which is what `RUSTC_BOOTSTRAP` is for. The standard
//! library is used as it comes, without instrumentation. For this reason there is no thread sanitizer here: it has to see all
//! synchronisation, or it reports races that are none.

use crate::process::{cargo, find_runtime, in_ci, run, step, target};
use crate::{Args, Result};

pub(crate) const OPTIONS: &str = "  -- ARGS   passed on to the tests\n";

/// What runs: arguments for `cargo test`, and tests that cannot pass, each with the reason.
type Tests = (&'static [&'static str], &'static [(&'static str, &'static str)]);

const TESTS: &[Tests] = &[
    (
        &["-p", "jitlink-core", "--lib"],
        &[
            ("arenas_lie_near_the_c_library", "functions that the sanitizer replaces are not in the C library"),
            ("linking_and_removing_leaves_nothing", "the sanitizer's own memory grows with what is measured"),
        ],
    ),
    (&["-p", "jitlink", "--tests"], &[]),
];

/// Crashes are the tests' own business. Freed memory is kept back for a while, but not so much that tests notice that measure it.
const OPTIONS_OF_SANITIZER: &str = "detect_leaks=1:detect_stack_use_after_return=1:quarantine_size_mb=1:use_sigaltstack=0:\
     handle_segv=0:handle_sigbus=0:handle_sigill=0:handle_sigfpe=0:handle_abort=0";

/// Memory that is never given back, and why.
const LEAKS: &str = "\
# A program may keep pointers to its arguments for as long as the process lives.
leak:jitlink_core::process::call::Current
";

pub(crate) fn main(args: Args) -> Result {
    sanitize(&args.finish()?)
}

/// Runs the tests of the unsafe code.
pub(crate) fn ci() -> Result {
    sanitize(&[])
}

fn sanitize(trailing: &[String]) -> Result {
    let Some(host) = find_runtime("asan")? else {
        let missing = "the compiler has no runtime of the address sanitizer for this machine";
        if in_ci() {
            return Err(missing.into());
        }
        eprintln!("skipped: {missing}");
        return Ok(());
    };
    let folder = target().join("sanitize");
    std::fs::create_dir_all(&folder)?;
    let leaks = folder.join("leaks");
    std::fs::write(&leaks, LEAKS)?;
    for (arguments, skipped) in TESTS {
        step(&format!("{} under the address sanitizer", arguments[1]));
        let mut command = cargo(&["test", "--target", &host]);
        command.args(*arguments).arg("--target-dir").arg(&folder).arg("--");
        for (test, why) in *skipped {
            eprintln!("skipped: {test}: {why}");
            command.args(["--skip", test]);
        }
        command.args(trailing);
        command.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Zsanitizer=address -Cforce-frame-pointers=yes");
        command.env("ASAN_OPTIONS", OPTIONS_OF_SANITIZER);
        command.env("LSAN_OPTIONS", format!("print_suppressions=0:suppressions={}", leaks.display()));
        run(&mut command)?;
    }
    Ok(())
}
