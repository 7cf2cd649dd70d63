//! `jitlink run --debug`: what a real debugger sees of linked code, and what reports of crashes say.

use super::super::support::{C_COMPILERS, Folder, Outcome, find};
use std::path::Path;
use std::process::Command;

/// What each compiler is asked for.
const FLAGS: &[&str] = &[
    "-O0 -gdwarf-4",
    "-O0 -gdwarf-5",
    "-O2 -gdwarf-4 -ffunction-sections",
    "-O2 -gdwarf-5 -ffunction-sections",
    "-O1 -gdwarf-5 -gz=zlib",
    "-O2 -g -fno-asynchronous-unwind-tables -fno-pic -mcmodel=large",
];

const OBJECTS: [&str; 2] = ["debug_main", "debug_work"];

/// A folder with both sources and their objects.
fn compiled(compiler: &Path, flags: &str) -> Folder {
    let folder = Folder::new();
    for name in OBJECTS {
        std::fs::copy(super::source(&format!("{name}.c")), folder.path(&format!("{name}.c"))).unwrap();
        folder.tool(compiler, &format!("{flags} -c {name}.c"));
    }
    folder
}

/// What GDB says when it runs these commands with the linked program.
fn gdb(gdb: &Path, folder: &Folder, commands: &[&str]) -> String {
    let script = format!("set width 0\nset confirm off\nset breakpoint pending on\n{}\n", commands.join("\n"));
    folder.write("script.gdb", script);
    let words = ["-q", "--nx", "--batch", "-x", "script.gdb", "--args", env!("CARGO_BIN_EXE_jitlink")];
    let program = ["run", "--debug", "debug_main.o", "debug_work.o"];
    let mut command = Command::new(gdb);
    // Nothing is asked of a server.
    command.args(words).args(program).current_dir(folder.path("")).env_remove("DEBUGINFOD_URLS");
    let Outcome { stdout, stderr, .. } = Outcome::of(&mut command);
    format!("{stdout}\n{stderr}")
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
    for names in C_COMPILERS {
        let Some(compiler) = find(names) else { continue };
        for flags in FLAGS {
            let folder = compiled(&compiler, flags);
            let told = gdb(
                &debugger,
                &folder,
                &[
                    &format!("break debug_work.c:{line}"),
                    "run",
                    "backtrace",
                    "print value",
                    "print factor",
                    "next",
                    "up",
                    "print pair->left",
                    "print *pair",
                    &format!("info line debug_work.c:{unused}"),
                    "info symbol combine",
                    "continue",
                    "continue",
                ],
            );
            // Optimised code shows what a parameter was at the start beside what it is.
            let told = told.replace("factor=factor@entry=", "factor=").replace("value=value@entry=", "value=");
            let expect = |text: &str| assert!(told.contains(text), "{names:?} {flags}: no {text:?} in\n{told}");
            expect(&format!("Breakpoint 1, scale (value=3, factor=10) at debug_work.c:{line}"));
            expect("$1 = 3\n$2 = 10\n");
            expect("$3 = 3\n$4 = {left = 3, right = 2}\n");
            expect(" in combine (pair=");
            expect(" at debug_main.c:");
            expect(&format!("Breakpoint 1, scale (value=2, factor=11) at debug_work.c:{line}"));
            expect("sum 52\n");
            // From the linked main through the linker into the one of the host.
            expect("jitlink-core/src/process/call.rs:");
            if flags.contains("-ffunction-sections") {
                // What was pruned has a line, but no code anywhere.
                let told = told.lines().find(|told| told.starts_with(&format!("Line {unused} of"))).unwrap_or_default();
                assert!(told.is_empty() || told.contains("but contains no code"), "{names:?} {flags}: {told}");
            }
        }
    }
}

#[test]
fn reports_of_crashes_name_the_line() {
    let line = line_of("debug_work.c", "*(volatile int *)0 = product");
    for names in C_COMPILERS {
        let Some(compiler) = find(names) else { continue };
        for flags in FLAGS {
            let folder = compiled(&compiler, flags);
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
