//! Initialisers and finalisers run in the order of a program that ld has linked.

use super::support::{C_COMPILERS, Folder, find};

#[test]
fn what_runs_before_and_after_main_is_as_ld_orders_it() {
    for names in C_COMPILERS {
        let Some(cc) = find(names) else { continue };
        for flags in
            ["-O0", "-O2 -fPIC", "-O2 -fno-pic", "-O1 -mcmodel=large", "-O2 -ffunction-sections -fdata-sections"]
        {
            let folder = Folder::new();
            folder.tool(&cc, &format!("{flags} -w -c {} -o first.o", super::source("initialisers.c")));
            folder.tool(&cc, &format!("{flags} -w -c {} -o second.o", super::source("initialisers_other.c")));
            for arguments in ["", "exit", "_exit", "quick_exit", "abort"] {
                let outcome = folder.jitlink(&format!("run first.o second.o -- {arguments}"));
                // A .preinit_array needs an executable; without -no-pie the code of -fno-pic needs no text relocations there.
                let reference =
                    folder.reference(&cc, &format!("first.o second.o {}", super::link_flags(flags)), arguments);
                assert_eq!(outcome.visible(), reference.visible(), "{names:?} {flags} {arguments}: {}", outcome.stderr);
            }
        }
    }
}
