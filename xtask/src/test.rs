//! Every test there is, in one command.
//!
//! Tests that need a compiler look for it themselves, skip with a line when it is absent, and fail instead when `CI` is
//! set; this task's part is to install the tools first and to run the sample of real programs. Cargo's own tests come
//! last, so that their closing lines close the output: examples before the others, because a crate without examples
//! would close it with "0 passed".

use crate::process::{cargo, in_ci, run, step};
use crate::{Args, Result, conformance, setup, tidy};

pub(crate) const OPTIONS: &str = "  --with-conformance   also run the sample of real programs (CI always does)
  --no-setup           install nothing
  -- ARGS              passed on to `cargo test`
";

pub(crate) fn main(mut args: Args) -> Result {
    let with_conformance = args.flag("--with-conformance") || in_ci();
    let with_setup = !args.flag("--no-setup");
    let trailing = args.finish()?;
    if with_setup {
        setup::setup()?;
    }
    tidy::tidy()?;
    if with_conformance {
        conformance::sample()?;
    }
    step("examples in the documentation");
    run(cargo(&["test", "--workspace", "--doc"]).args(&trailing))?;
    step("tests");
    run(cargo(&["test", "--workspace", "--lib", "--bins", "--tests", "--examples"]).args(&trailing))
}
