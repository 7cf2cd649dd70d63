//! `jitlink run --debug`: what a real debugger sees of linked code, and what reports of crashes say.

use super::super::support::{C_COMPILERS, CXX_COMPILERS, Folder, Outcome, find};
use std::path::Path;
use std::process::Command;

/// What each compiler is asked for.
const FLAGS: &[&str] = &[
    "-O0 -gdwarf-4",
    "-O0 -gdwarf-5 -fno-pic -fno-pie",
    "-O2 -gdwarf-4 -ffunction-sections",
    "-O2 -gdwarf-5 -ffunction-sections",
    "-O1 -gdwarf-5 -gz=zlib -fPIC",
    "-O1 -gdwarf-5 -mcmodel=medium",
    "-O2 -g -fno-asynchronous-unwind-tables -fno-pic -mcmodel=large",
];

/// Without optimisation, where every line and variable is there.
const PLAIN_FLAGS: &[&str] = &["-O0 -gdwarf-4 -fno-pic -fno-pie", "-O0 -gdwarf-5 -fPIC", "-O0 -g -mcmodel=large"];

/// A folder with these sources and their objects.
fn compiled(compiler: &Path, flags: &str, sources: &[&str]) -> Folder {
    let folder = Folder::new();
    for name in sources {
        std::fs::copy(super::source(name), folder.path(name)).unwrap();
        folder.tool(compiler, &format!("{flags} -c {name}"));
    }
    folder
}

/// A program that a debugger is to run.
struct Case {
    /// How it was compiled, for reports of failures.
    name: String,
    folder: Folder,
    commands: Vec<String>,
}

impl Case {
    fn new(compiler: &Path, flags: &str, folder: Folder, commands: &[&str]) -> Case {
        let name = format!("{} {flags}", compiler.display());
        Case { name, folder, commands: commands.iter().map(|command| command.to_string()).collect() }
    }
}

const SETTINGS: &[&str] = &[
    "set width 0",
    "set confirm off",
    "set breakpoint pending on",
    "set style enabled off",
    "set print thread-events off",
];

/// What GDB says to the commands of each case, when jitlink runs with these arguments: without the numbers of breakpoints and values.
///
/// One GDB runs all of them, since it takes longer to read about jitlink than about what jitlink links.
fn gdb(gdb: &Path, arguments: &str, cases: &[Case]) -> Vec<String> {
    let mut command = Command::new(gdb);
    command.args(["-q", "--nx", "--batch"]);
    let mut tell = |text: &str| {
        command.args(["-ex", text]);
    };
    SETTINGS.iter().for_each(|setting| tell(setting));
    tell(&format!("file {}", env!("CARGO_BIN_EXE_jitlink")));
    tell(&format!("set args run --debug {arguments}"));
    for case in cases {
        tell(&format!("echo {MARK}"));
        tell(&format!("cd {}", case.folder.path("").display()));
        tell("delete");
        case.commands.iter().for_each(|command| tell(command));
        tell("kill");
    }
    // Nothing is asked of a server.
    let Outcome { stdout, stderr, .. } = Outcome::of(command.env_remove("DEBUGINFOD_URLS"));
    let told: Vec<String> = stdout.split(MARK).skip(1).map(without_numbers).collect();
    assert_eq!(told.len(), cases.len(), "{stdout}\n{stderr}");
    told
}

const MARK: &str = "===== next =====";

/// The text with `Breakpoint` and `$` in place of `Breakpoint 12` and `$12`.
fn without_numbers(text: &str) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some((at, word)) =
        ["Breakpoint ", "Catchpoint ", "$"].iter().filter_map(|word| Some((rest.find(word)?, *word))).min()
    {
        let (before, after) = rest.split_at(at + word.len());
        result.push_str(before.trim_end());
        rest = after.trim_start_matches(|char: char| char.is_ascii_digit());
    }
    result + rest
}

/// Checks that all of these were told, in this order.
fn assert_told(case: &str, told: &str, expected: &[&str]) {
    let mut rest = told;
    for text in expected {
        match rest.split_once(text) {
            Some((_, after)) => rest = after,
            None => panic!("{case}: no {text:?} in\n{rest}\nof\n{told}"),
        }
    }
}

