//! The `jitlink` command from outside: one module a theme.
//!
//! Whatever needs a compiler looks for it when it runs, and says so when it skips itself. On a machine without any, the
//! objects in `tests/fixtures` still link and run.

mod archives;
#[cfg(feature = "bpf")]
mod bpf;
mod bundle;
mod check;
mod coff;
mod errors;
mod inspect;
mod inspect_page;
mod inspect_why;
mod link_map;
mod manual;
mod progress;
mod relocatable;
mod support;
mod targets;

/// What runs linked code runs that of the machine the tests are on.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod native {
    use super::support;

    mod backtrace;
    mod code_models;
    mod cxx;
    mod data_symbols;
    mod debugger;
    mod encodings;
    mod indirect;
    mod initialisers;
    mod profile;
    mod relocatable;
    mod remote;
    mod run;
    mod rust;
    mod thread_locals;
    mod watch;
    mod windows;

    /// A source in `tests/programs`.
    fn source(name: &str) -> String {
        format!("{}/tests/programs/{name}", env!("CARGO_MANIFEST_DIR"))
    }

    /// What a compiler needs to hear to link objects that it has compiled with `flags` into a reference program.
    fn link_flags(flags: &str) -> &'static str {
        // Code for fixed addresses makes no position-independent executable.
        let is_fixed = flags.contains("-fno-pic") || (flags.contains("-mcmodel") && !flags.contains("-fPIC"));
        if is_fixed { "-no-pie" } else { "" }
    }
}
