//! Every code model of every compiler gives the program that ld makes of the same objects.

use super::support::{C_COMPILERS, Folder, find};

const MODELS: &[&str] = &[
    "",
    "-fPIC",
    "-fPIE",
    "-fno-pic",
    "-fPIC -fno-plt",
    "-fPIC -fno-semantic-interposition",
    "-fno-pic -mcmodel=medium",
    "-fno-pic -mcmodel=large",
    "-fPIC -mcmodel=medium",
    "-fPIC -mcmodel=large",
    "-ffunction-sections -fdata-sections",
    "-g -gz",
];

#[test]
fn programs_of_every_code_model_do_what_they_do_under_ld() {
    for names in C_COMPILERS {
        let Some(cc) = find(names) else { continue };
        for model in MODELS {
            for level in ["-O0", "-O1", "-O2", "-O3"] {
                let folder = Folder::new();
                let flags = format!("{level} {model}");
                for part in ["main", "more", "switch"] {
                    let source = super::source(&format!("models_{part}.c"));
                    folder.tool(&cc, &format!("{flags} -w -c {source} -o {part}.o"));
                }
                let objects = "main.o more.o switch.o";
                let outcome = folder.jitlink(&format!("run {objects} -l m"));
                let reference = folder.reference(&cc, &format!("{objects} {} -lm", super::link_flags(model)), "");
                assert_eq!(outcome.visible(), reference.visible(), "{names:?} {flags}: {}", outcome.stderr);
            }
        }
    }
}

#[test]
fn objects_of_different_models_and_compilers_are_one_program() {
    let [Some(gcc), Some(clang)] = C_COMPILERS.map(find) else { return };
    let folder = Folder::new();
    folder.tool(&gcc, &format!("-O2 -fno-pic -w -c {} -o main.o", super::source("models_main.c")));
    folder.tool(&clang, &format!("-O2 -fPIC -mcmodel=large -c {} -o more.o", super::source("models_more.c")));
    folder.tool(&gcc, &format!("-O2 -fPIE -fno-plt -c {} -o switch.o", super::source("models_switch.c")));
    let outcome = folder.jitlink("run main.o more.o switch.o -l m");
    let reference = folder.reference(&gcc, "main.o more.o switch.o -no-pie -lm", "");
    assert_eq!(outcome.visible(), reference.visible(), "{}", outcome.stderr);
}

#[test]
fn small_code_reaches_what_the_large_models_place_apart() {
    for names in C_COMPILERS {
        let Some(cc) = find(names) else { continue };
        for model in ["-mcmodel=medium", "-mcmodel=large"] {
            for small in ["-fPIC", "-fPIE", "-fno-pic"] {
                let folder = Folder::new();
                folder.tool(&cc, &format!("-O2 -fPIC {model} -c {} -o data.o", super::source("far_data.c")));
                folder.tool(&cc, &format!("-O2 {small} -c {} -o main.o", super::source("far_main.c")));
                let outcome = folder.jitlink("run main.o data.o");
                assert_eq!((outcome.status, outcome.stdout.as_str()), (0, "42 3 1\n"), "{small}: {}", outcome.stderr);
            }
        }
    }
}