fn line_of(source: &str, text: &str) -> usize {
    let source = std::fs::read_to_string(super::source(source)).unwrap();
    source.lines().position(|line| line.contains(text)).map(|index| index + 1).unwrap()
}

#[test]
fn a_debugger_stops_at_lines_and_shows_frames_and_variables() {
    let Some(debugger) = find(&["gdb"]) else { return };
    let line = line_of("debug_work.c", "if (factor < 0)");
    let unused = line_of("debug_work.c", "int local = value");
    let mut cases = Vec::new();
    for compiler in C_COMPILERS.iter().filter_map(|names| find(names)) {
        for flags in FLAGS {
            let folder = compiled(&compiler, flags, &["debug_main.c", "debug_work.c"]);
            let (stop, unused) = (format!("break debug_work.c:{line}"), format!("info line debug_work.c:{unused}"));
            let commands = [&stop, "run", "backtrace", "up", "print *pair", &unused, "info symbol combine"];
            cases.push(Case::new(&compiler, flags, folder, &[&commands[..], &["continue", "continue"]].concat()));
        }
    }
    for (case, told) in cases.iter().zip(gdb(&debugger, "debug_main.o debug_work.o", &cases)) {
        // Optimised code shows what a parameter was at the start beside what it is.
        let told = told.replace("factor=factor@entry=", "factor=").replace("value=value@entry=", "value=");
        assert_told(
            &case.name,
            &told,
            &[
                &format!("hit Breakpoint, scale (value=3, factor=10) at debug_work.c:{line}\n"),
                " in combine (pair=",
                // From the linked main through the linker into the one of the host.
                " in main (",
                " at debug_main.c:",
                "jitlink-core/src/process/call.rs:",
                " jitlink::main () at ",
                "$ = {left = 3, right = 2}\n",
                "combine in section .",
                &format!("hit Breakpoint, scale (value=2, factor=11) at debug_work.c:{line}\n"),
                "sum 52\n",
                "exited normally]",
            ],
        );
        if case.name.contains("-ffunction-sections") {
            // What was pruned has a line, but no code anywhere.
            let told = told.lines().find(|told| told.starts_with(&format!("Line {unused} of"))).unwrap_or_default();
            assert!(told.is_empty() || told.contains("but contains no code"), "{}: {told}", case.name);
        }
    }
}

#[test]
fn a_debugger_steps_from_object_to_object_and_back_into_the_host() {
    let Some(debugger) = find(&["gdb"]) else { return };
    let call = line_of("debug_main.c", "int sum = combine");
    let mut cases = Vec::new();
    for compiler in C_COMPILERS.iter().filter_map(|names| find(names)) {
        for flags in PLAIN_FLAGS {
            let folder = compiled(&compiler, flags, &["debug_main.c", "debug_work.c"]);
            let stop = format!("break debug_main.c:{call}");
            let there = [&stop, "run", "info locals", "step", "next", "info locals", "step", "info args"];
            let back = ["finish", "finish", "next", "print sum", "finish", "info symbol $pc", "continue"];
            cases.push(Case::new(&compiler, flags, folder, &[&there[..], &back].concat()));
        }
    }
    for (case, told) in cases.iter().zip(gdb(&debugger, "debug_main.o debug_work.o", &cases)) {
        assert_told(
            &case.name,
            &told,
            &[
                "hit Breakpoint, main (argc=1, argv=",
                &format!("at debug_main.c:{call}\n"),
                "pair = {left = 3, right = 2}\n",
                "combine (pair=0x",
                &format!(", factor=10) at debug_work.c:{}\n", line_of("debug_work.c", "int left = scale")),
                &format!("{}\t", line_of("debug_work.c", "int right = scale")),
                "left = 30\n",
                &format!("scale (value=2, factor=11) at debug_work.c:{}\n", line_of("debug_work.c", "int product")),
                "value = 2\nfactor = 11\n",
                " in combine (pair=0x",
                "Value returned is $ = 22\n",
                " in main (argc=1, argv=",
                "Value returned is $ = 52\n",
                "$ = 52\n",
                " in jitlink_core::process::call::",
                "Value returned is $ = 0\n",
                "jitlink_core::process::call::",
                // The stream is flushed at the end of the process.
                "sum 52\n",
                "exited normally]",
            ],
        );
    }
}

