//! Models of what threads share, run by loom in every order that the threads' steps can have, up to a number of preemptions.
//!
//! The facade, and the executor of this process in core, are built with `--cfg loom`, under which their locks and counts are loom's,
//! into a folder of its own, because the flag changes every crate. Of core's tests only the models know loom.

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
    let core = ["--package", "jitlink-core", "--lib", "--no-default-features", "--features", "in-process"];
    for (package, models) in
        [(&["--package", "jitlink", "--lib", "--no-default-features"][..], &[][..]), (&core, &["process::models"])]
    {
        let mut command = cargo(&["test"]);
        command.args(package).arg("--").args(if arguments.is_empty() { models } else { &[] }).args(arguments);
        command.env("RUSTFLAGS", format!("{flags} --cfg loom").trim()).env("CARGO_TARGET_DIR", target().join("loom"));
        run(&mut command)?;
    }
    Ok(())
}
