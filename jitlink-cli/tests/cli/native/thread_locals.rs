//! Thread-local variables of real compilers: every access model, by threads of any age, with their destructors.

use super::support::{C_COMPILERS, CXX_COMPILERS, Folder, find};

/// Every access model of "ELF Handling For Thread-Local Storage", section 4, and descriptors.
const MODELS: &[&str] = &[
    "-fPIC",
    "-fPIE",
    "-fno-pic",
    "-fPIC -fno-plt",
    "-fPIC -mcmodel=large",
    "-fno-pic -mcmodel=large",
    "-fPIC -ftls-model=initial-exec",
    "-fPIC -ftls-model=local-dynamic",
    "-fPIC -mtls-dialect=gnu2",
    "-fPIC -mtls-dialect=gnu2 -ftls-model=local-dynamic",
    "-fPIC -fno-plt -ftls-model=local-dynamic",
    "-fPIC -mcmodel=large -ftls-model=local-dynamic",
];

#[test]
fn every_access_model_finds_each_threads_own_variables() {
    for names in C_COMPILERS {
        let Some(cc) = find(names) else { continue };
        for model in MODELS {
            for level in ["-O0", "-O2"] {
                let folder = Folder::new();
                for part in ["main", "more"] {
                    let source = super::source(&format!("thread_locals_{part}.c"));
                    folder.tool(&cc, &format!("{level} {model} -c {source} -o {part}.o"));
                }
                let outcome = folder.jitlink("run main.o more.o");
                let reference = folder.reference(&cc, &format!("main.o more.o {}", super::link_flags(model)), "");
                assert_eq!(outcome.visible(), reference.visible(), "{names:?} {level} {model}: {}", outcome.stderr);
            }
        }
    }
}

#[test]
fn variables_of_a_shared_library_are_found_by_every_model() {
    for names in C_COMPILERS {
        let Some(cc) = find(names) else { continue };
        let folder = Folder::new();
        folder.tool(&cc, &format!("-shared -fPIC {} -o libvariable.so", super::source("thread_locals_library.c")));
        for model in ["-fPIC", "-fPIE", "-fPIC -mtls-dialect=gnu2"] {
            let source = super::source("thread_locals_of_library.c");
            folder.tool(&cc, &format!("{model} -c {source} -o main.o"));
            let outcome = folder.jitlink("run main.o -L . -l variable");
            assert_eq!(
                (outcome.stdout.as_str(), outcome.status),
                ("16 16\n", 0),
                "{names:?} {model}: {}",
                outcome.stderr
            );
        }
        let outcome = folder.jitlink("run main.o --define libget=0x1000");
        let error = "error[undefined]: libvar is not defined; referred to at main.o .text";
        assert!(outcome.errors().starts_with(error), "{}", outcome.stderr);
    }
}

#[test]
fn constructors_and_destructors_of_variables_run_in_each_thread() {
    for names in CXX_COMPILERS {
        let Some(cxx) = find(names) else { continue };
        for flags in ["-O0 -fPIC", "-O2 -fPIE", "-O2 -fno-pic", "-O3 -fPIC"] {
            let folder = Folder::new();
            let source = super::source("thread_locals.cpp");
            folder.tool(&cxx, &format!("{flags} -std=c++20 -c {source} -o main.o"));
            let outcome = folder.jitlink("run main.o -l stdc++");
            let reference = folder.reference(&cxx, &format!("main.o {}", super::link_flags(flags)), "");
            assert_eq!(outcome.visible(), reference.visible(), "{names:?} {flags}: {}", outcome.stderr);
        }
    }
}

#[test]
fn a_module_that_registers_destructors_is_known_by_any_of_its_addresses() {
    let Some(cc) = C_COMPILERS.iter().find_map(|names| find(names)) else { return };
    let folder = Folder::new();
    folder.write(
        "main.c",
        "#include <stdio.h>\n\
         int __cxa_thread_atexit_impl(void (*run)(void *), void *argument, void *module);\n\
         static int variable;\n\
         static void gone(void *argument) { printf(\"%s\\n\", (char *)argument); }\n\
         int main(void) { return __cxa_thread_atexit_impl(gone, \"gone\", &variable); }\n",
    );
    folder.tool(&cc, "-c main.c -o main.o");
    let outcome = folder.jitlink("run main.o");
    assert_eq!(outcome.visible(), (0, "gone\n"), "{}", outcome.stderr);
}

#[test]
fn more_variables_at_a_fixed_distance_than_there_is_room_for_are_refused_with_advice() {
    let Some(cc) = C_COMPILERS.iter().find_map(|names| find(names)) else { return };
    let folder = Folder::new();
    folder.write("large.c", "static __thread char large[1 << 20]; int main(void) { return large[7]++; }\n");
    folder.tool(&cc, "-fPIE -ftls-model=local-exec -c large.c -o large.o");
    let outcome = folder.jitlink("run large.o");
    assert!(outcome.errors().contains("of which this link has 1048576 bytes"), "{}", outcome.stderr);
    assert!(outcome.errors().contains("GLIBC_TUNABLES=glibc.rtld.optional_static_tls"), "{}", outcome.stderr);
    folder.write("huge.c", "static __thread char huge[1 << 29]; int main(void) { return huge[7]++; }\n");
    folder.tool(&cc, "-fPIC -ftls-model=global-dynamic -c huge.c -o huge.o");
    assert!(folder.jitlink("run huge.o").errors().starts_with("error[too-large]"), "512 MiB in each thread");
    folder.tool(&cc, "-fPIC -ftls-model=global-dynamic -c large.c -o large.o");
    assert_eq!(folder.jitlink("run large.o").status, 0);
}