#[test]
fn a_debugger_stops_in_templates_and_where_exceptions_are_thrown() {
    let Some(debugger) = find(&["gdb"]) else { return };
    let mut cases = Vec::new();
    for compiler in CXX_COMPILERS.iter().filter_map(|names| find(names)) {
        for flags in ["-O0 -gdwarf-4", "-O1 -gdwarf-5"] {
            let folder = compiled(&compiler, flags, &["debug_cxx.cpp"]);
            let commands =
                ["break Sum<long>::add", "catch throw", "run", "print value", "continue", "backtrace", "continue"];
            cases.push(Case::new(&compiler, flags, folder, &commands));
        }
    }
    for (case, told) in cases.iter().zip(gdb(&debugger, "debug_cxx.o -l stdc++", &cases)) {
        assert_told(
            &case.name,
            &told,
            &[
                "hit Breakpoint, Sum<long>::add (this=",
                " at debug_cxx.cpp:",
                "$ = 41\n",
                "hit Catchpoint (exception thrown), ",
                " in refuse (value=",
                &format!(" at debug_cxx.cpp:{}\n", line_of("debug_cxx.cpp", "throw std::runtime_error")),
                " in main (argc=",
                " at debug_cxx.cpp:",
                "jitlink-core/src/process/call.rs:",
                "too much 41\n",
                "exited normally]",
            ],
        );
    }
}

/// What GDB takes for the address of a thread-local variable: none, rather than that of something else.
const THREAD_LOCAL: &str = "(int *) 0x8000";

#[test]
fn a_debugger_stops_in_a_second_thread() {
    let Some(debugger) = find(&["gdb"]) else { return };
    let line = line_of("debug_thread.c", "return result");
    let mut cases = Vec::new();
    for compiler in C_COMPILERS.iter().filter_map(|names| find(names)) {
        for flags in ["-O0 -gdwarf-4 -fPIC", "-O0 -gdwarf-5"] {
            let folder = compiled(&compiler, flags, &["debug_thread.c"]);
            let stop = format!("break debug_thread.c:{line}");
            cases.push(Case::new(
                &compiler,
                flags,
                folder,
                &[&stop, "run", "print result", "print &of_thread", "backtrace", "continue"],
            ));
        }
    }
    for (case, told) in cases.iter().zip(gdb(&debugger, "debug_thread.o", &cases)) {
        let stop = format!(" hit Breakpoint, work (given=37) at debug_thread.c:{line}\n");
        let end = ["$ = 42\n", THREAD_LOCAL, " in run (argument=0x", "start_thread", "value 42\n", "exited normally]"];
        assert_told(&case.name, &told, &[&[&*stop][..], &end].concat());
        let stop = told.lines().find(|line| line.contains("hit Breakpoint")).unwrap_or_default();
        assert!(!stop.starts_with("Thread 1 "), "{}: {stop}", case.name);
    }
}

#[test]
fn breakpoints_follow_updates() {
    let Some(debugger) = find(&["gdb"]) else { return };
    const OLD: &str = "int version(int given) {\n    int result = given * 1;\n    return result;\n}\n";
    const NEW: &str = "/* Moved. */\n\nint version(int given) {\n    int result = given * 2;\n    return result;\n}\n";
    let mut cases = Vec::new();
    let flags = "-O0 -g -ffunction-sections";
    for compiler in C_COMPILERS.iter().filter_map(|names| find(names)) {
        let folder = compiled(&compiler, flags, &["debug_watch.c"]);
        for (name, source) in [("version", OLD), ("new", NEW)] {
            folder.write("version.c", source);
            folder.tool(&compiler, &format!("{flags} -c version.c -o {name}.o"));
        }
        let commands = [
            "break version",
            "run",
            "backtrace 2",
            "disable",
            // The old code has no such line. The new one comes while the program runs on.
            "tbreak version.c:5",
            "shell mv new.o version.o",
            "continue",
            "print result",
            "backtrace 2",
            "info breakpoints",
            "finish",
            "continue",
        ];
        cases.push(Case::new(&compiler, flags, folder, &commands));
    }
    for (case, told) in cases.iter().zip(gdb(&debugger, "--watch debug_watch.o version.o", &cases)) {
        assert_told(
            &case.name,
            &told,
            &[
                "hit Breakpoint, version (given=1) at version.c:",
                " in main () at debug_watch.c:",
                "version (given=1) at version.c:5\n",
                "$ = 2\n",
                " in main () at debug_watch.c:",
                // That of the name is in the new code now.
                " in version at version.c:4\n",
                // The end is not asked for: while other threads die, GDB may lose sight of it.
                "version 2\n",
            ],
        );
    }
}

