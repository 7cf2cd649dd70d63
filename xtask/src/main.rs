//! The project's tasks, `cargo xtask TASK`.
//!
//! Everything that CI or a contributor does with the repository is a row of [`TASKS`], so that the same command does the
//! same here and there. A task parses its own options from [`Args`] and fails with a message; the process then exits
//! with status 1.

mod api;
mod args;
mod bench;
mod ci;
mod code;
mod conformance;
mod demo;
mod examples;
mod executor;
mod fixtures;
mod fuzz;
mod loom;
mod process;
mod publish;
mod sanitize;
mod setup;
mod test;
mod tidy;
mod wine;

use args::Args;
use std::process::ExitCode;

/// What a task answers; the error is shown to the person who started it.
type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// One task: how it is called, what runs, and what `cargo xtask help` says.
struct Task {
    name: &'static str,
    run: fn(Args) -> Result,
    help: &'static str,
    /// The options, one a line; empty for none.
    options: &'static str,
}

/// All tasks, in the order in which a newcomer meets them.
const TASKS: &[Task] = &[
    Task {
        name: "demo",
        run: demo::main,
        help: "Compile a small C program, link it in memory and run it",
        options: demo::OPTIONS,
    },
    Task {
        name: "setup",
        run: setup::main,
        help: "Install the compilers and binary tools that tests use (Debian packages)",
        options: setup::OPTIONS,
    },
    Task {
        name: "test",
        run: test::main,
        help: "Set up, check the source rules, then run every test",
        options: test::OPTIONS,
    },
    Task { name: "tidy", run: tidy::main, help: "Check the source rules that no compiler knows", options: "" },
    Task {
        name: "fixtures",
        run: fixtures::main,
        help: "Rebuild the committed objects from the sources beside them",
        options: fixtures::OPTIONS,
    },
    Task {
        name: "examples",
        run: examples::main,
        help: "Check and test the examples that are projects of their own",
        options: examples::OPTIONS,
    },
    Task {
        name: "executor",
        run: executor::main,
        help: "Build the program that runs linked code on another machine",
        options: executor::OPTIONS,
    },
    Task {
        name: "api",
        run: api::main,
        help: "Compare what the crates offer with docs/api, where it is written down",
        options: api::OPTIONS,
    },
    Task {
        name: "publish",
        run: publish::main,
        help: "Check that every crate's package is whole and could be published",
        options: publish::OPTIONS,
    },
    Task {
        name: "conformance",
        run: conformance::main,
        help: "Run real programs under jitlink and compare with what ld and libbpf make of the same objects",
        options: conformance::OPTIONS,
    },
    Task {
        name: "loom",
        run: loom::main,
        help: "Run what threads share in every order that their steps can have",
        options: loom::OPTIONS,
    },
    Task {
        name: "fuzz",
        run: fuzz::main,
        help: "Give the readers, whole links and updates inputs that nobody has seen, for a limited time",
        options: fuzz::OPTIONS,
    },
    Task {
        name: "sanitize",
        run: sanitize::main,
        help: "Run the tests of the unsafe code under the address sanitizer",
        options: sanitize::OPTIONS,
    },
    Task {
        name: "bench",
        run: bench::main,
        help: "Compare time, CPU time and memory of whole links with llvm-jitlink",
        options: bench::OPTIONS,
    },
    Task {
        name: "ci",
        run: ci::main,
        help: "All that CI runs: format, lints, documentation, licences, features, tests",
        options: ci::OPTIONS,
    },
];

fn main() -> ExitCode {
    if let Some(status) = api::stand_in_for_rustdoc() {
        return status;
    }
    let mut words = std::env::args().skip(1);
    let name = words.next().unwrap_or_else(|| "help".to_owned());
    let rest: Vec<String> = words.collect();
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        print!("{}", help(rest.first().map(String::as_str)));
        return ExitCode::SUCCESS;
    }
    let Some(task) = TASKS.iter().find(|task| task.name == name) else {
        eprint!("xtask: there is no task `{name}`\n\n{}", help(None));
        return ExitCode::FAILURE;
    };
    // What follows `--` is for the program that the task runs.
    if rest.iter().take_while(|word| *word != "--").any(|word| word == "--help" || word == "-h") {
        print!("{}", help(Some(task.name)));
        return ExitCode::SUCCESS;
    }
    match (task.run)(Args::new(rest)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask {name}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The list of tasks, or one task with its options.
fn help(task: Option<&str>) -> String {
    if let Some(task) = TASKS.iter().find(|candidate| Some(candidate.name) == task) {
        let options = if task.options.is_empty() { "It has no options.\n" } else { task.options };
        return format!("cargo xtask {}: {}.\n\n{options}", task.name, task.help);
    }
    let mut text = String::from("Usage: cargo xtask TASK [OPTIONS]\n\n");
    for task in TASKS {
        text += &format!("  {:12} {}\n", task.name, task.help);
    }
    text + "\n`cargo xtask TASK --help` lists a task's options. Start with `cargo xtask test`.\n"
}

#[cfg(test)]
mod tests {
    use super::{TASKS, help};

    #[test]
    fn help_names_every_task_once() {
        let text = help(None);
        for task in TASKS {
            assert_eq!(text.matches(&format!("  {} ", task.name)).count(), 1, "{}", task.name);
            assert!(help(Some(task.name)).contains(task.help));
        }
    }
}
