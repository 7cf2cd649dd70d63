//! C++ against libstdc++, shared and static.

use super::support::{CXX_COMPILERS, Folder, find};

#[test]
fn exceptions_types_statics_and_streams_across_objects() {
    for names in CXX_COMPILERS {
        let Some(cxx) = find(names) else { continue };
        // One reference is enough: what C++ means does not depend on the code model.
        let reference = Folder::new();
        for flags in [
            "-O0",
            "-O2 -fPIC",
            "-O2 -fno-pic",
            "-O1 -fno-pic -mcmodel=medium",
            "-O2 -fno-pic -mcmodel=large",
            "-O1 -fPIC -mcmodel=large",
            "-O2 -ffunction-sections -fdata-sections",
            "-O2 -fno-plt",
        ] {
            let folder = Folder::new();
            let program = if flags == "-O0" { &reference } else { &folder };
            for part in ["main", "other"] {
                let source = super::source(&format!("cxx_{part}.cpp"));
                program.tool(&cxx, &format!("{flags} -std=c++17 -w -c {source} -o {part}.o"));
            }
            for arguments in ["", "throw"] {
                let outcome = program.jitlink(&format!("run main.o other.o -l stdc++ -- {arguments}"));
                let expected = reference.reference(&cxx, "main.o other.o", arguments);
                assert_eq!(outcome.visible(), expected.visible(), "{names:?} {flags}: {}", outcome.stderr);
                assert_eq!(outcome.stderr, expected.stderr, "{names:?} {flags} {arguments}");
            }
        }
    }
}

#[test]
fn a_static_library_has_its_exceptions_caught() {
    // Its unwinder knows nothing of what is linked in memory, and gives way to the process's.
    let Some(gxx) = find(&["g++"]) else { return };
    for names in CXX_COMPILERS {
        let Some(cxx) = find(names) else { continue };
        for flags in ["-O0 -fPIC", "-O2 -fno-pic", "-O2 -ffunction-sections"] {
            let folder = Folder::new();
            for part in ["main", "other"] {
                let source = super::source(&format!("cxx_{part}.cpp"));
                folder.tool(&cxx, &format!("{flags} -std=c++17 -w -c {source} -o {part}.o"));
            }
            let archive =
                |name: &str| folder.command(&gxx, &format!("-print-file-name={name}")).stdout.trim().to_string();
            let archives = ["libstdc++.a", "libgcc_eh.a", "libgcc.a"].map(archive).join(" ");
            for arguments in ["", "throw"] {
                let outcome = folder.jitlink(&format!("run main.o other.o {archives} -- {arguments}"));
                let expected =
                    folder.reference(&cxx, &format!("main.o other.o {}", super::link_flags(flags)), arguments);
                assert_eq!(outcome.visible(), expected.visible(), "{names:?} {flags}: {}", outcome.stderr);
            }
        }
    }
}

#[test]
fn without_the_c_plus_plus_library_the_advice_is_to_add_it() {
    let Some(cxx) = find(&["g++", "clang++-22", "clang++"]) else { return };
    let folder = Folder::new();
    folder.tool(&cxx, &format!("-O2 -std=c++17 -w -c {} -o main.o", super::source("cxx_main.cpp")));
    folder.tool(&cxx, &format!("-O2 -std=c++17 -w -c {} -o other.o", super::source("cxx_other.cpp")));
    let outcome = folder.jitlink("run main.o other.o");
    let lines: Vec<&str> = outcome.errors().lines().collect();
    assert!(lines.contains(&"  help: this is of the C++ library: add -l stdc++"), "{}", outcome.stderr);
    assert!(lines.last().unwrap().contains("more errors (--format json shows all)"), "{}", outcome.stderr);
}
