//! Backtraces that linked programs take of themselves.

use super::support::{C_COMPILERS, Folder, find};

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