#[test]
fn a_debugger_steps_through_the_entries_of_updatable_code() {
    let Some(debugger) = find(&["gdb"]) else { return };
    let call = line_of("debug_main.c", "int sum = combine");
    let mut cases = Vec::new();
    let flags = "-O0 -g -ffunction-sections";
    for compiler in C_COMPILERS.iter().filter_map(|names| find(names)) {
        let folder = compiled(&compiler, flags, &["debug_main.c", "debug_work.c"]);
        let stop = format!("break debug_main.c:{call}");
        cases.push(Case::new(&compiler, flags, folder, &[&stop, "break combine", "run", "step", "continue"]));
    }
    for (case, told) in cases.iter().zip(gdb(&debugger, "--watch debug_main.o debug_work.o", &cases)) {
        let expected =
            ["hit Breakpoint, main (", "combine (pair=0x", " at debug_work.c:", "sum 52\n", "exited normally]"];
        assert_told(&case.name, &told, &expected);
        // It is no breakpoint of its own, and no frame.
        assert_eq!(told.matches("combine (").count(), 1, "{}: {told}", case.name);
    }
}

#[test]
fn reports_of_crashes_name_the_line() {
    let line = line_of("debug_work.c", "*(volatile int *)0 = product");
    for names in C_COMPILERS {
        let Some(compiler) = find(names) else { continue };
        for flags in FLAGS {
            let folder = compiled(&compiler, flags, &["debug_work.c"]);
            let source = "\
struct pair { int left, right; };
int combine(const struct pair *, int);
int main(void) {
    struct pair pair = {1, 2};
    return combine(&pair, -5);
}
";
            folder.write("crash.c", source);
            folder.tool(&compiler, &format!("{flags} -c crash.c"));
            let outcome = folder.jitlink("run --debug crash.o debug_work.o");
            // A compiler may know that this line cannot go on, and trap.
            let died = [-libc::SIGSEGV, -libc::SIGILL].contains(&outcome.status);
            assert!(died, "{names:?} {flags}: {outcome:?}");
            let place = format!("of debug_work.o at {}:{line} (", folder.path("debug_work.c").display());
            assert!(outcome.stderr.contains(&place), "{names:?} {flags}: no {place} in {}", outcome.stderr);
            let outcome = folder.jitlink("run crash.o debug_work.o");
            assert!(!outcome.stderr.contains("debug_work.c"), "{}", outcome.stderr);
        }
    }
}

/// Debug sections that make no sense, and refer to what is nowhere.
const BROKEN: &str = "\
        .globl main
main:   xorl %eax, %eax
        ret
        .section .debug_info,\"\",@progbits
        .long 0x7fffffff
        .quad nowhere
        .section .note.GNU-stack,\"\",@progbits
";

#[test]
fn without_the_option_debug_sections_are_not_looked_at() {
    let Some(compiler) = find(C_COMPILERS[0]) else { return };
    let folder = Folder::new();
    folder.write("broken.s", BROKEN);
    folder.tool(&compiler, "-c broken.s");
    let outcome = folder.jitlink("run broken.o");
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    let outcome = folder.jitlink("run --debug broken.o");
    assert_eq!(outcome.status, 1, "{outcome:?}");
}
