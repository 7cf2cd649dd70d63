//! Data of shared libraries is used where it is, never copied.

use super::support::{C_COMPILERS, Folder, find};

const EXPECTED: &str = "\
1 1 1 1
option a, argument value, optind 3
option b, argument none, optind 4
optind 4, opterr 1
found 1, only this, path gone
to stdout
to the stream of a pointer in data
1 1 data.o
";

#[test]
fn variables_of_the_c_library_are_its_own() {
    for names in C_COMPILERS {
        let Some(cc) = find(names) else { continue };
        for flags in [
            "-O0 -fno-pic",
            "-O2 -fno-pic",
            "-O3 -fPIC",
            "-O2 -fPIE",
            "-O2 -fPIE -fno-plt",
            "-O2 -fno-pic -mcmodel=medium",
            "-O0 -fno-pic -mcmodel=large",
            "-O2 -fno-pic -mcmodel=large",
            "-O2 -fPIC -mcmodel=large",
        ] {
            let folder = Folder::new();
            folder.tool(&cc, &format!("{flags} -w -c {} -o data.o", super::source("data_symbols.c")));
            let outcome = folder.jitlink("run data.o");
            assert_eq!(outcome.visible(), (0, EXPECTED), "{names:?} {flags}: {}", outcome.stderr);
        }
    }
}
