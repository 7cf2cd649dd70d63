//! Models of what threads share, run by loom in every order that the threads' steps can have, up to a number of preemptions.
//!
//! The facade is built with `--cfg loom`, under which its locks and counts are loom's, into a folder of its own, because the
//! flag changes every crate.

use crate::process::{cargo, run, step, target};
use crate::{Args, Result};

pub(crate) const OPTIONS: &str = "  -- ARGS   passed on to the models' test program, such as a name\n";

pub(crate) fn main(args: Args) -> Result {
    with(&args.finish()?)
}

/// All models.
pub(crate) fn models() -> Result {
    with(&[])
}

fn with(arguments: &[String]) -> Result {
    step("models of what threads share");
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    let mut command = cargo(&["test", "--package", "jitlink", "--lib", "--no-default-features", "--"]);
    command.args(arguments);
    command.env("RUSTFLAGS", format!("{flags} --cfg loom").trim()).env("CARGO_TARGET_DIR", target().join("loom"));
    run(&mut command)
}
