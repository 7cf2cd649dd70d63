//! Backtraces that linked programs take of themselves.

use super::support::{C_COMPILERS, CXX_COMPILERS, Folder, find};
use std::path::Path;

#[test]
fn backtraces_pass_through_linked_functions_and_libraries() {
    for names in C_COMPILERS {
        let Some(cc) = find(names) else { continue };
        for flags in [
            "-O0 -fPIC",
            "-O2 -fno-pic -fno-optimize-sibling-calls",
            "-O1 -fPIC -mcmodel=large",
            "-O2 -ffunction-sections -fno-optimize-sibling-calls",
        ] {
            let folder = Folder::new();
            folder.tool(&cc, &format!("{flags} -c {} -o main.o", super::source("backtrace.c")));
            let outcome = folder.jitlink("run main.o");
            let expected = "3\nbacktrace: 4 of 4 functions, others behind them\n\
                            _Unwind_Backtrace: 4 of 4 functions, others behind them\n";
            assert_eq!(outcome.visible(), (0, expected), "{names:?} {flags}: {}", outcome.stderr);
        }
    }
}

#[test]
fn objects_without_unwind_tables_do_no_harm() {
    // Frames of theirs end a backtrace, or an exception, as they do natively; all else goes on.
    for names in C_COMPILERS {
        let Some(cc) = find(names) else { continue };
        let folder = Folder::new();
        let flags = "-O1 -fno-asynchronous-unwind-tables -fno-unwind-tables";
        folder.tool(&cc, &format!("{flags} -c {} -o main.o", super::source("backtrace.c")));
        let outcome = folder.jitlink("run main.o");
        let reference = folder.reference(&cc, "main.o", "");
        assert_eq!(outcome.status, 0, "{names:?}: {}", outcome.stderr);
        assert_eq!(outcome.stdout.lines().next(), reference.stdout.lines().next(), "{names:?}");
    }
}

/// The libraries of other unwinders, and what the program is told of them; those of them that are not installed are left out.
fn unwinders() -> impl Iterator<Item = (&'static str, &'static str)> {
    let libraries = [("libunwind.so.8", "-DNONGNU"), ("libunwind.so.1", "-DLLVM")];
    libraries.into_iter().filter(|(file, _)| Path::new("/usr/lib/x86_64-linux-gnu").join(file).exists())
}

#[test]
fn unwinders_that_a_program_brings_along_see_linked_functions() {
    for compiler in C_COMPILERS.iter().filter_map(|names| find(names)) {
        for (library, macros) in unwinders() {
            for flags in [
                "-O0 -fPIC",
                "-O2 -fno-pic -fno-optimize-sibling-calls",
                "-O1 -fPIC -mcmodel=large",
                "-O2 -ffunction-sections -fno-optimize-sibling-calls",
            ] {
                let folder = Folder::new();
                folder.tool(&compiler, &format!("{flags} {macros} -c {} -o main.o", super::source("unwinders.c")));
                let pic = if flags.contains("-fno-pic") { "-no-pie " } else { "" };
                let reference = folder.reference(&compiler, &format!("{pic}main.o -l:{library}"), "");
                let expected = "3\nin innermost\nin compare\nin a library\nin a library\nin outer\nin main\n";
                assert_eq!(reference.visible(), (0, expected), "{compiler:?} {flags} {library}: {}", reference.stderr);
                // The other one too, before and after it.
                let both = "-l :libunwind.so.8 -l :libunwind.so.1";
                let all =
                    if unwinders().count() == 2 { vec![both, "-l :libunwind.so.1 -l :libunwind.so.8"] } else { vec![] };
                for libraries in [format!("-l :{library}")].iter().map(String::as_str).chain(all) {
                    let outcome = folder.jitlink(&format!("run main.o {libraries}"));
                    assert_eq!(
                        outcome.visible(),
                        (0, expected),
                        "{compiler:?} {flags} {libraries}: {}",
                        outcome.stderr
                    );
                }
            }
        }
    }
}

#[test]
fn exceptions_pass_whichever_unwinders_there_are() {
    for compiler in CXX_COMPILERS.iter().filter_map(|names| find(names)) {
        for flags in ["-O0 -fPIC", "-O2 -fno-pic"] {
            let folder = Folder::new();
            folder.tool(&compiler, &format!("{flags} -c {} -o main.o", super::source("unwinders.cpp")));
            let pic = if flags.contains("-fno-pic") { "-no-pie " } else { "" };
            let reference = folder.reference(&compiler, &format!("{pic}main.o"), "");
            let names: Vec<&str> = unwinders().map(|(name, _)| name).collect();
            let libraries = |names: &[&str]| names.iter().map(|name| format!(" -l :{name}")).collect::<String>();
            let reversed: Vec<&str> = names.iter().rev().copied().collect();
            let single = names.iter().map(std::slice::from_ref);
            for names in [&[], &names[..], &reversed].into_iter().chain(single) {
                let outcome = folder.jitlink(&format!("run main.o -l stdc++{}", libraries(names)));
                assert_eq!(
                    outcome.visible(),
                    reference.visible(),
                    "{compiler:?} {flags} {names:?}: {}",
                    outcome.stderr
                );
                let outcome = folder.jitlink(&format!("run main.o{} -l stdc++", libraries(names)));
                assert_eq!(
                    outcome.visible(),
                    reference.visible(),
                    "{compiler:?} {flags} {names:?}: {}",
                    outcome.stderr
                );
            }
        }
    }
}
